// What src/symbols needs of an ELF file beyond gcore/elf.h: the libelf handle, for libdw.
#ifndef GCORE_ELF_IMPL_H
#define GCORE_ELF_IMPL_H

#include <libelf.h>

#include "gcore/elf.h"

/** Borrowed, as long as elf. NULL if libelf cannot use the file. */
Elf *gi_elf_handle(struct gi_elf *elf);

#endif

// What src/symbols needs of an ELF file beyond gcore/elf.h: libelf handles, for libdw.
#ifndef GCORE_ELF_IMPL_H
#define GCORE_ELF_IMPL_H

#include <libelf.h>

#include "gcore/elf.h"

/**
 * A libelf handle that has some sections alone, those of names[] that the file has, decompressed.
 * For libdw, which would decompress every debug section of the file itself. Their bytes
 * are borrowed from elf. Only to be read.
 */
struct gi_elf_subset;
struct gi_error *gi_elf_subset_open(struct gi_elf *elf, const char *const *names, size_t n,
				    struct gi_elf_subset **ret) GI_MUST_CHECK;
void gi_elf_subset_close(struct gi_elf_subset *s);
/** Borrowed, as long as s. */
Elf *gi_elf_subset_handle(struct gi_elf_subset *s);

#endif

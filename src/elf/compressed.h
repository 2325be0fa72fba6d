// Files that are compressed as a whole; src/elf only. sparse.h is where they are unpacked to.
#ifndef ELF_COMPRESSED_H
#define ELF_COMPRESSED_H

#include "gcore/elf.h"

struct elf_filter;

/** How a file that begins with these bytes is compressed; NULL: it is not. */
const struct elf_filter *gi_elf_filter_find(const uint8_t *head, size_t n);
/**
 * Unpacks the ELF file that is compressed in fd (from where it stands; path names it in errors).
 * *fd_ret, the caller's, can be read and mapped, not written. *note_ret, malloc'd, says
 * what is missing if it could not be unpacked to its end, else it stays as it is.
 */
struct gi_error *gi_elf_filter_run(const struct elf_filter *filter, const char *path, int fd,
				   const struct gi_elf_unpacking *unpacking, int *fd_ret,
				   char **note_ret) GI_MUST_CHECK;

#endif

// Writing a large file once, from its start to its end, without its zeros.
#ifndef ELF_SPARSE_H
#define ELF_SPARSE_H

#include <stdint.h>
#include <sys/stat.h>

#include "gcore/error.h"

struct elf_sparse;

/** Where temporary files of this size belong: $TMPDIR, else /var/tmp, else /tmp. Borrowed. */
const char *gi_elf_sparse_temp_dir(void);
/** Begins a file without a name in dir, readable by its owner alone. */
struct gi_error *gi_elf_sparse_create(const char *dir, struct elf_sparse **ret) GI_MUST_CHECK;
/** The file is not a temporary one: errors do not speak of other folders for those. */
void gi_elf_sparse_set_wanted(struct elf_sparse *s);
/** What was not finished leaves nothing behind. NULL is accepted. */
void gi_elf_sparse_destroy(struct elf_sparse *s);
GI_DEFINE_CLEANUP(struct elf_sparse *, gi_elf_sparse_destroyp, gi_elf_sparse_destroy)

/** Appends n bytes. */
struct gi_error *gi_elf_sparse_write(struct elf_sparse *s, const uint8_t *p, size_t n) GI_MUST_CHECK;
/** Appends n zeros. */
struct gi_error *gi_elf_sparse_zeros(struct elf_sparse *s, uint64_t n) GI_MUST_CHECK;
uint64_t gi_elf_sparse_size(const struct elf_sparse *s);
/**
 * Ends the file. If name is not NULL it is kept under that name (in the same dir), in whose
 * place it comes whole or not at all. *fd_ret is the caller's.
 */
struct gi_error *gi_elf_sparse_finish(struct elf_sparse *s, const char *name, int *fd_ret) GI_MUST_CHECK;

/** Appends to out the first size bytes behind fd, as one zstd stream. */
struct gi_error *gi_elf_pack_file(int fd, uint64_t size, struct elf_sparse *out) GI_MUST_CHECK;

/** Makes dir, for its owner alone, if it is not there. */
struct gi_error *gi_elf_cache_prepare(const char *dir) GI_MUST_CHECK;
/** The name in a cache of what is made of the file st: its identity; malloc'd, NULL without memory. */
char *gi_elf_cache_name(const char *dir, const struct stat *st);
/** Opens what an earlier run kept under that name; -1 if there is none that can be trusted. */
int gi_elf_cache_open(const char *name);

#endif

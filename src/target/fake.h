// A target made of pieces, for tests: the memory, threads and mappings that a test
// says, nothing else. Everything is copied.
#ifndef GCORE_FAKE_H
#define GCORE_FAKE_H

#include "gcore/target.h"

/** An empty target of amd64. Close it with gi_target_close(). */
struct gi_error *gi_fake_create(struct gi_target **ret) GI_MUST_CHECK;
/**
 * Maps [addr, addr + n) with these bytes. Pieces must not overlap; ones that touch are read
 * as one address space, but a view ends between them. A piece is a mapping of its own.
 */
struct gi_error *gi_fake_add_memory(struct gi_target *t, uint64_t addr, const void *bytes, size_t n,
				    unsigned flags) GI_MUST_CHECK;
/** Maps [addr, addr + n), whose bytes fail with why (GI_ERR_NOT_SAVED or GI_ERR_CUT_OFF). */
struct gi_error *gi_fake_add_unsaved(struct gi_target *t, uint64_t addr, size_t n, unsigned flags,
				     enum gi_error_code why) GI_MUST_CHECK;
/** Changes bytes inside of pieces that were added. */
struct gi_error *gi_fake_write(struct gi_target *t, uint64_t addr, const void *bytes,
			       size_t n) GI_MUST_CHECK;
struct gi_error *gi_fake_write_u64(struct gi_target *t, uint64_t addr, uint64_t value) GI_MUST_CHECK;
struct gi_error *gi_fake_add_thread(struct gi_target *t, const struct gi_thread *th) GI_MUST_CHECK;
/** Names the piece at addr. */
struct gi_error *gi_fake_set_path(struct gi_target *t, uint64_t addr, const char *path,
				  uint64_t file_off) GI_MUST_CHECK;
/** Of another architecture than amd64. */
void gi_fake_set_arch(struct gi_target *t, enum gi_arch arch);
/** Takes elf over; it is what gi_target_elf_at() gives for its segments. */
void gi_fake_set_exe(struct gi_target *t, struct gi_elf *elf, uint64_t bias);
/** To be filled in as a test likes; its strings must outlive t. */
struct gi_process_info *gi_fake_info(struct gi_target *t);

#endif

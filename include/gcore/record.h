// Recording what is read of a target, so that just that can be written into a smaller core.
#ifndef GCORE_RECORD_H
#define GCORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/error.h"
#include "gcore/target.h"

struct gi_record;

/**
 * From now on all reads of t's memory are noted, in units of GI_RECORD_LINE bytes, and which
 * of its ELF files were asked for. One record at a time. t is borrowed.
 */
struct gi_error *gi_record_start(struct gi_target *t, struct gi_record **ret) GI_MUST_CHECK;
/** Nothing more is noted. */
void gi_record_stop(struct gi_record *r);
/** Stops, and forgets. NULL is accepted. */
void gi_record_destroy(struct gi_record *r);
GI_DEFINE_CLEANUP(struct gi_record *, gi_record_destroyp, gi_record_destroy)
enum { GI_RECORD_LINE = 64 };

/** Notes [addr, addr + n). Thread-safe; what goes wrong is told by gi_record_runs(). */
void gi_record_add(struct gi_record *r, uint64_t addr, uint64_t n);
bool gi_record_has(struct gi_record *r, uint64_t addr);
/** Was this file asked for? */
bool gi_record_has_elf(const struct gi_record *r, const struct gi_elf *elf);

struct gi_record_run {
	uint64_t start, end;
};
/**
 * What was noted, ascending, as whole lines; runs with at most gap bytes between them are one.
 * malloc'd.
 */
struct gi_error *gi_record_runs(struct gi_record *r, uint64_t gap, struct gi_record_run **ret,
				size_t *count_ret) GI_MUST_CHECK;

// --- answers: what is worked out from more memory than anybody would want to keep ---------

/** Is what this target's memory is read for being recorded? */
bool gi_target_recorded(const struct gi_target *t);
/** Until the matching resume, reads are not noted: an answer will be kept in their place. */
void gi_target_record_pause(struct gi_target *t);
void gi_target_record_resume(struct gi_target *t);
/** Notes [addr, addr + n) even so: what was found in all that was read. */
void gi_target_record_found(struct gi_target *t, uint64_t addr, uint64_t n);
/** Keeps an answer, which is copied, under a name; the last one of that name counts. */
struct gi_error *gi_target_keep_answer(struct gi_target *t, const char *name, const void *data,
				       size_t n) GI_MUST_CHECK;
/** The same, behind what is kept under that name. */
struct gi_error *gi_target_extend_answer(struct gi_target *t, const char *name, const void *data,
					 size_t n) GI_MUST_CHECK;
/** The answer of that name that a mini dump holds; NULL if it holds none. Borrowed as long as t. */
const uint8_t *gi_target_answer(const struct gi_target *t, const char *name, size_t *n_ret);

struct gi_record_answer {
	const char *name;
	const uint8_t *data;
	size_t n;
};
size_t gi_record_answer_count(const struct gi_record *r);
struct gi_record_answer gi_record_answer(const struct gi_record *r, size_t i);

#endif

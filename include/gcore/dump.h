// Writing a target into a core file: all of it, or just what its goroutines need.
#ifndef GCORE_DUMP_H
#define GCORE_DUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "gcore/error.h"
#include "gcore/record.h"
#include "gcore/target.h"

struct gi_dump_result {
	uint64_t size;	 // of the file
	uint64_t memory; // bytes of the process's memory in it
	uint64_t files;	 // bytes of executables and libraries in it, packed
	bool live;	 // of a running process,
	uint64_t pause_ns; // which stood so long for what was read
	uint64_t late;	 // of memory: read after that, while it ran on
};

/** What the session knows of what a mini dump is made of. */
struct gi_dump_origin {
	uint64_t pause_ns;  // of a running process: how long it stood
	bool late_verdicts; // see struct gi_process_info
};

/** What is to be read of a running process for a core of it. */
struct gi_dump_plan;
/**
 * Makes the plan and reads all of that memory into the target's copy: while the process stands.
 * all: see gi_dump_core(). *plan is made, or made anew. direct: nothing is read now, but when
 * it is written, in pieces, and the process must stand until then; else what gi_dump_plan_check()
 * says.
 */
struct gi_error *gi_dump_plan(struct gi_target *t, bool all, bool direct, struct gi_dump_plan **plan) GI_MUST_CHECK;
/** GI_ERR_UNSUPPORTED if there is too little memory to copy what is planned. */
struct gi_error *gi_dump_plan_check(struct gi_target *t, const struct gi_dump_plan *plan) GI_MUST_CHECK;
/** Of a direct one: the process may run on as soon as all was read, before the file is on the disk. */
void gi_dump_plan_set_release(struct gi_dump_plan *plan);
void gi_dump_plan_destroy(struct gi_dump_plan *plan);

/**
 * Writes a mini dump: the memory that was read while the record ran, notes of threads and
 * process, copies of the files that were used. The file comes whole or not at all, readable
 * by its owner alone. GI_ERR_USAGE if path is the file that the target is read from.
 */
struct gi_error *gi_dump_mini(struct gi_target *t, struct gi_record *r,
			      const struct gi_dump_origin *origin, const char *path,
			      struct gi_dump_result *ret) GI_MUST_CHECK;

/**
 * Writes a core as the kernel does: what a core holds, or what the kernel saves of a process by
 * default. all: also what is mapped from files and was not changed, as far as it can be read.
 * plan: of a running process, else NULL.
 */
struct gi_error *gi_dump_core(struct gi_target *t, bool all, const struct gi_dump_plan *plan,
			      const char *path, struct gi_dump_result *ret) GI_MUST_CHECK;

#endif

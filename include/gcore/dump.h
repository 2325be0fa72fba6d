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
};

/**
 * Writes a mini dump: the memory that was read while the record ran, notes of threads and
 * process, copies of the files that were used. The file comes whole or not at all, readable
 * by its owner alone. GI_ERR_USAGE if path is the file that the target is read from.
 */
struct gi_error *gi_dump_mini(struct gi_target *t, struct gi_record *r, const char *path,
			      struct gi_dump_result *ret) GI_MUST_CHECK;

/**
 * Writes a core as the kernel does: what a core holds, or what the kernel saves of a process by
 * default. all: also what is mapped from files and was not changed, as far as it can be read.
 */
struct gi_error *gi_dump_core(struct gi_target *t, bool all, const char *path,
			      struct gi_dump_result *ret) GI_MUST_CHECK;

#endif

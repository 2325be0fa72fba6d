// An ELF core file that is being made: its notes, and the memory that goes into it.
#ifndef DUMP_FILE_H
#define DUMP_FILE_H

#include "gcore/base.h"
#include "gcore/target.h"

struct dump_piece {
	uint64_t start, memsz;
	uint64_t filesz; // from start; all of it can be read of the target
	unsigned flags;	 // GI_MAP_*
};

struct dump_file {
	struct gi_target *t;
	struct gi_str notes;
	struct dump_piece *pieces; // ascending
	size_t piece_count, piece_cap;
	// If not NULL, what of the pieces is there, ascending: all else is zeros.
	const struct gi_extent *present;
	size_t present_count;
	bool release; // it may run on once all was read
	bool direct; // of a process that stands: read for the first time when it is written
	uint64_t align; // of pieces in the file: a power of two
};

void gi_dump_file_deinit(struct dump_file *f);
/** Out of memory is told by gi_dump_file_write(). A note is at most 4 GB. */
void gi_dump_file_note(struct dump_file *f, const char *owner, uint32_t type, const void *desc,
		       size_t n);
struct gi_error *gi_dump_file_add(struct dump_file *f, struct dump_piece piece) GI_MUST_CHECK;
/** The notes of any core: threads, process, auxiliary vector, mapped files. */
struct gi_error *gi_dump_file_process(struct dump_file *f) GI_MUST_CHECK;
/** Writes it; *size_ret, *memory_ret: bytes in all, and of the process's memory. */
struct gi_error *gi_dump_file_write(struct dump_file *f, const char *path, uint64_t *size_ret,
				    uint64_t *memory_ret) GI_MUST_CHECK;

void gi_put_u32(struct gi_str *s, uint32_t v);
void gi_put_u64(struct gi_str *s, uint64_t v);
/** Its length and its bytes; NULL: of no length. */
void gi_put_string(struct gi_str *s, const char *text);

#endif

// The process that the tests of the core target make cores of: an executable at 0x400000 with
// two pages of headers and text, a page of read-only data and one of data; a heap, memory
// without access behind it, a stack with the executable's name; three threads.
#ifndef TESTS_CORE_PROCESS_H
#define TESTS_CORE_PROCESS_H

#include "../support/core_builder.h"

enum {
	EXE = 0x400000,
	TEXT_SIZE = 0x2000,
	RODATA = 0x402000,
	DATA = 0x403000,
	ENTRY = 0x401010,
	HEAP = 0xc000000,
	STACK = 0x7ff0000,
};

/** Fills v, and returns what with. */
uint8_t page_of(uint8_t v[4096], uint8_t fill);
/** Writes the executable below test_dir(). gnu and go may be NULL: no such build ID. */
void make_exe_as(const char *name, uint16_t type, uint64_t base, const void *gnu, size_t gnu_n,
		 const char *go, uint8_t text);
/** The usual one, with id as GNU build ID. */
void make_exe(const char *name, const char *id);
/** The bytes of a file below test_dir(), malloc'd. */
uint8_t *exe_bytes(const char *name, size_t *n);
/**
 * A core of the process with that executable, as the kernel leaves it: of text and read-only
 * data, only the first page is saved.
 */
struct core_builder *make_core(enum core_order order, const char *exe, uint64_t base);

/** Opens; a failure fails the test. exe may be NULL. */
struct gi_target *open_path(const char *path, const char *exe);
struct gi_target *open_core(struct core_builder *b);
/** Does not open, with that code and words, in one line. */
void refused_as(const char *path, const struct gi_target_options *opts, enum gi_error_code code,
		const char *words);
bool has_note(struct gi_target *t, const char *words);
void byte_is(struct gi_target *t, uint64_t addr, uint8_t want);
void byte_fails(struct gi_target *t, uint64_t addr, enum gi_error_code code, const char *words);

#endif

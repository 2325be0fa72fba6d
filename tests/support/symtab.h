// Function tables for tests: hand-built ones of each format, and those of real programs,
// both in a fake target.
#ifndef GCORE_TESTS_SYMTAB_H
#define GCORE_TESTS_SYMTAB_H

#include "gcore/base.h"
#include "gcore/symbols.h"
#include "target/fake.h"

/** Bytes of a table in the making. */
struct st_buf {
	uint8_t *p;
	size_t n, cap;
};
void st_put(struct st_buf *b, const void *p, size_t n);
void st_put_u32(struct st_buf *b, uint32_t v);
void st_put_u64(struct st_buf *b, uint64_t v);
/** Appends a string with its NUL; returns its offset. */
uint32_t st_put_str(struct st_buf *b, const char *s);

/** A pc-value table's run: value holds up to the offset end from the entry. */
struct st_run {
	uint32_t end;
	int32_t value;
};
/** Appends a table; returns its offset. The buffer must not be empty (0 means no table).
 */
uint32_t st_put_runs(struct st_buf *b, const struct st_run *runs, size_t n);

struct st_inline {
	const char *name;
	uint32_t parent_pc, start_line;
	uint8_t func_id;
};

/** A function to build. Offsets are from the start of the text; runs end with {0, 0}. */
struct st_func {
	const char *name;
	uint32_t entry;
	uint32_t start_line;
	uint8_t func_id, flag;
	const struct st_run *sp, *file, *line, *inl;
	const struct st_inline *tree;
	size_t tree_len;
};

enum { ST_TEXT = 0x1000000, ST_TABLES = 0x400000, ST_GOFUNC = 0x800000 };

/** A module in a fake target. */
struct symtab {
	struct gi_target *t;
	struct gi_module mod;
	int minor; // of the format
};
/**
 * Builds a module of functions with the given end of text, for Go 1.minor. Files of all
 * functions are those of files[], one compilation unit; an entry that is NULL is a hole.
 */
void symtab_build(struct symtab *st, int minor, const struct st_func *funcs, size_t n,
		  uint32_t end, const char *const *files, size_t nfiles);
/** The module of a real executable (not PIE), found through its debug information. */
struct gi_error *symtab_open(struct symtab *st, const char *path) GI_MUST_CHECK;
void symtab_close(struct symtab *st);

/** Looks at everything that a table of functions can tell; fails a check with abort(). */
void symtab_exercise(struct gi_functab *ft, const struct gi_module *mod,
		     size_t max_funcs);

#endif

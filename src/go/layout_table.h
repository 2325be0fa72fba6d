// Layout tables of known Go releases, for programs without debug information. They were
// made from real binaries, see tests/layouts.
#ifndef GCORE_GO_LAYOUT_TABLE_H
#define GCORE_GO_LAYOUT_TABLE_H

#include "gcore/target.h"
#include "go/layout.h"

enum gi_table_kind {
	GI_T_RELEASE,
	GI_T_STRUCT,
	GI_T_FIELD,
	GI_T_GLOBAL,
	GI_T_CONST,
	GI_T_FUNC,
	GI_T_REF,
};

// Small, because there are some ten thousand of them.
struct gi_table_entry {
	union {
		uint64_t u; // a size, a shape, an offset into a global
		int64_t i;
		struct {
			uint32_t off, size;
		} field;
	};
	uint32_t count; // elements; references of a function; the index of one
	uint16_t name;	// where it begins in all names
	uint8_t kind;
	uint8_t arch; // of a release
};

/** The table of releases 1.minor.patch and later ones, up to the next table. */
struct gi_layout_table {
	const struct gi_table_entry *entries;
	size_t count;
	int minor, patch;
};

size_t gi_layout_table_count(enum gi_arch arch);
/** Oldest release first. i < gi_layout_table_count(arch). */
struct gi_layout_table gi_layout_table(enum gi_arch arch, size_t i);
/**
 * The table for a release (patch -1: none, "go1.20", "go1.28rc1"), or the nearest one: check
 * ->minor. Newer releases than all that are known get the last table, older ones the first.
 * No entries if there is none for the architecture.
 */
struct gi_layout_table gi_layout_table_for(enum gi_arch arch, int minor, int patch);

const char *gi_layout_table_name(const struct gi_table_entry *e);

/** Answers of a table, as a source of layouts gives them: GI_ERR_NOT_FOUND for others. */
struct gi_error *gi_layout_table_record(const struct gi_layout_table *t, const char *type,
					uint64_t *size_ret) GI_MUST_CHECK;
struct gi_error *gi_layout_table_member(const struct gi_layout_table *t, const char *type,
					const char *path, struct gi_field *ret) GI_MUST_CHECK;
/** Size and count, no address. */
bool gi_layout_table_global(const struct gi_layout_table *t, const char *name,
			    struct gi_global *ret);
struct gi_error *gi_layout_table_constant(const struct gi_layout_table *t, const char *name,
					  int64_t *ret) GI_MUST_CHECK;

#endif

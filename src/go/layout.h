// The layouts of the runtime's structs as values: where each member that this program
// relies on lies in the target's own Go release. See layout.def for the names.
#ifndef GCORE_GO_LAYOUT_H
#define GCORE_GO_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/error.h"

enum gi_layout_kind { GI_L_INT, GI_L_PTR, GI_L_SLICE, GI_L_STRING, GI_L_ANY };
enum gi_layout_need { GI_L_MUST, GI_L_WANT, GI_L_OPT };

/** A member: bytes [off, off + size) of its struct. ok is false if the release has none.
 */
struct gi_field {
	uint32_t off;
	uint32_t size;
	bool ok;
	uint32_t count; // elements if it is an array, else 0
};

/** A struct as a whole. ok is false if the program has no such type. */
struct gi_record {
	uint64_t size;
	bool ok;
};

/** A global: run-time address, size of all of it, elements if it is an array, else 0. */
struct gi_global {
	uint64_t addr;
	uint64_t size;
	uint64_t count;
	bool ok;
};

/** The shadow struct: one member for each line of layout.def. */
struct gi_layout {
#define L_STRUCT(id, need, since, until, names) \
	struct {                                \
		struct gi_record rec;
#define L_FIELD(s, id, kind, need, since, until, paths) struct gi_field id;
#define L_END(id) \
	}         \
	id;
#define L_GLOBAL(id, need, since, until, names)
#define L_CONST(id, fallback, since, until, names)
#include "go/layout.def"
#undef L_STRUCT
#undef L_FIELD
#undef L_END
#undef L_GLOBAL
	struct {
#define L_STRUCT(id, need, since, until, names)
#define L_FIELD(s, id, kind, need, since, until, paths)
#define L_END(id)
#define L_GLOBAL(id, need, since, until, names) struct gi_global id;
#include "go/layout.def"
#undef L_GLOBAL
#undef L_CONST
	} global;
	struct {
#define L_GLOBAL(id, need, since, until, names)
#define L_CONST(id, fallback, since, until, names) int64_t id;
#include "go/layout.def"
#undef L_STRUCT
#undef L_FIELD
#undef L_END
#undef L_GLOBAL
#undef L_CONST
	} constant;
};

/**
 * Where layouts come from: DWARF, or a table that was made from real binaries.
 * Each function returns GI_ERR_NOT_FOUND for what the source does not know; arg comes
 * first.
 */
struct gi_layout_source {
	void *arg;
	const char *what; // for messages: "the DWARF of /bin/x"
	struct gi_error *(*record)(void *arg, const char *type, uint64_t *size_ret);
	struct gi_error *(*member)(void *arg, const char *type, const char *path,
				   struct gi_field *ret);
	/** Run-time addresses. */
	struct gi_error *(*global)(void *arg, const char *name, struct gi_global *ret);
	struct gi_error *(*constant)(void *arg, const char *name, int64_t *ret);
};

/**
 * Fills *ret. minor is the Go 1 release, 0 if unknown. What MUST be there and is not
 * gives GI_ERR_UNSUPPORTED, naming it; what is only WANTed is listed in *missing
 * (appended, separated by ", ") and left not ok.
 */
struct gi_error *gi_layout_resolve(const struct gi_layout_source *src, int minor,
				   struct gi_layout *ret, struct gi_str *missing) GI_MUST_CHECK;
/** The two halves of it: structs and constants; then globals, into the same *l. */
struct gi_error *gi_layout_resolve_types(const struct gi_layout_source *src, int minor,
					 struct gi_layout *ret,
					 struct gi_str *missing) GI_MUST_CHECK;
struct gi_error *gi_layout_resolve_globals(const struct gi_layout_source *src, int minor,
					   struct gi_layout *l,
					   struct gi_str *missing) GI_MUST_CHECK;
/** One global: it needs no knowledge of the release. Left not ok if there is none. */
struct gi_error *gi_layout_resolve_global(const struct gi_layout_source *src, const char *names,
					  struct gi_global *ret) GI_MUST_CHECK;

/** The value of a member in a struct's bytes; 0 if the release has no such member. */
static inline uint64_t gi_field_uint(const uint8_t *rec, struct gi_field f)
{
	switch (f.size) {
	case 8:
		return f.ok ? gi_load_u64(rec + f.off) : 0;
	case 4:
		return f.ok ? gi_load_u32(rec + f.off) : 0;
	case 2:
		return f.ok ? gi_load_u16(rec + f.off) : 0;
	case 1:
		return f.ok ? rec[f.off] : 0;
	}
	return 0;
}
/** The same, sign-extended. */
static inline int64_t gi_field_int(const uint8_t *rec, struct gi_field f)
{
	uint64_t v = gi_field_uint(rec, f);

	switch (f.size) {
	case 4:
		return (int32_t)v;
	case 2:
		return (int16_t)v;
	case 1:
		return (int8_t)v;
	}
	return (int64_t)v;
}

#endif

// Go's own types as the running program has them: the descriptors that the compiler writes for
// reflection, interfaces and the collector. They are there in stripped programs, too.
// Source: internal/abi/type.go (Go 1.21 to 1.27), runtime/type.go (1.18 to 1.20).
#ifndef GCORE_TYPE_H
#define GCORE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/go.h"

/** The kinds that matter here, by the numbers of reflect.Kind (the same in all releases). */
enum gi_type_kind {
	GI_TYPE_ARRAY = 17,
	GI_TYPE_CHAN = 18,
	GI_TYPE_FUNC = 19,
	GI_TYPE_INTERFACE = 20,
	GI_TYPE_MAP = 21,
	GI_TYPE_PTR = 22,
	GI_TYPE_SLICE = 23,
	GI_TYPE_STRING = 24,
	GI_TYPE_STRUCT = 25,
	GI_TYPE_UNSAFE_POINTER = 26,
	GI_TYPE_KIND_END,
};

/** A descriptor. A small value. */
struct gi_type {
	uint64_t addr; // run-time address of the descriptor; 0: no type
	uint64_t size; // of a value
	uint32_t hash;
	uint8_t kind;
	uint8_t flags;
	int32_t name; // offset from the module's types
};

/** False if there is no type at addr: it must be one of a module's, and hold together. */
bool gi_type_read(struct gi_go *go, uint64_t addr, struct gi_type *ret);
/** The dynamic type by an interface value's first word: a type, or an itab that names one. */
bool gi_type_of_interface(struct gi_go *go, uint64_t word, struct gi_type *ret);
/** Appends its name ("main.server", "[]*main.conn"), raw: escape it for people. */
void gi_type_name(struct gi_go *go, const struct gi_type *type, struct gi_str *ret);
/** The one type of a name ("main.server"); false if there is none or several. Searches all of them. */
bool gi_type_find(struct gi_go *go, const char *name, struct gi_type *ret);
/** What a pointer, slice, array or channel is of; a map's values. */
bool gi_type_elem(struct gi_go *go, const struct gi_type *type, struct gi_type *ret);

/**
 * The way down a type to what lies off bytes inside of it, appended as ".mu", ".shards[3].mu".
 * Of nested things that start there the outermost is meant, or the one called want ("sync.Mutex")
 * if that is not NULL and there is one. *ret is its type, *rest_ret what is left of off inside of
 * it: not 0 for the second word of a string, say. False if off is outside, or in padding.
 */
bool gi_type_at(struct gi_go *go, const struct gi_type *type, uint64_t off, const char *want,
		struct gi_str *path, struct gi_type *ret, uint64_t *rest_ret);

/** What a pointer word points to. */
struct gi_type_pointee {
	struct gi_type type; // of it; of its elements, if it is an array
	bool array;	     // of unknown length: a slice's memory
	bool header; // type is that of the pointer: a channel's or map's own record, a closure
	bool dynamic; // an interface's: the interface value says the type
};
/** The word off bytes inside of a type as a pointer; path as above. False if it is none. */
bool gi_type_pointee(struct gi_go *go, const struct gi_type *type, uint64_t off,
		     struct gi_str *path, struct gi_type_pointee *ret);

/** The same for a word in a global, by debug information; the global's own name is appended. */
bool gi_go_pointee_at(struct gi_go *go, uint64_t addr, struct gi_str *path,
		      struct gi_type_pointee *ret);

#endif

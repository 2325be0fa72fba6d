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
	GI_TYPE_INT = 2, // then those of 8, 16, 32 and 64 bits, and the same unsigned
	GI_TYPE_INT64 = 6,
	GI_TYPE_UINT = 7,
	GI_TYPE_UINTPTR = 12,
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
/** The same of a struct whose package is package, or ends in /package as vendored ones do. */
bool gi_type_find_in(struct gi_go *go, const char *package, const char *name, struct gi_type *ret);
/** What a pointer, slice, array or channel is of; a map's values. */
bool gi_type_elem(struct gi_go *go, const struct gi_type *type, struct gi_type *ret);
/** A struct's own field of a name ("mu"; promoted ones are not looked for). */
bool gi_type_field(struct gi_go *go, const struct gi_type *type, const char *name,
		   struct gi_type *ret, uint64_t *off_ret);
/** The import path of the package that a struct with unexported fields was written in; false: unknown. */
bool gi_type_package(struct gi_go *go, const struct gi_type *type, struct gi_str *ret);

/**
 * The way down a type to what lies off bytes inside of it, appended as ".mu", ".shards[3].mu".
 * Of nested things that start there the outermost is meant, or the one called want ("sync.Mutex")
 * if that is not NULL and there is one. *ret is its type, *rest_ret what is left of off inside of
 * it: not 0 for the second word of a string, say. False if off is outside, or in padding.
 */
bool gi_type_at(struct gi_go *go, const struct gi_type *type, uint64_t off, const char *want,
		struct gi_str *path, struct gi_type *ret, uint64_t *rest_ret);

/** The pieces that a map consists of, besides its own record. */
enum gi_map_part {
	GI_MAP_WHOLE = 0,
	GI_MAP_DIRECTORY, // of tables
	GI_MAP_TABLE,
	GI_MAP_ENTRIES, // groups or buckets
};

/** What a pointer word points to. */
struct gi_type_pointee {
	struct gi_type type; // of it; of its elements, if it is an array
	bool array;	     // of unknown length: a slice's memory
	bool header; // type is that of the pointer: a channel's or map's own record, a closure
	bool dynamic; // an interface's: the interface value says the type
	enum gi_map_part part; // type is that of the map whose piece it is
};
/** The word off bytes inside of a type as a pointer; path as above. False if it is none. */
bool gi_type_pointee(struct gi_go *go, const struct gi_type *type, uint64_t off,
		     struct gi_str *path, struct gi_type_pointee *ret);

/** The same for a word in a global, by debug information; the global's own name is appended. */
bool gi_go_pointee_at(struct gi_go *go, uint64_t addr, struct gi_str *path,
		      struct gi_type_pointee *ret);

// --- maps (go/gomap.c) ---------------------------------------------------------

/** Where a map's entries lie in the groups (1.24+) or buckets of its memory. */
struct gi_gomap_shape {
	struct gi_type key, elem;
	uint64_t size; // of a group or bucket, which begins with a byte for each slot
	uint64_t keys, key_stride, elems, elem_stride;
	uint64_t overflow;		   // offset of the next bucket's address
	bool swiss;			   // groups
	bool key_indirect, elem_indirect; // the slot has a pointer to it
};
enum { GI_GOMAP_SLOTS = 8 };
/** By the descriptors of a map's type; false if that is none. */
bool gi_gomap_shape(struct gi_go *go, const struct gi_type *map, struct gi_gomap_shape *ret);
/** What lies off bytes inside of a group: *rest_ret bytes inside of that slot's key or element. */
bool gi_gomap_slot_at(const struct gi_gomap_shape *shape, uint64_t off, unsigned *slot_ret,
		    bool *elem_ret, uint64_t *rest_ret);
/** True if a slot of the group at addr is in use. */
bool gi_gomap_slot_used(struct gi_go *go, const struct gi_gomap_shape *shape, uint64_t group,
		      unsigned slot);
/** Appends the key of a slot: "a" with quotation marks, 17, or ... if it is of another kind. */
void gi_gomap_put_key(struct gi_go *go, const struct gi_gomap_shape *shape, uint64_t group,
		    unsigned slot, struct gi_str *ret);
/** The same of a key at an address; 0: unknown. */
void gi_gomap_put_key_at(struct gi_go *go, const struct gi_gomap_shape *shape, uint64_t at,
			 struct gi_str *ret);
/** One entry: addresses of its key and element. */
typedef bool (*gi_gomap_fn)(void *arg, uint64_t key, uint64_t elem);
/** The entries of the map at addr, at most max; stops when fn returns false. What cannot be read is passed over. */
void gi_gomap_each(struct gi_go *go, const struct gi_gomap_shape *shape, uint64_t addr, size_t max,
		 gi_gomap_fn fn, void *arg);

#endif

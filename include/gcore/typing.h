// What objects of the heap are: their types and how globals lead to them, found from the pointers
// that lead there. The heap itself does not say what a small object is.
#ifndef GCORE_TYPING_H
#define GCORE_TYPING_H

#include "gcore/heap.h"
#include "gcore/type.h"

/** A word somewhere that points into an object. */
enum gi_reference_kind { GI_REFERENCE_GLOBAL, GI_REFERENCE_STACK, GI_REFERENCE_HEAP };
struct gi_reference {
	enum gi_reference_kind kind;
	uint64_t at;	 // address of the word
	uint64_t target; // what it holds
	uint32_t g;	 // STACK: index into gi_go_g()
	uint64_t holder; // HEAP: the object that the word is in
};

enum gi_type_evidence {
	GI_TYPE_BY_NOTHING,
	GI_TYPE_BY_HEADER,    // the allocator's own note before the object (Go 1.22+, 513 bytes to 32 KB)
	GI_TYPE_BY_INTERFACE, // an interface value holds it
	GI_TYPE_BY_GLOBAL,    // a global of a known type points to it
	GI_TYPE_BY_POINTER,   // an object of a known type points to it
	GI_TYPE_BY_RECEIVER,  // it is the receiver of a method that runs
};

/** One object. Borrowed as long as the gi_typing. */
struct gi_typed {
	uint64_t start, size; // of its slot: its type may be smaller
	uint64_t skip;	      // bytes before the value itself (the allocator's note)
	struct gi_type type;  // addr 0: unknown
	bool array;	      // an array of that type, as a slice's memory
	bool header;	      // the record of a channel or map of that type, or a closure
	enum gi_map_part part; // a piece of a map of that type
	enum gi_type_evidence how;
	const char *path; // "main.srv.conns": how a global leads to it; NULL: none was found
	const struct gi_reference *references; // the first that were found
	size_t reference_count;
	size_t reference_total; // found at all
	size_t runtime_total;	// of these, in records of the runtime's own (gs, sudogs, ...): not kept
};

struct gi_typing;

/**
 * Looks for the objects that hold the addresses, and for those that hold these, up to some steps
 * away: the whole heap is searched once for each step. No step begins after budget bytes were
 * searched. Addresses outside of the heap are passed over. go is borrowed as long as the result.
 */
struct gi_error *gi_typing_find(struct gi_go *go, const uint64_t *addrs, size_t n, uint64_t budget,
				struct gi_typing **ret) GI_MUST_CHECK;
void gi_typing_destroy(struct gi_typing *t);
GI_DEFINE_CLEANUP(struct gi_typing *, gi_typing_destroyp, gi_typing_destroy)

/** The object that holds addr; false if it was not asked for nor met on the way. */
bool gi_typing_at(const struct gi_typing *t, uint64_t addr, struct gi_typed *ret);
/** Makes a type known that was found otherwise, and what follows from it. Nothing if the object has one, or
 * does not have the room for it. */
struct gi_error *gi_typing_learn(struct gi_typing *t, uint64_t addr, const struct gi_type *type,
				 enum gi_type_evidence how) GI_MUST_CHECK;
/** Appends a name for what is at addr ("main.srv.conns[3].mu", or "main.conn.mu" where no global
 * leads to it), want_type as in gi_type_at; false if its object's type is unknown, or if no want_type
 * is there. */
bool gi_typing_name(struct gi_typing *t, uint64_t addr, const char *want_type, struct gi_str *ret);

#endif

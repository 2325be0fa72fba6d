// What typing.c and typing_search.c share.
#ifndef GO_TYPING_IMPL_H
#define GO_TYPING_IMPL_H

#include "gcore/typing.h"
#include "go/go_impl.h"
#include "go/heap_impl.h"

struct gi_typing_node {
	struct gi_typed pub;
	struct gi_reference *refs;
	size_t cap;
	size_t kept[3]; // of each kind
	uint32_t step;	// at which it was added
	char *path;
	uint32_t pass; // at which it got it
};

struct gi_typing {
	struct gi_go *go;
	struct gi_heap *heap;
	struct gi_typing_node *nodes;
	size_t count, cap;
	struct gi_map node_of_slot;
	struct gi_str text;
	uint32_t pass; // over what is known

	// Of the step that runs.
	uint64_t *wanted; // a bit for each slot
	uint64_t *own;	  // the same of the runtime's records: gs, Ms, Ps, sudogs
	uint64_t lo, hi;  // all wanted objects lie in between
	struct gi_buf buf;
};

/** Is there nothing more to learn of it? */
static inline bool gi_typing_is_done(const struct gi_typing_node *n)
{
	return n->pub.type.addr && n->path;
}

/** Marks the runtime's own records among the objects of the heap, once before all searches. */
void gi_typing_mark_own(struct gi_typing *t);
/** Finds what points to the nodes from first on that are not understood yet. */
struct gi_error *gi_typing_search(struct gi_typing *t, size_t first) GI_MUST_CHECK;

#endif

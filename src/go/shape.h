// The shape of a function: a hash over the references in its code, in order, that tells
// whether a function is the one that a layout table was made from. References into text
// (addresses of other functions) are not counted.
#ifndef GCORE_GO_SHAPE_H
#define GCORE_GO_SHAPE_H

#include "gcore/symbols.h"

struct gi_shape {
	uint64_t text_start, text_end;
	uint64_t hash;
	size_t count; // references until now
};

enum { GI_SHAPE_MAX = 1024 };

static inline void gi_shape_init(struct gi_shape *s, uint64_t text_start, uint64_t text_end)
{
	*s = (struct gi_shape){.text_start = text_start,
			       .text_end = text_end,
			       .hash = UINT64_C(0xcbf29ce484222325)};
}

/** True if ref leads to data, and so counts. */
static inline bool gi_shape_counts(const struct gi_shape *s, const struct gi_code_ref *ref)
{
	return ref->target < s->text_start || ref->target >= s->text_end;
}

/** False when the function has too many. */
static inline bool gi_shape_add(struct gi_shape *s, const struct gi_code_ref *ref)
{
	if (!gi_shape_counts(s, ref))
		return true;
	s->hash = (s->hash ^ ref->shape) * UINT64_C(0x100000001b3);
	s->hash ^= s->hash >> 29;
	return ++s->count < GI_SHAPE_MAX;
}

#endif

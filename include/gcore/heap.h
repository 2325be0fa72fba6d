// The Go heap: spans and the objects in them.
#ifndef GCORE_HEAP_H
#define GCORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/error.h"
#include "gcore/go.h"

/** One mspan in use. Source: runtime/mheap.go, Go 1.19 to 1.27. */
struct gi_span {
	uint64_t start, end; // of its pages
	uint64_t elem_size;
	uint64_t elem_count;
	bool manual;  // mSpanManual: stacks and the like, holds no objects
	bool noscan;  // objects without pointers
	uint8_t size_class;
	uint64_t addr; // of the mspan
};

struct gi_heap;

/**
 * Reads all spans through mheap_.allspans (cross-checked with the arenas). GI_ERR_MISMATCH if
 * they fail their checks. Kept in go after the first call; borrowed as long as go.
 */
struct gi_error *gi_go_heap(struct gi_go *go, struct gi_heap **ret) GI_MUST_CHECK;
size_t gi_heap_span_count(const struct gi_heap *heap);
const struct gi_span *gi_heap_span(const struct gi_heap *heap, size_t i); // sorted by start
/** The span in use that holds addr, NULL if none. O(1) or a binary search. */
const struct gi_span *gi_heap_span_at(const struct gi_heap *heap, uint64_t addr);
/** The object that addr points into (interior pointers count); false if there is none. */
bool gi_heap_object_at(const struct gi_heap *heap, uint64_t addr, uint64_t *start_ret,
		       uint64_t *size_ret, const struct gi_span **span_ret);

#endif

// Inside of the reachability argument: the marker, and what the argument knows.
#ifndef GCORE_WAIT_REACH_IMPL_H
#define GCORE_WAIT_REACH_IMPL_H

#include <pthread.h>

#include "gcore/base.h"
#include "go/go_impl.h"
#include "go/heap_impl.h"
#include "wait/env.h"
#include "wait/reach.h"

// --- marking: reach_mark.c ------------------------------------------------------------

/** A span as the marker sees it: a cache line. */
struct gi_mark_span {
	uint64_t start;
	uint64_t limit; // 0: no objects
	uint64_t first_slot;
	uint64_t elem_size;
	const uint8_t *bits; // which words are pointers; NULL: any may be one
	const uint8_t *mem;  // its bytes; NULL: in no single piece
	uint32_t magic;
	uint32_t words; // of its marks
	bool noscan;
	bool odd;    // some of its objects are special or opaque
	bool queued; // it has objects to scan
} __attribute__((aligned(64)));

/** A list of numbers. */
struct gi_u64s {
	uint64_t *v;
	size_t n, cap;
};

/** Spans with objects to scan, first in, first out; with room for all there are. */
struct gi_mark_queue {
	uint32_t *v;
	uint32_t first, n;
};

struct gi_marker;

enum {
	GI_MARK_LOOKUPS = 16, // addresses whose span is on its way; powers of 2
	GI_MARK_TESTS = 16,   // slots whose mark is
	GI_MARK_OBJECTS = 32, // objects whose memory is
	GI_MARK_HELPERS = 1,  // threads of ours beside the caller's
};

/** What one thread of ours works with. */
struct gi_mark_worker {
	struct gi_marker *m;
	struct gi_mark_queue queue;
	struct gi_u64s found; // slots of special objects that were reached
	struct gi_buf buf;
	struct gi_error *err;
	unsigned checked;

	// What memory is awaited for, in rings: the oldest makes room.
	struct {
		uint64_t addr;
		struct gi_mark_span *span;
	} lookup[GI_MARK_LOOKUPS];
	struct {
		struct gi_mark_span *span;
		uint64_t slot;
	} test[GI_MARK_TESTS], object[GI_MARK_OBJECTS];
	// How many were ever put in, and taken out.
	unsigned lookup_in, lookup_out, test_in, test_out, object_in, object_out;
};

/**
 * Marks objects of the heap, one bit for each slot of each span. Slots that are not
 * allocated are marked from the start: nothing ever looks at them. An object whose bit in
 * special is set is put on `found` when it is reached, and not scanned if opaque is set.
 */
struct gi_marker {
	struct gi_go *go;
	struct gi_target *t;
	const struct gi_heap *heap;
	struct gi_mark_span *spans;
	uint64_t *marks, *special, *opaque;
	uint64_t *scanned; // what was marked and has been scanned, or need not be
	size_t word_count; // of each bitmap
	uint32_t queue_mask;

	struct gi_mark_worker workers[1 + GI_MARK_HELPERS];
	bool threads; // more than one worker is running

	// Work that is given away, and who waits for some.
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct gi_mark_queue shared;
	unsigned running, waiting;
	unsigned hungry; // waiting, readable without the lock
	bool done;
};

struct gi_error *gi_marker_init(struct gi_marker *m, struct gi_go *go,
				const struct gi_heap *heap) GI_MUST_CHECK;
void gi_marker_deinit(struct gi_marker *m);
/** Marks what every aligned word of the bytes points to, by the end of the next gi_mark_drain(). */
void gi_mark_words(struct gi_mark_worker *w, const uint8_t *p, size_t n);
/** The same for [start, end) of the target; what is not readable is an error. */
struct gi_error *gi_mark_range(struct gi_marker *m, uint64_t start, uint64_t end) GI_MUST_CHECK;
/** Marks the object that addr points into, if it does. */
void gi_mark_address(struct gi_marker *m, uint64_t addr);
/** The object that addr points into, if it does, is special; its slot's number. */
bool gi_mark_special(struct gi_marker *m, uint64_t addr, uint64_t *slot_ret);
/** It is opaque. */
void gi_mark_opaque(struct gi_marker *m, uint64_t addr);
/** Scans until nothing is left to scan. */
struct gi_error *gi_mark_drain(struct gi_marker *m) GI_MUST_CHECK;
/** The next special object that was reached, as a slot number; false if there is none. */
bool gi_mark_found(struct gi_marker *m, uint64_t *slot_ret);

/** The number of the slot that addr points into; false if it points to no object. */
static inline bool gi_mark_slot(const struct gi_heap *h, uint64_t addr, uint64_t *ret)
{
	uint64_t slot;
	const struct gi_heap_span *s = gi_heap_find(h, addr, &slot);

	if (!s)
		return false;
	*ret = s->first_slot + slot;
	return true;
}
static inline bool gi_bit(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}
static inline void gi_bit_set(uint64_t *bits, uint64_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}
struct gi_error *gi_u64s_push(struct gi_u64s *l, uint64_t v) GI_MUST_CHECK;

// --- the argument: reach.c ------------------------------------------------------------

enum { GI_REACH_MAX_CASES = 1 << 16 }; // of a select: the compiler's own limit

/** Somebody who wants to know that an object is reached. */
struct gi_watch {
	uint64_t object; // a weak handle's: to be marked then
	uint32_t wait;	 // UINT32_MAX: it is a weak handle
	uint32_t next;	 // 1 + index, 0: none
};

struct gi_reach_state {
	uint32_t g;
	bool live;
	bool unsure; // its queue is unknown: who holds its g may be about to wake it
};

struct gi_reach {
	struct gi_go *go;
	const struct gi_heap *heap;
	struct gi_marker marker;
	bool stacks_only;  // globals do not count
	uint64_t *globals; // marks before any stack was looked at

	struct gi_reach_state *waits;
	size_t wait_count;
	uint32_t *wait_of_g;	 // 1 + index into waits, for each g; 0: none
	struct gi_u64s woken;	 // waits that became live and whose stacks are to be scanned
	struct gi_u64s on_stack; // pairs: index of a wait, index of the g on whose stack it waits

	struct gi_map watch_of_slot; // 1 + index into watches
	struct gi_watch *watches;
	size_t watch_count, watch_cap;

	struct gi_range *holes; // writable memory that is not looked at, sorted
	size_t hole_count, hole_cap;
	uint64_t not_to_dump; // bytes that the process asked not to dump

	struct gi_unwinder *u;	      // NULL: stacks cannot be unwound
	struct gi_frames fs;	      // of the goroutine in hand
	struct gi_reach_edges *edges; // among the dead, made when asked for
};

/** Notes that a wait can go on. */
struct gi_error *gi_reach_wake(struct gi_reach *r, size_t wait) GI_MUST_CHECK;
struct gi_error *gi_reach_add_hole(struct gi_reach *r, uint64_t start, uint64_t end) GI_MUST_CHECK;
/** The object at addr is not scanned when it is reached. */
void gi_reach_set_opaque(struct gi_reach *r, uint64_t addr);

// --- who is queued: reach_queue.c -------------------------------------------------------

/**
 * Makes the records of waiting opaque (gs and sudogs), and wakes those of waits that are on
 * their way out of their queue, or whose queue is unknown.
 */
struct gi_error *gi_reach_queues(struct gi_reach *r,
				 const struct gi_reach_wait *waits) GI_MUST_CHECK;

// --- roots: reach_roots.c ----------------------------------------------------------------

/** Globals, C's memory, the runtime's own: everything but stacks and registers. */
struct gi_error *gi_reach_mark_globals(struct gi_reach *r) GI_MUST_CHECK;
/** Registers and stacks of the threads, as far as they are no goroutine's. */
struct gi_error *gi_reach_mark_threads(struct gi_reach *r) GI_MUST_CHECK;
typedef struct gi_error *(*gi_reach_range_fn)(void *arg, uint32_t tag, uint64_t start,
					      uint64_t end);
/** The memory that is a goroutine's own: its g, its sudogs, its stack. Stops at fn's first error.
 */
struct gi_error *gi_reach_each_range(struct gi_reach *r, const struct gi_g *g, uint32_t tag,
				     gi_reach_range_fn fn, void *arg) GI_MUST_CHECK;
/** The same without its stack. */
struct gi_error *gi_reach_each_but_stack(struct gi_reach *r, const struct gi_g *g, uint32_t tag,
					 gi_reach_range_fn fn, void *arg) GI_MUST_CHECK;
/** As gi_reach_each_range(), but of its stack only what it may still use: reach_frames.c. */
struct gi_error *gi_reach_each_live(struct gi_reach *r, const struct gi_g *g, uint32_t tag,
				    gi_reach_range_fn fn, void *arg) GI_MUST_CHECK;
/** Marks what that memory points to. */
struct gi_error *gi_reach_mark_goroutine(struct gi_reach *r, const struct gi_g *g) GI_MUST_CHECK;

// --- edges among the dead: reach_holders.c -----------------------------------------------

void gi_reach_edges_destroy(struct gi_reach_edges *e);

#endif

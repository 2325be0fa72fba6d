// Deferred calls that have not run yet.
#ifndef GCORE_WAIT_DEFERS_H
#define GCORE_WAIT_DEFERS_H

#include "wait/env.h"

struct gi_pending {
	uint64_t closure; // address of the funcval
	size_t frame;	  // index into the frames, SIZE_MAX if it matches none
	uint64_t pc;	  // return address of the defer statement's call, 0 if unknown
	bool open_coded;
};
struct gi_pendings {
	struct gi_pending *p;
	size_t n, cap;
	uint64_t lost; // address of a record that could not be read: the chain ends early
};
static inline void gi_pendings_deinit(struct gi_pendings *ps)
{
	gi_freep(&ps->p);
}

/** FUNCDATA 4 of the frame's function: where its defer bits and closures lie. */
struct gi_open_defers {
	uint64_t bits;	   // bytes below varp
	uint32_t count;	   // closures
	uint64_t slots[8]; // of each closure, bytes below varp
};
/**
 * Decodes n bytes. old: Go 1.19 to 1.21 (a count and the offsets, last first); else the
 * closures lie side by side. False if it is malformed.
 */
bool gi_open_defers_decode(const uint8_t *p, size_t n, bool old, struct gi_open_defers *ret);

/** The function's open-coded defers, false if it has none. */
bool gi_open_defers_of(struct gi_wait_env *env, uint64_t entry, struct gi_open_defers *ret);
/** Appends the pending open-coded defers of frame i. */
struct gi_error *gi_pendings_add_open(struct gi_pendings *ps, struct gi_wait_env *env,
				      const struct gi_frames *fs, size_t i,
				      const struct gi_open_defers *od) GI_MUST_CHECK;
/** Appends those of g's chain. */
struct gi_error *gi_pendings_add_chain(struct gi_pendings *ps, struct gi_wait_env *env,
				       const struct gi_g *g,
				       const struct gi_frames *fs) GI_MUST_CHECK;

#endif

// Reachability, as the garbage collector argues it: which blocked goroutines can ever run
// again. Conservative: it may take a dead goroutine for live, never a live one for dead.
#ifndef GCORE_WAIT_REACH_H
#define GCORE_WAIT_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/error.h"
#include "gcore/go.h"
#include "gcore/heap.h"

/** A goroutine that can only go on if somebody reaches one of these objects. */
struct gi_reach_wait {
	uint32_t g; // index into gi_go_g()
	const uint64_t
		*objects; // addresses (hchan, mutex, semaphore word, ...); none: nobody can wake it
	size_t object_count;
	bool whatever_state; // taken for one that never goes on, also if it does not wait
	bool is_dead; // proved before: not asked about again, nor whether it is just being woken
};

struct gi_reach;

/**
 * Runs the argument to its fixpoint: everything but the goroutines in waits is live at the start
 * (globals, runtime's own memory, all other goroutines' stacks); a waiting goroutine becomes live
 * when one of its objects is reached, or if it is just being woken. One that does not wait
 * (by its state) is live. A goroutine may be in waits once. GI_ERR_* if heap or stacks cannot be
 * read well enough for a proof. go is borrowed as long as the result.
 */
struct gi_error *gi_reach_solve(struct gi_go *go, const struct gi_reach_wait *waits, size_t n,
				struct gi_reach **ret) GI_MUST_CHECK;
/**
 * The same without globals: who goes on if nobody but the other goroutines, by their stacks, timers and
 * threads can reach what they wait for. A weaker argument, which proves nothing.
 */
struct gi_error *gi_reach_solve_stacks(struct gi_go *go, const struct gi_reach_wait *waits, size_t n,
				       struct gi_reach **ret) GI_MUST_CHECK;
void gi_reach_destroy(struct gi_reach *r);
GI_DEFINE_CLEANUP(struct gi_reach *, gi_reach_destroyp, gi_reach_destroy)

/** May waits[i] run again? */
bool gi_reach_is_live(const struct gi_reach *r, size_t i);
/** True if a global (data, bss of a module) or the runtime's own memory leads to the object without
 * going through any stack. */
bool gi_reach_from_globals(const struct gi_reach *r, uint64_t object);
/**
 * Which of the goroutines that are not live can reach an object, from their own stacks alone:
 * indexes into waits, ascending, at most max; returns how many there are. Used to draw edges among
 * the dead: an object that a live goroutine or a global can reach has none of them.
 */
struct gi_error *gi_reach_holders(struct gi_reach *r, uint64_t object, uint32_t *waits_ret,
				  size_t max, size_t *count_ret) GI_MUST_CHECK;

#endif

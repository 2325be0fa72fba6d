// What the scheduler holds ready: run queues, timers, descriptors of the network poller.
// Facts: src/runtime/proc.go, time.go, netpoll.go, malloc.go (persistentalloc), Go 1.18 to 1.27.
// All functions stop when fn returns false, and add a note to go where a structure is damaged.
#ifndef GCORE_SCHED_H
#define GCORE_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/error.h"
#include "gcore/go.h"

/** A goroutine on a run queue. */
struct gi_queued {
	uint64_t g;
	int32_t p; // id of the P, -1: the global queue
	bool next; // it is the P's runnext
};
typedef bool (*gi_queued_fn)(void *arg, const struct gi_queued *q);
/** Each P's runnext and queue in allp order, then the global queue, each in the order they run. */
struct gi_error *gi_go_run_queues(struct gi_go *go, gi_queued_fn fn, void *arg) GI_MUST_CHECK;
/** The g that hangs on another one in a list of the scheduler (g.schedlink), by address; 0: none. */
uint64_t gi_go_g_next(struct gi_go *go, uint64_t g);

/** A timer in a P's heap. */
struct gi_timer {
	uint64_t addr;
	int32_t p;
	int64_t when;	 // CLOCK_MONOTONIC ns
	int64_t period;	 // ns, 0: fires once
	uint64_t fn;	 // entry of the function that it calls
	uint64_t arg_type, arg; // words of the interface that fn gets
	bool removed;	 // stopped; it is in the heap until somebody cleans up
};
typedef bool (*gi_timer_fn)(void *arg, const struct gi_timer *t);
/** Timers of all Ps, in heap order: not sorted. */
struct gi_error *gi_go_timers(struct gi_go *go, gi_timer_fn fn, void *arg) GI_MUST_CHECK;

/** A descriptor that was given to the network poller. */
struct gi_poll_desc {
	uint64_t addr;
	int64_t fd;
	uint64_t rg, wg; // GI_POLL_*, or the address of the g that waits for reading, for writing
	int64_t rd, wd;	 // deadlines, CLOCK_MONOTONIC ns; 0: none, negative: over
	bool closing;	 // closed: it is free to be used again
};
enum { GI_POLL_NIL = 0, GI_POLL_READY = 1, GI_POLL_WAIT = 2 };
typedef bool (*gi_poll_fn)(void *arg, const struct gi_poll_desc *d);
/** All that are open, by address. They are found in the runtime's persistent memory by their form. */
struct gi_error *gi_go_poll_descs(struct gi_go *go, gi_poll_fn fn, void *arg) GI_MUST_CHECK;

/**
 * Appends what it is, escaped: "tcp 10.0.0.1:80 to 10.0.0.2:5000", "file /dev/tty". false: unknown; it is
 * known by the stack of a goroutine that waits for it.
 */
bool gi_go_poll_desc_name(struct gi_go *go, const struct gi_poll_desc *d, struct gi_str *ret);

/**
 * Appends what the futex word at addr belongs to: "m.park of M 3: ...", "runtime.sched.lock, ...", the
 * name of a global. false: nothing that is known.
 */
bool gi_go_futex_name(struct gi_go *go, uint64_t addr, struct gi_str *ret);

/** Appends the name of a lock of the runtime: "runtime.sched.lock", "hchan.lock of channel 0xc000012345". */
void gi_go_lock_name(struct gi_go *go, uint64_t addr, struct gi_str *ret);

/** Has the goroutine been asked to give way (g.preempt)? false if that cannot be read. */
bool gi_go_g_preempt(struct gi_go *go, const struct gi_g *g);

#endif

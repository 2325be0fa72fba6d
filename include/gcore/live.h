// A running process as a target: it is stopped for as long as its state is copied, then it runs
// on. Nothing is ever written into it.
#ifndef GCORE_LIVE_H
#define GCORE_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "gcore/error.h"
#include "gcore/target.h"

/**
 * Opens process pid: its mappings, executable and libraries. It is not stopped for that, and there
 * are no threads yet: gi_live_snapshot() makes them. Errors say what to do:
 * GI_ERR_NOT_FOUND (no such process, a zombie, a kernel thread), GI_ERR_IO (no permission),
 * and what gi_target_open_core() says of executables.
 */
struct gi_error *gi_target_open_live(pid_t pid, const struct gi_target_options *opts,
				     struct gi_target **ret) GI_MUST_CHECK;
bool gi_target_is_live(const struct gi_target *t);

/** Called while the process stands: makes what will be needed be copied, by gi_target_fetch() or by reading it. */
typedef struct gi_error *(*gi_live_copy_fn)(void *arg);
/**
 * Stops all threads, reads their registers and the mappings, calls copy, lets the process run on
 * (unless it is being held, see gi_live_hold()). What is read later is as it is then; see
 * gi_target_was_late(). All views of the target's writable memory end. With gi_target_options.no_stop
 * the process is not stopped. copy is called once before the stop too, so that what it makes us
 * do only once does not lengthen the stop; its result then does not matter.
 */
struct gi_error *gi_live_snapshot(struct gi_target *t, gi_live_copy_fn copy, void *arg) GI_MUST_CHECK;

/** The same, but the process stands until gi_live_release() or the end of this program. */
struct gi_error *gi_live_hold(struct gi_target *t, gi_live_copy_fn copy, void *arg) GI_MUST_CHECK;
/** Lets it run on; nothing if it is not held. */
void gi_live_release(struct gi_target *t);

/** What the last snapshot was like. */
struct gi_live_stop {
	bool held;	     // it stands now
	bool detached;	     // see gi_live_detach()
	bool no_stop;	     // it was not stopped
	bool was_stopped;    // by a signal, before; it stays so
	uint64_t pause_ns;   // from the first interrupt until all threads may run; while held: up to now
	uint64_t stop_ns;    // of that: until all threads stood
	uint64_t bytes;	     // copied meanwhile
	size_t unstopped;    // threads that would not stop in time
};
const struct gi_live_stop *gi_live_stop(struct gi_target *t);

/** Lets it run on and never reads it again: what was not copied cannot be read from now on. */
void gi_live_detach(struct gi_target *t);

/** What the kernel knew of a thread just before the stop (proc(5)). */
struct gi_live_task {
	pid_t tid;
	char state;	 // 'R', 'S', 'D', 'T', ...; 0: unknown
	char name[20];	 // untrusted
	char wchan[48];	 // where in the kernel it sleeps; "": nowhere, or we may not know
	uint64_t cpu_ns; // on a processor, in all
	uint64_t wait_ns; // ready to run, without a processor
	uint64_t user_ns, system_ns; // cpu time by kind, in ticks of 10 ms
	uint64_t voluntary, involuntary; // context switches
	int processor;	 // that it ran on last, -1: unknown
	// Since the look before, of the same thread; has_rate: there was one.
	bool has_rate;
	double cpu_rate, wait_rate; // 1: all of the time
};
/** Of thread i of gi_target_thread(); NULL if nothing is known, and for a core. */
const struct gi_live_task *gi_live_task(struct gi_target *t, size_t i);
/**
 * Appends the kernel's own stack of a thread as it is now, a line each (/proc/PID/task/TID/stack); false if we
 * may not see it, or it is not in the kernel.
 */
bool gi_live_kernel_stack(struct gi_target *t, pid_t tid, struct gi_str *ret);
/** Time on a processor of a thread, now, in ns; false if it is gone. */
bool gi_live_cpu_now(struct gi_target *t, pid_t tid, uint64_t *ret);
/** Words of memory as they are now, whatever was copied; 0 for those that cannot be read. */
void gi_live_words_now(struct gi_target *t, const uint64_t *addrs, size_t n, uint64_t *ret);

/** How many bytes of the process may be copied, in all: half of the memory that was free. */
uint64_t gi_live_room(struct gi_target *t);
/**
 * Reads memory as it is now, past all copies; zeros for pages that cannot be read. GI_ERR_NOT_FOUND if
 * the process is gone.
 */
struct gi_error *gi_live_read_now(struct gi_target *t, uint64_t addr, uint8_t *buf, size_t n) GI_MUST_CHECK;
/** From now on all memory of a process that has at most so many bytes of its own is copied in the stop. */
void gi_live_copy_up_to(struct gi_target *t, uint64_t bytes);
/** True if the process is gone or runs another program (execve); its snapshot stays. */
bool gi_live_is_over(struct gi_target *t);

#endif

// The Go runtime as typed objects: goroutines, Ms, Ps, the scheduler, channels,
// sudogs, semaphores, defers. All addresses are run-time addresses of the inferior.
#ifndef GCORE_GO_H
#define GCORE_GO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/error.h"
#include "gcore/symbols.h"
#include "gcore/target.h"

/** A Go program in a target. */
struct gi_go;

/**
 * Finds the runtime's layouts (DWARF) and globals, reads modules, allgs, allm, allp, sched.
 * GI_ERR_FORMAT: not a Go program; GI_ERR_UNSUPPORTED: stripped or an unknown release (until
 * handled), GI_ERR_MISMATCH: a layout fails its checks on the live data.
 * t is borrowed as long as the result.
 */
struct gi_error *gi_go_open(struct gi_target *t, struct gi_go **ret) GI_MUST_CHECK;
/**
 * gi_go_open() in two steps, for a live process. The first needs no stop: layouts, function tables,
 * debug information. The second reads the goroutines and the rest of the state; it may
 * be called again, after which nothing that was borrowed of the state before is valid.
 */
struct gi_error *gi_go_prepare(struct gi_target *t, struct gi_go **ret) GI_MUST_CHECK;
struct gi_error *gi_go_load(struct gi_go *go) GI_MUST_CHECK;
/** Has the target copy what commands will ask for, see gi_target_fetch(). Needs no gi_go_load(). */
struct gi_error *gi_go_copy(struct gi_go *go) GI_MUST_CHECK;
/**
 * Of a process that was not stopped: marks the goroutines that were not parked all the time while
 * they were read. *moved_ret: how many.
 */
struct gi_error *gi_go_mark_moved(struct gi_go *go, size_t *moved_ret) GI_MUST_CHECK;
/** Where an M keeps the g that it runs, and a g its id: to read them of a process that runs. */
uint64_t gi_go_curg_offset(const struct gi_go *go);
uint64_t gi_go_goid_offset(const struct gi_go *go);
void gi_go_close(struct gi_go *go);
GI_DEFINE_CLEANUP(struct gi_go *, gi_go_closep, gi_go_close)

struct gi_target *gi_go_target(struct gi_go *go);
struct gi_functab *gi_go_functab(struct gi_go *go);
/** Of C code at pc (not of a call: the pc to look up). The file is borrowed. Thread-safe. */
bool gi_go_c_line(struct gi_go *go, uint64_t pc, const char **file_ret, uint32_t *line_ret);
/** NULL if the executable has none. */
struct gi_dwarf *gi_go_dwarf(struct gi_go *go);
/** Of the file whose Go code holds pc, and what its addresses have been moved by; NULL if it has none. */
struct gi_dwarf *gi_go_dwarf_at(struct gi_go *go, uint64_t pc, uint64_t *bias_ret);
/** Things a person should know ("3 entries of allgs could not be read: ..."); borrowed. */
size_t gi_go_note_count(const struct gi_go *go);
const char *gi_go_note(const struct gi_go *go, size_t i);

struct gi_go_version {
	int major, minor, patch; // patch -1: unknown
	const char *text;	 // runtime.buildVersion, "go1.27.4"; borrowed
};
const struct gi_go_version *gi_go_version(const struct gi_go *go);
/** True if the release is major.minor or later. */
bool gi_go_at_least(const struct gi_go *go, int major, int minor);
/** The gi_func.func_id of compiler-made wrappers (they have no name in common); -1 if unknown. */
int gi_go_func_id_wrapper(const struct gi_go *go);
/** The value of a GODEBUG setting in the process ("tracebacklabels"); false if it has none (before 1.26: always). */
bool gi_go_debug_setting(struct gi_go *go, const char *name, int32_t *ret);

size_t gi_go_module_count(const struct gi_go *go);
const struct gi_module *gi_go_module(const struct gi_go *go, size_t i);

// --- goroutines -------------------------------------------------------------

/** Statuses (runtime2.go); 0x1000 is the scan bit. */
enum gi_g_status {
	GI_G_IDLE = 0,
	GI_G_RUNNABLE = 1,
	GI_G_RUNNING = 2,
	GI_G_SYSCALL = 3,
	GI_G_WAITING = 4,
	GI_G_DEAD = 6,
	GI_G_COPYSTACK = 8,
	GI_G_PREEMPTED = 9,
	GI_G_LEAKED = 10,     // 1.26+
	GI_G_DEADEXTRA = 11,  // 1.26+
	GI_G_SCAN = 0x1000,
};

/** One g: a compact record, one array for all. Zero means unknown or none. */
struct gi_g {
	uint64_t addr;
	uint64_t goid;
	uint64_t stack_lo, stack_hi;
	uint64_t sched_pc, sched_sp, sched_bp, sched_lr, sched_ctxt;
	uint64_t syscall_pc, syscall_sp, syscall_bp;
	uint64_t m;	   // address of its M, 0 if none
	uint64_t lockedm;  // 0 if not locked
	uint64_t start_pc; // of the go statement's function
	uint64_t go_pc;	   // of the go statement
	uint64_t parent_goid; // 0: unknown (before 1.21) or none
	uint64_t wait_since;  // CLOCK_MONOTONIC ns, 0: unknown
	// First sudog: a channel's, the next case's is its waitlink; or (1.26+) a semaphore's (c is
	// 0), whose waitlink leads to *other* goroutines that wait for the same semaphore.
	uint64_t waiting;
	uint64_t defer_head;  // first _defer
	uint64_t panic_head;
	uint64_t labels; // of the label map, 0 if none
	uint64_t param;
	uint64_t sig_pc; // g.sigpc
	uint32_t status; // raw, with the scan bit
	uint32_t sig;
	uint8_t wait_reason; // index into the target's own strings
	bool system;	     // as runtime.isSystemGoroutine says
	bool unreadable;     // the g itself could not be read: only addr is valid
	bool moved;	     // see gi_go_mark_moved()
	bool preempt_stop, async_safe_point; // as named in g
	bool para; // g.parkingOnChan: about to park on a channel
	uint32_t thread; // 1 + index into gi_target_thread of the thread that runs it (its M's curg is it), 0 if none
	uint32_t m_index; // 1 + index of its M in gi_go_m(), 0 if none
	uint64_t coroarg, bubble; // 0 before the releases that have them
};

/** All entries of allgs, in allgs order (dead ones too). Borrowed. */
size_t gi_go_g_count(const struct gi_go *go);
/** True if there were more goroutines, or parts of them, that could not be read. */
bool gi_go_g_lost(const struct gi_go *go);
/** True if that is so of all of them: nothing can be said of the program. */
bool gi_go_g_all_lost(const struct gi_go *go);
const struct gi_g *gi_go_g(const struct gi_go *go, size_t i);
/** By id (index made on open), by address. NULL if none. The newest live one wins. */
const struct gi_g *gi_go_g_by_id(const struct gi_go *go, uint64_t goid);
const struct gi_g *gi_go_g_by_addr(const struct gi_go *go, uint64_t addr);
/** The goroutine whose stack holds addr, or NULL. Index made on first use. */
const struct gi_g *gi_go_g_by_stack(struct gi_go *go, uint64_t addr);
/** A g that is in no allgs (g0, gsignal): read into *ret. */
struct gi_error *gi_go_read_g(struct gi_go *go, uint64_t addr, struct gi_g *ret) GI_MUST_CHECK;

/** Dead, idle and deadextra ones, which nobody lists unless asked. */
bool gi_g_is_dead(const struct gi_g *g);
/** The runtime's own leak profile has proved that it can never run again (Go 1.26+). */
bool gi_g_is_leaked(const struct gi_g *g);
/** "waiting", "running", ...; "0x7" style for unknown ones goes to buf. Scan bit not shown. */
const char *gi_g_status_name(const struct gi_g *g, char *buf, size_t n);
/**
 * The target's own string ("chan receive"), NULL if g is neither waiting nor leaked (a stale
 * reason is never shown), or has none, or it is unknown.
 */
const char *gi_go_wait_reason(const struct gi_go *go, const struct gi_g *g);
/** A wait reason's string by number, whatever the goroutine's status; NULL if out of range. */
const char *gi_go_wait_reason_string(const struct gi_go *go, unsigned reason);
/** True if synctest calls a wait of this reason durable; false in releases before 1.24. */
bool gi_go_wait_is_durable(const struct gi_go *go, unsigned reason);
/** The number that tracebacks print for g's synctest bubble (1.24: of its root goroutine). */
struct gi_error *gi_go_bubble_id(struct gi_go *go, const struct gi_g *g, uint64_t *ret) GI_MUST_CHECK;
/**
 * Nanoseconds that it has waited, as well as "now" is known from the core (see
 * gi_go_now); false if the runtime did not note it.
 */
bool gi_go_wait_ns(const struct gi_go *go, const struct gi_g *g, uint64_t *ret);
/** A lower bound of CLOCK_MONOTONIC ns at the dump, 0 if unknown. */
uint64_t gi_go_now(const struct gi_go *go);
/** pprof labels: calls fn for each; stops at false. */
typedef bool (*gi_label_fn)(void *arg, const char *key, size_t key_len, const char *val, size_t val_len);
struct gi_error *gi_go_labels(struct gi_go *go, const struct gi_g *g, gi_label_fn fn, void *arg) GI_MUST_CHECK;
/**
 * What GODEBUG=tracebackancestors=N keeps of the goroutines that led to this one, the nearest
 * first: calls fn for each, stops at false. pcs are return addresses, innermost first, borrowed
 * for the call.
 */
struct gi_ancestor {
	uint64_t goid, go_pc;
	const uint64_t *pcs;
	size_t n;
};
typedef bool (*gi_ancestor_fn)(void *arg, const struct gi_ancestor *ancestor);
struct gi_error *gi_go_ancestors(struct gi_go *go, const struct gi_g *g, gi_ancestor_fn fn,
				 void *arg) GI_MUST_CHECK;
/** True if the function (its pc) names a system goroutine's start, as the runtime tells them. */
bool gi_go_is_system_start(struct gi_go *go, uint64_t start_pc);

// --- Ms, Ps, the scheduler --------------------------------------------------

struct gi_m {
	uint64_t addr;
	int64_t id;
	uint64_t procid; // thread id as the process saw it
	uint64_t g0, gsignal, curg;
	uint64_t g0_lo, g0_hi, gsignal_lo, gsignal_hi; // stack bounds
	uint64_t p, nextp, oldp;
	uint64_t lockedg;
	int32_t locks, mallocing, throwing, dying, ncgo;
	uint64_t caughtsig; // the g that ran when a deadly signal came, 0: none came
	uint64_t ncgocall;
	bool spinning, blocked, incgo, is_extra;
	uint64_t preemptoff_ptr, preemptoff_len;
	uint64_t waitlock, waitunlockf;
	uint32_t syscall_tick; // its P's, when it last entered a system call or C
	bool has_syscall_tick;
	uint64_t vdso_pc, vdso_sp;
	uint64_t tls_g;	 // not in m: reserved
	uint32_t thread; // 1 + thread index, matched by stack and TLS first, by procid second; 0 if none
};
size_t gi_go_m_count(const struct gi_go *go);
const struct gi_m *gi_go_m(const struct gi_go *go, size_t i);
const struct gi_m *gi_go_m_by_addr(const struct gi_go *go, uint64_t addr);
/** An M that threads of C borrow; before 1.19 it is known by its goroutine, which no go statement made. */
bool gi_m_is_extra(const struct gi_go *go, const struct gi_m *m);
/** The M that runs on a thread (index into gi_target_thread), NULL if none. */
const struct gi_m *gi_go_m_by_thread(const struct gi_go *go, size_t thread);

struct gi_p {
	uint64_t addr;
	int32_t id;
	uint32_t status; // 0 idle, 1 running, 2 syscall, 3 gcstop, 4 dead
	uint64_t m;
	uint32_t sched_tick, syscall_tick;
	uint32_t runq_head, runq_tail; // length: tail - head
	uint64_t runnext;	       // g address
	uint64_t timer0_when;	       // earliest timer, 0 if none or unknown
	uint32_t timer_count;
	uint32_t timer_heap_len; // entries of its heap of timers, with those that are to be removed
	uint32_t gfree_count;
	bool preempt;
	// What sysmon saw when it last looked: sched_tick, and when (CLOCK_MONOTONIC ns) it last moved.
	uint32_t seen_sched_tick;
	uint64_t sched_tick_when;
	// The same for system calls: the tick of the last one that sysmon saw, and when it saw it first.
	uint32_t seen_syscall_tick;
	uint64_t syscall_tick_when;
};
/** What has become of the P that a goroutine had when it entered a system call, or C. */
struct gi_left_p {
	const struct gi_p *p;
	bool taken; // sysmon, or a stop of the world, took it; else it is still kept for the goroutine
	bool has_ns;
	uint64_t ns; // since sysmon first saw the P in this call (it takes it 10 ms later at most)
};
/** False if the goroutine is in none, or that is not known. */
bool gi_go_left_p(const struct gi_go *go, const struct gi_g *g, struct gi_left_p *ret);
size_t gi_go_p_count(const struct gi_go *go);
const struct gi_p *gi_go_p(const struct gi_go *go, size_t i);
const struct gi_p *gi_go_p_by_addr(const struct gi_go *go, uint64_t addr);
const char *gi_p_status_name(uint32_t status);

struct gi_sched {
	int32_t gomaxprocs;
	int32_t ncpu;
	uint32_t npidle, nmspinning;
	int32_t nmidle, nmidlelocked;
	int64_t mnext;
	int32_t runq_size;
	uint32_t gcwaiting;
	int32_t stopwait;
	uint32_t sysmonwait;
	int64_t lastpoll;
	uint32_t panicking; // runtime.panicking
	bool started, iscgo;
	uint32_t needspinning;	// 1.20+
	int64_t nmfreed;	// Ms that ended
	int64_t start_time;	// of the first schedtrace, else when the runtime started (CLOCK_MONOTONIC ns)
};
/** gi_sched.stopwait of a runtime that froze all others so as to print a crash (proc.go, freezeStopWait). */
#define GI_FREEZE_STOP_WAIT 0x7fffffff
const struct gi_sched *gi_go_sched(const struct gi_go *go);

// --- objects of waits -------------------------------------------------------

struct gi_sudog {
	uint64_t addr;
	uint64_t g;
	uint64_t elem; // 1.26+: of the semaphore too
	uint64_t c;    // channel, 0 for semaphores
	uint64_t next, prev, parent, waitlink, waittail;
	uint32_t ticket;
	bool is_select, success;
};
struct gi_error *gi_go_read_sudog(struct gi_go *go, uint64_t addr, struct gi_sudog *ret) GI_MUST_CHECK;

struct gi_hchan {
	uint64_t addr;
	uint64_t qcount, dataqsiz, elemsize;
	uint64_t buf, elemtype;
	bool closed;
	uint64_t sendx, recvx;
	uint64_t recvq_first, sendq_first; // sudogs
};
/** Checks invariants (qcount <= dataqsiz, ...): GI_ERR_FORMAT if it is no channel. */
struct gi_error *gi_go_read_hchan(struct gi_go *go, uint64_t addr, struct gi_hchan *ret) GI_MUST_CHECK;

/** Every waiter of every semaphore of runtime.semtable. Bounded; damaged treaps end with a note. */
struct gi_sema_waiter {
	uint64_t sema; // address of the semaphore word
	uint64_t g;
	uint64_t sudog;
};
typedef bool (*gi_sema_fn)(void *arg, const struct gi_sema_waiter *w);
struct gi_error *gi_go_semaphores(struct gi_go *go, gi_sema_fn fn, void *arg) GI_MUST_CHECK;

/** sync objects, by the address of the object. */
struct gi_mutex {
	uint32_t state; // raw
	uint32_t sema;
	bool locked, woken, starving;
	uint32_t waiters;
	uint64_t sema_addr;
};
struct gi_error *gi_go_read_mutex(struct gi_go *go, uint64_t addr, struct gi_mutex *ret) GI_MUST_CHECK;
struct gi_rwmutex {
	struct gi_mutex w;
	uint64_t w_addr;
	uint64_t writer_sem_addr, reader_sem_addr;
	int32_t reader_count; // raw; negative: a writer is pending
	int32_t reader_wait;
};
struct gi_error *gi_go_read_rwmutex(struct gi_go *go, uint64_t addr, struct gi_rwmutex *ret) GI_MUST_CHECK;
struct gi_waitgroup {
	int32_t counter;
	uint32_t waiters;
	uint64_t sema_addr;
};
struct gi_error *gi_go_read_waitgroup(struct gi_go *go, uint64_t addr, struct gi_waitgroup *ret) GI_MUST_CHECK;
/** Offsets of the semaphore words inside their objects, to go from a semaphore to its object. */
struct gi_sync_layout {
	uint64_t mutex_sema, mutex_size;
	uint64_t rwmutex_w, rwmutex_writer_sem, rwmutex_reader_sem, rwmutex_reader_count, rwmutex_size;
	uint64_t waitgroup_sema, waitgroup_size;
	uint64_t once_m, once_size, cond_notify, cond_l, cond_size;
};
/** false if sync is not in the program or its layout is unknown. */
bool gi_go_sync_layout(struct gi_go *go, struct gi_sync_layout *ret);

struct gi_defer {
	uint64_t addr;
	uint64_t fn; // closure (funcval) address
	uint64_t sp, pc;
	uint64_t link;
	bool heap, rangefunc;
	bool started; // up to 1.21: by a panic or Goexit, which took it off the chain too late or not at all
	bool open_coded; // an old-style open-coded record (1.19 to 1.21): fn is unset
	uint64_t fd;	 // its funcdata, where the release has it
	uint64_t varp;
	uint64_t head; // 1.22+: of a range-over-func loop, address of the list's head, else 0
};
struct gi_error *gi_go_read_defer(struct gi_go *go, uint64_t addr, struct gi_defer *ret) GI_MUST_CHECK;

/** The address of a runtime or program global by its linker name ("runtime.allglock"), bias added. */
bool gi_go_global(struct gi_go *go, const char *name, uint64_t *ret);
/**
 * A name for a data address: "main.a", "main.srv.mu" (DWARF), or "main.srv+0x8" (symbols);
 * appended. want_type as in gi_dwarf_name_at. false if no global holds it.
 */
bool gi_go_name_at(struct gi_go *go, uint64_t addr, const char *want_type, struct gi_str *ret);
/**
 * The other way round: where the thing is that a path names, "main.db.mu", as gi_go_name_at() and gi_typing_name()
 * write them; by debug information. GI_ERR_NOT_FOUND says how far the path leads; *begins_ret:
 * whether it begins with a global, set in any case.
 */
struct gi_error *gi_go_path(struct gi_go *go, const char *path, bool *begins_ret,
			    uint64_t *ret) GI_MUST_CHECK;
/** The global that a path begins with, and how long its name is. */
bool gi_go_path_global(struct gi_go *go, const char *path, uint64_t *ret, size_t *length_ret);
/** What the variable, field or element at addr points to, and how many bytes of it there are; false if it is no pointer,
 * interface, slice, channel or map, or holds nil. */
bool gi_go_follow(struct gi_go *go, uint64_t addr, uint64_t *ret, uint64_t *size_ret);
/** The bytes of the global, field or element that begins at addr; 0: unknown. */
uint64_t gi_go_extent(struct gi_go *go, uint64_t addr);

#endif

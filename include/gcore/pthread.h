// Threads as the C library knows them, and what those that sleep in it wait for: mutexes,
// conditions, the end of another thread. A thread is an index into gi_target_thread().
#ifndef GCORE_PTHREAD_H
#define GCORE_PTHREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/error.h"
#include "gcore/go.h"
#include "gcore/unwind.h"

enum gi_c_library { GI_C_LIBRARY_UNKNOWN, GI_C_LIBRARY_GLIBC, GI_C_LIBRARY_MUSL };

enum gi_pthread_kind {
	GI_PTHREAD_MUTEX,
	GI_PTHREAD_RWLOCK,
	GI_PTHREAD_COND,
	GI_PTHREAD_JOIN,
	GI_PTHREAD_SEMAPHORE,
	GI_PTHREAD_ONCE,
	GI_PTHREAD_BARRIER,
	GI_PTHREAD_GUARD, // of a C++ static variable's initialisation
	GI_PTHREAD_FILE,  // a lock of stdio
	GI_PTHREAD_LOCK,  // one inside of the library
};

enum gi_pthread_mutex_kind {
	GI_PTHREAD_NORMAL,
	GI_PTHREAD_RECURSIVE,
	GI_PTHREAD_ERRORCHECK,
	GI_PTHREAD_ADAPTIVE,
};

/** What a thread sleeps on. */
struct gi_pthread_wait {
	enum gi_pthread_kind kind;
	uint64_t addr; // of the object (join: of the word in the other's descriptor), 0 unknown
	uint64_t word; // that the kernel was given
	enum gi_pthread_mutex_kind mutex;
	bool robust, inherits; // a mutex: PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_INHERIT
	bool shared;	       // a mutex: other processes may have it
	bool given;	       // a mutex with priority inheritance: the kernel has made this thread its owner
	bool write;	       // a rwlock: it wants to write
	bool has_state;	       // the object could be read: the following are known
	uint32_t count;	       // a recursive mutex: how often its owner has it
	uint32_t readers;      // a rwlock that is held by these; 0: by a writer
	uint32_t waiters;      // a condition, a semaphore
	uint64_t owner_tid;    // as the process itself knows it, 0: none or not recorded
	uint32_t owner;	       // 1 + that thread, 0: unknown. A join's is the thread that is waited for
	bool timed;	       // it will wake by itself, or that is not known
	/**
	 * The object's state agrees: this thread sleeps until the owner acts. Not so while an object
	 * changes hands.
	 */
	bool settled;
};

/** The threads' descriptors. go is borrowed as long as the result. */
struct gi_pthreads;
struct gi_error *gi_pthreads_create(struct gi_go *go, struct gi_pthreads **ret) GI_MUST_CHECK;
void gi_pthreads_destroy(struct gi_pthreads *p);
GI_DEFINE_CLEANUP(struct gi_pthreads *, gi_pthreads_destroyp, gi_pthreads_destroy)

enum gi_c_library gi_pthreads_library(const struct gi_pthreads *p);
/** The id by which the process itself knows a thread: another than the core's where that was made
 * outside of the process's PID namespace. */
uint64_t gi_pthreads_tid(const struct gi_pthreads *p, size_t thread);
/** False if no thread of the core has that id. */
bool gi_pthreads_by_tid(const struct gi_pthreads *p, uint64_t tid, size_t *ret);

/** False if the thread does not sleep in the C library, or on what is not known. */
bool gi_pthreads_wait(const struct gi_pthreads *p, struct gi_unwinder *u, size_t thread,
		      struct gi_pthread_wait *ret);

/** The goroutine whose code a thread runs, or that is tied to it; NULL if none. */
const struct gi_g *gi_thread_goroutine(struct gi_go *go, size_t thread);
/** Appends "thread 1234 (goroutine 17)". */
void gi_thread_format(struct gi_go *go, size_t thread, struct gi_str *ret);
/** Appends "pthread mutex 0x5080 (recursive, count 1) held by thread 1234 (goroutine 17)". */
void gi_pthread_wait_format(struct gi_go *go, const struct gi_pthread_wait *w, struct gi_str *ret);
/** Appends what an object of the C library says itself: "recursive, count 1". False if it is none. */
struct gi_object;
bool gi_pthread_state_format(struct gi_go *go, const struct gi_object *o, struct gi_str *ret);
/** "pthread-mutex", ...; as in JSON. */
const char *gi_pthread_kind_name(enum gi_pthread_kind kind);

// --- calls into C ---------------------------------------------------------------------------

/** A call from Go into C. Names are borrowed as long as the gi_go, "" if unknown. */
struct gi_c_call {
	struct gi_location from; // the Go code that made it
	const char *function;	 // the C function that it called
	struct gi_location in;	 // the innermost C function that is not the C library's own lock
	const char *innermost;	 // the innermost of all
	const char *module;	 // its file, NULL unknown
};
/** False if the goroutine is not in C. */
bool gi_c_call_of(struct gi_go *go, struct gi_unwinder *u, const struct gi_g *g,
		  struct gi_c_call *ret);
/** The C functions of a thread that runs no goroutine. from and function are unknown. */
bool gi_c_call_of_thread(struct gi_go *go, struct gi_unwinder *u, size_t thread,
			 struct gi_c_call *ret);
/** Appends "lock_first, in __lll_lock_wait"; "?" if nothing is known. */
void gi_c_call_format(const struct gi_c_call *call, struct gi_str *ret);
/** The runtime says that the goroutine is in C. */
bool gi_g_is_in_c(struct gi_go *go, const struct gi_g *g);

#endif

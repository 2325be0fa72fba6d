// The wait-for graph: what each goroutine waits for, who could end that wait, and
// what follows. Every edge carries its evidence and strength.
#ifndef GCORE_WAIT_H
#define GCORE_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/error.h"
#include "gcore/go.h"
#include "gcore/unwind.h"

enum gi_object_kind {
	GI_OBJECT_NONE = 0,
	GI_OBJECT_CHANNEL,
	GI_OBJECT_MUTEX,
	GI_OBJECT_RWMUTEX,
	GI_OBJECT_WAITGROUP,
	GI_OBJECT_COND,
	GI_OBJECT_ONCE,
	GI_OBJECT_SEMAPHORE, // of unknown owner
	GI_OBJECT_TIMER,
	GI_OBJECT_FD,
	GI_OBJECT_C_CALL,
	GI_OBJECT_SYSCALL,
	GI_OBJECT_RUNTIME, // GC workers, finalizers, ...
	GI_OBJECT_NOTHING, // select {}, nil channel: nobody can end it
	// Of the C library.
	GI_OBJECT_PTHREAD_MUTEX,
	GI_OBJECT_PTHREAD_RWLOCK,
	GI_OBJECT_PTHREAD_COND,
	GI_OBJECT_PTHREAD_SEMAPHORE,
	GI_OBJECT_STDIO_LOCK,
	GI_OBJECT_THREAD, // its end; addr is in its descriptor
};
/** "channel", "mutex", ...; as in JSON. */
const char *gi_object_kind_name(enum gi_object_kind kind);
/** Its type: "sync.Mutex"; NULL for what has none of its own. */
const char *gi_object_kind_type(enum gi_object_kind kind);
/** True of what one goroutine has at a time, but for readers: mutexes, RWMutexes, Onces. */
bool gi_object_kind_is_lock(enum gi_object_kind kind);

enum gi_wait_role {
	GI_ROLE_NONE = 0,
	GI_ROLE_SEND,
	GI_ROLE_RECEIVE,
	GI_ROLE_LOCK,
	GI_ROLE_RLOCK,
	GI_ROLE_WAIT,
};

/** One thing that a goroutine waits on; a select has several. */
struct gi_object {
	enum gi_object_kind kind;
	uint64_t addr; // of the object (mutex, hchan, ...); the semaphore word if kind is SEMAPHORE; 0 none
	uint64_t sema; // the semaphore word where one is waited on
	const char *name; // "main.a", "" if it has none; borrowed as long as the graph
};

struct gi_waiter {
	uint32_t g; // index into gi_go_g()
	enum gi_wait_role role;
	uint32_t object; // index into the graph's objects
	bool in_select;
};

enum gi_strength { GI_STRENGTH_EXACT, GI_STRENGTH_INFERRED };

/**
 * from waits for object, which to could release. Both are nodes: below gi_go_g_count() indexes into
 * gi_go_g(), from there on threads of C, which run no goroutine (gi_graph_node_thread).
 */
struct gi_edge {
	uint32_t from, to;
	uint32_t object;
	enum gi_strength strength;
	const char *evidence;	       // one sentence, no period; borrowed as long as the graph
	struct gi_location waits_at;   // user code of from
	struct gi_location acquired_at; // where to took it, if known
	bool reads;		       // to has it as a reader
	bool is_next;		       // to has not got it: a writer that comes first, and waits
};

enum gi_verdict_kind {
	GI_VERDICT_CYCLE,
	GI_VERDICT_SELF,
	GI_VERDICT_UNREACHABLE,
	GI_VERDICT_ORPHAN_LOCK,
	GI_VERDICT_IN_C,
	GI_VERDICT_SUSPECT,
	GI_VERDICT_COLLATERAL,
	GI_VERDICT_UNKNOWN,
};
/** "cycle", "self", "unreachable", "orphan-lock", "in-c", "suspect", "collateral", "unknown": as in JSON. */
const char *gi_verdict_kind_name(enum gi_verdict_kind kind);

/** A goroutine that is not stuck, and on whose stack a function is whose code uses a global. */
struct gi_breaker {
	uint32_t g;
	const char *function, *global; // borrowed as long as the graph
};

struct gi_verdict {
	enum gi_verdict_kind kind;
	enum gi_strength strength; // the weakest edge's
	const uint32_t *goroutines; // members of the root itself: nodes, as in struct gi_edge
	size_t goroutine_count;
	const uint32_t *edges; // indexes into the graph's edges, in the order of the story
	size_t edge_count;
	const char *c_code; // in-c: "work, in nanosleep"; borrowed as long as the graph
	const char *globals; // suspect: those that lead to what is waited for; NULL: their names are unknown
	const struct gi_breaker *breakers; // suspect: who could still break the circle, as far as is known
	size_t breaker_count;
	size_t root; // collateral: index of the verdict that it follows from; else own index
};

struct gi_graph;

/** Builds the graph of the whole process. go is borrowed as long as the result. */
struct gi_error *gi_graph_build(struct gi_go *go, struct gi_graph **ret) GI_MUST_CHECK;
void gi_graph_destroy(struct gi_graph *graph);
GI_DEFINE_CLEANUP(struct gi_graph *, gi_graph_destroyp, gi_graph_destroy)

/** True if a node is a thread that runs no goroutine: an index into gi_target_thread(). */
bool gi_graph_node_thread(const struct gi_go *go, uint32_t node, size_t *ret);
/** What a thread waits for in the C library; NULL: nothing that is known. */
struct gi_pthread_wait;
const struct gi_pthread_wait *gi_graph_pthread_wait(const struct gi_graph *graph, size_t thread);

size_t gi_graph_object_count(const struct gi_graph *graph);
const struct gi_object *gi_graph_object(const struct gi_graph *graph, size_t i);
size_t gi_graph_waiter_count(const struct gi_graph *graph);
const struct gi_waiter *gi_graph_waiter(const struct gi_graph *graph, size_t i);
/** The first of a goroutine's waits, its others follow it; NULL if it waits for nothing. g: index into gi_go_g(). */
const struct gi_waiter *gi_graph_wait_of(const struct gi_graph *graph, uint32_t g);
size_t gi_graph_edge_count(const struct gi_graph *graph);
const struct gi_edge *gi_graph_edge(const struct gi_graph *graph, size_t i);
/** Roots first, strongest first. */
size_t gi_graph_verdict_count(const struct gi_graph *graph);
const struct gi_verdict *gi_graph_verdict(const struct gi_graph *graph, size_t i);
/** The verdict that tells of a goroutine; false if none does. */
bool gi_graph_verdict_of(const struct gi_graph *graph, uint32_t g, size_t *ret);
/** Goroutines stuck for good: members and collaterals of cycle, self, unreachable and orphan-lock verdicts. */
size_t gi_graph_stuck_count(const struct gi_graph *graph);
size_t gi_graph_cycle_count(const struct gi_graph *graph);
/** The object at or around an address (a mutex's address, its semaphore's, an hchan's); false if no goroutine waits on one there. */
bool gi_graph_find_object(const struct gi_graph *graph, uint64_t addr, size_t *ret);
/**
 * Looks for names, in the heap, of objects that have none and were not looked for before: of the first
 * 64 of them. Objects that verdicts tell of have theirs from the beginning.
 */
struct gi_error *gi_graph_name(struct gi_graph *graph, const uint32_t *objects, size_t n) GI_MUST_CHECK;
/** The same of all, until it has worked for so many seconds; the others stay without. */
struct gi_error *gi_graph_name_all(struct gi_graph *graph, double seconds) GI_MUST_CHECK;
/**
 * gi_typing_find (gcore/typing.h), and what methods that run say of the objects. The heap is searched
 * until budget bytes of it were read.
 */
struct gi_typing;
struct gi_error *gi_wait_typing(struct gi_go *go, struct gi_unwinder *u, const uint64_t *addrs,
				size_t n, uint64_t budget, struct gi_typing **ret) GI_MUST_CHECK;
/**
 * Appends what libraries make of g's wait for an object of the graph, in lines that end in a newline, escaped: the
 * errgroup that a WaitGroup is of and who still runs in it, the context whose Done channel it is and who
 * could cancel it, a semaphore.Weighted, a call of singleflight, signals, a Cond's lock, a coroutine. The heap is searched as
 * above. Nothing if nothing is known.
 */
struct gi_error *gi_wait_about(struct gi_go *go, struct gi_unwinder *u, const struct gi_graph *graph,
			       size_t object, uint32_t g, uint64_t budget, struct gi_str *ret) GI_MUST_CHECK;
/** The same line of a library's struct at an address, whether somebody waits for it or not. */
struct gi_type;
void gi_wait_about_struct(struct gi_go *go, struct gi_unwinder *u, const struct gi_type *type,
			  uint64_t addr, struct gi_str *ret);
/** Objects of one size. */
struct gi_heap_class {
	uint64_t size; // bytes of each; 0: large ones, each in a span of its own
	bool noscan;   // without pointers
	uint64_t spans, span_bytes;
	uint64_t objects, object_bytes;	    // in use
	uint64_t reachable, reachable_bytes; // of these
};
/**
 * The heap by sizes, smallest first, owned by the caller. *why_ret: why it is not known what can
 * be reached, owned by the caller; NULL if it is.
 */
struct gi_error *gi_wait_heap_use(struct gi_go *go, struct gi_heap_class **ret, size_t *count_ret,
				  struct gi_error **why_ret) GI_MUST_CHECK;
size_t gi_graph_note_count(const struct gi_graph *graph);
const char *gi_graph_note(const struct gi_graph *graph, size_t i);

// --- deferred calls (wait/deferred.c) ------------------------------------------

/** A deferred call that has not run yet. Strings are borrowed as long as the gi_go. */
struct gi_deferred {
	uint64_t sp; // of the frame that deferred it, as in gi_frame; 0: none of the goroutine's frames
	uint64_t closure;	    // address of the function value
	struct gi_location calls;   // where the function begins that it calls
	const char *wrapper;	    // the function that the compiler made around that call, or NULL
	struct gi_location statement; // where it was deferred; pc 0: unknown
	bool open_coded;	    // it has no record: the frame itself tells of it
};
struct gi_deferreds {
	struct gi_deferred *d;
	size_t n, cap;
	uint64_t lost; // address of a record that could not be read: there may be more; or 0
};
static inline void gi_deferreds_deinit(struct gi_deferreds *ds)
{
	gi_freep(&ds->d);
}
/**
 * The pending deferred calls of g's innermost max physical frames, in the order in which they
 * will run. *ret is to be deinited in any case.
 */
struct gi_error *gi_deferred_calls(struct gi_go *go, struct gi_unwinder *u, const struct gi_g *g,
				   size_t max, struct gi_deferreds *ret) GI_MUST_CHECK;

#endif

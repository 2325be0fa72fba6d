// Inside of the wait-for graph: its parts, in the order in which they are made.
#ifndef GCORE_WAIT_GRAPH_H
#define GCORE_WAIT_GRAPH_H

#include "gcore/pthread.h"
#include "gcore/wait.h"
#include "wait/env.h"

/** What a waiter's record does not say; parallel to the waiters. */
struct gi_wait_info {
	uint64_t sema;	     // the semaphore word it sleeps on, 0 none
	bool pending_writer; // it has the RWMutex's inner mutex, and waits for readers to leave
	uint32_t next;	     // 1 + the next waiter on the same object
};

/** A goroutine that has a lock (or owes a group a Done), by evidence. */
enum gi_hold_rank {
	GI_HOLD_MAYBE,	    // the code takes it on some ways to where the goroutine is
	GI_HOLD_CODE,	    // on all ways
	GI_HOLD_DEFER,	    // its release is deferred and pending
	GI_HOLD_STRUCTURAL, // the lock's own state says so
};
enum gi_hold_mode { GI_MODE_LOCK, GI_MODE_WRITE, GI_MODE_READ, GI_MODE_GROUP };

struct gi_hold {
	uint32_t object, g;
	uint8_t rank, mode;
	bool kept;	      // by code alone, and the code does not come to release it
	bool exact;	      // the lock's address is known without reading what may have changed
	uint64_t site_pc;     // where it was taken, 0 unknown
	uint64_t frame_pc;    // of the frame whose function took it or owes the release
	const char *function; // of that frame
};

/** A thread that sleeps in the C library. */
struct gi_c_wait {
	bool waits;
	struct gi_pthread_wait w;
	uint32_t node;	 // the goroutine that it runs, or itself
	uint32_t object; // 1 + what it is in the graph, 0: not there
};

/** What the argument says of a goroutine. */
enum gi_dead {
	GI_MAY_LIVE,
	GI_DEAD,	  // nobody who can run reaches what it waits for
	GI_DEAD_BY_OWNER, // the same, if the owners of locks are who they seem to be
};

struct gi_graph {
	struct gi_go *go;
	size_t node_count; // goroutines, then threads
	struct gi_pthreads *pthreads;
	struct gi_c_wait *c_waits; // of each thread
	struct gi_arena *arena;
	struct gi_unwinder *u;
	struct gi_wait_env env;

	struct gi_object *objects;
	size_t object_count, object_cap;
	struct gi_map object_index; // kind and address
	struct gi_map named;	    // objects whose names were looked for in the heap
	uint32_t *object_first;	    // 1 + first waiter, for each object
	uint32_t *object_waiters;   // how many
	size_t object_first_cap, object_waiters_cap;

	struct gi_waiter *waiters;
	struct gi_wait_info *infos;
	size_t waiter_count, waiter_cap, info_cap;
	uint32_t *g_first; // 1 + first waiter, for each node; its others follow it

	struct gi_hold *holds; // sorted by object
	size_t hold_count, hold_cap;

	struct gi_edge *edges;
	size_t edge_count, edge_cap;

	struct gi_verdict *verdicts;
	size_t verdict_count, verdict_cap;
	uint32_t *g_verdict; // 1 + verdict that tells of it, for each node
	uint8_t *dead;	     // of each node, enum gi_dead; NULL: not tried
	size_t stuck_count, cycle_count;

	char **notes;
	size_t note_count, note_cap;
};

void gi_graph_add_note(struct gi_graph *gr, const char *fmt, ...) GI_PRINTF(2, 3);
/** The object, made if it is new. */
struct gi_error *gi_graph_add_object(struct gi_graph *gr, enum gi_object_kind kind, uint64_t addr,
				     uint32_t *ret) GI_MUST_CHECK;
/** The object, if somebody waits for it. */
bool gi_graph_has_object(const struct gi_graph *gr, enum gi_object_kind kind, uint64_t addr,
			 uint32_t *ret);
struct gi_error *gi_graph_add_waiter(struct gi_graph *gr, uint32_t g, uint32_t object,
				     enum gi_wait_role role, bool in_select, uint64_t sema,
				     bool pending_writer) GI_MUST_CHECK;
/** Adds a copy of an edge, behind all others (gi_graph_sort_edges). */
struct gi_error *gi_graph_add_edge(struct gi_graph *gr, const struct gi_edge *e) GI_MUST_CHECK;
/** Adds a copy of a verdict; ret: its index. */
struct gi_error *gi_graph_add_verdict(struct gi_graph *gr, const struct gi_verdict *v,
				      size_t *ret) GI_MUST_CHECK;
/**
 * True if all that goroutine g waits for is the object of x, as x does: it cannot wake x. Readers and
 * writers wait for a lock alike, for both want it.
 */
bool gi_graph_waits_alike(const struct gi_graph *gr, const struct gi_waiter *x, uint32_t g);
/** A sentence that lives as long as the graph; "" when memory is out. */
const char *gi_graph_sentence(struct gi_graph *gr, const char *fmt, ...) GI_PRINTF(2, 3);

/** Edges of one node stand together, in the order of the nodes. */
struct gi_error *gi_graph_sort_edges(struct gi_graph *gr) GI_MUST_CHECK;

/** c_waits.c: what threads wait for in the C library. Before the other waits. */
struct gi_error *gi_graph_find_c_waits(struct gi_graph *gr) GI_MUST_CHECK;
/** Adds the waiter of goroutine g, which is in C; *ret: false if it is not known what it waits for. */
struct gi_error *gi_graph_c_waiter(struct gi_graph *gr, uint32_t g, bool *ret) GI_MUST_CHECK;
/** What a node does in C: "work, in nanosleep"; NULL if it is not there. */
const char *gi_graph_c_code(struct gi_graph *gr, uint32_t node);
/** From those waits to whoever runs on the threads that are waited for. */
struct gi_error *gi_graph_make_c_edges(struct gi_graph *gr) GI_MUST_CHECK;
/** waits.c: objects and waiters. */
struct gi_error *gi_graph_find_waits(struct gi_graph *gr) GI_MUST_CHECK;
/** owners.c: who has the locks that are waited for. */
struct gi_error *gi_graph_find_holds(struct gi_graph *gr) GI_MUST_CHECK;
/** edges.c */
struct gi_error *gi_graph_make_edges(struct gi_graph *gr) GI_MUST_CHECK;
/**
 * prove.c: marks who can never run again, with edges among them. Those that a verdict tells of
 * already count as stuck.
 */
struct gi_error *gi_graph_prove(struct gi_graph *gr) GI_MUST_CHECK;
/**
 * verdict.c. May be called again after more edges were found: earlier verdicts are forgotten. last: tell
 * also of those who may go on, but are in C.
 */
struct gi_error *gi_graph_judge(struct gi_graph *gr, bool last) GI_MUST_CHECK;
/** suspect.c: adds verdicts of what may be a deadlock, and their edges behind all others. */
struct gi_error *gi_graph_find_suspects(struct gi_graph *gr) GI_MUST_CHECK;
/** breakers.c: who could still break suspects. After names are known. */
struct gi_error *gi_graph_find_breakers(struct gi_graph *gr) GI_MUST_CHECK;
/** typed.c: names for objects of the heap that verdicts tell of. */
struct gi_error *gi_graph_name_objects(struct gi_graph *gr) GI_MUST_CHECK;

#endif

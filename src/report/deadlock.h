// Words for the wait-for graph, shared by the stories and by single objects.
#ifndef REPORT_DEADLOCK_H
#define REPORT_DEADLOCK_H

#include <inttypes.h>

#include "gcore/report.h"

/** "mutex 0x5a3f40 (main.a)", "a nil channel". */
void gi_object_format(const struct gi_object *o, struct gi_str *ret);
/** The id of a goroutine by its index into gi_go_g(); 0 for a node that is a thread. */
uint64_t gi_goid(const struct gi_go *go, uint32_t g);
/** "goroutine 18", "thread 1234": a node of the graph. */
void gi_node_format(const struct gi_go *go, uint32_t node, struct gi_str *ret);
/** "goroutine 17", "goroutines 17 and 18", "goroutines 17 and 18 and thread 1234" of nodes. */
void gi_nodes_format(const struct gi_go *go, const uint32_t *nodes, size_t n, struct gi_str *ret);
/** A goroutine's id under key, or null; a thread's under thread_key, or null. */
void gi_json_node(struct gi_out *out, const char *key, const char *thread_key,
		  const struct gi_go *go, uint32_t node);
/** "held by", "held for reading by", ...: what the owner of an edge's object does to the waiter. */
const char *gi_edge_verb(const struct gi_graph *graph, const struct gi_edge *e);
/** "locked", "runs": what the owner of an edge's object has done. */
const char *gi_edge_deed(const struct gi_graph *graph, const struct gi_edge *e);
const char *gi_strength_name(enum gi_strength s);
/** "send", "lock", ...: what a waiter wants. */
const char *gi_role_name(enum gi_wait_role role);
/** What the object's own words say ("locked, a waiter was woken"); nothing if they cannot be read. */
void gi_object_state_format(struct gi_go *go, const struct gi_object *o, struct gi_str *ret);
/** "17 and 18", "17, 18 and 19", "17, 18, 19 and 5 more" of indexes into gi_go_g(). */
void gi_goroutines_format(const struct gi_go *go, const uint32_t *gs, size_t n, struct gi_str *ret);
/** One edge of a story, two or three lines. */
void gi_out_edge(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph,
		 const struct gi_edge *e);
/** The same without the goroutine that waits. */
void gi_out_edge_rest(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph,
		      const struct gi_edge *e);
/** How many of a verdict's goroutines the runtime's own leak profile has marked (deadlock_leaked.c). */
size_t gi_leaked_count(const struct gi_go *go, const struct gi_verdict *v);
/** Says so, if there are any. */
void gi_out_leaked(struct gi_out *out, const struct gi_go *go, const struct gi_verdict *v);
/** Names those that are marked, and that no verdict tells of. told: something stands before it. */
void gi_out_only_leaked(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph,
			bool told);
/** True for verdicts whose goroutines can never go on. */
bool gi_verdict_is_stuck(enum gi_verdict_kind kind);
/** A verdict in one line, without its end. */
void gi_verdict_headline(struct gi_str *s, const struct gi_go *go, const struct gi_verdict *v);
/** The member "object". */
void gi_json_object_of(struct gi_out *out, const struct gi_object *o);
void gi_json_edge(struct gi_out *out, const char *key, const struct gi_go *go,
		  const struct gi_graph *graph, const struct gi_edge *e);

#endif

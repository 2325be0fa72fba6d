// Waits in the C library, as edges.
//
// A goroutine in C that sleeps on a lock of the C library waits for a thread: for the one whose id
// the lock records, or whose end it asked for. Who acts for that thread is the goroutine that it
// runs, or that is tied to it, since a goroutine that C has called back into does not leave its
// thread. A thread that runs no goroutine stands for itself.
//
// What is believed: the lock's own words must agree that this thread sleeps until another acts
// (struct gi_pthread_wait.settled), and nothing but that may end the sleep: a time limit would.
//
// The thread that took a lock need not be on behalf of whom it works now: a goroutine may lock in
// one call into C, go on in Go, and unlock in another call on another thread. Only then does the
// lock's record mislead. It cannot where the goroutine is tied to its thread, or where the lock
// lets nobody but that thread unlock it: what the thread does now has to end first. Else the call
// that the goroutine is in must be able to have taken the lock: one in which no C function has
// called anything before the call that it is in cannot have.

#include "wait/c_call.h"
#include "wait/graph.h"

#include <stdlib.h>
#include <string.h>

/** The goroutine that runs on a thread, as a node; else the thread. */
static uint32_t node_of(const struct gi_graph *gr, size_t thread)
{
	const struct gi_g *g = gi_thread_goroutine(gr->go, thread);

	return g ? (uint32_t)(g - gi_go_g(gr->go, 0)) : (uint32_t)(gi_go_g_count(gr->go) + thread);
}

struct gi_error *gi_graph_find_c_waits(struct gi_graph *gr)
{
	size_t n = gi_target_thread_count(gi_go_target(gr->go));
	struct gi_error *err = gi_pthreads_create(gr->go, &gr->pthreads);

	if (err)
		return err;
	gr->c_waits = calloc(n + 1, sizeof(*gr->c_waits));
	if (!gr->c_waits)
		return gi_error_nomem();
	for (size_t i = 0; i < n && !err; i++) {
		struct gi_c_wait *c = &gr->c_waits[i];

		c->node = node_of(gr, i);
		c->waits = gi_pthreads_wait(gr->pthreads, gr->u, i, &c->w);
		if (i % 64 == 0)
			err = gi_interrupt_check();
	}
	return err;
}

// --- objects --------------------------------------------------------------------------------

static enum gi_object_kind object_kind(enum gi_pthread_kind kind)
{
	switch (kind) {
	case GI_PTHREAD_MUTEX:
		return GI_OBJECT_PTHREAD_MUTEX;
	case GI_PTHREAD_RWLOCK:
		return GI_OBJECT_PTHREAD_RWLOCK;
	case GI_PTHREAD_COND:
		return GI_OBJECT_PTHREAD_COND;
	case GI_PTHREAD_SEMAPHORE:
		return GI_OBJECT_PTHREAD_SEMAPHORE;
	case GI_PTHREAD_FILE:
		return GI_OBJECT_STDIO_LOCK;
	case GI_PTHREAD_JOIN:
		return GI_OBJECT_THREAD;
	case GI_PTHREAD_ONCE:
	case GI_PTHREAD_BARRIER:
	case GI_PTHREAD_GUARD:
	case GI_PTHREAD_LOCK:
		break;
	}
	return GI_OBJECT_NONE;
}

static struct gi_error *add_object(struct gi_graph *gr, struct gi_c_wait *c)
{
	enum gi_object_kind kind = object_kind(c->w.kind);
	struct gi_error *err = NULL;
	uint32_t object;

	if (c->object || kind == GI_OBJECT_NONE || !c->w.addr)
		return NULL;
	err = gi_graph_add_object(gr, kind, c->w.addr, &object);
	if (!err)
		c->object = object + 1;
	return err;
}

static enum gi_wait_role role_of(const struct gi_pthread_wait *w)
{
	switch (w->kind) {
	case GI_PTHREAD_MUTEX:
	case GI_PTHREAD_FILE:
		return GI_ROLE_LOCK;
	case GI_PTHREAD_RWLOCK:
		return w->write ? GI_ROLE_LOCK : GI_ROLE_RLOCK;
	default:
		return GI_ROLE_WAIT;
	}
}

struct gi_error *gi_graph_c_waiter(struct gi_graph *gr, uint32_t g, bool *ret)
{
	const uint32_t thread = gi_go_g(gr->go, g)->thread;
	struct gi_c_wait *c;
	struct gi_error *err;

	*ret = false;
	if (!thread || !gr->c_waits[thread - 1].waits)
		return NULL;
	c = &gr->c_waits[thread - 1];
	err = add_object(gr, c);
	if (err || !c->object)
		return err;
	*ret = true;
	return gi_graph_add_waiter(gr, g, c->object - 1, role_of(&c->w), false, 0, false);
}

// --- edges ----------------------------------------------------------------------------------

/** Whoever acts for the owner of what c waits for; evidence NULL: it is not known. */
struct owner {
	uint32_t node;
	enum gi_strength strength;
	const char *evidence;
};

static bool only_owner_unlocks(const struct gi_pthread_wait *w)
{
	return w->kind == GI_PTHREAD_MUTEX &&
	       (w->mutex == GI_PTHREAD_RECURSIVE || w->mutex == GI_PTHREAD_ERRORCHECK ||
		w->robust || w->inherits);
}

static struct owner owner_of(struct gi_graph *gr, const struct gi_pthread_wait *w)
{
	const size_t thread = w->owner - 1;
	const int tid = (int)gi_target_thread(gi_go_target(gr->go), thread)->tid;
	const struct gi_m *m = gi_go_m_by_thread(gr->go, thread);
	const struct gi_g *g = gi_thread_goroutine(gr->go, thread);
	struct owner o = {.node = node_of(gr, thread), .strength = GI_STRENGTH_EXACT};
	const char *has = w->kind == GI_PTHREAD_JOIN ? "it waits for the end of thread"
						     : "its own record names thread";

	if (!m || (!g && gi_m_is_extra(gr->go, m))) {
		o.evidence = gi_graph_sentence(gr, "%s %d, which runs no Go code", has, tid);
		return o;
	}
	// An idle thread of the runtime's does not say who used it before.
	if (!g)
		return o;
	if (m->lockedg == g->addr || gi_m_is_extra(gr->go, m) || w->kind == GI_PTHREAD_JOIN) {
		o.evidence =
			gi_graph_sentence(gr, "%s %d, to which that goroutine is tied", has, tid);
		return o;
	}
	struct gi_c_call call;
	if (!gi_c_call_of(gr->go, gr->u, g, &call))
		return o;
	if (only_owner_unlocks(w)) {
		o.evidence = gi_graph_sentence(
			gr, "%s %d, which alone may unlock it, and is in C for that goroutine", has,
			tid);
		return o;
	}
	o.strength = GI_STRENGTH_INFERRED;
	if (gi_c_call_may_have_locked(gr->go, gr->u, g))
		o.evidence =
			gi_graph_sentence(gr, "%s %d, which is in C for that goroutine", has, tid);
	return o;
}

static struct gi_location waits_at(struct gi_graph *gr, size_t thread, uint32_t node)
{
	struct gi_location where = {.function = "", .file = ""};
	struct gi_c_call call;
	size_t t;

	if (gi_graph_node_thread(gr->go, node, &t)) {
		if (gi_c_call_of_thread(gr->go, gr->u, thread, &call))
			where = call.in;
	} else if (gi_c_call_of(gr->go, gr->u, gi_go_g(gr->go, node), &call)) {
		where = call.from.pc ? call.from : call.in;
	}
	return where;
}

const char *gi_graph_c_code(struct gi_graph *gr, uint32_t node)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	struct gi_c_call call;
	size_t thread;

	if (gi_graph_node_thread(gr->go, node, &thread)
		    ? !gi_c_call_of_thread(gr->go, gr->u, thread, &call)
		    : !gi_c_call_of(gr->go, gr->u, gi_go_g(gr->go, node), &call))
		return NULL;
	gi_c_call_format(&call, &s);
	return gi_graph_sentence(gr, "%s", gi_str_cstr(&s));
}

static struct gi_error *add_edge(struct gi_graph *gr, size_t thread, const struct owner *o)
{
	struct gi_c_wait *c = &gr->c_waits[thread];
	struct gi_error *err = add_object(gr, c);

	if (err || !c->object)
		return err;
	return gi_graph_add_edge(gr, &(struct gi_edge){
					     .from = c->node,
					     .to = o->node,
					     .object = c->object - 1,
					     .strength = o->strength,
					     .evidence = o->evidence,
					     .waits_at = waits_at(gr, thread, c->node),
					     .acquired_at = {.function = "", .file = ""},
				     });
}

static bool has_owner(enum gi_pthread_kind kind)
{
	return kind == GI_PTHREAD_MUTEX || kind == GI_PTHREAD_RWLOCK || kind == GI_PTHREAD_FILE ||
	       kind == GI_PTHREAD_JOIN;
}

struct gi_error *gi_graph_make_c_edges(struct gi_graph *gr)
{
	const size_t before = gr->edge_count, n = gr->node_count - gi_go_g_count(gr->go);
	struct gi_error *err = NULL;

	for (size_t i = 0; i < n && !err; i++) {
		const struct gi_c_wait *c = &gr->c_waits[i];

		if (!c->waits || !c->w.settled || c->w.timed || !c->w.owner ||
		    !has_owner(c->w.kind))
			continue;
		const struct owner o = owner_of(gr, &c->w);
		if (o.evidence)
			err = add_edge(gr, i, &o);
	}
	return err || gr->edge_count == before ? err : gi_graph_sort_edges(gr);
}

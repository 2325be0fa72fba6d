// From waiters and owners to edges: who waits for whom.
//
// A lock's state says how many owners it has. Where there is evidence of more, the weaker is
// dropped, and if it is still too much nothing is said. An unlocked mutex with waiters is being
// handed over: no edge. An RWMutex: a writer waits for the writer before it, or for every reader
// that holds it; a reader waits for the writer that is pending or has it.

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"
#include "wait/graph.h"

enum { MAX_READERS = 4096 }; // edges of one waiter

struct edges {
	struct gi_graph *gr;
	struct gi_pccache *pcs;
	size_t *first_hold; // of each object: index of its first hold
};

static const struct gi_location nowhere = {.function = "", .file = ""};

/** The innermost call at pc that is no code of sync's or the runtime's. */
static struct gi_location location(struct edges *e, uint64_t pc)
{
	struct gi_location loc = nowhere;
	const struct gi_pcinfo *info = pc ? gi_pccache_get(e->pcs, pc, false) : NULL;

	for (size_t i = 0; info && i < info->call_count; i++) {
		const struct gi_call *c = &info->calls[i];
		loc = (struct gi_location){.pc = pc,
					   .function = c->name ? c->name : "",
					   .file = c->file ? c->file : "",
					   .line = c->line};
		if (!gi_function_is_runtime(c->name) && strncmp(c->name, "sync.", 5) != 0 &&
		    strncmp(c->name, "sync/", 5) != 0)
			break;
	}
	return loc;
}

/** Between the Lock and the deferred Unlock of Once itself: there is no other way to be there. */
static bool is_in_once(const struct gi_hold *h)
{
	return h->rank == GI_HOLD_DEFER && h->function &&
	       strncmp(h->function, "sync.(*Once)", 12) == 0;
}

static const char *evidence(struct edges *e, const struct gi_hold *h, const struct gi_location *at)
{
	struct gi_graph *gr = e->gr;
	const char *in = h->function ? h->function : "";

	switch ((enum gi_hold_rank)h->rank) {
	case GI_HOLD_STRUCTURAL:
		return "it has announced itself as writer and waits for the readers to leave; new readers wait for it";
	case GI_HOLD_DEFER:
		if (h->mode == GI_MODE_GROUP)
			return gi_graph_sentence(gr, "its deferred Done is pending in %s", in);
		if (gr->objects[h->object].kind == GI_OBJECT_ONCE)
			return "it runs the function that the Once runs once";
		return gi_graph_sentence(gr, "its deferred %s is pending in %s",
					 h->mode == GI_MODE_READ ? "RUnlock" : "Unlock", in);
	case GI_HOLD_CODE:
	case GI_HOLD_MAYBE:
		if (at->pc)
			return gi_graph_sentence(
				gr,
				"%s takes it at %s:%u and does not release it before the call that it is in%s%s",
				in, at->file, at->line, h->kept ? ", nor later" : "",
				h->rank == GI_HOLD_MAYBE ? ", on some ways through it" : "");
		return gi_graph_sentence(
			gr, "%s has deferred its %s, and has taken it on some ways to where it is",
			in, h->mode == GI_MODE_READ ? "RUnlock" : "Unlock");
	}
	return "";
}

static struct gi_error *add_edge(struct edges *e, uint32_t from, const struct gi_hold *h,
				 const struct gi_location *waits_at)
{
	struct gi_graph *gr = e->gr;
	struct gi_location at = location(e, h->site_pc);
	struct gi_location owed = at.pc ? at : location(e, h->frame_pc);
	// A lock does not record who has it: unless its own state says so, an owner is inferred.
	bool exact = h->exact && !h->kept && h->mode != GI_MODE_GROUP &&
		     (h->rank == GI_HOLD_STRUCTURAL || is_in_once(h));
	const struct gi_edge edge = {
		.from = from,
		.to = h->g,
		.object = h->object,
		.strength = exact ? GI_STRENGTH_EXACT : GI_STRENGTH_INFERRED,
		.evidence = evidence(e, h, &at),
		.waits_at = *waits_at,
		.acquired_at = h->mode == GI_MODE_GROUP ? nowhere
			       : at.pc			? at
							: owed,
		.reads = h->mode == GI_MODE_READ,
		.is_next = h->rank == GI_HOLD_STRUCTURAL,
	};
	return gi_graph_add_edge(gr, &edge);
}

// --- choosing among the evidence ------------------------------------------------------------

/**
 * The holds of an object in a mode that may stand beside each other, at most max owners: the
 * strongest rank whose number fits. Fills which (indexes of holds); returns how many.
 */
static size_t choose(const struct edges *e, uint32_t object, unsigned mode, size_t max,
		     uint32_t *which, size_t room)
{
	const struct gi_graph *gr = e->gr;
	size_t counts[GI_HOLD_STRUCTURAL + 1] = {0}, total = 0, n = 0;
	int least = GI_HOLD_STRUCTURAL + 1;
	size_t first = e->first_hold[object];

	for (size_t i = first; i < gr->hold_count && gr->holds[i].object == object; i++) {
		if (gr->holds[i].mode == mode)
			counts[gr->holds[i].rank]++;
	}
	while (least > 0 && total + counts[least - 1] <= max)
		total += counts[--least];
	// Two candidates of the best rank for one place: no telling which.
	for (size_t i = first; i < gr->hold_count && gr->holds[i].object == object; i++) {
		if (gr->holds[i].mode == mode && gr->holds[i].rank >= least && n < room)
			which[n++] = (uint32_t)i;
	}
	return n;
}

static bool mutex_is_locked(struct gi_go *go, uint64_t addr)
{
	struct gi_mutex m;
	struct gi_error *err = gi_go_read_mutex(go, addr, &m);

	gi_error_ignore(err);
	return !err && m.locked;
}

/** The owners that keep a waiter on an object from going on. */
static size_t blockers(struct edges *e, uint32_t object, const struct gi_waiter *w,
		       const struct gi_wait_info *info, uint32_t *which, size_t room)
{
	struct gi_graph *gr = e->gr;
	const struct gi_object *o = &gr->objects[object];
	struct gi_rwmutex rw;
	struct gi_waitgroup wg;
	struct gi_error *err;

	switch (o->kind) {
	case GI_OBJECT_MUTEX:
		if (!mutex_is_locked(gr->go, o->addr))
			return 0;
		return choose(e, object, GI_MODE_LOCK, 1, which, room);
	case GI_OBJECT_ONCE:
		if (!mutex_is_locked(gr->go, o->addr + gr->env.sync.once_m))
			return 0;
		return choose(e, object, GI_MODE_LOCK, 1, which, room);
	case GI_OBJECT_RWMUTEX:
		err = gi_go_read_rwmutex(gr->go, o->addr, &rw);
		if (err) {
			gi_error_ignore(err);
			return 0;
		}
		if (info->pending_writer)
			return rw.reader_wait > 0 ? choose(e, object, GI_MODE_READ,
							   (size_t)rw.reader_wait, which, room)
						  : 0;
		if (w->role == GI_ROLE_RLOCK ? rw.reader_count >= 0 : !rw.w.locked)
			return 0;
		return choose(e, object, GI_MODE_WRITE, 1, which, room);
	case GI_OBJECT_WAITGROUP:
		err = gi_go_read_waitgroup(gr->go, o->addr, &wg);
		if (err) {
			gi_error_ignore(err);
			return 0;
		}
		return wg.counter > 0
			       ? choose(e, object, GI_MODE_GROUP, (size_t)wg.counter, which, room)
			       : 0;
	default:
		return 0;
	}
}

static struct gi_error *waiter_edges(struct edges *e, const struct gi_waiter *w,
				     const struct gi_wait_info *info, uint32_t *which)
{
	struct gi_graph *gr = e->gr;
	struct gi_location where = nowhere, user = nowhere;
	size_t n = blockers(e, w->object, w, info, which, MAX_READERS);
	struct gi_error *err = NULL;

	if (!n)
		return NULL;
	err = gi_unwind_locations(gr->u, gi_go_g(gr->go, w->g), &where, &user);
	gi_error_ignore(err);
	err = NULL;
	for (size_t k = 0; k < n && !err; k++)
		err = add_edge(e, w->g, &gr->holds[which[k]], &user);
	return err;
}

struct gi_error *gi_graph_make_edges(struct gi_graph *gr)
{
	_cleanup_(gi_freep) size_t *first = malloc((gr->object_count + 1) * sizeof(*first));
	_cleanup_(gi_freep) uint32_t *which = malloc(MAX_READERS * sizeof(*which));
	_cleanup_(gi_pccache_destroyp) struct gi_pccache *pcs = NULL;
	struct edges e = {.gr = gr, .first_hold = first};

	if (!first || !which)
		return gi_error_nomem();
	struct gi_error *err = gi_pccache_create(gr->env.ft, &pcs);
	if (err || !gr->hold_count)
		return err;
	e.pcs = pcs;
	for (size_t i = 0; i <= gr->object_count; i++)
		first[i] = gr->hold_count;
	for (size_t i = gr->hold_count; i-- > 0;)
		first[gr->holds[i].object] = i;
	for (size_t i = 0; i < gr->waiter_count && !err; i++) {
		if (gr->waiters[i].in_select || first[gr->waiters[i].object] == gr->hold_count)
			continue;
		if (i % 1024 == 0)
			err = gi_interrupt_check();
		if (!err)
			err = waiter_edges(&e, &gr->waiters[i], &gr->infos[i], which);
	}
	return err;
}

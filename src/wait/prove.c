// Who can never run again, by the garbage collector's argument, and what that adds to the graph.
//
// A goroutine that waits on a channel, a lock, a group or a condition goes on only if somebody
// reaches that object. Those in a cycle of locks are stuck whatever they reach. What is left when
// the argument (reach.h) has run to its end can never run again: each such goroutine gets edges to
// those others of its kind that could have reached its object, for they are the only ones in
// the process that could have ended its wait. A circle of such edges is a deadlock through
// channels; one without any edge is unreachable: nobody but itself knows what it waits on.
//
// Goroutines that wait for the same in the same way cannot wake each other: no edges among them.
//
// Left alone, as if they could run: the runtime's own goroutines; those that wait for nothing
// (select {}, a nil channel), since programs park goroutines so on purpose; and those whose
// object is not known.

#include "wait/graph.h"
#include "wait/reach_kept.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HOLDERS = 64, MAX_PROOF_EDGES = 1 << 20 };

struct prove {
	struct gi_graph *gr;
	struct gi_reach_wait *waits;
	size_t count;
	uint64_t *objects; // of all waits, one after the other
	struct gi_reach_kept *reach;
	struct gi_map holders_of; // object to 1 + index into lists
	uint32_t *lists;	  // count, then indexes into waits
	size_t list_len, list_cap;
};

static bool may_end(enum gi_object_kind kind)
{
	switch (kind) {
	case GI_OBJECT_CHANNEL:
	case GI_OBJECT_MUTEX:
	case GI_OBJECT_RWMUTEX:
	case GI_OBJECT_WAITGROUP:
	case GI_OBJECT_COND:
	case GI_OBJECT_ONCE:
	case GI_OBJECT_SEMAPHORE:
		return true;
	default:
		return false;
	}
}

/** Adds the wait of goroutine g, if all that could end it is known. */
static void add_wait(struct prove *p, uint32_t g, size_t *used)
{
	struct gi_graph *gr = p->gr;
	struct gi_reach_wait w = {.g = g, .objects = p->objects + *used};

	// In a cycle of locks already, or behind one: nobody can wake it.
	if (gr->g_verdict[g]) {
		p->waits[p->count++] = w;
		return;
	}
	for (size_t i = gr->g_first[g]; i && i <= gr->waiter_count; i++) {
		const struct gi_waiter *x = &gr->waiters[i - 1];
		if (x->g != g)
			break;
		const struct gi_object *o = &gr->objects[x->object];
		if (!o->addr || !may_end(o->kind))
			return;
		p->objects[*used + w.object_count++] = o->addr;
	}
	if (!w.object_count)
		return;
	*used += w.object_count;
	p->waits[p->count++] = w;
}

static struct gi_error *collect(struct prove *p)
{
	struct gi_graph *gr = p->gr;
	size_t n = gi_go_g_count(gr->go), used = 0;

	p->waits = calloc(n + 1, sizeof(*p->waits));
	p->objects = malloc((gr->waiter_count + 1) * sizeof(*p->objects));
	if (!p->waits || !p->objects)
		return gi_error_nomem();
	for (size_t i = 0; i < n; i++) {
		const struct gi_g *g = gi_go_g(gr->go, i);
		if (!g->unreadable && !g->system && gr->g_first[i])
			add_wait(p, (uint32_t)i, &used);
	}
	return NULL;
}

// Many wait on the same object: who holds it is asked once.
static struct gi_error *holders(struct prove *p, uint64_t object, const uint32_t **ret,
				size_t *n_ret)
{
	uint64_t at;
	size_t n;

	if (!gi_map_get(&p->holders_of, object, &at)) {
		struct gi_error *err = gi_grow(&p->lists, &p->list_cap,
					       p->list_len + MAX_HOLDERS + 1, sizeof(*p->lists));
		if (err)
			return err;
		err = gi_reach_kept_holders(p->reach, object, p->lists + p->list_len + 1,
					    MAX_HOLDERS, &n);
		if (err)
			return err;
		if (n > MAX_HOLDERS)
			n = MAX_HOLDERS;
		at = p->list_len;
		p->lists[at] = (uint32_t)n;
		p->list_len += n + 1;
		err = gi_map_put(&p->holders_of, object, at);
		if (err)
			return err;
	}
	*ret = p->lists + at + 1;
	*n_ret = p->lists[at];
	return NULL;
}

static const char *evidence(struct prove *p, const struct gi_object *o, size_t others)
{
	const char *kind = gi_object_kind_name(o->kind);

	if (others == 1)
		return gi_graph_sentence(p->gr, "of all others, only its stack leads to this %s",
					 kind);
	return gi_graph_sentence(p->gr,
				 "its stack leads to this %s, as do those of %zu other%s, none of "
				 "which can run again",
				 kind, others - 1, others == 2 ? "" : "s");
}

/** True if all that h waits for is this object, as x does: it cannot wake x. */
static bool waits_alike(const struct gi_graph *gr, const struct gi_waiter *x, uint32_t h)
{
	size_t i = gr->g_first[h];

	if (!i)
		return false;
	for (; i <= gr->waiter_count && gr->waiters[i - 1].g == h; i++) {
		if (gr->waiters[i - 1].object != x->object || gr->waiters[i - 1].role != x->role)
			return false;
	}
	return true;
}

static bool has_edge(const struct gi_graph *gr, size_t first, uint32_t from, uint32_t to)
{
	for (size_t i = first; i < gr->edge_count; i++) {
		if (gr->edges[i].from == from && gr->edges[i].to == to)
			return true;
	}
	return false;
}

static struct gi_error *add_edges(struct prove *p, size_t i)
{
	struct gi_graph *gr = p->gr;
	uint32_t g = p->waits[i].g;
	struct gi_location where = {.function = "", .file = ""}, user = where;
	size_t first = gr->edge_count;

	struct gi_error *err = gi_unwind_locations(gr->u, gi_go_g(gr->go, g), &where, &user);
	gi_error_ignore(err);
	for (size_t k = gr->g_first[g]; k && k <= gr->waiter_count; k++) {
		const struct gi_waiter *x = &gr->waiters[k - 1];
		const uint32_t *who = NULL;
		size_t n = 0, others = 0;
		if (x->g != g)
			break;
		const struct gi_object *o = &gr->objects[x->object];
		err = holders(p, o->addr, &who, &n);
		if (err)
			return err;
		for (size_t h = 0; h < n; h++)
			others +=
				p->waits[who[h]].g != g && !waits_alike(gr, x, p->waits[who[h]].g);
		for (size_t h = 0; h < n && gr->edge_count < MAX_PROOF_EDGES; h++) {
			uint32_t to = p->waits[who[h]].g;
			if (to == g || waits_alike(gr, x, to) || has_edge(gr, first, g, to))
				continue;
			err = gi_grow(&gr->edges, &gr->edge_cap, gr->edge_count + 1,
				      sizeof(*gr->edges));
			if (err)
				return err;
			gr->edges[gr->edge_count++] = (struct gi_edge){
				.from = g,
				.to = to,
				.object = x->object,
				.strength = GI_STRENGTH_INFERRED,
				.evidence = evidence(p, o, others),
				.waits_at = user,
				.acquired_at = {.function = "", .file = ""},
			};
		}
	}
	return NULL;
}

static struct gi_error *conclude(struct prove *p)
{
	struct gi_graph *gr = p->gr;
	struct gi_error *err = NULL;

	gr->dead = calloc(gr->node_count + 1, 1);
	if (!gr->dead)
		return gi_error_nomem();
	for (size_t i = 0; i < p->count && !err; i++) {
		uint32_t g = p->waits[i].g;
		if (gr->g_verdict[g] || gi_reach_kept_is_live(p->reach, i))
			continue;
		gr->dead[g] = 1;
		if (i % 256 == 0)
			err = gi_interrupt_check();
		if (!err)
			err = add_edges(p, i);
	}
	return err;
}

struct gi_error *gi_graph_prove(struct gi_graph *gr)
{
	struct prove p = {.gr = gr};
	struct gi_error *err = collect(&p);

	if (!err && p.count) {
		err = gi_reach_kept_solve(gr->go, p.waits, p.count, &p.reach);
		if (err && gi_error_code(err) != GI_ERR_INTERRUPTED &&
		    gi_error_code(err) != GI_ERR_NOMEM) {
			// No proof is no reason to keep back what the locks say.
			gi_graph_add_note(gr, "who can reach what is not known: %s",
					  gi_error_message(err));
			gi_error_ignore(err);
			err = NULL;
		} else if (!err) {
			err = conclude(&p);
			if (!err)
				err = gi_reach_kept_keep(p.reach);
			if (!err)
				err = gi_graph_sort_edges(gr);
		}
	}
	gi_reach_kept_destroy(p.reach);
	gi_map_deinit(&p.holders_of);
	free(p.waits);
	free(p.objects);
	free(p.lists);
	return err;
}

// Who can never run again, by the garbage collector's argument, and what that adds to the graph.
//
// A goroutine that waits on a channel, a lock, a group or a condition goes on only if somebody
// reaches that object. Those in a cycle of locks are stuck whatever they reach. What is left when
// the argument (reach.h) has run to its end can never run again: each such goroutine gets edges to
// those others of its kind that could have reached its object, for they are the only ones in
// the process that could have ended its wait. A circle of such edges is a deadlock through
// channels; one without any edge is unreachable: nobody but itself knows what it waits on.
//
// Who waits for a lock whose owner is known goes on only after the owner: it is live if the
// owner is, whoever may reach the lock. It is asked about by what the owner waits on, or the
// owner's owner. As owners are inferred, so is what follows from them: the argument is run
// without them first, and only what it proves then is exact.
//
// Goroutines that wait for the same in the same way cannot wake each other: no edges among them.
//
// Whoever is left could still be woken, but perhaps only by goroutines that are in C, and may never come
// back. So the argument is run once more as if those could never go on: who cannot go on then either,
// but could before, waits for one of them, by its stack, or by that of another who does. Such edges lead
// only to who is nearer to C, so they close no circle; they prove nothing.
//
// Left alone, as if they could run: the runtime's own goroutines; those that wait for nothing
// (select {}, a nil channel), since programs park goroutines so on purpose; those whose
// object is not known; and those in whose name the runtime waits.

#include "gcore/pthread.h"
#include "wait/graph.h"
#include "wait/reach_kept.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HOLDERS = 64, MAX_PROOF_EDGES = 1 << 20, MAX_OWNERS = 64, MAX_CHANNEL_FRAMES = 8,
       MAX_AWAY_FROM_C = 64 };

struct prove {
	struct gi_graph *gr;
	struct gi_reach_wait *waits;
	size_t count;
	uint64_t *objects; // of all waits, one after the other
	size_t object_cap;
	size_t *first_edge; // of each goroutine, among the edges to owners
	size_t owner_edges;
	bool by_owner;	   // owners count
	bool any_by_owner; // somebody is asked about by an owner
	bool without_c;	   // who is in C never goes on
	struct gi_reach_kept *reach;
	struct gi_map holders_of; // object to 1 + index into lists
	uint32_t *lists;	  // count, then indexes into waits
	size_t list_len, list_cap;
	struct gi_frames fs;
	uint8_t *asked; // of each goroutine: 1 + is_runtimes(), 0 not yet; shared by all runs
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

static bool has_owner(const struct prove *p, uint32_t g)
{
	return p->first_edge[g] < p->owner_edges && p->gr->edges[p->first_edge[g]].from == g;
}

/** True if all that could end g's wait is known. */
static bool is_known(const struct gi_graph *gr, uint32_t g)
{
	size_t n = 0;

	for (size_t i = gr->g_first[g]; i && i <= gr->waiter_count; i++, n++) {
		const struct gi_waiter *x = &gr->waiters[i - 1];
		if (x->g != g)
			break;
		const struct gi_object *o = &gr->objects[x->object];
		if (!o->addr || !may_end(o->kind))
			return false;
	}
	return n > 0;
}

/**
 * True if the runtime itself waits on a channel, in g's name: for a goroutine of its own that it has
 * just started, of which nothing may be known yet.
 */
static bool is_runtimes(struct prove *p, uint32_t g)
{
	static const char *const channels[] = {"runtime.gopark", "runtime.goparkunlock",
					       "runtime.chanrecv", "runtime.chansend",
					       "runtime.selectgo", "runtime.block"};
	const struct gi_graph *gr = p->gr;
	struct gi_error *err;

	if (gr->objects[gr->waiters[gr->g_first[g] - 1].object].kind != GI_OBJECT_CHANNEL)
		return false;
	err = gi_frames_collect(&p->fs, gr->u, gi_go_g(gr->go, g), MAX_CHANNEL_FRAMES);
	gi_error_ignore(err);
	for (size_t i = 0; !err && i < p->fs.n; i++) {
		const char *name = p->fs.f[i].name;
		bool is_channels = false;
		for (size_t k = 0; k < GI_ARRAY_SIZE(channels); k++)
			is_channels |= strncmp(name, channels[k], strlen(channels[k])) == 0;
		if (!is_channels)
			return strncmp(name, "runtime.", 8) == 0;
	}
	return false;
}

static bool is_in_runtimes_name(struct prove *p, uint32_t g)
{
	if (!p->asked[g])
		p->asked[g] = 1 + is_runtimes(p, g);
	return p->asked[g] == 2;
}

static bool is_in_c(const struct prove *p, uint32_t g)
{
	const struct gi_g *gp = gi_go_g(p->gr->go, g);

	return !gp->system && gi_g_is_in_c(p->gr->go, gp);
}

/**
 * Who must go on before g does: itself if it waits for no owner, else the owner at the end of
 * the way. False if that one can run, as far as is known.
 */
static bool last_owner(const struct prove *p, uint32_t g, uint32_t *ret)
{
	const struct gi_graph *gr = p->gr;

	for (unsigned n = 0; n < MAX_OWNERS && g < gi_go_g_count(gr->go); n++) {
		const bool in_c = p->without_c && is_in_c(p, g);
		if (in_c || gr->g_verdict[g] || !has_owner(p, g)) {
			*ret = g;
			return in_c || gr->g_verdict[g] || is_known(gr, g);
		}
		// Of several owners (readers, members of a group) all must go on: one that waits.
		size_t e = p->first_edge[g];
		while (e < p->owner_edges && gr->edges[e].from == g &&
		       !gr->g_first[gr->edges[e].to] &&
		       !(p->without_c && gr->edges[e].to < gi_go_g_count(gr->go) &&
			 is_in_c(p, gr->edges[e].to)))
			e++;
		if (e == p->owner_edges || gr->edges[e].from != g)
			return false;
		g = gr->edges[e].to;
	}
	return false;
}

/** Adds the wait of goroutine g, if all that could end it is known. */
static struct gi_error *add_wait(struct prove *p, uint32_t g, size_t *used)
{
	struct gi_graph *gr = p->gr;
	// The first run has proved it: in the second there is nothing left to ask of it.
	struct gi_reach_wait w = {.g = g, .is_dead = gr->dead[g]};
	struct gi_error *err;
	uint32_t last;

	if (p->without_c && is_in_c(p, g)) {
		w.whatever_state = true;
		p->waits[p->count++] = w;
		return NULL;
	}
	if (!p->by_owner || gr->dead[g]) {
		last = g;
		if (!gr->g_verdict[g] && !is_known(gr, g))
			return NULL;
	} else if (!last_owner(p, g, &last)) {
		return NULL;
	}
	p->any_by_owner |= last != g;
	// In a cycle of locks already, or behind one, or dead without owners: nobody can wake it.
	const bool never = gr->g_verdict[last] || gr->dead[g] ||
			   (p->without_c && is_in_c(p, last));
	for (size_t i = never ? 0 : gr->g_first[last];
	     i && i <= gr->waiter_count && gr->waiters[i - 1].g == last; i++) {
		err = gi_grow(&p->objects, &p->object_cap, *used + w.object_count + 1,
			      sizeof(*p->objects));
		if (err)
			return err;
		p->objects[*used + w.object_count++] = gr->objects[gr->waiters[i - 1].object].addr;
	}
	*used += w.object_count;
	p->waits[p->count++] = w;
	return NULL;
}

static struct gi_error *collect(struct prove *p)
{
	struct gi_graph *gr = p->gr;
	size_t n = gi_go_g_count(gr->go), used = 0;
	struct gi_error *err = NULL;

	p->waits = calloc(n + 1, sizeof(*p->waits));
	p->first_edge = malloc((n + 1) * sizeof(*p->first_edge));
	if (!p->waits || !p->first_edge)
		return gi_error_nomem();
	p->owner_edges = gr->edge_count;
	for (size_t i = 0; i < n; i++)
		p->first_edge[i] = p->owner_edges;
	for (size_t i = p->owner_edges; i-- > 0;)
		if (gr->edges[i].from < n)
			p->first_edge[gr->edges[i].from] = i;
	for (size_t i = 0; i < n && !err; i++) {
		const struct gi_g *g = gi_go_g(gr->go, i);
		const bool in_c = p->without_c && is_in_c(p, (uint32_t)i);
		if (!g->unreadable && !g->system &&
		    (in_c || (gr->g_first[i] && !is_in_runtimes_name(p, (uint32_t)i))))
			err = add_wait(p, (uint32_t)i, &used);
	}
	// Only now do the objects stay where they are.
	const uint64_t *at = p->objects;
	for (size_t i = 0; i < p->count; i++) {
		p->waits[i].objects = at;
		at += p->waits[i].object_count;
	}
	return err;
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
		err = gi_reach_kept_holders(p->reach, object, p->lists + p->list_len + 1, MAX_HOLDERS,
				       &n);
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

static bool has_edge(const struct gi_graph *gr, size_t first, uint32_t from, uint32_t to)
{
	for (size_t i = first; i < gr->edge_count; i++) {
		if (gr->edges[i].from == from && gr->edges[i].to == to)
			return true;
	}
	return false;
}

static struct gi_error *add_edge(struct gi_graph *gr, uint32_t g, uint32_t to, uint32_t object,
				 const struct gi_location *at, const char *evidence)
{
	return gi_graph_add_edge(gr, &(struct gi_edge){
					     .from = g,
					     .to = to,
					     .object = object,
					     .strength = GI_STRENGTH_INFERRED,
					     .evidence = evidence,
					     .waits_at = *at,
					     .acquired_at = {.function = "", .file = ""},
				     });
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
				p->waits[who[h]].g != g && !gi_graph_waits_alike(gr, x, p->waits[who[h]].g);
		for (size_t h = 0; h < n && gr->edge_count < MAX_PROOF_EDGES; h++) {
			uint32_t to = p->waits[who[h]].g;
			if (to == g || gi_graph_waits_alike(gr, x, to) || has_edge(gr, first, g, to))
				continue;
			err = add_edge(gr, g, to, x->object, &user, evidence(p, o, others));
			if (err)
				return err;
		}
	}
	return NULL;
}

/** Notes who is dead; those that were not so before are dead by their owners. */
static void note_dead(struct prove *p)
{
	struct gi_graph *gr = p->gr;

	for (size_t i = 0; i < p->count; i++) {
		uint32_t g = p->waits[i].g;
		if (!gr->g_verdict[g] && !gr->dead[g] && !gi_reach_kept_is_live(p->reach, i))
			gr->dead[g] = p->by_owner ? GI_DEAD_BY_OWNER : GI_DEAD;
	}
}

static struct gi_error *conclude(struct prove *p)
{
	struct gi_graph *gr = p->gr;
	struct gi_error *err = NULL;

	for (size_t i = 0; i < p->count && !err; i++) {
		uint32_t g = p->waits[i].g;
		if (!gr->dead[g])
			continue;
		if (i % 256 == 0)
			err = gi_interrupt_check();
		if (!err && !has_owner(p, g))
			err = add_edges(p, i);
	}
	return err;
}

/** Runs the argument for all waits. */
static struct gi_error *argue(struct prove *p)
{
	struct gi_error *err = collect(p);

	if (err || !p->count || (p->by_owner && !p->any_by_owner))
		return err;
	err = gi_reach_kept_solve(p->gr->go, p->by_owner ? "reach-owners" : "reach", p->waits,
				  p->count, &p->reach);
	if (!err)
		note_dead(p);
	return err;
}

/** What came of it, and what follows. */
static struct gi_error *finish(struct prove *p)
{
	struct gi_error *err = p->reach ? conclude(p) : NULL;

	return !err && p->reach ? gi_reach_kept_keep(p->reach) : err;
}

// --- who waits for those in C -----------------------------------------------------------------

/** Is there anybody in C, and anybody who could go on of whom no global leads to what it waits for? */
static bool worth_asking(const struct prove *p, const struct gi_reach_kept *before)
{
	const struct gi_graph *gr = p->gr;
	bool c = false, waits = false;

	for (uint32_t g = 0; g < gi_go_g_count(gr->go) && !(c && waits); g++) {
		if (is_in_c(p, g)) {
			c = true;
			continue;
		}
		bool ok = !waits && gr->g_first[g] && !gr->dead[g] && !gr->g_verdict[g] &&
			  is_known(gr, g);
		for (size_t i = gr->g_first[g]; ok && i <= gr->waiter_count; i++) {
			if (gr->waiters[i - 1].g != g)
				break;
			ok = !gi_reach_kept_from_globals(
				before, gr->objects[gr->waiters[i - 1].object].addr);
		}
		waits |= ok;
	}
	return c && waits;
}

/**
 * The edges of a wait to those whose stacks lead to what it waits for: all who are in C, else one that
 * waits for them. near: for each goroutine, whether it is one of these.
 */
static struct gi_error *add_edges_to_c(struct prove *p, uint32_t g, uint8_t *near)
{
	struct gi_graph *gr = p->gr;
	struct gi_location where = {.function = "", .file = ""}, user = where;
	uint32_t via = UINT32_MAX, via_object = 0;
	size_t first = gr->edge_count, free_ones = 0;
	struct gi_error *err = NULL;

	gi_error_ignore(gi_unwind_locations(gr->u, gi_go_g(gr->go, g), &where, &user));
	// First those of whom nothing is said yet: who waits for one that can never go on, and for another, may go on.
	for (int stuck = 0; stuck < 2 && !free_ones; stuck++) {
		for (size_t k = gr->g_first[g]; k && k <= gr->waiter_count; k++) {
			const struct gi_waiter *x = &gr->waiters[k - 1];
			const uint32_t *who = NULL;
			size_t n = 0;
			if (x->g != g)
				break;
			const struct gi_object *o = &gr->objects[x->object];
			err = holders(p, o->addr, &who, &n);
			if (err)
				return err;
			for (size_t h = 0; h < n && gr->edge_count < MAX_PROOF_EDGES; h++) {
				const uint32_t to = p->waits[who[h]].g;
				if (!near[to] || to == g || gi_graph_waits_alike(gr, x, to) ||
				    has_edge(gr, first, g, to))
					continue;
				if (!is_in_c(p, to)) {
					via = to;
					via_object = x->object;
					continue;
				}
				if (!gr->g_verdict[to] != !stuck)
					continue;
				free_ones++;
				err = add_edge(gr, g, to, x->object, &user,
					       gi_graph_sentence(
						       gr,
						       "it is in C, and of those who could go "
						       "on only stacks of such lead to this %s",
						       gi_object_kind_name(o->kind)));
				if (err)
					return err;
			}
		}
	}
	if (!free_ones && via != UINT32_MAX) {
		err = add_edge(gr, g, via, via_object, &user,
			       gi_graph_sentence(gr,
						 "its stack leads to this %s, and it waits for one "
						 "that is in C",
						 gi_object_kind_name(gr->objects[via_object].kind)));
		free_ones = !err;
	}
	near[g] = free_ones > 0;
	return err;
}

/** Round by round away from those in C. */
static struct gi_error *conclude_c(struct prove *p)
{
	struct gi_graph *gr = p->gr;
	_cleanup_(gi_freep) uint8_t *near = calloc(gr->node_count + 1, 1);
	_cleanup_(gi_freep) uint8_t *next = calloc(gr->node_count + 1, 1);
	bool changed = true;
	struct gi_error *err = NULL;

	if (!near || !next)
		return gi_error_nomem();
	for (uint32_t g = 0; g < gi_go_g_count(gr->go); g++)
		near[g] = is_in_c(p, g);
	memcpy(next, near, gr->node_count + 1);
	for (int round = 0; changed && !err && round < MAX_AWAY_FROM_C; round++) {
		changed = false;
		for (size_t i = 0; i < p->count && !err; i++) {
			const uint32_t g = p->waits[i].g;
			if (near[g] || gr->dead[g] || gr->g_verdict[g] ||
			    gi_reach_kept_is_live(p->reach, i))
				continue;
			err = gi_interrupt_check();
			for (size_t e = p->first_edge[g];
			     has_owner(p, g) && e < p->owner_edges && gr->edges[e].from == g; e++)
				next[g] |= near[gr->edges[e].to];
			if (!err && !has_owner(p, g)) {
				err = add_edges_to_c(p, g, near);
				// The others of this round do not see it yet.
				next[g] = near[g];
				near[g] = 0;
			}
			changed |= next[g] != 0;
		}
		memcpy(near, next, gr->node_count + 1);
	}
	return err;
}

static struct gi_error *find_behind_c(struct prove *p, const struct gi_reach_kept *before)
{
	struct gi_error *err;

	if (!worth_asking(p, before))
		return NULL;
	err = collect(p);
	if (!err)
		err = gi_reach_kept_solve(p->gr->go, "reach-c", p->waits, p->count, &p->reach);
	if (!err)
		err = conclude_c(p);
	if (!err)
		err = gi_reach_kept_keep(p->reach);
	// Nothing but a story is lost.
	if (err && gi_error_code(err) != GI_ERR_INTERRUPTED && gi_error_code(err) != GI_ERR_NOMEM) {
		gi_error_ignore(err);
		err = NULL;
	}
	return err;
}

static void prove_deinit(struct prove *p)
{
	gi_reach_kept_destroy(p->reach);
	gi_map_deinit(&p->holders_of);
	free(p->waits);
	free(p->objects);
	free(p->first_edge);
	free(p->lists);
	gi_frames_deinit(&p->fs);
}

static struct gi_error *prove(struct gi_graph *gr)
{
	_cleanup_(gi_freep) uint8_t *asked = calloc(gi_go_g_count(gr->go) + 1, 1);
	struct prove first = {.gr = gr, .asked = asked};
	struct prove second = {.gr = gr, .asked = asked, .by_owner = true};
	struct prove third = {.gr = gr, .asked = asked, .by_owner = true, .without_c = true};
	struct gi_error *err;

	gr->dead = calloc(gr->node_count + 1, 1);
	if (!gr->dead || !asked)
		return gi_error_nomem();
	err = argue(&first);
	if (!err && first.reach)
		err = argue(&second);
	if (!err && second.reach) {
		err = gi_reach_kept_keep(first.reach);
		if (!err)
			err = finish(&second);
	} else if (!err) {
		err = finish(&first);
	}
	if (!err && first.reach)
		err = find_behind_c(&third, first.reach);
	prove_deinit(&first);
	prove_deinit(&second);
	prove_deinit(&third);
	return err ? err : gi_graph_sort_edges(gr);
}

struct gi_error *gi_graph_prove(struct gi_graph *gr)
{
	struct gi_error *err = prove(gr);

	if (err && gi_error_code(err) != GI_ERR_INTERRUPTED &&
	    gi_error_code(err) != GI_ERR_NOMEM) {
		// No proof is no reason to keep back what the locks say.
		gi_graph_add_note(gr, "who can reach what is not known: %s", gi_error_message(err));
		gi_error_ignore(err);
		err = NULL;
	}
	return err;
}

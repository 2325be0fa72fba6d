// Circles of waits that somebody could break, though nobody is seen to: suspects.
//
// A goroutine that waits on a channel or a condition that a global leads to may always be woken by
// code that is not there yet. But often all goroutines that are seen to come to wake it (their code
// ahead of where they stand sends on the channel, receives from it, closes it, signals) wait
// themselves, for each other. Such a circle is told of, and counted as nothing.
//
// So: who comes to wake what is read from the code ahead of each frame, with the frame's values. Of those
// who wait, everybody is taken to be stuck whose known wakers (or owner of a lock) are; those who have
// none, or one that is not stuck, are struck off until nobody is left to strike off. Who waits for the
// same in the same way wakes nobody of its kind: workers that put a job back are no circle. What is left
// in circles is a suspect only if no other goroutine's stack leads to any of their objects: that is
// asked of the collector's argument (reach.h) without globals, and only if there are circles.
//
// Waits that a select chooses from must all have known wakers: one on a context's Done has none.

#include <stdlib.h>
#include <string.h>

#include "wait/graph.h"
#include "wait/reach.h"
#include "wait/scc.h"

enum {
	MAX_FRAMES_LOOKED_AT = 64, // of one goroutine, innermost
	MAX_GOROUTINES = 20000,	   // whose code is looked at; with more there are no suspects
	MAX_WAKES = 1 << 18,
	MAX_LINKS = 1 << 20,
};

/** g comes to wake those who wait on an object. */
struct wake {
	uint32_t object, g;
	uint8_t what; // enum gi_wake_kind
	uint64_t pc;
};

/** from goes on only after to. */
struct link {
	uint32_t from, to;
	uint32_t edge; // of the graph, or UINT32_MAX
	uint32_t wake;
};

struct suspects {
	struct gi_graph *gr;
	struct gi_frames fs;
	struct gi_map places; // pc to struct gi_point *, NULL: nothing ahead
	struct wake *wakes;   // sorted by object
	size_t wake_count, wake_cap;
	size_t *first; // of each object, among the wakes; one more at the end
	struct link *links;
	size_t link_count, link_cap;
	struct gi_pccache *pcs; // of what evidence names
	uint8_t *stuck; // of each goroutine, as far as is known
	bool changed;
};

static bool is_event(enum gi_object_kind kind)
{
	return kind == GI_OBJECT_CHANNEL || kind == GI_OBJECT_COND;
}

static bool is_object_that_ends(const struct gi_object *o)
{
	return o->addr && (is_event(o->kind) || o->kind == GI_OBJECT_MUTEX ||
			   o->kind == GI_OBJECT_RWMUTEX || o->kind == GI_OBJECT_WAITGROUP ||
			   o->kind == GI_OBJECT_ONCE);
}

// --- who comes to wake what -----------------------------------------------------------------

static const struct gi_point *place_of(struct suspects *s, const struct gi_phys *f)
{
	const uint64_t key = f->pc << 1 | f->exact;
	const struct gi_point *pt = NULL;
	uint64_t at;

	if (gi_map_get(&s->places, key, &at))
		return (const struct gi_point *)(uintptr_t)at;
	if (strncmp(f->name, "runtime.", 8) != 0 && strncmp(f->name, "sync.", 5) != 0) {
		const struct gi_point *found = gi_wait_point(&s->gr->env, f);
		for (size_t i = 0; found && i < found->ahead_count && !pt; i++)
			pt = found->ahead[i].kind >= GI_WAKE_SEND ? found : NULL;
	}
	gi_error_ignore(gi_map_put(&s->places, key, (uint64_t)(uintptr_t)pt));
	return pt;
}

static struct gi_error *add_wakes(struct suspects *s, uint32_t g, size_t i,
				  const struct gi_point *pt)
{
	struct gi_graph *gr = s->gr;
	struct gi_error *err = NULL;

	for (size_t k = 0; k < pt->ahead_count && !err && s->wake_count < MAX_WAKES; k++) {
		const struct gi_ahead *a = &pt->ahead[k];
		enum gi_object_kind kind =
			a->kind == GI_WAKE_SIGNAL ? GI_OBJECT_COND : GI_OBJECT_CHANNEL;
		uint64_t addr;
		uint32_t object;
		bool reread;

		if (a->kind < GI_WAKE_SEND ||
		    !gi_wait_eval(&gr->env, &s->fs, i, pt, a->recv, &addr, &reread) ||
		    !gi_graph_has_object(gr, kind, addr, &object))
			continue;
		err = gi_grow(&s->wakes, &s->wake_cap, s->wake_count + 1, sizeof(*s->wakes));
		if (!err)
			s->wakes[s->wake_count++] = (struct wake){
				.object = object,
				.g = g,
				.what = a->kind,
				.pc = gi_fn_site_pc(pt->fn, a->site),
			};
	}
	return err;
}

static int by_object(const void *a, const void *b)
{
	const struct wake *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	if (x->g != y->g)
		return x->g < y->g ? -1 : 1;
	return x->pc < y->pc ? -1 : x->pc > y->pc;
}

static struct gi_error *find_wakes(struct suspects *s)
{
	struct gi_graph *gr = s->gr;
	struct gi_error *err = NULL;

	for (size_t i = 0; i < gi_go_g_count(gr->go) && !err; i++) {
		const struct gi_g *g = gi_go_g(gr->go, i);
		if (i % 256 == 0)
			err = gi_interrupt_check();
		if (err || g->unreadable || g->system || gi_g_is_dead(g))
			continue;
		struct gi_error *unread =
			gi_frames_collect(&s->fs, gr->u, g, MAX_FRAMES_LOOKED_AT);
		if (unread) {
			gi_error_ignore(unread);
			continue;
		}
		for (size_t k = 0; k < s->fs.n && !err; k++) {
			const struct gi_point *pt = place_of(s, &s->fs.f[k]);
			if (pt)
				err = add_wakes(s, (uint32_t)i, k, pt);
		}
	}
	s->first = calloc(gr->object_count + 2, sizeof(*s->first));
	if (!err && !s->first)
		err = gi_error_nomem();
	if (err || !s->wake_count)
		return err;
	qsort(s->wakes, s->wake_count, sizeof(*s->wakes), by_object);
	for (size_t i = 0; i < s->wake_count; i++)
		s->first[s->wakes[i].object + 1]++;
	for (size_t i = 1; i <= gr->object_count; i++)
		s->first[i] += s->first[i - 1];
	return NULL;
}

// --- who is stuck, then -------------------------------------------------------------------------

/** Would that wake the waiter? */
static bool ends(enum gi_wait_role role, uint8_t what)
{
	switch (role) {
	case GI_ROLE_RECEIVE:
		return what == GI_WAKE_SEND || what == GI_WAKE_CLOSE;
	case GI_ROLE_SEND:
		return what == GI_WAKE_RECEIVE;
	default:
		return what == GI_WAKE_SIGNAL;
	}
}

static struct gi_error *add_link(struct suspects *s, struct link l)
{
	struct gi_error *err;

	if (s->link_count >= MAX_LINKS)
		return NULL;
	err = gi_grow(&s->links, &s->link_cap, s->link_count + 1, sizeof(*s->links));
	if (!err)
		s->links[s->link_count++] = l;
	return err;
}

/** Do only stuck ones come to end that wait? With links: notes them. */
static struct gi_error *look_at_wait(struct suspects *s, const struct gi_waiter *x, bool links,
				     bool *ret)
{
	struct gi_graph *gr = s->gr;
	struct gi_error *err = NULL;
	size_t known = 0;

	*ret = false;
	for (size_t i = s->first[x->object]; i < s->first[x->object + 1] && !err; i++) {
		const struct wake *w = &s->wakes[i];
		if (!ends(x->role, w->what) || w->g == x->g || gi_graph_waits_alike(gr, x, w->g))
			continue;
		if (!s->stuck[w->g])
			return NULL;
		if (links)
			err = add_link(s, (struct link){x->g, w->g, UINT32_MAX, (uint32_t)i});
		known++;
	}
	*ret = known > 0;
	return err;
}

/** The edges of the graph from g, to owners: any of them keeps it from going on. */
static struct gi_error *look_at_edges(struct suspects *s, uint32_t g, size_t first, bool links,
				      bool *ret)
{
	const struct gi_graph *gr = s->gr;
	struct gi_error *err = NULL;

	*ret = false;
	for (size_t i = first; i < gr->edge_count && gr->edges[i].from == g && !err; i++) {
		const uint32_t to = gr->edges[i].to;
		if (to >= gi_go_g_count(gr->go) || !s->stuck[to])
			continue;
		*ret = true;
		if (links)
			err = add_link(s, (struct link){g, to, (uint32_t)i, 0});
	}
	return err;
}

static struct gi_error *look_at(struct suspects *s, uint32_t g, size_t first_edge, bool links,
				bool *ret)
{
	const struct gi_graph *gr = s->gr;
	struct gi_error *err = NULL;
	bool ok = true;

	if (first_edge < gr->edge_count && gr->edges[first_edge].from == g)
		return look_at_edges(s, g, first_edge, links, ret);
	for (size_t i = gr->g_first[g]; ok && !err && i <= gr->waiter_count; i++) {
		const struct gi_waiter *x = &gr->waiters[i - 1];
		if (x->g != g)
			break;
		ok = is_event(gr->objects[x->object].kind);
		if (ok)
			err = look_at_wait(s, x, links, &ok);
	}
	*ret = ok;
	return err;
}

static struct gi_error *each_stuck(struct suspects *s, bool links)
{
	const struct gi_graph *gr = s->gr;
	struct gi_error *err = NULL;
	size_t e = 0;
	bool ok;

	s->changed = false;
	for (size_t g = 0; g < gi_go_g_count(gr->go) && !err; g++) {
		while (e < gr->edge_count && gr->edges[e].from < g)
			e++;
		if (!s->stuck[g])
			continue;
		err = look_at(s, (uint32_t)g, e, links, &ok);
		if (!err && !ok) {
			s->stuck[g] = 0;
			s->changed = true;
		}
	}
	return err;
}

/** Everybody who waits for nothing but what others end, and of whom nothing was said. */
static size_t candidates(struct suspects *s)
{
	const struct gi_graph *gr = s->gr;
	size_t n = 0;

	for (size_t g = 0; g < gi_go_g_count(gr->go); g++) {
		const struct gi_g *gp = gi_go_g(gr->go, g);
		bool ok = gr->g_first[g] && !gr->g_verdict[g] && !gp->system && !gp->unreadable &&
			  !(gr->dead && gr->dead[g]);
		for (size_t i = gr->g_first[g]; ok && i <= gr->waiter_count; i++) {
			if (gr->waiters[i - 1].g != g)
				break;
			ok = is_object_that_ends(&gr->objects[gr->waiters[i - 1].object]);
		}
		s->stuck[g] = ok;
		n += ok;
	}
	return n;
}

// --- telling ------------------------------------------------------------------------------------

/** Strikes off those that are left who wait for what a stack of others leads to. */
static struct gi_error *only_globals(struct suspects *s)
{
	const struct gi_graph *gr = s->gr;
	const size_t gs = gi_go_g_count(gr->go);
	_cleanup_(gi_freep) uint32_t *members = malloc((gs + 1) * sizeof(*members));
	size_t n = 0;

	for (size_t g = 0; g < gs && members; g++) {
		if (s->stuck[g])
			members[n++] = (uint32_t)g;
	}
	_cleanup_(gi_freep) struct gi_reach_wait *waits = calloc(n + 1, sizeof(*waits));
	_cleanup_(gi_freep) uint64_t *objects = NULL;
	_cleanup_(gi_reach_destroyp) struct gi_reach *r = NULL;
	size_t cap = 0, used = 0;
	struct gi_error *err = waits && members ? NULL : gi_error_nomem();

	for (size_t i = 0; i < n && !err; i++) {
		waits[i].g = members[i];
		for (size_t k = gr->g_first[members[i]];
		     !err && k <= gr->waiter_count && gr->waiters[k - 1].g == members[i]; k++) {
			err = gi_grow(&objects, &cap, used + 1, sizeof(*objects));
			if (!err)
				objects[used++] = gr->objects[gr->waiters[k - 1].object].addr;
			waits[i].object_count++;
		}
	}
	for (size_t i = 0, at = 0; i < n && !err; at += waits[i++].object_count)
		waits[i].objects = objects + at;
	if (!err)
		err = gi_reach_solve_stacks(gr->go, waits, n, &r);
	if (err && (gi_error_code(err) == GI_ERR_NOMEM || gi_error_code(err) == GI_ERR_INTERRUPTED))
		return err;
	if (err) {
		// Nothing is known of the heap: no suspicion, either.
		gi_error_ignore(err);
		memset(s->stuck, 0, gs);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		s->stuck[members[i]] = !gi_reach_is_live(r, i);
	return NULL;
}

static const char *evidence(struct suspects *s, const struct wake *w)
{
	static const char *const words[] = {
		[GI_WAKE_SEND - GI_WAKE_SEND] = "comes to send on it",
		[GI_WAKE_CLOSE - GI_WAKE_SEND] = "comes to close it",
		[GI_WAKE_RECEIVE - GI_WAKE_SEND] = "comes to receive from it",
		[GI_WAKE_SIGNAL - GI_WAKE_SEND] = "comes to signal it",
	};
	const struct gi_pcinfo *info = NULL;
	struct gi_error *err = s->pcs ? NULL : gi_pccache_create(s->gr->env.ft, &s->pcs);

	if (!err)
		info = gi_pccache_get(s->pcs, w->pc, false);
	gi_error_ignore(err);
	if (!info || !info->call_count)
		return gi_graph_sentence(s->gr, "it %s", words[w->what - GI_WAKE_SEND]);
	return gi_graph_sentence(s->gr, "it %s in %s at %s:%u", words[w->what - GI_WAKE_SEND],
				 info->calls[0].name ? info->calls[0].name : "",
				 info->calls[0].file ? info->calls[0].file : "",
				 (unsigned)info->calls[0].line);
}

/** The edge of a link, made if the graph does not have it. */
static struct gi_error *edge_of(struct suspects *s, const struct link *l, uint32_t *ret)
{
	struct gi_graph *gr = s->gr;
	struct gi_location where = {.function = "", .file = ""}, user = where;
	struct gi_error *err = NULL;

	*ret = l->edge;
	if (l->edge != UINT32_MAX)
		return NULL;
	err = gi_unwind_locations(gr->u, gi_go_g(gr->go, l->from), &where, &user);
	gi_error_ignore(err);
	*ret = (uint32_t)gr->edge_count;
	return gi_graph_add_edge(gr, &(struct gi_edge){
					     .from = l->from,
					     .to = l->to,
					     .object = s->wakes[l->wake].object,
					     .strength = GI_STRENGTH_INFERRED,
					     .evidence = evidence(s, &s->wakes[l->wake]),
					     .waits_at = user,
					     .acquired_at = {.function = "", .file = ""},
				     });
}

static struct gi_error *tell(struct suspects *s, const uint32_t *path, size_t n)
{
	struct gi_graph *gr = s->gr;
	uint32_t *gs = gi_arena_alloc(gr->arena, (n + 1) * sizeof(*gs));
	uint32_t *edges = gi_arena_alloc(gr->arena, (n + 1) * sizeof(*edges));
	struct gi_verdict v = {.kind = GI_VERDICT_SUSPECT,
			       .strength = GI_STRENGTH_INFERRED,
			       .goroutines = gs,
			       .goroutine_count = n,
			       .edges = edges,
			       .edge_count = n,
			       .root = gr->verdict_count};
	struct gi_error *err = gs && edges ? NULL : gi_error_nomem();
	size_t at;

	for (size_t i = 0; i < n && !err; i++) {
		gs[i] = s->links[path[i]].from;
		err = edge_of(s, &s->links[path[i]], &edges[i]);
	}
	if (!err)
		err = gi_graph_add_verdict(gr, &v, &at);
	for (size_t i = 0; i < n && !err; i++)
		gr->g_verdict[gs[i]] = (uint32_t)at + 1;
	return err;
}

/** One circle of each component of those that are left. */
static struct gi_error *find_circles(struct suspects *s)
{
	const size_t n = gi_go_g_count(s->gr->go), m = s->link_count;
	_cleanup_(gi_freep) uint32_t *from = malloc((m + 1) * sizeof(*from));
	_cleanup_(gi_freep) uint32_t *to = malloc((m + 1) * sizeof(*to));
	_cleanup_(gi_freep) uint32_t *component = malloc((n + 1) * sizeof(*component));
	_cleanup_(gi_freep) uint32_t *path = malloc((n + 1) * sizeof(*path));
	_cleanup_(gi_freep) uint8_t *tried = calloc(n + 1, 1);
	struct gi_digraph d = {0};
	struct gi_error *err = NULL;
	uint32_t count;

	if (!from || !to || !component || !path || !tried)
		return gi_error_nomem();
	for (size_t i = 0; i < m; i++) {
		from[i] = s->links[i].from;
		to[i] = s->links[i].to;
	}
	err = gi_digraph_init(&d, n, from, to, m);
	if (!err)
		err = gi_scc(&d, component, &count);
	for (size_t i = 0; i < m && !err; i++) {
		const uint32_t c = component[from[i]];
		if (tried[c] || component[to[i]] != c)
			continue;
		tried[c] = 1;
		size_t len = gi_digraph_cycle(&d, component, from[i], NULL, path);
		if (len > 1)
			err = tell(s, path, len);
	}
	gi_digraph_deinit(&d);
	return err;
}

/** Strikes off who is not stuck, until nobody is; then notes the links among the others. */
static struct gi_error *settle(struct suspects *s)
{
	struct gi_error *err;

	do {
		err = each_stuck(s, false);
	} while (!err && s->changed);
	s->link_count = 0;
	return err ? err : each_stuck(s, true);
}

static struct gi_error *find(struct suspects *s)
{
	const size_t n = gi_go_g_count(s->gr->go);
	struct gi_error *err;

	s->stuck = calloc(n + 1, 1);
	if (!s->stuck)
		return gi_error_nomem();
	if (n > MAX_GOROUTINES || candidates(s) < 2)
		return NULL;
	err = find_wakes(s);
	if (err || !s->wake_count)
		return err;
	err = settle(s);
	if (err || !s->link_count)
		return err;
	err = only_globals(s);
	if (!err)
		err = settle(s);
	return err || !s->link_count ? err : find_circles(s);
}

struct gi_error *gi_graph_find_suspects(struct gi_graph *gr)
{
	struct suspects s = {.gr = gr};
	struct gi_error *err = find(&s);

	gi_frames_deinit(&s.fs);
	gi_map_deinit(&s.places);
	gi_pccache_destroy(s.pcs);
	free(s.wakes);
	free(s.first);
	free(s.links);
	free(s.stuck);
	return err;
}

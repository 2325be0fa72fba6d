// What follows from the edges.
//
// Each edge says: from cannot go on before to does. So a component of goroutines that wait for
// each other is stuck for good (a cycle; of one goroutine: self), and so is everyone who waits
// for one of them, which is told as collateral of that root and not as another root. A goroutine
// that was proved never to run again (prove.c), and waits for nobody who is told of, is a root of
// its own.

#include <stdlib.h>
#include <string.h>

#include "wait/graph.h"
#include "wait/scc.h"

enum {
	MAX_STARTS = 64, // members from which a cycle is looked for
	MAX_TOLD = 16,	 // members of which each has an edge in the story
};

struct judge {
	struct gi_graph *gr;
	struct gi_digraph d;
	uint32_t *component; // of each goroutine
	uint32_t component_count;
	uint32_t *path; // room for a cycle
	uint8_t *exact; // for each edge
	uint8_t *told;	// for each goroutine: it is on the cycle
};

static struct gi_error *copy_list(struct gi_graph *gr, const uint32_t *list, size_t n,
				  const uint32_t **ret)
{
	uint32_t *copy = gi_arena_alloc(gr->arena, n * sizeof(*copy) + 1);

	if (!copy)
		return gi_error_nomem();
	if (n)
		memcpy(copy, list, n * sizeof(*copy));
	*ret = copy;
	return NULL;
}

/** How many of them are goroutines, and no threads. */
static size_t goroutines_of(const struct gi_graph *gr, const uint32_t *nodes, size_t n)
{
	size_t found = 0, thread;

	for (size_t i = 0; i < n; i++)
		found += !gi_graph_node_thread(gr->go, nodes[i], &thread);
	return found;
}

static bool is_stuck(enum gi_verdict_kind kind)
{
	return kind == GI_VERDICT_CYCLE || kind == GI_VERDICT_SELF ||
	       kind == GI_VERDICT_UNREACHABLE || kind == GI_VERDICT_ORPHAN_LOCK;
}

/** The cycle to tell of: the shortest, of exact edges if there is one. */
static size_t find_cycle(struct judge *j, const uint32_t *members, size_t n)
{
	const uint8_t *passes[] = {j->exact, NULL};

	for (size_t p = 0; p < GI_ARRAY_SIZE(passes); p++) {
		for (size_t i = 0; i < n && i < MAX_STARTS; i++) {
			size_t k = gi_digraph_cycle(&j->d, j->component, members[i], passes[p],
						    j->path);
			if (k)
				return k;
		}
	}
	return 0;
}

/** An edge from a goroutine to another of its component; returns 1, or 0 if there is none. */
static size_t edge_inside(const struct judge *j, uint32_t g, uint32_t *ret)
{
	for (uint32_t k = j->d.first[g]; k < j->d.first[g + 1]; k++) {
		if (j->component[j->d.to[k]] == j->component[g]) {
			*ret = j->d.edge[k];
			return 1;
		}
	}
	return 0;
}

/** A component as a verdict: the goroutines of its cycle in order, then its others. */
static struct gi_error *judge_component(struct judge *j, const uint32_t *members, size_t n)
{
	struct gi_graph *gr = j->gr;
	size_t len = find_cycle(j, members, n), at, listed = 0, edges = len;
	_cleanup_(gi_freep) uint32_t *gs = malloc((n + 1) * sizeof(*gs));
	struct gi_verdict v = {.strength = GI_STRENGTH_EXACT};
	struct gi_error *err;

	if (!gs)
		return gi_error_nomem();
	if (!len)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		const struct gi_edge *e = &gr->edges[j->path[i]];
		gs[listed++] = e->from;
		j->told[e->from] = 1;
		if (e->strength != GI_STRENGTH_EXACT)
			v.strength = GI_STRENGTH_INFERRED;
	}
	// The others: each with one of its edges, as long as that is no long list.
	for (size_t i = 0; i < n; i++) {
		if (j->told[members[i]])
			continue;
		gs[listed++] = members[i];
		if (n <= MAX_TOLD)
			edges += edge_inside(j, members[i], &j->path[edges]);
	}
	v.kind = n == 1 ? GI_VERDICT_SELF : GI_VERDICT_CYCLE;
	v.goroutine_count = listed;
	v.edge_count = edges;
	v.root = gr->verdict_count;
	err = copy_list(gr, gs, listed, &v.goroutines);
	if (!err)
		err = copy_list(gr, j->path, edges, &v.edges);
	if (!err)
		err = gi_graph_add_verdict(gr, &v, &at);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		gr->g_verdict[members[i]] = (uint32_t)at + 1;
	gr->cycle_count++;
	gr->stuck_count += goroutines_of(gr, members, n);
	return NULL;
}

static bool has_self_edge(const struct gi_digraph *d, uint32_t node)
{
	for (uint32_t k = d->first[node]; k < d->first[node + 1]; k++) {
		if (d->to[k] == node)
			return true;
	}
	return false;
}

static struct gi_error *judge_cycles(struct judge *j)
{
	size_t n = j->d.n;
	_cleanup_(gi_freep) uint32_t *first = calloc(j->component_count + 2, sizeof(*first));
	_cleanup_(gi_freep) uint32_t *members = malloc((n + 1) * sizeof(*members));
	struct gi_error *err = NULL;

	if (!first || !members)
		return gi_error_nomem();
	for (size_t i = 0; i < n; i++)
		first[j->component[i] + 2]++;
	for (size_t i = 2; i < (size_t)j->component_count + 2; i++)
		first[i] += first[i - 1];
	for (size_t i = 0; i < n; i++)
		members[first[j->component[i] + 1]++] = (uint32_t)i;
	for (uint32_t c = 0; c < j->component_count && !err; c++) {
		uint32_t *m = members + first[c];
		size_t k = first[c + 1] - first[c];
		if (k > 1 || has_self_edge(&j->d, m[0]))
			err = judge_component(j, m, k);
	}
	return err;
}

/** What a goroutine waits on first; UINT32_MAX if nothing. */
static uint32_t first_object(const struct gi_graph *gr, uint32_t g)
{
	return gr->g_first[g] ? gr->waiters[gr->g_first[g] - 1].object : UINT32_MAX;
}

/** A channel whose value is not looked at, or a group of one. */
static bool may_be_parked(const struct gi_graph *gr, uint32_t g)
{
	const struct gi_waiter *w = &gr->waiters[gr->g_first[g] - 1];
	const struct gi_object *o = &gr->objects[w->object];
	struct gi_waitgroup wg = {0};
	struct gi_sudog s = {.elem = 1};
	struct gi_error *err = NULL;

	if (o->kind == GI_OBJECT_CHANNEL && w->role == GI_ROLE_RECEIVE && !w->in_select)
		err = gi_go_read_sudog(gr->go, gi_go_g(gr->go, g)->waiting, &s);
	else if (o->kind == GI_OBJECT_WAITGROUP)
		err = gi_go_read_waitgroup(gr->go, o->addr, &wg);
	bool ok = !err && (!s.elem || wg.counter == 1);
	gi_error_ignore(err);
	return ok;
}

/**
 * Programs park their main goroutine on purpose, on a channel or a group that is never used, to be
 * kept alive by it: nothing waits for it then, and others go on.
 */
static bool is_parked_main(const struct judge *j, uint32_t g)
{
	const struct gi_graph *gr = j->gr;
	bool others = false;

	if (gi_go_g(gr->go, g)->goid != 1 || !gr->g_first[g] || !may_be_parked(gr, g))
		return false;
	for (size_t i = 0; i < gr->edge_count; i++) {
		if (gr->edges[i].to == g)
			return false;
	}
	for (size_t i = 0; i < gi_go_g_count(gr->go) && !others; i++) {
		const struct gi_g *o = gi_go_g(gr->go, i);
		others = i != g && !o->unreadable && !o->system && !gi_g_is_dead(o) &&
			 !gr->dead[i] && !gr->g_verdict[i];
	}
	return others;
}

/**
 * The place where a goroutine waits for what is no lock. A thousand that were lost in the same way are
 * one loss. 0: none that tells.
 */
static uint64_t place_of_loss(const struct gi_graph *gr, uint32_t g)
{
	const uint32_t object = first_object(gr, g);
	struct gi_location where = {0}, user = {0};

	if (object == UINT32_MAX || gi_object_kind_is_lock(gr->objects[object].kind) || g >= gi_go_g_count(gr->go))
		return 0;
	struct gi_error *err = gi_unwind_locations(gr->u, gi_go_g(gr->go, g), &where, &user);
	gi_error_ignore(err);
	if (!user.pc || gi_go_g(gr->go, g)->goid == 1)
		return 0;
	return UINT64_C(1) << 63 | user.pc << 8 | gr->objects[object].kind;
}

/** The one that stands for all that are the same loss as g. */
static uint32_t loss_of(uint32_t *same, uint32_t g)
{
	while (same[g] != g)
		g = same[g] = same[same[g]];
	return g;
}

/** g is the same loss as who came with that key before. */
static struct gi_error *join_loss(struct gi_map *by, uint64_t key, uint32_t *same, uint32_t g)
{
	uint64_t other;

	if (!gi_map_get(by, key, &other))
		return gi_map_put(by, key, g);
	uint32_t a = loss_of(same, (uint32_t)other), b = loss_of(same, g);
	same[a > b ? a : b] = a > b ? b : a;
	return NULL;
}

/** Who waits for the same, or at the same place, is one loss: the first of them stands for it. */
static struct gi_error *find_losses(struct judge *j, uint32_t *same)
{
	const struct gi_graph *gr = j->gr;
	_cleanup_(gi_map_deinit) struct gi_map by = {0};
	struct gi_error *err = NULL;

	for (size_t i = 0; i < j->d.n; i++)
		same[i] = (uint32_t)i;
	for (size_t i = 0; i < j->d.n && !err; i++) {
		const uint32_t g = (uint32_t)i;
		if (!gr->dead[g] || gr->g_verdict[g] || j->d.first[g] != j->d.first[g + 1])
			continue;
		const uint64_t place = place_of_loss(gr, g);
		err = join_loss(&by, first_object(gr, g), same, g);
		if (!err && place)
			err = join_loss(&by, place, same, g);
	}
	return err;
}

/** Roots without a cycle: proved dead, and no edge leads on. */
static struct gi_error *judge_unreachable(struct judge *j)
{
	struct gi_graph *gr = j->gr;
	size_t n = j->d.n, at;
	_cleanup_(gi_freep) uint32_t *same = malloc((n + 1) * sizeof(*same));
	_cleanup_(gi_freep) uint32_t *next = calloc(n + 1, sizeof(*next)); // 1 + next of its loss
	_cleanup_(gi_freep) uint32_t *list = malloc((n + 1) * sizeof(*list));
	struct gi_error *err;

	if (!gr->dead)
		return NULL;
	if (!same || !next || !list)
		return gi_error_nomem();
	err = find_losses(j, same);
	// Ascending, behind the one that stands for all.
	for (size_t i = n; i-- > 0 && !err;) {
		const uint32_t first = loss_of(same, (uint32_t)i);
		if (first == i || !gr->dead[i] || gr->g_verdict[i])
			continue;
		next[i] = next[first];
		next[first] = (uint32_t)i + 1;
	}
	for (size_t i = 0; i < n && !err; i++) {
		if (same[i] != i || !gr->dead[i] || gr->g_verdict[i] ||
		    j->d.first[i] != j->d.first[i + 1])
			continue;
		struct gi_verdict v = {.kind = GI_VERDICT_UNREACHABLE,
				       .strength = GI_STRENGTH_EXACT,
				       .root = gr->verdict_count};
		for (uint64_t g = i + 1; g; g = next[g - 1]) {
			list[v.goroutine_count++] = (uint32_t)g - 1;
			if (gr->dead[g - 1] != GI_DEAD)
				v.strength = GI_STRENGTH_INFERRED;
		}
		uint32_t object = first_object(gr, list[0]);
		if (object != UINT32_MAX && gi_object_kind_is_lock(gr->objects[object].kind))
			v.kind = GI_VERDICT_ORPHAN_LOCK;
		else if (v.goroutine_count == 1 && is_parked_main(j, list[0]))
			v.kind = GI_VERDICT_UNKNOWN;
		err = copy_list(gr, list, v.goroutine_count, &v.goroutines);
		if (!err)
			err = gi_graph_add_verdict(gr, &v, &at);
		for (size_t k = 0; k < v.goroutine_count && !err; k++)
			gr->g_verdict[list[k]] = (uint32_t)at + 1;
		if (v.kind != GI_VERDICT_UNKNOWN)
			gr->stuck_count += v.goroutine_count;
	}
	return err;
}

/** Roots that may still go on, but in C: others wait for them, or it is the main goroutine. */
static struct gi_error *judge_in_c(struct judge *j)
{
	struct gi_graph *gr = j->gr;
	size_t n = j->d.n, at;
	_cleanup_(gi_freep) uint8_t *awaited = calloc(n + 1, 1);
	struct gi_error *err = NULL;

	if (!awaited)
		return gi_error_nomem();
	for (size_t i = 0; i < gr->edge_count; i++)
		awaited[gr->edges[i].to] |= gr->edges[i].from != gr->edges[i].to;
	for (size_t i = 0; i < gi_go_g_count(gr->go); i++)
		awaited[i] |= gi_go_g(gr->go, i)->goid == 1 && !gi_go_g(gr->go, i)->unreadable;
	for (size_t i = 0; i < n && !err; i++) {
		const uint32_t node = (uint32_t)i;
		struct gi_verdict v = {.kind = GI_VERDICT_IN_C,
				       .strength = GI_STRENGTH_EXACT,
				       .goroutine_count = 1,
				       .root = gr->verdict_count};

		if (!awaited[i] || gr->g_verdict[i] || j->d.first[i] != j->d.first[i + 1])
			continue;
		v.c_code = gi_graph_c_code(gr, node);
		if (!v.c_code)
			continue;
		err = copy_list(gr, &node, 1, &v.goroutines);
		if (!err)
			err = gi_graph_add_verdict(gr, &v, &at);
		if (!err)
			gr->g_verdict[i] = (uint32_t)at + 1;
	}
	return err;
}

/** A collateral verdict for each root: all who wait for it, directly or not. */
static struct gi_error *judge_collateral(struct judge *j)
{
	struct gi_graph *gr = j->gr;
	size_t n = j->d.n, roots = gr->verdict_count, count = 0, at;
	_cleanup_(gi_freep) uint32_t *who = malloc((n + 1) * sizeof(*who));
	_cleanup_(gi_freep) uint32_t *why = malloc((n + 1) * sizeof(*why));
	_cleanup_(gi_freep) uint32_t *root = calloc(n + 1, sizeof(*root)); // 1 + root of each
	struct gi_error *err = NULL;

	if (!who || !why || !root)
		return gi_error_nomem();
	for (size_t i = 0; i < n; i++)
		root[i] = gr->g_verdict[i];
	// Components are numbered so that what they lead to comes first: nodes in the order of
	// their components see their successors' roots. Those in one component share a root
	// already.
	_cleanup_(gi_freep) uint32_t *order = malloc((n + 1) * sizeof(*order));
	_cleanup_(gi_freep) uint32_t *edge_of = malloc((n + 1) * sizeof(*edge_of));
	_cleanup_(gi_freep) uint32_t *start =
		calloc((size_t)j->component_count + 2, sizeof(*start));
	if (!order || !edge_of || !start)
		return gi_error_nomem();
	for (size_t i = 0; i < n; i++)
		start[j->component[i] + 1]++;
	for (size_t i = 1; i < (size_t)j->component_count + 1; i++)
		start[i] += start[i - 1];
	for (size_t i = 0; i < n; i++)
		order[start[j->component[i]]++] = (uint32_t)i;
	for (size_t i = 0; i < n; i++) {
		uint32_t g = order[i];
		for (uint32_t k = j->d.first[g]; !root[g] && k < j->d.first[g + 1]; k++) {
			if (!root[j->d.to[k]])
				continue;
			root[g] = root[j->d.to[k]];
			edge_of[g] = j->d.edge[k];
		}
	}
	// By roots, in the order of the nodes.
	_cleanup_(gi_freep) uint32_t *first = calloc(roots + 2, sizeof(*first));
	if (!first)
		return gi_error_nomem();
	for (size_t i = 0; i < n; i++)
		first[root[i] && !gr->g_verdict[i] ? root[i] + 1 : 0]++;
	for (size_t r = 2, sum = 0; r < roots + 2; r++) {
		sum += first[r];
		first[r] = (uint32_t)(sum - first[r]);
	}
	for (size_t i = 0; i < n; i++) {
		if (root[i] && !gr->g_verdict[i])
			order[first[root[i] + 1]++] = (uint32_t)i;
	}
	for (size_t r = 0, k = 0; r < roots && !err; r++) {
		struct gi_verdict v = {.kind = GI_VERDICT_COLLATERAL,
				       .root = r,
				       .strength = gr->verdicts[r].strength};
		for (count = 0; k < first[r + 2]; k++) {
			const uint32_t i = order[k];
			who[count] = i;
			why[count++] = edge_of[i];
			if (gr->edges[edge_of[i]].strength != GI_STRENGTH_EXACT)
				v.strength = GI_STRENGTH_INFERRED;
		}
		if (!count)
			continue;
		v.goroutine_count = v.edge_count = count;
		err = copy_list(gr, who, count, &v.goroutines);
		if (!err)
			err = copy_list(gr, why, count, &v.edges);
		if (!err)
			err = gi_graph_add_verdict(gr, &v, &at);
		for (size_t i = 0; i < count && !err; i++)
			gr->g_verdict[who[i]] = (uint32_t)at + 1;
		if (is_stuck(gr->verdicts[r].kind))
			gr->stuck_count += goroutines_of(gr, who, count);
	}
	return err;
}

static struct gi_error *judge_prepare(struct judge *j)
{
	struct gi_graph *gr = j->gr;
	size_t n = gr->node_count, m = gr->edge_count;
	_cleanup_(gi_freep) uint32_t *from = malloc((m + 1) * sizeof(*from));
	_cleanup_(gi_freep) uint32_t *to = malloc((m + 1) * sizeof(*to));

	free(gr->g_verdict);
	gr->verdict_count = gr->stuck_count = gr->cycle_count = 0;
	gr->g_verdict = calloc(n + 1, sizeof(*gr->g_verdict));
	j->component = malloc((n + 1) * sizeof(*j->component));
	j->path = malloc((n + 1) * sizeof(*j->path));
	j->exact = malloc(m + 1);
	j->told = calloc(n + 1, 1);
	if (!from || !to || !gr->g_verdict || !j->component || !j->path || !j->exact || !j->told)
		return gi_error_nomem();
	for (size_t i = 0; i < m; i++) {
		from[i] = gr->edges[i].from;
		to[i] = gr->edges[i].to;
		j->exact[i] = gr->edges[i].strength == GI_STRENGTH_EXACT;
	}
	struct gi_error *err = gi_digraph_init(&j->d, n, from, to, m);
	return err ? err : gi_scc(&j->d, j->component, &j->component_count);
}

struct gi_error *gi_graph_judge(struct gi_graph *gr, bool last)
{
	struct judge j = {.gr = gr};
	struct gi_error *err = judge_prepare(&j);

	if (!err)
		err = judge_cycles(&j);
	if (!err)
		err = judge_unreachable(&j);
	// Before the proof a verdict would say that its goroutines are stuck for good.
	if (!err && last)
		err = judge_in_c(&j);
	if (!err && last)
		err = gi_graph_find_suspects(gr);
	if (!err)
		err = judge_collateral(&j);
	gi_digraph_deinit(&j.d);
	free(j.component);
	free(j.path);
	free(j.exact);
	free(j.told);
	return err;
}

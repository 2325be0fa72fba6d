// The wait-for graph's verdicts, as stories that a person can follow, or as records.
//
// A root cause is told once: who waits for what, who has it, where it was taken, and why that is
// believed. Goroutines that are stuck behind it are counted and grouped by where they are.

#include "report/deadlock.h"

#include <stdlib.h>
#include <string.h>

#include "report/frame.h"
#include "report/goroutines.h"

enum { MAX_NAMED = 8, MAX_GROUPS = 10 };

// --- words ------------------------------------------------------------------------------

void gi_object_format(const struct gi_object *o, struct gi_str *ret)
{
	switch (o->kind) {
	case GI_OBJECT_NOTHING:
		gi_str_puts(ret, "nothing: a nil channel or an empty select");
		return;
	case GI_OBJECT_MUTEX:
	case GI_OBJECT_CHANNEL:
	case GI_OBJECT_SEMAPHORE:
		gi_str_puts(ret, gi_object_kind_name(o->kind));
		break;
	case GI_OBJECT_RWMUTEX:
		gi_str_puts(ret, "RWMutex");
		break;
	case GI_OBJECT_WAITGROUP:
		gi_str_puts(ret, "WaitGroup");
		break;
	case GI_OBJECT_COND:
		gi_str_puts(ret, "Cond");
		break;
	case GI_OBJECT_ONCE:
		gi_str_puts(ret, "Once");
		break;
	case GI_OBJECT_PTHREAD_MUTEX:
		gi_str_puts(ret, "pthread mutex");
		break;
	case GI_OBJECT_PTHREAD_RWLOCK:
		gi_str_puts(ret, "pthread rwlock");
		break;
	case GI_OBJECT_PTHREAD_COND:
		gi_str_puts(ret, "pthread condition variable");
		break;
	case GI_OBJECT_PTHREAD_SEMAPHORE:
		gi_str_puts(ret, "C semaphore");
		break;
	case GI_OBJECT_STDIO_LOCK:
		gi_str_puts(ret, "stdio lock");
		break;
	case GI_OBJECT_THREAD:
		gi_str_puts(ret, "the end of a thread");
		return;
	default:
		gi_str_puts(ret, gi_object_kind_name(o->kind));
		break;
	}
	if (o->addr) {
		gi_str_putc(ret, ' ');
		gi_str_put_hex(ret, o->addr);
	}
	if (o->name && *o->name) {
		gi_str_puts(ret, " (");
		gi_str_put_escaped(ret, o->name, strlen(o->name));
		gi_str_putc(ret, ')');
	}
}

uint64_t gi_goid(const struct gi_go *go, uint32_t g)
{
	const struct gi_g *found = gi_go_g(go, g);

	return found ? found->goid : 0;
}

static pid_t tid_of(const struct gi_go *go, size_t thread)
{
	return gi_target_thread(gi_go_target((struct gi_go *)go), thread)->tid;
}

void gi_node_format(const struct gi_go *go, uint32_t node, struct gi_str *s)
{
	size_t thread;

	if (gi_graph_node_thread(go, node, &thread))
		gi_str_printf(s, "thread %d", (int)tid_of(go, thread));
	else
		gi_str_printf(s, "goroutine %" PRIu64, gi_goid(go, node));
}

void gi_nodes_format(const struct gi_go *go, const uint32_t *nodes, size_t n, struct gi_str *s)
{
	uint32_t gs[MAX_NAMED + 2], threads[MAX_NAMED + 2];
	size_t ng = 0, nt = 0, thread;

	for (size_t i = 0; i < n; i++) {
		bool is_thread = gi_graph_node_thread(go, nodes[i], &thread);
		uint32_t *list = is_thread ? threads : gs;
		size_t *count = is_thread ? &nt : &ng;
		if (*count < MAX_NAMED + 2)
			list[*count] = nodes[i];
		++*count;
	}
	if (ng) {
		gi_str_printf(s, "goroutine%s ", ng > 1 ? "s" : "");
		gi_goroutines_format(go, gs, ng, s);
	}
	if (!nt)
		return;
	gi_str_printf(s, "%sthread%s ", ng ? " and " : "", nt > 1 ? "s" : "");
	for (size_t i = 0; i < nt && i < MAX_NAMED; i++) {
		gi_graph_node_thread(go, threads[i], &thread);
		gi_str_printf(s, "%s%d", !i ? "" : i + 1 == nt ? " and " : ", ",
			      (int)tid_of(go, thread));
	}
	if (nt > MAX_NAMED)
		gi_str_printf(s, " and %zu more", nt - MAX_NAMED);
}

const char *gi_strength_name(enum gi_strength s)
{
	return s == GI_STRENGTH_EXACT ? "exact" : "inferred";
}

const char *gi_edge_verb(const struct gi_graph *graph, const struct gi_edge *e)
{
	if (e->is_next)
		return "kept out by";
	switch (gi_graph_object(graph, e->object)->kind) {
	case GI_OBJECT_WAITGROUP:
		return "to be done by";
	case GI_OBJECT_ONCE:
		return "run by";
	case GI_OBJECT_CHANNEL:
	case GI_OBJECT_COND:
	case GI_OBJECT_SEMAPHORE:
		return "within reach of";
	case GI_OBJECT_THREAD:
		return "namely";
	default:
		return "held by";
	}
}

const char *gi_edge_deed(const struct gi_graph *graph, const struct gi_edge *e)
{
	if (gi_graph_object(graph, e->object)->kind == GI_OBJECT_ONCE)
		return "runs";
	return e->reads ? "read-locked" : "locked";
}

void gi_goroutines_format(const struct gi_go *go, const uint32_t *gs, size_t n, struct gi_str *s)
{
	size_t shown = n > MAX_NAMED + 1 ? MAX_NAMED : n;

	for (size_t i = 0; i < shown; i++) {
		if (i)
			gi_str_puts(s, i + 1 == n ? " and " : ", ");
		gi_str_put_u64(s, gi_goid(go, gs[i]));
	}
	if (shown < n)
		gi_str_printf(s, " and %zu more", n - shown);
}

static void put_location(struct gi_str *s, const struct gi_location *loc)
{
	gi_location_format(s, loc->function, loc->file, loc->line, loc->pc);
}

// --- text -------------------------------------------------------------------------------

static void put_edge(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph,
		     const struct gi_edge *e, struct gi_str *s)
{
	gi_str_puts(s, " waits for ");
	gi_object_format(gi_graph_object(graph, e->object), s);
	gi_str_puts(s, ",\n    ");
	gi_str_printf(s, "%s ", gi_edge_verb(graph, e));
	gi_node_format(go, e->to, s);
	if (e->to == e->from)
		gi_str_puts(s, " itself");
	if (e->acquired_at.pc) {
		gi_str_printf(s, ", which %s it in ", gi_edge_deed(graph, e));
		put_location(s, &e->acquired_at);
	}
	gi_str_putc(s, '\n');
	gi_out_puts(out, gi_str_cstr(s));
	gi_out_style(out, GI_STYLE_DIM);
	gi_out_printf(out, "    %s: ", gi_strength_name(e->strength));
	gi_out_text(out, e->evidence);
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_puts(out, "\n");
}

void gi_out_edge(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph,
		 const struct gi_edge *e)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	gi_str_puts(&s, "  ");
	gi_node_format(go, e->from, &s);
	if (e->waits_at.pc) {
		gi_str_puts(&s, ", in ");
		put_location(&s, &e->waits_at);
		gi_str_putc(&s, ',');
	}
	put_edge(out, go, graph, e, &s);
}

void gi_out_edge_rest(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph,
		      const struct gi_edge *e)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	gi_str_puts(&s, " ");
	if (e->waits_at.pc) {
		gi_str_puts(&s, " in ");
		put_location(&s, &e->waits_at);
		gi_str_putc(&s, ',');
	}
	put_edge(out, go, graph, e, &s);
}

static void in_c_headline(struct gi_str *s, const struct gi_go *go, const struct gi_verdict *v)
{
	const struct gi_g *g = gi_go_g(go, v->goroutines[0]);
	uint64_t ns;

	if (g && g->goid == 1)
		gi_str_puts(s, "the main goroutine");
	else
		gi_node_format(go, v->goroutines[0], s);
	gi_str_puts(s, " is in C: ");
	gi_str_puts(s, v->c_code);
	if (g && gi_go_wait_ns(go, g, &ns)) {
		gi_str_puts(s, ", for at least ");
		gi_duration_format(s, ns);
	}
}

void gi_verdict_headline(struct gi_str *s, const struct gi_go *go, const struct gi_verdict *v)
{
	switch (v->kind) {
	case GI_VERDICT_CYCLE:
		gi_str_puts(s, "deadlock: ");
		gi_nodes_format(go, v->goroutines, v->goroutine_count, s);
		gi_str_puts(s, " wait for each other");
		break;
	case GI_VERDICT_SELF:
		gi_str_puts(s, "deadlock: ");
		gi_node_format(go, v->goroutines[0], s);
		gi_str_puts(s, " waits for itself");
		break;
	case GI_VERDICT_UNREACHABLE:
		gi_str_printf(s, "stuck for good: goroutine%s ", v->goroutine_count > 1 ? "s" : "");
		gi_goroutines_format(go, v->goroutines, v->goroutine_count, s);
		gi_str_printf(s, " wait%s for what nobody can reach",
			      v->goroutine_count > 1 ? "" : "s");
		break;
	case GI_VERDICT_ORPHAN_LOCK:
		gi_str_printf(s, "stuck for good: goroutine%s ", v->goroutine_count > 1 ? "s" : "");
		gi_goroutines_format(go, v->goroutines, v->goroutine_count, s);
		gi_str_printf(s, " wait%s for a lock whose owner is gone",
			      v->goroutine_count > 1 ? "" : "s");
		break;
	case GI_VERDICT_IN_C:
		in_c_headline(s, go, v);
		break;
	case GI_VERDICT_SUSPECT:
		gi_str_puts(s, "suspect: goroutines ");
		gi_goroutines_format(go, v->goroutines, v->goroutine_count, s);
		gi_str_puts(s, " wait for each other, unless another goroutine steps in");
		break;
	case GI_VERDICT_UNKNOWN:
		gi_str_puts(s, "not counted: goroutine ");
		gi_goroutines_format(go, v->goroutines, v->goroutine_count, s);
		gi_str_puts(
			s,
			" waits for what nobody can reach, as programs do on purpose to keep main going");
		break;
	case GI_VERDICT_COLLATERAL:
		break;
	}
}

/** Collateral goroutines that are in the same place for the same kind of thing. */
struct group {
	const struct gi_edge *first;
	uint32_t *gs;
	size_t n, cap;
	uint32_t objects; // 1: all wait for the same
};

static bool same_group(const struct gi_graph *graph, const struct gi_edge *a,
		       const struct gi_edge *b)
{
	return a->waits_at.function == b->waits_at.function &&
	       a->waits_at.line == b->waits_at.line &&
	       gi_graph_object(graph, a->object)->kind == gi_graph_object(graph, b->object)->kind;
}

static int larger_first(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return x->gs[0] < y->gs[0] ? -1 : x->gs[0] > y->gs[0];
}

static void put_group(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph,
		      const struct group *g)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	const struct gi_object *o = gi_graph_object(graph, g->first->object);

	gi_str_puts(&s, "    ");
	gi_nodes_format(go, g->gs, g->n, &s);
	if (g->first->waits_at.pc) {
		gi_str_puts(&s, ", in ");
		put_location(&s, &g->first->waits_at);
		gi_str_putc(&s, ',');
	}
	if (g->objects > 1) {
		gi_str_printf(&s, " wait for a %s each", gi_object_kind_name(o->kind));
	} else {
		gi_str_printf(&s, " wait%s for ", g->n > 1 ? "" : "s");
		gi_object_format(o, &s);
	}
	if (g->n == 1) {
		gi_str_printf(&s, " %s ", gi_edge_verb(graph, g->first));
		gi_node_format(go, g->first->to, &s);
	}
	gi_out_puts(out, gi_str_cstr(&s));
	gi_out_puts(out, "\n");
}

static size_t count_threads(const struct gi_go *go, const struct gi_verdict *v)
{
	size_t n = 0, thread;

	for (size_t i = 0; i < v->goroutine_count; i++)
		n += gi_graph_node_thread(go, v->goroutines[i], &thread);
	return n;
}

static void put_count(struct gi_out *out, size_t n, const char *what, const char *before)
{
	if (n)
		gi_out_printf(out, "%s%zu %s%s", before, n, what, n > 1 ? "s" : "");
}

static struct gi_error *put_collateral(struct gi_out *out, const struct gi_go *go,
				       const struct gi_graph *graph, const struct gi_verdict *v)
{
	struct group groups[64] = {0};
	size_t n = 0, other = 0;
	struct gi_error *err = NULL;

	for (size_t i = 0; i < v->edge_count && !err; i++) {
		const struct gi_edge *e = gi_graph_edge(graph, v->edges[i]);
		size_t k = 0;
		while (k < n && !same_group(graph, groups[k].first, e))
			k++;
		if (k == GI_ARRAY_SIZE(groups)) {
			other++;
			continue;
		}
		if (k == n) {
			groups[n].first = e;
			groups[n++].objects = 1;
		} else if (groups[k].first->object != e->object) {
			groups[k].objects = 2;
		}
		err = gi_grow(&groups[k].gs, &groups[k].cap, groups[k].n + 1, sizeof(uint32_t));
		if (!err)
			groups[k].gs[groups[k].n++] = e->from;
	}
	if (!err) {
		qsort(groups, n, sizeof(groups[0]), larger_first);
		const struct gi_verdict *root = gi_graph_verdict(graph, v->root);
		size_t threads = count_threads(go, v);
		gi_out_printf(out, "  %s behind %s: ",
			      gi_verdict_is_stuck(root->kind) ? "stuck" : "waiting",
			      root->goroutine_count > 1 ? "them" : "it");
		put_count(out, v->goroutine_count - threads, "goroutine", "");
		put_count(out, threads, "thread", threads < v->goroutine_count ? " and " : "");
		gi_out_puts(out, "\n");
		for (size_t k = 0; k < n && k < MAX_GROUPS; k++)
			put_group(out, go, graph, &groups[k]);
		for (size_t k = MAX_GROUPS; k < n; k++)
			other += groups[k].n;
		if (other)
			gi_out_printf(out, "    and %zu in other places (-v shows all)\n", other);
	}
	for (size_t k = 0; k < n; k++)
		free(groups[k].gs);
	return err;
}

bool gi_verdict_is_stuck(enum gi_verdict_kind kind)
{
	return kind == GI_VERDICT_CYCLE || kind == GI_VERDICT_SELF ||
	       kind == GI_VERDICT_UNREACHABLE || kind == GI_VERDICT_ORPHAN_LOCK;
}

/** Goroutines that no edge tells of: where they are, and what they wait on. */
static struct gi_error *put_unreachable(struct gi_out *out, struct gi_go *go,
					const struct gi_graph *graph, const struct gi_verdict *v)
{
	_cleanup_(gi_unwinder_destroyp) struct gi_unwinder *u = NULL;
	struct gi_error *err = gi_unwinder_create(go, &u);

	for (size_t i = 0; i < v->goroutine_count && i < MAX_NAMED && !err; i++) {
		_cleanup_(gi_str_deinit) struct gi_str s = {0};
		struct gi_location where = {0}, user = {0};
		const struct gi_waiter *w = gi_graph_wait_of(graph, v->goroutines[i]);
		const struct gi_object *o = w ? gi_graph_object(graph, w->object) : NULL;

		gi_error_ignore(
			gi_unwind_locations(u, gi_go_g(go, v->goroutines[i]), &where, &user));
		gi_str_printf(&s, "  goroutine %" PRIu64, gi_goid(go, v->goroutines[i]));
		if (user.pc) {
			gi_str_puts(&s, ", in ");
			put_location(&s, &user);
			gi_str_putc(&s, ',');
		}
		gi_str_puts(&s, " waits for ");
		if (o)
			gi_object_format(o, &s);
		gi_str_putc(&s, '\n');
		gi_out_puts(out, gi_str_cstr(&s));
	}
	if (v->goroutine_count > MAX_NAMED)
		gi_out_printf(out, "  and %zu more\n", v->goroutine_count - MAX_NAMED);
	gi_out_style(out, GI_STYLE_DIM);
	gi_out_puts(out, v->strength == GI_STRENGTH_EXACT
				 ? "    exact: no global and no goroutine that can still run leads to it\n"
				 : "    inferred: no goroutine that can still run leads to it, if the "
				   "locks' owners are those found\n");
	gi_out_style(out, GI_STYLE_NONE);
	return err;
}

/** Collateral comes last, in the order of the roots, one for each. */
static const struct gi_verdict *collateral_of(const struct gi_graph *graph, size_t root)
{
	size_t lo = root + 1, hi = gi_graph_verdict_count(graph);

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		const struct gi_verdict *v = gi_graph_verdict(graph, mid);
		if (v->kind == GI_VERDICT_COLLATERAL && v->root >= root)
			hi = mid;
		else
			lo = mid + 1;
	}
	const struct gi_verdict *v =
		lo < gi_graph_verdict_count(graph) ? gi_graph_verdict(graph, lo) : NULL;
	return v && v->kind == GI_VERDICT_COLLATERAL && v->root == root ? v : NULL;
}

/** Who could still break a suspect. */
static void put_breakers(struct gi_out *out, const struct gi_go *go, const struct gi_verdict *v)
{
	for (size_t i = 0; i < v->breaker_count && i < MAX_NAMED; i++) {
		const struct gi_breaker *b = &v->breakers[i];

		gi_out_printf(out, "    goroutine %" PRIu64 " could: it is in ", gi_goid(go, b->g));
		gi_out_text(out, b->function);
		gi_out_puts(out, ", whose code uses ");
		gi_out_text(out, b->global);
		gi_out_puts(out, "\n");
	}
	if (v->breaker_count > MAX_NAMED)
		gi_out_printf(out, "    and %zu more\n", v->breaker_count - MAX_NAMED);
	if (!v->breaker_count && v->globals) {
		gi_out_puts(out, "    no goroutine that can go on is in a function whose code uses ");
		gi_out_text(out, v->globals);
		gi_out_puts(out, "\n");
	}
}

static struct gi_error *put_verdict(struct gi_out *out, struct gi_go *go,
				    const struct gi_graph *graph, size_t i)
{
	const struct gi_verdict *v = gi_graph_verdict(graph, i);
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	struct gi_error *err = NULL;

	gi_verdict_headline(&s, go, v);
	gi_out_style(out, gi_verdict_is_stuck(v->kind) ? GI_STYLE_BAD : GI_STYLE_HEAD);
	gi_out_puts(out, gi_str_cstr(&s));
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_puts(out, "\n");
	for (size_t k = 0; k < v->edge_count; k++)
		gi_out_edge(out, go, graph, gi_graph_edge(graph, v->edges[k]));
	if (v->kind == GI_VERDICT_UNREACHABLE || v->kind == GI_VERDICT_ORPHAN_LOCK ||
	    v->kind == GI_VERDICT_UNKNOWN)
		err = put_unreachable(out, go, graph, v);
	if (v->kind == GI_VERDICT_SUSPECT) {
		gi_out_style(out, GI_STYLE_DIM);
		gi_out_puts(out, "    not counted: no other goroutine's stack leads to these, but globals do\n");
		gi_out_style(out, GI_STYLE_NONE);
		put_breakers(out, go, v);
	}
	gi_out_leaked(out, go, v);
	const struct gi_verdict *c = collateral_of(graph, i);
	if (!err && c)
		err = put_collateral(out, go, graph, c);
	return err ? err : gi_out_check(out);
}

/** Goroutines that wait for a lock and have no edge. */
static size_t without_owner(const struct gi_graph *graph)
{
	size_t n = 0, e = 0;

	// Both are in the order of the goroutines.
	for (size_t i = 0; i < gi_graph_waiter_count(graph); i++) {
		const struct gi_waiter *w = gi_graph_waiter(graph, i);
		if (!gi_object_kind_is_lock(gi_graph_object(graph, w->object)->kind))
			continue;
		while (e < gi_graph_edge_count(graph) && gi_graph_edge(graph, e)->from < w->g)
			e++;
		if (e == gi_graph_edge_count(graph) || gi_graph_edge(graph, e)->from != w->g)
			n++;
	}
	// Those whose owner is gone are told of.
	for (size_t i = 0; i < gi_graph_verdict_count(graph); i++) {
		if (gi_graph_verdict(graph, i)->kind == GI_VERDICT_ORPHAN_LOCK)
			n -= gi_graph_verdict(graph, i)->goroutine_count;
	}
	return n;
}

// What cannot be read may be part of a deadlock.
static const char *none_found(const struct gi_go *go)
{
	if (gi_go_g_all_lost(go))
		return "no goroutine could be read: whether there is a deadlock cannot be told";
	return gi_go_g_lost(go) ? "no deadlock found among the goroutines that could be read"
				: "no deadlock found";
}

static struct gi_error *put_text(struct gi_out *out, struct gi_go *go, const struct gi_graph *graph,
				 bool verbose)
{
	struct gi_error *err = NULL;
	size_t told = 0;

	for (size_t i = 0; i < gi_graph_verdict_count(graph) && !err; i++) {
		if (gi_graph_verdict(graph, i)->kind == GI_VERDICT_COLLATERAL)
			continue;
		if (told++)
			gi_out_puts(out, "\n");
		err = put_verdict(out, go, graph, i);
	}
	if (err)
		return err;
	if (!gi_graph_stuck_count(graph) && !gi_graph_cycle_count(graph)) {
		if (told)
			gi_out_puts(out, "\n");
		gi_out_puts(out, none_found(go));
		gi_out_puts(out, "\n");
	}
	size_t unknown = without_owner(graph);
	if (unknown)
		gi_out_printf(
			out,
			"%s%zu goroutine%s wait%s for a lock with no owner found: its owner returned, or is unknown\n",
			told ? "\n" : "", unknown, unknown > 1 ? "s" : "", unknown > 1 ? "" : "s");
	gi_out_only_leaked(out, go, graph, told || unknown);
	if (verbose && gi_graph_edge_count(graph)) {
		gi_out_style(out, GI_STYLE_HEAD);
		gi_out_printf(out, "\nall %zu edges\n", gi_graph_edge_count(graph));
		gi_out_style(out, GI_STYLE_NONE);
		for (size_t i = 0; i < gi_graph_edge_count(graph) && !err; i++) {
			gi_out_edge(out, go, graph, gi_graph_edge(graph, i));
			if (i % 256 == 0)
				err = gi_out_check(out);
		}
	}
	return err;
}

// --- records ----------------------------------------------------------------------------

void gi_json_object_of(struct gi_out *out, const struct gi_object *o)
{
	gi_json_object(out, "object");
	gi_json_str(out, "kind", gi_object_kind_name(o->kind));
	gi_json_hex_or_null(out, "addr", o->addr, o->addr);
	gi_json_str(out, "name", o->name && *o->name ? o->name : NULL);
	gi_json_close(out);
}

void gi_json_node(struct gi_out *out, const char *key, const char *thread_key,
		  const struct gi_go *go, uint32_t node)
{
	size_t thread = 0;
	const bool is_thread = gi_graph_node_thread(go, node, &thread);

	gi_json_u64_or_null(out, key, !is_thread, gi_goid(go, node));
	gi_json_i64_or_null(out, thread_key, is_thread, is_thread ? tid_of(go, thread) : 0);
}

void gi_json_edge(struct gi_out *out, const char *key, const struct gi_go *go,
		  const struct gi_graph *graph, const struct gi_edge *e)
{
	gi_json_object(out, key);
	gi_json_node(out, "from", "from_thread", go, e->from);
	gi_json_object_of(out, gi_graph_object(graph, e->object));
	gi_json_node(out, "to", "to_thread", go, e->to);
	gi_json_str(out, "strength", gi_strength_name(e->strength));
	gi_json_str(out, "evidence", e->evidence);
	gi_json_location_or_null(out, "waits_at", &e->waits_at);
	gi_json_location_or_null(out, "acquired_at", &e->acquired_at);
	gi_json_close(out);
}

static void json_verdict(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph,
			 size_t i)
{
	const struct gi_verdict *v = gi_graph_verdict(graph, i);

	gi_json_begin(out, "verdict");
	gi_json_str(out, "kind", gi_verdict_kind_name(v->kind));
	gi_json_str(out, "strength", gi_strength_name(v->strength));
	gi_json_array(out, "goroutines");
	size_t thread;
	for (size_t k = 0; k < v->goroutine_count; k++) {
		if (!gi_graph_node_thread(go, v->goroutines[k], &thread))
			gi_json_u64(out, NULL, gi_goid(go, v->goroutines[k]));
	}
	gi_json_close(out);
	gi_json_array(out, "threads");
	for (size_t k = 0; k < v->goroutine_count; k++) {
		if (gi_graph_node_thread(go, v->goroutines[k], &thread))
			gi_json_i64(out, NULL, tid_of(go, thread));
	}
	gi_json_close(out);
	gi_json_str(out, "c_code", v->kind == GI_VERDICT_IN_C ? v->c_code : NULL);
	gi_json_u64(out, "leaked", gi_leaked_count(go, v));
	gi_json_array(out, "could_break");
	for (size_t k = 0; k < v->breaker_count; k++) {
		gi_json_object(out, NULL);
		gi_json_u64(out, "goroutine", gi_goid(go, v->breakers[k].g));
		gi_json_str(out, "function", v->breakers[k].function);
		gi_json_str(out, "uses", v->breakers[k].global);
		gi_json_close(out);
	}
	gi_json_close(out);
	gi_json_array(out, "edges");
	for (size_t k = 0; k < v->edge_count; k++)
		gi_json_edge(out, NULL, go, graph, gi_graph_edge(graph, v->edges[k]));
	gi_json_close(out);
	gi_json_u64(out, "number", i);
	gi_json_u64(out, "root", v->root);
	gi_json_end(out);
}

static void json_summary(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph)
{
	uint64_t n = 0;

	for (size_t i = 0; i < gi_go_g_count(go); i++)
		n += !gi_go_g(go, i)->unreadable && !gi_g_is_dead(gi_go_g(go, i));
	gi_json_begin(out, "summary");
	gi_json_u64(out, "goroutines", n);
	gi_json_u64(out, "stuck", gi_graph_stuck_count(graph));
	gi_json_u64(out, "cycles", gi_graph_cycle_count(graph));
	gi_json_end(out);
}

static struct gi_error *json_all(struct gi_out *out, const struct gi_go *go,
				 const struct gi_graph *graph, bool verbose)
{
	struct gi_error *err = NULL;

	for (size_t i = 0; i < gi_graph_verdict_count(graph) && !err; i++) {
		json_verdict(out, go, graph, i);
		err = gi_out_check(out);
	}
	for (size_t i = 0; verbose && i < gi_graph_edge_count(graph) && !err; i++) {
		gi_json_begin(out, "wait");
		gi_json_edge(out, "edge", go, graph, gi_graph_edge(graph, i));
		gi_json_end(out);
		err = gi_out_check(out);
	}
	if (!err)
		json_summary(out, go, graph);
	return err;
}

static void put_notes(struct gi_out *out, const struct gi_graph *graph)
{
	for (size_t i = 0; i < gi_graph_note_count(graph); i++)
		gi_out_note(out, "%s", gi_graph_note(graph, i));
}

struct gi_error *gi_report_verdicts(struct gi_out *out, struct gi_go *go, struct gi_graph *graph,
				    bool verbose)
{
	struct gi_error *err = gi_out_is_json(out) ? json_all(out, go, graph, verbose)
						   : put_text(out, go, graph, verbose);

	if (err)
		return err;
	put_notes(out, graph);
	return gi_out_check(out);
}

// --- the short form -----------------------------------------------------------------------

static size_t stuck_behind(const struct gi_graph *graph, size_t root)
{
	const struct gi_verdict *c = collateral_of(graph, root);

	return c ? c->goroutine_count : 0;
}

/** What the members of a verdict wait for, each object once. */
static void put_objects(const struct gi_graph *graph, const struct gi_verdict *v, struct gi_str *s)
{
	for (size_t k = 0; k < v->edge_count && k < MAX_NAMED; k++) {
		uint32_t object = gi_graph_edge(graph, v->edges[k])->object;
		size_t before = 0;
		while (gi_graph_edge(graph, v->edges[before])->object != object)
			before++;
		if (before < k)
			continue;
		gi_str_puts(s, k ? ", " : ": ");
		gi_object_format(gi_graph_object(graph, object), s);
	}
}

struct gi_error *gi_report_verdict_line(struct gi_out *out, struct gi_go *go,
					struct gi_graph *graph)
{
	if (gi_out_is_json(out))
		return json_all(out, go, graph, false);
	for (size_t i = 0; i < gi_graph_verdict_count(graph); i++) {
		const struct gi_verdict *v = gi_graph_verdict(graph, i);
		_cleanup_(gi_str_deinit) struct gi_str s = {0};
		if (v->kind == GI_VERDICT_COLLATERAL)
			continue;
		gi_verdict_headline(&s, go, v);
		put_objects(graph, v, &s);
		size_t behind = stuck_behind(graph, i);
		if (behind)
			gi_str_printf(&s, gi_verdict_is_stuck(v->kind) ? "; %zu more stuck behind"
								       : "; %zu waiting behind",
				      behind);
		gi_out_style(out, gi_verdict_is_stuck(v->kind) ? GI_STYLE_BAD : GI_STYLE_HEAD);
		gi_out_puts(out, gi_str_cstr(&s));
		gi_out_style(out, GI_STYLE_NONE);
		gi_out_puts(out, "\n");
	}
	if (!gi_graph_stuck_count(graph) && !gi_graph_cycle_count(graph)) {
		gi_out_style(out, GI_STYLE_GOOD);
		gi_out_puts(out, none_found(go));
		gi_out_style(out, GI_STYLE_NONE);
		gi_out_puts(out, "\n");
	}
	return gi_out_check(out);
}

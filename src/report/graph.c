// The wait-for graph as a drawing, in the language of graphviz: goroutines and the things they
// wait for, root causes marked. Drawn is what verdicts tell of; goroutines that are stuck behind
// a root at the same place are one box. Without a verdict, all edges.

#include <stdlib.h>
#include <string.h>

#include "gcore/pthread.h"
#include "report/deadlock.h"
#include "report/frame.h"
#include "report/graph.h"

enum { MAX_BOXES = 500, MAX_EDGES = 2000 };

struct drawing {
	struct gi_go *go;
	struct gi_unwinder *u;
	const struct gi_graph *graph;
	struct gi_str *dot;
	uint8_t *g_drawn;      // of each goroutine
	uint8_t *object_drawn; // of each object
	uint8_t *root;	       // of each goroutine: it is part of a root cause
	struct gi_map owned;   // object << 32 | goroutine: its edge is drawn
	size_t boxes, edges, left;
};

/** Text inside of a label: a line of it ends with "\l" or "\n", quotes and backslashes are kept. */
static void put_label(struct gi_str *s, const char *text)
{
	_cleanup_(gi_str_deinit) struct gi_str safe = {0};

	gi_str_put_escaped(&safe, text, strlen(text));
	for (const char *p = gi_str_cstr(&safe); *p; p++) {
		if (*p == '"' || *p == '\\')
			gi_str_putc(s, '\\');
		gi_str_putc(s, *p);
	}
}

static void put_place(struct gi_str *s, const struct gi_location *loc)
{
	_cleanup_(gi_str_deinit) struct gi_str line = {0};

	if (!loc->pc)
		return;
	gi_str_puts(s, "\\n");
	put_label(s, loc->function);
	if (!loc->line)
		return;
	gi_str_printf(&line, "%s:%u", loc->file, loc->line);
	gi_str_puts(s, "\\n");
	put_label(s, gi_str_cstr(&line));
}

static bool room(struct drawing *d)
{
	if (d->boxes < MAX_BOXES)
		return true;
	d->left++;
	return false;
}

/** "g18" of a goroutine, "t1234" of a thread of C. */
static void put_id(struct drawing *d, uint32_t node)
{
	struct gi_target *t = gi_go_target(d->go);
	size_t thread;

	if (gi_graph_node_thread(d->go, node, &thread))
		gi_str_printf(d->dot, "t%d", (int)gi_target_thread(t, thread)->tid);
	else
		gi_str_printf(d->dot, "g%" PRIu64, gi_goid(d->go, node));
}

/** A goroutine, or a thread of C. */
static bool draw_goroutine(struct drawing *d, uint32_t g)
{
	struct gi_location where = {.function = "", .file = ""}, at = where;
	const struct gi_g *gp = gi_go_g(d->go, g);
	const char *reason = gp ? gi_go_wait_reason(d->go, gp) : "in C";
	struct gi_c_call call;
	size_t thread;
	char buf[32];

	if (d->g_drawn[g])
		return true;
	if (!room(d))
		return false;
	d->g_drawn[g] = 1;
	d->boxes++;
	gi_str_putc(d->dot, '\t');
	put_id(d, g);
	gi_str_printf(d->dot, " [shape=box%s label=\"", d->root[g] ? " color=red penwidth=2" : "");
	gi_node_format(d->go, g, d->dot);
	gi_str_puts(d->dot, "\\n");
	put_label(d->dot, reason ? reason : gi_g_status_name(gp, buf, sizeof(buf)));
	if (gp)
		gi_error_ignore(gi_unwind_locations(d->u, gp, &where, &at));
	else if (gi_graph_node_thread(d->go, g, &thread) &&
		 gi_c_call_of_thread(d->go, d->u, thread, &call))
		at = call.in;
	put_place(d->dot, &at);
	gi_str_puts(d->dot, "\"];\n");
	return true;
}

static bool draw_object(struct drawing *d, uint32_t object)
{
	_cleanup_(gi_str_deinit) struct gi_str text = {0};

	if (d->object_drawn[object])
		return true;
	if (!room(d))
		return false;
	d->object_drawn[object] = 1;
	d->boxes++;
	gi_object_format(gi_graph_object(d->graph, object), &text);
	gi_str_printf(d->dot, "\to%u [shape=ellipse label=\"", object);
	put_label(d->dot, gi_str_cstr(&text));
	gi_str_puts(d->dot, "\"];\n");
	return true;
}

/** From what is waited for to who has it. */
static struct gi_error *draw_owner(struct drawing *d, const struct gi_edge *e)
{
	const uint64_t key = (uint64_t)e->object << 32 | e->to;
	uint64_t seen;

	if (gi_map_get(&d->owned, key, &seen))
		return NULL;
	struct gi_error *err = gi_map_put(&d->owned, key, 1);
	if (err || !draw_goroutine(d, e->to))
		return err;
	gi_str_printf(d->dot, "\to%u -> ", e->object);
	put_id(d, e->to);
	gi_str_printf(d->dot, " [label=\"%s", gi_edge_verb(d->graph, e));
	put_place(d->dot, &e->acquired_at);
	gi_str_printf(d->dot, "\"%s];\n",
		      e->strength == GI_STRENGTH_EXACT ? "" : " style=dashed");
	return NULL;
}

static struct gi_error *draw_edge(struct drawing *d, const struct gi_edge *e)
{
	if (d->edges++ >= MAX_EDGES) {
		d->left++;
		return NULL;
	}
	if (!draw_goroutine(d, e->from) || !draw_object(d, e->object))
		return NULL;
	gi_str_putc(d->dot, '\t');
	put_id(d, e->from);
	gi_str_printf(d->dot, " -> o%u [label=\"waits for\"];\n", e->object);
	return draw_owner(d, e);
}

/** What goroutines of a root wait for that no edge tells of. */
static void draw_member(struct drawing *d, uint32_t g)
{
	const struct gi_waiter *w = gi_graph_wait_of(d->graph, g);

	if (d->g_drawn[g] || !draw_goroutine(d, g) || !w || !draw_object(d, w->object))
		return;
	gi_str_putc(d->dot, '\t');
	put_id(d, g);
	gi_str_printf(d->dot, " -> o%u [label=\"waits for\"];\n", w->object);
}

// --- goroutines behind a root -----------------------------------------------------------

struct crowd {
	const struct gi_edge *first;
	size_t n;
};

static int by_place(const void *a, const void *b, void *arg)
{
	const struct gi_graph *graph = arg;
	const struct gi_edge *x = gi_graph_edge(graph, *(const uint32_t *)a);
	const struct gi_edge *y = gi_graph_edge(graph, *(const uint32_t *)b);

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	if (x->waits_at.line != y->waits_at.line)
		return x->waits_at.line < y->waits_at.line ? -1 : 1;
	int c = strcmp(x->waits_at.function, y->waits_at.function);
	if (c)
		return c;
	return x->from < y->from ? -1 : x->from > y->from;
}

static bool same_crowd(const struct gi_edge *x, const struct gi_edge *y)
{
	return x->object == y->object && x->waits_at.line == y->waits_at.line &&
	       strcmp(x->waits_at.function, y->waits_at.function) == 0;
}

static struct gi_error *draw_crowd(struct drawing *d, const struct crowd *c)
{
	const struct gi_edge *e = c->first;

	if (c->n == 1)
		return draw_edge(d, e);
	if (!room(d) || !draw_object(d, e->object))
		return NULL;
	d->boxes++;
	gi_str_printf(d->dot, "\tc%zu [shape=box3d label=\"%zu goroutines", d->boxes, c->n);
	put_place(d->dot, &e->waits_at);
	gi_str_printf(d->dot, "\"];\n\tc%zu -> o%u [label=\"wait for\"];\n", d->boxes, e->object);
	return draw_owner(d, e);
}

static struct gi_error *draw_collateral(struct drawing *d, const struct gi_verdict *v)
{
	_cleanup_(gi_freep) uint32_t *sorted = malloc((v->edge_count + 1) * sizeof(*sorted));
	struct gi_error *err = sorted ? NULL : gi_error_nomem();

	if (err)
		return err;
	memcpy(sorted, v->edges, v->edge_count * sizeof(*sorted));
	qsort_r(sorted, v->edge_count, sizeof(*sorted), by_place, (void *)d->graph);
	for (size_t i = 0, next; i < v->edge_count && !err; i = next) {
		struct crowd c = {.first = gi_graph_edge(d->graph, sorted[i])};
		for (next = i;
		     next < v->edge_count &&
		     same_crowd(c.first, gi_graph_edge(d->graph, sorted[next]));
		     next++)
			c.n++;
		err = draw_crowd(d, &c);
	}
	return err;
}

// --- all --------------------------------------------------------------------------------

static struct gi_error *draw_verdicts(struct drawing *d)
{
	struct gi_error *err = NULL;

	for (size_t i = 0; i < gi_graph_verdict_count(d->graph); i++) {
		const struct gi_verdict *v = gi_graph_verdict(d->graph, i);
		for (size_t k = 0; v->kind != GI_VERDICT_COLLATERAL && k < v->goroutine_count; k++)
			d->root[v->goroutines[k]] = gi_verdict_is_stuck(v->kind);
	}
	for (size_t i = 0; i < gi_graph_verdict_count(d->graph) && !err; i++) {
		const struct gi_verdict *v = gi_graph_verdict(d->graph, i);
		if (v->kind == GI_VERDICT_COLLATERAL) {
			err = draw_collateral(d, v);
			continue;
		}
		for (size_t k = 0; k < v->edge_count && !err; k++)
			err = draw_edge(d, gi_graph_edge(d->graph, v->edges[k]));
		for (size_t k = 0; k < v->goroutine_count && !err; k++)
			draw_member(d, v->goroutines[k]);
	}
	return err;
}

struct gi_error *gi_graph_dot(struct gi_go *go, struct gi_unwinder *u, const struct gi_graph *graph,
			      bool all, struct gi_str *dot, size_t *left_ret)
{
	const size_t gs = gi_go_g_count(go) + gi_target_thread_count(gi_go_target(go));
	const size_t objects = gi_graph_object_count(graph);
	_cleanup_(gi_freep) uint8_t *flags = calloc(2 * gs + objects + 1, 1);
	struct drawing d = {.go = go, .u = u, .graph = graph, .dot = dot};
	struct gi_error *err = NULL;

	if (!flags)
		return gi_error_nomem();
	d.g_drawn = flags;
	d.root = flags + gs;
	d.object_drawn = flags + 2 * gs;
	gi_str_puts(dot, "digraph waits {\n\trankdir=LR;\n\tnode [fontname=\"sans-serif\" fontsize=10];\n"
			 "\tedge [fontname=\"sans-serif\" fontsize=9];\n");
	if (!all)
		err = draw_verdicts(&d);
	if (!err && (all || !d.boxes)) {
		for (size_t i = 0; i < gi_graph_edge_count(graph) && !err; i++)
			err = draw_edge(&d, gi_graph_edge(graph, i));
	}
	gi_str_puts(dot, "}\n");
	gi_map_deinit(&d.owned);
	*left_ret = d.left;
	return err ? err : dot->oom ? gi_error_nomem() : NULL;
}

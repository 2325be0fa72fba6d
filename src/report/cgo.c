// Goroutines in C: since when, called from where, in which function, on which thread, and who waits
// for them.
//
// The runtime does not note when a goroutine enters C. Its garbage collector notes when it first
// saw it there, and sysmon when it first saw its P in that call, until the P is in another long
// one: a time is a lower bound, and there may be none.

#include "report/deadlock.h"
#include "report/frame.h"
#include "report/goroutines.h"
#include "report/sched.h"
#include "report/syscall.h"
#include "report/table.h"

#include <stdlib.h>
#include <string.h>

struct row {
	uint32_t g;
	bool has_ns, has_left;
	struct gi_left_p left;
	uint64_t ns;	// at least, that it has been there
	size_t waiters; // goroutines and threads that wait for it
};

struct rows {
	struct row *r;
	size_t n, cap;
};

static int longest_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->has_ns != y->has_ns)
		return x->has_ns ? -1 : 1;
	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return x->g < y->g ? -1 : x->g > y->g;
}

static struct gi_error *collect(struct gi_go *go, const struct gi_graph *graph, struct rows *rows)
{
	_cleanup_(gi_freep) uint32_t *last = NULL;
	_cleanup_(gi_freep) size_t *waiters = NULL;
	const size_t n = gi_go_g_count(go);
	struct gi_error *err = NULL;

	// Edges come in the order of those who wait: each of them counts once.
	last = calloc(n + 1, sizeof(*last));
	waiters = calloc(n + 1, sizeof(*waiters));
	if (!last || !waiters)
		return gi_error_nomem();
	for (size_t i = 0; i < gi_graph_edge_count(graph); i++) {
		const struct gi_edge *e = gi_graph_edge(graph, i);
		if (e->to >= n || e->to == e->from || last[e->to] == e->from + 1)
			continue;
		last[e->to] = e->from + 1;
		waiters[e->to]++;
	}
	for (size_t i = 0; i < n && !err; i++) {
		const struct gi_g *g = gi_go_g(go, i);
		if (!gi_g_is_in_c(go, g))
			continue;
		err = gi_grow(&rows->r, &rows->cap, rows->n + 1, sizeof(*rows->r));
		if (err)
			break;
		struct row *r = &rows->r[rows->n++];
		*r = (struct row){.g = (uint32_t)i, .waiters = waiters[i]};
		r->has_ns = gi_go_wait_ns(go, g, &r->ns);
		r->has_left = gi_go_left_p(go, g, &r->left);
		if (r->has_left && r->left.has_ns && (!r->has_ns || r->ns < r->left.ns)) {
			r->has_ns = true;
			r->ns = r->left.ns;
		}
	}
	if (!err && rows->n)
		qsort(rows->r, rows->n, sizeof(*rows->r), longest_first);
	return err;
}

static const struct gi_pthread_wait *waits_of(const struct gi_graph *graph, const struct gi_g *g)
{
	return g->thread ? gi_graph_pthread_wait(graph, g->thread - 1) : NULL;
}

void gi_left_p_format(const struct gi_left_p *left, struct gi_str *s)
{
	if (!left)
		return;
	gi_str_printf(s, "%" PRId32 " %s", left->p->id, left->taken ? "taken" : "kept");
	if (!left->has_ns)
		return;
	gi_str_puts(s, left->taken ? " for " : ", seen for ");
	gi_duration_format(s, left->ns);
}

void gi_json_left_p(struct gi_out *out, const struct gi_left_p *left)
{
	if (!left) {
		gi_json_null(out, "left_p");
		return;
	}
	gi_json_object(out, "left_p");
	gi_json_i64(out, "id", left->p->id);
	gi_json_bool(out, "taken", left->taken);
	gi_json_u64_or_null(out, "ns", left->has_ns, left->ns);
	gi_json_close(out);
}

static void put_row(struct gi_table *t, struct gi_go *go, const struct gi_graph *graph,
		    const struct row *r, const struct gi_c_call *call)
{
	const struct gi_g *g = gi_go_g(go, r->g);
	const struct gi_m *m = gi_go_m_by_addr(go, g->m);
	const struct gi_pthread_wait *w = waits_of(graph, g);
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	gi_table_cell(t, " ");
	gi_table_cell(t, "%" PRIu64, g->goid);
	if (r->has_ns)
		gi_duration_format(&s, r->ns);
	gi_table_text(t, gi_str_cstr(&s));
	if (g->thread)
		gi_table_cell(t, "%d", (int)gi_target_thread(gi_go_target(go), g->thread - 1)->tid);
	else
		gi_table_text(t, "");
	gi_table_cell(t, "%" PRId64, m->id);
	gi_table_text(t, m->lockedg == g->addr ? "yes" : "");
	gi_str_reset(&s);
	gi_left_p_format(r->has_left ? &r->left : NULL, &s);
	gi_table_text(t, gi_str_cstr(&s));
	if (r->waiters)
		gi_table_cell(t, "%zu", r->waiters);
	else
		gi_table_text(t, "");
	gi_str_reset(&s);
	gi_c_call_format(call, &s);
	gi_table_text(t, gi_str_cstr(&s));
	gi_str_reset(&s);
	if (call->from.pc)
		gi_location_format(&s, call->from.function, call->from.file, call->from.line,
				   call->from.pc);
	else
		gi_str_puts(&s, "a thread of C");
	if (w) {
		gi_str_puts(&s, "; waits for ");
		gi_pthread_wait_format(go, w, &s);
	}
	gi_table_text(t, gi_str_cstr(&s));
}

static void json_row(struct gi_out *out, struct gi_go *go, const struct gi_graph *graph,
		     const struct row *r, const struct gi_c_call *call)
{
	const struct gi_g *g = gi_go_g(go, r->g);
	const struct gi_m *m = gi_go_m_by_addr(go, g->m);
	const struct gi_pthread_wait *w = waits_of(graph, g);

	gi_json_begin(out, "c_call");
	gi_json_u64(out, "goroutine", g->goid);
	gi_json_u64_or_null(out, "ns", r->has_ns, r->ns);
	gi_json_i64_or_null(out, "thread", g->thread,
			    g->thread ? gi_target_thread(gi_go_target(go), g->thread - 1)->tid : 0);
	gi_json_i64(out, "m", m->id);
	gi_json_bool(out, "locked", m->lockedg == g->addr);
	gi_json_left_p(out, r->has_left ? &r->left : NULL);
	gi_json_i64(out, "depth", m->ncgo);
	gi_json_u64(out, "calls", m->ncgocall);
	gi_json_u64(out, "waiters", r->waiters);
	gi_json_str(out, "function", *call->function ? call->function : NULL);
	gi_json_str(out, "innermost", *call->innermost ? call->innermost : NULL);
	gi_json_str(out, "module", call->module);
	gi_json_location_or_null(out, "from", &call->from);
	gi_json_location_or_null(out, "in", &call->in);
	if (w)
		gi_json_pthread_wait(out, go, w);
	else
		gi_json_null(out, "waits_for");
	gi_json_end(out);
}

struct gi_error *gi_report_cgo(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
			       const struct gi_graph *graph)
{
	static const char *const heads[] = {
		">",	 ">GOROUTINE", ">FOR AT LEAST", ">THREAD",     ">M", "LOCKED",
		"ITS P", ">WAITERS",   "C FUNCTION",	"CALLED FROM", NULL};
	_cleanup_(gi_table_deinit) struct gi_table table;
	struct rows rows = {0};
	size_t shown = 0;

	gi_table_init(&table, heads);
	struct gi_error *err = collect(go, graph, &rows);
	for (size_t i = 0; i < rows.n && !err; i++) {
		struct gi_c_call call;
		err = gi_out_check(out);
		// One that is just coming back is in Go again.
		if (err || !gi_c_call_of(go, u, gi_go_g(go, rows.r[i].g), &call))
			continue;
		shown++;
		if (gi_out_is_json(out))
			json_row(out, go, graph, &rows.r[i], &call);
		else
			put_row(&table, go, graph, &rows.r[i], &call);
	}
	free(rows.r);
	if (err)
		return err;
	if (shown)
		gi_table_print(&table, out);
	else
		gi_out_puts(out, "no goroutine is in C\n");
	return gi_out_check(out);
}

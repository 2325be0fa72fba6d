// goroutines: which ones, in which order.
//
// They are shown by id. What a filter asks of the runtime's record (status, wait reason) costs
// nothing; one that asks for functions or files unwinds the stack, of those only that the
// cheap filters left.

#include "report/goroutines.h"

#include <stdlib.h>
#include <string.h>

enum { POLL_EVERY = 256 };

struct ordered {
	uint64_t goid;
	uint32_t index;
};

static int by_id(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	if (x->goid != y->goid)
		return x->goid < y->goid ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static struct gi_error *make_order(struct gi_g_query *q)
{
	size_t n = gi_go_g_count(q->go), count = 0;
	_cleanup_(gi_freep) struct ordered *list = malloc((n + 1) * sizeof(*list));
	q->order = malloc((n + 1) * sizeof(*q->order));
	if (!list || !q->order)
		return gi_error_nomem();
	bool sorted = true;
	for (size_t i = 0; i < n; i++) {
		const struct gi_g *g = gi_go_g(q->go, i);
		if (g->unreadable || (!q->opts->all && gi_g_is_dead(g)))
			continue;
		if (count && list[count - 1].goid > g->goid)
			sorted = false;
		list[count++] = (struct ordered){.goid = g->goid, .index = (uint32_t)i};
	}
	if (!sorted)
		qsort(list, count, sizeof(*list), by_id);
	for (size_t i = 0; i < count; i++)
		q->order[i] = list[i].index;
	q->count = count;
	return NULL;
}

static struct gi_error *parse_filters(struct gi_g_query *q)
{
	const struct gi_goroutines_options *o = q->opts;
	q->filters = calloc(o->with_count + o->without_count + 1, sizeof(*q->filters));
	if (!q->filters)
		return gi_error_nomem();
	for (size_t i = 0; i < o->with_count + o->without_count; i++) {
		bool without = i >= o->with_count;
		const char *text = without ? o->without[i - o->with_count] : o->with[i];
		struct gi_error *err =
			gi_g_filter_parse(text, without, &q->filters[q->filter_count++]);
		if (err)
			return err;
	}
	return NULL;
}

struct counts {
	uint64_t shown, system;
	uint64_t by_status[16];
};

static struct gi_error *list(const struct gi_g_query *q, struct gi_out *out, struct counts *c)
{
	_cleanup_(gi_g_writer_destroyp) struct gi_g_writer *w = NULL;
	struct gi_error *err = gi_g_writer_create(q, q->u, out, &w);
	if (err)
		return err;
	gi_g_writer_head(w);
	for (size_t i = 0; i < q->count; i++) {
		if (i % POLL_EVERY == 0) {
			gi_out_progress(out, "goroutines", i, q->count);
			err = gi_out_check(out);
			if (err)
				return err;
		}
		gi_g_prefetch(q, i);
		const struct gi_g *g = gi_go_g(q->go, q->order[i]);
		bool match = true;
		if (q->filter_count) {
			err = gi_g_matches(q, g, &match);
			if (err)
				return err;
		}
		if (!match)
			continue;
		err = gi_g_writer_row(w, g);
		if (err)
			return err;
		c->shown++;
		c->system += g->system;
	}
	return NULL;
}

struct gi_error *gi_report_goroutines(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				      const struct gi_goroutines_options *opts)
{
	struct gi_g_query q = {.go = go, .u = u, .opts = opts};
	struct counts c = {0};
	struct gi_error *err = parse_filters(&q);
	if (!err)
		err = make_order(&q);
	if (!err && opts->group)
		err = gi_g_group(&q, out);
	else if (!err)
		err = list(&q, out, &c);
	if (!err && !opts->group) {
		gi_out_printf(out, "%" PRIu64 " goroutine%s", c.shown, c.shown == 1 ? "" : "s");
		if (q.filter_count)
			gi_out_printf(out, " of %zu", q.count);
		if (c.system)
			gi_out_printf(out, ", %" PRIu64 " of them the runtime's own", c.system);
		gi_out_puts(out, "\n");
	}
	if (!err) {
		size_t unreadable = 0;
		for (size_t i = 0; i < gi_go_g_count(go); i++)
			unreadable += gi_go_g(go, i)->unreadable;
		if (unreadable)
			gi_out_note(out, "%zu goroutine%s could not be read and %s not shown",
				    unreadable, unreadable == 1 ? "" : "s",
				    unreadable == 1 ? "is" : "are");
	}
	free(q.order);
	free(q.filters);
	return err;
}

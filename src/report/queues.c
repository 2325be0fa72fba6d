// Lists of what is ready, or will be: run queues, timers, the network poller's descriptors.

#include "gcore/sched.h"
#include "report/frame.h"
#include "report/goroutines.h"
#include "report/sched.h"
#include "report/table.h"

#include <stdlib.h>
#include <string.h>

// --- run queues --------------------------------------------------------------------------

struct runq {
	struct gi_out *out;
	struct gi_go *go;
	struct gi_unwinder *u;
	struct gi_table table;
	uint64_t count;
};

static bool runq_row(void *arg, const struct gi_queued *q)
{
	struct runq *r = arg;
	const struct gi_g *g = gi_go_g_by_addr(r->go, q->g);
	struct gi_location where = {0};
	_cleanup_(gi_str_deinit) struct gi_str place = {0};

	r->count++;
	if (g && r->u)
		gi_error_ignore(gi_g_user_location(r->u, g, &where));
	if (gi_out_is_json(r->out)) {
		gi_json_begin(r->out, "queued");
		gi_json_i64_or_null(r->out, "p", q->p >= 0, q->p);
		gi_json_bool(r->out, "next", q->next);
		gi_json_hex(r->out, "addr", q->g);
		gi_json_u64_or_null(r->out, "goroutine", g != NULL, g ? g->goid : 0);
		gi_json_location_or_null(r->out, "location", &where);
		gi_json_end(r->out);
		return true;
	}
	if (q->p < 0)
		gi_table_text(&r->table, "global");
	else
		gi_table_cell(&r->table, "P %d%s", (int)q->p, q->next ? ", next" : "");
	if (g)
		gi_table_cell(&r->table, "%" PRIu64, g->goid);
	else
		gi_table_cell(&r->table, "0x%" PRIx64, q->g);
	if (where.pc)
		gi_location_format(&place, where.function, where.file, where.line, where.pc);
	gi_table_text(&r->table, gi_str_cstr(&place));
	return true;
}

struct gi_error *gi_report_runq(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u)
{
	static const char *const heads[] = {"QUEUE", ">GOROUTINE", "WHERE", NULL};
	struct runq r = {.out = out, .go = go, .u = u};
	struct gi_error *err;

	gi_table_init(&r.table, heads);
	err = gi_go_run_queues(go, runq_row, &r);
	if (!err) {
		if (r.count)
			gi_table_print(&r.table, out);
		gi_out_printf(out, "%" PRIu64 " goroutine%s ready to run\n", r.count,
			      r.count == 1 ? "" : "s");
	}
	gi_table_deinit(&r.table);
	return err;
}

// --- timers ------------------------------------------------------------------------------

struct timers {
	struct gi_timer *all;
	size_t count, cap;
	struct gi_error *err;
};

static bool take_timer(void *arg, const struct gi_timer *t)
{
	struct timers *all = arg;

	all->err = gi_grow(&all->all, &all->cap, all->count + 1, sizeof(*all->all));
	if (!all->err)
		all->all[all->count++] = *t;
	return !all->err;
}

static int by_when(const void *a, const void *b)
{
	const struct gi_timer *x = a, *y = b;

	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

// "in 3.2s", "1m2s ago", "never"
static void put_when(struct gi_str *s, int64_t when, int64_t now)
{
	if (when == INT64_MAX) {
		gi_str_puts(s, "never");
	} else if (!now) {
		gi_str_printf(s, "at %" PRId64, when);
	} else if (when >= now) {
		gi_str_puts(s, "in ");
		gi_duration_format(s, (uint64_t)when - (uint64_t)now);
	} else {
		gi_duration_format(s, (uint64_t)now - (uint64_t)when);
		gi_str_puts(s, " ago");
	}
}

// Whom it wakes, as far as the function tells what its argument is.
static const struct gi_g *wakes(struct gi_go *go, const struct gi_timer *t, const char *fn,
				struct gi_str *ret)
{
	const struct gi_g *g = gi_go_g_by_addr(go, t->arg);
	uint64_t entry;

	if (g) {
		gi_str_printf(ret, "goroutine %" PRIu64, g->goid);
		return g;
	}
	if (strcmp(fn, "time.sendTime") == 0) {
		gi_str_printf(ret, "channel 0x%" PRIx64, t->arg);
	} else if (strcmp(fn, "time.goFunc") == 0 &&
		   gi_target_peek_u64(gi_go_target(go), t->arg, &entry)) {
		gi_sched_function(go, entry, ret);
	} else if (strncmp(fn, "runtime.netpoll", 15) == 0) {
		gi_str_printf(ret, "descriptor 0x%" PRIx64, t->arg);
	}
	return NULL;
}

static void timer_row(struct gi_out *out, struct gi_go *go, struct gi_table *table,
		      const struct gi_timer *t)
{
	_cleanup_(gi_str_deinit) struct gi_str fn = {0}, whom = {0}, when = {0}, period = {0};
	const struct gi_g *g;

	gi_sched_function(go, t->fn, &fn);
	g = wakes(go, t, gi_str_cstr(&fn), &whom);
	if (gi_out_is_json(out)) {
		gi_json_begin(out, "timer");
		gi_json_hex(out, "addr", t->addr);
		gi_json_i64(out, "p", t->p);
		gi_json_i64(out, "when", t->when);
		gi_json_i64(out, "period", t->period);
		gi_json_str(out, "function", gi_str_cstr(&fn));
		gi_json_hex(out, "argument", t->arg);
		gi_json_str(out, "wakes", whom.len ? gi_str_cstr(&whom) : NULL);
		gi_json_u64_or_null(out, "goroutine", g != NULL, g ? g->goid : 0);
		gi_json_end(out);
		return;
	}
	put_when(&when, t->when, (int64_t)gi_go_now(go));
	if (t->period > 0)
		gi_duration_format(&period, (uint64_t)t->period);
	gi_table_text(table, gi_str_cstr(&when));
	gi_table_text(table, gi_str_cstr(&period));
	gi_table_cell(table, "%d", (int)t->p);
	gi_table_text(table, gi_str_cstr(&fn));
	gi_table_text(table, gi_str_cstr(&whom));
}

struct gi_error *gi_report_timers(struct gi_out *out, struct gi_go *go)
{
	static const char *const heads[] = {">FIRES", ">PERIOD", ">P", "CALLS", "WAKES", NULL};
	struct timers all = {0};
	struct gi_table table;
	size_t removed = 0, shown = 0;
	struct gi_error *err = gi_go_timers(go, take_timer, &all);

	if (!err)
		err = all.err;
	if (err) {
		free(all.all);
		return err;
	}
	if (all.count)
		qsort(all.all, all.count, sizeof(*all.all), by_when);
	gi_table_init(&table, heads);
	for (size_t i = 0; i < all.count && !err; i++) {
		removed += all.all[i].removed;
		if (!all.all[i].removed) {
			timer_row(out, go, &table, &all.all[i]);
			shown++;
		}
		err = gi_out_check(out);
	}
	if (!err) {
		if (shown)
			gi_table_print(&table, out);
		gi_out_printf(out, "%zu timer%s", shown, shown == 1 ? "" : "s");
		if (removed)
			gi_out_printf(out, "; %zu stopped one%s still in the heaps", removed,
				      removed == 1 ? " is" : "s are");
		gi_out_puts(out, "\n");
	}
	gi_table_deinit(&table);
	free(all.all);
	return err;
}

// --- the network poller --------------------------------------------------------------------

struct netpoll {
	struct gi_out *out;
	struct gi_go *go;
	struct gi_table table;
	struct gi_poll_desc *all;
	size_t count, cap;
	struct gi_error *err;
};

static void put_side(struct netpoll *n, uint64_t v)
{
	const struct gi_g *g = v > GI_POLL_WAIT ? gi_go_g_by_addr(n->go, v) : NULL;

	if (g)
		gi_table_cell(&n->table, "goroutine %" PRIu64, g->goid);
	else if (v == GI_POLL_READY)
		gi_table_text(&n->table, "ready");
	else if (v == GI_POLL_WAIT)
		gi_table_text(&n->table, "about to wait");
	else
		gi_table_text(&n->table, NULL);
}

static void json_side(struct netpoll *n, const char *key, const char *ready_key, uint64_t v)
{
	const struct gi_g *g = v > GI_POLL_WAIT ? gi_go_g_by_addr(n->go, v) : NULL;

	gi_json_u64_or_null(n->out, key, g != NULL, g ? g->goid : 0);
	gi_json_bool(n->out, ready_key, v == GI_POLL_READY);
}

static void put_deadline(struct netpoll *n, struct gi_str *s, const char *what, int64_t when)
{
	if (!when)
		return;
	gi_str_printf(s, "%s%s ", s->len ? ", " : "", what);
	if (when < 0)
		gi_str_puts(s, "over");
	else
		put_when(s, when, (int64_t)gi_go_now(n->go));
}

static bool take_desc(void *arg, const struct gi_poll_desc *d)
{
	struct netpoll *n = arg;

	n->err = gi_grow(&n->all, &n->cap, n->count + 1, sizeof(*n->all));
	if (!n->err)
		n->all[n->count++] = *d;
	return !n->err;
}

static int by_fd(const void *a, const void *b)
{
	const struct gi_poll_desc *x = a, *y = b;

	if (x->fd != y->fd)
		return x->fd < y->fd ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void netpoll_row(struct netpoll *n, const struct gi_poll_desc *d)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0}, deadline = {0};
	const bool named = gi_go_poll_desc_name(n->go, d, &name);

	if (gi_out_is_json(n->out)) {
		gi_json_begin(n->out, "poll_descriptor");
		gi_json_hex(n->out, "addr", d->addr);
		gi_json_i64(n->out, "fd", d->fd);
		gi_json_str(n->out, "name", named ? gi_str_cstr(&name) : NULL);
		json_side(n, "reader", "read_ready", d->rg);
		json_side(n, "writer", "write_ready", d->wg);
		gi_json_i64(n->out, "read_deadline", d->rd);
		gi_json_i64(n->out, "write_deadline", d->wd);
		gi_json_end(n->out);
		return;
	}
	gi_table_cell(&n->table, "%" PRId64, d->fd);
	put_side(n, d->rg);
	put_side(n, d->wg);
	put_deadline(n, &deadline, "read", d->rd);
	put_deadline(n, &deadline, "write", d->wd);
	gi_table_text(&n->table, gi_str_cstr(&deadline));
	gi_table_text(&n->table, named ? gi_str_cstr(&name) : NULL);
}

struct gi_error *gi_report_netpoll(struct gi_out *out, struct gi_go *go)
{
	static const char *const heads[] = {">FD", "READ", "WRITE", "DEADLINE", "WHAT", NULL};
	struct netpoll n = {.out = out, .go = go};
	struct gi_error *err;

	gi_table_init(&n.table, heads);
	err = gi_go_poll_descs(go, take_desc, &n);
	if (!err)
		err = n.err;
	if (n.count)
		qsort(n.all, n.count, sizeof(*n.all), by_fd);
	for (size_t i = 0; i < n.count && !err; i++) {
		netpoll_row(&n, &n.all[i]);
		err = gi_out_check(out);
	}
	if (!err) {
		if (n.count)
			gi_table_print(&n.table, out);
		gi_out_printf(out, "%zu descriptor%s\n", n.count, n.count == 1 ? "" : "s");
	}
	gi_table_deinit(&n.table);
	free(n.all);
	return err;
}

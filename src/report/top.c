// Who uses the processors of a running process: threads, and the goroutines that they run.
//
// The process is not stopped for it. Many times a second each thread's time on processors is asked
// of the kernel, and one word of its M is read: the goroutine that it runs. The time between two
// samples goes to that goroutine if both samples saw it, half and half if they saw two, and to "no
// goroutine" where there is none: the scheduler, the collector's own work on system
// stacks, C threads. It is a sample: what ran for less than its interval may be missed, not what
// burns a processor.

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/frame.h"
#include "report/kernel.h"
#include "report/table.h"

enum { INTERVAL_NS = 10000000, SHOWN_MAX = 1 << 16 };

struct seen_thread {
	pid_t tid;
	uint64_t first, last; // time on processors
	uint64_t goid;	// that it ran when it was looked at last
	bool gone;
};

struct seen_goroutine {
	uint64_t goid, ns;
};

struct top {
	struct gi_target *t;
	struct gi_go *go;
	struct seen_thread *threads;
	uint64_t *addrs, *gs, *goid_addrs, *goids; // a word for each thread
	size_t n;
	struct gi_map ns; // by goid
	uint64_t samples;
	double seconds;
};

static void top_deinit(struct top *x)
{
	free(x->threads);
	free(x->addrs);
	free(x->gs);
	free(x->goid_addrs);
	free(x->goids);
	gi_map_deinit(&x->ns);
}

static struct gi_error *give(struct top *x, uint64_t goid, uint64_t ns)
{
	uint64_t sum = 0;
	if (!ns)
		return NULL;
	(void)gi_map_get(&x->ns, goid, &sum);
	return gi_map_put(&x->ns, goid, sum + ns);
}

static struct gi_error *sample(struct top *x, bool first)
{
	gi_live_words_now(x->t, x->addrs, x->n, x->gs);
	for (size_t i = 0; i < x->n; i++)
		x->goid_addrs[i] = x->gs[i] ? x->gs[i] + gi_go_goid_offset(x->go) : 0;
	gi_live_words_now(x->t, x->goid_addrs, x->n, x->goids);
	for (size_t i = 0; i < x->n; i++) {
		struct seen_thread *th = &x->threads[i];
		uint64_t now;
		if (th->gone)
			continue;
		if (!gi_live_cpu_now(x->t, th->tid, &now)) {
			th->gone = true;
			continue;
		}
		uint64_t goid = x->goids[i];
		struct gi_error *err = NULL;
		if (first) {
			th->first = now;
		} else if (now > th->last) {
			uint64_t half = (now - th->last) / 2;
			err = give(x, th->goid, half);
			if (!err)
				err = give(x, goid, now - th->last - half);
		}
		if (err)
			return err;
		th->last = now;
		th->goid = goid;
	}
	x->samples++;
	return NULL;
}

static struct gi_error *watch(struct top *x, double seconds)
{
	double start = gi_now();
	struct gi_error *err = sample(x, true);
	while (!err && gi_now() - start < seconds) {
		struct timespec nap = {.tv_nsec = INTERVAL_NS};
		nanosleep(&nap, NULL);
		err = gi_interrupt_check();
		if (!err && gi_live_is_over(x->t))
			err = gi_error_create(GI_ERR_NOT_FOUND, "the process has ended, or runs another program");
		if (!err)
			err = sample(x, false);
	}
	x->seconds = gi_now() - start;
	return err;
}

static struct gi_error *top_init(struct top *x)
{
	x->n = gi_target_thread_count(x->t);
	x->threads = calloc(x->n + 1, sizeof(*x->threads));
	x->addrs = calloc(x->n + 1, sizeof(*x->addrs));
	x->gs = calloc(x->n + 1, sizeof(*x->gs));
	x->goid_addrs = calloc(x->n + 1, sizeof(*x->goid_addrs));
	x->goids = calloc(x->n + 1, sizeof(*x->goids));
	if (!x->threads || !x->addrs || !x->gs || !x->goid_addrs || !x->goids)
		return gi_error_nomem();
	for (size_t i = 0; i < x->n; i++) {
		const struct gi_m *m = x->go ? gi_go_m_by_thread(x->go, i) : NULL;
		x->threads[i].tid = gi_target_thread(x->t, i)->tid;
		x->addrs[i] = m ? m->addr + gi_go_curg_offset(x->go) : 0;
	}
	return NULL;
}

// --- output ---------------------------------------------------------------------

static int most_first(const void *a, const void *b)
{
	const struct seen_goroutine *x = a, *y = b;
	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return x->goid < y->goid ? -1 : x->goid > y->goid;
}

static int busiest_first(const void *a, const void *b)
{
	const struct seen_thread *x = a, *y = b;
	uint64_t m = x->last - x->first, n = y->last - y->first;
	if (m != n)
		return m > n ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

// What it is: for a goroutine of the last look its start function.
static void put_what(struct gi_str *s, struct top *x, uint64_t goid)
{
	const struct gi_g *g = goid && x->go ? gi_go_g_by_id(x->go, goid) : NULL;
	if (!goid) {
		gi_str_puts(s, "no goroutine: scheduler, collector, C");
		return;
	}
	if (!g || gi_g_is_dead(g)) {
		gi_str_puts(s, "began after the last look, or has ended");
		return;
	}
	struct gi_func f;
	if (gi_functab_find(gi_go_functab(x->go), g->start_pc, &f))
		gi_function_print_name(f.name, s);
	if (g->system)
		gi_str_puts(s, " [system]");
}

static void put_goroutine(struct gi_out *out, struct gi_table *table, struct top *x,
			  const struct seen_goroutine *g)
{
	_cleanup_(gi_str_deinit) struct gi_str what = {0}, rate = {0}, time = {0};
	put_what(&what, x, g->goid);
	if (gi_out_is_json(out)) {
		gi_json_begin(out, "top");
		gi_json_null(out, "tid");
		gi_json_u64_or_null(out, "goroutine", g->goid != 0, g->goid);
		gi_json_u64(out, "cpu_us", g->ns / 1000);
		gi_json_u64(out, "permille", (uint64_t)((double)g->ns / 1e6 / x->seconds + 0.5));
		gi_json_str(out, "what", gi_str_cstr(&what));
		gi_json_end(out);
		return;
	}
	gi_kernel_put_rate(&rate, true, (double)g->ns / 1e9 / x->seconds);
	gi_kernel_put_time(&time, g->ns);
	gi_table_text(table, gi_str_cstr(&rate));
	gi_table_text(table, gi_str_cstr(&time));
	if (g->goid)
		gi_table_cell(table, "%" PRIu64, g->goid);
	else
		gi_table_text(table, "-");
	gi_table_text(table, gi_str_cstr(&what));
}

static void put_thread(struct gi_out *out, struct gi_table *table, struct top *x,
		       const struct seen_thread *th)
{
	_cleanup_(gi_str_deinit) struct gi_str rate = {0}, time = {0};
	uint64_t ns = th->last - th->first;
	if (gi_out_is_json(out)) {
		gi_json_begin(out, "top");
		gi_json_i64_or_null(out, "tid", true, th->tid);
		gi_json_u64_or_null(out, "goroutine", th->goid != 0, th->goid);
		gi_json_u64(out, "cpu_us", ns / 1000);
		gi_json_u64(out, "permille", (uint64_t)((double)ns / 1e6 / x->seconds + 0.5));
		gi_json_null(out, "what");
		gi_json_end(out);
		return;
	}
	gi_kernel_put_rate(&rate, true, (double)ns / 1e9 / x->seconds);
	gi_kernel_put_time(&time, ns);
	gi_table_text(table, gi_str_cstr(&rate));
	gi_table_text(table, gi_str_cstr(&time));
	gi_table_cell(table, "%d", (int)th->tid);
	if (th->goid)
		gi_table_cell(table, "%" PRIu64, th->goid);
	else
		gi_table_text(table, "-");
}

static struct gi_error *print_goroutines(struct gi_out *out, struct top *x, size_t max)
{
	static const char *const heads[] = {">CPU", ">TIME", ">GOROUTINE", "BEGAN IN", NULL};
	_cleanup_(gi_table_deinit) struct gi_table table;
	_cleanup_(gi_freep) struct seen_goroutine *list = calloc(x->ns.len + 1, sizeof(*list));
	size_t n = 0;
	if (!list)
		return gi_error_nomem();
	uint64_t ns;
	for (size_t i = 0; i < x->ns.cap; i++) {
		uint64_t goid;
		if (gi_map_at(&x->ns, i, &goid, &ns))
			list[n++] = (struct seen_goroutine){goid, ns};
	}
	if (gi_map_get(&x->ns, 0, &ns))
		list[n++] = (struct seen_goroutine){0, ns};
	qsort(list, n, sizeof(*list), most_first);
	gi_table_init(&table, heads);
	for (size_t i = 0; i < n && i < max; i++)
		put_goroutine(out, &table, x, &list[i]);
	gi_table_print(&table, out);
	if (n > max && !gi_out_is_json(out))
		gi_out_printf(out, "and %zu more\n", n - max);
	return NULL;
}

struct gi_error *gi_report_top(struct gi_out *out, struct gi_target *t, struct gi_go *go,
			       double seconds, size_t max)
{
	static const char *const heads[] = {">CPU", ">TIME", ">TID", ">GOROUTINE", NULL};
	_cleanup_(top_deinit) struct top x = {.t = t, .go = go};
	_cleanup_(gi_table_deinit) struct gi_table table;
	gi_table_init(&table, heads);
	if (max > SHOWN_MAX)
		max = SHOWN_MAX;
	struct gi_error *err = top_init(&x);
	if (!err)
		err = watch(&x, seconds);
	if (err)
		return err;
	qsort(x.threads, x.n, sizeof(*x.threads), busiest_first);
	size_t ran = 0;
	for (size_t i = 0; i < x.n && i < max; i++) {
		ran += x.threads[i].last > x.threads[i].first;
		if (gi_out_is_json(out) || x.threads[i].last > x.threads[i].first)
			put_thread(out, &table, &x, &x.threads[i]);
	}
	if (!gi_out_is_json(out))
		gi_out_printf(out, "%.1f s, %" PRIu64 " samples\n", x.seconds, x.samples);
	if (!ran && !gi_out_is_json(out)) {
		gi_out_puts(out, "no thread used a processor\n");
		return NULL;
	}
	gi_table_print(&table, out);
	if (!go)
		return NULL;
	if (!gi_out_is_json(out))
		gi_out_puts(out, "\n");
	return print_goroutines(out, &x, max);
}

// What is wrong with the scheduler, in words. Each finding follows from fields of the runtime
// alone; where one can also be seen for an instant in a program that is well, it says so.
//
// A runtime that prints a crash freezes all others first, as if it stopped the world: that
// is told, and what follows from it alone is not. Source: src/runtime/proc.go, Go 1.18 to 1.27.

#include "gcore/sched.h"
#include "report/frame.h"
#include "report/goroutines.h"
#include "report/sched.h"

#include <stdarg.h>
#include <string.h>

enum {
	NAMED = 5,	     // goroutines that a finding names one by one
	LONG_NS = 100000000, // a goroutine has to give way after 10 ms (ASKED_NS)
	ASKED_NS = 10000000,
	OVERDUE_NS = 1000000000,    // a timer that is later than this is not late by chance
	G_RUNNABLE = GI_G_RUNNABLE, // with no scan bit: nobody looks at it just now
};

#define NO_SIGNALS \
	"; GODEBUG=asyncpreemptoff=1 keeps the runtime from interrupting loops by a signal"

// Wait reasons of those who need the collector to get on.
static const char *const for_collector[] = {
	"GC assist wait",	"wait for GC cycle",  "GC mark termination",
	"flushing proc caches", "garbage collection", "GC weak to strong wait",
};

struct checker {
	struct gi_out *out;
	struct gi_go *go;
	struct gi_unwinder *u;
	size_t found;
	// By address of g: on a queue, named by a timer, by a poll descriptor, moved by a thread.
	struct gi_map queued, sleeping, polled, hands;
	struct gi_error *err;
	bool has_timers, has_polled;
	int64_t overdue_when, overdue_p; // of the timer that should have fired first
	bool no_signals;		 // GODEBUG=asyncpreemptoff=1: loops cannot be interrupted
	size_t busy, stubborn; // Ps that run goroutines; those whose goroutine does not give way
	struct gi_str *first;  // not NULL: nothing is written, and this is the first of what lasts
};

// Those that do not pass by themselves in an instant.
static bool lasts(const char *kind)
{
	static const char *const kinds[] = {"does-not-stop", "runs-long",      "waits-behind",
					    "p-in-syscall",  "global-starves", "overdue-timer"};

	for (size_t i = 0; i < GI_ARRAY_SIZE(kinds); i++) {
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	}
	return false;
}

// g or NULL, p -1: none.
GI_PRINTF(5, 6)
static void finding(struct checker *c, const char *kind, const struct gi_g *g, int64_t p,
		    const char *fmt, ...)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	va_list ap;

	va_start(ap, fmt);
	gi_str_vprintf(&s, fmt, ap);
	va_end(ap);
	if (c->first) {
		if (lasts(kind) && !c->found++)
			gi_str_puts(c->first, gi_str_cstr(&s));
		return;
	}
	c->found++;
	if (gi_out_is_json(c->out)) {
		gi_json_begin(c->out, "sched_finding");
		gi_json_str(c->out, "kind", kind);
		gi_json_str(c->out, "text", gi_str_cstr(&s));
		gi_json_u64_or_null(c->out, "goroutine", g != NULL, g ? g->goid : 0);
		gi_json_i64_or_null(c->out, "p", p >= 0, p);
		gi_json_end(c->out);
		return;
	}
	gi_out_printf(c->out, "- %s\n", gi_str_cstr(&s));
}

// "goroutine 7 (main.spin at main.go:12)"
static void put_goroutine(struct checker *c, struct gi_str *s, const struct gi_g *g)
{
	struct gi_location where = {0};
	struct gi_error *err;

	gi_str_printf(s, "goroutine %" PRIu64, g->goid);
	if (!c->u)
		return;
	err = gi_g_user_location(c->u, g, &where);
	gi_error_ignore(err);
	if (!where.pc)
		return;
	gi_str_puts(s, " (");
	gi_location_format(s, where.function, where.file, where.line, where.pc);
	gi_str_puts(s, ")");
}

static bool is_frozen(const struct gi_sched *s)
{
	return s->stopwait == GI_FREEZE_STOP_WAIT || (s->gcwaiting && s->panicking);
}

// How long the P has run the same goroutine, as sysmon saw it; 0: it moved on, or is unknown.
static uint64_t same_for(struct gi_go *go, const struct gi_p *p)
{
	const uint64_t now = gi_go_now(go);

	if (p->seen_sched_tick != p->sched_tick || !p->sched_tick_when || now < p->sched_tick_when)
		return 0;
	return now - p->sched_tick_when;
}

static const struct gi_g *goroutine_of(struct gi_go *go, const struct gi_p *p)
{
	const struct gi_m *m = p->m ? gi_go_m_by_addr(go, p->m) : NULL;

	return m && m->curg ? gi_go_g_by_addr(go, m->curg) : NULL;
}

static bool in_syscall(const struct gi_p *p, const struct gi_g *g)
{
	return p->status == 2 || (g && (g->status & ~(uint32_t)GI_G_SCAN) == GI_G_SYSCALL);
}

// --- each P ----------------------------------------------------------------------------

// Goroutines that cannot run while the one that has the P does.
static void check_behind(struct checker *c, const struct gi_p *p, const struct gi_g *g,
			 const char *who, const char *since)
{
	const uint32_t waiting = p->runq_tail - p->runq_head + (p->runnext != 0);

	if (waiting)
		finding(c, "waits-behind", g, p->id,
			"%" PRIu32 " goroutine%s on P %" PRId32
			" wait%s behind %s, which has run%s",
			waiting, waiting == 1 ? "" : "s", p->id, waiting == 1 ? "s" : "", who,
			since);
}

static void check_p(struct checker *c, const struct gi_p *p, bool stopping, bool frozen)
{
	const struct gi_g *g = goroutine_of(c->go, p);
	const uint64_t ns = same_for(c->go, p);
	_cleanup_(gi_str_deinit) struct gi_str who = {0}, since = {0};

	if (!p->m || (p->status != 1 && p->status != 2))
		return;
	if (g)
		put_goroutine(c, &who, g);
	else
		gi_str_puts(&who, "no goroutine");
	// The runtime's watch asks whoever has run for 10 ms; a stop of the world asks at once.
	const bool asked = g && gi_go_g_preempt(c->go, g) && !stopping && !frozen;
	const uint64_t at_least =
		asked && p->seen_sched_tick == p->sched_tick ? gi_max_u64(ns, ASKED_NS) : ns;
	if (at_least) {
		gi_str_puts(&since, " for at least ");
		gi_duration_format(&since, at_least);
	}
	c->busy += g != NULL;
	if (frozen) {
		// The freeze asks all to give way, too; who had run for long before has not.
		if (g && ns >= LONG_NS && !in_syscall(p, g))
			finding(c, "runs-long", g, p->id,
				"%s had run on P %" PRId32 "%s when that began", gi_str_cstr(&who),
				p->id, gi_str_cstr(&since));
		return;
	}
	if (in_syscall(p, g))
		return; // see check_held
	if (stopping && g) {
		finding(c, "does-not-stop", g, p->id,
			"P %" PRId32 " has not stopped: it runs %s%s%s%s", p->id, gi_str_cstr(&who),
			gi_str_cstr(&since),
			p->preempt || gi_go_g_preempt(c->go, g)
				? ", which was asked to give way and has not"
				: "",
			c->no_signals ? NO_SIGNALS : "");
		return;
	}
	if (!g || (ns < LONG_NS && !(asked && since.len)))
		return;
	// On its thread the runtime itself waits, for the other Ps, say: no goroutine can be asked.
	const struct gi_m *m = gi_go_m_by_addr(c->go, p->m);
	if ((m && m->blocked) || (g->status & ~(uint32_t)GI_G_SCAN) == GI_G_WAITING) {
		finding(c, "p-waits", g, p->id,
			"P %" PRId32 " is kept%s by %s, whose thread waits in the runtime", p->id,
			gi_str_cstr(&since), gi_str_cstr(&who));
		return;
	}
	c->stubborn++;
	if (asked)
		finding(c, "does-not-give-way", g, p->id,
			"%s has run on P %" PRId32 "%s; it was asked to give way and has not: %s%s",
			gi_str_cstr(&who), p->id, gi_str_cstr(&since),
			ns >= LONG_NS || c->no_signals
				? "a loop without a safe point, or its thread gets no CPU"
				: "that is so for an instant in programs that are well, too",
			c->no_signals ? NO_SIGNALS : "");
	check_behind(c, p, g, gi_str_cstr(&who), gi_str_cstr(&since));
}

// A P that is kept for a goroutine in a system call. Until Go 1.25 it has no M then, and a status
// of its own; since then it looks as if it ran. A stop of the world takes it at once, sysmon after
// 10 ms.
static void check_held(struct checker *c, const struct gi_m *m, bool stopping)
{
	const struct gi_g *g = m->curg ? gi_go_g_by_addr(c->go, m->curg) : NULL;
	_cleanup_(gi_str_deinit) struct gi_str who = {0}, since = {0};
	struct gi_left_p left;

	if (!g || !gi_go_left_p(c->go, g, &left) || left.taken ||
	    (left.p->status != 1 && left.p->status != 2))
		return;
	if (!stopping && (!left.has_ns || left.ns < LONG_NS))
		return;
	put_goroutine(c, &who, g);
	if (left.has_ns) {
		gi_str_puts(&since, " for at least ");
		gi_duration_format(&since, left.ns);
	}
	finding(c, "p-in-syscall", g, left.p->id,
		"P %" PRId32 " is held by %s, in a system call%s: it was not taken back%s",
		left.p->id, gi_str_cstr(&who), gi_str_cstr(&since),
		left.has_ns && left.ns >= LONG_NS
			? ", which the runtime's watch (sysmon) does after 10ms: that does not run"
			: "");
}

static size_t spinning_ms(struct gi_go *go)
{
	size_t n = 0;

	for (size_t i = 0; i < gi_go_m_count(go); i++)
		n += gi_go_m(go, i)->spinning;
	return n;
}

// Who stops the world, by what it says that it waits for; NULL: unknown.
static const struct gi_g *who_stops(struct gi_go *go)
{
	for (size_t i = 0; i < gi_go_g_count(go); i++) {
		const struct gi_g *g = gi_go_g(go, i);
		const char *why = g->unreadable ? NULL : gi_go_wait_reason(go, g);

		if (why && strcmp(why, "stopping the world") == 0)
			return g;
	}
	return NULL;
}

static void check_world(struct checker *c)
{
	const struct gi_sched *s = gi_go_sched(c->go);
	size_t in_c = 0, with_g = 0;

	if (is_frozen(s)) {
		finding(c, "frozen", NULL, -1,
			"the runtime froze all other threads to print this crash: run queues and Ps are "
			"as that left them");
	} else if (s->gcwaiting && s->stopwait > 0) {
		_cleanup_(gi_str_deinit) struct gi_str who = {0};
		const struct gi_g *g = who_stops(c->go);

		if (g) {
			gi_str_puts(&who, " by ");
			put_goroutine(c, &who, g);
		}
		finding(c, "world-stopping", g, -1,
			"the world is being stopped%s: %" PRId32 " of %" PRId32
			" Ps ha%s not stopped, and all others wait for that"
			" (a healthy stop is mostly over in less than a millisecond)",
			gi_str_cstr(&who), s->stopwait, s->gomaxprocs,
			s->stopwait == 1 ? "s" : "ve");
	} else if (s->gcwaiting) {
		finding(c, "world-stopped", NULL, -1, "the world is stopped");
	}
	for (size_t i = 0; i < gi_go_m_count(c->go); i++) {
		const struct gi_m *m = gi_go_m(c->go, i);
		_cleanup_(gi_str_deinit) struct gi_str off = {0};

		// An M for C's own threads has a goroutine that is not alive.
		const struct gi_g *g = m->curg ? gi_go_g_by_addr(c->go, m->curg) : NULL;
		with_g += g && !gi_g_is_dead(g);
		in_c += g && !gi_g_is_dead(g) && m->incgo;
		gi_sched_preemptoff(c->go, m, &off);
		if (off.len && !is_frozen(s))
			finding(c, "preemption-off", NULL, -1,
				"M %" PRId64 " keeps its goroutine running: %s", m->id,
				gi_str_cstr(&off));
	}
	// One goroutine in C, and all others waiting, is how many programs spend their time.
	if (in_c > 1 && in_c == with_g)
		finding(c, "all-in-c", NULL, -1, "all %zu Ms that run goroutines are in C code",
			in_c);
	const size_t spin = spinning_ms(c->go);
	if (s->nmspinning > spin && !is_frozen(s))
		finding(c, "spinning", NULL, -1,
			"%" PRIu32
			" M%s should be looking for work, and %s: no other is woken as long as "
			"that is so; in programs that are well it is for an instant",
			s->nmspinning, s->nmspinning == 1 ? "" : "s",
			!spin ? (s->nmspinning == 1 ? "is not" : "none is") : "fewer are");
	for (size_t i = 0; i < gi_go_m_count(c->go) && !is_frozen(s); i++)
		check_held(c, gi_go_m(c->go, i), s->gcwaiting && s->stopwait > 0);
	for (size_t i = 0; i < gi_go_p_count(c->go); i++)
		check_p(c, gi_go_p(c->go, i), s->gcwaiting && s->stopwait > 0, is_frozen(s));
	if (s->runq_size > 0 && c->busy && c->busy == c->stubborn && !s->npidle)
		finding(c, "global-starves", NULL, -1,
			"%" PRId32
			" goroutine%s on the global run queue: no P comes to take %s, each is "
			"kept by one goroutine",
			s->runq_size, s->runq_size == 1 ? " is" : "s are",
			s->runq_size == 1 ? "it" : "them");
}

// --- wake-ups ----------------------------------------------------------------------------

static bool take_queued(void *arg, const struct gi_queued *q)
{
	struct checker *c = arg;

	c->err = gi_map_put(&c->queued, q->g, 1);
	return !c->err;
}

static bool take_timer(void *arg, const struct gi_timer *t)
{
	struct checker *c = arg;

	if (t->removed)
		return true;
	if (t->when > 0 && (!c->overdue_when || t->when < c->overdue_when)) {
		c->overdue_when = t->when;
		c->overdue_p = t->p;
	}
	// time.Sleep's timer: its argument is the goroutine.
	if (gi_go_g_by_addr(c->go, t->arg))
		c->err = gi_map_put(&c->sleeping, t->arg, 1);
	return !c->err;
}

static bool take_poll(void *arg, const struct gi_poll_desc *d)
{
	struct checker *c = arg;

	if (d->rg > GI_POLL_WAIT)
		c->err = gi_map_put(&c->polled, d->rg, 1);
	if (!c->err && d->wg > GI_POLL_WAIT)
		c->err = gi_map_put(&c->polled, d->wg, 1);
	return !c->err;
}

static bool has(const struct gi_map *map, const struct gi_g *g)
{
	uint64_t v;

	return gi_map_get(map, g->addr, &v);
}

struct lost {
	const char *kind, *what;
	uint64_t count;
	const struct gi_g *first[NAMED];
};

static void see_lost(struct lost *l, const struct gi_g *g)
{
	if (l->count < NAMED)
		l->first[l->count] = g;
	l->count++;
}

static void report_lost(struct checker *c, const struct lost *l)
{
	for (size_t i = 0; i < l->count && i < NAMED; i++) {
		_cleanup_(gi_str_deinit) struct gi_str who = {0};

		put_goroutine(c, &who, l->first[i]);
		finding(c, l->kind, l->first[i], -1, "%s %s", gi_str_cstr(&who), l->what);
	}
	if (l->count > NAMED)
		finding(c, l->kind, NULL, -1, "%" PRIu64 " more like that", l->count - NAMED);
}

static struct gi_error *collect(struct checker *c)
{
	struct gi_error *err = gi_go_run_queues(c->go, take_queued, c);

	if (err || c->err)
		return err ? err : c->err;
	err = gi_sched_hands(c->go, c->u, &c->hands);
	if (err)
		return err;
	err = gi_go_timers(c->go, take_timer, c);
	if (err && gi_error_code(err) != GI_ERR_UNSUPPORTED)
		return err;
	c->has_timers = !err;
	gi_error_ignore(err);
	if (c->err)
		return c->err;
	err = gi_go_poll_descs(c->go, take_poll, c);
	if (err && gi_error_code(err) != GI_ERR_UNSUPPORTED)
		return err;
	c->has_polled = !err;
	gi_error_ignore(err);
	return c->err;
}

static struct gi_error *check_goroutines(struct checker *c)
{
	const struct gi_sched *s = gi_go_sched(c->go);
	struct lost sleep = {
		.kind = "lost-timer",
		.what = "sleeps, and no timer wakes it: its wake-up was lost, or it is "
			"just going to sleep or waking"};
	struct lost poll = {.kind = "lost-poll",
			    .what = "waits for a descriptor that does not name it: its wake-up was "
				    "lost, or it is just going to wait or waking"};
	struct lost run = {.kind = "lost-runnable",
			   .what = "is runnable and on no run queue: it was lost, or is just being "
				   "moved"};
	struct lost gc = {.kind = "gc-waits", .what = "waits for the garbage collector"};
	uint64_t runnable = 0;

	for (size_t i = 0; i < gi_go_g_count(c->go); i++) {
		const struct gi_g *g = gi_go_g(c->go, i);
		const char *why = gi_go_wait_reason(c->go, g);

		if (i % 4096 == 0) {
			struct gi_error *err = c->out ? gi_out_check(c->out) : NULL;

			if (err)
				return err;
		}
		if (g->unreadable)
			continue;
		if (g->status == G_RUNNABLE) {
			runnable++;
			if (!has(&c->queued, g) && !has(&c->hands, g) && !is_frozen(s))
				see_lost(&run, g);
		}
		for (size_t k = 0; why && k < GI_ARRAY_SIZE(for_collector); k++) {
			if (strcmp(why, for_collector[k]) == 0)
				see_lost(&gc, g);
		}
		// The runtime's own sleepers have timers with other arguments; a bubble has its
		// own.
		if (!why || g->bubble || g->system || g->status != GI_G_WAITING ||
		    has(&c->hands, g))
			continue;
		if (c->has_timers && strcmp(why, "sleep") == 0 && !has(&c->sleeping, g))
			see_lost(&sleep, g);
		if (c->has_polled && strcmp(why, "IO wait") == 0 && !has(&c->polled, g))
			see_lost(&poll, g);
	}
	if (runnable && s->npidle && !s->gcwaiting)
		finding(c, "idle-ps", NULL, -1,
			"%" PRIu64 " goroutine%s runnable while %" PRIu32 " of %" PRId32
			" Ps are idle%s",
			runnable, runnable == 1 ? " is" : "s are", s->npidle, s->gomaxprocs,
			s->nmspinning ? "; Ms that look for work are on their way" : "");
	report_lost(c, &gc);
	report_lost(c, &run);
	report_lost(c, &sleep);
	report_lost(c, &poll);
	return NULL;
}

static void check_timers(struct checker *c)
{
	const int64_t now = (int64_t)gi_go_now(c->go);
	_cleanup_(gi_str_deinit) struct gi_str late = {0};

	const int64_t by = gi_sub_i64(now, c->overdue_when);
	if (!c->overdue_when || by < OVERDUE_NS)
		return;
	gi_duration_format(&late, (uint64_t)by);
	finding(c, "overdue-timer", NULL, c->overdue_p,
		"a timer of P %" PRId64 " is overdue by at least %s", c->overdue_p,
		gi_str_cstr(&late));
}

static struct gi_error *check_all(struct checker *c)
{
	struct gi_error *err;
	int32_t off = 0;

	c->no_signals = gi_go_debug_setting(c->go, "asyncpreemptoff", &off) && off;
	check_world(c);
	err = collect(c);
	if (!err) {
		check_timers(c);
		err = check_goroutines(c);
	}
	gi_map_deinit(&c->queued);
	gi_map_deinit(&c->sleeping);
	gi_map_deinit(&c->polled);
	gi_map_deinit(&c->hands);
	return err;
}

size_t gi_sched_trouble(struct gi_go *go, struct gi_unwinder *u, struct gi_str *first)
{
	struct checker c = {.go = go, .u = u, .first = first};

	// What cannot be read is told by the command itself.
	gi_error_ignore(check_all(&c));
	return c.found;
}

struct gi_error *gi_report_sched(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u)
{
	struct checker c = {.out = out, .go = go, .u = u};
	struct gi_error *err;

	// What is wrong comes first: the runtime's text has a line for each goroutine.
	gi_report_sched_line(out, gi_go_sched(go));
	err = check_all(&c);
	if (!err && !c.found)
		gi_out_puts(out, "nothing is wrong with the scheduler, as far as can be seen\n");
	gi_out_puts(out, "\n");
	if (err && gi_error_code(err) == GI_ERR_PIPE)
		return err;
	struct gi_error *text = gi_report_schedtrace(out, go);
	if (!err)
		return text;
	gi_error_ignore(text);
	return err;
}

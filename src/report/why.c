// One goroutine's wait as a story: it waits for an object, which another goroutine has, which
// waits in its turn, until somebody is found who waits for nobody, or who was met before.

#include <stdlib.h>
#include <string.h>

#include "gcore/pthread.h"
#include "gcore/runtime_lock.h"
#include "report/deadlock.h"
#include "report/frame.h"
#include "report/goroutines.h"
#include "report/why.h"

enum { MAX_STEPS = 64, MAX_CASES = 8 };

/** How a chain ends: at its last goroutine. */
enum ending {
	END_CIRCLE, // it waits for one that was told of
	END_RUNS,
	END_SLEEPS,
	END_TIMER, // of a channel that a timer sends on
	END_INPUT,
	END_SYSCALL,
	END_IN_C,
	END_RUNTIME,
	END_NOTHING,	 // a nil channel, an empty select
	END_UNREACHABLE, // proved: nobody can reach what it waits for
	END_NO_OWNER,
	END_UNKNOWN, // a channel, a group, a condition: whoever can reach it
	END_TOO_LONG,
};

struct step {
	uint32_t g;
	const struct gi_edge *edge; // NULL: the chain ends here
	size_t others;		    // edges that are not followed
};

struct chain {
	struct step steps[MAX_STEPS];
	size_t n;
	enum ending end;
	uint32_t back_to; // END_CIRCLE
};

static const char *ending_name(enum ending e)
{
	static const char *const names[] = {
		[END_CIRCLE] = "circle",	   [END_RUNS] = "runs",
		[END_SLEEPS] = "sleeps",	   [END_TIMER] = "timer",
		[END_INPUT] = "input",
		[END_SYSCALL] = "syscall",	   [END_IN_C] = "in-c",
		[END_RUNTIME] = "runtime",	   [END_NOTHING] = "nothing",
		[END_UNREACHABLE] = "unreachable", [END_NO_OWNER] = "no-owner",
		[END_UNKNOWN] = "unknown",	   [END_TOO_LONG] = "too-long",
	};

	return names[e];
}

// --- following ----------------------------------------------------------------------------

static bool verdict_root(const struct gi_graph *graph, uint32_t g, size_t *ret)
{
	size_t i;

	if (!gi_graph_verdict_of(graph, g, &i))
		return false;
	*ret = gi_graph_verdict(graph, i)->root;
	return true;
}

static bool is_on_cycle(const struct gi_graph *graph, const struct gi_edge *e, size_t root)
{
	const struct gi_verdict *v = gi_graph_verdict(graph, root);

	for (size_t i = 0; i < v->edge_count; i++) {
		if (gi_graph_edge(graph, v->edges[i]) == e)
			return true;
	}
	return false;
}

/** The edge that says most of why g waits: one of its root cause before any other. */
static const struct gi_edge *choose(const struct gi_graph *graph, uint32_t g, size_t *others)
{
	const struct gi_edge *best = NULL;
	unsigned best_rank = 0;
	size_t root, to_root;
	bool has_root = verdict_root(graph, g, &root);

	*others = 0;
	for (size_t i = 0; i < gi_graph_edge_count(graph); i++) {
		const struct gi_edge *e = gi_graph_edge(graph, i);
		unsigned rank = 1;

		if (e->from != g)
			continue;
		if (has_root && is_on_cycle(graph, e, root))
			rank = 3;
		else if (has_root && verdict_root(graph, e->to, &to_root) && to_root == root)
			rank = 2;
		if (best)
			++*others;
		if (rank > best_rank) {
			best = e;
			best_rank = rank;
		}
	}
	return best;
}

/** One of the channels that g waits on is a timer's. */
static bool has_timer(struct gi_go *go, const struct gi_graph *graph, const struct gi_waiter *w)
{
	const struct gi_waiter *end = gi_graph_waiter(graph, 0) + gi_graph_waiter_count(graph);
	const uint32_t g = w->g;

	for (unsigned n = 0; w < end && w->g == g && n < MAX_CASES; w++, n++) {
		const struct gi_object *o = gi_graph_object(graph, w->object);
		struct gi_timer t;
		if (o->kind == GI_OBJECT_CHANNEL && gi_why_timer(go, o->addr, &t))
			return true;
	}
	return false;
}

/** One side of a coroutine is woken by the other, not by the runtime. */
static bool is_coroutine(struct gi_go *go, uint32_t g)
{
	const char *reason = gi_go_wait_reason(go, gi_go_g(go, g));

	return reason && strcmp(reason, "coroutine") == 0;
}

static enum ending ending_of(struct gi_go *go, const struct gi_graph *graph, uint32_t g)
{
	const struct gi_waiter *w = gi_graph_wait_of(graph, g);
	const struct gi_object *o = w ? gi_graph_object(graph, w->object) : NULL;
	size_t v, thread;

	if (gi_graph_node_thread(go, g, &thread))
		return END_IN_C;
	if (!o)
		return END_RUNS;
	if (gi_graph_verdict_of(graph, g, &v) &&
	    (gi_graph_verdict(graph, v)->kind == GI_VERDICT_UNREACHABLE ||
	     gi_graph_verdict(graph, v)->kind == GI_VERDICT_ORPHAN_LOCK))
		return END_UNREACHABLE;
	switch (o->kind) {
	case GI_OBJECT_TIMER:
		return END_SLEEPS;
	case GI_OBJECT_FD:
		return END_INPUT;
	case GI_OBJECT_SYSCALL:
		return END_SYSCALL;
	case GI_OBJECT_C_CALL:
	case GI_OBJECT_PTHREAD_MUTEX:
	case GI_OBJECT_PTHREAD_RWLOCK:
	case GI_OBJECT_PTHREAD_COND:
	case GI_OBJECT_PTHREAD_SEMAPHORE:
	case GI_OBJECT_STDIO_LOCK:
	case GI_OBJECT_THREAD:
		return END_IN_C;
	case GI_OBJECT_RUNTIME:
		return is_coroutine(go, g) ? END_UNKNOWN : END_RUNTIME;
	case GI_OBJECT_NOTHING:
		return END_NOTHING;
	case GI_OBJECT_MUTEX:
	case GI_OBJECT_RWMUTEX:
	case GI_OBJECT_ONCE:
		return END_NO_OWNER;
	default:
		return has_timer(go, graph, w) ? END_TIMER : END_UNKNOWN;
	}
}

static void follow(struct gi_go *go, const struct gi_graph *graph, uint32_t g, struct chain *c)
{
	c->n = 0;
	for (;;) {
		struct step *s = &c->steps[c->n++];

		s->g = g;
		s->edge = choose(graph, g, &s->others);
		if (!s->edge) {
			c->end = ending_of(go, graph, g);
			return;
		}
		g = s->edge->to;
		for (size_t i = 0; i < c->n; i++) {
			if (c->steps[i].g == g) {
				c->end = END_CIRCLE;
				c->back_to = g;
				return;
			}
		}
		if (c->n == MAX_STEPS) {
			c->end = END_TOO_LONG;
			return;
		}
	}
}

// --- text ---------------------------------------------------------------------------------

static void put_goroutine(struct gi_out *out, struct gi_go *go, uint32_t i)
{
	const struct gi_g *g = gi_go_g(go, i);
	const char *reason = g ? gi_go_wait_reason(go, g) : NULL;
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	char buf[32];
	uint64_t ns;

	if (!g) {
		gi_node_format(go, i, &s);
		gi_out_style(out, GI_STYLE_HEAD);
		gi_out_puts(out, gi_str_cstr(&s));
		gi_out_style(out, GI_STYLE_NONE);
		gi_out_puts(out, " [a thread of C]\n");
		return;
	}
	if (!reason)
		reason = gi_g_status_name(g, buf, sizeof(buf));
	gi_str_puts(&s, " [");
	gi_str_put_escaped(&s, reason, strlen(reason));
	if (gi_go_wait_ns(go, g, &ns)) {
		gi_str_puts(&s, ", for at least ");
		gi_duration_format(&s, ns);
	}
	gi_str_putc(&s, ']');
	gi_out_style(out, GI_STYLE_HEAD);
	gi_out_printf(out, "goroutine %" PRIu64, g->goid);
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_printf(out, "%s\n", gi_str_cstr(&s));
}

static struct gi_location place_of(struct gi_go *go, struct gi_unwinder *u, uint32_t g)
{
	struct gi_location where = {.function = "", .file = ""}, user = where;
	struct gi_c_call call;
	size_t thread;

	if (gi_graph_node_thread(go, g, &thread))
		return gi_c_call_of_thread(go, u, thread, &call) ? call.in : where;
	gi_error_ignore(gi_unwind_locations(u, gi_go_g(go, g), &where, &user));
	return user.pc ? user : where;
}

/** Its thread: the P that it had when it went into C or a system call, a lock of the runtime that it waits for. */
static struct gi_error *put_thread(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				   const struct gi_g *g)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	const struct gi_m *m = g && g->m ? gi_go_m_by_addr(go, g->m) : NULL;
	struct gi_left_p left;

	if (!m || m->curg != g->addr)
		return NULL;
	if (gi_go_left_p(go, g, &left)) {
		if (left.has_ns) {
			gi_str_puts(&s, "; it is in this call for at least ");
			gi_duration_format(&s, left.ns);
		}
		gi_out_printf(out, "  it had P %" PRId32 ", which %s%s\n", left.p->id,
			      left.taken ? "was taken from it" : "is kept for it",
			      gi_str_cstr(&s));
	}
	gi_str_reset(&s);
	struct gi_error *err = gi_lock_wait_of_m(go, u, m, &s);
	if (!err && s.len)
		gi_out_printf(out, "  its thread waits for %s\n", gi_str_cstr(&s));
	return err;
}

/** What the last goroutine of a chain does, and all that it waits for. */
static struct gi_error *put_last(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
		     const struct gi_graph *graph, const struct chain *c)
{
	const uint32_t g = c->steps[c->n - 1].g;
	const struct gi_location at = place_of(go, u, g);
	const struct gi_waiter *w = gi_graph_wait_of(graph, g);
	const struct gi_waiter *end =
		gi_graph_waiter(graph, 0) + gi_graph_waiter_count(graph);
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	struct gi_error *err = NULL;
	size_t n = 0;

	gi_str_puts(&s, "  in ");
	gi_location_format(&s, at.function, at.file, at.line, at.pc);
	if (at.pc)
		gi_out_printf(out, "%s\n", gi_str_cstr(&s));
	err = put_thread(out, go, u, gi_go_g(go, g));
	for (; w && w < end && w->g == g && !err; w++, n++) {
		const struct gi_object *o = gi_graph_object(graph, w->object);
		if (n >= MAX_CASES)
			continue;
		if (!o->addr && o->kind != GI_OBJECT_NOTHING) {
			err = gi_out_about(out, go, u, graph, w->object, g, "  ", true);
			continue;
		}
		gi_str_reset(&s);
		gi_str_printf(&s, "  waits to %s%s: ",
			      w->role == GI_ROLE_WAIT ? "go on" : gi_role_name(w->role),
			      w->in_select ? " (select)" : "");
		gi_object_format(o, &s);
		gi_str_puts(&s, ", ");
		size_t len = s.len;
		gi_object_state_format(go, o, &s);
		if (s.len == len)
			s.s[s.len = len - 2] = '\0';
		gi_out_printf(out, "%s\n", gi_str_cstr(&s));
		err = gi_out_about(out, go, u, graph, w->object, g, "  ", true);
		if (!err && o->addr && o->kind < GI_OBJECT_TIMER)
			err = gi_why_end(out, go, u, graph, w->object, g);
	}
	if (n > MAX_CASES)
		gi_out_printf(out, "  and %zu more cases\n", n - MAX_CASES);
	return err;
}

static const char *ending_text(enum ending e)
{
	switch (e) {
	case END_RUNS:
		return "it can run: whoever waits for it goes on when it lets go";
	case END_SLEEPS:
		return "it sleeps: its timer will wake it";
	case END_TIMER:
		return "so it goes on by itself";
	case END_INPUT:
		return "it waits for input or output, which may still come";
	case END_SYSCALL:
		return "it is in a system call, which may still return (\"threads -s\" shows which)";
	case END_IN_C:
		return "it is in C code, which may still return (\"goroutine ID bt\" shows where)";
	case END_RUNTIME:
		return "the runtime will wake it";
	case END_NOTHING:
		return "nobody can ever wake it";
	case END_UNREACHABLE:
		return "no global and no goroutine that can still run leads to it: it waits for good";
	case END_NO_OWNER:
		return "no owner found: its owner returned, or is unknown";
	case END_UNKNOWN:
		return "who will end this wait is not known: whoever can reach it";
	case END_TOO_LONG:
		return "the chain goes on";
	case END_CIRCLE:
		break;
	}
	return "";
}

/** Waits that the runtime ends, and what for: by their reasons. */
static const char *runtime_text(struct gi_go *go, const struct gi_g *g)
{
	static const char *const texts[][2] = {
		{"coroutine", "it is one side of an iter.Pull: it goes on when the other side calls it"},
		{"synctest.Run", "it waits for its synctest bubble to end"},
		{"synctest.Wait", "it waits until all others of its synctest bubble are blocked"},
		{"GC assist wait", "the garbage collector will wake it: the heap grows faster than it can mark"},
		{"GC assist marking", "it helps the garbage collector"},
		{"GC sweep wait", "it sweeps the heap: it goes on when a collection is over"},
		{"GC scavenge wait", "it gives memory back to the system: it goes on when there is enough that is free"},
		{"GC worker (idle)", "it marks the heap: it goes on with the next collection"},
		{"GC worker (active)", "it marks the heap: a collection is under way"},
		{"GC mark termination", "it ends a collection"},
		{"GC weak to strong wait", "it reads a weak pointer: it goes on when the collector has marked"},
		{"garbage collection", "it makes a collection"},
		{"garbage collection scan", "its stack is being scanned: it goes on after that"},
		{"wait for GC cycle", "it goes on when the collection is over"},
		{"force gc (idle)", "it starts a collection when there was none for two minutes"},
		{"finalizer wait", "it runs finalizers: it goes on when the collector finds an object that has one and is lost"},
		{"cleanup wait", "it runs cleanups: it goes on when the collector finds an object that has one and is lost"},
		{"GOMAXPROCS updater (idle)", "it goes on when the number of processors that the process may use changes"},
		{"trace reader (blocked)", "it reads the execution trace: it goes on when there is more of it, or the trace is stopped"},
		{"stopping the world", "it waits for all others to stop (\"sched\" shows who does not)"},
		{"flushing proc caches", "it waits for all processors to give back what they keep of the heap"},
		{"dumping heap", "it writes a heap dump"},
		{"preempted", "somebody stopped it to look at its stack, and will let it go on"},
		{"debug call", "a debugger makes it call a function"},
		{"panicwait", "the process is ending: another goroutine panics"},
	};
	const char *reason = gi_go_wait_reason(go, g);

	for (size_t i = 0; reason && i < GI_ARRAY_SIZE(texts); i++) {
		if (strcmp(reason, texts[i][0]) == 0)
			return texts[i][1];
	}
	return g->system ? "it is one of the runtime's own, and has nothing to do" : NULL;
}

static const char *nothing_text(struct gi_go *go, const struct gi_g *g)
{
	const char *reason = gi_go_wait_reason(go, g);

	if (reason && strcmp(reason, "select (no cases)") == 0)
		return "its select has no cases: nobody can ever wake it";
	if (reason && strncmp(reason, "select", 6) == 0)
		return "all channels of its select are nil: nobody can ever wake it";
	return reason ? "its channel is nil: nobody can ever wake it" : NULL;
}

static const char *end_text(struct gi_go *go, const struct chain *c)
{
	const char *text = NULL;

	if (c->end == END_NOTHING)
		text = nothing_text(go, gi_go_g(go, c->steps[c->n - 1].g));

	if (c->end == END_RUNTIME)
		text = runtime_text(go, gi_go_g(go, c->steps[c->n - 1].g));
	return text ? text : ending_text(c->end);
}

static void put_verdict(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph,
			uint32_t g)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	size_t i;

	if (!gi_graph_verdict_of(graph, g, &i))
		return;
	const struct gi_verdict *v = gi_graph_verdict(graph, i);
	const struct gi_verdict *root = gi_graph_verdict(graph, v->root);
	gi_verdict_headline(&s, go, root);
	if (v != root)
		gi_str_printf(&s, "; goroutine %" PRIu64 " %s behind %s", gi_goid(go, g),
			      gi_verdict_is_stuck(root->kind) ? "is stuck" : "waits",
			      root->goroutine_count > 1 ? "them" : "it");
	gi_out_puts(out, "\n");
	gi_out_style(out, gi_verdict_is_stuck(root->kind) ? GI_STYLE_BAD : GI_STYLE_HEAD);
	gi_out_puts(out, gi_str_cstr(&s));
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_puts(out, "\n");
}

static struct gi_error *put_text(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				 const struct gi_graph *graph, const struct chain *c)
{
	struct gi_error *err = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct step *s = &c->steps[i];

		put_goroutine(out, go, s->g);
		if (!s->edge)
			continue;
		gi_out_edge_rest(out, go, graph, s->edge);
		err = gi_out_about(out, go, u, graph, s->edge->object, s->g, "    ", false);
		if (err)
			return err;
		if (s->others)
			gi_out_printf(out, "    and it waits for %zu other%s, too (\"waiters\" lists them)\n",
				      s->others, s->others > 1 ? "s" : "");
	}
	if (c->end == END_CIRCLE) {
		_cleanup_(gi_str_deinit) struct gi_str s = {0};
		gi_node_format(go, c->back_to, &s);
		gi_out_printf(out, "  and that is %s again: a circle\n", gi_str_cstr(&s));
	} else {
		if (!c->steps[c->n - 1].edge)
			err = put_last(out, go, u, graph, c);
		if (err)
			return err;
		gi_out_printf(out, "  %s\n", end_text(go, c));
	}
	if (gi_g_is_leaked(gi_go_g(go, c->steps[0].g)))
		gi_out_printf(out,
			      "  the runtime's goroutineleak profile has marked goroutine %" PRIu64
			      " as leaked\n",
			      gi_goid(go, c->steps[0].g));
	put_verdict(out, go, graph, c->steps[0].g);
	return NULL;
}

// --- records ------------------------------------------------------------------------------

/** What libraries make of all that a goroutine waits for. */
static struct gi_error *json_about(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				   const struct gi_graph *graph, uint32_t g, bool search)
{
	const struct gi_waiter *w = gi_graph_wait_of(graph, g);
	const struct gi_waiter *end = gi_graph_waiter(graph, 0) + gi_graph_waiter_count(graph);
	struct gi_error *err = NULL;

	gi_json_array(out, "about");
	for (unsigned n = 0; w && w < end && w->g == g && n < MAX_CASES && !err; w++, n++)
		err = gi_out_about(out, go, u, graph, w->object, g, "", search);
	gi_json_close(out);
	return err;
}

static struct gi_error *put_json(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
		     const struct gi_graph *graph, const struct chain *c)
{
	struct gi_error *err = NULL;
	size_t i;

	gi_json_begin(out, "why");
	gi_json_u64(out, "goroutine", gi_goid(go, c->steps[0].g));
	gi_json_array(out, "chain");
	for (size_t k = 0; k < c->n && !err; k++) {
		const struct step *s = &c->steps[k];
		const struct gi_g *g = gi_go_g(go, s->g);
		const struct gi_location at = place_of(go, u, s->g);
		char buf[32];

		gi_json_object(out, NULL);
		gi_json_node(out, "goroutine", "thread", go, s->g);
		gi_json_str(out, "status", g ? gi_g_status_name(g, buf, sizeof(buf)) : NULL);
		gi_json_str(out, "wait_reason", g ? gi_go_wait_reason(go, g) : NULL);
		gi_json_location_or_null(out, "location", &at);
		if (s->edge)
			gi_json_edge(out, "edge", go, graph, s->edge);
		else
			gi_json_null(out, "edge");
		err = json_about(out, go, u, graph, s->g, !s->edge);
		gi_json_close(out);
	}
	gi_json_close(out);
	gi_json_str(out, "end", ending_name(c->end));
	if (gi_graph_verdict_of(graph, c->steps[0].g, &i)) {
		const struct gi_verdict *v = gi_graph_verdict(graph, i);
		gi_json_str(out, "verdict", gi_verdict_kind_name(v->kind));
		gi_json_u64(out, "root", v->root);
	} else {
		gi_json_null(out, "verdict");
		gi_json_null(out, "root");
	}
	gi_json_end(out);
	return err;
}

/** What the chain waits for, and all that its last goroutine waits for. */
static struct gi_error *name_objects(struct gi_graph *graph, const struct chain *c)
{
	const struct gi_waiter *end = gi_graph_waiter(graph, 0) + gi_graph_waiter_count(graph);
	const struct gi_waiter *w = gi_graph_wait_of(graph, c->steps[c->n - 1].g);
	uint32_t objects[MAX_STEPS + MAX_CASES];
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (c->steps[i].edge)
			objects[n++] = c->steps[i].edge->object;
	}
	for (size_t i = 0; w && w + i < end && w[i].g == w->g && i < MAX_CASES; i++)
		objects[n++] = w[i].object;
	return gi_graph_name(graph, objects, n);
}

struct gi_error *gi_report_why(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
			       struct gi_graph *graph, const struct gi_g *g)
{
	_cleanup_(gi_freep) struct chain *c = calloc(1, sizeof(*c));
	size_t i = 0;

	if (!c)
		return gi_error_nomem();
	while (i < gi_go_g_count(go) && gi_go_g(go, i) != g)
		i++;
	if (i == gi_go_g_count(go))
		return gi_error_create(GI_ERR_NOT_FOUND, "goroutine %" PRIu64 " is not in the list",
				       g->goid);
	follow(go, graph, (uint32_t)i, c);
	struct gi_error *err = name_objects(graph, c);
	if (err)
		return err;
	if (gi_out_is_json(out))
		err = put_json(out, go, u, graph, c);
	else
		err = put_text(out, go, u, graph, c);
	return err ? err : gi_out_check(out);
}

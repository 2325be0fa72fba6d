// The end of a chain of waits: what is known of those who could end the last one.
//
// A channel, group or condition has no owner. But a timer may send on the channel, a context's
// cancellation closes it, and those goroutines whose stacks lead to it are the first to look at.

#include <string.h>

#include "gcore/sched.h"
#include "gcore/typing.h"
#include "report/deadlock.h"
#include "report/goroutines.h"
#include "report/why.h"

// Of the heap, searched for what leads to the object: a few seconds at most.
#define BUDGET (UINT64_C(4) << 30)

struct timer_search {
	uint64_t channel;
	bool found;
	struct gi_timer timer;
};

static bool look_at_timer(void *arg, const struct gi_timer *t)
{
	struct timer_search *s = arg;

	if (t->arg != s->channel || t->removed)
		return true;
	s->timer = *t;
	s->found = true;
	return false;
}

bool gi_why_timer(struct gi_go *go, uint64_t channel, struct gi_timer *ret)
{
	struct timer_search s = {.channel = channel};

	gi_error_ignore(gi_go_timers(go, look_at_timer, &s));
	*ret = s.timer;
	return s.found;
}

static void put_timer(struct gi_out *out, struct gi_go *go, const struct gi_timer *t)
{
	const int64_t now = (int64_t)gi_go_now(go);
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	if (!now || t->when == INT64_MAX) {
		gi_out_puts(out, "  a timer will send on it\n");
	} else if (t->when >= now) {
		gi_duration_format(&s, (uint64_t)(t->when - now));
		gi_out_printf(out, "  a timer will send on it in %s%s\n", gi_str_cstr(&s),
			      t->period ? ", and again and again" : "");
	} else {
		gi_duration_format(&s, (uint64_t)(now - t->when));
		gi_out_printf(out, "  a timer should have sent on it %s ago: it is late\n",
			      gi_str_cstr(&s));
	}
}

struct gi_error *gi_out_about(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
			      const struct gi_graph *graph, size_t object, uint32_t g,
			      const char *indent, bool search)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	struct gi_error *err = gi_wait_about(go, u, graph, object, g, search ? BUDGET : 0, &s);

	if (err)
		return err;
	for (char *line = s.s, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (gi_out_is_json(out))
			gi_json_str(out, NULL, line);
		else
			gi_out_printf(out, "%s%s\n", indent, line);
	}
	return NULL;
}

static void put_holders(struct gi_out *out, struct gi_go *go, const struct gi_graph *graph,
			const struct gi_typed *o, size_t object, uint32_t g)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	uint32_t gs[32];
	size_t n = 0;

	for (size_t i = 0; i < o->reference_count; i++) {
		const struct gi_reference *r = &o->references[i];

		if (r->kind != GI_REFERENCE_STACK || n == GI_ARRAY_SIZE(gs) ||
		    (n && gs[n - 1] == r->g))
			continue;
		const struct gi_waiter *w = gi_graph_wait_of(graph, r->g);
		if (r->g != g && (!w || w->object != object))
			gs[n++] = r->g;
	}
	if (!n)
		return;
	gi_goroutines_format(go, gs, n, &s);
	gi_out_printf(out, "  on the stack%s of goroutine%s %s, too\n", n > 1 ? "s" : "",
		      n > 1 ? "s" : "", gi_str_cstr(&s));
}

struct gi_error *gi_why_end(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
			    const struct gi_graph *graph, size_t object, uint32_t g)
{
	_cleanup_(gi_typing_destroyp) struct gi_typing *typing = NULL;
	_cleanup_(gi_str_deinit) struct gi_str name = {0}, safe = {0};
	const struct gi_object *o = gi_graph_object(graph, object);
	struct gi_timer timer;
	struct gi_typed typed;
	struct gi_error *err;

	if (o->kind == GI_OBJECT_CHANNEL && gi_why_timer(go, o->addr, &timer)) {
		put_timer(out, go, &timer);
		return NULL;
	}
	err = gi_wait_typing(go, u, &o->addr, 1, BUDGET, &typing);
	if (err) {
		if (gi_error_code(err) == GI_ERR_INTERRUPTED || gi_error_code(err) == GI_ERR_NOMEM)
			return err;
		if (gi_target_info(gi_go_target(go))->mini)
			gi_out_note(out, "%s", gi_error_message(err));
		gi_error_ignore(err); // a heap that cannot be read says nothing
		return NULL;
	}
	if (!gi_typing_at(typing, o->addr, &typed))
		return NULL;
	if (!(o->name && *o->name) && (typed.path || !typed.header) &&
	    gi_typing_name(typing, o->addr, NULL, &name)) {
		gi_str_put_escaped(&safe, gi_str_cstr(&name), name.len);
		gi_out_printf(out, "  that is %s\n", gi_str_cstr(&safe));
	}
	put_holders(out, go, graph, &typed, object, g);
	return NULL;
}

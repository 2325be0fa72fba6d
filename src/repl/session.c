// The session: a target, the Go program in it, and what a person has selected.
//
// The selection is a goroutine or a thread, and a frame of its stack. It starts at the goroutine
// that the fatal signal hit, else at goroutine 1. The wait graph is built when first needed.

#include "repl/session_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void gi_session_select_first(struct gi_session *s)
{
	if (!s->go) {
		if (gi_target_thread_count(s->target))
			gi_session_select_thread(s, 0);
		return;
	}
	const struct gi_m *m = gi_target_info(s->target)->monotonic_ns ? NULL : gi_go_m_by_thread(s->go, 0);
	const struct gi_g *g = m && m->curg ? gi_go_g_by_addr(s->go, m->curg) : NULL;
	if (!g)
		g = gi_go_g_by_id(s->go, 1);
	for (size_t i = 0; !g && i < gi_go_g_count(s->go); i++) {
		const struct gi_g *any = gi_go_g(s->go, i);
		if (!any->unreadable && !any->system && !gi_g_is_dead(any))
			g = any;
	}
	if (g)
		gi_session_select_goroutine(s, g);
	else if (gi_target_thread_count(s->target))
		gi_session_select_thread(s, 0);
}

struct gi_error *gi_session_open_none(const struct gi_session_options *opts,
				      struct gi_session **ret)
{
	struct gi_session *s = calloc(1, sizeof(*s));
	if (!s)
		return gi_error_nomem();
	s->opts = *opts;
	*ret = s;
	return NULL;
}

struct gi_error *gi_session_take_target(struct gi_session *s, struct gi_target *t)
{
	s->target = t;
	// Debug files may have to be fetched for this.
	struct gi_error *err = gi_go_open(s->target, &s->go);
	gi_session_clear_progress(s);
	if (!err)
		err = gi_unwinder_create(s->go, &s->unwinder);
	if (err) {
		gi_go_close(s->go);
		s->go = NULL;
		s->go_error = err;
	}
	gi_session_select_first(s);
	return NULL;
}

struct gi_error *gi_session_open(const char *core, const struct gi_session_options *opts,
				 struct gi_session **ret)
{
	_cleanup_(gi_session_closep) struct gi_session *s = NULL;
	struct gi_error *err = gi_session_open_none(opts, &s);
	if (err)
		return err;
	struct gi_target_options target = opts->target;
	if (isatty(STDERR_FILENO)) {
		target.unpacking.progress = gi_session_show_unpacking;
		target.unpacking.progress_arg = s;
		target.fetching.progress = gi_session_show_progress;
		target.fetching.progress_arg = s;
		s->started = gi_now();
	}
	if (opts->pid) {
		err = gi_session_open_live(s, &target);
		if (err)
			return err;
		*ret = s;
		s = NULL;
		return NULL;
	}
	struct gi_target *t;
	err = gi_target_open_core(core, &target, &t);
	gi_session_clear_progress(s);
	if (!err)
		err = gi_session_take_target(s, t);
	if (err)
		return err;
	*ret = s;
	s = NULL;
	return NULL;
}

void gi_session_close(struct gi_session *s)
{
	if (!s)
		return;
	gi_graph_destroy(s->graph);
	gi_unwinder_destroy(s->unwinder);
	gi_go_close(s->go);
	gi_error_free(s->go_error);
	gi_target_close(s->target);
	free(s);
}

const struct gi_error *gi_session_go_error(const struct gi_session *s)
{
	return s->go_error;
}

const struct gi_session_options *gi_session_options(const struct gi_session *s)
{
	return &s->opts;
}

struct gi_target *gi_session_target(struct gi_session *s)
{
	return s->target;
}

struct gi_go *gi_session_go(struct gi_session *s)
{
	return s->go;
}

struct gi_unwinder *gi_session_unwinder(struct gi_session *s)
{
	return s->unwinder;
}

struct gi_error *gi_session_graph(struct gi_session *s, struct gi_graph **ret)
{
	if (!s->graph) {
		struct gi_error *err = gi_session_build_graph(s);
		if (err)
			return err;
	}
	*ret = s->graph;
	return NULL;
}

// --- selection --------------------------------------------------------------

const struct gi_g *gi_session_goroutine(struct gi_session *s)
{
	if (s->by_thread && s->go) {
		const struct gi_m *m = gi_go_m_by_thread(s->go, s->thread);
		return m && m->curg ? gi_go_g_by_addr(s->go, m->curg) : NULL;
	}
	return s->g;
}

bool gi_session_by_thread(struct gi_session *s)
{
	return s->by_thread;
}

bool gi_session_thread(struct gi_session *s, size_t *ret)
{
	if (s->by_thread) {
		*ret = s->thread;
		return true;
	}
	if (s->g && s->g->thread) {
		*ret = s->g->thread - 1;
		return true;
	}
	return false;
}

void gi_session_select_goroutine(struct gi_session *s, const struct gi_g *g)
{
	s->g = g;
	s->by_thread = s->full_thread = false;
	s->frame = 0;
}

void gi_session_select_thread(struct gi_session *s, size_t thread)
{
	s->g = NULL;
	s->thread = thread;
	s->by_thread = true;
	s->full_thread = false;
	s->frame = 0;
}

size_t gi_session_frame(struct gi_session *s)
{
	return s->frame;
}

struct gi_error *gi_session_select_frame(struct gi_session *s, size_t i)
{
	_cleanup_(gi_stack_freep) struct gi_stack *stack = NULL;
	struct gi_error *err = gi_session_stack(s, i < SIZE_MAX ? i + 1 : i, &stack);
	if (err)
		return err;
	size_t n = gi_stack_len(stack);
	if (i >= n)
		return gi_error_create(
			GI_ERR_NOT_FOUND,
			n == 1 ? "there is no frame %zu: the stack has %zu frame, number 0"
			       : "there is no frame %zu: the stack has %zu frames, from 0 up",
			i, n);
	s->frame = i;
	return NULL;
}

unsigned gi_session_unwind_flags(const struct gi_session *s)
{
	return GI_UNWIND_SYSTEM_STACK | (s->full_thread ? GI_UNWIND_FULL_THREAD : 0);
}

struct gi_error *gi_session_stack(struct gi_session *s, uint64_t depth, struct gi_stack **ret)
{
	size_t max = depth > GI_UNWIND_MAX ? GI_UNWIND_MAX : (size_t)depth;
	if (!s->by_thread && s->g)
		return gi_stack_of_goroutine(s->unwinder, s->g, gi_session_unwind_flags(s), max,
					     ret);
	size_t thread;
	if (gi_session_thread(s, &thread))
		return gi_stack_of_thread(s->unwinder, thread, GI_UNWIND_FULL_THREAD, max, ret);
	return gi_error_create(GI_ERR_NOT_FOUND, "no goroutine or thread is selected");
}

struct gi_selection gi_session_selection(struct gi_session *s)
{
	return (struct gi_selection){
		.g = s->g,
		.by_thread = s->by_thread,
		.full_thread = s->full_thread,
		.thread = s->thread,
		.frame = s->frame,
	};
}

void gi_session_restore(struct gi_session *s, struct gi_selection selection)
{
	s->g = selection.g;
	s->by_thread = selection.by_thread;
	s->full_thread = selection.full_thread;
	s->thread = selection.thread;
	s->frame = selection.frame;
}

// --- things by what a person typed ------------------------------------------

struct gi_error *gi_session_find_goroutine(struct gi_session *s, const char *text,
					   const struct gi_g **ret)
{
	uint64_t id;
	struct gi_error *err = gi_parse_u64(text, &id);
	if (err)
		return gi_error_wrap(err, "goroutine");
	const struct gi_g *g = gi_go_g_by_id(s->go, id);
	if (!g)
		g = gi_go_g_by_addr(s->go, id);
	if (g) {
		*ret = g;
		return NULL;
	}
	size_t live = 0;
	uint64_t last = 0;
	for (size_t i = 0; i < gi_go_g_count(s->go); i++) {
		const struct gi_g *any = gi_go_g(s->go, i);
		if (any->unreadable || gi_g_is_dead(any))
			continue;
		live++;
		last = gi_max_u64(last, any->goid);
	}
	return gi_error_create(GI_ERR_NOT_FOUND,
			       "there is no goroutine %s: %zu are there, the highest is %" PRIu64
			       " (see \"goroutines\")",
			       text, live, last);
}

struct gi_error *gi_session_find_thread(struct gi_session *s, const char *text, size_t *ret)
{
	uint64_t id;
	struct gi_error *err = gi_parse_u64(text, &id);
	if (err)
		return gi_error_wrap(err, "thread");
	size_t n = gi_target_thread_count(s->target);
	for (size_t i = 0; i < n; i++) {
		if ((uint64_t)gi_target_thread(s->target, i)->tid == id) {
			*ret = i;
			return NULL;
		}
	}
	if (id >= 1 && id <= n) {
		*ret = (size_t)id - 1;
		return NULL;
	}
	return gi_error_create(
		GI_ERR_NOT_FOUND,
		"there is no thread %s: there are numbers 1 to %zu, and thread ids (see "
		"\"threads\")",
		text, n);
}

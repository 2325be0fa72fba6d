// Sessions that look at a running process: snapshots, and what they cost it.
//
// Everything slow is done before the process is stopped: files are opened, layouts and function
// tables read. What is read of a process that runs can be torn, so that a stripped
// program, whose globals are found by their form, gets a few tries.

#include "gcore/dump.h"
#include "gcore/live.h"
#include "repl/session_impl.h"

#include <string.h>

enum { PREPARE_TRIES = 3 };
// What is copied in some 80 ms is copied at once where it is to be judged; up to some 300 ms it is where
// nothing less will do.
#define JUDGED_WHOLE ((uint64_t)256 << 20)
#define JUDGED_AT_LAST ((uint64_t)1 << 30)

static struct gi_error *copy_go(void *arg)
{
	return gi_go_copy(arg);
}

static void put_ms(struct gi_str *s, uint64_t ns)
{
	gi_str_printf(s, ns < 100000 ? "%.2f ms" : "%.1f ms", (double)ns / 1e6);
}

static void forget_state(struct gi_session *s)
{
	gi_graph_destroy(s->graph);
	s->graph = NULL;
	gi_unwinder_destroy(s->unwinder);
	s->unwinder = NULL;
	s->g = NULL;
	s->frame = 0;
}

// The Go state of the snapshot. Without it the rest of the session goes on.
static struct gi_error *load_state(struct gi_session *s)
{
	struct gi_error *err = gi_go_load(s->go);
	size_t moved;
	if (!err && gi_live_stop(s->target)->no_stop)
		err = gi_go_mark_moved(s->go, &moved);
	return err ? err : gi_unwinder_create(s->go, &s->unwinder);
}

static struct gi_error *take(struct gi_session *s, bool hold)
{
	gi_live_copy_fn copy = s->go ? copy_go : NULL;
	return hold ? gi_live_hold(s->target, copy, s->go) :
		      gi_live_snapshot(s->target, copy, s->go);
}

struct gi_error *gi_session_open_live(struct gi_session *s, const struct gi_target_options *opts)
{
	struct gi_error *err = gi_target_open_live(s->opts.pid, opts, &s->target);
	gi_session_clear_progress(s);
	if (err)
		return err;
	for (unsigned i = 0; !s->go; i++) {
		err = gi_go_prepare(s->target, &s->go);
		if (!err || i + 1 == PREPARE_TRIES || gi_error_code(err) != GI_ERR_MISMATCH)
			break;
		gi_error_ignore(err);
	}
	gi_session_clear_progress(s);
	s->go_error = err;
	err = take(s, false);
	if (err)
		return err;
	if (s->go) {
		err = load_state(s);
		if (err) {
			gi_go_close(s->go);
			s->go = NULL;
			s->go_error = err;
		}
	}
	gi_session_select_first(s);
	return NULL;
}

// --- commands ---------------------------------------------------------------------

static struct gi_error *check_live(struct gi_session *s)
{
	if (!gi_target_is_live(s->target))
		return gi_error_create(GI_ERR_USAGE, "this is a core, not a running process: see -p PID");
	// Whoever runs commands for each goroutine of a list holds that list.
	if (s->nesting > 1 + s->sourcing)
		return gi_error_create(GI_ERR_USAGE, "a snapshot cannot be taken within another command");
	return NULL;
}

struct gi_error *gi_session_check_running(struct gi_session *s)
{
	if (!gi_target_is_live(s->target))
		return gi_error_create(GI_ERR_USAGE, "this is a core, not a running process: see -p PID");
	if (gi_live_stop(s->target)->held)
		return gi_error_create(GI_ERR_USAGE, "the process stands still: see \"continue\"");
	if (gi_live_stop(s->target)->detached)
		return gi_error_create(GI_ERR_USAGE, "the process was detached from");
	return NULL;
}

static void put_stop(struct gi_session *s, struct gi_out *out)
{
	const struct gi_live_stop *stop = gi_live_stop(s->target);
	_cleanup_(gi_str_deinit) struct gi_str pause = { 0 };
	put_ms(&pause, stop->pause_ns);
	if (gi_out_is_json(out)) {
		gi_report_live(out, s->target);
		return;
	}
	if (stop->held)
		gi_out_puts(out, "the process stands still until \"continue\"\n");
	else if (stop->no_stop)
		gi_out_puts(out, "read anew; the process was not stopped\n");
	else
		gi_out_printf(out, "read anew; the process was stopped for %s\n", gi_str_cstr(&pause));
	if (stop->unstopped)
		gi_out_printf(out, "%zu of its threads slept uninterruptibly in the kernel, and did not stop in time\n",
			      stop->unstopped);
}

// A new snapshot, and the session's state made of it.
static struct gi_error *retake(struct gi_session *s, gi_live_copy_fn copy, void *arg, bool hold)
{
	struct gi_error *err = check_live(s);
	if (err)
		return err;
	uint64_t goid = s->g ? s->g->goid : 0;
	pid_t tid = 0;
	if (s->by_thread)
		tid = gi_target_thread(s->target, s->thread)->tid;
	forget_state(s);
	err = hold ? gi_live_hold(s->target, copy, arg) : gi_live_snapshot(s->target, copy, arg);
	// The state that was is read again even if there is no newer one.
	struct gi_error *load_err = s->go ? load_state(s) : NULL;
	if (load_err) {
		forget_state(s);
		gi_go_close(s->go);
		s->go = NULL;
		gi_error_free(s->go_error);
		s->go_error = load_err;
	}
	gi_session_select_first(s);
	const struct gi_g *g = s->go && goid ? gi_go_g_by_id(s->go, goid) : NULL;
	if (g)
		gi_session_select_goroutine(s, g);
	for (size_t i = 0; tid && i < gi_target_thread_count(s->target); i++) {
		if (gi_target_thread(s->target, i)->tid == tid)
			gi_session_select_thread(s, i);
	}
	return err;
}

struct gi_error *gi_session_refresh(struct gi_session *s, bool hold, struct gi_out *out)
{
	struct gi_error *err = retake(s, s->go ? copy_go : NULL, s->go, hold);
	if (err)
		return err;
	put_stop(s, out);
	return NULL;
}

// --- dumps --------------------------------------------------------------------------

struct dump_copy {
	struct gi_session *s;
	bool all, direct;
	struct gi_dump_plan *plan;
};

static struct gi_error *copy_for_dump(void *arg)
{
	struct dump_copy *d = arg;
	struct gi_error *err = d->s->go ? gi_go_copy(d->s->go) : NULL;
	return err ? err : gi_dump_plan(d->s->target, d->all, d->direct, &d->plan);
}

struct gi_error *gi_session_dump_core(struct gi_session *s, const char *path, bool all, bool direct,
				      struct gi_dump_result *ret)
{
	struct dump_copy d = { .s = s, .all = all, .direct = direct };
	struct gi_error *err;
	if (!gi_target_is_live(s->target))
		return direct ? check_live(s) : gi_dump_core(s->target, all, NULL, path, ret);
	bool held = gi_live_stop(s->target)->held;
	// One that is being held is as it was; else all of the core must be of one moment. What would
	// not work is known before the process is stopped for it.
	err = held || direct ? NULL : gi_dump_plan(s->target, all, true, &d.plan);
	if (!err && d.plan)
		err = gi_dump_plan_check(s->target, d.plan);
	if (!err && held)
		err = copy_for_dump(&d);
	else if (!err)
		err = retake(s, copy_for_dump, &d, direct);
	if (!err && direct && !held)
		gi_dump_plan_set_release(d.plan);
	if (!err)
		err = gi_dump_core(s->target, all, d.plan, path, ret);
	if (direct && !held)
		gi_live_release(s->target);
	gi_dump_plan_destroy(d.plan);
	if (err)
		return err;
	ret->live = true;
	ret->pause_ns = gi_live_stop(s->target)->pause_ns;
	return NULL;
}

struct gi_error *gi_session_resume(struct gi_session *s, bool detach, struct gi_out *out)
{
	struct gi_error *err = check_live(s);
	if (err)
		return err;
	bool held = gi_live_stop(s->target)->held;
	if (!held && !detach)
		return gi_error_create(GI_ERR_USAGE, "the process runs already");
	if (detach)
		gi_live_detach(s->target);
	else
		gi_live_release(s->target);
	if (gi_out_is_json(out)) {
		gi_report_live(out, s->target);
		return NULL;
	}
	_cleanup_(gi_str_deinit) struct gi_str pause = { 0 };
	put_ms(&pause, gi_live_stop(s->target)->pause_ns);
	if (held)
		gi_out_printf(out, "the process runs on; it was stopped for %s\n", gi_str_cstr(&pause));
	if (detach)
		gi_out_puts(out, "detached: what was copied of the process can still be asked for\n");
	return NULL;
}

// --- verdicts ---------------------------------------------------------------------

struct gi_error *gi_session_build_graph(struct gi_session *s)
{
	const struct gi_process_info *info = gi_target_info(s->target);
	bool before = gi_target_was_late(s->target);
	struct gi_error *err = gi_graph_build(s->go, &s->graph);
	bool late = gi_target_was_late(s->target) || info->late_verdicts;
	s->graph_late = late || info->never_stopped;
	if (before || late)
		gi_target_set_late(s->target);
	return err;
}

// Which goroutines are stuck for good, and where each is parked, as a number.
static uint64_t stuck_sum(struct gi_session *s)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < gi_graph_verdict_count(s->graph); i++) {
		const struct gi_verdict *v = gi_graph_verdict(s->graph, i);
		if (v->kind != GI_VERDICT_CYCLE && v->kind != GI_VERDICT_SELF &&
		    v->kind != GI_VERDICT_UNREACHABLE && v->kind != GI_VERDICT_ORPHAN_LOCK)
			continue;
		for (size_t k = 0; k < v->goroutine_count; k++) {
			const struct gi_g *g = gi_go_g(s->go, v->goroutines[k]);
			if (g)
				sum += (g->goid * UINT64_C(0x9e3779b97f4a7c15)) ^ (g->sched_sp << 20) ^
				       g->sched_pc;
		}
	}
	return sum;
}

// No verdict is a fact of a heap that changed while it was read.
static bool is_proven(const struct gi_session *s)
{
	return !s->graph_late || !gi_graph_stuck_count(s->graph);
}

static struct gi_error *look_again(struct gi_session *s, uint64_t whole)
{
	struct gi_graph *graph;
	gi_live_copy_up_to(s->target, whole);
	struct gi_error *err = retake(s, s->go ? copy_go : NULL, s->go, false);
	if (!err && !s->go)
		err = gi_error_dup(s->go_error);
	return err ? err : gi_session_graph(s, &graph);
}

// Of a heap that changes while it is read, what moves from where was not read yet to where was already is
// missed: what it leads to seems lost. Mostly another one is missed the next time.
struct gi_error *gi_session_judge(struct gi_session *s, bool *proven_ret)
{
	static const uint64_t whole[] = { JUDGED_WHOLE, JUDGED_WHOLE, JUDGED_AT_LAST };
	struct gi_graph *graph;
	uint64_t sum = 0;
	struct gi_error *err = gi_session_graph(s, &graph);
	if (err)
		return err;
	// A dump cannot be looked at twice; it says of itself what was read late.
	*proven_ret = true;
	if (!gi_target_is_live(s->target))
		return NULL;
	for (size_t i = 0; i < GI_ARRAY_SIZE(whole) && !is_proven(s); i++) {
		sum = stuck_sum(s);
		err = look_again(s, whole[i]);
		if (err)
			return err;
	}
	*proven_ret = is_proven(s);
	if (!*proven_ret && stuck_sum(s) != sum)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "goroutines seem to be stuck for good, but two looks do not agree on which, "
				       "since the heap had to be read while the process ran: \"stop\" and "
				       "\"deadlock\" in a session with -p %d will tell",
				       (int)s->opts.pid);
	return NULL;
}

bool gi_session_is_guess(struct gi_session *s)
{
	return s->graph && !is_proven(s);
}

void gi_session_note_late(struct gi_session *s, struct gi_out *out)
{
	if (!s->target || !gi_target_was_late(s->target))
		return;
	if (!gi_target_is_live(s->target)) {
		gi_out_note(out, "part of this was read from the process after its stop, and may be of a later "
				 "moment than the rest");
		return;
	}
	gi_out_note(out, "part of this was read from the running process after its stop, and may be of a later "
			 "moment than the rest%s",
		    s->graph && s->graph_late && gi_graph_stuck_count(s->graph) ?
			    ": \"stop\" first if it is to prove that something is stuck" :
			    "");
}

// What a mini dump must hold is found out by doing all that will be asked of it: every command that
// tells of goroutines, threads, waits and the scheduler is run, with nobody to listen, while
// what it reads is recorded. The session that runs them is a fresh one over the same target, so
// that nothing is known already that the dump's reader would have to find out.

#include "gcore/dump.h"
#include "gcore/live.h"
#include "repl/session_impl.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const lines[] = {
	"ps",
	"info -v",
	"mappings",
	"goroutines -t -all",
	"goroutines -r -l",
	"goroutines -g",
	"goroutines -s",
	"traceback",
	"traceback -level crash",
	"ms",
	"threads -s",
	"sched",
	"runq",
	"timers",
	"netpoll",
	"deadlock -v",
	"graph -a",
	"bt -defer",
	"blocked",
	"regs",
	"bt",
};

// Commands of one goroutine, where there are not too many: traceback has been over all.
enum { EACH_MAX = 2000, SEARCHED_MAX = 300, SEARCH_SECONDS = 5 };
static const char *const each[] = {"", "bt", "bt -full-thread", "bt -defer", "regs"};
static const char *const each_thread[] = {"", "bt", "regs"};

static struct gi_error *run_quietly(struct gi_session *s, struct gi_out *out, const char *fmt, ...)
	GI_PRINTF(3, 4);
static struct gi_error *run_quietly(struct gi_session *s, struct gi_out *out, const char *fmt, ...)
{
	_cleanup_(gi_str_deinit) struct gi_str line = {0};
	va_list ap;
	va_start(ap, fmt);
	gi_str_vprintf(&line, fmt, ap);
	va_end(ap);
	if (line.oom)
		return gi_error_nomem();
	struct gi_error *err = gi_session_run(s, gi_str_cstr(&line), out);
	// A command that fails here fails there, by the same reads.
	if (err && gi_error_code(err) != GI_ERR_INTERRUPTED && gi_error_code(err) != GI_ERR_NOMEM) {
		gi_error_ignore(err);
		err = NULL;
	}
	return err;
}

static struct gi_error *run_on_each(struct gi_session *s, struct gi_out *out)
{
	struct gi_error *err = NULL;
	size_t n = s->go ? gi_go_g_count(s->go) : 0, done = 0;
	for (size_t i = 0; i < n && done < EACH_MAX && !err; i++) {
		const struct gi_g *g = gi_go_g(s->go, i);
		if (g->unreadable || gi_g_is_dead(g))
			continue;
		done++;
		for (size_t k = 0; k < GI_ARRAY_SIZE(each) && !err; k++)
			err = run_quietly(s, out, "goroutine %" PRIu64 " %s", g->goid, each[k]);
	}
	for (size_t i = 0; i < gi_target_thread_count(s->target) && i < EACH_MAX && !err; i++) {
		for (size_t k = 0; k < GI_ARRAY_SIZE(each_thread) && !err; k++)
			err = run_quietly(s, out, "thread %zu %s", i + 1, each_thread[k]);
	}
	return err;
}

// What is waited for, each with one who waits. Who leads there is looked for in the whole heap: not
// for longer than a person would wait.
static struct gi_error *run_on_objects(struct gi_session *s, struct gi_out *out)
{
	struct gi_error *err = NULL;
	size_t n = s->graph ? gi_graph_object_count(s->graph) : 0;
	if (s->graph)
		err = gi_graph_name_all(s->graph, SEARCH_SECONDS);
	double start = gi_now();
	for (size_t i = 0; i < n && i < EACH_MAX && !err; i++) {
		const struct gi_object *o = gi_graph_object(s->graph, i);
		if (o->addr)
			err = run_quietly(s, out, "waiters 0x%" PRIx64, o->addr);
	}
	_cleanup_(gi_freep) bool *done = calloc(n + 1, sizeof(*done));
	if (!err && !done)
		err = gi_error_nomem();
	n = s->graph ? gi_graph_waiter_count(s->graph) : 0;
	size_t searched = 0;
	for (size_t i = 0; i < n && !err && searched < SEARCHED_MAX && gi_now() - start < SEARCH_SECONDS; i++) {
		const struct gi_waiter *w = gi_graph_waiter(s->graph, i);
		const struct gi_g *g = gi_go_g(s->go, w->g);
		if (done[w->object])
			continue;
		done[w->object] = true;
		searched++;
		err = run_quietly(s, out, "why %" PRIu64, g->goid);
		if (!err && gi_graph_object(s->graph, w->object)->addr)
			err = run_quietly(s, out, "object 0x%" PRIx64,
					  gi_graph_object(s->graph, w->object)->addr);
	}
	return err;
}

// A session of its own over the target of s, which it does not own.
static struct gi_error *rehearse(struct gi_session *s, bool *late_ret)
{
	struct gi_session *r;
	_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return gi_error_errno("/dev/null");
	struct gi_error *err = gi_session_open_none(&s->opts, &r);
	if (err) {
		close(fd);
		return err;
	}
	err = gi_out_create_fd(fd, false, false, &out);
	if (!err)
		err = gi_session_take_target(r, s->target);
	for (size_t i = 0; i < GI_ARRAY_SIZE(lines) && !err; i++)
		err = run_quietly(r, out, "%s", lines[i]);
	if (!err)
		err = run_on_each(r, out);
	if (!err)
		err = run_on_objects(r, out);
	*late_ret = r->graph_late;
	r->target = NULL;
	gi_session_close(r);
	close(fd);
	return err;
}

struct gi_error *gi_session_dump_mini(struct gi_session *s, const char *path,
				      struct gi_dump_result *ret)
{
	_cleanup_(gi_record_destroyp) struct gi_record *record = NULL;
	struct gi_dump_origin origin = {0};
	struct gi_error *err = gi_record_start(s->target, &record);
	if (!err)
		err = rehearse(s, &origin.late_verdicts);
	bool live = gi_target_is_live(s->target);
	if (live)
		origin.pause_ns = gi_live_stop(s->target)->pause_ns;
	if (!err)
		err = gi_dump_mini(s->target, record, &origin, path, ret);
	if (!err && live) {
		ret->live = true;
		ret->pause_ns = gi_live_stop(s->target)->pause_ns;
	}
	return err;
}

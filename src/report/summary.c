// The summary: what the process was, how it ended, what its goroutines do, and the verdict.

#include "report/goroutines.h"
#include "report/sched.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REASONS = 256, SHOWN_REASONS = 8 };

struct count {
	const char *name; // borrowed from the gi_go
	uint64_t n;
};

struct census {
	uint64_t total, system, unreadable;
	struct count statuses[16];
	size_t status_count;
	struct count reasons[MAX_REASONS]; // of the program's goroutines, not the runtime's
	size_t reason_count;
	char other[32]; // a status that has no name
};

static void count_one(struct count *list, size_t *n, size_t max, const char *name)
{
	for (size_t i = 0; i < *n; i++) {
		if (list[i].name == name || strcmp(list[i].name, name) == 0) {
			list[i].n++;
			return;
		}
	}
	if (*n < max)
		list[(*n)++] = (struct count){.name = name, .n = 1};
}

static int most_first(const void *a, const void *b)
{
	const struct count *x = a, *y = b;
	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void take_census(struct gi_go *go, struct census *c)
{
	for (size_t i = 0; i < gi_go_g_count(go); i++) {
		const struct gi_g *g = gi_go_g(go, i);
		if (g->unreadable) {
			c->unreadable++;
			continue;
		}
		if (gi_g_is_dead(g))
			continue;
		c->total++;
		c->system += g->system;
		char buf[32];
		const char *status = gi_g_status_name(g, buf, sizeof(buf));
		if (status == buf) {
			snprintf(c->other, sizeof(c->other), "%s", buf);
			status = c->other;
		}
		count_one(c->statuses, &c->status_count, GI_ARRAY_SIZE(c->statuses), status);
		const char *reason = g->system ? NULL : gi_go_wait_reason(go, g);
		if (reason)
			count_one(c->reasons, &c->reason_count, MAX_REASONS, reason);
	}
	qsort(c->statuses, c->status_count, sizeof(c->statuses[0]), most_first);
	qsort(c->reasons, c->reason_count, sizeof(c->reasons[0]), most_first);
}

// --- how it ended ---------------------------------------------------------------

static void put_fault(struct gi_str *s, int signal, int code, bool has_addr, uint64_t addr)
{
	enum { SEGV = 11, MAPERR = 1, ACCERR = 2 };
	if (has_addr)
		gi_str_printf(s, " at address 0x%" PRIx64, addr);
	if (signal == SEGV && code == MAPERR)
		gi_str_puts(s, " (nothing is mapped there)");
	else if (signal == SEGV && code == ACCERR)
		gi_str_puts(s, " (the access is not permitted)");
}

// The signal that the runtime was handling when it raised the one that ended the process.
// It may be the same one: its own comes by tgkill, another process's by kill.
static bool first_signal(struct gi_target *t, struct gi_unwinder *u, struct gi_signal_context *ret)
{
	const struct gi_process_info *info = gi_target_info(t);
	return u && gi_target_thread_count(t) && gi_unwind_signal(u, 0, ret) && ret->signal &&
	       (ret->signal != info->signal || ret->code == SI_USER);
}

// Was the first signal that the thread handled the one that the runtime raised on it? In a C
// program the runtime leaves SIGABRT to that, and there was no handler at all.
static bool died_by_itself(struct gi_target *t, struct gi_go *go, struct gi_unwinder *u)
{
	const struct gi_process_info *info = gi_target_info(t);
	const struct gi_m *m = go ? gi_go_m_by_thread(go, 0) : NULL;
	struct gi_signal_context first;
	uint64_t top;
	if (!u || !m || !m->dying)
		return false;
	// A handler's frame may be on a stack that is lost.
	if (!gi_target_peek_u64(t, gi_regs_sp(&gi_target_thread(t, 0)->regs), &top))
		return false;
	if (!gi_unwind_signal(u, 0, &first))
		return info->signal == SIGABRT && info->signal_code == SI_TKILL;
	return first.signal == info->signal && first.code != SI_USER;
}

// The M that was ending the process when the core was taken; NULL: none was.
static const struct gi_m *dying(struct gi_go *go)
{
	for (size_t i = 0; go && i < gi_go_m_count(go); i++) {
		if (gi_go_m(go, i)->dying)
			return gi_go_m(go, i);
	}
	return NULL;
}

static void put_end(struct gi_str *s, struct gi_target *t, struct gi_go *go, struct gi_unwinder *u)
{
	const struct gi_process_info *info = gi_target_info(t);
	if (!info->signal) {
		const struct gi_m *m = dying(go);
		if (m)
			gi_str_printf(s,
				      "nothing yet: the core was taken while the Go runtime was ending "
				      "it after a %s",
				      m->throwing ? "fatal error" : "panic");
		else
			gi_str_puts(s, "nothing: the core was taken while it ran");
		return;
	}
	gi_signal_format(info->signal, s);
	put_fault(s, info->signal, info->signal_code, info->has_fault_addr, info->fault_addr);
	if (info->sender && info->sender != info->pid)
		gi_str_printf(s, " sent by process %d", (int)info->sender);
	struct gi_signal_context first;
	if (first_signal(t, u, &first)) {
		gi_str_puts(s, ", which the Go runtime raised after ");
		if (first.signal == info->signal)
			gi_str_puts(s, "another ");
		gi_signal_format(first.signal, s);
		put_fault(s, first.signal, first.code, first.has_addr, first.addr);
	} else if (died_by_itself(t, go, u)) {
		// A throw notes itself in its M.
		gi_str_printf(s, ", which the Go runtime raised after a %s",
			      gi_go_m_by_thread(go, 0)->throwing ? "fatal error" : "panic");
	} else if (go && gi_go_sched(go)->panicking) {
		// No handler's frame was found: there was none, or its stack is lost.
		gi_str_puts(s, ", which the Go runtime raised itself");
	}
}

// --- JSON -----------------------------------------------------------------------

static void json_counts(struct gi_out *out, const char *key, const struct count *list, size_t n)
{
	gi_json_object(out, key);
	for (size_t i = 0; i < n; i++)
		gi_json_u64(out, list[i].name, list[i].n);
	gi_json_close(out);
}

static void json_signal(struct gi_out *out, const char *key, int signal)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	if (signal)
		gi_signal_format(signal, &name);
	gi_json_str(out, key, signal ? gi_str_cstr(&name) : NULL);
}

static void json_process(struct gi_out *out, struct gi_target *t, struct gi_go *go,
			 struct gi_unwinder *u, const struct census *c)
{
	const struct gi_process_info *info = gi_target_info(t);
	struct gi_signal_context first;
	struct gi_target_file file = gi_target_file(t, 0), *exe = &file;
	gi_json_begin(out, "process");
	gi_json_str(out, "core", info->core_path);
	gi_json_str(out, "executable", info->exe_path);
	gi_json_str(out, "debug_file", exe->debug_path);
	gi_json_str(out, "name", info->exe_name);
	gi_json_str(out, "command", info->args && *info->args ? info->args : info->comm);
	gi_json_i64_or_null(out, "pid", info->pid, info->pid);
	gi_json_str(out, "arch", gi_target_machine(t)->name);
	gi_json_str(out, "go_version", go ? gi_go_version(go)->text : NULL);
	json_signal(out, "signal", info->signal);
	gi_json_hex_or_null(out, "fault_addr", info->has_fault_addr, info->fault_addr);
	json_signal(out, "first_signal", first_signal(t, u, &first) ? first.signal : 0);
	gi_json_u64(out, "threads", gi_target_thread_count(t));
	gi_json_i64_or_null(out, "gomaxprocs", go != NULL, go ? gi_go_sched(go)->gomaxprocs : 0);
	gi_json_u64(out, "goroutines", c->total);
	gi_json_u64(out, "system_goroutines", c->system);
	gi_json_u64(out, "unreadable_goroutines", c->unreadable);
	json_counts(out, "by_status", c->statuses, c->status_count);
	json_counts(out, "by_wait_reason", c->reasons, c->reason_count);
	gi_json_end(out);
	if (info->live)
		gi_report_live(out, t);
}

// --- text -----------------------------------------------------------------------

static void line(struct gi_out *out, const char *name, const struct gi_str *text)
{
	gi_out_style(out, GI_STYLE_HEAD);
	gi_out_printf(out, "%-11s", name);
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_text(out, gi_str_cstr(text));
	gi_out_puts(out, "\n");
}

static void put_counts(struct gi_str *s, const struct count *list, size_t n)
{
	size_t shown = n > SHOWN_REASONS + 1 ? SHOWN_REASONS : n;
	uint64_t rest = 0;
	for (size_t i = 0; i < n; i++) {
		if (i < shown)
			gi_str_printf(s, "%s%" PRIu64 " %s", i ? ", " : "", list[i].n,
				      list[i].name);
		else
			rest += list[i].n;
	}
	if (rest)
		gi_str_printf(s, ", %" PRIu64 " for other reasons", rest);
}

// Nothing of an executable that has its debug information.
static void put_debug_file(struct gi_str *s, struct gi_target *t)
{
	struct gi_target_file exe = gi_target_file(t, 0);
	if (exe.debug_path)
		gi_str_printf(s, "%s, found %s", exe.debug_path, exe.debug_how);
	else if (exe.debug_how)
		gi_str_puts(s, "none (info -v tells where it was looked for)");
	if (exe.alt_path)
		gi_str_printf(s, "%s%s", s->len ? ", with " : "with ", exe.alt_path);
}

static void text_process(struct gi_out *out, struct gi_target *t, struct gi_go *go,
			 struct gi_unwinder *u, const struct census *c)
{
	const struct gi_process_info *info = gi_target_info(t);
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	const char *command = info->args && *info->args ? info->args : info->exe_name;
	gi_str_puts(&s, command ? command : "?");
	if (info->pid)
		gi_str_printf(&s, " (process %d)", (int)info->pid);
	if (go)
		gi_str_printf(&s, ", %s", gi_go_version(go)->text);
	gi_str_printf(&s, ", linux/%s", gi_target_machine(t)->name);
	line(out, "Program", &s);
	gi_str_reset(&s);
	put_debug_file(&s, t);
	if (s.len)
		line(out, "Debug file", &s);
	gi_str_reset(&s);
	if (info->live)
		gi_report_live_line(&s, t);
	else
		put_end(&s, t, go, u);
	line(out, info->live ? "Looked at" : "Ended by", &s);
	gi_str_reset(&s);
	gi_str_printf(&s, "%zu", gi_target_thread_count(t));
	if (go)
		gi_str_printf(&s, ", GOMAXPROCS %" PRId32, gi_go_sched(go)->gomaxprocs);
	line(out, "Threads", &s);
	if (!go)
		return;
	gi_str_reset(&s);
	if (c->total) {
		gi_str_printf(&s, "%" PRIu64 ": ", c->total);
		put_counts(&s, c->statuses, c->status_count);
	} else {
		// The notes say what is lost.
		gi_str_puts(&s, "none that can be read");
	}
	if (c->system)
		gi_str_printf(&s, "; %" PRIu64 " of them the runtime's own", c->system);
	line(out, "Goroutines", &s);
	if (c->reason_count) {
		gi_str_reset(&s);
		put_counts(&s, c->reasons, c->reason_count);
		line(out, "  waiting", &s);
	}
	gi_str_reset(&s);
	// Of a program that died by a panic or a signal the runtime has frozen the scheduler; where
	// memory is missing, the command itself tells what that hides.
	size_t trouble = 0;
	if (!gi_go_sched(go)->panicking && !gi_go_sched(go)->gcwaiting && !gi_go_note_count(go))
		trouble = gi_sched_trouble(go, u, &s);
	if (trouble) {
		gi_str_printf(&s, " (%s%zu finding%s: the command sched)", trouble > 1 ? "one of " : "",
			      trouble, trouble > 1 ? "s" : "");
		line(out, "Scheduler", &s);
	}
}

struct gi_error *gi_report_summary(struct gi_out *out, struct gi_target *t, struct gi_go *go,
				   struct gi_unwinder *u, struct gi_graph *graph)
{
	_cleanup_(gi_freep) struct census *c = calloc(1, sizeof(*c));
	if (!c)
		return gi_error_nomem();
	if (go)
		take_census(go, c);
	if (gi_out_is_json(out))
		json_process(out, t, go, u, c);
	else
		text_process(out, t, go, u, c);
	if (graph) {
		struct gi_error *err = gi_report_verdict_line(out, go, graph);
		if (err)
			return err;
	}
	for (size_t i = 0; i < gi_target_note_count(t); i++)
		gi_out_note(out, "%s", gi_target_note(t, i));
	for (size_t i = 0; go && i < gi_go_note_count(go); i++)
		gi_out_note(out, "%s", gi_go_note(go, i));
	for (size_t i = 0; graph && i < gi_graph_note_count(graph); i++)
		gi_out_note(out, "%s", gi_graph_note(graph, i));
	return gi_out_check(out);
}

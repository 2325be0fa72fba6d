// Threads, as the core has them, with what the runtime knows of each.

#include "gcore/runtime_lock.h"
#include "report/frame.h"
#include "report/kernel.h"
#include "report/sched.h"
#include "report/syscall.h"
#include "report/table.h"

#include <string.h>

void gi_signal_format(int signal, struct gi_str *ret)
{
	const char *name = sigabbrev_np(signal);
	if (name)
		gi_str_printf(ret, "SIG%s", name);
	else
		gi_str_printf(ret, "signal %d", signal);
}

static bool take_first(void *arg, const struct gi_frame *f)
{
	struct gi_location *loc = arg;
	*loc = (struct gi_location){
		.pc = f->pc, .function = f->name, .file = f->file, .line = f->line};
	return false;
}

// Where a thread is: its innermost frame. Without an unwinder, its program counter.
static struct gi_location where_is(struct gi_target *t, struct gi_unwinder *u, size_t thread)
{
	struct gi_location loc = {0};
	if (u) {
		struct gi_error *why = NULL;
		struct gi_error *err = gi_unwind_thread(u, thread, 0, 1, take_first, &loc, &why);
		gi_error_ignore(err);
		gi_error_ignore(why);
	}
	if (!loc.pc)
		loc = (struct gi_location){.pc = gi_regs_pc(&gi_target_thread(t, thread)->regs),
					   .function = "",
					   .file = ""};
	return loc;
}

static const struct gi_g *goroutine_on(struct gi_go *go, const struct gi_m *m)
{
	return m && m->curg ? gi_go_g_by_addr(go, m->curg) : NULL;
}

/** Descriptors of the C library's threads; NULL where there are none. */
static struct gi_error *pthreads_of(struct gi_go *go, struct gi_unwinder *u,
				    struct gi_pthreads **ret)
{
	*ret = NULL;
	return go && u ? gi_pthreads_create(go, ret) : NULL;
}

static void json_syscall(struct gi_out *out, struct gi_target *t, struct gi_go *go,
			 struct gi_unwinder *u, const struct gi_pthreads *p, size_t thread)
{
	struct gi_syscall call;
	bool broken_off;
	struct gi_pthread_wait w;
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	if (!gi_thread_syscall(t, u, thread, &call, &broken_off)) {
		gi_json_null(out, "syscall");
		gi_json_null(out, "waits_for");
		return;
	}
	const bool waits = p && gi_pthreads_wait(p, u, thread, &w);
	gi_syscall_format(t, go, &call, waits ? &w : NULL, &text);
	gi_json_object(out, "syscall");
	gi_json_str(out, "text", gi_str_cstr(&text));
	gi_json_i64_or_null(out, "number", call.nr >= 0, call.nr);
	gi_json_str(out, "name", call.name);
	gi_json_array(out, "arguments");
	for (size_t i = 0; i < GI_SYSCALL_ARGS; i++) {
		gi_json_hex_or_null(out, NULL, call.known >> i & 1, call.args[i]);
	}
	gi_json_close(out);
	gi_json_bool(out, "broken_off", broken_off);
	gi_json_close(out);
	if (waits)
		gi_json_pthread_wait(out, go, &w);
	else
		gi_json_null(out, "waits_for");
}

// locks may be NULL: they take a walk of all stacks, which a list of threads does without.
static void json_thread(struct gi_out *out, struct gi_target *t, struct gi_go *go,
			struct gi_unwinder *u, const struct gi_pthreads *p,
			const struct gi_lock_waits *locks, size_t i)
{
	const struct gi_thread *th = gi_target_thread(t, i);
	const struct gi_m *m = go ? gi_go_m_by_thread(go, i) : NULL;
	const struct gi_g *g = goroutine_on(go, m);
	struct gi_location loc = where_is(t, u, i);
	gi_json_begin(out, "thread");
	gi_json_u64(out, "number", i + 1);
	gi_json_i64(out, "tid", th->tid);
	gi_json_i64_or_null(out, "m", m != NULL, m ? m->id : 0);
	gi_json_u64_or_null(out, "goroutine", g != NULL, g ? g->goid : 0);
	gi_json_i64_or_null(out, "signal", th->signal, th->signal);
	gi_json_location(out, "location", &loc);
	json_syscall(out, t, go, u, p, i);
	struct gi_left_p left;
	gi_json_left_p(out, g && gi_go_left_p(go, g, &left) ? &left : NULL);
	if (locks)
		gi_json_lock_wait(out, go, m ? gi_lock_waits_of(locks, m) : NULL);
	const struct gi_live_task *task = gi_live_task(t, i);
	if (task)
		gi_kernel_json(out, task);
	gi_json_end(out);
}

static void put_kernel_cells(struct gi_table *table, const struct gi_live_task *task)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	gi_table_cell(table, "%c", task && task->state ? task->state : '-');
	if (task)
		gi_kernel_put_time(&s, task->cpu_ns);
	gi_table_text(table, gi_str_cstr(&s));
	gi_str_reset(&s);
	gi_kernel_put_rate(&s, task && task->has_rate, task ? task->cpu_rate : 0);
	gi_table_text(table, gi_str_cstr(&s));
	gi_table_text(table, task ? task->wchan : NULL);
}

struct gi_error *gi_report_threads(struct gi_out *out, struct gi_target *t, struct gi_go *go,
				   struct gi_unwinder *u, size_t selected, bool syscalls)
{
	const char *const last = syscalls ? "SYSTEM CALL" : "WHERE";
	const char *const core_heads[] = {">",		">NR",	  ">TID", ">M",
					  ">GOROUTINE", "SIGNAL", last,	  NULL};
	const char *const live_heads[] = {">",	  ">NR",   ">TID",	">M", ">GOROUTINE", "STATE",
					  ">CPU", ">RATE", "SLEEPS IN", last, NULL};
	const bool live = gi_target_is_live(t);
	const char *const *heads = live ? live_heads : core_heads;
	_cleanup_(gi_table_deinit) struct gi_table table;
	gi_table_init(&table, heads);
	_cleanup_(gi_pthreads_destroyp) struct gi_pthreads *p = NULL;
	struct gi_error *err = pthreads_of(go, u, &p);
	if (err)
		return err;
	for (size_t i = 0; i < gi_target_thread_count(t); i++) {
		err = gi_out_check(out);
		if (err)
			return err;
		if (gi_out_is_json(out)) {
			json_thread(out, t, go, u, p, NULL, i);
			continue;
		}
		const struct gi_thread *th = gi_target_thread(t, i);
		const struct gi_m *m = go ? gi_go_m_by_thread(go, i) : NULL;
		const struct gi_g *g = goroutine_on(go, m);
		_cleanup_(gi_str_deinit) struct gi_str text = {0};
		gi_table_cell(&table, i == selected ? "*" : " ");
		gi_table_cell(&table, "%zu", i + 1);
		gi_table_cell(&table, "%d", (int)th->tid);
		if (m)
			gi_table_cell(&table, "%" PRId64, m->id);
		else
			gi_table_text(&table, "-");
		if (g)
			gi_table_cell(&table, "%" PRIu64, g->goid);
		else
			gi_table_text(&table, "-");
		if (live) {
			put_kernel_cells(&table, gi_live_task(t, i));
		} else {
			if (th->signal)
				gi_signal_format(th->signal, &text);
			gi_table_text(&table, gi_str_cstr(&text));
		}
		gi_str_reset(&text);
		struct gi_syscall call;
		bool broken_off;
		if (!syscalls) {
			struct gi_location loc = where_is(t, u, i);
			gi_location_format(&text, loc.function, loc.file, loc.line, loc.pc);
		} else if (gi_thread_syscall(t, u, i, &call, &broken_off)) {
			struct gi_pthread_wait w;
			const bool waits = p && gi_pthreads_wait(p, u, i, &w);
			gi_syscall_format(t, go, &call, waits ? &w : NULL, &text);
		}
		gi_table_text(&table, gi_str_cstr(&text));
	}
	gi_table_print(&table, out);
	return NULL;
}

static void put_m(struct gi_out *out, struct gi_go *go, const struct gi_m *m)
{
	if (!m) {
		gi_out_puts(out, "  the runtime has no M for it\n");
		return;
	}
	gi_out_printf(out, "  m            %" PRId64 " at 0x%" PRIx64 "\n", m->id, m->addr);
	const struct gi_g *g = goroutine_on(go, m);
	if (g)
		gi_out_printf(out, "  goroutine    %" PRIu64 "\n", g->goid);
	else
		gi_out_puts(out, "  goroutine    none\n");
	struct gi_left_p left;
	if (g && gi_go_left_p(go, g, &left)) {
		_cleanup_(gi_str_deinit) struct gi_str text = {0};
		gi_left_p_format(&left, &text);
		gi_out_printf(out, "  left P       %s\n", gi_str_cstr(&text));
	}
	if (m->g0_hi)
		gi_out_printf(out, "  g0 stack     [0x%" PRIx64 ", 0x%" PRIx64 ")\n", m->g0_lo,
			      m->g0_hi);
}

static void put_syscall(struct gi_out *out, struct gi_target *t, struct gi_go *go,
			struct gi_unwinder *u, const struct gi_pthreads *p, size_t thread)
{
	struct gi_syscall call;
	bool broken_off;
	struct gi_pthread_wait w;
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	if (!gi_thread_syscall(t, u, thread, &call, &broken_off))
		return;
	gi_syscall_format(t, go, &call, NULL, &text);
	gi_out_printf(out, "  system call  %s%s\n", gi_str_cstr(&text),
		      broken_off ? " (a signal broke it off)" : "");
	if (!p || !gi_pthreads_wait(p, u, thread, &w))
		return;
	gi_str_reset(&text);
	gi_pthread_wait_format(go, &w, &text);
	gi_out_printf(out, "  waits for    %s\n", gi_str_cstr(&text));
}

// The lock of the runtime that it waits for.
static struct gi_error *put_lock(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				 size_t thread)
{
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	const struct gi_m *m = go ? gi_go_m_by_thread(go, thread) : NULL;
	struct gi_error *err = m ? gi_lock_wait_of_m(go, u, m, &text) : NULL;
	if (!err && text.len)
		gi_out_printf(out, "  waits for    %s\n", gi_str_cstr(&text));
	return err;
}

struct gi_error *gi_report_thread(struct gi_out *out, struct gi_target *t, struct gi_go *go,
				  struct gi_unwinder *u, size_t thread)
{
	_cleanup_(gi_pthreads_destroyp) struct gi_pthreads *p = NULL;
	struct gi_error *err = pthreads_of(go, u, &p);
	if (err)
		return err;
	if (gi_out_is_json(out)) {
		_cleanup_(gi_lock_waits_destroyp) struct gi_lock_waits *locks = NULL;
		if (go && u) {
			err = gi_lock_waits_create(go, u, &locks);
			if (err)
				return err;
		}
		json_thread(out, t, go, u, p, locks, thread);
		return NULL;
	}
	const struct gi_thread *th = gi_target_thread(t, thread);
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	struct gi_location loc = where_is(t, u, thread);
	gi_location_format(&text, loc.function, loc.file, loc.line, loc.pc);
	gi_out_style(out, GI_STYLE_HEAD);
	gi_out_printf(out, "Thread %zu, id %d", thread + 1, (int)th->tid);
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_printf(out, "\n  where        %s\n", gi_str_cstr(&text));
	if (th->signal) {
		gi_str_reset(&text);
		gi_signal_format(th->signal, &text);
		gi_out_printf(out, "  signal       %s\n", gi_str_cstr(&text));
	}
	put_syscall(out, t, go, u, p, thread);
	err = put_lock(out, go, u, thread);
	if (err)
		return err;
	const struct gi_live_task *task = gi_live_task(t, thread);
	if (task)
		gi_kernel_text(out, t, task);
	if (go)
		put_m(out, go, gi_go_m_by_thread(go, thread));
	return NULL;
}

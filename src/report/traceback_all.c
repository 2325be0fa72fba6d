// The stacks of all goroutines, in the runtime's order, and at the level crash those of
// the threads, the way a Go process prints them when SIGQUIT, a panic or a fatal error
// ends it (src/runtime: sighandler in signal_unix.go, dopanic_m in panic.go,
// tracebackothers in traceback.go, dumpregs in signal_amd64.go and others).
//
// With GOTRACEBACK=crash a signal makes each thread print, one after the other: the first
// what it did when the signal came, then all goroutines, then its registers; each other
// thread, behind a line "-----", what it did and its registers. Of goroutines that ran on
// other threads the first can say nothing; the sections of those threads do. A panic or a
// fatal error prints its own goroutine and the others only.
//
// The levels all and system have no sections of threads: there, goroutines that run are
// shown with the stacks that the core has for them.

#include "report/goroutines.h"
#include "report/traceback_impl.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { FLUSH_AT = 256 * 1024, RECORD_FRAMES = 10000 };

static struct gi_error *flush(struct gi_out *out, struct gi_str *text)
{
	if (text->oom)
		return gi_error_nomem();
	gi_out_write(out, gi_str_cstr(text), text->len);
	gi_str_reset(text);
	return gi_out_check(out);
}

// --- threads -------------------------------------------------------------

static const char *signal_line(int sig)
{
	switch (sig) {
	case SIGQUIT:
		return "SIGQUIT: quit";
	case SIGILL:
		return "SIGILL: illegal instruction";
	case SIGTRAP:
		return "SIGTRAP: trace trap";
	case SIGABRT:
		return "SIGABRT: abort";
	case SIGBUS:
		return "SIGBUS: bus error";
	case SIGFPE:
		return "SIGFPE: floating-point exception";
	case SIGSEGV:
		return "SIGSEGV: segmentation violation";
	case SIGSTKFLT:
		return "SIGSTKFLT: stack fault";
	case SIGSYS:
		return "SIGSYS: bad system call";
	}
	return NULL;
}

static void put_reg(const char *name, uint64_t value, struct gi_str *text)
{
	gi_str_puts(text, name);
	gi_str_put_hex(text, value);
	gi_str_putc(text, '\n');
}

static void put_regs(const struct gi_signal_context *sig, struct gi_str *text)
{
	const struct gi_reg_alias *row = gi_machine(sig->regs.arch)->dump;
	for (; row->name; row++) {
		if (gi_regs_has(&sig->regs, row->reg))
			put_reg(row->name, sig->regs.r[row->reg], text);
	}
	if (sig->has_fault)
		put_reg("fault   ", sig->fault, text);
}

/** What one thread did. */
struct section {
	size_t thread;
	const struct gi_m *m;
	struct gi_signal_context sig; // regs: of the thread if in_signal is false
	bool in_signal;
	struct gi_g g0; // the M's, if has_g0
	bool has_g0;
	const struct gi_g *curg; // or NULL
	const struct gi_g *gp;	 // whose stack it was on: curg or &g0; NULL: none
	bool in_cgo;
	bool lost; // it was in a signal handler; what it did before cannot be read
	bool curg_lost; // it was on the stack of a goroutine that cannot be read
};

static bool on_stack(const struct gi_g *g, uint64_t sp)
{
	return g && sp > g->stack_lo && sp <= g->stack_hi;
}

static bool read_section(struct gi_tb *tb, size_t thread, struct section *ret)
{
	const struct gi_thread *th = gi_target_thread(gi_go_target(tb->go), thread);
	memset(ret, 0, sizeof(*ret));
	ret->thread = thread;
	ret->m = gi_go_m_by_thread(tb->go, thread);
	if (!th || !ret->m)
		return false;
	ret->in_signal = gi_unwind_signal(tb->u, thread, &ret->sig);
	if (!ret->in_signal && gi_unwind_in_handler(tb->u, thread)) {
		ret->lost = true;
		return true;
	}
	if (!ret->in_signal)
		ret->sig.regs = th->regs;
	ret->curg = ret->m->curg ? gi_go_g_by_addr(tb->go, ret->m->curg) : NULL;
	struct gi_error *err = gi_go_read_g(tb->go, ret->m->g0, &ret->g0);
	ret->has_g0 = !err;
	gi_error_ignore(err);
	uint64_t sp = gi_regs_sp(&ret->sig.regs);
	uint64_t caught = ret->in_signal ? gi_unwind_caught(ret->m) : 0;
	if (caught) {
		ret->in_cgo = caught != ret->m->caughtsig;
		ret->curg_lost = caught == ret->m->curg && (!ret->curg || ret->curg->unreadable);
		if (caught == ret->m->curg)
			ret->gp = ret->curg;
		else if (ret->has_g0)
			ret->gp = &ret->g0;
		return ret->gp || ret->curg_lost;
	}
	if (on_stack(ret->curg, sp)) {
		ret->gp = ret->curg;
	} else if (ret->m->curg && (!ret->curg || ret->curg->unreadable) &&
		   !(ret->has_g0 && on_stack(&ret->g0, sp))) {
		// Not g0's: nothing else says whose it is.
		ret->curg_lost = true;
		return true;
	} else if (ret->has_g0) {
		ret->gp = &ret->g0;
		// Calls of the race detector and of the vDSO take g0's stack, but keep g.
		if (ret->curg && (ret->curg->status & ~(uint32_t)GI_G_SCAN) == GI_G_RUNNING &&
		    !on_stack(ret->curg, ret->curg->sched_sp))
			ret->gp = ret->curg;
		// In C the runtime shows the Go code that led there.
		if (ret->m->incgo && ret->curg) {
			ret->in_cgo = true;
			ret->gp = ret->curg;
		}
	}
	return ret->gp != NULL;
}

static void put_signal(struct gi_tb *tb, const struct section *s, struct gi_str *text)
{
	const char *line = signal_line(s->sig.signal);
	if (line)
		gi_str_puts(text, line);
	else
		gi_str_printf(text, "Signal %d", s->sig.signal);
	gi_str_puts(text, "\nPC=");
	gi_str_put_hex(text, gi_regs_pc(&s->sig.regs));
	gi_str_printf(text, " m=%lld sigcode=%d", (long long)s->m->id, s->sig.code);
	if (tb->minor >= 22 && (s->sig.signal == SIGSEGV || s->sig.signal == SIGBUS)) {
		gi_str_puts(text, " addr=");
		gi_str_put_hex(text, s->sig.addr);
	}
	gi_str_putc(text, '\n');
	if (s->in_cgo)
		gi_str_puts(text, "signal arrived during cgo execution\n");
	if (s->sig.signal == SIGILL || s->sig.signal == SIGFPE) {
		uint64_t pc = gi_regs_pc(&s->sig.regs);
		size_t n = 0, max = gi_min_u64(16, 4096 - pc % 4096);
		const uint8_t *p = gi_target_view_max(gi_go_target(tb->go), pc, max, &n);
		gi_str_puts(text, "instruction bytes:");
		for (size_t i = 0; p && i < n; i++) {
			gi_str_putc(text, ' ');
			gi_str_put_hex(text, p[i]);
		}
		gi_str_putc(text, '\n');
	}
	gi_str_putc(text, '\n');
}

// What the thread did, as its section begins.
static struct gi_error *put_section(struct gi_tb *tb, const struct section *s,
				    struct gi_str *text)
{
	if (s->in_signal)
		put_signal(tb, s, text);
	if (s->lost) {
		gi_str_printf(text,
			      "m=%lld is in a signal handler: what the signal interrupted cannot be "
			      "read\n",
			      (long long)s->m->id);
		return NULL;
	}
	if (s->curg_lost) {
		gi_str_printf(text, "m=%lld ran the goroutine at 0x%llx, which cannot be read\n",
			      (long long)s->m->id, (unsigned long long)s->m->curg);
		return NULL;
	}
	if (s->gp != &s->g0)
		return gi_tb_goroutine(tb, s->gp, text);
	gi_tb_header(tb, &s->g0, text);
	return gi_tb_thread_frames(tb, s->thread, text);
}

static struct gi_error *put_other_section(struct gi_tb *tb, const struct section *s,
					  struct gi_str *text)
{
	gi_str_puts(text, "\n-----\n\n");
	struct gi_error *err = put_section(tb, s, text);
	// The first thread could not show this goroutine: it ran here.
	if (!err && s->curg && s->gp != s->curg &&
	    (s->curg->status & ~(uint32_t)GI_G_SCAN) == GI_G_RUNNING)
		err = gi_tb_goroutine(tb, s->curg, text);
	if (!err && !s->lost)
		put_regs(&s->sig, text);
	return err;
}

struct thread_order {
	pid_t tid;
	size_t thread;
};

static int by_tid(const void *a, const void *b)
{
	const struct thread_order *x = a, *y = b;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

// The sections of all threads but the first, in the order in which the kernel gives a
// process's signals to its threads: by age.
static struct gi_error *other_sections(struct gi_tb *tb, size_t first, struct gi_out *out,
				       struct gi_str *text)
{
	struct gi_target *t = gi_go_target(tb->go);
	size_t n = gi_target_thread_count(t);
	_cleanup_(gi_freep) struct thread_order *order = calloc(n + 1, sizeof(*order));
	if (!order)
		return gi_error_nomem();
	for (size_t i = 0; i < n; i++)
		order[i] = (struct thread_order){gi_target_thread(t, i)->tid, i};
	qsort(order, n, sizeof(*order), by_tid);
	for (size_t i = 0; i < n; i++) {
		struct section s;
		if (order[i].thread == first || !read_section(tb, order[i].thread, &s))
			continue;
		struct gi_error *err = put_other_section(tb, &s, text);
		if (!err)
			err = flush(out, text);
		if (err)
			return err;
	}
	return NULL;
}

// The thread that ended the process, or the first of the core.
static size_t first_thread(struct gi_tb *tb)
{
	for (size_t i = 0; i < gi_go_m_count(tb->go); i++) {
		const struct gi_m *m = gi_go_m(tb->go, i);
		if (m->dying && m->thread)
			return m->thread - 1;
	}
	return 0;
}

// --- goroutines ----------------------------------------------------------

/** Which goroutines tracebackothers leaves out, and whose stacks it can see. */
struct others {
	const struct gi_g *shown, *curg;
	uint64_t m; // address of the printing M, 0: all stacks can be seen
};

static bool is_printed(struct gi_tb *tb, const struct gi_g *g)
{
	uint32_t status = g->status & ~(uint32_t)GI_G_SCAN;
	// A dead goroutine with the scan bit is printed by mistake in the runtime, too
	// rarely to follow; one that cannot be read is not left out silently.
	if (status == GI_G_DEAD || status == GI_G_DEADEXTRA)
		return false;
	return !g->system || tb->level >= GI_TRACEBACK_SYSTEM;
}

static struct gi_error *put_other(struct gi_tb *tb, const struct gi_g *g,
				  const struct others *others, struct gi_str *text)
{
	bool elsewhere = !g->unreadable && others->m && g->m != others->m &&
			 (g->status & ~(uint32_t)GI_G_SCAN) == GI_G_RUNNING &&
			 (tb->minor < 26 || !g->syscall_sp);
	if (!elsewhere)
		return gi_tb_goroutine(tb, g, text);
	gi_tb_header(tb, g, text);
	gi_str_puts(text, "\tgoroutine running on other thread; stack unavailable\n");
	gi_tb_created_by(tb, g, text);
	return NULL;
}

static struct gi_error *put_others(struct gi_tb *tb, const struct others *others,
				   bool first, struct gi_out *out, struct gi_str *text)
{
	struct gi_error *err = NULL;
	if (others->curg && others->curg != others->shown) {
		if (!first)
			gi_str_putc(text, '\n');
		first = false;
		err = gi_tb_goroutine(tb, others->curg, text);
	}
	size_t n = gi_go_g_count(tb->go);
	for (size_t i = 0; !err && i < n; i++) {
		const struct gi_g *g = gi_go_g(tb->go, i);
		if (g == others->shown || g == others->curg || !is_printed(tb, g))
			continue;
		if (!first)
			gi_str_putc(text, '\n');
		first = false;
		err = put_other(tb, g, others, text);
		if (!err && text->len >= FLUSH_AT) {
			err = flush(out, text);
			gi_out_progress(out, "goroutines", i, n);
		}
	}
	return err;
}

// The process was ended by a panic or a fatal error of this thread: on the stack of its
// goroutine, or on g0, of which *on_g0_ret tells.
static bool ended_by_panic(struct gi_tb *tb, const struct section *s, bool *on_g0_ret)
{
	*on_g0_ret = false;
	if (!s->m->dying)
		return false;
	if ((s->gp == &s->g0 || s->in_cgo) && gi_tb_fatal_depth(tb, NULL, s->thread))
		*on_g0_ret = true;
	return *on_g0_ret || (s->curg && gi_tb_fatal_depth(tb, s->curg, 0));
}

static struct gi_error *crash_text(struct gi_tb *tb, struct gi_out *out,
				   struct gi_str *text)
{
	struct section s;
	struct gi_error *err;
	size_t first = first_thread(tb);
	if (!read_section(tb, first, &s)) {
		struct others none = {0};
		err = put_others(tb, &none, true, out, text);
		return err ? err : other_sections(tb, SIZE_MAX, out, text);
	}
	bool on_g0, panicked = ended_by_panic(tb, &s, &on_g0);
	if (on_g0) {
		s.gp = &s.g0;
		gi_str_puts(text, "runtime stack:\n");
		err = gi_tb_thread_frames(tb, s.thread, text);
	} else if (panicked) {
		s.gp = s.curg;
		err = gi_tb_goroutine(tb, s.curg, text);
	} else {
		err = put_section(tb, &s, text);
	}
	struct others others = {s.gp, s.curg, s.m->addr};
	if (!err)
		err = put_others(tb, &others, false, out, text);
	if (err || panicked)
		return err;
	if (!s.lost) {
		gi_str_putc(text, '\n');
		put_regs(&s.sig, text);
	}
	return other_sections(tb, first, out, text);
}

static struct gi_error *plain_text(struct gi_tb *tb, struct gi_out *out,
				   struct gi_str *text)
{
	struct others others = {0};
	const struct gi_m *m = gi_go_m_by_thread(tb->go, first_thread(tb));
	// The goroutine that the signal hit, or that panicked, comes first.
	if (m && m->curg) {
		const struct gi_g *g = gi_go_g_by_addr(tb->go, m->curg);
		if (g && is_printed(tb, g))
			others.curg = g;
	}
	return put_others(tb, &others, true, out, text);
}

// --- records -------------------------------------------------------------

// Records of the goroutines that the text would show; g is NULL for all of them.
static struct gi_error *records(struct gi_tb *tb, struct gi_out *out,
				const struct gi_g *g)
{
	struct gi_goroutines_options opts = {.frames = RECORD_FRAMES};
	struct gi_g_query query = {.go = tb->go, .u = tb->u, .opts = &opts};
	_cleanup_(gi_g_writer_destroyp) struct gi_g_writer *w = NULL;
	struct gi_error *err = gi_g_writer_create(&query, tb->u, out, &w);
	if (err || g)
		return err ? err : gi_g_writer_row(w, g);
	size_t n = gi_go_g_count(tb->go);
	for (size_t i = 0; !err && i < n; i++) {
		g = gi_go_g(tb->go, i);
		if (!g->unreadable && !is_printed(tb, g))
			continue;
		err = gi_g_writer_row(w, g);
		if (!err)
			err = gi_out_check(out);
		gi_out_progress(out, "goroutines", i, n);
	}
	return err;
}

struct gi_error *gi_traceback_all(struct gi_out *out, struct gi_go *go,
				  struct gi_unwinder *u, enum gi_traceback_level level)
{
	struct gi_tb tb;
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	struct gi_error *err = gi_tb_init(&tb, go, u, level);
	if (err)
		return err;
	if (gi_out_is_json(out))
		err = records(&tb, out, NULL);
	else if (level == GI_TRACEBACK_CRASH)
		err = crash_text(&tb, out, &text);
	else
		err = plain_text(&tb, out, &text);
	if (!err)
		err = flush(out, &text);
	gi_tb_deinit(&tb);
	return err;
}

struct gi_error *gi_traceback_goroutine(struct gi_out *out, struct gi_go *go,
					struct gi_unwinder *u, const struct gi_g *g,
					enum gi_traceback_level level)
{
	struct gi_tb tb;
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	struct gi_error *err = gi_tb_init(&tb, go, u, level);
	if (err)
		return err;
	if (gi_out_is_json(out))
		err = records(&tb, out, g);
	else
		err = gi_tb_goroutine(&tb, g, &text);
	if (!err)
		err = flush(out, &text);
	gi_tb_deinit(&tb);
	return err;
}

// Where a stack begins: parked goroutines from what the scheduler saved, running ones
// from their thread's registers, and both the way the runtime itself would begin.
//
// What the runtime saved (src/runtime/runtime2.go, proc.go):
//   g.sched               a parked or runnable goroutine, and one whose thread works on
//                         g0's stack for it (systemstack, mcall, a cgo call)
//   g.syscallpc, -sp      the caller of entersyscall, in a system call or a cgo call
//   m.vdsoPC, -SP         the caller of a vDSO function
//   m.caughtsig           the g that was current when a signal came that ends the process:
//                         the runtime shows that g from the interrupted registers, whatever
//                         stack they are on, and curg, if it is another, from what it saved
// A thread in a signal handler runs on its M's gsignal stack; the kernel saved the
// interrupted registers there (signal.c).

#include "unwind/unwind_impl.h"

#include <stdlib.h>
#include <string.h>

struct gi_error *gi_unwinder_create(struct gi_go *go, struct gi_unwinder **ret)
{
	struct gi_unwinder *u = calloc(1, sizeof(*u));
	if (!u)
		return gi_error_nomem();
	u->go = go;
	u->t = gi_go_target(go);
	u->machine = gi_target_machine(u->t);
	u->ft = gi_go_functab(go);
	u->wrapper_id = gi_functab_wrapper_id(u->ft);
	u->symbolic_args = gi_go_at_least(go, 1, 21);
	memset(u->special, GI_SPECIAL_UNKNOWN, sizeof(u->special));
	struct gi_error *err = gi_pccache_create(u->ft, &u->cache);
	if (err) {
		free(u);
		return err;
	}
	*ret = u;
	return NULL;
}

void gi_unwinder_destroy(struct gi_unwinder *u)
{
	if (!u)
		return;
	gi_pccache_destroy(u->cache);
	gi_cfi_destroy(u->cfi);
	gi_frame_info_destroy(u->functions);
	gi_map_deinit(&u->args);
	gi_arena_destroy(u->args_arena);
	free(u);
}

static bool is_named(const char *name, const char *want)
{
	size_t n = strlen(want);
	return !strncmp(name, want, n) && (!name[n] || !strcmp(name + n, ".abi0"));
}

// Functions without a number of their own that matter, all of them assembly.
static enum gi_special special_by_name(const char *name)
{
	static const struct {
		const char *name;
		enum gi_special special;
	} names[] = {
		{"runtime.systemstack", GI_SPECIAL_SYSTEMSTACK},
		{"runtime.mcall", GI_SPECIAL_MCALL},
		{"runtime.morestack", GI_SPECIAL_MORESTACK},
		{"runtime.asmcgocall", GI_SPECIAL_ASMCGOCALL},
		{"runtime.cgocallback", GI_SPECIAL_CGOCALLBACK},
		{"runtime.sigpanic", GI_SPECIAL_SIGPANIC},
		{"runtime.asyncPreempt", GI_SPECIAL_INJECTED},
		{"runtime.debugCallV1", GI_SPECIAL_INJECTED},
		{"runtime.debugCallV2", GI_SPECIAL_INJECTED},
		{"runtime.sigtramp", GI_SPECIAL_SIGTRAMP},
		{"runtime.cgoSigtramp", GI_SPECIAL_SIGTRAMP},
		{"runtime.nanotime1", GI_SPECIAL_VDSOCALL},
		{"runtime.walltime", GI_SPECIAL_VDSOCALL},
		{"runtime.vgetrandom1", GI_SPECIAL_VDSOCALL},
		{"time.now", GI_SPECIAL_VDSOCALL},
		{"racecall", GI_SPECIAL_RACECALL},
		{"runtime.callCgoSigaction", GI_SPECIAL_ALIGNED},
		{"runtime.callCgoMmap", GI_SPECIAL_ALIGNED},
		{"runtime.callCgoMunmap", GI_SPECIAL_ALIGNED},
		{"runtime.sigfwd", GI_SPECIAL_ALIGNED},
		{"crosscall2", GI_SPECIAL_CROSSCALL},
		{"runtime.clone", GI_SPECIAL_CLONE},
		{"main", GI_SPECIAL_MAIN},
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++)
		if (is_named(name, names[i].name))
			return names[i].special;
	return GI_SPECIAL_OTHER;
}

enum gi_special gi_unwinder_special(struct gi_unwinder *u, const struct gi_func *f)
{
	if (!f->func_id) {
		// All of those are assembly; sigtramp has no other mark in 1.18.
		if (!(f->flag & (GI_FUNCFLAG_TOPFRAME | GI_FUNCFLAG_SPWRITE | GI_FUNCFLAG_ASM)))
			return GI_SPECIAL_NONE;
		return special_by_name(f->name);
	}
	// Wrappers of all functions share one number.
	if (f->func_id == u->wrapper_id)
		return GI_SPECIAL_OTHER;
	uint8_t *known = &u->special[f->func_id];
	if (*known == GI_SPECIAL_UNKNOWN)
		*known = special_by_name(f->name);
	return *known;
}

// --- beginnings ----------------------------------------------------------

static bool on_stack_of(const struct gi_g *g, uint64_t sp)
{
	return g->stack_hi && sp > g->stack_lo && sp <= g->stack_hi;
}

// bp and lr are 0 if they are not known.
static void begin_at(struct gi_walk *w, uint64_t pc, uint64_t sp, uint64_t bp, uint64_t lr)
{
	const struct gi_machine *machine = w->u->machine;
	struct gi_regs *regs = &w->u->regs;
	regs->arch = machine->arch;
	regs->known = 0;
	gi_regs_set(regs, machine->pc, pc);
	gi_regs_set(regs, machine->sp, sp);
	if (bp)
		gi_regs_set(regs, machine->fp, bp);
	if (lr && machine->lr != GI_NO_REG)
		gi_regs_set(regs, machine->lr, lr);
	w->pc = pc;
	w->sp = sp;
	w->exact = false;
}

static void begin_regs(struct gi_walk *w, const struct gi_regs *regs)
{
	w->u->regs = *regs;
	w->pc = gi_regs_pc(regs);
	w->sp = gi_regs_sp(regs);
	w->exact = true;
}

static void walk_init(struct gi_walk *w, struct gi_unwinder *u, unsigned flags, size_t max,
		      gi_frame_fn fn, void *arg)
{
	memset(w, 0, sizeof(*w));
	w->u = u;
	w->flags = flags;
	w->left = max < GI_UNWIND_MAX ? max : GI_UNWIND_MAX;
	w->fn = fn;
	w->arg = arg;
	w->first = true;
}

bool gi_unwind_c_function(struct gi_unwinder *u, uint64_t pc, uint64_t *entry_ret,
			  uint64_t *size_ret)
{
	if (!u->functions)
		gi_error_ignore(gi_frame_info_create(u->t, &u->functions));
	return u->functions && gi_frame_info_function(u->functions, pc, entry_ret, size_ret);
}

bool gi_unwind_in_handler(struct gi_unwinder *u, size_t thread)
{
	const struct gi_thread *th = gi_target_thread(u->t, thread);
	const struct gi_m *m = gi_go_m_by_thread(u->go, thread);
	if (!th || !m || !m->gsignal_hi)
		return false;
	uint64_t sp = gi_regs_sp(&th->regs);
	return sp >= m->gsignal_lo && sp <= m->gsignal_hi;
}

// The innermost signal's frame on a thread's stack.
static bool find_signal(struct gi_unwinder *u, size_t thread, struct gi_signal_context *ret)
{
	const struct gi_thread *th = gi_target_thread(u->t, thread);
	const struct gi_m *m = gi_go_m_by_thread(u->go, thread);
	struct gi_walk w;
	walk_init(&w, u, GI_UNWIND_NO_INLINE, GI_UNWIND_MAX, NULL, NULL);
	w.m = m;
	w.to_signal = true;
	begin_regs(&w, &th->regs);
	gi_walk_enter(&w, w.sp);
	gi_walk_run(&w);
	gi_error_ignore(w.why);
	if (!w.found_signal)
		return false;
	memset(ret, 0, sizeof(*ret));
	if (!gi_ucontext_read(u->t, w.signal_frame, &ret->regs))
		return false;
	gi_siginfo_read(u->t, w.signal_frame, ret);
	return true;
}

uint64_t gi_unwind_caught(const struct gi_m *m)
{
	uint64_t g = m->caughtsig;
	// In C the runtime shows the Go code that led there.
	if (g == m->g0 && m->incgo && m->curg)
		g = m->curg;
	return g == m->g0 || g == m->curg ? g : 0;
}

bool gi_unwind_signal(struct gi_unwinder *u, size_t thread, struct gi_signal_context *ret)
{
	return gi_unwind_in_handler(u, thread) && find_signal(u, thread, ret);
}

bool gi_unwind_signal_in_c(struct gi_unwinder *u, size_t thread, struct gi_signal_context *ret)
{
	const struct gi_thread *th = gi_target_thread(u->t, thread);
	const struct gi_m *m = gi_go_m_by_thread(u->go, thread);
	struct gi_func f;
	return th && (!m || gi_m_is_extra(u->go, m)) && !gi_unwind_in_handler(u, thread) &&
	       gi_functab_find(u->ft, gi_regs_pc(&th->regs), &f) && f.pcsp &&
	       find_signal(u, thread, ret);
}

// The registers of a thread as the runtime would see them: those that the signal
// interrupted if it is in a handler. The handler's own are no substitute.
static struct gi_error *no_regs(struct gi_unwinder *u, size_t thread)
{
	bool live = gi_target_info(u->t)->live;
	return gi_error_create(GI_ERR_NOT_SAVED,
			       live ? "thread %d runs and was not stopped: its registers are not known" :
				      "the core has no registers of thread %d",
			       (int)gi_target_thread(u->t, thread)->tid);
}

static struct gi_error *thread_regs(struct gi_unwinder *u, size_t thread, struct gi_regs *ret)
{
	struct gi_signal_context sig;
	if (gi_unwind_signal(u, thread, &sig)) {
		*ret = sig.regs;
		return NULL;
	}
	const struct gi_thread *th = gi_target_thread(u->t, thread);
	if (!th)
		return gi_error_create(GI_ERR_NOT_FOUND, "there is no thread number %zu", thread);
	if (gi_unwind_in_handler(u, thread))
		return gi_error_create(GI_ERR_NOT_SAVED,
				       "thread %d is in a signal handler, and what the signal "
				       "interrupted cannot be read",
				       (int)th->tid);
	*ret = th->regs;
	return NULL;
}

// A goroutine whose thread left its stack without a trace in g, as the race detector's
// calls do. The runtime begins on the stack that it finds the thread on; for a person the
// goroutine's own frames count.
static bool begin_off_stack(struct gi_walk *w, const struct gi_g *g)
{
	struct gi_regs regs;
	struct gi_error *err = thread_regs(w->u, g->thread - 1, &regs);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	if (w->flags & GI_UNWIND_AS_RUNTIME) {
		begin_regs(w, &regs);
		gi_walk_enter(w, w->sp);
		return true;
	}
	struct gi_walk to;
	walk_init(&to, w->u, GI_UNWIND_NO_INLINE, GI_UNWIND_MAX, NULL, NULL);
	to.m = w->m;
	to.to_g = g;
	begin_regs(&to, &regs);
	gi_walk_enter(&to, to.sp);
	gi_walk_run(&to);
	gi_error_ignore(to.why);
	if (!to.found_g)
		return false;
	begin_at(w, to.pc, to.sp, 0, 0);
	gi_walk_enter_g(w, g);
	return true;
}

static struct gi_error *begin_goroutine(struct gi_walk *w, const struct gi_g *g)
{
	uint32_t status = g->status & ~(uint32_t)GI_G_SCAN;
	if (g->unreadable)
		return gi_error_at(GI_ERR_FAULT, g->addr, "the goroutine at 0x%llx cannot be read",
				   (unsigned long long)g->addr);
	// One that has just ended keeps its stack until its thread lets go of it.
	bool ended = status == GI_G_DEAD && !g->thread;
	if (ended || status == GI_G_IDLE || status == GI_G_DEADEXTRA || !g->stack_hi)
		return gi_error_create(GI_ERR_NOT_FOUND, "goroutine %llu has no stack",
				       (unsigned long long)g->goid);
	w->m = g->m_index ? gi_go_m(w->u->go, g->m_index - 1) : NULL;
	// While it is parked in a callback from C, its thread waits for it alone.
	if (!w->m && w->flags & GI_UNWIND_FULL_THREAD && g->lockedm)
		w->m = gi_go_m_by_addr(w->u->go, g->lockedm);
	bool on_thread = g->thread && (status == GI_G_RUNNING || status == GI_G_SYSCALL);
	bool as_runtime = w->flags & GI_UNWIND_AS_RUNTIME;

	// The runtime prefers what entersyscall saved, and m.vdsoPC to both.
	if (as_runtime && w->m && w->m->vdso_sp) {
		begin_at(w, w->m->vdso_pc, w->m->vdso_sp, 0, 0);
		gi_walk_enter(w, w->sp);
		return NULL;
	}
	uint64_t caught = as_runtime && on_thread && w->m ? gi_unwind_caught(w->m) : 0;
	bool by_saved = caught && caught != g->addr;
	_cleanup_(gi_error_freep) struct gi_error *lost = NULL;
	if (on_thread && !(as_runtime && status == GI_G_SYSCALL) && !by_saved) {
		struct gi_regs regs;
		lost = thread_regs(w->u, g->thread - 1, &regs);
		if (!lost && !gi_regs_has(&regs, w->u->machine->sp))
			lost = no_regs(w->u, g->thread - 1);
		bool on_own = !lost && on_stack_of(g, gi_regs_sp(&regs));
		if (on_own || (!lost && caught)) {
			begin_regs(w, &regs);
			if (on_own)
				gi_walk_enter_g(w, g);
			else
				gi_walk_enter(w, w->sp);
			return NULL;
		}
		// In the vDSO, on g0's stack: nothing else was saved.
		if (w->m && on_stack_of(g, w->m->vdso_sp)) {
			begin_at(w, w->m->vdso_pc, w->m->vdso_sp, 0, 0);
			gi_walk_enter_g(w, g);
			return NULL;
		}
	}
	if (status == GI_G_SYSCALL || g->syscall_sp) {
		begin_at(w, g->syscall_pc, g->syscall_sp, g->syscall_bp, 0);
		w->syscall = true;
	} else if (status == GI_G_RUNNING && (lost || !g->thread)) {
		// What it saved when it was parked last says nothing of where it is now.
		if (!lost)
			return gi_error_create(GI_ERR_NOT_SAVED,
					       "goroutine %llu runs on a thread that the core does not "
					       "tell of",
					       (unsigned long long)g->goid);
		struct gi_error *err = lost;
		lost = NULL;
		return err;
	} else if (on_thread && !by_saved && !on_stack_of(g, g->sched_sp) &&
		   begin_off_stack(w, g)) {
		return NULL;
	} else {
		begin_at(w, g->sched_pc, g->sched_sp, g->sched_bp, g->sched_lr);
	}
	if (!on_stack_of(g, w->sp))
		return gi_error_at(
			GI_ERR_FORMAT, w->sp,
			"goroutine %llu: sp 0x%llx is outside of its stack [0x%llx, 0x%llx)",
			(unsigned long long)g->goid, (unsigned long long)w->sp,
			(unsigned long long)g->stack_lo, (unsigned long long)g->stack_hi);
	gi_walk_enter_g(w, g);
	return NULL;
}

static void run(struct gi_walk *w, struct gi_error **why_ret)
{
	gi_walk_run(w);
	if (why_ret)
		*why_ret = w->why;
	else
		gi_error_ignore(w->why);
}

struct gi_error *gi_unwind_goroutine(struct gi_unwinder *u, const struct gi_g *g, unsigned flags,
				     size_t max, gi_frame_fn fn, void *arg,
				     struct gi_error **why_ret)
{
	uint32_t status = g->status & ~(uint32_t)GI_G_SCAN;
	if (flags & GI_UNWIND_SYSTEM_STACK && g->thread && !g->unreadable &&
	    (status == GI_G_RUNNING || status == GI_G_SYSCALL))
		return gi_unwind_thread(u, g->thread - 1, flags, max, fn, arg, why_ret);
	struct gi_walk w;
	walk_init(&w, u, flags, max, fn, arg);
	struct gi_error *err = begin_goroutine(&w, g);
	if (err)
		return err;
	run(&w, why_ret);
	return NULL;
}

struct gi_error *gi_unwind_thread(struct gi_unwinder *u, size_t thread, unsigned flags, size_t max,
				  gi_frame_fn fn, void *arg, struct gi_error **why_ret)
{
	const struct gi_thread *th = gi_target_thread(u->t, thread);
	if (!th)
		return gi_error_create(GI_ERR_NOT_FOUND, "there is no thread number %zu", thread);
	struct gi_walk w;
	walk_init(&w, u, flags, max, fn, arg);
	w.m = gi_go_m_by_thread(u->go, thread);
	w.of_thread = true;
	struct gi_regs regs = th->regs;
	if (flags & GI_UNWIND_AS_RUNTIME) {
		struct gi_error *err = thread_regs(u, thread, &regs);
		if (err)
			return err;
	}
	if (!gi_regs_has(&regs, u->machine->pc) || !gi_regs_has(&regs, u->machine->sp))
		return no_regs(u, thread);
	begin_regs(&w, &regs);
	if (flags & GI_UNWIND_AS_RUNTIME && w.m && w.m->vdso_sp)
		begin_at(&w, w.m->vdso_pc, w.m->vdso_sp, 0, 0);
	gi_walk_enter(&w, w.sp);
	run(&w, why_ret);
	return NULL;
}

struct gi_error *gi_unwind_regs(struct gi_unwinder *u, const struct gi_regs *regs, uint64_t lo,
				uint64_t hi, unsigned flags, size_t max, gi_frame_fn fn, void *arg,
				struct gi_error **why_ret)
{
	struct gi_walk w;
	walk_init(&w, u, flags, max, fn, arg);
	begin_regs(&w, regs);
	if (!gi_regs_has(regs, u->machine->pc) || !gi_regs_has(regs, u->machine->sp) || w.sp < lo ||
	    w.sp > hi)
		return gi_error_create(
			GI_ERR_USAGE, "the stack pointer 0x%llx is outside of [0x%llx, 0x%llx)",
			(unsigned long long)w.sp, (unsigned long long)lo, (unsigned long long)hi);
	w.id = GI_STACK_THREAD;
	w.hi = hi;
	run(&w, why_ret);
	return NULL;
}

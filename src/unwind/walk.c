// The walk along Go frames.
//
// A Go function's frame size is known at every pc (pclntab's pcsp), so no frame needs
// registers but pc and sp: the caller's sp (here cfa; the runtime's fp) is sp plus the SP
// delta plus what a call pushes. On machines with a link register that is nothing: a function
// with a frame keeps the return address at 0(SP); one that has none, yet or at all, has it in
// the register, which only the innermost frame and one that a signal interrupted can say.
// A call that a signal injected there saved the link register on the stack first.
//
// Where a thread changes stacks in the middle, the function that changed them is known, and
// so is where it left the old one (src/runtime/asm_amd64.s, asm_arm64.s, Go 1.18 to 1.27):
//
//   systemstack, on g0    returns to curg.sched.sp, its own frame there
//   mcall, on g0          never returns; curg, if it still has one, stands at curg.sched
//   morestack, on g0      the same
//   asmcgocall, on g0     left g and the depth of its frame in g's stack beside its
//   frame;
//                         where, the machine's table says;
//                         g is 0 when it was on a system stack already
//   sigtramp, on gsignal  the interrupted ucontext is above its frame, unless C code
//                         called it: a sanitizer's handler that stands before Go's
//   vDSO calls            m.vdsoPC and m.vdsoSP are those of the caller
//   racecall              see race.c
//
// Invariants: on one stack sp only goes up and stays below the stack's end, also when the
// walk comes back to it from another one; stacks are switched at most MAX_SWITCHES times
// (each callback in a callback takes three). Whatever breaks them ends the stack with the
// reason.

#include "unwind/unwind_impl.h"

#include <string.h>

// MAX_FLAT: a function without a frame below one that a signal interrupted in its prologue.
enum { MAX_FLAT = 2, MAX_SWITCHES = 100000, POLL_FRAMES = 1024, STACK_SLACK = 8192 };
// What may lie between a frame record of C and the stack pointer of the Go code that called.
enum { C_FRAME_MAX = 1024 };

void gi_walk_why(struct gi_walk *w, const char *fmt, ...)
{
	if (w->why)
		return;
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	va_list ap;
	va_start(ap, fmt);
	gi_str_vprintf(&text, fmt, ap);
	va_end(ap);
	w->why = gi_error_create(GI_ERR_FORMAT, "%s", gi_str_cstr(&text));
}

// --- stacks --------------------------------------------------------------

// While w->sp is still on the stack that is left.
static void set_stack(struct gi_walk *w, enum gi_stack_id id, uint64_t hi)
{
	if (!w->first)
		w->was[w->id] = (struct gi_left){.hi = w->hi, .sp = w->sp};
	w->entered = !w->first;
	w->id = id;
	w->hi = hi;
	w->view = NULL;
	w->view_at = UINT64_MAX;
}

void gi_walk_enter_g(struct gi_walk *w, const struct gi_g *g)
{
	set_stack(w, GI_STACK_GOROUTINE, g->stack_hi);
}

void gi_walk_enter(struct gi_walk *w, uint64_t sp)
{
	const struct gi_m *m = w->m;
	const struct gi_mapping *map = gi_target_mapping_at(w->u->t, sp);
	uint64_t end = map ? map->end : sp;

	if (m && m->gsignal_hi && sp >= m->gsignal_lo && sp <= m->gsignal_hi) {
		set_stack(w, GI_STACK_GSIGNAL, m->gsignal_hi);
		return;
	}
	// g0 before curg: g0's bounds are exact where the runtime allocated it, and where
	// a thread's own stack is used no goroutine lives there.
	if (m && m->g0_hi && sp >= m->g0_lo && sp <= m->g0_hi) {
		// On a thread's own stack the frames of mstart lie above g0's nominal
		// end.
		uint64_t hi =
			m->g0_hi < UINT64_MAX - STACK_SLACK ? m->g0_hi + STACK_SLACK : UINT64_MAX;
		set_stack(w, GI_STACK_G0, gi_min_u64(hi, gi_max_u64(end, m->g0_hi)));
		return;
	}
	const struct gi_g *g = NULL;
	if (m && m->curg) {
		g = gi_go_g_by_addr(w->u->go, m->curg);
		if (g && (sp <= g->stack_lo || sp > g->stack_hi))
			g = NULL;
	}
	if (!g)
		g = gi_go_g_by_stack(w->u->go, sp);
	if (g) {
		gi_walk_enter_g(w, g);
		return;
	}
	bool g0 = m && map && m->g0_hi > map->start && m->g0_hi <= map->end;
	set_stack(w, g0 ? GI_STACK_G0 : GI_STACK_THREAD, end);
}

static bool load(struct gi_walk *w, uint64_t addr, uint64_t *ret)
{
	if (!w->view && w->view_at == UINT64_MAX) {
		w->view_at = w->sp;
		uint64_t n = w->hi > w->sp ? w->hi - w->sp : 0;
		w->view = gi_target_view_max(w->u->t, w->sp, n, &w->view_len);
	}
	uint64_t off = addr - w->view_at;
	if (w->view && addr >= w->view_at && off <= w->view_len && w->view_len - off >= 8) {
		*ret = gi_load_u64(w->view + off);
		return true;
	}
	return gi_target_peek_u64(w->u->t, addr, ret);
}

const struct gi_g *gi_walk_curg(struct gi_walk *w, struct gi_g *buf)
{
	const struct gi_m *m = w->m;
	if (!m || !m->curg)
		return NULL;
	const struct gi_g *g = gi_go_g_by_addr(w->u->go, m->curg);
	if (!g) {
		struct gi_error *err = gi_go_read_g(w->u->go, m->curg, buf);
		if (err) {
			gi_error_ignore(err);
			return NULL;
		}
		g = buf;
	}
	// At some points of the scheduler curg is no longer this M's.
	return g->unreadable || g->m != m->addr ? NULL : g;
}

static bool in_stack(const struct gi_g *g, uint64_t sp)
{
	return sp > g->stack_lo && sp <= g->stack_hi;
}

bool gi_walk_progress(struct gi_walk *w)
{
	const struct gi_left *was = &w->was[w->id];

	if (!w->entered)
		return true;
	w->entered = false;
	if (was->hi != w->hi || w->sp > was->sp)
		return true;
	gi_walk_why(w, "the stack goes on at 0x%llx, not above 0x%llx, where it was left",
		    (unsigned long long)w->sp, (unsigned long long)was->sp);
	return false;
}

static bool switched(struct gi_walk *w)
{
	if (++w->switches <= MAX_SWITCHES)
		return true;
	gi_walk_why(w, "the stack was switched more than %d times", MAX_SWITCHES);
	return false;
}

// --- showing -------------------------------------------------------------

bool gi_walk_show(struct gi_walk *w, const struct gi_frame *frame)
{
	if (!w->left) {
		w->stopped = true;
		return false;
	}
	w->left--;
	if (w->fn && !w->fn(w->arg, frame)) {
		w->stopped = true;
		return false;
	}
	return true;
}

// Shows the inlined calls at the current pc and the physical function.
static bool show_go(struct gi_walk *w, const struct gi_pcinfo *info, uint64_t cfa,
		    enum gi_frame_kind kind, bool as_call)
{
	struct gi_frame *f = &w->frame;
	f->stack = w->id;
	f->pc = w->pc;
	f->sp = w->sp;
	f->cfa = cfa;
	f->argp = cfa + w->u->machine->args_above_cfa;
	f->entry = info->func.entry;
	f->exact_pc = w->exact;
	f->has_func = true;
	f->func = info->func;
	f->regs = &w->u->regs;
	f->module = NULL;
	f->lookup_pc = as_call ? w->pc - 1 : w->pc;

	size_t n = info->call_count;
	size_t i = w->flags & GI_UNWIND_NO_INLINE && n ? n - 1 : 0;
	// The position of the physical function is where its outermost inlined call is.
	if (i)
		f->lookup_pc = info->calls[i - 1].parent_pc;
	for (; i < n; i++) {
		const struct gi_call *c = &info->calls[i];
		f->kind = c->inlined ? GI_FRAME_INLINED : kind;
		f->name = c->name ? c->name : "?";
		f->file = c->file ? c->file : "?";
		f->line = c->line;
		f->start_line = c->start_line;
		f->func_id = c->func_id;
		if (!gi_walk_show(w, f))
			return false;
		f->lookup_pc = c->parent_pc;
	}
	return true;
}

// --- steps ---------------------------------------------------------------

// Moves to the caller at (pc, sp) on the same stack.
static void move(struct gi_walk *w, uint64_t pc, uint64_t sp, bool exact)
{
	struct gi_regs *regs = &w->u->regs;
	const struct gi_machine *machine = w->u->machine;
	// Go code saves no register but the frame pointer for its callers.
	regs->known &= (uint64_t)1 << machine->fp;
	gi_regs_set(regs, machine->pc, pc);
	gi_regs_set(regs, machine->sp, sp);
	w->pc = pc;
	w->sp = sp;
	w->exact = exact;
	w->syscall = false;
	w->first = false;
}

bool gi_walk_jump(struct gi_walk *w, uint64_t pc, uint64_t sp)
{
	if (!switched(w))
		return false;
	gi_walk_enter(w, sp);
	w->u->regs.known = 0;
	move(w, pc, sp, false);
	return true;
}

static void forget_bp(struct gi_walk *w)
{
	gi_regs_forget(&w->u->regs, w->u->machine->fp);
}

// The goroutine that the thread is kept for and that is parked.
static const struct gi_g *locked_g(struct gi_walk *w)
{
	const struct gi_g *g = w->m && w->m->lockedg ? gi_go_g_by_addr(w->u->go, w->m->lockedg) :
						       NULL;
	if (!g || g->unreadable || g->lockedm != w->m->addr)
		return NULL;
	uint32_t status = g->status & ~(uint32_t)GI_G_SCAN;
	return status == GI_G_WAITING || status == GI_G_RUNNABLE ? g : NULL;
}

// lr is 0 where the function at pc keeps its return address itself.
static bool move_to_g(struct gi_walk *w, const struct gi_g *g, uint64_t pc, uint64_t sp,
		      uint64_t lr)
{
	const struct gi_machine *machine = w->u->machine;
	if (!switched(w))
		return false;
	gi_walk_enter_g(w, g);
	forget_bp(w);
	move(w, pc, sp, false);
	if (g->sched_bp)
		gi_regs_set(&w->u->regs, machine->fp, g->sched_bp);
	if (lr && machine->lr != GI_NO_REG)
		gi_regs_set(&w->u->regs, machine->lr, lr);
	w->found_g = w->to_g && w->to_g->addr == g->addr;
	return !w->found_g;
}

// The same, of a frame at sp.
static bool asmcgocall_at(struct gi_walk *w, uint64_t at, const struct gi_g *g,
			  const struct gi_g **g_ret, uint64_t *sp_ret)
{
	const int8_t(*slots)[2] = w->u->machine->asmcgocall;
	for (; slots[0][0] >= 0; slots++) {
		uint64_t depth, gaddr;
		if (!load(w, at + (uint64_t)slots[0][0], &depth) ||
		    !load(w, at + (uint64_t)slots[0][1], &gaddr))
			continue;
		if (g && gaddr == g->addr && depth < g->stack_hi - g->stack_lo && depth >= 8) {
			*g_ret = g;
			*sp_ret = g->stack_hi - depth;
			return true;
		}
		if (!gaddr && depth > at && depth <= w->hi && depth - at <= 256) {
			*g_ret = NULL;
			*sp_ret = depth;
			return true;
		}
	}
	return false;
}

// asmcgocall on a system stack: where its frame is on the stack it came from.
static bool asmcgocall_origin(struct gi_walk *w, struct gi_g *buf, const struct gi_g **g_ret,
			      uint64_t *sp_ret)
{
	const struct gi_g *g = w->callback.g ? w->callback.g : gi_walk_curg(w, buf);
	uint64_t end = w->sp_guessed ? C_FRAME_MAX : 0;
	for (uint64_t off = 0; off <= end && off < w->hi - w->sp; off += 8) {
		if (asmcgocall_at(w, w->sp + off, g, g_ret, sp_ret))
			return true;
	}
	return false;
}

enum step { STEP_ON, STEP_AGAIN, STEP_END };

// A stack switch at the current function. STEP_ON: none, w->sp may have moved to where
// the function's frame is; STEP_AGAIN: the walk stands somewhere else now.
static enum step switch_stack(struct gi_walk *w, const struct gi_pcinfo *info,
			      enum gi_special special)
{
	struct gi_g buf;
	const struct gi_g *g;
	uint64_t sp;

	switch (special) {
	case GI_SPECIAL_SYSTEMSTACK:
		// Interrupted, it has not called anything yet: on g0 it switches nothing.
		if (w->id == GI_STACK_GOROUTINE || w->exact)
			return STEP_ON;
		g = gi_walk_curg(w, &buf);
		if (!g || !in_stack(g, g->sched_sp)) {
			gi_walk_why(w, "%s: no goroutine to return to", info->func.name);
			show_go(w, info, w->sp, GI_FRAME_GO, !w->exact);
			return STEP_END;
		}
		return move_to_g(w, g, w->pc, g->sched_sp, 0) ? STEP_ON : STEP_END;
	case GI_SPECIAL_ASMCGOCALL:
		if (w->id == GI_STACK_GOROUTINE)
			return STEP_ON;
		if (!asmcgocall_origin(w, &buf, &g, &sp)) {
			if (w->exact)
				return STEP_ON;
			gi_walk_why(w, "%s: no stack to return to", info->func.name);
			show_go(w, info, w->sp, GI_FRAME_GO, !w->exact);
			return STEP_END;
		}
		// From a callback the way leads up the goroutine's stack.
		if (g && w->callback.g && sp < w->callback.back_sp) {
			gi_walk_why(w, "%s: the stack pointer 0x%llx is below the callback's",
				    info->func.name, (unsigned long long)sp);
			return STEP_END;
		}
		if (g) {
			w->callback.g = NULL;
			return move_to_g(w, g, w->pc, sp, 0) ? STEP_ON : STEP_END;
		}
		w->sp = sp;
		gi_regs_set(&w->u->regs, w->u->machine->sp, sp);
		return STEP_ON;
	case GI_SPECIAL_MCALL:
	case GI_SPECIAL_MORESTACK:
		if (w->id == GI_STACK_GOROUTINE)
			return STEP_ON;
		if (!show_go(w, info, w->sp, GI_FRAME_GO, !w->exact))
			return STEP_END;
		g = gi_walk_curg(w, &buf);
		// The scheduler let go of its goroutine: nothing is below. But one that is locked to
		// the thread runs nowhere else, and may have left C frames on this stack.
		if (!g && w->of_thread && w->flags & GI_UNWIND_FULL_THREAD)
			g = locked_g(w);
		if (!g || !in_stack(g, g->sched_sp)) {
			w->ended = GI_ENDED_SCHEDULER;
			return STEP_END;
		}
		return move_to_g(w, g, g->sched_pc, g->sched_sp, g->sched_lr) ? STEP_AGAIN :
										STEP_END;
	case GI_SPECIAL_VDSOCALL:
		if (w->id == GI_STACK_GOROUTINE || !w->m || !w->m->vdso_sp)
			return STEP_ON;
		// The runtime noted its caller; where its own frame is does not matter.
		sp = w->m->vdso_sp;
		if (!show_go(w, info, sp, GI_FRAME_GO, !w->exact) || !switched(w))
			return STEP_END;
		forget_bp(w);
		gi_walk_enter(w, sp);
		move(w, w->m->vdso_pc, sp, false);
		return STEP_AGAIN;
	case GI_SPECIAL_RACECALL:
		if (w->id == GI_STACK_GOROUTINE)
			return STEP_ON;
		g = gi_walk_curg(w, &buf);
		if (!gi_race_caller(w, g, &sp)) {
			if (w->exact)
				return STEP_ON;
			gi_walk_why(w, "%s: no stack to return to", info->func.name);
			show_go(w, info, w->sp, GI_FRAME_GO, !w->exact);
			return STEP_END;
		}
		if (g && in_stack(g, sp))
			return move_to_g(w, g, w->pc, sp, 0) ? STEP_ON : STEP_END;
		w->sp = sp;
		w->exact = false;
		gi_regs_set(&w->u->regs, w->u->machine->sp, sp);
		return STEP_ON;
	default:
		return STEP_ON;
	}
}

bool gi_walk_signal(struct gi_walk *w, uint64_t context)
{
	struct gi_regs regs;
	if (!gi_ucontext_read(w->u->t, context, &regs)) {
		gi_walk_why(w, "the interrupted registers at 0x%llx cannot be read",
			    (unsigned long long)context);
		return false;
	}
	if (!switched(w))
		return false;
	gi_walk_enter(w, gi_regs_sp(&regs));
	w->u->regs = regs;
	w->pc = gi_regs_pc(&regs);
	w->sp = gi_regs_sp(&regs);
	w->exact = true;
	w->injected = false;
	w->syscall = false;
	w->first = false;
	// A handler that raises SIGABRT to end the process is interrupted itself.
	if (w->to_signal && w->id != GI_STACK_GSIGNAL) {
		w->found_signal = true;
		w->signal_frame = context;
		return false;
	}
	return true;
}

// Whether the frame size of a function that writes SP holds where the walk stands.
static bool sp_is_sound(const struct gi_walk *w, const struct gi_func *f, enum gi_special special)
{
	// cgocallback leaves valid frames on both stacks. What entersyscall saved is from
	// before any write.
	if (special == GI_SPECIAL_CGOCALLBACK || w->syscall)
		return true;
	if (w->flags & GI_UNWIND_AS_RUNTIME)
		return false;
	switch (special) {
	case GI_SPECIAL_SYSTEMSTACK:
	case GI_SPECIAL_ASMCGOCALL:
		return true; // the walk went to the frame that they left
	case GI_SPECIAL_MCALL:
	case GI_SPECIAL_MORESTACK:
	case GI_SPECIAL_VDSOCALL:
		// Still, or again, on the stack that they were called on.
		return w->id == GI_STACK_GOROUTINE;
	case GI_SPECIAL_RACECALL:
		if (w->id == GI_STACK_GOROUTINE || !w->exact)
			return true;
		return w->pc == f->entry;
	default:
		return w->pc == f->entry; // nothing was written yet
	}
}

// A call of C by a function that aligns SP for it: the old one is in a register that C keeps,
// RBX or (sigfwd before 1.21) RBP: src/runtime/sys_linux_amd64.s, Go 1.18 to 1.27. arm64 has no
// need of that. False: neither is near SP.
static bool undo_alignment(struct gi_walk *w)
{
	const struct gi_machine *machine = w->u->machine;
	struct gi_regs *regs = &w->u->regs;

	for (unsigned i = 0; i < GI_ARRAY_SIZE(machine->aligned_sp); i++) {
		unsigned reg = machine->aligned_sp[i];
		if (reg == GI_NO_REG || !gi_regs_has(regs, reg))
			continue;
		uint64_t sp = regs->r[reg];
		if (sp % 8 || sp < w->sp || sp - w->sp >= 16)
			continue;
		w->sp = sp;
		gi_regs_set(regs, machine->sp, sp);
		return true;
	}
	return false;
}

// The return address of the frame at w->sp.
static bool load_return(struct gi_walk *w, uint64_t cfa, int32_t delta, uint64_t *ret)
{
	const struct gi_machine *machine = w->u->machine;
	const struct gi_regs *regs = &w->u->regs;
	uint64_t at = w->sp;

	if (machine->lr == GI_NO_REG) {
		at = cfa - machine->return_size;
	} else if (!delta && gi_regs_has(regs, machine->lr) && regs->r[machine->lr]) {
		*ret = regs->r[machine->lr];
		return true;
	}
	return load(w, at, ret);
}

// Did C code call the handler whose frame ends at cfa? Else the kernel did.
static bool called_by_c(struct gi_walk *w, uint64_t cfa, int32_t delta)
{
	struct gi_func f;
	uint64_t ra;
	size_t n;

	// Without its code nothing tells the one from the other.
	return load_return(w, cfa, delta, &ra) && gi_target_view_max(w->u->t, ra, 1, &n) &&
	       !gi_is_sigreturn(w->u->t, ra) && !(gi_functab_find(w->u->ft, ra, &f) && f.pcsp);
}

// The caller's frame pointer: below the return address on the stack.
static void load_fp(struct gi_walk *w, uint64_t cfa, int32_t delta)
{
	const struct gi_machine *machine = w->u->machine;
	uint64_t at = machine->lr == GI_NO_REG ? cfa - machine->return_size - 8 : w->sp - 8;
	uint64_t fp;

	if (delta < 8)
		return;
	if (load(w, at, &fp))
		gi_regs_set(&w->u->regs, machine->fp, fp);
	else
		forget_bp(w);
}

// A call that a signal injected: the link register of what was interrupted lies on top.
static void restore_link(struct gi_walk *w)
{
	const struct gi_machine *machine = w->u->machine;
	const struct gi_pcinfo *info;
	uint64_t lr;

	if (!machine->injected_size || !load(w, w->sp, &lr))
		return;
	w->sp += machine->injected_size;
	gi_regs_set(&w->u->regs, machine->sp, w->sp);
	info = gi_pccache_get(w->u->cache, w->pc, false);
	if (!info) {
		w->pc = lr;
		gi_regs_set(&w->u->regs, machine->pc, lr);
	} else if (info->has_spdelta && !info->spdelta) {
		gi_regs_set(&w->u->regs, machine->lr, lr);
	}
}

static enum step step_go(struct gi_walk *w, const struct gi_pcinfo *info, bool as_call)
{
	const struct gi_func *f = &info->func;
	enum gi_special special = gi_unwinder_special(w->u, f);
	bool as_runtime = w->flags & GI_UNWIND_AS_RUNTIME;

	// C code that Go's linker linked. The runtime shows nothing of it.
	if (!f->pcsp) {
		if (as_runtime)
			return STEP_END;
		return gi_walk_c(w) ? STEP_AGAIN : STEP_END;
	}
	if (!info->has_spdelta) {
		show_go(w, info, w->sp, GI_FRAME_GO, as_call);
		gi_walk_why(w, "%s has no frame size at 0x%llx", f->name,
			    (unsigned long long)w->pc);
		return STEP_END;
	}
	if (!as_runtime && special >= GI_SPECIAL_SYSTEMSTACK) {
		enum step s = switch_stack(w, info, special);
		if (s != STEP_ON)
			return s;
	}

	bool aligned = !as_runtime && special == GI_SPECIAL_ALIGNED && undo_alignment(w);
	int32_t delta = info->spdelta;
	// Where the system call that makes a process is made, the return address has been
	// popped into a register; the word below sp still has it (syscall.rawVforkSyscall).
	int64_t size = (int64_t)delta + w->u->machine->return_size;
	uint64_t cfa = w->sp + (uint64_t)size;
	w->flat = cfa == w->sp ? w->flat + 1 : 0;
	if (size < 0 || cfa < w->sp || w->flat > MAX_FLAT) {
		gi_walk_why(w, "%s has the impossible frame size %d at 0x%llx", f->name, delta,
			    (unsigned long long)w->pc);
		return STEP_END;
	}
	if (cfa > w->hi) {
		// The kernel's frame and sigtramp's may reach past what is known of
		// gsignal.
		gi_walk_why(w, "the frame of %s ends at 0x%llx, past the stack's end 0x%llx",
			    f->name, (unsigned long long)cfa, (unsigned long long)w->hi);
		show_go(w, info, cfa, GI_FRAME_GO, as_call);
		return STEP_END;
	}
	bool handler = special == GI_SPECIAL_SIGTRAMP && (as_runtime || !called_by_c(w, cfa, delta));
	if (!show_go(w, info, cfa, handler ? GI_FRAME_SIGNAL : GI_FRAME_GO, as_call))
		return STEP_END;

	if (handler && !as_runtime)
		return gi_walk_signal(w, cfa + w->u->machine->signal_context) ? STEP_AGAIN : STEP_END;
	// The runtime's own walk ends at a handler, whoever called it.
	if (f->flag & GI_FUNCFLAG_TOPFRAME && (special != GI_SPECIAL_SIGTRAMP || as_runtime)) {
		w->ended = GI_ENDED_TOP;
		return STEP_END;
	}
	if (special == GI_SPECIAL_CLONE && !w->exact)
		return STEP_END;
	// It does not keep the link register when it calls, since it never returns.
	if (special == GI_SPECIAL_MAIN && w->u->machine->lr != GI_NO_REG && !delta && !w->exact)
		return STEP_END;
	if (f->flag & GI_FUNCFLAG_SPWRITE && !aligned && !sp_is_sound(w, f, special)) {
		if (!as_runtime)
			gi_walk_why(w, "%s changes stacks in a way that is not known", f->name);
		return STEP_END;
	}

	uint64_t ra;
	bool kept = special == GI_SPECIAL_CROSSCALL && !as_runtime && delta &&
		    gi_callback_return(w, &ra);
	if (!kept && !load_return(w, cfa, delta, &ra)) {
		gi_walk_why(w, "the return address of %s at 0x%llx cannot be read", f->name,
			    (unsigned long long)w->sp);
		return STEP_END;
	}
	if (!ra) {
		gi_walk_why(w, "%s at 0x%llx has the return address 0", f->name,
			    (unsigned long long)w->sp);
		return STEP_END;
	}
	if (special == GI_SPECIAL_CGOCALLBACK && w->flags & GI_UNWIND_FULL_THREAD &&
	    w->id == GI_STACK_GOROUTINE && gi_callback_enter(w, cfa - w->sp, ra, cfa))
		return STEP_AGAIN;
	load_fp(w, cfa, delta);
	bool injected = special == GI_SPECIAL_SIGPANIC || special == GI_SPECIAL_INJECTED;
	uint64_t at = w->sp;
	move(w, ra, cfa, injected);
	if (special == GI_SPECIAL_CROSSCALL)
		gi_callback_restore(w, at);
	if (injected)
		restore_link(w);
	w->injected = special == GI_SPECIAL_INJECTED;
	return STEP_AGAIN;
}

// A call of a nil function: the pc is 0, the caller's is where a call put it. The runtime
// takes the stack's word for it on every machine.
static bool step_nil_call(struct gi_walk *w)
{
	const struct gi_machine *machine = w->u->machine;
	const struct gi_regs *regs = &w->u->regs;
	uint64_t pc;
	if (gi_regs_has(regs, machine->lr) && !(w->flags & GI_UNWIND_AS_RUNTIME))
		pc = regs->r[machine->lr];
	else if (!load(w, w->sp, &pc))
		pc = 0;
	if (!pc) {
		gi_walk_why(w, "the program counter is 0");
		return false;
	}
	move(w, pc, w->sp + machine->return_size, false);
	return true;
}

static void run_on(struct gi_walk *w)
{
	// Each turn shows a frame or switches stacks; both are bounded.
	for (;;) {
		if (++w->frames % POLL_FRAMES == 0) {
			struct gi_error *err = gi_interrupt_check();
			if (err) {
				gi_error_ignore(w->why);
				w->why = err;
				return;
			}
		}
		if (w->frames > GI_UNWIND_MAX || !gi_walk_progress(w))
			return;
		if (w->first && !w->pc) {
			if (!step_nil_call(w))
				return;
		}
		// Releases before 1.21 looked frames that were preempted up as calls.
		bool as_call = !w->exact || (w->injected && w->flags & GI_UNWIND_AS_RUNTIME &&
					     !gi_go_at_least(w->u->go, 1, 21));
		const struct gi_pcinfo *info = gi_pccache_get(w->u->cache, w->pc, as_call);
		if (!info) {
			if (w->flags & GI_UNWIND_AS_RUNTIME) {
				// The runtime does not complain of a fault in C.
				if (!w->first && w->exact && !w->injected && w->m && w->m->incgo)
					return;
				gi_walk_why(w, "0x%llx is in no Go function",
					    (unsigned long long)w->pc);
				return;
			}
			if (!gi_walk_c(w))
				return;
			continue;
		}
		if (as_call && w->pc <= info->func.entry)
			as_call = false;
		if (step_go(w, info, as_call) != STEP_AGAIN)
			return;
	}
}

// The goroutine's frames behind C frames that did not lead back to them.
static bool resume(struct gi_walk *w)
{
	const struct gi_g *g = w->callback.g;
	const struct gi_pcinfo *info;

	if (!g || w->stopped || w->found_g || w->found_signal || w->frames > GI_UNWIND_MAX)
		return false;
	w->callback.g = NULL;
	info = gi_pccache_get(w->u->cache, w->callback.back_pc, true);
	// A thread that C made: its goroutine begins with the callback.
	if (info && info->func.flag & GI_FUNCFLAG_TOPFRAME)
		return false;
	gi_walk_why(w, "the C frames do not lead back to the goroutine");
	return move_to_g(w, g, w->callback.back_pc, w->callback.back_sp, 0);
}

void gi_walk_run(struct gi_walk *w)
{
	// The number of switches is bounded.
	do
		run_on(w);
	while (resume(w) || gi_base_enter(w));
}

// What a thread did before its Go code: from the outermost Go frame to where the thread began.
//
// A goroutine's stack ends in goexit, and mcall or morestack on g0 end with the goroutine that they
// left. The thread's own beginning is below: mstart1 saved its caller in m.g0.sched, to which each
// switch to g0 goes back, so that mstart0 and mstart are intact there for as long as the thread
// lives. (A callback from C sets that SP to its own frame's; the first one kept the former value,
// see callback.c.) Source: src/runtime/proc.go, Go 1.18 to 1.27.
//
// mstart was called by runtime.clone in a program without cgo; by crosscall1 (crosscall_amd64
// before Go 1.20), in a thread that pthread_create made, with cgo; by rt0_go on the first thread.
// rt0_go aligns the stack pointer down, so that two places may hold what it would return to; with
// cgo that is C's code that calls main, or main itself, else the kernel's or the dynamic linker's argument count.
// crosscall1 has no call frame information on amd64: its code, which only pops what it pushed and
// returns, tells where what it kept is. On arm64 it has, by the frame pointer, which mstart keeps. Source: src/runtime/asm_amd64.s, asm_arm64.s,
// src/runtime/cgo/gcc_amd64.S.
//
// Checked: the stack is left upwards, once, and what follows lies in code.

#include "unwind/unwind_impl.h"

#include <string.h>

static bool named(const char *name, const char *want)
{
	size_t n = strlen(want);
	return !strncmp(name, want, n) && (!name[n] || !strcmp(name + n, ".abi0"));
}

// Is pc in code that a thread's first Go function may have been called from?
static bool is_caller(struct gi_walk *w, uint64_t pc)
{
	const struct gi_mapping *map = gi_target_mapping_at(w->u->t, pc);
	struct gi_func f;

	if (!map || !(map->flags & GI_MAP_X))
		return false;
	if (!gi_functab_find(w->u->ft, pc, &f) || !f.pcsp)
		return true;
	return named(f.name, "runtime.clone") || named(f.name, "runtime.rt0_go") ||
	       named(f.name, "main");
}

// What called the thread's first Go function, where w stands.
static bool caller_of_top(struct gi_walk *w, uint64_t *pc_ret, uint64_t *sp_ret, uint64_t *fp_ret)
{
	const struct gi_machine *machine = w->u->machine;
	const struct gi_pcinfo *info = gi_pccache_get(w->u->cache, w->pc, !w->exact);
	bool by_link = machine->lr != GI_NO_REG;
	uint64_t pc;

	if (!info || !info->has_spdelta || info->spdelta < 0)
		return false;
	if (named(info->func.name, "runtime.rt0_go")) {
		// Its code makes room by itself, which the table of frame sizes does not tell.
		uint64_t at = w->sp + machine->rt0_return;
		for (unsigned i = 0; i < (by_link ? 1u : 2u); i++, at += 8) {
			if (!gi_target_peek_u64(w->u->t, at, &pc) || !is_caller(w, pc))
				continue;
			*pc_ret = pc;
			*sp_ret = at + (by_link ? 16 : 8);
			return true;
		}
		return false;
	}
	uint64_t cfa = w->sp + (uint64_t)info->spdelta + machine->return_size;
	if (!named(info->func.name, "runtime.mstart") || (by_link && !info->spdelta) ||
	    !gi_target_peek_u64(w->u->t, by_link ? w->sp : cfa - machine->return_size, &pc) ||
	    !is_caller(w, pc))
		return false;
	if (by_link && !gi_target_peek_u64(w->u->t, w->sp - 8, fp_ret))
		*fp_ret = 0;
	*pc_ret = pc;
	*sp_ret = cfa;
	return true;
}

// Where mstart0 stands on g0's stack: beyond all of the callbacks.
static bool scheduler_base(struct gi_walk *w, uint64_t *pc_ret, uint64_t *sp_ret)
{
	struct gi_g g0;
	struct gi_func f;
	struct gi_error *err = gi_go_read_g(w->u->go, w->m->g0, &g0);

	if (err) {
		gi_error_ignore(err);
		return false;
	}
	uint64_t sp = g0.sched_sp;
	if (w->callback.sp && !gi_callback_outer(w, &sp))
		return false;
	if (!gi_functab_find(w->u->ft, g0.sched_pc, &f) ||
	    strncmp(f.name, "runtime.mstart", strlen("runtime.mstart")) != 0)
		return false;
	*pc_ret = g0.sched_pc;
	*sp_ret = sp;
	return true;
}

bool gi_base_enter(struct gi_walk *w)
{
	bool top = w->ended == GI_ENDED_TOP;
	uint64_t pc, sp, fp = 0;

	if (!(w->flags & GI_UNWIND_FULL_THREAD) || !w->m || w->why || w->stopped ||
	    !(w->of_thread || w->callback.sp) || w->ended == GI_ENDED_NONE)
		return false;
	w->ended = GI_ENDED_NONE;
	if (top && w->id != GI_STACK_GOROUTINE) {
		if (!caller_of_top(w, &pc, &sp, &fp) || !gi_walk_jump(w, pc, sp))
			return false;
		if (fp)
			gi_regs_set(&w->u->regs, w->u->machine->fp, fp);
		return true;
	}
	if (w->at_base || !scheduler_base(w, &pc, &sp))
		return false;
	w->at_base = true;
	if (!gi_walk_jump(w, pc, sp))
		return false;
	// morestack goes on at that very place: once, that is progress.
	const struct gi_left *was = &w->was[w->id];
	if (was->hi == w->hi && was->sp == w->sp)
		w->entered = false;
	return true;
}

bool gi_base_leave_c(struct gi_walk *w, struct gi_regs *ret)
{
	const struct gi_machine *machine = w->u->machine;
	const struct gi_kept_reg *kept = machine->crosscall1;
	const struct gi_code_bytes *code = &machine->crosscall1_end;
	uint64_t v, at = w->sp;
	struct gi_regs regs = w->u->regs;
	size_t n;

	if (w->exact || !kept)
		return false;
	const uint8_t *here = gi_target_view_max(w->u->t, w->pc, code->size, &n);
	if (!here || n < code->size || memcmp(here, code->bytes, code->size) != 0)
		return false;
	regs.known = 0;
	for (; kept->reg != GI_NO_REG; kept++) {
		if (!gi_target_peek_u64(w->u->t, w->sp + kept->off, &v))
			return false;
		gi_regs_set(&regs, kept->reg, v);
		at = gi_max_u64(at, w->sp + kept->off);
	}
	at += 8;
	if (!gi_target_peek_u64(w->u->t, at, &v) || !is_caller(w, v))
		return false;
	gi_regs_set(&regs, machine->pc, v);
	gi_regs_set(&regs, machine->sp, at + machine->return_size);
	*ret = regs;
	return true;
}

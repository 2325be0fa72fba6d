// From a callback's Go frames to the C frames that made the call.
//
// C calls Go through crosscall2, which keeps C's registers in its frame, and cgocallback. The
// latter has a frame on g0's stack, where C runs, and one of the same size on the goroutine's,
// where Go goes on; below that one stand the Go frames that called C before. On g0 it keeps the
// former value of m.g0.sched.sp where unwindm finds it, and sets that to its own frame's SP. So
// the frames of cgocallback on g0 are a list, innermost first, in the order in which a walk meets
// those on the goroutine's stack. On machines with a link register crosscall2's return address is
// among what it keeps, at a place of its own. Source: src/runtime/asm_amd64.s, asm_arm64.s,
// cgocall.go, src/runtime/cgo/abi_amd64.h, asm_arm64.s, Go 1.18 to 1.27.
//
// Checked: the list only goes up, and each of its frames returns to crosscall2.

#include "unwind/unwind_impl.h"

#include <string.h>

bool gi_callback_outer(struct gi_walk *w, uint64_t *ret)
{
	uint64_t sp, at = w->callback.sp, off = w->u->machine->cgocallback_kept;

	if (at > UINT64_MAX - off || !gi_target_peek_u64(w->u->t, at + off, &sp) || sp <= at)
		return false;
	*ret = sp;
	return true;
}

bool gi_callback_enter(struct gi_walk *w, uint64_t size, uint64_t pc, uint64_t cfa)
{
	const struct gi_machine *machine = w->u->machine;
	struct gi_target *t = w->u->t;
	const struct gi_g *g = gi_go_g_by_stack(w->u->go, w->sp);
	struct gi_func f;
	uint64_t sp, at, ra;

	if (!machine->crosscall || !w->m || !g || size < machine->return_size)
		return false;
	if (w->callback.sp) {
		if (!gi_callback_outer(w, &sp))
			return false;
	} else {
		struct gi_g g0;
		struct gi_error *err = gi_go_read_g(w->u->go, w->m->g0, &g0);
		if (err) {
			gi_error_ignore(err);
			return false;
		}
		sp = g0.sched_sp;
	}
	if (sp > UINT64_MAX - size || (sp > g->stack_lo && sp <= g->stack_hi))
		return false;
	at = machine->lr == GI_NO_REG ? sp + size - machine->return_size : sp;
	if (!gi_target_peek_u64(t, at, &ra) ||
	    !gi_functab_find(w->u->ft, ra, &f) || strncmp(f.name, "crosscall2", 10) != 0)
		return false;
	if (!gi_walk_jump(w, ra, sp + size))
		return false;
	w->callback = (struct gi_callback){.sp = sp, .g = g, .back_pc = pc, .back_sp = cfa};
	return true;
}

static const struct gi_kept_reg *kept_by_crosscall(const struct gi_walk *w)
{
	const struct gi_machine *machine = w->u->machine;
	bool old = machine->crosscall_1_18 && !gi_go_at_least(w->u->go, 1, 19);
	return old ? machine->crosscall_1_18 : machine->crosscall;
}

bool gi_callback_return(struct gi_walk *w, uint64_t *ret)
{
	const struct gi_kept_reg *kept = kept_by_crosscall(w);

	for (; kept && kept->reg != GI_NO_REG; kept++)
		if (kept->reg == w->u->machine->lr)
			return gi_target_peek_u64(w->u->t, w->sp + kept->off, ret);
	return false;
}

void gi_callback_restore(struct gi_walk *w, uint64_t at)
{
	const struct gi_kept_reg *kept = kept_by_crosscall(w);
	uint64_t v;

	for (; kept && kept->reg != GI_NO_REG; kept++)
		if (gi_target_peek_u64(w->u->t, at + kept->off, &v))
			gi_regs_set(&w->u->regs, kept->reg, v);
}

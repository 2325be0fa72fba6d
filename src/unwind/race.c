// Calls of the race detector (go build -race).
//
// Instrumented code calls the detector's C code through one assembly function, racecall
// (src/runtime/race_amd64.s, Go 1.18 to 1.27). It puts SP into R12, takes g0's stack
// unless it is on a system stack already - from g0.sched.sp, without saving anything of
// the goroutine nor changing g - rounds SP down to 16 and calls. So
//
//   - the return address of the outermost C function, into racecall, is at a place that
//     can be computed: right below that rounded SP;
//   - the caller's SP, where its return address is, is in R12, or where the first C
//     function that needed R12 saved it, below that place.
//
// Linked by Go's own linker, the C functions are in the function table, without frame
// sizes, and have no unwind information: R12 is looked for then. Linked by another linker
// they have; then R12 is known when the walk has come to racecall.
//
// All of this is amd64's. On arm64 racecall keeps its caller's SP in R19 and the return address
// in R20, and nothing on the stack says so: there a walk that comes to it ends and says so.
//
// A word is taken for the saved R12 only if it points into the stack that is expected and
// a return address stands there, right behind a call.

#include "unwind/unwind_impl.h"

enum {
	SCAN_MAX = 64 * 1024, // bytes of C frames that are searched
	CALL_REL32 = 0xe8,
	CALL_REL32_SIZE = 5,
	FRAME_ALIGN = 16,
};

static bool is_return(struct gi_walk *w, uint64_t pc)
{
	struct gi_func f;
	size_t n;
	if (pc < CALL_REL32_SIZE || !gi_functab_find(w->u->ft, pc - 1, &f) || !f.pcsp)
		return false;
	const uint8_t *code = gi_target_view_max(w->u->t, pc - CALL_REL32_SIZE, 1, &n);
	return code && *code == CALL_REL32;
}

static bool is_racecall(struct gi_walk *w, uint64_t pc)
{
	struct gi_func f;
	return gi_functab_find(w->u->ft, pc, &f) && f.flag & GI_FUNCFLAG_SPWRITE &&
	       gi_unwinder_special(w->u, &f) == GI_SPECIAL_RACECALL;
}

// Where the return address into racecall is, for a caller whose SP is sp.
static uint64_t link_below(uint64_t sp)
{
	return (sp & ~(uint64_t)(FRAME_ALIGN - 1)) - 8;
}

// Is v the SP of a caller of racecall? g is the goroutine that w's M runs, or NULL.
// *link_ret: where the C code returns to racecall.
static bool is_caller_sp(struct gi_walk *w, const struct gi_g *g, uint64_t v, uint64_t *link_ret)
{
	uint64_t pc, link;
	if (g && v > g->stack_lo && v <= g->stack_hi) {
		struct gi_g g0;
		struct gi_error *err = gi_go_read_g(w->u->go, w->m->g0, &g0);
		if (err) {
			gi_error_ignore(err);
			return false;
		}
		link = link_below(g0.sched_sp);
	} else if (v > w->sp && v <= w->hi) {
		link = link_below(v);
	} else {
		return false;
	}
	if (link < w->sp || link >= w->hi || v % 8 ||
	    !gi_target_peek_u64(w->u->t, link, &pc) || !is_racecall(w, pc) ||
	    !gi_target_peek_u64(w->u->t, v, &pc) || !is_return(w, pc))
		return false;
	*link_ret = link;
	return true;
}

bool gi_race_caller(struct gi_walk *w, const struct gi_g *g, uint64_t *sp_ret)
{
	const struct gi_regs *regs = &w->u->regs;
	unsigned reg = w->u->machine->racecall_sp;
	uint64_t pc;
	if (!gi_regs_has(regs, reg))
		return false;
	uint64_t v = regs->r[reg];
	bool on_g = g && v > g->stack_lo && v <= g->stack_hi;
	if (v % 8 || (!on_g && (v < w->sp || v > w->hi)) ||
	    !gi_target_peek_u64(w->u->t, v, &pc) || !is_return(w, pc))
		return false;
	*sp_ret = v;
	return true;
}

bool gi_race_leave_c(struct gi_walk *w, const struct gi_g *g)
{
	struct gi_regs *regs = &w->u->regs;
	const struct gi_machine *machine = w->u->machine;
	uint64_t link, pc;
	// A stack pointer at the end of the address space is no stack's, and what is searched must not
	// go round it.
	if (w->id == GI_STACK_GOROUTINE || machine->racecall_sp == GI_NO_REG ||
	    w->sp > UINT64_MAX - SCAN_MAX - 8)
		return false;
	uint64_t v = regs->r[machine->racecall_sp];
	bool found = gi_regs_has(regs, machine->racecall_sp) && is_caller_sp(w, g, v, &link);
	uint64_t end = w->sp + gi_min_u64(w->hi - w->sp, SCAN_MAX);
	for (uint64_t at = w->sp & ~(uint64_t)7; !found && at < end; at += 8)
		found = gi_target_peek_u64(w->u->t, at, &v) && is_caller_sp(w, g, v, &link) &&
			link > at;
	if (!found || !gi_target_peek_u64(w->u->t, link, &pc))
		return false;
	regs->known = 0;
	gi_regs_set(regs, machine->pc, pc);
	gi_regs_set(regs, machine->sp, link + 8);
	gi_regs_set(regs, machine->racecall_sp, v);
	w->pc = pc;
	w->sp = link + 8;
	w->exact = false;
	w->first = false;
	return true;
}

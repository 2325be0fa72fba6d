// What must hold in the data of a live Go process. A layout that was resolved by name can
// still be wrong (another executable's debug file, a changed meaning), and a wrong offset
// shows up here as nonsense: then opening fails with the check and its numbers. A few
// failures among many are a process whose memory is damaged: they become notes.

#include "go/go_impl.h"

#define ULL(x) ((unsigned long long)(x))

struct gi_error *gi_go_check_static(struct gi_go *go)
{
	const uint64_t m0 = go->layout.global.m0.addr, g0 = go->layout.global.g0.addr;
	const uint64_t bias = gi_target_exe_bias(go->target);
	uint64_t m0_g0, g0_m;
	struct gi_error *err;

	err = gi_target_read_u64(go->target, m0 + go->layout.m.g0.off, &m0_g0);
	if (!err)
		err = gi_target_read_u64(go->target, g0 + go->layout.g.m.off, &g0_m);
	if (err)
		return gi_error_wrap(err, "the runtime's own variables cannot be read");
	if (m0_g0 == g0 && g0_m == m0)
		return NULL;
	if (!m0_g0 && !g0_m) {
		gi_go_add_note(go, "the Go runtime had not started yet");
		return NULL;
	}
	return gi_error_create(
		GI_ERR_MISMATCH,
		"the layout of runtime.m and runtime.g fails its check: m0.g0 is 0x%llx "
		"(g0 is at 0x%llx), g0.m is 0x%llx (m0 is at 0x%llx; load bias 0x%llx): "
		"is this the executable that the process ran?",
		ULL(m0_g0), ULL(g0), ULL(g0_m), ULL(m0), ULL(bias));
}

static struct gi_error *check_ms(struct gi_go *go)
{
	size_t bad = 0, seen = 0;
	uint64_t bad_m = 0, bad_g0 = 0, bad_back = 0;

	for (size_t i = 0; i < go->m_count; i++) {
		const struct gi_m *m = &go->ms[i];
		uint64_t back;

		// An M that is being made has no g0 yet.
		if (!m->g0 ||
		    !gi_target_peek_u64(go->target, m->g0 + go->layout.g.m.off, &back))
			continue;
		seen++;
		if (back == m->addr)
			continue;
		if (!bad++) {
			bad_m = m->addr;
			bad_g0 = m->g0;
			bad_back = back;
		}
	}
	if (bad * 2 > seen)
		return gi_error_create(
			GI_ERR_MISMATCH,
			"the layout of runtime.m fails its check for %zu of %zu Ms: "
			"m at 0x%llx has g0 0x%llx, whose m is 0x%llx",
			bad, seen, ULL(bad_m), ULL(bad_g0), ULL(bad_back));
	if (bad)
		gi_go_add_note(
			go,
			"%zu of %zu Ms have a g0 that does not point back (first: m at "
			"0x%llx)",
			bad, seen, ULL(bad_m));
	return NULL;
}

static bool known_status(uint32_t status)
{
	switch (gi_g_base_status(status)) {
	case GI_G_IDLE:
	case GI_G_RUNNABLE:
	case GI_G_RUNNING:
	case GI_G_SYSCALL:
	case GI_G_WAITING:
	case GI_G_DEAD:
	case GI_G_COPYSTACK:
	case GI_G_PREEMPTED:
	case GI_G_LEAKED:
	case GI_G_DEADEXTRA:
		return true;
	}
	return false;
}

// Off its thread, and so its sched holds where it goes on.
static bool is_parked(const struct gi_g *g)
{
	switch (g->status) {
	case GI_G_RUNNABLE:
	case GI_G_WAITING:
	case GI_G_PREEMPTED:
	case GI_G_LEAKED:
		return !g->m;
	}
	return false;
}

static struct gi_error *check_gs(struct gi_go *go)
{
	size_t seen = 0, parked = 0, bad_status = 0, bad_stack = 0, bad_id = 0;
	const struct gi_g *first_status = NULL, *first_stack = NULL, *first_id = NULL;

	for (size_t i = 0; i < go->g_count; i++) {
		const struct gi_g *g = &go->gs[i];

		if (g->unreadable)
			continue;
		seen++;
		if (!known_status(g->status) && !bad_status++)
			first_status = g;
		if (go->goidgen && g->goid > go->goidgen && !bad_id++)
			first_id = g;
		if (!is_parked(g))
			continue;
		parked++;
		if (!(g->stack_lo < g->sched_sp && g->sched_sp <= g->stack_hi) &&
		    !bad_stack++)
			first_stack = g;
	}
	if (bad_status * 2 > seen)
		return gi_error_create(
			GI_ERR_MISMATCH,
			"the layout of runtime.g fails its check: %zu of %zu "
			"goroutines have an unknown status (g at 0x%llx: 0x%x)",
			bad_status, seen, ULL(first_status->addr), first_status->status);
	if (bad_stack * 2 > parked)
		return gi_error_create(
			GI_ERR_MISMATCH,
			"the layout of runtime.g fails its check: %zu of %zu parked "
			"goroutines have a stack pointer that is not on their stack "
			"(g at 0x%llx: sched.sp 0x%llx, stack 0x%llx..0x%llx)",
			bad_stack, parked, ULL(first_stack->addr),
			ULL(first_stack->sched_sp), ULL(first_stack->stack_lo),
			ULL(first_stack->stack_hi));
	if (bad_id * 2 > seen)
		return gi_error_create(
			GI_ERR_MISMATCH,
			"the layout of runtime.g fails its check: %zu of %zu "
			"goroutines have an id above the highest one that was given "
			"out, %llu (g at 0x%llx: %llu)",
			bad_id, seen, ULL(go->goidgen), ULL(first_id->addr),
			ULL(first_id->goid));
	if (bad_status)
		gi_go_add_note(
			go, "%zu goroutine%s an unknown status (first: g at 0x%llx)", bad_status,
			bad_status == 1 ? " has" : "s have", ULL(first_status->addr));
	if (bad_stack)
		gi_go_add_note(
			go,
			"%zu parked goroutine%s stack (first: g at 0x%llx)", bad_stack,
			bad_stack == 1 ? " has a stack pointer that is not on its"
				       : "s have a stack pointer that is not on their",
			ULL(first_stack->addr));
	if (bad_id)
		gi_go_add_note(
			go, "%zu goroutine%s an impossible id (first: g at 0x%llx)", bad_id,
			bad_id == 1 ? " has" : "s have", ULL(first_id->addr));
	return NULL;
}

static struct gi_error *check_ps(struct gi_go *go)
{
	size_t bad = 0;
	const struct gi_p *first = NULL;

	for (size_t i = 0; i < go->p_count; i++) {
		const struct gi_p *p = &go->ps[i];

		if ((p->id < 0 || p->id >= (int32_t)GI_GO_MAX_PS || p->status > 4) &&
		    !bad++)
			first = p;
	}
	if (bad * 2 > go->p_count)
		return gi_error_create(
			GI_ERR_MISMATCH,
			"the layout of runtime.p fails its check: %zu of %zu Ps have "
			"an impossible id or status (p at 0x%llx: id %d, status %u)",
			bad, go->p_count, ULL(first->addr), first->id, first->status);
	if (bad)
		gi_go_add_note(
			go, "%zu P%s an impossible id or status (first: p at 0x%llx)", bad,
			bad == 1 ? " has" : "s have", ULL(first->addr));
	return NULL;
}

struct gi_error *gi_go_check_live(struct gi_go *go)
{
	struct gi_error *err;

	err = check_ms(go);
	if (err)
		return err;
	err = check_gs(go);
	if (err)
		return err;
	return check_ps(go);
}

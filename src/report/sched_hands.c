// Goroutines that a thread has in hand.
//
// Between the moment when a goroutine's status changes and the one when it is on a queue, or off
// it, it is known only to the thread that moves it: by a register, or a variable of the scheduler
// on that thread's stack; of a list of several the others hang on the first one. A goroutine that
// seems to be lost, and is in somebody's hands, is not. Threads that sleep move nobody, but for
// those that wait for a lock of the runtime on their way; what their stacks still hold of earlier
// would hide one that is lost.

#include "gcore/sched.h"
#include "gcore/target.h"
#include "report/sched.h"
#include "report/syscall.h"

enum { STACK_BYTES = 2048 }; // of the innermost frames

static struct gi_error *take(struct gi_go *go, uint64_t word, struct gi_map *ret)
{
	uint64_t v;

	while (word && gi_go_g_by_addr(go, word) && !gi_map_get(ret, word, &v)) {
		struct gi_error *err = gi_map_put(ret, word, 1);

		if (err)
			return err;
		word = gi_go_g_next(go, word);
	}
	return NULL;
}

static bool may_move(struct gi_go *go, struct gi_unwinder *u, size_t thread, const struct gi_m *m)
{
	const struct gi_g *g = m->curg ? gi_go_g_by_addr(go, m->curg) : NULL;
	struct gi_syscall call;
	bool broken_off;

	if (m->blocked || (g && (g->status & ~(uint32_t)GI_G_SCAN) == GI_G_SYSCALL))
		return false;
	return m->locks > 0 || m->p ||
	       !gi_thread_syscall(gi_go_target(go), u, thread, &call, &broken_off);
}

struct gi_error *gi_sched_hands(struct gi_go *go, struct gi_unwinder *u, struct gi_map *ret)
{
	struct gi_target *t = gi_go_target(go);

	for (size_t i = 0; i < gi_target_thread_count(t); i++) {
		const struct gi_m *m = gi_go_m_by_thread(go, i);
		const struct gi_regs *regs = &gi_target_thread(t, i)->regs;
		uint64_t word;

		if (!m || !may_move(go, u, i, m))
			continue;
		for (unsigned r = 0; r < GI_REGS_MAX; r++) {
			struct gi_error *err =
				gi_regs_has(regs, r) ? take(go, regs->r[r], ret) : NULL;

			if (err)
				return err;
		}
		const uint64_t sp = gi_regs_sp(regs) & ~UINT64_C(7);
		for (uint64_t k = 0; k < STACK_BYTES && gi_target_peek_u64(t, sp + k, &word);
		     k += 8) {
			struct gi_error *err = take(go, word, ret);

			if (err)
				return err;
		}
	}
	return NULL;
}

// Locks that are passed on: taken by one goroutine, let go of by another.
//
// Nothing in memory tells who will let go of such a lock, and the code that took it looks like
// an owner's for ever. But that code does not let go of it itself: where it goes on, it takes the
// lock again (the next turn, or to wait for the other's end). A function that takes a lock twice
// by mistake looks the same; so it also matters whether anybody lets go of what he has not taken.

#include <stdlib.h>

#include "wait/flow.h"

enum end { GOES_ON, TAKES_AGAIN, ENDS };

/** What becomes of a lock from instruction i of a block on. */
static enum end follow(const struct gi_fn *fn, const struct gi_flow_block *b, uint32_t i,
		       gi_value recv)
{
	for (; i < b->last; i++) {
		const struct gi_flow_deed *d = &fn->deeds[i];
		if (fn->insns[i].op == GI_OP_RET ||
		    ((d->what & FLOW_LETS_GO) && gi_flow_may_alias(&fn->values, d->recv, recv)))
			return ENDS;
		if ((d->what & FLOW_TAKES) && d->recv == recv)
			return TAKES_AGAIN;
	}
	// A jump out of the function returns from it.
	bool leaves = !b->next_count && fn->insns[b->last - 1].op == GI_OP_JMP;
	return leaves ? ENDS : GOES_ON;
}

bool gi_fn_passes_on(const struct gi_fn *fn, uint32_t site, gi_value recv)
{
	_cleanup_(gi_freep) uint8_t *seen = calloc(fn->block_count + 1, 1);
	_cleanup_(gi_freep) uint32_t *stack = malloc((fn->block_count + 1) * sizeof(*stack));
	uint32_t b, i = site + 1;
	bool again = false;
	size_t n = 0;

	if (!seen || !stack || !recv || site >= fn->insn_count)
		return false;
	b = fn->block_of[site];
	for (;;) {
		const struct gi_flow_block *block = &fn->blocks[b];
		enum end end = follow(fn, block, i, recv);
		if (end == ENDS)
			return false;
		again |= end == TAKES_AGAIN;
		for (uint32_t k = 0; end == GOES_ON && k < block->next_count; k++) {
			uint32_t to = block->next[k];
			if (!seen[to])
				stack[n++] = to;
			seen[to] = 1;
		}
		if (!n)
			return again;
		b = stack[--n];
		i = fn->blocks[b].first;
	}
}

bool gi_fn_lets_go(const struct gi_fn *fn, uint64_t addr)
{
	uint64_t fixed;

	for (size_t i = 0; i < fn->insn_count; i++) {
		const struct gi_flow_deed *d = &fn->deeds[i];
		if ((d->what & FLOW_NOT_ITS_OWN) &&
		    (!gi_value_is_const(&fn->values, d->recv, &fixed) || fixed == addr))
			return true;
	}
	return false;
}

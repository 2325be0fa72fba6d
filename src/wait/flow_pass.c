// Locks that are passed on: taken by one goroutine, let go of by another.
//
// Nothing in memory tells who will let go of such a lock, and the code that took it looks like
// an owner's for ever. But that code does not let go of it itself: where it goes on, it takes the
// lock again (the next turn, or to wait for the other's end). A function that takes a lock twice
// by mistake looks the same; so it also matters whether anybody lets go of what he has not taken.

#include <stdlib.h>

#include "wait/flow.h"

static bool may_be(const struct gi_fn *fn, const struct gi_flow_deed *d, gi_value recv,
		   unsigned kind)
{
	return !d->recv || (d->kind == kind && gi_flow_may_alias(&fn->values, d->recv, recv));
}

static bool is_surely(const struct gi_flow_deed *d, gi_value recv, unsigned kind)
{
	return d->recv == recv && d->kind == kind;
}

/**
 * True if what is let go of was surely taken by another name: whoever has the one lock, too, has
 * two.
 */
static bool is_another(const struct gi_flow_deed *d, gi_value recv)
{
	return d->recv && d->recv != recv && !(d->what & FLOW_UNSURE);
}

enum end { GOES_ON, TAKES_AGAIN, ENDS };

/**
 * What becomes of a lock from instruction i of a block on. *borrowed: it was taken and let go of
 * by a callee on the way.
 */
static enum end follow(const struct gi_fn *fn, const struct gi_flow_block *b, uint32_t i,
		       gi_value recv, unsigned kind, bool may_have, bool *borrowed)
{
	for (; i < b->last; i++) {
		const struct gi_flow_deed *d = &fn->deeds[i];
		// Who returns with it leaves it to the caller, unless it was free in between.
		if (fn->insns[i].op == GI_OP_RET)
			return *borrowed ? TAKES_AGAIN : ENDS;
		if ((d->what & FLOW_LETS_GO) && may_be(fn, d, recv, kind) &&
		    !(may_have && is_another(d, recv)))
			return ENDS;
		if ((d->what & FLOW_TAKES) && is_surely(d, recv, kind))
			return TAKES_AGAIN;
		*borrowed |= (d->what & FLOW_BORROWS) && is_surely(d, recv, kind);
	}
	// A jump out of the function returns from it.
	if (!b->next_count && fn->insns[b->last - 1].op == GI_OP_JMP)
		return *borrowed ? TAKES_AGAIN : ENDS;
	return GOES_ON;
}

/**
 * True if the lock is taken again on every way on from instruction i, before anything lets go of
 * it. may_have: what becomes of it if it was not taken before does not matter.
 */
static bool taken_again(const struct gi_fn *fn, uint32_t i, gi_value recv, unsigned kind,
			bool may_have)
{
	// Each block at most twice: with the lock borrowed before it, and not.
	size_t room = 2 * fn->block_count + 2;
	_cleanup_(gi_freep) uint8_t *seen = calloc(room, 1);
	_cleanup_(gi_freep) uint32_t *stack = malloc(room * sizeof(*stack));
	bool again = false, borrowed = false;
	uint32_t b;
	size_t n = 0;

	if (!seen || !stack || !recv || !i || i > fn->insn_count)
		return false;
	b = fn->block_of[i - 1];
	for (;;) {
		const struct gi_flow_block *block = &fn->blocks[b];
		enum end end = follow(fn, block, i, recv, kind, may_have, &borrowed);
		if (end == ENDS)
			return false;
		again |= end == TAKES_AGAIN;
		for (uint32_t k = 0; end == GOES_ON && k < block->next_count; k++) {
			uint32_t to = 2 * block->next[k] + borrowed;
			if (!seen[to])
				stack[n++] = to;
			seen[to] = 1;
		}
		if (!n)
			return again;
		b = stack[--n] / 2;
		borrowed = stack[n] & 1;
		i = fn->blocks[b].first;
	}
}

bool gi_fn_passes_on(const struct gi_fn *fn, uint32_t site, gi_value recv, unsigned kind)
{
	return site < fn->insn_count && taken_again(fn, site + 1, recv, kind, false);
}

bool gi_point_takes_again(const struct gi_point *pt, gi_value recv, unsigned kind)
{
	return taken_again(pt->fn, pt->insn + 1, recv, kind, true);
}

/** Follows one block, the lock being taken or not at first; true if it is released twice. */
static bool released_twice(const struct gi_fn *fn, const struct gi_flow_block *b, uint32_t i,
			   gi_value recv, unsigned kind, bool *taken)
{
	for (; i < b->last; i++) {
		const struct gi_flow_deed *d = &fn->deeds[i];
		if (!is_surely(d, recv, kind))
			continue;
		if (d->what & FLOW_TAKES) {
			*taken = true;
		} else if (d->what & FLOW_LETS_GO) {
			if (!*taken)
				return true;
			*taken = false;
		}
	}
	return false;
}

bool gi_point_released_twice(const struct gi_point *pt, gi_value recv, unsigned kind)
{
	const struct gi_fn *fn = pt->fn;
	size_t room = 2 * fn->block_count + 2, n = 0;
	_cleanup_(gi_freep) uint8_t *seen = calloc(room, 1);
	_cleanup_(gi_freep) uint32_t *stack = malloc(room * sizeof(*stack));
	uint32_t b = fn->block_of[pt->insn], i = pt->insn + 1;
	bool taken = true;

	if (!seen || !stack || !recv)
		return false;
	for (;;) {
		const struct gi_flow_block *block = &fn->blocks[b];
		if (released_twice(fn, block, i, recv, kind, &taken))
			return true;
		for (uint32_t k = 0; k < block->next_count; k++) {
			uint32_t to = 2 * block->next[k] + taken;
			if (!seen[to])
				stack[n++] = to;
			seen[to] = 1;
		}
		if (!n)
			return false;
		b = stack[--n] / 2;
		taken = stack[n] & 1;
		i = fn->blocks[b].first;
	}
}

bool gi_fn_lets_go(const struct gi_fn *fn, uint64_t addr, unsigned kind)
{
	uint64_t fixed;

	for (size_t i = 0; i < fn->insn_count; i++) {
		const struct gi_flow_deed *d = &fn->deeds[i];
		if ((d->what & FLOW_NOT_ITS_OWN) && (!d->recv || d->kind == kind) &&
		    (!gi_value_is_const(&fn->values, d->recv, &fixed) || fixed == addr))
			return true;
	}
	return false;
}

// The fixpoint over a function's blocks, and what the function does as a whole.
//
// Blocks are run until the states at their beginnings stay as they are. A summary is made of the
// states at its returns, as far as they can be said in terms of what the function was given or
// what it returns.

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"
#include "wait/flow.h"

enum { VISITS_PER_BLOCK = 24 };

/** What an edge out of a block tells: the outcome of an attempt that a branch goes by. */
static void apply_branch(struct gi_fn *fn, struct gi_flow_state *st, const struct gi_flow_block *b,
			 const struct gi_flow_block *to)
{
	const struct gi_insn *in = &fn->insns[b->last - 1];

	if (in->op != GI_OP_JCC || !in->is_zero_test || !st->flags.attempt || b->next_count != 2)
		return;
	bool jumped = to->first != b->last;
	bool zero = jumped != in->negated;
	gi_flow_outcome(st, &fn->values, st->flags.attempt, zero == st->flags.zero_is_success);
}

/** What a branch has looked at by itself is not in the flags. */
static void forget_branch(const struct gi_fn *fn, struct gi_flow_state *st,
			  const struct gi_flow_block *b)
{
	const struct gi_insn *in = &fn->insns[b->last - 1];

	if (in->op == GI_OP_JCC && in->src >= 0)
		st->flags = (struct gi_flow_flags){0};
}

static struct gi_error *run_insns(struct gi_fn *fn, uint32_t from, uint32_t until,
				  struct gi_flow_state *st)
{
	struct gi_error *err = NULL;

	for (uint32_t i = from; i < until && !err; i++)
		err = gi_flow_step(fn, st, i);
	return err;
}

/** A block that only looks at a value and branches. */
static bool only_branches(const struct gi_fn *fn, const struct gi_flow_block *b)
{
	enum { FEW = 6 };

	if (b->last - b->first > FEW || b->next_count != 2 ||
	    fn->insns[b->last - 1].op != GI_OP_JCC || !fn->insns[b->last - 1].is_zero_test)
		return false;
	for (uint32_t i = b->first; i < b->last; i++) {
		if (fn->insns[i].op == GI_OP_CALL)
			return false;
	}
	return true;
}

/**
 * The compiler turns "if x.TryLock()" into ways that set a register to 1 or 0, meet, and part
 * again by that register. What is true on one of the ways stays apart from the others if it goes
 * on by itself: an edge whose branch is decided leads to where that branch leads.
 */
static struct gi_error *follow(struct gi_fn *fn, struct gi_flow_state *edge, uint32_t *to)
{
	enum { MAX_STEPS = 4 };

	for (unsigned n = 0; n < MAX_STEPS && only_branches(fn, &fn->blocks[*to]); n++) {
		const struct gi_flow_block *b = &fn->blocks[*to];
		const struct gi_insn *in = &fn->insns[b->last - 1];
		_cleanup_(gi_flow_state_deinit) struct gi_flow_state st = {0};
		uint64_t value;

		struct gi_error *err = gi_flow_state_copy(&st, edge);
		if (!err)
			err = run_insns(fn, b->first, b->last, &st);
		if (err)
			return err;
		if (!gi_value_is_const(&fn->values, st.flags.tested, &value))
			return NULL;
		bool jumps = (value & st.flags.mask) == 0;
		jumps = jumps != in->negated;
		uint32_t next = b->next[0];
		if ((fn->blocks[next].first == b->last) == jumps)
			next = b->next[1];
		forget_branch(fn, &st, b);
		err = gi_flow_state_copy(edge, &st);
		if (err)
			return err;
		*to = next;
	}
	return NULL;
}

static struct gi_error *flow_out(struct gi_fn *fn, struct gi_flow_block *b,
				 const struct gi_flow_state *out, uint32_t *queue, size_t *queued)
{
	for (uint32_t k = 0; k < b->next_count; k++) {
		uint32_t next = b->next[k];
		_cleanup_(gi_flow_state_deinit) struct gi_flow_state edge = {0};
		bool changed = false;

		struct gi_error *err = gi_flow_state_copy(&edge, out);
		if (err)
			return err;
		apply_branch(fn, &edge, b, &fn->blocks[next]);
		forget_branch(fn, &edge, b);
		err = follow(fn, &edge, &next);
		if (err)
			return err;
		struct gi_flow_block *to = &fn->blocks[next];
		if (!to->seen) {
			to->seen = changed = true;
			err = gi_flow_state_copy(&to->in, &edge);
		} else {
			err = gi_flow_state_merge(&to->in, &edge, &fn->values, next, &changed);
		}
		if (err)
			return err;
		if (changed && !to->queued) {
			to->queued = true;
			queue[(*queued)++] = next;
		}
	}
	return NULL;
}

/** The queued block that comes first in the code: loops settle inside before what follows. */
static uint32_t take(uint32_t *queue, size_t *queued)
{
	size_t best = 0;

	for (size_t i = 1; i < *queued; i++) {
		if (queue[i] < queue[best])
			best = i;
	}
	uint32_t b = queue[best];
	queue[best] = queue[--*queued];
	return b;
}

struct gi_error *gi_flow_run_block(struct gi_fn *fn, const struct gi_flow_block *b, uint32_t until,
				   struct gi_flow_state *st)
{
	struct gi_error *err = gi_flow_state_copy(st, &b->in);

	return err ? err : run_insns(fn, b->first, until, st);
}

static struct gi_error *fixpoint(struct gi_fn *fn)
{
	_cleanup_(gi_freep) uint32_t *queue = calloc(fn->block_count, sizeof(*queue));
	size_t queued = 1, visits = 0;
	struct gi_error *err = NULL;

	if (!queue)
		return gi_error_nomem();
	gi_flow_state_enter(&fn->blocks[0].in, &fn->values, fn->arch->reg_count);
	fn->blocks[0].seen = fn->blocks[0].queued = true;
	while (queued && !err) {
		struct gi_flow_block *b = &fn->blocks[take(queue, &queued)];
		_cleanup_(gi_flow_state_deinit) struct gi_flow_state out = {0};

		b->queued = false;
		if (++visits > VISITS_PER_BLOCK * fn->block_count + 64)
			return gi_error_at(GI_ERR_UNSUPPORTED, fn->f.entry,
					   "the analysis does not settle");
		if (visits % 256 == 0 && (err = gi_interrupt_check()))
			return err;
		err = gi_flow_run_block(fn, b, b->last, &out);
		if (!err)
			err = flow_out(fn, b, &out, queue, &queued);
	}
	return err;
}

// --- summaries ------------------------------------------------------------------------

/** True if v is made of what the function was given. */
static bool is_given(const struct gi_values *vs, gi_value v)
{
	uint8_t kind = gi_value_node(vs, gi_value_root(vs, v))->kind;

	return kind == GI_V_CONST || kind == GI_V_ENTRY;
}

/** Expresses a fact for callers: false if it means nothing to them. */
static bool for_callers(struct gi_fn *fn, const struct gi_flow_state *st, struct gi_lock_fact *f)
{
	enum { RESULTS = 4 };
	const uint8_t *regs = fn->machine->int_args;
	int64_t off, roff;

	if (f->is_call)
		return is_given(&fn->values, f->callee) &&
		       (is_given(&fn->values, f->recv) || is_given(&fn->values, f->ctx));
	if (is_given(&fn->values, f->recv))
		return true;
	gi_value base = gi_value_split(&fn->values, f->recv, &off);
	for (size_t i = 0; i < RESULTS; i++) {
		if (st->regs[regs[i]] &&
		    gi_value_split(&fn->values, st->regs[regs[i]], &roff) == base) {
			f->ret = (int8_t)regs[i];
			f->ret_off = off - roff;
			return true;
		}
	}
	// A release of a lock that only the callee can name may be of any of the caller's.
	if (f->state != GI_FACT_RELEASED || !f->is_foreign)
		return false;
	f->recv = 0;
	return true;
}

static bool same_summary(const struct gi_lock_fact *a, const struct gi_lock_fact *b)
{
	if (a->is_call != b->is_call || a->kind != b->kind || a->ret != b->ret)
		return false;
	if (a->is_call)
		return a->key == b->key;
	return a->ret >= 0 ? a->ret_off == b->ret_off : a->recv == b->recv;
}

static void summarise_return(struct gi_fn *fn, const struct gi_flow_state *st, bool first)
{
	bool met[FLOW_MAX_SUMMARY] = {false};

	for (size_t i = 0; i < st->fact_count; i++) {
		struct gi_lock_fact f = st->facts[i];
		if (f.state == GI_FACT_UNTOUCHED || !for_callers(fn, st, &f))
			continue;
		if (st->lost)
			f.state |= GI_FACT_RELEASED;
		size_t k = 0;
		while (k < fn->summary_count && !same_summary(&fn->summary[k], &f))
			k++;
		if (k == FLOW_MAX_SUMMARY)
			continue;
		if (k == fn->summary_count) {
			fn->summary[fn->summary_count++] = f;
			if (!first)
				fn->summary[k].state |= GI_FACT_UNTOUCHED;
		} else {
			fn->summary[k].state |= f.state;
			fn->summary[k].after |= f.after;
			if (fn->summary[k].data != f.data)
				fn->summary[k].data = 0;
		}
		met[k] = true;
	}
	for (size_t k = 0; k < fn->summary_count; k++) {
		if (!met[k])
			fn->summary[k].state |= GI_FACT_UNTOUCHED;
	}
}

void gi_fn_record(struct gi_fn *fn, const struct gi_ahead *r)
{
	if (!fn->recording || fn->release_count >= FLOW_MAX_RELEASES)
		return;
	struct gi_error *err = gi_grow(&fn->releases, &fn->release_cap, fn->release_count + 1,
				       sizeof(*fn->releases));
	if (!err)
		fn->releases[fn->release_count++] = *r;
	gi_error_ignore(err);
}

/** A jump out of the function: a call, whose return is ours. */
static bool is_tail_call(const struct gi_fn *fn, const struct gi_flow_block *b)
{
	const struct gi_insn *in = &fn->insns[b->last - 1];

	return in->op == GI_OP_JMP && !b->next_count;
}

static struct gi_error *summarise(struct gi_fn *fn)
{
	bool first = true;

	fn->release_count = 0;
	for (size_t k = 0; k < fn->block_count; k++) {
		const struct gi_flow_block *b = &fn->blocks[k];
		bool tail = is_tail_call(fn, b);
		if (!b->seen)
			continue;
		_cleanup_(gi_flow_state_deinit) struct gi_flow_state st = {0};
		fn->recording = true;
		struct gi_error *err = gi_flow_run_block(fn, b, b->last, &st);
		fn->recording = false;
		if (err)
			return err;
		if (fn->insns[b->last - 1].op != GI_OP_RET && !tail)
			continue;
		if (tail) {
			fn->insns[b->last - 1].op = GI_OP_CALL;
			err = gi_flow_step(fn, &st, b->last - 1);
			fn->insns[b->last - 1].op = GI_OP_JMP;
			if (err)
				return err;
		}
		summarise_return(fn, &st, first);
		first = false;
	}
	fn->has_summary = true;
	return NULL;
}

struct gi_error *gi_fn_solve(struct gi_fn *fn)
{
	struct gi_error *err;

	gi_fn_free_flow(fn);
	for (size_t i = 0; i < fn->block_count; i++) {
		fn->blocks[i].seen = fn->blocks[i].queued = false;
		memset(&fn->blocks[i].in, 0, sizeof(fn->blocks[i].in));
	}
	memset(fn->deeds, 0, fn->insn_count * sizeof(*fn->deeds));
	fn->summary_count = 0;
	fn->has_summary = false;
	fn->depth = fn->code->depth;
	fn->busy = true;
	fn->code->depth++;
	err = fixpoint(fn);
	if (!err)
		err = summarise(fn);
	fn->code->depth--;
	fn->busy = false;
	if (!err && fn->values.oom)
		err = gi_error_nomem();
	return err;
}

// A function's instructions as a graph of blocks.
//
// Jump tables (switch statements from Go 1.19 on) are a fixed address, indexed by 8: their
// entries are read as long as they lead to instructions of the function. A jump that leaves
// the function is a call that does not come back here, and a call of what never returns (panics, a
// prologue's morestack) ends its block.

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"
#include "wait/flow.h"

static bool insn_at(const struct gi_fn *fn, uint64_t addr, uint32_t *ret)
{
	size_t lo = 0, hi = fn->insn_count;

	if (addr < fn->f.entry || addr >= fn->f.end)
		return false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (fn->insns[mid].off < addr - fn->f.entry)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo >= fn->insn_count || fn->insns[lo].off != addr - fn->f.entry)
		return false;
	*ret = (uint32_t)lo;
	return true;
}

static bool ends_block(const struct gi_fn *fn, uint32_t i)
{
	const struct gi_insn *in = &fn->insns[i];
	struct gi_code_func f;

	switch (in->op) {
	case GI_OP_JMP:
	case GI_OP_JCC:
	case GI_OP_RET:
	case GI_OP_STOP:
		return true;
	case GI_OP_CALL:
		return in->has_imm && fn->code->env.func(fn->code->env.arg, in->target, &f) &&
		       gi_prim_no_return(f.name);
	}
	return false;
}

enum { LOOK_BACK = 12 };

/** The instruction that a register's value at i comes from; false: some other way of change. */
static bool made_by(const struct gi_fn *fn, uint32_t i, int reg, uint32_t *ret)
{
	for (uint32_t k = i, n = 0; k-- > 0 && n < LOOK_BACK; n++) {
		const struct gi_insn *p = &fn->insns[k];
		if (p->writes & 1u << reg)
			return false;
		if (p->dst == reg) {
			*ret = k;
			return true;
		}
	}
	return false;
}

/** The constant address that a register holds at i. */
static bool fixed_address(const struct gi_fn *fn, uint32_t i, int reg, uint64_t *ret)
{
	enum { MAX_STEPS = 4 };
	uint64_t sum = 0;

	for (unsigned n = 0; n < MAX_STEPS && reg >= 0 && made_by(fn, i, reg, &i); n++) {
		const struct gi_insn *p = &fn->insns[i];
		if (p->op == GI_OP_LEA && (p->index >= 0 || p->nowhere || p->size != 8))
			return false;
		if (p->op == GI_OP_LEA && p->abs) {
			*ret = sum + (uint64_t)p->disp;
			return true;
		}
		if (p->op != GI_OP_LEA)
			return false;
		sum += (uint64_t)p->disp;
		reg = p->base;
	}
	return false;
}

/**
 * The address of the table that an indirect jump at i uses: that of an operand in memory, or of
 * what was loaded into a register before.
 */
static bool jump_table(const struct gi_fn *fn, uint32_t i, uint64_t *ret)
{
	const struct gi_insn *in = &fn->insns[i];

	if (!in->has_mem && in->src >= 0) {
		if (!made_by(fn, i, in->src, &i))
			return false;
		in = &fn->insns[i];
		if (in->op != GI_OP_MOV || in->mem_is_dst || in->size != 8)
			return false;
	}
	if (!in->has_mem || in->scale != 8 || in->index < 0 || !fixed_address(fn, i, in->base, ret))
		return false;
	*ret += (uint64_t)in->disp;
	return true;
}

typedef struct gi_error *(*edge_fn)(struct gi_fn *fn, uint32_t insn, void *arg);

/** Calls visit for each instruction that may follow i, which ends a block. */
static struct gi_error *each_next(struct gi_fn *fn, uint32_t i, edge_fn visit, void *arg)
{
	const struct gi_insn *in = &fn->insns[i];
	struct gi_error *err = NULL;
	uint64_t table, to;
	uint32_t k;

	if (in->op == GI_OP_JCC && i + 1 < fn->insn_count)
		err = visit(fn, i + 1, arg);
	if (err || (in->op != GI_OP_JMP && in->op != GI_OP_JCC))
		return err;
	if (in->has_imm)
		return insn_at(fn, in->target, &k) ? visit(fn, k, arg) : NULL;
	if (!jump_table(fn, i, &table))
		return NULL;
	for (unsigned n = 0; n < FLOW_MAX_TABLE; n++) {
		if (!fn->code->env.read_const(fn->code->env.arg, table + 8 * (uint64_t)n, &to) ||
		    !insn_at(fn, to, &k))
			break;
		err = visit(fn, k, arg);
		if (err)
			return err;
	}
	return NULL;
}

static struct gi_error *mark_leader(struct gi_fn *fn, uint32_t i, void *arg)
{
	(void)fn;
	((uint8_t *)arg)[i] = 1;
	return NULL;
}

struct edges {
	struct gi_flow_block *block;
	uint32_t last; // instruction that ends it
};

static struct gi_error *add_edge(struct gi_fn *fn, uint32_t i, void *arg)
{
	struct edges *e = arg;
	size_t first = fn->edge_count - e->block->next_count;

	for (size_t k = first; k < fn->edge_count; k++) {
		if (fn->edges[k] == fn->block_of[i])
			return NULL;
	}
	struct gi_error *err =
		gi_grow(&fn->edges, &fn->edge_cap, fn->edge_count + 1, sizeof(*fn->edges));
	if (err)
		return err;
	fn->edges[fn->edge_count++] = fn->block_of[i];
	e->block->next_count++;
	if (i <= e->last)
		fn->has_loop = true;
	return NULL;
}

static struct gi_error *cut(struct gi_fn *fn, const uint8_t *leader)
{
	struct gi_error *err;

	for (uint32_t i = 0; i < fn->insn_count; i++) {
		if (leader[i]) {
			err = gi_grow(&fn->blocks, &fn->block_cap, fn->block_count + 1,
				      sizeof(*fn->blocks));
			if (err)
				return err;
			memset(&fn->blocks[fn->block_count], 0, sizeof(fn->blocks[0]));
			fn->blocks[fn->block_count++].first = i;
		}
		fn->blocks[fn->block_count - 1].last = i + 1;
		fn->block_of[i] = (uint32_t)fn->block_count - 1;
	}
	return NULL;
}

static struct gi_error *connect(struct gi_fn *fn)
{
	struct gi_error *err = NULL;

	for (size_t b = 0; b < fn->block_count && !err; b++) {
		struct gi_flow_block *block = &fn->blocks[b];
		struct edges e = {block, block->last - 1};
		if (ends_block(fn, e.last))
			err = each_next(fn, e.last, add_edge, &e);
		else if (block->last < fn->insn_count)
			err = add_edge(fn, block->last, &e);
	}
	// The edges have moved while they grew: only now do they stay.
	uint32_t *next = fn->edges;
	for (size_t b = 0; b < fn->block_count; b++) {
		fn->blocks[b].next = next;
		next += fn->blocks[b].next_count;
	}
	return err;
}

struct gi_error *gi_fn_make_blocks(struct gi_fn *fn)
{
	_cleanup_(gi_freep) uint8_t *leader = calloc(fn->insn_count + 1, 1);
	struct gi_error *err = NULL;

	fn->block_of = calloc(fn->insn_count, sizeof(*fn->block_of));
	if (!leader || !fn->block_of)
		return gi_error_nomem();
	leader[0] = 1;
	for (uint32_t i = 0; i < fn->insn_count && !err; i++) {
		if (!ends_block(fn, i))
			continue;
		leader[i + 1] = 1;
		err = each_next(fn, i, mark_leader, leader);
	}
	leader[fn->insn_count] = 0;
	if (!err)
		err = cut(fn, leader);
	return err ? err : connect(fn);
}

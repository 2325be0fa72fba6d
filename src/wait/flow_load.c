// A function as the analysis takes it: instructions, the stack pointer at each, and what of
// sync's functions is inlined where.

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"
#include "wait/flow.h"

struct runs {
	struct gi_fn *fn;
	struct gi_error *err;
};

size_t gi_fn_insn_from(const struct gi_fn *fn, uint64_t addr)
{
	size_t lo = 0, hi = fn->insn_count;
	uint64_t off = addr < fn->f.entry ? 0 : addr - fn->f.entry;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (fn->insns[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool add_sp_run(void *arg, uint64_t start, uint64_t end, int32_t value)
{
	struct gi_fn *fn = arg;

	for (size_t i = gi_fn_insn_from(fn, start); i < fn->insn_count; i++) {
		if (fn->insns[i].off + fn->f.entry >= end)
			break;
		fn->sp[i] = value;
	}
	return true;
}

static bool same_prim(struct gi_prim a, struct gi_prim b)
{
	return a.op == b.op && a.kind == b.kind && a.bound == b.bound && a.sema == b.sema;
}

/** 1 + the index of a prim in the function's list; 0 if it is none, or memory is out. */
static uint8_t prim_number(struct runs *r, struct gi_prim p)
{
	struct gi_fn *fn = r->fn;

	if (p.op == GI_PRIM_NONE || p.op == GI_PRIM_HARMLESS || p.op == GI_PRIM_SLOW)
		return 0;
	for (size_t i = 0; i < fn->prim_count; i++) {
		if (same_prim(fn->prims[i], p))
			return (uint8_t)(i + 1);
	}
	if (fn->prim_count >= 200)
		return 0;
	r->err = gi_grow(&fn->prims, &fn->prim_cap, fn->prim_count + 1, sizeof(*fn->prims));
	if (r->err)
		return 0;
	fn->prims[fn->prim_count++] = p;
	return (uint8_t)fn->prim_count;
}

static bool add_inline_run(void *arg, uint64_t start, uint64_t end, const char *const *names,
			   size_t n)
{
	struct runs *r = arg;
	struct gi_fn *fn = r->fn;
	uint8_t inner = 0, outer = 0;

	for (size_t i = 0; i < n && !r->err; i++) {
		uint8_t k = prim_number(r, gi_prim_of(names[i]));
		if (k && !inner)
			inner = k;
		if (k)
			outer = k;
	}
	for (size_t i = gi_fn_insn_from(fn, start); outer && i < fn->insn_count; i++) {
		if (fn->insns[i].off + fn->f.entry >= end)
			break;
		fn->inner[i] = inner;
		fn->outer[i] = outer;
	}
	return !r->err;
}

/** For each block the first two that lead to it. */
struct before {
	uint32_t (*of)[2];
};
enum { NO_BLOCK = UINT32_MAX, MANY_BLOCKS = UINT32_MAX - 1 };

static struct gi_error *make_before(const struct gi_fn *fn, struct before *ret)
{
	ret->of = malloc(fn->block_count * sizeof(*ret->of));
	if (!ret->of)
		return gi_error_nomem();
	memset(ret->of, 0xff, fn->block_count * sizeof(*ret->of));
	for (uint32_t b = 0; b < fn->block_count; b++) {
		for (uint32_t k = 0; k < fn->blocks[b].next_count; k++) {
			uint32_t *to = ret->of[fn->blocks[b].next[k]];
			if (to[0] == NO_BLOCK)
				to[0] = b;
			else
				to[1] = to[1] == NO_BLOCK ? b : MANY_BLOCKS;
		}
	}
	return NULL;
}

static void before_deinit(struct before *before)
{
	free(before->of);
}

/** The last instruction of a kind in [first, last). */
static bool last_of(const struct gi_fn *fn, uint32_t first, uint32_t last, uint8_t op,
		    uint32_t *ret)
{
	for (uint32_t i = last; i-- > first;) {
		if (fn->insns[i].op == op) {
			*ret = fn->insns[i].site;
			return true;
		}
	}
	return false;
}

/** The site of the atomic operation that leads to a call, in its block or the few before that. */
static bool atomic_before(const struct gi_fn *fn, const struct before *before, uint32_t call,
			  uint8_t op, uint32_t *ret)
{
	enum { MAX_BLOCKS = 4 };
	uint32_t b = fn->block_of[call], i = call, other;

	for (unsigned n = 0; n < MAX_BLOCKS; n++) {
		if (last_of(fn, fn->blocks[b].first, i, op, ret))
			return true;
		const uint32_t *from = before->of[b];
		if (from[0] == NO_BLOCK || from[1] == MANY_BLOCKS)
			return false;
		if (from[1] != NO_BLOCK) {
			// Two ways to do the same meet here.
			const struct gi_flow_block *x = &fn->blocks[from[0]];
			const struct gi_flow_block *y = &fn->blocks[from[1]];
			return last_of(fn, x->first, x->last, op, ret) &&
			       last_of(fn, y->first, y->last, op, &other) && other == *ret;
		}
		b = from[0];
		i = fn->blocks[b].last;
	}
	return false;
}

/** What an inlined half is, by the function that it calls when it does not succeed. */
static bool half_of(const struct gi_fn *fn, uint32_t call, struct gi_prim *inner_ret,
		    uint8_t *op_ret)
{
	struct gi_code_func f;
	struct gi_prim p = gi_code_prim(fn->code, fn->insns[call].target);

	if (p.op != GI_PRIM_SLOW && p.op != GI_PRIM_HARMLESS)
		return false;
	*op_ret = GI_OP_XADD;
	if (p.op == GI_PRIM_HARMLESS) {
		// Semrelease is called by functions that are never inlined in part.
		if (!fn->code->env.func(fn->code->env.arg, fn->insns[call].target, &f) ||
		    !strstr(f.name, "nlockSlow"))
			return false;
		*inner_ret = (struct gi_prim){.op = GI_PRIM_RELEASE, .kind = p.kind};
		return true;
	}
	*inner_ret = (struct gi_prim){.op = GI_PRIM_ACQUIRE, .kind = p.kind};
	if (!p.sema)
		*op_ret = GI_OP_CMPXCHG;
	else
		inner_ret->kind = GI_LOCK_READ;
	return true;
}

/** Both ways to do one operation are the same. */
static void share_marks(struct gi_fn *fn)
{
	for (uint32_t i = 0; i < fn->insn_count; i++) {
		uint32_t site = fn->insns[i].site;
		uint32_t from = fn->outer[site] ? site : i, to = from == site ? i : site;
		fn->inner[to] = fn->inner[from];
		fn->outer[to] = fn->outer[from];
	}
}

/**
 * The line tables put an inlined function's atomic instruction into its caller as often as not, so
 * the call that follows when it fails tells what it is. An attempt makes no such call: it is
 * told by the instructions around it.
 */
static struct gi_error *mark_atomics(struct gi_fn *fn, struct runs *r)
{
	_cleanup_(before_deinit) struct before before = {0};
	const uint32_t around = fn->arch->attempt_insns;
	struct gi_prim inner;
	uint32_t at;
	uint8_t op;

	struct gi_error *err = make_before(fn, &before);
	if (err)
		return err;
	for (uint32_t i = 0; i < fn->insn_count && !r->err; i++) {
		const struct gi_insn *in = &fn->insns[i];
		if (in->op != GI_OP_CALL || !in->has_imm || !half_of(fn, i, &inner, &op) ||
		    !atomic_before(fn, &before, i, op, &at))
			continue;
		const struct gi_prim *outer = fn->outer[i] ? &fn->prims[fn->outer[i] - 1] : NULL;
		// A reader's and a writer's waits are told apart by what is inlined.
		if (op == GI_OP_XADD && inner.op == GI_PRIM_ACQUIRE &&
		    (!outer || outer->kind != GI_LOCK_READ))
			continue;
		bool write = outer && outer->kind == GI_LOCK_WRITE && outer->op == inner.op;
		fn->half[i] = at;
		fn->inner[at] = prim_number(r, inner);
		fn->outer[at] = write ? fn->outer[i] : fn->inner[at];
	}
	for (uint32_t i = 0; i < fn->insn_count; i++) {
		if (fn->insns[i].op == GI_OP_CALL && fn->insns[i].has_imm) {
			enum gi_prim_op called = gi_code_prim(fn->code, fn->insns[i].target).op;
			if (called == GI_PRIM_ACQUIRE || called == GI_PRIM_SLOW ||
			    called == GI_PRIM_TRY)
				fn->acquires = true;
		}
		if (fn->insns[i].op != GI_OP_CMPXCHG || fn->outer[i])
			continue;
		for (uint32_t k = i > around ? i - around : 0; k < fn->insn_count && k < i + around;
		     k++) {
			if (!fn->outer[k] || fn->prims[fn->outer[k] - 1].op != GI_PRIM_TRY)
				continue;
			fn->inner[i] = fn->inner[k];
			fn->outer[i] = fn->outer[k];
		}
	}
	share_marks(fn);
	return r->err;
}

struct gi_error *gi_fn_load(struct gi_fn *fn)
{
	const struct gi_code_env *env = &fn->code->env;
	uint64_t size = fn->f.end - fn->f.entry;
	const uint8_t *code =
		size <= FLOW_MAX_BYTES ? env->bytes(env->arg, fn->f.entry, size) : NULL;
	struct runs r = {.fn = fn};

	if (!code)
		return gi_error_at(GI_ERR_NOT_FOUND, fn->f.entry, "no code, or too much of it");
	struct gi_error *err =
		fn->arch->decode(code, size, fn->f.entry, &fn->insns, &fn->insn_count);
	if (err)
		return err;
	if (!fn->insn_count || fn->insn_count > FLOW_MAX_INSNS)
		return gi_error_at(GI_ERR_UNSUPPORTED, fn->f.entry, "too much code");
	for (uint32_t i = 0; env->leads_to && i < fn->insn_count; i++) {
		struct gi_insn *in = &fn->insns[i];
		if (in->op == GI_OP_CALL && in->has_imm)
			in->target = env->leads_to(env->arg, in->target);
	}
	fn->sp = malloc(fn->insn_count * sizeof(*fn->sp));
	fn->inner = calloc(fn->insn_count, 1);
	fn->outer = calloc(fn->insn_count, 1);
	fn->half = calloc(fn->insn_count, sizeof(*fn->half));
	fn->deeds = calloc(fn->insn_count, sizeof(*fn->deeds));
	if (!fn->sp || !fn->inner || !fn->outer || !fn->half || !fn->deeds)
		return gi_error_nomem();
	for (size_t i = 0; i < fn->insn_count; i++)
		fn->sp[i] = -1;
	env->sp_runs(env->arg, &fn->f, add_sp_run, fn);
	env->inline_runs(env->arg, &fn->f, add_inline_run, &r);
	err = r.err ? r.err : gi_fn_make_blocks(fn);
	return err ? err : mark_atomics(fn, &r);
}

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

/** The one block that leads to b; false if there are none or several. */
static bool only_before(const struct gi_fn *fn, const uint32_t *before, uint32_t b, uint32_t *ret)
{
	enum { NONE = UINT32_MAX, MANY = UINT32_MAX - 1 };

	*ret = before[b];
	return *ret != NONE && *ret != MANY && *ret < fn->block_count;
}

static uint32_t *make_before(const struct gi_fn *fn)
{
	uint32_t *before = malloc(fn->block_count * sizeof(*before));

	if (!before)
		return NULL;
	memset(before, 0xff, fn->block_count * sizeof(*before));
	for (uint32_t b = 0; b < fn->block_count; b++) {
		for (uint32_t k = 0; k < fn->blocks[b].next_count; k++) {
			uint32_t *to = &before[fn->blocks[b].next[k]];
			*to = *to == UINT32_MAX ? b : UINT32_MAX - 1;
		}
	}
	return before;
}

/** The atomic instruction that leads to a call, in its block or the few that lead to that. */
static bool atomic_before(const struct gi_fn *fn, const uint32_t *before, uint32_t call, uint8_t op,
			  uint32_t *ret)
{
	enum { MAX_BLOCKS = 4 };
	uint32_t b = fn->block_of[call], i = call;

	for (unsigned n = 0; n < MAX_BLOCKS; n++) {
		while (i-- > fn->blocks[b].first) {
			if (fn->insns[i].op == op) {
				*ret = i;
				return true;
			}
		}
		if (!only_before(fn, before, b, &b))
			return false;
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

/**
 * The line tables put an inlined function's atomic instruction into its caller as often as not, so
 * the call that follows when it fails tells what it is. An attempt makes no such call: it is
 * told by the instructions around it.
 */
static struct gi_error *mark_atomics(struct gi_fn *fn, struct runs *r)
{
	_cleanup_(gi_freep) uint32_t *before = make_before(fn);
	enum { AROUND = 8 };
	struct gi_prim inner;
	uint32_t at;
	uint8_t op;

	if (!before)
		return gi_error_nomem();
	for (uint32_t i = 0; i < fn->insn_count && !r->err; i++) {
		const struct gi_insn *in = &fn->insns[i];
		if (in->op != GI_OP_CALL || !in->has_imm || !half_of(fn, i, &inner, &op) ||
		    !atomic_before(fn, before, i, op, &at))
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
		for (uint32_t k = i > AROUND ? i - AROUND : 0; k < fn->insn_count && k < i + AROUND;
		     k++) {
			if (!fn->outer[k] || fn->prims[fn->outer[k] - 1].op != GI_PRIM_TRY)
				continue;
			fn->inner[i] = fn->inner[k];
			fn->outer[i] = fn->outer[k];
		}
	}
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
	struct gi_error *err = gi_insn_decode(code, size, fn->f.entry, &fn->insns, &fn->insn_count);
	if (err)
		return err;
	if (!fn->insn_count || fn->insn_count > FLOW_MAX_INSNS)
		return gi_error_at(GI_ERR_UNSUPPORTED, fn->f.entry, "too much code");
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

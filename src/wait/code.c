// What a function has locked at a pc.
//
// A function is decoded once and interpreted over its blocks until nothing changes: which
// values registers and stack slots hold, which locks were taken and released. A point is that
// state just before an instruction; for a call that has not returned the instruction is
// the call, so its own effect is not in it (an acquisition under way is no hold). A summary is the
// state where the function returns, in terms of what it was given.
//
// Callees are looked into for their summaries a few levels down, if they can change a lock at all:
// a quick look at their bytes tells.

#include "wait/code.h"

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"
#include "wait/flow.h"

enum {
	MAX_CODE_BYTES = 1 << 18,
	MAX_LIGHT_BYTES = 1 << 14, // of a callee: helpers that lock are small
	VISITS_PER_BLOCK = 24,
	CALLEE_INSNS = 4 << 20, // decoded for summaries, in all
};

struct gi_error *gi_code_create(const struct gi_code_env *env, struct gi_code **ret)
{
	struct gi_code *code = calloc(1, sizeof(*code));

	if (!code)
		return gi_error_nomem();
	code->env = *env;
	code->insns_left = CALLEE_INSNS;
	*ret = code;
	return NULL;
}

static void free_flow(struct gi_fn *fn)
{
	for (size_t i = 0; i < fn->block_count; i++)
		gi_flow_state_deinit(&fn->blocks[i].in);
}

static void fn_destroy(struct gi_fn *fn)
{
	if (!fn)
		return;
	free_flow(fn);
	free(fn->insns);
	free(fn->sp);
	free(fn->inner);
	free(fn->outer);
	free(fn->half);
	free(fn->deeds);
	free(fn->prims);
	free(fn->releases);
	free(fn->blocks);
	free(fn->edges);
	free(fn->block_of);
	gi_values_deinit(&fn->values);
	free(fn);
}

struct point {
	struct gi_point pub;
	struct gi_flow_state st;
	struct gi_ahead *ahead;
};

void gi_code_destroy(struct gi_code *code)
{
	if (!code)
		return;
	for (size_t i = 0; i < code->fn_count; i++)
		fn_destroy(code->all[i]);
	for (size_t i = 0; i < code->point_count; i++) {
		struct point *p = (struct point *)code->all_points[i];
		gi_flow_state_deinit(&p->st);
		free(p->ahead);
		free(p);
	}
	free(code->all);
	free(code->all_points);
	gi_map_deinit(&code->fns);
	gi_map_deinit(&code->points);
	gi_map_deinit(&code->prims);
	gi_map_deinit(&code->light);
	free(code);
}

// --- prims by entry -----------------------------------------------------------------

static uint64_t pack(struct gi_prim p)
{
	return (uint64_t)p.op | (uint64_t)p.kind << 8 | (uint64_t)p.bound << 16 |
	       (uint64_t)p.sema << 17;
}

static struct gi_prim unpack(uint64_t v)
{
	return (struct gi_prim){.op = (enum gi_prim_op)(v & 0xff),
				.kind = (enum gi_lock_kind)(v >> 8 & 0xff),
				.bound = v >> 16 & 1,
				.sema = v >> 17 & 1};
}

struct gi_prim gi_code_prim(struct gi_code *code, uint64_t entry)
{
	struct gi_prim prim = {.op = GI_PRIM_NONE};
	struct gi_code_func f;
	uint64_t v;

	if (gi_map_get(&code->prims, entry, &v))
		return unpack(v);
	if (code->env.func(code->env.arg, entry, &f) && f.entry == entry)
		prim = gi_prim_of(f.name);
	gi_error_ignore(gi_map_put(&code->prims, entry, pack(prim)));
	return prim;
}

// --- which callees matter -------------------------------------------------------------

static bool is_foreign(const char *name)
{
	static const char *const prefixes[] = {
		"runtime.", "runtime/", "internal/", "sync.", "sync/", "syscall.", "reflect.",
		"unicode",  "strings.", "strconv.",  "math",  "sort.", "errors.",  "type:",
		"type..",   "go:",	"go.",	     "time.", "_cgo",  "x_cgo",	   "crosscall",
	};

	for (size_t i = 0; i < GI_ARRAY_SIZE(prefixes); i++) {
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

/**
 * Whether a function's bytes can change a lock: they hold a locked cmpxchg or xadd, or a call of
 * sync's, or of a function like this. Bytes that only look like these do no harm.
 */
static bool may_touch(struct gi_code *code, uint64_t entry, unsigned depth, bool is_frame)
{
	const struct gi_code_env *env = &code->env;
	uint64_t key = entry << 4 | depth << 1 | is_frame, v, end;
	struct gi_code_func f;
	bool found = false;

	if (gi_map_get(&code->light, key, &v))
		return v;
	// A recursive call adds nothing.
	gi_error_ignore(gi_map_put(&code->light, key, 0));
	if (!env->func(env->arg, entry, &f) || f.entry != entry ||
	    (is_frame ? strncmp(f.name, "runtime.", 8) == 0 : is_foreign(f.name)))
		return false;
	end = f.end - f.entry < (is_frame ? MAX_CODE_BYTES : MAX_LIGHT_BYTES) ? f.end : f.entry;
	const uint8_t *p = env->bytes(env->arg, f.entry, end - f.entry);
	size_t n = p ? end - f.entry : 0;
	for (size_t i = 0; i + 5 <= n && !found; i++) {
		if (p[i] == 0xf0) {
			size_t k = i + 1;
			if ((p[k] & 0xf0) == 0x40)
				k++;
			found = p[k] == 0x0f && (p[k + 1] == 0xb1 || p[k + 1] == 0xc1);
		} else if (p[i] == 0xe8 || p[i] == 0xe9) {
			uint64_t to = f.entry + i + 5 +
				      (uint64_t)(int64_t)(int32_t)gi_load_u32(p + i + 1);
			if (to == entry || (to > f.entry && to < f.end))
				continue;
			found = gi_code_prim(code, to).op != GI_PRIM_NONE ||
				(depth > 0 && may_touch(code, to, depth - 1, false));
		} else if (p[i] == 0xff && (p[i + 1] & 0x38) == 0x10) {
			// An indirect call: perhaps of a Locker's method, in a wrapper.
			found = is_frame || n < 256;
		}
	}
	gi_error_ignore(gi_map_put(&code->light, key, found));
	return found;
}

// --- making a function ------------------------------------------------------------------

struct runs {
	struct gi_fn *fn;
	struct gi_error *err;
};

static size_t insn_from(const struct gi_fn *fn, uint64_t addr)
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

	for (size_t i = insn_from(fn, start); i < fn->insn_count; i++) {
		if (fn->insns[i].off + fn->f.entry >= end)
			break;
		fn->sp[i] = value;
	}
	return true;
}

/** 1 + the index of a prim in the function's list; 0 if it is none, or memory is out. */
static uint8_t prim_number(struct runs *r, struct gi_prim p)
{
	struct gi_fn *fn = r->fn;

	if (p.op == GI_PRIM_NONE || p.op == GI_PRIM_HARMLESS || p.op == GI_PRIM_SLOW)
		return 0;
	for (size_t i = 0; i < fn->prim_count; i++) {
		if (pack(fn->prims[i]) == pack(p))
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
	for (size_t i = insn_from(fn, start); outer && i < fn->insn_count; i++) {
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

static struct gi_error *fn_load(struct gi_fn *fn)
{
	const struct gi_code_env *env = &fn->code->env;
	uint64_t size = fn->f.end - fn->f.entry;
	const uint8_t *code =
		size <= MAX_CODE_BYTES ? env->bytes(env->arg, fn->f.entry, size) : NULL;
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

// --- the fixpoint ---------------------------------------------------------------------------

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
		if (st.flags.size < 8)
			value &= (UINT64_C(1) << 8 * st.flags.size) - 1;
		bool jumps = (value == 0) != in->negated;
		uint32_t next = b->next[0];
		if ((fn->blocks[next].first == b->last) == jumps)
			next = b->next[1];
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

static struct gi_error *run_block(struct gi_fn *fn, const struct gi_flow_block *b, uint32_t until,
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
	gi_flow_state_enter(&fn->blocks[0].in, &fn->values);
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
		err = run_block(fn, b, b->last, &out);
		if (!err)
			err = flow_out(fn, b, &out, queue, &queued);
	}
	return err;
}

// --- summaries ------------------------------------------------------------------------------

/** True if v is made of what the function was given. */
static bool is_given(const struct gi_values *vs, gi_value v)
{
	uint8_t kind = gi_value_node(vs, gi_value_root(vs, v))->kind;

	return kind == GI_V_CONST || kind == GI_V_ENTRY;
}

/** Expresses a fact for callers: false if it means nothing to them. */
static bool for_callers(struct gi_fn *fn, const struct gi_flow_state *st, struct gi_lock_fact *f)
{
	static const uint8_t regs[] = {GI_AMD64_RAX, GI_AMD64_RBX, GI_AMD64_RCX, GI_AMD64_RDI};
	int64_t off, roff;

	if (f->is_call)
		return is_given(&fn->values, f->callee) &&
		       (is_given(&fn->values, f->recv) || is_given(&fn->values, f->ctx));
	if (is_given(&fn->values, f->recv))
		return true;
	gi_value base = gi_value_split(&fn->values, f->recv, &off);
	for (size_t i = 0; i < GI_ARRAY_SIZE(regs); i++) {
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
		struct gi_error *err = run_block(fn, b, b->last, &st);
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

	free_flow(fn);
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

// --- the cache -----------------------------------------------------------------------------

static struct gi_fn *fn_make(struct gi_code *code, const struct gi_code_func *f)
{
	struct gi_fn *fn = calloc(1, sizeof(*fn));
	struct gi_error *err;

	if (!fn)
		return NULL;
	fn->code = code;
	fn->f = *f;
	err = gi_grow(&code->all, &code->fn_cap, code->fn_count + 1, sizeof(*code->all));
	if (!err)
		err = gi_map_put(&code->fns, f->entry, (uint64_t)(uintptr_t)fn);
	if (err) {
		gi_error_ignore(err);
		free(fn);
		return NULL;
	}
	code->all[code->fn_count++] = fn;
	err = fn_load(fn);
	if (!err)
		err = gi_fn_solve(fn);
	// Why it cannot be analysed matters to nobody: without it there is no evidence.
	fn->failed = err != NULL;
	gi_error_ignore(err);
	return fn;
}

const struct gi_fn *gi_code_fn(struct gi_code *code, uint64_t pc)
{
	struct gi_code_func f;
	uint64_t p;

	if (!code->env.func(code->env.arg, pc, &f))
		return NULL;
	if (!gi_map_get(&code->fns, f.entry, &p)) {
		struct gi_fn *fn = fn_make(code, &f);
		return fn && !fn->failed ? fn : NULL;
	}
	struct gi_fn *fn = (struct gi_fn *)(uintptr_t)p;
	// It was looked at as a callee, with less of its own callees.
	if (!fn->failed && !fn->busy && fn->depth > code->depth) {
		struct gi_error *err = gi_fn_solve(fn);
		fn->failed = err != NULL;
		gi_error_ignore(err);
	}
	return fn->failed || fn->busy ? NULL : fn;
}

bool gi_code_may_touch(struct gi_code *code, uint64_t entry)
{
	return may_touch(code, entry, FLOW_MAX_DEPTH, true);
}

bool gi_fn_acquires(const struct gi_fn *fn)
{
	return fn->acquires;
}

const struct gi_fn *gi_code_callee(struct gi_code *code, uint64_t entry)
{
	uint64_t p;

	if (code->depth > FLOW_MAX_DEPTH ||
	    !may_touch(code, entry, FLOW_MAX_DEPTH - code->depth, false))
		return NULL;
	if (gi_map_get(&code->fns, entry, &p)) {
		const struct gi_fn *fn = (const struct gi_fn *)(uintptr_t)p;
		if (fn->failed || fn->busy || fn->depth <= code->depth)
			return fn->failed || fn->busy ? NULL : fn;
	} else if (!code->insns_left) {
		return NULL;
	}
	const struct gi_fn *fn = gi_code_fn(code, entry);
	if (fn)
		code->insns_left -= gi_min_u64(code->insns_left, fn->insn_count);
	return fn;
}

uint64_t gi_fn_entry(const struct gi_fn *fn)
{
	return fn->f.entry;
}

const char *gi_fn_name(const struct gi_fn *fn)
{
	return fn->f.name;
}

struct gi_values *gi_fn_values(const struct gi_fn *fn)
{
	// Evaluation makes sums that the analysis did not need; nothing else changes.
	return &((struct gi_fn *)(uintptr_t)fn)->values;
}

uint64_t gi_fn_site_pc(const struct gi_fn *fn, uint32_t site)
{
	return site < fn->insn_count ? fn->f.entry + fn->insns[site].off : 0;
}

bool gi_fn_summary(const struct gi_fn *fn, const struct gi_lock_fact **ret, size_t *count_ret)
{
	if (!fn->has_summary)
		return false;
	*ret = fn->summary;
	*count_ret = fn->summary_count;
	return true;
}

// --- points ------------------------------------------------------------------------------------

static bool find_insn(const struct gi_fn *fn, uint64_t pc, bool is_return, uint32_t *ret)
{
	size_t i = insn_from(fn, pc);

	if (is_return) {
		// The call is what ends at pc.
		if (!i || fn->insns[i - 1].off + fn->insns[i - 1].len + fn->f.entry != pc)
			return false;
		*ret = (uint32_t)(i - 1);
		return fn->insns[i - 1].op == GI_OP_CALL;
	}
	if (i >= fn->insn_count || fn->insns[i].off + fn->f.entry != pc)
		return false;
	*ret = (uint32_t)i;
	return true;
}

/** What a call under way changes: an acquisition's fast path did not succeed. */
static void enter_call(struct gi_fn *fn, struct point *p, uint32_t i)
{
	struct gi_code_func f;

	p->pub.at_call = true;
	p->pub.callee_value = gi_flow_target(fn, &p->st, i, &p->pub.callee);
	if (!p->pub.callee || !fn->code->env.func(fn->code->env.arg, p->pub.callee, &f))
		return;
	p->pub.callee = f.entry;
	p->pub.prim = gi_code_prim(fn->code, f.entry);
	if (p->pub.prim.op == GI_PRIM_SLOW)
		gi_flow_undo_fast(&p->st, fn->half[i]);
	// The deferred functions are running: which have run, the frame's own lists tell.
	if (strcmp(f.name, "runtime.deferreturn") == 0)
		gi_flow_release_maybe(&p->st);
}

/** The function's releases that lie on some way on from instruction i. */
static struct gi_error *find_ahead(struct gi_fn *fn, uint32_t i, struct point *p)
{
	_cleanup_(gi_freep) uint8_t *seen = calloc(fn->block_count, 1);
	_cleanup_(gi_freep) uint32_t *queue = malloc(fn->block_count * sizeof(*queue));
	uint32_t here = fn->block_of[i];
	size_t n = 0;

	p->ahead = malloc((fn->release_count + 1) * sizeof(*p->ahead));
	if (!seen || !queue || !p->ahead)
		return gi_error_nomem();
	// The rest of this block is ahead; all of it only if a loop leads back.
	for (uint32_t k = 0; k < fn->blocks[here].next_count; k++) {
		uint32_t to = fn->blocks[here].next[k];
		if (!seen[to])
			queue[n++] = to;
		seen[to] = 1;
	}
	for (size_t at = 0; at < n; at++) {
		const struct gi_flow_block *b = &fn->blocks[queue[at]];
		for (uint32_t k = 0; k < b->next_count; k++) {
			if (!seen[b->next[k]])
				queue[n++] = b->next[k];
			seen[b->next[k]] = 1;
		}
	}
	for (size_t k = 0; k < fn->release_count; k++) {
		const struct gi_ahead *r = &fn->releases[k];
		uint32_t b = fn->block_of[r->site];
		if (seen[b] || (b == here && r->site >= i))
			p->ahead[p->pub.ahead_count++] = *r;
	}
	p->pub.ahead = p->ahead;
	return NULL;
}

static struct gi_error *point_make(struct gi_fn *fn, uint32_t i, bool is_return, struct point *p)
{
	const struct gi_flow_block *b = &fn->blocks[fn->block_of[i]];
	struct gi_error *err;

	p->pub.fn = fn;
	p->pub.reachable = b->seen;
	if (!b->seen)
		return NULL;
	err = run_block(fn, b, i, &p->st);
	if (err)
		return err;
	if (is_return)
		enter_call(fn, p, i);
	memcpy(p->pub.regs, p->st.regs, sizeof(p->pub.regs));
	p->pub.slots = p->st.slots;
	p->pub.slot_count = p->st.slot_count;
	p->pub.facts = p->st.facts;
	p->pub.fact_count = p->st.fact_count;
	p->pub.lost = p->st.lost;
	return fn->release_count ? find_ahead(fn, i, p) : NULL;
}

const struct gi_point *gi_code_point(struct gi_code *code, uint64_t pc, bool is_return)
{
	uint64_t key = pc << 1 | is_return, v;
	struct gi_error *err;
	uint32_t i;

	if (gi_map_get(&code->points, key, &v))
		return (const struct gi_point *)(uintptr_t)v;
	struct gi_fn *fn = (struct gi_fn *)(uintptr_t)gi_code_fn(code, is_return ? pc - 1 : pc);
	struct point *p = NULL;
	if (fn && find_insn(fn, pc, is_return, &i)) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return NULL;
		err = point_make(fn, i, is_return, p);
		if (!err)
			err = gi_grow(&code->all_points, &code->point_cap, code->point_count + 1,
				      sizeof(*code->all_points));
		if (err) {
			gi_error_ignore(err);
			gi_flow_state_deinit(&p->st);
			free(p->ahead);
			free(p);
			p = NULL;
		} else {
			code->all_points[code->point_count++] = &p->pub;
		}
	}
	gi_error_ignore(gi_map_put(&code->points, key, (uint64_t)(uintptr_t)p));
	return p ? &p->pub : NULL;
}

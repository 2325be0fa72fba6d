// One instruction's effect on the state of a function.
//
// Go's calling convention (ABIInternal) keeps no general register over a call but the stack
// pointer, the frame pointer and g's, so whatever a function still needs lies in a slot of
// its frame. Calls of sync's functions change facts about locks; so do their inlined halves: an
// atomic operation in a range that the inline tree gives to them. A callee's own effect is
// known by its summary.

#include <string.h>

#include "gcore/target.h"
#include "wait/flow.h"

enum { DUFF_MAX_BYTES = 1024 };

/** Where the stack pointer, which must be known, points: an offset from the CFA. */
static int64_t sp_off(const struct gi_fn *fn, uint32_t i)
{
	return -(int64_t)fn->sp[i] - fn->machine->return_size;
}

static gi_value get_reg(struct gi_fn *fn, const struct gi_flow_state *st, uint32_t i, int reg)
{
	if (reg < 0)
		return 0;
	if (reg == fn->machine->sp)
		return fn->sp[i] < 0 ? 0 : gi_value_frame(&fn->values, sp_off(fn, i));
	return st->regs[reg];
}

/** A value that instruction i makes; what was computed from its last one is forgotten. */
static gi_value define(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, int64_t place)
{
	gi_value v = gi_value_def(&fn->values, i, place);

	if (fn->has_loop && v)
		gi_flow_state_forget(st, &fn->values, v);
	return v;
}

static void set_reg(const struct gi_fn *fn, struct gi_flow_state *st, int reg, gi_value v)
{
	if (reg >= 0 && reg != fn->machine->sp)
		st->regs[reg] = v;
}

static void clobber(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, uint32_t regs)
{
	for (int r = 0; regs; r++, regs >>= 1) {
		if (regs & 1)
			set_reg(fn, st, r, define(fn, st, i, r));
	}
}

gi_value gi_flow_address(struct gi_fn *fn, const struct gi_flow_state *st, uint32_t i)
{
	const struct gi_insn *in = &fn->insns[i];

	if (!in->has_mem || in->nowhere)
		return 0;
	if (in->abs)
		return gi_value_const(&fn->values, (uint64_t)in->disp);
	gi_value v = get_reg(fn, st, i, in->base);
	if (in->index >= 0)
		v = gi_value_sum(&fn->values, v, get_reg(fn, st, i, in->index), in->scale);
	return gi_value_add(&fn->values, v, in->disp);
}

static bool is_slot(const struct gi_fn *fn, gi_value addr, int64_t *off_ret)
{
	const struct gi_value_node *n = gi_value_node(&fn->values, addr);

	*off_ret = n->off;
	return n->kind == GI_V_FRAME;
}

/** What a load of `size` bytes yields; remembers what it read from a slot. */
static struct gi_error *load(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, gi_value addr,
			     unsigned size, gi_value *ret)
{
	int64_t off;

	*ret = 0;
	if (is_slot(fn, addr, &off)) {
		*ret = gi_flow_slot_get(st, off, size);
		if (*ret)
			return NULL;
		*ret = define(fn, st, i, (int64_t)((uint64_t)off << 8 | 0xff));
		return size == 8 ? gi_flow_slot_set(st, off, 8, *ret) : NULL;
	}
	if (size == 8)
		*ret = gi_value_load(&fn->values, addr, 0);
	return NULL;
}

static struct gi_error *store(struct gi_fn *fn, struct gi_flow_state *st, gi_value addr,
			      unsigned size, gi_value v)
{
	int64_t off;

	if (!is_slot(fn, addr, &off))
		return NULL;
	return gi_flow_slot_set(st, off, size, v);
}

/** Zeroes, 8 bytes a slot, so that they are found as they are read. */
static struct gi_error *store_zeroes(struct gi_fn *fn, struct gi_flow_state *st, gi_value addr,
				     unsigned size)
{
	gi_value zero = gi_value_const(&fn->values, 0);
	struct gi_error *err = NULL;

	for (unsigned k = 0; k + 8 <= size && !err; k += 8)
		err = store(fn, st, gi_value_add(&fn->values, addr, k), 8, zero);
	return err;
}

static struct gi_error *step_mov(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i)
{
	const struct gi_insn *in = &fn->insns[i];
	gi_value v;

	if (in->has_imm) {
		v = gi_value_const(&fn->values, in->imm);
	} else if (in->has_mem && !in->mem_is_dst) {
		struct gi_error *err = load(fn, st, i, gi_flow_address(fn, st, i), in->size, &v);
		if (err)
			return err;
	} else {
		v = get_reg(fn, st, i, in->src);
		uint8_t kind = gi_value_node(&fn->values, v)->kind;
		// Part of an address is none.
		if (in->size < 8 && kind != GI_V_TRY && kind != GI_V_CONST)
			v = 0;
	}
	if (in->mem_is_dst)
		return store(fn, st, gi_flow_address(fn, st, i), in->size, v);
	set_reg(fn, st, in->dst, v ? v : define(fn, st, i, in->dst));
	return NULL;
}

static struct gi_error *step_other(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i)
{
	const struct gi_insn *in = &fn->insns[i];
	struct gi_error *err = NULL;
	uint64_t count;
	int64_t off;

	if (in->store == GI_STORE_ONE) {
		gi_value addr = gi_flow_address(fn, st, i);
		err = in->zero_store ? store_zeroes(fn, st, addr, in->size)
				     : store(fn, st, addr, in->size, 0);
	} else if (in->store == GI_STORE_STRING && is_slot(fn, gi_flow_address(fn, st, i), &off)) {
		// As many words as a register says; unknown: to the end of the frame.
		uint64_t size = off < 0 ? (uint64_t)-off : 0;
		if (gi_value_is_const(&fn->values, get_reg(fn, st, i, in->src), &count) &&
		    count < size / 8)
			size = count * 8;
		err = gi_flow_slot_set(st, off, size, 0);
	}
	clobber(fn, st, i, in->writes);
	return err;
}

// --- locks ------------------------------------------------------------------------

static void note_deed(struct gi_fn *fn, uint32_t i, unsigned what, gi_value recv, unsigned kind)
{
	struct gi_flow_deed *d = &fn->deeds[i];

	d->recv = d->what && (d->recv != recv || d->kind != kind) ? 0 : recv;
	d->kind = (uint8_t)kind;
	d->what |= (uint8_t)what;
}

static void acquire(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, gi_value recv,
		    unsigned kind, bool fast)
{
	gi_fn_record(fn,
		     &(struct gi_ahead){
			     .site = i, .kind = (uint8_t)kind, .recv = recv, .is_acquire = true});
	note_deed(fn, i, FLOW_TAKES, recv, kind);
	gi_flow_acquire(st, recv, kind, fn->insns[i].site, fast);
}

static void release(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, gi_value recv,
		    unsigned kind)
{
	const struct gi_lock_fact *f = recv ? gi_flow_fact(st, recv, kind) : NULL;
	bool own = f && (f->state & GI_FACT_HELD), sure = f && f->state == GI_FACT_HELD;

	gi_fn_record(fn,
		     &(struct gi_ahead){
			     .site = i, .kind = (uint8_t)kind, .recv = recv, .is_foreign = !own});
	note_deed(fn, i, FLOW_LETS_GO | (own ? 0 : FLOW_NOT_ITS_OWN) | (sure ? 0 : FLOW_UNSURE),
		  recv, kind);
	gi_flow_release(st, &fn->values, recv, kind, fn->insns[i].site);
}

/** What is inlined at i: of the inlined calls of sync, the outermost. */
static const struct gi_prim *outer_prim(const struct gi_fn *fn, uint32_t i)
{
	return fn->outer[i] ? &fn->prims[fn->outer[i] - 1] : NULL;
}

/**
 * An atomic operation of an inlined function of sync, at addr. *attempt_ret: the value of its
 * outcome, if the function goes by it.
 */
static void atomic_op(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, gi_value addr,
		      bool is_cas, gi_value *attempt_ret)
{
	const struct gi_prim *outer = outer_prim(fn, i);

	*attempt_ret = 0;
	if (!outer || outer->kind == GI_LOCK_GROUP)
		return;
	const struct gi_prim *inner = &fn->prims[fn->inner[i] - 1];
	// Of an RWMutex's write lock only the mutex in it (at its beginning) matters.
	if (outer->kind == GI_LOCK_WRITE && inner->kind != GI_LOCK_MUTEX)
		return;
	if (outer->kind == GI_LOCK_READ)
		addr = gi_value_add(&fn->values, addr, -(int64_t)fn->code->env.reader_count);
	if (outer->op == GI_PRIM_RELEASE || inner->op == GI_PRIM_RELEASE) {
		release(fn, st, i, addr, outer->kind);
	} else if (outer->op == GI_PRIM_ACQUIRE) {
		acquire(fn, st, i, addr, outer->kind, true);
	} else if (outer->op == GI_PRIM_TRY && is_cas) {
		uint32_t site = fn->insns[i].site;
		gi_flow_attempt(st, addr, outer->kind, site);
		*attempt_ret = gi_value_try(&fn->values, site, addr, outer->kind);
	}
}

static void step_atomic(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i)
{
	const struct gi_insn *in = &fn->insns[i];
	gi_value addr = gi_flow_address(fn, st, i), attempt = 0;

	atomic_op(fn, st, i, addr, in->op == GI_OP_CMPXCHG, &attempt);
	gi_error_ignore(store(fn, st, addr, in->size, 0));
	clobber(fn, st, i, in->writes);
	st->flags = (struct gi_flow_flags){.attempt = attempt, .zero_is_success = true};
}

static void step_setz(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i)
{
	const struct gi_insn *in = &fn->insns[i];
	gi_value v = 0;

	if (st->flags.attempt && st->flags.zero_is_success != in->negated)
		v = st->flags.attempt;
	if (in->has_mem)
		gi_error_ignore(store(fn, st, gi_flow_address(fn, st, i), 1, v));
	else
		set_reg(fn, st, in->dst, v ? v : define(fn, st, i, in->dst));
}

static void step_test(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i)
{
	const struct gi_insn *in = &fn->insns[i];
	gi_value v = get_reg(fn, st, i, in->src);

	if (in->has_mem) {
		int64_t off;
		v = 0;
		if (is_slot(fn, gi_flow_address(fn, st, i), &off))
			v = gi_flow_slot_get(st, off, in->size);
	}
	uint64_t mask = in->size < 8 ? (UINT64_C(1) << 8 * in->size) - 1 : UINT64_MAX;
	if (in->bit)
		mask = UINT64_C(1) << (in->bit - 1);
	// The outcome of an attempt is 0 or 1.
	bool is_try = gi_value_node(&fn->values, v)->kind == GI_V_TRY && (mask & 1);
	st->flags = (struct gi_flow_flags){.attempt = is_try ? v : 0, .tested = v, .mask = mask};
}

// --- calls ------------------------------------------------------------------------

gi_value gi_flow_target(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, uint64_t *addr_ret)
{
	const struct gi_insn *in = &fn->insns[i];
	const struct gi_code_env *env = &fn->code->env;
	gi_value v = 0;
	int64_t off;

	*addr_ret = 0;
	if (in->has_imm) {
		*addr_ret = in->target;
		return gi_value_const(&fn->values, in->target);
	}
	if (in->has_mem) {
		gi_value addr = gi_flow_address(fn, st, i);
		v = is_slot(fn, addr, &off) ? gi_flow_slot_get(st, off, 8)
					    : gi_value_load(&fn->values, addr, 0);
	} else {
		v = get_reg(fn, st, i, in->src);
	}
	if (gi_value_is_const(&fn->values, v, addr_ret))
		return v;
	// A static closure, or a table of methods, that is known.
	const struct gi_value_node *n = gi_value_node(&fn->values, v);
	uint64_t base;
	if (n->kind == GI_V_LOAD && gi_value_is_const(&fn->values, n->base, &base))
		env->read_const(env->arg, base + (uint64_t)n->off, addr_ret);
	return v;
}

/** A value of a callee in terms of its caller, NONE if it has none there. */
static gi_value translate(struct gi_fn *fn, const struct gi_flow_state *st,
			  const struct gi_values *cvs, gi_value v)
{
	const struct gi_value_node *n = gi_value_node(cvs, v);
	gi_value base;
	int64_t off;

	switch ((enum gi_value_kind)n->kind) {
	case GI_V_CONST:
		return gi_value_const(&fn->values, (uint64_t)n->off);
	case GI_V_ENTRY:
		return n->reg == fn->machine->sp ? 0 : st->regs[n->reg];
	case GI_V_ADD:
		return gi_value_add(&fn->values, translate(fn, st, cvs, n->base), n->off);
	case GI_V_LOAD:
		base = gi_value_add(&fn->values, translate(fn, st, cvs, n->base), n->off);
		if (is_slot(fn, base, &off))
			return gi_flow_slot_get(st, off, 8);
		return gi_value_load(&fn->values, base, 0);
	case GI_V_SUM:
		base = translate(fn, st, cvs, n->base);
		return gi_value_sum(&fn->values, base, translate(fn, st, cvs, n->site), n->reg);
	case GI_V_NONE:
	case GI_V_FRAME:
	case GI_V_DEF:
	case GI_V_PHI:
	case GI_V_TRY:
		break;
	}
	return 0;
}

/** A call whose callee shows only with the values of a real frame. */
static void unresolved_call(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, gi_value callee,
			    gi_value recv, gi_value ctx, gi_value data)
{
	size_t key = 0;

	if (gi_value_node(&fn->values, callee)->kind != GI_V_LOAD || (!recv && !ctx))
		return;
	gi_fn_record(fn, &(struct gi_ahead){.site = i,
					    .is_call = true,
					    .recv = recv,
					    .callee = callee,
					    .ctx = ctx,
					    .data = data});
	while (key < fn->key_count &&
	       (fn->keys[key][0] != callee || fn->keys[key][1] != recv || fn->keys[key][2] != ctx))
		key++;
	if (key == FLOW_MAX_KEYS) {
		st->lost = true;
		return;
	}
	if (key == fn->key_count) {
		fn->keys[key][0] = callee;
		fn->keys[key][1] = recv;
		fn->keys[key][2] = ctx;
		fn->key_count++;
	}
	struct gi_lock_fact *f = NULL;
	for (size_t k = 0; k < st->fact_count; k++) {
		if (st->facts[k].is_call && st->facts[k].key == key)
			f = &st->facts[k];
		else
			st->facts[k].after |= UINT64_C(1) << key;
	}
	if (!f)
		f = gi_flow_fact_add(st);
	if (!f)
		return;
	*f = (struct gi_lock_fact){.is_call = true,
				   .callee = callee,
				   .recv = recv,
				   .ctx = ctx,
				   .data = data,
				   .key = (uint8_t)key,
				   .state = GI_FACT_HELD,
				   .site = i,
				   .ret = -1};
}

static void apply_fact(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i,
		       const struct gi_values *cvs, const struct gi_lock_fact *c)
{
	gi_value recv = translate(fn, st, cvs, c->recv);

	if (c->ret >= 0)
		recv = gi_value_add(&fn->values, gi_value_def(&fn->values, i, c->ret), c->ret_off);
	if (c->is_call) {
		unresolved_call(fn, st, i, translate(fn, st, cvs, c->callee), recv,
				translate(fn, st, cvs, c->ctx), translate(fn, st, cvs, c->data));
		return;
	}
	struct gi_lock_fact *f = recv ? gi_flow_fact(st, recv, c->kind) : NULL;
	uint8_t before = f ? f->state : GI_FACT_UNTOUCHED;
	// Taken and released by the callee on some ways, and not touched on the others.
	if (c->state == (GI_FACT_RELEASED | GI_FACT_UNTOUCHED) && !c->is_foreign)
		return;
	if (c->state == GI_FACT_RELEASED && !c->is_foreign) {
		// Taken and released by the callee: nothing has changed, but it was free.
		note_deed(fn, i, FLOW_BORROWS, recv, c->kind);
		f = recv && !f ? gi_flow_fact_add(st) : NULL;
		if (f) {
			f->recv = recv;
			f->kind = c->kind;
			f->state = GI_FACT_RELEASED;
			f->site = i;
		}
		return;
	}
	if (c->state & GI_FACT_RELEASED) {
		// Whose it is that the callee lets go of is seen in the callee.
		note_deed(fn, i, FLOW_LETS_GO | FLOW_UNSURE, recv, c->kind);
		gi_fn_record(fn, &(struct gi_ahead){.site = i,
						    .kind = c->kind,
						    .recv = recv,
						    .is_foreign = !(before & GI_FACT_HELD)});
		gi_flow_release(st, &fn->values, recv, c->kind, i);
	}
	if (c->state & GI_FACT_HELD)
		acquire(fn, st, i, recv, c->kind, false);
	f = recv ? gi_flow_fact(st, recv, c->kind) : NULL;
	if (!f)
		return;
	f->state = c->state & (GI_FACT_HELD | GI_FACT_RELEASED);
	if (f->state != GI_FACT_HELD)
		f->under = 0;
	if (c->state & GI_FACT_UNTOUCHED)
		f->state |= before;
}

static void apply_callee(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, uint64_t addr)
{
	const struct gi_fn *callee = gi_code_callee(fn->code, addr);
	const struct gi_lock_fact *facts;
	size_t n;

	if (!callee || !gi_fn_summary(callee, &facts, &n))
		return;
	for (size_t k = 0; k < n; k++)
		apply_fact(fn, st, i, gi_fn_values(callee), &facts[k]);
}

/** A call of sync's: true if it was one. *result: what it will return, if it matters. */
static bool call_prim(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, struct gi_prim prim,
		      gi_value *result)
{
	gi_value recv = st->regs[fn->machine->int_args[0]];
	uint64_t added;

	if (prim.bound) {
		gi_value ctx = st->regs[fn->machine->closure];
		int64_t off;
		recv = is_slot(fn, ctx, &off) ? gi_flow_slot_get(st, off + 8, 8)
					      : gi_value_load(&fn->values, ctx, 8);
	}
	switch (prim.op) {
	case GI_PRIM_NONE:
		return false;
	case GI_PRIM_HARMLESS:
		break;
	case GI_PRIM_ACQUIRE:
		acquire(fn, st, i, recv, prim.kind, false);
		break;
	case GI_PRIM_RELEASE:
		release(fn, st, i, recv, prim.kind);
		break;
	case GI_PRIM_COND:
		recv = gi_value_load(&fn->values, recv, (int64_t)fn->code->env.cond_lock);
		gi_fn_record(fn, &(struct gi_ahead){
					 .site = i, .kind = (uint8_t)prim.kind, .recv = recv});
		note_deed(fn, i, FLOW_LETS_GO | FLOW_UNSURE, recv, prim.kind);
		break;
	case GI_PRIM_ADD:
		if (gi_value_is_const(&fn->values, st->regs[fn->machine->int_args[1]], &added) &&
		    added == UINT64_MAX)
			release(fn, st, i, recv, prim.kind);
		break;
	case GI_PRIM_TRY:
		if (fn->has_loop)
			gi_flow_state_forget(st, &fn->values,
					     gi_value_try(&fn->values, i, recv, prim.kind));
		gi_flow_attempt(st, recv, prim.kind, i);
		*result = gi_value_try(&fn->values, i, recv, prim.kind);
		break;
	case GI_PRIM_SLOW:
		// The fast path has said it already; after the call it holds on both ways.
		for (size_t k = 0; k < st->fact_count; k++) {
			if (st->facts[k].fast && !st->facts[k].is_try)
				st->facts[k].fast = 0;
		}
		if (!prim.sema && !gi_flow_fact(st, recv, prim.kind) && !outer_prim(fn, i))
			acquire(fn, st, i, recv, prim.kind, false);
		break;
	}
	return true;
}

static bool contains(const char *s, const char *part)
{
	return strstr(s, part) != NULL;
}

/** A call that wakes others, for those who look ahead. Releases need the room more. */
static void wake(struct gi_fn *fn, const struct gi_flow_state *st, uint32_t i, unsigned kind)
{
	const gi_value recv = st->regs[fn->machine->int_args[0]];

	if (kind && recv && fn->release_count < FLOW_MAX_RELEASES / 2)
		gi_fn_record(fn,
			     &(struct gi_ahead){.site = i, .kind = (uint8_t)kind, .recv = recv});
}

static struct gi_error *step_call(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i)
{
	const struct gi_code_env *env = &fn->code->env;
	const struct gi_machine *m = fn->machine;
	struct gi_code_func f = {0};
	struct gi_error *err = NULL;
	gi_value result = 0;
	uint64_t addr;
	int64_t off;

	// What the callee returns is new in each round.
	for (size_t k = 0; fn->has_loop && k < m->int_arg_count; k++)
		define(fn, st, i, m->int_args[k]);
	gi_value callee = gi_flow_target(fn, st, i, &addr);
	bool known = addr && env->func(env->arg, addr, &f);
	if (known && gi_prim_keeps_regs(f.name)) {
		int to = gi_prim_copies(f.name) ? fn->arch->copy_to : fn->arch->clear_to;
		if (gi_prim_fills(f.name) && is_slot(fn, st->regs[to], &off))
			err = gi_flow_slot_set(st, off, DUFF_MAX_BYTES, 0);
		clobber(fn, st, i, fn->arch->helper_writes);
		return err;
	}
	if (known)
		wake(fn, st, i, gi_prim_wakes(f.name));
	if (!known) {
		// A closure may let go of any lock.
		const struct gi_value_node *n = gi_value_node(&fn->values, callee);
		if (n->kind == GI_V_LOAD && n->base == st->regs[m->closure])
			note_deed(fn, i, FLOW_LETS_GO | FLOW_UNSURE, 0, 0);
		unresolved_call(fn, st, i, callee, st->regs[m->int_args[0]], st->regs[m->closure],
				st->regs[m->int_args[1]]);
	} else if (call_prim(fn, st, i, gi_code_prim(fn->code, f.entry), &result)) {
	} else if (outer_prim(fn, i) && contains(f.name, "atomic.")) {
		// The race detector's build calls what is one instruction elsewhere.
		bool cas = contains(f.name, "CompareAndSwap") || contains(f.name, "Cas");
		if (cas || contains(f.name, "Add") || contains(f.name, "add"))
			atomic_op(fn, st, i, st->regs[m->int_args[0]], cas, &result);
	} else if (strcmp(f.name, "runtime.deferreturn") == 0) {
		gi_flow_after_deferred(st);
	} else {
		apply_callee(fn, st, i, f.entry);
	}

	for (unsigned r = 0; r < fn->arch->reg_count; r++) {
		if (r != m->fp && r != m->g)
			st->regs[r] = 0;
	}
	for (size_t k = 0; k < m->int_arg_count; k++)
		st->regs[m->int_args[k]] = gi_value_def(&fn->values, i, m->int_args[k]);
	if (result)
		st->regs[m->int_args[0]] = result;
	// Stack arguments and results are the callee's to change.
	if (known && f.args && fn->sp[i] >= 0)
		err = gi_flow_slot_set(st, sp_off(fn, i) + m->args_above_cfa, f.args, 0);
	return err;
}

struct gi_error *gi_flow_step(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i)
{
	const struct gi_insn *in = &fn->insns[i];
	struct gi_error *err = NULL;
	gi_value v;

	if (!in->keeps_flags)
		st->flags = (struct gi_flow_flags){0};
	switch ((enum gi_insn_op)in->op) {
	case GI_OP_JCC:
		if (in->src >= 0)
			step_test(fn, st, i);
		break;
	case GI_OP_NOP:
	case GI_OP_JMP:
	case GI_OP_RET:
	case GI_OP_STOP:
		break;
	case GI_OP_OTHER:
		err = step_other(fn, st, i);
		break;
	case GI_OP_MOV:
		err = step_mov(fn, st, i);
		break;
	case GI_OP_LEA:
		v = in->size == 8 ? gi_flow_address(fn, st, i) : 0;
		set_reg(fn, st, in->dst, v ? v : define(fn, st, i, in->dst));
		break;
	case GI_OP_ADD:
		v = gi_value_add(&fn->values, get_reg(fn, st, i, in->dst), (int64_t)in->imm);
		set_reg(fn, st, in->dst, v ? v : define(fn, st, i, in->dst));
		break;
	case GI_OP_ZERO:
		set_reg(fn, st, in->dst, gi_value_const(&fn->values, 0));
		break;
	case GI_OP_TEST:
		step_test(fn, st, i);
		break;
	case GI_OP_SETZ:
		step_setz(fn, st, i);
		break;
	case GI_OP_CMPXCHG:
	case GI_OP_XADD:
		step_atomic(fn, st, i);
		break;
	case GI_OP_CALL:
		err = step_call(fn, st, i);
		break;
	}
	return err;
}

// What a goroutine's pending deferred calls would release.
//
// A deferred method value is a closure of sync's own; anything else is a wrapper or a function
// literal, whose summary tells what it releases in terms of what it has captured.

#include <string.h>

#include "gcore/target.h"
#include "wait/owners.h"

enum order { UNKNOWN, TAKEN_BEFORE, TAKEN_AFTER };

/**
 * The code of frame i has the lock on some ways. When was it taken, before the call was deferred
 * that will release it, or is that still to come? Each such call is for one acquisition.
 */
static enum order order_of(struct gi_search *s, size_t i, const struct gi_local *l,
			   const struct gi_pending *p)
{
	const struct gi_point *here = gi_wait_point(&s->gr->env, &s->fs.f[i]);
	const struct gi_point *then = p->pc ? gi_code_point(s->gr->env.code, p->pc, true) : NULL;

	if (!here || !l->site || l->site_frame != i)
		return UNKNOWN;
	// Such a call is deferred once at most.
	if (p->open_coded && !gi_point_leads_to(here, l->site - 1))
		return TAKEN_BEFORE;
	if (!then || !then->reachable || then->fn != here->fn)
		return UNKNOWN;
	for (size_t k = 0; k < then->fact_count; k++) {
		const struct gi_lock_fact *f = &then->facts[k];
		if (!f->is_call && f->state == GI_FACT_HELD && f->site + 1 == l->site &&
		    gi_owners_mode(f->kind) == l->mode)
			return TAKEN_BEFORE;
	}
	return gi_point_between(then, l->site - 1, here) ? UNKNOWN : TAKEN_AFTER;
}

/**
 * The code of the frame has let go of the lock by itself: true if it had done so already when the
 * call was deferred. Else the call has nothing to release.
 */
static bool free_before(struct gi_search *s, const struct gi_local *l, const struct gi_pending *p)
{
	const struct gi_point *then = p->pc ? gi_code_point(s->gr->env.code, p->pc, true) : NULL;

	for (size_t k = 0; then && then->reachable && k < then->fact_count; k++) {
		const struct gi_lock_fact *f = &then->facts[k];
		if (!f->is_call && !(f->state & GI_FACT_HELD) && (f->state & GI_FACT_RELEASED) &&
		    f->site + 1 == l->free_site)
			return true;
	}
	return false;
}

/**
 * True if the code of frame i surely had a lock of the kind when the call was deferred that may be
 * this one, as far as the frame tells.
 */
static bool had_one(struct gi_search *s, size_t i, const struct gi_pending *p, unsigned kind,
		    uint64_t addr)
{
	struct gi_wait_env *env = &s->gr->env;
	const struct gi_point *here = gi_wait_point(env, &s->fs.f[i]);
	const struct gi_point *then = p->pc ? gi_code_point(env->code, p->pc, true) : here;
	uint64_t other;
	bool reread;

	if (!here || !then || !then->reachable || then->fn != here->fn)
		return false;
	for (size_t k = 0; k < then->fact_count; k++) {
		const struct gi_lock_fact *f = &then->facts[k];
		if (f->state != GI_FACT_HELD || (!f->is_call && f->kind != kind))
			continue;
		if (f->is_call ||
		    !gi_wait_eval(env, &s->fs, i, here, f->recv, &other, &reread) || other == addr)
			return true;
	}
	return false;
}

static void deferred_release(struct gi_search *s, size_t i, const struct gi_pending *p,
			     uint64_t addr, unsigned kind)
{
	struct gi_local *l = gi_owners_local(s, addr, kind, true);
	const struct gi_phys *f = &s->fs.f[i];

	if (!l)
		return;
	// What sync's own code defers, its caller is told to have.
	bool in_sync = strncmp(f->name, "sync.", 5) == 0;
	for (size_t k = i + 1; in_sync && k < s->fs.n && strncmp(f->name, "sync.", 5) == 0; k++)
		f = &s->fs.f[k];
	bool here = (l->by_code || l->by_maybe) && l->frame_pc == f->lookup_pc;
	if (!l->by_code && kind != GI_LOCK_GROUP && l->free_site && l->free_frame == i &&
	    !free_before(s, l, p))
		return;
	if (!l->by_code && kind != GI_LOCK_GROUP) {
		enum order order = order_of(s, i, l, p);
		if (order == TAKEN_BEFORE && !here) {
			here = l->by_maybe = true;
			l->site_pc =
				gi_fn_site_pc(gi_code_fn(s->gr->env.code, f->entry), l->site - 1);
		}
		if (order == TAKEN_AFTER)
			here = l->by_maybe = false;
	}
	bool unnamed = false;
	if (!here && kind != GI_LOCK_GROUP &&
	    (gi_owners_acquiring(s, i) == addr ||
	     gi_owners_takes_later(s, i, kind, addr, &unnamed)))
		return;
	// Deferred before it is taken: a function that takes locks and has not taken this one.
	const struct gi_fn *fn =
		kind == GI_LOCK_GROUP ? NULL : gi_code_fn(s->gr->env.code, s->fs.f[i].entry);
	// Once's own code defers it after it has taken it.
	if (!here && !in_sync && fn && gi_fn_acquires(fn)) {
		// It may be that of which it cannot be told which it is.
		if (unnamed && !had_one(s, i, p, kind, addr))
			return;
		l->by_maybe = !l->by_code;
	} else {
		l->by_defer = true;
		l->by_maybe |= in_sync && !l->by_code;
	}
	if (!l->function) {
		l->frame_pc = f->lookup_pc;
		l->function = f->name;
	}
	l->exact = true;
	l->kept = false;
}

/** A call of a method of sync's that only the closure's values tell; false if it is none of op. */
static bool closure_call(struct gi_wait_env *env, const struct gi_values *vs,
			 const struct gi_lock_fact *f, enum gi_prim_op op, uint64_t closure,
			 unsigned *kind_ret, uint64_t *addr_ret)
{
	uint64_t callee, addr;

	if (!gi_wait_eval_closure(env, vs, f->callee, closure, &callee))
		return false;
	struct gi_prim prim = gi_code_prim(env->code, callee);
	if (prim.op != op)
		return false;
	bool ok = prim.bound ? gi_wait_eval_closure(env, vs, f->ctx, closure, &addr) &&
				       gi_target_peek_u64(env->t, addr + 8, &addr)
			     : gi_wait_eval_closure(env, vs, f->recv, closure, &addr);
	if (!ok)
		return false;
	*kind_ret = prim.kind;
	*addr_ret = addr;
	return true;
}

/** True if the closure's function takes the lock itself before it makes that call. */
static bool takes_first(struct gi_wait_env *env, const struct gi_fn *fn,
			const struct gi_lock_fact *call, unsigned kind, uint64_t addr,
			uint64_t closure)
{
	const struct gi_lock_fact *facts;
	unsigned other_kind;
	uint64_t other;
	size_t n;

	if (!gi_fn_summary(fn, &facts, &n))
		return false;
	for (size_t k = 0; k < n; k++) {
		const struct gi_lock_fact *f = &facts[k];
		if (f->is_call && (f->after >> call->key & 1) &&
		    closure_call(env, gi_fn_values(fn), f, GI_PRIM_ACQUIRE, closure, &other_kind,
				 &other) &&
		    other_kind == kind && other == addr)
			return true;
	}
	return false;
}

/** One effect of a pending closure's function, with the closure's values. */
static void closure_fact(struct gi_search *s, size_t i, const struct gi_fn *fn,
			 const struct gi_lock_fact *f, const struct gi_pending *p)
{
	struct gi_wait_env *env = &s->gr->env;
	struct gi_values *vs = gi_fn_values(fn);
	unsigned kind;
	uint64_t addr;

	if (!f->is_call) {
		if ((f->state & (GI_FACT_RELEASED | GI_FACT_HELD)) == GI_FACT_RELEASED &&
		    f->is_foreign && f->ret < 0 &&
		    gi_wait_eval_closure(env, vs, f->recv, p->closure, &addr))
			deferred_release(s, i, p, addr, f->kind);
		return;
	}
	if (closure_call(env, vs, f, GI_PRIM_RELEASE, p->closure, &kind, &addr) &&
	    !takes_first(env, fn, f, kind, addr, p->closure))
		deferred_release(s, i, p, addr, kind);
}

static void pending_closure(struct gi_search *s, size_t i, const struct gi_pending *p)
{
	const uint64_t closure = p->closure;
	struct gi_wait_env *env = &s->gr->env;
	const struct gi_lock_fact *facts;
	uint64_t entry, addr;
	size_t n;

	if (!gi_target_peek_u64(env->t, closure, &entry))
		return;
	struct gi_prim prim = gi_code_prim(env->code, entry);
	if (prim.op == GI_PRIM_RELEASE && prim.bound) {
		if (gi_target_peek_u64(env->t, closure + 8, &addr))
			deferred_release(s, i, p, addr, prim.kind);
		return;
	}
	if (!gi_code_may_touch(env->code, entry))
		return;
	const struct gi_fn *fn = gi_code_fn(env->code, entry);
	if (!fn || gi_fn_entry(fn) != entry || !gi_fn_summary(fn, &facts, &n))
		return;
	for (size_t k = 0; k < n; k++)
		closure_fact(s, i, fn, &facts[k], p);
}

void gi_owners_defers(struct gi_search *s, size_t i)
{
	for (size_t k = 0; k < s->pending.n; k++) {
		if (s->pending.p[k].frame == i)
			pending_closure(s, i, &s->pending.p[k]);
	}
	if (!i || strcmp(s->fs.f[i - 1].name, "runtime.deferreturn") != 0)
		return;
	for (size_t k = 0; k < s->local_count; k++) {
		struct gi_local *l = &s->local[k];
		if (!l->by_defer && l->frame_pc == s->fs.f[i].lookup_pc)
			gi_owners_drop(l);
	}
}

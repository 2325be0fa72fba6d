// What the code of a frame's function has taken and released on the way to where it is, and what
// it may come to release.

#include <string.h>

#include "gcore/target.h"
#include "wait/owners.h"

/** What a call whose callee only values tell does to locks. */
struct effect {
	bool acquires, certain;
	unsigned kind;
	uint64_t addr;
};
enum { MAX_EFFECTS = 8 };

struct call {
	gi_value callee, recv, ctx, data;
};

static size_t prim_effect(struct gi_search *s, struct gi_prim prim, bool has_recv, uint64_t recv,
			  bool has_ctx, uint64_t ctx, struct effect *ret)
{
	if (prim.op != GI_PRIM_ACQUIRE && prim.op != GI_PRIM_RELEASE)
		return 0;
	*ret = (struct effect){.acquires = prim.op == GI_PRIM_ACQUIRE,
			       .certain = true,
			       .kind = prim.kind,
			       .addr = recv};
	if (prim.bound)
		return has_ctx && gi_target_peek_u64(s->gr->env.t, ctx + 8, &ret->addr);
	return has_recv;
}

/**
 * What a method that the compiler wrote for an interface's does: it calls the one of the value's
 * type, which the interface's first word, a table, tells; its second is what that is called with.
 * The call is all that such a method has in its summary.
 */
static bool method_effect(struct gi_search *s, const struct gi_fn *fn, const struct gi_lock_fact *f,
			  uint64_t table, uint64_t data, struct effect *ret)
{
	const struct gi_machine *m = s->gr->env.machine;
	const struct gi_values *vs = gi_fn_values(fn);
	const struct gi_value_node *callee = gi_value_node(vs, f->callee);
	const struct gi_value_node *recv = gi_value_node(vs, f->recv), *of;
	uint64_t method;

	if (callee->kind != GI_V_LOAD || recv->kind != GI_V_ENTRY || recv->reg != m->int_args[1])
		return false;
	of = gi_value_node(vs, callee->base);
	return of->kind == GI_V_ENTRY && of->reg == m->int_args[0] && f->state == GI_FACT_HELD &&
	       gi_target_peek_u64(s->gr->env.t, table + (uint64_t)callee->off, &method) &&
	       prim_effect(s, gi_code_prim(s->gr->env.code, method), true, data, false, 0, ret);
}

/** True if all calls that are made by one table are known to be made for the same value. */
static bool one_value(const struct gi_point *pt, const struct call *c)
{
	for (size_t k = 0; k < pt->fact_count; k++) {
		const struct gi_lock_fact *f = &pt->facts[k];
		if (f->is_call && f->recv == c->recv && f->data != c->data)
			return false;
	}
	return c->recv && c->data;
}

/** The effects of a call at frame i, by its callee's name or summary; returns how many. */
static size_t effects(struct gi_search *s, size_t i, const struct gi_point *pt, struct call c,
		      struct effect *ret)
{
	struct gi_wait_env *env = &s->gr->env;
	uint64_t callee, recv = 0, ctx = 0, data = 0;
	const struct gi_lock_fact *facts;
	size_t n = 0, count;
	bool reread;

	if (!gi_wait_eval(env, &s->fs, i, pt, c.callee, &callee, &reread))
		return 0;
	bool has_recv = gi_wait_eval(env, &s->fs, i, pt, c.recv, &recv, &reread);
	bool has_ctx = gi_wait_eval(env, &s->fs, i, pt, c.ctx, &ctx, &reread);
	struct gi_prim prim = gi_code_prim(env->code, callee);
	if (prim.op != GI_PRIM_NONE)
		return prim_effect(s, prim, has_recv, recv, has_ctx, ctx, ret);
	const bool has_data = gi_wait_eval(env, &s->fs, i, pt, c.data, &data, &reread);
	// A function literal: what it does with what it has captured.
	const struct gi_fn *fn = has_ctx && gi_code_may_touch(env->code, callee)
					 ? gi_code_fn(env->code, callee)
					 : NULL;
	if (!fn || gi_fn_entry(fn) != callee || !gi_fn_summary(fn, &facts, &count))
		return 0;
	for (size_t k = 0; k < count && n < MAX_EFFECTS; k++) {
		const struct gi_lock_fact *f = &facts[k];
		uint8_t done = f->state & (GI_FACT_HELD | GI_FACT_RELEASED);
		if (f->is_call && count == 1 && has_recv && has_data && one_value(pt, &c) &&
		    method_effect(s, fn, f, recv, data, &ret[n]))
			return 1;
		if (f->is_call || f->ret >= 0 ||
		    (done != GI_FACT_HELD && done != GI_FACT_RELEASED) ||
		    !gi_wait_eval_closure(env, gi_fn_values(fn), f->recv, ctx, &ret[n].addr))
			continue;
		if (done == GI_FACT_RELEASED && !f->is_foreign)
			continue;
		ret[n].acquires = done == GI_FACT_HELD;
		ret[n].certain = f->state == done;
		ret[n++].kind = f->kind;
	}
	return n;
}

/** True if frame i, at a release ahead, releases this lock. */
static bool ahead_is(struct gi_search *s, size_t i, const struct gi_point *pt,
		     const struct gi_ahead *r, unsigned kind, uint64_t addr)
{
	struct effect e[MAX_EFFECTS];
	uint64_t other;
	bool reread;

	if (r->is_acquire)
		return false;
	if (!r->is_call)
		return r->kind == kind &&
		       gi_wait_eval(&s->gr->env, &s->fs, i, pt, r->recv, &other, &reread) &&
		       other == addr;
	size_t n = effects(s, i, pt, (struct call){r->callee, r->recv, r->ctx, r->data}, e);
	for (size_t k = 0; k < n; k++) {
		if (!e[k].acquires && e[k].kind == kind && e[k].addr == addr)
			return true;
	}
	return false;
}

/** True if the code may come to release the lock again: who keeps a lock hands it on. */
static bool released_ahead(struct gi_search *s, size_t i, const struct gi_point *pt, gi_value recv,
			   unsigned kind, uint64_t addr)
{
	for (size_t n = 0; n < pt->ahead_count; n++) {
		const struct gi_ahead *r = &pt->ahead[n];
		if (!r->is_call && !r->is_acquire && r->kind == kind && recv && r->recv == recv)
			return true;
		if (ahead_is(s, i, pt, r, kind, addr))
			return true;
	}
	return false;
}

// --- taking up facts ------------------------------------------------------------------

static void take(struct gi_search *s, struct gi_local *l, size_t i, uint64_t site_pc, bool must,
		 bool exact)
{
	const struct gi_phys *f = &s->fs.f[i];

	l->by_code = must;
	l->by_maybe = !must;
	l->exact = exact;
	l->free_site = 0;
	l->site_pc = site_pc;
	l->frame_pc = f->lookup_pc;
	l->function = f->name;
}

void gi_owners_drop(struct gi_local *l)
{
	l->by_code = l->by_maybe = l->by_defer = l->kept = false;
}

/** The code of frame i has surely let go of it, at an instruction. */
static void let_go(struct gi_local *l, size_t i, uint32_t site)
{
	gi_owners_drop(l);
	l->free_site = site + 1;
	l->free_frame = (uint32_t)i;
}

/**
 * A release through another value came after the lock was taken: where, if it was of this lock. If
 * that cannot be told, *must becomes false. NULL if there is none that is known.
 */
static const struct gi_lock_fact *released_by_another(struct gi_search *s, size_t i,
						      const struct gi_point *pt,
						      const struct gi_lock_fact *f, uint64_t addr,
						      bool *must)
{
	uint64_t other;
	bool reread;

	for (size_t k = 0; k < pt->fact_count; k++) {
		const struct gi_lock_fact *o = &pt->facts[k];
		if (o == f || o->is_call || o->kind != f->kind || !(o->state & GI_FACT_RELEASED) ||
		    !o->is_foreign)
			continue;
		if (!gi_wait_eval(&s->gr->env, &s->fs, i, pt, o->recv, &other, &reread))
			*must = false;
		else if (other == addr)
			return o;
	}
	return NULL;
}

/** The length of a function's package in its name. */
static size_t package_length(const char *name)
{
	size_t end = strcspn(name, "[("), n = 0;

	for (size_t i = 0; i < end; i++) {
		if (name[i] == '/')
			n = i + 1;
	}
	return n + strcspn(name + n, ".") + 1;
}

/** True if code of fn's package, or a bound method, lets go of the lock at addr for others. */
static bool let_go_by_others(struct gi_search *s, const struct gi_fn *fn, uint64_t addr,
			     unsigned kind)
{
	static const char *const bound[] = {
		[GI_LOCK_MUTEX] = "sync.(*Mutex).Unlock-fm",
		[GI_LOCK_WRITE] = "sync.(*RWMutex).Unlock-fm",
		[GI_LOCK_READ] = "sync.(*RWMutex).RUnlock-fm",
		[GI_LOCK_GROUP] = "sync.(*WaitGroup).Done-fm",
	};
	enum { MAX_PACKAGE = 2048 }; // functions with locks that are looked at in a package
	struct gi_wait_env *env = &s->gr->env;
	const char *name = gi_fn_name(fn);
	size_t len = package_length(name), n = gi_functab_count(env->ft), looked = 0;
	struct gi_func f;
	uint64_t known;

	if (gi_map_get(&s->passed, gi_owners_key(addr, kind), &known))
		return known;
	known = gi_functab_find_name(env->ft, bound[kind], &f);
	for (size_t i = 0; i < n && !known && looked < MAX_PACKAGE; i++) {
		if (!gi_functab_func(env->ft, i, &f) || strncmp(f.name, name, len) != 0 ||
		    !gi_code_may_touch(env->code, f.entry))
			continue;
		const struct gi_fn *other = gi_code_fn(env->code, f.entry);
		looked++;
		known = other && gi_fn_lets_go(other, addr, kind);
	}
	gi_error_ignore(gi_map_put(&s->passed, gi_owners_key(addr, kind), known));
	return known;
}

/** True if v names the same thing wherever the function is. */
static bool is_fixed(const struct gi_point *pt, gi_value v)
{
	const struct gi_values *vs = gi_fn_values(pt->fn);
	int64_t off;
	uint8_t kind = gi_value_node(vs, gi_value_split(vs, v, &off))->kind;

	return kind == GI_V_CONST || kind == GI_V_ENTRY;
}

/**
 * The lock is about to be taken, and may have been taken by then: by mistake, if the code lets go
 * of it twice later. Else its two ways to the lock exclude each other, as far as anybody knows.
 */
static bool may_take_again(const struct gi_point *pt, const struct gi_lock_fact *f)
{
	// In a loop over locks an earlier turn's may be told by the name of the one under way.
	if (!is_fixed(pt, f->recv) && gi_point_leads_to(pt, f->site))
		return false;
	return gi_point_released_twice(pt, f->recv, f->kind);
}

static void direct_fact(struct gi_search *s, size_t i, const struct gi_place *p,
			const struct gi_lock_fact *f, bool panics)
{
	uint64_t addr;
	bool reread;

	if (f->state == GI_FACT_UNTOUCHED || f->kind == GI_LOCK_GROUP ||
	    !gi_wait_eval(&s->gr->env, &s->fs, i, p->pt, f->recv, &addr, &reread))
		return;
	bool held = f->state & GI_FACT_HELD;
	bool must = f->state == GI_FACT_HELD && !p->pt->lost;
	struct gi_local *l = gi_owners_local(s, addr, f->kind, held);
	if (!l)
		return;
	if (held) {
		l->site = f->site + 1;
		l->site_frame = (uint32_t)i;
		l->after = f->after;
	}
	if (held && f->state != GI_FACT_HELD && gi_owners_acquiring(s, i) == addr &&
	    !may_take_again(p->pt, f))
		return;
	// What is taken only behind this place has been taken if the loop came by before, in a turn
	// of which nothing is known.
	if (held && f->state != GI_FACT_HELD && gi_point_precedes(p->pt, f->site))
		return;
	// Nor has anybody, as far as is known, what he takes in any case before he lets go of it.
	if (held && f->state != GI_FACT_HELD && gi_point_takes_again(p->pt, f->recv, f->kind))
		return;
	if (held && gi_fn_passes_on(p->pt->fn, f->site, f->recv, f->kind) &&
	    let_go_by_others(s, p->pt->fn, addr, f->kind))
		return;
	const struct gi_lock_fact *other =
		held && f->doubt ? released_by_another(s, i, p->pt, f, addr, &must) : NULL;
	if (other && other->state == GI_FACT_RELEASED) {
		let_go(l, i, other->site);
	} else if (other) {
		gi_owners_drop(l);
	} else if (held && !(panics && p->has_defers)) {
		take(s, l, i, gi_fn_site_pc(p->pt->fn, f->site), must, !reread);
		l->kept = !released_ahead(s, i, p->pt, f->recv, f->kind, addr);
	} else if (f->state == GI_FACT_RELEASED && f->is_foreign) {
		let_go(l, i, f->site);
	} else if ((f->state & GI_FACT_RELEASED) && f->is_foreign) {
		l->by_maybe = l->by_maybe || l->by_code;
		l->by_code = false;
	}
}

static bool released_after(struct gi_search *s, size_t i, const struct gi_point *pt,
			   const struct gi_lock_fact *f, const struct effect *taken)
{
	struct effect e[MAX_EFFECTS];

	for (size_t k = 0; k < pt->fact_count; k++) {
		const struct gi_lock_fact *o = &pt->facts[k];
		if (!o->is_call || !(f->after >> o->key & 1))
			continue;
		size_t n = effects(s, i, pt, (struct call){o->callee, o->recv, o->ctx, o->data}, e);
		for (size_t x = 0; x < n; x++) {
			if (!e[x].acquires && e[x].kind == taken->kind && e[x].addr == taken->addr)
				return true;
		}
	}
	return false;
}

static void call_fact(struct gi_search *s, size_t i, const struct gi_place *p,
		      const struct gi_lock_fact *f, bool panics)
{
	struct effect e[MAX_EFFECTS];
	size_t n = effects(s, i, p->pt, (struct call){f->callee, f->recv, f->ctx, f->data}, e);

	for (size_t k = 0; k < n; k++) {
		struct gi_local *l = gi_owners_local(s, e[k].addr, e[k].kind, e[k].acquires);
		if (!l)
			continue;
		if (!e[k].acquires) {
			// Not if it was taken since.
			if (!l->site || l->site_frame != i || l->after >> f->key & 1)
				gi_owners_drop(l);
		} else if (!released_after(s, i, p->pt, f, &e[k]) && !(panics && p->has_defers)) {
			take(s, l, i, gi_fn_site_pc(p->pt->fn, f->site),
			     f->state == GI_FACT_HELD && e[k].certain && !p->pt->lost, false);
			l->kept = !released_ahead(s, i, p->pt, 0, e[k].kind, e[k].addr);
		}
	}
}

/** The one lock of a kind that the code has taken and that is not found in the frame; NULL if none.
 */
static const struct gi_lock_fact *nameless(struct gi_search *s, size_t i, const struct gi_point *pt,
					   unsigned kind)
{
	const struct gi_lock_fact *found = NULL;
	uint64_t addr;
	bool reread;

	for (size_t k = 0; k < pt->fact_count; k++) {
		const struct gi_lock_fact *f = &pt->facts[k];
		if (f->is_call || f->kind != kind || f->state != GI_FACT_HELD ||
		    gi_wait_eval(&s->gr->env, &s->fs, i, pt, f->recv, &addr, &reread))
			continue;
		if (found)
			return NULL;
		found = f;
	}
	return found;
}

/**
 * A function that returns the way to unlock leaves its caller with a function value alone: what
 * that will release is the lock that was taken.
 */
static void value_ahead(struct gi_search *s, size_t i, const struct gi_place *p,
			const struct gi_ahead *a)
{
	struct effect e[MAX_EFFECTS];
	size_t n = effects(s, i, p->pt, (struct call){a->callee, a->recv, a->ctx, a->data}, e);

	for (size_t k = 0; k < n; k++) {
		const struct gi_lock_fact *f =
			e[k].acquires ? NULL : nameless(s, i, p->pt, e[k].kind);
		struct gi_local *l = f ? gi_owners_local(s, e[k].addr, e[k].kind, true) : NULL;
		bool unnamed;
		if (!l || l->by_code || l->by_maybe ||
		    gi_owners_takes_later(s, i, e[k].kind, e[k].addr, &unnamed))
			continue;
		take(s, l, i, gi_fn_site_pc(p->pt->fn, f->site), false, false);
	}
}

void gi_owners_code(struct gi_search *s, size_t i, const struct gi_place *p, bool panics)
{
	for (size_t k = 0; k < p->pt->fact_count; k++) {
		if (!p->pt->facts[k].is_call)
			direct_fact(s, i, p, &p->pt->facts[k], panics);
	}
	// What a call of a function value released is taken as released, whatever came after it.
	for (size_t k = 0; k < p->pt->fact_count; k++) {
		if (p->pt->facts[k].is_call)
			call_fact(s, i, p, &p->pt->facts[k], panics);
	}
	for (size_t k = 0; k < p->pt->ahead_count && !panics; k++) {
		if (p->pt->ahead[k].is_call)
			value_ahead(s, i, p, &p->pt->ahead[k]);
	}
}

// --- special places ---------------------------------------------------------------------

static bool is_lock_method(struct gi_search *s, uint64_t entry)
{
	struct gi_prim p = gi_code_prim(s->gr->env.code, entry);

	return p.op == GI_PRIM_ACQUIRE || p.op == GI_PRIM_RELEASE;
}

/**
 * The lock that belongs to the Cond in whose Wait frame i is; false if it is not known, or is
 * a Locker that is none of sync's and may have any lock in it.
 */
static bool cond_lock(struct gi_search *s, size_t i, uint64_t *ret)
{
	enum { ITAB_FUN = 24 };
	struct gi_wait_env *env = &s->gr->env;
	const struct gi_point *pt = gi_wait_point(env, &s->fs.f[i]);
	const struct gi_phys *callee = i ? &s->fs.f[i - 1] : NULL;
	uint64_t arg, cond, itab, method;
	bool reread;

	if (!callee || !pt || !pt->at_call ||
	    !gi_wait_eval(env, &s->fs, i, pt, gi_wait_first_arg(env, pt), &arg, &reread))
		return false;
	if (strncmp(callee->name, "runtime.", 8) != 0 &&
	    strncmp(callee->name, "sync.runtime_", 13) != 0) {
		// It lets go of the lock and takes it again: with the lock itself.
		*ret = arg;
		return is_lock_method(s, callee->entry);
	}
	// All else is passed its list of waiters.
	cond = arg - env->sync.cond_notify + env->sync.cond_l;
	return gi_target_peek_u64(env->t, cond, &itab) &&
	       gi_target_peek_u64(env->t, itab + ITAB_FUN, &method) && is_lock_method(s, method) &&
	       gi_target_peek_u64(env->t, cond + 8, ret);
}

void gi_owners_cond(struct gi_search *s, size_t i)
{
	uint64_t lock;

	if (!cond_lock(s, i, &lock)) {
		// Any of its locks may be the one.
		for (size_t k = 0; k < s->local_count; k++)
			gi_owners_drop(&s->local[k]);
		return;
	}
	for (unsigned kind = GI_LOCK_MUTEX; kind <= GI_LOCK_READ; kind++) {
		struct gi_local *l = gi_owners_local(s, lock, kind, false);
		if (l)
			gi_owners_drop(l);
	}
}

bool gi_owners_takes_later(struct gi_search *s, size_t i, unsigned kind, uint64_t addr,
			   bool *unnamed_ret)
{
	const struct gi_point *pt = gi_wait_point(&s->gr->env, &s->fs.f[i]);
	struct effect e[MAX_EFFECTS];
	uint64_t other;
	bool reread;

	*unnamed_ret = false;
	for (size_t k = 0; pt && k < pt->ahead_count; k++) {
		const struct gi_ahead *a = &pt->ahead[k];
		size_t n = a->is_call
				   ? effects(s, i, pt,
					     (struct call){a->callee, a->recv, a->ctx, a->data}, e)
				   : 0;
		for (size_t x = 0; x < n; x++) {
			if (e[x].acquires && e[x].kind == kind && e[x].addr == addr)
				return true;
		}
		if (!a->is_acquire || a->kind != kind)
			continue;
		if (!gi_wait_eval(&s->gr->env, &s->fs, i, pt, a->recv, &other, &reread))
			*unnamed_ret = true;
		else if (other == addr)
			return true;
	}
	return false;
}

uint64_t gi_owners_acquiring(struct gi_search *s, size_t i)
{
	const struct gi_point *pt = gi_wait_point(&s->gr->env, &s->fs.f[i]);
	uint64_t addr;
	bool reread;

	if (!pt || !pt->at_call || pt->prim.sema ||
	    (pt->prim.op != GI_PRIM_ACQUIRE && pt->prim.op != GI_PRIM_SLOW) ||
	    !gi_wait_eval(&s->gr->env, &s->fs, i, pt, gi_wait_first_arg(&s->gr->env, pt), &addr,
			  &reread))
		return 0;
	return addr;
}

void gi_owners_strange(struct gi_search *s, size_t i, const struct gi_place *p, gi_owners_fn fn,
		       void *arg)
{
	struct effect e[MAX_EFFECTS];
	uint32_t object;
	bool reread;

	for (size_t k = 0; k < p->ahead->ahead_count; k++) {
		const struct gi_ahead *r = &p->ahead->ahead[k];
		size_t n = 0;
		if (r->is_call) {
			// Whether it was taken before such a call is not known: not if the function
			// takes no locks.
			if (!gi_fn_acquires(p->ahead->fn))
				n = effects(s, i, p->ahead,
					    (struct call){r->callee, r->recv, r->ctx, r->data}, e);
		} else if (r->is_foreign && !r->is_acquire) {
			e[0] = (struct effect){.kind = r->kind};
			n = gi_wait_eval(&s->gr->env, &s->fs, i, p->ahead, r->recv, &e[0].addr,
					 &reread);
			// Nor is it known of which lock it is, if that is only found then; it is
			// none that the program has handed on in package testing, whose functions
			// are on each stack of a test.
			const char *in = gi_fn_name(p->ahead->fn);
			if (!n && !gi_fn_acquires(p->ahead->fn) &&
			    !(in && strncmp(in, "testing.", 8) == 0))
				fn(arg, UINT32_MAX, gi_owners_mode(r->kind));
		}
		for (size_t x = 0; x < n; x++) {
			if (!e[x].acquires && gi_owners_target(s, e[x].addr, e[x].kind, &object))
				fn(arg, object, gi_owners_mode(e[x].kind));
		}
	}
}

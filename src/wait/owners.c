// Who has the locks that are waited for.
//
// A lock does not know its owner, so owners are found by evidence, goroutine by goroutine:
//   its deferred calls that have not run: those that would release the lock (defers.c);
//   its frames: what their functions have taken on the way to where they are (code.c);
//   the lock's own structure: a goroutine that waits on an RWMutex's writer semaphore has the
//   mutex in it.
// A stack is read from its outermost frame inwards, so that what an inner frame releases for
// its caller (Cond.Wait, a helper that unlocks around a call) is taken off again. An
// acquisition under way is no hold. While a goroutine panics, its frames' code tells nothing of
// what its deferred calls have done; their lists do.
//
// Most frames are in functions that touch no lock, or at places where none is held: that is
// found out once for each pc.

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"
#include "wait/defers.h"
#include "wait/graph.h"

enum {
	MAX_FRAMES = 1 << 14, // of one goroutine, innermost; deeper ones are not looked at
	MAX_LOCAL = 256,
	MAX_PACKAGE = 2048, // functions with locks that are looked at in a package
};

/** What is known of a pc in every goroutine. */
struct place {
	const struct gi_point *pt; // NULL if its facts do not matter
	struct gi_open_defers open;
	bool has_open;
	bool has_defers; // the function defers at all
	bool cond_wait;
	bool plain; // nothing of the above
};

/** What one goroutine has to do with a lock, so far. */
struct local {
	uint32_t object;
	uint8_t mode;
	bool by_code, by_maybe, by_defer;
	bool exact;
	uint64_t site_pc, frame_pc;
	const char *function;
};

struct search {
	struct gi_graph *gr;
	struct gi_map targets; // address and kind of a lock to its object
	struct gi_map places;  // pc to struct place *
	struct gi_map passed;  // address of a lock to whether others let go of it
	struct gi_frames fs;
	struct gi_pendings pending;
	struct local local[MAX_LOCAL];
	size_t local_count;
	size_t unread, cut;
	uint64_t first_unread;
};

// --- the locks in question ----------------------------------------------------------------

static uint64_t target_key(uint64_t addr, unsigned kind)
{
	return addr ^ (uint64_t)(kind + 1) << 58;
}

static struct gi_error *add_targets(struct search *s)
{
	const struct gi_sync_layout *l = &s->gr->env.sync;
	struct gi_error *err = NULL;

	for (size_t i = 0; i < s->gr->object_count && !err; i++) {
		const struct gi_object *o = &s->gr->objects[i];
		if (!o->addr)
			continue;
		switch (o->kind) {
		case GI_OBJECT_MUTEX:
			err = gi_map_put(&s->targets, target_key(o->addr, GI_LOCK_MUTEX), i);
			break;
		case GI_OBJECT_ONCE:
			err = gi_map_put(&s->targets,
					 target_key(o->addr + l->once_m, GI_LOCK_MUTEX), i);
			break;
		case GI_OBJECT_RWMUTEX:
			err = gi_map_put(&s->targets, target_key(o->addr, GI_LOCK_WRITE), i);
			if (!err)
				err = gi_map_put(&s->targets, target_key(o->addr, GI_LOCK_READ), i);
			break;
		case GI_OBJECT_WAITGROUP:
			err = gi_map_put(&s->targets, target_key(o->addr, GI_LOCK_GROUP), i);
			break;
		default:
			break;
		}
	}
	return err;
}

static struct local *local_of(struct search *s, uint64_t addr, unsigned kind, bool make)
{
	static const uint8_t modes[] = {
		[GI_LOCK_MUTEX] = GI_MODE_LOCK,
		[GI_LOCK_WRITE] = GI_MODE_WRITE,
		[GI_LOCK_READ] = GI_MODE_READ,
		[GI_LOCK_GROUP] = GI_MODE_GROUP,
	};
	uint64_t object;

	if (!gi_map_get(&s->targets, target_key(addr, kind), &object))
		return NULL;
	for (size_t i = 0; i < s->local_count; i++) {
		if (s->local[i].object == object && s->local[i].mode == modes[kind])
			return &s->local[i];
	}
	if (!make || s->local_count == MAX_LOCAL)
		return NULL;
	struct local *l = &s->local[s->local_count++];
	*l = (struct local){.object = (uint32_t)object, .mode = modes[kind]};
	return l;
}

// --- places ---------------------------------------------------------------------------------

static bool tells(const struct gi_point *pt)
{
	for (size_t i = 0; i < pt->fact_count; i++) {
		if (pt->facts[i].is_call || pt->facts[i].state != GI_FACT_UNTOUCHED)
			return true;
	}
	return false;
}

static struct place *place_make(struct search *s, const struct gi_phys *f)
{
	struct place *p = gi_arena_alloc(s->gr->arena, sizeof(*p));
	struct gi_func fn;

	if (!p)
		return NULL;
	p->cond_wait = strcmp(f->name, "sync.(*Cond).Wait") == 0;
	p->has_open = gi_open_defers_of(&s->gr->env, f->entry, &p->open);
	p->has_defers =
		p->has_open || (gi_functab_find(s->gr->env.ft, f->entry, &fn) && fn.deferreturn);
	// Functions of sync have locks of their own in hand: what they are at tells that better.
	bool sync =
		strncmp(f->name, "sync.(*", 7) == 0 || strncmp(f->name, "internal/sync.", 14) == 0;
	if (!sync && gi_code_may_touch(s->gr->env.code, f->entry)) {
		p->pt = gi_wait_point(&s->gr->env, f);
		if (p->pt && !tells(p->pt))
			p->pt = NULL;
	}
	p->plain = !p->pt && !p->has_open && !p->has_defers && !p->cond_wait;
	return p;
}

static struct place *place_of(struct search *s, const struct gi_phys *f)
{
	uint64_t key = f->pc << 1 | f->exact, at;

	if (gi_map_get(&s->places, key, &at))
		return (struct place *)(uintptr_t)at;
	struct place *p = place_make(s, f);
	gi_error_ignore(gi_map_put(&s->places, key, (uint64_t)(uintptr_t)p));
	return p;
}

// --- facts of a frame -------------------------------------------------------------------------

static void take(struct search *s, struct local *l, size_t i, uint64_t site_pc, bool must,
		 bool exact)
{
	const struct gi_phys *f = &s->fs.f[i];

	l->by_code = must;
	l->by_maybe = !must;
	l->exact = exact;
	l->site_pc = site_pc;
	l->frame_pc = f->lookup_pc;
	l->function = f->name;
}

static void drop(struct local *l)
{
	l->by_code = l->by_maybe = l->by_defer = false;
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
static bool let_go_by_others(struct search *s, const struct gi_fn *fn, uint64_t addr, unsigned kind)
{
	static const char *const bound[] = {
		[GI_LOCK_MUTEX] = "sync.(*Mutex).Unlock-fm",
		[GI_LOCK_WRITE] = "sync.(*RWMutex).Unlock-fm",
		[GI_LOCK_READ] = "sync.(*RWMutex).RUnlock-fm",
		[GI_LOCK_GROUP] = "sync.(*WaitGroup).Done-fm",
	};
	struct gi_wait_env *env = &s->gr->env;
	const char *name = gi_fn_name(fn);
	size_t len = package_length(name), n = gi_functab_count(env->ft), looked = 0;
	struct gi_func f;
	uint64_t known;

	if (gi_map_get(&s->passed, target_key(addr, kind), &known))
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
	gi_error_ignore(gi_map_put(&s->passed, target_key(addr, kind), known));
	return known;
}

static void direct_fact(struct search *s, size_t i, const struct place *p,
			const struct gi_lock_fact *f, bool panics)
{
	uint64_t addr;
	bool reread;

	if (f->state == GI_FACT_UNTOUCHED || f->kind == GI_LOCK_GROUP ||
	    !gi_wait_eval(&s->gr->env, &s->fs, i, p->pt, f->recv, &addr, &reread))
		return;
	bool held = f->state & GI_FACT_HELD;
	struct local *l = local_of(s, addr, f->kind, held);
	if (!l)
		return;
	if (held && gi_fn_passes_on(p->pt->fn, f->site, f->recv, f->kind) &&
	    let_go_by_others(s, p->pt->fn, addr, f->kind))
		return;
	if (held && !(panics && p->has_defers))
		take(s, l, i, gi_fn_site_pc(p->pt->fn, f->site),
		     f->state == GI_FACT_HELD && !p->pt->lost, !reread);
	else if (f->state == GI_FACT_RELEASED)
		drop(l);
	else if (f->state & GI_FACT_RELEASED)
		l->by_code = false, l->by_maybe = true;
}

/** What a call that only values can tell was: a prim, and its lock. */
static bool resolve_call(struct search *s, size_t i, const struct gi_point *pt,
			 const struct gi_lock_fact *f, struct gi_prim *prim_ret, uint64_t *addr_ret)
{
	struct gi_wait_env *env = &s->gr->env;
	uint64_t callee;
	struct gi_func fn;
	bool reread;

	if (!gi_wait_eval(env, &s->fs, i, pt, f->callee, &callee, &reread) ||
	    !gi_functab_find(env->ft, callee, &fn) || fn.entry != callee)
		return false;
	*prim_ret = gi_code_prim(env->code, callee);
	if (prim_ret->op != GI_PRIM_ACQUIRE && prim_ret->op != GI_PRIM_RELEASE)
		return false;
	if (prim_ret->bound)
		return gi_wait_eval(env, &s->fs, i, pt, f->ctx, addr_ret, &reread) &&
		       gi_target_peek_u64(env->t, *addr_ret + 8, addr_ret);
	return gi_wait_eval(env, &s->fs, i, pt, f->recv, addr_ret, &reread);
}

static bool released_after(struct search *s, size_t i, const struct gi_point *pt,
			   const struct gi_lock_fact *f, struct gi_prim prim, uint64_t addr)
{
	struct gi_prim p;
	uint64_t a;

	for (size_t k = 0; k < pt->fact_count; k++) {
		const struct gi_lock_fact *o = &pt->facts[k];
		if (o->is_call && (f->after >> o->key & 1) && resolve_call(s, i, pt, o, &p, &a) &&
		    p.op == GI_PRIM_RELEASE && p.kind == prim.kind && a == addr)
			return true;
	}
	return false;
}

static void call_fact(struct search *s, size_t i, const struct place *p,
		      const struct gi_lock_fact *f, bool panics)
{
	struct gi_prim prim;
	uint64_t addr;

	if (!resolve_call(s, i, p->pt, f, &prim, &addr))
		return;
	bool acquires = prim.op == GI_PRIM_ACQUIRE;
	struct local *l = local_of(s, addr, prim.kind, acquires);
	if (!l)
		return;
	if (!acquires) {
		drop(l);
	} else if (!released_after(s, i, p->pt, f, prim, addr) && !(panics && p->has_defers)) {
		take(s, l, i, gi_fn_site_pc(p->pt->fn, f->site),
		     f->state == GI_FACT_HELD && !p->pt->lost, false);
	}
}

static void frame_facts(struct search *s, size_t i, const struct place *p, bool panics)
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
}

static bool is_lock_method(struct search *s, uint64_t entry)
{
	struct gi_prim p = gi_code_prim(s->gr->env.code, entry);

	return p.op == GI_PRIM_ACQUIRE || p.op == GI_PRIM_RELEASE;
}

/**
 * The lock that belongs to the Cond in whose Wait frame i is; false if it is not known, or is
 * a Locker that is none of sync's and may have any lock in it.
 */
static bool cond_lock(struct search *s, size_t i, uint64_t *ret)
{
	enum { ITAB_FUN = 24 };
	struct gi_wait_env *env = &s->gr->env;
	const struct gi_point *pt = gi_wait_point(env, &s->fs.f[i]);
	const struct gi_phys *callee = i ? &s->fs.f[i - 1] : NULL;
	uint64_t rax, cond, itab, method;
	bool reread;

	if (!callee || !pt || !pt->at_call ||
	    !gi_wait_eval(env, &s->fs, i, pt, pt->regs[GI_AMD64_RAX], &rax, &reread))
		return false;
	if (strncmp(callee->name, "runtime.", 8) != 0 &&
	    strncmp(callee->name, "sync.runtime_", 13) != 0) {
		// It lets go of the lock and takes it again: with the lock itself.
		*ret = rax;
		return is_lock_method(s, callee->entry);
	}
	// All else is passed its list of waiters.
	cond = rax - env->sync.cond_notify + env->sync.cond_l;
	return gi_target_peek_u64(env->t, cond, &itab) &&
	       gi_target_peek_u64(env->t, itab + ITAB_FUN, &method) && is_lock_method(s, method) &&
	       gi_target_peek_u64(env->t, cond + 8, ret);
}

/** Cond.Wait has let go of the lock that it will take again. */
static void frame_cond(struct search *s, size_t i)
{
	uint64_t lock;

	if (!cond_lock(s, i, &lock)) {
		// Any of its locks may be the one.
		for (size_t k = 0; k < s->local_count; k++)
			drop(&s->local[k]);
		return;
	}
	for (unsigned kind = GI_LOCK_MUTEX; kind <= GI_LOCK_READ; kind++) {
		struct local *l = local_of(s, lock, kind, false);
		if (l)
			drop(l);
	}
}

// --- deferred releases ---------------------------------------------------------------------------

/** The lock that frame i is about to take, 0 if none. */
static uint64_t acquiring(struct search *s, size_t i, const struct place *p)
{
	const struct gi_point *pt = p->pt ? p->pt : gi_wait_point(&s->gr->env, &s->fs.f[i]);
	uint64_t addr;
	bool reread;

	if (!pt || !pt->at_call || pt->prim.sema ||
	    (pt->prim.op != GI_PRIM_ACQUIRE && pt->prim.op != GI_PRIM_SLOW) ||
	    !gi_wait_eval(&s->gr->env, &s->fs, i, pt, pt->regs[GI_AMD64_RAX], &addr, &reread))
		return 0;
	return addr;
}

static void deferred_release(struct search *s, size_t i, const struct place *p, uint64_t addr,
			     unsigned kind)
{
	struct local *l = local_of(s, addr, kind, true);
	const struct gi_phys *f = &s->fs.f[i];

	if (!l)
		return;
	bool in_sync = strncmp(f->name, "sync.", 5) == 0;
	for (size_t k = i + 1; in_sync && k < s->fs.n && strncmp(f->name, "sync.", 5) == 0; k++)
		f = &s->fs.f[k];
	bool here = (l->by_code || l->by_maybe) && l->frame_pc == f->lookup_pc;
	if (!here && acquiring(s, i, p) == addr)
		return;
	// Deferred before it is taken: a function that takes locks and has not taken this one.
	const struct gi_fn *fn =
		kind == GI_LOCK_GROUP ? NULL : gi_code_fn(s->gr->env.code, s->fs.f[i].entry);
	// Once's own code defers it after it has taken it.
	if (!here && !in_sync && fn && gi_fn_acquires(fn)) {
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
}

static void pending_closure(struct search *s, size_t i, const struct place *p, uint64_t closure)
{
	struct gi_wait_env *env = &s->gr->env;
	const struct gi_lock_fact *facts;
	uint64_t entry, addr, callee;
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
	const struct gi_values *vs = gi_fn_values(fn);
	for (size_t k = 0; k < n; k++) {
		const struct gi_lock_fact *f = &facts[k];
		if (!f->is_call) {
			if ((f->state & (GI_FACT_RELEASED | GI_FACT_HELD)) == GI_FACT_RELEASED &&
			    f->ret < 0 && gi_wait_eval_closure(env, vs, f->recv, closure, &addr))
				deferred_release(s, i, p, addr, f->kind);
			continue;
		}
		if (!gi_wait_eval_closure(env, vs, f->callee, closure, &callee))
			continue;
		prim = gi_code_prim(env->code, callee);
		if (prim.op != GI_PRIM_RELEASE)
			continue;
		bool ok = prim.bound ? gi_wait_eval_closure(env, vs, f->ctx, closure, &addr) &&
					       gi_target_peek_u64(env->t, addr + 8, &addr)
				     : gi_wait_eval_closure(env, vs, f->recv, closure, &addr);
		if (ok)
			deferred_release(s, i, p, addr, prim.kind);
	}
}

/** The pending calls of frame i, which are sorted by frame, outermost last. */
static void frame_defers(struct search *s, size_t i, const struct place *p)
{
	for (size_t k = 0; k < s->pending.n; k++) {
		if (s->pending.p[k].frame == i)
			pending_closure(s, i, p, s->pending.p[k].closure);
	}
}

// --- goroutines
// ------------------------------------------------------------------------------------

static struct gi_error *emit(struct search *s, uint32_t g, const struct local *l)
{
	struct gi_graph *gr = s->gr;
	enum gi_hold_rank rank;

	if (l->by_defer)
		rank = GI_HOLD_DEFER;
	else if (l->by_code)
		rank = GI_HOLD_CODE;
	else if (l->by_maybe)
		rank = GI_HOLD_MAYBE;
	else
		return NULL;
	// Who waits for a lock and has deferred its release may have deferred it too early.
	uint32_t w = gr->g_first[g];
	bool waits = w && gr->waiters[w - 1].object == l->object;
	if (waits && l->mode != GI_MODE_GROUP && !l->by_code && !l->by_maybe)
		return NULL;
	struct gi_error *err =
		gi_grow(&gr->holds, &gr->hold_cap, gr->hold_count + 1, sizeof(*gr->holds));
	if (err)
		return err;
	gr->holds[gr->hold_count++] = (struct gi_hold){
		.object = l->object,
		.g = g,
		.rank = (uint8_t)rank,
		.mode = l->mode,
		.exact = l->exact,
		.site_pc = l->site_pc,
		.frame_pc = l->frame_pc,
		.function = l->function,
	};
	return NULL;
}

/** The frames that matter, and their pending calls; false if there is nothing to look at. */
static struct gi_error *gather(struct search *s, const struct gi_g *g, bool *ret)
{
	struct gi_error *err = NULL;
	bool any = false;

	s->pending.n = 0;
	for (size_t i = 0; i < s->fs.n && !err; i++) {
		const struct place *p = place_of(s, &s->fs.f[i]);
		if (!p)
			return gi_error_nomem();
		any |= !p->plain;
		if (p->has_open)
			err = gi_pendings_add_open(&s->pending, &s->gr->env, &s->fs, i, &p->open);
	}
	if (!err && g->defer_head)
		err = gi_pendings_add_chain(&s->pending, &s->gr->env, g, &s->fs);
	*ret = any;
	return err;
}

static struct gi_error *search_g(struct search *s, uint32_t gi)
{
	const struct gi_g *g = gi_go_g(s->gr->go, gi);
	bool any = false, panics = g->panic_head != 0;

	struct gi_error *err = gi_frames_collect(&s->fs, s->gr->u, g, MAX_FRAMES);
	if (err) {
		// One stack that cannot be read hides only what is on it.
		s->unread++;
		s->first_unread = g->goid;
		gi_error_ignore(err);
		return NULL;
	}
	s->cut += s->fs.cut;
	s->local_count = 0;
	err = gather(s, g, &any);
	if (err || (!any && !s->pending.n))
		return err;
	for (size_t i = s->fs.n; i-- > 0;) {
		const struct place *p = place_of(s, &s->fs.f[i]);
		if (!p)
			return gi_error_nomem();
		if (p->pt)
			frame_facts(s, i, p, panics);
		if (s->pending.n)
			frame_defers(s, i, p);
		if (p->cond_wait)
			frame_cond(s, i);
	}
	for (size_t k = 0; k < s->local_count && !err; k++)
		err = emit(s, gi, &s->local[k]);
	return err;
}

static int by_object(const void *a, const void *b)
{
	const struct gi_hold *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return x->g < y->g ? -1 : x->g > y->g;
}

static struct gi_error *search_all(struct search *s)
{
	struct gi_graph *gr = s->gr;
	struct gi_error *err = add_targets(s);

	if (err || !s->targets.len)
		return err;
	for (size_t i = 0; i < gi_go_g_count(gr->go) && !err; i++) {
		const struct gi_g *g = gi_go_g(gr->go, i);
		if (i % 256 == 0)
			err = gi_interrupt_check();
		if (!err && !g->unreadable && !gi_g_is_dead(g))
			err = search_g(s, (uint32_t)i);
	}
	if (s->unread)
		gi_graph_add_note(
			gr,
			"the stacks of %zu goroutines could not be read (goroutine %llu): locks that they hold are missed",
			s->unread, (unsigned long long)s->first_unread);
	for (size_t i = 0; i < gr->waiter_count && !err; i++) {
		if (!gr->infos[i].pending_writer)
			continue;
		err = gi_grow(&gr->holds, &gr->hold_cap, gr->hold_count + 1, sizeof(*gr->holds));
		if (!err)
			gr->holds[gr->hold_count++] = (struct gi_hold){
				.object = gr->waiters[i].object,
				.g = gr->waiters[i].g,
				.rank = GI_HOLD_STRUCTURAL,
				.mode = GI_MODE_WRITE,
				.exact = true,
			};
	}
	if (!err && gr->hold_count)
		qsort(gr->holds, gr->hold_count, sizeof(*gr->holds), by_object);
	return err;
}

struct gi_error *gi_graph_find_holds(struct gi_graph *gr)
{
	struct search *s = calloc(1, sizeof(*s));

	if (!s)
		return gi_error_nomem();
	s->gr = gr;
	struct gi_error *err = search_all(s);
	gi_map_deinit(&s->targets);
	gi_map_deinit(&s->places);
	gi_map_deinit(&s->passed);
	gi_frames_deinit(&s->fs);
	gi_pendings_deinit(&s->pending);
	free(s);
	return err;
}

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
// A function that takes a lock and never releases it may have handed it on: if another goroutine
// is about to release that lock, or one that is not known, without having taken it, nobody is
// named as its owner.
//
// Most frames are in functions that touch no lock, or at places where none is held: that is
// found out once for each pc.

#include "wait/owners.h"

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"

// --- the locks in question --------------------------------------------------------------

uint64_t gi_owners_key(uint64_t addr, unsigned kind)
{
	return addr ^ (uint64_t)(kind + 1) << 58;
}

static struct gi_error *add_targets(struct gi_search *s)
{
	const struct gi_sync_layout *l = &s->gr->env.sync;
	struct gi_error *err = NULL;

	for (size_t i = 0; i < s->gr->object_count && !err; i++) {
		const struct gi_object *o = &s->gr->objects[i];
		if (!o->addr)
			continue;
		switch (o->kind) {
		case GI_OBJECT_MUTEX:
			err = gi_map_put(&s->targets, gi_owners_key(o->addr, GI_LOCK_MUTEX), i);
			break;
		case GI_OBJECT_ONCE:
			err = gi_map_put(&s->targets,
					 gi_owners_key(o->addr + l->once_m, GI_LOCK_MUTEX), i);
			break;
		case GI_OBJECT_RWMUTEX:
			err = gi_map_put(&s->targets, gi_owners_key(o->addr, GI_LOCK_WRITE), i);
			if (!err)
				err = gi_map_put(&s->targets, gi_owners_key(o->addr, GI_LOCK_READ),
						 i);
			break;
		case GI_OBJECT_WAITGROUP:
			err = gi_map_put(&s->targets, gi_owners_key(o->addr, GI_LOCK_GROUP), i);
			break;
		default:
			break;
		}
	}
	return err;
}

unsigned gi_owners_mode(unsigned kind)
{
	static const uint8_t modes[] = {
		[GI_LOCK_MUTEX] = GI_MODE_LOCK,
		[GI_LOCK_WRITE] = GI_MODE_WRITE,
		[GI_LOCK_READ] = GI_MODE_READ,
		[GI_LOCK_GROUP] = GI_MODE_GROUP,
	};

	return modes[kind];
}

bool gi_owners_target(const struct gi_search *s, uint64_t addr, unsigned kind, uint32_t *object_ret)
{
	uint64_t object;

	if (!gi_map_get(&s->targets, gi_owners_key(addr, kind), &object))
		return false;
	*object_ret = (uint32_t)object;
	return true;
}

struct gi_local *gi_owners_local(struct gi_search *s, uint64_t addr, unsigned kind, bool make)
{
	unsigned mode = gi_owners_mode(kind);
	uint32_t object;

	if (!gi_owners_target(s, addr, kind, &object))
		return NULL;
	for (size_t i = 0; i < s->local_count; i++) {
		if (s->local[i].object == object && s->local[i].mode == mode)
			return &s->local[i];
	}
	if (!make || s->local_count == GI_OWNERS_LOCALS)
		return NULL;
	struct gi_local *l = &s->local[s->local_count++];
	*l = (struct gi_local){.object = object, .mode = (uint8_t)mode};
	return l;
}

// --- places -------------------------------------------------------------------------------

static bool tells(const struct gi_point *pt)
{
	for (size_t i = 0; i < pt->fact_count; i++) {
		if (pt->facts[i].is_call || pt->facts[i].state != GI_FACT_UNTOUCHED)
			return true;
	}
	return false;
}

static bool tells_ahead(const struct gi_point *pt)
{
	for (size_t i = 0; i < pt->ahead_count; i++) {
		if (pt->ahead[i].is_call || pt->ahead[i].is_foreign)
			return true;
	}
	return false;
}

static struct gi_place *place_make(struct gi_search *s, const struct gi_phys *f)
{
	struct gi_place *p = gi_arena_alloc(s->gr->arena, sizeof(*p));
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
		const struct gi_point *pt = gi_wait_point(&s->gr->env, f);
		p->pt = pt && tells(pt) ? pt : NULL;
		p->ahead = pt && tells_ahead(pt) ? pt : NULL;
	}
	p->plain = !p->pt && !p->has_defers && !p->cond_wait;
	return p;
}

static struct gi_place *place_of(struct gi_search *s, const struct gi_phys *f)
{
	uint64_t key = f->pc << 1 | f->exact, at;

	if (gi_map_get(&s->places, key, &at))
		return (struct gi_place *)(uintptr_t)at;
	struct gi_place *p = place_make(s, f);
	gi_error_ignore(gi_map_put(&s->places, key, (uint64_t)(uintptr_t)p));
	return p;
}

// --- goroutines ---------------------------------------------------------------------------

static struct gi_error *add_hold(struct gi_graph *gr, const struct gi_hold *h)
{
	struct gi_error *err =
		gi_grow(&gr->holds, &gr->hold_cap, gr->hold_count + 1, sizeof(*gr->holds));

	if (!err)
		gr->holds[gr->hold_count++] = *h;
	return err;
}

static struct gi_error *emit(struct gi_search *s, uint32_t g, const struct gi_local *l)
{
	struct gi_graph *gr = s->gr;
	struct gi_hold h = {
		.object = l->object,
		.g = g,
		.mode = l->mode,
		.kept = l->kept && !l->by_defer,
		.exact = l->exact,
		.site_pc = l->site_pc,
		.frame_pc = l->frame_pc,
		.function = l->function,
	};

	if (l->by_defer)
		h.rank = GI_HOLD_DEFER;
	else if (l->by_code)
		h.rank = GI_HOLD_CODE;
	else if (l->by_maybe)
		h.rank = GI_HOLD_MAYBE;
	else
		return NULL;
	// Who waits for a lock and has deferred its release may have deferred it too early.
	uint32_t w = gr->g_first[g];
	bool waits = w && gr->waiters[w - 1].object == l->object;
	if (waits && l->mode != GI_MODE_GROUP && !l->by_code && !l->by_maybe)
		return NULL;
	return add_hold(gr, &h);
}

/** The goroutine's frames, kept in s->fs; false if there are none to read. */
static bool collect(struct gi_search *s, const struct gi_g *g)
{
	struct gi_error *err = gi_frames_collect(&s->fs, s->gr->u, g, GI_OWNERS_FRAMES);

	if (!err)
		return true;
	// One stack that cannot be read hides only what is on it.
	s->unread++;
	s->first_unread = g->goid;
	gi_error_ignore(err);
	return false;
}

/** The pending calls; *ret: whether there is anything to look at. */
static struct gi_error *gather(struct gi_search *s, const struct gi_g *g, bool *ret)
{
	struct gi_error *err = NULL;

	*ret = false;
	s->pending.n = 0;
	for (size_t i = 0; i < s->fs.n && !err; i++) {
		const struct gi_place *p = place_of(s, &s->fs.f[i]);
		if (!p)
			return gi_error_nomem();
		if (!p->plain)
			*ret = true;
		if (p->has_open)
			err = gi_pendings_add_open(&s->pending, &s->gr->env, &s->fs, i, &p->open);
	}
	if (!err && g->defer_head)
		err = gi_pendings_add_chain(&s->pending, &s->gr->env, g, &s->fs);
	return err;
}

/** The innermost frame whose deferred calls a panic runs, or Goexit. */
static size_t first_panicked(const struct gi_search *s)
{
	for (size_t i = 0; i < s->fs.n; i++) {
		const char *name = s->fs.f[i].name;
		if (strcmp(name, "runtime.gopanic") == 0 || strcmp(name, "runtime.Goexit") == 0)
			return i;
	}
	return 0;
}

static struct gi_error *search_g(struct gi_search *s, uint32_t gi)
{
	const struct gi_g *g = gi_go_g(s->gr->go, gi);
	bool any = false;

	if (!collect(s, g))
		return NULL;
	s->local_count = 0;
	struct gi_error *err = gather(s, g, &any);
	if (err || !any)
		return err;
	size_t panicked = g->panic_head ? first_panicked(s) : SIZE_MAX;
	for (size_t i = s->fs.n; i-- > 0;) {
		const struct gi_place *p = place_of(s, &s->fs.f[i]);
		if (!p)
			return gi_error_nomem();
		if (p->pt)
			gi_owners_code(s, i, p, i >= panicked);
		if (p->has_defers || s->pending.n)
			gi_owners_defers(s, i);
		if (p->cond_wait)
			gi_owners_cond(s, i);
	}
	for (size_t k = 0; k < s->local_count && !err; k++)
		err = emit(s, gi, &s->local[k]);
	return err;
}

// --- strangers -----------------------------------------------------------------------------

struct strangers {
	struct gi_graph *gr;
	uint32_t g;
	uint32_t any[GI_MODE_GROUP + 1]; // 1 + who releases a lock that is not known; MAX: several
};

/** g may release an object's lock: nobody else who has kept it is its owner for certain. */
static void stranger(void *arg, uint32_t object, unsigned mode)
{
	struct strangers *st = arg;
	struct gi_graph *gr = st->gr;
	uint32_t w = gr->g_first[st->g];

	// Who waits for the lock will release it because it will have taken it.
	if (w && gr->waiters[w - 1].object == object)
		return;
	// The first such goroutine leaves only its own holds, the next one nothing.
	if (object == UINT32_MAX) {
		if (st->any[mode] == UINT32_MAX || st->any[mode] == st->g + 1)
			return;
		st->any[mode] = st->any[mode] ? UINT32_MAX : st->g + 1;
	}
	for (size_t i = 0; i < gr->hold_count; i++) {
		struct gi_hold *h = &gr->holds[i];
		if ((h->object == object || object == UINT32_MAX) && h->mode == mode && h->kept &&
		    h->g != st->g)
			h->object = UINT32_MAX;
	}
}

/** Takes away holds that their goroutines have handed on. */
static struct gi_error *search_strangers(struct gi_search *s)
{
	struct gi_graph *gr = s->gr;
	struct strangers st = {.gr = gr};
	struct gi_error *err = NULL;
	size_t n = 0;

	for (size_t i = 0; i < gr->hold_count; i++)
		n += gr->holds[i].kept;
	for (size_t i = 0; n && i < gi_go_g_count(gr->go) && !err; i++) {
		const struct gi_g *g = gi_go_g(gr->go, i);
		if (i % 256 == 0)
			err = gi_interrupt_check();
		if (err || g->unreadable || gi_g_is_dead(g) || !collect(s, g))
			continue;
		st.g = (uint32_t)i;
		for (size_t k = 0; k < s->fs.n; k++) {
			const struct gi_place *p = place_of(s, &s->fs.f[k]);
			if (!p)
				return gi_error_nomem();
			if (p->ahead)
				gi_owners_strange(s, k, p, stranger, &st);
		}
	}
	n = 0;
	for (size_t i = 0; i < gr->hold_count; i++) {
		if (gr->holds[i].object != UINT32_MAX)
			gr->holds[n++] = gr->holds[i];
	}
	gr->hold_count = n;
	return err;
}

// --- all ------------------------------------------------------------------------------------

static int by_object(const void *a, const void *b)
{
	const struct gi_hold *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return x->g < y->g ? -1 : x->g > y->g;
}

static struct gi_error *search_all(struct gi_search *s)
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
			"the stack%s of %zu goroutine%s could not be read (goroutine %llu): locks held there are missed",
			s->unread == 1 ? "" : "s", s->unread, s->unread == 1 ? "" : "s",
			(unsigned long long)s->first_unread);
	if (!err)
		err = search_strangers(s);
	for (size_t i = 0; i < gr->waiter_count && !err; i++) {
		if (gr->infos[i].pending_writer)
			err = add_hold(gr, &(struct gi_hold){
						   .object = gr->waiters[i].object,
						   .g = gr->waiters[i].g,
						   .rank = GI_HOLD_STRUCTURAL,
						   .mode = GI_MODE_WRITE,
						   .exact = true,
					   });
	}
	if (!err && gr->hold_count)
		qsort(gr->holds, gr->hold_count, sizeof(*gr->holds), by_object);
	return err;
}

struct gi_error *gi_graph_find_holds(struct gi_graph *gr)
{
	struct gi_search *s = calloc(1, sizeof(*s));

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

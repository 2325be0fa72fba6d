// Which blocked goroutines can ever run again: the collector's argument.
//
// A goroutine that waits for a channel, a lock or the like goes on when somebody uses that
// object, and to use it somebody must be able to reach it. So: start from everything that is
// reachable without the waiting goroutines (globals, threads, goroutines that can run, the
// runtime's timers and finalizers). A waiting goroutine one of whose objects is reached may
// run again: then all that its stack reaches counts too. When nothing new is found, the
// goroutines that are left wait for objects that only they themselves, and others like them, know
// of: they can never run again. Go 1.26 and later do the same in their goroutine leak profile
// (src/runtime/mgc.go, findMaybeRunnableGoroutines).
//
// The promise is one-sided: no goroutine that could go on is called dead. So each step errs
// to the side of reaching more: words for pointers (reach_mark.c), all writable memory for globals,
// weak pointers for pointers, a goroutine that is just being woken for live (reach_queue.c). Of
// stacks the collector's own maps say what is still used, as far as they are sure (reach_frames.c);
// else it is what is in use of a stack at its largest (reach_roots.c). What could not be read makes
// the argument fail.
//
// Its limit: a program that hides pointers from the collector in memory without
// pointers (a channel's address as an integer in a map), and counts on the waiting goroutine itself
// to keep the object.

#include "gcore/sched.h"
#include "wait/reach_impl.h"

#include <stdlib.h>
#include <string.h>

#define ULL(x) ((unsigned long long)(x))

static const uint32_t WEAK = UINT32_MAX;

struct gi_error *gi_reach_wake(struct gi_reach *r, size_t wait)
{
	if (r->waits[wait].live)
		return NULL;
	r->waits[wait].live = true;
	return gi_u64s_push(&r->woken, wait);
}

struct gi_error *gi_reach_add_hole(struct gi_reach *r, uint64_t start, uint64_t end)
{
	struct gi_error *err;

	if (start >= end)
		return NULL;
	err = gi_grow(&r->holes, &r->hole_cap, r->hole_count + 1, sizeof(*r->holes));
	if (err)
		return err;
	r->holes[r->hole_count++] = (struct gi_range){start, end};
	return NULL;
}

void gi_reach_set_opaque(struct gi_reach *r, uint64_t addr)
{
	gi_mark_opaque(&r->marker, addr);
}

// --- who waits for what ------------------------------------------------------------------

static struct gi_error *watch(struct gi_reach *r, uint64_t slot, struct gi_watch w)
{
	struct gi_error *err;
	uint64_t first;

	if (gi_map_get(&r->watch_of_slot, slot, &first))
		w.next = (uint32_t)first;
	if (r->watch_count >= UINT32_MAX - 1)
		return gi_error_create(GI_ERR_UNSUPPORTED, "too many waits");
	err = gi_grow(&r->watches, &r->watch_cap, r->watch_count + 1, sizeof(*r->watches));
	if (err)
		return err;
	r->watches[r->watch_count++] = w;
	return gi_map_put(&r->watch_of_slot, slot, r->watch_count);
}

static struct gi_error *watch_weak(void *arg, const struct gi_heap_special *s)
{
	struct gi_reach *r = arg;
	uint64_t slot;

	if (!s->handle)
		return NULL;
	if (gi_mark_special(&r->marker, s->handle, &slot))
		return watch(r, slot, (struct gi_watch){.object = s->object, .wait = WEAK});
	gi_mark_address(&r->marker, s->object);
	return NULL;
}

static struct gi_error *watch_object(struct gi_reach *r, size_t wait, uint64_t object)
{
	const struct gi_g *g;
	const struct gi_span *s;
	uint64_t slot;

	if (gi_mark_special(&r->marker, object, &slot))
		return watch(r, slot, (struct gi_watch){.wait = (uint32_t)wait});
	g = gi_go_g_by_stack(r->go, object);
	s = gi_heap_span_at(r->heap, object);
	if (g && s && s->manual && !gi_g_is_dead(g)) {
		struct gi_error *err = gi_u64s_push(&r->on_stack, wait);

		return err ? err : gi_u64s_push(&r->on_stack, (uint64_t)(g - gi_go_g(r->go, 0)));
	}
	// A global, memory of C; or nothing that we understand.
	if (r->stacks_only)
		return NULL;
	return gi_reach_wake(r, wait);
}

static struct gi_error *watch_waits(struct gi_reach *r, const struct gi_reach_wait *waits)
{
	for (size_t i = 0; i < r->wait_count; i++) {
		for (size_t k = 0; k < waits[i].object_count; k++) {
			struct gi_error *err = watch_object(r, i, waits[i].objects[k]);

			if (err)
				return err;
		}
	}
	return NULL;
}

// --- what must be there -------------------------------------------------------------------

// A goroutine that is not known could be the one that reaches everything.
static struct gi_error *check_allgs(struct gi_go *go)
{
	uint64_t len, ptr, v;

	if (!gi_go_global_uint(go, &go->layout.global.allglen, &len) ||
	    !gi_target_peek_u64(go->target, go->layout.global.allgptr.addr, &ptr))
		return gi_error_create(GI_ERR_NOT_FOUND, "the list of goroutines cannot be read");
	for (uint64_t i = 0; i < len; i++) {
		struct gi_error *err = gi_target_read_u64(go->target, ptr + 8 * i, &v);

		if (err)
			return gi_error_wrap(err, "the list of goroutines");
		if (v && !gi_go_g_by_addr(go, v))
			return gi_error_create(GI_ERR_NOT_FOUND,
					       "the goroutine at 0x%llx is not known", ULL(v));
	}
	for (size_t i = 0; i < gi_go_g_count(go); i++) {
		if (gi_go_g(go, i)->unreadable)
			return gi_error_create(GI_ERR_NOT_SAVED,
					       "the goroutine at 0x%llx cannot be read",
					       ULL(gi_go_g(go, i)->addr));
	}
	return NULL;
}

static struct gi_error *take_waits(struct gi_reach *r, const struct gi_reach_wait *waits, size_t n)
{
	size_t gs = gi_go_g_count(r->go);

	if (n >= UINT32_MAX - 1)
		return gi_error_create(GI_ERR_UNSUPPORTED, "too many waits");
	r->waits = calloc(n ? n : 1, sizeof(*r->waits));
	r->wait_of_g = calloc(gs ? gs : 1, sizeof(*r->wait_of_g));
	if (!r->waits || !r->wait_of_g)
		return gi_error_nomem();
	r->wait_count = n;
	for (size_t i = 0; i < n; i++) {
		if (waits[i].g >= gs || r->wait_of_g[waits[i].g])
			return gi_error_create(GI_ERR_USAGE,
					       "wait %zu is of goroutine %u, which is none or has "
					       "another wait",
					       i, waits[i].g);
		r->waits[i].g = waits[i].g;
		r->wait_of_g[waits[i].g] = (uint32_t)i + 1;
	}
	return NULL;
}

static bool reached(const struct gi_reach *r, uint64_t addr)
{
	uint64_t slot;

	return !gi_mark_slot(r->heap, addr, &slot) || gi_bit(r->marker.marks, slot);
}

// What every Go process reaches from its globals. If the marks do not have it, they are not to be
// believed: a layout is wrong, or memory is not what it says it is.
static struct gi_error *check_globals(struct gi_reach *r)
{
	const struct gi_field timers = r->go->layout.p.timers;
	const char *what = NULL;
	uint64_t addr = 0, v;

	for (size_t i = 0; i < gi_go_g_count(r->go) && !what; i++) {
		addr = gi_go_g(r->go, i)->addr;
		what = reached(r, addr) ? NULL : "goroutine";
	}
	for (size_t i = 0; i < gi_go_m_count(r->go) && !what; i++) {
		addr = gi_go_m(r->go, i)->addr;
		what = reached(r, addr) ? NULL : "M";
	}
	for (size_t i = 0; i < gi_go_p_count(r->go) && !what; i++) {
		addr = gi_go_p(r->go, i)->addr;
		what = reached(r, addr) ? NULL : "P";
		if (!what && timers.ok && gi_target_peek_u64(r->marker.t, addr + timers.off, &v) &&
		    !reached(r, v)) {
			addr = v;
			what = "array of timers";
		}
	}
	if (!what)
		return NULL;
	return gi_error_at(
		GI_ERR_MISMATCH, addr,
		"the argument fails its check: the %s at 0x%llx, which the runtime knows, is "
		"not reached from the program's variables",
		what, ULL(addr));
}

// --- the fixpoint --------------------------------------------------------------------------

// Scans all that is reached; follows weak pointers, notes who is woken.
static struct gi_error *drain(struct gi_reach *r)
{
	struct gi_error *err = gi_mark_drain(&r->marker);
	uint64_t slot, i;

	while (!err && gi_mark_found(&r->marker, &slot)) {
		do {
			if (!gi_map_get(&r->watch_of_slot, slot, &i))
				continue;
			for (; i && !err; i = r->watches[i - 1].next) {
				const struct gi_watch *w = &r->watches[i - 1];

				if (w->wait == WEAK)
					gi_mark_address(&r->marker, w->object);
				else
					err = gi_reach_wake(r, w->wait);
			}
		} while (!err && gi_mark_found(&r->marker, &slot));
		if (!err)
			err = gi_mark_drain(&r->marker);
	}
	return err;
}

static struct gi_error *keep_globals(struct gi_reach *r)
{
	r->globals = malloc((r->marker.word_count + 1) * sizeof(uint64_t));
	if (!r->globals)
		return gi_error_nomem();
	memcpy(r->globals, r->marker.marks, (r->marker.word_count + 1) * sizeof(uint64_t));
	return NULL;
}

/**
 * The collector's own, at work: what lies on their stacks is no way to an object of the program's.
 * Their arguments are dead then, and stay there as addresses of what was freed long ago.
 */
static bool is_collectors(const struct gi_reach *r, const struct gi_g *g)
{
	static const char *const names[] = {"runtime.gcBgMark", "runtime.gcenable", "runtime.bgsweep",
					    "runtime.bgscavenge", "runtime.forcegchelper"};
	struct gi_func f;

	if (!g->system || (!g->thread && !g->m) || !gi_functab_find(r->go->functab, g->start_pc, &f))
		return false;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		if (strncmp(f.name, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

// Goroutines that nothing was said of: they can run, or are woken by the runtime.
static struct gi_error *mark_others(struct gi_reach *r)
{
	for (size_t i = 0; i < gi_go_g_count(r->go); i++) {
		const struct gi_g *g = gi_go_g(r->go, i);
		struct gi_error *err;

		// A bubble has timers of its own, which wake its goroutines.
		gi_mark_address(&r->marker, g->bubble);
		if (gi_g_is_dead(g) || r->wait_of_g[i] || is_collectors(r, g))
			continue;
		err = gi_reach_mark_goroutine(r, g);
		if (err)
			return err;
	}
	return NULL;
}

static bool is_live(const struct gi_reach *r, uint64_t g)
{
	uint32_t wait = r->wait_of_g[g];

	return !wait || r->waits[wait - 1].live;
}

// Objects on the stack of a goroutine are reached when it can run.
static struct gi_error *wake_on_stacks(struct gi_reach *r)
{
	for (size_t i = 0; i + 1 < r->on_stack.n; i += 2) {
		struct gi_error *err = is_live(r, r->on_stack.v[i + 1])
					       ? gi_reach_wake(r, (size_t)r->on_stack.v[i])
					       : NULL;

		if (err)
			return err;
	}
	return NULL;
}

static struct gi_error *spread(struct gi_reach *r)
{
	struct gi_error *err = wake_on_stacks(r);

	while (!err && r->woken.n) {
		while (!err && r->woken.n) {
			const struct gi_reach_state *w = &r->waits[r->woken.v[--r->woken.n]];

			err = gi_reach_mark_goroutine(r, gi_go_g(r->go, w->g));
		}
		if (!err)
			err = drain(r);
		if (!err && !r->woken.n)
			err = wake_on_stacks(r);
	}
	return err;
}

static bool mark_timer(void *arg, const struct gi_timer *t)
{
	struct gi_reach *r = arg;

	gi_mark_address(&r->marker, t->arg);
	return true;
}

/** What timers will be given: all that runs without a goroutine. */
static struct gi_error *mark_timers(struct gi_reach *r)
{
	return gi_go_timers(r->go, mark_timer, r);
}

static struct gi_error *solve(struct gi_reach *r, const struct gi_reach_wait *waits, size_t n)
{
	struct gi_heap *heap = NULL;
	struct gi_error *err = check_allgs(r->go);

	if (!err)
		err = gi_go_heap(r->go, &heap);
	if (!err)
		err = gi_heap_load_bits(r->go, heap);
	if (err)
		return err;
	r->heap = heap;
	err = gi_marker_init(&r->marker, r->go, heap);
	if (!err)
		err = take_waits(r, waits, n);
	if (!err)
		err = gi_reach_queues(r, waits);
	if (!err)
		err = watch_waits(r, waits);
	if (!err)
		err = gi_heap_specials(r->go, heap, watch_weak, r);
	if (!err)
		err = r->stacks_only ? mark_timers(r) : gi_reach_mark_globals(r);
	if (!err)
		err = drain(r);
	if (!err && !r->stacks_only)
		err = check_globals(r);
	if (!err)
		err = keep_globals(r);
	if (!err)
		err = gi_reach_mark_threads(r);
	if (!err)
		err = mark_others(r);
	if (!err)
		err = drain(r);
	return err ? err : spread(r);
}

// --- the contract --------------------------------------------------------------------------

static struct gi_error *start(struct gi_go *go, const struct gi_reach_wait *waits, size_t n,
			      bool stacks_only, struct gi_reach **ret)
{
	_cleanup_(gi_reach_destroyp) struct gi_reach *r = calloc(1, sizeof(*r));
	struct gi_error *err;

	if (!r)
		return gi_error_nomem();
	r->go = go;
	r->stacks_only = stacks_only;
	err = go->functab ? gi_unwinder_create(go, &r->u) : NULL;
	if (!err)
		err = solve(r, waits, n);
	if (err)
		return gi_error_wrap(err, "what can be reached is not known");
	*ret = r;
	r = NULL;
	return NULL;
}

struct gi_error *gi_reach_solve(struct gi_go *go, const struct gi_reach_wait *waits, size_t n,
				struct gi_reach **ret)
{
	return start(go, waits, n, false, ret);
}

struct gi_error *gi_reach_solve_stacks(struct gi_go *go, const struct gi_reach_wait *waits, size_t n,
				       struct gi_reach **ret)
{
	return start(go, waits, n, true, ret);
}

void gi_reach_destroy(struct gi_reach *r)
{
	if (!r)
		return;
	gi_marker_deinit(&r->marker);
	gi_map_deinit(&r->watch_of_slot);
	gi_reach_edges_destroy(r->edges);
	gi_frames_deinit(&r->fs);
	gi_unwinder_destroy(r->u);
	free(r->globals);
	free(r->waits);
	free(r->wait_of_g);
	free(r->woken.v);
	free(r->on_stack.v);
	free(r->watches);
	free(r->holes);
	free(r);
}

bool gi_reach_is_live(const struct gi_reach *r, size_t i)
{
	return i >= r->wait_count || r->waits[i].live;
}

bool gi_reach_from_globals(const struct gi_reach *r, uint64_t object)
{
	uint64_t slot;

	if (gi_mark_slot(r->heap, object, &slot))
		return gi_bit(r->globals, slot);
	// What is in no span and on no stack is a global or C's.
	return !gi_heap_span_at(r->heap, object) && !gi_go_g_by_stack(r->go, object) &&
	       gi_target_mapping_at(gi_go_target(r->go), object) != NULL;
}

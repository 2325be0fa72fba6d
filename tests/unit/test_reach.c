// The collector's argument on a made-up process: what makes a waiting goroutine live, and
// what does not. Each test says who must be live and who must be dead.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "heap_world.h"
#include "wait/reach.h"
#include "checks.h"

enum { MAX_WAITS = 8 };

struct test {
	struct heap_world w;
	struct gi_reach_wait waits[MAX_WAITS];
	uint64_t objects[MAX_WAITS][4];
	size_t n;
	struct gi_reach *r;
};

static int set_up(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	hw_open(&t->w);
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct test *t = *state;

	gi_reach_destroy(t->r);
	hw_close(&t->w);
	free(t);
	return 0;
}

/** g waits for an object (0: for nothing); returns the number of the wait. */
static size_t wait_for(struct test *t, uint64_t g, uint64_t object)
{
	struct gi_reach_wait *wait = &t->waits[t->n];

	assert_true(t->n < MAX_WAITS);
	for (size_t i = 0; i < t->w.g_count; i++) {
		if (hw_get(&t->w, ALLGS + 8 * i) == g)
			wait->g = (uint32_t)i;
	}
	t->objects[t->n][0] = object;
	wait->objects = t->objects[t->n];
	wait->object_count = object != 0;
	return t->n++;
}

/** A goroutine that waits to receive from c, which its stack holds. */
static size_t receiver(struct test *t, uint64_t c)
{
	uint64_t g = hw_g(&t->w, t->w.g_count + 1, GI_G_WAITING);

	hw_receive(&t->w, g, c);
	hw_stack(&t->w, g, &c, 1);
	return wait_for(t, g, c);
}

/** A goroutine of which nothing is said, with a word on its stack. */
static uint64_t other(struct test *t, uint32_t status, uint64_t word)
{
	uint64_t g = hw_g(&t->w, t->w.g_count + 1, status);

	hw_stack(&t->w, g, &word, 1);
	return g;
}

static void solve(struct test *t)
{
	hw_load(&t->w);
	no_error(gi_reach_solve(t->w.go, t->waits, t->n, &t->r));
}

static void no_proof(struct test *t, enum gi_error_code code, const char *text)
{
	hw_load(&t->w);
	error_says(gi_reach_solve(t->w.go, t->waits, t->n, &t->r), code, text);
	assert_null(t->r);
}

static void is_live(struct test *t, size_t wait)
{
	if (!gi_reach_is_live(t->r, wait))
		fail_msg("wait %zu is dead", wait);
}

static void is_dead(struct test *t, size_t wait)
{
	if (gi_reach_is_live(t->r, wait))
		fail_msg("wait %zu is live", wait);
}

static void held_by(struct test *t, uint64_t object, size_t n, ...)
{
	uint32_t got[MAX_WAITS];
	size_t count = 99;
	va_list ap;

	no_error(gi_reach_holders(t->r, object, got, MAX_WAITS, &count));
	assert_int_equal(count, n);
	va_start(ap, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got[i], va_arg(ap, size_t));
	va_end(ap);
}

// --- memory ------------------------------------------------------------------------------

static void test_own_channel(void **state)
{
	struct test *t = *state;
	uint64_t c = hw_channel(&t->w);
	size_t a = receiver(t, c), b = receiver(t, c), d = receiver(t, c);

	solve(t);
	is_dead(t, a);
	is_dead(t, b);
	is_dead(t, d);
	assert_false(gi_reach_from_globals(t->r, c));
	held_by(t, c, 3, a, b, d);
	// Indexes that are none are no dead goroutines.
	assert_true(gi_reach_is_live(t->r, 3));
}

static void test_globals(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c[5], x = hw_new(w, w->small), y = hw_new(w, w->large), noscan;
	size_t a[5];

	for (int i = 0; i < 5; i++) {
		c[i] = hw_channel(w);
		a[i] = receiver(t, c[i]);
	}
	hw_put(w, DATA + 8, c[0]);
	// Through objects, by a pointer into one; from C's memory.
	hw_put(w, C_MEMORY + 0x30, x + 63);
	hw_put(w, x + 56, y + 500);
	hw_put(w, y, c[1] + 8);
	// An object without pointers leads nowhere.
	noscan = hw_new(w, w->noscan);
	hw_put(w, DATA + 16, noscan);
	hw_put(w, noscan, c[2]);
	// An unaligned word is no pointer.
	hw_put(w, DATA + 0x104, c[3]);
	// A chain of waits: the one of a live goroutine's stack.
	hw_stack(w, hw_get(w, ALLGS), (uint64_t[]){c[0], c[4]}, 2);
	solve(t);
	is_live(t, a[0]);
	is_live(t, a[1]);
	is_dead(t, a[2]);
	is_dead(t, a[3]);
	is_live(t, a[4]);
	assert_true(gi_reach_from_globals(t->r, c[0]));
	assert_true(gi_reach_from_globals(t->r, c[1]));
	assert_false(gi_reach_from_globals(t->r, c[4]));
	assert_true(gi_reach_from_globals(t->r, DATA + 0x200));
	assert_false(gi_reach_from_globals(t->r, 0x1234));
}

static void test_free_slot(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c = hw_channel(w), x = hw_new(w, w->large);
	size_t a = receiver(t, c);

	hw_put(w, DATA + 8, x);
	hw_put(w, x, c);
	hw_free(w, x);
	solve(t);
	is_dead(t, a);
}

// A special section of Go modules that has no pointers.
static void test_noptr(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c = hw_channel(w);
	size_t a = receiver(t, c);

	hw_put(w, DATA + 8, c);
	hw_put(w, DATA + 0x808, c);
	w->go->modules = calloc(1, sizeof(*w->go->modules));
	w->go->module_count = 1;
	w->go->modules[0] = (struct gi_module){.noptrdata = {DATA, DATA + 16},
					       .data = {DATA + 16, DATA + 0x800},
					       .bss = {DATA + 0x800, DATA + 0x808},
					       .noptrbss = {DATA + 0x808, DATA + 0x900}};
	solve(t);
	is_dead(t, a);
}

// More spans than one thread of ours takes, found in an object that is scanned in pieces.
static void test_many_objects(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	enum { SPANS = 100, EACH = HW_PAGE / 64 };
	uint64_t c = hw_channel(w), count = (SPANS - 1) * EACH, last = 0;
	uint64_t fan = hw_span(w, (count * 8 + HW_PAGE - 1) / HW_PAGE, 0, false);
	uint64_t small = 0;
	size_t a;

	hw_new(w, fan);
	for (uint64_t i = 0; i < SPANS; i++) {
		uint64_t s = hw_span(w, 1, 64, false);

		small = small ? small : s;
		hw_put(w, hw_record(w, s) + 24, (uint64_t)EACH << 16 | EACH);
		// The last span is reached through others only.
		for (uint64_t k = 0; k < EACH && i + 1 < SPANS; k++)
			hw_put(w, fan + 8 * (i * EACH + k), s + 64 * k);
	}
	last = small + 64 * count;
	for (uint64_t k = 0; k < EACH; k++)
		hw_put(w, small + (k * 97 * EACH % count) * 64 + 64, last + 64 * k);
	for (uint64_t k = 1; k < EACH; k++)
		hw_put(w, last + 64 * k, last);
	hw_put(w, DATA, fan);
	hw_put(w, last + 8, c);
	a = receiver(t, c);
	solve(t);
	is_live(t, a);
	for (uint64_t i = 0; i <= count; i++)
		assert_true(gi_reach_from_globals(t->r, small + 64 * i));
}

// --- goroutines --------------------------------------------------------------------------

static void test_stacks(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c[6], g;
	size_t a[6];

	for (int i = 0; i < 6; i++) {
		c[i] = hw_channel(w);
		a[i] = receiver(t, c[i]);
	}
	other(t, GI_G_RUNNABLE, c[0]);
	other(t, GI_G_WAITING, c[1]); // for something that is no object
	other(t, GI_G_SYSCALL, c[2]); // no thread is known: all of its stack counts
	other(t, GI_G_DEAD, c[3]);
	g = other(t, GI_G_PREEMPTED, 0);
	hw_put(w, hw_get(w, g + 40) - 8, c[4]); // below its stack pointer
	hw_put(w, g + 96, c[5]);		// its g: param
	solve(t);
	is_live(t, a[0]);
	is_live(t, a[1]);
	is_live(t, a[2]);
	is_dead(t, a[3]);
	is_dead(t, a[4]);
	is_live(t, a[5]);
	assert_false(gi_reach_from_globals(t->r, c[0]));
}

// Two that hold each other's channels, and one that hangs on them.
static void test_circle(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c[3] = {hw_channel(w), hw_channel(w), hw_channel(w)};
	uint64_t x = hw_new(w, w->large);
	size_t a[3];

	for (int i = 0; i < 3; i++)
		a[i] = receiver(t, c[i]);
	hw_put(w, x + 8, c[1]);
	hw_stack(w, hw_get(w, ALLGS), (uint64_t[]){c[0], x}, 2);
	hw_stack(w, hw_get(w, ALLGS + 8), (uint64_t[]){c[1], c[0]}, 2);
	hw_stack(w, hw_get(w, ALLGS + 16), (uint64_t[]){c[2], c[0]}, 2);
	solve(t);
	for (int i = 0; i < 3; i++)
		is_dead(t, a[i]);
	held_by(t, c[0], 3, a[0], a[1], a[2]);
	held_by(t, c[1], 2, a[0], a[1]);
	held_by(t, c[2], 1, a[2]);
	held_by(t, x, 1, a[0]);
	held_by(t, DATA, 0);
	held_by(t, hw_get(w, hw_get(w, ALLGS + 8) + 40), 1, a[1]); // its stack
}

static void test_nothing_to_wait_for(void **state)
{
	struct test *t = *state;
	uint64_t g = hw_g(&t->w, 1, GI_G_WAITING), h = hw_g(&t->w, 2, GI_G_RUNNABLE);
	size_t a, b;

	hw_reason(&t->w, g, HW_NIL_CHANNEL);
	a = wait_for(t, g, 0);
	b = wait_for(t, h, 0); // it does not wait
	solve(t);
	is_dead(t, a);
	is_live(t, b);
}

// A lock that is a global, C's, or on a stack.
static void test_objects_elsewhere(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t g[4], at, live = other(t, GI_G_RUNNABLE, 0);
	size_t a[4];

	for (int i = 0; i < 4; i++)
		g[i] = hw_g(w, 10 + (uint64_t)i, GI_G_WAITING);
	hw_acquire(w, g[0], DATA + 8, 0);
	a[0] = wait_for(t, g[0], DATA + 8);
	at = hw_get(w, g[1] + 40);
	hw_acquire(w, g[1], at, 0);
	a[1] = wait_for(t, g[1], at);
	at = hw_get(w, live + 40);
	hw_acquire(w, g[2], at, hw_get(w, SEMTABLE + 64 * (at / 8 % 7) + 8));
	a[2] = wait_for(t, g[2], at);
	// On the stack of the one before, which becomes live.
	at = hw_get(w, g[2] + 40);
	hw_acquire(w, g[3], at, hw_get(w, SEMTABLE + 64 * (at / 8 % 7) + 8));
	a[3] = wait_for(t, g[3], at);
	solve(t);
	is_live(t, a[0]);
	is_dead(t, a[1]);
	is_live(t, a[2]);
	is_live(t, a[3]);
}

// --- the records of waiting ---------------------------------------------------------------

// Taken out of its queue, but not yet runnable: somebody is just waking it.
static void test_in_flight(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c = hw_channel(w), d = hw_channel(w), e = hw_channel(w), g, s;
	size_t a[5];

	a[0] = receiver(t, c);
	a[1] = receiver(t, d);
	a[2] = receiver(t, d);
	hw_put(w, c + 16, 0);
	hw_put(w, c + 24, 0);
	// The first of two: its neighbour has become the first.
	s = hw_get(w, d + 24);
	hw_put(w, d + 16, s);
	hw_put(w, s + 16, 0);
	// In no treap.
	g = hw_g(w, 20, GI_G_WAITING);
	hw_reason(w, g, HW_MUTEX);
	a[3] = wait_for(t, g, e);
	// On no list.
	g = hw_g(w, 21, GI_G_WAITING);
	hw_reason(w, g, HW_CONDITION);
	a[4] = wait_for(t, g, e);
	solve(t);
	is_live(t, a[0]);
	is_live(t, a[1]);
	is_live(t, a[2]); // the one before knows its channel
	is_live(t, a[3]);
	is_live(t, a[4]);
}

// Semaphores of one treap, and waiters of one condition, do not know of each other.
static void test_records(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t pad[8], g[3], s, list = hw_new(w, w->small);
	size_t a[3];

	// Two objects whose semaphores share a root.
	for (int i = 0; i < 8; i++)
		pad[i] = hw_new(w, w->small);
	for (int i = 0; i < 3; i++)
		g[i] = hw_g(w, 1 + (uint64_t)i, GI_G_WAITING);
	s = hw_acquire(w, g[0], pad[0], 0);
	hw_acquire(w, g[1], pad[7], s);
	a[0] = wait_for(t, g[0], pad[0]);
	a[1] = wait_for(t, g[1], pad[7]);
	hw_put(w, DATA + 8, pad[7]);
	// A condition of one waiter.
	s = hw_new(w, w->large);
	hw_reason(w, g[2], HW_CONDITION);
	hw_put(w, s, g[2]);
	hw_put(w, s + 8, list);
	hw_put(w, list + 8, s);
	hw_put(w, g[2] + 72, s);
	a[2] = wait_for(t, g[2], list);
	solve(t);
	is_dead(t, a[0]);
	is_live(t, a[1]);
	is_dead(t, a[2]);
}

/**
 * Who was proved dead before is not asked again whether it is queued: without the objects that it
 * waits for there is no telling, and what its stack alone leads to would count as reached.
 */
static void test_proved_before(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t g[2], list[2], s;
	size_t a[2], n;
	uint32_t who;

	for (int i = 0; i < 2; i++) {
		g[i] = hw_g(w, 1 + (uint64_t)i, GI_G_WAITING);
		list[i] = hw_new(w, w->small);
		s = hw_new(w, w->large);
		hw_reason(w, g[i], HW_CONDITION);
		hw_put(w, s, g[i]);
		hw_put(w, list[i] + 8, s);
		hw_stack(w, g[i], &list[i], 1);
		a[i] = wait_for(t, g[i], 0);
	}
	t->waits[a[0]].is_dead = true;
	solve(t);
	is_dead(t, a[0]);
	is_live(t, a[1]);
	assert_null(gi_reach_holders(t->r, list[0], &who, 1, &n));
	assert_int_equal(n, 1);
	assert_int_equal(who, a[0]);
}

static void test_weak_pointers(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c[2], x[2], h[2];
	size_t a[2];

	for (int i = 0; i < 2; i++) {
		c[i] = hw_channel(w);
		a[i] = receiver(t, c[i]);
		x[i] = hw_new(w, w->large);
		h[i] = hw_new(w, w->noscan);
		hw_put(w, x[i], c[i]);
		hw_put(w, h[i], x[i]);
		hw_special(w, x[i], KIND_WEAK, h[i]);
	}
	hw_put(w, DATA + 8, h[1]);
	solve(t);
	is_dead(t, a[0]);
	is_live(t, a[1]);
}

static void test_finalizer(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c[3], x[2], fn = hw_new(w, w->small);
	size_t a[3];

	for (int i = 0; i < 3; i++) {
		c[i] = hw_channel(w);
		a[i] = receiver(t, c[i]);
	}
	for (int i = 0; i < 2; i++) {
		x[i] = hw_new(w, w->large);
		hw_put(w, x[i], c[i]);
	}
	hw_put(w, fn, c[2]);
	hw_special(w, x[0], KIND_FINALIZER, fn);
	solve(t);
	is_live(t, a[0]);
	is_dead(t, a[1]);
	is_live(t, a[2]);
}

static void test_p(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c[4], timers = hw_new(w, w->small), p = hw_new(w, w->large) + 8;
	size_t a[4];

	for (int i = 0; i < 4; i++) {
		c[i] = hw_channel(w);
		a[i] = receiver(t, c[i]);
	}
	w->p = p;
	hw_put(w, ALLP, p);
	hw_put(w, p + 8, timers);
	hw_put(w, timers, c[0]);
	hw_put(w, p + 64 + 16, c[1]);	   // the write barrier's
	hw_put(w, p + 136, C_MEMORY + 64); // the collector's buffer
	hw_put(w, C_MEMORY + 64 + 8, c[2]);
	hw_put(w, p + 200, c[3]);
	solve(t);
	is_live(t, a[0]);
	is_dead(t, a[1]);
	is_dead(t, a[2]);
	is_live(t, a[3]);
}

// --- threads -------------------------------------------------------------------------------

static void test_threads(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c[7], g, p = DATA + 0x400;
	struct gi_m *m;
	size_t a[7];

	for (int i = 0; i < 7; i++) {
		c[i] = hw_channel(w);
		a[i] = receiver(t, c[i]);
	}
	// At work on g0: registers, and its stack from the stack pointer up.
	m = hw_thread(w, 0, p, (uint64_t[6]){c[0]}, 0);
	hw_put(w, m->g0_hi - 64, c[1]);
	hw_put(w, m->g0_lo + 64, c[2]);
	// Idle: what it parked last is still there.
	m = hw_thread(w, 0, 0, (uint64_t[6]){c[3]}, 0);
	hw_put(w, m->g0_hi - 64, c[3]);
	// Dying, in the midst of a traceback; it ran a goroutine, and that one's stack counts.
	g = hw_g(w, 30, GI_G_RUNNING);
	hw_put(w, g + 40, hw_get(w, g + 32) - 16);
	hw_put(w, hw_get(w, g + 32) - 8, c[5]);
	hw_put(w, hw_get(w, g + 32) - 24, c[6]);
	m = hw_thread(w, g, p, (uint64_t[6]){c[4]}, 0);
	hw_put(w, g + 48, m->addr);
	m->dying = 1;
	hw_put(w, m->g0_hi - 64, c[4]);
	solve(t);
	is_live(t, a[0]);
	is_live(t, a[1]);
	is_dead(t, a[2]);
	is_dead(t, a[3]);
	is_dead(t, a[4]);
	is_live(t, a[5]);
	is_dead(t, a[6]);
}

// A thread in a signal handler: what was interrupted counts, the handler does not.
static void test_signal(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c[5], g, uc, top;
	struct gi_m *m;
	size_t a[5];

	for (int i = 0; i < 5; i++) {
		c[i] = hw_channel(w);
		a[i] = receiver(t, c[i]);
	}
	g = hw_g(w, 30, GI_G_RUNNING);
	top = hw_get(w, g + 32);
	hw_put(w, top - 8, c[0]);
	hw_put(w, top - 80, c[1]);
	m = hw_thread(w, g, DATA + 0x400, (uint64_t[6]){c[2]}, 0);
	hw_put(w, g + 48, m->addr);
	uc = m->gsignal_hi - 1024;
	hw_put(w, uc + 16, m->gsignal_lo);
	hw_put(w, uc + 32, HW_PAGE);
	hw_put(w, uc + 40 + 8 * 3, c[3]);      // r11
	hw_put(w, uc + 40 + 8 * 15, top - 64); // rsp
	hw_put(w, uc - 64, c[4]);	       // the handler's
	w->ms[0] = *m;
	{
		// The handler's own stack pointer.
		struct gi_thread *th = (struct gi_thread *)gi_target_thread(w->t, 0);

		th->regs.r[GI_AMD64_RSP] = uc - 128;
	}
	solve(t);
	is_live(t, a[0]);
	is_dead(t, a[1]);
	is_dead(t, a[2]);
	is_live(t, a[3]);
	is_dead(t, a[4]);
}

// A wait of a kind that has no queue we know: its g in the hands of a thread at work.
static void test_unknown_queue(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t g[2], x[2];
	size_t a[2];

	for (int i = 0; i < 2; i++) {
		g[i] = hw_g(w, 1 + (uint64_t)i, GI_G_WAITING);
		x[i] = hw_new(w, w->small);
		hw_reason(w, g[i], HW_OTHER);
		a[i] = wait_for(t, g[i], x[i]);
	}
	hw_thread(w, 0, DATA + 0x400, (uint64_t[6]){g[1]}, 0);
	solve(t);
	is_dead(t, a[0]);
	is_live(t, a[1]);
}

// A thread that no M is known of, on a goroutine's stack.
static void test_unknown_thread(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t c = hw_channel(w), d = hw_channel(w);
	size_t a = receiver(t, c), b = receiver(t, d);
	uint64_t sp = hw_get(w, hw_get(w, ALLGS) + 40);

	hw_stack(w, hw_get(w, ALLGS), (uint64_t[]){c, d}, 2);
	hw_thread(w, 0, 0, NULL, sp);
	w->thread_count = 0;
	w->go->m_count = 0;
	solve(t);
	is_live(t, a);
	is_live(t, b);
}

// --- no proof -----------------------------------------------------------------------------

static void test_lost_memory(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;

	receiver(t, hw_channel(w));
	no_error(gi_fake_add_unsaved(w->t, 0x900000, 0x200000, GI_MAP_R | GI_MAP_W,
				     GI_ERR_NOT_SAVED));
	no_proof(t, GI_ERR_NOT_SAVED, "memory that could hold pointers");
}

// What the process asked the kernel not to dump: a page or two.
static void test_not_to_dump(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	size_t a = receiver(t, hw_channel(w));

	no_error(
		gi_fake_add_unsaved(w->t, 0x900000, 0x1000, GI_MAP_R | GI_MAP_W, GI_ERR_NOT_SAVED));
	no_error(
		gi_fake_add_unsaved(w->t, 0xa00000, 0x2000, GI_MAP_R | GI_MAP_W, GI_ERR_NOT_SAVED));
	solve(t);
	is_dead(t, a);
}

static void test_cut_off(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;

	receiver(t, hw_channel(w));
	no_error(gi_fake_add_unsaved(w->t, 0x900000, 0x2000, GI_MAP_R | GI_MAP_W, GI_ERR_CUT_OFF));
	no_error(gi_fake_set_path(w->t, 0x900000, "/lib/x.so", 0));
	no_proof(t, GI_ERR_CUT_OFF, "memory that could hold pointers");
}

// A mapped file that nobody wrote to, and memory that cannot be written.
static void test_files_may_be_absent(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	size_t a = receiver(t, hw_channel(w));

	no_error(
		gi_fake_add_unsaved(w->t, 0x900000, 0x2000, GI_MAP_R | GI_MAP_W, GI_ERR_NOT_SAVED));
	no_error(gi_fake_set_path(w->t, 0x900000, "/var/lib/x.db", 0));
	no_error(gi_fake_add_unsaved(w->t, 0xa00000, 0x2000, GI_MAP_R, GI_ERR_NOT_SAVED));
	solve(t);
	is_dead(t, a);
}

static void test_lost_goroutine(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;

	receiver(t, hw_channel(w));
	hw_put(w, ALLGS + 8, 0x10);
	hw_put(w, GLOBALS, 2);
	no_proof(t, GI_ERR_NOT_SAVED, "the goroutine at 0x10 cannot be read");
}

// What the runtime knows must be found from the globals, or the globals are not all there.
static void test_lost_globals(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;
	uint64_t p = hw_new(w, w->large);

	receiver(t, hw_channel(w));
	w->p = p;
	no_proof(t, GI_ERR_MISMATCH, "the P at 0x");
}

static void test_bad_waits(void **state)
{
	struct test *t = *state;
	struct heap_world *w = &t->w;

	receiver(t, hw_channel(w));
	t->waits[1] = t->waits[0];
	t->n = 2;
	no_proof(t, GI_ERR_USAGE, "another wait");
	t->waits[0].g = 7;
	t->n = 1;
	error_says(gi_reach_solve(w->go, t->waits, 1, &t->r), GI_ERR_USAGE, "which is none");
	gi_interrupt_raise();
	t->waits[0].g = 0;
	error_says(gi_reach_solve(w->go, t->waits, 1, &t->r), GI_ERR_INTERRUPTED, "");
	gi_interrupt_clear();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_own_channel),
		TEST(test_globals),
		TEST(test_free_slot),
		TEST(test_noptr),
		TEST(test_many_objects),
		TEST(test_stacks),
		TEST(test_circle),
		TEST(test_nothing_to_wait_for),
		TEST(test_objects_elsewhere),
		TEST(test_in_flight),
		TEST(test_records),
		TEST(test_proved_before),
		TEST(test_weak_pointers),
		TEST(test_finalizer),
		TEST(test_p),
		TEST(test_threads),
		TEST(test_signal),
		TEST(test_unknown_queue),
		TEST(test_unknown_thread),
		TEST(test_lost_memory),
		TEST(test_not_to_dump),
		TEST(test_cut_off),
		TEST(test_files_may_be_absent),
		TEST(test_lost_goroutine),
		TEST(test_lost_globals),
		TEST(test_bad_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

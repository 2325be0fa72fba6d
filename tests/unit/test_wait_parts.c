// Parts of the wait-for graph on plain data: components and cycles, symbolic values, the names
// of sync's functions, the tables of open-coded defers.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gcore/wait.h"
#include "wait/defers.h"
#include "wait/prim.h"
#include "wait/scc.h"
#include "wait/value.h"

// --- components -----------------------------------------------------------------------

static struct gi_digraph make(size_t nodes, const uint32_t (*edges)[2], size_t n)
{
	struct gi_digraph d;
	uint32_t from[16] = {0}, to[16] = {0};

	for (size_t i = 0; i < n; i++) {
		from[i] = edges[i][0];
		to[i] = edges[i][1];
	}
	assert_null(gi_digraph_init(&d, nodes, from, to, n));
	return d;
}

static void test_components(void **state)
{
	(void)state;
	// Two circles, one of which leads to the other; 6 waits for itself, 7 for nobody.
	static const uint32_t edges[][2] = {{0, 1}, {1, 2}, {2, 0}, {2, 3},
					    {3, 4}, {4, 3}, {5, 0}, {6, 6}};
	struct gi_digraph d = make(8, edges, 8);
	uint32_t c[8], count = 0;

	assert_null(gi_scc(&d, c, &count));
	assert_int_equal(count, 5);
	assert_int_equal(c[0], c[1]);
	assert_int_equal(c[0], c[2]);
	assert_int_equal(c[3], c[4]);
	assert_int_not_equal(c[0], c[3]);
	assert_int_not_equal(c[5], c[0]);
	assert_int_not_equal(c[6], c[7]);
	// What others lead to comes first.
	assert_true(c[3] < c[0]);
	assert_true(c[0] < c[5]);
	gi_digraph_deinit(&d);
}

static void test_empty(void **state)
{
	(void)state;
	struct gi_digraph d = make(0, NULL, 0);
	uint32_t c[1], count = 7;

	assert_null(gi_scc(&d, c, &count));
	assert_int_equal(count, 0);
	gi_digraph_deinit(&d);
}

// A chain and a circle of a million: no recursion.
static void test_large(void **state)
{
	enum { N = 1000000 };
	uint32_t *from = malloc(N * sizeof(*from)), *to = malloc(N * sizeof(*to));
	uint32_t *c = malloc(N * sizeof(*c)), count = 0;
	struct gi_digraph d;

	(void)state;
	assert_true(from && to && c);
	for (uint32_t i = 0; i < N; i++) {
		from[i] = i;
		to[i] = i + 1 < N ? i + 1 : 0;
	}
	assert_null(gi_digraph_init(&d, N, from, to, N - 1));
	assert_null(gi_scc(&d, c, &count));
	assert_int_equal(count, N);
	gi_digraph_deinit(&d);
	assert_null(gi_digraph_init(&d, N, from, to, N));
	assert_null(gi_scc(&d, c, &count));
	assert_int_equal(count, 1);
	gi_digraph_deinit(&d);
	free(from);
	free(to);
	free(c);
}

static void test_cycle(void **state)
{
	(void)state;
	// From 0 a long way round, and a short one over edges 4 and 5.
	static const uint32_t edges[][2] = {{0, 1}, {1, 2}, {2, 3}, {3, 0}, {0, 4}, {4, 0}, {4, 5}};
	struct gi_digraph d = make(6, edges, 7);
	uint32_t c[6], count, path[6];
	uint8_t usable[7] = {1, 1, 1, 1, 0, 1, 1};

	assert_null(gi_scc(&d, c, &count));
	assert_int_equal(gi_digraph_cycle(&d, c, 0, NULL, path), 2);
	assert_int_equal(path[0], 4);
	assert_int_equal(path[1], 5);
	assert_int_equal(gi_digraph_cycle(&d, c, 0, usable, path), 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(path[i], i);
	assert_int_equal(gi_digraph_cycle(&d, c, 5, NULL, path), 0);
	gi_digraph_deinit(&d);

	static const uint32_t self[][2] = {{1, 1}};
	d = make(2, self, 1);
	assert_null(gi_scc(&d, c, &count));
	assert_int_equal(gi_digraph_cycle(&d, c, 1, NULL, path), 1);
	assert_int_equal(gi_digraph_cycle(&d, c, 0, NULL, path), 0);
	gi_digraph_deinit(&d);
}

// --- values ---------------------------------------------------------------------------

static void test_values(void **state)
{
	struct gi_values vs = {0};
	int64_t off;

	(void)state;
	gi_value a = gi_value_entry(&vs, 0), b = gi_value_entry(&vs, 1);
	assert_true(a && b && a != b);
	assert_int_equal(gi_value_entry(&vs, 0), a);
	// Sums are folded, and taken back.
	gi_value s = gi_value_add(&vs, gi_value_add(&vs, a, 8), 16);
	assert_int_equal(s, gi_value_add(&vs, a, 24));
	assert_int_equal(gi_value_add(&vs, s, -24), a);
	assert_int_equal(gi_value_split(&vs, s, &off), a);
	assert_int_equal(off, 24);
	assert_int_equal(gi_value_const(&vs, 30), gi_value_add(&vs, gi_value_const(&vs, 10), 20));
	assert_int_equal(gi_value_frame(&vs, -8), gi_value_add(&vs, gi_value_frame(&vs, -16), 8));
	// What is loaded through a sum is one load.
	assert_int_equal(gi_value_load(&vs, s, 8), gi_value_load(&vs, a, 32));
	assert_int_not_equal(gi_value_load(&vs, a, 32), gi_value_load(&vs, b, 32));
	assert_int_equal(gi_value_root(&vs, gi_value_load(&vs, s, 8)), a);
	// An element with a known index is a place.
	assert_int_equal(gi_value_sum(&vs, a, gi_value_const(&vs, 3), 8), s);
	assert_int_not_equal(gi_value_sum(&vs, a, b, 8), gi_value_sum(&vs, a, b, 4));
	// Nothing comes of nothing.
	assert_int_equal(gi_value_add(&vs, 0, 8), 0);
	assert_int_equal(gi_value_load(&vs, 0, 8), 0);
	assert_int_equal(gi_value_sum(&vs, a, 0, 8), 0);
	// Chains end somewhere.
	gi_value v = a;
	for (int i = 0; i < 100; i++)
		v = gi_value_load(&vs, v, 8);
	assert_int_equal(v, 0);
	gi_values_deinit(&vs);
}

static bool is_it(void *arg, gi_value root)
{
	return *(gi_value *)arg == root;
}

static void test_roots(void **state)
{
	struct gi_values vs = {0};

	(void)state;
	gi_value a = gi_value_entry(&vs, 0), i = gi_value_phi(&vs, 3, 1),
		 d = gi_value_def(&vs, 9, 0);
	gi_value e = gi_value_load(&vs, gi_value_sum(&vs, a, i, 8), 16);
	assert_true(gi_value_any_root(&vs, e, is_it, &a));
	assert_true(gi_value_any_root(&vs, e, is_it, &i));
	assert_false(gi_value_any_root(&vs, e, is_it, &d));
	assert_true(gi_value_any_root(&vs, gi_value_try(&vs, 4, e, 0), is_it, &i));
	gi_values_deinit(&vs);
}

// --- names ----------------------------------------------------------------------------

static void test_prims(void **state)
{
	(void)state;
	struct gi_prim p = gi_prim_of("sync.(*Mutex).Lock");
	assert_int_equal(p.op, GI_PRIM_ACQUIRE);
	assert_int_equal(p.kind, GI_LOCK_MUTEX);
	assert_false(p.bound);
	p = gi_prim_of("internal/sync.(*Mutex).lockSlow");
	assert_int_equal(p.op, GI_PRIM_SLOW);
	assert_false(p.sema);
	p = gi_prim_of("sync.(*RWMutex).RUnlock-fm");
	assert_int_equal(p.op, GI_PRIM_RELEASE);
	assert_int_equal(p.kind, GI_LOCK_READ);
	assert_true(p.bound);
	assert_true(gi_prim_of("sync.runtime_SemacquireRWMutexR").sema);
	assert_int_equal(gi_prim_of("sync.(*rlocker).Lock").kind, GI_LOCK_READ);
	assert_int_equal(gi_prim_of("sync.(*WaitGroup).Done").kind, GI_LOCK_GROUP);
	assert_int_equal(gi_prim_of("main.(*Mutex).Lock").op, GI_PRIM_NONE);
	assert_int_equal(gi_prim_of("sync.(*Mutex).LockX").op, GI_PRIM_NONE);
	assert_int_equal(gi_prim_of("sync.(*Mutex).Loc").op, GI_PRIM_NONE);
	assert_int_equal(gi_prim_of("example.com/sync.(*Mutex).Lock").op, GI_PRIM_NONE);

	assert_true(gi_prim_no_return("runtime.panicIndex"));
	assert_true(gi_prim_no_return("runtime.morestack_noctxt.abi0"));
	assert_false(gi_prim_no_return("runtime.growslice"));
	assert_true(gi_prim_keeps_regs("runtime.gcWriteBarrier2"));
	assert_true(gi_prim_fills("runtime.duffzero"));
	assert_false(gi_prim_keeps_regs("runtime.memmove"));
}

static void test_kind_names(void **state)
{
	(void)state;
	assert_string_equal(gi_object_kind_name(GI_OBJECT_RWMUTEX), "rwmutex");
	assert_string_equal(gi_object_kind_name(GI_OBJECT_NOTHING), "nothing");
	assert_string_equal(gi_object_kind_name((enum gi_object_kind)999), "none");
	assert_string_equal(gi_verdict_kind_name(GI_VERDICT_ORPHAN_LOCK), "orphan-lock");
	assert_string_equal(gi_verdict_kind_name((enum gi_verdict_kind)999), "unknown");
}

// --- open-coded defers ------------------------------------------------------------------

static void test_open_defers(void **state)
{
	struct gi_open_defers od;

	(void)state;
	// Go 1.19 to 1.21: bits at 57; two closures, the last one first, the first at 200.
	static const uint8_t old[] = {57, 2, 16, 0xc8, 1};
	assert_true(gi_open_defers_decode(old, sizeof(old), true, &od));
	assert_int_equal(od.bits, 57);
	assert_int_equal(od.count, 2);
	assert_int_equal(od.slots[0], 200);
	assert_int_equal(od.slots[1], 16);
	for (size_t n = 0; n < sizeof(old); n++)
		assert_false(gi_open_defers_decode(old, n, true, &od));
	// More closures than there are bits.
	static const uint8_t many[] = {57, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9};
	assert_false(gi_open_defers_decode(many, sizeof(many), true, &od));

	// From 1.22: bits at 49, closures side by side from 16 on.
	static const uint8_t new[] = {49, 16};
	assert_true(gi_open_defers_decode(new, sizeof(new), false, &od));
	assert_int_equal(od.bits, 49);
	assert_int_equal(od.slots[0], 16);
	assert_int_equal(od.slots[1], 8);
	assert_false(gi_open_defers_decode(new, 1, false, &od));
	assert_false(gi_open_defers_decode(new, 0, false, &od));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_components),  cmocka_unit_test(test_empty),
		cmocka_unit_test(test_large),	    cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_values),	    cmocka_unit_test(test_roots),
		cmocka_unit_test(test_prims),	    cmocka_unit_test(test_kind_names),
		cmocka_unit_test(test_open_defers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

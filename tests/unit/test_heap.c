// The heap of a made-up process: spans, slots, allocation bits, special records, and the
// checks that refuse a heap that cannot be; and those of shipped cores.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "go/heap_impl.h"
#include "heap_world.h"
#include "checks.h"

static int set_up(void **state)
{
	struct heap_world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	hw_open(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	hw_close(*state);
	free(*state);
	return 0;
}

static struct gi_heap *heap_of(struct heap_world *w)
{
	struct gi_heap *h = NULL;

	hw_load(w);
	no_error(gi_go_heap(w->go, &h));
	return h;
}

static void refused(struct heap_world *w, const char *text)
{
	struct gi_heap *h = NULL;

	hw_load(w);
	error_says(gi_go_heap(w->go, &h), GI_ERR_MISMATCH, text);
	assert_null(h);
}

static void object_is(const struct gi_heap *h, uint64_t addr, uint64_t start, uint64_t size)
{
	uint64_t s = 0, n = 0;
	const struct gi_span *span = NULL;

	assert_true(gi_heap_object_at(h, addr, &s, &n, &span));
	assert_int_equal(s, start);
	assert_int_equal(n, size);
	assert_true(span->start <= addr && addr < span->end);
}

static void no_object(const struct gi_heap *h, uint64_t addr)
{
	uint64_t s = 1, n = 2;
	const struct gi_span *span = NULL;

	assert_false(gi_heap_object_at(h, addr, &s, &n, &span));
	assert_true(s == 1 && n == 2 && !span);
}

static void test_spans(void **state)
{
	struct heap_world *w = *state;
	uint64_t big = hw_span(w, 3, 0, true), stacks = hw_manual(w, 2), far;
	struct gi_heap *h, *again = NULL;
	const struct gi_span *s;

	// A hole, then a span in the next arena.
	w->next_page = HW_HEAP + HW_ARENA + 4 * HW_PAGE;
	far = hw_span(w, 1, 512, true);
	h = heap_of(w);
	no_error(gi_go_heap(w->go, &again));
	assert_ptr_equal(h, again);
	assert_int_equal(gi_heap_span_count(h), 6);
	assert_null(gi_heap_span(h, 6));
	for (size_t i = 1; i < 6; i++)
		assert_true(gi_heap_span(h, i - 1)->end <= gi_heap_span(h, i)->start);

	s = gi_heap_span_at(h, big + 3 * HW_PAGE - 1);
	assert_int_equal(s->start, big);
	assert_int_equal(s->end, big + 3 * HW_PAGE);
	assert_int_equal(s->elem_size, 3 * HW_PAGE);
	assert_int_equal(s->elem_count, 1);
	assert_int_equal(s->size_class, 0);
	assert_true(s->noscan && !s->manual);
	assert_int_equal(s->addr, hw_record(w, big));

	s = gi_heap_span_at(h, stacks + HW_PAGE);
	assert_true(s->manual);
	assert_int_equal(s->elem_count, 0);
	s = gi_heap_span_at(h, far);
	assert_int_equal(s->size_class, 2);

	assert_null(gi_heap_span_at(h, stacks + 2 * HW_PAGE));
	assert_null(gi_heap_span_at(h, HW_HEAP - 1));
	assert_null(gi_heap_span_at(h, HW_HEAP + 2 * HW_ARENA));
	assert_null(gi_heap_span_at(h, 0));
	assert_null(gi_heap_span_at(h, UINT64_MAX));
}

static void test_objects(void **state)
{
	struct heap_world *w = *state;
	uint64_t a = hw_new(w, w->small), b = hw_new(w, w->small), c = hw_new(w, w->small);
	uint64_t g = hw_g(w, 1, GI_G_WAITING), last = 0;
	struct gi_heap *h;

	hw_free(w, b);
	for (int i = 0; i < HW_PAGE / 64; i++)
		last = hw_new(w, w->noscan);
	h = heap_of(w);
	object_is(h, a, a, 64);
	object_is(h, a + 63, a, 64);
	no_object(h, b);
	no_object(h, b + 63);
	object_is(h, c + 1, c, 64);
	no_object(h, c + 64);
	object_is(h, g + 511, g, 512);
	object_is(h, last + 63, last, 64);
	no_object(h, hw_get(w, g + 24)); // its stack
}

// A span whose bits are just being exchanged: all its slots may be alive.
static void test_swept(void **state)
{
	struct heap_world *w = *state;
	uint64_t a = hw_new(w, w->small), rec = hw_record(w, w->small);
	struct gi_heap *h;

	hw_put_u32(w, rec + 40, SWEEPGEN - 1);
	h = heap_of(w);
	object_is(h, a, a, 64);
	object_is(h, a + 64, a + 64, 64);
	object_is(h, a + HW_PAGE - 1, a + HW_PAGE - 64, 64);
}

// Every offset of every size class falls into the slot that a division gives.
static void test_slot_of(void **state)
{
	static const uint16_t sizes[] = {8,	16,    24,    48,    112,   144,   208,
					 288,	576,   704,   1152,  1408,  2688,  3072,
					 4864,	5376,  6784,  9472,  10240, 10880, 13568,
					 16384, 18432, 19072, 20480, 27264, 28672, 32767};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(sizes); i++) {
		uint64_t size = sizes[i], count = (UINT64_C(1) << 17) / size;
		struct gi_heap_span s = {
			.pub = {.elem_size = size, .elem_count = count},
			.magic = (uint32_t)(((UINT64_C(1) << 32) + size - 1) / size)};

		for (uint64_t slot = 0; slot < count; slot++) {
			assert_int_equal(gi_heap_slot_of(&s, slot * size), slot);
			assert_int_equal(gi_heap_slot_of(&s, slot * size + size - 1), slot);
		}
	}
}

static void test_refused(void **state)
{
	static const struct {
		uint64_t off;
		uint64_t value;
		const char *text;
	} bad[] = {
		{8, HW_HEAP + 512, "a start that is no page"},
		{8, 0, "a start that is no page"},
		{8, UINT64_C(1) << 60, "a start that is no page"},
		{16, 0, "an impossible number of pages"},
		{16, UINT64_MAX, "an impossible number of pages"},
		{16, 4, "overlap"},
		{48, 128, "more objects than it has room for"},
		{48, 0, "more objects than it has room for"},
		{48, 32, "another size than its size class"},
		{24, 0x0080ffff, "a free index behind its last object"},
		// The first page of its arena is another's.
		{8, HW_HEAP + HW_ARENA - HW_PAGE, "not where the arenas have them"},
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++) {
		struct heap_world w;
		uint64_t rec;

		hw_open(&w);
		rec = hw_record(&w, w.small);
		hw_put(&w, rec + bad[i].off, bad[i].value);
		// More spans than are let pass for being in the making.
		for (int k = 0; i == GI_ARRAY_SIZE(bad) - 1 && k < 9; k++)
			hw_put(&w, hw_record(&w, hw_span(&w, 1, 64, false)) + 8,
			       HW_HEAP + HW_ARENA + (uint64_t)k * HW_PAGE);
		refused(&w, bad[i].text);
		hw_close(&w);
	}
}

static void test_unreadable(void **state)
{
	struct heap_world *w = *state;
	struct gi_heap *h = NULL;

	hw_load(w);
	hw_put(w, MHEAP + 16, 4);
	hw_put(w, ALLSPANS + 8 * 3, 0x10);
	error_says(gi_go_heap(w->go, &h), GI_ERR_FAULT, "mspan at 0x10");
	hw_put(w, MHEAP + 16, 300);
	error_says(gi_go_heap(w->go, &h), GI_ERR_MISMATCH, "allspans has 300 entries");
	w->go->layout.mspan.rec.ok = false;
	error_says(gi_go_heap(w->go, &h), GI_ERR_UNSUPPORTED, "layout of the heap");
}

static void test_arena_check(void **state)
{
	struct heap_world *w = *state;

	// A span outside of all arenas that the heap has.
	hw_put(w, MHEAP + 72, 1);
	w->next_page = HW_HEAP + HW_ARENA;
	hw_span(w, 1, 64, false);
	refused(w, "1 of 4 spans are not where the arenas have them");
}

// A g that is no object, or the middle of one: a layout is wrong, or the memory damaged.
static void test_g_check(void **state)
{
	struct heap_world *w = *state;
	uint64_t g = hw_g(w, 1, GI_G_WAITING);

	hw_put(w, ALLGS, g + 64);
	refused(w, "1 of 1 goroutines are no objects");
}

struct specials {
	struct gi_heap_special seen[8];
	size_t n;
};

static struct gi_error *note_special(void *arg, const struct gi_heap_special *s)
{
	struct specials *list = arg;

	assert_true(list->n < 8);
	list->seen[list->n++] = *s;
	return NULL;
}

static void test_specials(void **state)
{
	struct heap_world *w = *state;
	uint64_t a = hw_new(w, w->small), b = hw_new(w, w->small);
	struct specials got = {0};
	struct gi_heap *h;

	hw_special(w, b + 24, KIND_FINALIZER, 0x1234);
	hw_special(w, a, KIND_WEAK, 0x5678);
	hw_special(w, a, 2, 0x9abc);
	h = heap_of(w);
	no_error(gi_heap_specials(w->go, h, note_special, &got));
	assert_int_equal(got.n, 3);
	assert_int_equal(got.seen[0].object, a);
	assert_int_equal(got.seen[0].kind, 2);
	assert_int_equal(got.seen[0].handle, 0);
	assert_false(got.seen[0].finalizer);
	assert_int_equal(got.seen[1].object, a);
	assert_int_equal(got.seen[1].handle, 0x5678);
	assert_int_equal(got.seen[2].object, b);
	assert_true(got.seen[2].finalizer);

	// Outside of the span; a circle.
	hw_put(w, SPECIALS + 8, HW_PAGE);
	got.n = 0;
	error_says(gi_heap_specials(w->go, h, note_special, &got), GI_ERR_FORMAT,
		      "is of an object at offset");
}

static struct gi_error *ignore_special(void *arg, const struct gi_heap_special *s)
{
	(void)s;
	++*(size_t *)arg;
	return NULL;
}

static void test_special_circle(void **state)
{
	struct heap_world *w = *state;
	uint64_t a = hw_new(w, w->small);
	struct gi_heap *h;
	size_t n = 0;

	hw_special(w, a, KIND_FINALIZER, 0);
	hw_put(w, SPECIALS, SPECIALS);
	h = heap_of(w);
	error_says(gi_heap_specials(w->go, h, ignore_special, &n), GI_ERR_FORMAT, "circle");
	assert_true(n > 0);
}

// --- pointer bits ------------------------------------------------------------------------

enum { BITS_SIZE = HW_PAGE / 64 };

// A span of 64 byte objects that leaves room for bits, and maybe marks, at its end.
static uint64_t span_with_bits(struct heap_world *w, unsigned nelems)
{
	uint64_t span = hw_span(w, 1, 64, false);
	const uint8_t n[] = {(uint8_t)nelems, 0};

	no_error(gi_fake_write(w->t, hw_record(w, span) + 26, n, 2));
	w->go->layout.constant.max_span_bits_size = 64;
	return span;
}

static const struct gi_heap_span *with_bits(struct heap_world *w, uint64_t addr)
{
	struct gi_heap *h = heap_of(w);
	uint64_t slot;

	no_error(gi_heap_load_bits(w->go, h));
	return gi_heap_find(h, addr, &slot);
}

static void test_bits_in_span(void **state)
{
	struct heap_world *w = *state;
	uint64_t span = span_with_bits(w, 126), a = hw_new(w, span);
	const struct gi_heap_span *s;

	hw_put(w, span + HW_PAGE - BITS_SIZE, UINT64_C(0x8000000000000005));
	hw_put(w, span + HW_PAGE - BITS_SIZE + 8, 3);
	s = with_bits(w, a);
	assert_non_null(s->ptr_bits);
	assert_int_equal(gi_heap_ptr_mask(GI_PTR_BITS_ONE, s->ptr_bits, 0, 8), 5);
	assert_int_equal(gi_heap_ptr_mask(GI_PTR_BITS_ONE, s->ptr_bits, 62, 4), 0xe);
	assert_int_equal(gi_heap_ptr_mask(GI_PTR_BITS_ONE, s->ptr_bits, 2, 64),
			 UINT64_C(0xe000000000000001));
	// The last words of the span: nothing is read behind its end.
	assert_int_equal(gi_heap_ptr_mask(GI_PTR_BITS_ONE, s->ptr_bits, 1016, 8), 0);
	// Its objects would lie over the bits.
	assert_null(w->go->heap->spans[0].ptr_bits);
}

static void test_bits_before_marks(void **state)
{
	struct heap_world *w = *state;
	uint64_t span = span_with_bits(w, 124), a = hw_new(w, span);
	uint64_t page = (span - HW_HEAP) / HW_PAGE;
	const uint8_t flag = (uint8_t)(1u << page % 8);
	const struct gi_heap_span *s;

	w->go->layout.heap_arena.inline_marks =
		(struct gi_field){.off = 0x180, .size = ARENA_PAGES / 8, .ok = true};
	w->go->layout.inline_marks.rec = (struct gi_record){128, true};
	no_error(gi_fake_write(w->t, ARENA_RECORDS + 0x180 + page / 8, &flag, 1));
	hw_put(w, span + HW_PAGE - 128 - BITS_SIZE, 0x55);
	s = with_bits(w, a);
	assert_non_null(s->ptr_bits);
	assert_int_equal(gi_heap_ptr_mask(GI_PTR_BITS_ONE, s->ptr_bits, 0, 64), 0x55);
}

static void bits_in_arena(struct heap_world *w, unsigned per_word, uint64_t pattern)
{
	uint64_t a = hw_new(w, w->large);
	uint64_t off = (w->large - HW_HEAP) / 64 * per_word;
	const struct gi_heap_span *s;

	// The arena's record is larger than in other tests: behind all others.
	hw_put(w, ARENA_TABLE + 8 * FIRST_ARENA, GLOBALS + 0x14000);
	w->go->layout.heap_arena.bitmap = (struct gi_field){
		.off = 0x200, .size = (uint32_t)(HW_ARENA / 64 * per_word), .ok = true};
	for (unsigned i = 0; i < ARENA_PAGES; i++)
		hw_put(w, GLOBALS + 0x14000 + 16 + 8 * i, hw_get(w, ARENA_RECORDS + 16 + 8 * i));
	hw_put(w, GLOBALS + 0x14000 + 0x200 + off, pattern);
	s = with_bits(w, a);
	assert_non_null(s->ptr_bits);
	assert_int_equal(gi_heap_ptr_mask(w->go->heap->bits_format, s->ptr_bits, 0, 64),
			 per_word == 2 ? 0xfeed : pattern);
}

static void test_bits_in_arena(void **state)
{
	bits_in_arena(*state, 1, UINT64_C(0x123456789abcdef0));
	assert_int_equal(((struct heap_world *)*state)->go->heap->bits_format, GI_PTR_BITS_ONE);
}

// The upper half of each byte tells something else.
static void test_bits_in_nibbles(void **state)
{
	bits_in_arena(*state, 2, UINT64_C(0xf0a090501f6e9efd));
	assert_int_equal(((struct heap_world *)*state)->go->heap->bits_format, GI_PTR_BITS_NIBBLE);
}

// A pointer of a g without its bit; or many words that look like pointers and have none.
static void test_bits_not_believed(void **state)
{
	struct heap_world *w = *state;
	uint64_t span = span_with_bits(w, 126), a = hw_new(w, span);

	for (unsigned i = 0; i < 40; i++) {
		uint64_t at = hw_new(w, span);

		for (unsigned k = 0; k < 8; k++)
			hw_put(w, at + 8 * k, a);
		hw_put(w, span + HW_PAGE - BITS_SIZE + 8 * (i / 8), i / 8 == 1 ? 0 : UINT64_MAX);
	}
	assert_null(with_bits(w, a)->ptr_bits);
}

static void test_bits_of_gs(void **state)
{
	struct heap_world *w = *state;
	uint64_t a = hw_new(w, w->large), g;

	w->go->layout.constant.max_span_bits_size = 512;
	// A span of gs that leaves room for bits.
	no_error(gi_fake_write(w->t, hw_record(w, w->large) + 26, "\x1f", 1));
	g = hw_g(w, 1, GI_G_WAITING);
	hw_put(w, w->large + 2 * HW_PAGE - 2 * BITS_SIZE + (g - w->large) / 64, 1 << 6);
	assert_null(with_bits(w, a)->ptr_bits);
}

// --- shipped cores ---------------------------------------------------------------------

static void real_heap(const char *program, size_t least)
{
	const char *dir = getenv("GCORE_COREFILES");
	char core[512], exe[512];
	const struct gi_target_options opts = {.exe = exe};
	struct gi_target *t = NULL;
	struct gi_go *go = NULL;
	struct gi_heap *h = NULL;
	size_t n = 0, specials = 0;

	snprintf(core, sizeof(core), "%s/%s.core", dir ? dir : "build/corefiles", program);
	snprintf(exe, sizeof(exe), "%s/%s.exe", dir ? dir : "build/corefiles", program);
	no_error(gi_target_open_core(core, &opts, &t));
	no_error(gi_go_open(t, &go));
	no_error(gi_go_heap(go, &h));
	for (size_t i = 0; i < gi_heap_span_count(h); i++) {
		const struct gi_span *s = gi_heap_span(h, i);

		assert_ptr_equal(gi_heap_span_at(h, s->start), s);
		assert_ptr_equal(gi_heap_span_at(h, s->end - 1), s);
		n += !s->manual;
	}
	assert_true(n >= least);
	no_error(gi_heap_specials(go, h, ignore_special, &specials));
	assert_true(specials > 0); // os.Stdin and its kin have finalizers
	gi_go_close(go);
	gi_target_close(t);
}

static void test_real(void **state)
{
	(void)state;
	real_heap("zoo-go1.19.13", 40);
	real_heap("zoo-go1.27.4", 40);
	real_heap("zoo_cgo-go1.27.4", 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_spans, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_objects, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_swept, set_up, tear_down),
		cmocka_unit_test(test_slot_of),
		cmocka_unit_test(test_refused),
		cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_arena_check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_g_check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_specials, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_special_circle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bits_in_span, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bits_before_marks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bits_in_arena, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bits_in_nibbles, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bits_not_believed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bits_of_gs, set_up, tear_down),
		cmocka_unit_test(test_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

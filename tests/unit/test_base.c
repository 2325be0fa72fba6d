// Base: strings and their escaping, cursors, the map, arenas, errors.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gcore/base.h"

static void escaped_is(const char *in, size_t n, const char *want)
{
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	gi_str_put_escaped(&s, in, n);
	assert_false(s.oom);
	assert_string_equal(gi_str_cstr(&s), want);
}

static void test_escape(void **state)
{
	(void)state;
	escaped_is("", 0, "");
	escaped_is("plain text", 10, "plain text");
	escaped_is("a\nb\tc", 5, "a\\x0ab\\x09c");
	escaped_is("\033[31mred", 8, "\\x1b[31mred");
	escaped_is("\x7f", 1, "\\x7f");
	escaped_is("a\0b", 3, "a\\x00b");
	escaped_is("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
	escaped_is("\xe4\xb8\xad\xf0\x9f\x98\x80", 7, "\xe4\xb8\xad\xf0\x9f\x98\x80");
	// Cut off, overlong, surrogate, beyond Unicode, stray continuation.
	escaped_is("\xe4\xb8", 2, "\\xe4\\xb8");
	escaped_is("\xc0\xaf", 2, "\\xc0\\xaf");
	escaped_is("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");
	escaped_is("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80");
	escaped_is("\x80", 1, "\\x80");
	// C1 controls and bidirectional overrides are valid UTF-8 that terminals act on.
	escaped_is("\xc2\x9b" "1m", 4, "\\xc2\\x9b" "1m");
	escaped_is("\xe2\x80\xae", 3, "\\xe2\\x80\\xae");
	escaped_is("\xe2\x81\xa6", 3, "\\xe2\\x81\\xa6");
}

static void test_str(void **state)
{
	(void)state;
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	assert_string_equal(gi_str_cstr(&s), "");
	gi_str_put_u64(&s, 0);
	gi_str_putc(&s, ' ');
	gi_str_put_u64(&s, UINT64_MAX);
	gi_str_putc(&s, ' ');
	gi_str_put_hex(&s, 0);
	gi_str_putc(&s, ' ');
	gi_str_put_hex(&s, UINT64_MAX);
	gi_str_printf(&s, " %d %s", -1, "x");
	assert_string_equal(gi_str_cstr(&s), "0 18446744073709551615 0x0 0xffffffffffffffff -1 x");
	gi_str_reset(&s);
	assert_string_equal(gi_str_cstr(&s), "");

	// Longer than printf's first buffer, and exactly at its border.
	for (size_t n = 254; n <= 258; n++) {
		char text[300];
		memset(text, 'y', n);
		text[n] = '\0';
		gi_str_reset(&s);
		gi_str_puts(&s, "<");
		gi_str_printf(&s, "%s", text);
		gi_str_puts(&s, ">");
		assert_int_equal(s.len, n + 2);
		assert_int_equal(strlen(s.s), n + 2);
		assert_int_equal(s.s[n + 1], '>');
	}
}

static void test_cursor(void **state)
{
	(void)state;
	static const uint8_t data[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct gi_cursor c = gi_cursor_make(data, sizeof(data));
	assert_int_equal(gi_cursor_u8(&c), 1);
	assert_int_equal(gi_cursor_u16(&c), 0x0302);
	assert_int_equal(gi_cursor_u32(&c), 0x07060504);
	assert_true(gi_cursor_u64(&c) == 0x0f0e0d0c0b0a0908u);
	assert_false(c.bad);
	assert_int_equal(gi_cursor_left(&c), 0);
	assert_int_equal(gi_cursor_u8(&c), 0);
	assert_true(c.bad);
	// Once bad, it stays bad and does not move.
	c = gi_cursor_make(data, sizeof(data));
	gi_cursor_seek(&c, 10);
	assert_true(gi_cursor_u64(&c) == 0);
	assert_true(c.bad);
	assert_int_equal(c.off, 10);
	assert_int_equal(gi_cursor_u8(&c), 0);
	assert_int_equal(c.off, 10);
	// Sizes that would wrap.
	c = gi_cursor_make(data, sizeof(data));
	gi_cursor_skip(&c, 3);
	assert_null(gi_cursor_bytes(&c, SIZE_MAX));
	assert_true(c.bad);
	c = gi_cursor_make(data, sizeof(data));
	gi_cursor_seek(&c, sizeof(data));
	assert_false(c.bad);
	gi_cursor_seek(&c, sizeof(data) + 1);
	assert_true(c.bad);
}

static void test_cursor_leb(void **state)
{
	(void)state;
	static const uint8_t leb[] = { 0xe5, 0x8e, 0x26, 0x7f, 0x80 };
	struct gi_cursor c = gi_cursor_make(leb, sizeof(leb));
	assert_int_equal(gi_cursor_uleb(&c), 624485);
	assert_int_equal(gi_cursor_uvarint32(&c), 127);
	assert_int_equal(gi_cursor_uleb(&c), 0); // never ends
	assert_true(c.bad);
	static const uint8_t max[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 };
	c = gi_cursor_make(max, sizeof(max));
	assert_true(gi_cursor_uleb(&c) == UINT64_MAX);
	assert_false(c.bad);
	static const uint8_t endless[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
					   0x80, 0x80, 0x80, 0x80, 0x80, 0x00 };
	c = gi_cursor_make(endless, sizeof(endless));
	gi_cursor_uleb(&c);
	assert_true(c.bad);
	c = gi_cursor_make(endless, sizeof(endless));
	gi_cursor_uvarint32(&c);
	assert_true(c.bad);
	static const uint8_t u32max[] = { 0xff, 0xff, 0xff, 0xff, 0x0f };
	c = gi_cursor_make(u32max, sizeof(u32max));
	assert_true(gi_cursor_uvarint32(&c) == UINT32_MAX);
	assert_false(c.bad);
}

static void test_map(void **state)
{
	(void)state;
	_cleanup_(gi_map_deinit) struct gi_map m = { 0 };
	uint64_t v = 7;
	assert_false(gi_map_get(&m, 0, &v));
	assert_false(gi_map_get(&m, 1, &v));
	assert_int_equal(v, 7); // untouched
	for (uint64_t i = 0; i < 20000; i++)
		assert_null(gi_map_put(&m, i * 0x1000, i + 1));
	assert_int_equal(m.len, 20000);
	for (uint64_t i = 0; i < 20000; i++) {
		assert_true(gi_map_get(&m, i * 0x1000, &v));
		assert_int_equal(v, i + 1);
	}
	assert_false(gi_map_get(&m, 0x1001, &v));
	// Again: replaced, not added.
	assert_null(gi_map_put(&m, 0, 42));
	assert_null(gi_map_put(&m, 0x1000, 43));
	assert_int_equal(m.len, 20000);
	assert_true(gi_map_get(&m, 0, &v) && v == 42);
	assert_true(gi_map_get(&m, 0x1000, &v) && v == 43);
	assert_null(gi_map_put(&m, UINT64_MAX, 1));
	assert_true(gi_map_get(&m, UINT64_MAX, &v) && v == 1);
}

static void test_arena(void **state)
{
	(void)state;
	_cleanup_(gi_arena_destroyp) struct gi_arena *a = NULL;
	assert_null(gi_arena_create(&a));
	for (int round = 0; round < 3; round++) {
		char *kept[200];
		for (size_t i = 0; i < 200; i++) {
			size_t n = i * 397 % 40000 + 1;
			kept[i] = gi_arena_alloc(a, n);
			assert_non_null(kept[i]);
			assert_int_equal((uintptr_t)kept[i] % 16, 0);
			for (size_t k = 0; k < n; k += 61)
				assert_int_equal(kept[i][k], 0);
			memset(kept[i], (int)i, n);
		}
		for (size_t i = 0; i < 200; i++) {
			size_t n = i * 397 % 40000 + 1;
			assert_int_equal((uint8_t)kept[i][0], i);
			assert_int_equal((uint8_t)kept[i][n - 1], i);
		}
		assert_string_equal(gi_arena_strdup(a, "text"), "text");
		assert_string_equal(gi_arena_strndup(a, "text", 2), "te");
		gi_arena_reset(a);
	}
	assert_null(gi_arena_alloc(a, SIZE_MAX));
	assert_null(gi_arena_strndup(a, "x", SIZE_MAX));
}

static void test_grow(void **state)
{
	(void)state;
	_cleanup_(gi_freep) uint64_t *v = NULL;
	size_t cap = 0;
	for (size_t i = 0; i < 1000; i++) {
		assert_null(gi_grow(&v, &cap, i + 1, sizeof(*v)));
		assert_true(cap > i);
		v[i] = i;
	}
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(v[i], i);
	uint64_t *before = v;
	size_t cap_before = cap;
	struct gi_error *err = gi_grow(&v, &cap, SIZE_MAX / 4, sizeof(*v));
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), GI_ERR_NOMEM);
	gi_error_free(err);
	assert_ptr_equal(v, before);
	assert_int_equal(cap, cap_before);
}

static void test_error(void **state)
{
	(void)state;
	uint64_t addr = 0;
	struct gi_error *err = gi_error_at(GI_ERR_FAULT, 0x1234, "at %d", 5);
	assert_int_equal(gi_error_code(err), GI_ERR_FAULT);
	assert_string_equal(gi_error_message(err), "at 5");
	err = gi_error_wrap(err, "while %s", "reading");
	assert_string_equal(gi_error_message(err), "while reading: at 5");
	assert_true(gi_error_address(err, &addr));
	assert_int_equal(addr, 0x1234);
	struct gi_error *copy = gi_error_dup(err);
	gi_error_free(err);
	assert_string_equal(gi_error_message(copy), "while reading: at 5");
	assert_int_equal(gi_error_code(copy), GI_ERR_FAULT);
	gi_error_free(copy);
	assert_null(gi_error_wrap(NULL, "nothing"));
	gi_error_free(NULL);
	err = gi_error_nomem();
	err = gi_error_wrap(err, "context");
	assert_int_equal(gi_error_code(err), GI_ERR_NOMEM);
	assert_false(gi_error_address(err, &addr));
	gi_error_free(err);
}

static void test_interrupt(void **state)
{
	(void)state;
	gi_interrupt_clear();
	assert_null(gi_interrupt_check());
	gi_interrupt_raise();
	struct gi_error *err = gi_interrupt_check();
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), GI_ERR_INTERRUPTED);
	gi_error_free(err);
	gi_interrupt_clear();
	assert_false(gi_interrupted());
}

static void test_bounds(void **state)
{
	(void)state;
	assert_true(gi_in_bounds(0, 0, 0));
	assert_true(gi_in_bounds(4, 4, 8));
	assert_false(gi_in_bounds(4, 5, 8));
	assert_false(gi_in_bounds(9, 0, 8));
	assert_false(gi_in_bounds(UINT64_MAX, 2, 8));
	assert_false(gi_in_bounds(2, UINT64_MAX, 8));
}

static void test_sub(void **state)
{
	(void)state;
	assert_int_equal(gi_sub_i64(5, 7), -2);
	assert_true(gi_sub_i64(INT64_MAX, -1) == INT64_MAX);
	assert_true(gi_sub_i64(-2, INT64_MAX) == INT64_MIN);
	assert_true(gi_sub_i64(INT64_MIN, INT64_MIN) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),	   cmocka_unit_test(test_str),
		cmocka_unit_test(test_cursor),	   cmocka_unit_test(test_cursor_leb),
		cmocka_unit_test(test_map),	   cmocka_unit_test(test_arena),
		cmocka_unit_test(test_grow),	   cmocka_unit_test(test_error),
		cmocka_unit_test(test_interrupt), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_sub),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

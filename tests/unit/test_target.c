// What every target does, on the fake one: reads across pieces, the first bad address and
// why, views, strings, mappings.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gcore/record.h"
#include "target/fake.h"

static void fails(struct gi_error *err, enum gi_error_code code, uint64_t addr)
{
	assert_non_null(err);
	uint64_t at = 0;
	assert_true(gi_error_address(err, &at));
	if (gi_error_code(err) != code || at != addr)
		fail_msg("code %d at 0x%llx: %s", gi_error_code(err), (unsigned long long)at,
			 gi_error_message(err));
	gi_error_free(err);
}

// Two pieces that touch, a hole, an unsaved one, one at the very top.
static int make(void **state)
{
	struct gi_target *t = NULL;
	uint8_t bytes[0x1000];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_null(gi_fake_create(&t));
	assert_null(gi_fake_add_memory(t, 0x3000, bytes, 0x1000, GI_MAP_R));
	assert_null(gi_fake_add_memory(t, 0x2000, bytes, 0x1000, GI_MAP_R | GI_MAP_W));
	assert_null(gi_fake_add_unsaved(t, 0x4000, 0x1000, GI_MAP_R, GI_ERR_NOT_SAVED));
	assert_null(gi_fake_add_unsaved(t, 0x5000, 0x1000, GI_MAP_R, GI_ERR_CUT_OFF));
	assert_null(gi_fake_add_memory(t, 0xfffffffffffff000, bytes, 0xfff, GI_MAP_R));
	*state = t;
	return 0;
}

static int unmake(void **state)
{
	gi_target_close(*state);
	return 0;
}

static void test_read(void **state)
{
	struct gi_target *t = *state;
	uint8_t buf[0x4000];
	assert_null(gi_target_read(t, 0x2000, buf, 0x2000));
	for (size_t i = 0; i < 0x2000; i++)
		assert_int_equal(buf[i], (uint8_t)i);
	assert_null(gi_target_read(t, 0x2ffc, buf, 8));
	assert_memory_equal(buf, "\xfc\xfd\xfe\xff\0\1\2\3", 8);
	assert_null(gi_target_read(t, 0x1, buf, 0)); // nothing is there to fail
	fails(gi_target_read(t, 0x1fff, buf, 1), GI_ERR_FAULT, 0x1fff);
	fails(gi_target_read(t, 0x2000, buf, 0x2001), GI_ERR_NOT_SAVED, 0x4000);
	fails(gi_target_read(t, 0x4ff0, buf, 4), GI_ERR_NOT_SAVED, 0x4ff0);
	fails(gi_target_read(t, 0x5000, buf, 4), GI_ERR_CUT_OFF, 0x5000);
	fails(gi_target_read(t, 0x6000, buf, 4), GI_ERR_FAULT, 0x6000);
	fails(gi_target_read(t, 0xfffffffffffffff0, buf, 0x20), GI_ERR_FAULT, UINT64_MAX);
	assert_null(gi_target_read(t, 0xfffffffffffffff0, buf, 0xf));
}

static void test_numbers(void **state)
{
	struct gi_target *t = *state;
	uint8_t b = 0;
	uint32_t w = 0;
	uint64_t q = 0;
	assert_null(gi_target_read_u8(t, 0x2010, &b));
	assert_int_equal(b, 0x10);
	assert_null(gi_target_read_u32(t, 0x2ffe, &w)); // across two pieces
	assert_int_equal(w, 0x0100fffe);
	assert_null(gi_target_read_u64(t, 0x2ffd, &q));
	assert_true(q == 0x0403020100fffefd);
	assert_null(gi_target_read_uint(t, 0x2001, 1, &q));
	assert_true(q == 1);
	assert_null(gi_target_read_uint(t, 0x2001, 2, &q));
	assert_true(q == 0x0201);
	assert_null(gi_target_read_uint(t, 0x2001, 4, &q));
	assert_true(q == 0x04030201);
	assert_null(gi_target_read_uint(t, 0x2001, 8, &q));
	assert_true(q == 0x0807060504030201);
	fails(gi_target_read_uint(t, 0x2001, 3, &q), GI_ERR_FORMAT, 0x2001);
	q = 42;
	fails(gi_target_read_u64(t, 0x3ffc, &q), GI_ERR_NOT_SAVED, 0x4000);
	assert_true(q == 42); // untouched
	assert_true(gi_target_peek_u64(t, 0x2ffd, &q));
	assert_true(q == 0x0403020100fffefd);
	assert_false(gi_target_peek_u64(t, 0x3ffc, &q));
	assert_false(gi_target_peek_u64(t, 0x10, &q));
}

static void test_view(void **state)
{
	struct gi_target *t = *state;
	size_t n = 9;
	const uint8_t *p = gi_target_view(t, 0x2100, 0xf00);
	assert_non_null(p);
	assert_int_equal(p[5], 5);
	assert_null(gi_target_view(t, 0x2100, 0xf01)); // two pieces
	assert_null(gi_target_view(t, 0x4000, 1));
	p = gi_target_view_max(t, 0x2ff0, 100, &n);
	assert_non_null(p);
	assert_int_equal(n, 16);
	assert_null(gi_target_view_max(t, 0x1000, 100, &n));
	assert_int_equal(n, 0);
}

static void test_strings(void **state)
{
	struct gi_target *t = *state;
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	assert_null(gi_fake_write(t, 0x2ffa, "across\0", 8));
	assert_null(gi_target_read_cstring(t, 0x2ffa, 100, &s));
	assert_string_equal(gi_str_cstr(&s), "across");
	gi_str_reset(&s);
	assert_null(gi_target_read_cstring(t, 0x2ffa, 7, &s)); // with its NUL
	assert_string_equal(gi_str_cstr(&s), "across");
	gi_str_reset(&s);
	fails(gi_target_read_cstring(t, 0x2ffa, 6, &s), GI_ERR_FORMAT, 0x2ffa);
	assert_int_equal(s.len, 0);
	assert_null(gi_fake_write(t, 0x3ffe, "xy", 2));
	fails(gi_target_read_cstring(t, 0x3ffe, 100, &s), GI_ERR_NOT_SAVED, 0x4000);
	assert_int_equal(s.len, 0);

	assert_null(gi_fake_write_u64(t, 0x2100, 0x2ffa));
	assert_null(gi_fake_write_u64(t, 0x2108, 6));
	gi_str_puts(&s, "it goes ");
	assert_null(gi_target_read_gostring(t, 0x2100, 6, &s));
	assert_string_equal(gi_str_cstr(&s), "it goes across");
	fails(gi_target_read_gostring(t, 0x2100, 5, &s), GI_ERR_FORMAT, 0x2100);
	assert_null(gi_fake_write_u64(t, 0x2108, UINT64_MAX));
	fails(gi_target_read_gostring(t, 0x2100, 1000, &s), GI_ERR_FORMAT, 0x2100);
	assert_null(gi_fake_write_u64(t, 0x2108, 0x1007));
	fails(gi_target_read_gostring(t, 0x2100, 0x2000, &s), GI_ERR_NOT_SAVED, 0x4000);
	assert_string_equal(gi_str_cstr(&s), "it goes across"); // as before
	assert_null(gi_fake_write_u64(t, 0x2108, 0));
	assert_null(gi_target_read_gostring(t, 0x2100, 0, &s));
	assert_string_equal(gi_str_cstr(&s), "it goes across");
}

static void test_mappings(void **state)
{
	struct gi_target *t = *state;
	assert_int_equal(gi_target_mapping_count(t), 5);
	uint64_t end = 0;
	for (size_t i = 0; i < 5; i++) {
		const struct gi_mapping *m = gi_target_mapping(t, i);
		assert_true(m->start >= end && m->end > m->start);
		end = m->end;
		assert_ptr_equal(gi_target_mapping_at(t, m->start), m);
		assert_ptr_equal(gi_target_mapping_at(t, m->end - 1), m);
	}
	assert_null(gi_target_mapping(t, 5));
	assert_null(gi_target_mapping_at(t, 0x1fff));
	assert_null(gi_target_mapping_at(t, 0x6000));
	assert_null(gi_target_mapping_at(t, UINT64_MAX));
	assert_null(gi_fake_set_path(t, 0x3100, "/bin/x", 0x1000));
	assert_string_equal(gi_target_mapping_at(t, 0x3000)->path, "/bin/x");
	struct gi_error *err = gi_fake_add_memory(t, 0x1fff, "ab", 2, GI_MAP_R);
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), GI_ERR_USAGE);
	gi_error_free(err);
}

static void test_threads(void **state)
{
	struct gi_target *t = *state;
	assert_int_equal(gi_target_thread_count(t), 0);
	assert_null(gi_target_thread(t, 0));
	struct gi_thread th = { .tid = 17, .regs = { .arch = GI_ARCH_AMD64 } };
	th.regs.r[GI_AMD64_RIP] = 0x1111;
	th.regs.r[GI_AMD64_RSP] = 0x2222;
	th.regs.r[GI_AMD64_RBP] = 0x3333;
	assert_null(gi_fake_add_thread(t, &th));
	const struct gi_thread *got = gi_target_thread_by_tid(t, 17);
	assert_ptr_equal(got, gi_target_thread(t, 0));
	assert_int_equal(gi_regs_pc(&got->regs), 0x1111);
	assert_int_equal(gi_regs_sp(&got->regs), 0x2222);
	assert_int_equal(gi_regs_bp(&got->regs), 0x3333);
	assert_null(gi_target_thread_by_tid(t, 18));
	for (size_t i = 0; i < GI_AMD64_REG_COUNT; i++)
		assert_non_null(gi_reg_name(GI_ARCH_AMD64, i));
	assert_string_equal(gi_reg_name(GI_ARCH_AMD64, GI_AMD64_ORIG_RAX), "orig_rax");
	assert_null(gi_reg_name(GI_ARCH_AMD64, GI_AMD64_REG_COUNT));
	assert_null(gi_target_exe(t));
	uint64_t bias;
	assert_null(gi_target_elf_at(t, 0x2000, &bias));
}

static void is_run(const struct gi_record_run *run, uint64_t start, uint64_t end)
{
	if (run->start != start || run->end != end)
		fail_msg("recorded 0x%llx to 0x%llx", (unsigned long long)run->start,
			 (unsigned long long)run->end);
}

static void test_record(void **state)
{
	struct gi_target *t = *state;
	struct gi_record *r = NULL, *second = NULL;
	_cleanup_(gi_freep) struct gi_record_run *runs = NULL, *joined = NULL;
	uint8_t buf[256];
	uint64_t word;
	size_t n;

	assert_null(gi_target_read(t, 0x2800, buf, 8)); // before
	assert_null(gi_record_start(t, &r));
	struct gi_error *err = gi_record_start(t, &second);
	assert_int_equal(gi_error_code(err), GI_ERR_USAGE);
	gi_error_free(err);
	// Lines of 64 bytes: one, two that a read straddles, across two pieces, a view.
	assert_true(gi_target_peek_u64(t, 0x2008, &word));
	assert_null(gi_target_read(t, 0x20bc, buf, 8));
	assert_null(gi_target_read(t, 0x2fc0, buf, 128));
	assert_non_null(gi_target_view_max(t, 0x3f01, SIZE_MAX, &n));
	// What fails, and what is read for an answer, is not wanted.
	err = gi_target_read(t, 0x4000, buf, 8);
	assert_non_null(err);
	gi_error_free(err);
	gi_target_record_pause(t);
	assert_null(gi_target_read(t, 0x2400, buf, 8));
	gi_target_record_found(t, 0x2440, 1);
	gi_target_record_resume(t);
	assert_null(gi_target_keep_answer(t, "a", "old", 3));
	assert_null(gi_target_keep_answer(t, "a", "new", 3));
	assert_null(gi_target_extend_answer(t, "a", "er", 2));
	gi_record_stop(r);
	assert_null(gi_target_read(t, 0x2a00, buf, 8)); // behind

	assert_null(gi_record_runs(r, 0, &runs, &n));
	assert_int_equal(n, 5);
	is_run(&runs[0], 0x2000, 0x2040);
	is_run(&runs[1], 0x2080, 0x2100);
	is_run(&runs[2], 0x2440, 0x2480);
	is_run(&runs[3], 0x2fc0, 0x3040);
	is_run(&runs[4], 0x3f00, 0x4000);
	assert_null(gi_record_runs(r, 64, &joined, &n));
	assert_int_equal(n, 4);
	is_run(&joined[0], 0x2000, 0x2100);
	assert_true(gi_record_has(r, 0x20ff) && !gi_record_has(r, 0x2100));
	assert_int_equal(gi_record_answer_count(r), 1);
	struct gi_record_answer a = gi_record_answer(r, 0);
	assert_int_equal(a.n, 5);
	assert_memory_equal(a.data, "newer", 5);
	gi_record_destroy(r);
	assert_false(gi_target_recorded(t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, make, unmake),
		cmocka_unit_test_setup_teardown(test_numbers, make, unmake),
		cmocka_unit_test_setup_teardown(test_view, make, unmake),
		cmocka_unit_test_setup_teardown(test_strings, make, unmake),
		cmocka_unit_test_setup_teardown(test_mappings, make, unmake),
		cmocka_unit_test_setup_teardown(test_threads, make, unmake),
		cmocka_unit_test_setup_teardown(test_record, make, unmake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Argument words from streams made by hand: FUNCDATA ArgInfo and ArgLiveInfo.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../support/symtab.h"
#include "unwind/unwind_impl.h"
#include "checks.h"

enum {
	ARGS = 0x30000000,
	INFO = ST_GOFUNC + 0x10000,
	LIVE = ST_GOFUNC + 0x20000,
	PAGE = 0x200,
	END = 0x40,
};

static const char *const files[] = {"a/main.go", NULL};

// The runs stand in for PCDATA ArgLiveIndex: no index, then 1, then 3, then one far away.
static const struct st_func funcs[] = {
	{.name = "main.f",
	 .entry = 0x10,
	 .sp = (const struct st_run[]){{0x30, 0}, {0, 0}},
	 .inl =
		 (const struct st_run[]){
			 {8, -1}, {0x10, 1}, {0x18, 3}, {0x30, 60000}, {0, 0}}},
};

struct fixture {
	struct symtab st;
	struct gi_functab *ft;
	struct gi_unwinder u;
	struct gi_func f;
	uint8_t tail[(4 + 8) * 4];
};

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static int set_up(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	uint8_t words[PAGE];
	assert_non_null(x);
	symtab_build(&x->st, 27, funcs, 1, END, files, 1);
	no_error(gi_functab_create(x->st.t, &x->st.mod, 1, &x->ft));
	// Word i is 0x11 * (i + 1) in each byte.
	for (size_t i = 0; i < sizeof(words); i++)
		words[i] = (uint8_t)(0x11 * (i / 8 + 1));
	no_error(gi_fake_add_memory(x->st.t, ARGS, words, sizeof(words), GI_MAP_R));
	memset(words, 0, sizeof(words));
	no_error(gi_fake_add_memory(x->st.t, INFO, words, sizeof(words), GI_MAP_R));
	no_error(gi_fake_add_memory(x->st.t, LIVE, words, sizeof(words), GI_MAP_R));

	// The function that was built has three PCDATA and four FUNCDATA tables: more of
	// them.
	assert_true(gi_functab_find(x->ft, ST_TEXT + 0x10, &x->f));
	uint32_t runs = gi_load_u32(x->f.tail + 8);
	assert_int_not_equal(runs, 0);
	put_u32(x->tail + 4 * GI_PCDATA_ARG_LIVE, runs);
	for (int i = 4; i < 12; i++)
		put_u32(x->tail + 4 * i, 0xffffffff);
	put_u32(x->tail + 4 * (4 + GI_FUNCDATA_ARG_INFO), INFO - ST_GOFUNC);
	x->f.npcdata = 4;
	x->f.nfuncdata = 8;
	x->f.tail = x->tail;

	x->u.t = x->st.t;
	x->u.ft = x->ft;
	x->u.symbolic_args = true;
	*state = x;
	return 0;
}

static void forget(struct fixture *x)
{
	gi_map_deinit(&x->u.args);
	gi_arena_destroy(x->u.args_arena);
	x->u.args_arena = NULL;
}

static int tear_down(void **state)
{
	struct fixture *x = *state;
	forget(x);
	gi_functab_destroy(x->ft);
	symtab_close(&x->st);
	free(x);
	return 0;
}

static void args_at(struct fixture *x, uint64_t argp, uint64_t pc, const char *want)
{
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	struct gi_frame f = {.kind = GI_FRAME_GO,
			     .has_func = true,
			     .func = x->f,
			     .entry = x->f.entry,
			     .argp = argp,
			     .pc = pc,
			     .lookup_pc = pc,
			     .exact_pc = true};
	// The second time from what was kept.
	for (int i = 0; i < 2; i++) {
		gi_str_reset(&text);
		gi_frame_args(&x->u, &f, &text);
		assert_string_equal(gi_str_cstr(&text), want);
	}
}

static void stream(struct fixture *x, const void *bytes, size_t n, const char *want)
{
	forget(x);
	no_error(gi_fake_write(x->st.t, INFO, bytes, n));
	args_at(x, ARGS, x->f.entry, want);
}

#define STREAM(x, want, ...)                      \
	stream(x, (const uint8_t[]){__VA_ARGS__}, \
	       sizeof((const uint8_t[]){__VA_ARGS__}), want)

static void test_streams(void **state)
{
	struct fixture *x = *state;
	STREAM(x, "", 0xff);
	STREAM(x, "0x1111111111111111", 0, 8, 0xff);
	STREAM(x, "0x1111111111111111, 0x22222222", 0, 8, 8, 4, 0xff);
	STREAM(x, "0x11, 0x2222", 0, 1, 8, 2, 0xff);
	STREAM(x, "{}", 0xfe, 0xfd, 0xff);
	STREAM(x, "{0x11, 0x22}, 0x33", 0xfe, 0, 1, 8, 1, 0xfd, 16, 1, 0xff);
	STREAM(x, "0x11, {0x22, {0x33}}", 0, 1, 0xfe, 8, 1, 0xfe, 16, 1, 0xfd, 0xfd,
	       0xff);
	STREAM(x, "0x11, _, ...", 0, 1, 0xfb, 0xfc, 0xff);
	STREAM(x, "{0x11, ...}, ...", 0xfe, 0, 1, 0xfc, 0xfd, 0xfc, 0xff);
	STREAM(x, "...", 0xfc, 0xff);
	// What overlaps a word boundary is read as it is.
	STREAM(x, "0x22221111", 6, 4, 0xff);
}

static void test_damaged(void **state)
{
	struct fixture *x = *state;
	uint8_t endless[PAGE];
	// A word of more than eight bytes is none.
	STREAM(x, "", 0, 9, 0xff);
	// No end within the longest stream that a compiler writes.
	memset(endless, 0xfc, sizeof(endless));
	stream(x, endless, sizeof(endless), "");
	memset(endless, 0, sizeof(endless));
	stream(x, endless, sizeof(endless), "");
	memset(endless, 0xfe, sizeof(endless));
	stream(x, endless, sizeof(endless), "");

	// Arguments that cannot be read are not zero.
	STREAM(x, "0x11, 0x22", 0, 1, 8, 1, 0xff);
	args_at(x, ARGS + PAGE - 8, x->f.entry, "0x40, ?");
	args_at(x, 0x5000, x->f.entry, "?, ?");
	args_at(x, UINT64_MAX - 3, x->f.entry, "?, ?");

	// A stream outside of memory, and functions without one.
	forget(x);
	put_u32(x->tail + 4 * (4 + GI_FUNCDATA_ARG_INFO), 0x7000000);
	args_at(x, ARGS, x->f.entry, "");
	forget(x);
	put_u32(x->tail + 4 * (4 + GI_FUNCDATA_ARG_INFO), 0xffffffff);
	args_at(x, ARGS, x->f.entry, "");
}

static void test_liveness(void **state)
{
	struct fixture *x = *state;
	uint64_t e = x->f.entry;
	put_u32(x->tail + 4 * (4 + GI_FUNCDATA_ARG_LIVE_INFO), LIVE - ST_GOFUNC);
	// Offsets from 8 on have liveness; at index 1 two bytes of bits, at 3 one.
	no_error(gi_fake_write(x->st.t, LIVE, "\x08\x05\x00\x02", 4));
	STREAM(x, "0x11, 0x22, 0x33, 0x44", 0, 1, 8, 1, 16, 1, 24, 1, 0xff);
	// No index: all are taken for live.
	args_at(x, ARGS, e + 4, "0x11, 0x22, 0x33, 0x44");
	// 0 is no slot, 8 is slot 0, 16 is slot 1, 24 is slot 2.
	args_at(x, ARGS, e + 8, "0x11, 0x22, 0x33?, 0x44");
	args_at(x, ARGS, e + 0x10, "0x11, 0x22?, 0x33, 0x44?");
	// An index past the table tells nothing.
	args_at(x, ARGS, e + 0x20, "0x11, 0x22, 0x33, 0x44");

	// The ninth slot's bit is in the next byte.
	no_error(gi_fake_write(x->st.t, LIVE, "\x00\xff\x00", 3));
	forget(x);
	STREAM(x, "0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x22", 0, 1, 1, 1, 2,
	       1, 3, 1, 4, 1, 5, 1, 6, 1, 7, 1, 8, 1, 0xff);
	args_at(x, ARGS, e + 8, "0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x22?");

	// A return address is looked up in the call before it.
	no_error(gi_fake_write(x->st.t, LIVE, "\x00\x00\x00\xff", 4));
	STREAM(x, "0x11", 0, 1, 0xff);
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	struct gi_frame f = {.kind = GI_FRAME_GO,
			     .has_func = true,
			     .func = x->f,
			     .entry = e,
			     .argp = ARGS,
			     .pc = e + 0x10,
			     .lookup_pc = e + 4};
	gi_frame_args(&x->u, &f, &text);
	assert_string_equal(gi_str_cstr(&text), "0x11?");
	// Releases before 1.21 looked up where the outermost inlined call is.
	x->u.symbolic_args = false;
	gi_str_reset(&text);
	gi_frame_args(&x->u, &f, &text);
	assert_string_equal(gi_str_cstr(&text), "0x11");
}

static void test_kinds(void **state)
{
	struct fixture *x = *state;
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	struct gi_frame f = {.kind = GI_FRAME_INLINED, .has_func = true, .func = x->f};
	gi_frame_args(&x->u, &f, &text);
	assert_string_equal(gi_str_cstr(&text), "...");
	gi_str_reset(&text);
	f = (struct gi_frame){.kind = GI_FRAME_C};
	gi_frame_args(&x->u, &f, &text);
	assert_string_equal(gi_str_cstr(&text), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_streams, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_liveness, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

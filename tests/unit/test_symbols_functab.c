// Function tables: hand-built ones of both formats, damaged ones, and real programs.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../support/symtab.h"
#include "checks.h"

#define RUNS(...)               \
	(const struct st_run[]) \
	{                       \
		__VA_ARGS__,    \
		{               \
			0, 0    \
		}               \
	}

enum { WRAPPER = 22, TEXT_END = 0x100 };

static const char *const files[] = {"a/main.go", "b/util.go", NULL};

// main.main calls util.outer, inlined, which calls util.inner, inlined; 0x50 to 0x60 is
// padding.
static const struct st_func funcs[] = {
	{.name = "main.main",
	 .entry = 0x10,
	 .start_line = 7,
	 .sp = RUNS({4, 0}, {0x40, 200}, {0x48, -8}),
	 .file = RUNS({0x20, 0}, {0x30, 1}, {0x48, 0}),
	 .line = RUNS({8, 8}, {0x20, 10}, {0x28, 301}, {0x30, 402}, {0x48, 12}),
	 .inl = RUNS({0x20, -1}, {0x28, 0}, {0x30, 1}, {0x48, -1}),
	 .tree = (const struct st_inline[]){{"util.outer", 0x1f, 300, 0},
					    {"util.inner", 0x20, 400, 3}},
	 .tree_len = 2},
	{.name = "main.empty", .entry = 0x60},
	{.name = "main.(*T).M[...]", .entry = 0x60, .flag = GI_FUNCFLAG_ASM},
	{.name = "runtime.twice", .entry = 0x80, .func_id = WRAPPER},
	{.name = "runtime.twice",
	 .entry = 0xa0,
	 .func_id = 4,
	 .file = RUNS({0x10, 2}, {0x20, 1}),
	 .line = RUNS({0x20, 9})},
	{.name = "loop",
	 .entry = 0xc0,
	 .inl = RUNS({0x10, 0}, {0x20, 1}, {0x30, 2}, {0x38, 4000}),
	 .tree = (const struct st_inline[]){{"circle0", 0x10, 0, 0},
					    {"circle1", 0, 0, 0},
					    {"outside", 0x4000, 0, 0}},
	 .tree_len = 3},
};

struct fixture {
	struct symtab st;
	struct gi_functab *ft;
};

static void setup(struct fixture *fx, int minor)
{
	symtab_build(&fx->st, minor, funcs, GI_ARRAY_SIZE(funcs), TEXT_END, files,
		     GI_ARRAY_SIZE(files));
	no_error(gi_functab_create(fx->st.t, &fx->st.mod, 1, &fx->ft));
}

static int setup_new(void **state)
{
	setup(*state = calloc(1, sizeof(struct fixture)), 27);
	return 0;
}

static int setup_old(void **state)
{
	setup(*state = calloc(1, sizeof(struct fixture)), 19);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;
	gi_functab_destroy(fx->ft);
	symtab_close(&fx->st);
	free(fx);
	return 0;
}

static void find_at(struct fixture *fx, uint32_t off, struct gi_func *ret)
{
	assert_true(gi_functab_find(fx->ft, ST_TEXT + off, ret));
}

static void test_find(void **state)
{
	struct fixture *fx = *state;
	struct gi_func f;
	assert_int_equal(gi_functab_count(fx->ft), GI_ARRAY_SIZE(funcs));
	assert_false(gi_functab_find(fx->ft, ST_TEXT, &f));
	assert_false(gi_functab_find(fx->ft, ST_TEXT + 0xf, &f));
	assert_false(gi_functab_find(fx->ft, ST_TEXT + TEXT_END, &f));
	assert_false(gi_functab_find(fx->ft, 0, &f));
	assert_false(gi_functab_find(fx->ft, UINT64_MAX, &f));
	for (uint32_t off = 0x10; off < 0x60; off++) {
		find_at(fx, off, &f);
		assert_string_equal(f.name, "main.main");
	}
	assert_int_equal(f.entry, ST_TEXT + 0x10);
	assert_int_equal(f.end, ST_TEXT + 0x60);
	assert_int_equal(f.args, 0x18);
	assert_int_equal(f.start_line, fx->st.minor >= 20 ? 7 : 0);
	// Of two at one address the empty one holds nothing.
	find_at(fx, 0x60, &f);
	assert_string_equal(f.name, "main.(*T).M[...]");
	assert_int_equal(f.flag, GI_FUNCFLAG_ASM);
	assert_true(gi_functab_func(fx->ft, 1, &f));
	assert_string_equal(f.name, "main.empty");
	assert_int_equal(f.entry, f.end);
	find_at(fx, TEXT_END - 1, &f);
	assert_string_equal(f.name, "loop");
	assert_int_equal(f.end, ST_TEXT + TEXT_END);
	assert_false(gi_functab_func(fx->ft, GI_ARRAY_SIZE(funcs), &f));
}

static void test_find_name(void **state)
{
	struct fixture *fx = *state;
	struct gi_func f;
	assert_true(gi_functab_find_name(fx->ft, "main.main", &f));
	assert_int_equal(f.entry, ST_TEXT + 0x10);
	assert_false(gi_functab_find_name(fx->ft, "main.mai", &f));
	assert_false(gi_functab_find_name(fx->ft, "", &f));
	assert_int_equal(gi_functab_wrapper_id(fx->ft), WRAPPER);
	// The wrapper of the same name comes first in the table, but is not what is
	// meant.
	assert_true(gi_functab_find_name(fx->ft, "runtime.twice", &f));
	assert_int_equal(f.entry, ST_TEXT + 0xa0);
	assert_int_equal(f.func_id, 4);
}

static void test_spdelta(void **state)
{
	struct fixture *fx = *state;
	struct gi_func f;
	int32_t sp = 77;
	find_at(fx, 0x10, &f);
	static const struct {
		uint32_t off;
		int32_t want;
	} cases[] = {{0, 0}, {3, 0}, {4, 200}, {0x3f, 200}, {0x40, -8}, {0x47, -8}};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		assert_true(gi_func_spdelta(&f, f.entry + cases[i].off, &sp));
		assert_int_equal(sp, cases[i].want);
	}
	// Padding is not covered; another function's pc is none of this one.
	sp = 77;
	assert_false(gi_func_spdelta(&f, f.entry + 0x48, &sp));
	assert_false(gi_func_spdelta(&f, f.entry - 1, &sp));
	assert_false(gi_func_spdelta(&f, f.end, &sp));
	find_at(fx, 0x60, &f);
	assert_false(gi_func_spdelta(&f, f.entry, &sp));
	assert_int_equal(sp, 77);
}

static void test_pcdata(void **state)
{
	struct fixture *fx = *state;
	struct gi_func f;
	uint64_t start = 77;
	find_at(fx, 0x10, &f);
	assert_int_equal(gi_func_pcdata(&f, GI_PCDATA_INL_TREE, f.entry + 0x27, &start),
			 0);
	assert_int_equal(start, f.entry + 0x20);
	assert_int_equal(gi_func_pcdata(&f, GI_PCDATA_INL_TREE, f.entry + 0x28, &start),
			 1);
	assert_int_equal(start, f.entry + 0x28);
	assert_int_equal(gi_func_pcdata(&f, GI_PCDATA_INL_TREE, f.entry + 0x30, NULL),
			 -1);
	assert_int_equal(gi_func_pcdata(&f, GI_PCTABLE_LINE, f.entry + 0x28, &start),
			 402);
	// No such table, and one past the last.
	assert_int_equal(gi_func_pcdata(&f, GI_PCDATA_STACK_MAP, f.entry, &start), -1);
	assert_int_equal(start, 0);
	assert_int_equal(gi_func_pcdata(&f, GI_PCDATA_ARG_LIVE, f.entry, NULL), -1);
	assert_int_equal(gi_func_pcdata(&f, UINT32_MAX, f.entry, NULL), -1);

	assert_int_equal(gi_func_funcdata(&f, GI_FUNCDATA_INL_TREE), ST_GOFUNC + 8);
	assert_int_equal(gi_func_funcdata(&f, GI_FUNCDATA_STACK_OBJECTS), 0);
	assert_int_equal(gi_func_funcdata(&f, 4), 0);
	assert_int_equal(gi_func_funcdata(&f, UINT32_MAX), 0);
}

struct seen {
	uint64_t base;
	char text[256];
	size_t limit; // stop after so many
};

static bool note_run(void *arg, uint64_t start, uint64_t end, int32_t value)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);
	snprintf(s->text + n, sizeof(s->text) - n, "%x-%x:%d ",
		 (unsigned)(start - s->base), (unsigned)(end - s->base), value);
	return --s->limit > 0;
}

static void test_pcdata_each(void **state)
{
	struct fixture *fx = *state;
	struct gi_func f;
	find_at(fx, 0x10, &f);
	struct seen all = {.base = f.entry, .limit = 100};
	gi_func_pcdata_each(&f, GI_PCDATA_INL_TREE, note_run, &all);
	assert_string_equal(all.text, "0-20:-1 20-28:0 28-30:1 30-48:-1 ");
	struct seen two = {.base = f.entry, .limit = 2};
	gi_func_pcdata_each(&f, GI_PCTABLE_LINE, note_run, &two);
	assert_string_equal(two.text, "0-8:8 8-20:10 ");
	struct seen none = {.base = f.entry, .limit = 2};
	gi_func_pcdata_each(&f, GI_PCDATA_UNSAFE_POINT, note_run, &none);
	assert_string_equal(none.text, "");
}

static void test_line(void **state)
{
	struct fixture *fx = *state;
	struct gi_func f;
	const char *file;
	uint32_t line;
	find_at(fx, 0x10, &f);
	gi_func_line(&f, f.entry, &file, &line);
	assert_string_equal(file, "a/main.go");
	assert_int_equal(line, 8);
	gi_func_line(&f, f.entry + 0x2f, &file, &line);
	assert_string_equal(file, "b/util.go");
	assert_int_equal(line, 402);
	gi_func_line(&f, f.entry + 0x48, &file, &line);
	assert_string_equal(file, "?");
	assert_int_equal(line, 0);
	// A file that the linker left out of the unit.
	find_at(fx, 0xa0, &f);
	gi_func_line(&f, f.entry, &file, &line);
	assert_string_equal(file, "?");
	gi_func_line(&f, f.entry + 0x10, &file, &line);
	assert_string_equal(file, "b/util.go");
	assert_int_equal(line, 9);
}

static void check_call(const struct gi_call *c, const char *name, const char *file,
		       uint32_t line, bool inlined)
{
	assert_string_equal(c->name, name);
	assert_string_equal(c->file, file);
	assert_int_equal(c->line, line);
	assert_int_equal(c->inlined, inlined);
}

static void test_calls(void **state)
{
	struct fixture *fx = *state;
	struct gi_func f;
	struct gi_call c[GI_MAX_INLINE];
	bool new = fx->st.minor >= 20;
	find_at(fx, 0x10, &f);
	assert_int_equal(gi_func_calls(&f, f.entry, c, GI_MAX_INLINE), 1);
	check_call(&c[0], "main.main", "a/main.go", 8, false);
	assert_int_equal(c[0].start_line, new ? 7 : 0);
	assert_int_equal(c[0].parent_pc, 0);

	assert_int_equal(gi_func_calls(&f, f.entry + 0x20, c, GI_MAX_INLINE), 2);
	check_call(&c[0], "util.outer", "b/util.go", 301, true);
	check_call(&c[1], "main.main", "a/main.go", 10, false);

	assert_int_equal(gi_func_calls(&f, f.entry + 0x2f, c, GI_MAX_INLINE), 3);
	check_call(&c[0], "util.inner", "b/util.go", 402, true);
	assert_int_equal(c[0].start_line, new ? 400 : 0);
	assert_int_equal(c[0].func_id, 3);
	assert_int_equal(c[0].parent_pc, f.entry + 0x20);
	check_call(&c[1], "util.outer", "b/util.go", 301, true);
	assert_int_equal(c[1].parent_pc, f.entry + 0x1f);
	check_call(&c[2], "main.main", "a/main.go", 10, false);

	// Only as many as asked for, the innermost ones.
	c[2].name = "untouched";
	assert_int_equal(gi_func_calls(&f, f.entry + 0x2f, c, 2), 2);
	check_call(&c[1], "util.outer", "b/util.go", 301, true);
	assert_string_equal(c[2].name, "untouched");
	assert_int_equal(gi_func_calls(&f, f.entry + 0x2f, c, 0), 0);
}

static void test_calls_damaged(void **state)
{
	struct fixture *fx = *state;
	struct gi_func f;
	struct gi_call c[GI_MAX_INLINE];
	find_at(fx, 0xc0, &f);
	// 0 is called from 1, which is called from 0: each is told once.
	assert_int_equal(gi_func_calls(&f, f.entry, c, GI_MAX_INLINE), 3);
	assert_string_equal(c[0].name, "circle0");
	assert_string_equal(c[1].name, "circle1");
	check_call(&c[2], "loop", "?", 0, false);
	// A call site outside of the function, an index outside of the tree.
	assert_int_equal(gi_func_calls(&f, f.entry + 0x20, c, GI_MAX_INLINE), 1);
	check_call(&c[0], "loop", "?", 0, false);
	assert_int_equal(gi_func_calls(&f, f.entry + 0x30, c, GI_MAX_INLINE), 1);
	check_call(&c[0], "loop", "?", 0, false);
}

static bool note_inline(void *arg, uint64_t start, uint64_t end,
			const struct gi_call *calls, size_t n)
{
	struct seen *s = arg;
	size_t len = strlen(s->text);
	snprintf(s->text + len, sizeof(s->text) - len, "%x-%x:%s/%zu ",
		 (unsigned)(start - s->base), (unsigned)(end - s->base), calls[0].name,
		 n);
	return --s->limit > 0;
}

static void test_inline_each(void **state)
{
	struct fixture *fx = *state;
	struct gi_func f;
	find_at(fx, 0x10, &f);
	struct seen all = {.base = f.entry, .limit = 100};
	gi_func_inline_each(&f, note_inline, &all);
	assert_string_equal(all.text, "20-28:util.outer/2 28-30:util.inner/3 ");
	struct seen one = {.base = f.entry, .limit = 1};
	gi_func_inline_each(&f, note_inline, &one);
	assert_string_equal(one.text, "20-28:util.outer/2 ");
	find_at(fx, 0xa0, &f);
	struct seen none = {.base = f.entry, .limit = 1};
	gi_func_inline_each(&f, note_inline, &none);
	assert_string_equal(none.text, "");
}

static void test_pccache(void **state)
{
	struct fixture *fx = *state;
	_cleanup_(gi_pccache_destroyp) struct gi_pccache *cache = NULL;
	no_error(gi_pccache_create(fx->ft, &cache));
	uint64_t pc = ST_TEXT + 0x10 + 0x28;
	const struct gi_pcinfo *at = gi_pccache_get(cache, pc, false);
	const struct gi_pcinfo *call = gi_pccache_get(cache, pc, true);
	assert_non_null(at);
	assert_non_null(call);
	assert_int_equal(at->call_count, 3);
	check_call(&at->calls[0], "util.inner", "b/util.go", 402, true);
	assert_int_equal(call->call_count, 2);
	check_call(&call->calls[0], "util.outer", "b/util.go", 301, true);
	assert_true(call->has_spdelta);
	assert_int_equal(call->spdelta, 200);
	assert_string_equal(call->func.name, "main.main");
	// The same answer, not made again.
	assert_ptr_equal(gi_pccache_get(cache, pc, false), at);
	assert_ptr_equal(gi_pccache_get(cache, pc, true), call);

	// A "return address" at an entry is not behind a call of the function before.
	call = gi_pccache_get(cache, ST_TEXT + 0x10, true);
	check_call(&call->calls[0], "main.main", "a/main.go", 8, false);
	// Behind the last function of the text: the call was its last instruction.
	call = gi_pccache_get(cache, ST_TEXT + TEXT_END, true);
	assert_non_null(call);
	assert_string_equal(call->func.name, "loop");
	assert_false(call->has_spdelta);
	assert_null(gi_pccache_get(cache, ST_TEXT + TEXT_END, false));
	assert_null(gi_pccache_get(cache, ST_TEXT + TEXT_END + 1, true));
	assert_null(gi_pccache_get(cache, 0, true));
	assert_null(gi_pccache_get(cache, UINT64_MAX, true));
	// Many pcs: what was handed out stays where it is.
	for (uint64_t i = 0; i < 100000; i++)
		gi_pccache_get(cache, ST_TEXT + 0x100000 + i, true);
	for (uint32_t i = 0x10; i < TEXT_END; i++)
		assert_non_null(gi_pccache_get(cache, ST_TEXT + i, false));
	assert_ptr_equal(gi_pccache_get(cache, pc, false), at);
	check_call(&at->calls[0], "util.inner", "b/util.go", 402, true);
}

// --- modules that are not as they should be ---------------------------------

static void expect_error(struct symtab *st, enum gi_error_code code, const char *text)
{
	struct gi_functab *ft = NULL;
	struct gi_error *err = gi_functab_create(st->t, &st->mod, 1, &ft);
	assert_non_null(err);
	assert_null(ft);
	assert_int_equal(gi_error_code(err), code);
	if (!strstr(gi_error_message(err), text))
		fail_msg("\"%s\" does not say \"%s\"", gi_error_message(err), text);
	gi_error_free(err);
}

static void build(struct symtab *st)
{
	symtab_build(st, 27, funcs, GI_ARRAY_SIZE(funcs), TEXT_END, files,
		     GI_ARRAY_SIZE(files));
}

static void test_create_errors(void **state)
{
	(void)state;
	struct symtab st;
	build(&st);
	struct gi_module good = st.mod;

	no_error(gi_fake_write(st.t, good.pc_header, "\xfa\xff\xff\xff", 4));
	expect_error(&st, GI_ERR_UNSUPPORTED, "0xfffffffa");
	no_error(gi_fake_write(st.t, good.pc_header, "\xf1\xff\xff\xff\1", 5));
	expect_error(&st, GI_ERR_FORMAT, "header is damaged");
	no_error(gi_fake_write(st.t, good.pc_header, "\xf1\xff\xff\xff\0\0\1\4", 8));
	expect_error(&st, GI_ERR_FORMAT, "header is damaged");
	no_error(gi_fake_write(st.t, good.pc_header, "\xf1\xff\xff\xff\0\0\1\10", 8));

	st.mod.pc_header = 0x10;
	expect_error(&st, GI_ERR_FAULT, "header");
	st.mod = good;
	st.mod.ftab.len = 0;
	expect_error(&st, GI_ERR_FORMAT, "ftab");
	st.mod = good;
	st.mod.ftab.len = UINT64_MAX / 4;
	expect_error(&st, GI_ERR_FORMAT, "ftab");
	st.mod = good;
	st.mod.pctab.len = UINT64_MAX - 4;
	expect_error(&st, GI_ERR_FORMAT, "pctab");
	st.mod = good;
	st.mod.pctab.len = 1ULL << 40;
	expect_error(&st, GI_ERR_FAULT, "pctab");
	st.mod = good;
	st.mod.filetab.ptr = 0x10;
	expect_error(&st, GI_ERR_FAULT, "filetab");
	st.mod = good;
	st.mod.pcs.end--;
	expect_error(&st, GI_ERR_FORMAT, "ftab covers");
	st.mod = good;
	no_error(gi_fake_write(st.t, good.ftab.ptr, "\x61\0\0\0", 4));
	expect_error(&st, GI_ERR_FORMAT, "not sorted");
	symtab_close(&st);
}

static void test_no_modules(void **state)
{
	(void)state;
	struct symtab st;
	struct gi_functab *ft;
	struct gi_func f;
	build(&st);
	no_error(gi_functab_create(st.t, NULL, 0, &ft));
	assert_int_equal(gi_functab_count(ft), 0);
	assert_false(gi_functab_find(ft, ST_TEXT + 0x10, &f));
	assert_false(gi_functab_find_name(ft, "main.main", &f));
	gi_functab_destroy(ft);
	symtab_close(&st);
	gi_functab_destroy(NULL);
	gi_pccache_destroy(NULL);
}

static void test_two_modules(void **state)
{
	(void)state;
	struct symtab st;
	struct gi_functab *ft;
	struct gi_func f;
	build(&st);
	// The same tables, loaded a second time elsewhere, as a plugin would be.
	struct gi_module mods[2] = {st.mod, st.mod};
	mods[1].text.start += 0x5000;
	mods[1].pcs.start += 0x5000;
	mods[1].pcs.end += 0x5000;
	no_error(gi_functab_create(st.t, mods, 2, &ft));
	mods[1].text.start = 0; // they are copied
	assert_int_equal(gi_functab_count(ft), 2 * GI_ARRAY_SIZE(funcs));
	assert_true(gi_functab_find(ft, ST_TEXT + 0x5000 + 0x61, &f));
	assert_string_equal(f.name, "main.(*T).M[...]");
	assert_int_equal(f.entry, ST_TEXT + 0x5060);
	assert_true(gi_functab_func(ft, GI_ARRAY_SIZE(funcs), &f));
	assert_int_equal(f.entry, ST_TEXT + 0x5010);
	assert_true(gi_functab_find(ft, ST_TEXT + 0x61, &f));
	assert_int_equal(f.entry, ST_TEXT + 0x60);
	assert_false(gi_functab_find(ft, ST_TEXT + 0x4000, &f));
	gi_functab_destroy(ft);
	symtab_close(&st);
}

// Two text sections, the second moved away by the external linker.
static void test_text_sections(void **state)
{
	(void)state;
	struct symtab st;
	struct gi_functab *ft;
	struct gi_func f;
	struct st_buf b = {0};
	build(&st);
	st_put_u64(&b, 0);
	st_put_u64(&b, 0x98);
	st_put_u64(&b, ST_TEXT);
	st_put_u64(&b, 0xa0);
	st_put_u64(&b, TEXT_END);
	st_put_u64(&b, ST_TEXT + 0x10000);
	no_error(gi_fake_add_memory(st.t, 0x700000, b.p, b.n, GI_MAP_R));
	free(b.p);
	st.mod.textsectmap = (struct gi_slice){0x700000, 2, 2};
	st.mod.pcs.end = ST_TEXT + 0x10000 + (TEXT_END - 0xa0);
	st.mod.text.end = st.mod.pcs.end;
	no_error(gi_functab_create(st.t, &st.mod, 1, &ft));
	assert_true(gi_functab_find(ft, ST_TEXT + 0x97, &f));
	assert_int_equal(f.entry, ST_TEXT + 0x80);
	assert_int_equal(f.end, ST_TEXT + 0x98);
	assert_false(gi_functab_find(ft, ST_TEXT + 0x98, &f));
	assert_false(gi_functab_find(ft, ST_TEXT + 0xa0, &f));
	assert_true(gi_functab_find(ft, ST_TEXT + 0x10000, &f));
	assert_int_equal(f.entry, ST_TEXT + 0x10000);
	assert_int_equal(f.func_id, 4);
	assert_true(gi_functab_find(ft, st.mod.pcs.end - 1, &f));
	assert_string_equal(f.name, "loop");
	assert_int_equal(f.end, st.mod.pcs.end);
	gi_functab_destroy(ft);

	st.mod.textsectmap.len = 1ULL << 40;
	expect_error(&st, GI_ERR_FORMAT, "text sections");
	st.mod.textsectmap.len = 3;
	expect_error(&st, GI_ERR_FAULT, "textsectmap");
	symtab_close(&st);
}

// A table over two pieces of memory: no view holds it, so that it is copied.
static void test_table_in_pieces(void **state)
{
	(void)state;
	struct symtab st;
	struct gi_functab *ft;
	struct gi_func f;
	build(&st);
	uint8_t tab[4096];
	uint64_t n = st.mod.pclntable.len;
	assert_true(n < sizeof(tab));
	no_error(gi_target_read(st.t, st.mod.pclntable.ptr, tab, n));
	no_error(gi_fake_add_memory(st.t, 0x900000, tab, 20, GI_MAP_R));
	no_error(gi_fake_add_memory(st.t, 0x900000 + 20, tab + 20, n - 20,
				    GI_MAP_R | GI_MAP_W));
	st.mod.pclntable.ptr = st.mod.ftab.ptr = 0x900000;
	no_error(gi_functab_create(st.t, &st.mod, 1, &ft));
	assert_true(gi_functab_find(ft, ST_TEXT + 0x11, &f));
	assert_string_equal(f.name, "main.main");
	gi_functab_destroy(ft);

	// The middle is gone: the error tells where.
	no_error(gi_fake_add_memory(st.t, 0xa00000, tab, 20, GI_MAP_R));
	no_error(gi_fake_add_unsaved(st.t, 0xa00000 + 20, 4, GI_MAP_R, GI_ERR_NOT_SAVED));
	no_error(gi_fake_add_memory(st.t, 0xa00000 + 24, tab + 24, n - 24, GI_MAP_R));
	st.mod.pclntable.ptr = st.mod.ftab.ptr = 0xa00000;
	struct gi_error *err = gi_functab_create(st.t, &st.mod, 1, &ft);
	uint64_t addr = 0;
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), GI_ERR_NOT_SAVED);
	assert_true(gi_error_address(err, &addr));
	assert_int_equal(addr, 0xa00000 + 20);
	gi_error_free(err);
	symtab_close(&st);
}

// Each byte of every table, changed in several ways: no crash, no hang, sound answers.
static void test_mutations(void **state)
{
	(void)state;
	static const uint8_t flips[] = {0x01, 0x80, 0xff, 0x40};
	static const int minors[] = {19, 27};
	size_t opened = 0, refused = 0;
	for (size_t k = 0; k < GI_ARRAY_SIZE(minors); k++) {
		struct symtab st;
		symtab_build(&st, minors[k], funcs, GI_ARRAY_SIZE(funcs), TEXT_END, files,
			     GI_ARRAY_SIZE(files));
		for (size_t i = 0; i < gi_target_mapping_count(st.t); i++) {
			const struct gi_mapping *m = gi_target_mapping(st.t, i);
			for (uint64_t at = m->start; at < m->end; at++) {
				uint8_t was, now;
				no_error(gi_target_read_u8(st.t, at, &was));
				for (size_t j = 0; j < GI_ARRAY_SIZE(flips); j++) {
					struct gi_functab *ft;
					now = was ^ flips[j];
					no_error(gi_fake_write(st.t, at, &now, 1));
					struct gi_error *err =
						gi_functab_create(st.t, &st.mod, 1, &ft);
					if (err) {
						gi_error_free(err);
						refused++;
						continue;
					}
					symtab_exercise(ft, &st.mod, 100);
					gi_functab_destroy(ft);
					opened++;
				}
				no_error(gi_fake_write(st.t, at, &was, 1));
			}
		}
		symtab_close(&st);
	}
	// The header and the order of ftab are checked; names, lines and the like cannot
	// be.
	assert_true(refused > 50);
	assert_true(opened > 1000);
}

int main(void)
{
#define BOTH(t)                                                  \
	cmocka_unit_test_setup_teardown(t, setup_new, teardown), \
		cmocka_unit_test_setup_teardown(t, setup_old, teardown)
	const struct CMUnitTest tests[] = {
		BOTH(test_find),
		BOTH(test_find_name),
		BOTH(test_spdelta),
		BOTH(test_pcdata),
		BOTH(test_pcdata_each),
		BOTH(test_line),
		BOTH(test_calls),
		BOTH(test_calls_damaged),
		BOTH(test_inline_each),
		BOTH(test_pccache),
		cmocka_unit_test(test_create_errors),
		cmocka_unit_test(test_no_modules),
		cmocka_unit_test(test_two_modules),
		cmocka_unit_test(test_text_sections),
		cmocka_unit_test(test_table_in_pieces),
		cmocka_unit_test(test_mutations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

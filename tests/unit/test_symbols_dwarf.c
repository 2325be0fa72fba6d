// DWARF made by hand: what real programs do not have, and damage.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../support/dwarf_sample.h"
#include "symbols/dwarf_impl.h"
#include "checks.h"

static void expect_code(struct gi_error *err, enum gi_error_code code)
{
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), code);
	gi_error_free(err);
}

struct fixture {
	struct st_buf sections[DS_SECTIONS];
	struct gi_elf *elf;
	struct gi_dwarf *dw;
};

// filler: of a compressed .debug_info, the unit "x.c" behind it is not unpacked at first.
static void setup(struct fixture *fx, int version, size_t filler)
{
	dwarf_sample(version, filler, fx->sections);
	fx->elf = filler ? dwarf_sample_elf_packed(fx->sections) : dwarf_sample_elf(fx->sections);
	no_error(gi_dwarf_open(fx->elf, &fx->dw));
}

static int setup_4(void **state)
{
	setup(*state = calloc(1, sizeof(struct fixture)), 4, 0);
	return 0;
}

static int setup_5(void **state)
{
	setup(*state = calloc(1, sizeof(struct fixture)), 5, 0);
	return 0;
}

enum { FILLER = 3 << 20 };

static int setup_packed_4(void **state)
{
	setup(*state = calloc(1, sizeof(struct fixture)), 4, FILLER);
	return 0;
}

static int setup_packed_5(void **state)
{
	setup(*state = calloc(1, sizeof(struct fixture)), 5, FILLER);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;
	gi_dwarf_close(fx->dw);
	gi_elf_close(fx->elf);
	for (size_t i = 0; i < DS_SECTIONS; i++)
		free(fx->sections[i].p);
	free(fx);
	return 0;
}

static void expect_member(struct fixture *fx, const char *type, const char *path,
			  uint64_t offset, uint64_t size, uint64_t count)
{
	struct gi_dwarf_member m;
	no_error(gi_dwarf_member(fx->dw, type, path, &m));
	assert_int_equal(m.offset, offset);
	assert_int_equal(m.size, size);
	assert_int_equal(m.count, count);
}

static void test_members(void **state)
{
	struct fixture *fx = *state;
	struct gi_dwarf_member m;
	expect_member(fx, "runtime.outer", "in.b", 8, 8, 0);
	expect_member(fx, "runtime.alias", "in", 0, 16, 0);
	expect_member(fx, "runtime.alias", "arr", 16, 48, 3);
	expect_member(fx, "runtime.alias", "arr[]", 16, 16, 0);
	expect_member(fx, "runtime.alias", "arr[].b", 24, 8, 0);
	expect_member(fx, "runtime.alias", "next", 64, 8, 0);
	expect_member(fx, "cstruct", "un", 0, 8, 0);
	expect_member(fx, "cstruct", "un.u", 0, 4, 0);
	expect_member(fx, "cstruct", "cv", 8, 8, 0);
	// As deep as one likes, in a type that holds itself.
	expect_member(fx, "runtime.rec", "rec.rec.rec.rec", 0, 8, 0);
	expect_code(gi_dwarf_member(fx->dw, "runtime.alias", "next.in", &m),
		    GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(fx->dw, "runtime.alias", "arr[][]", &m),
		    GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(fx->dw, "runtime.alias", "arr[0]", &m),
		    GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(fx->dw, "runtime.alias", "arr.b", &m),
		    GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(fx->dw, "runtime.alias", "in.", &m),
		    GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(fx->dw, "runtime.alias", ".in", &m),
		    GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(fx->dw, "runtime.self", "x", &m), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(fx->dw, "int", "x", &m), GI_ERR_NOT_FOUND);
}

static void test_sizes(void **state)
{
	struct fixture *fx = *state;
	uint64_t size = 77;
	no_error(gi_dwarf_sizeof(fx->dw, "runtime.alias", &size));
	assert_int_equal(size, 80);
	no_error(gi_dwarf_sizeof(fx->dw, "uint32", &size));
	assert_int_equal(size, 4);
	size = 77;
	expect_code(gi_dwarf_sizeof(fx->dw, "runtime.self", &size), GI_ERR_FORMAT);
	expect_code(gi_dwarf_sizeof(fx->dw, "runtime.c1", &size), GI_ERR_FORMAT);
	expect_code(gi_dwarf_sizeof(fx->dw, "main.v", &size), GI_ERR_NOT_FOUND);
	assert_int_equal(size, 77);
}

static void test_constants(void **state)
{
	struct fixture *fx = *state;
	int64_t v = 77;
	no_error(gi_dwarf_constant(fx->dw, "runtime.K", &v));
	assert_int_equal(v, -5);
	v = 77;
	expect_code(gi_dwarf_constant(fx->dw, "runtime.L", &v), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_constant(fx->dw, "K", &v), GI_ERR_NOT_FOUND);
	assert_int_equal(v, 77);
}

static void expect_global(struct fixture *fx, const char *name, uint64_t addr,
			  uint64_t size, uint64_t count)
{
	struct gi_dwarf_member m;
	uint64_t a;
	no_error(gi_dwarf_global(fx->dw, name, &a, &m));
	assert_int_equal(a, addr);
	assert_int_equal(m.size, size);
	assert_int_equal(m.count, count);
}

static void test_globals(void **state)
{
	struct fixture *fx = *state;
	uint64_t a = 77;
	// The function's local variable of the same name is not it.
	expect_global(fx, "main.v", 0x1000, 80, 0);
	expect_global(fx, "main.empty", 0x1000, 0, 0);
	expect_global(fx, "main.w", 0x2000, 96, 2);
	expect_global(fx, "main.circle", 0x4000, 0, 0);
	// From the package's second unit; the C unit only declares it.
	expect_global(fx, "main.late", 0x5000, 8, 0);
	expect_global(fx, "cvar", 0x6000, 16, 0);
	expect_code(gi_dwarf_global(fx->dw, "main.tls", &a, NULL), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_global(fx->dw, "main.nowhere", &a, NULL), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_global(fx->dw, "main.none", &a, NULL), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_global(fx->dw, "none", &a, NULL), GI_ERR_NOT_FOUND);
	assert_int_equal(a, 77);
}

static void expect_name(struct fixture *fx, uint64_t addr, const char *want,
			const char *name)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	no_error(gi_dwarf_name_at(fx->dw, addr, want, &s));
	assert_string_equal(gi_str_cstr(&s), name);
}

static void test_names(void **state)
{
	struct fixture *fx = *state;
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	expect_name(fx, 0x1000, NULL, "main.v");
	expect_name(fx, 0x1000, "runtime.alias", "main.v");
	expect_name(fx, 0x1000, "runtime.outer", "main.v");
	expect_name(fx, 0x1000, "runtime.inner", "main.v.in");
	expect_name(fx, 0x1000, "uint32", "main.v.in.a");
	expect_name(fx, 0x1000, "nothing", "main.v");
	expect_name(fx, 0x1002, NULL, "main.v.in.a+0x2");
	expect_name(fx, 0x1006, NULL, "main.v.in+0x6"); // between members
	expect_name(fx, 0x1008, NULL, "main.v.in.b");
	expect_name(fx, 0x1010, NULL, "main.v.arr");
	expect_name(fx, 0x1010, "runtime.inner", "main.v.arr[0]");
	expect_name(fx, 0x1038, NULL, "main.v.arr[2].b");
	expect_name(fx, 0x1048, NULL, "main.v+0x48");
	expect_name(fx, 0x2000 + 48 + 16 + 8, NULL, "main.w[1][1].b");
	expect_name(fx, 0x2000 + 48, NULL, "main.w[1]");
	expect_name(fx, 0x2000 + 48, "runtime.inner", "main.w[1][0]");
	expect_name(fx, 0x6009, NULL, "cvar.cv+0x1");
	expect_name(fx, 0x6004, NULL, "cvar.un.i+0x4");
	// It holds itself without end.
	expect_name(fx, 0x3000, "nothing", "main.rec");
	gi_str_puts(&s, "kept");
	static const uint64_t nowhere[] = {0,	   0xfff,  0x1050, 0x1fff,
					   0x2060, 0x4000, 0x5008, UINT64_MAX};
	for (size_t i = 0; i < GI_ARRAY_SIZE(nowhere); i++)
		expect_code(gi_dwarf_name_at(fx->dw, nowhere[i], NULL, &s),
			    GI_ERR_NOT_FOUND);
	assert_string_equal(gi_str_cstr(&s), "kept");
	// Of a self-containing type every depth fits; the walk ends all the same.
	no_error(gi_dwarf_name_at(fx->dw, 0x3004, NULL, &s));
	assert_true(s.len < 1000);
}

// Each byte changed and each length cut: answers or errors, no crash, no hang.
static void test_damage(void **state)
{
	struct fixture *fx = *state;
	static const uint8_t flips[] = {0x01, 0x80, 0xff, 0x10};
	for (size_t i = 0; i < DS_SECTIONS; i++) {
		struct st_buf *b = &fx->sections[i];
		for (size_t at = 0; at < b->n; at++) {
			uint8_t was = b->p[at];
			for (size_t k = 0; k < GI_ARRAY_SIZE(flips); k++) {
				b->p[at] = was ^ flips[k];
				struct gi_elf *elf = dwarf_sample_elf(fx->sections);
				dwarf_sample_ask(elf);
				gi_elf_close(elf);
			}
			b->p[at] = was;
		}
		size_t whole = b->n;
		for (b->n = 1; b->n < whole; b->n++) {
			struct gi_elf *elf = dwarf_sample_elf(fx->sections);
			dwarf_sample_ask(elf);
			gi_elf_close(elf);
		}
	}
}

// Only as much of a compressed .debug_info is unpacked as it takes to know.
static void test_covered(void **state)
{
	struct fixture *fx = *state;
	struct gi_dwarf_member m;
	uint64_t size, addr;
	int64_t k;
	size_t first = fx->dw->covered;
	assert_false(fx->dw->complete);
	assert_true(first > FILLER && first < fx->sections[DS_INFO].n);
	no_error(gi_dwarf_constant(fx->dw, "runtime.K", &k));
	no_error(gi_dwarf_sizeof(fx->dw, "runtime.outer", &size));
	no_error(gi_dwarf_member(fx->dw, "runtime.alias", "arr[].b", &m));
	// Missing, and known to be.
	expect_code(gi_dwarf_constant(fx->dw, "runtime.L", &k), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_sizeof(fx->dw, "main.T", &size), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_global(fx->dw, "main.none", &addr, NULL), GI_ERR_NOT_FOUND);
	assert_int_equal(fx->dw->covered, first);
	// Of a package that was not seen, and of C.
	expect_code(gi_dwarf_constant(fx->dw, "late.K", &k), GI_ERR_NOT_FOUND);
	assert_true(fx->dw->complete);
	expect_member(fx, "cstruct", "cv", 8, 8, 0);
}

// Damage behind what is needed does no harm until it is needed.
static void test_damaged_stream(void **state)
{
	struct fixture *fx = *state;
	struct gi_elf_stream *s = NULL;
	const uint8_t *data;
	size_t n;
	uint64_t size;
	no_error(gi_elf_section(fx->elf, ".debug_addr", &data, &n, NULL));
	no_error(gi_elf_stream_open(fx->elf, ".debug_info", &s));
	size_t all = gi_elf_stream_size(s);
	assert_int_equal(all, fx->sections[DS_INFO].n);
	no_error(gi_elf_stream_want(s, 100));
	assert_memory_equal(gi_elf_stream_data(s), fx->sections[DS_INFO].p, 100);
	no_error(gi_elf_stream_want(s, SIZE_MAX));
	assert_memory_equal(gi_elf_stream_data(s), fx->sections[DS_INFO].p, all);
	gi_elf_stream_close(s);

	struct gi_elf *elf = dwarf_sample_elf_damaged(fx->sections);
	struct gi_dwarf *dw;
	no_error(gi_dwarf_open(elf, &dw));
	no_error(gi_dwarf_sizeof(dw, "runtime.outer", &size));
	for (int i = 0; i < 2; i++)
		expect_code(gi_dwarf_sizeof(dw, "cstruct", &size), GI_ERR_FORMAT);
	no_error(gi_dwarf_sizeof(dw, "runtime.outer", &size));
	gi_dwarf_close(dw);
	gi_elf_close(elf);
}

int main(void)
{
#define WITH(t, setup) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define BOTH(t) WITH(t, setup_4), WITH(t, setup_5)
#define PACKED(t) WITH(t, setup_packed_4), WITH(t, setup_packed_5)
	const struct CMUnitTest tests[] = {
		BOTH(test_members),     BOTH(test_sizes),     BOTH(test_constants),
		BOTH(test_globals),     BOTH(test_names),     BOTH(test_damage),
		PACKED(test_members),   PACKED(test_sizes),   PACKED(test_constants),
		PACKED(test_globals),   PACKED(test_names),   PACKED(test_covered),
		PACKED(test_damaged_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// References in machine code, of amd64 and arm64.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "gcore/base.h"
#include "gcore/symbols.h"

enum { PC = 0x400000, MAX_REFS = 32 };

struct refs {
	struct gi_code_ref refs[MAX_REFS];
	size_t count, max;
};

static bool collect(void *arg, const struct gi_code_ref *ref)
{
	struct refs *r = arg;

	assert_in_range(r->count, 0, MAX_REFS - 1);
	r->refs[r->count++] = *ref;
	return r->count < r->max;
}

static struct refs refs_of(enum gi_arch arch, uint64_t pc, const void *code, size_t n, size_t max)
{
	struct refs r = {.max = max};

	assert_null(gi_code_refs(arch, pc, code, n, collect, &r));
	return r;
}

static void expect(const struct refs *r, size_t i, uint64_t pc, uint64_t target)
{
	assert_in_range(i, 0, r->count - 1);
	assert_int_equal(r->refs[i].pc, pc);
	assert_int_equal(r->refs[i].target, target);
}

static const uint32_t arm64[] = {
	0xb000003b, 0x9111137b, // adrp x27, +5 pages; add x27, x27, #0x444
	0x79400362,		// ldrh w2, [x27]
	0xd0ffffe0, 0xf943fc01, // adrp x0, -2 pages; ldr x1, [x0, #0x7f8]
	0xb0000003, 0x39001464, // adrp x3, +1 page; strb w4, [x3, #5]
	0xb0000003, 0xb9000864, // str w4, [x3, #8]
	0xb0000003, 0xfd400861, // ldr d1, [x3, #16]
	0xb0000003, 0x3d800461, // str q1, [x3, #16]
	0x10000825,		// adr x5, +0x104
	0x58ffffc6,		// ldr x6, -8
	0xb0000003, 0x910004a4, // add x4, x5, #1: of no page
	0xb0000009,		// adrp at the end
};

static void test_arm64(void **state)
{
	struct refs r = refs_of(GI_ARCH_ARM64, PC, arm64, sizeof(arm64), MAX_REFS);

	(void)state;
	assert_int_equal(r.count, 8);
	expect(&r, 0, PC, 0x405444);
	expect(&r, 1, PC + 0xc, 0x3fe7f8);
	expect(&r, 2, PC + 0x14, 0x401005);
	expect(&r, 3, PC + 0x1c, 0x401008);
	expect(&r, 4, PC + 0x24, 0x401010);
	expect(&r, 5, PC + 0x2c, 0x401010);
	expect(&r, 6, PC + 0x34, PC + 0x138);
	expect(&r, 7, PC + 0x38, PC + 0x30);
	r = refs_of(GI_ARCH_ARM64, PC, arm64, sizeof(arm64), 2);
	assert_int_equal(r.count, 2);
	// Half of a pair, and bytes that are no instruction.
	r = refs_of(GI_ARCH_ARM64, PC, arm64, 7, MAX_REFS);
	assert_int_equal(r.count, 0);
	r = refs_of(GI_ARCH_ARM64, PC + 2, arm64, 3, MAX_REFS);
	assert_int_equal(r.count, 0);
}

// What the linker chose is no part of a shape; what the compiler chose is.
static void test_arm64_shapes(void **state)
{
	static const uint32_t near_[] = {0xb000003b, 0x9111137b}, far[] = {0x9000005b, 0x9122137b},
			      adr[] = {0x1000083b}, other[] = {0xb000003a, 0x9111135a},
			      load[] = {0xb0000000, 0xf943fc01}, store[] = {0xb0000000, 0xf903fc01};
	uint64_t shape = refs_of(GI_ARCH_ARM64, PC, near_, 8, 1).refs[0].shape;
	uint64_t load_shape = refs_of(GI_ARCH_ARM64, PC, load, 8, 1).refs[0].shape;

	(void)state;
	assert_int_equal(refs_of(GI_ARCH_ARM64, PC, far, 8, 1).refs[0].shape, shape);
	// As linkers make one of two, if it reaches.
	assert_int_equal(refs_of(GI_ARCH_ARM64, PC, adr, 4, 1).refs[0].shape, shape);
	assert_int_not_equal(refs_of(GI_ARCH_ARM64, PC, other, 8, 1).refs[0].shape, shape);
	assert_int_not_equal(load_shape, shape);
	assert_int_not_equal(refs_of(GI_ARCH_ARM64, PC, store, 8, 1).refs[0].shape, load_shape);
}

static void test_amd64(void **state)
{
	static const uint8_t code[] = {
		0x48, 0x8b, 0x05, 0x10, 0x00, 0x00, 0x00,		// mov rax, [rip+0x10]
		0x48, 0x8d, 0x0d, 0xf0, 0xff, 0xff, 0xff,		// lea rcx, [rip-0x10]
		0x48, 0x8b, 0x44, 0x24, 0x10,				// mov rax, [rsp+0x10]
		0x83, 0x3d, 0x00, 0x01, 0x00, 0x00, 0x07,		// cmp [rip+0x100], 7
	};
	struct refs r = refs_of(GI_ARCH_AMD64, PC, code, sizeof(code), MAX_REFS);
	uint8_t moved[sizeof(code)];

	(void)state;
	assert_int_equal(r.count, 3);
	expect(&r, 0, PC, PC + 7 + 0x10);
	expect(&r, 1, PC + 7, PC + 14 - 0x10);
	// What is behind the displacement counts, too.
	expect(&r, 2, PC + 19, PC + 26 + 0x100);
	memcpy(moved, code, sizeof(code));
	moved[3] = 0x20;
	assert_int_equal(refs_of(GI_ARCH_AMD64, PC, moved, 7, 1).refs[0].shape, r.refs[0].shape);
	moved[1] = 0x89; // a store
	assert_int_not_equal(refs_of(GI_ARCH_AMD64, PC, moved, 7, 1).refs[0].shape,
			     r.refs[0].shape);
}

static void test_unknown(void **state)
{
	struct refs r = {.max = 1};
	struct gi_error *err = gi_code_refs((enum gi_arch)99, PC, (const uint8_t *)"", 1, collect, &r);

	(void)state;
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), GI_ERR_UNSUPPORTED);
	gi_error_free(err);
	assert_int_equal(r.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arm64),
		cmocka_unit_test(test_arm64_shapes),
		cmocka_unit_test(test_amd64),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

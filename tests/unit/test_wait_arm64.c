// The analysis of arm64 machine code, on functions that Go 1.18 and 1.27 compiled: both ways to do
// an atomic operation, of which a program takes one at run time, are one.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gcore/arch.h"
#include "wait/code.h"

// clang-format off
// main.lockAB, at 0x79d60
static const uint32_t lock_ab[] = {
	0xf9400b90, // 79d60 ldr x16, [x28, #16]
	0x910003f1, // 79d64 mov x17, sp
	0xeb10023f, // 79d68 cmp x17, x16
	0x54000d09, // 79d6c b.ls 79f0c
	0xf81a0ffe, // 79d70 str x30, [sp, #-96]!
	0xf81f83fd, // 79d74 stur x29, [sp, #-8]
	0xd10023fd, // 79d78 sub x29, sp, #0x8
	0xf90027ff, // 79d7c str xzr, [sp, #72]
	0xf9002bff, // 79d80 str xzr, [sp, #80]
	0x39007fff, // 79d84 strb wzr, [sp, #31]
	0xd503201f, // 79d88 nop
	0xd00005db, // 79d8c adrp x27, 133000
	0x91180b7b, // 79d90 add x27, x27, #0x602
	0x39400361, // 79d94 ldrb w1, [x27]
	0x36000141, // 79d98 tbz w1, #0, 79dc0
	0xd2800001, // 79d9c mov x1, #0x0
	0xb24003e2, // 79da0 orr x2, xzr, #0x1
	0xd00005c3, // 79da4 adrp x3, 133000
	0x911a0063, // 79da8 add x3, x3, #0x680
	0x93407c3b, // 79dac sxtw x27, w1
	0x88fbfc62, // 79db0 casal w27, w2, [x3]
	0x6b01037f, // 79db4 cmp w27, w1
	0x9a9f17e4, // 79db8 cset x4, eq
	0x1400000c, // 79dbc b 79dec
	0xd2800001, // 79dc0 mov x1, #0x0
	0xb24003e2, // 79dc4 orr x2, xzr, #0x1
	0xd00005c3, // 79dc8 adrp x3, 133000
	0x911a0063, // 79dcc add x3, x3, #0x680
	0x885ffc7b, // 79dd0 ldaxr w27, [x3]
	0x6b01037f, // 79dd4 cmp w27, w1
	0x54000061, // 79dd8 b.ne 79de4
	0x881bfc62, // 79ddc stlxr w27, w2, [x3]
	0xb5ffff9b, // 79de0 cbnz x27, 79dd0
	0x9a9f17e5, // 79de4 cset x5, eq
	0xaa0503e4, // 79de8 mov x4, x5
	0x370000c4, // 79dec tbnz w4, #0, 79e04
	0xf90013e0, // 79df0 str x0, [sp, #32]
	0xd00005c0, // 79df4 adrp x0, 133000
	0x911a0000, // 79df8 add x0, x0, #0x680
	0x97ffc5d5, // 79dfc bl 6b550
	0xf94013e0, // 79e00 ldr x0, [sp, #32]
	0xa902ffff, // 79e04 stp xzr, xzr, [sp, #40]
	0x90000001, // 79e08 adrp x1, 79000
	0x913e0021, // 79e0c add x1, x1, #0xf80
	0xf90017e1, // 79e10 str x1, [sp, #40]
	0xd00005c1, // 79e14 adrp x1, 133000
	0x911a0021, // 79e18 add x1, x1, #0x680
	0xf9001be1, // 79e1c str x1, [sp, #48]
	0x9100a3e1, // 79e20 add x1, sp, #0x28
	0xf9002be1, // 79e24 str x1, [sp, #80]
	0xb24003e1, // 79e28 orr x1, xzr, #0x1
	0x39007fe1, // 79e2c strb w1, [sp, #31]
	0x9400010c, // 79e30 bl 7a260
	0xd503201f, // 79e34 nop
	0xd00005db, // 79e38 adrp x27, 133000
	0x91180b7b, // 79e3c add x27, x27, #0x602
	0x39400361, // 79e40 ldrb w1, [x27]
	0x36000141, // 79e44 tbz w1, #0, 79e6c
	0xd2800001, // 79e48 mov x1, #0x0
	0xb24003e2, // 79e4c orr x2, xzr, #0x1
	0xd00005c3, // 79e50 adrp x3, 133000
	0x911a2063, // 79e54 add x3, x3, #0x688
	0x93407c3b, // 79e58 sxtw x27, w1
	0x88fbfc62, // 79e5c casal w27, w2, [x3]
	0x6b01037f, // 79e60 cmp w27, w1
	0x9a9f17e4, // 79e64 cset x4, eq
	0x1400000c, // 79e68 b 79e98
	0xd2800001, // 79e6c mov x1, #0x0
	0xb24003e2, // 79e70 orr x2, xzr, #0x1
	0xd00005c3, // 79e74 adrp x3, 133000
	0x911a2063, // 79e78 add x3, x3, #0x688
	0x885ffc7b, // 79e7c ldaxr w27, [x3]
	0x6b01037f, // 79e80 cmp w27, w1
	0x54000061, // 79e84 b.ne 79e90
	0x881bfc62, // 79e88 stlxr w27, w2, [x3]
	0xb5ffff9b, // 79e8c cbnz x27, 79e7c
	0x9a9f17e5, // 79e90 cset x5, eq
	0xaa0503e4, // 79e94 mov x4, x5
	0x37000084, // 79e98 tbnz w4, #0, 79ea8
	0xd00005c0, // 79e9c adrp x0, 133000
	0x911a2000, // 79ea0 add x0, x0, #0x688
	0x97ffc5ab, // 79ea4 bl 6b550
	0xa903ffff, // 79ea8 stp xzr, xzr, [sp, #56]
	0x90000000, // 79eac adrp x0, 79000
	0x913c8000, // 79eb0 add x0, x0, #0xf20
	0xf9001fe0, // 79eb4 str x0, [sp, #56]
	0xd00005c0, // 79eb8 adrp x0, 133000
	0x911a2000, // 79ebc add x0, x0, #0x688
	0xf90023e0, // 79ec0 str x0, [sp, #64]
	0x9100e3e0, // 79ec4 add x0, sp, #0x38
	0xf90027e0, // 79ec8 str x0, [sp, #72]
	0xb24003e0, // 79ecc orr x0, xzr, #0x1
	0x39007fe0, // 79ed0 strb w0, [sp, #31]
	0xf94027fa, // 79ed4 ldr x26, [sp, #72]
	0xf9400340, // 79ed8 ldr x0, [x26]
	0xd63f0000, // 79edc blr x0
	0x39007fff, // 79ee0 strb wzr, [sp, #31]
	0xf9402bfa, // 79ee4 ldr x26, [sp, #80]
	0xf9400340, // 79ee8 ldr x0, [x26]
	0xd63f0000, // 79eec blr x0
	0xf85f83fd, // 79ef0 ldur x29, [sp, #-8]
	0xf84607fe, // 79ef4 ldr x30, [sp], #96
	0xd65f03c0, // 79ef8 ret
	0x97ff0aa5, // 79efc bl 3c990
	0xf85f83fd, // 79f00 ldur x29, [sp, #-8]
	0xf84607fe, // 79f04 ldr x30, [sp], #96
	0xd65f03c0, // 79f08 ret
	0xf90007e0, // 79f0c str x0, [sp, #8]
	0xaa1e03e3, // 79f10 mov x3, x30
	0x97ffb16b, // 79f14 bl 664c0
	0xf94007e0, // 79f18 ldr x0, [sp, #8]
	0x17ffff91, // 79f1c b 79d60
};

// main.lockAB.func2, at 0x79f20
static const uint32_t unlock_b[] = {
	0xf9400b90, // 79f20 ldr x16, [x28, #16]
	0x910003f1, // 79f24 mov x17, sp
	0xeb10023f, // 79f28 cmp x17, x16
	0x54000169, // 79f2c b.ls 79f58
	0xf81e0ffe, // 79f30 str x30, [sp, #-32]!
	0xf81f83fd, // 79f34 stur x29, [sp, #-8]
	0xd10023fd, // 79f38 sub x29, sp, #0x8
	0xf9401390, // 79f3c ldr x16, [x28, #32]
	0xb5000130, // 79f40 cbnz x16, 79f64
	0xf9400740, // 79f44 ldr x0, [x26, #8]
	0x97ffc642, // 79f48 bl 6b850
	0xf85f83fd, // 79f4c ldur x29, [sp, #-8]
	0xf84207fe, // 79f50 ldr x30, [sp], #32
	0xd65f03c0, // 79f54 ret
	0xaa1e03e3, // 79f58 mov x3, x30
	0x97ffb139, // 79f5c bl 66440
	0x17fffff0, // 79f60 b 79f20
	0xf9400211, // 79f64 ldr x17, [x16]
	0x9100a3f4, // 79f68 add x20, sp, #0x28
	0xeb11029f, // 79f6c cmp x20, x17
	0x54fffea1, // 79f70 b.ne 79f44
	0x910023f4, // 79f74 add x20, sp, #0x8
	0xf9000214, // 79f78 str x20, [x16]
	0x17fffff2, // 79f7c b 79f44
};

// main.attempts, at 0x99840
static const uint32_t attempts[] = {
	0xf9400b90, // 99840 ldr x16, [x28, #16]
	0xeb3063ff, // 99844 cmp sp, x16
	0x54000ba9, // 99848 b.ls 999bc
	0xf81c0ffe, // 9984c str x30, [sp, #-64]!
	0xf81f83fd, // 99850 stur x29, [sp, #-8]
	0xd10023fd, // 99854 sub x29, sp, #0x8
	0xf9001bff, // 99858 str xzr, [sp, #48]
	0x39007fff, // 9985c strb wzr, [sp, #31]
	0xb9800023, // 99860 ldrsw x3, [x1]
	0xd28000a4, // 99864 mov x4, #0x5
	0x6a04007f, // 99868 tst w3, w4
	0x54000060, // 9986c b.eq 99878
	0xaa1f03e3, // 99870 mov x3, xzr
	0x14000014, // 99874 b 998c4
	0xb2400064, // 99878 orr x4, x3, #0x1
	0xb00007bb, // 9987c adrp x27, 18e000
	0x39723765, // 99880 ldrb w5, [x27, #3213]
	0x360000c5, // 99884 tbz w5, #0, 9989c
	0x93407c7b, // 99888 sxtw x27, w3
	0x88fbfc24, // 9988c casal w27, w4, [x1]
	0x6b03037f, // 99890 cmp w27, w3
	0x9a9f17e5, // 99894 cset x5, eq
	0x14000007, // 99898 b 998b4
	0x885ffc3b, // 9989c ldaxr w27, [x1]
	0x6b03037f, // 998a0 cmp w27, w3
	0x54000061, // 998a4 b.ne 998b0
	0x881bfc24, // 998a8 stlxr w27, w4, [x1]
	0xb5ffff9b, // 998ac cbnz x27, 9989c
	0x9a9f17e5, // 998b0 cset x5, eq
	0x36000065, // 998b4 tbz w5, #0, 998c0
	0xb24003e3, // 998b8 orr x3, xzr, #0x1
	0x14000002, // 998bc b 998c4
	0xaa1f03e3, // 998c0 mov x3, xzr
	0x360006e3, // 998c4 tbz w3, #0, 999a0
	0xf9002fe2, // 998c8 str x2, [sp, #88]
	0xb0000002, // 998cc adrp x2, 9a000
	0x91284042, // 998d0 add x2, x2, #0xa10
	0xa90207e2, // 998d4 stp x2, x1, [sp, #32]
	0x910083e1, // 998d8 add x1, sp, #0x20
	0xf9001be1, // 998dc str x1, [sp, #48]
	0xb24003e1, // 998e0 orr x1, xzr, #0x1
	0x39007fe1, // 998e4 strb w1, [sp, #31]
	0x97fffd82, // 998e8 bl 98ef0
	0xf9402fe0, // 998ec ldr x0, [sp, #88]
	0x3980001b, // 998f0 ldrsb x27, [x0]
	0xd503201f, // 998f4 nop
	0xb00007bb, // 998f8 adrp x27, 18e000
	0x39723761, // 998fc ldrb w1, [x27, #3213]
	0x360000e1, // 99900 tbz w1, #0, 9991c
	0xb24003e2, // 99904 orr x2, xzr, #0x1
	0x2a1f03fb, // 99908 mov w27, wzr
	0x88fbfc02, // 9990c casal w27, w2, [x0]
	0x6b1f037f, // 99910 cmp w27, wzr
	0x9a9f17e3, // 99914 cset x3, eq
	0x14000008, // 99918 b 99938
	0xb24003e2, // 9991c orr x2, xzr, #0x1
	0x885ffc1b, // 99920 ldaxr w27, [x0]
	0x6b1f037f, // 99924 cmp w27, wzr
	0x54000061, // 99928 b.ne 99934
	0x881bfc02, // 9992c stlxr w27, w2, [x0]
	0xb5ffff9b, // 99930 cbnz x27, 99920
	0x9a9f17e3, // 99934 cset x3, eq
	0x37000063, // 99938 tbnz w3, #0, 99944
	0x97ffc575, // 9993c bl 8af10
	0xf9402fe0, // 99940 ldr x0, [sp, #88]
	0xd503201f, // 99944 nop
	0xd503201f, // 99948 nop
	0xb00007bb, // 9994c adrp x27, 18e000
	0x39723762, // 99950 ldrb w2, [x27, #3213]
	0x360000a2, // 99954 tbz w2, #0, 99968
	0x92800002, // 99958 mov x2, #0xffffffffffffffff
	0xb8e20001, // 9995c ldaddal w2, w1, [x0]
	0x8b020021, // 99960 add x1, x1, x2
	0x14000006, // 99964 b 9997c
	0x92800002, // 99968 mov x2, #0xffffffffffffffff
	0x885ffc01, // 9996c ldaxr w1, [x0]
	0x8b020021, // 99970 add x1, x1, x2
	0x881bfc01, // 99974 stlxr w27, w1, [x0]
	0xb5ffffbb, // 99978 cbnz x27, 9996c
	0x34000041, // 9997c cbz w1, 99984
	0x97ffc640, // 99980 bl 8b280
	0x39007fff, // 99984 strb wzr, [sp, #31]
	0xf9401bfa, // 99988 ldr x26, [sp, #48]
	0xf9400340, // 9998c ldr x0, [x26]
	0xd63f0000, // 99990 blr x0
	0xf85f83fd, // 99994 ldur x29, [sp, #-8]
	0xf84407fe, // 99998 ldr x30, [sp], #64
	0xd65f03c0, // 9999c ret
	0xf85f83fd, // 999a0 ldur x29, [sp, #-8]
	0xf84407fe, // 999a4 ldr x30, [sp], #64
	0xd65f03c0, // 999a8 ret
	0x97fed2f9, // 999ac bl 4e590
	0xf85f83fd, // 999b0 ldur x29, [sp, #-8]
	0xf84407fe, // 999b4 ldr x30, [sp], #64
	0xd65f03c0, // 999b8 ret
	0xa90087e0, // 999bc stp x0, x1, [sp, #8]
	0xf9000fe2, // 999c0 str x2, [sp, #24]
	0xaa1e03e3, // 999c4 mov x3, x30
	0x97ffb3f6, // 999c8 bl 869a0
	0xa94087e0, // 999cc ldp x0, x1, [sp, #8]
	0xf9400fe2, // 999d0 ldr x2, [sp, #24]
	0x17ffff9b, // 999d4 b 99840
};


// A switch statement's table of jumps (Go 1.27), and what follows is made up.
static const uint32_t jumps[] = {
	0xf81e0ffe, // 5000 str x30, [sp, #-32]!
	0xd503201f, // 5004 nop
	0xb0000001, // 5008 adrp x1, 6000
	0x912d0021, // 500c add x1, x1, #0xb40
	0xf864783b, // 5010 ldr x27, [x1, x4, lsl #3]
	0xd61f0360, // 5014 br x27
	0x940003fa, // 5018 bl 6000
	0x14000002, // 501c b 5024
	0x940003f8, // 5020 bl 6000
	0x94000407, // 5024 bl 6040
	0xf84207fe, // 5028 ldr x30, [sp], #32
	0xd65f03c0, // 502c ret
};

// What a leaf does with pairs of registers and moving pointers.
static const uint32_t pairs[] = {
	0xf81e0ffe, // 7000 str x30, [sp, #-32]!
	0xa900a7e8, // 7004 stp x8, x9, [sp, #8]
	0xa9409be5, // 7008 ldp x5, x6, [sp, #8]
	0xaa0503e0, // 700c mov x0, x5
	0x97fffc0c, // 7010 bl 6040
	0xf94007e0, // 7014 ldr x0, [sp, #8]
	0xf8008c01, // 7018 str x1, [x0, #8]!
	0x97fffbf9, // 701c bl 6000
	0x97fffc08, // 7020 bl 6040
	0xf84207fe, // 7024 ldr x30, [sp], #32
	0xd65f03c0, // 7028 ret
};
// clang-format on

struct code {
	uint64_t entry;
	const uint32_t *words;
	size_t count;
	const char *name;
};

#define CODE(entry, words, name)                                     \
	{                                                            \
		entry, words, sizeof(words) / sizeof(words[0]), name \
	}
#define NAME(entry, name)            \
	{                            \
		entry, NULL, 1, name \
	}

static const struct code old[] = {
	CODE(0x79d60, lock_ab, "main.lockAB"),	   CODE(0x79f20, unlock_b, "main.lockAB.func2"),
	NAME(0x6b550, "sync.(*Mutex).lockSlow"),   NAME(0x6b850, "sync.(*Mutex).Unlock"),
	NAME(0x7a260, "main.(*meeting).wait"),	   NAME(0x3c990, "runtime.deferreturn"),
	NAME(0x664c0, "runtime.morestack_noctxt"), NAME(0x66440, "runtime.morestack"),
};

static const struct code new[] = {
	CODE(0x99840, attempts, "main.attempts"),
	NAME(0x8af10, "internal/sync.(*Mutex).lockSlow"),
	NAME(0x8b280, "internal/sync.(*Mutex).unlockSlow"),
	NAME(0x98ef0, "main.(*pair).meet"),
	NAME(0x4e590, "runtime.deferreturn"),
	NAME(0x869a0, "runtime.morestack_noctxt"),
};

static const struct code made[] = {
	CODE(0x5000, jumps, "main.jumps"),
	CODE(0x7000, pairs, "main.pairs"),
	NAME(0x6000, "sync.(*Mutex).Lock"),
	NAME(0x6040, "main.work"),
};

struct program {
	const struct code *code;
	size_t count;
	uint64_t inlined, inlined_end; // an inlined TryLock, as far as the tables say so
	struct gi_code *analysis;
};

static const struct code *code_at(void *arg, uint64_t pc)
{
	const struct program *p = arg;

	for (size_t i = 0; i < p->count; i++) {
		const struct code *c = &p->code[i];
		if (pc >= c->entry && pc < c->entry + 4 * c->count)
			return c;
	}
	return NULL;
}

static bool find(void *arg, uint64_t pc, struct gi_code_func *ret)
{
	const struct code *c = code_at(arg, pc);

	if (!c)
		return false;
	*ret = (struct gi_code_func){
		.entry = c->entry, .end = c->entry + 4 * c->count, .name = c->name};
	return true;
}

static const uint8_t *bytes(void *arg, uint64_t addr, size_t n)
{
	const struct code *c = code_at(arg, addr);

	(void)n;
	return c && c->words ? (const uint8_t *)c->words + (addr - c->entry) : NULL;
}

// From the one instruction that makes the frame on, but where it was taken down.
static void sp_runs(void *arg, const struct gi_code_func *f, gi_code_run_fn fn, void *fn_arg)
{
	const struct code *c = code_at(arg, f->entry);
	int32_t now = 0, frame = 0;

	for (size_t i = 0; c->words && i < c->count; i++) {
		uint64_t pc = f->entry + 4 * i;
		uint32_t w = c->words[i];

		fn(fn_arg, pc, pc + 4, now);
		if ((w & 0xffe00fff) == 0xf8000ffe) // str x30, [sp, #-N]!
			now = frame = 512 - (int32_t)(w >> 12 & 0x1ff);
		else if ((w & 0xffe00fff) == 0xf84007fe) // ldr x30, [sp], #N
			now = 0;
		else if (w == 0xd65f03c0)
			now = frame;
	}
}

static void inline_runs(void *arg, const struct gi_code_func *f, gi_code_inline_fn fn, void *fn_arg)
{
	static const char *const names[] = {"internal/sync.(*Mutex).TryLock",
					    "sync.(*Mutex).TryLock"};
	const struct program *p = arg;

	if (p->inlined >= f->entry && p->inlined < f->end)
		fn(fn_arg, p->inlined, p->inlined_end, names, 2);
}

static bool read_const(void *arg, uint64_t addr, uint64_t *ret)
{
	(void)arg;
	if (addr == 0x6b40)
		*ret = 0x5018;
	else if (addr == 0x6b48)
		*ret = 0x5020;
	else
		return false;
	return true;
}

static void set_up(struct program *p)
{
	const struct gi_code_env env = {
		.arg = p,
		.arch = &gi_insn_arm64,
		.func = find,
		.bytes = bytes,
		.sp_runs = sp_runs,
		.inline_runs = inline_runs,
		.read_const = read_const,
		.writer_sem = 8,
		.reader_sem = 12,
		.reader_count = 16,
	};

	assert_null(gi_code_create(&env, &p->analysis));
}

// What is known where a call that returns to pc has not returned.
static const struct gi_point *at(const struct program *p, uint64_t pc)
{
	const struct gi_point *pt = gi_code_point(p->analysis, pc, true);

	assert_non_null(pt);
	assert_true(pt->reachable);
	assert_true(pt->at_call);
	return pt;
}

static unsigned state_of(const struct gi_point *pt, gi_value v)
{
	for (size_t i = 0; i < pt->fact_count; i++) {
		if (!pt->facts[i].is_call && pt->facts[i].recv == v)
			return pt->facts[i].state;
	}
	return GI_FACT_UNTOUCHED;
}

static unsigned state_at(const struct gi_point *pt, uint64_t lock)
{
	return state_of(pt, gi_value_const(gi_fn_values(pt->fn), lock));
}

static unsigned state_of_argument(const struct gi_point *pt, unsigned reg)
{
	return state_of(pt, gi_value_entry(gi_fn_values(pt->fn), reg));
}

static void global_locks(const struct code *code)
{
	enum { A = 0x133680, B = 0x133688 };
	struct program p = {.code = code, .count = sizeof(old) / sizeof(old[0])};
	const struct gi_point *pt;

	set_up(&p);
	// The acquisition of a is under way.
	pt = at(&p, 0x79e00);
	assert_int_equal(state_at(pt, A), GI_FACT_UNTOUCHED);
	pt = at(&p, 0x79e34);
	assert_int_equal(state_at(pt, A), GI_FACT_HELD);
	assert_int_equal(state_at(pt, B), GI_FACT_UNTOUCHED);
	// Where it was taken, though there are two places.
	assert_int_equal(gi_fn_site_pc(pt->fn, pt->facts[0].site), 0x79db0);
	pt = at(&p, 0x79ea8);
	assert_int_equal(state_at(pt, A), GI_FACT_HELD);
	assert_int_equal(state_at(pt, B), GI_FACT_UNTOUCHED);
	pt = at(&p, 0x79ee0);
	assert_int_equal(state_at(pt, A), GI_FACT_HELD);
	assert_int_equal(state_at(pt, B), GI_FACT_HELD);
	// The closure in the frame, which unlocks b, has been called.
	pt = at(&p, 0x79ef0);
	assert_int_equal(state_at(pt, A), GI_FACT_HELD);
	assert_int_equal(state_at(pt, B), GI_FACT_RELEASED);
	gi_code_destroy(p.analysis);
}

static void test_global_locks(void **state)
{
	(void)state;
	global_locks(old);
}

// Go 1.18 looks at all of a byte (cbz, cbnz) where later releases look at its lowest bit.
static void test_whole_bytes(void **state)
{
	struct code code[sizeof(old) / sizeof(old[0])];
	uint32_t words[sizeof(lock_ab) / sizeof(lock_ab[0])];
	size_t changed = 0;

	(void)state;
	memcpy(code, old, sizeof(old));
	assert_ptr_equal(code[0].words, lock_ab);
	code[0].words = words;
	for (size_t i = 0; i < sizeof(lock_ab) / sizeof(lock_ab[0]); i++) {
		words[i] = lock_ab[i];
		// A branch on bit 0.
		if ((words[i] & 0xfef80000) == 0x36000000) {
			words[i] = (words[i] & 0x0107ffff) | 0xb4000000;
			changed++;
		}
	}
	assert_true(changed >= 4);
	global_locks(code);
}

static void test_summary(void **state)
{
	struct program p = {.code = old, .count = sizeof(old) / sizeof(old[0])};
	const struct gi_lock_fact *f;
	size_t n;

	(void)state;
	set_up(&p);
	assert_true(gi_code_may_touch(p.analysis, 0x79d60));
	assert_true(gi_code_may_touch(p.analysis, 0x79f20));
	const struct gi_fn *fn = gi_code_fn(p.analysis, 0x79f20);
	assert_true(fn && gi_fn_summary(fn, &f, &n));
	assert_int_equal(n, 1);
	assert_int_equal(f->state, GI_FACT_RELEASED);
	assert_true(f->is_foreign);
	// The first word that the closure has captured.
	struct gi_values *vs = gi_fn_values(fn);
	assert_int_equal(f->recv, gi_value_load(vs, gi_value_entry(vs, 26), 8));
	gi_code_destroy(p.analysis);
}

static void test_attempt(void **state)
{
	struct program p = {.code = new,
			    .count = sizeof(new) / sizeof(new[0]),
			    .inlined = 0x99860,
			    .inlined_end = 0x99890};
	const struct gi_point *pt;

	(void)state;
	set_up(&p);
	pt = at(&p, 0x998ec);
	assert_int_equal(state_of_argument(pt, 1), GI_FACT_HELD);
	assert_int_equal(state_of_argument(pt, 2), GI_FACT_UNTOUCHED);
	// Given up: nothing is held at the return.
	pt = gi_code_point(p.analysis, 0x999a0, false);
	assert_true(pt && pt->reachable);
	assert_int_equal(state_of_argument(pt, 1), GI_FACT_UNTOUCHED);
	pt = at(&p, 0x99940);
	assert_int_equal(state_of_argument(pt, 1), GI_FACT_HELD);
	assert_int_equal(state_of_argument(pt, 2), GI_FACT_UNTOUCHED);
	pt = at(&p, 0x99984);
	assert_int_equal(state_of_argument(pt, 1), GI_FACT_HELD);
	assert_int_equal(state_of_argument(pt, 2), GI_FACT_RELEASED);
	gi_code_destroy(p.analysis);
}

// Both ways may be where a thread was stopped.
static void test_both_ways(void **state)
{
	struct program p = {.code = old, .count = sizeof(old) / sizeof(old[0])};
	const struct gi_point *pt;

	(void)state;
	set_up(&p);
	for (uint64_t pc = 0x79e50; pc <= 0x79e94; pc += 4) {
		pt = gi_code_point(p.analysis, pc, false);
		assert_true(pt && pt->reachable);
		assert_int_equal(state_at(pt, 0x133680), GI_FACT_HELD);
	}
	gi_code_destroy(p.analysis);
}

static void test_table(void **state)
{
	struct program p = {.code = made, .count = sizeof(made) / sizeof(made[0])};
	const struct gi_point *pt;

	(void)state;
	set_up(&p);
	pt = at(&p, 0x5028);
	assert_int_equal(state_of_argument(pt, 0), GI_FACT_HELD);
	gi_code_destroy(p.analysis);
}

static void test_pairs(void **state)
{
	struct program p = {.code = made, .count = sizeof(made) / sizeof(made[0])};
	struct gi_values *vs;
	const struct gi_point *pt;

	(void)state;
	set_up(&p);
	pt = at(&p, 0x7014);
	vs = gi_fn_values(pt->fn);
	assert_int_equal(pt->regs[0], gi_value_entry(vs, 8));
	assert_int_equal(pt->regs[6], gi_value_entry(vs, 9));
	// x8 is at [sp, #8] of a frame of 32 bytes.
	assert_int_equal(pt->slots[pt->slot_count - 2].off, -24);
	assert_int_equal(pt->slots[pt->slot_count - 1].off, -16);
	pt = at(&p, 0x7024);
	assert_int_equal(state_of(pt, gi_value_add(vs, gi_value_entry(vs, 8), 8)), GI_FACT_HELD);
	gi_code_destroy(p.analysis);
}

// Words of all kinds, as one function: none may be taken for something else.
static void test_decode(void **state)
{
	static const struct {
		uint32_t word;
		uint8_t op;
		int8_t dst, src, base;
		int64_t disp;
		uint64_t imm;
		uint32_t writes;
	} want[] = {
		{0xd2800001, GI_OP_MOV, 1, -1, -1, 0, 0, 0},	      // mov x1, #0
		{0x92800002, GI_OP_MOV, 2, -1, -1, 0, UINT64_MAX, 0}, // mov x2, #-1
		{0xb24003e1, GI_OP_MOV, 1, -1, -1, 0, 1, 0},	      // orr x1, xzr, #1
		{0xb201f3e3, GI_OP_MOV, 3, -1, -1, 0, UINT64_C(0xaaaaaaaaaaaaaaaa), 0},
		{0xaa1f03e0, GI_OP_MOV, 0, -1, -1, 0, 0, 0},	   // mov x0, xzr
		{0xaa0103e0, GI_OP_MOV, 0, 1, -1, 0, 0, 0},	   // mov x0, x1
		{0xf9400b90, GI_OP_MOV, 16, -1, 28, 16, 0, 0},	   // ldr x16, [x28, #16]
		{0xf81f83fd, GI_OP_MOV, -1, 29, 31, -8, 0, 0},	   // stur x29, [sp, #-8]
		{0xd10023fd, GI_OP_LEA, 29, -1, 31, -8, 0, 0},	   // sub x29, sp, #8
		{0x910003f1, GI_OP_LEA, 17, -1, 31, 0, 0, 0},	   // mov x17, sp
		{0x90000002, GI_OP_LEA, 2, -1, -1, 0x10000, 0, 0}, // adrp x2, 10000
		{0xb5000078, GI_OP_JCC, -1, 24, -1, 0, 0, 0},	   // cbnz x24
		{0x34000043, GI_OP_JCC, -1, 3, -1, 0, 0, 0},	   // cbz w3
		{0xd63f0000, GI_OP_CALL, -1, 0, -1, 0, 0, 0},	   // blr x0
		{0xd65f03c0, GI_OP_RET, -1, -1, -1, 0, 0, 0},
		{0xd4200000, GI_OP_STOP, -1, -1, -1, 0, 0, 0},	      // brk #0
		{0x00000000, GI_OP_STOP, -1, -1, -1, 0, 0, 0},	      // udf #0
		{0x39800019, GI_OP_OTHER, -1, -1, 0, 0, 0, 1u << 25}, // ldrsb x25, [x0]
		{0x9b037c45, GI_OP_OTHER, -1, -1, -1, 0, 0, 1u << 5}, // mul x5, x2, x3
		{0x1e780020, GI_OP_OTHER, -1, -1, -1, 0, 0, 1u << 0}, // fcvtzs w0, d1
		{0x1e622820, GI_OP_OTHER, -1, -1, -1, 0, 0, 0},	      // fadd d0, d1, d2
		{0xb8e28023, GI_OP_OTHER, -1, -1, 1, 0, 0, 1u << 3},  // swpal w2, w3, [x1]
		{0xc8dffc21, GI_OP_MOV, 1, -1, 1, 0, 0, 0},	      // ldar x1, [x1]
		{0x889ffc01, GI_OP_MOV, -1, 1, 0, 0, 0, 0},	      // stlr w1, [x0]
	};
	enum { N = sizeof(want) / sizeof(want[0]) };
	uint8_t code[4 * N];
	struct gi_insn *in;
	size_t n;

	(void)state;
	for (size_t i = 0; i < N; i++)
		memcpy(code + 4 * i, &want[i].word, 4);
	assert_null(gi_insn_arm64.decode(code, sizeof(code), 0x10000, &in, &n));
	assert_int_equal(n, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(in[i].off, 4 * i);
		assert_int_equal(in[i].len, 4);
		assert_int_equal(in[i].op, want[i].op);
		assert_int_equal(in[i].dst, want[i].dst);
		assert_int_equal(in[i].src, want[i].src);
		assert_int_equal(in[i].base, want[i].base);
		assert_int_equal(in[i].disp, want[i].disp);
		assert_int_equal(in[i].imm, want[i].imm);
		assert_int_equal(in[i].writes, want[i].writes);
		assert_int_equal(in[i].site, i);
	}
	free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_global_locks),
		cmocka_unit_test(test_whole_bytes), cmocka_unit_test(test_summary),
		cmocka_unit_test(test_attempt),	     cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_table),	     cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_decode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

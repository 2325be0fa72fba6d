// The tables of architectures, and what arm64 does otherwise than amd64: return addresses in a
// register, C frames by our own reading of call frame information.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <elf.h>

#include "../support/elf_builder.h"
#include "../support/symtab.h"
#include "unwind/unwind_impl.h"
#include "checks.h"

#define RUNS(...) ((const struct st_run[]){__VA_ARGS__, {0, 0}})

// --- the tables ----------------------------------------------------------

static void check_slots(const struct gi_machine *m, const struct gi_reg_slot *slots, size_t n,
			size_t size)
{
	uint64_t seen = 0;
	for (size_t i = 0; i < n; i++) {
		assert_true(slots[i].reg < m->reg_count);
		assert_true(slots[i].size == 2 || slots[i].size == 4 || slots[i].size == 8);
		assert_true(gi_in_bounds(slots[i].off, slots[i].size, size));
		assert_false(seen >> slots[i].reg & 1);
		seen |= (uint64_t)1 << slots[i].reg;
	}
	assert_true(seen >> m->pc & 1 && seen >> m->sp & 1 && seen >> m->fp & 1);
	assert_true(m->lr == GI_NO_REG || seen >> m->lr & 1);
}

static void test_tables(void **state)
{
	(void)state;
	size_t n = 0;
	for (const struct gi_machine *m; (m = gi_machine_at(n)); n++) {
		assert_ptr_equal(gi_machine(m->arch), m);
		assert_ptr_equal(gi_machine_by_elf(m->elf_machine), m);
		assert_string_equal(gi_elf_machine_name(m->elf_machine), m->name);
		assert_true(m->reg_count <= GI_REGS_MAX);
		for (unsigned i = 0; i < m->reg_count; i++) {
			assert_non_null(gi_reg_name(m->arch, i));
			assert_int_equal(gi_reg_by_name(m->arch, gi_reg_name(m->arch, i)), i);
		}
		assert_null(gi_reg_name(m->arch, m->reg_count));
		assert_int_equal(gi_reg_by_name(m->arch, "pc"), m->pc);
		assert_int_equal(gi_reg_by_name(m->arch, "sp"), m->sp);
		assert_int_equal(gi_reg_by_name(m->arch, "fp"), m->fp);
		assert_int_equal(gi_reg_by_name(m->arch, "nothing"), GI_NO_REG);
		check_slots(m, m->prstatus, m->prstatus_count, m->prstatus_size);
		check_slots(m, m->ucontext, m->ucontext_count, m->ucontext_size);
		for (size_t i = 0; i < m->dwarf_count; i++)
			assert_true(m->dwarf[i] < m->reg_count);
		assert_true(m->dwarf_return < m->dwarf_count);
		for (size_t i = 0; i < m->int_arg_count; i++)
			assert_true(m->int_args[i] < m->reg_count);
		for (const struct gi_reg_alias *a = m->dump; a->name; a++)
			assert_true(a->reg < m->reg_count);
		// Either a call pushes the return address or a register has it.
		assert_true((m->return_size == 8) == (m->lr == GI_NO_REG));
		assert_true(!m->injected_size == (m->lr == GI_NO_REG));
	}
	assert_int_equal(n, 2);
	assert_null(gi_machine_by_elf(EM_RISCV));
	assert_int_equal(gi_reg_by_name(GI_ARCH_ARM64, "lr"), GI_ARM64_LR);
	assert_int_equal(gi_reg_by_name(GI_ARCH_ARM64, "x30"), GI_ARM64_LR);
}

// --- Go frames -----------------------------------------------------------

enum {
	STACK = 0x20000000,
	STACK_SIZE = 0x1000,
	LEAF = ST_TEXT + 0x10, // never a frame
	MID = ST_TEXT + 0x40,  // 32 bytes from offset 8 on
	TOP = ST_TEXT + 0x80,
	SIGPANIC = ST_TEXT + 0xc0,
	END = 0x100,
};

static const char *const files[] = {"a/main.go", NULL};

static const struct st_func funcs[] = {
	{.name = "main.leaf", .entry = 0x10, .sp = RUNS({0x30, 0})},
	{.name = "main.mid", .entry = 0x40, .sp = RUNS({8, 0}, {0x40, 32})},
	{.name = "runtime.goexit",
	 .entry = 0x80,
	 .func_id = 5,
	 .flag = GI_FUNCFLAG_TOPFRAME,
	 .sp = RUNS({0x40, 0})},
	{.name = "runtime.sigpanic", .entry = 0xc0, .func_id = 6, .sp = RUNS({0x40, 48})},
};

struct fixture {
	struct symtab st;
	struct gi_functab *ft;
	struct gi_unwinder u;
	struct gi_regs regs;
	struct gi_frame f[16];
	size_t n;
	struct gi_error *why;
};

static int set_up(void **state)
{
	static const uint8_t zeroes[STACK_SIZE];
	struct fixture *x = calloc(1, sizeof(*x));
	assert_non_null(x);
	symtab_build(&x->st, 27, funcs, GI_ARRAY_SIZE(funcs), END, files, 1);
	gi_fake_set_arch(x->st.t, GI_ARCH_ARM64);
	no_error(gi_fake_add_memory(x->st.t, STACK, zeroes, sizeof(zeroes), GI_MAP_R | GI_MAP_W));
	no_error(gi_functab_create(x->st.t, &x->st.mod, 1, &x->ft));
	x->u.t = x->st.t;
	x->u.machine = gi_target_machine(x->st.t);
	x->u.ft = x->ft;
	x->u.wrapper_id = 22;
	memset(x->u.special, GI_SPECIAL_UNKNOWN, sizeof(x->u.special));
	no_error(gi_pccache_create(x->ft, &x->u.cache));
	x->regs.arch = GI_ARCH_ARM64;
	*state = x;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *x = *state;
	gi_pccache_destroy(x->u.cache);
	gi_cfi_destroy(x->u.cfi);
	gi_functab_destroy(x->ft);
	symtab_close(&x->st);
	gi_error_free(x->why);
	free(x);
	return 0;
}

static bool see(void *arg, const struct gi_frame *f)
{
	struct fixture *x = arg;
	assert_true(x->n < GI_ARRAY_SIZE(x->f));
	x->f[x->n++] = *f;
	return true;
}

static void put(struct fixture *x, uint64_t addr, uint64_t v)
{
	no_error(gi_fake_write_u64(x->st.t, addr, v));
}

// Walks from pc, sp and, if it is not 0, the link register.
static void walk(struct fixture *x, uint64_t pc, uint64_t sp, uint64_t lr)
{
	x->regs.known = 0;
	gi_regs_set(&x->regs, GI_ARM64_PC, pc);
	gi_regs_set(&x->regs, GI_ARM64_SP, sp);
	if (lr)
		gi_regs_set(&x->regs, GI_ARM64_LR, lr);
	x->n = 0;
	gi_error_free(x->why);
	x->why = NULL;
	no_error(gi_unwind_regs(&x->u, &x->regs, STACK, STACK + STACK_SIZE, 0, 16, see, x,
				&x->why));
}

static void is_frame(const struct fixture *x, size_t i, const char *name, uint64_t pc, uint64_t sp,
		     uint64_t cfa)
{
	assert_true(i < x->n);
	assert_string_equal(x->f[i].name, name);
	assert_true(x->f[i].pc == pc && x->f[i].sp == sp && x->f[i].cfa == cfa);
	// A caller's return address lies between its callee's frame and the arguments.
	assert_true(x->f[i].argp == cfa + 8);
}

// A leaf returns by the link register; its caller, by the word at its SP.
static void test_leaf(void **state)
{
	struct fixture *x = *state;
	uint64_t sp = STACK + 0x100;
	put(x, sp, TOP + 4);
	put(x, sp - 8, 0x1234); // the frame pointer of mid's caller
	walk(x, LEAF + 4, sp, MID + 0x10);
	assert_null(x->why);
	assert_int_equal(x->n, 3);
	is_frame(x, 0, "main.leaf", LEAF + 4, sp, sp);
	is_frame(x, 1, "main.mid", MID + 0x10, sp, sp + 32);
	is_frame(x, 2, "runtime.goexit", TOP + 4, sp + 32, sp + 32);
	assert_true(x->f[0].exact_pc && !x->f[1].exact_pc);
	assert_true(x->u.regs.r[GI_ARM64_FP] == 0x1234);

	// In its prologue a function is a leaf yet, whatever the stack says.
	put(x, sp, 0xdead);
	walk(x, MID + 4, sp, TOP + 4);
	assert_null(x->why);
	assert_int_equal(x->n, 2);
	is_frame(x, 1, "runtime.goexit", TOP + 4, sp, sp);

	// With a frame the register may have been used for another call: the stack counts.
	put(x, sp, TOP + 4);
	walk(x, MID + 0x10, sp, LEAF + 4);
	assert_int_equal(x->n, 2);
	is_frame(x, 1, "runtime.goexit", TOP + 4, sp + 32, sp + 32);
}

// A fault in a leaf: the handler saved its link register and made it call sigpanic.
static void test_injected(void **state)
{
	struct fixture *x = *state;
	uint64_t sp = STACK + 0x100, leaf = sp + 48 + 16;
	put(x, sp, LEAF + 8);		// sigpanic's return address: where the fault was
	put(x, sp + 48, MID + 0x10);	// the saved link register
	put(x, leaf, TOP + 4);
	walk(x, SIGPANIC + 8, sp, 0);
	assert_null(x->why);
	assert_int_equal(x->n, 4);
	is_frame(x, 0, "runtime.sigpanic", SIGPANIC + 8, sp, sp + 48);
	is_frame(x, 1, "main.leaf", LEAF + 8, leaf, leaf);
	assert_true(x->f[1].exact_pc);
	is_frame(x, 2, "main.mid", MID + 0x10, leaf, leaf + 32);
	is_frame(x, 3, "runtime.goexit", TOP + 4, leaf + 32, leaf + 32);

	// In a function that has a frame the saved register means nothing.
	put(x, sp, MID + 0x10);
	put(x, sp + 48, LEAF + 4);
	walk(x, SIGPANIC + 8, sp, 0);
	assert_null(x->why);
	assert_int_equal(x->n, 3);
	is_frame(x, 1, "main.mid", MID + 0x10, leaf, leaf + 32);
	is_frame(x, 2, "runtime.goexit", TOP + 4, leaf + 32, leaf + 32);
}

static void test_nil_call(void **state)
{
	struct fixture *x = *state;
	uint64_t sp = STACK + 0x100;
	put(x, sp, TOP + 4);
	walk(x, 0, sp, MID + 0x10);
	assert_null(x->why);
	assert_int_equal(x->n, 2);
	is_frame(x, 0, "main.mid", MID + 0x10, sp, sp + 32);
}

// Leaves that call leaves: the stack does not move, and the walk ends.
static void test_flat(void **state)
{
	struct fixture *x = *state;
	uint64_t sp = STACK + 0x100;
	put(x, sp, LEAF + 8);
	walk(x, LEAF + 4, sp, LEAF + 8);
	assert_non_null(x->why);
	assert_true(x->n < 4);
}

// --- call frame information ----------------------------------------------

enum {
	CODE = 0x50000,
	EH = 0x60000,
	FUN = CODE + 0x100, // 0x40 bytes
	START = CODE + 0x200,
	ODD = CODE + 0x300,
};

static void put8(struct gi_str *s, unsigned v)
{
	gi_str_putc(s, (char)v);
}

static void put32(struct gi_str *s, uint32_t v)
{
	gi_str_putn(s, (const char *)&v, 4);
}

static void put_bytes(struct gi_str *s, const uint8_t *p, size_t n)
{
	gi_str_putn(s, (const char *)p, n);
	while (s->len % 4)
		put8(s, 0);
}

static void fde(struct gi_str *s, uint32_t pc, uint32_t len, const uint8_t *code, size_t n)
{
	size_t at = s->len;
	put32(s, 0);
	put32(s, (uint32_t)s->len); // back to the CIE, which is at 0
	put32(s, pc - (EH + (uint32_t)s->len));
	put32(s, len);
	put8(s, 0);
	put_bytes(s, code, n);
	uint32_t size = (uint32_t)(s->len - at - 4);
	memcpy(s->s + at, &size, 4);
}

static void make_eh_frame(struct gi_str *s)
{
	// x30 returns, offsets in units of 8 downwards, code in units of 4; the CFA is SP.
	static const uint8_t cie[] = {0, 0, 0, 0, 1, 'z', 'R', 0, 4, 0x78, 30, 1, 0x1b, 0x0c, 31, 0};
	static const uint8_t fun[] = {
		0x41, 0x0e, 0x20, 0x9d, 4, 0x9e, 3, // stp x29, x30, [sp, #-32]!
		0x43, 0x0a, 0xde, 0xdd, 0x0e, 0,    // ldp; ret
		0x41, 0x0b,			    // more behind the return
		0x41, 0x2d,			    // signed from here on
	};
	static const uint8_t start[] = {0x07, 30}; // nobody called it
	static const uint8_t odd[] = {0x0f, 2, 0x8f, 0}; // the CFA is an expression
	put32(s, sizeof(cie));
	put_bytes(s, cie, sizeof(cie));
	fde(s, FUN, 0x40, fun, sizeof(fun));
	fde(s, START, 0x40, start, sizeof(start));
	fde(s, ODD, 0x40, odd, sizeof(odd));
	put32(s, 0);
}

static struct gi_target *target_with(const struct gi_str *eh)
{
	static const uint8_t text[0x1000], stack[STACK_SIZE];
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	elf_builder_set_machine(b, EM_AARCH64);
	elf_builder_add_segment(b, PT_LOAD, PF_R | PF_X, CODE, text, sizeof(text), sizeof(text),
				4096);
	elf_builder_add_section(b, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, EH, gi_str_cstr(eh),
				eh->len, 0, 0);
	_cleanup_(gi_freep) char *path = elf_builder_write(b, "c-program");
	struct gi_elf *elf = NULL;
	no_error(gi_elf_open(path, &elf));
	struct gi_target *t = NULL;
	no_error(gi_fake_create(&t));
	gi_fake_set_arch(t, GI_ARCH_ARM64);
	gi_fake_set_exe(t, elf, 0);
	no_error(gi_fake_add_memory(t, STACK, stack, sizeof(stack), GI_MAP_R | GI_MAP_W));
	return t;
}

static struct gi_regs c_regs(uint64_t pc, uint64_t sp)
{
	struct gi_regs regs = {.arch = GI_ARCH_ARM64};
	for (unsigned i = 0; i <= 30; i++)
		gi_regs_set(&regs, i, 0x1000 + i);
	gi_regs_set(&regs, GI_ARM64_PC, pc);
	gi_regs_set(&regs, GI_ARM64_SP, sp);
	return regs;
}

static void test_cfi(void **state)
{
	(void)state;
	_cleanup_(gi_str_deinit) struct gi_str eh = {0};
	make_eh_frame(&eh);
	_cleanup_(gi_target_closep) struct gi_target *t = target_with(&eh);
	struct gi_frame_info *fi = NULL;
	no_error(gi_frame_info_create(t, &fi));
	uint64_t sp = STACK + 0x100;
	no_error(gi_fake_write_u64(t, sp, 0xabc));
	no_error(gi_fake_write_u64(t, sp + 8, UINT64_C(0x12) << 56 | (FUN + 8)));
	struct gi_regs in = c_regs(FUN, sp), out;

	// Nothing is saved yet.
	assert_int_equal(gi_frame_info_step(fi, &in, true, &out), GI_CFI_STEP);
	assert_true(gi_regs_pc(&out) == 0x1000 + 30 && gi_regs_sp(&out) == sp);
	assert_true(out.r[GI_ARM64_FP] == 0x1000 + 29 && out.r[19] == 0x1000 + 19);
	assert_false(gi_regs_has(&out, 0) || gi_regs_has(&out, 18) || gi_regs_has(&out, 30));

	in = c_regs(FUN + 8, sp);
	assert_int_equal(gi_frame_info_step(fi, &in, true, &out), GI_CFI_STEP);
	assert_true(gi_regs_sp(&out) == sp + 32 && out.r[GI_ARM64_FP] == 0xabc);
	assert_true(gi_regs_pc(&out) == (UINT64_C(0x12) << 56 | (FUN + 8)));

	// A return address belongs to the call before it: still the frame of 32 bytes.
	in = c_regs(FUN + 16, sp);
	assert_int_equal(gi_frame_info_step(fi, &in, false, &out), GI_CFI_STEP);
	assert_true(gi_regs_sp(&out) == sp + 32);
	assert_int_equal(gi_frame_info_step(fi, &in, true, &out), GI_CFI_STEP);
	assert_true(gi_regs_sp(&out) == sp && gi_regs_pc(&out) == 0x1000 + 30);
	// The remembered state comes back, later with signed addresses.
	in = c_regs(FUN + 20, sp);
	assert_int_equal(gi_frame_info_step(fi, &in, true, &out), GI_CFI_STEP);
	assert_true(gi_regs_sp(&out) == sp + 32);
	in = c_regs(FUN + 0x3c, sp);
	assert_int_equal(gi_frame_info_step(fi, &in, true, &out), GI_CFI_STEP);
	assert_true(gi_regs_pc(&out) == FUN + 8);

	in = c_regs(START + 8, sp);
	assert_int_equal(gi_frame_info_step(fi, &in, true, &out), GI_CFI_END);
	in = c_regs(ODD + 8, sp);
	assert_int_equal(gi_frame_info_step(fi, &in, true, &out), GI_CFI_FAILED);

	// No description: by the frame pointer, which must be on the stack.
	in = c_regs(CODE + 0x800, sp);
	assert_int_equal(gi_frame_info_step(fi, &in, true, &out), GI_CFI_FAILED);
	in.r[GI_ARM64_FP] = sp;
	assert_int_equal(gi_frame_info_step(fi, &in, true, &out), GI_CFI_GUESSED);
	assert_true(gi_regs_pc(&out) == FUN + 8 && out.r[GI_ARM64_FP] == 0xabc);
	assert_true(gi_regs_sp(&out) >= sp + 16);
	in.r[GI_ARM64_FP] = sp - 16;
	assert_int_equal(gi_frame_info_step(fi, &in, true, &out), GI_CFI_FAILED);
	gi_frame_info_destroy(fi);
}

// Each byte damaged, each length cut: whatever comes, it comes without reading past the end.
static void test_cfi_damaged(void **state)
{
	(void)state;
	_cleanup_(gi_str_deinit) struct gi_str eh = {0};
	make_eh_frame(&eh);
	size_t steps = 0;
	for (size_t i = 0; i < eh.len * 3; i++) {
		_cleanup_(gi_str_deinit) struct gi_str bad = {0};
		static const uint8_t with[] = {0xff, 0x80, 0x01};
		gi_str_putn(&bad, eh.s, eh.len);
		bad.s[i / 3] = (char)(bad.s[i / 3] ^ with[i % 3]);
		if (i % 3 == 2)
			bad.len = i / 3 + 1;
		_cleanup_(gi_target_closep) struct gi_target *t = target_with(&bad);
		struct gi_frame_info *fi = NULL;
		no_error(gi_frame_info_create(t, &fi));
		static const uint64_t pcs[] = {FUN, FUN + 20, FUN + 0x3c, START, ODD};
		for (size_t k = 0; k < GI_ARRAY_SIZE(pcs); k++) {
			struct gi_regs in = c_regs(pcs[k], STACK + 0x100), out;
			steps += gi_frame_info_step(fi, &in, true, &out) == GI_CFI_STEP;
		}
		gi_frame_info_destroy(fi);
	}
	assert_true(steps > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test_setup_teardown(test_leaf, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_injected, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nil_call, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flat, set_up, tear_down),
		cmocka_unit_test(test_cfi),
		cmocka_unit_test(test_cfi_damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

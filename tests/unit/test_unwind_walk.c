// The walk along Go frames on stacks made by hand, sound ones and hostile ones.

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

#define RUNS(...)               \
	(const struct st_run[]) \
	{                       \
		__VA_ARGS__,    \
		{               \
			0, 0    \
		}               \
	}

enum {
	STACK = 0x20000000,
	STACK_SIZE = 0x1000,
	STACK_HI = STACK + STACK_SIZE,
	// Functions; runs are of offsets from the entry.
	LEAF = ST_TEXT + 0x10,
	MID = ST_TEXT + 0x40,
	TOP = ST_TEXT + 0x80,
	SIGPANIC = ST_TEXT + 0xc0,
	WRITES_SP = ST_TEXT + 0x100,
	NEGATIVE = ST_TEXT + 0x140,
	PREEMPT = ST_TEXT + 0x180,
	SYSTEMSTACK = ST_TEXT + 0x1c0,
	NO_FRAME = ST_TEXT + 0x200,
	RACECALL = ST_TEXT + 0x240,
	END = 0x280,
	WRAPPER = 22,
};

static const char *const files[] = {"a/main.go", NULL};

static const struct st_func funcs[] = {
	{.name = "main.leaf",
	 .entry = 0x10,
	 .sp = RUNS({4, 0}, {0x30, 8}),
	 .file = RUNS({0x30, 0}),
	 .line = RUNS({0x30, 3})},
	{.name = "main.mid",
	 .entry = 0x40,
	 .sp = RUNS({4, 0}, {0x40, 24}),
	 .file = RUNS({0x40, 0}),
	 .line = RUNS({0x10, 10}, {0x20, 11}, {0x28, 301}, {0x40, 12}),
	 .inl = RUNS({0x20, -1}, {0x28, 0}, {0x40, -1}),
	 .tree = (const struct st_inline[]){{"main.inlined", 0x1f, 300, 0}},
	 .tree_len = 1},
	{.name = "runtime.goexit",
	 .entry = 0x80,
	 .func_id = 5,
	 .flag = GI_FUNCFLAG_TOPFRAME,
	 .sp = RUNS({0x40, 0})},
	{.name = "runtime.sigpanic", .entry = 0xc0, .func_id = 6, .sp = RUNS({0x40, 16})},
	{.name = "runtime.gogo",
	 .entry = 0x100,
	 .func_id = 7,
	 .flag = GI_FUNCFLAG_SPWRITE,
	 .sp = RUNS({0x40, 0})},
	{.name = "main.negative", .entry = 0x140, .sp = RUNS({0x20, -8}, {0x40, -16})},
	{.name = "runtime.asyncPreempt", .entry = 0x180, .func_id = 8, .sp = RUNS({0x40, 0})},
	{.name = "runtime.systemstack.abi0",
	 .entry = 0x1c0,
	 .func_id = 9,
	 .flag = GI_FUNCFLAG_SPWRITE,
	 .sp = RUNS({0x40, 0})},
	{.name = "main.external", .entry = 0x200},
	{.name = "racecall", .entry = 0x240, .flag = GI_FUNCFLAG_SPWRITE, .sp = RUNS({0x40, 0})},
};

struct fixture {
	struct symtab st;
	struct gi_functab *ft;
	struct gi_unwinder u;
	uint64_t sp; // next word to push is below it
};

static int set_up(void **state)
{
	static const uint8_t zeroes[STACK_SIZE];
	struct fixture *x = calloc(1, sizeof(*x));
	assert_non_null(x);
	symtab_build(&x->st, 27, funcs, GI_ARRAY_SIZE(funcs), END, files, 1);
	no_error(gi_fake_add_memory(x->st.t, STACK, zeroes, sizeof(zeroes), GI_MAP_R | GI_MAP_W));
	no_error(gi_functab_create(x->st.t, &x->st.mod, 1, &x->ft));
	x->u.t = x->st.t;
	x->u.machine = gi_target_machine(x->st.t);
	x->u.ft = x->ft;
	x->u.wrapper_id = WRAPPER;
	x->u.symbolic_args = true;
	memset(x->u.special, GI_SPECIAL_UNKNOWN, sizeof(x->u.special));
	no_error(gi_pccache_create(x->ft, &x->u.cache));
	x->sp = STACK_HI;
	*state = x;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *x = *state;
	gi_pccache_destroy(x->u.cache);
	gi_map_deinit(&x->u.args);
	gi_arena_destroy(x->u.args_arena);
	gi_cfi_destroy(x->u.cfi);
	gi_functab_destroy(x->ft);
	symtab_close(&x->st);
	free(x);
	return 0;
}

static void push(struct fixture *x, uint64_t word)
{
	x->sp -= 8;
	no_error(gi_fake_write_u64(x->st.t, x->sp, word));
}

// A caller's frame: its return address is the next to be pushed.
static void frame(struct fixture *x, size_t bytes)
{
	x->sp -= bytes;
}

// --- what was seen -------------------------------------------------------

enum { MAX_SEEN = 2000 };

struct seen {
	struct gi_frame f[MAX_SEEN];
	size_t n, limit;
	struct gi_error *why;
};

static bool see(void *arg, const struct gi_frame *frame)
{
	struct seen *s = arg;
	assert_true(s->n < MAX_SEEN);
	s->f[s->n++] = *frame;
	return !s->limit || s->n < s->limit;
}

static struct gi_error *walk(struct fixture *x, uint64_t pc, uint64_t hi, unsigned flags,
			     size_t max, struct seen *s)
{
	struct gi_regs regs = {.arch = GI_ARCH_AMD64};
	gi_regs_set(&regs, GI_AMD64_RIP, pc);
	gi_regs_set(&regs, GI_AMD64_RSP, x->sp);
	gi_error_free(s->why);
	size_t limit = s->limit;
	memset(s, 0, sizeof(*s));
	s->limit = limit;
	return gi_unwind_regs(&x->u, &regs, STACK, hi, flags, max, see, s, &s->why);
}

static void ends_as(struct fixture *x, uint64_t pc, unsigned flags, const char *why, size_t frames)
{
	static struct seen s;
	s.limit = 0;
	no_error(walk(x, pc, STACK_HI, flags, 1000, &s));
	if (why) {
		if (!s.why)
			fail_msg("the stack did not end early: \"%s\" expected", why);
		if (!strstr(gi_error_message(s.why), why))
			fail_msg("\"%s\" is not in \"%s\"", why, gi_error_message(s.why));
	} else if (s.why) {
		fail_msg("%s", gi_error_message(s.why));
	}
	assert_int_equal(s.n, frames);
	gi_error_free(s.why);
	s.why = NULL;
}

static void ends(struct fixture *x, uint64_t pc, const char *why, size_t frames)
{
	ends_as(x, pc, 0, why, frames);
}

// leaf, called by an inlined call in mid, called by goexit.
static void sound_stack(struct fixture *x)
{
	push(x, 0xdead); // above the top frame
	push(x, TOP + 1);
	frame(x, 24);
	push(x, MID + 0x24);
	frame(x, 8);
}

static void test_frames(void **state)
{
	static struct seen s;
	struct fixture *x = *state;
	sound_stack(x);
	uint64_t sp = x->sp;
	no_error(walk(x, LEAF + 8, STACK_HI, 0, 1000, &s));
	assert_null(s.why);
	assert_int_equal(s.n, 4);

	assert_string_equal(s.f[0].name, "main.leaf");
	assert_int_equal(s.f[0].kind, GI_FRAME_GO);
	assert_true(s.f[0].exact_pc);
	assert_true(s.f[0].pc == LEAF + 8 && s.f[0].lookup_pc == LEAF + 8);
	assert_true(s.f[0].sp == sp && s.f[0].cfa == sp + 16 && s.f[0].argp == sp + 16);
	assert_true(s.f[0].entry == LEAF);
	assert_int_equal(s.f[0].line, 3);

	assert_string_equal(s.f[1].name, "main.inlined");
	assert_int_equal(s.f[1].kind, GI_FRAME_INLINED);
	assert_int_equal(s.f[1].line, 301);
	assert_int_equal(s.f[1].start_line, 300);
	assert_true(s.f[1].pc == MID + 0x24 && s.f[1].lookup_pc == MID + 0x23);
	assert_false(s.f[1].exact_pc);

	assert_string_equal(s.f[2].name, "main.mid");
	assert_int_equal(s.f[2].kind, GI_FRAME_GO);
	assert_int_equal(s.f[2].line, 11); // where the inlined call is
	assert_true(s.f[2].lookup_pc == MID + 0x1f);
	assert_true(s.f[2].pc == MID + 0x24 && s.f[2].sp == sp + 16 && s.f[2].cfa == sp + 48);
	assert_string_equal(s.f[2].file, "a/main.go");

	assert_string_equal(s.f[3].name, "runtime.goexit");
	assert_true(s.f[3].pc == TOP + 1 && s.f[3].sp == sp + 48);

	no_error(walk(x, LEAF + 8, STACK_HI, GI_UNWIND_NO_INLINE, 1000, &s));
	assert_int_equal(s.n, 3);
	assert_string_equal(s.f[1].name, "main.mid");
	assert_int_equal(s.f[1].line, 11);
}

static void test_limits(void **state)
{
	static struct seen s;
	struct fixture *x = *state;
	sound_stack(x);
	for (size_t max = 0; max <= 4; max++) {
		no_error(walk(x, LEAF + 8, STACK_HI, 0, max, &s));
		assert_int_equal(s.n, max);
		assert_null(s.why); // max is no reason
	}
	s.limit = 2;
	no_error(walk(x, LEAF + 8, STACK_HI, 0, 1000, &s));
	assert_int_equal(s.n, 2);
	assert_null(s.why);
	s.limit = 0;
}

// At its entry a function has pushed nothing, and no call is behind it.
static void test_entry(void **state)
{
	static struct seen s;
	struct fixture *x = *state;
	push(x, 0);
	push(x, TOP + 1);
	no_error(walk(x, LEAF, STACK_HI, 0, 1000, &s));
	assert_null(s.why);
	assert_int_equal(s.n, 2);
	assert_true(s.f[0].cfa == s.f[0].sp + 8);
}

static void test_nil_call(void **state)
{
	static struct seen s;
	struct fixture *x = *state;
	sound_stack(x);
	push(x, LEAF + 8);
	no_error(walk(x, 0, STACK_HI, 0, 1000, &s));
	assert_null(s.why);
	assert_int_equal(s.n, 4);
	assert_string_equal(s.f[0].name, "main.leaf");
	assert_false(s.f[0].exact_pc);
}

// What a signal interrupted stands at its pc, not behind a call.
static void test_injected(void **state)
{
	static const uint64_t callees[] = {SIGPANIC + 4, PREEMPT + 4};
	static struct seen s;
	struct fixture *x = *state;
	for (size_t i = 0; i < 2; i++) {
		x->sp = STACK_HI;
		push(x, 0);
		push(x, TOP + 1);
		frame(x, 24);
		push(x, MID + 0x10); // the first instruction of line 11
		if (callees[i] == SIGPANIC + 4)
			frame(x, 16);
		no_error(walk(x, callees[i], STACK_HI, 0, 1000, &s));
		assert_null(s.why);
		assert_int_equal(s.n, 3);
		assert_true(s.f[1].exact_pc && s.f[1].lookup_pc == MID + 0x10);
		assert_int_equal(s.f[1].line, 11);
		assert_false(s.f[2].exact_pc);
	}
	// A call that returns there was made on line 10.
	x->sp = STACK_HI;
	push(x, 0);
	push(x, TOP + 1);
	frame(x, 24);
	push(x, MID + 0x10);
	frame(x, 8);
	no_error(walk(x, LEAF + 8, STACK_HI, 0, 1000, &s));
	assert_int_equal(s.f[1].line, 10);
}

static void test_hostile(void **state)
{
	struct fixture *x = *state;
	// Nothing but zeroes.
	x->sp = STACK + 0x800;
	ends(x, LEAF + 8, "return address 0", 1);
	// A return address in no mapping, and one in a mapping without unwind
	// information.
	no_error(gi_fake_write_u64(x->st.t, STACK + 0x808, 0x7777777777));
	ends(x, LEAF + 8, "in no mapping", 1);
	no_error(gi_fake_write_u64(x->st.t, STACK + 0x808, STACK + 0x10));
	ends(x, LEAF + 8, "no unwind information", 2);
	ends(x, 0x7777777777, "in no mapping", 0);
	ends(x, UINT64_MAX, "in no mapping", 0);
	// Frames that cannot be.
	ends(x, NEGATIVE + 0x24, "impossible frame size", 0);
	// One that can: the return address has been popped and is below sp.
	no_error(gi_fake_write_u64(x->st.t, STACK + 0x7f8, 0x7777777777));
	ends(x, NEGATIVE + 4, "in no mapping", 1);
	ends(x, WRITES_SP + 4, "changes stacks", 1);
	ends(x, NO_FRAME + 4, "in no mapping", 0); // C code, which is not there
	no_error(gi_fake_write_u64(x->st.t, STACK + 0x808, SYSTEMSTACK + 4));
	ends(x, LEAF + 8, "no goroutine to return to", 2);
	// Interrupted at its beginning it has not switched stacks.
	no_error(gi_fake_write_u64(x->st.t, STACK + 0x800, TOP + 1));
	ends(x, SYSTEMSTACK + 4, NULL, 2);
	ends(x, WRITES_SP, NULL, 2);
	// At the very end of the stack.
	x->sp = STACK_HI;
	ends(x, LEAF + 8, "past the stack's end", 1);
	x->sp = STACK_HI - 8;
	ends(x, LEAF + 8, "past the stack's end", 1);
}

// C code of the race detector, called from a system stack: without unwind information the
// way back is the caller's SP that racecall kept in R12, and C code saved.
static void test_race(void **state)
{
	static struct seen s;
	struct fixture *x = *state;
	uint8_t text[END] = {0};
	text[MID + 0x24 - ST_TEXT - 5] = 0xe8;
	no_error(gi_fake_add_memory(x->st.t, ST_TEXT, text, sizeof(text), GI_MAP_R | GI_MAP_X));
	sound_stack(x);
	uint64_t caller = x->sp + 8;
	uint64_t link = (caller & ~UINT64_C(15)) - 8;
	no_error(gi_fake_write_u64(x->st.t, link, RACECALL + 0x14));
	uint64_t saved = link - 32;
	no_error(gi_fake_write_u64(x->st.t, link - 24, caller + 8)); // no return address there
	no_error(gi_fake_write_u64(x->st.t, saved, caller));
	x->sp = saved - 64;
	no_error(walk(x, NO_FRAME + 4, STACK_HI, 0, 1000, &s));
	assert_null(s.why);
	assert_int_equal(s.n, 5);
	assert_int_equal(s.f[0].kind, GI_FRAME_C);
	assert_string_equal(s.f[0].name, "main.external");
	assert_string_equal(s.f[1].name, "racecall");
	assert_int_equal(s.f[2].kind, GI_FRAME_INLINED);
	assert_string_equal(s.f[3].name, "main.mid");
	assert_int_equal(s.f[3].sp, caller + 8);
	assert_string_equal(s.f[4].name, "runtime.goexit");

	// The runtime shows nothing of C code that Go's linker linked.
	ends_as(x, NO_FRAME + 4, GI_UNWIND_AS_RUNTIME, NULL, 0);
	// Without the place in racecall, or a call before the return address, nothing is.
	no_error(gi_fake_write_u64(x->st.t, link, MID + 0x14));
	ends(x, NO_FRAME + 4, "no unwind information", 1);
	no_error(gi_fake_write_u64(x->st.t, link, RACECALL + 0x14));
	no_error(gi_fake_write_u64(x->st.t, caller, MID + 0x20));
	ends(x, NO_FRAME + 4, "no unwind information", 1);
}

// A stack that is one return address all over ends at its end.
static void test_runaway(void **state)
{
	struct fixture *x = *state;
	for (uint64_t at = STACK; at < STACK_HI; at += 8)
		no_error(gi_fake_write_u64(x->st.t, at, LEAF + 8));
	x->sp = STACK;
	static struct seen s;
	no_error(walk(x, LEAF + 8, STACK_HI, 0, 100000, &s));
	// The last one is begun by a return address inside of the stack.
	assert_int_equal(s.n, STACK_SIZE / 16 + 1);
	assert_non_null(s.why);
	gi_error_free(s.why);
	s.why = NULL;
	for (size_t i = 1; i < s.n; i++)
		assert_true(s.f[i].sp > s.f[i - 1].sp);
}

// Bounds that go past what can be read.
static void test_unreadable(void **state)
{
	static struct seen s;
	struct fixture *x = *state;
	x->sp = STACK_HI - 8;
	no_error(walk(x, LEAF + 8, STACK_HI + 0x1000, 0, 1000, &s));
	assert_int_equal(s.n, 1);
	assert_non_null(strstr(gi_error_message(s.why), "cannot be read"));
	// A stack pointer outside of its stack is refused.
	x->sp = STACK_HI + 8;
	struct gi_error *err = walk(x, LEAF + 8, STACK_HI, 0, 1000, &s);
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), GI_ERR_USAGE);
	gi_error_free(err);
}

// C without unwind information: the chain of frame pointers is followed into code alone.
static void test_guesses(void **state)
{
	struct fixture *x = *state;
	enum { CODE = 0x30000000, DATA = 0x31000000 };
	static const uint8_t bytes[4096];
	static struct seen s;
	no_error(gi_fake_add_memory(x->st.t, CODE, bytes, sizeof(bytes), GI_MAP_R | GI_MAP_X));
	no_error(gi_fake_add_memory(x->st.t, DATA, bytes, sizeof(bytes), GI_MAP_R | GI_MAP_W));
	for (int data = 0; data < 2; data++) {
		struct gi_regs regs = {.arch = GI_ARCH_AMD64};
		x->sp = STACK_HI - 64;
		push(x, data ? DATA + 0x10 : CODE + 0x80);
		push(x, 0);
		gi_regs_set(&regs, GI_AMD64_RIP, CODE + 0x40);
		gi_regs_set(&regs, GI_AMD64_RSP, x->sp - 32);
		gi_regs_set(&regs, GI_AMD64_RBP, x->sp);
		s.n = s.limit = 0;
		gi_error_free(s.why);
		s.why = NULL;
		no_error(gi_unwind_regs(&x->u, &regs, STACK, STACK_HI, 0, 10, see, &s, &s.why));
		assert_int_equal(s.n, data ? 1 : 2);
		if (data) {
			assert_non_null(s.why);
			assert_non_null(strstr(gi_error_message(s.why), "no unwind information"));
		} else {
			assert_int_equal(s.f[1].kind, GI_FRAME_GUESSED);
			assert_int_equal(s.f[1].pc, CODE + 0x80);
		}
	}
	gi_error_free(s.why);
	s.why = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_entry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nil_call, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_injected, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_race, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_runaway, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_guesses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

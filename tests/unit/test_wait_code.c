// The analysis of machine code: what a function has locked where. The functions are assembled
// here, as Go's compiler would have it: values that are needed after a call lie in the frame.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gcore/target.h"
#include "wait/code.h"

// Function NAME lies from NAME to NAME_end.
#define FUNC(name) #name ":\n"
#define END(name) #name "_end: int3\n"

__asm__(".pushsection .text\n"
	".intel_syntax noprefix\n"
	".balign 16\n"
	// What is called: only the names matter.
	"mutexLock: ret\n .balign 16\n"
	"mutexUnlock: ret\n .balign 16\n"
	"mutexTryLock: ret\n .balign 16\n"
	"readLock: ret\n .balign 16\n"
	"readUnlock: ret\n .balign 16\n"
	"readTryLock: ret\n .balign 16\n"
	"mutexLockSlow: ret\n .balign 16\n"
	"mutexUnlockSlow: ret\n .balign 16\n"

	"groupAdd: ret\n .balign 16\n"
	"work: ret\n .balign 16\n"
	"panicked: ret\n .balign 16\n"

	FUNC(plain) "sub rsp, 24\n"
		    "lea rax, [rip + globalMu]\n"
		    "call mutexLock\n"
		    "call work\n plain_held:\n"
		    "lea rax, [rip + globalMu]\n"
		    "call mutexUnlock\n"
		    "call work\n plain_free:\n"
		    "add rsp, 24\n ret\n" END(plain)

	// The fast paths of Lock and Unlock, inlined.
	FUNC(inlined) "sub rsp, 24\n"
		      "mov [rsp + 8], rax\n"
		      "mov rcx, rax\n"
		      "xor eax, eax\n"
		      "mov edx, 1\n"
		      "lock cmpxchg [rcx + 16], edx\n"
		      "sete dl\n"
		      "test dl, dl\n"
		      "jne 1f\n"
		      "mov rax, [rsp + 8]\n"
		      "add rax, 16\n"
		      "call mutexLockSlow\n inlined_slow:\n"
		      "1: call work\n inlined_held:\n"
		      "mov rcx, [rsp + 8]\n"
		      "mov edx, -1\n"
		      "lock xadd [rcx + 16], edx\n"
		      "dec edx\n"
		      "je 2f\n"
		      "lea rax, [rcx + 16]\n"
		      "call mutexUnlockSlow\n"
		      "2: call work\n inlined_free:\n"
		      "add rsp, 24\n ret\n" END(inlined)

	// Locks again what it has: the second acquisition is under way.
	FUNC(twice) "sub rsp, 24\n"
		    "mov [rsp + 8], rax\n"
		    "call mutexLock\n"
		    "mov rcx, [rsp + 8]\n"
		    "xor eax, eax\n"
		    "mov edx, 1\n"
		    "lock cmpxchg [rcx], edx\n"
		    "sete dl\n"
		    "test dl, dl\n"
		    "jne 1f\n"
		    "mov rax, rcx\n"
		    "call mutexLockSlow\n twice_slow:\n"
		    "1: add rsp, 24\n ret\n" END(twice)

			    FUNC(condition) "sub rsp, 24\n"
					    "mov [rsp + 8], rax\n"
					    "test rbx, rbx\n"
					    "je 1f\n"
					    "call mutexLock\n"
					    "1: call work\n condition_maybe:\n"
					    "add rsp, 24\n ret\n" END(condition)

	// A panic's way joins no other.
	FUNC(bounds) "sub rsp, 24\n"
		     "mov [rsp + 8], rax\n"
		     "test rbx, rbx\n"
		     "jne 1f\n"
		     "call panicked\n"
		     "1: call mutexLock\n"
		     "call work\n bounds_held:\n"
		     "add rsp, 24\n ret\n" END(bounds)

			     FUNC(loop) "sub rsp, 24\n"
					"mov [rsp + 8], rax\n"
					"call mutexLock\n"
					"1: call work\n loop_held:\n"
					"test rax, rax\n"
					"jne 1b\n"
					"mov rax, [rsp + 8]\n"
					"call mutexUnlock\n"
					"add rsp, 24\n ret\n" END(loop)

	// Takes one lock after the other: an earlier turn's has no name any more.
	FUNC(walk) "sub rsp, 24\n"
		   "1: mov [rsp + 8], rax\n"
		   "call work\n walk_before:\n"
		   "mov rax, [rsp + 8]\n"
		   "call mutexLock\n"
		   "call work\n walk_held:\n"
		   "test rax, rax\n"
		   "jne 1b\n"
		   "add rsp, 24\n ret\n" END(walk)

			   // Behind a place in a loop: an earlier turn may have taken it.
			   FUNC(late) "sub rsp, 24\n"
				      "mov [rsp + 8], rax\n"
				      "1: test rbx, rbx\n"
				      "je 2f\n"
				      "call work\n late_before:\n"
				      "mov rax, [rsp + 8]\n"
				      "call mutexLock\n"
				      "2: call work\n late_after:\n"
				      "test rax, rax\n"
				      "jne 1b\n"
				      "add rsp, 24\n ret\n" END(late)

			   // Taken on one way, and then again.
			   FUNC(again) "sub rsp, 24\n"
				       "mov [rsp + 8], rax\n"
				       "mov [rsp + 16], rbx\n"
				       "test rbx, rbx\n"
				       "je 1f\n"
				       "call mutexLock\n"
				       "1: mov rax, [rsp + 8]\n"
				       "call mutexLock\n again_taking:\n"
				       "mov rax, [rsp + 8]\n"
				       "call mutexUnlock\n"
				       "mov rbx, [rsp + 16]\n"
				       "test rbx, rbx\n"
				       "je 2f\n"
				       "mov rax, [rsp + 8]\n"
				       "call mutexUnlock\n"
				       "2: add rsp, 24\n ret\n" END(again)

			   // Taken on one way or the other.
			   FUNC(either) "sub rsp, 24\n"
					"mov [rsp + 8], rax\n"
					"mov [rsp + 16], rbx\n"
					"test rbx, rbx\n"
					"je 1f\n"
					"call mutexLock\n"
					"1: mov rbx, [rsp + 16]\n"
					"test rbx, rbx\n"
					"jne 2f\n"
					"mov rax, [rsp + 8]\n"
					"call mutexLock\n either_taking:\n"
					"2: call work\n"
					"mov rax, [rsp + 8]\n"
					"call mutexUnlock\n"
					"add rsp, 24\n ret\n" END(either)

			   FUNC(attempt) "sub rsp, 24\n"
					 "mov [rsp + 8], rax\n"
					 "call mutexTryLock\n"
					 "test al, al\n"
					 "je 1f\n"
					 "call work\n attempt_taken:\n"
					 "mov rax, [rsp + 8]\n"
					 "call mutexUnlock\n"
					 "jmp 2f\n"
					 "1: call work\n attempt_failed:\n"
					 "2: add rsp, 24\n ret\n" END(attempt)

	// The outcome goes through a register that three ways set.
	FUNC(boolean) "sub rsp, 24\n"
		      "mov [rsp + 8], rax\n"
		      "test rbx, rbx\n"
		      "je 2f\n"
		      "call mutexTryLock\n"
		      "test al, al\n"
		      "je 1f\n"
		      "mov ecx, 1\n"
		      "jmp 3f\n"
		      "1: xor ecx, ecx\n"
		      "jmp 3f\n"
		      "2: xor ecx, ecx\n"
		      "3: test cl, cl\n"
		      "je 4f\n"
		      "call work\n boolean_taken:\n"
		      "jmp 5f\n"
		      "4: call work\n boolean_failed:\n"
		      "5: add rsp, 24\n ret\n" END(boolean)

	// A reader that tries whether it may read once more, until it may not, and then does.
	FUNC(reader) "sub rsp, 24\n"
		     "mov [rsp + 8], rax\n"
		     "call readLock\n"
		     "1: mov rax, [rsp + 8]\n"
		     "call readTryLock\n"
		     "test al, al\n"
		     "je 2f\n"
		     "mov rax, [rsp + 8]\n"
		     "call readUnlock\n"
		     "jmp 1b\n"
		     "2: mov rax, [rsp + 8]\n"
		     "call readLock\n reader_taking:\n"
		     "mov rax, [rsp + 8]\n"
		     "call readUnlock\n"
		     "call work\n reader_held:\n"
		     "mov rax, [rsp + 8]\n"
		     "call readUnlock\n"
		     "call work\n reader_free:\n"
		     "add rsp, 24\n ret\n" END(reader)

	// Whether it reads once more is not certain: it may have let go of its only hold.
	FUNC(unsure) "sub rsp, 24\n"
		     "mov [rsp + 8], rax\n"
		     "mov [rsp + 16], rbx\n"
		     "call readLock\n"
		     "mov rbx, [rsp + 16]\n"
		     "test rbx, rbx\n"
		     "je 1f\n"
		     "mov rax, [rsp + 8]\n"
		     "call readLock\n"
		     "1: mov rax, [rsp + 8]\n"
		     "call readUnlock\n"
		     "call work\n unsure_free:\n"
		     "add rsp, 24\n ret\n" END(unsure)

	// Locks what lies 8 bytes behind its argument, and returns with it.
	FUNC(helper) "sub rsp, 8\n"
		     "add rax, 8\n"
		     "call mutexLock\n"
		     "add rsp, 8\n ret\n" END(helper)

			     FUNC(user) "sub rsp, 24\n"
					"lea rax, [rip + globalMu]\n"
					"call helper\n user_inside:\n"
					"call work\n user_held:\n"
					"add rsp, 24\n ret\n" END(user)

	// Locks and unlocks: nothing to its caller.
	FUNC(borrower) "sub rsp, 24\n"
		       "mov [rsp + 8], rax\n"
		       "call mutexLock\n"
		       "mov rax, [rsp + 8]\n"
		       "call mutexUnlock\n"
		       "add rsp, 24\n ret\n" END(borrower)

	// A function literal that unlocks what it has captured.
	FUNC(literal) "sub rsp, 8\n"
		      "mov rax, [rdx + 8]\n"
		      "call mutexUnlock\n"
		      "add rsp, 8\n ret\n" END(literal)

	// The same in the frame, called as open-coded defers are.
	FUNC(deferrer) "sub rsp, 40\n"
		       "lea rax, [rip + globalMu]\n"
		       "call mutexLock\n"
		       "lea rcx, [rip + literal]\n"
		       "mov [rsp + 8], rcx\n"
		       "lea rcx, [rip + globalMu]\n"
		       "mov [rsp + 16], rcx\n"
		       "call work\n deferrer_held:\n"
		       "lea rdx, [rsp + 8]\n"
		       "mov rcx, [rdx]\n"
		       "call rcx\n"
		       "call work\n deferrer_free:\n"
		       "add rsp, 40\n ret\n" END(deferrer)

			       FUNC(element) "sub rsp, 24\n"
					     "mov [rsp], rax\n"
					     "mov [rsp + 8], rbx\n"
					     "lea rax, [rax + rbx * 8]\n"
					     "call mutexLock\n"
					     "call work\n element_held:\n"
					     "mov rcx, [rsp]\n"
					     "mov rdx, [rsp + 8]\n"
					     "lea rax, [rcx + rdx * 8]\n"
					     "call mutexUnlock\n"
					     "call work\n element_free:\n"
					     "add rsp, 24\n ret\n" END(element)

	// A release through a value that cannot be compared with the one that was locked.
	FUNC(doubtful) "sub rsp, 24\n"
		       "mov [rsp], rax\n"
		       "mov [rsp + 8], rbx\n"
		       "call mutexLock\n"
		       "mov rax, [rsp + 8]\n"
		       "call mutexUnlock\n"
		       "call work\n doubtful_held:\n"
		       "add rsp, 24\n ret\n" END(doubtful)

	// What a switch becomes: a table of jumps.
	FUNC(table) "sub rsp, 24\n"
		    "mov [rsp + 8], rax\n"
		    "lea rcx, [rip + jumps]\n"
		    "jmp [rcx + rbx * 8]\n"
		    "table_a: call mutexLock\n"
		    "jmp 1f\n"
		    "table_b: call mutexLock\n"
		    "1: call work\n table_held:\n"
		    "add rsp, 24\n ret\n" END(table)

	// Done, as wg.Add(-1).
	FUNC(done) "sub rsp, 8\n"
		   "mov rax, [rdx + 8]\n"
		   "mov rbx, -1\n"
		   "call groupAdd\n"
		   "add rsp, 8\n ret\n" END(done)

	// Calls itself before it locks.
	FUNC(recursive) "sub rsp, 24\n"
			"mov [rsp + 8], rax\n"
			"call recursive\n"
			"mov rax, [rsp + 8]\n"
			"call mutexLock\n"
			"call work\n recursive_held:\n"
			"add rsp, 24\n ret\n" END(recursive)

	// Bytes that are no code.
	FUNC(garbage) ".byte 0x06, 0x0e, 0x16, 0x1e, 0xff, 0xff, 0xff\n" END(
		garbage) ".att_syntax prefix\n"
			 ".popsection\n"
			 ".pushsection .data\n"
			 ".balign 8\n"
			 "globalMu: .quad 0\n"
			 "jumps: .quad table_a, table_b\n"
			 ".quad 0\n"
			 ".popsection\n");

#define DECLARE(name) extern const uint8_t name[], name##_end[]
DECLARE(plain);
DECLARE(inlined);
DECLARE(twice);
DECLARE(condition);
DECLARE(bounds);
DECLARE(loop);
DECLARE(late);
DECLARE(again);
DECLARE(either);
DECLARE(walk);
DECLARE(attempt);
DECLARE(boolean);
DECLARE(reader);
DECLARE(unsure);
DECLARE(helper);
DECLARE(user);
DECLARE(borrower);
DECLARE(literal);
DECLARE(deferrer);
DECLARE(element);
DECLARE(doubtful);
DECLARE(table);
DECLARE(done);
DECLARE(recursive);
DECLARE(garbage);
extern const uint8_t mutexLock[], mutexUnlock[], mutexTryLock[], mutexLockSlow[], mutexUnlockSlow[],
	readLock[], readUnlock[], readTryLock[], groupAdd[], work[], panicked[], globalMu[], jumps[];
extern const uint8_t plain_held[], plain_free[], inlined_slow[], inlined_held[], inlined_free[],
	twice_slow[], condition_maybe[], bounds_held[], loop_held[], late_before[],
	late_after[], again_taking[], either_taking[], walk_before[], walk_held[],
	attempt_taken[], attempt_failed[], boolean_taken[], boolean_failed[], reader_taking[],
	reader_held[], reader_free[], unsure_free[], user_inside[],
	user_held[], deferrer_held[], deferrer_free[], element_held[], element_free[],
	doubtful_held[], table_held[], recursive_held[];

struct known {
	const uint8_t *start, *end;
	const char *name;
	int32_t frame; // bytes below the return address, after the first instruction
};

#define OURS(f, frame)                        \
	{                                     \
		f, f##_end, "main." #f, frame \
	}
#define CALLED(f, go)           \
	{                       \
		f, f + 1, go, 0 \
	}

static const struct known funcs[] = {
	OURS(plain, 24),
	OURS(inlined, 24),
	OURS(twice, 24),
	OURS(condition, 24),
	OURS(bounds, 24),
	OURS(loop, 24),
	OURS(late, 24),
	OURS(again, 24),
	OURS(either, 24),
	OURS(walk, 24),
	OURS(attempt, 24),
	OURS(boolean, 24),
	OURS(reader, 24),
	OURS(unsure, 24),
	OURS(helper, 8),
	OURS(user, 24),
	OURS(borrower, 24),
	OURS(literal, 8),
	OURS(deferrer, 40),
	OURS(element, 24),
	OURS(doubtful, 24),
	OURS(table, 24),
	OURS(done, 8),
	OURS(recursive, 24),
	OURS(garbage, 0),
	CALLED(mutexLock, "sync.(*Mutex).Lock"),
	CALLED(mutexUnlock, "sync.(*Mutex).Unlock"),
	CALLED(mutexTryLock, "sync.(*Mutex).TryLock"),
	CALLED(mutexLockSlow, "sync.(*Mutex).lockSlow"),
	CALLED(mutexUnlockSlow, "sync.(*Mutex).unlockSlow"),
	CALLED(readLock, "sync.(*RWMutex).RLock"),
	CALLED(readUnlock, "sync.(*RWMutex).RUnlock"),
	CALLED(readTryLock, "sync.(*RWMutex).TryRLock"),
	CALLED(groupAdd, "sync.(*WaitGroup).Add"),
	CALLED(work, "main.work"),
	CALLED(panicked, "runtime.panicIndex"),
};

static uint64_t addr(const uint8_t *p)
{
	return (uint64_t)(uintptr_t)p;
}

static bool find(void *arg, uint64_t pc, struct gi_code_func *ret)
{
	(void)arg;
	for (size_t i = 0; i < sizeof(funcs) / sizeof(funcs[0]); i++) {
		if (pc < addr(funcs[i].start) || pc >= addr(funcs[i].end))
			continue;
		*ret = (struct gi_code_func){.entry = addr(funcs[i].start),
					     .end = addr(funcs[i].end),
					     .name = funcs[i].name};
		return true;
	}
	return false;
}

static const uint8_t *bytes(void *arg, uint64_t at, size_t n)
{
	(void)arg;
	(void)n;
	return (const uint8_t *)(uintptr_t)at;
}

static void sp_runs(void *arg, const struct gi_code_func *f, gi_code_run_fn fn, void *fn_arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof(funcs) / sizeof(funcs[0]); i++) {
		if (addr(funcs[i].start) != f->entry)
			continue;
		// The first instruction is sub rsp, N: four bytes.
		fn(fn_arg, f->entry, f->entry + 4, 0);
		fn(fn_arg, f->entry + 4, f->end, funcs[i].frame);
	}
}

static void inline_runs(void *arg, const struct gi_code_func *f, gi_code_inline_fn fn, void *fn_arg)
{
	(void)arg;
	(void)f;
	(void)fn;
	(void)fn_arg;
}

static bool read_const(void *arg, uint64_t at, uint64_t *ret)
{
	(void)arg;
	if (at < addr(jumps) || at >= addr(jumps) + 24)
		return false;
	memcpy(ret, (const void *)(uintptr_t)at, 8);
	return true;
}

static int set_up(void **state)
{
	const struct gi_code_env env = {
		.arch = &gi_insn_amd64,
		.func = find,
		.bytes = bytes,
		.sp_runs = sp_runs,
		.inline_runs = inline_runs,
		.read_const = read_const,
		.writer_sem = 8,
		.reader_sem = 12,
		.reader_count = 16,
	};
	struct gi_code *code = NULL;

	assert_null(gi_code_create(&env, &code));
	*state = code;
	return 0;
}

static int tear_down(void **state)
{
	gi_code_destroy(*state);
	return 0;
}

// What is known where the call before `after` has not returned.
static const struct gi_point *at(void **state, const uint8_t *after)
{
	const struct gi_point *pt = gi_code_point(*state, addr(after), true);

	assert_non_null(pt);
	assert_true(pt->reachable);
	assert_true(pt->at_call);
	return pt;
}

// The state of the lock at v, UNTOUCHED if nothing is said of it.
static unsigned state_of(const struct gi_point *pt, gi_value v)
{
	for (size_t i = 0; i < pt->fact_count; i++) {
		if (!pt->facts[i].is_call && pt->facts[i].recv == v)
			return pt->facts[i].state;
	}
	return GI_FACT_UNTOUCHED;
}

static gi_value constant(const struct gi_point *pt, const uint8_t *p)
{
	return gi_value_const(gi_fn_values(pt->fn), addr(p));
}

static gi_value argument(const struct gi_point *pt, unsigned reg, int64_t off)
{
	struct gi_values *vs = gi_fn_values(pt->fn);

	return gi_value_add(vs, gi_value_entry(vs, reg), off);
}

// Locks that are held for certain.
static size_t held(const struct gi_point *pt)
{
	size_t n = 0;

	for (size_t i = 0; i < pt->fact_count; i++)
		n += !pt->facts[i].is_call && pt->facts[i].state == GI_FACT_HELD;
	return n;
}

static void test_plain(void **state)
{
	const struct gi_point *pt = at(state, plain_held);

	assert_int_equal(state_of(pt, constant(pt, globalMu)), GI_FACT_HELD);
	assert_int_equal(pt->ahead_count, 1);
	assert_false(pt->ahead[0].is_acquire);
	pt = at(state, plain_free);
	assert_int_equal(state_of(pt, constant(pt, globalMu)), GI_FACT_RELEASED);
	assert_int_equal(pt->ahead_count, 0);
	assert_null(gi_code_point(*state, addr(plain_held) + 1, true));
}

static void test_inlined(void **state)
{
	const struct gi_point *pt = at(state, inlined_slow);

	// The acquisition is under way: no hold.
	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 16)), GI_FACT_UNTOUCHED);
	pt = at(state, inlined_held);
	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 16)), GI_FACT_HELD);
	pt = at(state, inlined_free);
	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 16)), GI_FACT_RELEASED);
}

static void test_twice(void **state)
{
	const struct gi_point *pt = at(state, twice_slow);

	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)), GI_FACT_HELD);
	// It is the first Lock that holds.
	assert_true(gi_fn_site_pc(pt->fn, pt->facts[0].site) < addr(twice_slow) - 20);
}

static void test_ways(void **state)
{
	const struct gi_point *pt = at(state, condition_maybe);

	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)),
			 GI_FACT_HELD | GI_FACT_UNTOUCHED);
	pt = at(state, bounds_held);
	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)), GI_FACT_HELD);
	pt = at(state, table_held);
	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)), GI_FACT_HELD);
}

static void test_loops(void **state)
{
	const struct gi_point *pt = at(state, loop_held);

	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)), GI_FACT_HELD);
	// The lock of this turn; none is held before it is taken.
	assert_int_equal(held(at(state, walk_held)), 1);
	assert_int_equal(held(at(state, walk_before)), 0);
}

static void test_twice_taken(void **state)
{
	const struct gi_point *pt = at(state, again_taking);
	gi_value mu = argument(pt, GI_AMD64_RAX, 0);

	assert_int_equal(state_of(pt, mu), GI_FACT_HELD | GI_FACT_UNTOUCHED);
	assert_true(gi_point_released_twice(pt, mu, GI_LOCK_MUTEX));
	assert_false(gi_point_released_twice(pt, mu, GI_LOCK_READ));
	assert_false(gi_point_leads_to(pt, pt->facts[0].site));
	pt = at(state, either_taking);
	mu = argument(pt, GI_AMD64_RAX, 0);
	assert_int_equal(state_of(pt, mu), GI_FACT_HELD | GI_FACT_UNTOUCHED);
	assert_false(gi_point_released_twice(pt, mu, GI_LOCK_MUTEX));
	pt = at(state, late_after);
	assert_true(gi_point_leads_to(pt, pt->facts[0].site));
}

static void test_turns(void **state)
{
	const struct gi_point *before = at(state, late_before), *after = at(state, late_after);

	assert_int_equal(state_of(before, argument(before, GI_AMD64_RAX, 0)),
			 GI_FACT_HELD | GI_FACT_UNTOUCHED);
	assert_int_equal(before->fact_count, 1);
	assert_true(gi_point_precedes(before, before->facts[0].site));
	assert_false(gi_point_precedes(after, before->facts[0].site));
	assert_true(gi_point_between(before, before->facts[0].site, after));
	// From behind it to before it, it is only a turn later.
	assert_false(gi_point_between(after, before->facts[0].site, before));
	// In one block, and without a loop.
	const struct gi_point *held = at(state, bounds_held);
	assert_false(gi_point_precedes(held, held->facts[0].site));
}

static void test_attempts(void **state)
{
	const struct gi_point *pt = at(state, attempt_taken);

	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)), GI_FACT_HELD);
	pt = at(state, attempt_failed);
	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)), GI_FACT_UNTOUCHED);
	pt = at(state, boolean_taken);
	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)), GI_FACT_HELD);
	pt = at(state, boolean_failed);
	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)), GI_FACT_UNTOUCHED);
}

static uint8_t read_state(const struct gi_point *pt)
{
	const gi_value recv = argument(pt, GI_AMD64_RAX, 0);

	for (size_t i = 0; i < pt->fact_count; i++) {
		if (pt->facts[i].recv == recv && pt->facts[i].kind == GI_LOCK_READ)
			return pt->facts[i].state;
	}
	return GI_FACT_UNTOUCHED;
}

/** Read locks are counted: who lets go of a second one still has the first. */
static void test_readers(void **state)
{
	assert_int_equal(read_state(at(state, reader_taking)), GI_FACT_HELD);
	assert_int_equal(read_state(at(state, reader_held)), GI_FACT_HELD);
	assert_int_equal(read_state(at(state, reader_free)), GI_FACT_RELEASED);
	assert_int_equal(read_state(at(state, unsure_free)), GI_FACT_RELEASED);
}

static void test_helpers(void **state)
{
	const struct gi_point *pt = at(state, user_inside);

	assert_int_equal(held(pt), 0);
	assert_int_equal(pt->callee, addr(helper));
	pt = at(state, user_held);
	assert_int_equal(state_of(pt, gi_value_const(gi_fn_values(pt->fn), addr(globalMu) + 8)),
			 GI_FACT_HELD);
	pt = at(state, recursive_held);
	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)), GI_FACT_HELD);
}

static void test_summaries(void **state)
{
	const struct gi_lock_fact *f;
	size_t n;

	const struct gi_fn *fn = gi_code_fn(*state, addr(literal));
	assert_true(fn && gi_fn_summary(fn, &f, &n));
	assert_int_equal(n, 1);
	assert_int_equal(f->state, GI_FACT_RELEASED);
	assert_true(f->is_foreign);
	struct gi_values *vs = gi_fn_values(fn);
	assert_int_equal(f->recv, gi_value_load(vs, gi_value_entry(vs, GI_AMD64_RDX), 8));

	fn = gi_code_fn(*state, addr(borrower));
	assert_true(fn && gi_fn_summary(fn, &f, &n));
	assert_int_equal(n, 1);
	assert_int_equal(f->state, GI_FACT_RELEASED);
	assert_false(f->is_foreign);

	fn = gi_code_fn(*state, addr(done));
	assert_true(fn && gi_fn_summary(fn, &f, &n));
	assert_int_equal(n, 1);
	assert_int_equal(f->kind, GI_LOCK_GROUP);
	assert_int_equal(f->state, GI_FACT_RELEASED);
}

static void test_closures(void **state)
{
	const struct gi_point *pt = at(state, deferrer_held);

	assert_int_equal(state_of(pt, constant(pt, globalMu)), GI_FACT_HELD);
	pt = at(state, deferrer_free);
	assert_int_equal(state_of(pt, constant(pt, globalMu)), GI_FACT_RELEASED);
}

static void test_elements(void **state)
{
	const struct gi_point *pt = at(state, element_held);
	struct gi_values *vs = gi_fn_values(pt->fn);
	gi_value e = gi_value_sum(vs, gi_value_entry(vs, GI_AMD64_RAX),
				  gi_value_entry(vs, GI_AMD64_RBX), 8);

	assert_int_equal(state_of(pt, e), GI_FACT_HELD);
	assert_int_equal(state_of(at(state, element_free), e), GI_FACT_RELEASED);
}

static void test_doubt(void **state)
{
	const struct gi_point *pt = at(state, doubtful_held);

	assert_int_equal(state_of(pt, argument(pt, GI_AMD64_RAX, 0)), GI_FACT_HELD);
	for (size_t i = 0; i < pt->fact_count; i++) {
		if (pt->facts[i].recv == argument(pt, GI_AMD64_RAX, 0))
			assert_true(pt->facts[i].doubt);
		else
			assert_true(pt->facts[i].is_foreign);
	}
}

static void test_slots(void **state)
{
	const struct gi_point *pt = at(state, loop_held);

	// [rsp + 8] of 24 bytes below the return address.
	assert_int_equal(pt->slot_count, 1);
	assert_int_equal(pt->slots[0].off, -24);
	assert_int_equal(pt->slots[0].v, argument(pt, GI_AMD64_RAX, 0));
}

static void test_garbage(void **state)
{
	const struct gi_lock_fact *f;
	size_t n = 1;

	assert_null(gi_code_fn(*state, 0x10));
	assert_null(gi_code_point(*state, 0x10, true));
	const struct gi_fn *fn = gi_code_fn(*state, addr(garbage));
	if (fn && gi_fn_summary(fn, &f, &n))
		assert_int_equal(n, 0);
}

static void test_may_touch(void **state)
{
	assert_true(gi_code_may_touch(*state, addr(plain)));
	assert_true(gi_code_may_touch(*state, addr(inlined)));
	assert_true(gi_code_may_touch(*state, addr(user)));
	assert_false(gi_code_may_touch(*state, addr(work)));
	assert_false(gi_code_may_touch(*state, 0x10));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plain),    TEST(test_inlined),   TEST(test_twice),   TEST(test_ways),
		TEST(test_loops), TEST(test_turns), TEST(test_twice_taken),    TEST(test_attempts),  TEST(test_readers), TEST(test_helpers), TEST(test_summaries),
		TEST(test_closures), TEST(test_elements),  TEST(test_doubt),   TEST(test_slots),
		TEST(test_garbage),  TEST(test_may_touch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Stacks of the shipped programs: goroutines, threads, signal frames, C frames, and what
// becomes of them when memory is damaged.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "gcore/unwind.h"
#include "target/fake.h"
#include "checks.h"

static const char *const programs[] = {
	"zoo-go1.19.13",  "zoo-go1.27.4",  "zoo_cgo-go1.19.13", "zoo_cgo-go1.27.4",
	"abba-go1.19.13", "abba-go1.27.4", "healthy-go1.19.13", "healthy-go1.27.4"};

struct program {
	struct gi_target *t;
	struct gi_go *go;
	struct gi_unwinder *u;
};

static struct gi_target *open_target(const char *name)
{
	char core[512], exe[512];
	const struct gi_target_options opts = {
		.exe = corefile(name, ".exe", exe, sizeof(exe))};
	struct gi_target *t = NULL;
	no_error(gi_target_open_core(corefile(name, ".core", core, sizeof(core)), &opts,
				     &t));
	return t;
}

static struct program open_program(const char *name)
{
	struct program p = {.t = open_target(name)};
	no_error(gi_go_open(p.t, &p.go));
	no_error(gi_unwinder_create(p.go, &p.u));
	return p;
}

static void close_program(struct program *p)
{
	gi_unwinder_destroy(p->u);
	gi_go_close(p->go);
	gi_target_close(p->t);
}

// --- whole programs ------------------------------------------------------

struct watch {
	const struct gi_g *g;
	struct gi_frame last;
	size_t n;
};

static bool watch_goroutine(void *arg, const struct gi_frame *f)
{
	struct watch *w = arg;
	assert_true(f->kind == GI_FRAME_GO || f->kind == GI_FRAME_INLINED);
	assert_int_equal(f->stack, GI_STACK_GOROUTINE);
	assert_true(f->sp > w->g->stack_lo && f->cfa > f->sp && f->cfa <= w->g->stack_hi);
	if (w->n && w->last.kind == GI_FRAME_GO)
		assert_true(f->sp == w->last.cfa); // frames lie side by side
	if (w->n && w->last.kind == GI_FRAME_INLINED)
		assert_true(f->sp == w->last.sp && f->pc == w->last.pc);
	assert_true(f->has_func && f->pc >= f->entry && f->pc < f->func.end);
	assert_true(f->name[0] && f->file[0] && f->line > 0);
	assert_true(f->regs->r[GI_AMD64_RIP] == f->pc &&
		    f->regs->r[GI_AMD64_RSP] == f->sp);
	w->last = *f;
	w->n++;
	return true;
}

static void test_goroutines(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		struct program p = open_program(programs[i]);
		size_t n = 0;
		for (size_t k = 0; k < gi_go_g_count(p.go); k++) {
			struct watch w = {.g = gi_go_g(p.go, k)};
			struct gi_error *why = NULL;
			if (gi_g_is_dead(w.g))
				continue;
			no_error(gi_unwind_goroutine(p.u, w.g, 0, GI_UNWIND_MAX,
						     watch_goroutine, &w, &why));
			no_error(why);
			assert_true(w.n >= 1);
			assert_string_equal(w.last.name, "runtime.goexit");
			n++;
		}
		assert_true(n >= 8);
		close_program(&p);
	}
}

static bool watch_thread(void *arg, const struct gi_frame *f)
{
	struct watch *w = arg;
	assert_int_not_equal(f->kind, GI_FRAME_GUESSED);
	if (w->n && f->stack == w->last.stack)
		assert_true(f->sp >= w->last.sp);
	w->last = *f;
	w->n++;
	return true;
}

// Every thread's stack is complete: it ends where a thread or a goroutine begins, or in
// the scheduler, which has let go of its goroutine.
static void test_threads(void **state)
{
	static const char *const ends[] = {"runtime.goexit", "runtime.mstart",
					   "runtime.mcall", "runtime.rt0_go"};
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		struct program p = open_program(programs[i]);
		for (size_t k = 0; k < gi_target_thread_count(p.t); k++) {
			struct watch w = {0};
			struct gi_error *why = NULL;
			no_error(gi_unwind_thread(p.u, k, 0, GI_UNWIND_MAX, watch_thread,
						  &w, &why));
			no_error(why);
			assert_true(w.n >= 2);
			bool known =
				!gi_go_m_by_thread(p.go, k) && w.last.kind == GI_FRAME_C;
			for (size_t e = 0; e < GI_ARRAY_SIZE(ends); e++)
				known = known || !strcmp(w.last.name, ends[e]);
			if (!known)
				fail_msg("%s: thread %zu ends in %s", programs[i], k,
					 w.last.name);
		}
		struct gi_error *err = gi_unwind_thread(p.u, gi_target_thread_count(p.t),
							0, 10, watch_thread, NULL, NULL);
		assert_int_equal(gi_error_code(err), GI_ERR_NOT_FOUND);
		gi_error_free(err);
		close_program(&p);
	}
}

// --- one goroutine, whole ------------------------------------------------

static const struct gi_g *started_in(struct program *p, const char *function)
{
	for (size_t i = 0; i < gi_go_g_count(p->go); i++) {
		struct gi_location loc;
		const struct gi_g *g = gi_go_g(p->go, i);
		if (gi_g_is_dead(g))
			continue;
		gi_unwind_started_at(p->u, g, &loc);
		if (!strcmp(loc.function, function))
			return g;
	}
	fail_msg("no goroutine was started in %s", function);
	return NULL;
}

static void test_stack(void **state)
{
	static const struct {
		const char *name;
		enum gi_frame_kind kind;
		uint32_t line; // 0: of the runtime
	} want[] = {
		{"runtime.gopark", GI_FRAME_GO, 0},
		{"runtime.goparkunlock", GI_FRAME_INLINED, 0},
		{"runtime.semacquire1", GI_FRAME_GO, 0},
		{"internal/sync.runtime_SemacquireMutex", GI_FRAME_GO, 0},
		{"internal/sync.(*Mutex).lockSlow", GI_FRAME_GO, 0},
		{"internal/sync.(*Mutex).Lock", GI_FRAME_INLINED, 0},
		{"sync.(*Mutex).Lock", GI_FRAME_INLINED, 0},
		{"main.lockAB", GI_FRAME_GO, 19},
		{"main.main.func1", GI_FRAME_GO, 61},
		{"runtime.goexit", GI_FRAME_GO, 0},
	};
	(void)state;
	struct program p = open_program("abba-go1.27.4");
	const struct gi_g *g = started_in(&p, "main.main.func1");
	struct gi_stack *s = NULL;
	no_error(gi_stack_of_goroutine(p.u, g, 0, 100, &s));
	assert_null(gi_stack_truncated(s));
	assert_false(gi_stack_cut_by_max(s));
	assert_int_equal(gi_stack_len(s), GI_ARRAY_SIZE(want));
	for (size_t i = 0; i < GI_ARRAY_SIZE(want); i++) {
		const struct gi_frame *f = gi_stack_frame(s, i);
		assert_string_equal(f->name, want[i].name);
		assert_int_equal(f->kind, want[i].kind);
		if (want[i].line)
			assert_int_equal(f->line, want[i].line);
		// Copies: each frame's own.
		assert_true(f->regs->r[GI_AMD64_RIP] == f->pc &&
			    f->regs->r[GI_AMD64_RSP] == f->sp);
	}
	assert_null(gi_stack_frame(s, GI_ARRAY_SIZE(want)));
	gi_stack_free(s);

	no_error(gi_stack_of_goroutine(p.u, g, GI_UNWIND_NO_INLINE, 3, &s));
	assert_int_equal(gi_stack_len(s), 3);
	assert_true(gi_stack_cut_by_max(s));
	assert_null(gi_stack_truncated(s));
	assert_string_equal(gi_stack_frame(s, 1)->name, "runtime.semacquire1");
	gi_stack_free(s);
	gi_stack_free(NULL);
	close_program(&p);
}

static void test_locations(void **state)
{
	static const char *const names[] = {"abba-go1.19.13", "abba-go1.27.4"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct program p = open_program(names[i]);
		const struct gi_g *g = started_in(&p, "main.main.func1");
		struct gi_location where, user, go, start;
		no_error(gi_unwind_locations(p.u, g, &where, &user));
		gi_unwind_created_by(p.u, g, &go);
		gi_unwind_started_at(p.u, g, &start);
		assert_string_equal(where.function, "runtime.gopark");
		assert_string_equal(where.file, "runtime/proc.go");
		assert_string_equal(user.function, "main.lockAB");
		assert_string_equal(user.file, "abba/main.go");
		assert_int_equal(user.line, 19);
		assert_string_equal(go.function, "main.main");
		assert_int_equal(go.line, 59);
		assert_true(go.pc == g->go_pc);
		assert_string_equal(start.function, "main.main.func1");
		assert_int_equal(start.line, 59);

		// The main goroutine was created by no go statement.
		gi_unwind_created_by(p.u, gi_go_g_by_id(p.go, 1), &go);
		assert_true(go.pc == 0);
		assert_string_equal(go.function, "");
		// A goroutine of the runtime is nowhere in user code.
		g = started_in(&p, "runtime.forcegchelper");
		no_error(gi_unwind_locations(p.u, g, &where, &user));
		assert_string_equal(user.function, where.function);
		close_program(&p);
	}
}

static void test_function_kinds(void **state)
{
	static const struct {
		const char *name;
		bool runtime, std;
	} names[] = {
		{"runtime.gopark", true, true},
		{"runtime.(*mheap).alloc", true, true},
		{"internal/runtime/syscall.Syscall6", true, true},
		{"sync.runtime_SemacquireMutex", true, true},
		{"internal/poll.runtime_pollWait", true, true},
		{"type:.eq.main.T", true, true},
		{"crosscall2", true, true},
		{"sync.(*Mutex).Lock", false, true},
		{"time.Sleep", false, true},
		{"net/http.(*conn).serve", false, true},
		{"go/parser.ParseFile", false, true},
		{"vendor/golang.org/x/net/http2/hpack.NewDecoder", false, true},
		{"slices.SortFunc[go.shape.[]example.com/a.T]", false, true},
		{"main.main", false, false},
		{"main.Map[go.shape.int,net/http.Header]", false, false},
		{"main._Cfunc_sleep", false, false},
		{"go.uber.org/zap.(*Logger).Info", false, false},
		{"github.com/a/sync.(*Mutex).Lock", false, false},
		{"example.com/runtime.F", false, false},
		{"timer.F", false, false},
		{"net2/http.F", false, false},
	};
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		if (gi_function_is_runtime(names[i].name) != names[i].runtime ||
		    gi_function_is_std(names[i].name) != names[i].std)
			fail_msg("%s: runtime %d, std %d", names[i].name,
				 gi_function_is_runtime(names[i].name),
				 gi_function_is_std(names[i].name));
	}
}

// --- threads: signals and C ----------------------------------------------

// What the runtime printed of each signal: "PC=0x... m=N sigcode=0".
static void test_signals(void **state)
{
	static const char *const names[] = {"abba-go1.19.13", "abba-go1.27.4",
					    "zoo_cgo-go1.27.4"};
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		struct program p = open_program(names[i]);
		char path[512], line[4096];
		FILE *f = fopen(corefile(names[i], ".txt", path, sizeof(path)), "r");
		size_t n = 0;
		assert_non_null(f);
		while (fgets(line, sizeof(line), f)) {
			unsigned long long pc;
			long long m_id;
			if (sscanf(line, "PC=0x%llx m=%lld", &pc, &m_id) != 2)
				continue;
			size_t k = 0;
			const struct gi_m *m = NULL;
			for (; k < gi_target_thread_count(p.t); k++) {
				m = gi_go_m_by_thread(p.go, k);
				if (m && m->id == m_id)
					break;
			}
			struct gi_signal_context sig;
			assert_true(gi_unwind_signal(p.u, k, &sig));
			assert_true(gi_regs_pc(&sig.regs) == pc);
			assert_int_equal(sig.signal, 3);
			n++;
		}
		(void)fclose(f);
		assert_true(n >= 4);
		close_program(&p);
	}
}

struct c_call {
	char text[4096];
	const char *want;
	bool found;
};

static bool note_frame(void *arg, const struct gi_frame *f)
{
	struct c_call *c = arg;
	size_t n = strlen(c->text);
	snprintf(c->text + n, sizeof(c->text) - n, "%d:%s ", (int)f->kind, f->name);
	return true;
}

// A goroutine that waits in C: C frames, the switch, its own frames.
static void test_c_frames(void **state)
{
	static const char *const names[] = {"zoo_cgo-go1.19.13", "zoo_cgo-go1.27.4"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct program p = open_program(names[i]);
		size_t found = 0, threads_of_c = 0;
		for (size_t k = 0; k < gi_target_thread_count(p.t); k++) {
			struct c_call c = {.text = ""};
			no_error(gi_unwind_thread(p.u, k, GI_UNWIND_SYSTEM_STACK, 1000,
						  note_frame, &c, NULL));
			const char *at = strstr(c.text, "2:wait_for ");
			const char *asm_ =
				strstr(c.text, "0:runtime.asmcgocall 0:runtime.cgocall "
					       "0:main._Cfunc_");
			if (at && asm_ && at < asm_ && strstr(asm_, "0:runtime.goexit "))
				found++;
			if (!gi_go_m_by_thread(p.go, k) && strstr(c.text, "2:c_thread "))
				threads_of_c++;
		}
		assert_true(found >= 3);
		assert_true(threads_of_c >= 2);
		close_program(&p);
	}
}

static void test_in_c(void **state)
{
	(void)state;
	struct program p = open_program("zoo_cgo-go1.27.4");
	size_t found = 0;
	for (size_t i = 0; i < gi_go_g_count(p.go); i++) {
		const struct gi_g *g = gi_go_g(p.go, i);
		struct c_call own = {.text = ""}, whole = {.text = ""};
		if ((g->status & ~(uint32_t)GI_G_SCAN) != GI_G_SYSCALL)
			continue;
		no_error(gi_unwind_goroutine(p.u, g, 0, 1000, note_frame, &own, NULL));
		no_error(gi_unwind_goroutine(p.u, g, GI_UNWIND_SYSTEM_STACK, 1000,
					     note_frame, &whole, NULL));
		if (strstr(own.text, "0:runtime.cgocall ") != own.text)
			continue;
		// The goroutine's own stack has no C; with its thread's it has the same
		// end.
		assert_null(strstr(own.text, "2:"));
		assert_non_null(strstr(whole.text, "2:"));
		size_t n = strlen(own.text), m = strlen(whole.text);
		assert_true(m > n && !strcmp(whole.text + m - n, own.text));
		found++;
	}
	assert_true(found >= 3);
	close_program(&p);
}

// --- damage --------------------------------------------------------------

// A copy of a program's memory and threads that can be written to.
static struct gi_target *copy_target(const char *name)
{
	struct gi_target *real = open_target(name), *t = NULL;
	char path[512];
	no_error(gi_fake_create(&t));
	for (size_t i = 0; i < gi_target_mapping_count(real); i++) {
		const struct gi_mapping *m = gi_target_mapping(real, i);
		size_t n;
		for (uint64_t at = m->start; at < m->end; at += n) {
			const void *p = gi_target_view_max(real, at, m->end - at, &n);
			if (!p)
				break;
			no_error(gi_fake_add_memory(t, at, p, n, m->flags));
		}
	}
	for (size_t i = 0; i < gi_target_thread_count(real); i++)
		no_error(gi_fake_add_thread(t, gi_target_thread(real, i)));
	struct gi_elf *elf = NULL;
	no_error(gi_elf_open(corefile(name, ".exe", path, sizeof(path)), &elf));
	gi_fake_set_exe(t, elf, gi_target_exe_bias(real));
	gi_target_close(real);
	return t;
}

static bool count(void *arg, const struct gi_frame *f)
{
	(void)f;
	++*(size_t *)arg;
	return true;
}

static void ends_early(struct program *p, const struct gi_g *g, const char *why,
		       size_t frames)
{
	size_t n = 0;
	struct gi_error *reason = NULL;
	no_error(gi_unwind_goroutine(p->u, g, 0, GI_UNWIND_MAX, count, &n, &reason));
	if (!reason || !strstr(gi_error_message(reason), why))
		fail_msg("\"%s\" is not in \"%s\"", why,
			 reason ? gi_error_message(reason) : "");
	assert_int_equal(n, frames);
	gi_error_free(reason);
}

static void test_damaged_stack(void **state)
{
	(void)state;
	struct program p = {.t = copy_target("abba-go1.27.4")};
	no_error(gi_go_open(p.t, &p.go));
	no_error(gi_unwinder_create(p.go, &p.u));
	const struct gi_g *g = started_in(&p, "main.main.func1");
	struct gi_stack *s = NULL;
	no_error(gi_stack_of_goroutine(p.u, g, 0, 100, &s));
	const struct gi_frame *park = gi_stack_frame(s, 0),
			      *acquire = gi_stack_frame(s, 2);
	uint64_t ra = 0;
	no_error(gi_target_read_u64(p.t, park->cfa - 8, &ra));
	assert_true(ra == acquire->pc);

	no_error(gi_fake_write_u64(p.t, park->cfa - 8, 0));
	ends_early(&p, g, "return address 0", 1);
	no_error(gi_fake_write_u64(p.t, park->cfa - 8, 0x1234567812345678));
	ends_early(&p, g, "in no mapping", 1);
	// Back into itself: each turn costs stack, until there is none.
	no_error(gi_fake_write_u64(p.t, park->cfa - 8, park->pc));
	size_t n = 0;
	struct gi_error *why = NULL;
	no_error(gi_unwind_goroutine(p.u, g, 0, GI_UNWIND_MAX, count, &n, &why));
	assert_non_null(why);
	assert_true(n >= 2 && n < 1000);
	gi_error_free(why);
	no_error(gi_fake_write_u64(p.t, park->cfa - 8, ra));
	gi_stack_free(s);
	close_program(&p);
}

// A signal frame that leads to itself.
static void test_damaged_signal(void **state)
{
	enum { UC_RSP = 40 + 15 * 8, UC_RIP = 40 + 16 * 8 };
	(void)state;
	struct program p = {.t = copy_target("abba-go1.27.4")};
	no_error(gi_go_open(p.t, &p.go));
	no_error(gi_unwinder_create(p.go, &p.u));
	struct gi_stack *s = NULL;
	no_error(gi_stack_of_thread(p.u, 1, 0, 100, &s));
	assert_null(gi_stack_truncated(s));
	const struct gi_frame *tramp = NULL;
	for (size_t i = 0; i < gi_stack_len(s) && !tramp; i++)
		if (gi_stack_frame(s, i)->kind == GI_FRAME_SIGNAL)
			tramp = gi_stack_frame(s, i);
	assert_non_null(tramp);
	assert_int_equal(tramp->stack, GI_STACK_GSIGNAL);
	uint64_t pc = tramp->pc, sp = tramp->sp, cfa = tramp->cfa;
	gi_stack_free(s);

	no_error(gi_fake_write_u64(p.t, cfa + UC_RIP, pc));
	no_error(gi_fake_write_u64(p.t, cfa + UC_RSP, sp));
	size_t n = 0;
	struct gi_error *why = NULL;
	no_error(gi_unwind_thread(p.u, 1, 0, GI_UNWIND_MAX, count, &n, &why));
	assert_non_null(why);
	assert_non_null(strstr(gi_error_message(why), "where it was left"));
	assert_true(n < 1000);
	gi_error_free(why);
	struct gi_signal_context sig;
	assert_false(gi_unwind_signal(p.u, 1, &sig));

	// Registers that point nowhere.
	no_error(gi_fake_write_u64(p.t, cfa + UC_RIP, UINT64_MAX));
	no_error(gi_fake_write_u64(p.t, cfa + UC_RSP, UINT64_MAX));
	why = NULL;
	no_error(gi_unwind_thread(p.u, 1, 0, GI_UNWIND_MAX, count, &n, &why));
	assert_non_null(why);
	gi_error_free(why);
	close_program(&p);
}

// A saved stack pointer outside of its stack, found where the g holds it.
static void test_damaged_g(void **state)
{
	(void)state;
	struct gi_target *t = copy_target("abba-go1.27.4");
	struct gi_go *go = NULL;
	no_error(gi_go_open(t, &go));
	uint64_t addr = gi_go_g_by_id(go, 1)->addr, sp = gi_go_g_by_id(go, 1)->sched_sp,
		 at = 0;
	for (uint64_t off = 0; off < 400 && !at; off += 8) {
		uint64_t v;
		no_error(gi_target_read_u64(t, addr + off, &v));
		if (v == sp)
			at = addr + off;
	}
	assert_true(at != 0);
	gi_go_close(go);
	no_error(gi_fake_write_u64(t, at, 0x1000));
	struct program p = {.t = t};
	no_error(gi_go_open(p.t, &p.go));
	no_error(gi_unwinder_create(p.go, &p.u));
	size_t n = 0;
	struct gi_error *err =
		gi_unwind_goroutine(p.u, gi_go_g_by_id(p.go, 1), 0, 100, count, &n, NULL);
	assert_non_null(err);
	assert_non_null(strstr(gi_error_message(err), "outside of its stack"));
	assert_int_equal(n, 0);
	gi_error_free(err);
	// The others are as they were.
	const struct gi_g *g = started_in(&p, "main.main.func2");
	no_error(gi_unwind_goroutine(p.u, g, 0, 100, count, &n, &err));
	assert_null(err);
	assert_int_equal(n, 10);
	close_program(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goroutines),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_locations),
		cmocka_unit_test(test_function_kinds),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_c_frames),
		cmocka_unit_test(test_in_c),
		cmocka_unit_test(test_damaged_stack),
		cmocka_unit_test(test_damaged_signal),
		cmocka_unit_test(test_damaged_g),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

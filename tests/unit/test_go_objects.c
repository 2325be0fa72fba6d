// The runtime's goroutines, Ms and threads from a made-up memory (go_world.h).

#include "go_world.h"

// --- goroutines ----------------------------------------------------------------------

static void test_allgs(void **state)
{
	struct world *w = *state;
	uint64_t live = put_g(w, 7, GI_G_WAITING, 0x10000);
	uint64_t dead = put_g(w, 7, GI_G_DEAD, 0);
	uint64_t odd = put_g(w, 9, 0x27, 0x20000);
	const uint64_t gs[] = {dead, live, 0xdead0000, 0, odd, dead};
	char buf[16];

	put_allgs(w, gs, 6);
	no_error(gi_go_load_gs(w->go));
	assert_int_equal(gi_go_g_count(w->go), 5); // an empty entry is no goroutine
	assert_true(gi_go_g_by_id(w->go, 7)->addr == live);
	assert_true(gi_go_g_by_addr(w->go, dead)->addr == dead);
	assert_null(gi_go_g_by_id(w->go, 8));
	assert_null(gi_go_g_by_id(w->go, 0));
	assert_null(gi_go_g_by_addr(w->go, 0));
	assert_null(gi_go_g(w->go, 5));

	const struct gi_g *bad = gi_go_g_by_addr(w->go, 0xdead0000);
	assert_non_null(bad);
	assert_true(bad->unreadable);
	assert_false(gi_g_is_dead(bad));
	assert_string_equal(gi_g_status_name(bad, buf, sizeof(buf)), "unreadable");
	has_note(w, "1 of 6 goroutines could not be read");
	assert_string_equal(gi_g_status_name(gi_go_g_by_id(w->go, 9), buf, sizeof(buf)),
			    "0x27");
}

static void test_allgs_partly_lost(void **state)
{
	struct world *w = *state;
	const uint64_t g = put_g(w, 3, GI_G_RUNNABLE, 0x10000);
	const uint64_t run = put_g(w, 4, GI_G_RUNNING, 0x20000),
		       m = put_m(w, 0, 1, 0x30000);
	const uint64_t array = HEAP + MEMORY_SIZE - 16; // two entries, then nothing

	poke(w, m + 32, run); // not in the part of the array that is left
	poke(w, ALLM, m);
	no_error(gi_go_load_ms(w->go));

	no_error(gi_fake_add_unsaved(w->t, HEAP + MEMORY_SIZE, 0x2000, GI_MAP_R,
				     GI_ERR_CUT_OFF));
	poke(w, array, g);
	poke(w, array + 8, g);
	poke(w, ALLGLEN, 5);
	poke(w, ALLGPTR, array);
	no_error(gi_go_load_gs(w->go));
	assert_int_equal(gi_go_g_count(w->go), 3);
	assert_true(gi_go_g_by_id(w->go, 4)->addr == run);
	has_note(w, "3 of 5 entries of runtime.allgs could not be read");
}

static void test_allgs_refused(void **state)
{
	struct world *w = *state;
	const uint64_t g = put_g(w, 3, GI_G_RUNNABLE, 0x10000);

	put_allgs(w, &g, 1);
	poke(w, ALLGLEN, 2);
	error_says(gi_go_load_gs(w->go), GI_ERR_MISMATCH, "allglen is 2");
	poke(w, ALLGS, 0);
	poke(w, ALLGLEN, UINT64_MAX / 2);
	error_says(gi_go_load_gs(w->go), GI_ERR_MISMATCH, "do not fit into memory");
	assert_int_equal(gi_go_g_count(w->go), 0);
}

static void test_stacks(void **state)
{
	struct world *w = *state;
	const uint64_t gs[] = {
		put_g(w, 1, GI_G_WAITING, 0x30000), put_g(w, 2, GI_G_WAITING, 0x10000),
		put_g(w, 3, GI_G_DEAD, 0), put_g(w, 4, GI_G_DEAD, 0x10000)};

	put_allgs(w, gs, 4);
	no_error(gi_go_load_gs(w->go));
	assert_int_equal(gi_go_g_by_stack(w->go, 0x30000)->goid, 1);
	assert_int_equal(gi_go_g_by_stack(w->go, 0x307ff)->goid, 1);
	assert_null(gi_go_g_by_stack(w->go, 0x30800));
	assert_null(gi_go_g_by_stack(w->go, 0x2ffff));
	assert_null(gi_go_g_by_stack(w->go, 0));
	assert_int_equal(gi_go_g_by_stack(w->go, 0x10400)->goid, 2); // not the dead one's
}

static void test_statuses(void **state)
{
	static const struct {
		uint32_t status;
		const char *name;
		bool dead;
	} cases[] = {
		{0, "idle", true},	    {1, "runnable", false},
		{2, "running", false},	    {3, "syscall", false},
		{4, "waiting", false},	    {5, "0x5", false},
		{6, "dead", true},	    {7, "0x7", false},
		{8, "copystack", false},    {9, "preempted", false},
		{10, "leaked", false},	    {11, "deadextra", true},
		{0x1004, "waiting", false}, {0x1002, "running", false},
		{12, "0xc", false},	    {0x80000000, "0x80000000", false},
	};
	char buf[16];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		const struct gi_g g = {.status = cases[i].status};

		assert_string_equal(gi_g_status_name(&g, buf, sizeof(buf)),
				    cases[i].name);
		assert_int_equal(gi_g_is_dead(&g), cases[i].dead);
	}
}

static void test_wait_reasons(void **state)
{
	struct world *w = *state;
	const uint64_t table = GLOBALS + 0x200;
	struct gi_g g = {.status = GI_G_WAITING, .wait_reason = 1};

	put_string_at(w, table + 16, "chan receive");
	poke(w, table + 32, 0xdead0000); // unreadable
	poke(w, table + 40, 5);
	w->go->layout.global.wait_reasons = global(table, 48);
	no_error(gi_go_load_wait_reasons(w->go));
	has_note(w, "1 of 3 of the names of wait reasons");

	assert_string_equal(gi_go_wait_reason(w->go, &g), "chan receive");
	g.status |= GI_G_SCAN;
	assert_string_equal(gi_go_wait_reason(w->go, &g), "chan receive");
	g.status = GI_G_LEAKED;
	assert_string_equal(gi_go_wait_reason(w->go, &g), "chan receive");
	g.status = GI_G_SYSCALL; // stale
	assert_null(gi_go_wait_reason(w->go, &g));
	g.status = GI_G_RUNNING;
	assert_null(gi_go_wait_reason(w->go, &g));
	g.status = GI_G_WAITING;
	g.wait_reason = 0; // no reason
	assert_null(gi_go_wait_reason(w->go, &g));
	g.wait_reason = 2;
	assert_null(gi_go_wait_reason(w->go, &g));
	g.wait_reason = 3;
	assert_null(gi_go_wait_reason(w->go, &g));
	assert_string_equal(gi_go_wait_reason_string(w->go, 1), "chan receive");
	assert_false(gi_go_wait_is_durable(w->go, 1));
}

static void test_wait_times(void **state)
{
	struct world *w = *state;
	struct gi_g g = {.status = GI_G_WAITING, .wait_since = 1000};
	uint64_t ns = 42;

	assert_false(gi_go_wait_ns(w->go, &g, &ns)); // "now" is unknown
	assert_int_equal(ns, 42);
	gi_go_saw_time(w->go, 1000 + 130 * UINT64_C(1000000000));
	assert_true(gi_go_wait_ns(w->go, &g, &ns));
	assert_true(ns == 130 * UINT64_C(1000000000));
	g.status = GI_G_SYSCALL;
	assert_true(gi_go_wait_ns(w->go, &g, &ns));
	g.status = GI_G_RUNNABLE;
	assert_false(gi_go_wait_ns(w->go, &g, &ns));
	g = (struct gi_g){.status = GI_G_WAITING};
	assert_false(gi_go_wait_ns(w->go, &g, &ns));
	gi_go_saw_time(w->go, UINT64_MAX); // no time
	gi_go_saw_time(w->go, 5);	   // older
	assert_true(gi_go_now(w->go) == 1000 + 130 * UINT64_C(1000000000));
}

static void test_tickers_tell_now(void **state)
{
	struct world *w = *state;
	struct gi_layout *l = &w->go->layout;
	uint64_t p = alloc(w, 64), heap = alloc(w, 48);
	const uint64_t timers[][2] = {{5000, 0}, {9000, 2000}, {100, 2000}};

	l->p.rec = (struct gi_record){64, true};
	l->p.timers = field(8, 24);
	l->timer.rec = (struct gi_record){32, true};
	l->timer.when = field(0, 8);
	l->timer.period = field(16, 8);
	l->timer_when.rec = (struct gi_record){16, true};
	l->timer_when.timer = field(8, 8);
	poke(w, p + 8, heap);
	poke(w, p + 16, 3);
	for (size_t i = 0; i < 3; i++) {
		uint64_t t = alloc(w, 32);

		poke(w, heap + 16 * i + 8, t);
		poke(w, t, timers[i][0]);
		poke(w, t + 16, timers[i][1]);
	}
	w->go->ps = calloc(1, sizeof(*w->go->ps));
	assert_non_null(w->go->ps);
	w->go->ps[0].addr = p;
	w->go->p_count = 1;
	gi_go_find_now(w->go);
	assert_int_equal(gi_go_now(w->go), 7000); // a timer of no period says nothing
}

// --- Ms and threads ------------------------------------------------------------------

static void test_ms(void **state)
{
	struct world *w = *state;
	uint64_t m0 = put_m(w, 0, 100, 0x10000), m1 = put_m(w, 1, 101, 0x20000);

	poke(w, ALLM, m1);
	poke(w, m1 + 40, m0);
	no_error(gi_go_load_ms(w->go));
	assert_int_equal(gi_go_m_count(w->go), 2);
	assert_true(gi_go_m(w->go, 0)->addr == m1);
	assert_int_equal(gi_go_m_by_addr(w->go, m0)->procid, 100);
	assert_int_equal(gi_go_m_by_addr(w->go, m1)->g0_lo, 0x20000);
	assert_null(gi_go_m_by_addr(w->go, m1 + 8));
	no_notes(w);
	no_error(gi_go_check_live(w->go));
}

static void test_ms_in_a_circle(void **state)
{
	struct world *w = *state;
	uint64_t m0 = put_m(w, 0, 100, 0x10000), m1 = put_m(w, 1, 101, 0x20000);

	poke(w, ALLM, m1);
	poke(w, m1 + 40, m0);
	poke(w, m0 + 40, m1);
	no_error(gi_go_load_ms(w->go));
	assert_int_equal(gi_go_m_count(w->go), 2);
	has_note(w, "list of Ms is circular");
}

static void test_ms_break_off(void **state)
{
	struct world *w = *state;
	uint64_t m = put_m(w, 0, 100, 0x10000);

	poke(w, ALLM, m);
	poke(w, m + 40, 0xdead0000);
	no_error(gi_go_load_ms(w->go));
	assert_int_equal(gi_go_m_count(w->go), 1);
	has_note(w, "list of Ms breaks off after 1");
}

static void put_thread(struct world *w, pid_t tid, uint64_t sp, uint64_t fs_base)
{
	struct gi_thread th = {.tid = tid};

	th.regs.arch = GI_ARCH_AMD64;
	th.regs.r[GI_AMD64_RSP] = sp;
	th.regs.known = UINT64_C(1) << GI_AMD64_RSP;
	if (fs_base) {
		th.regs.r[GI_AMD64_FS_BASE] = fs_base;
		th.regs.known |= UINT64_C(1) << GI_AMD64_FS_BASE;
	}
	no_error(gi_fake_add_thread(w->t, &th));
}

// Four Ms: found by TLS, by the stack of g0, by the running goroutine's stack, by id.
static void test_threads(void **state)
{
	struct world *w = *state;
	uint64_t m[4], tls = alloc(w, 16), g;

	for (size_t i = 0; i < 4; i++) {
		m[i] = put_m(w, (int64_t)i, 100 + i, 0x10000 * (i + 1));
		if (i)
			poke(w, m[i - 1] + 40, m[i]);
	}
	poke(w, ALLM, m[0]);
	g = put_g(w, 5, GI_G_RUNNING, 0x90000);
	poke(w, g + 48, m[2]);
	poke(w, m[2] + 32, g);
	put_allgs(w, &g, 1);
	gi_target_peek_u64(w->t, m[0] + 16, &g);
	poke(w, tls, g); // m0's g0

	put_thread(w, 103, 0x777000, 0);
	put_thread(w, 100, 0x20100, tls + 8); // TLS wins over a stack pointer on m1's g0
	put_thread(w, 102, 0x90100, 0);
	put_thread(w, 101, 0x20100, 0);
	put_thread(w, 200, 0x666000, 0); // not of Go
	no_error(gi_go_load_ms(w->go));
	no_error(gi_go_load_gs(w->go));
	no_error(gi_go_match_threads(w->go));

	assert_true(gi_go_m_by_thread(w->go, 0)->addr == m[3]);
	assert_true(gi_go_m_by_thread(w->go, 1)->addr == m[0]);
	assert_true(gi_go_m_by_thread(w->go, 2)->addr == m[2]);
	assert_true(gi_go_m_by_thread(w->go, 3)->addr == m[1]);
	assert_null(gi_go_m_by_thread(w->go, 4));
	assert_null(gi_go_m_by_thread(w->go, 5));
	assert_int_equal(gi_go_m_by_addr(w->go, m[2])->thread, 3);
	assert_int_equal(gi_go_g(w->go, 0)->thread, 3);
	assert_int_equal(gi_go_g(w->go, 0)->m_index, 3);
}

// In a library the dynamic linker says where g is, in a word that a relocation names.
static void test_threads_of_a_library(void **state)
{
	enum { BIAS = 0x7f0000000, WORD = 0x200, OFFSET = 160 };
	struct world *w = *state;
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_DYN);
	const Elf64_Rela relas[] = {
		{.r_offset = 0x180, .r_info = ELF64_R_INFO(0, R_X86_64_DTPMOD64)},
		{.r_offset = 0x208, .r_info = ELF64_R_INFO(0, R_X86_64_TPOFF64)},
		{.r_offset = WORD, .r_info = ELF64_R_INFO(0, R_X86_64_TPOFF64), .r_addend = 8},
	};
	uint64_t m[2], tls = alloc(w, 2 * OFFSET), g;
	uint8_t words[0x1000] = {0};

	elf_builder_add_segment(b, PT_TLS, PF_R, 0x100, NULL, 0, 16, 8);
	elf_builder_add_section(b, ".rela.dyn", SHT_RELA, SHF_ALLOC, 0x400, relas, sizeof(relas), 0,
				sizeof(relas[0]));
	_cleanup_(gi_freep) char *path = elf_builder_write(b, "library.so");
	struct gi_elf *elf;
	no_error(gi_elf_open(path, &elf));
	gi_fake_set_exe(w->t, elf, BIAS);
	no_error(gi_fake_add_memory(w->t, BIAS, words, sizeof(words), GI_MAP_R | GI_MAP_W));
	poke(w, BIAS + WORD, (uint64_t)-OFFSET);
	poke(w, BIAS + 0x208, (uint64_t)-8);

	for (size_t i = 0; i < 2; i++)
		m[i] = put_m(w, (int64_t)i, 100 + i, 0x10000 * (i + 1));
	poke(w, m[0] + 40, m[1]);
	poke(w, ALLM, m[0]);
	put_allgs(w, NULL, 0);
	gi_target_peek_u64(w->t, m[0] + 16, &g);
	poke(w, tls, g);
	put_thread(w, 200, 0x20100, tls + OFFSET); // m0's by TLS, m1's by its stack pointer
	put_thread(w, 101, 0x20200, 0);
	no_error(gi_go_load_ms(w->go));
	no_error(gi_go_load_gs(w->go));
	no_error(gi_go_match_threads(w->go));
	assert_true(gi_go_m_by_thread(w->go, 0)->addr == m[0]);
	assert_true(gi_go_m_by_thread(w->go, 1)->addr == m[1]);
}

// In another PID namespace equal numbers are chance.
static void test_threads_of_another_namespace(void **state)
{
	struct world *w = *state;
	uint64_t m0 = put_m(w, 0, 1, 0x10000), m1 = put_m(w, 1, 900, 0x20000);

	poke(w, ALLM, m0);
	poke(w, m0 + 40, m1);
	put_thread(w, 899, 0x10100, 0);
	put_thread(w, 900, 0x777000, 0);
	no_error(gi_go_load_ms(w->go));
	no_error(gi_go_match_threads(w->go));
	assert_true(gi_go_m_by_thread(w->go, 0)->addr == m0);
	assert_null(gi_go_m_by_thread(w->go, 1));
}

static void test_checks(void **state)
{
	struct world *w = *state;
	uint64_t gs[3];

	for (size_t i = 0; i < 3; i++)
		gs[i] = put_g(w, i + 1, GI_G_WAITING, 0x10000 * (i + 1));
	put_allgs(w, gs, 3);
	poke(w, gs[1] + 40, 0x20000); // sp at the very end of its stack
	no_error(gi_go_load_gs(w->go));
	no_error(gi_go_check_live(w->go));
	has_note(w,
		 "1 parked goroutine has a stack pointer that is not on its stack");
	w->go->gs[2].sched_sp = 0x30801;
	error_says(gi_go_check_live(w->go), GI_ERR_MISMATCH,
		   "2 of 3 parked goroutines have a stack pointer that is not on their "
		   "stack (g at "
		   "0xc000000200: sched.sp 0x20000, stack 0x20000..0x20800)");
	// One on its thread is not parked.
	w->go->gs[1].m = w->go->gs[2].m = 0x1234;
	no_error(gi_go_check_live(w->go));

	w->go->gs[0].status = 77;
	w->go->gs[1].status = 78;
	error_says(gi_go_check_live(w->go), GI_ERR_MISMATCH, "unknown status");
	w->go->gs[0].status = w->go->gs[1].status = GI_G_RUNNING;
	w->go->goidgen = 1;
	error_says(gi_go_check_live(w->go), GI_ERR_MISMATCH, "above the highest one");
}

static void test_check_of_ms(void **state)
{
	struct world *w = *state;
	uint64_t m = put_m(w, 0, 100, 0x10000), g0;

	poke(w, ALLM, m);
	gi_target_peek_u64(w->t, m + 16, &g0);
	poke(w, g0 + 48, m + 8);
	no_error(gi_go_load_ms(w->go));
	error_says(gi_go_check_live(w->go), GI_ERR_MISMATCH,
		   "runtime.m fails its check for 1 of 1");
}

// m0 and g0 are globals that point to each other.
static void test_static_check(void **state)
{
	struct world *w = *state;
	const uint64_t m0 = GLOBALS + 0x2000, g0 = GLOBALS + 0x3000;

	w->go->layout.global.m0 = global(m0, M_SIZE);
	w->go->layout.global.g0 = global(g0, G_SIZE);
	no_error(gi_go_check_static(w->go));
	has_note(w, "had not started");
	poke(w, m0 + 16, g0);
	error_says(gi_go_check_static(w->go), GI_ERR_MISMATCH, "m0.g0 is 0x503000");
	poke(w, g0 + 48, m0);
	no_error(gi_go_check_static(w->go));
	w->go->layout.global.m0.addr = 0x123;
	error_says(gi_go_check_static(w->go), GI_ERR_FAULT,
		   "own variables cannot be read");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_allgs),
		TEST(test_allgs_partly_lost),
		TEST(test_allgs_refused),
		TEST(test_stacks),
		TEST(test_statuses),
		TEST(test_wait_reasons),
		TEST(test_wait_times),
		TEST(test_tickers_tell_now),
		TEST(test_ms),
		TEST(test_ms_in_a_circle),
		TEST(test_ms_break_off),
		TEST(test_threads),
		TEST(test_threads_of_a_library),
		TEST(test_threads_of_another_namespace),
		TEST(test_checks),
		TEST(test_check_of_ms),
		TEST(test_static_check),
	};

	return cmocka_run_group_tests_name("go objects", tests, NULL, NULL);
}

// The runtime's objects from a made-up memory with a made-up layout: the odd cases that
// no shipped core has. Layouts are set by hand, so that offsets differ from every
// release's.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <elf.h>

#include "go/go_impl.h"
#include "target/fake.h"

#include "../support/elf_builder.h"
#include "checks.h"

enum {
	GLOBALS = 0x500000,
	ALLGLEN = GLOBALS,
	ALLGPTR = GLOBALS + 8,
	ALLGS = GLOBALS + 16,
	ALLM = GLOBALS + 64,
	SEMTABLE = GLOBALS + 0x1000,
	VERSION = GLOBALS + 0x100,
	MEMORY_SIZE = 0x20000,
	G_SIZE = 256,
	M_SIZE = 128,
	SUDOG_SIZE = 88,
};
#define HEAP UINT64_C(0xc000000000)

struct world {
	struct gi_target *t;
	struct gi_go *go;
	uint64_t next; // free heap
};

static void has_note(const struct world *w, const char *text)
{
	for (size_t i = 0; i < gi_go_note_count(w->go); i++) {
		if (strstr(gi_go_note(w->go, i), text))
			return;
	}
	fail_msg("no note says \"%s\" (%zu notes, first: %s)", text,
		 gi_go_note_count(w->go),
		 gi_go_note_count(w->go) ? gi_go_note(w->go, 0) : "");
}

static void no_notes(const struct world *w)
{
	if (gi_go_note_count(w->go))
		fail_msg("unexpected note: %s", gi_go_note(w->go, 0));
}

static struct gi_field field(uint32_t off, uint16_t size)
{
	return (struct gi_field){.off = off, .size = size, .ok = true};
}

static struct gi_global global(uint64_t addr, uint64_t size)
{
	return (struct gi_global){.addr = addr, .size = size, .ok = true};
}

static void set_layout(struct gi_layout *l)
{
	l->g.rec = (struct gi_record){G_SIZE, true};
	l->g.goid = field(8, 8);
	l->g.status = field(16, 4);
	l->g.waitreason = field(20, 1);
	l->g.stack_lo = field(24, 8);
	l->g.stack_hi = field(32, 8);
	l->g.sched_sp = field(40, 8);
	l->g.m = field(48, 8);
	l->g.waitsince = field(56, 8);
	l->g.labels = field(64, 8);
	l->g.waiting = field(72, 8);
	l->g.bubble = field(80, 8);
	l->m.rec = (struct gi_record){M_SIZE, true};
	l->m.id = field(0, 8);
	l->m.procid = field(8, 8);
	l->m.g0 = field(16, 8);
	l->m.gsignal = field(24, 8);
	l->m.curg = field(32, 8);
	l->m.alllink = field(40, 8);
	l->sudog.rec = (struct gi_record){SUDOG_SIZE, true};
	l->sudog.g = field(0, 8);
	l->sudog.elem = field(8, 8);
	l->sudog.prev = field(16, 8);
	l->sudog.next = field(24, 8);
	l->sudog.waitlink = field(32, 8);
	l->sudog.parent = field(40, 8);
	l->sudog.c = field(48, 8);
	l->sema_root.rec = (struct gi_record){24, true};
	l->sema_root.treap = field(8, 8);
	l->constant.sem_tab_size = 7;
	l->constant.func_id_wrapper = -1;
	l->global.allglen = global(ALLGLEN, 8);
	l->global.allgptr = global(ALLGPTR, 8);
	l->global.allgs = global(ALLGS, 24);
	l->global.allm = global(ALLM, 8);
	l->global.semtable = global(SEMTABLE, 7 * 64);
}

static int set_up(void **state)
{
	static const uint8_t zeroes[MEMORY_SIZE];
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	no_error(gi_fake_create(&w->t));
	no_error(gi_fake_add_memory(w->t, GLOBALS, zeroes, MEMORY_SIZE,
				    GI_MAP_R | GI_MAP_W));
	no_error(
		gi_fake_add_memory(w->t, HEAP, zeroes, MEMORY_SIZE, GI_MAP_R | GI_MAP_W));
	w->go = calloc(1, sizeof(*w->go));
	assert_non_null(w->go);
	w->go->target = w->t;
	w->go->version.text = "";
	pthread_mutex_init(&w->go->stacks_lock, NULL);
	no_error(gi_arena_create(&w->go->arena));
	set_layout(&w->go->layout);
	w->next = HEAP + 0x100;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	gi_go_close(w->go);
	gi_target_close(w->t);
	free(w);
	return 0;
}

static void poke(struct world *w, uint64_t addr, uint64_t v)
{
	no_error(gi_fake_write_u64(w->t, addr, v));
}

static void poke_bytes(struct world *w, uint64_t addr, const void *p, size_t n)
{
	no_error(gi_fake_write(w->t, addr, p, n));
}

static uint64_t alloc(struct world *w, size_t n)
{
	uint64_t addr = w->next;

	w->next += (n + 15) & ~(size_t)15;
	assert_true(w->next <= HEAP + MEMORY_SIZE);
	return addr;
}

static uint64_t put_g(struct world *w, uint64_t goid, uint32_t status, uint64_t stack)
{
	uint64_t g = alloc(w, G_SIZE);

	poke(w, g + 8, goid);
	poke_bytes(w, g + 16, &status, 4);
	poke(w, g + 24, stack);
	poke(w, g + 32, stack ? stack + 0x800 : 0);
	poke(w, g + 40, stack ? stack + 0x700 : 0);
	return g;
}

static uint64_t put_m(struct world *w, int64_t id, uint64_t procid, uint64_t g0_stack)
{
	uint64_t m = alloc(w, M_SIZE), g0 = put_g(w, 0, GI_G_RUNNING, g0_stack);

	poke(w, g0 + 48, m);
	poke(w, m, (uint64_t)id);
	poke(w, m + 8, procid);
	poke(w, m + 16, g0);
	return m;
}

static void put_allgs(struct world *w, const uint64_t *gs, size_t n)
{
	uint64_t array = alloc(w, n * 8);

	for (size_t i = 0; i < n; i++)
		poke(w, array + 8 * i, gs[i]);
	poke(w, ALLGLEN, n);
	poke(w, ALLGPTR, array);
	poke(w, ALLGS, array);
	poke(w, ALLGS + 8, n);
	poke(w, ALLGS + 16, n);
}

static uint64_t put_string(struct world *w, const char *s)
{
	uint64_t bytes = alloc(w, strlen(s) + 1);

	poke_bytes(w, bytes, s, strlen(s));
	return bytes;
}

static void put_string_at(struct world *w, uint64_t addr, const char *s)
{
	poke(w, addr, put_string(w, s));
	poke(w, addr + 8, strlen(s));
}

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

// --- semaphores ------------------------------------------------------------------------

enum { ROOTS = 7, MAX_SEEN = 32 };

struct seen {
	struct gi_sema_waiter w[MAX_SEEN];
	size_t count, stop_after;
};

static bool see(void *arg, const struct gi_sema_waiter *w)
{
	struct seen *s = arg;

	assert_true(s->count < MAX_SEEN);
	s->w[s->count++] = *w;
	return s->count != s->stop_after;
}

static bool saw(const struct seen *s, uint64_t sema, uint64_t g)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->w[i].sema == sema && s->w[i].g == g)
			return true;
	}
	return false;
}

static uint64_t put_sudog(struct world *w, uint64_t g, uint64_t elem)
{
	uint64_t s = alloc(w, SUDOG_SIZE);

	poke(w, s, g);
	poke(w, s + 8, elem);
	return s;
}

static void put_root(struct world *w, uint64_t sema, uint64_t sudog)
{
	poke(w, SEMTABLE + 64 * ((sema >> 3) % ROOTS) + 8, sudog);
}

static void test_semaphores(void **state)
{
	struct world *w = *state;
	const uint64_t sema = 0x7000, left = sema - ROOTS * 8, right = sema + ROOTS * 8;
	uint64_t top = put_sudog(w, 1, sema), l = put_sudog(w, 2, left),
		 r = put_sudog(w, 3, right);
	uint64_t second = put_sudog(w, 4, sema), third = put_sudog(w, 5, 0);
	uint64_t other = put_sudog(w, 6, 0x7008);
	struct seen s = {0};

	put_root(w, sema, top);
	poke(w, top + 16, l);
	poke(w, top + 24, r);
	poke(w, top + 32, second);
	poke(w, second + 32, third);
	put_root(w, 0x7008, other);
	no_error(gi_go_semaphores(w->go, see, &s));
	assert_int_equal(s.count, 6);
	assert_true(saw(&s, sema, 1));
	assert_true(saw(&s, left, 2));
	assert_true(saw(&s, right, 3));
	assert_true(saw(&s, sema, 4));
	assert_true(
		saw(&s, sema, 5)); // of the list it hangs on, whatever its own elem is
	assert_true(saw(&s, 0x7008, 6));
	no_notes(w);

	s = (struct seen){.stop_after = 2};
	no_error(gi_go_semaphores(w->go, see, &s));
	assert_int_equal(s.count, 2);
}

static void test_semaphore_cycles(void **state)
{
	struct world *w = *state;
	const uint64_t sema = 0x7000, left = sema - ROOTS * 8;
	uint64_t top = put_sudog(w, 1, sema), l = put_sudog(w, 2, left);
	struct seen s = {0};

	put_root(w, sema, top);
	poke(w, top + 16, l);
	poke(w, l + 24, top); // a child that leads back
	no_error(gi_go_semaphores(w->go, see, &s));
	assert_int_equal(s.count, 2);
	has_note(w, "leads back to the sudog");

	// A list of waiters that leads back to its own head.
	s = (struct seen){0};
	poke(w, l + 24, 0);
	poke(w, top + 32, top);
	no_error(gi_go_semaphores(w->go, see, &s));
	assert_int_equal(s.count, 2);
}

static void test_semaphore_damage(void **state)
{
	struct world *w = *state;
	const uint64_t sema = 0x7000;
	uint64_t top = put_sudog(w, 1, sema), wrong = put_sudog(w, 2, sema + 8);
	struct seen s = {0};

	put_root(w, sema, top);
	poke(w, top + 16, wrong); // of another root
	poke(w, top + 24, 0xdead0000);
	poke(w, top + 32, 0xbeef0000);
	no_error(gi_go_semaphores(w->go, see, &s));
	assert_int_equal(s.count, 1);
	assert_true(saw(&s, sema, 1));
	has_note(w, "2 sudogs unreadable, 1 in a wrong place");

	w->go->layout.global.semtable.size = 7 * 64 + 1;
	error_says(gi_go_semaphores(w->go, see, &s), GI_ERR_MISMATCH, "runtime.semtable");
	w->go->layout.global.semtable.ok = false;
	error_says(gi_go_semaphores(w->go, see, &s), GI_ERR_UNSUPPORTED,
		   "semaphore table");
}

// --- channels
// ----------------------------------------------------------------------------

enum { HCHAN_SIZE = 96, TYPE = GLOBALS + 0x800 };

static void set_hchan_layout(struct gi_layout *l)
{
	l->hchan.rec = (struct gi_record){HCHAN_SIZE, true};
	l->hchan.qcount = field(0, 8);
	l->hchan.dataqsiz = field(8, 8);
	l->hchan.buf = field(16, 8);
	l->hchan.elemsize = field(24, 2);
	l->hchan.closed = field(28, 4);
	l->hchan.elemtype = field(32, 8);
	l->hchan.sendx = field(40, 8);
	l->hchan.recvx = field(48, 8);
	l->hchan.recvq_first = field(56, 8);
	l->hchan.recvq_last = field(64, 8);
	l->hchan.sendq_first = field(72, 8);
	l->hchan.sendq_last = field(80, 8);
	l->type.rec = (struct gi_record){48, true};
	l->type.size = field(0, 8);
}

static uint64_t put_hchan(struct world *w)
{
	uint64_t c = alloc(w, HCHAN_SIZE);

	poke(w, TYPE, 16);
	poke(w, c, 2);
	poke(w, c + 8, 4);
	poke(w, c + 16, c + 96);
	poke(w, c + 24, 16);
	poke(w, c + 32, TYPE);
	poke(w, c + 40, 3);
	poke(w, c + 48, 1);
	return c;
}

static void test_hchan(void **state)
{
	static const struct {
		uint32_t off;
		uint64_t value;
		const char *says;
	} broken[] = {
		{0, 5, "more elements are queued"},
		{16, 0, "buffer has no address"},
		{24, 8, "their type at"},
		{24, 16 | UINT64_C(2) << 32, "closed is neither"},
		{32, 0, "no element type"},
		{32, 0xdead0000, "is unreadable"},
		{40, 4, "send index"},
		{48, 4, "receive index"},
		{56, 1, "a first and no last"},
		{80, 1, "a first and no last"},
		{8, UINT64_C(1) << 60, "would not fit into memory"},
	};
	struct world *w = *state;
	struct gi_hchan c;
	uint64_t addr, old;

	set_hchan_layout(&w->go->layout);
	addr = put_hchan(w);
	no_error(gi_go_read_hchan(w->go, addr, &c));
	assert_int_equal(c.qcount, 2);
	assert_int_equal(c.dataqsiz, 4);
	assert_int_equal(c.elemsize, 16);
	assert_false(c.closed);
	poke(w, addr + 24, 16 | UINT64_C(1) << 32);
	no_error(gi_go_read_hchan(w->go, addr, &c));
	assert_true(c.closed);

	for (size_t i = 0; i < GI_ARRAY_SIZE(broken); i++) {
		assert_true(gi_target_peek_u64(w->t, addr + broken[i].off, &old));
		poke(w, addr + broken[i].off, broken[i].value);
		error_says(gi_go_read_hchan(w->go, addr, &c), GI_ERR_FORMAT,
			   broken[i].says);
		poke(w, addr + broken[i].off, old);
	}
	error_says(gi_go_read_hchan(w->go, 0x10, &c), GI_ERR_FAULT, "channel at 0x10");
}

// --- package sync
// ------------------------------------------------------------------------

static void test_sync(void **state)
{
	struct world *w = *state;
	struct gi_layout *l = &w->go->layout;
	uint64_t o = alloc(w, 64);
	struct gi_sync_layout sl;
	struct gi_waitgroup wg;
	struct gi_rwmutex rw;
	struct gi_mutex mu;

	assert_false(gi_go_sync_layout(w->go, &sl));
	error_says(gi_go_read_mutex(w->go, o, &mu), GI_ERR_NOT_FOUND, "no sync.Mutex");
	l->mutex.rec = (struct gi_record){8, true};
	l->mutex.state = field(0, 4);
	l->mutex.sema = field(4, 4);
	poke(w, o, (5 << 3 | 4 | 1) | UINT64_C(9) << 32);
	no_error(gi_go_read_mutex(w->go, o, &mu));
	assert_true(mu.locked && mu.starving && !mu.woken);
	assert_int_equal(mu.waiters, 5);
	assert_int_equal(mu.sema, 9);
	assert_true(mu.sema_addr == o + 4);

	l->rwmutex.rec = (struct gi_record){24, true};
	l->rwmutex.w = field(0, 8);
	l->rwmutex.writer_sem = field(8, 4);
	l->rwmutex.reader_sem = field(12, 4);
	l->rwmutex.reader_count = field(16, 4);
	l->rwmutex.reader_wait = field(20, 4);
	poke(w, o + 16, (uint32_t)(2 - (1 << 30)) | UINT64_C(2) << 32);
	no_error(gi_go_read_rwmutex(w->go, o, &rw));
	assert_true(rw.w.locked);
	assert_int_equal(rw.reader_count, 2 - (1 << 30));
	assert_int_equal(rw.reader_wait, 2);
	assert_true(rw.writer_sem_addr == o + 8 && rw.reader_sem_addr == o + 12 &&
		    rw.w_addr == o);

	l->waitgroup.rec = (struct gi_record){16, true};
	l->waitgroup.state = field(0, 8);
	l->waitgroup.sema = field(8, 4);
	// The bit of a synctest bubble is no waiter.
	poke(w, o, UINT64_C(3) << 32 | UINT64_C(1) << 31 | 2);
	no_error(gi_go_read_waitgroup(w->go, o, &wg));
	assert_int_equal(wg.counter, 3);
	assert_int_equal(wg.waiters, 2);
	assert_true(wg.sema_addr == o + 8);

	assert_true(gi_go_sync_layout(w->go, &sl));
	assert_int_equal(sl.mutex_sema, 4);
	assert_int_equal(sl.once_size, 0); // not in the program
}

// --- labels
// ------------------------------------------------------------------------------

static bool list_label(void *arg, const char *key, size_t key_len, const char *val,
		       size_t val_len)
{
	struct gi_str *s = arg;

	gi_str_printf(s, "%.*s=%.*s;", (int)key_len, key, (int)val_len, val);
	return strncmp(key, "stop", key_len) != 0;
}

static void expect_labels(struct world *w, uint64_t labels, const char *want)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	const struct gi_g g = {.goid = 1, .labels = labels};

	no_error(gi_go_labels(w->go, &g, list_label, &s));
	assert_string_equal(gi_str_cstr(&s), want);
}

static void labels_fail(struct world *w, uint64_t labels, enum gi_error_code code,
			const char *text)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	const struct gi_g g = {.goid = 17, .labels = labels};

	error_says(gi_go_labels(w->go, &g, list_label, &s), code, text);
}

static void test_label_lists(void **state)
{
	struct world *w = *state;
	struct gi_layout *l = &w->go->layout;
	uint64_t set = alloc(w, 32), list = alloc(w, 3 * 40);

	labels_fail(w, set, GI_ERR_UNSUPPORTED,
		    "labels of goroutine 17: their layout is unknown");
	l->label_set.rec = (struct gi_record){32, true};
	l->label_set.list = field(8, 24);
	l->label.rec = (struct gi_record){40, true};
	l->label.key = field(16, 16);
	l->label.value = field(0, 16);
	expect_labels(w, 0, "");
	expect_labels(w, set, "");
	poke(w, set + 8, list);
	poke(w, set + 16, 3);
	poke(w, set + 24, 3);
	put_string_at(w, list + 16, "k");
	put_string_at(w, list, "v w");
	put_string_at(w, list + 40 + 16, "empty");
	put_string_at(w, list + 80 + 16, "x");
	put_string_at(w, list + 80, "\"\\");
	expect_labels(w, set, "k=v w;empty=;x=\"\\;");
	put_string_at(w, list + 40 + 16, "stop");
	expect_labels(w, set, "k=v w;stop=;");

	poke(w, list + 40 + 8, 1 << 20); // a string of a megabyte
	poke(w, list + 40, HEAP);
	labels_fail(w, set, GI_ERR_FORMAT, "labels of goroutine 17");
	poke(w, set + 16, 4); // more than its capacity
	labels_fail(w, set, GI_ERR_FORMAT, "4 labels, room for 3");
	labels_fail(w, 0xdead0000, GI_ERR_FAULT, "labels of goroutine 17");
}

enum { ENTRIES = 8, BUCKET_SIZE = 8 + 2 * 8 * 16 + 8 };

static void put_entry(struct world *w, uint64_t bucket, size_t i, const char *key,
		      const char *value)
{
	const uint8_t top = 0x80;

	poke_bytes(w, bucket + i, &top, 1);
	put_string_at(w, bucket + 8 + 16 * i, key);
	put_string_at(w, bucket + 8 + 16 * ENTRIES + 16 * i, value);
}

static void test_label_maps(void **state)
{
	struct world *w = *state;
	struct gi_layout *l = &w->go->layout;
	uint64_t var = alloc(w, 8), map = alloc(w, 48);
	uint64_t buckets = alloc(w, 2 * BUCKET_SIZE), more = alloc(w, BUCKET_SIZE);
	uint64_t old = alloc(w, BUCKET_SIZE);
	const uint8_t moved = 2, b = 1;

	l->hmap.rec = (struct gi_record){48, true};
	l->hmap.count = field(0, 8);
	l->hmap.flags = field(8, 1);
	l->hmap.b = field(9, 1);
	l->hmap.buckets = field(16, 8);
	l->hmap.oldbuckets = field(24, 8);
	l->bmap.rec = (struct gi_record){8, true};
	l->bmap.tophash = (struct gi_field){.off = 0, .size = 8, .ok = true, .count = 8};

	expect_labels(w, var, ""); // a nil map
	poke(w, var, map);
	expect_labels(w, var, "");
	poke(w, map, 4);
	poke_bytes(w, map + 9, &b, 1);
	poke(w, map + 16, buckets);
	put_entry(w, buckets, 3, "a", "1");
	put_entry(w, buckets + BUCKET_SIZE, 0, "b", "2");
	poke(w, buckets + BUCKET_SIZE - 8, more);
	put_entry(w, more, 7, "c", "3");
	expect_labels(w, var, "a=1;c=3;b=2;");

	// While it grows: what was not moved yet is in the old bucket.
	poke(w, map + 24, old);
	put_entry(w, old, 1, "d", "4");
	expect_labels(w, var, "a=1;c=3;b=2;d=4;");
	poke_bytes(w, old, &moved, 1);
	expect_labels(w, var, "a=1;c=3;b=2;");

	// A chain of buckets that leads back.
	poke(w, more + BUCKET_SIZE - 8, more);
	labels_fail(w, var, GI_ERR_FORMAT, "labels of goroutine 17");
	poke_bytes(w, map + 9, "\xff", 1);
	labels_fail(w, var, GI_ERR_FORMAT, "2^255 buckets");
}

// --- versions
// ------------------------------------------------------------------------------

static void test_versions(void **state)
{
	static const struct {
		const char *text;
		bool known;
		int minor, patch;
	} cases[] = {
		{"go1.27.4", true, 27, 4},
		{"go1.26.8 X:nospinbitmutex", true, 26, 8},
		{"go1.28rc1", true, 28, -1},
		{"go1.21", true, 21, -1},
		{"devel go1.28-4f1a2b3c Tue Jan 1", true, 28, -1},
		{"go1.22.3-vendor", true, 22, 3},
		{"devel +4f1a2b3c", false, 0, 0},
		{"go1.", false, 0, 0},
		{"", false, 0, 0},
	};
	struct world *w = *state;
	const struct gi_global g = global(VERSION, 16);

	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		w->go->version = (struct gi_go_version){.text = ""};
		put_string_at(w, VERSION, cases[i].text);
		gi_go_load_version(w->go, &g);
		assert_string_equal(gi_go_version(w->go)->text, cases[i].text);
		assert_int_equal(w->go->version_known, cases[i].known);
		assert_int_equal(gi_go_version(w->go)->minor, cases[i].minor);
		assert_int_equal(gi_go_version(w->go)->patch, cases[i].patch);
	}
	put_string_at(w, VERSION, "go1.2\x1b[31m");
	gi_go_load_version(w->go, &g);
	assert_string_equal(gi_go_version(w->go)->text, "go1.2?[31m");

	w->go->version = (struct gi_go_version){1, 22, 3, ""};
	assert_true(gi_go_at_least(w->go, 1, 22));
	assert_true(gi_go_at_least(w->go, 1, 9));
	assert_false(gi_go_at_least(w->go, 1, 23));
	assert_false(gi_go_at_least(w->go, 2, 0));
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
		TEST(test_semaphores),
		TEST(test_semaphore_cycles),
		TEST(test_semaphore_damage),
		TEST(test_hchan),
		TEST(test_sync),
		TEST(test_label_lists),
		TEST(test_label_maps),
		TEST(test_versions),
	};

	return cmocka_run_group_tests_name("go objects", tests, NULL, NULL);
}

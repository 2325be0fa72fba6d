// The runtime's objects of the shipped programs, against what their runtimes printed of
// themselves just before the core: each goroutine's header line, with its id, state,
// minutes, address and M; who created it.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "gcore/go.h"
#include "../support/files.h"
#include "checks.h"

static const char *const programs[] = {
	"zoo-go1.19.13",  "zoo-go1.27.4",  "zoo_cgo-go1.19.13", "zoo_cgo-go1.27.4",
	"abba-go1.19.13", "abba-go1.27.4", "healthy-go1.19.13", "healthy-go1.27.4"};

struct program {
	const char *name;
	struct gi_target *t;
	struct gi_go *go;
};

static struct program open_files(const char *core, const char *exe)
{
	const struct gi_target_options opts = {.exe = exe};
	struct program p = {.name = core};

	no_error(gi_target_open_core(core, &opts, &p.t));
	no_error(gi_go_open(p.t, &p.go));
	return p;
}

static struct program open_program(const char *name)
{
	char core[512], exe[512];

	return open_files(corefile(name, ".core", core, sizeof(core)),
			  corefile(name, ".exe", exe, sizeof(exe)));
}

static void close_program(struct program *p)
{
	gi_go_close(p->go);
	gi_target_close(p->t);
}

// --- the runtime's own text ------------------------------------------------------------

// The state between the brackets of a header line, as the runtime makes it.
static void print_state(struct gi_go *go, const struct gi_g *g, struct gi_str *out)
{
	const char *reason = gi_go_wait_reason(go, g);
	char buf[16];
	uint64_t ns, bubble;

	gi_str_puts(out, reason ? reason : gi_g_status_name(g, buf, sizeof(buf)));
	if (g->status & GI_G_SCAN)
		gi_str_puts(out, " (scan)");
	if (g->bubble && gi_go_wait_is_durable(go, g->wait_reason) &&
	    !strstr(out->s, "(durable)"))
		gi_str_puts(out, " (durable)");
	if (gi_go_wait_ns(go, g, &ns) && ns >= UINT64_C(60000000000))
		gi_str_printf(out, ", %" PRIu64 " minutes", ns / UINT64_C(60000000000));
	if (g->lockedm)
		gi_str_puts(out, ", locked to thread");
	if (g->bubble) {
		no_error(gi_go_bubble_id(go, g, &bubble));
		gi_str_printf(out, ", synctest bubble %" PRIu64, bubble);
	}
}

// "goroutine 5 gp=0xc0000061c0 m=nil [chan receive, 2 minutes]:", before 1.23 without gp
// and m.
static void check_header(struct program *p, const char *line)
{
	_cleanup_(gi_str_deinit) struct gi_str state = {0};
	const char *open = strchr(line, '['), *close = strchr(line, ']');
	uint64_t id = strtoull(line + strlen("goroutine "), NULL, 10), gp, mp;
	const struct gi_g *g = gi_go_g_by_id(p->go, id);
	const char *s;

	if (!g || !open || !close)
		fail_msg("%s: no goroutine for %s", p->name, line);
	print_state(p->go, g, &state);
	if (strncmp(state.s, open + 1, state.len) != 0 || open + 1 + state.len != close)
		fail_msg("%s: [%s] is not the state of %s", p->name, state.s, line);
	s = strstr(line, " gp=");
	if (s && s < open) {
		gp = strtoull(s + 4, NULL, 16);
		assert_true(g->addr == gp);
		assert_ptr_equal(gi_go_g_by_addr(p->go, gp), g);
		s = strstr(line, " mp=");
		mp = s && s < open ? strtoull(s + 4, NULL, 16) : 0;
		assert_true(g->m == mp);
		assert_int_equal(g->m_index != 0, mp != 0);
		if (mp) {
			const struct gi_m *m = gi_go_m(p->go, g->m_index - 1);

			s = strstr(line, " m=");
			assert_true(m->addr == mp);
			assert_int_equal(m->id, strtoll(s + 3, NULL, 10));
		}
	}
}

static void check_text(const char *name)
{
	struct program p = open_program(name);
	char path[512], line[4096];
	FILE *f = fopen(corefile(name, ".txt", path, sizeof(path)), "r");
	const struct gi_g *g = NULL;
	size_t listed = 0, live = 0, created = 0;

	assert_non_null(f);
	// Behind the first "-----" come the threads' own tracebacks.
	while (fgets(line, sizeof(line), f) && strncmp(line, "-----", 5) != 0) {
		const char *in = strstr(line, " in goroutine ");

		if (strncmp(line, "goroutine ", 10) == 0 &&
		    strncmp(line, "goroutine 0", 11) != 0) {
			check_header(&p, line);
			g = gi_go_g_by_id(p.go, strtoull(line + 10, NULL, 10));
			listed++;
		} else if (g && strncmp(line, "created by ", 11) == 0 && in) {
			assert_true(g->parent_goid == strtoull(in + 14, NULL, 10));
			created++;
		}
	}
	(void)fclose(f);
	for (size_t i = 0; i < gi_go_g_count(p.go); i++)
		live += !gi_g_is_dead(gi_go_g(p.go, i));
	assert_int_equal(listed, live);
	assert_true(live >= 8);
	if (gi_go_at_least(p.go, 1, 21))
		assert_true(created >= 6);
	close_program(&p);
}

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++)
		check_text(programs[i]);
}

// --- consistency
// --------------------------------------------------------------------------

static void check_threads(struct program *p)
{
	size_t with_m = 0;

	for (size_t i = 0; i < gi_target_thread_count(p->t); i++) {
		const struct gi_m *m = gi_go_m_by_thread(p->go, i);

		if (!m)
			continue;
		with_m++;
		assert_int_equal(m->thread, i + 1);
		// The programs ran in the namespace where their cores were made.
		assert_int_equal(m->procid, gi_target_thread(p->t, i)->tid);
	}
	assert_true(with_m >= 4);
	for (size_t i = 0; i < gi_go_m_count(p->go); i++) {
		const struct gi_m *m = gi_go_m(p->go, i);

		// One that has no thread yet is an extra M, kept for calls from C.
		assert_true(m->thread || !m->procid);
		assert_true(!m->thread || m->g0_lo < m->g0_hi);
	}
}

static void check_gs(struct program *p)
{
	for (size_t i = 0; i < gi_go_g_count(p->go); i++) {
		const struct gi_g *g = gi_go_g(p->go, i);
		struct gi_sudog s;
		struct gi_hchan c;

		assert_false(g->unreadable);
		assert_ptr_equal(gi_go_g_by_addr(p->go, g->addr), g);
		if (gi_g_is_dead(g))
			continue;
		assert_ptr_equal(gi_go_g_by_id(p->go, g->goid), g);
		assert_ptr_equal(gi_go_g_by_stack(p->go, g->stack_lo), g);
		assert_ptr_equal(gi_go_g_by_stack(p->go, g->stack_hi - 1), g);
		for (uint64_t at = g->waiting; at; at = s.waitlink) {
			no_error(gi_go_read_sudog(p->go, at, &s));
			if (s.g != g->addr)
				fail_msg("%s: goroutine %" PRIu64
					 " (status %u) waits by a sudog of g 0x%" PRIx64,
					 p->name, g->goid, g->status, s.g);
			if (!s.c)
				break; // a semaphore's: it leads to other waiters
			no_error(gi_go_read_hchan(p->go, s.c, &c));
			assert_true(c.recvq_first || c.sendq_first);
		}
		for (uint64_t at = g->defer_head, n = 0; at && n < 100; n++) {
			struct gi_defer d;

			no_error(gi_go_read_defer(p->go, at, &d));
			assert_true(d.sp > g->stack_lo && d.sp <= g->stack_hi);
			at = d.link;
		}
	}
}

static void test_consistency(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		struct program p = open_program(programs[i]);

		assert_int_equal(gi_go_note_count(p.go), 0);
		assert_int_equal(gi_go_module_count(p.go), 1);
		assert_int_equal(gi_go_sched(p.go)->gomaxprocs, gi_go_p_count(p.go));
		assert_int_equal(gi_go_sched(p.go)->mnext, gi_go_m_count(p.go));
		assert_true(gi_go_sched(p.go)->started);
		assert_int_equal(gi_go_sched(p.go)->iscgo,
				 strstr(programs[i], "cgo") != NULL);
		assert_true(gi_go_func_id_wrapper(p.go) > 0);
		check_threads(&p);
		check_gs(&p);
		close_program(&p);
	}
}

static void test_system_goroutines(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		struct program p = open_program(programs[i]);
		size_t system = 0;

		for (size_t k = 0; k < gi_go_g_count(p.go); k++) {
			const struct gi_g *g = gi_go_g(p.go, k);
			struct gi_func f;

			if (gi_g_is_dead(g))
				continue;
			if (!g->start_pc) { // of a thread that C made
				assert_false(g->system);
				continue;
			}
			assert_true(
				gi_functab_find(gi_go_functab(p.go), g->start_pc, &f));
			system += g->system;
			if (strncmp(f.name, "main.", 5) == 0 ||
			    strcmp(f.name, "runtime.main") == 0)
				assert_false(g->system);
			if (strcmp(f.name, "runtime.bgsweep") == 0 ||
			    strcmp(f.name, "runtime.forcegchelper") == 0)
				assert_true(g->system);
			// The zoo's finalizer and cleanup hang in user code.
			if (strstr(programs[i], "zoo-") && strstr(f.name, "runtime.run"))
				assert_false(g->system);
			if (g->system)
				assert_true(gi_go_is_system_start(p.go, g->start_pc));
		}
		assert_true(system >= 3);
		close_program(&p);
	}
}

// --- objects
// ------------------------------------------------------------------------------

struct waiters {
	struct gi_go *go;
	struct gi_str text;
	size_t count;
};

static bool add_waiter(void *arg, const struct gi_sema_waiter *w)
{
	struct waiters *x = arg;
	const struct gi_g *g = gi_go_g_by_addr(x->go, w->g);

	assert_non_null(g);
	x->count++;
	gi_str_printf(&x->text, "%" PRIu64 "@", g->goid);
	gi_go_name_at(x->go, w->sema, NULL, &x->text);
	gi_str_putc(&x->text, ' ');
	return true;
}

// Each of the two waits for the other's mutex, main for a WaitGroup on the heap.
static void test_semaphores(void **state)
{
	static const char *const names[] = {"abba-go1.19.13", "abba-go1.27.4"};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		struct program p = open_program(names[i]);
		struct waiters w = {.go = p.go};
		struct gi_sync_layout sl;
		struct gi_mutex mu;
		uint64_t a;

		no_error(gi_go_semaphores(p.go, add_waiter, &w));
		assert_int_equal(w.count, 3);
		assert_non_null(strstr(w.text.s, "@main.a."));
		assert_non_null(strstr(w.text.s, "@main.b."));
		assert_non_null(strstr(w.text.s, "1@ "));
		assert_true(gi_go_global(p.go, "main.a", &a));
		assert_false(gi_go_global(p.go, "main.nothing", &a));
		no_error(gi_go_read_mutex(p.go, a, &mu));
		assert_true(mu.locked);
		assert_int_equal(mu.waiters, 1);
		assert_true(gi_go_sync_layout(p.go, &sl));
		assert_true(mu.sema_addr == a + sl.mutex_sema);
		assert_int_equal(gi_go_note_count(p.go), 0);
		gi_str_deinit(&w.text);
		close_program(&p);
	}
}

static bool add_label(void *arg, const char *key, size_t key_len, const char *val,
		      size_t val_len)
{
	gi_str_printf(arg, "[%.*s=%.*s]", (int)key_len, key, (int)val_len, val);
	return true;
}

static void test_labels(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct program p = open_program(programs[i]);
		struct gi_str s = {0};

		for (size_t k = 0; k < gi_go_g_count(p.go); k++)
			no_error(gi_go_labels(p.go, gi_go_g(p.go, k), add_label, &s));
		assert_non_null(strstr(gi_str_cstr(&s), "[tenant=blue]"));
		assert_non_null(strstr(gi_str_cstr(&s), "[request=GET /a b]"));
		assert_non_null(strstr(gi_str_cstr(&s), "[shard=7]"));
		assert_non_null(strstr(gi_str_cstr(&s), "[quote=\"\\]"));
		gi_str_deinit(&s);
		close_program(&p);
	}
}

static void test_debug_settings(void **state)
{
	struct program p = open_program("abba-go1.27.4");
	int32_t v;

	(void)state;
	assert_true(gi_go_debug_setting(p.go, "tracebacklabels", &v));
	assert_int_equal(v, 1); // the default from 1.27 on
	assert_false(gi_go_debug_setting(p.go, "no such setting", &v));
	close_program(&p);
}

// What is no channel is told: other objects of the heap, text, nothing.
static void test_not_a_channel(void **state)
{
	struct program p = open_program("zoo-go1.27.4");
	struct gi_hchan c;
	size_t taken = 0;

	(void)state;
	for (size_t i = 0; i < gi_go_g_count(p.go); i++) {
		struct gi_error *err = gi_go_read_hchan(p.go, gi_go_g(p.go, i)->addr, &c);

		taken += err == NULL;
		gi_error_free(err);
	}
	assert_int_equal(taken, 0);
	close_program(&p);
}

// --- what is damaged
// -------------------------------------------------------------------------

static uint8_t *read_file(const char *path, size_t *n_ret)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p;
	long n;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	n = ftell(f);
	assert_true(n > 0);
	rewind(f);
	p = malloc((size_t)n);
	assert_non_null(p);
	assert_int_equal(fread(p, 1, (size_t)n, f), n);
	(void)fclose(f);
	*n_ret = (size_t)n;
	return p;
}

// Cut at many places: an error that says so, or what is left with a note.
static void test_cut_cores(void **state)
{
	static const size_t lengths[] = {5000,	  60000,   300000,  600000,
					 1500000, 4000000, 6000000, 9000000};
	char core[512], exe[512];
	size_t n, opened = 0, all = 0;
	uint8_t *bytes =
		read_file(corefile("zoo-go1.27.4", ".core", core, sizeof(core)), &n);
	const struct gi_target_options opts = {
		.exe = corefile("zoo-go1.27.4", ".exe", exe, sizeof(exe))};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(lengths); i++) {
		char *path = test_write("cut", bytes, lengths[i]);
		struct gi_target *t;
		struct gi_go *go;
		struct gi_error *err;

		assert_true(lengths[i] < n);
		no_error(gi_target_open_core(path, &opts, &t));
		err = gi_go_open(t, &go);
		if (err) {
			assert_int_equal(gi_error_code(err), GI_ERR_CUT_OFF);
			assert_non_null(strstr(gi_error_message(err), "cut off"));
			gi_error_free(err);
		} else {
			opened++;
			all += gi_go_g_count(go) > 100;
			if (gi_go_g_count(go) < 100)
				assert_true(gi_go_note_count(go) > 0);
			gi_go_close(go);
		}
		gi_target_close(t);
		free(path);
	}
	free(bytes);
	assert_true(opened >= 4);
	assert_true(all >= 1);
	assert_true(all < opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_consistency),
		cmocka_unit_test(test_system_goroutines),
		cmocka_unit_test(test_semaphores),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_debug_settings),
		cmocka_unit_test(test_not_a_channel),
		cmocka_unit_test(test_cut_cores),
	};

	return cmocka_run_group_tests_name("go, shipped programs", tests, NULL, NULL);
}

// The runtime's own text: names by release, header lines, what each level leaves out,
// elision of deep stacks, and whole texts against what the runtimes printed.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "report/traceback_impl.h"
#include "checks.h"

// --- names -------------------------------------------------------------------

static void test_names(void **state)
{
	static const struct {
		int minor;
		const char *name, *want;
	} names[] = {
		{27, "main.main", "main.main"},
		{27, "runtime.gopanic", "panic"},
		{19, "runtime.gopanic", "panic"},
		{27, "runtime.gopanic.func1", "runtime.gopanic.func1"},
		{19, "main.f[...]", "main.f[...]"},
		{20, "main.f[go.shape.int]", "main.f[go.shape.int]"},
		{21, "main.f[go.shape.int]", "main.f[...]"},
		{21, "main.(*T[go.shape.int]).M", "main.(*T[...]).M"},
		{21, "main.f[go.shape.[]int].func1", "main.f[...].func1"},
		{27, "main.f[go.shape.[]int].func1", "main.f[...].func1"},
		{26, "main.(*T[int]).M[string].func1", "main.(*T[...].func1"},
		{27, "main.(*T[int]).M[string].func1", "main.(*T[...]).M[...].func1"},
		{27, "main.T[[]int].M[map[string]int]", "main.T[...].M[...]"},
		{27, "main.f]x[", "main.f]x["},
		{26, "main.f[a]b]c", "main.f[...]c"},
		{27, "main.f[a]b]c", "main.f[...]c"},
		{27, "main.f[a]b]c[d]", "main.f[a]b]c[d]"},
		{27, "main.f[a[b]", "main.f[a[b]"},
		{27, "main.\033[31mf", "main.\\x1b[31mf"},
	};
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		_cleanup_(gi_str_deinit) struct gi_str text = {0};
		gi_tb_put_name(names[i].minor, names[i].name, &text);
		if (strcmp(gi_str_cstr(&text), names[i].want) != 0)
			fail_msg("1.%d: %s is printed as %s, not %s", names[i].minor, names[i].name,
				 gi_str_cstr(&text), names[i].want);
	}
}

static void test_visible(void **state)
{
	static const struct {
		const char *name;
		bool before, since; // 1.23
	} names[] = {
		{"main.main", true, true},
		{"crosscall2", false, false},
		{"runtime.gopark", false, false},
		{"runtime.GC", true, true},
		{"runtime.Stack.func1", true, false},
		{"runtime.(*Func).Entry", false, true},
		{"runtime.(*mheap).Alloc", false, false},
		{"runtime.Frames.Next", true, true},
		{"runtime.frames.Next", false, false},
		{"runtime/debug.Stack", true, true},
		{"runtimeX.f", true, true},
	};
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++)
		if (gi_tb_is_visible(22, names[i].name) != names[i].before ||
		    gi_tb_is_visible(23, names[i].name) != names[i].since)
			fail_msg("%s: %d, %d", names[i].name, gi_tb_is_visible(22, names[i].name),
				 gi_tb_is_visible(23, names[i].name));
}

// --- programs ----------------------------------------------------------------

struct program {
	struct gi_target *t;
	struct gi_go *go;
	struct gi_unwinder *u;
};

static struct program open_program(const char *name)
{
	char core[512], exe[512];
	const struct gi_target_options opts = {.exe = corefile(name, ".exe", exe, sizeof(exe))};
	struct program p = {NULL, NULL, NULL};
	no_error(gi_target_open_core(corefile(name, ".core", core, sizeof(core)), &opts, &p.t));
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

// The text of all goroutines, or of one; malloc'd.
static char *text_of(struct program *p, const struct gi_g *g, enum gi_traceback_level level,
		     bool json)
{
	_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
	no_error(gi_out_create_memory(json, &out));
	if (g)
		no_error(gi_traceback_goroutine(out, p->go, p->u, g, level));
	else
		no_error(gi_traceback_all(out, p->go, p->u, level));
	char *copy = strdup(gi_out_memory_text(out, NULL));
	assert_non_null(copy);
	return copy;
}

static char *file_text(const char *name, const char *suffix)
{
	char path[512];
	FILE *f = fopen(corefile(name, suffix, path, sizeof(path)), "r");
	assert_non_null(f);
	struct gi_str text = {0};
	char buf[65536];
	for (size_t n; (n = fread(buf, 1, sizeof(buf), f)) > 0;)
		gi_str_putn(&text, buf, n);
	(void)fclose(f);
	assert_false(text.oom);
	return text.s;
}

static size_t lines_that(const char *text, const char *what)
{
	size_t n = 0;
	for (const char *s = text; (s = strstr(s, what)); s++)
		n++;
	return n;
}

static void same_text(const char *program, const char *ours, const char *theirs)
{
	if (!strcmp(ours, theirs))
		return;
	size_t i = 0, line = 1;
	for (; ours[i] && ours[i] == theirs[i]; i++)
		line += ours[i] == '\n';
	while (i && ours[i - 1] != '\n')
		i--;
	fail_msg("%s, line %zu: ours is \"%.*s\", the runtime's \"%.*s\"", program, line,
		 (int)strcspn(ours + i, "\n"), ours + i, (int)strcspn(theirs + i, "\n"),
		 theirs + i);
}

// What the first thread printed: its own stack, all goroutines, its registers.
static void test_crash_texts(void **state)
{
	static const char *const programs[] = {"abba-go1.19.13",    "abba-go1.27.4",
					       "zoo-go1.19.13",	    "zoo-go1.27.4",
					       "zoo_cgo-go1.19.13", "zoo_cgo-go1.27.4"};
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		struct program p = open_program(programs[i]);
		char *ours = text_of(&p, NULL, GI_TRACEBACK_CRASH, false);
		char *theirs = file_text(programs[i], ".txt");
		// All of it: each thread behind the first is a section of its own.
		assert_int_equal(lines_that(ours, "\n-----\n"), lines_that(theirs, "\n-----\n"));
		assert_int_equal(strlen(ours), strlen(theirs));
		char *end = strstr(ours, "\n-----\n"), *their_end = strstr(theirs, "\n-----\n");
		assert_non_null(end);
		*end = *their_end = '\0';
		same_text(programs[i], ours, theirs);
		free(ours);
		free(theirs);
		close_program(&p);
	}
}

// Each frame of the level all is one of the level system, without its addresses; frames of
// the runtime and its goroutines are left out.
static void test_levels(void **state)
{
	static const char *const programs[] = {"zoo-go1.19.13", "zoo-go1.27.4", "healthy-go1.27.4"};
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		struct program p = open_program(programs[i]);
		char *all = text_of(&p, NULL, GI_TRACEBACK_ALL, false);
		char *system = text_of(&p, NULL, GI_TRACEBACK_SYSTEM, false);
		size_t user = 0, live = 0;
		for (size_t k = 0; k < gi_go_g_count(p.go); k++) {
			const struct gi_g *g = gi_go_g(p.go, k);
			live += !gi_g_is_dead(g);
			user += !gi_g_is_dead(g) && !g->system;
		}
		assert_true(user < live);
		assert_int_equal(lines_that(all, "goroutine "),
				 user + lines_that(all, " in goroutine "));
		assert_int_equal(lines_that(system, "goroutine "),
				 live + lines_that(system, " in goroutine "));
		assert_null(strstr(all, " fp="));
		assert_null(strstr(all, " gp="));
		assert_null(strstr(all, "runtime.gopark("));
		assert_null(strstr(all, "runtime.goexit("));
		assert_non_null(strstr(system, "runtime.gopark("));
		assert_int_equal(strstr(system, " gp=") != NULL, gi_go_at_least(p.go, 1, 22));

		size_t frames = 0;
		const char *why = "";
		for (char *line = strtok(all, "\n"); line; line = strtok(NULL, "\n")) {
			if (line[0] != '\t' && strncmp(line, "goroutine ", 10) != 0 &&
			    !strstr(line, "elided"))
				frames++;
			if (strncmp(line, "goroutine ", 10) != 0 && !strstr(line, "elided") &&
			    !strstr(system, line))
				why = line;
		}
		assert_string_equal(why, "");
		assert_true(frames > user);
		free(all);
		free(system);
		close_program(&p);
	}
}

static bool count_frames(void *arg, const struct gi_frame *f)
{
	(void)f;
	++*(size_t *)arg;
	return true;
}

static void test_elision(void **state)
{
	static const char *const programs[] = {"zoo-go1.19.13", "zoo-go1.27.4"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct program p = open_program(programs[i]);
		bool old = !gi_go_at_least(p.go, 1, 21);
		size_t deep = 0;
		for (size_t k = 0; k < gi_go_g_count(p.go); k++) {
			const struct gi_g *g = gi_go_g(p.go, k);
			size_t n = 0;
			if (gi_g_is_dead(g))
				continue;
			no_error(gi_unwind_goroutine(p.u, g, GI_UNWIND_AS_RUNTIME, GI_UNWIND_MAX,
						     count_frames, &n, NULL));
			char *text = text_of(&p, g, GI_TRACEBACK_SYSTEM, false);
			size_t shown = lines_that(text, ")\n\t");
			if (n <= 100) {
				assert_int_equal(shown, n);
				assert_null(strstr(text, "elided"));
			} else if (old) {
				// 100 physical frames; the remark only if none was inlined.
				assert_true(shown >= 100 && shown < n);
				assert_int_equal(strstr(text, "...additional frames elided...\n") !=
							 NULL,
						 shown == 100);
				deep++;
			} else {
				char want[64];
				snprintf(want, sizeof(want), "\n...%zu frames elided...\n",
					 n - 100);
				assert_int_equal(shown, 100);
				const char *at = strstr(text, want);
				assert_non_null(at);
				assert_int_equal(lines_that(at, ")\n\t"), 50);
				deep++;
			}
			free(text);
		}
		assert_true(deep >= 1);
		close_program(&p);
	}
}

// A goroutine that runs on another thread is shown with that thread at the level crash,
// among the others else.
static void test_running(void **state)
{
	(void)state;
	struct program p = open_program("zoo-go1.27.4");
	char *all = text_of(&p, NULL, GI_TRACEBACK_ALL, false);
	char *crash = text_of(&p, NULL, GI_TRACEBACK_CRASH, false);
	assert_null(strstr(all, "stack unavailable"));
	assert_null(strstr(all, "-----"));
	assert_null(strstr(all, "rip "));
	size_t elsewhere =
		lines_that(crash, "\tgoroutine running on other thread; stack unavailable\n");
	assert_true(elsewhere >= 1);
	assert_int_equal(lines_that(crash, " [running]:\n"), 2 * elsewhere);
	assert_int_equal(lines_that(crash, "\nrip "), gi_target_thread_count(p.t));
	free(all);
	free(crash);
	close_program(&p);
}

// --- headers -----------------------------------------------------------------

struct callers {
	struct gi_frame f[2]; // physical
	size_t n;
};

static bool two_frames(void *arg, const struct gi_frame *f)
{
	struct callers *c = arg;
	if (f->kind != GI_FRAME_INLINED)
		c->f[c->n++] = *f;
	return c->n < 2;
}

// Where mcall and its like switch stacks, the current g and the stack pointer are of different
// stacks for a moment. The runtime shows the g that its signal handler found, with what was
// interrupted, and then the goroutine by what it saved.
static void test_caught(void **state)
{
	(void)state;
	struct program p = open_program("busy-go1.27.4");
	struct gi_m *m = NULL;
	struct gi_g *g = NULL;
	for (size_t i = 0; i < gi_go_m_count(p.go) && !g; i++) {
		m = (struct gi_m *)gi_go_m(p.go, i);
		// A goroutine on another thread than the one that prints all of them.
		if (m->id && m->curg && m->curg == m->caughtsig)
			g = (struct gi_g *)gi_go_g_by_addr(p.go, m->curg);
	}
	assert_non_null(g);
	assert_int_equal(gi_unwind_caught(m), g->addr);
	struct callers c = {0};
	no_error(gi_unwind_goroutine(p.u, g, GI_UNWIND_AS_RUNTIME | GI_UNWIND_NO_INLINE, 10,
				     two_frames, &c, NULL));
	assert_int_equal(c.n, 2);

	char running[256], saved[256];
	snprintf(running, sizeof(running),
		 "\n-----\n\nSIGQUIT: quit\nPC=0x%llx m=%d sigcode=0\n\ngoroutine %d gp=0x%llx",
		 (unsigned long long)c.f[0].pc, (int)m->id, (int)g->goid,
		 (unsigned long long)g->addr);
	char *text = text_of(&p, NULL, GI_TRACEBACK_CRASH, false);
	assert_non_null(strstr(text, running));
	free(text);

	// As if mcall had made g0 current, and had not gone over to its stack.
	m->caughtsig = m->g0;
	g->sched_pc = c.f[1].pc;
	g->sched_sp = c.f[1].sp;
	assert_int_equal(gi_unwind_caught(m), m->g0);
	snprintf(running, sizeof(running),
		 "\n-----\n\nSIGQUIT: quit\nPC=0x%llx m=%d sigcode=0\n\ngoroutine 0 gp=0x%llx m=%d "
		 "mp=0x%llx [idle]:\n%s(",
		 (unsigned long long)c.f[0].pc, (int)m->id, (unsigned long long)m->g0, (int)m->id,
		 (unsigned long long)m->addr, c.f[0].name);
	snprintf(saved, sizeof(saved), "sp=0x%llx pc=0x%llx\n", (unsigned long long)c.f[1].sp,
		 (unsigned long long)c.f[1].pc);
	text = text_of(&p, NULL, GI_TRACEBACK_CRASH, false);
	char *at = strstr(text, running);
	assert_non_null(at);
	snprintf(running, sizeof(running), "\ngoroutine %d gp=0x%llx m=%d mp=0x%llx [running]:\n",
		 (int)g->goid, (unsigned long long)g->addr, (int)m->id,
		 (unsigned long long)m->addr);
	at = strstr(at, running);
	assert_non_null(at);
	char *end = strstr(at, "\n-----\n");
	if (end)
		*end = '\0';
	// By what was saved: the function that was interrupted is not in it.
	assert_non_null(strstr(at, saved));
	assert_null(strstr(at, c.f[0].name));
	free(text);

	// While it is in C the goroutine that called C is shown.
	m->incgo = true;
	assert_int_equal(gi_unwind_caught(m), g->addr);
	// Neither of the M's: nothing is known.
	m->caughtsig = m->gsignal;
	assert_int_equal(gi_unwind_caught(m), 0);
	close_program(&p);
}

static void header(struct gi_tb *tb, int minor, enum gi_traceback_level level, const struct gi_g *g,
		   const char *want)
{
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	tb->minor = minor;
	tb->level = level;
	gi_tb_header(tb, g, &text);
	assert_string_equal(gi_str_cstr(&text), want);
}

static void test_headers(void **state)
{
	const enum gi_traceback_level ALL = GI_TRACEBACK_ALL, SYSTEM = GI_TRACEBACK_SYSTEM;
	(void)state;
	struct program p = open_program("abba-go1.27.4");
	struct gi_tb tb;
	no_error(gi_tb_init(&tb, p.go, p.u, GI_TRACEBACK_ALL));
	assert_int_equal(tb.minor, 27);
	char want[256];

	struct gi_g g = {.goid = 7, .addr = 0xabc0, .status = GI_G_RUNNABLE};
	header(&tb, 27, ALL, &g, "goroutine 7 [runnable]:\n");
	header(&tb, 21, SYSTEM, &g, "goroutine 7 [runnable]:\n");
	header(&tb, 22, SYSTEM, &g, "goroutine 7 gp=0xabc0 m=nil [runnable]:\n");
	const struct gi_m *m = gi_go_m(p.go, 0);
	g.m = m->addr;
	snprintf(want, sizeof(want), "goroutine 7 gp=0xabc0 m=%lld mp=0x%llx [runnable]:\n",
		 (long long)m->id, (unsigned long long)m->addr);
	header(&tb, 27, SYSTEM, &g, want);
	g.m = 0x1234;
	header(&tb, 27, SYSTEM, &g, "goroutine 7 gp=0xabc0 m=? mp=0x1234 [runnable]:\n");
	g.m = 0;

	g.status = GI_G_WAITING | GI_G_SCAN;
	header(&tb, 27, ALL, &g, "goroutine 7 [waiting (scan)]:\n");
	g.wait_reason = 255;
	header(&tb, 27, ALL, &g, "goroutine 7 [unknown wait reason (scan)]:\n");
	unsigned reason = 1;
	while (reason < 255 &&
	       (!gi_go_wait_reason_string(p.go, reason) ||
		strcmp(gi_go_wait_reason_string(p.go, reason), "chan receive") != 0))
		reason++;
	g.wait_reason = (uint8_t)reason;
	g.status = GI_G_WAITING;
	g.lockedm = 1;
	header(&tb, 27, ALL, &g, "goroutine 7 [chan receive, locked to thread]:\n");

	// Minutes, of waits and system calls only; less than one is not shown.
	uint64_t now = gi_go_now(p.go), minute = UINT64_C(60000000000);
	assert_true(now > minute);
	g.wait_since = now - minute + 1;
	header(&tb, 27, ALL, &g, "goroutine 7 [chan receive, locked to thread]:\n");
	g.wait_since = now - minute;
	g.status |= GI_G_SCAN;
	header(&tb, 27, ALL, &g,
	       "goroutine 7 [chan receive (scan), 1 minutes, locked to thread]:\n");
	g.lockedm = 0;
	g.status = GI_G_SYSCALL;
	header(&tb, 27, ALL, &g, "goroutine 7 [syscall, 1 minutes]:\n");
	g.status = GI_G_RUNNING;
	header(&tb, 27, ALL, &g, "goroutine 7 [running]:\n");
	g.wait_since = UINT64_MAX;
	g.status = GI_G_WAITING;
	header(&tb, 27, ALL, &g, "goroutine 7 [chan receive]:\n");

	g.status = GI_G_LEAKED;
	header(&tb, 27, ALL, &g, "goroutine 7 [chan receive (leaked)]:\n");
	g.status = 7;
	header(&tb, 27, ALL, &g, "goroutine 7 [???]:\n");
	// Labels and a bubble that cannot be read do no harm.
	g.status = GI_G_RUNNABLE;
	g.labels = 0x10;
	tb.labels = true;
	header(&tb, 27, ALL, &g, "goroutine 7 [runnable]:\n");
	g.bubble = 0x10;
	header(&tb, 27, ALL, &g, "goroutine 7 [runnable, synctest bubble ?]:\n");
	header(&tb, 24, ALL, &g, "goroutine 7 [runnable, synctest group ?]:\n");
	header(&tb, 23, ALL, &g, "goroutine 7 [runnable]:\n");
	gi_tb_deinit(&tb);
	close_program(&p);
}

// Labels as two releases print them; quoting where a character needs it.
static void test_labels(void **state)
{
	(void)state;
	struct program p = open_program("zoo-go1.27.4");
	struct gi_tb tb;
	no_error(gi_tb_init(&tb, p.go, p.u, GI_TRACEBACK_ALL));
	size_t n = 0;
	for (size_t i = 0; i < gi_go_g_count(p.go); i++) {
		const struct gi_g *g = gi_go_g(p.go, i);
		_cleanup_(gi_str_deinit) struct gi_str text = {0};
		if (gi_g_is_dead(g) || !g->labels)
			continue;
		tb.labels = false;
		gi_tb_header(&tb, g, &text);
		assert_null(strchr(text.s, '{'));
		tb.labels = true;
		tb.minor = 27;
		gi_str_reset(&text);
		gi_tb_header(&tb, g, &text);
		assert_non_null(strstr(text.s, "] {"));
		assert_string_equal(text.s + text.len - 3, "}:\n");
		tb.minor = 26;
		gi_str_reset(&text);
		gi_tb_header(&tb, g, &text);
		assert_non_null(strstr(text.s, " labels:{\""));
		assert_string_equal(text.s + text.len - 5, "\"}]:\n");
		n++;
	}
	assert_true(n >= 1);
	gi_tb_deinit(&tb);
	close_program(&p);
}

// --- records -----------------------------------------------------------------

static void test_json(void **state)
{
	(void)state;
	struct program p = open_program("abba-go1.27.4");
	size_t user = 0;
	for (size_t i = 0; i < gi_go_g_count(p.go); i++)
		user += !gi_g_is_dead(gi_go_g(p.go, i)) && !gi_go_g(p.go, i)->system;
	char *all = text_of(&p, NULL, GI_TRACEBACK_ALL, true);
	assert_int_equal(lines_that(all, "{\"type\":\"goroutine\","), user);
	assert_int_equal(lines_that(all, "\n"), user);
	free(all);
	char *one = text_of(&p, gi_go_g_by_id(p.go, 1), GI_TRACEBACK_ALL, true);
	assert_int_equal(lines_that(one, "\n"), 1);
	assert_non_null(strstr(one, "\"id\":1,"));
	assert_non_null(strstr(one, "\"function\":\"main.main\""));
	free(one);
	close_program(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_visible),
		cmocka_unit_test(test_crash_texts), cmocka_unit_test(test_levels),
		cmocka_unit_test(test_elision),	    cmocka_unit_test(test_running),
		cmocka_unit_test(test_caught),	    cmocka_unit_test(test_headers),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

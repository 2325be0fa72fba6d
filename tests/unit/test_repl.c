// The prompt's language: words, options, names of commands, completion, addresses, selection.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gcore/command.h"
#include "repl/args.h"
#include "repl/session.h"

#define assert_ok(expr)                                       \
	do {                                                  \
		struct gi_error *e_ = (expr);                 \
		if (e_)                                       \
			fail_msg("%s", gi_error_message(e_)); \
	} while (0)

static void assert_fails(struct gi_error *err, enum gi_error_code code, const char *says)
{
	if (!err)
		fail_msg("no error, but \"%s\" is wanted", says);
	if (gi_error_code(err) != code || !strstr(gi_error_message(err), says))
		fail_msg("error %d \"%s\" instead of %d \"%s\"", gi_error_code(err),
			 gi_error_message(err), code, says);
	gi_error_free(err);
}

// --- words ------------------------------------------------------------------------

static void test_words(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words[5];
	} cases[] = {
		{"", {NULL}},
		{"  \t ", {NULL}},
		{"a", {"a"}},
		{" a  bc\td ", {"a", "bc", "d"}},
		{"'a b' \"c d\"", {"a b", "c d"}},
		{"a'b c'd", {"ab cd"}},
		{"\"a\\\"b\\\\c\\d\"", {"a\"b\\c\\d"}},
		{"a\\ b", {"a b"}},
		{"''", {""}},
		{"'a\"b' \"c'd\"", {"a\"b", "c'd"}},
		{"a\\", {"a\\"}},
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		_cleanup_(gi_arena_destroyp) struct gi_arena *arena = NULL;
		struct gi_word *words;
		size_t n;
		assert_ok(gi_arena_create(&arena));
		assert_ok(gi_words_split(arena, cases[i].text, &words, &n));
		for (size_t k = 0; k < n; k++)
			assert_string_equal(words[k].text, cases[i].words[k]);
		assert_null(cases[i].words[n]);
	}
	_cleanup_(gi_arena_destroyp) struct gi_arena *arena = NULL;
	struct gi_word *words;
	size_t n;
	assert_ok(gi_arena_create(&arena));
	assert_fails(gi_words_split(arena, "a 'b", &words, &n), GI_ERR_USAGE, "a ' is not closed");
	assert_fails(gi_words_split(arena, "a \"b\\\"", &words, &n), GI_ERR_USAGE,
		     "a \" is not closed");
}

// --- options ----------------------------------------------------------------------

static const struct gi_command probe = {
	.name = "probe",
	.synopsis = "probe [-abc]",
	.options =
		(const struct gi_option[]){
			{'a', NULL, "", NULL, false, NULL},
			{'b', NULL, "", "brief", false, NULL},
			{'n', "N", "", NULL, false, NULL},
			{'t', "[N]", "", NULL, false, NULL},
			{0, "KIND VALUE...", "", "with", true, NULL},
			{0, "KIND VALUE...", "", "without", true, NULL},
			{0, NULL, "", "all", false, NULL},
			{0},
		},
	.max_args = 2,
};

static struct gi_arena *arena;

static int make_arena(void **state)
{
	(void)state;
	assert_ok(gi_arena_create(&arena));
	return 0;
}

static int drop_arena(void **state)
{
	(void)state;
	gi_arena_destroy(arena);
	return 0;
}

static const struct gi_args *parse(const char *text)
{
	struct gi_args *args = NULL;
	assert_ok(gi_args_parse(arena, &probe, text, &args));
	return args;
}

static void test_options(void **state)
{
	(void)state;
	const struct gi_args *a = parse("-a x -n 5 y");
	assert_true(gi_args_has(a, 'a'));
	assert_false(gi_args_has(a, 'b'));
	assert_string_equal(gi_args_opt(a, 'n'), "5");
	assert_int_equal(gi_args_count(a), 2);
	assert_string_equal(gi_args_get(a, 1), "y");
	assert_null(gi_args_get(a, 2));

	a = parse("-ab -n7 -all");
	assert_true(gi_args_has(a, 'a') && gi_args_has(a, 'b') && gi_args_has_name(a, "brief"));
	assert_true(gi_args_has_name(a, "all"));
	assert_string_equal(gi_args_opt(a, 'n'), "7");
	assert_true(gi_args_has(parse("--brief"), 'b'));
	assert_true(gi_args_has(parse("-at"), 't'));

	// An optional number is taken only where one stands.
	a = parse("-t 12 x");
	assert_string_equal(gi_args_opt(a, 't'), "12");
	a = parse("-t x");
	assert_true(gi_args_has(a, 't'));
	assert_null(gi_args_opt(a, 't'));
	assert_string_equal(gi_args_get(a, 0), "x");
	assert_string_equal(gi_args_opt(parse("-t12"), 't'), "12");

	// All words up to the next option; quoted ones are never options.
	a = parse("-with wait chan receive -with 'label' \"-x\" -without user -a");
	assert_string_equal(gi_args_opt_name(a, "with"), "wait chan receive");
	assert_string_equal(gi_args_opt_name_at(a, "with", 1), "label -x");
	assert_null(gi_args_opt_name_at(a, "with", 2));
	assert_string_equal(gi_args_opt_name(a, "without"), "user");
	assert_true(gi_args_has(a, 'a'));
	assert_string_equal(gi_args_opt_name(parse("--with=wait"), "with"), "wait");
	assert_string_equal(gi_args_opt_name(parse("-witho x"), "without"), "x");

	a = parse("-- -a");
	assert_false(gi_args_has(a, 'a'));
	assert_string_equal(gi_args_get(a, 0), "-a");
	assert_string_equal(gi_args_get(parse("-5"), 0), "-5");
	assert_string_equal(gi_args_get(parse("-"), 0), "-");
}

static void test_option_errors(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"-z", "no option \"-z\"; it has -a; -b, -brief; -n N"},
		{"-az", "no option \"-az\""},
		{"--z", "no option \"--z\""},
		{"-wi x", "no option \"-wi\""},
		{"-tx", "no option \"-tx\""},
		{"-all=5", "no option \"-all=5\""},
		{"-n", "a value is missing: -n N"},
		{"-n -a", "a value is missing: -n N"},
		{"-with", "a value is missing: -with KIND VALUE..."},
		{"-n 1 -n 2", "-n N was given twice"},
		{"a b c", "\"c\" is one argument too many: probe [-abc]"},
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct gi_args *args;
		assert_fails(gi_args_parse(arena, &probe, cases[i].text, &args), GI_ERR_USAGE,
			     cases[i].says);
	}
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t v;
	} good[] = {{"0", 0},
		    {"18", 18},
		    {"0x1f", 31},
		    {"0XFF", 255},
		    {"18446744073709551615", UINT64_MAX},
		    {"0xffffffffffffffff", UINT64_MAX},
		    {"010", 10}};
	static const char *const bad[] = {"",
					  "x",
					  "-1",
					  "+1",
					  " 1",
					  "1 ",
					  "1x",
					  "0x",
					  "0xg",
					  "0x 1",
					  "0x-1",
					  "18446744073709551616",
					  "0x10000000000000000"};
	for (size_t i = 0; i < GI_ARRAY_SIZE(good); i++) {
		uint64_t v;
		assert_ok(gi_parse_u64(good[i].text, &v));
		assert_true(v == good[i].v);
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++) {
		uint64_t v = 4711;
		struct gi_error *err = gi_parse_u64(bad[i], &v);
		if (!err)
			fail_msg("\"%s\" is no number", bad[i]);
		gi_error_free(err);
		assert_int_equal(v, 4711);
	}
	uint64_t v;
	assert_ok(gi_args_u64(parse("-n 0x10"), 'n', 5, 100, &v));
	assert_int_equal(v, 16);
	assert_ok(gi_args_u64(parse(""), 'n', 5, 100, &v));
	assert_int_equal(v, 5);
	assert_fails(gi_args_u64(parse("-n 101"), 'n', 5, 100, &v), GI_ERR_USAGE,
		     "probe -n: at most 100");
	assert_fails(gi_args_u64(parse("-n x"), 'n', 5, 100, &v), GI_ERR_USAGE,
		     "probe -n: \"x\" is not a number");
}

// --- names of commands --------------------------------------------------------------

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *typed, *name; // NULL: an error that says:
		const char *says;
	} cases[] = {
		{"goroutines", "goroutines", NULL},
		{"goroutine", "goroutine", NULL}, // exact, though it begins another
		{"grs", "goroutines", NULL},
		{"gr", "goroutine", NULL},
		{"backt", "bt", NULL},
		{"q", "quit", NULL},
		{"x", "x", NULL},
		{"?", "help", NULL},
		{"gorout", NULL, "could be goroutine, goroutines"},
		{"goroutimes", NULL, "did you mean \"goroutine"},
		{"bactkrace", NULL, "there is no command"},
		{"zzzzzzzz", NULL, "\"help\" lists them"},
		{"\x1b[31m", NULL, "\\x1b[31m"},
		{"a-name-that-is-much-longer-than-any-command-could-ever-be", NULL, "no command"},
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		const struct gi_command *cmd;
		struct gi_error *err =
			gi_command_find(cases[i].typed, strlen(cases[i].typed), &cmd);
		if (!cases[i].name) {
			assert_fails(err, GI_ERR_USAGE, cases[i].says);
			continue;
		}
		assert_ok(err);
		assert_string_equal(cmd->name, cases[i].name);
	}
}

// What every command's table must have, for help, completion and the manual.
static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; gi_commands[i]; i++) {
		const struct gi_command *c = gi_commands[i];
		if (!c->name || !c->summary || !c->help || !c->run || !c->synopsis)
			fail_msg("the table of command %zu is not complete", i);
		if (strncmp(c->synopsis, c->name, strlen(c->name)) != 0)
			fail_msg("%s: its synopsis begins otherwise: %s", c->name, c->synopsis);
		if (c->summary[strlen(c->summary) - 1] == '.')
			fail_msg("%s: its summary ends with a period", c->name);
		if (*c->help && c->help[strlen(c->help) - 1] != '\n')
			fail_msg("%s: its help has no end of line", c->name);
		if (c->min_args > c->max_args)
			fail_msg("%s: it needs more arguments than it takes", c->name);
		for (size_t k = 0; gi_commands[k]; k++) {
			if (k != i &&
			    gi_command_is_called(gi_commands[k], c->name, strlen(c->name)))
				fail_msg("%s is an alias of %s", c->name, gi_commands[k]->name);
			for (size_t a = 0; k != i && c->aliases && c->aliases[a]; a++) {
				if (gi_command_is_called(gi_commands[k], c->aliases[a],
							 strlen(c->aliases[a])))
					fail_msg("%s: %s has the alias %s too", c->name,
						 gi_commands[k]->name, c->aliases[a]);
			}
		}
		for (const struct gi_option *o = c->options; o && !gi_option_is_end(o); o++) {
			if (!o->help || !*o->help)
				fail_msg("%s: an option has no help", c->name);
			if (o->values && !o->meta)
				fail_msg("%s: a flag has values", c->name);
		}
	}
}

// --- on a real core -----------------------------------------------------------------

static struct gi_session *session;

static int open_session(void **state)
{
	(void)state;
	const char *dir = getenv("GCORE_COREFILES");
	_cleanup_(gi_freep) char *core = NULL;
	struct gi_session_options opts = {.batch = true};
	assert_true(asprintf(&core, "%s/abba-go1.27.4.core", dir ? dir : "build/corefiles") > 0);
	assert_ok(gi_session_open(core, &opts, &session));
	assert_null(gi_session_go_error(session));
	return 0;
}

static int close_session(void **state)
{
	(void)state;
	gi_session_close(session);
	session = NULL;
	return 0;
}

// Completes line at its end; the word is what follows the last space.
static void assert_completes(const char *line, const char *const *want, bool exactly)
{
	const char *space = strrchr(line, ' ');
	size_t start = space ? (size_t)(space + 1 - line) : 0;
	char **got = gi_session_complete(session, line, start, strlen(line));
	size_t n = 0;
	while (got && got[n])
		n++;
	for (size_t i = 0; want[i]; i++) {
		bool found = false;
		for (size_t k = 0; k < n; k++)
			found = found || strcmp(got[k], want[i]) == 0;
		if (!found)
			fail_msg("\"%s\": %s is not among the %zu candidates", line, want[i], n);
		if (exactly && !want[i + 1] && n != i + 1)
			fail_msg("\"%s\": %zu candidates, not %zu: %s ...", line, n, i + 1, got[0]);
	}
	if (!want[0] && n)
		fail_msg("\"%s\": there is a candidate: %s", line, got[0]);
	for (size_t k = 0; k < n; k++)
		free(got[k]);
	free(got);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_completion(void **state)
{
	(void)state;
	assert_completes("", WORDS("bt", "goroutines", "x", "quit"), false);
	assert_completes("gorou", WORDS("goroutine", "goroutines"), true);
	assert_completes("  gorou", WORDS("goroutine", "goroutines"), true);
	assert_completes("exa", WORDS("examinemem"), true);
	assert_completes("zz", (const char *const[]){NULL}, true);
	assert_completes("goroutine ", WORDS("1", "2", "3", "4", "5", "6", "7", "8", "9"), true);
	assert_completes("gr 8", WORDS("8"), true);
	assert_completes("goroutine 8 b", WORDS("bt", "backtrace", "blocked"), true);
	assert_completes("goroutine 8 bt -", WORDS("-n", "-full-thread", "-args", "-defer"), true);
	assert_completes("goroutine 8 goroutine 9 goroutines -gr", WORDS("-group"), true);
	assert_completes("thread ", WORDS("1", "2", "3", "4"), true);
	assert_completes("thread 2 fr", WORDS("frame"), true);
	assert_completes("goroutines -w", WORDS("-with", "-without"), true);
	assert_completes(
		"goroutines -",
		WORDS("-t", "-u", "-r", "-g", "-s", "-l", "-with", "-without", "-group", "-all"),
		true);
	assert_completes("goroutines -group st", WORDS("status", "stack", "start"), true);
	assert_completes("goroutines -with function main.lock", WORDS("main.lockAB", "main.lockBA"),
			 false);
	assert_completes("help goroutine", WORDS("goroutine", "goroutines"), true);
	assert_completes("x/8gx $r1", WORDS("$r10", "$r11", "$r12", "$r13", "$r14", "$r15"), true);
	assert_completes("x main.lockA", WORDS("main.lockAB"), false);
	assert_completes("nonsense ", (const char *const[]){NULL}, true);
	assert_completes("goroutines ", (const char *const[]){NULL}, true);
}

static uint64_t address(const char *text)
{
	uint64_t v;
	struct gi_error *err = gi_session_address(session, text, &v);
	if (err)
		fail_msg("%s: %s", text, gi_error_message(err));
	return v;
}

static void test_addresses(void **state)
{
	(void)state;
	struct gi_regs regs;
	uint64_t v;
	assert_int_equal(address("4096"), 4096);
	assert_int_equal(address("0x1000+0x10-6"), 0x100a);
	assert_ok(gi_session_regs(session, &regs));
	assert_true(address("$sp") == gi_regs_sp(&regs) &&
		    address("$rsp+8") == gi_regs_sp(&regs) + 8);
	assert_true(address("$pc") == gi_regs_pc(&regs) && address("$rip") == gi_regs_pc(&regs));
	struct gi_func f;
	assert_true(gi_functab_find_name(gi_go_functab(gi_session_go(session)), "main.main", &f));
	assert_true(address("main.main") == f.entry && address("main.main+4") == f.entry + 4);
	assert_true(gi_go_global(gi_session_go(session), "main.a", &v));
	assert_true(address("main.a") == v && address("&main.a") == v &&
		    address("main.a-8") == v - 8);
	assert_fails(gi_session_address(session, "", &v), GI_ERR_USAGE, "missing");
	assert_fails(gi_session_address(session, "$", &v), GI_ERR_USAGE, "no register");
	assert_fails(gi_session_address(session, "main.nothing", &v), GI_ERR_NOT_FOUND,
		     "main.nothing");
	assert_fails(gi_session_address(session, "main.a+x", &v), GI_ERR_NOT_FOUND, "main.a+x");
	assert_fails(gi_session_address(session, "-8", &v), GI_ERR_NOT_FOUND, "-8");
}

static void test_selection(void **state)
{
	(void)state;
	const struct gi_g *g;
	size_t thread;
	assert_int_equal(gi_session_goroutine(session)->goid, 1);
	assert_int_equal(gi_session_frame(session), 0);
	assert_ok(gi_session_find_goroutine(session, "8", &g));
	gi_session_select_goroutine(session, g);
	assert_ok(gi_session_select_frame(session, 3));
	assert_ok(gi_session_move_frame(session, 2, true));
	assert_int_equal(gi_session_frame(session), 5);
	assert_ok(gi_session_move_frame(session, 1000, true));
	assert_fails(gi_session_move_frame(session, 1, true), GI_ERR_NOT_FOUND, "outermost");
	assert_ok(gi_session_move_frame(session, UINT64_MAX, false));
	assert_int_equal(gi_session_frame(session), 0);
	assert_fails(gi_session_move_frame(session, 1, false), GI_ERR_NOT_FOUND, "innermost");
	assert_fails(gi_session_select_frame(session, 1000), GI_ERR_NOT_FOUND,
		     "there is no frame 1000");

	// By its address too.
	_cleanup_(gi_freep) char *addr = NULL;
	const struct gi_g *same;
	assert_true(asprintf(&addr, "0x%" PRIx64, g->addr) > 0);
	assert_ok(gi_session_find_goroutine(session, addr, &same));
	assert_ptr_equal(g, same);
	assert_fails(gi_session_find_goroutine(session, "99", &g), GI_ERR_NOT_FOUND, "9 are there");

	assert_ok(gi_session_find_thread(session, "2", &thread));
	assert_int_equal(thread, 1);
	gi_session_select_thread(session, thread);
	assert_true(gi_session_by_thread(session));
	assert_true(gi_session_thread(session, &thread) && thread == 1);
	assert_fails(gi_session_find_thread(session, "99", &thread), GI_ERR_NOT_FOUND,
		     "numbers 1 to 4");
	assert_fails(gi_session_find_thread(session, "0", &thread), GI_ERR_NOT_FOUND,
		     "no thread 0");

	// A command on another goroutine leaves the selection as it was.
	_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
	assert_ok(gi_out_create_memory(false, &out));
	assert_ok(gi_session_run(session, "goroutine 8 up 3", out));
	assert_true(gi_session_by_thread(session));
	assert_ok(gi_session_run(session, "goroutine 8", out));
	assert_int_equal(gi_session_goroutine(session)->goid, 8);
	assert_fails(gi_session_run(session, "goroutine 9 nonsense", out), GI_ERR_USAGE,
		     "nonsense");
	assert_int_equal(gi_session_goroutine(session)->goid, 8);
}

static void test_interrupt(void **state)
{
	(void)state;
	static const char *const lines[] = {"goroutines", "goroutines -t",
					    "goroutines -group stack", "threads", "mappings"};
	for (size_t i = 0; i < GI_ARRAY_SIZE(lines); i++) {
		_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
		assert_ok(gi_out_create_memory(false, &out));
		gi_interrupt_raise();
		struct gi_error *err = gi_session_run(session, lines[i], out);
		gi_interrupt_clear();
		assert_fails(err, GI_ERR_INTERRUPTED, "interrupted");
		assert_ok(gi_session_run(session, lines[i], out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test_setup_teardown(test_options, make_arena, drop_arena),
		cmocka_unit_test_setup_teardown(test_option_errors, make_arena, drop_arena),
		cmocka_unit_test_setup_teardown(test_numbers, make_arena, drop_arena),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_tables),
		cmocka_unit_test_setup_teardown(test_completion, open_session, close_session),
		cmocka_unit_test_setup_teardown(test_addresses, open_session, close_session),
		cmocka_unit_test_setup_teardown(test_selection, open_session, close_session),
		cmocka_unit_test_setup_teardown(test_interrupt, open_session, close_session),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

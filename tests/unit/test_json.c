// JSON: the writer's own rules, and the real output of all commands against docs/json.md.
//
// The tables of docs/json.md are read here: what they do not describe fails, and so does a record
// of them that no command of the list below prints, or a command that the list leaves out.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "../support/files.h"
#include "gcore/command.h"
#include "repl/session.h"

// --- docs/json.md ---------------------------------------------------------------

enum { MAX_SECTIONS = 64, MAX_MEMBERS = 32 };

struct member {
	char name[48];
	char type[64]; // without "optional"
	bool optional;
};

struct section {
	char name[48];
	bool record;
	bool seen;
	struct member members[MAX_MEMBERS];
	size_t count;
};

static struct section sections[MAX_SECTIONS];
static size_t section_count;
static char complaint[512];

static struct section *section_named(const char *name, bool record)
{
	for (size_t i = 0; i < section_count; i++) {
		if (sections[i].record == record && strcmp(sections[i].name, name) == 0)
			return &sections[i];
	}
	return NULL;
}

// "| `name` | type | meaning |"
static void read_row(struct section *s, const char *line)
{
	struct member *m = &s->members[s->count++];
	assert_true(s->count <= MAX_MEMBERS);
	assert_int_equal(sscanf(line, "| `%47[^`]` | %63[^|]", m->name, m->type), 2);
	size_t n = strlen(m->type);
	while (n && m->type[n - 1] == ' ')
		m->type[--n] = '\0';
	char *optional = strstr(m->type, ", optional");
	if (optional) {
		*optional = '\0';
		m->optional = true;
	}
}

static void read_docs(void)
{
	const char *path = "docs/json.md";
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	char line[1024];
	bool records = false;
	struct section *s = NULL;
	section_count = 0;
	memset(sections, 0, sizeof(sections));
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "## ", 3) == 0) {
			records = strcmp(line, "## Records") == 0;
			s = NULL;
		} else if (strncmp(line, "### ", 4) == 0) {
			assert_true(section_count < MAX_SECTIONS);
			s = &sections[section_count++];
			s->record = records;
			assert_int_equal(sscanf(line, "### %47[^\n]", s->name), 1);
		} else if (s && strncmp(line, "| `", 3) == 0) {
			read_row(s, line);
		}
	}
	fclose(f);
	assert_true(section_count > 10);
}

// --- validation -----------------------------------------------------------------

static bool complain(const char *fmt, const char *a, const char *b)
{
	snprintf(complaint, sizeof(complaint), fmt, a, b);
	return false;
}

static bool check_object(const struct section *s, json_t *v);

static bool check_type(const char *where, const char *type, json_t *v)
{
	char inner[64];
	const char *or_null = strstr(type, " or null");
	snprintf(inner, sizeof(inner), "%s", type);
	bool compound = strncmp(type, "array of ", 9) == 0 || strncmp(type, "map of ", 7) == 0;
	// "map of hex or null": the null is the element's.
	if (or_null && !compound) {
		if (json_is_null(v))
			return true;
		inner[or_null - type] = '\0';
	}
	if (strcmp(inner, "string") == 0)
		return json_is_string(v) || complain("%s: not a string%s", where, "");
	if (strcmp(inner, "number") == 0)
		return json_is_integer(v) || complain("%s: not an integer%s", where, "");
	if (strcmp(inner, "bool") == 0)
		return json_is_boolean(v) || complain("%s: not a bool%s", where, "");
	if (strcmp(inner, "hex") == 0) {
		const char *text = json_string_value(v);
		if (!text || strncmp(text, "0x", 2) != 0 || !text[2] ||
		    strspn(text + 2, "0123456789abcdef") != strlen(text + 2))
			return complain("%s: not a hex string%s", where, "");
		return true;
	}
	if (strncmp(inner, "array of ", 9) == 0) {
		size_t i;
		json_t *e;
		if (!json_is_array(v))
			return complain("%s: not an array%s", where, "");
		json_array_foreach(v, i, e)
		{
			if (!check_type(where, inner + 9, e))
				return false;
		}
		return true;
	}
	if (strncmp(inner, "map of ", 7) == 0) {
		const char *key;
		json_t *e;
		if (!json_is_object(v))
			return complain("%s: not an object%s", where, "");
		json_object_foreach(v, key, e)
		{
			if (!check_type(where, inner + 7, e))
				return false;
		}
		return true;
	}
	const struct section *s = section_named(inner, false);
	if (!s)
		return complain("%s: docs/json.md has no object \"%s\"", where, inner);
	if (!json_is_object(v))
		return complain("%s: not an object%s", where, "");
	return check_object(s, v);
}

static bool check_object(const struct section *s, json_t *v)
{
	const char *key;
	json_t *e;
	for (size_t i = 0; i < s->count; i++) {
		const struct member *m = &s->members[i];
		json_t *value = json_object_get(v, m->name);
		if (!value && !m->optional)
			return complain("%s: %s is missing", s->name, m->name);
		char where[128];
		snprintf(where, sizeof(where), "%s.%s", s->name, m->name);
		if (value && !check_type(where, m->type, value))
			return false;
	}
	json_object_foreach(v, key, e)
	{
		bool described = s->record && strcmp(key, "type") == 0;
		for (size_t i = 0; i < s->count; i++)
			described = described || strcmp(key, s->members[i].name) == 0;
		if (!described)
			return complain("%s: %s is not described", s->name, key);
	}
	return true;
}

static bool check_line(const char *line, size_t n)
{
	json_error_t error;
	json_t *v = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
	if (!v)
		return complain("%s%s", error.text, "");
	const char *type = json_string_value(json_object_get(v, "type"));
	struct section *s = type ? section_named(type, true) : NULL;
	bool ok = s ? check_object(s, v)
		    : complain("docs/json.md has no record \"%s\"%s", type ? type : "?", "");
	if (ok)
		s->seen = true;
	json_decref(v);
	return ok;
}

// --- all commands ---------------------------------------------------------------

// Its own files are where this stands.
#define DUMPED "@dumped.core"
static const char *const lines[] = {
	"bt",
	"bt -defer",
	"bt -args -defer",
	"thread 1 bt -args",
	"thread 1 bt",
	"down 1",
	"up 2",
	"down 1",
	"frame",
	"goroutine",
	"goroutine 1",
	"goroutines -all",
	"goroutines -t 20",
	"goroutines -s -l",
	"goroutines -group wait",
	"goroutines -group stack",
	"goroutines -group label",
	"help",
	"help bt",
	"info",
	"info -v",
	"mappings",
	"ms",
	"ps",
	"sched",
	"runq",
	"timers",
	"netpoll",
	"regs",
	"thread 1 regs",
	"thread",
	"thread 1",
	"threads",
	"threads -s",
	"cgo",
	"traceback",
	"traceback -level crash 1",
	"x/4gx $rsp",
	"x/s $pc",
	"x/2gx 0x10",
	"dump -mini " DUMPED,
	"dump " DUMPED,
	"quit",
	"refresh",
	"top -s 0.1",
	"stop",
	"continue",
	"detach",
	"source /dev/null",
	"deadlock",
	"deadlock -v",
	"waiters main.a",
	"waiters 0x10",
	"object main.a",
	"object main.main",
	"object $rsp",
	"object 0x10",
	"heap",
	"graph",
	"graph -a",
	"blocked",
	"blocked -n 0",
	"why",
	"why 1",
	"why 20",
};

static const char *const cores[] = {"abba-go1.19.13",	  "abba-go1.27.4",    "zoo-go1.19.13",
				    "zoo-go1.27.4",	  "zoo_cgo-go1.27.4", "healthy-go1.27.4",
				    "chanpair-go1.19.13", "rwmutex-go1.27.4", "selflock-go1.19.13",
				    "abba-go1.27.4-gcore", "busy-go1.27.4"};

static bool is_command(const char *line)
{
	size_t n = strcspn(line, " /");
	for (size_t i = 0; gi_commands[i]; i++) {
		if (gi_command_is_called(gi_commands[i], line, n))
			return true;
	}
	return false;
}

static size_t run_lines(struct gi_session *s, const char *core)
{
	size_t records = 0;
	for (size_t i = 0; i < GI_ARRAY_SIZE(lines); i++) {
		if (!is_command(lines[i]))
			continue; // test_all_commands tells when the list is short
		_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
		assert_null(gi_out_create_memory(true, &out));
		_cleanup_(gi_freep) char *dumped = test_path(DUMPED);
		_cleanup_(gi_str_deinit) struct gi_str line = { 0 };
		const char *at = strstr(lines[i], DUMPED);
		if (at)
			gi_str_printf(&line, "%.*s%s", (int)(at - lines[i]), lines[i], dumped);
		gi_error_ignore(gi_session_run(s, at ? gi_str_cstr(&line) : lines[i], out));
		size_t n;
		const char *text = gi_out_memory_text(out, &n);
		while (n) {
			const char *end = memchr(text, '\n', n);
			if (!end)
				fail_msg("%s: %s: the last record has no end", core, lines[i]);
			if (!check_line(text, (size_t)(end - text)))
				fail_msg("%s: %s: %s\n%.*s", core, lines[i], complaint,
					 (int)(end - text), text);
			records++;
			n -= (size_t)(end + 1 - text);
			text = end + 1;
		}
	}
	return records;
}

// A running process: this program itself, waiting. It has no Go runtime, but threads and memory.
static void run_live(void)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	while (!pid)
		pause();
	struct gi_session_options opts = {.json = true, .pid = pid};
	struct gi_session *s = NULL;
	struct gi_error *err = gi_session_open(NULL, &opts, &s);
	if (err)
		fail_msg("%s", gi_error_message(err));
	assert_true(run_lines(s, "a live process") > 10);
	gi_session_close(s);
	// It was not harmed: it still ends by the signal that it is sent, and by no other.
	int status;
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void test_real_output(void **state)
{
	(void)state;
	read_docs();
	const char *dir = getenv("GCORE_COREFILES");
	for (size_t i = 0; i < GI_ARRAY_SIZE(cores); i++) {
		_cleanup_(gi_freep) char *core = NULL;
		_cleanup_(gi_session_closep) struct gi_session *s = NULL;
		assert_true(asprintf(&core, "%s/%s.core", dir ? dir : "build/corefiles", cores[i]) >
			    0);
		struct gi_session_options opts = {.json = true};
		struct gi_error *err = gi_session_open(core, &opts, &s);
		if (err)
			fail_msg("%s", gi_error_message(err));
		if (gi_session_go_error(s))
			fail_msg("%s: %s", core, gi_error_message(gi_session_go_error(s)));
		assert_true(run_lines(s, cores[i]) > 50);
	}
	run_live();
	for (size_t i = 0; i < section_count; i++) {
		// Verdicts come with the deadlock command, notes when something is amiss.
		const char *name = sections[i].name;
		if (strcmp(name, "note") == 0 ||
		    (!is_command("deadlock") &&
		     (strcmp(name, "verdict") == 0 || strcmp(name, "summary") == 0)))
			continue;
		if (sections[i].record && !sections[i].seen)
			fail_msg("docs/json.md describes \"%s\", which nothing prints", name);
	}
}

static void test_all_commands(void **state)
{
	(void)state;
	for (size_t i = 0; gi_commands[i]; i++) {
		bool listed = false;
		for (size_t k = 0; k < GI_ARRAY_SIZE(lines); k++)
			listed = listed || gi_command_is_called(gi_commands[i], lines[k],
								strcspn(lines[k], " /"));
		if (!listed)
			fail_msg("%s is not among the commands whose records are checked",
				 gi_commands[i]->name);
	}
}

// What must be seen: the checks themselves.
static void test_breaches(void **state)
{
	(void)state;
	read_docs();
	static const struct {
		const char *line;
		const char *says; // NULL: it is right
	} cases[] = {
		{"{\"type\":\"note\",\"text\":\"x\"}", NULL},
		{"{\"type\":\"note\"}", "text is missing"},
		{"{\"type\":\"note\",\"text\":1}", "not a string"},
		{"{\"type\":\"note\",\"text\":null}", "not a string"},
		{"{\"type\":\"note\",\"text\":\"x\",\"more\":1}", "more is not described"},
		{"{\"type\":\"nonsense\"}", "no record"},
		{"{\"text\":\"x\"}", "no record"},
		{"{\"type\":\"note\",\"text\":\"x\",\"text\":\"y\"}", "duplicate"},
		{"{\"type\":\"note\",", ""},
		{"{\"type\":\"string\",\"addr\":\"0x1f\",\"text\":\"\"}", NULL},
		{"{\"type\":\"string\",\"addr\":\"1f\",\"text\":\"\"}", "not a hex string"},
		{"{\"type\":\"string\",\"addr\":\"0x\",\"text\":\"\"}", "not a hex string"},
		{"{\"type\":\"memory\",\"addr\":\"0x1\",\"size\":8,\"values\":[\"0x1\",2],\"ends_early\":null}",
		 "not a hex string"},
		{"{\"type\":\"memory\",\"addr\":\"0x1\",\"size\":8.5,\"values\":[],\"ends_early\":null}",
		 "not an integer"},
		{"{\"type\":\"thread\",\"number\":1,\"tid\":2,\"m\":null,\"goroutine\":null,\"signal\":null,"
		 "\"location\":{\"pc\":\"0x1\",\"function\":null,\"file\":null}}",
		 "line is missing"},
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		complaint[0] = '\0';
		bool ok = check_line(cases[i].line, strlen(cases[i].line));
		if (ok != !cases[i].says || (cases[i].says && !strstr(complaint, cases[i].says)))
			fail_msg("%s: %s, \"%s\"", cases[i].line, ok ? "passes" : "fails",
				 complaint);
	}
}

// --- the writer -------------------------------------------------------------------

static json_t *written(struct gi_out *out)
{
	size_t n;
	const char *text = gi_out_memory_text(out, &n);
	json_error_t error;
	json_t *v = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
	if (!v)
		fail_msg("%s: %s", error.text, text);
	return v;
}

static void test_strings(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		size_t n;
		const char *out;
	} cases[] = {
		{"", 0, ""},
		{"plain", 5, "plain"},
		{"q\"b\\s/", 6, "q\"b\\s/"},
		{"\n\t\r\x1b[31m\x7f", 9, "\n\t\r\x1b[31m\x7f"},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb9", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xb9"},
		{"bad \xff\xc3", 6, "bad \\xff\\xc3"},
		{"over\xc0\xaflong", 10, "over\\xc0\\xaflong"},
		{"c1 \xc2\x9b", 5, "c1 \\xc2\\x9b"},
		{"cut \xe2\x82", 6, "cut \\xe2\\x82"},
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
		assert_null(gi_out_create_memory(true, &out));
		gi_json_begin(out, "x");
		gi_json_strn(out, "s", cases[i].in, cases[i].n);
		gi_json_end(out);
		json_t *v = written(out);
		assert_string_equal(json_string_value(json_object_get(v, "s")), cases[i].out);
		json_decref(v);
		// A terminal can show the line as it is.
		size_t n;
		const char *text = gi_out_memory_text(out, &n);
		for (size_t k = 0; k + 1 < n; k++)
			assert_true((unsigned char)text[k] >= 0x20 && text[k] != 0x7f);
	}
	_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
	assert_null(gi_out_create_memory(true, &out));
	gi_json_begin(out, "x");
	gi_json_strn(out, "nul", "a\0b", 3);
	gi_json_end(out);
	json_t *v;
	size_t n;
	const char *text = gi_out_memory_text(out, &n);
	assert_non_null(strstr(text, "\"a\\u0000b\""));
	v = json_loadb(text, n, JSON_ALLOW_NUL, NULL);
	assert_non_null(v);
	json_decref(v);
}

static void test_values(void **state)
{
	(void)state;
	_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
	assert_null(gi_out_create_memory(true, &out));
	gi_out_printf(out, "text is not written");
	gi_json_begin(out, "x");
	gi_json_i64(out, "min", INT64_MIN);
	gi_json_i64(out, "max", INT64_MAX);
	gi_json_u64(out, "zero", 0);
	gi_json_hex(out, "hex0", 0);
	gi_json_hex(out, "hex", UINT64_MAX);
	gi_json_bool(out, "t", true);
	gi_json_str(out, "null", NULL);
	gi_json_array(out, "a");
	gi_json_array(out, NULL);
	gi_json_close(out);
	gi_json_object(out, NULL);
	gi_json_u64(out, "k", 1);
	gi_json_close(out);
	gi_json_u64(out, NULL, 2);
	gi_json_close(out);
	gi_json_object(out, "o");
	gi_json_close(out);
	gi_json_end(out);
	size_t n;
	assert_string_equal(
		gi_out_memory_text(out, &n),
		"{\"type\":\"x\",\"min\":-9223372036854775808,\"max\":9223372036854775807,"
		"\"zero\":0,\"hex0\":\"0x0\",\"hex\":\"0xffffffffffffffff\",\"t\":true,"
		"\"null\":null,\"a\":[[],{\"k\":1},2],\"o\":{}}\n");
}

static void test_notes(void **state)
{
	(void)state;
	_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
	assert_null(gi_out_create_memory(true, &out));
	gi_out_note(out, "before %d", 1);
	gi_json_begin(out, "x");
	gi_json_array(out, "a");
	gi_out_note(out, "within");
	gi_json_u64(out, NULL, 1);
	gi_json_end(out); // closes what is open
	size_t n;
	assert_string_equal(
		gi_out_memory_text(out, &n),
		"{\"type\":\"note\",\"text\":\"before 1\"}\n{\"type\":\"x\",\"a\":[1]}\n"
		"{\"type\":\"note\",\"text\":\"within\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),	     cmocka_unit_test(test_values),
		cmocka_unit_test(test_notes),	     cmocka_unit_test(test_breaches),
		cmocka_unit_test(test_all_commands), cmocka_unit_test(test_real_output),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

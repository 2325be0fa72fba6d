// Outputs: buffering, failed writes, text held back for a pager, tables, names, times.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "gcore/report.h"
#include "report/goroutines.h"
#include "report/table.h"

static struct gi_out *memory_out(bool json)
{
	struct gi_out *out = NULL;
	assert_null(gi_out_create_memory(json, &out));
	return out;
}

static void assert_text(struct gi_out *out, const char *want)
{
	size_t n;
	const char *text = gi_out_memory_text(out, &n);
	assert_string_equal(text, want);
	assert_int_equal(n, strlen(want));
}

static void test_text(void **state)
{
	(void)state;
	_cleanup_(gi_out_destroyp) struct gi_out *out = memory_out(false);
	gi_out_printf(out, "%d|%s|", 5, "five");
	gi_out_puts(out, "puts|");
	gi_out_write(out, "write", 3);
	gi_out_text(out, "|\033[31mred\xff\n|");
	gi_out_style(out, GI_STYLE_BAD); // without colour nothing
	gi_json_begin(out, "x");	 // in text mode nothing
	gi_json_str(out, "a", "b");
	gi_json_end(out);
	gi_out_note(out, "a\x01%s", "b");
	assert_text(out, "5|five|puts|wri|\\x1b[31mred\\xff\\x0a|note: a\\x01b\n");
}

static void test_long(void **state)
{
	(void)state;
	_cleanup_(gi_out_destroyp) struct gi_out *out = memory_out(false);
	for (unsigned i = 0; i < 100000; i++)
		gi_out_printf(out, "%07u\n", i);
	size_t n;
	const char *text = gi_out_memory_text(out, &n);
	assert_int_equal(n, 800000);
	assert_memory_equal(text + 8 * 99999, "0099999\n", 8);
}

static void test_styles(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	struct gi_out *out = NULL;
	assert_null(gi_out_create_fd(fds[1], false, true, &out));
	assert_true(gi_out_has_color(out));
	gi_out_style(out, GI_STYLE_BAD);
	gi_out_puts(out, "x");
	gi_out_style(out, GI_STYLE_NONE);
	assert_null(gi_out_flush(out));
	char buf[64];
	ssize_t n = read(fds[0], buf, sizeof(buf));
	assert_int_equal(n, 10);
	assert_memory_equal(buf, "\033[31mx\033[0m", 10);
	gi_out_destroy(out);
	// Records have no colours.
	assert_null(gi_out_create_fd(fds[1], true, true, &out));
	assert_false(gi_out_has_color(out));
	gi_out_destroy(out);
	close(fds[0]);
	close(fds[1]);
}

static void test_failed_writes(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	struct gi_out *out = NULL;
	assert_null(gi_out_create_fd(fds[1], false, false, &out));
	gi_out_puts(out, "lost");
	assert_null(gi_out_check(out)); // it stands in the buffer yet
	for (int i = 0; i < 3; i++) {
		struct gi_error *err = i == 1 ? gi_out_check(out) : gi_out_flush(out);
		assert_non_null(err);
		assert_int_equal(gi_error_code(err), GI_ERR_PIPE);
		gi_error_free(err);
		gi_out_puts(out, "more"); // dropped
	}
	gi_out_destroy(out);
	close(fds[1]);

	int fd = open("/dev/full", O_WRONLY);
	if (fd < 0)
		return;
	assert_null(gi_out_create_fd(fd, false, false, &out));
	gi_out_puts(out, "lost");
	struct gi_error *err = gi_out_flush(out);
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), GI_ERR_IO);
	gi_error_free(err);
	gi_out_destroy(out);
	close(fd);
}

struct overflow {
	int fd, calls;
};

static int overflow(void *arg)
{
	struct overflow *o = arg;
	o->calls++;
	return o->fd;
}

// What text gives on a screen of 3 rows and 10 columns: is the pager asked for?
static bool pages(const char *text)
{
	int first[2], pager[2];
	assert_int_equal(pipe(first), 0);
	assert_int_equal(pipe(pager), 0);
	struct overflow o = {.fd = pager[1]};
	struct gi_out *out = NULL;
	assert_null(gi_out_create_fd(first[1], false, false, &out));
	gi_out_set_overflow(out, 3, 10, overflow, &o);
	for (const char *p = text; *p; p++)
		gi_out_write(out, p, 1);
	assert_null(gi_out_flush(out));
	gi_out_destroy(out);
	assert_true(o.calls <= 1);
	// All of it is in one place.
	char buf[256];
	ssize_t n = read(o.calls ? pager[0] : first[0], buf, sizeof(buf));
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
	for (int i = 0; i < 2; i++) {
		close(first[i]);
		close(pager[i]);
	}
	return o.calls;
}

static void test_overflow(void **state)
{
	(void)state;
	assert_false(pages("a\n"));
	assert_false(pages("a\nb\n"));
	assert_true(pages("a\nb\nc\n"));
	assert_true(pages("a\nb\nc\nd\n"));
	// Lines that wrap take more than one row.
	assert_false(pages("1234567890\n1\n"));
	assert_true(pages("12345678901\n1\n"));
	assert_false(pages(
		"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\n1\n"));
	assert_true(pages("\t\t1\n1\n"));
}

static void test_progress(void **state)
{
	(void)state;
	_cleanup_(gi_out_destroyp) struct gi_out *out = memory_out(false);
	gi_out_progress(out, "things", 1, 2); // nobody asked for it
	assert_text(out, "");
}

static void test_table(void **state)
{
	(void)state;
	static const char *const heads[] = {">NR", "NAME", "REST", NULL};
	_cleanup_(gi_out_destroyp) struct gi_out *out = memory_out(false);
	struct gi_table t;
	gi_table_init(&t, heads);
	gi_table_cell(&t, "%d", 1);
	gi_table_text(&t, "\xc3\xa9t\xc3\xa9s\x1b");
	gi_table_text(&t, "x");
	gi_table_cell(&t, "%d", 1000);
	gi_table_text(&t, NULL);
	gi_table_text(&t, "");
	gi_table_print(&t, out);
	gi_table_deinit(&t);
	assert_text(out, "  NR  NAME      REST\n"
			 "   1  \xc3\xa9t\xc3\xa9s\\x1b  x\n"
			 "1000  -         -\n");
}

static void test_durations(void **state)
{
	(void)state;
	static const struct {
		uint64_t seconds, ms;
		const char *text;
	} cases[] = {
		{0, 0, "0ms"},
		{0, 350, "350ms"},
		{0, 999, "999ms"},
		{1, 0, "1.0s"},
		{59, 999, "59.9s"},
		{60, 0, "1m0s"},
		{3599, 0, "59m59s"},
		{3600, 0, "1h0m"},
		{90061, 0, "25h1m"},
		{200000, 0, "2d7h"},
		{UINT64_MAX / 1000000000, 0, "213503d23h"},
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		_cleanup_(gi_str_deinit) struct gi_str s = {0};
		gi_duration_format(&s, cases[i].seconds * 1000000000 + cases[i].ms * 1000000);
		assert_string_equal(gi_str_cstr(&s), cases[i].text);
	}
}

static void test_labels(void **state)
{
	(void)state;
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	gi_label_format(&s, "a", 1, "plain", 5);
	gi_label_format(&s, "b", 1, "", 0);
	gi_label_format(&s, "c", 1, "q\"b\\ c", 6);
	gi_label_format(&s, "d\x01", 2, "\xff", 1);
	assert_string_equal(gi_str_cstr(&s), "a=plain, b=\"\", c=\"q\\\"b\\\\ c\", d\\x01=\\xff");
}

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"main.main", "main.main"},
		{"main.f[go.shape.int]", "main.f[...]"},
		{"main.(*T[go.shape.[]uint8]).M", "main.(*T[...]).M"},
		{"main.f[a].func1[b].c", "main.f[...].c"},
		{"odd]name[", "odd]name["},
		{"esc\x1b", "esc\\x1b"},
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		_cleanup_(gi_str_deinit) struct gi_str s = {0};
		gi_function_print_name(cases[i].in, &s);
		assert_string_equal(gi_str_cstr(&s), cases[i].out);
	}
}

static void test_filters(void **state)
{
	(void)state;
	struct gi_g_filter f;
	assert_null(gi_g_filter_parse("wait  chan receive", false, &f));
	assert_int_equal(f.field, GI_FIELD_WAIT);
	assert_string_equal(f.value, "chan receive");
	assert_null(gi_g_filter_parse("label k=v=w", true, &f));
	assert_true(f.without && f.label_key_len == 1);
	assert_string_equal(f.label_val, "v=w");
	assert_null(gi_g_filter_parse("label k", false, &f));
	assert_null(f.label_val);
	static const char *const bad[] = {"",		"wait",	 "wait ",  "user x",
					  "colour red", "stack", "waits x"};
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++) {
		struct gi_error *err = gi_g_filter_parse(bad[i], false, &f);
		if (!err)
			fail_msg("\"%s\" is no filter", bad[i]);
		assert_int_equal(gi_error_code(err), GI_ERR_USAGE);
		gi_error_free(err);
	}
	enum gi_g_field field;
	const char *label;
	assert_null(gi_g_group_parse("label tenant", &field, &label));
	assert_string_equal(label, "tenant");
	assert_null(gi_g_group_parse("stack", &field, &label));
	assert_null(label);
	struct gi_error *err = gi_g_group_parse("function", &field, &label);
	assert_non_null(err);
	gi_error_free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	 cmocka_unit_test(test_long),
		cmocka_unit_test(test_styles),	 cmocka_unit_test(test_failed_writes),
		cmocka_unit_test(test_overflow), cmocka_unit_test(test_progress),
		cmocka_unit_test(test_table),	 cmocka_unit_test(test_durations),
		cmocka_unit_test(test_labels),	 cmocka_unit_test(test_names),
		cmocka_unit_test(test_filters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// The resolver of layouts: spellings by release, what must be there, what may be missing,
// sizes that do not fit. The source is a made-up one that knows every name but those that
// a test takes away.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "go/layout.h"

enum { MAX_RULES = 8, RECORD_SIZE = 4096 };

struct rule {
	const char *type, *path; // path NULL: the type itself
	uint32_t off;
	uint16_t size; // 0: there is no such thing
};

struct source {
	struct rule rules[MAX_RULES];
	size_t rule_count;
	bool broken;
};

static const struct rule *find_rule(const struct source *s, const char *type, const char *path)
{
	for (size_t i = 0; i < s->rule_count; i++) {
		const struct rule *r = &s->rules[i];

		if (strcmp(r->type, type) != 0 || !r->path != !path)
			continue;
		if (!path || strcmp(r->path, path) == 0)
			return r;
	}
	return NULL;
}

static struct gi_error *not_found(const char *name)
{
	return gi_error_create(GI_ERR_NOT_FOUND, "no %s", name);
}

static struct gi_error *source_record(void *arg, const char *type, uint64_t *size_ret)
{
	const struct rule *r = find_rule(arg, type, NULL);

	if (r && !r->size)
		return not_found(type);
	*size_ret = RECORD_SIZE;
	return NULL;
}

// Slices and strings by name; all else is a word.
static uint16_t size_of(const char *path)
{
	static const char *const slices[] = {
		"funcnametab", "cutab",	     "filetab",	  "pctab",	    "pclntable", "ftab",
		"textsectmap", "List",	     "list",	  "timers.heap",    "timers",	 "pcs",
		"allspans",    "heapArenas", "allArenas", "userArenaArenas", "IP"};
	static const char *const strings[] = {"preemptoff", "Key", "key", "Value", "value", "name",
					    "net",	  "Name"};

	for (size_t i = 0; i < GI_ARRAY_SIZE(slices); i++) {
		if (strcmp(slices[i], path) == 0)
			return 24;
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(strings); i++) {
		if (strcmp(strings[i], path) == 0)
			return 16;
	}
	return 8;
}

static struct gi_error *source_member(void *arg, const char *type, const char *path,
				      struct gi_field *ret)
{
	const struct source *s = arg;
	const struct rule *r = find_rule(s, type, path);

	if (s->broken)
		return gi_error_create(GI_ERR_IO, "the disk is gone");
	if (r && !r->size)
		return not_found(path);
	if (strcmp(type, "runtime.dbgVar") == 0 && strcmp(path, "value") == 0)
		*ret = (struct gi_field){.off = 16, .size = 8};
	else if (r)
		*ret = (struct gi_field){.off = r->off, .size = r->size};
	else
		*ret = (struct gi_field){.off = 16, .size = size_of(path)};
	return NULL;
}

static struct gi_error *source_global(void *arg, const char *name, struct gi_global *ret)
{
	const struct rule *r = find_rule(arg, name, NULL);

	if (r && !r->size)
		return not_found(name);
	*ret = (struct gi_global){.addr = 0x1000, .size = 8};
	return NULL;
}

static struct gi_error *source_constant(void *arg, const char *name, int64_t *ret)
{
	const struct rule *r = find_rule(arg, name, NULL);

	if (r && !r->size)
		return not_found(name);
	*ret = 77;
	return NULL;
}

static void take_away(struct source *s, const char *type, const char *path)
{
	assert_true(s->rule_count < MAX_RULES);
	s->rules[s->rule_count++] = (struct rule){.type = type, .path = path};
}

static void put(struct source *s, const char *type, const char *path, uint32_t off, uint16_t size)
{
	assert_true(s->rule_count < MAX_RULES);
	s->rules[s->rule_count++] = (struct rule){type, path, off, size};
}

static struct gi_error *resolve(struct source *s, int minor, struct gi_layout *l,
				struct gi_str *missing)
{
	const struct gi_layout_source src = {.arg = s,
					     .what = "the test's source",
					     .record = source_record,
					     .member = source_member,
					     .global = source_global,
					     .constant = source_constant};

	return gi_layout_resolve(&src, minor, l, missing);
}

static void expect_ok(struct source *s, int minor, struct gi_layout *l, const char *missing_want)
{
	_cleanup_(gi_str_deinit) struct gi_str missing = {0};
	struct gi_error *err = resolve(s, minor, l, &missing);

	if (err)
		fail_msg("%s", gi_error_message(err));
	assert_string_equal(gi_str_cstr(&missing), missing_want);
}

static void expect_error(struct source *s, int minor, enum gi_error_code code, const char *text)
{
	_cleanup_(gi_str_deinit) struct gi_str missing = {0};
	struct gi_layout l = {.g = {.rec = {.size = 123}}};
	struct gi_error *err = resolve(s, minor, &l, &missing);

	assert_non_null(err);
	assert_int_equal(gi_error_code(err), code);
	if (!strstr(gi_error_message(err), text))
		fail_msg("\"%s\" does not say \"%s\"", gi_error_message(err), text);
	gi_error_free(err);
	assert_int_equal(l.g.rec.size, 123); // outs are untouched on failure
}

static void test_newest_spelling_wins(void **state)
{
	struct source s = {0};
	struct gi_layout l;

	(void)state;
	put(&s, "runtime.g", "atomicstatus.value", 144, 4);
	put(&s, "runtime.g", "atomicstatus", 200, 4);
	expect_ok(&s, 27, &l, "");
	assert_true(l.g.status.ok);
	assert_int_equal(l.g.status.off, 144);
	assert_int_equal(l.g.status.size, 4);
	assert_int_equal(l.g.rec.size, RECORD_SIZE);
}

static void test_older_spelling_is_found(void **state)
{
	struct source s = {0};
	struct gi_layout l;

	(void)state;
	take_away(&s, "runtime.g", "atomicstatus.value");
	put(&s, "runtime.g", "atomicstatus", 200, 4);
	take_away(&s, "runtime.sudog", "elem.vu");
	take_away(&s, "runtime.sudog", "elem.maybeTraceablePtr.vu");
	put(&s, "runtime.sudog", "elem", 24, 8);
	expect_ok(&s, 19, &l, "");
	assert_int_equal(l.g.status.off, 200);
	assert_int_equal(l.sudog.elem.off, 24);
}

static void test_must_is_named(void **state)
{
	struct source s = {0};

	(void)state;
	take_away(&s, "runtime.g", "sched.sp");
	expect_error(&s, 27, GI_ERR_UNSUPPORTED, "runtime.g.sched.sp");
	expect_error(&s, 0, GI_ERR_UNSUPPORTED, "runtime.g.sched.sp");

	s = (struct source){0};
	take_away(&s, "runtime.moduledata", NULL);
	expect_error(&s, 27, GI_ERR_UNSUPPORTED, "no runtime.moduledata:");

	s = (struct source){0};
	take_away(&s, "runtime.allgptr", NULL);
	expect_error(&s, 27, GI_ERR_UNSUPPORTED, "runtime.allgptr");
}

static void test_wanted_is_listed(void **state)
{
	struct source s = {0};
	struct gi_layout l;

	(void)state;
	take_away(&s, "runtime.g", "parentGoid");
	take_away(&s, "runtime.semtable", NULL);
	expect_ok(&s, 27, &l, "runtime.g.parentGoid, runtime.semtable");
	assert_false(l.g.parent_goid.ok);
	assert_false(l.global.semtable.ok);
	// Not expected before 1.21.
	expect_ok(&s, 20, &l, "runtime.semtable");
	// Of an unknown release nothing in particular is expected.
	expect_ok(&s, 0, &l, "");
}

static void test_release_decides_what_is_looked_for(void **state)
{
	struct source s = {0};
	struct gi_layout l;

	(void)state;
	expect_ok(&s, 19, &l, "");
	assert_false(l.g.parent_goid.ok);
	assert_true(l.defer.fd.ok);
	expect_ok(&s, 27, &l, "");
	assert_true(l.g.parent_goid.ok);
	assert_false(l.defer.fd.ok);
	expect_ok(&s, 0, &l, "");
	assert_true(l.g.parent_goid.ok);
	assert_true(l.defer.fd.ok);
}

static void test_optional_types(void **state)
{
	struct source s = {0};
	struct gi_layout l;

	(void)state;
	take_away(&s, "sync.Mutex", NULL);
	expect_ok(&s, 27, &l, "");
	assert_false(l.mutex.rec.ok);
	assert_true(l.rwmutex.rec.ok);

	// A type without what it is good for is told, and not used.
	s = (struct source){0};
	take_away(&s, "sync.Mutex", "mu.sema");
	take_away(&s, "sync.Mutex", "sema");
	expect_ok(&s, 27, &l, "sync.Mutex.mu.sema");
	assert_false(l.mutex.rec.ok);
}

static void test_sizes(void **state)
{
	struct source s = {0};
	struct gi_layout l;

	(void)state;
	// A number of 3 bytes is none; a pointer of 4 is none.
	put(&s, "runtime.g", "goid", 16, 3);
	expect_error(&s, 27, GI_ERR_UNSUPPORTED, "runtime.g.goid has 3 bytes");
	s = (struct source){0};
	put(&s, "runtime.m", "g0", 16, 4);
	expect_error(&s, 27, GI_ERR_UNSUPPORTED, "runtime.m.g0 has 4 bytes");
	s = (struct source){0};
	put(&s, "runtime.g", "labels", 16, 4);
	expect_ok(&s, 27, &l, "runtime.g.labels");
	assert_false(l.g.labels.ok);
}

static void test_member_outside_of_its_struct(void **state)
{
	struct source s = {0};

	(void)state;
	put(&s, "runtime.g", "goid", RECORD_SIZE - 7, 8);
	expect_error(&s, 27, GI_ERR_FORMAT, "outside of its struct");
	s.rule_count = 0;
	put(&s, "runtime.g", "goid", UINT32_MAX, 8);
	expect_error(&s, 27, GI_ERR_FORMAT, "outside of its struct");
}

static void test_constants(void **state)
{
	struct source s = {0};
	struct gi_layout l;

	(void)state;
	expect_ok(&s, 27, &l, "");
	assert_int_equal(l.constant.sem_tab_size, 77);
	take_away(&s, "runtime.semTabSize", NULL);
	take_away(&s, "internal/abi.FuncIDWrapper", NULL);
	take_away(&s, "runtime.funcID_wrapper", NULL);
	expect_ok(&s, 27, &l, "");
	assert_int_equal(l.constant.sem_tab_size, 251);
	assert_int_equal(l.constant.func_id_wrapper, -1);
}

static void test_source_errors_pass(void **state)
{
	struct source s = {.broken = true};

	(void)state;
	expect_error(&s, 27, GI_ERR_IO, "the disk is gone");
}

static void test_values(void **state)
{
	const uint8_t bytes[] = {0xfe, 0xff, 0xff, 0xff, 0x01, 0x80, 0, 0, 0, 0, 0, 0};

	(void)state;
	assert_int_equal(gi_field_uint(bytes, (struct gi_field){0, 4, true, 0}), 0xfffffffe);
	assert_int_equal(gi_field_int(bytes, (struct gi_field){0, 4, true, 0}), -2);
	assert_int_equal(gi_field_int(bytes, (struct gi_field){0, 1, true, 0}), -2);
	assert_int_equal(gi_field_int(bytes, (struct gi_field){4, 2, true, 0}), -32767);
	assert_int_equal(gi_field_uint(bytes, (struct gi_field){4, 8, true, 0}), 0x8001);
	assert_int_equal(gi_field_uint(bytes, (struct gi_field){0, 4, false, 0}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newest_spelling_wins),
		cmocka_unit_test(test_older_spelling_is_found),
		cmocka_unit_test(test_must_is_named),
		cmocka_unit_test(test_wanted_is_listed),
		cmocka_unit_test(test_release_decides_what_is_looked_for),
		cmocka_unit_test(test_optional_types),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_member_outside_of_its_struct),
		cmocka_unit_test(test_constants),
		cmocka_unit_test(test_source_errors_pass),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests_name("go layout", tests, NULL, NULL);
}

// Stripped programs: what a table and the program's own code say must be what its debug
// information said before it was stripped, for every line of layout.def. The shipped
// programs are stripped here, in the ways that people do it.

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "go/go_impl.h"
#include "../support/files.h"
#include "checks.h"

static const char *const programs[] = {"zoo-go1.19.13",	    "zoo-go1.27.4",    "zoo_cgo-go1.19.13",
				       "zoo_cgo-go1.27.4",  "abba-go1.19.13",  "abba-go1.27.4",
				       "healthy-go1.19.13", "healthy-go1.27.4"};

struct program {
	struct gi_target *t;
	struct gi_go *go;
};

static struct gi_error *try_open(const char *name, const char *exe, struct program *ret)
{
	char core[512];
	const struct gi_target_options opts = {.exe = exe};

	no_error(gi_target_open_core(corefile(name, ".core", core, sizeof(core)), &opts, &ret->t));
	return gi_go_open(ret->t, &ret->go);
}

static struct program open_program(const char *name, const char *exe)
{
	struct program p = {0};

	no_error(try_open(name, exe, &p));
	return p;
}

static void close_program(struct program *p)
{
	gi_go_close(p->go);
	gi_target_close(p->t);
}

static char *read_file(const char *path, size_t *size_ret)
{
	FILE *f = fopen(path, "rb");
	char *bytes;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	*size_ret = (size_t)ftell(f);
	rewind(f);
	bytes = malloc(*size_ret);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, *size_ret, f), *size_ret);
	fclose(f);
	return bytes;
}

// A copy of a program's executable that objcopy has made with these options; free() it.
static char *reduced(const char *name, const char *options)
{
	char exe[512], line[2048];
	char *path = test_path("reduced");

	snprintf(line, sizeof(line), "objcopy %s '%s' '%s' >&2", options,
		 corefile(name, ".exe", exe, sizeof(exe)), path);
	if (system(line) != 0)
		fail_msg("%s failed", line);
	return path;
}

// The same for programs of other processors, which not every objcopy knows: symbols and debug
// information stay in the file, but no section is there for them.
static char *reduced_by_hand(const char *name)
{
	char exe[512];
	size_t size;
	char *bytes = read_file(corefile(name, ".exe", exe, sizeof(exe)), &size);
	Elf64_Ehdr h;
	Elf64_Shdr s, names;

	assert_true(size > sizeof(h));
	memcpy(&h, bytes, sizeof(h));
	assert_true(h.e_shoff + (uint64_t)h.e_shnum * sizeof(s) <= size);
	memcpy(&names, bytes + h.e_shoff + h.e_shstrndx * sizeof(s), sizeof(s));
	for (size_t i = 0; i < h.e_shnum; i++) {
		char *at = bytes + h.e_shoff + i * sizeof(s);
		const char *section;

		memcpy(&s, at, sizeof(s));
		section = bytes + names.sh_offset + s.sh_name;
		if (s.sh_type == SHT_SYMTAB || strncmp(section, ".debug", 6) == 0 ||
		    strncmp(section, ".zdebug", 7) == 0)
			memset(at, 0, sizeof(s));
	}
	char *path = test_write("reduced", bytes, size);
	free(bytes);
	return path;
}

// --- against debug information ----------------------------------------------------------

static void same_field(const char *program, const char *what, struct gi_field want,
		       struct gi_field got)
{
	if (want.ok != got.ok || want.off != got.off || want.size != got.size ||
	    want.count != got.count)
		fail_msg("%s: %s is {%u, %u, %u, %d} by DWARF, {%u, %u, %u, %d} stripped", program,
			 what, want.off, want.size, want.count, want.ok, got.off, got.size,
			 got.count, got.ok);
}

static void same_record(const char *program, const char *what, struct gi_record want,
			struct gi_record got)
{
	if (want.ok != got.ok || want.size != got.size)
		fail_msg("%s: %s has %llu bytes by DWARF, %llu stripped", program, what,
			 (unsigned long long)want.size, (unsigned long long)got.size);
}

static void same_global(const char *program, const char *what, struct gi_global want,
			struct gi_global got)
{
	if (want.ok != got.ok || want.addr != got.addr || want.size != got.size)
		fail_msg("%s: %s is at 0x%llx, %llu bytes by DWARF; 0x%llx, %llu "
			 "stripped",
			 program, what, (unsigned long long)want.addr,
			 (unsigned long long)want.size, (unsigned long long)got.addr,
			 (unsigned long long)got.size);
}

// Types that a program does not use are in no DWARF of its own, but in the table.
static void same_layout(const char *program, const struct gi_layout *want,
			const struct gi_layout *got, bool symbols)
{
	bool known = false;

#define L_STRUCT(id, need, since, until, names) \
	known = want->id.rec.ok;                \
	if (known)                              \
		same_record(program, #id, want->id.rec, got->id.rec);
#define L_FIELD(s, id, kind, need, since, until, paths) \
	if (known)                                      \
		same_field(program, #s "." #id, want->s.id, got->s.id);
#define L_END(id)
#define L_GLOBAL(id, need, since, until, names)  \
	if (symbols || strcmp(#id, "tlsg") != 0) \
		same_global(program, #id, want->global.id, got->global.id);
#define L_CONST(id, fallback, since, until, names) \
	assert_int_equal(want->constant.id, got->constant.id);
#include "go/layout.def"
#undef L_STRUCT
#undef L_FIELD
#undef L_END
#undef L_GLOBAL
#undef L_CONST
}

// Takes exe.
static void check_exe(const char *name, char *exe, bool symbols)
{
	char full[512];
	struct program want = open_program(name, corefile(name, ".exe", full, sizeof(full)));
	struct program got = open_program(name, exe);

	assert_null(gi_go_dwarf(got.go));
	assert_non_null(gi_go_dwarf(want.go));
	assert_string_equal(gi_go_version(got.go)->text, gi_go_version(want.go)->text);
	same_layout(name, &want.go->layout, &got.go->layout, symbols);
	assert_int_equal(gi_go_g_count(got.go), gi_go_g_count(want.go));
	assert_int_equal(gi_go_m_count(got.go), gi_go_m_count(want.go));
	assert_int_equal(gi_go_p_count(got.go), gi_go_p_count(want.go));
	for (size_t i = 0; i < gi_go_note_count(got.go); i++) {
		if (i >= gi_go_note_count(want.go))
			fail_msg("%s: stripped, it has one more note: %s", name,
				 gi_go_note(got.go, i));
		assert_string_equal(gi_go_note(got.go, i), gi_go_note(want.go, i));
	}
	close_program(&want);
	close_program(&got);
	free(exe);
}

static void check_reduced(const char *name, const char *options, bool symbols)
{
	check_exe(name, reduced(name, options), symbols);
}

static void check_all(const char *options, bool symbols)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++)
		check_reduced(programs[i], options, symbols);
}

// strip, -ldflags=-s
static void test_strip(void **state)
{
	(void)state;
	check_all("--strip-all", false);
}

// strip -g, -ldflags=-w: symbols stay.
static void test_strip_debug(void **state)
{
	(void)state;
	check_all("--strip-debug", true);
}

// The release is found in the data then.
static void test_no_build_info(void **state)
{
	(void)state;
	check_all("--strip-all --rename-section .go.buildinfo=.elsewhere", false);
}

static void test_arm64(void **state)
{
	(void)state;
	check_exe("zoo-go1.19.13-arm64", reduced_by_hand("zoo-go1.19.13-arm64"), false);
	check_exe("zoo_cgo-go1.27.4-arm64", reduced_by_hand("zoo_cgo-go1.27.4-arm64"), false);
	// It is no other way to strip.
	check_exe("zoo-go1.27.4", reduced_by_hand("zoo-go1.27.4"), false);
}

// -ldflags=-w in a program with C in it: there is debug information, but none of Go. This
// test's own is it.
static void test_debug_info_of_c(void **state)
{
	static const char *const sections[] = {".debug_info", ".debug_abbrev", ".debug_str",
					       ".debug_line_str"};
	char options[2048] = "--strip-all", line[4096];
	char *out = test_path("copy");
	char *files[GI_ARRAY_SIZE(sections)];

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(sections); i++) {
		size_t n = strlen(options);

		files[i] = test_path(sections[i]);
		snprintf(line, sizeof(line), "objcopy --dump-section %s='%s' '/proc/%d/exe' '%s' >&2",
			 sections[i], files[i], (int)getpid(), out);
		if (system(line) != 0)
			fail_msg("%s failed", line);
		snprintf(options + n, sizeof(options) - n, " --add-section %s='%s'", sections[i],
			 files[i]);
	}
	check_reduced("zoo_cgo-go1.27.4", options, false);
	check_reduced("abba-go1.19.13", options, false);
	for (size_t i = 0; i < GI_ARRAY_SIZE(sections); i++)
		free(files[i]);
	free(out);
}

// --- releases that are not known ------------------------------------------------------

// Replaces text everywhere in a copy of a program made by objcopy, which must have it;
// free() it.
static char *with_text(const char *name, const char *options, const char *from, const char *to)
{
	char *path = reduced(name, options);
	size_t size, len = strlen(from), count = 0;
	char *bytes = read_file(path, &size);

	assert_int_equal(strlen(to), len);
	for (size_t i = 0; i + len <= size; i++) {
		if (memcmp(bytes + i, from, len) == 0) {
			memcpy(bytes + i, to, len);
			count++;
		}
	}
	assert_true(count > 0);
	free(path);
	path = test_write("other-version", bytes, size);
	free(bytes);
	return path;
}

static char *with_version(const char *name, const char *from, const char *to)
{
	return with_text(name, "--strip-all", from, to);
}

static bool has_note(struct gi_go *go, const char *text)
{
	for (size_t i = 0; i < gi_go_note_count(go); i++) {
		if (strstr(gi_go_note(go, i), text))
			return true;
	}
	return false;
}

// The nearest table fits, because the program is not newer than it.
static void test_newer_release(void **state)
{
	char *exe = with_version("abba-go1.27.4", "go1.27.4", "go1.99.4");
	struct program p = open_program("abba-go1.27.4", exe);

	(void)state;
	assert_string_equal(gi_go_version(p.go)->text, "go1.99.4");
	assert_true(has_note(p.go, "no table of layouts for go1.99.4"));
	assert_true(has_note(p.go, "the one of go1.27 is used"));
	assert_true(gi_go_g_count(p.go) > 3);
	close_program(&p);
	free(exe);
}

// With debug information no table is asked.
static void test_newer_release_debug(void **state)
{
	char *exe = with_text("abba-go1.27.4", "", "go1.27.4", "go1.28.1");
	struct program p = open_program("abba-go1.27.4", exe);

	(void)state;
	assert_string_equal(gi_go_version(p.go)->text, "go1.28.1");
	assert_non_null(gi_go_dwarf(p.go));
	assert_true(has_note(p.go, "newer than the newest Go release"));
	assert_false(has_note(p.go, "no table"));
	assert_true(gi_go_g_count(p.go) > 3);
	close_program(&p);
	free(exe);
}

// What a wrong layout would make of the data, one struct at a time.
static void break_start(struct gi_go *go)
{
	for (size_t i = 0; i < go->g_count; i++)
		go->gs[i].start_pc++;
}

static void break_main(struct gi_go *go)
{
	struct gi_func f;

	assert_true(gi_functab_find_name(go->functab, "runtime.mcall", &f));
	for (size_t i = 0; i < go->g_count; i++)
		go->gs[i].start_pc = go->gs[i].goid == 1 ? f.entry : 0;
	for (size_t i = 0; i < go->g_count; i++)
		go->gs[i].go_pc = go->gs[i].goid == 1;
}

static void break_pc(struct gi_go *go)
{
	for (size_t i = 0; i < go->g_count; i++)
		go->gs[i].sched_pc = go->gs[i].sched_sp;
}

static void break_reason(struct gi_go *go)
{
	for (size_t i = 0; i < go->g_count; i++)
		go->gs[i].wait_reason = 255;
}

static void break_sudog(struct gi_go *go)
{
	go->layout.sudog.g.off += 8;
}

static void break_chan(struct gi_go *go)
{
	go->layout.hchan.qcount.off = go->layout.hchan.buf.off;
}

static void break_procid(struct gi_go *go)
{
	for (size_t i = 0; i < go->m_count; i++)
		go->ms[i].procid = go->ms[i].g0;
}

static void break_m0(struct gi_go *go)
{
	go->layout.global.m0.addr += 8;
}

static void break_ps(struct gi_go *go)
{
	for (size_t i = 0; i < go->p_count; i++)
		go->ps[i].m = go->ps[i].addr;
}

static void break_g_size(struct gi_go *go)
{
	go->layout.g.rec.size *= 2;
}

static void break_heap(struct gi_go *go)
{
	go->layout.mheap.allspans.off += 8;
}

static void test_fit(void **state)
{
	static void (*const breaks[])(struct gi_go *go) = {
		NULL,	     break_start,  break_main, break_pc, break_reason, break_sudog,
		break_chan,  break_procid, break_m0,   break_ps, break_g_size, break_heap};
	char *exe = reduced("zoo-go1.27.4", "--strip-all");

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(breaks); i++) {
		struct program p = open_program("zoo-go1.27.4", exe);
		struct gi_error *err;
		size_t notes = gi_go_note_count(p.go);

		assert_false(gi_go_has_foreign_table(p.go));
		p.go->version.minor = 99;
		assert_true(gi_go_has_foreign_table(p.go));
		if (breaks[i])
			breaks[i](p.go);
		err = gi_go_check_fit(p.go);
		if (!breaks[i])
			no_error(err);
		else if (!err)
			fail_msg("what break %zu broke fits", i);
		else
			assert_int_equal(gi_error_code(err), GI_ERR_MISMATCH);
		gi_error_free(err);
		assert_int_equal(gi_go_note_count(p.go), notes);
		close_program(&p);
	}
	free(exe);
}

// Each other release's table must be refused, rather than give nonsense.
static void test_wrong_table(void **state)
{
	static const char *const versions[] = {"go1.18.1", "go1.20.1", "go1.21.1", "go1.22.1",
					       "go1.23.1", "go1.24.1", "go1.25.1", "go1.26.1"};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(versions); i++) {
		char *exe = with_version("abba-go1.27.4", "go1.27.4", versions[i]);
		struct program p = {0};
		struct gi_error *err = try_open("abba-go1.27.4", exe, &p);

		if (!err)
			fail_msg("the layouts of %s fit go1.27.4", versions[i]);
		if (!strstr(gi_error_message(err), "is stripped") ||
		    !strstr(gi_error_message(err), "--debug-dir"))
			fail_msg("%s: %s", versions[i], gi_error_message(err));
		gi_error_free(err);
		close_program(&p);
		free(exe);
	}
}

static void test_too_old(void **state)
{
	char *exe = with_version("abba-go1.19.13", "go1.19.13", "go1.17.13");
	struct program p = {0};
	struct gi_error *err = try_open("abba-go1.19.13", exe, &p);

	(void)state;
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), GI_ERR_UNSUPPORTED);
	assert_non_null(strstr(gi_error_message(err), "before Go 1.18"));
	gi_error_free(err);
	close_program(&p);
	free(exe);
}

// --- the forms of the runtime's lists -----------------------------------------------------

static void same_value(struct gi_go *go, const char *name, const struct gi_global *want)
{
	uint64_t addr, got = 0, value = 1;

	no_error(gi_go_scan_global(go, name, &addr));
	no_error(gi_target_read_u64(go->target, addr, &got));
	no_error(gi_target_read_u64(go->target, want->addr, &value));
	if (addr == want->addr)
		return;
	// Another word that holds the same list will do.
	if (got != value || !strcmp(name, "runtime.m0") || !strcmp(name, "runtime.g0"))
		fail_msg("%s is at 0x%llx (0x%llx), by its form at 0x%llx (0x%llx)", name,
			 (unsigned long long)want->addr, (unsigned long long)value,
			 (unsigned long long)addr, (unsigned long long)got);
}

// The second way to find them gives what symbols give, and the right ones have the form.
static void test_lists_by_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		char full[512];
		struct program p = open_program(programs[i],
						corefile(programs[i], ".exe", full, sizeof(full)));
		const struct gi_layout *l = &p.go->layout;
		uint64_t addr;
		struct gi_error *err;

		same_value(p.go, "runtime.m0", &l->global.m0);
		same_value(p.go, "runtime.g0", &l->global.g0);
		same_value(p.go, "runtime.allgs", &l->global.allgs);
		same_value(p.go, "runtime.allgptr", &l->global.allgptr);
		same_value(p.go, "runtime.allglen", &l->global.allglen);
		same_value(p.go, "runtime.allp", &l->global.allp);
		same_value(p.go, "runtime.allm", &l->global.allm);
		assert_true(gi_go_global_fits(p.go, "runtime.allgs", l->global.allgs.addr));
		assert_true(gi_go_global_fits(p.go, "runtime.allp", l->global.allp.addr));
		assert_true(gi_go_global_fits(p.go, "runtime.allm", l->global.allm.addr));
		assert_false(gi_go_global_fits(p.go, "runtime.allgs", l->global.allp.addr));
		assert_false(gi_go_global_fits(p.go, "runtime.allp", l->global.allgs.addr));
		assert_false(gi_go_global_fits(p.go, "runtime.allm", l->global.allgs.addr));
		err = gi_go_scan_global(p.go, "runtime.sched", &addr);
		assert_non_null(err);
		gi_error_free(err);
		close_program(&p);
	}
}

// As if another compiler had made the runtime: no function is a witness any more.
static void test_no_witnesses(void **state)
{
	char *exe = with_version("abba-go1.27.4", "runtime.", "runtimf.");
	struct program p = open_program("abba-go1.27.4", exe);

	(void)state;
	assert_true(has_note(p.go, "not found without symbols"));
	// It has a form.
	assert_false(has_note(p.go, "buildVersion"));
	assert_true(gi_go_g_count(p.go) > 3);
	assert_true(gi_go_m_count(p.go) > 2);
	assert_true(gi_go_p_count(p.go) > 0);
	close_program(&p);
	free(exe);
}

// --- tables -----------------------------------------------------------------------------

struct table_arg {
	struct gi_layout_table t;
};

static struct gi_error *record(void *arg, const char *type, uint64_t *size_ret)
{
	struct table_arg *a = arg;

	return gi_layout_table_record(&a->t, type, size_ret);
}

static struct gi_error *member(void *arg, const char *type, const char *path, struct gi_field *ret)
{
	struct table_arg *a = arg;

	return gi_layout_table_member(&a->t, type, path, ret);
}

static struct gi_error *global(void *arg, const char *name, struct gi_global *ret)
{
	struct table_arg *a = arg;

	if (gi_layout_table_global(&a->t, name, ret))
		return NULL;
	return gi_error_create(GI_ERR_NOT_FOUND, "no %s", name);
}

static struct gi_error *constant(void *arg, const char *name, int64_t *ret)
{
	struct table_arg *a = arg;

	return gi_layout_table_constant(&a->t, name, ret);
}

// Every line of layout.def that belongs to a release is in its table.
static void check_tables(enum gi_arch arch)
{
	int last = 17;

	for (size_t i = 0; i < gi_layout_table_count(arch); i++) {
		_cleanup_(gi_str_deinit) struct gi_str missing = {0};
		struct table_arg a = {gi_layout_table(arch, i)};
		const struct gi_layout_source src = {.arg = &a,
						     .what = "a table",
						     .record = record,
						     .member = member,
						     .global = global,
						     .constant = constant};
		struct gi_layout l;

		assert_true(a.t.minor == last || (a.t.minor == last + 1 && a.t.patch == 0));
		last = a.t.minor;
		no_error(gi_layout_resolve(&src, a.t.minor, &l, &missing));
		if (missing.len)
			fail_msg("the table of go1.%d.%d has no %s: make layouts", a.t.minor,
				 a.t.patch, missing.s);
	}
	assert_int_equal(last, 27);
}

static void test_tables_are_whole(void **state)
{
	(void)state;
	check_tables(GI_ARCH_AMD64);
	check_tables(GI_ARCH_ARM64);
}

static void expect_table(enum gi_arch arch, int minor, int patch, int want_minor,
			 int want_patch_max)
{
	struct gi_layout_table t = gi_layout_table_for(arch, minor, patch);

	assert_int_equal(t.minor, want_minor);
	assert_in_range(t.patch, 0, want_patch_max);
}

static void test_choice(void **state)
{
	(void)state;
	for (enum gi_arch arch = GI_ARCH_AMD64; arch <= GI_ARCH_ARM64; arch++) {
		expect_table(arch, 18, -1, 18, 0);
		expect_table(arch, 18, 10, 18, 10);
		expect_table(arch, 23, 0, 23, 0);
		expect_table(arch, 23, 12, 23, 12);
		expect_table(arch, 24, 5, 24, 5);
		assert_true(gi_layout_table_for(arch, 24, 13).patch > 5);
		expect_table(arch, 27, 99, 27, 99);
		expect_table(arch, 99, 1, 27, 99);
		expect_table(arch, 3, 1, 18, 0);
	}
	assert_int_equal(gi_layout_table_for((enum gi_arch)99, 27, 0).count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strip),
		cmocka_unit_test(test_strip_debug),
		cmocka_unit_test(test_no_build_info),
		cmocka_unit_test(test_arm64),
		cmocka_unit_test(test_debug_info_of_c),
		cmocka_unit_test(test_newer_release),
		cmocka_unit_test(test_newer_release_debug),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_wrong_table),
		cmocka_unit_test(test_too_old),
		cmocka_unit_test(test_lists_by_form),
		cmocka_unit_test(test_no_witnesses),
		cmocka_unit_test(test_tables_are_whole),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

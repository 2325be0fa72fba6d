// Symbols of the shipped programs: pclntab against what the runtime printed of itself,
// DWARF against the symbol table, and both against damage.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../support/symtab.h"
#include "checks.h"

static const char *const programs[] = {"zoo-go1.19.13", "zoo-go1.27.4", "abba-go1.19.13",
				       "abba-go1.27.4"};

// --- the runtime's own text -------------------------------------------------

enum { MAX_PENDING = 32 };

struct frame_line {
	char name[512], file[512];
	unsigned line;
};

struct text_check {
	struct gi_functab *ft;
	struct gi_pccache *cache;
	struct frame_line
		pending[MAX_PENDING]; // inlined calls above the next physical frame
	size_t pending_count;
	bool innermost; // the next frame need not stand behind a call
	size_t frames, inlined;
};

// The name as the runtime prints it.
static void printed_name(const char *name, char *buf, size_t n)
{
	const char *open = strchr(name, '['), *close = strrchr(name, ']');
	if (open && close && close > open)
		snprintf(buf, n, "%.*s[...]%s", (int)(open - name), name, close + 1);
	else
		snprintf(buf, n, "%s", strcmp(name, "runtime.gopanic") ? name : "panic");
}

static bool call_matches(const struct gi_call *c, const struct frame_line *l)
{
	char name[512];
	printed_name(c->name, name, sizeof(name));
	return !strcmp(name, l->name) && !strcmp(c->file, l->file) && c->line == l->line;
}

static bool info_matches(struct text_check *tc, const struct gi_pcinfo *info,
			 const struct frame_line *l)
{
	size_t k = 0;
	int wrapper = gi_functab_wrapper_id(tc->ft);
	for (size_t i = 0; i + 1 < info->call_count; i++) {
		if (k < tc->pending_count &&
		    call_matches(&info->calls[i], &tc->pending[k]))
			k++;
		else if (info->calls[i].func_id !=
			 wrapper) // those are left out of the text
			return false;
	}
	return k == tc->pending_count &&
	       call_matches(&info->calls[info->call_count - 1], l);
}

static void check_frame(struct text_check *tc, const struct frame_line *l, uint64_t off,
			uint64_t pc)
{
	const struct gi_pcinfo *info = gi_pccache_get(tc->cache, pc, true);
	if (!info)
		fail_msg("no function at 0x%llx (%s)", (unsigned long long)pc, l->name);
	if (!info_matches(tc, info, l)) {
		if (tc->innermost)
			info = gi_pccache_get(tc->cache, pc, false);
		if (!info_matches(tc, info, l))
			fail_msg("0x%llx is %s %s:%u here, %s %s:%u for the runtime (%zu "
				 "inlined)",
				 (unsigned long long)pc,
				 info->calls[info->call_count - 1].name,
				 info->calls[info->call_count - 1].file,
				 info->calls[info->call_count - 1].line, l->name, l->file,
				 l->line, tc->pending_count);
	}
	assert_int_equal(pc - info->func.entry, off);
	tc->inlined += tc->pending_count;
	tc->frames++;
}

static void check_text(struct text_check *tc, FILE *fp)
{
	char *line = NULL;
	size_t cap = 0;
	struct frame_line l;
	bool have_name = false;
	while (getline(&line, &cap, fp) > 0) {
		line[strcspn(line, "\n")] = '\0';
		unsigned long long off, pc;
		int at;
		if (line[0] != '\t') {
			char *paren = strrchr(line, '(');
			have_name = paren && strncmp(line, "created by ", 11) != 0;
			if (!have_name) {
				tc->pending_count = 0;
				tc->innermost = true;
				continue;
			}
			snprintf(l.name, sizeof(l.name), "%.*s", (int)(paren - line),
				 line);
			continue;
		}
		if (!have_name ||
		    sscanf(line, "\t%511[^:]:%u%n", l.file, &l.line, &at) != 2)
			continue;
		if (sscanf(line + at, " +0x%llx fp=%*s sp=%*s pc=0x%llx", &off, &pc) ==
		    2) {
			check_frame(tc, &l, off, pc);
			tc->innermost = !strcmp(l.name, "runtime.sigpanic") ||
					!strcmp(l.name, "runtime.asyncPreempt");
			tc->pending_count = 0;
		} else if (!line[at]) {
			assert_true(tc->pending_count < MAX_PENDING);
			tc->pending[tc->pending_count++] = l;
		}
		have_name = false;
	}
	free(line);
}

static void test_runtime_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		char path[4096];
		struct symtab st;
		struct text_check tc = {.innermost = true};
		no_error(symtab_open(&st,
				     corefile(programs[i], ".exe", path, sizeof(path))));
		no_error(gi_functab_create(st.t, &st.mod, 1, &tc.ft));
		no_error(gi_pccache_create(tc.ft, &tc.cache));
		FILE *fp = fopen(corefile(programs[i], ".txt", path, sizeof(path)), "r");
		assert_non_null(fp);
		check_text(&tc, fp);
		fclose(fp);
		print_message("%s: %zu frames, %zu inlined calls\n", programs[i],
			      tc.frames, tc.inlined);
		assert_true(tc.frames > 50);
		assert_true(tc.inlined > 5);
		gi_pccache_destroy(tc.cache);
		gi_functab_destroy(tc.ft);
		symtab_close(&st);
	}
}

// Every function has a name, is found by its pcs, and has a line and an SP delta at its
// entry.
static void test_all_functions(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		char path[4096];
		struct symtab st;
		struct gi_functab *ft;
		struct gi_func f, g;
		no_error(symtab_open(&st,
				     corefile(programs[i], ".exe", path, sizeof(path))));
		no_error(gi_functab_create(st.t, &st.mod, 1, &ft));
		size_t n = gi_functab_count(ft), named = 0;
		assert_true(n > 1000);
		for (size_t k = 0; k < n; k++) {
			const char *file;
			uint32_t line;
			int32_t sp;
			assert_true(gi_functab_func(ft, k, &f));
			assert_true(f.entry < f.end);
			assert_true(gi_functab_find(ft, f.entry, &g) &&
				    g.entry == f.entry);
			assert_true(gi_functab_find(ft, f.end - 1, &g) &&
				    g.entry == f.entry);
			// Marks of the linker between sections hold no code.
			if (!strncmp(f.name, "go:", 3) || !strncmp(f.name, "go.", 3))
				continue;
			assert_true(gi_func_spdelta(&f, f.entry, &sp) && sp == 0);
			gi_func_line(&f, f.entry, &file, &line);
			assert_true(line > 0);
			struct gi_elf_symbol sym;
			if (gi_elf_symbol_by_addr(gi_target_exe(st.t), f.entry, &sym) &&
			    sym.value == f.entry && !strcmp(sym.name, f.name))
				named++;
		}
		// ABI wrappers have a suffix in the symbol table, type arguments are cut
		// in old releases: most names are the same all the same.
		assert_true(named > n * 8 / 10);
		symtab_exercise(ft, &st.mod, n);
		assert_true(gi_functab_find_name(ft, "runtime.goexit", &f));
		assert_true(f.flag & GI_FUNCFLAG_TOPFRAME);
		gi_functab_destroy(ft);
		symtab_close(&st);
	}
}

// --- damage -----------------------------------------------------------------

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void test_real_mutations(void **state)
{
	(void)state;
	for (size_t i = 2; i < 4; i++) {
		char path[4096];
		struct symtab st;
		uint64_t seed = 0x1234567 + i;
		size_t opened = 0;
		no_error(symtab_open(&st,
				     corefile(programs[i], ".exe", path, sizeof(path))));
		const struct gi_module *m = &st.mod;
		const struct gi_range where[] = {
			{m->pc_header, m->pc_header + 8},
			{m->funcnametab.ptr, m->funcnametab.ptr + m->funcnametab.len},
			{m->cutab.ptr, m->cutab.ptr + 4 * m->cutab.len},
			{m->filetab.ptr, m->filetab.ptr + m->filetab.len},
			{m->pctab.ptr, m->pctab.ptr + m->pctab.len},
			{m->pclntable.ptr, m->pclntable.ptr + m->pclntable.len},
			{m->ftab.ptr, m->ftab.ptr + 8 * m->ftab.len},
			{m->gofunc, m->gofunc + 0x4000},
		};
		for (unsigned round = 0; round < 60; round++) {
			struct gi_functab *ft;
			uint64_t at[256];
			uint8_t was[256];
			// From one byte to many.
			size_t n = (size_t)1 << round % 9;
			n = n > 256 ? 256 : n;
			const struct gi_range *r = &where[round % GI_ARRAY_SIZE(where)];
			for (size_t k = 0; k < n; k++) {
				at[k] = r->start +
					next_random(&seed) % (r->end - r->start);
				uint8_t now = (uint8_t)next_random(&seed);
				no_error(gi_target_read_u8(st.t, at[k], &was[k]));
				no_error(gi_fake_write(st.t, at[k], &now, 1));
			}
			struct gi_error *err = gi_functab_create(st.t, m, 1, &ft);
			if (err) {
				gi_error_free(err);
			} else {
				symtab_exercise(ft, m, 400);
				gi_functab_destroy(ft);
				opened++;
			}
			while (n-- > 0)
				no_error(gi_fake_write(st.t, at[n], &was[n], 1));
		}
		assert_true(opened > 30);
		symtab_close(&st);
	}
}

// --- DWARF ------------------------------------------------------------------

static struct gi_dwarf *dwarf_of(const char *program, struct gi_elf **elf_ret)
{
	char path[4096];
	struct gi_dwarf *dw;
	no_error(gi_elf_open(corefile(program, ".exe", path, sizeof(path)), elf_ret));
	no_error(gi_dwarf_open(*elf_ret, &dw));
	return dw;
}

static void expect_member(struct gi_dwarf *dw, const char *type, const char *path,
			  uint64_t offset, uint64_t size, uint64_t count)
{
	struct gi_dwarf_member m;
	no_error(gi_dwarf_member(dw, type, path, &m));
	if (m.offset != offset || m.size != size || m.count != count)
		fail_msg("%s.%s: offset %llu, size %llu, count %llu", type, path,
			 (unsigned long long)m.offset, (unsigned long long)m.size,
			 (unsigned long long)m.count);
}

static void expect_code(struct gi_error *err, enum gi_error_code code)
{
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), code);
	gi_error_free(err);
}

static void test_dwarf_types(void **state)
{
	(void)state;
	struct gi_elf *elf;
	uint64_t size = 0;
	struct gi_dwarf_member m = {.offset = 77};
	struct gi_dwarf *dw = dwarf_of("abba-go1.19.13", &elf); // DWARF 4, compressed
	no_error(gi_dwarf_sizeof(dw, "runtime.g", &size));
	assert_int_equal(size, 392);
	expect_member(dw, "runtime.g", "goid", 152, 8, 0);
	expect_member(dw, "runtime.g", "sched", 56, 56, 0);
	expect_member(dw, "runtime.g", "sched.pc", 64, 8, 0);
	expect_member(dw, "runtime.hchan", "recvq", 56, 16, 0);
	expect_member(dw, "runtime.hchan", "recvq.last", 64, 8, 0);
	expect_member(dw, "runtime.m", "procid", 72, 8, 0);
	expect_member(dw, "runtime.moduledata", "gofunc", 304, 8, 0);
	expect_member(dw, "sync.Mutex", "sema", 4, 4, 0);
	gi_dwarf_close(dw);
	gi_elf_close(elf);

	dw = dwarf_of("abba-go1.27.4", &elf); // DWARF 5, compressed
	no_error(gi_dwarf_sizeof(dw, "runtime.g", &size));
	assert_int_equal(size, 456);
	expect_member(dw, "runtime.sudog", "c", 88, 16, 0);
	expect_member(dw, "runtime.moduledata", "gofunc", 344, 8, 0);
	expect_member(dw, "sync.Mutex", "mu.sema", 4, 4, 0);
	gi_dwarf_close(dw);
	gi_elf_close(elf);

	dw = dwarf_of("zoo-go1.27.4", &elf); // not compressed
	no_error(gi_dwarf_sizeof(dw, "runtime.g", &size));
	assert_int_equal(size, 456);
	struct gi_dwarf_member q, e;
	no_error(gi_dwarf_member(dw, "runtime.p", "runq", &q));
	assert_int_equal(q.size, 2048);
	assert_int_equal(q.count, 256);
	no_error(gi_dwarf_member(dw, "runtime.p", "runq[]", &e));
	assert_int_equal(e.offset, q.offset);
	assert_int_equal(e.size, 8);
	assert_int_equal(e.count, 0);

	expect_code(gi_dwarf_member(dw, "runtime.g", "nosuch", &m), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(dw, "runtime.g", "", &m), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(dw, "runtime.g", "sched.", &m), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(dw, "runtime.g", "goid[]", &m), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(dw, "runtime.g", "goid.x", &m), GI_ERR_NOT_FOUND);
	// Never through a pointer.
	expect_code(gi_dwarf_member(dw, "runtime.g", "m.procid", &m), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_member(dw, "runtime.nosuch", "x", &m), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_sizeof(dw, "", &size), GI_ERR_NOT_FOUND);
	assert_int_equal(m.offset, 77);
	gi_dwarf_close(dw);
	gi_elf_close(elf);
}

static void test_dwarf_constants(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		struct gi_elf *elf;
		struct gi_dwarf *dw = dwarf_of(programs[i], &elf);
		bool old = strstr(programs[i], "go1.19");
		int64_t v = 77;
		no_error(gi_dwarf_constant(dw, "runtime._Gwaiting", &v));
		assert_int_equal(v, 4);
		no_error(gi_dwarf_constant(dw, "runtime._Gscan", &v));
		assert_int_equal(v, 0x1000);
		const char *negative = old ? "runtime._PCDATA_UnsafePointUnsafe"
					   : "internal/abi.UnsafePointUnsafe";
		no_error(gi_dwarf_constant(dw, negative, &v));
		assert_int_equal(v, -2);
		no_error(gi_dwarf_constant(
			dw, old ? "runtime.funcID_wrapper" : "internal/abi.FuncIDWrapper",
			&v));
		// What the table itself tells, without DWARF, is the same.
		struct symtab st;
		struct gi_functab *ft;
		char path[4096];
		no_error(symtab_open(&st,
				     corefile(programs[i], ".exe", path, sizeof(path))));
		no_error(gi_functab_create(st.t, &st.mod, 1, &ft));
		assert_int_equal(gi_functab_wrapper_id(ft), v);
		gi_functab_destroy(ft);
		symtab_close(&st);
		v = 77;
		expect_code(gi_dwarf_constant(dw, "runtime._Gnosuch", &v),
			    GI_ERR_NOT_FOUND);
		expect_code(gi_dwarf_constant(dw, "runtime.allgs", &v), GI_ERR_NOT_FOUND);
		assert_int_equal(v, 77);
		gi_dwarf_close(dw);
		gi_elf_close(elf);
	}
}

// Each global of the debug information lies where the symbol table has it, and its
// address has its name.
static void test_dwarf_globals(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(programs); i++) {
		struct gi_elf *elf;
		struct gi_dwarf *dw = dwarf_of(programs[i], &elf);
		size_t checked = 0;
		for (size_t k = 0; k < gi_elf_symbol_count(elf); k++) {
			struct gi_elf_symbol sym;
			struct gi_dwarf_member m;
			uint64_t addr;
			if (!gi_elf_symbol(elf, k, &sym) || !sym.size ||
			    sym.type != 1 /* STT_OBJECT */)
				continue;
			struct gi_error *err = gi_dwarf_global(dw, sym.name, &addr, &m);
			if (err) {
				assert_int_equal(gi_error_code(err), GI_ERR_NOT_FOUND);
				gi_error_free(err);
				continue;
			}
			assert_int_equal(addr, sym.value);
			assert_int_equal(m.size, sym.size);
			_cleanup_(gi_str_deinit) struct gi_str name = {0};
			no_error(gi_dwarf_name_at(dw, addr, NULL, &name));
			assert_string_equal(gi_str_cstr(&name), sym.name);
			checked++;
		}
		assert_true(checked > 200);
		struct gi_dwarf_member m;
		uint64_t addr;
		no_error(gi_dwarf_global(dw, "runtime.semtable", &addr, &m));
		assert_int_equal(m.count, 251);
		assert_int_equal(m.size, 251 * 64);
		expect_code(gi_dwarf_global(dw, "runtime.nosuch", &addr, &m),
			    GI_ERR_NOT_FOUND);
		expect_code(gi_dwarf_global(dw, "runtime.g", &addr, &m),
			    GI_ERR_NOT_FOUND);
		gi_dwarf_close(dw);
		gi_elf_close(elf);
	}
}

static void expect_name(struct gi_dwarf *dw, uint64_t addr, const char *want_type,
			const char *name)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	gi_str_puts(&s, "= ");
	no_error(gi_dwarf_name_at(dw, addr, want_type, &s));
	assert_string_equal(gi_str_cstr(&s) + 2, name);
}

static void test_dwarf_names(void **state)
{
	(void)state;
	struct gi_elf *elf;
	struct gi_dwarf_member m;
	uint64_t sched, lock, next, semtable;
	struct gi_dwarf *dw = dwarf_of("zoo-go1.27.4", &elf);
	no_error(gi_dwarf_global(dw, "runtime.sched", &sched, NULL));
	no_error(gi_dwarf_member(dw, "runtime.schedt", "lock", &m));
	lock = sched + m.offset;
	expect_name(dw, lock, NULL, "runtime.sched.lock");
	expect_name(dw, lock, "runtime.mutex", "runtime.sched.lock");
	no_error(gi_dwarf_member(dw, "runtime.schedt", "lock.key", &m));
	// Its first field that is not empty.
	assert_int_equal(sched + m.offset, lock);
	expect_name(dw, lock, "uintptr", "runtime.sched.lock.key");
	expect_name(dw, sched + m.offset + 3, NULL, "runtime.sched.lock.key+0x3");
	// The start of the struct is the struct, unless something in it is wanted.
	expect_name(dw, sched, NULL, "runtime.sched");
	expect_name(dw, sched, "runtime.schedt", "runtime.sched");
	expect_name(dw, sched, "internal/runtime/atomic.Uint64", "runtime.sched.goidgen");
	expect_name(dw, sched, "no.such", "runtime.sched");
	no_error(gi_dwarf_global(dw, "runtime.semtable", &semtable, &m));
	expect_name(dw, semtable + 64 * 250, "runtime.semaRoot",
		    "runtime.semtable[250].root");
	expect_name(dw, semtable + 64 * 250, NULL, "runtime.semtable[250]");
	no_error(gi_dwarf_member(dw, "runtime.semaRoot", "treap", &m));
	next = semtable + 64 * 3 + m.offset;
	expect_name(dw, next, NULL, "runtime.semtable[3].root.treap");

	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	expect_code(gi_dwarf_name_at(dw, 0, NULL, &s), GI_ERR_NOT_FOUND);
	expect_code(gi_dwarf_name_at(dw, UINT64_MAX, NULL, &s), GI_ERR_NOT_FOUND);
	assert_string_equal(gi_str_cstr(&s), "");
	gi_dwarf_close(dw);
	gi_elf_close(elf);
}

static void test_dwarf_none(void **state)
{
	(void)state;
	struct gi_elf *elf;
	struct gi_dwarf *dw;
	no_error(gi_elf_open("/proc/self/exe", &elf));
	struct gi_error *err = gi_dwarf_open(elf, &dw);
	if (!err) {
		// This very program, a C one: no Go names, but C's.
		struct gi_dwarf_member m;
		no_error(gi_dwarf_member(dw, "gi_range", "end", &m));
		assert_int_equal(m.offset, 8);
		no_error(gi_dwarf_member(dw, "frame_line", "file", &m));
		assert_int_equal(m.count, 512);
		expect_code(gi_dwarf_member(dw, "runtime.g", "goid", &m),
			    GI_ERR_NOT_FOUND);
		gi_dwarf_close(dw);
	} else {
		expect_code(err, GI_ERR_NOT_FOUND);
	}
	gi_elf_close(elf);
	gi_dwarf_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runtime_text),
		cmocka_unit_test(test_all_functions),
		cmocka_unit_test(test_real_mutations),
		cmocka_unit_test(test_dwarf_types),
		cmocka_unit_test(test_dwarf_constants),
		cmocka_unit_test(test_dwarf_globals),
		cmocka_unit_test(test_dwarf_names),
		cmocka_unit_test(test_dwarf_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

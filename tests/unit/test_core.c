// The core target, on cores that are built here: both orders of notes, overlay of what was
// not saved, the search for the executable, cut-off and hostile files.
//
// The process of these tests: an executable at 0x400000 with a page of headers and text,
// a page of read-only data, one of relocated data that was write-protected later, and a page of data.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <elf.h>

#include "../support/core_builder.h"
#include "../support/files.h"

enum {
	EXE = 0x400000,
	TEXT_SIZE = 0x2000,
	RODATA = 0x402000,
	DATA = 0x403000,
	ENTRY = 0x401010,
	HEAP = 0xc000000,
	STACK = 0x7ff0000,
};

static uint8_t page_of(uint8_t v[4096], uint8_t fill)
{
	memset(v, fill, 4096);
	return fill;
}

static void make_exe_as(const char *name, uint16_t type, uint64_t base, const void *gnu, size_t gnu_n,
			const char *go, uint8_t text)
{
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(type);
	_cleanup_(gi_str_deinit) struct gi_str notes = { 0 };
	if (gnu)
		elf_note_add(&notes, "GNU", NT_GNU_BUILD_ID, gnu, gnu_n);
	if (go)
		elf_note_add(&notes, "Go", 4, go, strlen(go));
	uint8_t rodata[4096], data[4096];
	page_of(rodata, 'r');
	page_of(data, 'd');
	elf_builder_set_entry(b, base + ENTRY - EXE);
	elf_builder_add_first_load(b, PF_R | PF_X, base, TEXT_SIZE, &notes, text);
	elf_builder_add_segment(b, PT_LOAD, PF_R, base + RODATA - EXE, rodata, 4096, 4096, 4096);
	elf_builder_add_segment(b, PT_LOAD, PF_R | PF_W, base + DATA - EXE, data, 4096, 0x3000, 4096);
	free(elf_builder_write(b, name));
}

static void make_exe(const char *name, const char *id)
{
	make_exe_as(name, ET_EXEC, EXE, id, strlen(id), NULL, 't');
}

static uint8_t *exe_bytes(const char *name, size_t *n)
{
	_cleanup_(gi_freep) char *path = test_path(name);
	_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
	assert_null(gi_elf_open(path, &elf));
	const uint8_t *p = gi_elf_bytes(elf, n);
	uint8_t *copy = malloc(*n);
	memcpy(copy, p, *n);
	return copy;
}

// The core of that process, as the kernel writes it: text and read-only data are left out but
// for the first page.
static struct core_builder *make_core(enum core_order order, const char *exe, uint64_t base)
{
	struct core_builder *b = core_builder_create(order);
	size_t n;
	_cleanup_(gi_freep) uint8_t *file = exe_bytes(exe, &n);
	_cleanup_(gi_freep) char *path = test_path(exe);
	uint8_t data[4096], heap[2 * 4096], stack[4096] = { 0 };
	page_of(data, 'D');
	memset(heap, 'h', sizeof(heap));
	memcpy(stack + 0x800, path, strlen(path) + 1);
	core_builder_add_load(b, base, GI_MAP_R | GI_MAP_X, file, 4096, TEXT_SIZE);
	core_builder_add_load(b, base + RODATA - EXE, GI_MAP_R, NULL, 0, 4096);
	core_builder_add_load(b, base + DATA - EXE, GI_MAP_R | GI_MAP_W, data, 4096, 4096);
	core_builder_add_load(b, HEAP, GI_MAP_R | GI_MAP_W, heap, sizeof(heap), sizeof(heap));
	core_builder_add_load(b, HEAP + 0x2000, 0, NULL, 0, 0x10000);
	core_builder_add_load(b, STACK, GI_MAP_R | GI_MAP_W, stack, 4096, 4096);
	core_builder_add_file(b, base, base + TEXT_SIZE, 0, path);
	core_builder_add_file(b, base + RODATA - EXE, base + DATA - EXE, 0x2000, path);
	core_builder_add_file(b, base + DATA - EXE, base + DATA - EXE + 4096, 0x3000, path);
	core_builder_set_process(b, 100, 1, 1000, "exe", "./exe -v ");
	core_builder_set_siginfo(b, 11, 1, 0xbad);
	core_builder_add_auxv(b, AT_PHDR, base + 64);
	core_builder_add_auxv(b, AT_PHNUM, file[56]);
	core_builder_add_auxv(b, AT_ENTRY, base + ENTRY - EXE);
	core_builder_add_auxv(b, AT_PAGESZ, 4096);
	core_builder_add_auxv(b, AT_EXECFN, STACK + 0x800);
	for (int i = 0; i < 3; i++) {
		uint64_t regs[GI_AMD64_REG_COUNT];
		for (int k = 0; k < GI_AMD64_REG_COUNT; k++)
			regs[k] = (uint64_t)(i + 1) * 1000 + (uint64_t)k;
		core_builder_add_thread(b, 101 + i, regs, i == 0 ? 11 : 0);
	}
	return b;
}

static struct gi_target *open_path(const char *path, const char *exe)
{
	struct gi_target *t = NULL;
	struct gi_error *err = gi_target_open_core(path, &(struct gi_target_options){ .exe = exe }, &t);
	if (err)
		fail_msg("%s", gi_error_message(err));
	return t;
}

static struct gi_target *open_core(struct core_builder *b)
{
	_cleanup_(gi_freep) char *path = core_builder_write(b, "core");
	return open_path(path, NULL);
}

static void refused_as(const char *path, const struct gi_target_options *opts,
		       enum gi_error_code code, const char *words)
{
	struct gi_target *t = (void *)1;
	struct gi_error *err = gi_target_open_core(path, opts, &t);
	if (!err)
		fail_msg("%s was opened", path);
	assert_ptr_equal(t, (void *)1);
	if (gi_error_code(err) != code || !strstr(gi_error_message(err), words) ||
	    strchr(gi_error_message(err), '\n'))
		fail_msg("code %d: %s (wanted: %s)", gi_error_code(err), gi_error_message(err), words);
	gi_error_free(err);
}

static bool has_note(struct gi_target *t, const char *words)
{
	for (size_t i = 0; i < gi_target_note_count(t); i++) {
		if (strstr(gi_target_note(t, i), words))
			return true;
	}
	return false;
}

static void byte_is(struct gi_target *t, uint64_t addr, uint8_t want)
{
	uint8_t got = 0;
	struct gi_error *err = gi_target_read_u8(t, addr, &got);
	if (err)
		fail_msg("%s", gi_error_message(err));
	assert_int_equal(got, want);
}

static void byte_fails(struct gi_target *t, uint64_t addr, enum gi_error_code code,
		       const char *words)
{
	uint8_t b;
	uint64_t at = 0;
	struct gi_error *err = gi_target_read_u8(t, addr, &b);
	assert_non_null(err);
	assert_true(gi_error_address(err, &at) && at == addr);
	if (gi_error_code(err) != code || !strstr(gi_error_message(err), words))
		fail_msg("code %d: %s (wanted: %s)", gi_error_code(err), gi_error_message(err), words);
	gi_error_free(err);
}

static void check_whole(struct gi_target *t, bool by_kernel)
{
	const struct gi_process_info *info = gi_target_info(t);
	assert_int_equal(info->pid, 100);
	assert_int_equal(info->ppid, 1);
	assert_int_equal(info->uid, 1000);
	assert_string_equal(info->comm, "exe");
	assert_string_equal(info->args, "./exe -v");
	assert_int_equal(info->signal, 11);
	assert_int_equal(info->signal_code, 1);
	assert_true(info->has_fault_addr);
	assert_int_equal(info->fault_addr, 0xbad);
	assert_int_equal(info->entry, ENTRY);
	assert_int_equal(info->page_size, 4096);
	assert_int_equal(info->by_kernel, by_kernel);
	_cleanup_(gi_freep) char *exe = test_path("exe");
	assert_string_equal(info->exe_path, exe);
	assert_string_equal(info->exe_name, exe);
	assert_int_equal(gi_target_note_count(t), 0);

	assert_int_equal(gi_target_thread_count(t), 3);
	for (size_t i = 0; i < 3; i++) {
		const struct gi_thread *th = gi_target_thread(t, i);
		assert_int_equal(th->tid, 101 + i);
		assert_int_equal(th->signal, i == 0 ? 11 : 0);
		assert_true(th->regs.known == ((uint64_t)1 << GI_AMD64_REG_COUNT) - 1);
		for (size_t k = 0; k < GI_AMD64_REG_COUNT; k++)
			assert_int_equal(th->regs.r[k], (i + 1) * 1000 + k);
		assert_int_equal(th->xstate_len, 832);
		assert_int_equal(th->fpregs_len, 512);
		if (by_kernel && i > 0)
			assert_null(th->siginfo);
		else
			assert_int_equal(th->siginfo_len, 128);
	}

	byte_is(t, EXE, 0x7f);
	byte_is(t, EXE + 0x1000, 't');
	byte_is(t, EXE + 0x1fff, 't');
	byte_is(t, RODATA, 'r');
	byte_is(t, DATA, 'D'); // the process's, not the file's
	byte_is(t, HEAP + 0x1fff, 'h');
	byte_fails(t, HEAP + 0x2000, GI_ERR_NOT_SAVED, "without access");
	byte_fails(t, HEAP - 1, GI_ERR_FAULT, "not mapped");
	const struct gi_mapping *m = gi_target_mapping_at(t, EXE);
	assert_int_equal(m->saved, 4096);
	assert_true(m->overlaid);
	assert_int_equal(m->flags, GI_MAP_R | GI_MAP_X);
	assert_false(gi_target_mapping_at(t, DATA)->overlaid);
	assert_string_equal(gi_target_mapping_at(t, STACK)->path, "[stack]");
	uint64_t bias = 1;
	assert_ptr_equal(gi_target_elf_at(t, RODATA, &bias), gi_target_exe(t));
	assert_int_equal(bias, 0);
	assert_ptr_equal(gi_target_elf_at(t, DATA + 0x2fff, &bias), gi_target_exe(t)); // .bss
	assert_null(gi_target_elf_at(t, HEAP, &bias));
	assert_ptr_equal(gi_target_debug_elf(t), gi_target_exe(t));
}

static void test_kernel_core(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	check_whole(t, true);
	// One run of the core's file serves what is one run of memory.
	assert_non_null(gi_target_view(t, HEAP, 0x2000));
	uint8_t all[0x4000];
	assert_null(gi_target_read(t, EXE, all, sizeof(all)));
}

static void test_gdb_core(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_GDB, "exe", EXE);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	check_whole(t, false);
}

static void test_signal_sender(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	core_builder_set_siginfo(b, 6, -6, 4242);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	const struct gi_process_info *info = gi_target_info(t);
	assert_int_equal(info->signal, 6);
	assert_int_equal(info->signal_code, -6);
	assert_int_equal(info->sender, 4242);
	assert_false(info->has_fault_addr);
}

static void test_pie(void **state)
{
	(void)state;
	uint64_t base = 0x555500000000;
	make_exe_as("exe", ET_DYN, 0, "pie id", 6, NULL, 't');
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", base);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	assert_int_equal(gi_target_exe_bias(t), base);
	byte_is(t, base + 0x1000, 't');
	byte_is(t, base + RODATA - EXE, 'r');
	byte_is(t, base + DATA - EXE, 'D');
	uint64_t bias;
	assert_ptr_equal(gi_target_elf_at(t, base + 0x1000, &bias), gi_target_exe(t));
	assert_int_equal(bias, base);
}

// --- overlay --------------------------------------------------------------------

static void test_never_overlaid(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(gi_freep) char *exe = test_path("exe");
	_cleanup_(core_builder_destroyp) struct core_builder *b = core_builder_create(CORE_BY_KERNEL);
	size_t n;
	_cleanup_(gi_freep) uint8_t *file = exe_bytes("exe", &n);
	core_builder_add_load(b, EXE, GI_MAP_R | GI_MAP_X, file, 4096, 4096);
	// Text that was made writable; data that is not saved, both as it is and protected later.
	core_builder_add_load(b, EXE + 0x1000, GI_MAP_R | GI_MAP_W | GI_MAP_X, NULL, 0, 4096);
	core_builder_add_load(b, DATA, GI_MAP_R | GI_MAP_W, NULL, 0, 4096);
	core_builder_add_file(b, EXE, EXE + 0x2000, 0, exe);
	core_builder_add_file(b, DATA, DATA + 4096, 0x3000, exe);
	core_builder_add_auxv(b, AT_ENTRY, ENTRY);
	core_builder_add_auxv(b, AT_PHDR, EXE + 64);
	core_builder_add_thread(b, 1, NULL, 6);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	byte_fails(t, EXE + 0x1000, GI_ERR_NOT_SAVED, "was not saved");
	byte_fails(t, DATA, GI_ERR_NOT_SAVED, exe);
	gi_target_close(t);

	core_builder_destroy(b);
	b = core_builder_create(CORE_BY_KERNEL);
	core_builder_add_load(b, EXE, GI_MAP_R | GI_MAP_X, file, 4096, 4096);
	core_builder_add_load(b, DATA, GI_MAP_R, NULL, 0, 4096); // RELRO
	// The same file, mapped a second time at another place: it may be any other part.
	core_builder_add_load(b, RODATA, GI_MAP_R, NULL, 0, 4096);
	core_builder_add_file(b, EXE, EXE + 0x1000, 0, exe);
	core_builder_add_file(b, RODATA, RODATA + 4096, 0x1000, exe);
	core_builder_add_file(b, DATA, DATA + 4096, 0x3000, exe);
	core_builder_add_auxv(b, AT_ENTRY, ENTRY);
	core_builder_add_auxv(b, AT_PHDR, EXE + 64);
	core_builder_add_thread(b, 1, NULL, 6);
	t = open_core(b);
	byte_fails(t, DATA, GI_ERR_NOT_SAVED, exe);
	byte_fails(t, RODATA, GI_ERR_NOT_SAVED, exe);
}

static void test_only_nt_file(void **state)
{
	(void)state;
	// gdb leaves out the PT_LOADs of what it does not dump; NT_FILE still knows of them.
	make_exe("exe", "right id");
	_cleanup_(gi_freep) char *exe = test_path("exe");
	_cleanup_(core_builder_destroyp) struct core_builder *b = core_builder_create(CORE_BY_GDB);
	size_t n;
	_cleanup_(gi_freep) uint8_t *file = exe_bytes("exe", &n);
	core_builder_add_load(b, EXE, GI_MAP_R | GI_MAP_X, file, 4096, 4096);
	core_builder_add_file(b, EXE, EXE + 0x2000, 0, exe);
	core_builder_add_file(b, RODATA, DATA, 0x2000, exe);
	core_builder_add_file(b, DATA, DATA + 0x1000, 0x3000, exe);
	core_builder_add_auxv(b, AT_ENTRY, ENTRY);
	core_builder_add_auxv(b, AT_PHDR, EXE + 64);
	core_builder_add_thread(b, 1, NULL, 0);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	byte_is(t, EXE + 0x1234, 't');
	byte_is(t, RODATA + 0xfff, 'r');
	byte_fails(t, DATA, GI_ERR_NOT_SAVED, "was not saved");
	assert_int_equal(gi_target_mapping_at(t, RODATA)->flags, GI_MAP_R);
}

static void add_library(struct core_builder *b, const char *name, uint64_t base, bool header,
			uint8_t *file)
{
	_cleanup_(gi_freep) char *path = test_path(name);
	core_builder_add_load(b, base, GI_MAP_R | GI_MAP_X, file, header ? 4096 : 0, TEXT_SIZE);
	core_builder_add_load(b, base + TEXT_SIZE, GI_MAP_R, NULL, 0, 4096);
	core_builder_add_file(b, base, base + TEXT_SIZE, 0, path);
	core_builder_add_file(b, base + TEXT_SIZE, base + TEXT_SIZE + 4096, TEXT_SIZE, path);
}

static void test_libraries(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	size_t n;
	make_exe_as("lib/same.so", ET_DYN, 0, "lib one", 7, NULL, 's');
	_cleanup_(gi_freep) uint8_t *same = exe_bytes("lib/same.so", &n);
	make_exe_as("lib/other.so", ET_DYN, 0, "lib two", 7, NULL, 'o');
	_cleanup_(gi_freep) uint8_t *other = exe_bytes("lib/other.so", &n);
	make_exe_as("lib/other.so", ET_DYN, 0, "lib 2.1", 7, NULL, 'o'); // upgraded since
	make_exe_as("lib/gone.so", ET_DYN, 0, "lib tre", 7, NULL, 'g');
	_cleanup_(gi_freep) uint8_t *gone = exe_bytes("lib/gone.so", &n);
	_cleanup_(gi_freep) char *gone_path = test_path("lib/gone.so");
	remove(gone_path);
	make_exe_as("lib/headless.so", ET_DYN, 0, "lib fou", 7, NULL, 'x');
	add_library(b, "lib/same.so", 0x10000000, true, same);
	add_library(b, "lib/same.so", 0x18000000, true, same); // loaded twice
	add_library(b, "lib/other.so", 0x20000000, true, other);
	add_library(b, "lib/gone.so", 0x30000000, true, gone);
	add_library(b, "lib/headless.so", 0x40000000, false, same);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	byte_is(t, 0x10001000, 's');
	byte_is(t, 0x10002000, 'r');
	byte_is(t, 0x18001000, 's');
	byte_fails(t, 0x20001000, GI_ERR_NOT_SAVED, "another build");
	byte_fails(t, 0x30001000, GI_ERR_NOT_SAVED, "not here");
	byte_fails(t, 0x40000000, GI_ERR_NOT_SAVED, "was not saved");
	byte_is(t, 0x20000000, 0x7f);
	assert_true(has_note(t, "lib/other.so is not the library of this core"));
	uint64_t bias = 0;
	struct gi_elf *elf = gi_target_elf_at(t, 0x18001000, &bias);
	assert_non_null(elf);
	assert_int_equal(bias, 0x18000000);
	assert_null(gi_target_elf_at(t, 0x20001000, &bias));
}

static void test_sysroot(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(gi_freep) char *exe = test_path("exe");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	_cleanup_(gi_freep) char *core = core_builder_write(b, "dumps/core");
	remove(exe);
	refused_as(core, NULL, GI_ERR_NOT_FOUND, exe);
	_cleanup_(gi_freep) char *root = test_path("root");
	struct gi_target_options opts = { .sysroot = root };
	refused_as(core, &opts, GI_ERR_NOT_FOUND, root);
	_cleanup_(gi_str_deinit) struct gi_str name = { 0 };
	gi_str_printf(&name, "root%s/exe", test_dir());
	make_exe(gi_str_cstr(&name), "right id");
	struct gi_target *t = NULL;
	assert_null(gi_target_open_core(core, &opts, &t));
	byte_is(t, EXE + 0x1000, 't');
	gi_target_close(t);
}

// --- the executable ---------------------------------------------------------------

static void test_search(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(gi_freep) char *exe = test_path("exe");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	_cleanup_(gi_freep) char *core = core_builder_write(b, "dumps/core");
	remove(exe);

	// Each place that was looked at is named.
	_cleanup_(gi_freep) char *beside = test_path("dumps/exe");
	refused_as(core, NULL, GI_ERR_NOT_FOUND, exe);
	refused_as(core, NULL, GI_ERR_NOT_FOUND, beside);
	refused_as(core, NULL, GI_ERR_NOT_FOUND, "--exe");

	// Beside the core; a wrong one there is passed over for the right one here.
	make_exe("dumps/exe", "right id");
	gi_target_close(open_path(core, NULL));
	make_exe("dumps/exe", "wrong id");
	refused_as(core, NULL, GI_ERR_MISMATCH, beside);
	_cleanup_(gi_freep) char *here = test_path("here");
	make_exe("here/exe", "right id");
	_cleanup_(gi_freep) char *cwd = getcwd(NULL, 0);
	assert_int_equal(chdir(here), 0);
	struct gi_target *t = open_path(core, NULL);
	assert_string_equal(gi_target_info(t)->exe_path, "exe");
	gi_target_close(t);
	assert_int_equal(chdir(cwd), 0);
}

static void test_deleted(void **state)
{
	(void)state;
	// The file was replaced while it ran: NT_FILE says "(deleted)".
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = core_builder_create(CORE_BY_KERNEL);
	size_t n;
	_cleanup_(gi_freep) uint8_t *file = exe_bytes("exe", &n);
	_cleanup_(gi_str_deinit) struct gi_str name = { 0 };
	gi_str_printf(&name, "%s/exe (deleted)", test_dir());
	core_builder_add_load(b, EXE, GI_MAP_R | GI_MAP_X, file, 4096, 0x2000);
	core_builder_add_file(b, EXE, EXE + 0x2000, 0, gi_str_cstr(&name));
	core_builder_add_auxv(b, AT_ENTRY, ENTRY);
	core_builder_add_auxv(b, AT_PHDR, EXE + 64);
	core_builder_add_thread(b, 1, NULL, 6);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	byte_is(t, EXE + 0x1000, 't');
}

static void test_wrong_exe(void **state)
{
	(void)state;
	make_exe("exe", "\x01\x23\x45\x67");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	_cleanup_(gi_freep) char *core = core_builder_write(b, "core");
	make_exe("wrong", "\xfe\xdc\xba\x98");
	_cleanup_(gi_freep) char *wrong = test_path("wrong");
	struct gi_target_options opts = { .exe = wrong };
	refused_as(core, &opts, GI_ERR_MISMATCH, "fedcba98");
	refused_as(core, &opts, GI_ERR_MISMATCH, "01234567");
	make_exe_as("wrong", ET_EXEC, EXE, NULL, 0, NULL, 't');
	refused_as(core, &opts, GI_ERR_MISMATCH, "none");
	opts.exe = core;
	refused_as(core, &opts, GI_ERR_FORMAT, "is a core file, not an executable");
	_cleanup_(gi_freep) char *text = test_write("text", "words", 5);
	opts.exe = text;
	refused_as(core, &opts, GI_ERR_FORMAT, "is a text file");
	opts.exe = "/nonexistent/exe";
	refused_as(core, &opts, GI_ERR_IO, "No such file");
	_cleanup_(gi_freep) char *exe = test_path("exe");
	refused_as(exe, NULL, GI_ERR_FORMAT, "is an executable, not a core file");
}

static void test_go_id(void **state)
{
	(void)state;
	make_exe_as("exe", ET_EXEC, EXE, NULL, 0, "one/two/three", 't');
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	_cleanup_(gi_freep) char *core = core_builder_write(b, "core");
	gi_target_close(open_path(core, NULL));
	make_exe_as("exe", ET_EXEC, EXE, NULL, 0, "one/two/four", 't');
	refused_as(core, NULL, GI_ERR_MISMATCH, "one/two/three");
	refused_as(core, NULL, GI_ERR_MISMATCH, "one/two/four");
}

static void test_no_id(void **state)
{
	(void)state;
	make_exe_as("exe", ET_EXEC, EXE, NULL, 0, NULL, 't');
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	_cleanup_(gi_freep) char *core = core_builder_write(b, "core");
	struct gi_target *t = open_path(core, NULL);
	assert_true(has_note(t, "holds no build ID"));
	gi_target_close(t);
	// The same shape with other text in the page that the core saved.
	make_exe_as("exe", ET_EXEC, EXE, NULL, 0, NULL, 'u');
	refused_as(core, NULL, GI_ERR_MISMATCH, "not the same");
	// Another entry point.
	make_exe_as("exe", ET_EXEC, EXE + 0x1000, NULL, 0, NULL, 't');
	refused_as(core, NULL, GI_ERR_MISMATCH, "");
}

static void test_hostile_names(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = core_builder_create(CORE_BY_KERNEL);
	size_t n;
	_cleanup_(gi_freep) uint8_t *file = exe_bytes("exe", &n);
	core_builder_add_load(b, EXE, GI_MAP_R | GI_MAP_X, file, 4096, 0x2000);
	core_builder_add_file(b, EXE, EXE + 0x2000, 0, "/no/\033[2Jwhere\n");
	core_builder_set_process(b, 1, 1, 0, "..", "\033]0;x\007");
	core_builder_add_auxv(b, AT_ENTRY, ENTRY);
	core_builder_add_thread(b, 1, NULL, 6);
	_cleanup_(gi_freep) char *core = core_builder_write(b, "core");
	refused_as(core, NULL, GI_ERR_NOT_FOUND, "/no/\\x1b[2Jwhere\\x0a");
}

// --- bad cores ------------------------------------------------------------------------

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		uint16_t type, machine;
		enum gi_error_code code;
		const char *words;
	} cases[] = {
		{ ET_EXEC, EM_X86_64, GI_ERR_FORMAT, "not a core file" },
		{ ET_DYN, EM_X86_64, GI_ERR_FORMAT, "not a core file" },
		{ ET_REL, EM_X86_64, GI_ERR_FORMAT, "is an object file" },
		{ 0xfe00, EM_X86_64, GI_ERR_FORMAT, "unknown type" },
		{ ET_CORE, EM_AARCH64, GI_ERR_UNSUPPORTED, "arm64" },
		{ ET_CORE, 4711, GI_ERR_UNSUPPORTED, "4711" },
		{ ET_CORE, EM_X86_64, GI_ERR_FORMAT, "neither threads nor memory" },
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(cases[i].type);
		elf_builder_set_machine(b, cases[i].machine);
		_cleanup_(gi_freep) char *path = elf_builder_write(b, "odd");
		refused_as(path, NULL, cases[i].code, cases[i].words);
	}
	_cleanup_(gi_freep) char *missing = test_path("missing");
	refused_as(missing, NULL, GI_ERR_IO, "No such file");
	refused_as(test_dir(), NULL, GI_ERR_IO, "is a directory");
}

// Reads everywhere, and checks that each byte that can be read is what the whole core has.
static void compare_with_whole(struct gi_target *t, struct gi_target *whole)
{
	static const uint64_t places[] = { EXE,	      EXE + 0xfff, EXE + 0x1000, RODATA, DATA,
					   DATA + 0xfff, HEAP,	   HEAP + 0x1fff, STACK,  STACK + 0x801 };
	for (size_t i = 0; i < GI_ARRAY_SIZE(places); i++) {
		uint8_t want, got;
		assert_null(gi_target_read_u8(whole, places[i], &want));
		struct gi_error *err = gi_target_read_u8(t, places[i], &got);
		if (!err) {
			assert_int_equal(got, want);
			continue;
		}
		enum gi_error_code code = gi_error_code(err);
		if (code != GI_ERR_FAULT && code != GI_ERR_NOT_SAVED && code != GI_ERR_CUT_OFF)
			fail_msg("%s", gi_error_message(err));
		gi_error_free(err);
	}
}

static void cut_everywhere(enum core_order order, const char *exe)
{
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(order, "exe", EXE);
	_cleanup_(gi_target_closep) struct gi_target *whole = open_core(b);
	size_t n;
	_cleanup_(gi_freep) uint8_t *bytes = core_builder_build(b, &n);
	size_t opened = 0;
	uint64_t threads_before = 0;
	for (size_t cut = 0; cut < n; cut += cut < 1000 ? 1 : 13) {
		_cleanup_(gi_freep) char *path = test_write("cut", bytes, cut);
		struct gi_target *t = NULL;
		struct gi_error *err =
			gi_target_open_core(path, &(struct gi_target_options){ .exe = exe }, &t);
		if (err) {
			assert_true(strstr(gi_error_message(err), path) != NULL ||
				    strstr(gi_error_message(err), "exe") != NULL);
			assert_null(strchr(gi_error_message(err), '\n'));
			gi_error_free(err);
			continue;
		}
		opened++;
		assert_true(has_note(t, "cut off"));
		assert_true(gi_target_thread_count(t) >= threads_before || order == CORE_BY_GDB);
		threads_before = gi_target_thread_count(t);
		compare_with_whole(t, whole);
		gi_target_close(t);
	}
	assert_true(opened > 100);
}

static void test_cut_kernel(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(gi_freep) char *exe = test_path("exe");
	cut_everywhere(CORE_BY_KERNEL, exe);
	cut_everywhere(CORE_BY_KERNEL, NULL);
}

static void test_cut_gdb(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(gi_freep) char *exe = test_path("exe");
	cut_everywhere(CORE_BY_GDB, exe);
}

static void test_cut_memory(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	size_t n;
	_cleanup_(gi_freep) uint8_t *bytes = core_builder_build(b, &n);
	// The stack is the last page, the heap's two pages are before it: cut inside the second.
	_cleanup_(gi_freep) char *path = test_write("core", bytes, n - 4096 - 1000);
	_cleanup_(gi_target_closep) struct gi_target *t = open_path(path, NULL);
	byte_is(t, HEAP + 0x2000 - 1001, 'h');
	byte_fails(t, HEAP + 0x2000 - 1000, GI_ERR_CUT_OFF, "cut off");
	byte_fails(t, STACK, GI_ERR_CUT_OFF, "cut off");
	byte_is(t, RODATA, 'r'); // from the executable, still
	assert_int_equal(gi_target_mapping_at(t, HEAP)->saved, 0x2000 - 1000);
	uint8_t buf[0x2000];
	struct gi_error *err = gi_target_read(t, HEAP, buf, sizeof(buf));
	uint64_t at;
	assert_true(err && gi_error_address(err, &at) && at == HEAP + 0x2000 - 1000);
	gi_error_free(err);
}

static void test_lost_notes(void **state)
{
	(void)state;
	// gdb writes the notes last: without them the memory still opens, if the executable is named.
	uint64_t base = 0x555500000000;
	make_exe_as("exe", ET_DYN, 0, "pie id", 6, NULL, 't');
	_cleanup_(gi_freep) char *exe = test_path("exe");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_GDB, "exe", base);
	size_t n;
	_cleanup_(gi_freep) uint8_t *bytes = core_builder_build(b, &n);
	Elf64_Phdr notes;
	memcpy(&notes, bytes + 64, sizeof(notes));
	_cleanup_(gi_freep) char *path = test_write("core", bytes, notes.p_offset);
	refused_as(path, NULL, GI_ERR_NOT_FOUND, "cut off");
	_cleanup_(gi_target_closep) struct gi_target *t = open_path(path, exe);
	assert_int_equal(gi_target_thread_count(t), 0);
	assert_true(has_note(t, "threads and their registers are lost"));
	assert_int_equal(gi_target_exe_bias(t), base);
	byte_is(t, base + 0x1000, 't');
	byte_is(t, base + DATA - EXE, 'D');
	byte_is(t, HEAP, 'h');
}

static void test_overlap(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	uint8_t page[4096];
	page_of(page, 'z');
	core_builder_add_load(b, HEAP + 0x1000, GI_MAP_R, page, 4096, 4096);  // inside
	core_builder_add_load(b, HEAP + 0x1800, GI_MAP_R, page, 4096, 0x20000); // and beyond
	core_builder_add_header(b, PT_LOAD, 0, 0, 0, 0);
	core_builder_add_header(b, PT_LOAD, UINT64_MAX - 4095, 0, 4096, UINT64_MAX);
	core_builder_add_header(b, PT_LOAD, 0x9000000, UINT64_MAX - 10, 4096, 4096);
	core_builder_add_header(b, PT_LOAD, 0xa000000, 0, UINT64_MAX, UINT64_MAX);
	core_builder_add_header(b, PT_NOTE, 0, UINT64_MAX - 10, 4096, 4096);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	assert_true(has_note(t, "overlap"));
	byte_is(t, HEAP, 'h');
	byte_is(t, HEAP + 0x1fff, 'h'); // the first claim stands
	byte_is(t, HEAP + 0x27ff, 'z');
	byte_fails(t, HEAP + 0x2800, GI_ERR_NOT_SAVED, "");
	byte_fails(t, 0x9000000, GI_ERR_NOT_SAVED, "");
	byte_fails(t, 0xa000000, GI_ERR_FAULT, "");
	uint64_t end = 0;
	for (size_t i = 0; i < gi_target_mapping_count(t); i++) {
		const struct gi_mapping *m = gi_target_mapping(t, i);
		assert_true(m->start >= end && m->end > m->start);
		end = m->end;
	}
}

static void test_damaged_notes(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	static const uint8_t junk[400];
	static const uint32_t huge[8] = { 5, UINT32_MAX, NT_PRSTATUS, 0x45524f43, 0 };
	static const uint32_t wide[8] = { UINT32_MAX, 4, NT_PRSTATUS, 0x45524f43, 0 };
	for (int which = 0; which < 7; which++) {
		_cleanup_(core_builder_destroyp) struct core_builder *b =
			make_core(CORE_BY_KERNEL, "exe", EXE);
		uint64_t files[2] = { UINT64_MAX / 24, 4096 };
		switch (which) {
		case 0: // short ones
			core_builder_add_note(b, "CORE", NT_PRSTATUS, junk, 335);
			break;
		case 1:
			core_builder_add_note(b, "CORE", NT_PRPSINFO, junk, 135);
			break;
		case 2:
			core_builder_add_note(b, "CORE", NT_SIGINFO, junk, 4);
			break;
		case 3: // sizes that cannot be
			core_builder_add_note_bytes(b, huge, sizeof(huge));
			break;
		case 4:
			core_builder_add_note_bytes(b, wide, sizeof(wide));
			break;
		case 5: // repeated ones: the first stands
			core_builder_add_note(b, "CORE", NT_FILE, files, sizeof(files));
			core_builder_add_note(b, "CORE", NT_AUXV, junk, 64);
			core_builder_add_note(b, "CORE", NT_PRPSINFO, junk, 136);
			break;
		case 6: // of others
			core_builder_add_note(b, "FreeBSD", NT_PRSTATUS, junk, 336);
			core_builder_add_note(b, "LINUX", 0x777, junk, 10);
			core_builder_add_note(b, "", 1, NULL, 0);
			break;
		}
		_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
		assert_int_equal(gi_target_thread_count(t), 3);
		assert_int_equal(gi_target_info(t)->pid, 100);
		assert_int_equal(has_note(t, "notes of the core are damaged"), which < 5);
		byte_is(t, RODATA, 'r');
	}
}

static void test_damaged_files(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(gi_freep) char *exe = test_path("exe");
	size_t n;
	_cleanup_(gi_freep) uint8_t *file = exe_bytes("exe", &n);
	static const uint64_t notes[][5] = {
		{ UINT64_MAX, 4096, 0, 0, 0 },
		{ 1, 0, 0x1000, 0x2000, 0 },
		{ 1, UINT64_MAX, 0x1000, 0x2000, UINT64_MAX },
		{ 1, 4096, 0x2000, 0x1000, 0 },
		{ 1, 4096, 0x1000, 0x2000, UINT64_MAX },
		{ 2, 4096, 0x1000, 0x2000, 0 },
		{ 1, 4096, 0, UINT64_MAX, 0 },
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(notes); i++) {
		_cleanup_(core_builder_destroyp) struct core_builder *b =
			core_builder_create(CORE_BY_KERNEL);
		core_builder_add_load(b, EXE, GI_MAP_R | GI_MAP_X, file, 4096, 0x2000);
		core_builder_add_thread(b, 1, NULL, 6);
		core_builder_add_note(b, "CORE", NT_FILE, notes[i], sizeof(notes[i])); // no names
		core_builder_add_auxv(b, AT_ENTRY, ENTRY);
		_cleanup_(gi_freep) char *path = core_builder_write(b, "core");
		_cleanup_(gi_target_closep) struct gi_target *t = open_path(path, exe);
		byte_is(t, EXE, 0x7f);
		// Without NT_FILE the executable's place is known by its entry point.
		byte_is(t, EXE + 0x1000, 't');
	}
}

static void test_sparse(void **state)
{
	(void)state;
	// A hole in the file inside of what the core claims to hold is real zeros.
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	size_t n;
	core_builder_add_header(b, PT_LOAD, 0x700000000, 0x100000, (uint64_t)4 << 30, (uint64_t)4 << 30);
	_cleanup_(gi_freep) char *path = core_builder_write(b, "core");
	_cleanup_(gi_freep) uint8_t *bytes = core_builder_build(b, &n);
	assert_int_equal(truncate(path, ((off_t)4 << 30) + 0x100000), 0);
	double before = gi_now();
	_cleanup_(gi_target_closep) struct gi_target *t = open_path(path, NULL);
	double took = gi_now() - before;
	byte_is(t, 0x700000000 + ((uint64_t)3 << 30), 0);
	byte_is(t, 0x7ffffffff, 0);
	assert_non_null(gi_target_view(t, 0x700000000, (size_t)4 << 30));
	// Nothing of those 4 GB was read. (Half a second: a busy machine, valgrind.)
	assert_true(took < 0.5);
}

static void test_vdso(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	_cleanup_(elf_builder_destroyp) struct elf_builder *v = elf_builder_create(ET_DYN);
	elf_builder_add_first_load(v, PF_R | PF_X, 0, 4096, NULL, 'v');
	size_t n;
	_cleanup_(gi_freep) uint8_t *image = elf_builder_build(v, &n);
	assert_int_equal(n, 4096);
	core_builder_add_load(b, 0x7ffff000, GI_MAP_R | GI_MAP_X, image, 4096, 4096);
	core_builder_add_auxv(b, AT_SYSINFO_EHDR, 0x7ffff000);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	uint64_t bias = 0;
	struct gi_elf *elf = gi_target_elf_at(t, 0x7ffff123, &bias);
	assert_non_null(elf);
	assert_string_equal(gi_elf_path(elf), "[vdso]");
	assert_int_equal(bias, 0x7ffff000);
	assert_string_equal(gi_target_mapping_at(t, 0x7ffff000)->path, "[vdso]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_core),   cmocka_unit_test(test_gdb_core),
		cmocka_unit_test(test_signal_sender), cmocka_unit_test(test_pie),
		cmocka_unit_test(test_never_overlaid), cmocka_unit_test(test_only_nt_file),
		cmocka_unit_test(test_libraries),     cmocka_unit_test(test_sysroot),
		cmocka_unit_test(test_search),	      cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_wrong_exe),     cmocka_unit_test(test_go_id),
		cmocka_unit_test(test_no_id),	      cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_cut_kernel),
		cmocka_unit_test(test_cut_gdb),	      cmocka_unit_test(test_cut_memory),
		cmocka_unit_test(test_lost_notes),    cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_damaged_notes), cmocka_unit_test(test_damaged_files),
		cmocka_unit_test(test_sparse),	      cmocka_unit_test(test_vdso),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

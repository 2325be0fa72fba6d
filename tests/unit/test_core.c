// The core target, on cores that are built here: both orders of notes, overlay of what was
// not saved, the search for the executable.

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
#include <pthread.h>

#include "../support/files.h"
#include "checks.h"
#include "core_process.h"

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

// Notes without an owner count if Delve's header came before them, and only then.
static void test_delve_core(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b =
		make_core(CORE_BY_DELVE, "exe", EXE);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	const struct gi_process_info *info = gi_target_info(t);
	assert_int_equal(info->pid, 100);
	assert_false(info->by_kernel);
	assert_int_equal(info->entry, ENTRY);
	assert_int_equal(gi_target_note_count(t), 0);
	assert_int_equal(gi_target_thread_count(t), 3);
	for (size_t i = 0; i < 3; i++) {
		const struct gi_thread *th = gi_target_thread(t, i);
		assert_int_equal(th->tid, 101 + i);
		assert_int_equal(th->xstate_len, 832);
		assert_int_equal(th->regs.r[GI_AMD64_RIP], (i + 1) * 1000 + GI_AMD64_RIP);
	}
	// Without NT_FILE the executable's place is known all the same.
	byte_is(t, EXE + 0x1000, 't');

	_cleanup_(core_builder_destroyp) struct core_builder *k = make_core(CORE_BY_KERNEL, "exe", EXE);
	core_builder_add_note(k, "", NT_PRSTATUS, (uint8_t[336]){ 0 }, 336);
	_cleanup_(gi_target_closep) struct gi_target *plain = open_core(k);
	assert_int_equal(gi_target_thread_count(plain), 3);
}

// criu's converter writes each word of the auxiliary vector as an entry of its own.
static void test_spread_auxv(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	_cleanup_(gi_freep) char *exe = test_path("exe");
	size_t n;
	_cleanup_(gi_freep) uint8_t *file = exe_bytes("exe", &n);
	for (int auxv = 0; auxv < 2; auxv++) {
		_cleanup_(core_builder_destroyp) struct core_builder *b =
			core_builder_create(CORE_BY_GDB);
		core_builder_add_load(b, EXE, GI_MAP_R | GI_MAP_X, file, 4096, TEXT_SIZE);
		core_builder_add_file(b, EXE, EXE + TEXT_SIZE, 0, exe);
		core_builder_add_thread(b, 101, NULL, 0);
		const uint64_t words[] = { AT_PAGESZ, 4096,  AT_PHDR, EXE + 64, AT_PHNUM, file[56],
					   AT_ENTRY,  ENTRY, AT_NULL, 0 };
		for (size_t i = 0; auxv && i < GI_ARRAY_SIZE(words); i++)
			core_builder_add_auxv(b, words[i], 0);
		_cleanup_(gi_freep) char *core = core_builder_write(b, "core");
		_cleanup_(gi_target_closep) struct gi_target *t = open_path(core, exe);
		assert_int_equal(gi_target_info(t)->entry, auxv ? ENTRY : 0);
		byte_is(t, EXE + 0x1000, 't');
		// The mappings are the executable's and no library's.
		uint64_t bias;
		assert_ptr_equal(gi_target_elf_at(t, EXE + 0x1000, &bias), gi_target_exe(t));
		assert_int_equal(gi_target_note_count(t), auxv ? 0 : 1); // there is none
	}
}

static void put_words(uint8_t *at, const uint64_t *words, size_t n)
{
	memcpy(at, words, n * sizeof(*words));
}

// A core without NT_FILE: libraries are found by the dynamic linker's list. It may lie, and
// it may have no end.
static void test_linked(void **state)
{
	(void)state;
	enum { LIB = 0x10000000 };
	_cleanup_(elf_builder_destroyp) struct elf_builder *e = elf_builder_create(ET_EXEC);
	_cleanup_(gi_str_deinit) struct gi_str notes = { 0 };
	uint8_t page[4096], data[4096] = { 0 }, heap[4096] = { 0 }, stack[4096] = { 0 };
	elf_note_add(&notes, "GNU", NT_GNU_BUILD_ID, "an id", 5);
	page_of(page, 'r');
	elf_builder_set_entry(e, ENTRY);
	elf_builder_add_first_load(e, PF_R | PF_X, EXE, TEXT_SIZE, &notes, 't');
	elf_builder_add_segment(e, PT_LOAD, PF_R, RODATA, page, 4096, 4096, 4096);
	elf_builder_add_segment(e, PT_LOAD, PF_R | PF_W, DATA, page, 4096, 4096, 4096);
	elf_builder_add_segment(e, PT_DYNAMIC, PF_R | PF_W, DATA, page, 64, 64, 8);
	free(elf_builder_write(e, "exe"));
	make_exe_as("lib/one.so", ET_DYN, 0, "lib one", 7, NULL, 's');
	_cleanup_(gi_freep) char *exe = test_path("exe"), *lib = test_path("lib/one.so");
	size_t n;
	_cleanup_(gi_freep) uint8_t *file = exe_bytes("exe", &n);
	_cleanup_(gi_freep) uint8_t *one = exe_bytes("lib/one.so", &n);

	put_words(data, (uint64_t[]){ 1, 1, DT_DEBUG, HEAP, DT_NULL, 0 }, 6);
	put_words(heap, (uint64_t[]){ 1, HEAP + 0x100 }, 2);
	put_words(heap + 0x100, (uint64_t[]){ 0, HEAP + 0x400, 0, HEAP + 0x180 }, 4);
	put_words(heap + 0x180, (uint64_t[]){ LIB, HEAP + 0x800, 0, HEAP + 0x200 }, 4);
	put_words(heap + 0x200, (uint64_t[]){ 0xbad000, HEAP + 0x800, 0, HEAP + 0x280 }, 4);
	put_words(heap + 0x280, (uint64_t[]){ LIB, 0xbad, 0, HEAP + 0x100 }, 4);
	memcpy(heap + 0x800, lib, strlen(lib) + 1);
	memcpy(stack + 0x800, exe, strlen(exe) + 1);

	_cleanup_(core_builder_destroyp) struct core_builder *b = core_builder_create(CORE_BY_DELVE);
	core_builder_add_load(b, EXE, GI_MAP_R | GI_MAP_X, file, TEXT_SIZE, TEXT_SIZE);
	core_builder_add_load(b, DATA, GI_MAP_R | GI_MAP_W, data, 4096, 4096);
	core_builder_add_load(b, HEAP, GI_MAP_R | GI_MAP_W, heap, 4096, 4096);
	core_builder_add_load(b, LIB, GI_MAP_R | GI_MAP_X, one, 4096, TEXT_SIZE);
	core_builder_add_load(b, LIB + TEXT_SIZE, GI_MAP_R, NULL, 0, 4096);
	core_builder_add_load(b, STACK, GI_MAP_R | GI_MAP_W, stack, 4096, 4096);
	core_builder_set_process(b, 100, 1, 1000, "exe", exe);
	core_builder_add_auxv(b, AT_PHDR, EXE + 64);
	core_builder_add_auxv(b, AT_ENTRY, ENTRY);
	core_builder_add_auxv(b, AT_EXECFN, STACK + 0x800);
	core_builder_add_thread(b, 101, NULL, 0);
	_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
	uint64_t bias = 0;
	struct gi_elf *elf = gi_target_elf_at(t, LIB + 0x1000, &bias);
	assert_non_null(elf);
	assert_string_equal(gi_elf_path(elf), lib);
	assert_int_equal(bias, LIB);
	byte_is(t, LIB + 0x1000, 's'); // not saved: the file's
	byte_is(t, LIB + 0x2000, 'r');
	const struct gi_mapping *m = gi_target_mapping_at(t, LIB + 0x2000);
	assert_string_equal(m->path, lib);
	assert_int_equal(m->file_off, 0x2000);
	assert_string_equal(gi_target_mapping_at(t, EXE)->path, exe);
	assert_null(gi_target_mapping_at(t, HEAP)->path);
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

// A coredump_filter without anonymous private memory leaves nothing to work with: the reason
// names it. One thread whose stack was saved shows that it was not the filter.
static void test_no_private(void **state)
{
	(void)state;
	make_exe("exe", "right id");
	size_t n;
	_cleanup_(gi_freep) uint8_t *file = exe_bytes("exe", &n);
	_cleanup_(gi_freep) char *exe = test_path("exe");
	for (int saved = 0; saved < 3; saved++) {
		_cleanup_(core_builder_destroyp) struct core_builder *b =
			core_builder_create(saved == 2 ? CORE_BY_GDB : CORE_BY_KERNEL);
		uint8_t stack[4096] = { 0 };
		uint64_t regs[GI_AMD64_REG_COUNT] = { 0 };
		core_builder_add_load(b, EXE, GI_MAP_R | GI_MAP_X, file, 4096, TEXT_SIZE);
		core_builder_add_load(b, DATA, GI_MAP_R | GI_MAP_W, NULL, 0, 4096);
		if (saved != 2) // gdb does not even name what it leaves out
			core_builder_add_load(b, STACK, GI_MAP_R | GI_MAP_W, stack,
					      saved ? 4096 : 0, 4096);
		core_builder_add_file(b, EXE, EXE + TEXT_SIZE, 0, exe);
		core_builder_add_file(b, DATA, DATA + 0x1000, 0x3000, exe);
		core_builder_set_process(b, 100, 1, 1000, "exe", "./exe");
		core_builder_add_auxv(b, AT_ENTRY, ENTRY);
		core_builder_add_auxv(b, AT_PHDR, EXE + 64);
		for (int i = 0; i < 2; i++) {
			regs[GI_AMD64_RSP] = i ? STACK + 0x100 : HEAP;
			core_builder_add_thread(b, 101 + i, regs, 0);
		}
		_cleanup_(gi_target_closep) struct gi_target *t = open_core(b);
		byte_fails(t, DATA, GI_ERR_NOT_SAVED, saved == 1 ? "it maps" : "coredump_filter");
		byte_is(t, EXE + 0x1000, 't');
		if (saved == 2)
			byte_fails(t, STACK, GI_ERR_FAULT, "echo 0x33 >/proc/PID/coredump_filter");
	}
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
	// Wanted and found: "lib two", "lib 2.1".
	assert_true(has_note(t, "lib/other.so is not the library of this core: its build ID is "
				"6c696220322e31, the core's is 6c69622074776f: it is not used"));
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
	// The file is where this machine has it.
	make_exe("exe", "right id");
	_cleanup_(gi_freep) char *nowhere = test_path("nowhere");
	gi_target_close(open_path(core, NULL));
	opts.sysroot = nowhere;
	assert_null(gi_target_open_core(core, &opts, &t));
	assert_string_equal(gi_target_info(t)->exe_path, exe);
	gi_target_close(t);
	// Below the root first, and a wrong one there is passed over.
	make_exe(gi_str_cstr(&name), "right id");
	opts.sysroot = root;
	assert_null(gi_target_open_core(core, &opts, &t));
	assert_non_null(strstr(gi_target_info(t)->exe_path, "/root/"));
	gi_target_close(t);
	make_exe(gi_str_cstr(&name), "wrong id");
	assert_null(gi_target_open_core(core, &opts, &t));
	assert_string_equal(gi_target_info(t)->exe_path, exe);
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

static void test_by_linker(void **state)
{
	(void)state;
	// "ld.so ./prog": the auxiliary vector tells of the linker, the program is its library.
	make_exe("exe", "linker's");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	make_exe_as("prog", ET_DYN, 0, "program's", 9, "go/go/go", 'p');
	size_t n;
	_cleanup_(gi_freep) uint8_t *file = exe_bytes("prog", &n);
	add_library(b, "prog", 0x10000000, true, file);
	_cleanup_(gi_freep) char *core = core_builder_write(b, "core");
	_cleanup_(gi_freep) char *prog = test_path("prog");
	_cleanup_(gi_target_closep) struct gi_target *t = open_path(core, prog);
	assert_int_equal(gi_target_exe_bias(t), 0x10000000);
	byte_is(t, 0x10001000, 'p');
	byte_is(t, EXE + 0x1000, 't');
	uint64_t bias = 1;
	assert_ptr_equal(gi_target_elf_at(t, 0x10001000, &bias), gi_target_exe(t));
	assert_ptr_not_equal(gi_target_elf_at(t, EXE + 0x1000, &bias), gi_target_exe(t));
	assert_int_equal(bias, 0);
	// Found without being named, too: it is the only one that Go linked.
	struct gi_target *found = open_path(core, NULL);
	assert_string_equal(gi_elf_path(gi_target_exe(found)), prog);
	assert_true(has_note(found, "is not in its executable"));
	gi_target_close(found);
}

static void test_debug_file(void **state)
{
	(void)state;
	make_exe("exe", "\x01\x23\x45\x67");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	_cleanup_(gi_freep) char *core = core_builder_write(b, "core");
	_cleanup_(elf_builder_destroyp) struct elf_builder *d = elf_builder_create(ET_EXEC);
	_cleanup_(gi_str_deinit) struct gi_str notes = { 0 };
	elf_note_add(&notes, "GNU", NT_GNU_BUILD_ID, "\x01\x23\x45\x67", 4);
	elf_builder_add_segment(d, PT_NOTE, PF_R, 0, notes.s, notes.len, notes.len, 4);
	elf_builder_add_section(d, ".debug_info", SHT_PROGBITS, 0, 0, "dwarf", 5, 0, 0);
	_cleanup_(gi_freep) char *debug = elf_builder_write(d, "dbg/.build-id/01/234567.debug");
	_cleanup_(gi_freep) char *dir = test_path("dbg");
	struct gi_target *t = NULL;
	const char *dirs[] = { "/nonexistent", dir };
	struct gi_target_options opts = { .debug_dirs = dirs, .debug_dir_count = 2 };
	assert_null(gi_target_open_core(core, &opts, &t));
	assert_string_equal(gi_elf_path(gi_target_debug_elf(t)), debug);
	assert_ptr_equal(gi_target_debug_elf(t), gi_target_debug_elf(t));
	gi_target_close(t);
	// Below a sysroot it is where distributions put it.
	_cleanup_(gi_freep) char *installed =
		elf_builder_write(d, "root/usr/lib/debug/.build-id/01/234567.debug");
	_cleanup_(gi_freep) char *root = test_path("root"), *exe = test_path("exe");
	opts = (struct gi_target_options){ .sysroot = root, .exe = exe };
	assert_null(gi_target_open_core(core, &opts, &t));
	assert_string_equal(gi_elf_path(gi_target_debug_elf(t)), installed);
	gi_target_close(t);
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
	double before = worked();
	_cleanup_(gi_target_closep) struct gi_target *t = open_path(path, NULL);
	double took = worked() - before;
	byte_is(t, 0x700000000 + ((uint64_t)3 << 30), 0);
	byte_is(t, 0x7ffffffff, 0);
	assert_non_null(gi_target_view(t, 0x700000000, (size_t)4 << 30));
	// Nothing of those 4 GB was read. (Half a second: valgrind.)
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

struct reader {
	struct gi_target *targets[2];
	unsigned seed;
	size_t wrong;
};

static void *read_all_over(void *arg)
{
	struct reader *r = arg;
	for (size_t i = 0; i < 20000; i++) {
		r->seed = r->seed * 1103515245 + 12345;
		static const struct {
			uint64_t addr;
			uint8_t want;
		} places[] = { { EXE + 0x1000, 't' }, { RODATA, 'r' }, { DATA, 'D' }, { HEAP, 'h' } };
		size_t at = (r->seed >> 16) % 5;
		struct gi_target *t = r->targets[(r->seed >> 20) & 1];
		uint8_t got = 0;
		struct gi_error *err = gi_target_read_u8(t, at < 4 ? places[at].addr : HEAP + 0x3000,
							 &got);
		r->wrong += at < 4 ? err || got != places[at].want : !err;
		gi_error_free(err);
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	// Several threads, two targets with different ranges at the same places.
	make_exe("exe", "right id");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	_cleanup_(gi_target_closep) struct gi_target *one = open_core(b);
	uint8_t page[4096] = { 0 };
	for (uint64_t i = 0; i < 50; i++)
		core_builder_add_load(b, 0x1000 + i * 0x2000, GI_MAP_R, page, 1, 4096);
	_cleanup_(gi_target_closep) struct gi_target *two = open_core(b);
	struct reader readers[4];
	pthread_t ids[4];
	for (unsigned i = 0; i < 4; i++) {
		readers[i] = (struct reader){ .targets = { one, two }, .seed = i };
		assert_int_equal(pthread_create(&ids[i], NULL, read_all_over, &readers[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(ids[i], NULL), 0);
		assert_int_equal(readers[i].wrong, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_core),   cmocka_unit_test(test_gdb_core),
		cmocka_unit_test(test_linked),	      cmocka_unit_test(test_spread_auxv),
		cmocka_unit_test(test_delve_core),    cmocka_unit_test(test_no_private),
		cmocka_unit_test(test_signal_sender), cmocka_unit_test(test_pie),
		cmocka_unit_test(test_never_overlaid), cmocka_unit_test(test_only_nt_file),
		cmocka_unit_test(test_libraries),     cmocka_unit_test(test_sysroot),
		cmocka_unit_test(test_search),	      cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_wrong_exe),     cmocka_unit_test(test_go_id),
		cmocka_unit_test(test_no_id),	      cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_sparse),	      cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_threads),	      cmocka_unit_test(test_by_linker),
		cmocka_unit_test(test_debug_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

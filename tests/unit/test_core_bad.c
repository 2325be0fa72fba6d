// The core target on files that are cut off, damaged, hostile, or no cores at all: one clear
// line, or what can be read and a note, and never a byte that is not the process's.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>

#include "../support/files.h"
#include "core_process.h"

// Cores of machines whose words are shorter or the other way round: one line that says so.
static void test_other_words(void **state)
{
	(void)state;
	static const struct {
		uint8_t class, data;
		uint16_t machine;
		const char *words;
	} cases[] = {
		{ ELFCLASS32, ELFDATA2LSB, EM_386, "is a 32-bit ELF file of x86: only 64-bit" },
		{ ELFCLASS32, ELFDATA2LSB, EM_ARM, "is a 32-bit ELF file of arm: only 64-bit" },
		{ ELFCLASS32, ELFDATA2MSB, EM_MIPS,
		  "is a 32-bit, big-endian ELF file of mips: only 64-bit" },
		{ ELFCLASS64, ELFDATA2MSB, EM_S390, "is a big-endian ELF file of s390: only" },
		{ ELFCLASS64, ELFDATA2MSB, EM_PPC64, "is a big-endian ELF file of ppc64: only" },
		{ ELFCLASS64, ELFDATA2MSB, EM_MIPS, "is a big-endian ELF file of mips: only" },
		{ ELFCLASS64, ELFDATA2MSB, 4711, "is a big-endian ELF file: only" },
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		uint8_t head[4096] = { 0x7f, 'E', 'L', 'F', cases[i].class, cases[i].data, EV_CURRENT };
		bool big = cases[i].data == ELFDATA2MSB;
		head[big ? 17 : 16] = ET_CORE;
		head[big ? 19 : 18] = cases[i].machine & 0xff;
		head[big ? 18 : 19] = cases[i].machine >> 8;
		_cleanup_(gi_freep) char *path = test_write("odd", head, sizeof(head));
		refused_as(path, NULL, GI_ERR_UNSUPPORTED, cases[i].words);
	}
}

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
		{ ET_CORE, EM_AARCH64, GI_ERR_FORMAT, "neither threads nor memory" },
		{ ET_CORE, EM_RISCV, GI_ERR_UNSUPPORTED, "a core of riscv: only amd64 and arm64" },
		{ ET_CORE, EM_PPC64, GI_ERR_UNSUPPORTED, "a core of ppc64: only" },
		{ ET_CORE, EM_MIPS, GI_ERR_UNSUPPORTED, "a core of mips: only" },
		{ ET_CORE, EM_LOONGARCH, GI_ERR_UNSUPPORTED, "a core of loong64: only" },
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_words),
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_cut_kernel),
		cmocka_unit_test(test_cut_gdb),	      cmocka_unit_test(test_cut_memory),
		cmocka_unit_test(test_lost_notes),    cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_damaged_notes), cmocka_unit_test(test_damaged_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

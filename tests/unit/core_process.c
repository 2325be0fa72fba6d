// See core_process.h.

#include "core_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>

#include "../support/files.h"

uint8_t page_of(uint8_t v[4096], uint8_t fill)
{
	memset(v, fill, 4096);
	return fill;
}

void make_exe_as(const char *name, uint16_t type, uint64_t base, const void *gnu, size_t gnu_n,
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

void make_exe(const char *name, const char *id)
{
	make_exe_as(name, ET_EXEC, EXE, id, strlen(id), NULL, 't');
}

uint8_t *exe_bytes(const char *name, size_t *n)
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
struct core_builder *make_core(enum core_order order, const char *exe, uint64_t base)
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

struct gi_target *open_path(const char *path, const char *exe)
{
	struct gi_target *t = NULL;
	struct gi_error *err = gi_target_open_core(path, &(struct gi_target_options){ .exe = exe }, &t);
	if (err)
		fail_msg("%s", gi_error_message(err));
	return t;
}

struct gi_target *open_core(struct core_builder *b)
{
	_cleanup_(gi_freep) char *path = core_builder_write(b, "core");
	return open_path(path, NULL);
}

void refused_as(const char *path, const struct gi_target_options *opts,
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

bool has_note(struct gi_target *t, const char *words)
{
	for (size_t i = 0; i < gi_target_note_count(t); i++) {
		if (strstr(gi_target_note(t, i), words))
			return true;
	}
	return false;
}

void byte_is(struct gi_target *t, uint64_t addr, uint8_t want)
{
	uint8_t got = 0;
	struct gi_error *err = gi_target_read_u8(t, addr, &got);
	if (err)
		fail_msg("%s", gi_error_message(err));
	assert_int_equal(got, want);
}

void byte_fails(struct gi_target *t, uint64_t addr, enum gi_error_code code,
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

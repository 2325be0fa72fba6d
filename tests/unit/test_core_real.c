// The core target on the real cores that are shipped: kernel cores of Go programs of the
// oldest and the newest release, which leave the executable's text out.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>
#include <signal.h>

#include "../support/files.h"
#include "core_process.h"

static const char *const names[] = { "abba-go1.19.13", "abba-go1.27.4",	 "zoo-go1.19.13",
				     "zoo-go1.27.4",   "zoo_cgo-go1.19.13", "zoo_cgo-go1.27.4" };

static char *shipped(const char *name, const char *suffix)
{
	const char *dir = getenv("GCORE_COREFILES");
	char *path = NULL;
	if (asprintf(&path, "%s/%s%s", dir ? dir : "build/corefiles", name, suffix) < 0)
		abort();
	return path;
}

static void test_open(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		_cleanup_(gi_freep) char *core = shipped(names[i], ".core");
		_cleanup_(gi_freep) char *exe = shipped(names[i], ".exe");
		_cleanup_(gi_target_closep) struct gi_target *t = open_path(core, exe);
		const struct gi_process_info *info = gi_target_info(t);
		assert_true(info->by_kernel);
		assert_int_equal(info->signal, SIGABRT);
		assert_int_equal(info->signal_code, SI_TKILL);
		assert_int_equal(info->sender, info->pid);
		assert_int_equal(gi_target_note_count(t), 0);
		assert_true(gi_elf_is_go(gi_target_exe(t)));
		assert_int_equal(gi_target_exe_bias(t), 0);
		assert_true(gi_target_thread_count(t) >= 4);
		assert_non_null(gi_target_thread_by_tid(t, info->pid));
		assert_int_equal(gi_target_thread(t, 0)->siginfo_len, 128);
		for (size_t k = 0; k < gi_target_thread_count(t); k++) {
			// Each is somewhere in Go or C code, and its stack is saved.
			const struct gi_regs *regs = &gi_target_thread(t, k)->regs;
			uint64_t bias, word;
			assert_true(gi_target_peek_u64(t, gi_regs_sp(regs), &word));
			// Another machine's C library need not be here.
			const struct gi_mapping *m = gi_target_mapping_at(t, gi_regs_pc(regs));
			assert_non_null(m);
			if (strstr(m->path, ".so"))
				continue;
			assert_non_null(gi_target_elf_at(t, gi_regs_pc(regs), &bias));
			assert_true(gi_target_peek_u64(t, gi_regs_pc(regs), &word));
		}
	}
}

static void test_gcore(void **state)
{
	(void)state;
	_cleanup_(gi_freep) char *core = shipped("abba-go1.27.4-gcore", ".core");
	_cleanup_(gi_freep) char *exe = shipped("abba-go1.27.4", ".exe");
	_cleanup_(gi_target_closep) struct gi_target *t = open_path(core, exe);
	const struct gi_process_info *info = gi_target_info(t);
	assert_false(info->by_kernel);
	assert_int_equal(info->signal, 0); // nothing ended it
	assert_int_equal(gi_target_note_count(t), 0);
	assert_true(gi_target_thread_count(t) >= 4);
	for (size_t k = 0; k < gi_target_thread_count(t); k++) {
		const struct gi_thread *th = gi_target_thread(t, k);
		uint64_t bias, word;
		assert_ptr_equal(gi_target_elf_at(t, gi_regs_pc(&th->regs), &bias), gi_target_exe(t));
		assert_true(gi_target_peek_u64(t, gi_regs_pc(&th->regs), &word));
		assert_true(gi_target_peek_u64(t, gi_regs_sp(&th->regs), &word));
		assert_int_equal(th->siginfo_len, 128);
	}
}

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		_cleanup_(gi_freep) char *core = shipped(names[i], ".core");
		_cleanup_(gi_freep) char *exe = shipped(names[i], ".exe");
		_cleanup_(gi_target_closep) struct gi_target *t = open_path(core, exe);
		size_t size, compared = 0;
		struct gi_elf *elf = gi_target_exe(t);
		const uint8_t *file = gi_elf_bytes(elf, &size);
		for (size_t k = 0; k < gi_elf_segment_count(elf); k++) {
			struct gi_elf_segment seg = gi_elf_segment(elf, k);
			if (seg.type != PT_LOAD || (seg.flags & PF_W))
				continue;
			_cleanup_(gi_freep) uint8_t *buf = malloc(seg.filesz);
			assert_null(gi_target_read(t, seg.vaddr, buf, seg.filesz));
			assert_memory_equal(buf, file + seg.offset, seg.filesz);
			compared += seg.filesz;
		}
		assert_true(compared > 500000);
		for (size_t k = 0; k < gi_target_mapping_count(t); k++) {
			const struct gi_mapping *m = gi_target_mapping(t, k);
			assert_false(m->overlaid && (m->flags & GI_MAP_W));
			// The kernel saves what can be written, whole.
			if (m->flags & GI_MAP_W)
				assert_int_equal(m->saved, m->end - m->start);
		}
	}
}

static void test_others_exe(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		for (size_t k = 0; k < GI_ARRAY_SIZE(names); k++) {
			if (i == k)
				continue;
			_cleanup_(gi_freep) char *core = shipped(names[i], ".core");
			_cleanup_(gi_freep) char *exe = shipped(names[k], ".exe");
			struct gi_target_options opts = { .exe = exe };
			refused_as(core, &opts, GI_ERR_MISMATCH, "its build ID is");
		}
	}
}

static void test_cut(void **state)
{
	(void)state;
	static const size_t cuts[] = { 100,	  1000,	  2000,	   5000,    9000,
				       16384,	  20000,  100000,  300000,  1000000,
				       4000000,	  9000000 };
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		_cleanup_(gi_freep) char *core = shipped(names[i], ".core");
		_cleanup_(gi_freep) char *exe = shipped(names[i], ".exe");
		_cleanup_(gi_target_closep) struct gi_target *whole = open_path(core, exe);
		_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
		assert_null(gi_elf_open(core, &elf));
		size_t size, opened = 0;
		const uint8_t *bytes = gi_elf_bytes(elf, &size);
		for (size_t k = 0; k < GI_ARRAY_SIZE(cuts); k++) {
			assert_true(cuts[k] < size);
			_cleanup_(gi_freep) char *path = test_write("cut", bytes, cuts[k]);
			struct gi_target *t = NULL;
			struct gi_error *err = gi_target_open_core(
				path, &(struct gi_target_options){ .exe = exe }, &t);
			if (err) {
				assert_non_null(strstr(gi_error_message(err), path));
				gi_error_free(err);
				continue;
			}
			opened++;
			assert_true(has_note(t, "cut off"));
			for (size_t m = 0; m < gi_target_mapping_count(whole); m++) {
				uint64_t addr = gi_target_mapping(whole, m)->start, want, got;
				if (!gi_target_peek_u64(t, addr, &got))
					continue;
				assert_true(gi_target_peek_u64(whole, addr, &want));
				assert_true(got == want);
			}
			gi_target_close(t);
		}
		assert_true(opened >= 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_gcore),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_others_exe),
		cmocka_unit_test(test_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

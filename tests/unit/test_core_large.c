// Large cores: many gigabytes of holes that must not be read, more program headers than
// e_phnum can count, compressed and not.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include "../support/files.h"
#include "checks.h"
#include "core_process.h"

#define GB ((uint64_t)1 << 30)
enum { BIG_OFFSET = 1 << 20, XNUM = 70000, RESIDENT_MAX = 32 << 20 };
#define BIG 0x600000000000

static uint64_t resident(void)
{
	unsigned long long total = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu %llu", &total, &pages), 2);
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

// The process of core_process.h, and size bytes of memory at BIG that are holes in the file
// but for the last byte.
static char *write_sparse(const char *name, uint64_t size)
{
	make_exe("exe", "same build");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_GDB, "exe", EXE);
	core_builder_add_header(b, PT_LOAD, BIG, BIG_OFFSET, size, size);
	char *path = core_builder_write(b, name);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= BIG_OFFSET);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(BIG_OFFSET + size)), 0);
	assert_int_equal(pwrite(fd, "!", 1, (off_t)(BIG_OFFSET + size - 1)), 1);
	close(fd);
	return path;
}

static void check_sparse(struct gi_target *t, uint64_t size)
{
	assert_int_equal(gi_target_note_count(t), 0);
	byte_is(t, BIG, 0);
	byte_is(t, BIG + size / 2, 0);
	byte_is(t, BIG + size - 1, '!');
	byte_is(t, HEAP, 'h');
	byte_fails(t, BIG + size, GI_ERR_FAULT, "not mapped");
	assert_int_equal(gi_target_mapping_at(t, BIG)->saved, size);
}

static void test_sparse(void **state)
{
	(void)state;
	_cleanup_(gi_freep) char *path = write_sparse("core.sparse", 10 * GB);
	uint64_t before = resident();
	double start = worked();
	_cleanup_(gi_target_closep) struct gi_target *t = open_path(path, NULL);
	check_sparse(t, 10 * GB);
	// Reading 10 GB takes seconds, and leaves them resident.
	assert_true(worked() - start < 2);
	assert_true(resident() - before < RESIDENT_MAX || resident() < before);
}

static void test_sparse_cut(void **state)
{
	(void)state;
	_cleanup_(gi_freep) char *path = write_sparse("core.sparse", 10 * GB);
	assert_int_equal(truncate(path, BIG_OFFSET + 4 * GB), 0);
	_cleanup_(gi_target_closep) struct gi_target *t = open_path(path, NULL);
	assert_true(has_note(t, "cut off"));
	byte_is(t, BIG + 4 * GB - 1, 0);
	byte_fails(t, BIG + 4 * GB, GI_ERR_CUT_OFF, "cut off");
	assert_int_equal(gi_target_mapping_at(t, BIG)->saved, 4 * GB);
}

// Zeros, compressed: unpacked to holes.
static void test_sparse_compressed(void **state)
{
	(void)state;
	_cleanup_(gi_freep) char *plain = write_sparse("core.plain", GB / 4);
	_cleanup_(gi_freep) char *path = test_path("core.zst"), *dir = test_path("cache");
	_cleanup_(gi_freep) char *exe = test_path("exe");
	struct stat st;
	assert_int_equal(stat(plain, &st), 0);
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	assert_int_equal(archive_write_add_filter_zstd(a), ARCHIVE_OK);
	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	archive_entry_set_pathname(e, "core");
	archive_entry_set_filetype(e, AE_IFREG);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	int fd = open(plain, O_RDONLY | O_CLOEXEC);
	uint8_t *buf = malloc(1 << 20);
	for (ssize_t n; (n = read(fd, buf, 1 << 20)) > 0;)
		assert_int_equal(archive_write_data(a, buf, (size_t)n), n);
	free(buf);
	close(fd);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(e);
	archive_write_free(a);

	struct gi_target_options opts = { .exe = exe, .unpacking.cache_dir = dir };
	_cleanup_(gi_target_closep) struct gi_target *t = NULL;
	struct gi_error *err = gi_target_open_core(path, &opts, &t);
	if (err)
		fail_msg("%s", gi_error_message(err));
	check_sparse(t, GB / 4);
	assert_int_equal(stat(path, &st), 0);
	_cleanup_(gi_str_deinit) struct gi_str kept = { 0 };
	gi_str_printf(&kept, "%s/%llx-%llx-%llx-%llx.%09ld.unpacked", dir, (unsigned long long)st.st_dev,
		      (unsigned long long)st.st_ino, (unsigned long long)st.st_size,
		      (unsigned long long)st.st_mtim.tv_sec, (long)st.st_mtim.tv_nsec);
	assert_int_equal(stat(gi_str_cstr(&kept), &st), 0);
	assert_int_equal(st.st_size, BIG_OFFSET + GB / 4);
	assert_true((uint64_t)st.st_blocks * 512 < 2 << 20);
}

// More program headers than e_phnum can hold: one page each, with an unmapped one between
// and three kinds of contents.
static void test_xnum(void **state)
{
	(void)state;
	make_exe("exe", "same build");
	_cleanup_(core_builder_destroyp) struct core_builder *b = make_core(CORE_BY_KERNEL, "exe", EXE);
	for (uint64_t i = 0; i < XNUM; i++)
		core_builder_add_header(b, PT_LOAD, BIG + i * 0x2000, (8 + i % 3) << 20, 4096, 4096);
	elf_builder_set_xnum(core_builder_elf(b));
	_cleanup_(gi_freep) char *path = core_builder_write(b, "core.xnum");
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < 3; i++) {
		uint8_t page[4096];
		memset(page, 'a' + i, sizeof(page));
		assert_int_equal(pwrite(fd, page, sizeof(page), (off_t)(8 + i) << 20), sizeof(page));
	}
	uint16_t phnum = 0;
	assert_int_equal(pread(fd, &phnum, 2, 56), 2);
	assert_int_equal(phnum, PN_XNUM);
	close(fd);

	double start = worked();
	_cleanup_(gi_target_closep) struct gi_target *t = open_path(path, NULL);
	assert_true(worked() - start < 5);
	assert_int_equal(gi_target_note_count(t), 0);
	assert_int_equal(gi_target_thread_count(t), 3);
	size_t big = 0;
	for (size_t i = 0; i < gi_target_mapping_count(t); i++)
		big += gi_target_mapping(t, i)->start >= BIG;
	assert_int_equal(big, XNUM);
	for (uint64_t i = 0; i < XNUM; i++) {
		byte_is(t, BIG + i * 0x2000, (uint8_t)('a' + i % 3));
		byte_is(t, BIG + i * 0x2000 + 4095, (uint8_t)('a' + i % 3));
	}
	byte_fails(t, BIG + 0x1000, GI_ERR_FAULT, "not mapped");
	byte_fails(t, BIG + (XNUM - 1) * UINT64_C(0x2000) + 0x1000, GI_ERR_FAULT, "not mapped");
	gi_target_close(t);
	t = NULL;

	// Cut off inside of the headers: those that are there are used, and a note says so.
	assert_int_equal(truncate(path, 64 + 66000 * 56), 0);
	struct gi_error *err = gi_target_open_core(path, NULL, &t);
	assert_non_null(err); // neither threads nor memory are left
	assert_non_null(strstr(gi_error_message(err), "cut off"));
	gi_error_free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_sparse_cut),
		cmocka_unit_test(test_sparse_compressed),
		cmocka_unit_test(test_xnum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// Compressed files: every filter, holes, the cache, limits, cut and damaged streams.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include "../support/elf_builder.h"
#include "../support/files.h"
#include "gcore/elf.h"

enum { SEGMENT = 3 << 20, DENSE = 1 << 20 };

static void assert_ok(struct gi_error *err)
{
	if (err)
		fail_msg("%s", gi_error_message(err));
}

static void assert_error(struct gi_error *err, enum gi_error_code code, const char *words)
{
	assert_non_null(err);
	if (gi_error_code(err) != code || !strstr(gi_error_message(err), words) ||
	    strchr(gi_error_message(err), '\n'))
		fail_msg("code %d: %s", gi_error_code(err), gi_error_message(err));
	gi_error_free(err);
}

static uint8_t *image;
static size_t image_size;

static int make_image(void **state)
{
	(void)state;
	uint8_t *bytes = calloc(1, SEGMENT);
	uint32_t seed = 1;
	// Dense, then zeros with one page amid, then dense: and it ends within a page.
	for (size_t i = 0; i < SEGMENT - 100; i++) {
		seed = seed * 1664525 + 1013904223;
		if (i < DENSE || i >= SEGMENT - 5000 || i == 2 << 20)
			bytes[i] = (uint8_t)(seed >> 24);
	}
	struct elf_builder *b = elf_builder_create(ET_CORE);
	elf_builder_add_segment(b, PT_LOAD, PF_R | PF_W, 0x10000, bytes, SEGMENT - 77, SEGMENT, 4096);
	image = elf_builder_build(b, &image_size);
	elf_builder_destroy(b);
	free(bytes);
	return 0;
}

static int free_image(void **state)
{
	(void)state;
	free(image);
	return 0;
}

static const struct {
	const char *name;
	int (*add)(struct archive *);
} filters[] = {
	{ "zstd", archive_write_add_filter_zstd },   { "lz4", archive_write_add_filter_lz4 },
	{ "xz", archive_write_add_filter_xz },	     { "gzip", archive_write_add_filter_gzip },
	{ "bzip2", archive_write_add_filter_bzip2 },
};

// bytes compressed; malloc'd.
static uint8_t *pack(int (*add)(struct archive *), bool tar, const void *bytes, size_t n, size_t *n_ret)
{
	size_t room = 2 * n + (1 << 20), used = 0;
	uint8_t *out = malloc(room);
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	assert_int_equal(add(a), ARCHIVE_OK);
	assert_int_equal(tar ? archive_write_set_format_ustar(a) : archive_write_set_format_raw(a),
			 ARCHIVE_OK);
	// Blocks of 64 KB: the default is larger than the image.
	if (add == archive_write_add_filter_lz4)
		assert_int_equal(archive_write_set_filter_option(a, "lz4", "block-size", "4"), ARCHIVE_OK);
	archive_write_set_bytes_in_last_block(a, 1);
	assert_int_equal(archive_write_open_memory(a, out, room, &used), ARCHIVE_OK);
	archive_entry_set_pathname(e, "core");
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_size(e, (la_int64_t)n);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, bytes, n), n);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(e);
	archive_write_free(a);
	*n_ret = used;
	return out;
}

static char *write_packed(const char *name, int (*add)(struct archive *))
{
	size_t n;
	uint8_t *p = pack(add, false, image, image_size, &n);
	char *path = test_write(name, p, n);
	free(p);
	return path;
}

static void assert_image(const struct gi_elf *elf, size_t want)
{
	size_t n;
	const uint8_t *p = gi_elf_bytes(elf, &n);
	assert_int_equal(n, want);
	assert_memory_equal(p, image, n);
}

static char *only_file(const char *dir, size_t *count_ret)
{
	char *found = NULL;
	DIR *d = opendir(dir);
	assert_non_null(d);
	*count_ret = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		free(found);
		assert_true(asprintf(&found, "%s/%s", dir, e->d_name) > 0);
		++*count_ret;
	}
	closedir(d);
	return found;
}

static void test_filters(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(filters); i++) {
		char *path = write_packed("core.packed", filters[i].add);
		struct gi_elf *elf;
		assert_ok(gi_elf_open_packed(path, NULL, &elf));
		assert_image(elf, image_size);
		assert_string_equal(gi_elf_path(elf), path);
		assert_null(gi_elf_unpacking_note(elf));
		assert_int_equal(gi_elf_segment_count(elf), 1);
		gi_elf_close(elf);
		// Where compressed files are not expected, an error says what to do.
		assert_error(gi_elf_open(path, &elf), GI_ERR_FORMAT, "unpack it first");
		free(path);
	}
}

static void test_plain(void **state)
{
	(void)state;
	char *path = test_write("core.plain", image, image_size);
	struct gi_elf *elf;
	assert_ok(gi_elf_open_packed(path, NULL, &elf));
	assert_image(elf, image_size);
	gi_elf_close(elf);
	free(path);
}

static void test_several_streams(void **state)
{
	(void)state;
	size_t half = image_size / 2, n, m;
	uint8_t *a = pack(archive_write_add_filter_gzip, false, image, half, &n);
	uint8_t *b = pack(archive_write_add_filter_gzip, false, image + half, image_size - half, &m);
	a = realloc(a, n + m);
	memcpy(a + n, b, m);
	char *path = test_write("core.two.gz", a, n + m);
	struct gi_elf *elf;
	assert_ok(gi_elf_open_packed(path, NULL, &elf));
	assert_image(elf, image_size);
	gi_elf_close(elf);
	free(path);
	free(a);
	free(b);
}

struct told {
	unsigned calls;
	uint64_t done, total;
};

static void progress(void *arg, const char *path, uint64_t done, uint64_t total)
{
	struct told *t = arg;
	assert_non_null(strstr(path, "core."));
	assert_true(done >= t->done && done <= total);
	t->calls++;
	t->done = done;
	t->total = total;
}

static void test_cache(void **state)
{
	(void)state;
	char *path = write_packed("core.cached", archive_write_add_filter_zstd);
	char *dir = test_path("cache");
	struct told told = { 0 };
	struct gi_elf_unpacking how = { .cache_dir = dir, .progress = progress, .progress_arg = &told };
	struct gi_elf *elf;
	assert_ok(gi_elf_open_packed(path, &how, &elf));
	assert_image(elf, image_size);
	gi_elf_close(elf);
	assert_true(told.calls > 0 && told.total > 0);

	size_t count;
	char *kept = only_file(dir, &count);
	assert_int_equal(count, 1);
	struct stat st;
	assert_int_equal(stat(kept, &st), 0);
	assert_int_equal(st.st_size, image_size);
	assert_int_equal(st.st_mode & 0777, 0600);
	// The zeros are holes: about the dense bytes are there.
	assert_true((uint64_t)st.st_blocks * 512 < DENSE + (1 << 19));

	// Used again: what was changed in it is seen.
	FILE *f = fopen(kept, "r+");
	fseek(f, -1, SEEK_END);
	fputc('!', f);
	fclose(f);
	told.calls = 0;
	assert_ok(gi_elf_open_packed(path, &how, &elf));
	size_t n;
	const uint8_t *bytes = gi_elf_bytes(elf, &n);
	assert_int_equal(bytes[n - 1], '!');
	assert_int_equal(told.calls, 0);
	gi_elf_close(elf);

	told.done = 0;
	// Others may have written to it: not believed, and replaced.
	assert_int_equal(chmod(kept, 0620), 0);
	assert_ok(gi_elf_open_packed(path, &how, &elf));
	assert_image(elf, image_size);
	gi_elf_close(elf);
	assert_int_equal(stat(kept, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	told.done = 0;
	// A link is not followed.
	assert_int_equal(unlink(kept), 0);
	assert_int_equal(symlink("/etc/passwd", kept), 0);
	assert_ok(gi_elf_open_packed(path, &how, &elf));
	assert_image(elf, image_size);
	gi_elf_close(elf);

	told.done = 0;
	// Another file of that name is another file.
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_ok(gi_elf_open_packed(path, &how, &elf));
	gi_elf_close(elf);
	free(only_file(dir, &count));
	assert_int_equal(count, 2);

	how.cache_dir = path;
	assert_error(gi_elf_open_packed(path, &how, &elf), GI_ERR_IO, "Not a directory");
	how.cache_dir = "/nonexistent/cache";
	assert_error(gi_elf_open_packed(path, &how, &elf), GI_ERR_IO, "/nonexistent/cache");
	free(kept);
	free(dir);
	free(path);
}

static void test_limit_and_interrupt(void **state)
{
	(void)state;
	char *path = write_packed("core.bomb", archive_write_add_filter_xz);
	char *dir = test_path("cache-limit");
	struct gi_elf_unpacking how = { .cache_dir = dir, .max_size = image_size - 1 };
	struct gi_elf *elf;
	size_t count;
	assert_error(gi_elf_open_packed(path, &how, &elf), GI_ERR_FORMAT, "GCORE_UNPACK_MAX");
	how.max_size = 0;
	gi_interrupt_raise();
	assert_error(gi_elf_open_packed(path, &how, &elf), GI_ERR_INTERRUPTED, "");
	gi_interrupt_clear();
	free(only_file(dir, &count));
	assert_int_equal(count, 0);
	how.max_size = image_size;
	assert_ok(gi_elf_open_packed(path, &how, &elf));
	assert_image(elf, image_size);
	gi_elf_close(elf);
	free(dir);
	free(path);
}

static void refuse(const char *name, const void *bytes, size_t n, bool tar, const char *says)
{
	size_t packed;
	uint8_t *p = pack(archive_write_add_filter_zstd, tar, bytes, n, &packed);
	char *path = test_write(name, p, packed);
	char *dir = test_path("cache-refuse");
	struct gi_elf_unpacking how = { .cache_dir = dir };
	struct gi_elf *elf;
	size_t count;
	assert_error(gi_elf_open_packed(path, &how, &elf), GI_ERR_FORMAT, says);
	assert_error(gi_elf_open_packed(path, &how, &elf), GI_ERR_FORMAT, name);
	free(only_file(dir, &count));
	assert_int_equal(count, 0);
	free(dir);
	free(path);
	free(p);
}

static void test_other_contents(void **state)
{
	(void)state;
	size_t n;
	static const char text[] = "nothing but text, in a few words\n";
	refuse("text.zst", text, sizeof(text) - 1, false, "text file");
	refuse("core.tar.zst", image, image_size, true, "tar archive");
	refuse("empty.zst", "", 0, false, "empty");
	refuse("short.zst", image, 20, false, "cut off");
	uint8_t *twice = pack(archive_write_add_filter_gzip, false, image, image_size, &n);
	refuse("core.gz.zst", twice, n, false, "gzip");
	free(twice);
}

// Whatever a filter gives of a cut stream is a prefix, and a note says so.
static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(filters); i++) {
		size_t n;
		uint8_t *p = pack(filters[i].add, false, image, image_size, &n);
		char *dir = test_path(filters[i].name);
		struct gi_elf_unpacking how = { .cache_dir = dir };
		bool some = false;
		static const unsigned percent[] = { 0, 1, 10, 50, 90, 99 };
		for (size_t k = 0; k < GI_ARRAY_SIZE(percent); k++) {
			size_t cut = n * percent[k] / 100 + 8, count;
			char *path = test_write("core.cut", p, cut);
			struct gi_elf *elf;
			struct gi_error *err = gi_elf_open_packed(path, &how, &elf);
			if (err) {
				assert_error(err, GI_ERR_FORMAT, "cut off or damaged");
			} else {
				size_t got;
				gi_elf_bytes(elf, &got);
				assert_true(got < image_size);
				assert_image(elf, got);
				assert_non_null(gi_elf_unpacking_note(elf));
				assert_non_null(strstr(gi_elf_unpacking_note(elf), "cut off"));
				some = some || got >= DENSE / 4;
				gi_elf_close(elf);
			}
			free(only_file(dir, &count));
			assert_int_equal(count, 0);
			free(path);
		}
		if (!some)
			fail_msg("nothing of any cut %s file could be unpacked", filters[i].name);
		free(dir);
		free(p);
	}
}

// No damage may crash; what comes out is an error, or an image of some kind.
static void test_damaged(void **state)
{
	(void)state;
	uint32_t seed = 7;
	for (size_t i = 0; i < GI_ARRAY_SIZE(filters); i++) {
		size_t n;
		uint8_t *p = pack(filters[i].add, false, image, image_size, &n);
		for (int round = 0; round < 12; round++) {
			seed = seed * 1664525 + 1013904223;
			size_t at = 6 + seed % (round % 2 ? n - 6 : 200);
			uint8_t was = p[at];
			p[at] ^= (uint8_t)(1 + (seed >> 24) % 255);
			char *path = test_write("core.damaged", p, n);
			struct gi_elf_unpacking how = { .max_size = 16 << 20 };
			struct gi_elf *elf;
			struct gi_error *err = gi_elf_open_packed(path, &how, &elf);
			if (!err)
				gi_elf_close(elf);
			gi_error_free(err);
			p[at] = was;
			free(path);
		}
		free(p);
	}
}

static void test_temp_dir(void **state)
{
	(void)state;
	char *path = write_packed("core.temp", archive_write_add_filter_lz4);
	const char *old = getenv("TMPDIR");
	char *keep = old ? strdup(old) : NULL;
	struct gi_elf *elf;
	setenv("TMPDIR", "/nonexistent", 1);
	assert_error(gi_elf_open_packed(path, NULL, &elf), GI_ERR_IO, "/nonexistent");
	char *dir = test_path("temp");
	assert_int_equal(mkdir(dir, 0700), 0);
	setenv("TMPDIR", dir, 1);
	assert_ok(gi_elf_open_packed(path, NULL, &elf));
	size_t count;
	free(only_file(dir, &count));
	assert_int_equal(count, 0);
	assert_image(elf, image_size);
	gi_elf_close(elf);
	if (keep)
		setenv("TMPDIR", keep, 1);
	else
		unsetenv("TMPDIR");
	free(keep);
	free(dir);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_several_streams),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_limit_and_interrupt),
		cmocka_unit_test(test_other_contents),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_temp_dir),
	};
	return cmocka_run_group_tests(tests, make_image, free_image);
}

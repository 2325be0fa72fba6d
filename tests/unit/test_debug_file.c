// Separate debug files: what names them, what proves that they belong, what is packed in them.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <elf.h>

#include "../support/elf_builder.h"
#include "../support/files.h"
#include "gcore/elf.h"

#define ID "\xab\xcd\xef\x01\x02\x03\x04\x05"

static struct gi_elf *open_path(const char *path)
{
	struct gi_elf *elf = NULL;
	struct gi_error *err = gi_elf_open(path, &elf);
	if (err)
		fail_msg("%s", gi_error_message(err));
	return elf;
}

static void add_note(struct elf_builder *b, const char *owner, uint32_t type, const char *id, size_t n)
{
	_cleanup_(gi_str_deinit) struct gi_str notes = {0};
	elf_note_add(&notes, owner, type, id, n);
	elf_builder_add_segment(b, PT_NOTE, PF_R, 0, notes.s, notes.len, notes.len, 4);
}

// Compresses as one raw stream.
static size_t pack(int (*filter)(struct archive *), const void *data, size_t n, uint8_t *ret, size_t max)
{
	size_t used = 0;
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	assert_int_equal(filter(a), ARCHIVE_OK);
	archive_write_set_bytes_per_block(a, 1);
	assert_int_equal(archive_write_open_memory(a, ret, max, &used), ARCHIVE_OK);
	archive_entry_set_filetype(e, AE_IFREG);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, data, n), (la_ssize_t)n);
	archive_entry_free(e);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
	return used;
}

static struct gi_elf *with_zstd(const uint8_t *stream, size_t n, uint64_t claimed)
{
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	_cleanup_(gi_str_deinit) struct gi_str sec = {0};
	Elf64_Chdr h = {.ch_type = 2, .ch_size = claimed, .ch_addralign = 1};
	gi_str_putn(&sec, (const char *)&h, sizeof(h));
	gi_str_putn(&sec, (const char *)stream, n);
	elf_builder_add_section(b, ".debug_info", SHT_PROGBITS, SHF_COMPRESSED, 0, sec.s, sec.len, 0, 0);
	_cleanup_(gi_freep) char *path = elf_builder_write(b, "zstd");
	return open_path(path);
}

static void test_zstd(void **state)
{
	(void)state;
	uint8_t plain[5000], stream[1000];
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i / 100);
	size_t n = pack(archive_write_add_filter_zstd, plain, sizeof(plain), stream, sizeof(stream));
	const uint8_t *data;
	size_t size;
	struct gi_elf *elf = with_zstd(stream, n, sizeof(plain));
	assert_null(gi_elf_section(elf, ".debug_info", &data, &size, NULL));
	assert_int_equal(size, sizeof(plain));
	assert_memory_equal(data, plain, size);
	gi_elf_close(elf);
	// Of another size than it says, cut off, and no stream at all.
	const struct {
		size_t n;
		uint64_t claimed;
	} bad[] = {{n, sizeof(plain) - 1}, {n, sizeof(plain) + 1}, {n / 2, sizeof(plain)}, {0, 10}, {n, 0}};
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++) {
		elf = with_zstd(stream, bad[i].n, bad[i].claimed);
		struct gi_error *err = gi_elf_section(elf, ".debug_info", &data, &size, NULL);
		assert_non_null(err);
		assert_int_equal(gi_error_code(err), GI_ERR_FORMAT);
		gi_error_free(err);
		gi_elf_close(elf);
	}
}

static struct gi_elf *with_mini(const void *stream, size_t n)
{
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_DYN);
	elf_builder_add_section(b, ".gnu_debugdata", SHT_PROGBITS, 0, 0, stream, n, 0, 0);
	_cleanup_(gi_freep) char *path = elf_builder_write(b, "mini");
	return open_path(path);
}

static void test_mini(void **state)
{
	(void)state;
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_DYN);
	static const char strings[] = "\0hidden";
	const Elf64_Sym syms[] = {
		{0},
		{.st_name = 1, .st_info = 0x02, .st_shndx = 1, .st_value = 0x1000, .st_size = 16},
	};
	elf_builder_add_section(b, ".symtab", SHT_SYMTAB, 0, 0, syms, sizeof(syms), 2, sizeof(syms[0]));
	elf_builder_add_section(b, ".strtab", SHT_STRTAB, 0, 0, strings, sizeof(strings), 0, 0);
	size_t n, size;
	_cleanup_(gi_freep) uint8_t *image = elf_builder_build(b, &n);
	uint8_t stream[4096];
	size = pack(archive_write_add_filter_xz, image, n, stream, sizeof(stream));
	struct gi_elf *elf = with_mini(stream, size), *mini = NULL;
	struct gi_elf_symbol sym;
	assert_null(gi_elf_open_mini(elf, &mini));
	assert_true(gi_elf_symbol_by_addr(mini, 0x1008, &sym));
	assert_string_equal(sym.name, "hidden");
	gi_elf_close(mini);
	gi_elf_close(elf);
	mini = NULL;
	// Cut off, not xz, and xz of something else.
	uint8_t other[500];
	size_t m = pack(archive_write_add_filter_xz, "no ELF file", 11, other, sizeof(other));
	const struct {
		const void *p;
		size_t n;
	} bad[] = {{stream, size / 2}, {"not packed", 10}, {other, m}};
	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++) {
		elf = with_mini(bad[i].p, bad[i].n);
		struct gi_error *err = gi_elf_open_mini(elf, &mini);
		assert_non_null(err);
		assert_null(mini);
		gi_error_free(err);
		gi_elf_close(elf);
	}
}

static bool link_of(const char *section, const void *data, size_t n, struct gi_elf **elf_ret,
		    struct gi_elf_alt_link *ret)
{
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	elf_builder_add_section(b, section, SHT_PROGBITS, 0, 0, data, n, 0, 0);
	_cleanup_(gi_freep) char *path = elf_builder_write(b, "linked");
	*elf_ret = open_path(path);
	return gi_elf_alt_link(*elf_ret, ret);
}

static void test_alt_link(void **state)
{
	(void)state;
	static const struct {
		const char *section;
		const char *data;
		size_t n;
		const char *name; // NULL: it is no link
	} cases[] = {
		{".gnu_debugaltlink", "common.dwz\0" ID, 19, "common.dwz"},
		{".gnu_debugaltlink", "common.dwz\0", 11, NULL},
		{".gnu_debugaltlink", "common.dwz", 10, NULL},
		{".gnu_debugaltlink", "\0" ID, 9, NULL},
		{".debug_sup", "\5\0\0c.dwz\0\10" ID, 18, "c.dwz"},
		{".debug_sup", "\5\0\1\0\10" ID, 13, NULL},	    // the common file's own
		{".debug_sup", "\4\0\0c.dwz\0\10" ID, 18, NULL},    // another version
		{".debug_sup", "\5\0\0c.dwz\0\11" ID, 18, NULL},    // a longer checksum than there is
		{".debug_sup", "\5\0\0c.dwz\0\377\377\377\377\17" ID, 22, NULL},
		{".debug_sup", "\5\0\0c.dwz", 8, NULL},
		{".debug_sup", "\5", 1, NULL},
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct gi_elf *elf;
		struct gi_elf_alt_link link;
		bool is = link_of(cases[i].section, cases[i].data, cases[i].n, &elf, &link);
		if (is != (cases[i].name != NULL))
			fail_msg("case %zu", i);
		if (is) {
			assert_string_equal(link.name, cases[i].name);
			assert_int_equal(link.id.len, 8);
			assert_memory_equal(link.id.bytes, ID, 8);
		}
		gi_elf_close(elf);
	}
}

// The common file by its checksum, as DWARF 5 has it; another one is passed over.
static void test_alt_sup(void **state)
{
	(void)state;
	for (int right = 0; right < 2; right++) {
		_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
		elf_builder_add_section(b, ".debug_sup", SHT_PROGBITS, 0, 0,
					right ? "\5\0\1\0\10" ID : "\5\0\1\0\10" "otherone", 13, 0, 0);
		elf_builder_add_section(b, ".debug_info", SHT_PROGBITS, 0, 0, "dwarf", 5, 0, 0);
		_cleanup_(gi_freep) char *path = elf_builder_write(b, "c.dwz");
		struct gi_elf *elf, *alt = NULL;
		struct gi_elf_alt_link link;
		assert_true(link_of(".debug_sup", "\5\0\0c.dwz\0\10" ID, 18, &elf, &link));
		_cleanup_(gi_debug_search_deinit) struct gi_debug_search s = {0};
		_cleanup_(gi_error_freep) struct gi_error *err = gi_elf_open_alt(elf, &s, &alt);
		assert_int_equal(err == NULL, right);
		assert_ptr_equal(gi_elf_alt(elf), alt);
		if (right)
			assert_string_equal(gi_elf_path(alt), path);
		else
			assert_non_null(strstr(gi_str_cstr(&s.refused), "wanted is abcdef0102030405"));
		gi_elf_close(elf);
	}
}

// GNU's note behind the PT_NOTE, where Go's linker puts it; and only that note.
static void test_id_behind(void **state)
{
	(void)state;
	for (int wrong = 0; wrong < 3; wrong++) {
		uint8_t image[512] = {0};
		Elf64_Ehdr eh = {.e_phoff = 64, .e_phnum = 1, .e_phentsize = 56};
		memcpy(eh.e_ident, ELFMAG "\2\1\1", 7);
		_cleanup_(gi_str_deinit) struct gi_str go = {0}, gnu = {0};
		elf_note_add(&go, "Go", 4, "a/b/c/d", 7);
		elf_note_add(&gnu, wrong == 1 ? "GNV" : "GNU", wrong == 2 ? 4 : NT_GNU_BUILD_ID, ID, 8);
		Elf64_Phdr ph = {.p_type = PT_NOTE, .p_offset = 200, .p_filesz = go.len};
		memcpy(image, &eh, sizeof(eh));
		memcpy(image + 64, &ph, sizeof(ph));
		memcpy(image + 200, go.s, go.len);
		memcpy(image + 200 + go.len, gnu.s, gnu.len);
		struct gi_build_id id;
		char go_id[32];
		assert_true(gi_build_id_from_image(image, sizeof(image), &id, go_id, sizeof(go_id)));
		assert_string_equal(go_id, "a/b/c/d");
		assert_int_equal(id.len, wrong ? 0 : 8);
		// Cut off in the middle of it.
		assert_true(gi_build_id_from_image(image, 200 + go.len + 18, &id, go_id, sizeof(go_id)));
		assert_int_equal(id.len, 0);
	}
}

// What the notes of a program that is asked for its debug file say of one that does not fit.
static void refused(const char *owner, uint32_t type, const char *mine, const char *theirs, uint16_t machine,
		    const char *why)
{
	_cleanup_(elf_builder_destroyp) struct elf_builder *d = elf_builder_create(ET_EXEC);
	elf_builder_add_section(d, ".debug_info", SHT_PROGBITS, 0, 0, "dwarf", 5, 0, 0);
	if (theirs)
		add_note(d, owner, type, theirs, 8);
	_cleanup_(gi_freep) char *debug = elf_builder_write(d, "prog.debug");
	if (machine) {
		FILE *f = fopen(debug, "r+b");
		fseek(f, 18, SEEK_SET);
		fwrite(&machine, 2, 1, f);
		fclose(f);
	}
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	if (mine)
		add_note(b, owner, type, mine, 8);
	elf_builder_add_section(b, ".gnu_debuglink", SHT_PROGBITS, 0, 0, "prog.debug\0\0\1\2\3\4", 16, 0, 0);
	_cleanup_(gi_freep) char *path = elf_builder_write(b, "prog");
	struct gi_elf *elf = open_path(path), *found = NULL;
	_cleanup_(gi_debug_search_deinit) struct gi_debug_search s = {0};
	struct gi_error *err = gi_elf_open_debug(elf, &s, &found);
	if (why) {
		assert_non_null(err);
		if (!strstr(gi_str_cstr(&s.refused), why))
			fail_msg("\"%s\" is not in: %s", why, gi_str_cstr(&s.refused));
	} else {
		assert_null(err);
		assert_string_equal(s.how, "by .gnu_debuglink");
	}
	gi_error_free(err);
	gi_elf_close(found);
	gi_elf_close(elf);
}

static void test_refused(void **state)
{
	(void)state;
	refused("GNU", NT_GNU_BUILD_ID, ID, ID, 0, NULL); // although the CRC is another
	refused("Go", 4, "one/two/", "one/two/", 0, NULL);
	refused("GNU", NT_GNU_BUILD_ID, ID, "otherone", 0, "its build ID is 6f746865726f6e65, wanted is abcdef0102030405");
	refused("Go", 4, "one/two/", "one/six/", 0, "its Go build ID is one/six/, wanted is one/two/");
	refused("GNU", NT_GNU_BUILD_ID, NULL, ID, 0, ", wanted is 04030201");
	refused("GNU", NT_GNU_BUILD_ID, ID, NULL, 0, "its CRC is ");
	refused("GNU", NT_GNU_BUILD_ID, ID, ID, EM_AARCH64, "it is for another machine");
}

// Nobody is asked without a server, and never without being told to.
static void test_no_server(void **state)
{
	(void)state;
	struct gi_debuginfod *d = NULL;
	unsetenv("DEBUGINFOD_URLS");
	struct gi_error *err = gi_debuginfod_open(&(struct gi_debuginfod_options){0}, &d);
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), GI_ERR_USAGE);
	assert_null(d);
	gi_error_free(err);
	gi_debuginfod_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zstd),	 cmocka_unit_test(test_mini),
		cmocka_unit_test(test_alt_link), cmocka_unit_test(test_alt_sup),
		cmocka_unit_test(test_id_behind), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// ELF files: what is refused and in which words, headers, sections in all forms,
// symbols, notes, build IDs, separate debug files.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <elf.h>

#include "../support/elf_builder.h"
#include "../support/files.h"
#include "gcore/elf.h"

static const uint8_t gnu_id[20] = { 0xab, 0xcd, 0xef, 1, 2, 3, 4, 5, 6, 7,
				    8,	  9,	10,   11, 12, 13, 14, 15, 16, 0x17 };
static const char go_id[] = "abc/def/ghi/jkl";

static void add_ids(struct gi_str *notes)
{
	elf_note_add(notes, "GNU", NT_GNU_BUILD_ID, gnu_id, sizeof(gnu_id));
	elf_note_add(notes, "Go", 4, go_id, sizeof(go_id) - 1);
}

static struct gi_elf *open_built(struct elf_builder *b, const char *name)
{
	_cleanup_(gi_freep) char *path = elf_builder_write(b, name);
	struct gi_elf *elf = NULL;
	struct gi_error *err = gi_elf_open(path, &elf);
	if (err)
		fail_msg("%s", gi_error_message(err));
	assert_string_equal(gi_elf_path(elf), path);
	return elf;
}

static void refused(const char *path, enum gi_error_code code, const char *words)
{
	struct gi_elf *elf = (void *)1;
	struct gi_error *err = gi_elf_open(path, &elf);
	assert_non_null(err);
	assert_ptr_equal(elf, (void *)1); // untouched
	if (gi_error_code(err) != code || !strstr(gi_error_message(err), words) ||
	    !strstr(gi_error_message(err), path) || strchr(gi_error_message(err), '\n'))
		fail_msg("code %d: %s", gi_error_code(err), gi_error_message(err));
	gi_error_free(err);
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		enum gi_error_code code;
		const char *words;
	} cases[] = {
		{ "", 0, GI_ERR_FORMAT, "is empty" },
		{ "x", 1, GI_ERR_FORMAT, "is a text file" },
		{ "some words\n", 11, GI_ERR_FORMAT, "is a text file" },
		{ "#!/bin/sh\n", 10, GI_ERR_FORMAT, "is a script" },
		{ "\x28\xb5\x2f\xfd\0\0", 6, GI_ERR_FORMAT, "zstd -d" },
		{ "\x1f\x8b\x08\0", 4, GI_ERR_FORMAT, "gzip -d" },
		{ "\xfd" "7zXZ\0\0", 7, GI_ERR_FORMAT, "xz -d" },
		{ "BZh91AY", 7, GI_ERR_FORMAT, "bzip2 -d" },
		{ "PK\x03\x04", 4, GI_ERR_FORMAT, "unzip" },
		{ "\0\0\0\0\0\0\0\0", 8, GI_ERR_FORMAT, "begins with zeros" },
		{ "\x80\x81\x00\xff", 4, GI_ERR_FORMAT, "is not an ELF file" },
		{ "\0asm\1\0\0\0", 8, GI_ERR_FORMAT, "is a WebAssembly module" },
		{ "\x7f", 1, GI_ERR_FORMAT, "is not an ELF file" },
		{ "\x7f" "ELF", 4, GI_ERR_FORMAT, "is cut off inside of its ELF header" },
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		_cleanup_(gi_freep) char *path = test_write("odd", cases[i].bytes, cases[i].n);
		refused(path, cases[i].code, cases[i].words);
	}
	_cleanup_(gi_freep) char *missing = test_path("missing");
	refused(missing, GI_ERR_IO, "No such file");
	refused(test_dir(), GI_ERR_IO, "is a directory");
	_cleanup_(gi_freep) char *fifo = test_path("fifo");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	refused(fifo, GI_ERR_IO, "is not a regular file"); // and does not wait for a writer
}

static void test_refused_elf(void **state)
{
	(void)state;
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	elf_builder_add_segment(b, PT_LOAD, PF_R, 0x400000, "text", 4, 4, 0);
	size_t n;
	_cleanup_(gi_freep) uint8_t *bytes = elf_builder_build(b, &n);
	static const struct {
		size_t at;
		uint8_t value;
		enum gi_error_code code;
		const char *words;
	} cases[] = {
		{ EI_CLASS, ELFCLASS32, GI_ERR_UNSUPPORTED, "32-bit" },
		{ EI_DATA, ELFDATA2MSB, GI_ERR_UNSUPPORTED, "big-endian" },
		{ EI_CLASS, 9, GI_ERR_FORMAT, "is damaged" },
		{ EI_DATA, 0, GI_ERR_FORMAT, "is damaged" },
		{ 54, 55, GI_ERR_FORMAT, "program headers" },
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		uint8_t before = bytes[cases[i].at];
		bytes[cases[i].at] = cases[i].value;
		_cleanup_(gi_freep) char *path = test_write("odd", bytes, n);
		refused(path, cases[i].code, cases[i].words);
		bytes[cases[i].at] = before;
	}
	for (size_t cut = 5; cut < 64; cut++) {
		_cleanup_(gi_freep) char *path = test_write("odd", bytes, cut);
		refused(path, GI_ERR_FORMAT, "is cut off inside of its ELF header");
	}
}

static void test_headers(void **state)
{
	(void)state;
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_DYN);
	_cleanup_(gi_str_deinit) struct gi_str notes = { 0 };
	add_ids(&notes);
	elf_builder_set_entry(b, 0x1010);
	elf_builder_add_first_load(b, PF_R | PF_X, 0, 4096, &notes, 0xcc);
	elf_builder_add_segment(b, PT_LOAD, PF_R | PF_W, 0x2345, "data", 4, 0x2000, 4096);
	elf_builder_add_header(b, PT_LOAD, PF_R, 0x9000, UINT64_MAX - 3, 100, 100);
	_cleanup_(gi_elf_closep) struct gi_elf *elf = open_built(b, "headers");
	struct gi_elf_ident id = gi_elf_ident(elf);
	assert_int_equal(id.type, ET_DYN);
	assert_int_equal(id.machine, EM_X86_64);
	assert_int_equal(id.entry, 0x1010);
	assert_int_equal(gi_elf_segment_count(elf), 4);
	assert_int_equal(gi_elf_segment_count_declared(elf), 4);
	struct gi_elf_segment seg = gi_elf_segment(elf, 2);
	assert_int_equal(seg.type, PT_LOAD);
	assert_int_equal(seg.flags, PF_R | PF_W);
	assert_int_equal(seg.vaddr, 0x2345);
	assert_int_equal(seg.memsz, 0x2000);
	size_t n;
	const uint8_t *bytes = gi_elf_bytes(elf, &n);
	assert_true(seg.offset < n && seg.offset % 4096 == 0x345);
	assert_memory_equal(bytes + seg.offset, "data", 4);
	assert_int_equal(gi_elf_segment(elf, 4).type, PT_NULL);
	assert_int_equal(gi_elf_symbol_count(elf), 0);
	assert_true(gi_elf_is_go(elf));

	struct gi_build_id got = gi_elf_build_id(elf);
	assert_int_equal(got.len, sizeof(gnu_id));
	assert_memory_equal(got.bytes, gnu_id, sizeof(gnu_id));
	assert_string_equal(gi_elf_go_build_id(elf), go_id);
	char hex[129];
	gi_build_id_format(&got, hex, sizeof(hex));
	assert_string_equal(hex, "abcdef0102030405060708090a0b0c0d0e0f1017");
	gi_build_id_format(&got, hex, 6); // never writes past the end
	assert_string_equal(hex, "abcd");

	// The same from the first page alone, and from ever less of it.
	struct gi_build_id image_id;
	char image_go[64];
	assert_true(gi_build_id_from_image(bytes, 4096, &image_id, image_go, sizeof(image_go)));
	assert_int_equal(image_id.len, sizeof(gnu_id));
	assert_string_equal(image_go, go_id);
	for (size_t cut = 0; cut < 400; cut++) {
		_cleanup_(gi_freep) uint8_t *copy = malloc(cut + 1);
		memcpy(copy, bytes, cut);
		gi_build_id_from_image(copy, cut, &image_id, image_go, sizeof(image_go));
	}
}

static void test_xnum(void **state)
{
	(void)state;
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_CORE);
	for (int i = 0; i < 70000; i++)
		elf_builder_add_header(b, PT_LOAD, PF_R, (uint64_t)i << 12, 0, 0, 4096);
	elf_builder_set_xnum(b);
	_cleanup_(gi_elf_closep) struct gi_elf *elf = open_built(b, "xnum");
	assert_int_equal(gi_elf_segment_count(elf), 70000);
	assert_int_equal(gi_elf_segment(elf, 69999).vaddr, (uint64_t)69999 << 12);
}

static void test_cut_headers(void **state)
{
	(void)state;
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_CORE);
	for (int i = 0; i < 10; i++)
		elf_builder_add_header(b, PT_LOAD, PF_R, (uint64_t)i << 12, 0, 0, 4096);
	size_t n;
	_cleanup_(gi_freep) uint8_t *bytes = elf_builder_build(b, &n);
	assert_int_equal(n, 64 + 560);
	for (size_t cut = 64; cut <= n; cut++) {
		_cleanup_(gi_freep) char *path = test_write("cut", bytes, cut);
		_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
		assert_null(gi_elf_open(path, &elf));
		assert_int_equal(gi_elf_segment_count(elf), (cut - 64) / 56);
		assert_int_equal(gi_elf_segment_count_declared(elf), 10);
	}
}

// "AAAA..." of 1000 bytes as a zlib stream.
static const uint8_t zlib_a1000[] = { 0x78, 0xda, 0x73, 0x74, 0x1c, 0x05, 0xa3, 0x60,
				      0x14, 0x0c, 0x77, 0x00, 0x00, 0x89, 0x0c, 0xfd,
				      0xe9 };

static void put_chdr(struct gi_str *s, uint32_t type, uint64_t size)
{
	Elf64_Chdr h = { .ch_type = type, .ch_size = size, .ch_addralign = 1 };
	gi_str_putn(s, (const char *)&h, sizeof(h));
	gi_str_putn(s, (const char *)zlib_a1000, sizeof(zlib_a1000));
}

static void put_zdebug(struct gi_str *s, uint64_t size)
{
	gi_str_puts(s, "ZLIB");
	for (int i = 56; i >= 0; i -= 8)
		gi_str_putc(s, (char)(size >> i));
	gi_str_putn(s, (const char *)zlib_a1000, sizeof(zlib_a1000));
}

static void is_a1000(struct gi_elf *elf, const char *name)
{
	const uint8_t *data = NULL;
	size_t n = 0;
	uint64_t addr = 1;
	struct gi_error *err = gi_elf_section(elf, name, &data, &n, &addr);
	if (err)
		fail_msg("%s", gi_error_message(err));
	assert_int_equal(n, 1000);
	assert_int_equal(addr, 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(data[i], 'A');
	// Unpacked once.
	const uint8_t *again;
	assert_null(gi_elf_section(elf, name, &again, &n, NULL));
	assert_ptr_equal(again, data);
}

static void section_fails(struct gi_elf *elf, const char *name, enum gi_error_code code)
{
	const uint8_t *data = NULL;
	size_t n = 77;
	struct gi_error *err = gi_elf_section(elf, name, &data, &n, NULL);
	assert_non_null(err);
	if (gi_error_code(err) != code)
		fail_msg("%s: code %d: %s", name, gi_error_code(err), gi_error_message(err));
	gi_error_free(err);
	assert_null(data);
	assert_int_equal(n, 77);
}

static void test_sections(void **state)
{
	(void)state;
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	_cleanup_(gi_str_deinit) struct gi_str chdr = { 0 }, zdebug = { 0 };
	put_chdr(&chdr, ELFCOMPRESS_ZLIB, 1000);
	put_zdebug(&zdebug, 1000);
	elf_builder_add_section(b, ".text", SHT_PROGBITS, SHF_ALLOC, 0x401000, "code", 4, 0, 0);
	elf_builder_add_section(b, ".bss", SHT_NOBITS, SHF_ALLOC, 0x500000, NULL, 4096, 0, 0);
	elf_builder_add_section(b, ".debug_info", SHT_PROGBITS, SHF_COMPRESSED, 0, chdr.s, chdr.len, 0,
				0);
	elf_builder_add_section(b, ".zdebug_line", SHT_PROGBITS, 0, 0, zdebug.s, zdebug.len, 0, 0);
	_cleanup_(gi_elf_closep) struct gi_elf *elf = open_built(b, "sections");
	const uint8_t *data;
	size_t n;
	uint64_t addr;
	assert_null(gi_elf_section(elf, ".text", &data, &n, &addr));
	assert_int_equal(n, 4);
	assert_memory_equal(data, "code", 4);
	assert_int_equal(addr, 0x401000);
	is_a1000(elf, ".debug_info");
	is_a1000(elf, ".debug_line");
	assert_true(gi_elf_has_section(elf, ".debug_line"));
	assert_false(gi_elf_has_section(elf, ".debug_abbrev"));
	assert_false(gi_elf_has_section(elf, ".bss"));
	section_fails(elf, ".bss", GI_ERR_NOT_FOUND);
	section_fails(elf, ".nothing", GI_ERR_NOT_FOUND);
	assert_false(gi_elf_is_go(elf));
}

static void test_bad_sections(void **state)
{
	(void)state;
	static const struct {
		uint32_t type;
		uint64_t size;
		enum gi_error_code code;
	} cases[] = {
		{ ELFCOMPRESS_ZLIB, 999, GI_ERR_FORMAT },
		{ ELFCOMPRESS_ZLIB, 1001, GI_ERR_FORMAT },
		{ ELFCOMPRESS_ZLIB, 0, GI_ERR_FORMAT },
		{ ELFCOMPRESS_ZLIB, 1 << 20, GI_ERR_FORMAT },	     // deflate cannot
		{ ELFCOMPRESS_ZLIB, (uint64_t)1 << 40, GI_ERR_FORMAT }, // a bomb
		{ ELFCOMPRESS_ZLIB, UINT64_MAX, GI_ERR_FORMAT },
		{ 99, (uint64_t)1 << 40, GI_ERR_FORMAT },
		{ 99, 1000, GI_ERR_UNSUPPORTED },
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
		_cleanup_(gi_str_deinit) struct gi_str chdr = { 0 }, zdebug = { 0 };
		put_chdr(&chdr, cases[i].type, cases[i].size);
		put_zdebug(&zdebug, cases[i].size);
		elf_builder_add_section(b, ".debug_info", SHT_PROGBITS, SHF_COMPRESSED, 0, chdr.s,
					chdr.len, 0, 0);
		elf_builder_add_section(b, ".debug_short", SHT_PROGBITS, SHF_COMPRESSED, 0, chdr.s, 23,
					0, 0);
		elf_builder_add_section(b, ".zdebug_line", SHT_PROGBITS, 0, 0, zdebug.s, zdebug.len, 0,
					0);
		elf_builder_add_section(b, ".zdebug_short", SHT_PROGBITS, 0, 0, "ZLIB\0\0", 6, 0, 0);
		elf_builder_add_section(b, ".zdebug_text", SHT_PROGBITS, 0, 0, "not packed at all", 17,
					0, 0);
		_cleanup_(gi_elf_closep) struct gi_elf *elf = open_built(b, "bad-sections");
		section_fails(elf, ".debug_info", cases[i].code);
		section_fails(elf, ".debug_short", GI_ERR_FORMAT);
		if (cases[i].type == ELFCOMPRESS_ZLIB)
			section_fails(elf, ".debug_line", GI_ERR_FORMAT);
		section_fails(elf, ".zdebug_short", GI_ERR_FORMAT);
		section_fails(elf, ".zdebug_text", GI_ERR_FORMAT);
	}
}

static void test_sections_beyond(void **state)
{
	(void)state;
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	elf_builder_add_section(b, ".text", SHT_PROGBITS, 0, 0, "0123456789", 10, 0, 0);
	size_t n;
	_cleanup_(gi_freep) uint8_t *bytes = elf_builder_build(b, &n);
	uint64_t shoff = gi_load_u64(bytes + 40);
	static const struct {
		size_t at; // in the section's header
		uint64_t value;
	} lies[] = { { 24, UINT64_MAX }, { 24, UINT64_MAX - 5 }, { 32, UINT64_MAX }, { 32, 1 << 20 } };
	for (size_t i = 0; i < GI_ARRAY_SIZE(lies); i++) {
		_cleanup_(gi_freep) uint8_t *copy = malloc(n);
		memcpy(copy, bytes, n);
		memcpy(copy + shoff + 64 + lies[i].at, &lies[i].value, 8);
		_cleanup_(gi_freep) char *path = test_write("lie", copy, n);
		_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
		assert_null(gi_elf_open(path, &elf));
		section_fails(elf, ".text", GI_ERR_FORMAT);
	}
	// Headers that are not in the file: no sections, no fault.
	for (size_t cut = 64; cut < n; cut++) {
		_cleanup_(gi_freep) char *path = test_write("lie", bytes, cut);
		_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
		assert_null(gi_elf_open(path, &elf));
		(void)gi_elf_has_section(elf, ".text");
		assert_int_equal(gi_elf_symbol_count(elf), 0);
	}
}

static Elf64_Sym sym(uint32_t name, uint8_t bind, uint8_t type, uint16_t shndx, uint64_t value,
		     uint64_t size)
{
	return (Elf64_Sym){ .st_name = name,
			    .st_info = (unsigned char)ELF64_ST_INFO(bind, type),
			    .st_shndx = shndx,
			    .st_value = value,
			    .st_size = size };
}

static void test_symbols(void **state)
{
	(void)state;
	//                             1     6      12     18   22
	static const char strings[] = "\0main\0inner\0other\0tls\0undef";
	const Elf64_Sym syms[] = {
		sym(0, STB_LOCAL, STT_NOTYPE, 0, 0, 0),
		sym(12, STB_LOCAL, STT_FUNC, 1, 0x9000, 0x10),
		sym(1, STB_GLOBAL, STT_FUNC, 1, 0x1000, 0x100),
		sym(6, STB_LOCAL, STT_OBJECT, 1, 0x1040, 0x10),
		sym(12, STB_GLOBAL, STT_FUNC, 1, 0x2000, 0x10),
		sym(18, STB_GLOBAL, STT_TLS, 1, 0x1050, 0x10),
		sym(22, STB_GLOBAL, STT_FUNC, SHN_UNDEF, 0x1060, 0x10),
		sym(999999, STB_GLOBAL, STT_FUNC, 1, 0x3000, 0x10),
		sym(1, STB_GLOBAL, STT_FUNC, 1, UINT64_MAX - 4, 0x100),
		sym(0, STB_LOCAL, STT_SECTION, 1, 0x1000, 0x1000),
	};
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	elf_builder_add_section(b, ".symtab", SHT_SYMTAB, 0, 0, syms, sizeof(syms), 2, sizeof(syms[0]));
	// The last name is not terminated: it does not count.
	elf_builder_add_section(b, ".strtab", SHT_STRTAB, 0, 0, strings, sizeof(strings) - 1, 0, 0);
	_cleanup_(gi_elf_closep) struct gi_elf *elf = open_built(b, "symbols");
	assert_int_equal(gi_elf_symbol_count(elf), GI_ARRAY_SIZE(syms));

	struct gi_elf_symbol s;
	assert_true(gi_elf_symbol(elf, 2, &s));
	assert_string_equal(s.name, "main");
	assert_int_equal(s.value, 0x1000);
	assert_int_equal(s.size, 0x100);
	assert_int_equal(s.type, STT_FUNC);
	assert_int_equal(s.bind, STB_GLOBAL);
	assert_true(gi_elf_symbol(elf, 6, &s));
	assert_string_equal(s.name, "");
	assert_true(gi_elf_symbol(elf, 7, &s));
	assert_string_equal(s.name, "");
	assert_false(gi_elf_symbol(elf, GI_ARRAY_SIZE(syms), &s));

	assert_true(gi_elf_symbol_by_name(elf, "main", &s));
	assert_int_equal(s.value, 0x1000);
	assert_true(gi_elf_symbol_by_name(elf, "other", &s)); // the global one
	assert_int_equal(s.value, 0x2000);
	assert_false(gi_elf_symbol_by_name(elf, "undef", &s));
	assert_false(gi_elf_symbol_by_name(elf, "", &s));
	assert_false(gi_elf_symbol_by_name(elf, "mai", &s));

	static const struct {
		uint64_t addr;
		const char *name;
	} places[] = {
		{ 0xfff, NULL },     { 0x1000, "main" },  { 0x103f, "main" }, { 0x1040, "inner" },
		{ 0x104f, "inner" }, { 0x1050, "main" }, { 0x10ff, "main" }, { 0x1100, NULL },
		{ 0x2008, "other" }, { 0x9008, "other" }, { 0x3000, "" },     { UINT64_MAX, NULL },
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(places); i++) {
		bool found = gi_elf_symbol_by_addr(elf, places[i].addr, &s);
		assert_int_equal(found, places[i].name != NULL);
		if (found)
			assert_string_equal(s.name, places[i].name);
	}
}

static void test_notes(void **state)
{
	(void)state;
	_cleanup_(gi_str_deinit) struct gi_str notes = { 0 };
	elf_note_add(&notes, "CORE", 1, "abc", 3);
	elf_note_add(&notes, "", 2, "", 0);
	elf_note_add(&notes, "LINUX", 3, "12345678", 8);
	const uint8_t *data = (const uint8_t *)notes.s;
	struct gi_elf_note note;
	size_t off = 0;
	assert_true(gi_elf_note_next(data, notes.len, &off, &note));
	assert_int_equal(note.type, 1);
	assert_int_equal(note.name_len, 4);
	assert_memory_equal(note.name, "CORE", 4);
	assert_int_equal(note.desc_len, 3);
	assert_memory_equal(note.desc, "abc", 3);
	assert_true(gi_elf_note_next(data, notes.len, &off, &note));
	assert_int_equal(note.name_len, 0);
	assert_int_equal(note.desc_len, 0);
	assert_true(gi_elf_note_next(data, notes.len, &off, &note));
	assert_int_equal(note.desc_len, 8);
	assert_false(gi_elf_note_next(data, notes.len, &off, &note));
	assert_int_equal(off, notes.len);

	// Cut anywhere: never more than is there, and the same notes up to there.
	for (size_t cut = 0; cut < notes.len; cut++) {
		_cleanup_(gi_freep) uint8_t *copy = malloc(cut + 1);
		memcpy(copy, data, cut);
		size_t seen = 0;
		for (off = 0; gi_elf_note_next(copy, cut, &off, &note); seen++)
			assert_true((size_t)(note.desc - copy) + note.desc_len <= cut);
		assert_true(seen <= 2);
	}
	// Sizes that would wrap.
	static const uint32_t sizes[] = { UINT32_MAX, UINT32_MAX - 3, 0x80000000, 1000 };
	for (size_t i = 0; i < GI_ARRAY_SIZE(sizes); i++) {
		for (size_t field = 0; field < 2; field++) {
			uint32_t head[8] = { 4, 4, 1 };
			head[field] = sizes[i];
			off = 0;
			assert_false(gi_elf_note_next((const uint8_t *)head, sizeof(head), &off, &note));
			assert_int_equal(off, 0);
		}
	}
}

static void test_go_id_text(void **state)
{
	(void)state;
	// What a hostile file calls its build ID ends where it stops being printable.
	_cleanup_(gi_str_deinit) struct gi_str notes = { 0 };
	elf_note_add(&notes, "Go", 4, "good\033[31m", 9);
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	elf_builder_add_segment(b, PT_NOTE, PF_R, 0, notes.s, notes.len, notes.len, 4);
	_cleanup_(gi_elf_closep) struct gi_elf *elf = open_built(b, "go-id");
	assert_string_equal(gi_elf_go_build_id(elf), "good");
	assert_int_equal(gi_elf_build_id(elf).len, 0);
}

// A program of which only the debug link is of interest, and its debug file.
static void make_debug_pair(const char *exe, const char *debug, const char *link, uint32_t crc,
			    const struct gi_str *notes, char **exe_ret, char **debug_ret)
{
	_cleanup_(elf_builder_destroyp) struct elf_builder *d = elf_builder_create(ET_EXEC);
	elf_builder_add_section(d, ".debug_info", SHT_PROGBITS, 0, 0, "dwarf", 5, 0, 0);
	if (notes)
		elf_builder_add_segment(d, PT_NOTE, PF_R, 0, notes->s, notes->len, notes->len, 4);
	*debug_ret = elf_builder_write(d, debug);
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	if (notes)
		elf_builder_add_segment(b, PT_NOTE, PF_R, 0, notes->s, notes->len, notes->len, 4);
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	gi_str_putn(&s, link, strlen(link) + 1);
	while (s.len % 4)
		gi_str_putc(&s, 0);
	gi_str_putn(&s, (const char *)&crc, sizeof(crc));
	elf_builder_add_section(b, ".gnu_debuglink", SHT_PROGBITS, 0, 0, s.s, s.len, 0, 0);
	*exe_ret = elf_builder_write(b, exe);
}

static uint32_t crc32_of_file(const char *path)
{
	_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
	assert_null(gi_elf_open(path, &elf));
	size_t n;
	const uint8_t *p = gi_elf_bytes(elf, &n);
	uint32_t crc = UINT32_MAX;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
	}
	return ~crc;
}

static void debug_is(const char *exe, const char *const *dirs, size_t n, const char *want)
{
	_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL, *debug = NULL;
	assert_null(gi_elf_open(exe, &elf));
	_cleanup_(gi_debug_search_deinit) struct gi_debug_search s = { .dirs = dirs, .dir_count = n };
	struct gi_error *err = gi_elf_open_debug(elf, &s, &debug);
	if (want) {
		if (err)
			fail_msg("%s", gi_error_message(err));
		assert_string_equal(gi_elf_path(debug), want);
		return;
	}
	assert_non_null(err);
	assert_int_equal(gi_error_code(err), GI_ERR_NOT_FOUND);
	gi_error_free(err);
}

static void test_debug_link(void **state)
{
	(void)state;
	_cleanup_(gi_freep) char *exe = NULL, *debug = NULL;
	make_debug_pair("bin/prog", "bin/prog.dbg", "prog.dbg", 0, NULL, &exe, &debug);
	debug_is(exe, NULL, 0, NULL); // the CRC differs
	uint32_t crc = crc32_of_file(debug);
	free(exe), free(debug);
	make_debug_pair("bin/prog", "bin/prog.dbg", "prog.dbg", crc, NULL, &exe, &debug);
	debug_is(exe, NULL, 0, debug);
	remove(debug);
	free(exe), free(debug);
	make_debug_pair("bin/prog", "bin/.debug/prog.dbg", "prog.dbg", crc, NULL, &exe, &debug);
	debug_is(exe, NULL, 0, debug);
	remove(debug);
	debug_is(exe, NULL, 0, NULL);

	// A link must name a file, not a path.
	free(exe), free(debug);
	make_debug_pair("bin/prog", "prog.dbg", "../prog.dbg", crc, NULL, &exe, &debug);
	debug_is(exe, NULL, 0, NULL);

	_cleanup_(gi_freep) char *root = test_path("debugroot");
	const char *dirs[] = { "/nonexistent", root };
	_cleanup_(gi_str_deinit) struct gi_str name = { 0 };
	gi_str_printf(&name, "debugroot%s/bin/prog.dbg", test_dir());
	free(exe), free(debug);
	make_debug_pair("bin/prog", gi_str_cstr(&name), "prog.dbg", crc, NULL, &exe, &debug);
	debug_is(exe, dirs, 2, debug);

	// Directly in the folder.
	remove(debug);
	debug_is(exe, dirs, 2, NULL);
	free(exe), free(debug);
	make_debug_pair("bin/prog", "debugroot/prog.dbg", "prog.dbg", crc, NULL, &exe, &debug);
	debug_is(exe, dirs, 2, debug);
}

static void test_debug_build_id(void **state)
{
	(void)state;
	_cleanup_(gi_str_deinit) struct gi_str notes = { 0 };
	add_ids(&notes);
	_cleanup_(gi_freep) char *exe = NULL, *debug = NULL, *root = test_path("ids");
	make_debug_pair("idprog",
			"ids/.build-id/ab/cdef0102030405060708090a0b0c0d0e0f1017.debug", "none", 0,
			&notes, &exe, &debug);
	const char *dirs[] = { root };
	debug_is(exe, dirs, 1, debug);
	debug_is(exe, NULL, 0, NULL);
	// A file in the right place with another ID.
	free(exe), free(debug);
	_cleanup_(gi_str_deinit) struct gi_str other = { 0 };
	elf_note_add(&other, "GNU", NT_GNU_BUILD_ID, go_id, 15);
	make_debug_pair("unused",
			"ids/.build-id/ab/cdef0102030405060708090a0b0c0d0e0f1017.debug", "none", 0,
			&other, &exe, &debug);
	free(exe);
	exe = test_path("idprog");
	debug_is(exe, dirs, 1, NULL);
}

static void test_image(void **state)
{
	(void)state;
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_DYN);
	elf_builder_add_section(b, ".text", SHT_PROGBITS, 0, 0x10, "vdso", 4, 0, 0);
	size_t n;
	_cleanup_(gi_freep) uint8_t *bytes = elf_builder_build(b, &n);
	_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
	assert_null(gi_elf_open_image("[vdso]", bytes, n, &elf));
	memset(bytes, 0, n); // it was copied
	const uint8_t *data;
	size_t size;
	uint64_t addr;
	assert_null(gi_elf_section(elf, ".text", &data, &size, &addr));
	assert_memory_equal(data, "vdso", 4);
	assert_int_equal(addr, 0x10);
	struct gi_elf *none = NULL;
	struct gi_error *err = gi_elf_open_image("[vdso]", bytes, n, &none);
	assert_non_null(err);
	gi_error_free(err);
	assert_null(none);
}

// --- names below another root -------------------------------------------------------

static void leads(const char *root, const char *path, const char *want)
{
	_cleanup_(gi_str_deinit) struct gi_str got = { 0 };
	struct gi_error *err = gi_elf_resolve(root, path, &got);
	if (err)
		fail_msg("%s", gi_error_message(err));
	assert_int_equal(strncmp(gi_str_cstr(&got), root, strlen(root)), 0);
	assert_string_equal(gi_str_cstr(&got) + strlen(root), want);
}

static void leads_nowhere(const char *root, const char *path, const char *words)
{
	_cleanup_(gi_str_deinit) struct gi_str got = { 0 };
	struct gi_error *err = gi_elf_resolve(root, path, &got);
	assert_non_null(err);
	if (!strstr(gi_error_message(err), words))
		fail_msg("%s", gi_error_message(err));
	assert_int_equal(gi_error_code(err), GI_ERR_IO);
	gi_error_free(err);
}

static void make_link(const char *target, const char *name)
{
	_cleanup_(gi_freep) char *path = test_path(name);
	assert_int_equal(symlink(target, path), 0);
}

static void test_resolve(void **state)
{
	(void)state;
	free(test_write("outside", "o", 1));
	free(test_write("top/usr/lib/real.so", "r", 1));
	free(test_write("top/etc/passwd", "p", 1));
	_cleanup_(gi_freep) char *root = test_path("top");
	_cleanup_(gi_freep) char *outside = test_path("outside");
	make_link("usr/lib", "top/lib");
	make_link("/lib/real.so", "top/usr/lib/absolute.so");
	make_link("../lib/../../../../../usr/lib/real.so", "top/usr/lib/up.so");
	make_link("../../../../../../../../../../etc", "top/etc2");
	make_link(outside, "top/out");
	make_link("../outside", "top/out2");
	make_link("loop2", "top/loop");
	make_link("loop", "top/loop2");
	make_link("/", "top/self");
	leads(root, "/usr/lib/real.so", "/usr/lib/real.so");
	leads(root, "usr//lib/./real.so", "/usr/lib/real.so");
	leads(root, "/lib/real.so", "/usr/lib/real.so");
	leads(root, "/lib/absolute.so", "/usr/lib/real.so");
	leads(root, "/usr/lib/up.so", "/usr/lib/real.so");
	leads(root, "/../../../etc/passwd", "/etc/passwd");
	leads(root, "/etc2/passwd", "/etc/passwd");
	leads(root, "/self/self/etc/passwd", "/etc/passwd");
	leads(root, "..", "");
	leads_nowhere(root, "/out", "No such file");
	leads_nowhere(root, "/out2", "No such file");
	leads_nowhere(root, "/usr/lib/missing.so", "missing.so: No such file");
	leads_nowhere(root, "/loop", "Too many levels");
	leads_nowhere(root, "/etc/passwd/x", "Not a directory");
	// The root itself may be a link, and is not followed by name: /proc/PID/root cannot be.
	make_link("top", "link");
	_cleanup_(gi_freep) char *link = test_path("link");
	leads(link, "/lib/absolute.so", "/usr/lib/real.so");
	leads("/proc/self/root", root, root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	     cmocka_unit_test(test_refused_elf),
		cmocka_unit_test(test_headers),	     cmocka_unit_test(test_xnum),
		cmocka_unit_test(test_cut_headers),  cmocka_unit_test(test_sections),
		cmocka_unit_test(test_bad_sections), cmocka_unit_test(test_sections_beyond),
		cmocka_unit_test(test_symbols),	     cmocka_unit_test(test_notes),
		cmocka_unit_test(test_go_id_text),   cmocka_unit_test(test_debug_link),
		cmocka_unit_test(test_debug_build_id), cmocka_unit_test(test_image),
		cmocka_unit_test(test_resolve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

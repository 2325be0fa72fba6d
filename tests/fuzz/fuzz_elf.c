// ELF files: any bytes are opened, and whatever opens is asked for everything.

#include "fuzz.h"

#include <elf.h>
#include <string.h>

#include "../support/elf_builder.h"
#include "elf/elf_impl.h"
#include "gcore/elf.h"

enum { LIMIT = 2000 };

static void seed_elf(const char *name, bool packed)
{
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	_cleanup_(gi_str_deinit) struct gi_str notes = { 0 };
	elf_note_add(&notes, "GNU", NT_GNU_BUILD_ID, "12345678", 8);
	elf_note_add(&notes, "Go", 4, "a/b/c/d", 7);
	elf_builder_add_segment(b, PT_NOTE, PF_R, 0, notes.s, notes.len, notes.len, 4);
	static const char strings[] = "\0main.main\0runtime.main";
	const Elf64_Sym syms[] = {
		{ 0 },
		{ .st_name = 1, .st_info = 0x12, .st_shndx = 1, .st_value = 0x1000, .st_size = 16 },
		{ .st_name = 11, .st_info = 0x12, .st_shndx = 1, .st_value = 0x1008, .st_size = 4 },
	};
	elf_builder_add_section(b, ".symtab", SHT_SYMTAB, 0, 0, syms, sizeof(syms), 2, sizeof(syms[0]));
	elf_builder_add_section(b, ".strtab", SHT_STRTAB, 0, 0, strings, sizeof(strings), 0, 0);
	if (packed) {
		static const uint8_t z[] = { 0x78, 0xda, 0x73, 0x74, 0x1c, 0x05, 0xa3, 0x60, 0x14,
					     0x0c, 0x77, 0x00, 0x00, 0x89, 0x0c, 0xfd, 0xe9 };
		uint8_t chdr[sizeof(Elf64_Chdr) + sizeof(z)], zdebug[12 + sizeof(z)] = "ZLIB";
		Elf64_Chdr h = { .ch_type = ELFCOMPRESS_ZLIB, .ch_size = 1000, .ch_addralign = 1 };
		memcpy(chdr, &h, sizeof(h));
		memcpy(chdr + sizeof(h), z, sizeof(z));
		zdebug[10] = 1000 >> 8;
		zdebug[11] = 1000 & 0xff;
		memcpy(zdebug + 12, z, sizeof(z));
		elf_builder_add_section(b, ".debug_info", SHT_PROGBITS, SHF_COMPRESSED, 0, chdr,
					sizeof(chdr), 0, 0);
		elf_builder_add_section(b, ".zdebug_line", SHT_PROGBITS, 0, 0, zdebug, sizeof(zdebug), 0,
					0);
	}
	elf_builder_add_section(b, ".gnu_debuglink", SHT_PROGBITS, 0, 0, "none\0\0\0\0abcd", 12, 0, 0);
	size_t n;
	_cleanup_(gi_freep) uint8_t *bytes = elf_builder_build(b, &n);
	fuzz_seed(name, bytes, n);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	if (!fuzz_seed_dir())
		return 0;
	seed_elf("plain", false);
	seed_elf("packed", true);
	exit(0);
}

static void ask(struct gi_elf *elf)
{
	static const char *const names[] = { ".symtab",	    ".strtab",	     ".debug_info",
					     ".debug_line", ".gopclntab",    ".gnu_debuglink",
					     "",	    ".debug_nothing" };
	size_t total = 0;
	for (size_t i = 0; i < gi_elf_segment_count(elf) && i < LIMIT; i++)
		total += gi_elf_segment(elf, i).type;
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		const uint8_t *data;
		size_t n;
		uint64_t addr;
		struct gi_error *err = gi_elf_section(elf, names[i], &data, &n, &addr);
		if (!err && n)
			total += data[0] + data[n - 1];
		gi_error_ignore(err);
	}
	struct gi_elf_symbol s, found;
	for (size_t i = 0; i < gi_elf_symbol_count(elf) && i < LIMIT; i++) {
		if (!gi_elf_symbol(elf, i, &s))
			abort();
		total += strlen(s.name);
		if (gi_elf_symbol_by_addr(elf, s.value, &found) &&
		    (s.value < found.value || s.value - found.value >= found.size))
			abort();
		gi_elf_symbol_by_name(elf, s.name, &found);
	}
	struct gi_build_id id = gi_elf_build_id(elf);
	char hex[129];
	gi_build_id_format(&id, hex, sizeof(hex));
	total += strlen(hex) + strlen(gi_elf_go_build_id(elf)) + gi_elf_is_go(elf);
	struct gi_elf_subset *subset = NULL;
	gi_error_ignore(gi_elf_subset_open(elf, names, GI_ARRAY_SIZE(names), NULL, &subset));
	gi_elf_subset_close(subset);
	struct gi_elf *debug = NULL;
	static const char *const dirs[] = { "/nonexistent" };
	struct gi_debug_search search = { .dirs = dirs, .dir_count = 1 };
	gi_error_ignore(gi_elf_open_debug(elf, &search, &debug));
	gi_elf_close(debug);
	struct gi_elf *alt = NULL, *mini = NULL;
	gi_error_ignore(gi_elf_open_alt(elf, &search, &alt));
	gi_debug_search_deinit(&search);
	gi_error_ignore(gi_elf_open_mini(elf, &mini));
	if (mini)
		total += gi_elf_symbol_count(mini);
	gi_elf_close(mini);
	if (total == SIZE_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = fuzz_file(data, size, path, sizeof(path));
	struct gi_elf *elf = NULL;
	gi_error_ignore(gi_elf_open(path, &elf));
	if (elf)
		ask(elf);
	gi_elf_close(elf);
	close(fd);
	elf = NULL;
	gi_error_ignore(gi_elf_open_image("image", data, size, &elf));
	gi_elf_close(elf);
	struct gi_build_id id;
	char go[16];
	gi_build_id_from_image(data, size, &id, go, sizeof(go));
	struct gi_elf_note note;
	for (size_t off = 0; gi_elf_note_next(data, size, &off, &note);) {
		if (off > size || note.desc_len > size || note.name_len > size)
			abort();
	}
	return 0;
}

// Debug information in two files, as dwz leaves it: any bytes as sections of both, asked for what
// a sound sample has.
//
// Input: 6 lengths of 2 bytes each, then that many bytes of .debug_info, .debug_abbrev and
// .debug_addr of the program, then of the common file, whose .debug_info is its .debug_str too.

#include "fuzz.h"

#include <elf.h>
#include <string.h>

#include "../support/dwarf_sample.h"
#include "../support/elf_builder.h"
#include "gcore/elf.h"

enum { PARTS = 2 * DS_SECTIONS };
#define ID "\10identity"

// The sample, with references that the common file has to answer where the form fits.
static void seed(const char *name, int version, uint8_t form)
{
	struct st_buf s[PARTS], all = {0};
	dwarf_sample(version, 0, s);
	dwarf_sample(version, 0, s + DS_SECTIONS);
	for (size_t i = 0; form && i + 1 < s[DS_ABBREV].n; i++) {
		uint8_t *p = s[DS_ABBREV].p + i;
		if (p[0] == 0x49) // DW_AT_type
			p[1] = form;
	}
	for (size_t i = 0; i < PARTS; i++) {
		uint8_t le[2] = {(uint8_t)s[i].n, (uint8_t)(s[i].n >> 8)};
		st_put(&all, le, 2);
	}
	for (size_t i = 0; i < PARTS; i++) {
		st_put(&all, s[i].p, s[i].n);
		free(s[i].p);
	}
	fuzz_seed(name, all.p, all.n);
	free(all.p);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	if (!fuzz_seed_dir())
		return 0;
	enum { GNU_REF_ALT = 0x20, REF_SUP4 = 0x1c }; // the first is DWARF 4's 0x1f20
	seed("plain4", 4, 0);
	seed("plain5", 5, 0);
	seed("ref4", 4, GNU_REF_ALT);
	seed("ref5", 5, REF_SUP4);
	exit(0);
}

static uint8_t *build(const struct st_buf *s, const struct gi_str *sup, size_t *n)
{
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_EXEC);
	for (size_t i = 0; i < DS_SECTIONS; i++)
		elf_builder_add_section(b, dwarf_sample_names[i], SHT_PROGBITS, 0, 0, s[i].p, s[i].n, 0, 0);
	elf_builder_add_section(b, ".debug_str", SHT_PROGBITS, 0, 0, s[0].p, s[0].n, 0, 0);
	elf_builder_add_section(b, ".debug_sup", SHT_PROGBITS, 0, 0, sup->s, sup->len, 0, 0);
	return elf_builder_build(b, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct st_buf s[PARTS];
	size_t off = 2 * PARTS, n;
	if (size < off)
		return 0;
	for (size_t i = 0; i < PARTS; i++) {
		n = gi_load_u16(data + 2 * i);
		n = n > size - off ? size - off : n;
		s[i] = (struct st_buf){.p = (uint8_t *)data + off, .n = n};
		off += n;
	}
	char path[64];
	_cleanup_(gi_str_deinit) struct gi_str common = {0}, link = {0};
	gi_str_putn(&common, "\5\0\1\0" ID, 4 + 9);
	_cleanup_(gi_freep) uint8_t *alt_bytes = build(s + DS_SECTIONS, &common, &n);
	int fd = fuzz_file(alt_bytes, n, path, sizeof(path));
	gi_str_putn(&link, "\5\0\0", 3);
	gi_str_puts(&link, path);
	gi_str_putn(&link, "\0" ID, 1 + 9);
	_cleanup_(gi_freep) uint8_t *bytes = build(s, &link, &n);
	struct gi_elf *elf = NULL, *alt = NULL;
	struct gi_debug_search search = {0};
	struct gi_error *err = gi_elf_open_image("program", bytes, n, &elf);
	if (!err)
		err = gi_elf_open_alt(elf, &search, &alt);
	// Without sections there is no common file; all else is our mistake.
	if (err && s[DS_SECTIONS].n)
		abort();
	gi_error_ignore(err);
	if (elf)
		dwarf_sample_ask(elf);
	gi_debug_search_deinit(&search);
	gi_elf_close(elf);
	close(fd);
	return 0;
}

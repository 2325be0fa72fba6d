// Debug information: any bytes as sections, asked for what a sound sample has.
//
// Input: 3 lengths of 2 bytes each, then that many bytes of .debug_info, .debug_abbrev
// and .debug_addr.

#include "fuzz.h"

#include <string.h>

#include "../support/dwarf_sample.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	if (!fuzz_seed_dir())
		return 0;
	for (int version = 4; version <= 5; version++) {
		struct st_buf s[DS_SECTIONS], all = {0};
		dwarf_sample(version, 0, s);
		for (size_t i = 0; i < DS_SECTIONS; i++) {
			uint8_t le[2] = {(uint8_t)s[i].n, (uint8_t)(s[i].n >> 8)};
			st_put(&all, le, 2);
		}
		for (size_t i = 0; i < DS_SECTIONS; i++) {
			st_put(&all, s[i].p, s[i].n);
			free(s[i].p);
		}
		fuzz_seed(version == 4 ? "dwarf4" : "dwarf5", all.p, all.n);
		free(all.p);
	}
	exit(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct st_buf s[DS_SECTIONS];
	size_t off = 2 * DS_SECTIONS;
	if (size < off)
		return 0;
	for (size_t i = 0; i < DS_SECTIONS; i++) {
		size_t n = gi_load_u16(data + 2 * i);
		n = n > size - off ? size - off : n;
		s[i] = (struct st_buf){.p = (uint8_t *)data + off, .n = n};
		off += n;
	}
	struct gi_elf *elf = dwarf_sample_elf(s);
	dwarf_sample_ask(elf);
	gi_elf_close(elf);
	return 0;
}

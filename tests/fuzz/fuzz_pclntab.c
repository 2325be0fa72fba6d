// Fuzzes function tables: an input is a module's tables, one behind the other.
//
// Input: 8 lengths of 2 bytes each, then that many bytes of each: header, funcnametab,
// cutab, filetab, pctab, pclntable, func data, textsectmap. The rest of the module is
// made to fit: the number of functions is what the pclntable's start allows.

#include "fuzz.h"

#include <string.h>

#include "../support/symtab.h"

enum { TABLES = 8, ENTRIES_MAX = 64 };
enum { HEADER, NAMES, CUTAB, FILETAB, PCTAB, PCLN, GOFUNC, SECTS };

static void no_error(struct gi_error *err)
{
	if (err)
		abort();
}

// --- seeds ------------------------------------------------------------------

static void write_seed(int minor, const struct st_func *funcs, size_t n,
		       const char *const *files, size_t nfiles)
{
	struct symtab st;
	symtab_build(&st, minor, funcs, n, 0x100, files, nfiles);
	struct st_buf body = {0}, all = {0};
	// In the order that the tables were placed: the same as ours.
	for (size_t i = 0; i < TABLES; i++) {
		const struct gi_mapping *m = gi_target_mapping(st.t, i);
		size_t len = m ? m->end - m->start : 0;
		uint8_t le[2] = {(uint8_t)len, (uint8_t)(len >> 8)};
		st_put(&all, le, 2);
		if (m)
			st_put(&body, gi_target_view(st.t, m->start, len), len);
	}
	st_put(&all, body.p, body.n);
	char name[32];
	snprintf(name, sizeof(name), "go1.%d", minor);
	fuzz_seed(name, all.p, all.n);
	free(all.p);
	free(body.p);
	symtab_close(&st);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct st_run sp[] = {{4, 0}, {0x40, 200}, {0x48, -8}, {0, 0}};
	static const struct st_run file[] = {{0x20, 0}, {0x30, 1}, {0x48, 0}, {0, 0}};
	static const struct st_run line[] = {{0x20, 10}, {0x30, 402}, {0x48, 12}, {0, 0}};
	static const struct st_run inl[] = {
		{0x20, -1}, {0x28, 0}, {0x30, 1}, {0x48, -1}, {0, 0}};
	static const struct st_inline tree[] = {{"u.outer", 0x1f, 300, 0},
						{"u.inner", 0x20, 400, 3}};
	static const struct st_func funcs[] = {
		{.name = "main.main",
		 .entry = 0,
		 .sp = sp,
		 .file = file,
		 .line = line,
		 .inl = inl,
		 .tree = tree,
		 .tree_len = 2},
		{.name = "main.b", .entry = 0x60, .sp = sp, .file = file, .line = line},
		{.name = "main.b",
		 .entry = 0xc0,
		 .func_id = 22,
		 .inl = inl,
		 .tree = tree,
		 .tree_len = 2},
	};
	static const char *const files[] = {"a.go", "b.go", NULL};
	(void)argc, (void)argv;
	if (!fuzz_seed_dir())
		return 0;
	for (int minor = 19; minor <= 27; minor += 8)
		write_seed(minor, funcs, GI_ARRAY_SIZE(funcs), files,
			   GI_ARRAY_SIZE(files));
	exit(0);
}

// --- the target ---------------------------------------------------------------

static uint32_t entry_at(const uint8_t *pcln, size_t i)
{
	return gi_load_u32(pcln + 8 * i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gi_slice s[TABLES] = {0};
	const uint8_t *bytes[TABLES];
	size_t off = 2 * TABLES;
	if (size < off)
		return 0;
	struct gi_target *t;
	no_error(gi_fake_create(&t));
	for (size_t i = 0; i < TABLES; i++) {
		size_t len = gi_load_u16(data + 2 * i);
		len = len > size - off ? size - off : len;
		bytes[i] = data + off;
		s[i] = (struct gi_slice){ST_TABLES + 0x20000 * i, len, len};
		if (len)
			no_error(
				gi_fake_add_memory(t, s[i].ptr, bytes[i], len, GI_MAP_R));
		off += len;
	}
	struct gi_module m = {
		.pc_header = s[HEADER].ptr,
		.funcnametab = s[NAMES],
		.cutab = s[CUTAB],
		.filetab = s[FILETAB],
		.pctab = s[PCTAB],
		.pclntable = s[PCLN],
		.ftab = s[PCLN],
		.text = {ST_TEXT, ST_TEXT + 0x100000},
		.gofunc = s[GOFUNC].ptr,
		.textsectmap = s[SECTS],
	};
	m.cutab.len /= 4;
	m.textsectmap.len /= 24;
	// Entries for as long as they ascend; more would only be refused as unsorted.
	size_t n = 0;
	while (n < ENTRIES_MAX && s[PCLN].len / 8 > n &&
	       (!n || entry_at(bytes[PCLN], n) >= entry_at(bytes[PCLN], n - 1)))
		n++;
	m.ftab.len = n;
	if (n) {
		m.pcs.start = ST_TEXT + entry_at(bytes[PCLN], 0);
		m.pcs.end = ST_TEXT + entry_at(bytes[PCLN], n - 1);
	}
	for (size_t i = 0; n && i < m.textsectmap.len; i++) {
		// The module's bounds as the sections have them.
		const uint8_t *p = bytes[SECTS] + 24 * i;
		uint64_t vaddr = gi_load_u64(p), end = gi_load_u64(p + 8),
			 base = gi_load_u64(p + 16);
		uint32_t first = entry_at(bytes[PCLN], 0),
			 last = entry_at(bytes[PCLN], n - 1);
		if (m.textsectmap.len > 1 && first >= vaddr && first < end)
			m.pcs.start = base + first - vaddr;
		if (m.textsectmap.len > 1 && last >= vaddr && last <= end)
			m.pcs.end = base + last - vaddr;
	}
	struct gi_functab *ft;
	struct gi_error *err = gi_functab_create(t, &m, 1, &ft);
	if (!err) {
		symtab_exercise(ft, &m, ENTRIES_MAX);
		gi_functab_destroy(ft);
	}
	gi_error_free(err);
	gi_target_close(t);
	return 0;
}

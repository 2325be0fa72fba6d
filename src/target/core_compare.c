// Is a file without a build ID the one that was mapped?
//
// Go programs built with -ldflags=-buildid= have none, and a core that was told to leave ELF
// headers out holds none. Then everything that another build would change is compared with what
// the core did save:
//
//   the program headers in the first page, and the places of the mappings
//   the table of sections, where it is in that page, and what the program was built of
//   read-only bytes (few in a kernel's core, all in gdb's)
//   Go's module data: where its tables and its code begin and end, written by the linker
//   into data that cores do save. Any change of the size of the code or of a table shows.
//
// What strip changes must not count: the ELF header, the table of sections, which Go's linker
// puts into the first page, and zeros at the end of the data, which it cuts off.
// Two builds that differ in a constant alone may still look the same; so do their answers.

#include "target/core_impl.h"

#include <elf.h>
#include <string.h>

enum {
	SEGMENTS_MAX = 64,	// of an executable
	COMPARE_MAX = 16 << 20, // bytes of a segment that are compared
	PHDR_SIZE = 56,
	MODULE_WORDS = 36, // of the module data: up to the ends of the data sections at least
	TABLES_MAX = 16,   // that look like a function table
	SEARCH_MAX = 64 << 20,
};

static const char *say(struct core *c, const char *fmt, ...) GI_PRINTF(2, 3);
static const char *say(struct core *c, const char *fmt, ...)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	va_list ap;
	va_start(ap, fmt);
	gi_str_vprintf(&s, fmt, ap);
	va_end(ap);
	const char *copy = gi_arena_strdup(c->base.arena, gi_str_cstr(&s));
	return copy ? copy : "it differs";
}

// --- headers --------------------------------------------------------------------

// The n bytes of program headers and what else is told of the file in the first page that the
// core saved; NULL if it did not.
static const uint8_t *saved_header(struct core *c, size_t module, size_t *n_ret)
{
	uint64_t start = c->modules[module].start;
	const uint8_t *p = start ? gi_target_view_max(&c->base, start, CORE_IMAGE_MAX, n_ret) : NULL;
	if (!p || *n_ret < sizeof(Elf64_Ehdr) || memcmp(p, ELFMAG, SELFMAG) != 0 ||
	    gi_load_u16(p + 54) != PHDR_SIZE)
		return NULL;
	return p;
}

// The i-th PT_LOAD of an ELF image; false if it has no more, or they were not saved.
static bool image_load(const uint8_t *p, size_t n, size_t i, struct gi_elf_segment *ret)
{
	uint64_t phoff = gi_load_u64(p + 32);
	size_t count = gi_load_u16(p + 56);
	for (size_t k = 0; k < count; k++) {
		if (phoff > n || n - phoff < (k + 1) * PHDR_SIZE)
			return false;
		const uint8_t *h = p + phoff + k * PHDR_SIZE;
		if (gi_load_u32(h) != PT_LOAD || i--)
			continue;
		*ret = (struct gi_elf_segment){
			.flags = gi_load_u32(h + 4),
			.vaddr = gi_load_u64(h + 16),
			.filesz = gi_load_u64(h + 32),
			.memsz = gi_load_u64(h + 40),
		};
		return true;
	}
	return false;
}

static const char *compare_loads(struct core *c, struct gi_elf *elf, size_t module,
				 uint64_t *compared)
{
	size_t n, at = 0;
	const uint8_t *p = saved_header(c, module, &n);
	if (!p)
		return NULL;
	for (size_t i = 0; i < gi_min_u64(gi_elf_segment_count(elf), SEGMENTS_MAX); i++) {
		struct gi_elf_segment seg = gi_elf_segment(elf, i), was;
		if (seg.type != PT_LOAD)
			continue;
		if (!image_load(p, n, at++, &was))
			return NULL;
		bool cut = (seg.flags & PF_W) && seg.filesz < was.filesz;
		// patchelf puts the headers into a segment of their own, of whole pages; strip cuts
		// that down to the headers.
		bool headers = seg.offset == 0 && !(seg.flags & PF_X) &&
			       seg.memsz <= was.memsz && was.memsz <= c->base.info.page_size;
		if (seg.vaddr != was.vaddr || seg.flags != was.flags ||
		    (seg.memsz != was.memsz && !headers) ||
		    (seg.filesz != was.filesz && !cut && !headers))
			return say(c,
				   "its segment %zu is of 0x%llx bytes at 0x%llx, the core's of 0x%llx "
				   "at 0x%llx",
				   at - 1, (unsigned long long)seg.memsz,
				   (unsigned long long)seg.vaddr, (unsigned long long)was.memsz,
				   (unsigned long long)was.vaddr);
		*compared += CORE_EVIDENCE / 4;
	}
	return NULL;
}

static bool mapping_fits(struct core *c, struct gi_elf *elf, const struct gi_mapping *m,
			 uint64_t bias)
{
	uint64_t page = c->base.info.page_size;
	size_t n = gi_min_u64(gi_elf_segment_count(elf), SEGMENTS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct gi_elf_segment seg = gi_elf_segment(elf, i);
		uint64_t lead = seg.vaddr & (page - 1);
		if (seg.type != PT_LOAD || seg.offset < lead)
			continue;
		uint64_t start = bias + seg.vaddr - lead;
		uint64_t len = (lead + seg.filesz + page - 1) & ~(page - 1);
		if (m->start - start < len && m->file_off == seg.offset - lead + (m->start - start))
			return true;
	}
	return false;
}

// --- bytes ----------------------------------------------------------------------

// Compares the saved bytes of [addr, addr + n) with the file's; false if any differ.
static bool same_bytes(struct core *c, uint64_t addr, const uint8_t *file, uint64_t n,
		       uint64_t *compared)
{
	while (n) {
		size_t got;
		const uint8_t *p = gi_target_view_max(&c->base, addr, n, &got);
		if (!p) {
			uint64_t step = gi_min_u64(n, c->base.info.page_size -
							      (addr & (c->base.info.page_size - 1)));
			addr += step;
			file += step;
			n -= step;
			continue;
		}
		if (memcmp(p, file, got) != 0)
			return false;
		*compared += got;
		addr += got;
		file += got;
		n -= got;
	}
	return true;
}

// Where the tables that strip changes end, if they are in the first page.
static uint64_t tables_end(const uint8_t *p, uint64_t page)
{
	uint64_t end = sizeof(Elf64_Ehdr);
	uint64_t phoff = gi_load_u64(p + 32), shoff = gi_load_u64(p + 40);
	if (phoff < page)
		end = gi_max_u64(end, phoff + (uint64_t)gi_load_u16(p + 56) * PHDR_SIZE);
	if (shoff < page)
		end = gi_max_u64(end, shoff + (uint64_t)gi_load_u16(p + 60) * sizeof(Elf64_Shdr));
	return end;
}

static bool same_segments(struct core *c, struct gi_elf *elf, size_t module, uint64_t bias,
			  uint64_t *compared)
{
	size_t size, n = 0;
	const uint8_t *bytes = gi_elf_bytes(elf, &size);
	const uint8_t *saved = saved_header(c, module, &n);
	uint64_t page = c->base.info.page_size, head = tables_end(bytes, page);
	if (saved)
		head = gi_max_u64(head, tables_end(saved, page));
	for (size_t i = 0; i < gi_min_u64(gi_elf_segment_count(elf), SEGMENTS_MAX); i++) {
		struct gi_elf_segment seg = gi_elf_segment(elf, i);
		if (seg.type != PT_LOAD || (seg.flags & PF_W) || seg.offset >= size)
			continue;
		uint64_t len = gi_min_u64(seg.filesz, size - seg.offset);
		uint64_t skip = seg.offset < head ? gi_min_u64(len, head - seg.offset) : 0;
		len = gi_min_u64(len - skip, COMPARE_MAX);
		if (!same_bytes(c, bias + seg.vaddr + skip, bytes + seg.offset + skip, len,
				compared))
			return false;
	}
	return true;
}

// True if [addr, addr + n) is never written: in a segment that is loaded as it is in the file.
static bool is_read_only(struct gi_elf *elf, uint64_t addr, uint64_t n)
{
	size_t count = gi_min_u64(gi_elf_segment_count(elf), SEGMENTS_MAX);

	for (size_t i = 0; i < count; i++) {
		struct gi_elf_segment seg = gi_elf_segment(elf, i);

		if (seg.type == PT_LOAD && !(seg.flags & PF_W) && addr >= seg.vaddr &&
		    gi_in_bounds(addr - seg.vaddr, n, seg.filesz))
			return true;
	}
	return false;
}

// What stripping leaves as it is. It changes the headers, and between the sections that are
// loaded there may be ones that are not, which it removes: old Go linkers put the section
// headers and their names there.
static bool same_sections(struct core *c, struct gi_elf *elf, size_t module, uint64_t bias,
			  uint64_t *compared)
{
	static const char *const names[] = {".note.go.buildid", ".text", ".rodata", ".gopclntab"};
	bool any = false;

	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		const uint8_t *bytes;
		size_t size;
		uint64_t addr;
		struct gi_error *err = gi_elf_section(elf, names[i], &bytes, &size, &addr);

		if (err) {
			gi_error_ignore(err);
			continue;
		}
		if (!is_read_only(elf, addr, size))
			continue;
		any = true;
		if (!same_bytes(c, bias + addr, bytes, gi_min_u64(size, COMPARE_MAX), compared))
			return false;
	}
	return any || same_segments(c, elf, module, bias, compared);
}

// --- sections --------------------------------------------------------------------

struct section {
	uint32_t type;
	uint64_t flags, addr, size;
};

// Section i of an ELF image of which n bytes are there.
static bool image_section(const uint8_t *p, size_t n, size_t i, struct section *ret)
{
	uint64_t shoff = gi_load_u64(p + 40);
	size_t count = gi_load_u16(p + 60);
	if (i >= count || gi_load_u16(p + 58) != sizeof(Elf64_Shdr) || shoff > n ||
	    (n - shoff) / sizeof(Elf64_Shdr) <= i)
		return false;
	const uint8_t *h = p + shoff + i * sizeof(Elf64_Shdr);
	*ret = (struct section){gi_load_u32(h + 4), gi_load_u64(h + 8), gi_load_u64(h + 16),
				gi_load_u64(h + 32)};
	return true;
}

// Go's linker puts the table of sections into the first page, where it tells the size of each
// table and of the code. strip moves it and keeps what it says of these.
static const char *compare_sections(struct core *c, struct gi_elf *elf, size_t module,
				    uint64_t *compared)
{
	size_t n, size;
	const uint8_t *saved = saved_header(c, module, &n);
	const uint8_t *bytes = gi_elf_bytes(elf, &size);
	struct section is, was;
	// The page, and not what is mapped behind it.
	n = saved ? gi_min_u64(n, c->base.info.page_size) : 0;
	if (!saved || !image_section(saved, n, 1, &was))
		return NULL;
	// A table that no tool has moved is the linker's own: debug sections tell, too.
	uint64_t shoff = gi_load_u64(bytes + 40), len;
	if (shoff == gi_load_u64(saved + 40) && shoff < n) {
		len = gi_min_u64(n, size) - shoff;
		len = gi_min_u64(len, gi_load_u16(bytes + 60) * (uint64_t)sizeof(Elf64_Shdr));
		if (memcmp(bytes + shoff, saved + shoff, len) != 0)
			return "its sections have other sizes or places than the core's";
		*compared += len / 8;
		return NULL;
	}
	for (size_t i = 1; image_section(bytes, size, i, &is); i++) {
		if (!(is.flags & SHF_ALLOC) || (is.flags & SHF_WRITE) || !is.size)
			continue;
		bool same = false, lost = false;
		for (size_t k = 1; !same && !lost; k++) {
			lost = !image_section(saved, n, k, &was);
			same = !lost && was.addr == is.addr && was.size == is.size;
		}
		// All of them were saved, or those that were not might tell.
		if (!same && image_section(saved, n, gi_load_u16(saved + 60) - 1u, &was))
			return say(c,
				   "its section %zu is of 0x%llx bytes at 0x%llx, and none of the core's "
				   "is",
				   i, (unsigned long long)is.size, (unsigned long long)is.addr);
		*compared += same ? 8 : 0;
	}
	return NULL;
}

// The Go release and the modules that the program was built of.
static const char *compare_build_info(struct core *c, struct gi_elf *elf, uint64_t bias,
				      uint64_t *compared)
{
	enum { FLAGS_AT = 15, INLINE = 2, MAX = 1 << 20 };
	const uint8_t *data;
	size_t n;
	uint64_t addr;
	struct gi_error *err = gi_elf_section(elf, ".go.buildinfo", &data, &n, &addr);
	if (err) {
		gi_error_ignore(err);
		return NULL;
	}
	// The form of Go 1.17 and before has pointers.
	if (n <= FLAGS_AT || !(data[FLAGS_AT] & INLINE) ||
	    same_bytes(c, bias + addr, data, gi_min_u64(n, MAX), compared))
		return NULL;
	return "it was built by another Go release or of other modules (.go.buildinfo)";
}

// --- module data ------------------------------------------------------------------

static bool is_function_table(const uint8_t *p)
{
	uint32_t magic = gi_load_u32(p);
	return (magic == 0xfffffff1 || magic == 0xfffffff0 || magic == 0xfffffffa) && !p[4] &&
	       !p[5] && (p[6] == 1 || p[6] == 2 || p[6] == 4) && p[7] == 8;
}

// Link-time addresses of what may be the function table.
static size_t find_tables(struct gi_elf *elf, uint64_t *tables)
{
	size_t size, count = 0;
	const uint8_t *bytes = gi_elf_bytes(elf, &size);
	for (size_t i = 0; i < gi_min_u64(gi_elf_segment_count(elf), SEGMENTS_MAX); i++) {
		struct gi_elf_segment seg = gi_elf_segment(elf, i);
		if (seg.type != PT_LOAD || seg.offset >= size || (seg.vaddr & 7))
			continue;
		uint64_t len = gi_min_u64(gi_min_u64(seg.filesz, size - seg.offset), SEARCH_MAX);
		for (uint64_t at = 0; len - at >= 8 && at < len && count < TABLES_MAX; at += 8) {
			if (is_function_table(bytes + seg.offset + at))
				tables[count++] = seg.vaddr + at;
		}
	}
	return count;
}

// Does module data begin here? A pointer to the function table, then a slice of names.
static bool is_module_data(const uint8_t *p, size_t left, uint64_t table, uint64_t bias)
{
	if (left < 8 * MODULE_WORDS || gi_load_u64(p) != table + bias)
		return false;
	uint64_t names = gi_load_u64(p + 8), len = gi_load_u64(p + 16);
	return names > table + bias && len && len == gi_load_u64(p + 24);
}

// Compares the words of module data at p in the file, at addr in the process. A word is as the
// linker wrote it, or moved by the bias; zeros of a file that is moved are yet to be filled in.
static const char *compare_words(struct core *c, const uint8_t *p, uint64_t addr, uint64_t bias,
				 bool fixed, uint64_t *compared)
{
	for (size_t i = 0; i < MODULE_WORDS; i++) {
		uint64_t want, word = gi_load_u64(p + 8 * i);
		if (!gi_target_peek_u64(&c->base, addr + 8 * i, &want))
			continue;
		if (word == want) {
			*compared += word ? 8 : 0;
			continue;
		}
		if (!fixed && (!word || word + bias == want))
			continue;
		return say(c,
			   "its tables of functions are others: its module data has 0x%llx where the "
			   "core has 0x%llx",
			   (unsigned long long)word, (unsigned long long)want);
	}
	return NULL;
}

// The module data in one segment with data, by the file's bytes or by the core's.
static const char *compare_segment(struct core *c, struct gi_elf *elf, struct gi_elf_segment seg,
				   uint64_t table, uint64_t bias, bool *found, uint64_t *compared)
{
	size_t size, got;
	const uint8_t *bytes = gi_elf_bytes(elf, &size);
	bool fixed = gi_elf_ident(elf).type == ET_EXEC;
	if (seg.offset >= size)
		return NULL;
	uint64_t len = gi_min_u64(gi_min_u64(seg.filesz, size - seg.offset), SEARCH_MAX);
	const uint8_t *file = bytes + seg.offset;
	uint64_t addr = bias + seg.vaddr, skew = -seg.vaddr & 7;
	const uint8_t *core = fixed ? NULL : gi_target_view_max(&c->base, addr, len, &got);
	if (core)
		len = gi_min_u64(len, got);
	else if (!fixed)
		return NULL;
	for (uint64_t at = skew; at < len && len - at >= 8 * MODULE_WORDS; at += 8) {
		const uint8_t *p = (core ? core : file) + at;
		if (!is_module_data(p, len - at, table, core ? bias : 0))
			continue;
		*found = true;
		return compare_words(c, file + at, addr + at, bias, fixed, compared);
	}
	return NULL;
}

static const char *compare_module_data(struct core *c, struct gi_elf *elf, uint64_t bias,
				       uint64_t *compared)
{
	uint64_t tables[TABLES_MAX];
	size_t n = find_tables(elf, tables);
	bool found = false;
	for (size_t t = 0; t < n && !found; t++) {
		for (size_t i = 0; i < gi_min_u64(gi_elf_segment_count(elf), SEGMENTS_MAX); i++) {
			struct gi_elf_segment seg = gi_elf_segment(elf, i);
			if (seg.type != PT_LOAD || !(seg.flags & PF_W) || found)
				continue;
			const char *why = compare_segment(c, elf, seg, tables[t], bias, &found,
							  compared);
			if (why)
				return why;
		}
	}
	return NULL;
}

// --- all of it --------------------------------------------------------------------

const char *gi_core_compare_shape(struct core *c, struct gi_elf *elf, size_t module, uint64_t bias,
				  uint64_t *compared_ret)
{
	const struct gi_process_info *info = &c->base.info;
	struct gi_elf_ident id = gi_elf_ident(elf);
	uint64_t compared = 0;
	*compared_ret = 0;
	if (module == 0 && info->entry) {
		if (bias & (info->page_size - 1) || (id.type == ET_EXEC && bias))
			return say(c, "its entry point is 0x%llx, the core's is 0x%llx",
				   (unsigned long long)id.entry, (unsigned long long)info->entry);
		compared += id.type == ET_EXEC ? CORE_EVIDENCE : 0;
	}
	if (module == 0 && c->at_phnum) {
		if (c->at_phnum != gi_elf_segment_count(elf))
			return say(c, "it has %zu program headers, the core's has %llu",
				   gi_elf_segment_count(elf), (unsigned long long)c->at_phnum);
		compared += CORE_EVIDENCE / 2; // most executables have the same few
	}
	for (size_t i = 0; i < c->base.mapping_count; i++) {
		if (c->origins[i].module != module)
			continue;
		if (!mapping_fits(c, elf, &c->base.mappings[i], bias))
			return "it was mapped in other places than its program headers say";
		compared += CORE_EVIDENCE;
	}
	const char *why = compare_loads(c, elf, module, &compared);
	if (!why)
		why = compare_sections(c, elf, module, &compared);
	if (!why)
		why = same_sections(c, elf, module, bias, &compared) ?
			      NULL :
			      "what the core saved of its read-only data is not the same";
	if (!why)
		why = compare_build_info(c, elf, bias, &compared);
	if (!why)
		why = compare_module_data(c, elf, bias, &compared);
	if (!why)
		*compared_ret = compared;
	return why;
}

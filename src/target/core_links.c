// Libraries of a core that does not say which files were mapped (no NT_FILE: Delve's).
//
// The dynamic linker keeps a list of what it has loaded for debuggers: DT_DEBUG in the
// executable's dynamic section leads to struct r_debug, its second word to struct link_map: the
// bias, the name, the dynamic section, the next one (elf/link.h, the same in glibc and musl).
// What is found by it gets the names and offsets in files that NT_FILE would have told, by
// the program headers in memory; or, where not even those were saved (qemu's), of the file that
// is found to be the one that was mapped (core_linked.c).

#include "target/core_impl.h"

#include <elf.h>
#include <string.h>

enum {
	DYNAMIC_MAX = 1024, // entries that are looked at
	NAME_MAX_LEN = 4096,
	PHDR_SIZE = 56,
};

// The address of the first struct link_map, 0 if there is none.
static uint64_t first_link(struct core *c)
{
	struct gi_target *t = &c->base;
	uint64_t at = 0, n = 0, word, debug = 0, first = 0;
	for (size_t i = 0; i < gi_elf_segment_count(t->exe); i++) {
		struct gi_elf_segment seg = gi_elf_segment(t->exe, i);
		if (seg.type != PT_DYNAMIC)
			continue;
		at = t->exe_bias + seg.vaddr;
		n = gi_min_u64(seg.memsz / 16, DYNAMIC_MAX);
	}
	for (; n && !debug; n--, at += 16) {
		if (!gi_target_peek_u64(t, at, &word) || word == DT_NULL)
			return 0;
		if (word == DT_DEBUG && !gi_target_peek_u64(t, at + 8, &debug))
			return 0;
	}
	if (!debug || !gi_target_peek_u64(t, debug + 8, &first))
		return 0;
	return first;
}

// Gives the mappings that one PT_LOAD of module was mapped at the name and their places.
static void name_load(struct core *c, size_t module, uint64_t off, uint64_t vaddr, uint64_t filesz)
{
	struct gi_target *t = &c->base;
	uint64_t page = t->info.page_size, lead = vaddr & (page - 1);

	if (off < lead || filesz > UINT64_MAX - lead - page)
		return;
	uint64_t start = c->modules[module].bias + vaddr - lead;
	uint64_t len = (lead + filesz + page - 1) & ~(page - 1);
	for (size_t i = 0; i < t->mapping_count; i++) {
		struct gi_mapping *m = &t->mappings[i];
		if (m->path || m->start - start >= len)
			continue;
		m->path = c->modules[module].path;
		m->file_off = off - lead + (m->start - start);
		c->origins[i].module = module;
	}
}

void gi_core_name_by_file(struct core *c, size_t module)
{
	struct gi_elf *elf = c->modules[module].elf;
	for (size_t i = 0; i < gi_elf_segment_count(elf); i++) {
		struct gi_elf_segment seg = gi_elf_segment(elf, i);
		if (seg.type == PT_LOAD)
			name_load(c, module, seg.offset, seg.vaddr, seg.filesz);
	}
}

// Gives the mappings of module the name and the places that its program headers tell.
static void name_mappings(struct core *c, size_t module)
{
	size_t n;
	const uint8_t *p = gi_target_view_max(&c->base, c->modules[module].start, CORE_IMAGE_MAX, &n);
	if (!p || n < sizeof(Elf64_Ehdr) || gi_load_u16(p + 54) != PHDR_SIZE)
		return;
	uint64_t phoff = gi_load_u64(p + 32);
	size_t phnum = gi_load_u16(p + 56);
	for (size_t k = 0; k < phnum; k++) {
		if (phoff > n || n - phoff < (k + 1) * PHDR_SIZE)
			return;
		const uint8_t *h = p + phoff + k * PHDR_SIZE;
		if (gi_load_u32(h) == PT_LOAD)
			name_load(c, module, gi_load_u64(h + 8), gi_load_u64(h + 16),
				  gi_load_u64(h + 32));
	}
}

static struct gi_error *add_link(struct core *c, const char *path, uint64_t base, uint64_t dynamic)
{
	const uint8_t *p = gi_target_view(&c->base, base, sizeof(Elf64_Ehdr));
	if (!p && gi_target_mapping_at(&c->base, base)) {
		// Nearly all libraries begin at 0. Whether a file is this one is seen later.
		struct core_module mod = {
			.path = path, .start = base, .bias = base, .dynamic = dynamic};
		return gi_core_add_module(c, &mod);
	}
	if (!p || memcmp(p, ELFMAG, SELFMAG) != 0 || p[EI_CLASS] != ELFCLASS64)
		return NULL;
	struct core_module mod = {
		.path = path,
		.start = base,
		.bias = base - gi_core_image_vaddr(c, base),
	};
	struct gi_error *err = gi_core_add_module(c, &mod);
	if (!err)
		name_mappings(c, c->module_count - 1);
	return err;
}

struct gi_error *gi_core_find_linked(struct core *c)
{
	struct gi_target *t = &c->base;
	if (c->file_count || !t->exe)
		return NULL;
	if (!c->modules[0].path)
		c->modules[0].path = t->info.exe_name ? t->info.exe_name : t->info.exe_path;
	name_mappings(c, 0);
	uint64_t link = first_link(c);
	for (size_t i = 0; link && i < CORE_LIBRARIES_MAX; i++) {
		uint64_t base, name, dynamic;
		if (!gi_target_peek_u64(t, link, &base) ||
		    !gi_target_peek_u64(t, link + 8, &name) ||
		    !gi_target_peek_u64(t, link + 16, &dynamic) ||
		    !gi_target_peek_u64(t, link + 24, &link))
			return NULL;
		_cleanup_(gi_str_deinit) struct gi_str text = { 0 };
		struct gi_error *err = gi_target_read_cstring(t, name, NAME_MAX_LEN, &text);
		// The executable has no name there, the vDSO no folder.
		if (err || !text.len || text.s[0] != '/') {
			gi_error_ignore(err);
			continue;
		}
		const char *path = gi_arena_strndup(t->arena, text.s, text.len);
		if (!path)
			return gi_error_nomem();
		err = add_link(c, path, base, dynamic);
		if (err)
			return err;
	}
	return NULL;
}

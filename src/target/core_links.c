// Libraries of a core that does not say which files were mapped (no NT_FILE: Delve's).
//
// The dynamic linker keeps a list of what it has loaded for debuggers: DT_DEBUG in the
// executable's dynamic section leads to struct r_debug, its second word to struct link_map: the
// bias, the name, the dynamic section, the next one (elf/link.h, the same in glibc and musl).
// What is found by it gets the names and offsets in files that NT_FILE would have told, by
// the program headers in memory.

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

// Gives the mappings of module the name and the places that its program headers tell.
static void name_mappings(struct core *c, size_t module, const char *path)
{
	struct gi_target *t = &c->base;
	const struct core_module *mod = &c->modules[module];
	uint64_t page = t->info.page_size;
	size_t n;
	const uint8_t *p = gi_target_view_max(t, mod->start, CORE_IMAGE_MAX, &n);
	if (!p || n < sizeof(Elf64_Ehdr) || gi_load_u16(p + 54) != PHDR_SIZE)
		return;
	uint64_t phoff = gi_load_u64(p + 32);
	size_t phnum = gi_load_u16(p + 56);
	for (size_t k = 0; k < phnum; k++) {
		if (phoff > n || n - phoff < (k + 1) * PHDR_SIZE)
			return;
		const uint8_t *h = p + phoff + k * PHDR_SIZE;
		uint64_t off = gi_load_u64(h + 8), vaddr = gi_load_u64(h + 16);
		uint64_t filesz = gi_load_u64(h + 32), lead = vaddr & (page - 1);
		if (gi_load_u32(h) != PT_LOAD || off < lead || filesz > UINT64_MAX - lead - page)
			continue;
		uint64_t start = mod->bias + vaddr - lead;
		uint64_t len = (lead + filesz + page - 1) & ~(page - 1);
		for (size_t i = 0; i < t->mapping_count; i++) {
			struct gi_mapping *m = &t->mappings[i];
			if (m->path || m->start - start >= len)
				continue;
			m->path = path;
			m->file_off = off - lead + (m->start - start);
			c->origins[i].module = module;
		}
	}
}

static struct gi_error *add_link(struct core *c, const char *path, uint64_t base)
{
	const uint8_t *p = gi_target_view(&c->base, base, sizeof(Elf64_Ehdr));
	if (!p || memcmp(p, ELFMAG, SELFMAG) != 0 || p[EI_CLASS] != ELFCLASS64)
		return NULL;
	struct core_module mod = {
		.path = path,
		.start = base,
		.bias = base - gi_core_image_vaddr(c, base),
	};
	struct gi_error *err = gi_core_add_module(c, &mod);
	if (!err)
		name_mappings(c, c->module_count - 1, path);
	return err;
}

struct gi_error *gi_core_find_linked(struct core *c)
{
	struct gi_target *t = &c->base;
	if (c->file_count || !t->exe)
		return NULL;
	if (!c->modules[0].path)
		c->modules[0].path = t->info.exe_name ? t->info.exe_name : t->info.exe_path;
	name_mappings(c, 0, c->modules[0].path);
	uint64_t link = first_link(c);
	for (size_t i = 0; link && i < CORE_LIBRARIES_MAX; i++) {
		uint64_t base, name;
		if (!gi_target_peek_u64(t, link, &base) ||
		    !gi_target_peek_u64(t, link + 8, &name) ||
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
		err = add_link(c, path, base);
		if (err)
			return err;
	}
	return NULL;
}

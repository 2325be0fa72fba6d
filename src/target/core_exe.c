// The ELF files of the process: the executable must be found, libraries may be.
//
// The core seldom holds the executable's code, so the file is needed, and it must be
// the same one. The kernel saves the first page of each mapped ELF file for this: it
// holds the program headers, and mostly the notes with the build IDs (GNU's, and Go's
// own, which is all that Go binaries had before GNU's became the default). Without
// IDs, everything that a different build would change is compared: the program
// headers, the entry point, the layout of the mappings, bytes that the core did save.

#include "target/core_impl.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXECFN_MAX = 4096,
	PHDR_SIZE = 56,
};

// --- modules ------------------------------------------------------------------

// The address of the ELF header that the core saved for this mapping of a file's start.
static bool has_elf_header(struct core *c, const struct gi_mapping *m)
{
	if (m->file_off != 0 || !m->path || (m->flags & GI_MAP_W))
		return false;
	const uint8_t *p = gi_target_view(&c->base, m->start, sizeof(Elf64_Ehdr));
	return p && !memcmp(p, ELFMAG, SELFMAG) && p[EI_CLASS] == ELFCLASS64;
}

// Where the first PT_LOAD of the ELF image at addr wants to be.
uint64_t gi_core_image_vaddr(struct core *c, uint64_t addr)
{
	size_t n;
	const uint8_t *p = gi_target_view_max(&c->base, addr, CORE_IMAGE_MAX, &n);
	if (!p || n < sizeof(Elf64_Ehdr) || gi_load_u16(p + 54) != PHDR_SIZE)
		return 0;
	uint64_t phoff = gi_load_u64(p + 32);
	size_t phnum = gi_load_u16(p + 56);
	for (size_t i = 0; i < phnum; i++) {
		if (phoff > n || n - phoff < (i + 1) * PHDR_SIZE)
			break;
		const uint8_t *h = p + phoff + i * PHDR_SIZE;
		if (gi_load_u32(h) == PT_LOAD && gi_load_u64(h + 8) < c->base.info.page_size)
			return gi_core_page_down(c, gi_load_u64(h + 16));
	}
	return 0;
}

struct gi_error *gi_core_add_module(struct core *c, const struct core_module *mod)
{
	struct gi_error *err = gi_grow(&c->modules, &c->module_cap, c->module_count + 1,
				       sizeof(*c->modules));
	if (!err)
		c->modules[c->module_count++] = *mod;
	return err;
}

struct gi_error *gi_core_find_modules(struct core *c)
{
	const struct gi_process_info *info = &c->base.info;
	// Module 0 is the executable, whether or not its header was saved.
	struct gi_error *err = gi_core_add_module(c, &(struct core_module){ .path = NULL });
	if (err)
		return err;
	size_t current = SIZE_MAX;
	for (size_t i = 0; i < c->base.mapping_count; i++) {
		const struct gi_mapping *m = &c->base.mappings[i];
		if (!m->path || m->path[0] == '[')
			continue;
		if (has_elf_header(c, m)) {
			struct core_module mod = {
				.path = m->path,
				.start = m->start,
				.bias = m->start - gi_core_image_vaddr(c, m->start),
			};
			current = c->module_count;
			err = gi_core_add_module(c, &mod);
			if (err)
				return err;
		} else if (current == SIZE_MAX || strcmp(c->modules[current].path, m->path) != 0) {
			// A file without a saved header: its first mapping stands for it.
			struct core_module mod = { .path = m->path };
			if (m->file_off == 0 && !(m->flags & GI_MAP_W))
				mod.start = mod.bias = m->start;
			current = c->module_count;
			err = gi_core_add_module(c, &mod);
			if (err)
				return err;
		}
		c->origins[i].module = current;
	}
	// The executable is the module that holds its own program headers or entry point.
	const struct gi_mapping *m = gi_target_mapping_at(&c->base, info->phdr);
	if (!info->phdr || !m || !m->path || m->path[0] == '[')
		m = info->entry ? gi_target_mapping_at(&c->base, info->entry) : NULL;
	if (m && m->path && m->path[0] != '[') {
		size_t exe = c->origins[m - c->base.mappings].module;
		c->modules[0] = c->modules[exe];
		for (size_t i = 0; i < c->base.mapping_count; i++) {
			if (c->origins[i].module == exe)
				c->origins[i].module = 0;
		}
		c->modules[exe].path = NULL;
	}
	if (!c->modules[0].start && info->phdr) {
		// No NT_FILE: the program headers follow the ELF header, in the same page.
		uint64_t start = gi_core_page_down(c, info->phdr);
		const uint8_t *p = gi_target_view(&c->base, start, sizeof(Elf64_Ehdr));
		if (p && !memcmp(p, ELFMAG, SELFMAG))
			c->modules[0].start = start;
	}
	return NULL;
}

// --- the executable ---------------------------------------------------------------

static uint64_t first_vaddr(struct core *c, struct gi_elf *elf)
{
	for (size_t i = 0; i < gi_elf_segment_count(elf); i++) {
		struct gi_elf_segment seg = gi_elf_segment(elf, i);
		if (seg.type == PT_LOAD && seg.offset < c->base.info.page_size)
			return gi_core_page_down(c, seg.vaddr);
	}
	return 0;
}

// A saved ELF header with the build ID of elf tells where it was mapped.
static bool find_saved(struct core *c, struct gi_elf *elf, const struct core_ids *ids,
		       uint64_t *start_ret, uint64_t *bias_ret)
{
	size_t looked = 0;
	// A running process has mappings alone.
	size_t count = c->load_count ? c->load_count : c->base.mapping_count;
	for (size_t i = 0; i < count && gi_core_ids_any(ids) && looked < CORE_LIBRARIES_MAX; i++) {
		struct core_ids found;
		uint64_t at = c->load_count ? c->loads[i].vaddr : c->base.mappings[i].start;
		const uint8_t *p = gi_target_view(&c->base, at, SELFMAG);
		if (!p || memcmp(p, ELFMAG, SELFMAG) != 0)
			continue;
		looked++;
		gi_core_ids(c, at, &found);
		if (gi_core_ids_compare(&found, ids) != CORE_SAME)
			continue;
		*start_ret = at;
		*bias_ret = *start_ret - first_vaddr(c, elf);
		return true;
	}
	return false;
}

// Where the ELF header of elf was mapped, and its bias. False if nothing tells.
static bool exe_place(struct core *c, struct gi_elf *elf, const struct core_ids *ids,
		      uint64_t *start_ret, uint64_t *bias_ret)
{
	struct gi_elf_ident id = gi_elf_ident(elf);
	uint64_t first = first_vaddr(c, elf);
	if (c->base.info.entry || id.type == ET_EXEC) {
		uint64_t bias = c->base.info.entry ? c->base.info.entry - id.entry : 0;
		*start_ret = c->modules[0].start ? c->modules[0].start : bias + first;
		*bias_ret = bias;
		return true;
	}
	if (c->modules[0].start) {
		*start_ret = c->modules[0].start;
		*bias_ret = *start_ret - first;
		return true;
	}
	// The notes are lost.
	return find_saved(c, elf, ids, start_ret, bias_ret);
}

void gi_core_swap_modules(struct core *c, size_t i)
{
	struct core_module exe = c->modules[i];
	c->modules[i] = c->modules[0];
	c->modules[0] = exe;
	for (size_t k = 0; k < c->base.mapping_count; k++) {
		if (c->origins[k].module == i)
			c->origins[k].module = 0;
		else if (c->origins[k].module == 0)
			c->origins[k].module = i;
	}
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool same_base_name(const char *a, const char *b)
{
	static const char deleted[] = " (deleted)";
	size_t n = strlen(base_name(b));
	return strncmp(base_name(a), base_name(b), n) == 0 &&
	       (!base_name(a)[n] || strcmp(base_name(a) + n, deleted) == 0);
}

// What looks like a library may be the executable that is meant: a program that was started by
// naming the dynamic linker runs as the linker's, and the Go code of a C program is in a library.
// True if one of the libraries is elf; it is module 0 from then on. *compared_ret: by its build ID
// (0), or how much of a library of that name without one is the same.
static bool swap_with_library(struct core *c, struct gi_elf *elf, const struct core_ids *ids,
			      uint64_t *compared_ret)
{
	for (size_t i = 1; i < c->module_count && i < CORE_LIBRARIES_MAX; i++) {
		struct core_module *mod = &c->modules[i];
		struct core_ids found;
		if (!mod->path || !mod->start)
			continue;
		gi_core_ids(c, mod->start, &found);
		enum core_sameness v = gi_core_ids_compare(&found, ids);
		*compared_ret = 0;
		if (v == CORE_UNKNOWN && same_base_name(mod->path, gi_elf_path(elf)) &&
		    !gi_core_compare_shape(c, elf, i, mod->start - first_vaddr(c, elf),
					   compared_ret)) {
			mod->bias = mod->start - first_vaddr(c, elf);
			v = CORE_SAME;
		}
		if (v != CORE_SAME)
			continue;
		gi_core_swap_modules(c, i);
		return true;
	}
	return false;
}

// A note for a file that nothing but its contents tells to be the right one.
static void note_likeness(struct core *c, const char *shown, uint64_t compared)
{
	if (compared >= CORE_EVIDENCE)
		gi_target_add_note(&c->base,
				   "the core holds no build ID of its executable: %s fits by "
				   "its layout and by what the core saved of it",
				   shown);
	else
		gi_target_add_note(&c->base,
				   "hardly anything in the core tells whether %s is its executable",
				   shown);
}

// Takes path as the executable if it is the core's. On GI_ERR_MISMATCH and other errors
// nothing has changed.
static struct gi_error *try_exe(struct core *c, const char *path)
{
	_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
	struct gi_error *err = gi_elf_open_packed(path, &c->unpacking, &elf);
	if (err)
		return err;
	struct gi_elf_ident id = gi_elf_ident(elf);
	if (id.type == ET_CORE)
		return gi_error_create(GI_ERR_FORMAT, "%s is a core file, not an executable", path);
	if (id.type != ET_EXEC && id.type != ET_DYN)
		return gi_error_create(GI_ERR_FORMAT, "%s is an ELF file, but not an executable", path);
	if (id.machine != gi_target_machine(&c->base)->elf_machine)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "%s is an executable of another machine than the core's", path);
	const char *shown = gi_target_escape(&c->base, path, strlen(path));
	struct core_ids core_ids, file_ids;
	gi_core_ids_of_elf(elf, &file_ids);
	uint64_t start, bias;
	if (!exe_place(c, elf, &file_ids, &start, &bias))
		return gi_error_create(GI_ERR_MISMATCH,
				       "%s is not known to be the executable of this core: nothing that "
				       "the core saved tells where it was mapped",
				       shown);
	gi_core_ids(c, start, &core_ids);
	enum core_sameness v = gi_core_ids_compare(&core_ids, &file_ids);
	uint64_t compared = 0;
	const char *why = NULL;
	if (v == CORE_UNKNOWN)
		why = gi_core_compare_shape(c, elf, 0, bias, &compared);
	if ((v == CORE_DIFFERENT || why) && swap_with_library(c, elf, &file_ids, &compared)) {
		start = c->modules[0].start;
		bias = c->modules[0].bias;
		v = compared ? CORE_UNKNOWN : CORE_SAME;
		why = NULL;
	}
	// A packed program (as by UPX) unpacks another one into memory and becomes that: what the
	// notes tell is the packed one's.
	if ((v == CORE_DIFFERENT || why) && find_saved(c, elf, &file_ids, &start, &bias)) {
		v = CORE_SAME;
		why = NULL;
	}
	if ((v == CORE_DIFFERENT || why) && gi_elf_describe_foreign(elf))
		return gi_error_create(GI_ERR_MISMATCH, "%s %s", shown,
				       gi_elf_describe_foreign(elf));
	if (v == CORE_DIFFERENT) {
		_cleanup_(gi_str_deinit) struct gi_str mine = { 0 }, cores = { 0 };
		gi_core_ids_format(&file_ids, &core_ids, &mine);
		gi_core_ids_format(&core_ids, &file_ids, &cores);
		return gi_error_create(GI_ERR_MISMATCH,
				       "%s is not the executable of this core: its build ID is %s, "
				       "the core's is %s",
				       shown, gi_str_cstr(&mine), gi_str_cstr(&cores));
	}
	if (why)
		return gi_error_create(GI_ERR_MISMATCH, "%s is not the executable of this core: %s",
				       shown, why);
	if (v == CORE_UNKNOWN)
		note_likeness(c, shown, compared);
	size_t size;
	gi_elf_bytes(elf, &size);
	if (gi_elf_size_declared(elf) > size)
		gi_target_add_note(&c->base, "the executable %s is cut off at %zu of %llu bytes", shown,
				   size, (unsigned long long)gi_elf_size_declared(elf));
	if (gi_elf_unpacking_note(elf))
		gi_target_add_note(&c->base, "%s", gi_elf_unpacking_note(elf));
	// Without an auxiliary vector the executable's mappings looked like a library's.
	for (size_t i = 1; !c->modules[0].path && i < c->module_count; i++) {
		if (c->modules[i].path && c->modules[i].start == start)
			gi_core_swap_modules(c, i);
	}
	c->modules[0].start = start;
	c->base.exe = elf;
	c->base.exe_bias = bias;
	c->modules[0].elf = elf;
	c->modules[0].bias = bias;
	c->base.info.exe_path = gi_elf_path(elf);
	elf = NULL;
	return NULL;
}

// Names under which the executable may be found, and what came of them.
struct search {
	struct core *c;
	const char *dir; // of the core file, with its final slash, or ""
	struct gi_str tried;
	char *seen[32];
	size_t seen_count;
	struct gi_error *mismatch; // the first
	struct gi_error *interrupted;
};

// True if the search is over.
static bool search_path(struct search *s, const char *path)
{
	for (size_t i = 0; i < s->seen_count; i++) {
		if (strcmp(s->seen[i], path) == 0)
			return false;
	}
	if (s->seen_count == GI_ARRAY_SIZE(s->seen))
		return false;
	char *copy = strdup(path);
	if (!copy)
		return false;
	s->seen[s->seen_count++] = copy;
	if (s->tried.len)
		gi_str_puts(&s->tried, ", ");
	gi_str_put_escaped(&s->tried, path, strlen(path));
	struct gi_error *err = try_exe(s->c, path);
	if (!err)
		return true;
	if (gi_error_code(err) == GI_ERR_INTERRUPTED && !s->interrupted) {
		s->interrupted = err;
		return true;
	}
	if (gi_error_code(err) == GI_ERR_MISMATCH && !s->mismatch)
		s->mismatch = err;
	else
		gi_error_ignore(err);
	return false;
}

// The same below the root that the process had.
static bool search_below(struct search *s, const char *name)
{
	_cleanup_(gi_str_deinit) struct gi_str path = { 0 };
	struct gi_error *err = gi_elf_resolve(s->c->sysroot, name, &path);
	if (!err)
		return search_path(s, gi_str_cstr(&path));
	gi_error_ignore(err);
	gi_str_reset(&path);
	gi_str_printf(&path, "%s%s%s", s->c->sysroot, name[0] == '/' ? "" : "/", name);
	if (s->tried.len)
		gi_str_puts(&s->tried, ", ");
	gi_str_put_escaped(&s->tried, gi_str_cstr(&path), path.len);
	return false;
}

static bool search_name(struct search *s, const char *name)
{
	_cleanup_(gi_str_deinit) struct gi_str path = { 0 };
	const char *base = base_name(name);
	if (!base[0] || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return false;
	if (s->c->sysroot && search_below(s, name))
		return true;
	if (strchr(name, '/') && search_path(s, name))
		return true;
	gi_str_printf(&path, "%s%s", s->dir, base);
	if (search_path(s, gi_str_cstr(&path)))
		return true;
	return search_path(s, base);
}

static bool search_all(struct search *s)
{
	static const char deleted[] = " (deleted)";
	struct gi_target *t = &s->c->base;
	const char *file = s->c->modules[0].path;
	if (file) {
		// The kernel says so of a file that is gone; there may be a copy of it.
		size_t len = strlen(file), cut = sizeof(deleted) - 1;
		if (len > cut && !strcmp(file + len - cut, deleted)) {
			const char *name = gi_arena_strndup(t->arena, file, len - cut);
			if (name && search_name(s, name))
				return true;
		} else if (search_name(s, file)) {
			return true;
		}
	}
	if (t->info.exe_name && t->info.exe_name != file && search_name(s, t->info.exe_name))
		return true;
	if (t->info.args) {
		size_t n = strcspn(t->info.args, " ");
		const char *argv0 = gi_arena_strndup(t->arena, t->info.args, n);
		if (argv0 && search_name(s, argv0))
			return true;
	}
	return t->info.comm && search_name(s, t->info.comm);
}

// The servers may have the file whose build ID the core holds.
static bool fetch_exe(struct search *s)
{
	struct core_ids ids;
	if (s->interrupted || !s->c->modules[0].start)
		return false;
	gi_core_ids(s->c, s->c->modules[0].start, &ids);
	const char *path = gi_core_fetch(s->c, &ids.gnu);
	return path && search_path(s, path);
}

// The name by which the process was started: AT_EXECFN points to it, on the stack.
static void read_exe_name(struct core *c)
{
	struct gi_target *t = &c->base;
	_cleanup_(gi_str_deinit) struct gi_str name = { 0 };
	if (c->at_execfn)
		gi_error_ignore(gi_target_read_cstring(t, c->at_execfn, EXECFN_MAX, &name));
	if (name.len)
		t->info.exe_name = gi_arena_strdup(t->arena, name.s);
	else
		t->info.exe_name = c->modules[0].path;
}

struct gi_error *gi_core_find_exe(struct core *c, const struct gi_target_options *opts)
{
	const char *core_path = c->base.info.core_path ? c->base.info.core_path : "";
	read_exe_name(c);
	if (opts && opts->exe)
		return try_exe(c, opts->exe);

	_cleanup_(gi_freep) char *dir = strndup(core_path, (size_t)(base_name(core_path) - core_path));
	if (!dir)
		return gi_error_nomem();
	struct search s = { .c = c, .dir = dir };
	struct gi_error *err = NULL;
	bool over = search_all(&s) || fetch_exe(&s);
	if (s.interrupted) {
		err = s.interrupted;
	} else if (!over) {
		if (s.mismatch) {
			err = s.mismatch;
			s.mismatch = NULL;
			if (s.seen_count > 1)
				err = gi_error_wrap(err, "no fitting executable among %s",
						    gi_str_cstr(&s.tried));
		} else if (s.tried.len) {
			err = gi_error_create(GI_ERR_NOT_FOUND,
					      "%s: its executable was not found; looked for %s: name "
					      "it with --exe FILE%s",
					      core_path, gi_str_cstr(&s.tried),
					      c->sysroot ? "" :
							   ", or with --sysroot DIR the root folder "
							   "of the container that it ran in");
		} else {
			err = gi_error_create(GI_ERR_NOT_FOUND,
					      "%s does not name its executable%s: name it with --exe FILE",
					      core_path, c->needed > c->size ?
								 ", because it is cut off before that" :
								 "");
		}
	}
	gi_error_free(s.mismatch);
	gi_str_deinit(&s.tried);
	for (size_t i = 0; i < s.seen_count; i++)
		free(s.seen[i]);
	return err;
}

// Libraries of the process, and which of the files holds the Go runtime.
//
// Mostly that is the executable. A C program can have it in a library instead (c-shared), or
// in several, each then a runtime of its own; a program that was linked with -linkshared has
// it in a library that the program's own code imports. Plugins have a copy of the runtime's
// code, which the dynamic linker leaves unused: they export its symbols, as libraries of
// -buildmode=shared do and those of c-shared do not. Whatever file it is takes the place of
// the executable (module 0): all of the Go runtime's data are found by it.
// Source: cmd/link/internal/ld/elf.go, cmd/internal/obj/x86/obj6.go, Go 1.18 to 1.27.

#include "target/core_impl.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum { VDSO_MAX = 1 << 20 };

// --- opening --------------------------------------------------------------------

static bool is_same(struct core *c, struct core_module *mod, struct gi_elf *elf)
{
	struct core_ids want, got;
	uint64_t compared;
	gi_core_ids(c, mod->start, &want);
	gi_core_ids_of_elf(elf, &got);
	if (mod->dynamic)
		return gi_core_same_linked(c, elf, mod);
	enum core_sameness v = gi_core_ids_compare(&want, &got);
	if (v != CORE_UNKNOWN)
		return v == CORE_SAME;
	// Neither has an ID: the first page tells, if the core has that.
	return gi_target_view(&c->base, mod->start, sizeof(Elf64_Ehdr)) &&
	       !gi_core_compare_shape(c, elf, (size_t)(mod - c->modules), mod->bias, &compared) &&
	       compared >= 2 * CORE_EVIDENCE;
}

struct names {
	const char *dirs[2]; // where files may lie beside each other, "" or with a final slash
	size_t ndirs;
};

// True if the library is opened. other: the first file that is another build, with its ID.
static bool try_library(struct core *c, struct core_module *mod, const char *path,
			struct gi_str *other)
{
	_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
	struct gi_error *err = gi_elf_open(path, &elf);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	if (!is_same(c, mod, elf)) {
		if (!other->len) {
			struct core_ids want, got;
			gi_core_ids(c, mod->start, &want);
			gi_core_ids_of_elf(elf, &got);
			gi_str_put_escaped(other, path, strlen(path));
			gi_str_puts(other, " is not the library of this core: its build ID is ");
			gi_core_ids_format(&got, &want, other);
			gi_str_puts(other, ", the core's is ");
			gi_core_ids_format(&want, &got, other);
		}
		return false;
	}
	mod->elf = elf;
	mod->owned = true;
	elf = NULL;
	if (mod->dynamic)
		gi_core_name_by_file(c, (size_t)(mod - c->modules));
	return true;
}

static void open_library(struct core *c, struct core_module *mod, const struct names *names)
{
	static const char deleted[] = " (deleted)";
	_cleanup_(gi_str_deinit) struct gi_str path = { 0 }, other = { 0 };
	size_t len = strlen(mod->path), cut = sizeof(deleted) - 1;
	if (len > cut && strcmp(mod->path + len - cut, deleted) == 0)
		len -= cut;
	gi_str_putn(&path, mod->path, len);
	// Below the root that the process had, then as this machine has it.
	if (c->sysroot) {
		_cleanup_(gi_str_deinit) struct gi_str below = { 0 };
		struct gi_error *err = gi_elf_resolve(c->sysroot, gi_str_cstr(&path), &below);
		bool opened = !err && try_library(c, mod, gi_str_cstr(&below), &other);
		gi_error_ignore(err);
		if (opened)
			return;
	}
	if (try_library(c, mod, gi_str_cstr(&path), &other))
		return;
	if (c->live_pid) {
		// The mapped file itself, whatever is at its path by now; not all may look there.
		const struct gi_mapping *m = gi_target_mapping_at(&c->base, mod->start);
		gi_str_reset(&path);
		if (m)
			gi_str_printf(&path, "/proc/%d/map_files/%llx-%llx", (int)c->live_pid,
				      (unsigned long long)m->start, (unsigned long long)m->end);
		if (m && try_library(c, mod, gi_str_cstr(&path), &other))
			return;
	}
	size_t base = len;
	while (base && mod->path[base - 1] != '/')
		base--;
	for (size_t i = 0; i < names->ndirs; i++) {
		gi_str_reset(&path);
		gi_str_puts(&path, names->dirs[i]);
		gi_str_putn(&path, mod->path + base, len - base);
		if (try_library(c, mod, gi_str_cstr(&path), &other))
			return;
	}
	struct core_ids want;
	gi_core_ids(c, mod->start, &want);
	const char *fetched = gi_core_fetch(c, &want.gnu);
	if (fetched && try_library(c, mod, fetched, &other))
		return;
	mod->why = "that file is not here; --sysroot tells where to look";
	if (!other.len)
		return;
	if (!gi_core_ids_any(&want)) {
		mod->why = "the core holds no build ID to tell whether a file is the same one";
		return;
	}
	mod->why = "the file of that name here is another build";
	gi_target_add_note(&c->base, "%s: it is not used", gi_str_cstr(&other));
}

// The vDSO is an ELF file that only memory holds, whole and always saved.
static void open_vdso(struct core *c)
{
	const struct gi_mapping *m = gi_target_mapping_at(&c->base, c->base.info.vdso);
	if (!c->base.info.vdso || !m || m->start != c->base.info.vdso ||
	    m->end - m->start > VDSO_MAX)
		return;
	const uint8_t *p = gi_target_view(&c->base, m->start, m->end - m->start);
	struct gi_elf *elf = NULL;
	if (p)
		gi_error_ignore(gi_elf_open_image("[vdso]", p, m->end - m->start, &elf));
	if (!elf)
		return;
	struct core_module mod = {
		.path = "[vdso]",
		.start = m->start,
		.bias = m->start - gi_core_image_vaddr(c, m->start),
		.elf = elf,
		.owned = true,
	};
	struct gi_error *err = gi_core_add_module(c, &mod);
	if (err) {
		gi_error_ignore(err);
		gi_elf_close(elf);
		return;
	}
	c->origins[m - c->base.mappings].module = c->module_count - 1;
}

// The folder part of path, with its final slash; "" if it has none.
static const char *dir_of(struct core *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *dir = gi_arena_strndup(c->base.arena, path, slash ? (size_t)(slash + 1 - path) : 0);
	return dir ? dir : "";
}

void gi_core_open_libraries(struct core *c, const struct gi_target_options *opts)
{
	struct names names = { .ndirs = 0 };
	if (c->base.info.core_path)
		names.dirs[names.ndirs++] = dir_of(c, c->base.info.core_path);
	if (opts && opts->exe)
		names.dirs[names.ndirs++] = dir_of(c, opts->exe);
	open_vdso(c);
	size_t opened = 0;
	for (size_t i = 1; i < c->module_count && opened < CORE_LIBRARIES_MAX; i++) {
		struct core_module *mod = &c->modules[i];
		if (!mod->path || !mod->start || mod->elf)
			continue;
		open_library(c, mod, &names);
		opened++;
	}
}

// --- the runtime ----------------------------------------------------------------

enum role {
	NO_GO,
	GO_CODE, // that runs with another file's runtime
	GO_RUNTIME,
	GO_RUNTIME_SHARED, // one that other files use: libraries of -buildmode=shared, plugins
};

static enum role role_of(struct gi_elf *elf)
{
	// All Go code that is linked dynamically adds itself to the list of modules.
	if (!elf || !gi_elf_is_go(elf))
		return NO_GO;
	if (gi_elf_imports(elf, "runtime.lastmoduledatap"))
		return GO_CODE;
	if (gi_elf_exports(elf, "runtime.firstmoduledata"))
		return GO_RUNTIME_SHARED;
	return GO_RUNTIME;
}

static void add_runtime(struct core *c, size_t module)
{
	struct gi_target *t = &c->base;
	if (t->runtime_count < GI_ARRAY_SIZE(t->runtimes))
		t->runtimes[t->runtime_count++] = gi_elf_path(c->modules[module].elf);
}

// The file of module i is what all of the runtime's data are found by.
static void take_runtime(struct core *c, size_t i)
{
	struct gi_target *t = &c->base;
	c->modules[0].owned = c->modules[0].elf != NULL; // the target's own until now
	gi_core_swap_modules(c, i);
	c->modules[0].owned = false;
	t->exe = c->modules[0].elf;
	t->exe_bias = c->modules[0].bias;
	t->info.exe_path = gi_elf_path(t->exe);
}

// A library that Go linked, as the core says, but whose file is not at hand.
static const struct core_module *missing_go_library(struct core *c)
{
	for (size_t i = 1; i < c->module_count && i < CORE_LIBRARIES_MAX; i++) {
		const struct core_module *mod = &c->modules[i];
		struct core_ids ids;
		if (mod->elf || !mod->path || !mod->start)
			continue;
		gi_core_ids(c, mod->start, &ids);
		if (ids.go[0])
			return mod;
	}
	return NULL;
}

struct gi_error *gi_core_choose_runtime(struct core *c, struct gi_error **exe_err)
{
	struct gi_target *t = &c->base;
	enum role exe = role_of(t->exe);
	bool has = exe == GO_RUNTIME || exe == GO_RUNTIME_SHARED;
	size_t chosen = 0;

	for (size_t i = 1; i < c->module_count && i < CORE_LIBRARIES_MAX; i++) {
		enum role r = role_of(c->modules[i].elf);
		// Go programs have copies of their runtime in plugins, and Go code that
		// imports the runtime has it where that is exported.
		if (r != (exe == GO_CODE ? GO_RUNTIME_SHARED : GO_RUNTIME))
			continue;
		if (!has && !chosen)
			chosen = i;
		else
			add_runtime(c, i);
	}
	if (chosen) {
		const char *host = t->info.exe_path ? t->info.exe_path : c->modules[0].path;
		if (!host)
			host = "unknown";
		gi_target_add_note(t, "the Go runtime of this process is not in its executable (%s), but in %s",
				   gi_target_escape(t, host, strlen(host)),
				   gi_target_escape(t, gi_elf_path(c->modules[chosen].elf),
						    strlen(gi_elf_path(c->modules[chosen].elf))));
		gi_error_ignore(*exe_err);
		*exe_err = NULL;
		take_runtime(c, chosen);
		has = true;
	}
	for (size_t i = 0; has && i < t->runtime_count; i++) {
		const char *path = gi_target_escape(t, t->runtimes[i], strlen(t->runtimes[i]));
		gi_target_add_note(t, "this process has another Go runtime, in %s: \"--exe %s\" shows that one",
				   path, path);
	}
	const struct core_module *missing = has ? NULL : missing_go_library(c);
	if (!missing)
		return NULL;
	return gi_error_create(GI_ERR_NOT_FOUND,
			       "the Go code of this process is in the library %s: %s, and --exe FILE "
			       "names the library itself",
			       gi_target_escape(t, missing->path, strlen(missing->path)),
			       missing->why ? missing->why : "it was not opened");
}

// --- what is mapped where ----------------------------------------------------------

struct core_module *gi_core_module_at(struct core *c, uint64_t addr)
{
	const struct gi_mapping *m = gi_target_mapping_at(&c->base, addr);
	if (m && c->origins[m - c->base.mappings].module != SIZE_MAX)
		return &c->modules[c->origins[m - c->base.mappings].module];
	// What no file is known to be mapped at may still be a file's, as .bss is.
	for (size_t k = 0; k < c->module_count; k++) {
		struct core_module *mod = &c->modules[k];
		for (size_t i = 0; mod->elf && i < gi_elf_segment_count(mod->elf); i++) {
			struct gi_elf_segment seg = gi_elf_segment(mod->elf, i);
			if (seg.type == PT_LOAD && addr - mod->bias - seg.vaddr < seg.memsz)
				return mod;
		}
	}
	return NULL;
}

struct gi_elf *gi_core_elf_at(struct gi_target *t, uint64_t addr, uint64_t *bias_ret)
{
	const struct core_module *mod = gi_core_module_at(core_of(t), addr);
	if (!mod || !mod->elf)
		return NULL;
	*bias_ret = mod->bias;
	return mod->elf;
}

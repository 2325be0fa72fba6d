// The core backend: opens a core file, in steps that each need the ones before.
//
//   notes      threads, auxiliary vector, mapped files (NT_FILE)
//   mappings   of PT_LOADs and NT_FILE
//   ranges     what the core itself holds; from here on its memory can be read
//   modules    which ELF files were mapped, by their saved headers
//   executable found, compared, opened
//   libraries  the same, if they are there
//   ranges     once more, with what the core lacks overlaid from those files
//
// The file is mapped and nothing of it is read that these steps do not look at, so that
// the time to open does not depend on its size.

#include "target/core_impl.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

void gi_core_deinit(struct core *c)
{
	for (size_t i = 0; i < c->module_count; i++) {
		if (c->modules[i].owned)
			gi_elf_close(c->modules[i].elf);
	}
	gi_elf_close(c->elf);
	free(c->sysroot);
	gi_core_debug_deinit(c);
	gi_mini_destroy(c->mini);
	free(c->loads);
	free(c->files);
	free(c->origins);
	free(c->modules);
	free(c->ranges);
}

static void core_destroy(struct gi_target *t)
{
	gi_core_deinit(core_of(t));
	free(core_of(t));
}

struct gi_error *gi_core_check_unchanged(struct gi_target *t)
{
	struct core *c = core_of(t);
	struct gi_error *err = c->elf ? gi_elf_check_unchanged(c->elf) : NULL;
	for (size_t i = 0; !err && i < c->module_count; i++) {
		if (c->modules[i].elf)
			err = gi_elf_check_unchanged(c->modules[i].elf);
	}
	return err;
}

static const struct gi_target_ops core_ops = {
	.name = "core",
	.is_core = true,
	.destroy = core_destroy,
	.view = gi_core_view,
	.unreadable = gi_core_unreadable,
	.explain = gi_core_explain,
	.elf_at = gi_core_elf_at,
	.open_debug = gi_core_open_debug,
	.library_debug = gi_core_library_debug,
	.symbol_at = gi_core_symbol_at,
	.file_count = gi_core_file_count,
	.file = gi_core_file,
	.answer = gi_mini_answer,
	.is_late = gi_core_is_late,
	.check_unchanged = gi_core_check_unchanged,
};

static struct gi_error *check_type(const char *path, struct gi_elf *elf, enum gi_arch *ret)
{
	struct gi_elf_ident id = gi_elf_ident(elf);
	const char *what = NULL;
	switch (id.type) {
	case ET_CORE:
		break;
	case ET_EXEC:
		what = "an executable";
		break;
	case ET_DYN:
		what = "an executable or a shared library";
		break;
	case ET_REL:
		what = "an object file";
		break;
	default:
		what = "an ELF file of an unknown type";
	}
	if (what)
		return gi_error_create(GI_ERR_FORMAT, "%s is %s, not a core file", path, what);
	const struct gi_machine *machine = gi_machine_by_elf(id.machine);
	if (machine) {
		*ret = machine->arch;
		return NULL;
	}
	_cleanup_(gi_str_deinit) struct gi_str known = {0};
	for (size_t i = 0; gi_machine_at(i); i++)
		gi_str_printf(&known, "%s%s", i ? " and " : "", gi_machine_at(i)->name);
	const char *name = gi_elf_machine_name(id.machine);
	if (name)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "%s is a core of %s: only %s are supported", path, name,
				       gi_str_cstr(&known));
	return gi_error_create(GI_ERR_UNSUPPORTED,
			       "%s is a core of another machine (ELF number %u): only %s are "
			       "supported",
			       path, id.machine, gi_str_cstr(&known));
}

static struct gi_error *copy_option(const char *s, char **ret)
{
	if (!s || !s[0])
		return NULL;
	*ret = strdup(s);
	return *ret ? NULL : gi_error_nomem();
}

static struct gi_error *check_whole(struct core *c)
{
	struct gi_target *t = &c->base;
	const char *path = t->info.core_path;
	uint64_t declared = gi_elf_segment_count_declared(c->elf);
	if (declared > gi_elf_segment_count(c->elf)) {
		c->needed = gi_max_u64(c->needed, c->size + 1);
		gi_target_add_note(t, "the core is cut off inside of its program headers: %zu of %llu "
				      "are there, so more memory is lost than can be told",
				   gi_elf_segment_count(c->elf), (unsigned long long)declared);
	} else if (c->needed > c->size) {
		gi_target_add_note(t, "the core is cut off at %llu of %llu bytes: memory that was saved "
				      "behind that is lost",
				   (unsigned long long)c->size, (unsigned long long)c->needed);
	}
	if (t->thread_count)
		return NULL;
	bool cut = c->needed > c->size, memory = false;
	for (size_t i = 0; i < c->load_count && !memory; i++)
		memory = c->loads[i].filesz && c->loads[i].offset < c->size;
	if (!memory)
		return gi_error_create(GI_ERR_FORMAT,
				       cut ? "%s is cut off after %llu bytes: it has neither threads nor "
					     "memory left" :
					     "%s is damaged: its %llu bytes hold neither threads nor memory",
				       path, (unsigned long long)c->size);
	gi_target_add_note(t, cut ? "the core is cut off before its notes: threads and their registers "
				    "are lost" :
				    "the core has no threads (no NT_PRSTATUS notes)");
	return NULL;
}

struct gi_error *gi_target_open_core(const char *path, const struct gi_target_options *opts,
				     struct gi_target **ret)
{
	_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
	struct gi_error *err = gi_elf_open_packed(path, opts ? &opts->unpacking : NULL, &elf);
	if (err)
		return err;
	enum gi_arch arch = GI_ARCH_AMD64;
	err = check_type(path, elf, &arch);
	if (err)
		return err;

	struct core *c = calloc(1, sizeof(*c));
	if (!c)
		return gi_error_nomem();
	_cleanup_(gi_target_closep) struct gi_target *t = &c->base;
	err = gi_target_init(t, &core_ops);
	if (err)
		return err;
	t->arch = arch;
	c->elf = elf;
	elf = NULL;
	size_t size;
	c->bytes = gi_elf_bytes(c->elf, &size);
	c->size = size;
	t->info.page_size = gi_target_machine(t)->page_size;
	t->info.core_path = gi_elf_path(c->elf);
	if (gi_elf_unpacking_note(c->elf))
		gi_target_add_note(t, "%s", gi_elf_unpacking_note(c->elf));
	if (opts) {
		c->unpacking = opts->unpacking;
		err = copy_option(opts->sysroot, &c->sysroot);
		if (err)
			return err;
	}
	err = gi_core_debug_init(c, opts);
	if (err)
		return err;

	err = gi_core_read_notes(c);
	if (!err && c->mini) {
		err = gi_mini_open(c, opts);
		if (!err)
			err = check_whole(c);
		if (err)
			return err;
		*ret = t;
		t = NULL;
		return NULL;
	}
	if (!err)
		err = gi_core_make_mappings(c);
	if (!err)
		err = check_whole(c);
	if (!err)
		err = gi_core_make_ranges(c);
	if (!err)
		gi_core_look_for_private(c);
	if (!err)
		err = gi_core_find_modules(c);
	if (err)
		return err;
	_cleanup_(gi_error_freep) struct gi_error *exe_err = gi_core_find_exe(c, opts);
	// Without its executable a C program may still have its Go code in a library.
	if (exe_err && ((opts && opts->exe) || gi_error_code(exe_err) == GI_ERR_INTERRUPTED ||
			gi_error_code(exe_err) == GI_ERR_NOMEM)) {
		err = exe_err;
		exe_err = NULL;
		return err;
	}
	err = gi_core_find_linked(c);
	if (err)
		return err;
	gi_core_open_libraries(c, opts);
	err = gi_core_choose_runtime(c, &exe_err);
	if (!err) {
		err = exe_err;
		exe_err = NULL;
	}
	if (err)
		return err;
	err = gi_core_make_ranges(c);
	if (err)
		return err;
	*ret = t;
	t = NULL;
	return NULL;
}

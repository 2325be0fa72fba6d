// Debug files of the executable and of the libraries: where they are looked for, what came of
// it, and the symbols that they give.
//
// The folders are those of --debug-dir, then /usr/lib/debug below the sysroot, then this
// machine's. The servers are asked last, and only if a person said so. All of it is looked
// for when it is needed first: the executable's by whoever reads types, a library's when an
// address in it needs a name. The target's lock is held then.

#include "target/core_impl.h"

#include <stdlib.h>
#include <string.h>

static const char system_dir[] = "/usr/lib/debug";

struct gi_error *gi_core_debug_init(struct core *c, const struct gi_target_options *opts)
{
	size_t given = opts ? opts->debug_dir_count : 0;
	c->debug_dirs = calloc(given + 2, sizeof(*c->debug_dirs));
	if (!c->debug_dirs)
		return gi_error_nomem();
	for (size_t i = 0; i < given; i++) {
		const char *dir = opts->debug_dirs[i];
		size_t n = strlen(dir);
		while (n > 1 && dir[n - 1] == '/')
			n--;
		c->debug_dirs[c->debug_dir_count] = gi_arena_strndup(c->base.arena, dir, n);
		if (!c->debug_dirs[c->debug_dir_count++])
			return gi_error_nomem();
	}
	if (c->sysroot) {
		_cleanup_(gi_str_deinit) struct gi_str below = {0};
		gi_str_printf(&below, "%s%s", c->sysroot, system_dir);
		const char *copy = gi_arena_strdup(c->base.arena, gi_str_cstr(&below));
		if (!copy)
			return gi_error_nomem();
		c->debug_dirs[c->debug_dir_count++] = copy;
	}
	c->debug_dirs[c->debug_dir_count++] = system_dir;
	if (!opts || !opts->debuginfod)
		return NULL;
	struct gi_error *err = gi_debuginfod_open(&opts->fetching, &c->servers);
	if (err)
		gi_target_add_note(&c->base, "--debuginfod: %s", gi_error_message(err));
	gi_error_ignore(err);
	return NULL;
}

void gi_core_debug_deinit(struct core *c)
{
	for (size_t i = 0; i < c->module_count; i++) {
		gi_elf_close(c->modules[i].debug);
		gi_elf_close(c->modules[i].mini);
	}
	gi_debuginfod_close(c->servers);
	free(c->debug_dirs);
}

const char *gi_core_fetch(struct core *c, const struct gi_build_id *id)
{
	_cleanup_(gi_str_deinit) struct gi_str path = {0};
	char hex[2 * sizeof(id->bytes) + 1];
	if (!c->servers || !id->len)
		return NULL;
	gi_build_id_format(id, hex, sizeof(hex));
	struct gi_error *err =
		gi_debuginfod_fetch(c->servers, id, GI_DEBUGINFOD_EXECUTABLE, &path);
	if (err) {
		if (gi_error_code(err) != GI_ERR_NOT_FOUND)
			gi_target_add_note(&c->base, "debuginfod: %s", gi_error_message(err));
		gi_error_ignore(err);
		return NULL;
	}
	const char *copy = gi_arena_strdup(c->base.arena, gi_str_cstr(&path));
	if (copy)
		gi_target_add_note(&c->base, "the file with build ID %s comes from debuginfod: %s",
				   hex, gi_target_escape(&c->base, copy, strlen(copy)));
	return copy;
}

// --- searching ------------------------------------------------------------------

static struct gi_debug_search search_make(struct core *c)
{
	return (struct gi_debug_search){
		.dirs = c->debug_dirs,
		.dir_count = c->debug_dir_count,
		.sysroot = c->sysroot,
		.servers = c->servers,
	};
}

// A file that is there and is not used is what somebody wants to know of.
static void note_refused(struct core *c, struct gi_elf *elf, const struct gi_debug_search *s)
{
	const char *p = gi_str_cstr(&s->refused), *path = gi_elf_path(elf);
	const char *shown = gi_target_escape(&c->base, path, strlen(path));
	for (const char *end; (end = strchr(p, '\n')); p = end + 1)
		gi_target_add_note(&c->base, "not used as a debug file of %s: %s", shown,
				   gi_target_escape(&c->base, p, (size_t)(end - p)));
}

// The common file of dwz that elf, which has debug information, needs.
static void open_alt(struct core *c, struct gi_elf *elf)
{
	struct gi_elf_alt_link link;
	struct gi_elf *alt;
	if (!gi_elf_alt_link(elf, &link))
		return;
	_cleanup_(gi_debug_search_deinit) struct gi_debug_search s = search_make(c);
	struct gi_error *err = gi_elf_open_alt(elf, &s, &alt);
	note_refused(c, elf, &s);
	if (!err)
		return;
	const char *text = gi_error_message(err);
	gi_target_add_note(&c->base, "%s: --debug-dir DIR looks below DIR",
			   gi_target_escape(&c->base, text, strlen(text)));
	gi_error_ignore(err);
}

// Looks for what a file without symbols or debug information lacks.
static struct gi_elf *open_debug(struct core *c, struct core_module *mod, struct gi_elf *elf)
{
	_cleanup_(gi_debug_search_deinit) struct gi_debug_search s = search_make(c);
	struct gi_elf *debug = NULL;
	struct gi_error *err = gi_elf_open_debug(elf, &s, &debug);
	note_refused(c, elf, &s);
	if (!err) {
		mod->debug_how = s.how;
		return debug;
	}
	_cleanup_(gi_str_deinit) struct gi_str why = {0};
	gi_str_puts(&why, "looked for ");
	gi_str_put_escaped(&why, gi_str_cstr(&s.tried), s.tried.len);
	const char *copy = gi_arena_strdup(c->base.arena, gi_str_cstr(&why));
	mod->debug_how = copy ? copy : "?";
	gi_error_ignore(err);
	return NULL;
}

struct gi_elf *gi_core_open_debug(struct gi_target *t)
{
	struct core *c = core_of(t);
	struct gi_elf *debug = NULL;
	if (!gi_elf_has_section(t->exe, ".debug_info"))
		debug = open_debug(c, &c->modules[0], t->exe);
	open_alt(c, debug ? debug : t->exe);
	return debug;
}

static void look_for_debug(struct core *c, struct core_module *mod)
{
	if (mod->debug_looked_for || !mod->elf || mod == &c->modules[0])
		return;
	mod->debug_looked_for = true;
	// The vDSO has no file. Symbols alone have no lines, and of Go code no types.
	if (!mod->path || mod->path[0] == '[' || gi_elf_has_section(mod->elf, ".debug_info"))
		return;
	if (gi_elf_has_section(mod->elf, ".gnu_debugdata"))
		gi_error_ignore(gi_elf_open_mini(mod->elf, &mod->mini));
	mod->debug = open_debug(c, mod, mod->elf);
}

// --- symbols --------------------------------------------------------------------

struct gi_elf *gi_core_library_debug(struct gi_target *t, uint64_t addr)
{
	struct core *c = core_of(t);
	struct core_module *mod = gi_core_module_at(c, addr);
	if (!mod)
		return NULL;
	pthread_mutex_lock(&t->lock);
	look_for_debug(c, mod);
	pthread_mutex_unlock(&t->lock);
	return mod->debug;
}

bool gi_core_symbol_at(struct gi_target *t, uint64_t addr, struct gi_elf_symbol *ret,
		       uint64_t *bias_ret)
{
	struct core *c = core_of(t);
	struct core_module *mod = gi_core_module_at(c, addr);
	struct gi_elf *elf = gi_core_elf_at(t, addr, bias_ret);
	struct gi_elf *sources[3] = {NULL};
	if (!elf)
		return false;
	if (elf == t->exe) {
		sources[0] = gi_target_debug_elf(t);
	} else if (mod) {
		pthread_mutex_lock(&t->lock);
		look_for_debug(c, mod);
		pthread_mutex_unlock(&t->lock);
		sources[0] = mod->debug;
		sources[1] = mod->mini;
	}
	sources[2] = elf;
	for (size_t i = 0; i < GI_ARRAY_SIZE(sources); i++) {
		if (sources[i] && gi_elf_symbol_by_addr(sources[i], addr - *bias_ret, ret))
			return true;
	}
	return false;
}

// --- what there is ----------------------------------------------------------------

// Modules without a name are places in the list that stayed empty.
static bool is_shown(const struct core *c, size_t i)
{
	return i == 0 || c->modules[i].path;
}

size_t gi_core_file_count(const struct gi_target *t)
{
	const struct core *c = (const struct core *)t;
	size_t n = 0;
	for (size_t i = 0; i < c->module_count; i++)
		n += is_shown(c, i);
	return n;
}

static bool is_split(struct gi_elf *elf)
{
	return elf && (gi_elf_has_section(elf, ".debug_gnu_pubnames") ||
		       gi_elf_has_section(elf, ".debug_gnu_pubtypes")) &&
	       gi_elf_has_section(elf, ".debug_addr");
}

struct gi_target_file gi_core_file(struct gi_target *t, size_t at)
{
	struct core *c = core_of(t);
	size_t i = 0;
	for (size_t n = 0; i < c->module_count; i++) {
		if (is_shown(c, i) && n++ == at)
			break;
	}
	struct core_module *mod = &c->modules[i];
	struct core_ids ids = {.gnu.len = 0};
	struct gi_elf *with_debug = NULL;
	if (mod->start)
		gi_core_ids(c, mod->start, &ids);
	if (i == 0) {
		with_debug = gi_target_debug_elf(t);
	} else {
		pthread_mutex_lock(&t->lock);
		look_for_debug(c, mod);
		pthread_mutex_unlock(&t->lock);
	}
	struct gi_elf *debug = i == 0 ? t->debug_elf : mod->debug;
	struct gi_elf *alt = with_debug ? gi_elf_alt(with_debug) : NULL;
	const char *go_id = gi_target_escape(t, ids.go, strlen(ids.go));
	return (struct gi_target_file){
		.name = mod->path,
		.start = mod->start,
		.executable = i == 0,
		.id = ids.gnu,
		.go_id = go_id,
		.path = mod->elf ? gi_elf_path(mod->elf) : NULL,
		.why = mod->elf ? NULL : mod->why,
		.debug_path = debug ? gi_elf_path(debug) : NULL,
		.debug_how = mod->debug_how,
		.alt_path = alt ? gi_elf_path(alt) : NULL,
		.mini = mod->mini != NULL,
		.split = is_split(with_debug),
	};
}

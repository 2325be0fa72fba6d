// Where layouts and globals come from: debug information, or, for stripped programs, the
// table of the release.
//
// With DWARF each name of layout.def is looked up in it, and globals also in the symbol
// table. Without, the release chooses a table of layouts that was made from real
// binaries; the module data are found by their form (scan.c), with them the functions by
// name, and in their code the globals (witness.c). A table that does not belong to the
// program is told by what follows: shapes of functions that do not match, m0 and g0 that
// do not point to each other, and all of check.c.

#include "go/go_impl.h"

#include <elf.h>
#include <string.h>

enum { OLDEST_MINOR = 18, NEWEST_MINOR = 27, MAX_CANDIDATES = 8 };

static const char *exe_name(struct gi_go *go)
{
	return gi_elf_path(gi_target_exe(go->target));
}

// --- DWARF and the symbol table as a source of layouts ---------------------------

static struct gi_error *dwarf_record(void *arg, const char *type, uint64_t *size_ret)
{
	struct gi_go *go = arg;

	return gi_dwarf_sizeof(go->dwarf, type, size_ret);
}

static struct gi_error *dwarf_member(void *arg, const char *type, const char *path,
				     struct gi_field *ret)
{
	struct gi_go *go = arg;
	struct gi_dwarf_member m;
	struct gi_error *err = gi_dwarf_member(go->dwarf, type, path, &m);

	if (err)
		return err;
	if (m.offset > UINT32_MAX || m.size > UINT32_MAX || m.count > UINT32_MAX)
		return gi_error_create(GI_ERR_FORMAT,
				       "%s.%s is too large for a member of a runtime struct", type,
				       path);
	*ret = (struct gi_field){
		.off = (uint32_t)m.offset, .size = (uint32_t)m.size, .count = (uint32_t)m.count};
	return NULL;
}

static bool symbol_global(struct gi_elf *elf, uint64_t bias, const char *name,
			  struct gi_global *ret)
{
	struct gi_elf_symbol sym;

	if (!elf || !gi_elf_symbol_by_name(elf, name, &sym))
		return false;
	// The value of a thread-local symbol is an offset into the TLS segment.
	*ret = (struct gi_global){.addr = sym.type == STT_TLS ? sym.value : sym.value + bias,
				  .size = sym.size};
	return true;
}

struct gi_error *gi_go_find_global(void *arg, const char *name, struct gi_global *ret)
{
	struct gi_go *go = arg;
	uint64_t bias = gi_target_exe_bias(go->target), addr;
	struct gi_dwarf_member m = {0};
	struct gi_error *err;

	if (symbol_global(gi_target_debug_elf(go->target), bias, name, ret) ||
	    symbol_global(gi_target_exe(go->target), bias, name, ret))
		return NULL;
	if (!go->dwarf)
		return gi_witness_global(go->witnesses, name, ret);
	err = gi_dwarf_global(go->dwarf, name, &addr, &m);
	if (err)
		return err;
	*ret = (struct gi_global){.addr = addr + bias, .size = m.size, .count = m.count};
	return NULL;
}

static struct gi_error *dwarf_constant(void *arg, const char *name, int64_t *ret)
{
	struct gi_go *go = arg;

	// It takes long to unpack the units of other packages than the runtime, and longer
	// to know that there is none. What a release has there is in its table.
	if (go->version_known && go->version.major == 1 &&
	    strncmp(name, "runtime.", strlen("runtime.")) != 0) {
		struct gi_layout_table t = gi_layout_table_for(
			gi_target_arch(go->target), go->version.minor, go->version.patch);
		struct gi_error *err = gi_layout_table_constant(&t, name, ret);

		if (!err || t.minor == go->version.minor)
			return err;
		gi_error_ignore(err);
	}
	return gi_dwarf_constant(go->dwarf, name, ret);
}

// --- with debug information --------------------------------------------------------

static struct gi_error *open_dwarf(struct gi_go *go)
{
	struct gi_error *err = gi_dwarf_open(gi_target_debug_elf(go->target), &go->dwarf);
	uint64_t size;

	if (err && gi_error_code(err) != GI_ERR_NOT_FOUND)
		return err;
	// What C code brought along says nothing of Go (-ldflags=-w with cgo).
	if (!err)
		err = gi_dwarf_sizeof(go->dwarf, "runtime.g", &size);
	if (!err)
		return NULL;
	if (gi_error_code(err) != GI_ERR_NOT_FOUND)
		return err;
	// Then there are tables of layouts.
	gi_error_ignore(err);
	gi_dwarf_close(go->dwarf);
	go->dwarf = NULL;
	return NULL;
}

static struct gi_error *check_release(struct gi_go *go)
{
	const struct gi_go_version *v = &go->version;

	if (!go->version_known) {
		gi_go_add_note(go,
			       "the Go release is unknown (runtime.buildVersion is %s%s%s): "
			       "layouts are taken as the debug information has them",
			       v->text[0] ? "\"" : "unreadable", v->text, v->text[0] ? "\"" : "");
		return NULL;
	}
	if (v->major == 1 && v->minor < OLDEST_MINOR)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "%s was built by %s: releases before Go 1.%d are not "
				       "supported",
				       exe_name(go), v->text, OLDEST_MINOR);
	if (v->major > 1 || v->minor > NEWEST_MINOR)
		gi_go_add_note(go,
			       "%s is newer than the newest Go release that this program was "
			       "tested with, 1.%d",
			       v->text, NEWEST_MINOR);
	return NULL;
}

static struct gi_error *resolve_by_dwarf(struct gi_go *go)
{
	_cleanup_(gi_str_deinit) struct gi_str what = {0};
	_cleanup_(gi_str_deinit) struct gi_str missing = {0};
	struct gi_layout_source src = {.arg = go,
				       .record = dwarf_record,
				       .member = dwarf_member,
				       .global = gi_go_find_global,
				       .constant = dwarf_constant};
	struct gi_global version = {0};
	struct gi_error *err;

	gi_str_printf(&what, "the debug information of %s",
		      gi_elf_path(gi_target_debug_elf(go->target)));
	src.what = gi_str_cstr(&what);

	err = gi_layout_resolve_global(&src, "runtime.buildVersion", &version);
	if (err)
		return err;
	gi_go_load_version(go, &version);
	err = check_release(go);
	if (err)
		return err;
	err = gi_layout_resolve(&src,
				go->version_known && go->version.major == 1 ? go->version.minor : 0,
				&go->layout, &missing);
	if (err)
		return err;
	if (missing.len)
		gi_go_add_note(go, "%s has no %s: what depends on it is not shown", src.what,
			       missing.s);
	return NULL;
}

// --- stripped programs ---------------------------------------------------------------

static struct gi_error *table_record(void *arg, const char *type, uint64_t *size_ret)
{
	struct gi_go *go = arg;

	return gi_layout_table_record(&go->table, type, size_ret);
}

static struct gi_error *table_member(void *arg, const char *type, const char *path,
				     struct gi_field *ret)
{
	struct gi_go *go = arg;

	return gi_layout_table_member(&go->table, type, path, ret);
}

static struct gi_error *table_constant(void *arg, const char *name, int64_t *ret)
{
	struct gi_go *go = arg;

	return gi_layout_table_constant(&go->table, name, ret);
}

// Its address from the program, by symbol, code or form; its size from the table where the
// program has none. Where the code says something that the data contradict, the data are
// asked.
static struct gi_error *table_global(void *arg, const char *name, struct gi_global *ret)
{
	struct gi_go *go = arg;
	struct gi_global known = {0}, g = {0};
	bool sized = gi_layout_table_global(&go->table, name, &known);
	struct gi_error *err = gi_go_find_global(go, name, &g);
	uint64_t addr;

	if (err && gi_error_code(err) != GI_ERR_NOT_FOUND)
		return err;
	// Race detectors, for one, change the only function that names it.
	if (err && strcmp(name, "runtime.buildVersion") == 0 && gi_go_scan_build_version(go, &g)) {
		gi_error_ignore(err);
		err = NULL;
	}
	if (err || !gi_go_global_fits(go, name, g.addr)) {
		struct gi_error *scan_err = gi_go_scan_global(go, name, &addr);

		if (!scan_err && sized) {
			g = known;
			g.addr = addr;
			gi_error_ignore(err);
			err = NULL;
		} else {
			gi_error_ignore(scan_err);
		}
	}
	if (err)
		return err;
	if (!g.size)
		g.size = known.size;
	if (g.size == known.size)
		g.count = known.count;
	*ret = g;
	return NULL;
}

static void forget(struct gi_go *go)
{
	gi_witnesses_destroy(go->witnesses);
	go->witnesses = NULL;
	gi_functab_destroy(go->functab);
	go->functab = NULL;
	go->module_count = 0;
	go->lists = NULL; // of the arena
	memset(&go->layout, 0, sizeof(go->layout));
}

// Layouts by the table for the release of go->version, then everything by them.
static struct gi_error *resolve_by_table(struct gi_go *go)
{
	_cleanup_(gi_str_deinit) struct gi_str what = {0};
	_cleanup_(gi_str_deinit) struct gi_str missing = {0};
	struct gi_layout_source src = {.arg = go,
				       .record = table_record,
				       .member = table_member,
				       .global = table_global,
				       .constant = table_constant};
	struct gi_layout *l = &go->layout;
	struct gi_error *err;

	forget(go);
	go->table = gi_layout_table_for(gi_target_arch(go->target), go->version.minor,
					go->version.patch);
	gi_str_printf(&what, "the stripped program %s", exe_name(go));
	src.what = gi_str_cstr(&what);
	if (!go->table.count)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "there are no tables of layouts for its architecture");

	err = gi_layout_resolve_types(&src, go->table.minor, l, &missing);
	if (err)
		return err;
	err = gi_layout_resolve_global(&src, "runtime.firstmoduledata", &l->global.firstmoduledata);
	if (err)
		return err;
	if (!l->global.firstmoduledata.ok) {
		err = gi_go_scan_module(go, &l->global.firstmoduledata);
		if (err)
			return err;
	}
	err = gi_go_load_tables(go);
	if (err)
		return err;
	err = gi_witnesses_create(go, &go->witnesses);
	if (err)
		return err;
	err = gi_layout_resolve_globals(&src, go->table.minor, l, &missing);
	if (err)
		return err;
	if (missing.len)
		gi_go_add_note(go,
			       "%s: not found without symbols: %s: what depends on it is "
			       "not shown",
			       src.what, missing.s);
	if (missing.len && strstr(go->version.text, "X:"))
		gi_go_add_note(go,
			       "%s has experiments in its runtime, which may have other layouts "
			       "than the go1.%d that is known",
			       go->version.text, go->table.minor);
	return gi_go_check_static(go);
}

bool gi_go_has_foreign_table(const struct gi_go *go)
{
	return go->table.count && go->table.minor != go->version.minor;
}

struct gi_error *gi_go_misfit(struct gi_go *go, struct gi_error *err)
{
	// What the core does not hold no other file brings back.
	if (gi_go_not_in_core(err))
		return err;
	return gi_error_wrap(err,
			     "%s is stripped, and the layouts of go1.%d do not fit it (give its "
			     "debug file's folder with --debug-dir, or the file as it was before "
			     "strip with --exe)",
			     exe_name(go), go->table.minor);
}

static struct gi_error *resolve_release(struct gi_go *go)
{
	struct gi_error *err = resolve_by_table(go);

	if (err)
		return gi_go_misfit(go, err);
	if (gi_go_has_foreign_table(go))
		gi_go_add_note(go,
			       "there is no table of layouts for %s, and no debug "
			       "information: the one of go1.%d is used, and fits as far as "
			       "it can be checked",
			       go->version.text, go->table.minor);
	return NULL;
}

// Every program has this function, under this name, in its function table.
static bool is_obfuscated(struct gi_go *go)
{
	struct gi_func f;

	return !go->functab || !gi_functab_find_name(go->functab, "runtime.main", &f);
}

// Versions that stand in the data: the first whose layout fits, and where the code says
// that runtime.buildVersion is that very string.
static struct gi_error *resolve_candidates(struct gi_go *go)
{
	struct gi_global found[MAX_CANDIDATES];
	size_t n = gi_go_scan_versions(go, found, GI_ARRAY_SIZE(found));
	struct gi_error *err = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct gi_global *v = &go->layout.global.build_version;

		gi_error_ignore(err);
		gi_go_load_version(go, &found[i]);
		err = check_release(go);
		if (!err)
			err = resolve_release(go);
		if (!err && (!v->ok || v->addr == found[i].addr))
			return NULL;
		if (!err)
			err = gi_error_create(GI_ERR_MISMATCH,
					      "the version at 0x%llx is not that of the runtime",
					      (unsigned long long)found[i].addr);
	}
	if (err)
		return err;
	if (is_obfuscated(go))
		return gi_error_create(
			GI_ERR_UNSUPPORTED,
			"%s is stripped, and its function table is in no form that Go has: an "
			"obfuscated build (as garble makes) hides what is needed to read it",
			exe_name(go));
	return gi_error_create(
		GI_ERR_UNSUPPORTED,
		"%s is stripped, and the Go release that built it is unknown: it has no "
		".go.buildinfo, and no version in its data. Give its debug file's folder "
		"with --debug-dir, or the file as it was before strip with --exe",
		exe_name(go));
}

static struct gi_error *resolve_stripped(struct gi_go *go)
{
	struct gi_global version = {0};
	struct gi_error *err;

	if (symbol_global(gi_target_exe(go->target), gi_target_exe_bias(go->target),
			  "runtime.buildVersion", &version)) {
		version.ok = true;
		gi_go_load_version(go, &version);
	}
	if (!go->version_known)
		gi_go_load_version_from_build_info(go);
	if (!go->version_known)
		return resolve_candidates(go);
	err = check_release(go);
	if (err)
		return err;
	return resolve_release(go);
}

struct gi_error *gi_go_load_tables(struct gi_go *go)
{
	struct gi_error *err = gi_go_load_modules(go);

	if (err)
		return err;
	return gi_functab_create(go->target, go->modules, go->module_count, &go->functab);
}

static struct gi_error *resolve_with_debug_info(struct gi_go *go)
{
	struct gi_error *err = resolve_by_dwarf(go);

	if (!err)
		err = gi_go_check_static(go);
	if (!err)
		err = gi_go_load_tables(go);
	return err;
}

// Debug information that is damaged, or that does not fit the data, is as good as none.
static struct gi_error *resolve_without(struct gi_go *go, struct gi_error *why)
{
	enum gi_error_code code = gi_error_code(why);
	struct gi_error *err;

	if (code == GI_ERR_NOMEM || code == GI_ERR_INTERRUPTED)
		return why;
	gi_dwarf_close(go->dwarf);
	go->dwarf = NULL;
	go->version_known = false;
	err = resolve_stripped(go);
	if (err) {
		gi_error_ignore(err);
		return why;
	}
	gi_go_add_note(go, "debug information is not used: %s", gi_error_message(why));
	gi_error_ignore(why);
	return NULL;
}

struct gi_error *gi_go_resolve(struct gi_go *go)
{
	struct gi_error *err = open_dwarf(go);

	if (!err && !go->dwarf)
		return resolve_stripped(go);
	if (!err)
		err = resolve_with_debug_info(go);
	return err ? resolve_without(go, err) : NULL;
}

// Opening a Go program: where its layouts and globals come from, and in which order its
// parts are read.
//
// The order matters. The release (runtime.buildVersion) tells which names to expect;
// layouts come from the DWARF by those names, or from a table (source.c); runtime.m0 and
// runtime.g0, two globals that point to each other in every Go process, tell that the
// layouts fit before anything else is believed; then modules, Ms, Ps, goroutines, and the checks on all of them (check.c).
// What cannot be read is left out with a note: only without a layout or without the
// function tables is there nothing to say.

#include "go/go_impl.h"
#include "go/statics.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum { DEBUG_VARS_MAX = 4096 };

// --- open, close -------------------------------------------------------------------

static const char *exe_name(struct gi_go *go)
{
	return gi_elf_path(gi_target_exe(go->target));
}

// What the process's data hold, checked.
static struct gi_error *load_live(struct gi_go *go)
{
	struct gi_error *err = gi_go_load_wait_reasons(go);

	if (err)
		return err;
	gi_go_load_sched(go);
	err = gi_go_load_ms(go);
	if (!err)
		err = gi_go_load_ps(go);
	if (!err)
		err = gi_go_load_gs(go);
	if (!err)
		err = gi_go_match_threads(go);
	if (!err)
		err = gi_go_check_live(go);
	if (!err && go->table.count)
		err = gi_go_check_fit(go);
	return err;
}

// What is wrong with an executable of which only the beginning is there is just that.
static struct gi_error *blame_cut(struct gi_go *go, struct gi_error *err)
{
	struct gi_elf *exe = gi_target_exe(go->target);
	size_t size;

	gi_elf_bytes(exe, &size);
	if (gi_elf_size_declared(exe) <= size || gi_error_code(err) == GI_ERR_INTERRUPTED ||
	    gi_error_code(err) == GI_ERR_NOMEM)
		return err;
	gi_error_ignore(err);
	return gi_error_create(GI_ERR_FORMAT,
			       "%s is cut off: %zu of its %llu bytes are too few to read the Go "
			       "runtime by",
			       exe_name(go), size, (unsigned long long)gi_elf_size_declared(exe));
}

struct gi_error *gi_go_prepare(struct gi_target *t, struct gi_go **ret)
{
	_cleanup_(gi_go_closep) struct gi_go *go = calloc(1, sizeof(*go));
	struct gi_error *err;

	if (!go)
		return gi_error_nomem();
	go->target = t;
	go->version.text = "";
	pthread_mutex_init(&go->stacks_lock, NULL);
	pthread_mutex_init(&go->c_lines_lock, NULL);
	err = gi_arena_create(&go->arena);
	if (err)
		return err;

	if (!gi_elf_is_go(gi_target_exe(t))) {
		const char *foreign = gi_elf_describe_foreign(gi_target_exe(t));

		if (foreign)
			return gi_error_create(GI_ERR_UNSUPPORTED, "%s %s", exe_name(go), foreign);
		err = gi_error_create(
			GI_ERR_FORMAT,
			"%s is no Go program: it has no Go function table (.gopclntab), no Go "
			"build information and no Go note. If the Go code of the process is in "
			"a library, name that with --exe",
			exe_name(go));
		return blame_cut(go, err);
	}
	err = gi_go_resolve(go);
	if (err)
		return blame_cut(go, err);
	go->prepared_notes = go->note_count;
	*ret = go;
	go = NULL;
	return NULL;
}

static void unload(struct gi_go *go)
{
	gi_heap_destroy(go->heap);
	go->heap = NULL;
	gi_statics_destroy(go->statics);
	go->statics = NULL;
	free(go->g_by_id.slots);
	free(go->g_by_addr.slots);
	go->g_by_id = go->g_by_addr = (struct gi_g_index){0};
	gi_map_deinit(&go->m_by_addr);
	go->m_by_addr = (struct gi_map){0};
	free(go->gs);
	free(go->stacks);
	free(go->ms);
	free(go->m_of_thread);
	free(go->ps);
	go->gs = NULL;
	go->stacks = NULL;
	go->ms = NULL;
	go->m_of_thread = NULL;
	go->ps = NULL;
	go->g_count = go->g_cap = go->stack_count = go->m_count = go->m_cap = go->p_count =
		go->p_cap = 0;
	go->g_lost = go->m_lost = go->p_lost = go->stacks_made = go->finalizer_runs = false;
	go->sched = (struct gi_sched){0};
	go->goidgen = go->now = 0;
	while (go->note_count > go->prepared_notes)
		free(go->notes[--go->note_count]);
}

struct gi_error *gi_go_load(struct gi_go *go)
{
	struct gi_error *err;

	unload(go);
	gi_go_saw_time(go, gi_target_info(go->target)->monotonic_ns);
	err = load_live(go);
	if (err && gi_go_has_foreign_table(go))
		return gi_go_misfit(go, err);
	if (err)
		return err;
	gi_go_find_now(go);
	return NULL;
}

struct gi_error *gi_go_open(struct gi_target *t, struct gi_go **ret)
{
	_cleanup_(gi_go_closep) struct gi_go *go = NULL;
	struct gi_error *err = gi_go_prepare(t, &go);

	if (!err)
		err = gi_go_load(go);
	if (err)
		return err;
	*ret = go;
	go = NULL;
	return NULL;
}

void gi_go_close(struct gi_go *go)
{
	if (!go)
		return;
	unload(go);
	gi_witnesses_destroy(go->witnesses);
	gi_functab_destroy(go->functab);
	gi_dwarf_close(go->dwarf);
	for (size_t i = 0; i < go->file_count; i++)
		gi_dwarf_close(go->files[i].dwarf);
	free(go->files);
	gi_map_deinit(&go->start_kinds);
	free(go->modules);
	for (size_t i = 0; i < go->note_count; i++)
		free(go->notes[i]);
	free(go->notes);
	gi_arena_destroy(go->arena);
	gi_go_c_lines_destroy(go->c_lines);
	pthread_mutex_destroy(&go->stacks_lock);
	pthread_mutex_destroy(&go->c_lines_lock);
	free(go);
}

// --- notes -------------------------------------------------------------------------

void gi_go_add_note(struct gi_go *go, const char *fmt, ...)
{
	struct gi_str s = {0};
	va_list ap;

	va_start(ap, fmt);
	gi_str_vprintf(&s, fmt, ap);
	va_end(ap);
	for (size_t i = 0; !s.oom && s.s && i < go->note_count; i++) {
		if (strcmp(go->notes[i], s.s) == 0) {
			gi_str_deinit(&s);
			return;
		}
	}
	// A note that finds no memory is lost: whoever made it goes on without.
	struct gi_error *err =
		gi_grow(&go->notes, &go->note_cap, go->note_count + 1, sizeof(char *));
	if (err || s.oom || !s.s) {
		gi_error_free(err);
		gi_str_deinit(&s);
		return;
	}
	go->notes[go->note_count++] = s.s;
}

size_t gi_go_note_count(const struct gi_go *go)
{
	return go->note_count;
}

const char *gi_go_note(const struct gi_go *go, size_t i)
{
	return i < go->note_count ? go->notes[i] : NULL;
}

// --- version ------------------------------------------------------------------------

const struct gi_go_version *gi_go_version(const struct gi_go *go)
{
	return &go->version;
}

bool gi_go_at_least(const struct gi_go *go, int major, int minor)
{
	const struct gi_go_version *v = &go->version;

	// A release that does not say its number is likelier a new one than an old one.
	if (!go->version_known)
		return true;
	return v->major > major || (v->major == major && v->minor >= minor);
}

// --- accessors ---------------------------------------------------------------------

struct gi_target *gi_go_target(struct gi_go *go)
{
	return go->target;
}

struct gi_functab *gi_go_functab(struct gi_go *go)
{
	return go->functab;
}

struct gi_dwarf *gi_go_dwarf(struct gi_go *go)
{
	return go->dwarf;
}

int gi_go_func_id_wrapper(const struct gi_go *go)
{
	return (int)go->layout.constant.func_id_wrapper;
}

// runtime.dbgvars is a slice of pointers to (name, *int32, *atomic.Int32): one of the
// last two.
bool gi_go_debug_setting(struct gi_go *go, const char *name, int32_t *ret)
{
	const struct gi_layout *l = &go->layout;
	struct gi_slice vars;
	struct gi_error *err;

	if (!l->dbgvar.rec.ok)
		return false;
	err = gi_go_global_slice(go, &l->global.dbgvars, &vars);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	for (uint64_t i = 0; i < vars.len && i < DEBUG_VARS_MAX; i++) {
		_cleanup_(gi_str_deinit) struct gi_str s = {0};
		uint64_t var, p;
		uint32_t v;

		if (!gi_target_peek_u64(go->target, vars.ptr + 8 * i, &var))
			return false;
		err = gi_target_read_gostring(go->target, var + l->dbgvar.name.off, 256,
					      &s);
		if (err) {
			gi_error_ignore(err);
			continue;
		}
		if (strcmp(gi_str_cstr(&s), name) != 0)
			continue;
		if (!gi_target_peek_u64(go->target, var + l->dbgvar.value.off, &p))
			return false;
		if (!p && !gi_target_peek_u64(go->target, var + l->dbgvar.atomic.off, &p))
			return false;
		err = gi_target_read_u32(go->target, p, &v);
		if (err) {
			gi_error_ignore(err);
			return false;
		}
		*ret = (int32_t)v;
		return true;
	}
	return false;
}

bool gi_go_global(struct gi_go *go, const char *name, uint64_t *ret)
{
	struct gi_global g;
	struct gi_error *err = gi_go_find_global(go, name, &g);

	if (err) {
		gi_error_ignore(err);
		return false;
	}
	*ret = g.addr;
	return true;
}

// --- reading -----------------------------------------------------------------------

struct gi_error *gi_go_bytes(struct gi_go *go, uint64_t addr, size_t n,
			     struct gi_buf *buf, const uint8_t **ret)
{
	const uint8_t *view = gi_target_view(go->target, addr, n);
	struct gi_error *err;

	if (!view) {
		err = gi_grow(&buf->p, &buf->cap, n, 1);
		if (err)
			return err;
		err = gi_target_read(go->target, addr, buf->p, n);
		if (err)
			return err;
		view = buf->p;
	}
	*ret = view;
	return NULL;
}

struct gi_slice gi_go_slice(const uint8_t *rec, struct gi_field f)
{
	struct gi_slice s = {0};

	if (!f.ok || f.size < 16)
		return s;
	s.ptr = gi_load_u64(rec + f.off);
	s.len = gi_load_u64(rec + f.off + 8);
	s.cap = f.size >= 24 ? gi_load_u64(rec + f.off + 16) : s.len;
	return s;
}

bool gi_go_global_uint(struct gi_go *go, const struct gi_global *g, uint64_t *ret)
{
	struct gi_error *err;

	if (!g->ok || (g->size != 1 && g->size != 2 && g->size != 4 && g->size != 8))
		return false;
	err = gi_target_read_uint(go->target, g->addr, g->size, ret);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	return true;
}

struct gi_error *gi_go_global_slice(struct gi_go *go, const struct gi_global *g,
				    struct gi_slice *ret)
{
	const struct gi_field whole = {.size = 24, .ok = true};
	uint8_t bytes[24];
	struct gi_error *err;

	if (!g->ok)
		return gi_error_create(GI_ERR_NOT_FOUND, "no such global");
	err = gi_target_read(go->target, g->addr, bytes, sizeof(bytes));
	if (err)
		return err;
	*ret = gi_go_slice(bytes, whole);
	return NULL;
}

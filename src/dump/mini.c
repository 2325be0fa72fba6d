// Writing a mini dump (target/mini_format.h): what was read while the target was recorded.
//
// What was read of a file that goes along, and is the same there, is not written again. All of
// an executable goes along that symbols, types, function tables and unwinding are read from; its
// code does not, of which the analysis reads little: that little is memory like any other. Of
// libraries only those go along whose symbols or unwind tables somebody asked for.
//
// Around what was read there is a margin: what the words of it point to, a few steps far, up to
// a limit, so that a person can look a little further than we did.

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dump/file.h"
#include "gcore/dump.h"
#include "target/core_impl.h"
#include "target/mini_format.h"

enum {
	GAP = 64,	    // cheaper to write than another program header
	MARGIN_STEPS = 2,
	MARGIN_OBJECT = 256, // bytes kept of what a word points to
};
#define MARGIN_MIN ((uint64_t)1 << 20)
#define MARGIN_MAX ((uint64_t)16 << 20)

struct writer {
	struct core *c;
	struct gi_record *r;
	struct dump_file file;
	struct gi_elf_packed *packed; // of each module
	uint64_t file_bytes;
	struct gi_extent *late; // what was read after the stop, ascending
	size_t late_count, late_cap;
};

// --- files -----------------------------------------------------------------------

static bool begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

// Debug information that nothing here reads; src/symbols/dwarf*.c say what is read.
static bool is_unread_debug(const char *name)
{
	static const char *const unread[] = {
		".debug_aranges", ".debug_gdb_scripts", ".debug_macro",
		".debug_pubnames", ".debug_pubtypes", ".debug_macinfo",
	};
	if (begins(name, ".zdebug_"))
		name++; // "zdebug_x"
	for (size_t i = 0; i < GI_ARRAY_SIZE(unread); i++) {
		if (strcmp(name, unread[i]) == 0 ||
		    (name[0] == 'z' && strcmp(name + 1, unread[i] + 1) == 0))
			return true;
	}
	return false;
}

static bool is_code(const char *name)
{
	return strcmp(name, ".text") == 0 || begins(name, ".text.");
}

static bool leave_out_of_go(void *arg, const char *name)
{
	(void)arg;
	// .debug_frame is for C's code, which has .eh_frame as a rule.
	return is_code(name) || is_unread_debug(name) || strcmp(name, ".debug_frame") == 0 ||
	       strcmp(name, ".zdebug_frame") == 0;
}

// Of C's files there are asked symbols, unwind tables and lines.
static bool leave_out_of_c(void *arg, const char *name)
{
	(void)arg;
	return is_code(name) || is_unread_debug(name) ||
	       strcmp(name, ".rodata") == 0 || strcmp(name, ".data") == 0;
}

static struct gi_error *put_image(struct writer *w, uint32_t module, uint32_t kind,
				  struct gi_elf *elf, struct gi_elf_packed *kept)
{
	_cleanup_(gi_elf_packed_deinit) struct gi_elf_packed packed = { 0 };
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	bool go = module == 0 || kind != MINI_IMAGE_FILE || gi_elf_is_go(elf);
	if (kind == MINI_IMAGE_DEBUG && module != 0)
		go = gi_elf_is_go(w->c->modules[module].elf);
	struct gi_error *err = gi_elf_pack(elf, go ? leave_out_of_go : leave_out_of_c, NULL, &packed);
	if (err)
		return err;
	gi_put_u32(&s, module);
	gi_put_u32(&s, kind);
	gi_put_string(&s, gi_elf_path(elf));
	gi_put_u64(&s, packed.size);
	gi_put_u32(&s, (uint32_t)packed.hole_count);
	for (size_t i = 0; i < packed.hole_count; i++) {
		gi_put_u64(&s, packed.holes[i].off);
		gi_put_u64(&s, packed.holes[i].len);
	}
	gi_str_putn(&s, (const char *)packed.packed, packed.packed_size);
	if (s.oom)
		return gi_error_nomem();
	if (s.len > UINT32_MAX)
		return gi_error_create(GI_ERR_UNSUPPORTED, "%s is too large for a mini dump", gi_elf_path(elf));
	gi_dump_file_note(&w->file, MINI_OWNER, MINI_IMAGE, s.s, s.len);
	w->file_bytes += packed.packed_size;
	if (kept) {
		*kept = packed;
		packed = (struct gi_elf_packed){ 0 };
	}
	return NULL;
}

static struct gi_error *put_module(struct writer *w, size_t i)
{
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	const struct core_module *mod = &w->c->modules[i];
	const char *why = mod->why;
	bool along = mod->elf && (i == 0 || gi_record_has_elf(w->r, mod->elf));
	if (mod->elf && !along)
		why = "it was not needed for this mini dump";
	gi_put_u32(&s, (uint32_t)i);
	gi_put_u32(&s, (why ? MINI_HAS_WHY : 0) | (mod->debug_how ? MINI_HAS_HOW : 0) |
			       (mod->path ? MINI_HAS_NAME : 0));
	gi_put_u64(&s, mod->start);
	gi_put_u64(&s, mod->bias);
	gi_put_string(&s, mod->path);
	gi_put_string(&s, why);
	gi_put_string(&s, mod->debug_how);
	if (s.oom)
		return gi_error_nomem();
	gi_dump_file_note(&w->file, MINI_OWNER, MINI_MODULE, s.s, s.len);
	struct gi_error *err = along ? put_image(w, (uint32_t)i, MINI_IMAGE_FILE, mod->elf, &w->packed[i]) :
				       NULL;
	if (!err && along && i != 0 && mod->debug)
		err = put_image(w, (uint32_t)i, MINI_IMAGE_DEBUG, mod->debug, NULL);
	return err;
}

static struct gi_error *put_files(struct writer *w)
{
	struct gi_target *t = &w->c->base;
	struct gi_elf *debug = gi_target_debug_elf(t);
	for (size_t i = 0; i < w->c->module_count; i++) {
		struct gi_error *err = put_module(w, i);
		if (err)
			return err;
	}
	struct gi_error *err = NULL;
	if (debug != t->exe)
		err = put_image(w, 0, MINI_IMAGE_DEBUG, debug, NULL);
	if (!err && debug && gi_elf_alt(debug))
		err = put_image(w, 0, MINI_IMAGE_ALT, gi_elf_alt(debug), NULL);
	return err;
}

// --- head and mappings -----------------------------------------------------------

static struct gi_error *put_head(struct writer *w)
{
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 }, of = { 0 };
	struct gi_target *t = &w->c->base;
	if (t->info.core_path)
		gi_str_puts(&of, t->info.core_path);
	else
		gi_str_printf(&of, "process %d", (int)t->info.pid);
	gi_put_u32(&s, MINI_VERSION);
	gi_put_u32(&s, w->c->no_private ? MINI_NO_PRIVATE : 0);
	gi_put_u64(&s, t->info.page_size);
	gi_put_u64(&s, (uint64_t)time(NULL));
	gi_put_string(&s, GI_VERSION);
	gi_put_string(&s, gi_str_cstr(&of));
	gi_put_string(&s, t->info.exe_name);
	gi_put_u32(&s, (uint32_t)t->note_count);
	for (size_t i = 0; i < t->note_count; i++)
		gi_put_string(&s, t->notes[i]);
	_cleanup_(gi_str_deinit) struct gi_str runtimes = { 0 };
	uint32_t n = 0;
	for (size_t i = 0; i < t->runtime_count; i++) {
		for (size_t k = 1; k < w->c->module_count; k++) {
			if (!w->c->modules[k].elf || gi_elf_path(w->c->modules[k].elf) != t->runtimes[i])
				continue;
			gi_put_u32(&runtimes, (uint32_t)k);
			n++;
		}
	}
	gi_put_u32(&s, n);
	gi_str_putn(&s, gi_str_cstr(&runtimes), runtimes.len);
	if (s.oom || of.oom || runtimes.oom)
		return gi_error_nomem();
	gi_dump_file_note(&w->file, MINI_OWNER, MINI_HEAD, s.s, s.len);
	return NULL;
}

struct stories {
	struct gi_str rows;
	uint64_t count, start, len;
	uint32_t why;
};

static void story_end(struct stories *l)
{
	if (!l->len)
		return;
	gi_put_u64(&l->rows, l->start);
	gi_put_u64(&l->rows, l->len);
	gi_put_u32(&l->rows, l->why);
	l->count++;
	l->len = 0;
}

static void story_add(struct stories *l, uint64_t start, uint64_t len, uint32_t why)
{
	if (l->len && l->start + l->len == start && l->why == why) {
		l->len += len;
		return;
	}
	story_end(l);
	l->start = start;
	l->len = len;
	l->why = why;
}

// What can be read of the target, and why the rest cannot.
static void tell_stories(struct writer *w, struct stories *l)
{
	const struct core *c = w->c;
	// What a mini dump left out could be read once; it is not this one's to say otherwise.
	for (size_t i = 0; i < c->range_count; i++) {
		const struct core_range *r = &c->ranges[i];
		bool readable = r->data || (c->mini && gi_mini_left_out(c, r->start));
		story_add(l, r->start, r->len, readable ? 0 : r->why);
	}
	for (size_t i = 0; !c->range_count && i < c->base.mapping_count; i++) {
		const struct gi_mapping *m = &c->base.mappings[i];
		story_add(l, m->start, m->end - m->start, m->flags & GI_MAP_R ? 0 : GI_ERR_NOT_SAVED);
	}
	story_end(l);
}

static struct gi_error *put_mappings(struct writer *w)
{
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 }, paths = { 0 };
	struct stories stories = { .count = 0 };
	const struct gi_target *t = &w->c->base;
	const char *last = NULL;
	uint32_t path_count = 0;
	gi_put_u64(&s, t->mapping_count);
	for (size_t i = 0; i < t->mapping_count; i++) {
		const struct gi_mapping *m = &t->mappings[i];
		const struct core_origin *o = w->c->origins ? &w->c->origins[i] : NULL;
		// Neighbours mostly map the same file.
		if (m->path && m->path != last) {
			gi_put_string(&paths, m->path);
			path_count++;
			last = m->path;
		}
		gi_put_u64(&s, m->start);
		gi_put_u64(&s, m->end);
		gi_put_u64(&s, m->file_off);
		gi_put_u64(&s, m->saved);
		gi_put_u32(&s, m->flags | (m->overlaid ? MINI_OVERLAID : 0));
		gi_put_u32(&s, m->path ? path_count - 1 : UINT32_MAX);
		gi_put_u32(&s, o && o->module < UINT32_MAX ? (uint32_t)o->module : UINT32_MAX);
	}
	gi_put_u32(&s, path_count);
	gi_str_putn(&s, gi_str_cstr(&paths), paths.len);
	tell_stories(w, &stories);
	gi_put_u64(&s, stories.count);
	gi_str_putn(&s, gi_str_cstr(&stories.rows), stories.rows.len);
	struct gi_error *err = s.oom || paths.oom || stories.rows.oom ? gi_error_nomem() : NULL;
	if (!err && s.len > UINT32_MAX)
		err = gi_error_create(GI_ERR_UNSUPPORTED, "the process has too many mappings for a mini dump");
	if (!err)
		gi_dump_file_note(&w->file, MINI_OWNER, MINI_MAPPINGS, s.s, s.len);
	gi_str_deinit(&stories.rows);
	return err;
}

static struct gi_error *put_answers(struct writer *w)
{
	for (size_t i = 0; i < gi_record_answer_count(w->r); i++) {
		_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
		struct gi_record_answer a = gi_record_answer(w->r, i);
		gi_put_string(&s, a.name);
		gi_str_putn(&s, (const char *)a.data, a.n);
		if (s.oom)
			return gi_error_nomem();
		if (s.len > UINT32_MAX)
			return gi_error_create(GI_ERR_UNSUPPORTED, "the process has too many goroutines for a mini dump");
		gi_dump_file_note(&w->file, MINI_OWNER, MINI_ANSWER, s.s, s.len);
	}
	return NULL;
}

// --- memory -----------------------------------------------------------------------

// Adds what the words of a run point to; returns how many bytes that may be.
static uint64_t follow(struct writer *w, const struct gi_record_run *run, uint64_t left)
{
	struct gi_target *t = &w->c->base;
	uint64_t added = 0;
	for (uint64_t at = run->start; at < run->end && added < left;) {
		size_t n;
		const uint8_t *p = gi_target_view_max(t, at, run->end - at, &n);
		if (!p || n < 8)
			break;
		for (size_t i = 0; n - i >= 8 && added < left; i += 8) {
			uint64_t word = gi_load_u64(p + i);
			const struct gi_mapping *m = word >= 4096 ? gi_target_mapping_at(t, word) : NULL;
			// Files are there anyway, as far as they are of use.
			if (!m || m->path || !(m->flags & GI_MAP_W) || gi_record_has(w->r, word))
				continue;
			uint64_t len = gi_min_u64(MARGIN_OBJECT, m->end - word);
			gi_record_add(w->r, word, len);
			added += len;
		}
		at += n & ~(size_t)7;
	}
	return added;
}

static struct gi_error *add_margin(struct writer *w)
{
	uint64_t budget = 0;
	for (int step = 0; step < MARGIN_STEPS; step++) {
		_cleanup_(gi_freep) struct gi_record_run *runs = NULL;
		size_t n;
		struct gi_error *err = gi_record_runs(w->r, 0, &runs, &n);
		if (err)
			return err;
		uint64_t size = 0;
		for (size_t i = 0; i < n; i++)
			size += runs[i].end - runs[i].start;
		if (step == 0)
			budget = gi_min_u64(gi_max_u64(size / 4, MARGIN_MIN), MARGIN_MAX);
		for (size_t i = 0; i < n && budget; i++) {
			const struct gi_mapping *m = gi_target_mapping_at(&w->c->base, runs[i].start);
			err = gi_interrupt_check();
			if (err)
				return err;
			if (m && (m->flags & GI_MAP_W))
				budget -= gi_min_u64(budget, follow(w, &runs[i], budget));
		}
	}
	return NULL;
}

// How many of the n bytes at addr, which are at p, the copy of the mapped file that goes along has
// as they are; 0 if the first is not there.
static uint64_t in_file(struct writer *w, size_t mapping, uint64_t addr, const uint8_t *p, uint64_t n)
{
	struct core *c = w->c;
	const struct gi_mapping *m = &c->base.mappings[mapping];
	size_t module = c->origins ? c->origins[mapping].module : SIZE_MAX, size;
	if (module == SIZE_MAX || (m->flags & GI_MAP_W) || !w->packed[module].packed)
		return 0;
	uint64_t len, same = 0;
	uint32_t flags;
	const uint8_t *file = gi_elf_bytes(c->modules[module].elf, &size);
	const uint8_t *data = gi_core_overlay_at(c, &c->modules[module], m, addr, &len, &flags);
	if (!data)
		return 0;
	len = gi_min_u64(len, n);
	uint64_t off = (uint64_t)(data - file);
	const struct gi_elf_packed *k = &w->packed[module];
	for (size_t i = 0; i < k->hole_count; i++) {
		if (off < k->holes[i].off) {
			len = gi_min_u64(len, k->holes[i].off - off);
			break;
		}
		if (off - k->holes[i].off < k->holes[i].len)
			return 0;
	}
	while (same < len) {
		uint64_t part = gi_min_u64(len - same, GI_RECORD_LINE);
		if (memcmp(data + same, p + same, part) != 0)
			break;
		same += part;
	}
	return same;
}

// Of what the file has as well, but not the same: what a debugger planted, for one.
static struct gi_error *add_changed(struct writer *w)
{
	struct core *c = w->c;
	if (c->base.info.live)
		return NULL; // what is read of it is compared; all of its code is not read for this
	for (size_t i = 0; i < c->base.mapping_count; i++) {
		const struct gi_mapping *m = &c->base.mappings[i];
		for (uint64_t at = m->start; m->saved && m->overlaid && at < m->end;) {
			size_t n;
			const uint8_t *p = gi_target_view_max(&c->base, at, m->end - at, &n);
			if (!p)
				break;
			size_t module = c->origins[i].module, size;
			uint64_t len;
			uint32_t flags;
			if (module == SIZE_MAX || !w->packed[module].packed || (m->flags & GI_MAP_W))
				break;
			(void)gi_elf_bytes(c->modules[module].elf, &size);
			const uint8_t *data =
				gi_core_overlay_at(c, &c->modules[module], m, at, &len, &flags);
			len = gi_min_u64(len, n);
			for (uint64_t k = 0; data && k < len; k += GI_RECORD_LINE) {
				uint64_t part = gi_min_u64(GI_RECORD_LINE, len - k);
				if (memcmp(data + k, p + k, part) != 0)
					gi_record_add(w->r, at + k, part);
			}
			at += len;
		}
	}
	return NULL;
}

// [at, at + len) of memory is written: when was it read?
static struct gi_error *add_late(struct writer *w, uint64_t at, uint64_t len)
{
	for (uint64_t end = at + len; at < end;) {
		uint64_t n = end - at;
		bool late = gi_target_is_late(&w->c->base, at, &n);
		struct gi_extent *last = w->late_count ? &w->late[w->late_count - 1] : NULL;
		if (late && last && last->start + last->len == at) {
			last->len += n;
		} else if (late) {
			struct gi_error *err =
				gi_grow(&w->late, &w->late_cap, w->late_count + 1, sizeof(*w->late));
			if (err)
				return err;
			w->late[w->late_count++] = (struct gi_extent){ at, n };
		}
		at += n;
	}
	return NULL;
}

static struct gi_error *put_late(struct writer *w, const struct gi_dump_origin *origin, uint64_t *late_ret)
{
	const struct gi_process_info *info = &w->c->base.info;
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	bool verdicts = origin->late_verdicts || info->late_verdicts;
	if (!w->late_count && !verdicts && !info->never_stopped)
		return NULL;
	gi_put_u32(&s, (verdicts ? MINI_LATE_VERDICTS : 0) | (info->never_stopped ? MINI_NEVER_STOPPED : 0));
	gi_put_u64(&s, info->live ? origin->pause_ns : info->late_after);
	gi_put_u64(&s, w->late_count);
	for (size_t i = 0; i < w->late_count; i++) {
		gi_put_u64(&s, w->late[i].start);
		gi_put_u64(&s, w->late[i].len);
		*late_ret += w->late[i].len;
	}
	if (s.oom)
		return gi_error_nomem();
	gi_dump_file_note(&w->file, MINI_OWNER, MINI_LATE, s.s, s.len);
	return NULL;
}

// The readable parts of [start, end), which lies in one mapping, that no file along has.
static struct gi_error *add_pieces(struct writer *w, size_t mapping, uint64_t start, uint64_t end)
{
	struct gi_target *t = &w->c->base;
	const struct gi_mapping *m = &t->mappings[mapping];
	for (uint64_t at = start; at < end;) {
		size_t n;
		const uint8_t *p = gi_target_view_max(t, at, end - at, &n);
		if (!p) {
			at = (at | (GI_RECORD_LINE - 1)) + 1;
			continue;
		}
		uint64_t skip = in_file(w, mapping, at, p, n);
		if (skip) {
			at += skip;
			continue;
		}
		// As far as no file has it.
		uint64_t len = gi_min_u64(n, GI_RECORD_LINE - at % GI_RECORD_LINE);
		while (len < n && !in_file(w, mapping, at + len, p + len, n - len))
			len += gi_min_u64(n - len, GI_RECORD_LINE);
		struct dump_file *f = &w->file;
		struct dump_piece *last = f->piece_count ? &f->pieces[f->piece_count - 1] : NULL;
		if (last && last->start + last->memsz == at && last->flags == m->flags) {
			last->memsz += len;
			last->filesz += len;
		} else {
			struct gi_error *err = gi_dump_file_add(
				f, (struct dump_piece){ at, len, len, m->flags });
			if (err)
				return err;
		}
		struct gi_error *err = add_late(w, at, len);
		if (err)
			return err;
		at += len;
	}
	return NULL;
}

static struct gi_error *put_memory(struct writer *w)
{
	struct gi_target *t = &w->c->base;
	_cleanup_(gi_freep) struct gi_record_run *runs = NULL;
	size_t n, k = 0;
	struct gi_error *err = gi_record_runs(w->r, GAP, &runs, &n);
	for (size_t i = 0; !err && i < n; i++) {
		uint64_t at = runs[i].start;
		err = gi_interrupt_check();
		while (!err && at < runs[i].end) {
			while (k < t->mapping_count && t->mappings[k].end <= at)
				k++;
			if (k == t->mapping_count || t->mappings[k].start >= runs[i].end)
				break;
			at = gi_max_u64(at, t->mappings[k].start);
			uint64_t end = gi_min_u64(runs[i].end, t->mappings[k].end);
			err = add_pieces(w, k, at, end);
			at = end;
		}
	}
	return err;
}

struct gi_error *gi_dump_mini(struct gi_target *t, struct gi_record *r,
			      const struct gi_dump_origin *origin, const char *path,
			      struct gi_dump_result *ret)
{
	struct writer w = { .c = core_of(t), .r = r, .file = { .t = t, .align = 8 } };
	struct gi_dump_result made = { 0 };
	gi_record_stop(r);
	if (!t->ops->is_core)
		return gi_error_create(GI_ERR_UNSUPPORTED, "this target cannot be dumped");
	w.packed = calloc(w.c->module_count + 1, sizeof(*w.packed));
	struct gi_error *err = w.packed ? gi_dump_file_process(&w.file) : gi_error_nomem();
	if (!err)
		err = put_head(&w);
	if (!err)
		err = put_mappings(&w);
	if (!err)
		err = put_files(&w);
	if (!err)
		err = put_answers(&w);
	if (!err)
		err = add_margin(&w);
	if (!err)
		err = add_changed(&w);
	if (!err)
		err = put_memory(&w);
	if (!err)
		err = put_late(&w, origin, &made.late);
	if (!err)
		err = gi_dump_file_write(&w.file, path, &made.size, &made.memory);
	for (size_t i = 0; w.packed && i < w.c->module_count; i++)
		gi_elf_packed_deinit(&w.packed[i]);
	free(w.packed);
	free(w.late);
	gi_dump_file_deinit(&w.file);
	if (err)
		return err;
	made.files = w.file_bytes;
	*ret = made;
	return NULL;
}

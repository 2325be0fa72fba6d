// Reading a mini dump (mini_format.h), as a core whose mappings, files and verdict-making answers
// are told by notes instead of being found.
//
// The mappings are those of the process, as they were known where the dump was made. Of each,
// some pieces are in PT_LOADs; what lies between is read from the copy of the mapped file, where
// the process cannot have changed it and the copy has those bytes; all else was left out.
// Why something could not even be read then is kept ("stories"), so that the same is said of it.
//
// None of it is trusted: counts are checked against the bytes that hold them, mappings and
// stories must ascend, a copy must unpack to the size it claims.

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "target/core_impl.h"
#include "target/mini_format.h"

enum {
	NOTES_MAX = 1 << 16,
	MODULES_MAX = 1 << 16,
	HOLES_MAX = 1 << 16,
};
#define UNPACKED_MAX ((uint64_t)8 << 30) // of all files together

struct story {
	uint64_t start, len;
	enum gi_error_code why; // 0: it could be read
};

struct mini_holes {
	struct gi_elf_hole *v; // in the arena
	size_t n;
};

struct mini {
	struct gi_elf_note *notes;
	size_t note_count, note_cap;
	struct story *stories;
	size_t story_count;
	struct mini_holes *holes; // of each module's file
	uint64_t unpacked;
	struct gi_extent *late; // ascending
	size_t late_count;
};

void gi_mini_destroy(struct mini *m)
{
	if (!m)
		return;
	free(m->notes);
	free(m->stories);
	free(m->late);
	free(m->holes);
	free(m);
}

struct gi_error *gi_mini_add_note(struct core *c, const struct gi_elf_note *note)
{
	if (note->type == MINI_MOMENT && note->desc_len >= 8)
		c->base.info.monotonic_ns = gi_load_u64(note->desc);
	if (note->type == MINI_LATE && note->desc_len >= 4) {
		uint32_t flags = gi_load_u32(note->desc);
		c->base.info.never_stopped = flags & MINI_NEVER_STOPPED;
		c->base.info.late_verdicts = flags & MINI_LATE_VERDICTS;
		if (flags & MINI_NEVER_STOPPED)
			gi_target_add_note(&c->base,
					   "the process was not stopped for this dump (--no-stop): what belongs "
					   "together may be of different moments");
	}
	if (note->type >= MINI_MOMENT && note->type != MINI_LATE)
		return NULL;
	if (note->type == MINI_LATE && !c->mini)
		return NULL; // of a whole core: its flags are all
	if (!c->mini)
		c->mini = calloc(1, sizeof(*c->mini));
	if (!c->mini)
		return gi_error_nomem();
	struct mini *m = c->mini;
	if (m->note_count >= NOTES_MAX)
		return NULL;
	struct gi_error *err = gi_grow(&m->notes, &m->note_cap, m->note_count + 1, sizeof(*m->notes));
	if (!err)
		m->notes[m->note_count++] = *note;
	return err;
}

static struct gi_error *damaged(const struct core *c, const char *what)
{
	return gi_error_create(GI_ERR_FORMAT, "%s is a damaged mini dump: %s", c->base.info.core_path,
			       what);
}

static const struct gi_elf_note *find_note(const struct mini *m, uint32_t type)
{
	for (size_t i = 0; i < m->note_count; i++) {
		if (m->notes[i].type == type)
			return &m->notes[i];
	}
	return NULL;
}

// A string in the arena; "" if it is not there.
static const char *take_string(struct core *c, struct gi_cursor *cur)
{
	uint32_t n = gi_cursor_u32(cur);
	const char *p = gi_cursor_bytes(cur, n);
	const char *s = p ? gi_arena_strndup(c->base.arena, p, strnlen(p, n)) : NULL;
	return s ? s : "";
}

// --- the head -----------------------------------------------------------------

static struct gi_error *read_head(struct core *c, struct gi_cursor *runtimes)
{
	struct gi_target *t = &c->base;
	const struct gi_elf_note *note = find_note(c->mini, MINI_HEAD);
	if (!note)
		return damaged(c, "its first note is missing");
	struct gi_cursor cur = gi_cursor_make(note->desc, note->desc_len);
	uint32_t version = gi_cursor_u32(&cur), flags = gi_cursor_u32(&cur);
	if (!cur.bad && version != MINI_VERSION)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "%s is a mini dump of form %u, made by another release of this program: "
				       "only form %d is known here",
				       t->info.core_path, version, MINI_VERSION);
	uint64_t page = gi_cursor_u64(&cur);
	gi_cursor_u64(&cur); // when
	const char *by = take_string(c, &cur), *of = take_string(c, &cur);
	const char *exe_name = take_string(c, &cur);
	c->no_private = flags & MINI_NO_PRIVATE;
	if (page >= 4096 && page <= 1 << 20 && !(page & (page - 1)))
		t->info.page_size = page;
	t->info.exe_name = exe_name[0] ? exe_name : NULL;
	t->info.mini = true;
	gi_target_add_note(t,
			   "this is a mini dump of %s, made by gcore-inspect %s: memory that its goroutines, "
			   "threads and verdicts did not need was left out, and who can reach what was worked "
			   "out when it was made",
			   gi_target_escape(t, of, strlen(of)), gi_target_escape(t, by, strlen(by)));
	uint32_t n = gi_cursor_u32(&cur);
	for (uint32_t i = 0; i < n && !cur.bad; i++) {
		const char *text = take_string(c, &cur);
		if (!cur.bad)
			gi_target_add_note(t, "%s", gi_target_escape(t, text, strlen(text)));
	}
	*runtimes = cur;
	return cur.bad ? damaged(c, "its head is not whole") : NULL;
}

// --- mappings -------------------------------------------------------------------

enum { MAPPING_SIZE = 44, STORY_SIZE = 20 };

static struct gi_error *read_paths(struct core *c, struct gi_cursor *cur, const char ***ret,
				   size_t *n_ret)
{
	uint32_t n = gi_cursor_u32(cur);
	if (cur->bad || n > gi_cursor_left(cur) / 4)
		return damaged(c, "its table of mapped files is not whole");
	const char **paths = gi_arena_alloc(c->base.arena, (n + 1) * sizeof(*paths));
	if (!paths)
		return gi_error_nomem();
	for (uint32_t i = 0; i < n; i++)
		paths[i] = take_string(c, cur);
	*ret = paths;
	*n_ret = n;
	return cur->bad ? damaged(c, "its table of mapped files is not whole") : NULL;
}

static struct gi_error *read_stories(struct core *c, struct gi_cursor *cur)
{
	struct mini *m = c->mini;
	uint64_t n = gi_cursor_u64(cur), at = 0;
	if (cur->bad || n > gi_cursor_left(cur) / STORY_SIZE)
		return damaged(c, "its table of readable memory is not whole");
	m->stories = calloc(n + 1, sizeof(*m->stories));
	if (!m->stories)
		return gi_error_nomem();
	for (uint64_t i = 0; i < n; i++) {
		struct story s = { .start = gi_cursor_u64(cur), .len = gi_cursor_u64(cur) };
		uint32_t why = gi_cursor_u32(cur);
		if (s.start < at || !s.len || s.len > UINT64_MAX - s.start)
			return damaged(c, "its table of readable memory does not ascend");
		if (why)
			s.why = why == GI_ERR_CUT_OFF ? GI_ERR_CUT_OFF : GI_ERR_NOT_SAVED;
		at = s.start + s.len;
		m->stories[m->story_count++] = s;
	}
	return NULL;
}

static struct gi_error *read_mappings(struct core *c)
{
	struct gi_target *t = &c->base;
	const struct gi_elf_note *note = find_note(c->mini, MINI_MAPPINGS);
	if (!note)
		return damaged(c, "it does not tell what was mapped");
	struct gi_cursor cur = gi_cursor_make(note->desc, note->desc_len);
	uint64_t n = gi_cursor_u64(&cur), at = 0;
	if (cur.bad || n > gi_cursor_left(&cur) / MAPPING_SIZE)
		return damaged(c, "its table of mappings is not whole");
	struct gi_cursor rows = cur;
	gi_cursor_skip(&cur, n * MAPPING_SIZE);
	const char **paths = NULL;
	size_t path_count = 0;
	struct gi_error *err = read_paths(c, &cur, &paths, &path_count);
	if (!err)
		err = read_stories(c, &cur);
	if (err)
		return err;
	t->mappings = calloc(n + 1, sizeof(*t->mappings));
	c->origins = calloc(n + 1, sizeof(*c->origins));
	if (!t->mappings || !c->origins)
		return gi_error_nomem();
	for (uint64_t i = 0; i < n; i++) {
		struct gi_mapping *m = &t->mappings[i];
		m->start = gi_cursor_u64(&rows);
		m->end = gi_cursor_u64(&rows);
		m->file_off = gi_cursor_u64(&rows);
		m->saved = gi_cursor_u64(&rows);
		uint32_t flags = gi_cursor_u32(&rows), path = gi_cursor_u32(&rows);
		uint32_t module = gi_cursor_u32(&rows);
		if (m->start < at || m->end <= m->start)
			return damaged(c, "its mappings do not ascend");
		at = m->end;
		m->saved = gi_min_u64(m->saved, m->end - m->start);
		m->flags = flags & (GI_MAP_R | GI_MAP_W | GI_MAP_X);
		m->overlaid = flags & MINI_OVERLAID;
		m->path = path < path_count ? paths[path] : NULL;
		c->origins[i] = (struct core_origin){
			.load = SIZE_MAX,
			.module = module < c->module_count ? module : SIZE_MAX,
		};
		t->mapping_count++;
	}
	return NULL;
}

// --- what was read late ----------------------------------------------------------

static struct gi_error *read_late(struct core *c)
{
	struct gi_process_info *info = &c->base.info;
	struct mini *m = c->mini;
	const struct gi_elf_note *note = find_note(m, MINI_LATE);
	if (!note)
		return NULL;
	struct gi_cursor cur = gi_cursor_make(note->desc, note->desc_len);
	gi_cursor_u32(&cur);
	uint64_t pause = info->late_after = gi_cursor_u64(&cur), n = gi_cursor_u64(&cur), at = 0;
	if (cur.bad || n > gi_cursor_left(&cur) / 16)
		return damaged(c, "its table of what was read late is not whole");
	m->late = calloc(n + 1, sizeof(*m->late));
	if (!m->late)
		return gi_error_nomem();
	for (uint64_t i = 0; i < n; i++) {
		struct gi_extent e = { .start = gi_cursor_u64(&cur), .len = gi_cursor_u64(&cur) };
		if (e.start < at || !e.len || e.len > UINT64_MAX - e.start)
			return damaged(c, "its table of what was read late does not ascend");
		at = e.start + e.len;
		info->late_bytes += e.len;
		m->late[m->late_count++] = e;
	}
	if (n)
		gi_target_add_note(&c->base,
				   "%llu KB of the memory in this were read after the process had been stopped for "
				   "%llu.%llu ms, while it ran on: what uses them says so",
				   (unsigned long long)(info->late_bytes + 1023) / 1024,
				   (unsigned long long)pause / 1000000,
				   (unsigned long long)pause / 100000 % 10);
	return NULL;
}

// Adds what a PT_LOAD holds, in pieces by when it was read.
static struct gi_error *add_held(struct core *c, uint64_t start, uint64_t len, const uint8_t *data)
{
	const struct mini *m = c->mini;
	size_t lo = 0, hi = m->late_count;
	struct gi_error *err = NULL;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (m->late[mid].start + m->late[mid].len <= start)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (uint64_t at = 0, next; !err && at < len; at = next) {
		const struct gi_extent *e = lo < m->late_count ? &m->late[lo] : NULL;
		next = len;
		if (e && start + at < e->start)
			next = gi_min_u64(len, e->start - start);
		else if (e)
			next = gi_min_u64(len, e->start + e->len - start);
		c->adding_late = e && start + at >= e->start;
		lo += c->adding_late;
		err = gi_core_add_range(c, start + at, next - at, data + at, 0);
		c->adding_late = false;
	}
	return err;
}

// --- files -----------------------------------------------------------------------

static struct gi_error *read_modules(struct core *c)
{
	for (size_t i = 0; i < c->mini->note_count; i++) {
		const struct gi_elf_note *note = &c->mini->notes[i];
		if (note->type != MINI_MODULE)
			continue;
		struct gi_cursor cur = gi_cursor_make(note->desc, note->desc_len);
		uint32_t index = gi_cursor_u32(&cur), flags = gi_cursor_u32(&cur);
		struct core_module mod = { .start = gi_cursor_u64(&cur), .bias = gi_cursor_u64(&cur) };
		const char *name = take_string(c, &cur), *why = take_string(c, &cur);
		const char *how = take_string(c, &cur);
		if (cur.bad || index != c->module_count || index >= MODULES_MAX)
			return damaged(c, "its table of files is not whole");
		mod.path = flags & MINI_HAS_NAME ? name : NULL;
		mod.why = flags & MINI_HAS_WHY ? why : NULL;
		mod.debug_how = flags & MINI_HAS_HOW ? how : NULL;
		mod.debug_looked_for = true;
		struct gi_error *err = gi_core_add_module(c, &mod);
		if (err)
			return err;
	}
	c->mini->holes = calloc(c->module_count + 1, sizeof(*c->mini->holes));
	if (!c->mini->holes)
		return gi_error_nomem();
	return c->module_count ? NULL : damaged(c, "it does not tell of its executable");
}

static struct gi_error *read_holes(struct core *c, struct gi_cursor *cur, struct mini_holes *ret)
{
	uint32_t n = gi_cursor_u32(cur);
	uint64_t at = 0;
	if (cur->bad || n > HOLES_MAX || n > gi_cursor_left(cur) / 16)
		return damaged(c, "a file in it is not whole");
	struct gi_elf_hole *v = gi_arena_alloc(c->base.arena, (n + 1) * sizeof(*v));
	if (!v)
		return gi_error_nomem();
	for (uint32_t i = 0; i < n; i++) {
		v[i].off = gi_cursor_u64(cur);
		v[i].len = gi_cursor_u64(cur);
		if (v[i].off < at || v[i].len > UINT64_MAX - v[i].off)
			return damaged(c, "the gaps of a file in it do not ascend");
		at = v[i].off + v[i].len;
	}
	*ret = (struct mini_holes){ v, n };
	return NULL;
}

// Puts an opened file where it belongs; what is there already stays.
static void place_image(struct core *c, size_t index, uint32_t kind, struct gi_elf *elf)
{
	struct gi_target *t = &c->base;
	struct core_module *mod = &c->modules[index];
	if (kind == MINI_IMAGE_FILE && !mod->elf) {
		mod->elf = elf;
		mod->owned = index != 0;
		if (index == 0)
			t->exe = elf;
	} else if (kind == MINI_IMAGE_DEBUG && index == 0 && !t->debug_elf) {
		t->debug_elf = elf;
	} else if (kind == MINI_IMAGE_DEBUG && index != 0 && !mod->debug) {
		mod->debug = elf;
	} else if (kind == MINI_IMAGE_ALT && index == 0 && (t->debug_elf || t->exe)) {
		gi_elf_set_alt(t->debug_elf ? t->debug_elf : t->exe, elf);
	} else {
		gi_elf_close(elf);
	}
}

static struct gi_error *read_image(struct core *c, const struct gi_elf_note *note)
{
	struct mini *m = c->mini;
	struct mini_holes holes = { .n = 0 };
	struct gi_cursor cur = gi_cursor_make(note->desc, note->desc_len);
	uint32_t index = gi_cursor_u32(&cur), kind = gi_cursor_u32(&cur);
	const char *path = take_string(c, &cur);
	uint64_t size = gi_cursor_u64(&cur);
	struct gi_error *err = read_holes(c, &cur, &holes);
	if (err)
		return err;
	if (cur.bad || index >= c->module_count || kind > MINI_IMAGE_ALT)
		return damaged(c, "a file in it is not whole");
	if (size > UNPACKED_MAX - m->unpacked)
		return damaged(c, "the files in it are too large");
	m->unpacked += size;
	struct gi_elf *elf;
	err = gi_elf_open_packed_image(path, note->desc + cur.off, gi_cursor_left(&cur), size, &elf);
	if (err)
		return gi_error_wrap(err, "%s", c->base.info.core_path);
	if (kind == MINI_IMAGE_FILE && !c->modules[index].elf)
		m->holes[index] = holes;
	place_image(c, index, kind, elf);
	return NULL;
}

static struct gi_error *read_images(struct core *c)
{
	struct gi_target *t = &c->base;
	// In this order: each is put into the one before it.
	for (uint32_t kind = MINI_IMAGE_FILE; kind <= MINI_IMAGE_ALT; kind++) {
		for (size_t i = 0; i < c->mini->note_count; i++) {
			const struct gi_elf_note *note = &c->mini->notes[i];
			if (note->type != MINI_IMAGE || note->desc_len < 8 ||
			    gi_load_u32(note->desc + 4) != kind)
				continue;
			struct gi_error *err = read_image(c, note);
			if (err)
				return err;
		}
	}
	for (size_t i = 1; i < c->module_count; i++) {
		struct core_module *mod = &c->modules[i];
		if (mod->elf && !mod->debug && gi_elf_has_section(mod->elf, ".gnu_debugdata") &&
		    !gi_elf_has_section(mod->elf, ".symtab"))
			gi_error_ignore(gi_elf_open_mini(mod->elf, &mod->mini));
	}
	if (!t->exe)
		return damaged(c, "its executable is missing");
	uint16_t machine = gi_elf_ident(t->exe).machine;
	if (machine != gi_target_machine(t)->elf_machine)
		return damaged(c, "its executable is of another machine");
	t->exe_bias = c->modules[0].bias;
	t->info.exe_path = gi_elf_path(t->exe);
	t->debug_looked_for = true;
	return NULL;
}

static void read_runtimes(struct core *c, struct gi_cursor cur)
{
	struct gi_target *t = &c->base;
	uint32_t n = gi_cursor_u32(&cur);
	for (uint32_t i = 0; i < n && !cur.bad; i++) {
		uint32_t module = gi_cursor_u32(&cur);
		if (!cur.bad && module < c->module_count && c->modules[module].elf &&
		    t->runtime_count < GI_ARRAY_SIZE(t->runtimes))
			t->runtimes[t->runtime_count++] = gi_elf_path(c->modules[module].elf);
	}
}

// --- ranges -----------------------------------------------------------------------

// Of the bytes at off of a module's file the copy has *len_ret, or has not: false.
static bool has_bytes(const struct mini_holes *h, uint64_t off, uint64_t *len_ret)
{
	for (size_t i = 0; i < h->n; i++) {
		if (off < h->v[i].off) {
			*len_ret = gi_min_u64(*len_ret, h->v[i].off - off);
			return true;
		}
		if (off - h->v[i].off < h->v[i].len) {
			*len_ret = gi_min_u64(*len_ret, h->v[i].len - (off - h->v[i].off));
			return false;
		}
	}
	return true;
}

// [start, end) of mapping i could be read, and is in no PT_LOAD: of its file, or not at all.
static struct gi_error *add_left_out(struct core *c, size_t i, uint64_t start, uint64_t end)
{
	struct gi_mapping *m = &c->base.mappings[i];
	size_t module = c->origins[i].module;
	const struct core_module *mod = module != SIZE_MAX ? &c->modules[module] : NULL;
	if (!mod || !mod->elf || (m->flags & GI_MAP_W))
		return gi_core_add_range(c, start, end - start, NULL, GI_ERR_NOT_SAVED);
	size_t size;
	const uint8_t *file = gi_elf_bytes(mod->elf, &size);
	for (uint64_t at = start; at < end;) {
		uint64_t len;
		uint32_t flags;
		const uint8_t *data = gi_core_overlay_at(c, mod, m, at, &len, &flags);
		len = gi_min_u64(len, end - at);
		if (data && !has_bytes(&c->mini->holes[module], (uint64_t)(data - file), &len))
			data = NULL;
		struct gi_error *err = gi_core_add_range(c, at, len, data, GI_ERR_NOT_SAVED);
		if (err)
			return err;
		at += len;
	}
	return NULL;
}

// [start, end) of mapping i is in no PT_LOAD.
static struct gi_error *add_gap(struct core *c, size_t i, uint64_t start, uint64_t end, size_t *story)
{
	const struct mini *m = c->mini;
	uint64_t at = start;
	while (*story < m->story_count &&
	       m->stories[*story].start + m->stories[*story].len <= start)
		++*story;
	for (size_t k = *story; at < end; k++) {
		const struct story *s = k < m->story_count ? &m->stories[k] : NULL;
		uint64_t next = s ? gi_min_u64(gi_max_u64(s->start, at), end) : end;
		struct gi_error *err =
			gi_core_add_range(c, at, next - at, NULL, GI_ERR_NOT_SAVED);
		if (err || next == end)
			return err;
		at = next;
		next = gi_min_u64(s->start + s->len, end);
		err = s->why ? gi_core_add_range(c, at, next - at, NULL, s->why) :
			       add_left_out(c, i, at, next);
		if (err)
			return err;
		at = next;
	}
	return NULL;
}

static struct gi_error *make_ranges(struct core *c)
{
	size_t li = 0, story = 0;
	for (size_t i = 0; i < c->base.mapping_count; i++) {
		const struct gi_mapping *m = &c->base.mappings[i];
		uint64_t at = m->start;
		struct gi_error *err = NULL;
		while (li < c->load_count && c->loads[li].vaddr + c->loads[li].memsz <= at)
			li++;
		for (size_t k = li; !err && k < c->load_count && c->loads[k].vaddr < m->end; k++) {
			const struct core_load *l = &c->loads[k];
			uint64_t start = gi_max_u64(l->vaddr, at), off = l->offset + (start - l->vaddr);
			uint64_t end = gi_min_u64(l->vaddr + gi_min_u64(l->filesz, l->memsz), m->end);
			if (start >= end)
				continue;
			uint64_t held = off < c->size ? gi_min_u64(end - start, c->size - off) : 0;
			err = add_gap(c, i, at, start, &story);
			if (!err)
				err = add_held(c, start, held, c->bytes + (held ? off : 0));
			if (!err)
				err = gi_core_add_range(c, start + held, end - start - held, NULL,
							GI_ERR_CUT_OFF);
			at = end;
		}
		if (!err)
			err = add_gap(c, i, at, m->end, &story);
		if (err)
			return err;
	}
	return NULL;
}

bool gi_mini_left_out(const struct core *c, uint64_t addr)
{
	const struct mini *m = c->mini;
	size_t lo = 0, hi = m->story_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (m->stories[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && addr - m->stories[lo - 1].start < m->stories[lo - 1].len &&
	       !m->stories[lo - 1].why;
}

const uint8_t *gi_mini_answer(const struct gi_target *t, const char *name, size_t *n_ret)
{
	const struct core *c = (const struct core *)t;
	for (size_t i = 0; c->mini && i < c->mini->note_count; i++) {
		const struct gi_elf_note *note = &c->mini->notes[i];
		struct gi_cursor cur = gi_cursor_make(note->desc, note->desc_len);
		if (note->type != MINI_ANSWER)
			continue;
		uint32_t len = gi_cursor_u32(&cur);
		const char *p = gi_cursor_bytes(&cur, len);
		if (!p || len != strlen(name) || memcmp(p, name, len) != 0)
			continue;
		*n_ret = gi_cursor_left(&cur);
		return note->desc + cur.off;
	}
	return NULL;
}

struct gi_error *gi_mini_open(struct core *c, const struct gi_target_options *opts)
{
	struct gi_cursor runtimes;
	struct gi_error *err = read_head(c, &runtimes);
	if (!err)
		err = gi_core_read_loads(c);
	if (!err)
		err = read_modules(c);
	if (!err)
		err = read_mappings(c);
	if (!err)
		err = read_images(c);
	if (!err)
		err = read_late(c);
	if (!err)
		err = make_ranges(c);
	if (err)
		return err;
	read_runtimes(c, runtimes);
	if (opts && opts->exe)
		gi_target_add_note(&c->base, "a mini dump holds its executable: %s is not looked at",
				   gi_target_escape(&c->base, opts->exe, strlen(opts->exe)));
	return NULL;
}

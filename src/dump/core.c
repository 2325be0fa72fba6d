// A core of a target, as the kernel writes one: each mapping is a PT_LOAD, whose bytes are there
// as far as they are worth it.
//
// Of a core, what it holds is copied. Of a process, the kernel's default is followed
// (coredump_filter 0x33): memory that is the process's own is saved, which is all that is not
// mapped from a file, what is writable, and what an ELF file wants to be writable, as relocated data
// is that was protected later; of files, the page with the ELF header, for its build ID. The rest
// is in the files and has no bytes here, unless it is asked for.
//
// A process stands while its memory is copied, and it is written after that; or, without a copy, while
// it is written: its memory may be larger than ours. Anonymous memory that
// it never touched is neither read nor written: such pages are holes in the file.
//
// What cannot be read although it should be there (a core that was cut off, memory without access)
// has no bytes either: a reader is told that it was not saved.

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <inttypes.h>

#include "dump/file.h"
#include "gcore/dump.h"
#include "gcore/live.h"
#include "target/core_impl.h"
#include "target/mini_format.h"

#define MAPPING_MAX ((uint64_t)256 << 30) // of sanitizers are larger ones

struct dump {
	struct core *c;
	bool all;
	struct dump_file file;
};

/** Adds [start, start + memsz) of a mapping, of which the first filesz bytes are saved. */
static struct gi_error *add(struct dump *d, const struct gi_mapping *m, uint64_t start, uint64_t memsz,
			    uint64_t filesz)
{
	struct dump_file *f = &d->file;
	struct dump_piece *last = f->piece_count ? &f->pieces[f->piece_count - 1] : NULL;
	if (!memsz)
		return NULL;
	// A mapping is one piece where it can be: saved bytes, then those that are not.
	if (last && last->start >= m->start && last->start + last->memsz == start &&
	    (!filesz || last->filesz == last->memsz)) {
		last->memsz += memsz;
		last->filesz += filesz;
		return NULL;
	}
	return gi_dump_file_add(f, (struct dump_piece){start, memsz, filesz, m->flags});
}

/** Of a process: how many bytes at addr the kernel would save, or would not, as *save_ret says. */
static uint64_t worth(struct dump *d, size_t i, uint64_t addr, bool *save_ret)
{
	struct core *c = d->c;
	const struct gi_mapping *m = &c->base.mappings[i];
	uint64_t left = m->end - addr, len = left, page = c->base.info.page_size;
	size_t module = c->origins ? c->origins[i].module : SIZE_MAX;
	const struct core_module *mod = module != SIZE_MAX ? &c->modules[module] : NULL;
	uint32_t flags;

	*save_ret = true;
	if (d->all || !m->path || m->path[0] == '[' || (m->flags & GI_MAP_W))
		return left;
	if (mod && addr == mod->start && m->file_off == 0)
		return gi_min_u64(page, left);
	if (!mod || !mod->elf) {
		// Without the file nobody knows what was relocated, but an ELF file's header was mapped.
		*save_ret = mod && mod->start && !(m->flags & GI_MAP_X);
		return left;
	}
	*save_ret = !gi_core_overlay_at(c, mod, m, addr, &len, &flags);
	return gi_min_u64(len, left);
}

/** Of a core: the bytes at addr that are of the core itself, as far as that goes. */
static uint64_t held(struct dump *d, size_t i, uint64_t addr, bool *save_ret)
{
	struct core *c = d->c;
	const struct gi_mapping *m = &c->base.mappings[i];
	size_t n;
	const uint8_t *p = gi_target_view_max(&c->base, addr, (size_t)(m->end - addr), &n);

	*save_ret = p && (d->all || (p >= c->bytes && p < c->bytes + c->size));
	if (p)
		return n;
	return 0;
}

static struct gi_error *add_core_mapping(struct dump *d, size_t i)
{
	struct core *c = d->c;
	const struct gi_mapping *m = &c->base.mappings[i];
	struct gi_error *err = NULL;
	for (uint64_t at = m->start; !err && at < m->end;) {
		bool save;
		uint64_t n = held(d, i, at, &save);
		if (!n) {
			// As far as there is nothing.
			size_t lo = 0, hi = c->range_count;
			while (lo < hi) {
				size_t mid = lo + (hi - lo) / 2;
				if (c->ranges[mid].start + c->ranges[mid].len <= at)
					lo = mid + 1;
				else
					hi = mid;
			}
			uint64_t end = m->end;
			if (lo < c->range_count && c->ranges[lo].start > at)
				end = gi_min_u64(end, c->ranges[lo].start);
			else if (lo < c->range_count)
				end = gi_min_u64(end, c->ranges[lo].start + c->ranges[lo].len);
			n = end - at;
		}
		err = add(d, m, at, n, save ? n : 0);
		at += n;
	}
	return err;
}

// --- running processes ------------------------------------------------------------

struct gi_dump_plan {
	bool release;		   // let the process run when all was read
	bool direct;		   // not copied: read while it is written
	struct gi_extent *present; // memory that is there, ascending
	size_t count, cap;
};

void gi_dump_plan_destroy(struct gi_dump_plan *plan)
{
	if (!plan)
		return;
	free(plan->present);
	free(plan);
}

void gi_dump_plan_set_release(struct gi_dump_plan *plan)
{
	plan->release = true;
}

static struct gi_error *plan_add(struct gi_dump_plan *plan, uint64_t start, uint64_t len)
{
	struct gi_extent *last = plan->count ? &plan->present[plan->count - 1] : NULL;
	if (last && last->start + last->len == start) {
		last->len += len;
		return NULL;
	}
	struct gi_error *err =
		gi_grow(&plan->present, &plan->cap, plan->count + 1, sizeof(*plan->present));
	if (!err)
		plan->present[plan->count++] = (struct gi_extent){start, len};
	return err;
}

// Anonymous memory that was never touched is zeros, and stays untouched: /proc/PID/pagemap tells.
static bool may_be_untouched(const struct gi_mapping *m)
{
	return !m->path || strcmp(m->path, "[heap]") == 0 || strcmp(m->path, "[stack]") == 0 ||
	       strncmp(m->path, "[anon:", 6) == 0;
}

static struct gi_error *plan_touched(struct gi_dump_plan *plan, int pagemap, uint64_t start,
				     uint64_t end, uint64_t page)
{
	static const uint64_t there = UINT64_C(3) << 62; // in memory, or swapped out
	uint64_t entries[512];
	struct gi_error *err = NULL;
	for (uint64_t at = start; !err && at < end;) {
		size_t n = (size_t)gi_min_u64((end - at) / page, GI_ARRAY_SIZE(entries));
		ssize_t got = n ? pread(pagemap, entries, n * 8, (off_t)(at / page * 8)) : 0;
		if (got < 8) // it may be there, for all that is known
			return plan_add(plan, at, end - at);
		for (size_t i = 0; !err && i < (size_t)got / 8; i++, at += page) {
			if (entries[i] & there)
				err = plan_add(plan, at, page);
		}
	}
	return err;
}

// True if none of it is saved: without access, the kernel's own, or larger than any memory.
static bool is_passed_over(const struct gi_mapping *m)
{
	return !(m->flags & GI_MAP_R) || m->end - m->start > MAPPING_MAX ||
	       (m->path && (strncmp(m->path, "[vvar", 5) == 0 || strcmp(m->path, "[vsyscall]") == 0));
}

static struct gi_error *plan_mapping(struct dump *d, struct gi_dump_plan *plan, size_t i, int pagemap)
{
	const struct gi_mapping *m = &d->c->base.mappings[i];
	uint64_t page = d->c->base.info.page_size;
	struct gi_error *err = NULL;
	for (uint64_t at = m->start; !err && at < m->end && !is_passed_over(m);) {
		bool save;
		uint64_t n = worth(d, i, at, &save);
		if (save && pagemap >= 0 && may_be_untouched(m))
			err = plan_touched(plan, pagemap, at, at + n, page);
		else if (save)
			err = plan_add(plan, at, n);
		at += n;
	}
	return err;
}

struct gi_error *gi_dump_plan_check(struct gi_target *t, const struct gi_dump_plan *plan)
{
	uint64_t bytes = 0, room = gi_live_room(t);
	for (size_t i = 0; i < plan->count; i++)
		bytes += plan->present[i].len;
	if (bytes <= room)
		return NULL;
	return gi_error_create(GI_ERR_UNSUPPORTED,
			       "the process has %" PRIu64 " MB to copy, and a copy may have %" PRIu64
			       " MB here, half of what is free: dump -direct writes them while the process "
			       "stands, without a copy; dump -mini takes less",
			       bytes >> 20, room >> 20);
}

struct gi_error *gi_dump_plan(struct gi_target *t, bool all, bool direct, struct gi_dump_plan **ret)
{
	struct dump d = {.c = core_of(t), .all = all};
	if (!t->ops->is_core)
		return gi_error_create(GI_ERR_UNSUPPORTED, "this target cannot be dumped");
	struct gi_dump_plan *plan = *ret ? *ret : calloc(1, sizeof(*plan));
	if (!plan)
		return gi_error_nomem();
	*ret = plan;
	plan->count = 0;
	plan->direct = direct;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)d.c->live_pid);
	int pagemap = open(path, O_RDONLY | O_CLOEXEC);
	struct gi_error *err = NULL;
	for (size_t i = 0; !err && i < t->mapping_count; i++)
		err = plan_mapping(&d, plan, i, pagemap);
	if (pagemap >= 0)
		close(pagemap);
	if (!err && !direct)
		err = gi_dump_plan_check(t, plan);
	if (!err && !direct)
		gi_target_fetch(t, plan->present, plan->count);
	return err;
}

// [at, end) is to be saved, and is there.
static struct gi_error *add_present(struct dump *d, const struct gi_mapping *m, uint64_t at, uint64_t end)
{
	struct gi_target *t = &d->c->base;
	struct gi_error *err = NULL;
	if (d->file.direct) // what cannot be read comes out as zeros, as the kernel does it
		return add(d, m, at, end - at, end - at);
	while (!err && at < end) {
		size_t got;
		uint8_t byte;
		if (gi_target_view_max(t, at, (size_t)(end - at), &got)) {
			err = add(d, m, at, got, got);
			at += got;
			continue;
		}
		err = gi_target_read(t, at, &byte, 1);
		if (err && gi_error_code(err) == GI_ERR_NOT_SAVED)
			return gi_error_wrap(err, "the process is too large for its memory to be copied here "
						  "(dump -mini takes less)");
		gi_error_ignore(err);
		got = (size_t)gi_min_u64(t->info.page_size, end - at);
		err = add(d, m, at, got, 0);
		at += got;
	}
	return err;
}

static struct gi_error *add_process_mapping(struct dump *d, const struct gi_dump_plan *plan, size_t i,
					    size_t *k)
{
	const struct gi_mapping *m = &d->c->base.mappings[i];
	struct gi_error *err = NULL;
	if (is_passed_over(m))
		return add(d, m, m->start, m->end - m->start, 0);
	for (uint64_t at = m->start; !err && at < m->end;) {
		bool save;
		uint64_t end = at + worth(d, i, at, &save);
		if (!save)
			err = add(d, m, at, end - at, 0);
		while (save && !err && at < end) {
			const struct gi_extent *e;
			while (*k < plan->count &&
			       plan->present[*k].start + plan->present[*k].len <= at)
				++*k;
			e = *k < plan->count ? &plan->present[*k] : NULL;
			uint64_t next = e ? gi_min_u64(gi_max_u64(e->start, at), end) : end;
			err = add(d, m, at, next - at, next - at);
			at = next;
			if (err || at == end)
				continue;
			next = gi_min_u64(e->start + e->len, end);
			err = add_present(d, m, at, next);
			at = next;
		}
		at = end;
	}
	return err;
}

// --- all of it --------------------------------------------------------------------

struct gi_error *gi_dump_core(struct gi_target *t, bool all, const struct gi_dump_plan *plan,
			      const char *path, struct gi_dump_result *ret)
{
	struct dump d = {.c = core_of(t), .all = all, .file = {.t = t}};
	struct gi_dump_result made = {0};
	size_t k = 0;
	if (!t->ops->is_core || !plan != !t->info.live)
		return gi_error_create(GI_ERR_UNSUPPORTED, "this target cannot be dumped");
	if (t->info.mini)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "a mini dump has too little for a core: copy the file, or make "
				       "another one with -mini");
	d.file.align = t->info.page_size;
	if (plan) {
		d.file.direct = plan->direct;
		d.file.release = plan->release;
		d.file.present = plan->present;
		d.file.present_count = plan->count;
	}
	struct gi_error *err = gi_dump_file_process(&d.file);
	for (size_t i = 0; !err && i < t->mapping_count; i++)
		err = plan ? add_process_mapping(&d, plan, i, &k) : add_core_mapping(&d, i);
	if (t->info.never_stopped) {
		uint8_t note[20] = {MINI_NEVER_STOPPED};
		gi_dump_file_note(&d.file, MINI_OWNER, MINI_LATE, note, sizeof(note));
	}
	if (!err)
		err = gi_dump_file_write(&d.file, path, &made.size, &made.memory);
	gi_dump_file_deinit(&d.file);
	if (!err)
		*ret = made;
	return err;
}

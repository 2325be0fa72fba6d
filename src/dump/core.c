// A core of a target, as the kernel writes one: each mapping is a PT_LOAD, whose bytes are there
// as far as they are worth it.
//
// Of a core, what it holds is copied. Of a process, the kernel's default is followed
// (coredump_filter 0x33): memory that is the process's own is saved, which is all that is not
// mapped from a file, what is writable, and what an ELF file wants to be writable, as relocated data
// is that was protected later; of files, the page with the ELF header, for its build ID. The rest
// is in the files and has no bytes here, unless it is asked for.
//
// What cannot be read although it should be there (a core that was cut off, memory without access)
// has no bytes either: a reader is told that it was not saved.

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "dump/file.h"
#include "gcore/dump.h"
#include "target/core_impl.h"

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

static struct gi_error *add_process_mapping(struct dump *d, size_t i)
{
	struct gi_target *t = &d->c->base;
	const struct gi_mapping *m = &t->mappings[i];
	uint64_t page = t->info.page_size;
	struct gi_error *err = NULL;
	for (uint64_t at = m->start; !err && at < m->end;) {
		bool save;
		uint64_t n = worth(d, i, at, &save);
		for (uint64_t done = 0; !err && done < n;) {
			size_t got = 0;
			const void *p = save && (m->flags & GI_MAP_R) ?
						gi_target_view_max(t, at + done, (size_t)(n - done), &got) :
						NULL;
			if (p) {
				err = add(d, m, at + done, got, got);
				done += got;
				continue;
			}
			uint64_t step = save && (m->flags & GI_MAP_R) ? gi_min_u64(page, n - done) : n - done;
			err = add(d, m, at + done, step, 0);
			done += step;
			if (!err)
				err = gi_interrupt_check();
		}
		at += n;
	}
	return err;
}

struct gi_error *gi_dump_core(struct gi_target *t, bool all, const char *path,
			      struct gi_dump_result *ret)
{
	struct dump d = {.c = core_of(t), .all = all, .file = {.t = t}};
	struct gi_dump_result made = {0};
	if (!t->ops->is_core)
		return gi_error_create(GI_ERR_UNSUPPORTED, "this target cannot be dumped");
	if (t->info.mini)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "a mini dump has too little for a core: copy the file, or make "
				       "another one with -mini");
	d.file.align = t->info.page_size;
	struct gi_error *err = gi_dump_file_process(&d.file);
	for (size_t i = 0; !err && i < t->mapping_count; i++)
		err = t->info.live ? add_process_mapping(&d, i) : add_core_mapping(&d, i);
	if (!err)
		err = gi_dump_file_write(&d.file, path, &made.size, &made.memory);
	gi_dump_file_deinit(&d.file);
	if (!err)
		*ret = made;
	return err;
}

// Which bytes of the process a core has, and where.
//
// Three sources say what was mapped: the PT_LOADs (one for each VMA, as the kernel and
// gdb write them), NT_FILE (which of them map files), and the mapped ELF files. They
// are cut at each other's borders into mappings, and those into ranges with one story:
// bytes in the core, bytes in an overlaid file, or the reason why there are none.
//
// Overlay: what the core did not save of a mapping is read from the mapped file if that
// file is the same one (its build ID is), and the process cannot have changed the bytes:
// the mapping is not writable now, and by the file's own program headers it never was
// (which keeps relocated data that was write-protected later, RELRO, out). Where memory
// and file must agree by address, not just by offset, they are compared by address.
//
// A range that the core claims to hold but that lies behind the end of a cut-off file is
// not overlaid: the kernel saves a file's page only when the process had changed it.

#include "target/core_impl.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum { OVERLAY_SEGMENTS_MAX = 64 };

uint64_t gi_core_page_down(const struct core *c, uint64_t v)
{
	return v & ~(c->base.info.page_size - 1);
}

static int load_cmp(const void *a, const void *b)
{
	const struct core_load *x = a, *y = b;
	if (x->vaddr != y->vaddr)
		return x->vaddr < y->vaddr ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

struct gi_error *gi_core_read_loads(struct core *c)
{
	size_t n = gi_elf_segment_count(c->elf);
	size_t bad = 0;
	c->loads = calloc(n ? n : 1, sizeof(*c->loads));
	if (!c->loads)
		return gi_error_nomem();
	for (size_t i = 0; i < n; i++) {
		struct gi_elf_segment seg = gi_elf_segment(c->elf, i);
		if (seg.filesz > UINT64_MAX - seg.offset) { // no file is as long
			bad++;
			seg.filesz = 0;
		}
		if (seg.filesz)
			c->needed = gi_max_u64(c->needed, seg.offset + seg.filesz);
		if (seg.type != PT_LOAD || !seg.memsz)
			continue;
		if (seg.memsz - 1 > UINT64_MAX - seg.vaddr || seg.filesz > seg.memsz) {
			bad++;
			continue;
		}
		uint64_t memsz = gi_min_u64(seg.memsz, UINT64_MAX - seg.vaddr);
		c->loads[c->load_count++] = (struct core_load){
			.vaddr = seg.vaddr,
			.memsz = memsz,
			.filesz = gi_min_u64(seg.filesz, memsz),
			.offset = seg.offset,
			.flags = seg.flags,
		};
	}
	qsort(c->loads, c->load_count, sizeof(*c->loads), load_cmp);

	// Overlapping ones cannot both be true: the lower one keeps what it claims.
	size_t kept = 0;
	uint64_t at = 0;
	for (size_t i = 0; i < c->load_count; i++) {
		struct core_load l = c->loads[i];
		if (l.vaddr < at) {
			bad++;
			uint64_t cut = at - l.vaddr;
			if (cut >= l.memsz || l.offset > UINT64_MAX - cut)
				continue;
			l.vaddr += cut;
			l.memsz -= cut;
			l.offset += cut;
			l.filesz = l.filesz > cut ? l.filesz - cut : 0;
		}
		at = l.vaddr + l.memsz;
		c->loads[kept++] = l;
	}
	c->load_count = kept;
	if (bad)
		gi_target_add_note(&c->base,
				   "the core is damaged: %zu of its segments overlap others or "
				   "cannot be as they say",
				   bad);
	return NULL;
}

struct mapping_list {
	struct core *c;
	size_t cap, origin_cap;
};

static struct gi_error *add_mapping(struct mapping_list *l, uint64_t start, uint64_t end,
				    size_t load, const struct core_file *f)
{
	struct gi_target *t = &l->c->base;
	struct gi_error *err = gi_grow(&t->mappings, &l->cap, t->mapping_count + 1,
				       sizeof(*t->mappings));
	if (!err)
		err = gi_grow(&l->c->origins, &l->origin_cap, t->mapping_count + 1,
			      sizeof(*l->c->origins));
	if (err)
		return err;
	struct gi_mapping *m = &t->mappings[t->mapping_count];
	*m = (struct gi_mapping){ .start = start, .end = end };
	if (load != SIZE_MAX) {
		uint32_t flags = l->c->loads[load].flags;
		m->flags = (flags & PF_R ? GI_MAP_R : 0) | (flags & PF_W ? GI_MAP_W : 0) |
			   (flags & PF_X ? GI_MAP_X : 0);
	}
	if (f) {
		m->path = f->path;
		m->file_off = f->off + (start - f->start);
	}
	l->c->origins[t->mapping_count++] = (struct core_origin){ .load = load,
								  .module = SIZE_MAX };
	return NULL;
}

// Mappings that have no file but a well-known use get the names of /proc/PID/maps.
static void name_mapping(struct core *c, uint64_t addr, const char *name)
{
	struct gi_mapping *m = (struct gi_mapping *)gi_target_mapping_at(&c->base, addr);
	if (addr && m && !m->path)
		m->path = name;
}

struct gi_error *gi_core_make_mappings(struct core *c)
{
	struct gi_error *err = gi_core_read_loads(c);
	if (err)
		return err;
	struct mapping_list list = { .c = c };
	// A sweep over both sorted lists; at is how far they are dealt with.
	size_t li = 0, fi = 0;
	uint64_t at = 0;
	while (li < c->load_count || fi < c->file_count) {
		const struct core_load *l = li < c->load_count ? &c->loads[li] : NULL;
		const struct core_file *f = fi < c->file_count ? &c->files[fi] : NULL;
		if (l && l->vaddr + l->memsz <= at) {
			li++;
			continue;
		}
		if (f && f->end <= at) {
			fi++;
			continue;
		}
		uint64_t ls = l ? gi_max_u64(l->vaddr, at) : UINT64_MAX;
		uint64_t fs = f ? gi_max_u64(f->start, at) : UINT64_MAX;
		uint64_t start = gi_min_u64(ls, fs), end = UINT64_MAX;
		if (l)
			end = gi_min_u64(end, ls > start ? ls : l->vaddr + l->memsz);
		if (f)
			end = gi_min_u64(end, fs > start ? fs : f->end);
		if (start >= end)
			break;
		err = add_mapping(&list, start, end, l && ls == start ? li : SIZE_MAX,
				  f && fs == start ? f : NULL);
		if (err)
			return err;
		at = end;
	}
	name_mapping(c, c->base.info.vdso, "[vdso]");
	name_mapping(c, c->at_execfn, "[stack]");
	name_mapping(c, 0xffffffffff600000, "[vsyscall]");
	return NULL;
}

// --- ranges -----------------------------------------------------------------

struct gi_error *gi_core_add_range(struct core *c, uint64_t start, uint64_t len,
				   const uint8_t *data, enum gi_error_code why)
{
	if (!len)
		return NULL;
	if (c->range_count) {
		struct core_range *last = &c->ranges[c->range_count - 1];
		bool joined = last->start + last->len == start && last->late == c->adding_late;
		if (joined && data && last->data && last->data + last->len == data) {
			last->len += len;
			return NULL;
		}
		if (joined && !data && !last->data && last->why == why) {
			last->len += len;
			return NULL;
		}
	}
	struct gi_error *err = gi_grow(&c->ranges, &c->range_cap, c->range_count + 1,
				       sizeof(*c->ranges));
	if (err)
		return err;
	c->ranges[c->range_count++] = (struct core_range){
		.start = start,
		.len = len,
		.data = data,
		.late = c->adding_late,
		.why = why,
	};
	return NULL;
}

// The file's bytes for addr of mapping m, if they cannot have been changed; else NULL and
// how far there are none.
const uint8_t *gi_core_overlay_at(struct core *c, const struct core_module *mod,
				  const struct gi_mapping *m, uint64_t addr, uint64_t *len_ret,
				  uint32_t *flags_ret)
{
	uint64_t page = c->base.info.page_size;
	size_t size;
	const uint8_t *bytes = gi_elf_bytes(mod->elf, &size);
	uint64_t next = UINT64_MAX;
	size_t n = gi_min_u64(gi_elf_segment_count(mod->elf), OVERLAY_SEGMENTS_MAX);
	for (size_t i = 0; i < n; i++) {
		struct gi_elf_segment seg = gi_elf_segment(mod->elf, i);
		if (seg.type != PT_LOAD || (seg.flags & PF_W) || !seg.filesz)
			continue;
		uint64_t lead = seg.vaddr & (page - 1);
		if (seg.offset < lead || seg.filesz > UINT64_MAX - lead - page)
			continue;
		uint64_t off = seg.offset - lead;
		if (off & (page - 1))
			continue;
		// The kernel maps whole pages: the file's bytes around the segment's too.
		uint64_t start = mod->bias + (seg.vaddr - lead);
		uint64_t len = (lead + seg.filesz + page - 1) & ~(page - 1);
		if (off >= size)
			continue;
		len = gi_min_u64(len, size - off);
		if (addr - start >= len) {
			if (start > addr)
				next = gi_min_u64(next, start);
			continue;
		}
		uint64_t delta = addr - start;
		// m->path: NT_FILE says which part of the file this is, and must agree.
		if (m->path && m->file_off + (addr - m->start) != off + delta)
			continue;
		*len_ret = len - delta;
		*flags_ret = seg.flags;
		return bytes + off + delta;
	}
	*len_ret = next - addr;
	return NULL;
}

static struct gi_error *add_unsaved(struct core *c, size_t i, uint64_t start, uint64_t end)
{
	struct gi_mapping *m = &c->base.mappings[i];
	const struct core_origin *o = &c->origins[i];
	const struct core_module *mod = o->module != SIZE_MAX ? &c->modules[o->module] : NULL;
	// A core that does not say which files were mapped: the executable's place is known.
	if (!mod && !c->file_count && c->module_count)
		mod = &c->modules[0];
	if (!mod || !mod->elf || (m->flags & GI_MAP_W))
		return gi_core_add_range(c, start, end - start, NULL, GI_ERR_NOT_SAVED);
	for (uint64_t at = start; at < end;) {
		uint64_t len;
		uint32_t flags;
		const uint8_t *data = gi_core_overlay_at(c, mod, m, at, &len, &flags);
		len = gi_min_u64(len, end - at);
		struct gi_error *err = gi_core_add_range(c, at, len, data, GI_ERR_NOT_SAVED);
		if (err)
			return err;
		if (data) {
			m->overlaid = true;
			if (o->load == SIZE_MAX)
				m->flags = (flags & PF_R ? GI_MAP_R : 0) |
					   (flags & PF_X ? GI_MAP_X : 0);
		}
		at += len;
	}
	return NULL;
}

struct gi_error *gi_core_make_ranges(struct core *c)
{
	c->range_count = 0;
	for (size_t i = 0; i < c->base.mapping_count; i++) {
		struct gi_mapping *m = &c->base.mappings[i];
		const struct core_origin *o = &c->origins[i];
		uint64_t claimed = 0, held = 0, off = 0;
		if (o->load != SIZE_MAX) {
			const struct core_load *l = &c->loads[o->load];
			uint64_t delta = m->start - l->vaddr;
			if (l->filesz > delta && l->offset <= UINT64_MAX - delta) {
				off = l->offset + delta;
				claimed = gi_min_u64(l->filesz - delta, m->end - m->start);
				held = off < c->size ? gi_min_u64(claimed, c->size - off) : 0;
			}
		}
		m->saved = held;
		struct gi_error *err = gi_core_add_range(c, m->start, held, c->bytes + (held ? off : 0), 0);
		if (!err)
			err = gi_core_add_range(c, m->start + held, claimed - held, NULL, GI_ERR_CUT_OFF);
		if (!err && m->start + claimed < m->end)
			err = add_unsaved(c, i, m->start + claimed, m->end);
		if (err)
			return err;
	}
	return NULL;
}

const void *gi_core_view(struct gi_target *t, uint64_t addr, size_t max, size_t *n_ret,
			 enum gi_error_code *why_ret)
{
	// Neighbours are mostly asked for next. A hint may be of another target: it is checked.
	static _Thread_local size_t hint;
	const struct core *c = core_of(t);
	const struct core_range *r = c->ranges;
	size_t i = hint;
	if (i >= c->range_count || addr - r[i].start >= r[i].len) {
		size_t lo = 0, hi = c->range_count;
		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;
			if (r[mid].start <= addr)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo == 0 || addr - r[lo - 1].start >= r[lo - 1].len) {
			*why_ret = GI_ERR_FAULT;
			return NULL;
		}
		i = lo - 1;
		hint = i;
	}
	if (!r[i].data) {
		*why_ret = r[i].why;
		return NULL;
	}
	if (r[i].late)
		atomic_store_explicit(&t->late, true, memory_order_relaxed);
	uint64_t delta = addr - r[i].start;
	*n_ret = gi_min_u64(max, r[i].len - delta);
	return r[i].data + delta;
}

bool gi_core_is_late(struct gi_target *t, uint64_t addr, uint64_t *len)
{
	const struct core *c = core_of(t);
	size_t lo = 0, hi = c->range_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (c->ranges[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || addr - c->ranges[lo - 1].start >= c->ranges[lo - 1].len)
		return false;
	*len = gi_min_u64(*len, c->ranges[lo - 1].len - (addr - c->ranges[lo - 1].start));
	return c->ranges[lo - 1].late;
}

uint64_t gi_core_unreadable(struct gi_target *t, uint64_t addr)
{
	const struct core *c = core_of(t);
	size_t lo = 0, hi = c->range_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (c->ranges[mid].start + c->ranges[mid].len <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo < c->range_count && !c->ranges[lo].data)
		lo++;
	if (lo == c->range_count)
		return UINT64_MAX - addr;
	return c->ranges[lo].start > addr ? c->ranges[lo].start - addr : 0;
}

void gi_core_look_for_private(struct core *c)
{
	struct gi_target *t = &c->base;
	bool stacks = false;
	for (size_t i = 0; i < t->thread_count; i++) {
		enum gi_error_code why;
		size_t n;
		uint64_t sp = gi_regs_sp(&t->threads[i].regs);
		if (!sp)
			continue;
		stacks = true;
		if (gi_core_view(t, sp, 1, &n, &why) || why == GI_ERR_CUT_OFF)
			return;
	}
	// What is shared has a name in NT_FILE, be it "/dev/zero (deleted)".
	for (size_t i = 0; i < t->mapping_count; i++) {
		const struct gi_mapping *m = &t->mappings[i];
		if ((m->flags & GI_MAP_W) && m->saved && !m->path)
			return;
	}
	c->no_private = stacks;
}

struct gi_error *gi_core_explain(struct gi_target *t, uint64_t addr, enum gi_error_code why)
{
	struct core *c = core_of(t);
	unsigned long long a = addr;
	if (why == GI_ERR_CUT_OFF)
		return gi_error_at(why, addr, "memory at 0x%llx is lost: the core file is cut off", a);
	const struct gi_mapping *m = gi_target_mapping_at(t, addr);
	if (c->no_private && (!m || m->flags & GI_MAP_W) && !(c->mini && gi_mini_left_out(c, addr)))
		return gi_error_at(why, addr,
				   "memory at 0x%llx is not in the core, as no private memory of the "
				   "process is: its coredump_filter left that out; to have it in the "
				   "next core: echo 0x33 >/proc/PID/coredump_filter",
				   a);
	if (why != GI_ERR_NOT_SAVED || !m)
		return gi_error_at(why, addr, "memory at 0x%llx is not mapped", a);
	if (c->mini && gi_mini_left_out(c, addr))
		return gi_error_at(why, addr, "memory at 0x%llx was not saved in this mini dump", a);
	if (!m->path)
		return gi_error_at(why, addr, "memory at 0x%llx was not saved in the core%s", a,
				   m->flags ? "" : ": it was mapped without access");
	_cleanup_(gi_str_deinit) struct gi_str path = { 0 };
	gi_str_put_escaped(&path, m->path, strlen(m->path));
	size_t module = c->origins[m - t->mappings].module;
	const char *reason = module != SIZE_MAX ? c->modules[module].why : NULL;
	return gi_error_at(why, addr, "memory at 0x%llx was not saved in the core (it maps %s)%s%s", a,
			   gi_str_cstr(&path), reason ? ": " : "", reason ? reason : "");
}

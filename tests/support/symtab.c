#include "symtab.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "symtab: %s\n", what);
		abort();
	}
}

static void must_not_fail(struct gi_error *err)
{
	must(!err, err ? gi_error_message(err) : "");
}

// --- tables by hand ---------------------------------------------------------

void st_put(struct st_buf *b, const void *p, size_t n)
{
	if (!n)
		return;
	must_not_fail(gi_grow(&b->p, &b->cap, b->n + n, 1));
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void st_put_u32(struct st_buf *b, uint32_t v)
{
	uint8_t p[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
			(uint8_t)(v >> 24)};
	st_put(b, p, 4);
}

void st_put_u64(struct st_buf *b, uint64_t v)
{
	st_put_u32(b, (uint32_t)v);
	st_put_u32(b, (uint32_t)(v >> 32));
}

uint32_t st_put_str(struct st_buf *b, const char *s)
{
	size_t at = b->n;
	st_put(b, s, strlen(s) + 1);
	return (uint32_t)at;
}

static void put_varint(struct st_buf *b, uint32_t v)
{
	for (;; v >>= 7) {
		uint8_t c = v >= 0x80 ? (uint8_t)(v | 0x80) : (uint8_t)v;
		st_put(b, &c, 1);
		if (v < 0x80)
			return;
	}
}

uint32_t st_put_runs(struct st_buf *b, const struct st_run *runs, size_t n)
{
	must(b->n > 0, "a pc-value table at offset 0");
	size_t at = b->n;
	uint32_t pc = 0;
	int32_t value = -1;
	for (size_t i = 0; i < n; i++) {
		int32_t d = runs[i].value - value;
		put_varint(b, (uint32_t)d << 1 ^ (uint32_t)(d >> 31));
		put_varint(b, runs[i].end - pc);
		pc = runs[i].end;
		value = runs[i].value;
	}
	st_put(b, "", 1);
	return (uint32_t)at;
}

static uint32_t put_runs(struct st_buf *b, const struct st_run *runs)
{
	size_t n = 0;
	if (!runs)
		return 0;
	while (runs[n].end)
		n++;
	return st_put_runs(b, runs, n);
}

// Copies a table into the target and fills in its slice.
static void place(struct symtab *st, struct st_buf *b, uint64_t *at, size_t elem,
		  struct gi_slice *ret)
{
	must_not_fail(gi_fake_add_memory(st->t, *at, b->p, b->n, GI_MAP_R));
	*ret = (struct gi_slice){*at, b->n / elem, b->n / elem};
	*at += b->n + 64;
	free(b->p);
}

void symtab_build(struct symtab *st, int minor, const struct st_func *funcs, size_t n,
		  uint32_t end, const char *const *files, size_t nfiles)
{
	struct st_buf header = {0}, names = {0}, cutab = {0}, filetab = {0};
	struct st_buf pctab = {0}, pcln = {0}, recs = {0}, gofunc = {0};
	bool new = minor >= 20;

	*st = (struct symtab){.minor = minor};
	must_not_fail(gi_fake_create(&st->t));
	st_put_u32(&header, new ? 0xfffffff1 : 0xfffffff0);
	st_put(&header, "\0\0\1\10", 4);
	for (size_t i = 0; i < nfiles; i++)
		st_put_u32(&cutab,
			   files[i] ? st_put_str(&filetab, files[i]) : 0xffffffff);
	st_put(&pctab, "", 1);
	st_put(&gofunc, "padding", 8);

	uint32_t ftab_size = (uint32_t)(n + 1) * 8;
	for (size_t i = 0; i < n; i++) {
		const struct st_func *f = &funcs[i];
		st_put_u32(&pcln, f->entry);
		st_put_u32(&pcln, ftab_size + (uint32_t)recs.n);
		uint32_t tree = 0xffffffff;
		if (f->tree) {
			tree = (uint32_t)gofunc.n;
			for (size_t k = 0; k < f->tree_len; k++) {
				const struct st_inline *in = &f->tree[k];
				uint8_t head[4] = {0};
				head[new ? 0 : 2] = in->func_id;
				st_put(&gofunc, head, 4);
				if (!new) {
					st_put_u32(&gofunc,
						   0x7777); // file, not looked at
					st_put_u32(&gofunc, 0x7777); // line
				}
				st_put_u32(&gofunc, st_put_str(&names, in->name));
				st_put_u32(&gofunc, in->parent_pc);
				if (new)
					st_put_u32(&gofunc, in->start_line);
			}
		}
		st_put_u32(&recs, f->entry);
		st_put_u32(&recs, st_put_str(&names, f->name));
		st_put_u32(&recs, 0x18); // args
		st_put_u32(&recs, 0);	 // deferreturn
		st_put_u32(&recs, put_runs(&pctab, f->sp));
		st_put_u32(&recs, put_runs(&pctab, f->file));
		st_put_u32(&recs, put_runs(&pctab, f->line));
		st_put_u32(&recs, 3); // npcdata
		st_put_u32(&recs, 0); // cuOffset
		if (new)
			st_put_u32(&recs, f->start_line);
		uint8_t last[4] = {f->func_id, f->flag, 0, 4};
		st_put(&recs, last, 4);
		st_put_u32(&recs, 0);
		st_put_u32(&recs, 0);
		st_put_u32(&recs, put_runs(&pctab, f->inl));
		for (int k = 0; k < 3; k++)
			st_put_u32(&recs, 0xffffffff);
		st_put_u32(&recs, tree);
	}
	st_put_u32(&pcln, end);
	st_put_u32(&pcln, 0);
	st_put(&pcln, recs.p, recs.n);
	free(recs.p);

	struct gi_module *m = &st->mod;
	struct gi_slice hdr, data;
	uint64_t at = ST_TABLES, gofunc_at = ST_GOFUNC;
	place(st, &header, &at, 1, &hdr);
	place(st, &names, &at, 1, &m->funcnametab);
	place(st, &cutab, &at, 4, &m->cutab);
	place(st, &filetab, &at, 1, &m->filetab);
	place(st, &pctab, &at, 1, &m->pctab);
	place(st, &pcln, &at, 1, &m->pclntable);
	place(st, &gofunc, &gofunc_at, 1, &data);
	m->pc_header = hdr.ptr;
	m->ftab = (struct gi_slice){m->pclntable.ptr, n + 1, n + 1};
	m->text = (struct gi_range){ST_TEXT, ST_TEXT + end};
	m->pcs = (struct gi_range){ST_TEXT + funcs[0].entry, ST_TEXT + end};
	m->gofunc = ST_GOFUNC;
}

// --- real programs ----------------------------------------------------------

struct md_reader {
	struct gi_target *t;
	struct gi_dwarf *dw;
	uint64_t addr;
	struct gi_error *err;
};

static uint64_t md_field(struct md_reader *r, const char *path)
{
	struct gi_dwarf_member m;
	uint64_t v = 0;
	if (!r->err)
		r->err = gi_dwarf_member(r->dw, "runtime.moduledata", path, &m);
	if (!r->err)
		r->err = gi_target_read_u64(r->t, r->addr + m.offset, &v);
	return v;
}

static struct gi_slice md_slice(struct md_reader *r, const char *name)
{
	static const char *const parts[] = {"array", "len", "cap"};
	uint64_t v[3];
	for (size_t i = 0; i < 3; i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s.%s", name, parts[i]);
		v[i] = md_field(r, path);
	}
	return (struct gi_slice){v[0], v[1], v[2]};
}

struct gi_error *symtab_open(struct symtab *st, const char *path)
{
	struct gi_elf *elf;
	struct gi_error *err = gi_elf_open(path, &elf);
	if (err)
		return err;
	*st = (struct symtab){0};
	must_not_fail(gi_fake_create(&st->t));
	gi_fake_set_exe(st->t, elf, 0);
	size_t size;
	const uint8_t *bytes = gi_elf_bytes(elf, &size);
	for (size_t i = 0; !err && i < gi_elf_segment_count(elf); i++) {
		struct gi_elf_segment s = gi_elf_segment(elf, i);
		if (s.type == PT_LOAD && s.filesz &&
		    gi_in_bounds(s.offset, s.filesz, size))
			err = gi_fake_add_memory(st->t, s.vaddr, bytes + s.offset,
						 s.filesz, GI_MAP_R);
	}
	_cleanup_(gi_dwarf_closep) struct gi_dwarf *dw = NULL;
	struct md_reader r = {.t = st->t};
	if (!err)
		err = gi_dwarf_open(elf, &dw);
	r.dw = dw;
	if (!err)
		err = gi_dwarf_global(dw, "runtime.firstmoduledata", &r.addr, NULL);
	if (!err) {
		struct gi_module *m = &st->mod;
		m->addr = r.addr;
		m->pc_header = md_field(&r, "pcHeader");
		m->funcnametab = md_slice(&r, "funcnametab");
		m->cutab = md_slice(&r, "cutab");
		m->filetab = md_slice(&r, "filetab");
		m->pctab = md_slice(&r, "pctab");
		m->pclntable = md_slice(&r, "pclntable");
		m->ftab = md_slice(&r, "ftab");
		m->textsectmap = md_slice(&r, "textsectmap");
		m->pcs = (struct gi_range){md_field(&r, "minpc"), md_field(&r, "maxpc")};
		m->text = (struct gi_range){md_field(&r, "text"), md_field(&r, "etext")};
		m->gofunc = md_field(&r, "gofunc");
		err = r.err;
	}
	if (err)
		symtab_close(st);
	return err;
}

void symtab_close(struct symtab *st)
{
	gi_target_close(st->t);
	st->t = NULL;
}

// --- everything at once -----------------------------------------------------

static size_t sum; // of what was looked at, so that nothing is optimised away

static bool count_run(void *arg, uint64_t start, uint64_t end, int32_t value)
{
	const struct gi_func *f = arg;
	must(start < end && start >= f->entry && end <= f->end,
	     "a run outside of its function");
	sum += (size_t)value;
	return true;
}

static bool count_inline(void *arg, uint64_t start, uint64_t end,
			 const struct gi_call *calls, size_t n)
{
	must(n >= 2 && n <= GI_MAX_INLINE, "an inline run without a chain");
	sum += strlen(calls[0].name);
	return count_run(arg, start, end, 0);
}

static void exercise_pc(struct gi_functab *ft, struct gi_pccache *cache, uint64_t pc)
{
	struct gi_func f;
	struct gi_call calls[GI_MAX_INLINE];
	if (gi_functab_find(ft, pc, &f)) {
		must(f.entry <= pc && pc < f.end, "a function that does not hold the pc");
		size_t n = gi_func_calls(&f, pc, calls, GI_MAX_INLINE);
		must(n >= 1 && n <= GI_MAX_INLINE, "number of calls");
		must(!calls[n - 1].inlined, "the last call is an inlined one");
		for (size_t i = 0; i < n; i++)
			sum += strlen(calls[i].name) + strlen(calls[i].file);
		must(gi_func_calls(&f, pc, calls, 1) == 1, "one call");
		int32_t sp;
		if (gi_func_spdelta(&f, pc, &sp))
			sum += (size_t)sp;
		for (unsigned i = 0; i < 6; i++) {
			uint64_t start;
			sum += (size_t)gi_func_pcdata(&f, i, pc, &start);
			must(!start || start <= pc, "a run that starts behind the pc");
		}
	}
	for (int is_call = 0; is_call < 2; is_call++) {
		const struct gi_pcinfo *info = gi_pccache_get(cache, pc, is_call);
		must(info == gi_pccache_get(cache, pc, is_call), "the cache forgets");
		must(!info || info->call_count >= 1, "a pc without a call");
	}
}

void symtab_exercise(struct gi_functab *ft, const struct gi_module *mod, size_t max_funcs)
{
	struct gi_pccache *cache;
	size_t count = gi_functab_count(ft);
	size_t step = count > max_funcs ? count / max_funcs : 1;
	must_not_fail(gi_pccache_create(ft, &cache));
	for (size_t i = 0; i < count; i += step) {
		struct gi_func f, g;
		if (!gi_functab_func(ft, i, &f))
			continue;
		sum += strlen(f.name);
		for (unsigned k = 0; k < 9; k++)
			sum += gi_func_funcdata(&f, k);
		for (unsigned k = 0; k < 6; k++)
			gi_func_pcdata_each(&f, k, count_run, &f);
		for (unsigned k = GI_PCTABLE_SP; k <= GI_PCTABLE_LINE; k++)
			gi_func_pcdata_each(&f, k, count_run, &f);
		gi_func_inline_each(&f, count_inline, &f);
		uint64_t size = f.end - f.entry;
		for (uint64_t k = 0; k < 8; k++)
			exercise_pc(ft, cache, f.entry + size / 8 * k);
		exercise_pc(ft, cache, f.end - 1);
		must(gi_functab_find_name(ft, f.name, &g) && !strcmp(f.name, g.name),
		     "a function that its name does not find");
	}
	exercise_pc(ft, cache, mod->pcs.start);
	exercise_pc(ft, cache, mod->pcs.end);
	exercise_pc(ft, cache, mod->pcs.start - 1);
	exercise_pc(ft, cache, UINT64_MAX);
	exercise_pc(ft, cache, 0);
	gi_pccache_destroy(cache);
}

// Function tables of Go modules.
//
// The linker writes, for each module, a table `ftab` of (entry offset, record offset)
// pairs, sorted by entry, ended by a pair that only says where the text ends. Entries are
// offsets from moduledata.text; with several text sections (external linking of huge
// programs) they are offsets in the text as first laid out, and textsectmap says where
// each section went. Record offsets lead into pclntable, to a _func: fixed fields, then
// npcdata offsets of pc-value tables (in pctab), then nfuncdata offsets of func data
// (from moduledata.gofunc). Names are NUL-terminated strings in funcnametab; a file
// number of a compilation unit goes through cutab (at _func.cuOffset + number) to an
// offset in filetab.
//
// The format is told by the magic of pcHeader: 0xfffffff0 (Go 1.18, 1.19) and 0xfffffff1
// (1.20 to at least 1.27), the latter with a start line before the last word of the fixed
// part. pcHeader.textStart is not used: from 1.26 on it is not written. Sources:
// src/runtime/symtab.go, runtime2.go (_func), cmd/link/internal/ld/pcln.go, Go 1.18
// to 1.27.
//
// Invariants: all tables are views (or copies) of known size, string tables end in NUL,
// and ftab is sorted; records are checked when they are looked at.

#include <stdlib.h>
#include <string.h>

#include "symbols_impl.h"

enum {
	MAGIC_118 = 0xfffffff0,
	MAGIC_120 = 0xfffffff1,
	FTAB_ENTRY = 8,
	FUNC_SIZE_118 = 40,
	FUNC_SIZE_120 = 44,
	TEXTSECT_SIZE = 24,
	TEXTSECT_MAX = 4096,
	MAX_PROBES = 1024,
	TABLE_MAX = 1 << 30, // of a table that has to be copied
	FUNCDATA_NONE = 0xffffffff,
};

const char *gi_modtab_string(const struct gi_blob *tab, uint64_t off)
{
	return off < tab->n ? (const char *)tab->p + off : NULL;
}

// --- opening ----------------------------------------------------------------

static struct gi_error *table_view(struct gi_functab *ft, const struct gi_slice *s,
				   size_t elem, const char *name, struct gi_blob *ret)
{
	struct gi_error *err;

	if (!s->len || !s->ptr || s->len > SIZE_MAX / elem ||
	    s->len * elem > UINT64_MAX - s->ptr)
		return gi_error_at(GI_ERR_FORMAT, s->ptr,
				   "module data: %s (0x%llx, length %llu) is not a table",
				   name, (unsigned long long)s->ptr,
				   (unsigned long long)s->len);
	size_t n = s->len * elem;
	const void *p = gi_target_view(ft->t, s->ptr, n);
	if (p) {
		*ret = (struct gi_blob){p, n};
		return NULL;
	}
	// The table lies over pages of the core and of the file, or it is not there at
	// all.
	uint8_t last;
	err = gi_target_read_u8(ft->t, s->ptr + n - 1, &last);
	if (err)
		return gi_error_wrap(err, "module data: %s", name);
	if (n > TABLE_MAX)
		return gi_error_at(GI_ERR_FORMAT, s->ptr,
				   "module data: %s is too large (%zu bytes)", name, n);
	err = gi_grow(&ft->owned, &ft->owned_cap, ft->owned_len + 1, sizeof(*ft->owned));
	if (err)
		return err;
	void *copy = malloc(n);
	if (!copy)
		return gi_error_nomem();
	ft->owned[ft->owned_len++] = copy;
	err = gi_target_read(ft->t, s->ptr, copy, n);
	if (err)
		return gi_error_wrap(err, "module data: %s", name);
	*ret = (struct gi_blob){copy, n};
	return NULL;
}

// Cuts a string table behind its last NUL, so that each offset in it is of a string.
static void table_end_strings(struct gi_blob *tab)
{
	const uint8_t *last = memrchr(tab->p, 0, tab->n);
	tab->n = last ? (size_t)(last - tab->p) + 1 : 0;
}

static struct gi_error *modtab_read_sects(struct gi_functab *ft, struct gi_modtab *mt)
{
	const struct gi_slice *s = &mt->mod.textsectmap;
	if (s->len <= 1)
		return NULL;
	if (s->len > TEXTSECT_MAX)
		return gi_error_at(GI_ERR_FORMAT, s->ptr,
				   "module data: %llu text sections",
				   (unsigned long long)s->len);
	struct gi_blob b;
	struct gi_error *err = table_view(ft, s, TEXTSECT_SIZE, "textsectmap", &b);
	if (err)
		return err;
	mt->sects = calloc(s->len, sizeof(*mt->sects));
	if (!mt->sects)
		return gi_error_nomem();
	mt->nsect = s->len;
	for (size_t i = 0; i < mt->nsect; i++) {
		const uint8_t *p = b.p + i * TEXTSECT_SIZE;
		mt->sects[i] = (struct gi_textsect){gi_load_u64(p), gi_load_u64(p + 8),
						    gi_load_u64(p + 16)};
		if (mt->sects[i].end < mt->sects[i].vaddr)
			return gi_error_at(
				GI_ERR_FORMAT, s->ptr,
				"module data: text section %zu ends before it starts", i);
	}
	return NULL;
}

// Offset in the text to run-time address.
static uint64_t modtab_text_addr(const struct gi_modtab *mt, uint32_t off)
{
	for (size_t i = 0; i < mt->nsect; i++) {
		const struct gi_textsect *s = &mt->sects[i];
		bool last = i == mt->nsect - 1;
		if (off >= s->vaddr && (off < s->end || (last && off == s->end)))
			return s->base + (off - s->vaddr);
	}
	return mt->mod.text.start + off;
}

static bool modtab_text_off(const struct gi_modtab *mt, uint64_t pc, uint32_t *ret)
{
	uint64_t off = pc - mt->mod.text.start;
	if (mt->nsect) {
		size_t i = 0;
		for (; i < mt->nsect; i++) {
			const struct gi_textsect *s = &mt->sects[i];
			if (pc >= s->base && pc - s->base < s->end - s->vaddr)
				break;
		}
		if (i == mt->nsect)
			return false;
		off = pc - mt->sects[i].base + mt->sects[i].vaddr;
	}
	if (off > UINT32_MAX)
		return false;
	*ret = (uint32_t)off;
	return true;
}

static uint32_t ftab_entry(const struct gi_modtab *mt, size_t i)
{
	return gi_load_u32(mt->ftab.p + i * FTAB_ENTRY);
}

static struct gi_error *modtab_open(struct gi_functab *ft, struct gi_modtab *mt)
{
	const struct gi_module *m = &mt->mod;
	struct gi_error *err;

	uint8_t hdr[8];
	err = gi_target_read(ft->t, m->pc_header, hdr, sizeof(hdr));
	if (err)
		return gi_error_wrap(err, "pclntab header");
	uint32_t magic = gi_load_u32(hdr);
	if (magic == (uint32_t)MAGIC_118)
		mt->format = GI_PCLN_118;
	else if (magic == (uint32_t)MAGIC_120)
		mt->format = GI_PCLN_120;
	else
		return gi_error_at(
			GI_ERR_UNSUPPORTED, m->pc_header,
			"pclntab of an unknown format (magic 0x%x): supported are Go "
			"1.18 and later",
			magic);
	mt->quantum = hdr[6];
	bool quantum_ok = mt->quantum == 1 || mt->quantum == 2 || mt->quantum == 4;
	if (hdr[4] || hdr[5] || hdr[7] != 8 || !quantum_ok)
		return gi_error_at(GI_ERR_FORMAT, m->pc_header,
				   "pclntab header is damaged");

	err = table_view(ft, &m->ftab, FTAB_ENTRY, "ftab", &mt->ftab);
	if (!err)
		err = table_view(ft, &m->pclntable, 1, "pclntable", &mt->pcln);
	if (!err)
		err = table_view(ft, &m->funcnametab, 1, "funcnametab", &mt->funcname);
	if (!err)
		err = table_view(ft, &m->cutab, 4, "cutab", &mt->cutab);
	if (!err)
		err = table_view(ft, &m->filetab, 1, "filetab", &mt->filetab);
	if (!err)
		err = table_view(ft, &m->pctab, 1, "pctab", &mt->pctab);
	if (!err)
		err = modtab_read_sects(ft, mt);
	if (err)
		return err;
	table_end_strings(&mt->funcname);
	table_end_strings(&mt->filetab);

	mt->nfunc = m->ftab.len - 1;
	if (mt->nfunc > UINT32_MAX / 2)
		return gi_error_at(GI_ERR_FORMAT, m->ftab.ptr,
				   "ftab: too many functions");
	// The runtime checks the same at start: a program with other tables cannot have
	// run.
	for (size_t i = 0; i < mt->nfunc; i++) {
		if (ftab_entry(mt, i) > ftab_entry(mt, i + 1))
			return gi_error_at(GI_ERR_FORMAT, m->ftab.ptr + i * FTAB_ENTRY,
					   "ftab is not sorted at entry %zu", i);
	}
	uint64_t min = modtab_text_addr(mt, ftab_entry(mt, 0));
	uint64_t max = modtab_text_addr(mt, ftab_entry(mt, mt->nfunc));
	if (min != m->pcs.start || max != m->pcs.end)
		return gi_error_at(
			GI_ERR_FORMAT, m->ftab.ptr,
			"ftab covers 0x%llx-0x%llx, but the module says 0x%llx-0x%llx",
			(unsigned long long)min, (unsigned long long)max,
			(unsigned long long)m->pcs.start, (unsigned long long)m->pcs.end);
	return NULL;
}

struct gi_error *gi_functab_create(struct gi_target *t, const struct gi_module *mods,
				   size_t n, struct gi_functab **ret)
{
	struct gi_functab *ft = calloc(1, sizeof(*ft));
	if (!ft)
		return gi_error_nomem();
	pthread_mutex_init(&ft->lock, NULL);
	ft->t = t;
	ft->wrapper_id = -1;
	ft->mods = calloc(n ? n : 1, sizeof(*ft->mods));
	struct gi_error *err = ft->mods ? NULL : gi_error_nomem();
	for (size_t i = 0; !err && i < n; i++) {
		struct gi_modtab *mt = &ft->mods[ft->nmod++];
		mt->mod = mods[i];
		err = modtab_open(ft, mt);
		ft->nfunc += mt->nfunc;
	}
	if (err) {
		gi_functab_destroy(ft);
		return err;
	}
	*ret = ft;
	return NULL;
}

void gi_functab_destroy(struct gi_functab *ft)
{
	if (!ft)
		return;
	for (size_t i = 0; i < ft->nmod; i++)
		free(ft->mods[i].sects);
	free(ft->mods);
	for (size_t i = 0; i < ft->owned_len; i++)
		free(ft->owned[i]);
	free(ft->owned);
	free(ft->names);
	pthread_mutex_destroy(&ft->lock);
	free(ft);
}

// --- functions --------------------------------------------------------------

static size_t func_fixed_size(const struct gi_modtab *mt)
{
	return mt->format >= GI_PCLN_120 ? FUNC_SIZE_120 : FUNC_SIZE_118;
}

static bool modtab_func(const struct gi_functab *ft, const struct gi_modtab *mt, size_t i,
			struct gi_func *ret)
{
	uint32_t entry_off = ftab_entry(mt, i);
	size_t off = gi_load_u32(mt->ftab.p + i * FTAB_ENTRY + 4);
	size_t fixed = func_fixed_size(mt);
	if (!gi_in_bounds(off, fixed, mt->pcln.n))
		return false;
	const uint8_t *p = mt->pcln.p + off;
	const uint8_t *last = p + fixed - 4; // funcID, flag, pad, nfuncdata
	if (gi_load_u32(p) != entry_off)
		return false;

	struct gi_func f = {
		.tab = ft,
		.mod = &mt->mod,
		.args = gi_load_u32(p + 8),
		.deferreturn = gi_load_u32(p + 12),
		.pcsp = gi_load_u32(p + 16),
		.pcfile = gi_load_u32(p + 20),
		.pcln = gi_load_u32(p + 24),
		.npcdata = gi_load_u32(p + 28),
		.cu_offset = gi_load_u32(p + 32),
		.start_line = mt->format >= GI_PCLN_120 ? gi_load_u32(p + 36) : 0,
		.func_id = last[0],
		.flag = last[1],
		.nfuncdata = last[3],
		.tail = p + fixed,
	};
	size_t left = mt->pcln.n - off - fixed;
	if (f.npcdata > left / 4 || f.nfuncdata > left / 4 - f.npcdata)
		return false;
	f.name = gi_modtab_string(&mt->funcname, gi_load_u32(p + 4));
	if (!f.name)
		return false;

	uint32_t end_off = ftab_entry(mt, i + 1);
	f.entry = modtab_text_addr(mt, entry_off);
	f.end = f.entry + (end_off - entry_off);
	// The last function of a text section ends with it, not at the next section.
	for (size_t k = 0; k < mt->nsect; k++) {
		const struct gi_textsect *s = &mt->sects[k];
		if (entry_off >= s->vaddr && entry_off < s->end && end_off > s->end)
			f.end = f.entry + (s->end - entry_off);
	}
	*ret = f;
	return true;
}

bool gi_functab_find(const struct gi_functab *ft, uint64_t pc, struct gi_func *ret)
{
	for (size_t k = 0; k < ft->nmod; k++) {
		const struct gi_modtab *mt = &ft->mods[k];
		uint32_t off;
		if (pc < mt->mod.pcs.start || pc >= mt->mod.pcs.end)
			continue;
		if (!modtab_text_off(mt, pc, &off))
			continue;
		if (off < ftab_entry(mt, 0) || off >= ftab_entry(mt, mt->nfunc))
			continue;
		// The last entry at or before off: of functions at one address all but
		// the last are empty.
		size_t lo = 0, hi = mt->nfunc;
		while (hi - lo > 1) {
			size_t mid = lo + (hi - lo) / 2;
			if (ftab_entry(mt, mid) <= off)
				lo = mid;
			else
				hi = mid;
		}
		struct gi_func f;
		if (!modtab_func(ft, mt, lo, &f) || pc < f.entry || pc >= f.end)
			return false;
		*ret = f;
		return true;
	}
	return false;
}

size_t gi_functab_count(const struct gi_functab *ft)
{
	return ft->nfunc;
}

bool gi_functab_func(const struct gi_functab *ft, size_t i, struct gi_func *ret)
{
	for (size_t k = 0; k < ft->nmod; k++) {
		if (i < ft->mods[k].nfunc)
			return modtab_func(ft, &ft->mods[k], i, ret);
		i -= ft->mods[k].nfunc;
	}
	return false;
}

uint64_t gi_func_funcdata(const struct gi_func *f, unsigned i)
{
	if (i >= f->nfuncdata)
		return 0;
	uint32_t off = gi_load_u32(f->tail + 4 * ((size_t)f->npcdata + i));
	return off == (uint32_t)FUNCDATA_NONE ? 0 : f->mod->gofunc + off;
}

// --- by name ----------------------------------------------------------------

// Autogenerated functions (method wrappers, equality and hash functions, ABI wrappers)
// have the last function id of every release, so the highest one that occurs is theirs.
static int functab_max_id(const struct gi_functab *ft)
{
	int max = 0;
	for (size_t k = 0; k < ft->nmod; k++) {
		const struct gi_modtab *mt = &ft->mods[k];
		size_t fixed = func_fixed_size(mt);
		for (size_t i = 0; i < mt->nfunc; i++) {
			size_t off = gi_load_u32(mt->ftab.p + i * FTAB_ENTRY + 4);
			if (gi_in_bounds(off, fixed, mt->pcln.n) &&
			    mt->pcln.p[off + fixed - 4] > max)
				max = mt->pcln.p[off + fixed - 4];
		}
	}
	return max;
}

// Eight bytes at a time: names are long, and all of a program's are hashed.
static uint32_t name_hash(const char *s)
{
	size_t n = strlen(s);
	uint64_t h = n;
	for (; n >= 8; n -= 8, s += 8) {
		h = (h ^ gi_load_u64(s)) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	uint64_t rest = 0;
	for (size_t i = 0; i < n; i++)
		rest = rest << 8 | (uint8_t)s[i];
	h = (h ^ rest) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32);
}

// The slot of a name (its function in *ret), or the free one where it belongs. NULL:
// names that were made to have one hash fill the place; then some are not found by name.
static struct gi_name_slot *name_slot(const struct gi_functab *ft,
				      struct gi_name_slot *names, size_t cap,
				      const char *name, uint32_t hash,
				      struct gi_func *ret)
{
	size_t i = hash & (cap - 1);
	for (size_t k = 0; k < MAX_PROBES; k++, i = (i + 1) & (cap - 1)) {
		if (!names[i].func)
			return &names[i];
		if (names[i].hash == hash &&
		    gi_functab_func(ft, names[i].func - 1, ret) &&
		    !strcmp(ret->name, name))
			return &names[i];
	}
	return NULL;
}

static bool functab_make_names(struct gi_functab *ft)
{
	size_t cap = 64;
	while (cap < ft->nfunc * 2)
		cap *= 2;
	struct gi_name_slot *names = calloc(cap, sizeof(*names));
	if (!names)
		return false;
	for (size_t i = 0; i < ft->nfunc; i++) {
		struct gi_func f, had;
		if (!gi_functab_func(ft, i, &f))
			continue;
		uint32_t hash = name_hash(f.name);
		struct gi_name_slot *slot = name_slot(ft, names, cap, f.name, hash, &had);
		// An ABI wrapper carries the name of what it wraps: the real one wins.
		if (slot && (!slot->func || (had.func_id == ft->wrapper_id &&
					     f.func_id != ft->wrapper_id)))
			*slot = (struct gi_name_slot){name_hash(f.name), (uint32_t)i + 1};
	}
	ft->names = names;
	ft->names_cap = cap;
	return true;
}

int gi_functab_wrapper_id(struct gi_functab *ft)
{
	pthread_mutex_lock(&ft->lock);
	if (ft->wrapper_id < 0)
		ft->wrapper_id = functab_max_id(ft);
	int id = ft->wrapper_id;
	pthread_mutex_unlock(&ft->lock);
	return id;
}

bool gi_functab_find_name(struct gi_functab *ft, const char *name, struct gi_func *ret)
{
	gi_functab_wrapper_id(ft);
	pthread_mutex_lock(&ft->lock);
	bool ok = ft->names_cap || functab_make_names(ft);
	pthread_mutex_unlock(&ft->lock);
	struct gi_func f;
	struct gi_name_slot *slot =
		ok ? name_slot(ft, ft->names, ft->names_cap, name, name_hash(name), &f)
		   : NULL;
	if (!slot || !slot->func)
		return false;
	*ret = f;
	return true;
}

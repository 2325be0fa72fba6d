// Symbols of .symtab or .dynsym, with an index by name and one by address.
//
// The table is read in place. Names are bounded by cutting the string table after
// its last NUL, once: then each offset inside of it is a terminated string.

#include "elf/elf_private.h"

#include <stdlib.h>
#include <string.h>

enum { SYM_SIZE = 24 };

void gi_elf_symtab_deinit(struct elf_symtab *st)
{
	free(st->by_name);
	free(st->by_addr);
}

static bool symtab_find(struct gi_elf *elf, uint32_t type, struct elf_symtab *ret)
{
	for (size_t i = 1; i < elf->shnum; i++) {
		struct elf_section sec = gi_elf_section_header(elf, i);
		if (sec.type != type || sec.entsize != SYM_SIZE || sec.link >= elf->shnum)
			continue;
		size_t size, strings_size;
		const uint8_t *syms = gi_elf_section_bytes(elf, &sec, &size);
		struct elf_section str = gi_elf_section_header(elf, sec.link);
		const uint8_t *strings = gi_elf_section_bytes(elf, &str, &strings_size);
		if ((sec.flags | str.flags) & SHF_COMPRESSED)
			continue;
		while (strings_size && strings[strings_size - 1])
			strings_size--;
		size_t count = gi_min_u64(size / SYM_SIZE, UINT32_MAX - 1);
		if (count < 2 || !strings_size)
			continue;
		ret->syms = syms;
		ret->count = count;
		ret->strings = (const char *)strings;
		ret->strings_size = strings_size;
		return true;
	}
	return false;
}

static void symtab_load(struct gi_elf *elf)
{
	if (elf->symtab.loaded)
		return;
	elf->symtab.loaded = true;
	if (!symtab_find(elf, SHT_SYMTAB, &elf->symtab))
		symtab_find(elf, SHT_DYNSYM, &elf->symtab);
}

static struct gi_elf_symbol symbol_decode(const struct elf_symtab *st, size_t i, bool *defined_ret)
{
	const uint8_t *p = st->syms + i * SYM_SIZE;
	uint32_t name = gi_load_u32(p);
	*defined_ret = gi_load_u16(p + 6) != SHN_UNDEF;
	return (struct gi_elf_symbol){
		.name = name < st->strings_size ? st->strings + name : "",
		.type = p[4] & 0xf,
		.bind = p[4] >> 4,
		.value = gi_load_u64(p + 8),
		.size = gi_load_u64(p + 16),
	};
}

size_t gi_elf_symbol_count(struct gi_elf *elf)
{
	pthread_mutex_lock(&elf->lock);
	symtab_load(elf);
	pthread_mutex_unlock(&elf->lock);
	return elf->symtab.count;
}

bool gi_elf_symbol(struct gi_elf *elf, size_t i, struct gi_elf_symbol *ret)
{
	if (i >= gi_elf_symbol_count(elf))
		return false;
	bool defined;
	*ret = symbol_decode(&elf->symtab, i, &defined);
	return true;
}

static uint32_t hash_name(const char *s)
{
	uint32_t h = 2166136261u;
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

static bool has_place(const struct gi_elf_symbol *sym)
{
	return sym->type != STT_SECTION && sym->type != STT_FILE;
}

static void index_names(struct elf_symtab *st)
{
	st->names_indexed = true;
	size_t cap = 64;
	while (cap < st->count * 2)
		cap *= 2;
	uint32_t *slots = calloc(cap, sizeof(*slots));
	if (!slots)
		return;
	for (size_t i = 1; i < st->count; i++) {
		bool defined;
		struct gi_elf_symbol sym = symbol_decode(st, i, &defined);
		if (!defined || !has_place(&sym) || !sym.name[0])
			continue;
		size_t at = hash_name(sym.name) & (cap - 1);
		bool known = false;
		for (; slots[at]; at = (at + 1) & (cap - 1)) {
			bool d;
			struct gi_elf_symbol old = symbol_decode(st, slots[at] - 1, &d);
			if (strcmp(old.name, sym.name) != 0)
				continue;
			// The first of a name stays, but a global one beats file-local ones.
			known = old.bind != STB_LOCAL || sym.bind == STB_LOCAL;
			break;
		}
		if (!known)
			slots[at] = (uint32_t)i + 1;
	}
	st->by_name = slots;
	st->by_name_cap = cap;
}

bool gi_elf_symbol_by_name(struct gi_elf *elf, const char *name, struct gi_elf_symbol *ret)
{
	struct elf_symtab *st = &elf->symtab;
	pthread_mutex_lock(&elf->lock);
	symtab_load(elf);
	if (!st->names_indexed)
		index_names(st);
	pthread_mutex_unlock(&elf->lock);
	if (!st->by_name)
		return false;
	size_t mask = st->by_name_cap - 1;
	for (size_t at = hash_name(name) & mask; st->by_name[at]; at = (at + 1) & mask) {
		bool defined;
		struct gi_elf_symbol sym = symbol_decode(st, st->by_name[at] - 1, &defined);
		if (strcmp(sym.name, name) == 0) {
			*ret = sym;
			return true;
		}
	}
	return false;
}

static bool has_dynamic(struct gi_elf *elf, const char *name, bool want_defined)
{
	struct elf_symtab st = { 0 };
	if (!symtab_find(elf, SHT_DYNSYM, &st))
		return false;
	for (size_t i = 1; i < st.count; i++) {
		bool defined;
		struct gi_elf_symbol sym = symbol_decode(&st, i, &defined);
		if (defined == want_defined && strcmp(sym.name, name) == 0)
			return true;
	}
	return false;
}

bool gi_elf_imports(struct gi_elf *elf, const char *name)
{
	return has_dynamic(elf, name, false);
}

bool gi_elf_exports(struct gi_elf *elf, const char *name)
{
	return has_dynamic(elf, name, true);
}

static int by_addr_cmp(const void *a, const void *b)
{
	const struct elf_by_addr *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	// Of two at one place the shorter comes last, and so is found first.
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	return x->symbol < y->symbol ? 1 : -1;
}

// Assembly that does not say how long its functions are: up to the next symbol. *end_ret is where
// the section ends. Not: the marks that arm64's assembler ("$x") and Go's linker set.
static bool is_unsized_code(struct gi_elf *elf, const struct elf_symtab *st, size_t i,
			    const struct gi_elf_symbol *sym, uint64_t *end_ret)
{
	uint16_t index = gi_load_u16(st->syms + i * SYM_SIZE + 6);

	if ((sym->type != STT_NOTYPE && sym->type != STT_FUNC) || !sym->name[0] ||
	    sym->name[0] == '$' || !strcmp(sym->name, "runtime.text") ||
	    !strcmp(sym->name, "runtime.etext") || index >= elf->shnum)
		return false;
	struct elf_section sec = gi_elf_section_header(elf, index);
	if (!(sec.flags & SHF_EXECINSTR) || sym->value < sec.addr ||
	    sym->value - sec.addr >= sec.size || sec.size > UINT64_MAX - sec.addr)
		return false;
	*end_ret = sec.addr + sec.size;
	return true;
}

// v is sorted. Entries without a size of their own end where the next one begins, and are
// dropped where one with a size is. Returns how many stay.
static size_t end_unsized(const struct elf_symtab *st, struct elf_by_addr *v, size_t n)
{
	uint64_t covered = 0; // by those with a size, up to here
	size_t kept = 0;
	for (size_t i = 0; i < n;) {
		size_t end = i;
		bool sized = v[i].start < covered, defined;
		for (; end < n && v[end].start == v[i].start; end++) {
			if (!symbol_decode(st, v[end].symbol, &defined).size)
				continue;
			sized = true;
			covered = gi_max_u64(covered, v[end].end);
		}
		uint64_t next = end < n ? v[end].start : UINT64_MAX;
		for (; i < end; i++) {
			if (!symbol_decode(st, v[i].symbol, &defined).size) {
				if (sized)
					continue;
				v[i].end = gi_min_u64(v[i].end, next);
			}
			v[kept++] = v[i];
		}
	}
	return kept;
}

static void index_addrs(struct gi_elf *elf)
{
	struct elf_symtab *st = &elf->symtab;
	st->addrs_indexed = true;
	struct elf_by_addr *v = calloc(st->count ? st->count : 1, sizeof(*v));
	if (!v)
		return;
	size_t n = 0;
	for (size_t i = 1; i < st->count; i++) {
		bool defined;
		struct gi_elf_symbol sym = symbol_decode(st, i, &defined);
		if (!defined || !has_place(&sym) || sym.type == STT_TLS ||
		    sym.size > UINT64_MAX - sym.value)
			continue;
		uint64_t end = sym.value + sym.size;
		if (!sym.size && !is_unsized_code(elf, st, i, &sym, &end))
			continue;
		v[n++] = (struct elf_by_addr){
			.start = sym.value,
			.end = end,
			.symbol = (uint32_t)i,
		};
	}
	qsort(v, n, sizeof(*v), by_addr_cmp);
	n = end_unsized(st, v, n);
	uint64_t max_end = 0;
	for (size_t i = 0; i < n; i++) {
		max_end = gi_max_u64(max_end, v[i].end);
		v[i].max_end = max_end;
	}
	st->by_addr = v;
	st->by_addr_count = n;
}

bool gi_elf_symbol_by_addr(struct gi_elf *elf, uint64_t addr, struct gi_elf_symbol *ret)
{
	struct elf_symtab *st = &elf->symtab;
	pthread_mutex_lock(&elf->lock);
	symtab_load(elf);
	if (!st->addrs_indexed)
		index_addrs(elf);
	pthread_mutex_unlock(&elf->lock);

	size_t lo = 0, hi = st->by_addr_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (st->by_addr[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	// Symbols may nest: walk back for as long as an earlier one may reach addr.
	for (; lo > 0 && st->by_addr[lo - 1].max_end > addr; lo--) {
		const struct elf_by_addr *e = &st->by_addr[lo - 1];
		if (addr < e->end) {
			bool defined;
			*ret = symbol_decode(st, e->symbol, &defined);
			return true;
		}
	}
	return false;
}

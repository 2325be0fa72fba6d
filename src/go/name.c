// Names of data addresses, and what pointers in globals point to: by debug information, or by
// symbols.

#include "gcore/type.h"

#include <elf.h>
#include <string.h>

#include "gcore/record.h"
#include "go/go_impl.h"

// Symbols of functions and of whole sections ("runtime.rodata") name no variable.
static bool symbol_name_at(struct gi_elf *elf, uint64_t addr, struct gi_str *ret)
{
	struct gi_elf_symbol sym;

	if (!elf || !gi_elf_symbol_by_addr(elf, addr, &sym) || sym.type != STT_OBJECT ||
	    !sym.name)
		return false;
	gi_str_puts(ret, sym.name);
	if (addr > sym.value) {
		gi_str_putc(ret, '+');
		gi_str_put_hex(ret, addr - sym.value);
	}
	return true;
}

static bool in_data(const struct gi_go *go, uint64_t addr)
{
	for (size_t i = 0; i < go->module_count; i++) {
		const struct gi_module *m = &go->modules[i];
		const struct gi_range r[] = {m->noptrdata, m->data, m->bss, m->noptrbss};

		for (size_t k = 0; k < GI_ARRAY_SIZE(r); k++) {
			if (addr >= r[k].start && addr < r[k].end)
				return true;
		}
	}
	return false;
}

// Debug information of the file elf, made on first use; NULL if there is none.
static struct gi_dwarf *dwarf_of(struct gi_go *go, struct gi_elf *elf)
{
	struct gi_dwarf *dwarf = NULL;
	struct gi_error *err;

	for (size_t i = 0; i < go->file_count; i++) {
		if (go->files[i].elf == elf)
			return go->files[i].dwarf;
	}
	err = gi_grow(&go->files, &go->file_cap, go->file_count + 1, sizeof(*go->files));
	if (!err) {
		gi_error_ignore(gi_dwarf_open(elf, &dwarf));
		go->files[go->file_count++] = (struct gi_go_file){.elf = elf, .dwarf = dwarf};
	}
	gi_error_ignore(err);
	return dwarf;
}

struct gi_dwarf *gi_go_dwarf_at(struct gi_go *go, uint64_t pc, uint64_t *bias_ret)
{
	struct gi_elf *elf = gi_target_elf_at(go->target, pc, bias_ret);

	if (!elf || elf == gi_target_exe(go->target)) {
		*bias_ret = gi_target_exe_bias(go->target);
		return go->dwarf;
	}
	elf = gi_target_debug_elf_at(go->target, pc, bias_ret);
	return elf ? dwarf_of(go, elf) : NULL;
}

/** The files that name addr, and what to take off it. */
struct naming {
	struct gi_elf *elf, *debug;
	struct gi_dwarf *dwarf; // NULL: none
	uint64_t bias;
};

static bool naming_of(struct gi_go *go, uint64_t addr, struct naming *ret)
{
	struct gi_elf *exe = gi_target_exe(go->target);
	uint64_t bias;

	if (!in_data(go, addr))
		return false;
	ret->elf = gi_target_elf_at(go->target, addr, &bias);
	ret->dwarf = go->dwarf;
	if (!ret->elf || ret->elf == exe) {
		ret->elf = exe;
		bias = gi_target_exe_bias(go->target);
		ret->debug = gi_target_debug_elf(go->target);
	} else {
		ret->debug = gi_target_debug_elf_at(go->target, addr, &bias);
		ret->dwarf = dwarf_of(go, ret->debug);
	}
	ret->bias = bias;
	return true;
}

static void cut(struct gi_str *s, size_t len)
{
	s->len = len;
	if (s->s)
		s->s[len] = '\0';
}

// --- what pointers point to ---------------------------------------------------------------

/** The same type by two names: debug information has the whole import path, and the type
 * arguments as the program has them. */
static bool same_name(struct gi_go *go, const struct gi_type *type, const char *name)
{
	_cleanup_(gi_str_deinit) struct gi_str own = {0};
	const char *end = strchr(name, '['), *slash;

	gi_type_name(go, type, &own);
	if (end == name) // []T, [3]T, ...
		return own.len && own.s[0] == '[';
	size_t n = end ? (size_t)(end - name) : strlen(name);
	slash = memrchr(name, '/', n);
	if (slash) {
		n -= (size_t)(slash + 1 - name);
		name = slash + 1;
	}
	return own.len >= n && memcmp(own.s, name, n) == 0;
}

/** Debug information has a descriptor as its place among the module's types. */
static bool type_by_debug(struct gi_go *go, const struct gi_dwarf_pointee *p, struct gi_type *ret)
{
	for (size_t i = 0; i < go->module_count; i++) {
		const struct gi_module *m = &go->modules[i];
		if (p->runtime_type < m->types.end - m->types.start &&
		    gi_type_read(go, m->types.start + p->runtime_type, ret) &&
		    same_name(go, ret, p->name))
			return true;
	}
	return false;
}

static bool pointee_by_debug(struct gi_go *go, uint64_t addr, struct gi_str *path,
			     struct gi_type_pointee *ret)
{
	struct gi_dwarf_pointee p;
	struct naming n;
	size_t len = path->len;

	if (!naming_of(go, addr, &n) || !n.dwarf)
		return false;
	struct gi_error *err = gi_dwarf_pointee_at(n.dwarf, addr - n.bias, path, &p);
	if (err) {
		gi_error_ignore(err);
		cut(path, len);
		return false;
	}
	*ret = (struct gi_type_pointee){.array = p.array, .header = p.header, .dynamic = p.dynamic};
	if (p.dynamic)
		return true;
	return p.runtime_type && type_by_debug(go, &p, &ret->type);
}

// --- what has no name of its own -----------------------------------------------------------

// Of "var srv = &server{}" and "var all = []conn{{}}" the compiler lays out what is pointed to in
// the data as well, without a name, or with one of its own making: it is known by the global that
// points to it.
enum { MAX_STATIC = 1 << 16 }; // how far inside of such a thing an address is looked for

static bool is_made_up(const struct gi_str *name, size_t from)
{
	return name->len > from && strstr(name->s + from, "..stmp_");
}

/** Where in what a global points to an address is. */
struct laid_out {
	struct gi_type type;
	uint64_t off;
};

/** The word at points to target: does addr, not before that, lie in it? Appends the way. */
static bool lies_in(struct gi_go *go, uint64_t at, uint64_t target, uint64_t addr,
		    struct gi_str *path, struct laid_out *ret)
{
	uint64_t off = addr - target, n = 1;
	size_t len = path->len;
	struct gi_type_pointee p;

	if (!pointee_by_debug(go, at, path, &p) || p.header || p.dynamic || !p.type.size)
		goto no;
	if (p.array) {
		if (!gi_target_peek_u64(go->target, at + 8, &n))
			goto no;
		gi_str_printf(path, "[%llu]", (unsigned long long)(off / p.type.size));
	}
	if (off / p.type.size >= n)
		goto no;
	*ret = (struct laid_out){p.type, off % p.type.size};
	return true;
no:
	cut(path, len);
	return false;
}

static bool pointer_in(struct gi_go *go, struct gi_range r, uint64_t addr, struct gi_str *path,
		       struct laid_out *ret)
{
	struct gi_target *t = go->target;
	uint64_t at = (r.start + 7) & ~UINT64_C(7);

	while (at < r.end && r.end - at >= 8) {
		const unsigned char *words;
		size_t n;

		// Of what is searched a mini dump needs the word that is found.
		gi_target_record_pause(t);
		words = gi_target_view_max(t, at, (size_t)(r.end - at), &n);
		gi_target_record_resume(t);
		if (!words || n < 8) { // the next page may be there
			at = (at | 4095) + 1;
			continue;
		}
		for (size_t i = 0; i + 8 <= n; i += 8) {
			uint64_t v = gi_load_u64(words + i);

			if (v > addr || addr - v > MAX_STATIC ||
			    !lies_in(go, at + i, v, addr, path, ret))
				continue;
			gi_target_record_found(t, at + i, 8);
			return true;
		}
		at += n & ~(size_t)7;
	}
	return false;
}

static bool find_laid_out(struct gi_go *go, uint64_t addr, struct gi_str *path,
			  struct laid_out *ret)
{
	if (!go->dwarf)
		return false;
	for (size_t i = 0; i < go->module_count; i++) {
		if (pointer_in(go, go->modules[i].data, addr, path, ret) ||
		    pointer_in(go, go->modules[i].bss, addr, path, ret))
			return true;
	}
	return false;
}

// --- both ---------------------------------------------------------------------------------

bool gi_go_name_at(struct gi_go *go, uint64_t addr, const char *want_type, struct gi_str *ret)
{
	struct naming n;
	size_t len = ret->len;
	bool named;

	if (!naming_of(go, addr, &n))
		return false;
	if (n.dwarf) {
		struct gi_error *err = gi_dwarf_name_at(n.dwarf, addr - n.bias, want_type, ret);
		if (!err)
			return true;
		gi_error_ignore(err);
	}
	cut(ret, len);
	named = symbol_name_at(n.debug, addr - n.bias, ret) ||
		symbol_name_at(n.elf, addr - n.bias, ret);
	if (!n.dwarf || (named && !is_made_up(ret, len)))
		return named;
	_cleanup_(gi_str_deinit) struct gi_str way = {0};
	struct laid_out o;
	struct gi_type type;
	uint64_t rest;
	if (!find_laid_out(go, addr, &way, &o) ||
	    !gi_type_at(go, &o.type, o.off, want_type, &way, &type, &rest) || rest)
		return named;
	cut(ret, len);
	gi_str_puts(ret, gi_str_cstr(&way));
	return true;
}

bool gi_go_pointee_at(struct gi_go *go, uint64_t addr, struct gi_str *path,
		      struct gi_type_pointee *ret)
{
	size_t len = path->len;
	struct laid_out o;

	if (pointee_by_debug(go, addr, path, ret))
		return true;
	// A global whose type is not known has a name at least.
	if (path->len > len || !in_data(go, addr))
		return false;
	if (find_laid_out(go, addr, path, &o) && gi_type_pointee(go, &o.type, o.off, path, ret))
		return true;
	cut(path, len);
	return false;
}

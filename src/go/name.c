// Names of data addresses, and what pointers in globals point to: by debug information, or by
// symbols.

#include "gcore/type.h"

#include <elf.h>
#include <string.h>

#include "go/go_impl.h"
#include "go/statics.h"

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

	if (!gi_go_in_data(go, addr))
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

bool gi_go_variable_at(struct gi_go *go, uint64_t addr, struct gi_str *path,
		       struct gi_storage *ret)
{
	struct naming n;
	const char *name;

	if (!naming_of(go, addr, &n) || !n.dwarf)
		return false;
	*ret = (struct gi_storage){.dwarf = n.dwarf};
	struct gi_error *err =
		gi_dwarf_global_at(n.dwarf, addr - n.bias, &name, &ret->by_debug, &ret->start);
	gi_error_ignore(err);
	if (err)
		return false;
	ret->start += n.bias;
	gi_str_puts(path, name);
	return !path->oom;
}

bool gi_go_storage_at(struct gi_go *go, uint64_t addr, struct gi_str *path, struct gi_storage *ret)
{
	return gi_go_variable_at(go, addr, path, ret) ||
	       (gi_go_in_data(go, addr) && gi_statics_find(go, addr, path, ret));
}

bool gi_go_name_at(struct gi_go *go, uint64_t addr, const char *want_type, struct gi_str *ret)
{
	struct gi_storage at;
	struct naming n;
	size_t len = ret->len;

	if (!naming_of(go, addr, &n))
		return false;
	if (gi_go_storage_at(go, addr, ret, &at)) {
		const uint64_t off = addr - at.start;
		struct gi_type type;
		uint64_t rest;

		if (at.dwarf && gi_dwarf_path_at(at.dwarf, at.by_debug, off, want_type, ret))
			return true;
		if (!at.dwarf && gi_type_at(go, &at.type, off, want_type, ret, &type, &rest)) {
			if (rest)
				gi_str_printf(ret, "+0x%llx", (unsigned long long)rest);
			return true;
		}
	}
	cut(ret, len);
	return symbol_name_at(n.debug, addr - n.bias, ret) ||
	       symbol_name_at(n.elf, addr - n.bias, ret);
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
bool gi_go_type_by_debug(struct gi_go *go, const struct gi_dwarf_pointee *p, struct gi_type *ret)
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

bool gi_go_pointee_at(struct gi_go *go, uint64_t addr, struct gi_str *path,
		      struct gi_type_pointee *ret)
{
	struct gi_dwarf_pointee p;
	struct gi_storage at;
	size_t len = path->len;

	if (!gi_go_storage_at(go, addr, path, &at) ||
	    (at.dwarf ? !gi_dwarf_pointee_in(at.dwarf, at.by_debug, addr - at.start, path, &p)
		      : !gi_type_pointee(go, &at.type, addr - at.start, path, ret))) {
		cut(path, len);
		return false;
	}
	if (!at.dwarf)
		return true;
	*ret = (struct gi_type_pointee){.array = p.array, .header = p.header, .dynamic = p.dynamic};
	if (p.dynamic)
		return true;
	return p.runtime_type && gi_go_type_by_debug(go, &p, &ret->type);
}

// DWARF: finding types, constants and globals by name.
//
// Only the sections that describe types and variables are handed to libdw, in an ELF
// handle made for it: given the file itself, it would decompress the line tables,
// location lists and frame tables too, which takes longer than all the rest.
//
// Names are found through an index of the units' direct children, made unit by unit as
// names ask for it. Go names its units after packages; the linker puts a package's
// constants and globals into its unit and all types of the program into that of package
// runtime. (A package may have several units of one name.) So a lookup scans the units
// of the name's package first, then, for types, those of the runtime, and only then, if
// the name may be another language's, everything.
// Sources: cmd/link/internal/ld/dwarf.go, cmd/internal/dwarf/dwarf.go, Go 1.18 to 1.27;
// DWARF 4 and 5.
//
// Of a compressed .debug_info only the beginning is unpacked and given to libdw, as many
// whole units as it takes to find a name: the runtime's units and that of the types stand
// early, behind the packages that they need. A name is known to be missing without the
// rest where what is there would hold it: a compiler makes one unit of a package, with
// all of its constants and globals (units of the assembler have neither), and the linker
// one of all Go types. All else needs all units.
//
// dwz shares what is alike between units (in partial units, which others import) and between
// files (in a common file, which the forms of "alt" lead to). Then names are looked for
// everywhere; the common file's units come last in the list.
//
// libdw checks the sections' bounds. What it does not bound, we do: chains of typedefs,
// nesting, numbers of members.

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "dwarf_impl.h"

static const char *const section_names[] = {
	".debug_info", ".debug_abbrev",	     ".debug_str",   ".debug_line_str",
	".debug_addr", ".debug_str_offsets", ".debug_types",
};

enum {
	UNIT_LENGTH_32 = 4, // of a unit's length field
	UNIT_LENGTH_64 = 12,
	FIRST_COVERED = 2 << 20,
};

// --- opening ----------------------------------------------------------------

static struct gi_error *damaged(const struct gi_dwarf *dw)
{
	return gi_error_create(GI_ERR_FORMAT, "%s: debug information is damaged: %s", dw->path,
			       dwarf_errmsg(-1));
}

static struct gi_error *list_units(struct gi_dwarf *dw, bool alt)
{
	struct gi_error *err;
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint8_t type;
	int r;
	size_t n = 0;
	while ((r = dwarf_get_units(alt ? dw->alt : dw->dw, cu, &cu, NULL, &type, &die, NULL)) ==
	       0) {
		uint64_t lang;
		if (dwarf_tag(&die) != DW_TAG_compile_unit &&
		    dwarf_tag(&die) != DW_TAG_partial_unit)
			continue;
		dw->partial |= dwarf_tag(&die) == DW_TAG_partial_unit;
		// Those that a shorter beginning had are in the list.
		if (!alt && n++ < dw->unit_count)
			continue;
		err = gi_grow(&dw->units, &dw->unit_cap, dw->unit_count + 1, sizeof(*dw->units));
		if (err)
			return err;
		const char *name = dwarf_diename(&die);
		dw->units[dw->unit_count++] = (struct gi_dw_unit){
			.name = name ? name : "",
			.die = dwarf_dieoffset(&die),
			.alt = alt,
			.go = gi_dwarf_attr_udata(&die, DW_AT_language, &lang) &&
			      lang == DW_LANG_Go,
		};
		dw->units_left++;
	}
	// Damage after some units leaves these; damage before the first one leaves
	// nothing.
	return r < 0 && !dw->unit_count ? damaged(dw) : NULL;
}

// The common file's handle, without which the main one's names are incomplete.
static struct gi_error *open_alt(struct gi_dwarf *dw)
{
	struct gi_elf *elf = gi_elf_alt(dw->elf);
	if (!elf)
		return NULL;
	struct gi_error *err = gi_elf_subset_open(elf, section_names, GI_ARRAY_SIZE(section_names),
						  NULL, &dw->alt_subset);
	if (err)
		return err;
	dw->alt = dwarf_begin_elf(gi_elf_subset_handle(dw->alt_subset), DWARF_C_READ, NULL);
	dw->partial = true;
	// One that has strings alone has no units.
	return NULL;
}

// Gives libdw the first covered bytes of .debug_info.
static struct gi_error *open_handle(struct gi_dwarf *dw)
{
	if (dw->dw)
		dwarf_end(dw->dw);
	dw->dw = NULL;
	gi_elf_subset_close(dw->subset);
	dw->subset = NULL;
	struct gi_elf_part part = {".debug_info", NULL, dw->covered};
	if (dw->info)
		part.data = gi_elf_stream_data(dw->info);
	struct gi_error *err = gi_elf_subset_open(dw->elf, section_names + (dw->info ? 1 : 0),
						  GI_ARRAY_SIZE(section_names) - (dw->info ? 1 : 0),
						  dw->info ? &part : NULL, &dw->subset);
	if (err)
		return err;
	dw->dw = dwarf_begin_elf(gi_elf_subset_handle(dw->subset), DWARF_C_READ, NULL);
	if (!dw->dw)
		return damaged(dw);
	if (dw->alt)
		dwarf_setalt(dw->dw, dw->alt);
	struct gi_error *listed = list_units(dw, false);
	return listed || !dw->complete || !dw->alt ? listed : list_units(dw, true);
}

// The end of the first unit that ends at or behind target.
static struct gi_error *find_boundary(struct gi_dwarf *dw, size_t target, size_t *ret)
{
	size_t size = gi_elf_stream_size(dw->info), at = dw->covered;
	const uint8_t *data = gi_elf_stream_data(dw->info);
	while (at < target && size - at >= UNIT_LENGTH_64) {
		struct gi_error *err = gi_elf_stream_want(dw->info, at + UNIT_LENGTH_64);
		if (err)
			return err;
		uint64_t n = gi_load_u32(data + at), head = UNIT_LENGTH_32;
		if (n == UINT32_MAX)
			n = gi_load_u64(data + at + UNIT_LENGTH_32), head = UNIT_LENGTH_64;
		// libdw has the last word on what does not fit.
		if (n > size - at - head)
			break;
		at += head + n;
	}
	*ret = at < target || size - at < UNIT_LENGTH_64 ? size : at;
	return NULL;
}

// Covers more units, all if all is set.
static struct gi_error *cover(struct gi_dwarf *dw, bool all)
{
	size_t size = gi_elf_stream_size(dw->info), end = size;
	struct gi_error *err = NULL;
	if (!all) {
		size_t more = gi_max_u64(FIRST_COVERED, dw->covered / 2);
		err = find_boundary(dw, dw->covered + gi_min_u64(more, size - dw->covered), &end);
	}
	if (!err)
		err = gi_elf_stream_want(dw->info, end);
	if (err)
		return err;
	dw->covered = end;
	dw->complete = end == size;
	return open_handle(dw);
}

struct gi_error *gi_dwarf_complete(struct gi_dwarf *dw)
{
	return dw->complete ? NULL : cover(dw, true);
}

struct gi_error *gi_dwarf_open(struct gi_elf *elf, struct gi_dwarf **ret)
{
	if (!gi_elf_has_section(elf, ".debug_info") && !gi_elf_has_section(elf, ".zdebug_info"))
		return gi_error_create(GI_ERR_NOT_FOUND, "%s has no debug information",
				       gi_elf_path(elf));
	struct gi_dwarf *dw = calloc(1, sizeof(*dw));
	if (!dw)
		return gi_error_nomem();
	dw->elf = elf;
	dw->path = gi_elf_path(elf);
	struct gi_error *err = open_alt(dw);
	if (!err)
		err = gi_elf_stream_open(elf, section_names[0], &dw->info);
	if (!err && gi_elf_has_section(elf, ".debug_addr"))
		err = gi_elf_section(elf, ".debug_addr", &dw->addrs, &dw->addrs_size, NULL);
	if (!err && dw->info) {
		err = cover(dw, false);
	} else if (!err) {
		dw->complete = true;
		err = open_handle(dw);
	}
	if (err) {
		gi_dwarf_close(dw);
		return err;
	}
	*ret = dw;
	return NULL;
}

void gi_dwarf_close(struct gi_dwarf *dw)
{
	if (!dw)
		return;
	if (dw->dw)
		dwarf_end(dw->dw);
	gi_elf_subset_close(dw->subset);
	if (dw->alt)
		dwarf_end(dw->alt);
	gi_elf_subset_close(dw->alt_subset);
	gi_elf_stream_close(dw->info);
	free(dw->units);
	free(dw->entries);
	free(dw->buckets);
	free(dw->vars);
	gi_map_deinit(&dw->subs);
	free(dw);
}

// --- the index --------------------------------------------------------------

static size_t name_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3u;
	return (size_t)(h ^ h >> 32);
}

static struct gi_error *index_grow(struct gi_dwarf *dw)
{
	size_t n = dw->bucket_count ? dw->bucket_count * 2 : 4096;
	uint32_t *buckets = calloc(n, sizeof(*buckets));
	if (!buckets)
		return gi_error_nomem();
	for (size_t i = 0; i < dw->entry_count; i++) {
		uint32_t *b = &buckets[name_hash(dw->entries[i].name) & (n - 1)];
		dw->entries[i].next = *b;
		*b = (uint32_t)i + 1;
	}
	free(dw->buckets);
	dw->buckets = buckets;
	dw->bucket_count = n;
	return NULL;
}

static struct gi_error *index_add(struct gi_dwarf *dw, const char *name, Dwarf_Off die, bool alt,
				  enum gi_dw_kind kind)
{
	struct gi_error *err;
	if (dw->entry_count >= UINT32_MAX - 1)
		return NULL;
	if (dw->entry_count >= dw->bucket_count) {
		err = index_grow(dw);
		if (err)
			return err;
	}
	err = gi_grow(&dw->entries, &dw->entry_cap, dw->entry_count + 1, sizeof(*dw->entries));
	if (err)
		return err;
	uint32_t *b = &dw->buckets[name_hash(name) & (dw->bucket_count - 1)];
	dw->entries[dw->entry_count] = (struct gi_dw_entry){name, die, alt, kind, *b};
	*b = (uint32_t)++dw->entry_count;
	return NULL;
}

static bool tag_kind(int tag, enum gi_dw_kind *ret)
{
	switch (tag) {
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_class_type:
	case DW_TAG_typedef:
	case DW_TAG_base_type:
	case DW_TAG_array_type:
	case DW_TAG_enumeration_type:
		*ret = GI_DW_KIND_TYPE;
		return true;
	case DW_TAG_constant:
		*ret = GI_DW_KIND_CONST;
		return true;
	case DW_TAG_variable:
		*ret = GI_DW_KIND_VAR;
		return true;
	}
	return false;
}

static struct gi_error *unit_scan(struct gi_dwarf *dw, struct gi_dw_unit *u)
{
	if (u->scanned)
		return NULL;
	u->scanned = true;
	dw->units_left--;
	Dwarf_Die cu, die;
	if (!dwarf_offdie(u->alt ? dw->alt : dw->dw, u->die, &cu) || dwarf_child(&cu, &die) != 0)
		return NULL;
	unsigned polled = 0;
	do {
		enum gi_dw_kind kind;
		if ((++polled & 0xfff) == 0 && gi_interrupted())
			return gi_interrupt_check();
		if (!tag_kind(dwarf_tag(&die), &kind))
			continue;
		const char *name = dwarf_diename(&die);
		if (!name || dwarf_hasattr(&die, DW_AT_declaration))
			continue;
		struct gi_error *err = index_add(dw, name, dwarf_dieoffset(&die), u->alt, kind);
		if (err)
			return err;
		u->has[kind] = true;
	} while (dwarf_siblingof(&die, &die) == 0);
	return NULL;
}

struct gi_error *gi_dwarf_scan_all(struct gi_dwarf *dw)
{
	struct gi_error *err = gi_dwarf_complete(dw);
	for (size_t i = 0; !err && dw->units_left && i < dw->unit_count; i++)
		err = unit_scan(dw, &dw->units[i]);
	return err;
}

// Scans the units of the first n characters of package as far as they are covered. *found_ret
// if there is one, *holds_ret if one holds names of that kind.
static struct gi_error *scan_package(struct gi_dwarf *dw, const char *package, size_t n,
				     enum gi_dw_kind kind, bool *found_ret, bool *holds_ret)
{
	*found_ret = *holds_ret = false;
	for (size_t i = 0; i < dw->unit_count; i++) {
		struct gi_dw_unit *u = &dw->units[i];
		if (!u->go || strncmp(u->name, package, n) || u->name[n])
			continue;
		*found_ret = true;
		struct gi_error *err = unit_scan(dw, u);
		if (err)
			return err;
		*holds_ret |= u->has[kind];
	}
	return NULL;
}

bool gi_dwarf_entry_die(struct gi_dwarf *dw, const struct gi_dw_entry *e, Dwarf_Die *ret)
{
	return dwarf_offdie(e->alt ? dw->alt : dw->dw, e->die, ret) != NULL;
}

static bool index_find(struct gi_dwarf *dw, const char *name, enum gi_dw_kind kind, Dwarf_Die *ret)
{
	if (!dw->bucket_count)
		return false;
	uint32_t i = dw->buckets[name_hash(name) & (dw->bucket_count - 1)];
	for (; i; i = dw->entries[i - 1].next) {
		const struct gi_dw_entry *e = &dw->entries[i - 1];
		uint64_t addr;
		if (e->kind != kind || strcmp(e->name, name))
			continue;
		if (!gi_dwarf_entry_die(dw, e, ret))
			continue;
		if (kind == GI_DW_KIND_VAR && !gi_dwarf_var_addr(dw, ret, &addr))
			continue;
		return true;
	}
	return false;
}

// The package of a name such as "net/http.Server" and "sync/atomic.Pointer[a/b.T]": it ends
// at the first dot after the last slash before type arguments. 0: none.
size_t gi_dwarf_package_of(const char *name)
{
	size_t n = strcspn(name, "[");
	const char *slash = memrchr(name, '/', n);
	const char *rest = slash ? slash : name;
	const char *dot = memchr(rest, '.', n - (size_t)(rest - name));
	return dot ? (size_t)(dot - name) : 0;
}

static struct gi_error *find_die(struct gi_dwarf *dw, const char *name, enum gi_dw_kind kind,
				 Dwarf_Die *ret)
{
	static const char *const what[] = {"type", "constant", "variable"};
	bool is_type = kind == GI_DW_KIND_TYPE, have = false, holds = false;
	size_t n = gi_dwarf_package_of(name);
	bool is_go = n > 0;

	if (index_find(dw, name, kind, ret))
		return NULL;
	// A turn covers more units; without an end to be seen all of them.
	while (is_type || is_go) {
		const char *package = is_type ? "runtime" : name;
		struct gi_error *err = scan_package(dw, package, is_type ? strlen(package) : n,
						    kind, &have, &holds);
		if (err)
			return err;
		if (have && index_find(dw, name, kind, ret))
			return NULL;
		if ((is_go && holds) || dw->complete)
			break;
		err = cover(dw, false);
		if (err)
			return err;
	}
	// Types of other languages are in units of their own, and so are the constants and
	// globals of a package that has no unit.
	if (dw->partial || (is_type ? !is_go || !holds : !have)) {
		struct gi_error *err = gi_dwarf_scan_all(dw);
		if (err)
			return err;
		if (index_find(dw, name, kind, ret))
			return NULL;
	}
	return gi_error_create(GI_ERR_NOT_FOUND, "no %s %s in the debug information", what[kind],
			       name);
}

// --- lookups ----------------------------------------------------------------

// A type by name. whole: with all units covered. (What refers to a unit that is not
// covered looks like nothing.)
static struct gi_error *find_type(struct gi_dwarf *dw, const char *type, bool whole,
				  struct gi_dw_type *ret)
{
	Dwarf_Die die;
	struct gi_error *err = whole ? gi_dwarf_complete(dw) : NULL;
	if (!err)
		err = find_die(dw, type, GI_DW_KIND_TYPE, &die);
	if (err)
		return err;
	gi_dwarf_type_resolve(&die, NULL, NULL, ret);
	return NULL;
}

struct gi_error *gi_dwarf_sizeof(struct gi_dwarf *dw, const char *type, uint64_t *ret)
{
	struct gi_dw_type t;
	struct gi_error *err = find_type(dw, type, false, &t);
	if (!err && !t.tag && !dw->complete)
		err = find_type(dw, type, true, &t);
	if (err)
		return err;
	if (!t.tag)
		return gi_error_create(GI_ERR_FORMAT, "debug information of type %s is damaged",
				       type);
	*ret = t.size;
	return NULL;
}

// The member name[0..n) of a struct.
static bool struct_member(Dwarf_Die *type, const char *name, size_t n, Dwarf_Die *ret)
{
	Dwarf_Die m;
	if (dwarf_child(type, &m) != 0)
		return false;
	unsigned left = GI_DW_MAX_MEMBERS;
	do {
		const char *s = dwarf_tag(&m) == DW_TAG_member ? dwarf_diename(&m) : NULL;
		if (s && !strncmp(s, name, n) && !s[n]) {
			*ret = m;
			return true;
		}
	} while (--left && dwarf_siblingof(&m, &m) == 0);
	return false;
}

// *unknown_ret: the type of a member on the way is not to be had.
static struct gi_error *find_member(struct gi_dwarf *dw, const char *type, const char *path,
				    bool whole, bool *unknown_ret, struct gi_dwarf_member *ret)
{
	struct gi_dw_type t;
	struct gi_error *err = find_type(dw, type, whole, &t);
	if (err)
		return err;

	uint64_t offset = 0;
	for (const char *p = path;;) {
		size_t n = strcspn(p, ".[");
		Dwarf_Die member, mtype;
		uint64_t off;
		bool is_struct = t.tag == DW_TAG_structure_type || t.tag == DW_TAG_union_type ||
				 t.tag == DW_TAG_class_type;
		*unknown_ret = !t.tag;
		if (!is_struct || !struct_member(&t.die, p, n, &member))
			return gi_error_create(GI_ERR_NOT_FOUND,
					       "type %s has no member %s in the debug information",
					       type, path);
		*unknown_ret = !gi_dwarf_type_of(&member, &mtype);
		if (!gi_dwarf_member_offset(&member, &off) || *unknown_ret)
			return gi_error_create(GI_ERR_FORMAT,
					       "debug information of member %s of %s is damaged",
					       path, type);
		gi_dwarf_type_resolve(&mtype, NULL, NULL, &t);
		offset += off;
		p += n;
		while (!strncmp(p, "[]", 2)) {
			if (t.tag != DW_TAG_array_type || !gi_dwarf_type_of(&t.die, &mtype))
				return gi_error_create(GI_ERR_NOT_FOUND,
						       "member %s of type %s is no array", path,
						       type);
			gi_dwarf_type_resolve(&mtype, NULL, NULL, &t);
			p += 2;
		}
		if (!*p)
			break;
		if (*p++ != '.')
			return gi_error_create(GI_ERR_NOT_FOUND, "%s is no path of a member", path);
	}
	*unknown_ret = !t.tag;
	*ret = (struct gi_dwarf_member){.offset = offset, .size = t.size, .count = t.count};
	return NULL;
}

struct gi_error *gi_dwarf_member(struct gi_dwarf *dw, const char *type, const char *path,
				 struct gi_dwarf_member *ret)
{
	bool unknown = false;
	struct gi_error *err = find_member(dw, type, path, false, &unknown, ret);
	if (!unknown || dw->complete)
		return err;
	gi_error_ignore(err);
	return find_member(dw, type, path, true, &unknown, ret);
}

struct gi_error *gi_dwarf_constant(struct gi_dwarf *dw, const char *name, int64_t *ret)
{
	Dwarf_Die die;
	struct gi_error *err = find_die(dw, name, GI_DW_KIND_CONST, &die);
	if (err)
		return err;
	uint64_t v;
	if (!gi_dwarf_attr_udata(&die, DW_AT_const_value, &v))
		return gi_error_create(GI_ERR_NOT_FOUND, "constant %s is no integer", name);
	*ret = (int64_t)v;
	return NULL;
}

struct gi_error *gi_dwarf_global(struct gi_dwarf *dw, const char *name, uint64_t *addr_ret,
				 struct gi_dwarf_member *ret)
{
	Dwarf_Die die, type;
	struct gi_error *err = find_die(dw, name, GI_DW_KIND_VAR, &die);
	// Its type may be in a unit that is not covered.
	if (!err && !dw->complete) {
		err = gi_dwarf_complete(dw);
		if (!err)
			err = find_die(dw, name, GI_DW_KIND_VAR, &die);
	}
	if (err)
		return err;
	uint64_t addr;
	if (!gi_dwarf_var_addr(dw, &die, &addr))
		return gi_error_create(GI_ERR_NOT_FOUND, "variable %s has no address", name);
	struct gi_dw_type t = {0};
	if (gi_dwarf_type_of(&die, &type))
		gi_dwarf_type_resolve(&type, NULL, NULL, &t);
	*addr_ret = addr;
	if (ret)
		*ret = (struct gi_dwarf_member){.size = t.size, .count = t.count};
	return NULL;
}

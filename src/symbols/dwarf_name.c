// Names of data addresses: the global that holds an address, then the way down its type.
//
// Globals are sorted by address on first use. From the global's type we go down through
// members and elements for as long as the address lies inside; the name is complete when
// an object starts exactly at the address. Several nested ones may: a struct, its first
// field, that one's first field. Then the outermost is meant, unless the caller wants
// one of a certain type.

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "dwarf_impl.h"

enum { MAX_NESTING = 64 };

static int var_cmp(const void *a, const void *b)
{
	const struct gi_dw_var *x = a, *y = b;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->entry < y->entry ? -1 : x->entry > y->entry;
}

static struct gi_error *vars_make(struct gi_dwarf *dw)
{
	struct gi_error *err = gi_dwarf_scan_all(dw);
	if (err || dw->vars_made)
		return err;
	dw->var_count = 0;
	for (size_t i = 0; i < dw->entry_count; i++) {
		Dwarf_Die die;
		uint64_t addr;
		if (dw->entries[i].kind != GI_DW_KIND_VAR ||
		    !gi_dwarf_entry_die(dw, &dw->entries[i], &die) ||
		    !gi_dwarf_var_addr(dw, &die, &addr))
			continue;
		err = gi_grow(&dw->vars, &dw->var_cap, dw->var_count + 1,
			      sizeof(*dw->vars));
		if (err)
			return err;
		dw->vars[dw->var_count++] = (struct gi_dw_var){addr, (uint32_t)i};
	}
	if (dw->var_count)
		qsort(dw->vars, dw->var_count, sizeof(*dw->vars), var_cmp);
	dw->vars_made = true;
	return NULL;
}

bool gi_dwarf_member_at(Dwarf_Die *type, uint64_t off, Dwarf_Die *ret, uint64_t *off_ret)
{
	Dwarf_Die m;
	unsigned left = GI_DW_MAX_MEMBERS;
	if (dwarf_child(type, &m) != 0)
		return false;
	do {
		Dwarf_Die mtype;
		struct gi_dw_type t;
		uint64_t at;
		if (dwarf_tag(&m) != DW_TAG_member || !gi_dwarf_member_offset(&m, &at) ||
		    at > off || !gi_dwarf_type_of(&m, &mtype))
			continue;
		gi_dwarf_type_resolve(&mtype, NULL, NULL, &t);
		if (off - at < t.size) {
			*ret = m;
			*off_ret = at;
			return true;
		}
	} while (--left && dwarf_siblingof(&m, &m) == 0);
	return false;
}

// Appends the way from a type to what lies off bytes inside of it.
static void name_descend(Dwarf_Die die, uint64_t off, const char *want, struct gi_str *s)
{
	size_t exact = SIZE_MAX; // length up to the outermost object that starts here
	for (unsigned depth = 0; depth < MAX_NESTING; depth++) {
		struct gi_dw_type t;
		bool is_want = false;
		gi_dwarf_type_resolve(&die, want, &is_want, &t);
		if (!off) {
			if (is_want || (!want && exact == SIZE_MAX))
				return;
			if (exact == SIZE_MAX)
				exact = s->len;
		}
		uint64_t at;
		Dwarf_Die next;
		if (t.tag == DW_TAG_structure_type || t.tag == DW_TAG_union_type ||
		    t.tag == DW_TAG_class_type) {
			Dwarf_Die m;
			if (!gi_dwarf_member_at(&t.die, off, &m, &at))
				break;
			const char *name = dwarf_diename(&m);
			gi_str_putc(s, '.');
			gi_str_puts(s, name ? name : "?");
			if (!gi_dwarf_type_of(&m, &next))
				break;
			off -= at;
		} else if (t.tag == DW_TAG_array_type && t.count && t.size >= t.count) {
			if (!gi_dwarf_type_of(&t.die, &next))
				break;
			struct gi_dw_type elem;
			gi_dwarf_type_resolve(&next, NULL, NULL, &elem);
			if (!elem.size)
				break;
			gi_str_putc(s, '[');
			gi_str_put_u64(s, off / elem.size);
			gi_str_putc(s, ']');
			off %= elem.size;
		} else {
			break;
		}
		die = next;
	}
	if (exact != SIZE_MAX && !s->oom) {
		s->len = exact;
		s->s[exact] = '\0';
	} else if (off) {
		gi_str_putc(s, '+');
		gi_str_put_hex(s, off);
	}
}

struct gi_error *gi_dwarf_var_at(struct gi_dwarf *dw, uint64_t addr, const char **name_ret,
				 Dwarf_Die *type_ret, uint64_t *start_ret)
{
	struct gi_error *err = vars_make(dw);
	if (err)
		return err;
	// The first variable behind addr; candidates stand before it.
	size_t lo = 0, hi = dw->var_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (dw->vars[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	// Globals do not overlap, but empty ones share the address of their neighbour.
	for (size_t k = 0; k < 16 && lo > 0; k++) {
		const struct gi_dw_var *v = &dw->vars[--lo];
		const struct gi_dw_entry *e = &dw->entries[v->entry];
		Dwarf_Die die;
		struct gi_dw_type t;
		if (!gi_dwarf_entry_die(dw, e, &die) || !gi_dwarf_type_of(&die, type_ret))
			continue;
		gi_dwarf_type_resolve(type_ret, NULL, NULL, &t);
		if (addr - v->addr >= t.size)
			continue;
		*name_ret = e->name;
		*start_ret = v->addr;
		return NULL;
	}
	return gi_error_at(GI_ERR_NOT_FOUND, addr,
			   "no global of the debug information holds 0x%llx",
			   (unsigned long long)addr);
}

struct gi_error *gi_dwarf_global_at(struct gi_dwarf *dw, uint64_t addr, const char **name_ret,
				    uint64_t *type_ret, uint64_t *start_ret)
{
	const char *name;
	Dwarf_Die type;
	uint64_t start;
	struct gi_error *err = gi_dwarf_var_at(dw, addr, &name, &type, &start);

	if (err)
		return err;
	*name_ret = name;
	*type_ret = gi_dwarf_die_id(dw, &type);
	*start_ret = start;
	return NULL;
}

bool gi_dwarf_path_at(struct gi_dwarf *dw, uint64_t type, uint64_t off, const char *want,
		      struct gi_str *ret)
{
	Dwarf_Die die;

	if (!gi_dwarf_die_of(dw, type, &die))
		return false;
	name_descend(die, off, want, ret);
	return !ret->oom;
}

struct gi_error *gi_dwarf_name_at(struct gi_dwarf *dw, uint64_t addr,
				  const char *want_type, struct gi_str *ret)
{
	const char *name;
	Dwarf_Die type;
	uint64_t start;
	struct gi_error *err = gi_dwarf_var_at(dw, addr, &name, &type, &start);
	if (err)
		return err;
	gi_str_puts(ret, name);
	name_descend(type, addr - start, want_type, ret);
	return ret->oom ? gi_error_nomem() : NULL;
}

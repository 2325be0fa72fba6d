// What a pointer in a global points to: down the global's type to the pointer, and what that says
// of its target.
//
// Go marks its types with attributes of its own: the kind (as reflect numbers it), and where the
// type's descriptor is in the running program. Source: cmd/internal/dwarf, Go 1.18 to 1.27.

#include <dwarf.h>
#include <string.h>

#include "dwarf_impl.h"

enum {
	AT_GO_KIND = 0x2900,
	AT_GO_RUNTIME_TYPE = 0x2904,
	GO_CHAN = 18,
	GO_FUNC = 19,
	GO_INTERFACE = 20,
	GO_MAP = 21,
	GO_SLICE = 23,
	MAX_NESTING = 64,
};

static uint64_t go_kind(Dwarf_Die *die)
{
	uint64_t kind;

	return gi_dwarf_attr_udata(die, AT_GO_KIND, &kind) ? kind : 0;
}

static uint64_t runtime_type(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	Dwarf_Addr addr;

	if (dwarf_attr(die, AT_GO_RUNTIME_TYPE, &a) && dwarf_formaddr(&a, &addr) == 0)
		return addr;
	return 0;
}

/** Through typedefs to the first type that has a descriptor. */
static void describe(struct gi_dwarf *dw, Dwarf_Die type, struct gi_dwarf_pointee *ret)
{
	ret->type = gi_dwarf_die_id(dw, &type);
	for (unsigned depth = 0; depth < GI_DW_MAX_TYPE_DEPTH; depth++) {
		const char *name = dwarf_diename(&type);

		ret->runtime_type = runtime_type(&type);
		if (name)
			ret->name = name;
		if (ret->runtime_type || dwarf_tag(&type) != DW_TAG_typedef ||
		    !gi_dwarf_type_of(&type, &type))
			return;
	}
}

/** Channels, maps and functions are typedefs with a kind, of pointers; interfaces, of structs. */
static bool is_header(struct gi_dwarf *dw, Dwarf_Die type, uint64_t off,
		      struct gi_dwarf_pointee *ret)
{
	for (unsigned depth = 0; depth < GI_DW_MAX_TYPE_DEPTH; depth++) {
		uint64_t kind = go_kind(&type);

		if (kind == GO_INTERFACE && off == 8)
			return ret->dynamic = true;
		if (!off && (kind == GO_CHAN || kind == GO_FUNC || kind == GO_MAP)) {
			describe(dw, type, ret);
			ret->header = true;
			return true;
		}
		if (dwarf_tag(&type) != DW_TAG_typedef || !gi_dwarf_type_of(&type, &type))
			return false;
	}
	return false;
}

static bool descend(struct gi_dwarf *dw, Dwarf_Die type, uint64_t off, struct gi_str *s,
		    struct gi_dwarf_pointee *ret)
{
	for (unsigned depth = 0; depth < MAX_NESTING; depth++) {
		struct gi_dw_type t;
		Dwarf_Die next, m;
		uint64_t at;

		if (is_header(dw, type, off, ret))
			return true;
		gi_dwarf_type_resolve(&type, NULL, NULL, &t);
		if (t.tag == DW_TAG_pointer_type) {
			if (off || !gi_dwarf_type_of(&t.die, &next))
				return false;
			describe(dw, next, ret);
			return true;
		}
		if (t.tag == DW_TAG_structure_type) {
			if (!gi_dwarf_member_at(&t.die, off, &m, &at) ||
			    !gi_dwarf_type_of(&m, &next))
				return false;
			const char *name = dwarf_diename(&m);
			ret->array = go_kind(&t.die) == GO_SLICE;
			if (!ret->array) {
				gi_str_putc(s, '.');
				gi_str_puts(s, name ? name : "?");
			}
			off -= at;
		} else if (t.tag == DW_TAG_array_type && t.count && t.size >= t.count &&
			   gi_dwarf_type_of(&t.die, &next)) {
			struct gi_dw_type elem;
			gi_dwarf_type_resolve(&next, NULL, NULL, &elem);
			if (!elem.size)
				return false;
			gi_str_putc(s, '[');
			gi_str_put_u64(s, off / elem.size);
			gi_str_putc(s, ']');
			off %= elem.size;
		} else {
			return false;
		}
		type = next;
	}
	return false;
}

bool gi_dwarf_pointee_in(struct gi_dwarf *dw, uint64_t type, uint64_t off, struct gi_str *path,
			 struct gi_dwarf_pointee *ret)
{
	struct gi_dwarf_pointee p = {.name = ""};
	Dwarf_Die die;

	if (!gi_dwarf_die_of(dw, type, &die) || !descend(dw, die, off, path, &p))
		return false;
	*ret = p;
	return !path->oom;
}

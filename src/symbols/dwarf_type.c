// DWARF types: their size, members and arrays, bounded even where the debug information
// leads in circles.

#include <dwarf.h>
#include <string.h>

#include "dwarf_impl.h"

bool gi_dwarf_attr_udata(Dwarf_Die *die, unsigned attr, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Sword s;
	Dwarf_Word u;
	if (!dwarf_attr(die, attr, &a))
		return false;
	// Signed forms are sign-extended; data1 to data8 tell no sign: Go writes those
	// for unsigned values only.
	switch (dwarf_whatform(&a)) {
	case DW_FORM_sdata:
	case DW_FORM_implicit_const:
		if (dwarf_formsdata(&a, &s) != 0)
			return false;
		*ret = (uint64_t)s;
		return true;
	case DW_FORM_udata:
	case DW_FORM_data1:
	case DW_FORM_data2:
	case DW_FORM_data4:
	case DW_FORM_data8:
		if (dwarf_formudata(&a, &u) != 0)
			return false;
		*ret = u;
		return true;
	}
	return false;
}

bool gi_dwarf_type_of(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute a;
	return dwarf_attr(die, DW_AT_type, &a) && dwarf_formref_die(&a, ret);
}

bool gi_dwarf_member_offset(Dwarf_Die *member, uint64_t *ret)
{
	if (!dwarf_hasattr(member, DW_AT_data_member_location)) {
		// Members of unions have none; those of bit fields say something else.
		*ret = 0;
		return !dwarf_hasattr(member, DW_AT_data_bit_offset);
	}
	if (gi_dwarf_attr_udata(member, DW_AT_data_member_location, ret))
		return true;
	// DWARF 2's way: an expression that adds a constant.
	Dwarf_Attribute a;
	Dwarf_Op *ops;
	size_t n;
	if (!dwarf_attr(member, DW_AT_data_member_location, &a) ||
	    dwarf_getlocation(&a, &ops, &n) != 0 || n != 1 ||
	    ops[0].atom != DW_OP_plus_uconst)
		return false;
	*ret = ops[0].number;
	return true;
}

bool gi_dwarf_indexed_addr(struct gi_dwarf *dw, Dwarf_Die *die, uint64_t i, uint64_t *ret)
{
	Dwarf_Die cu;
	Dwarf_Attribute a;
	Dwarf_Word base;
	if (!dwarf_diecu(die, &cu, NULL, NULL) || !dwarf_attr(&cu, DW_AT_addr_base, &a) ||
	    dwarf_formudata(&a, &base) != 0)
		return false;
	if (base > dw->addrs_size || i >= (dw->addrs_size - base) / 8)
		return false;
	*ret = gi_load_u64(dw->addrs + base + 8 * i);
	return true;
}

// libdw's location functions refuse Go's: it writes them in a block form, which DWARF 4
// and later want to be DW_FORM_exprloc.
bool gi_dwarf_var_addr(struct gi_dwarf *dw, Dwarf_Die *var, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Block block;
	if (!dwarf_attr(var, DW_AT_location, &a) || dwarf_formblock(&a, &block) != 0)
		return false;
	struct gi_cursor c = gi_cursor_make(block.data, block.length);
	uint8_t op = gi_cursor_u8(&c);
	uint64_t v;
	if (op == DW_OP_addr)
		v = gi_cursor_u64(&c);
	else if (op == DW_OP_addrx || op == DW_OP_GNU_addr_index)
		v = gi_cursor_uleb(&c);
	else
		return false;
	// More operations make something else of it: thread-local storage, for one.
	if (c.bad || gi_cursor_left(&c))
		return false;
	if (op != DW_OP_addr)
		return gi_dwarf_indexed_addr(dw, var, v, ret);
	*ret = v;
	return true;
}

// Elements of an array: the product of its dimensions; 0 if unknown.
static uint64_t array_count(Dwarf_Die *array)
{
	Dwarf_Die sub;
	uint64_t total = 1;
	unsigned left = 16;
	bool any = false;
	if (dwarf_child(array, &sub) != 0)
		return 0;
	do {
		uint64_t n;
		if (dwarf_tag(&sub) != DW_TAG_subrange_type)
			continue;
		any = true;
		if (!gi_dwarf_attr_udata(&sub, DW_AT_count, &n)) {
			if (!gi_dwarf_attr_udata(&sub, DW_AT_upper_bound, &n) ||
			    n == UINT64_MAX)
				return 0;
			n++;
		}
		if (__builtin_mul_overflow(total, n, &total))
			return 0;
	} while (--left && dwarf_siblingof(&sub, &sub) == 0);
	return any ? total : 0;
}

static bool is_qualifier(int tag)
{
	switch (tag) {
	case DW_TAG_typedef:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
		return true;
	}
	return false;
}

static void type_resolve(Dwarf_Die *die, const char *want, bool *is_want, unsigned depth,
			 struct gi_dw_type *ret)
{
	struct gi_dw_type t = {.die = *die};
	bool have_size = false;

	*ret = (struct gi_dw_type){.die = *die};
	for (; depth; depth--) {
		const char *name = want ? dwarf_diename(&t.die) : NULL;
		if (name && !strcmp(name, want))
			*is_want = true;
		int tag = dwarf_tag(&t.die);
		have_size = have_size ||
			    gi_dwarf_attr_udata(&t.die, DW_AT_byte_size, &t.size);
		if (!is_qualifier(tag)) {
			t.tag = tag;
			break;
		}
		Dwarf_Die next;
		if (!gi_dwarf_type_of(&t.die, &next))
			return;
		t.die = next;
	}
	if (t.tag <= 0)
		return;
	if (t.tag == DW_TAG_array_type) {
		t.count = array_count(&t.die);
		Dwarf_Die elem_die;
		struct gi_dw_type elem;
		if (!have_size && t.count && gi_dwarf_type_of(&t.die, &elem_die)) {
			type_resolve(&elem_die, NULL, NULL, depth - 1, &elem);
			if (__builtin_mul_overflow(elem.size, t.count, &t.size))
				t.size = 0;
		}
	} else if (t.tag == DW_TAG_pointer_type && !have_size) {
		t.size = 8;
	}
	*ret = t;
}

void gi_dwarf_type_resolve(Dwarf_Die *die, const char *want, bool *is_want,
			   struct gi_dw_type *ret)
{
	if (is_want)
		*is_want = false;
	type_resolve(die, want, is_want, GI_DW_MAX_TYPE_DEPTH, ret);
}

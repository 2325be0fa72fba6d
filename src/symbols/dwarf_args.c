// DWARF: arguments of functions and of inlined calls, where they are at a pc, and what type they
// have.
//
// A function is found by its entry among the functions of its package's unit. Calls that were
// inlined nest in it as they do at run time. A place is an expression, or a list of expressions by
// pc (.debug_loc of DWARF 4, .debug_loclists of 5). Go's compiler uses few operations: offsets
// from the CFA, registers, pieces, constants; anything else is told as not understood. Lists are read
// here rather than by libdw, which is given no more sections than names need, and refuses the
// form that Go's expressions have.
// Sources: cmd/internal/dwarf/dwarf.go, cmd/compile/internal/ssa/debug.go, Go 1.18 to 1.27; DWARF 4, 5.

#include <dwarf.h>
#include <string.h>

#include "dwarf_impl.h"

enum {
	AT_GO_KIND = 0x2900,
	MAX_LIST = 1 << 16, // entries of a list
	MAX_DEPTH = 64,	    // of blocks in blocks
	MAX_STACK = 8,
};
static const uint64_t ALT = UINT64_C(1) << 63;

// --- numbers for DIEs -----------------------------------------------------------------

uint64_t gi_dwarf_die_id(struct gi_dwarf *dw, Dwarf_Die *die)
{
	uint64_t id = dwarf_dieoffset(die);
	Dwarf *of = dwarf_cu_getdwarf(die->cu);

	return id | (dw->alt && of == dw->alt ? ALT : 0);
}

bool gi_dwarf_die_of(struct gi_dwarf *dw, uint64_t id, Dwarf_Die *ret)
{
	return id && dwarf_offdie(id & ALT ? dw->alt : dw->dw, id & ~ALT, ret) != NULL;
}

// --- functions ------------------------------------------------------------------------

static struct gi_error *scan_subs(struct gi_dwarf *dw, struct gi_dw_unit *u)
{
	Dwarf_Die cu, die;
	Dwarf_Addr low;

	if (u->subs_scanned)
		return NULL;
	u->subs_scanned = true;
	if (!dwarf_offdie(u->alt ? dw->alt : dw->dw, u->die, &cu) || dwarf_child(&cu, &die) != 0)
		return NULL;
	unsigned polled = 0;
	do {
		if ((++polled & 0xfff) == 0 && gi_interrupted())
			return gi_interrupt_check();
		if (dwarf_tag(&die) != DW_TAG_subprogram || dwarf_lowpc(&die, &low) != 0)
			continue;
		struct gi_error *err = gi_map_put(&dw->subs, low, gi_dwarf_die_id(dw, &die));
		if (err)
			return err;
	} while (dwarf_siblingof(&die, &die) == 0);
	return NULL;
}

static struct gi_error *find_sub(struct gi_dwarf *dw, const char *func, uint64_t entry,
				 Dwarf_Die *ret)
{
	size_t n = gi_dwarf_package_of(func);
	uint64_t id = 0;
	struct gi_error *err = gi_dwarf_complete(dw);

	if (err)
		return err;
	for (size_t i = 0; i < dw->unit_count && !gi_map_get(&dw->subs, entry, &id); i++) {
		struct gi_dw_unit *u = &dw->units[i];
		if (!u->subs_scanned && n && !strncmp(u->name, func, n) && !u->name[n]) {
			err = scan_subs(dw, u);
			if (err)
				return err;
		}
	}
	// A generic function's code may be in the unit of a package that uses it.
	for (size_t i = 0; i < dw->unit_count && !dw->all_subs; i++) {
		if (gi_map_get(&dw->subs, entry, &id))
			break;
		err = scan_subs(dw, &dw->units[i]);
		if (err)
			return err;
	}
	if (!id && !gi_map_get(&dw->subs, entry, &id))
		dw->all_subs = true;
	if (!id || !gi_dwarf_die_of(dw, id, ret))
		return gi_error_create(GI_ERR_NOT_FOUND, "no function at 0x%llx in the debug "
				       "information", (unsigned long long)entry);
	return NULL;
}

// --- lists by pc ----------------------------------------------------------------------

struct list {
	struct gi_cursor c;
	bool v5;
	uint64_t base;
	Dwarf_Die *die; // whose unit has the addresses
	struct gi_dwarf *dw;
};

static bool list_open(struct gi_dwarf *dw, Dwarf_Die *die, uint64_t off, const char *v4,
		      const char *v5, struct list *ret)
{
	Dwarf_Die cu;
	Dwarf_Half version;
	Dwarf_Addr low;
	const uint8_t *data;
	size_t size;

	if (!dwarf_diecu(die, &cu, NULL, NULL) ||
	    dwarf_cu_info(die->cu, &version, NULL, NULL, NULL, NULL, NULL, NULL) != 0)
		return false;
	*ret = (struct list){.v5 = version >= 5, .die = die, .dw = dw};
	if (dwarf_lowpc(&cu, &low) == 0)
		ret->base = low;
	struct gi_error *err = gi_elf_section(dw->elf, ret->v5 ? v5 : v4, &data, &size, NULL);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	if (off > size)
		return false;
	ret->c = gi_cursor_make(data + off, size - off);
	return true;
}

// The next entry's bounds; false at the end. *base: it only sets the base.
static bool list_next(struct list *l, uint64_t *lo, uint64_t *hi, bool *base)
{
	uint64_t a, b;

	*base = false;
	if (!l->v5) {
		a = gi_cursor_u64(&l->c);
		b = gi_cursor_u64(&l->c);
		if (l->c.bad || (!a && !b))
			return false;
		if (a == UINT64_MAX) {
			l->base = b;
			*base = true;
		}
		*lo = l->base + a;
		*hi = l->base + b;
		return true;
	}
	// Ranges (DW_RLE_*) and locations (DW_LLE_*) number their kinds alike but for one, which only
	// locations have: 5 is default_location there, base_address here.
	switch (gi_cursor_u8(&l->c)) {
	case DW_LLE_base_addressx:
		*base = true;
		return gi_dwarf_indexed_addr(l->dw, l->die, gi_cursor_uleb(&l->c), &l->base);
	case DW_LLE_offset_pair:
		*lo = l->base + gi_cursor_uleb(&l->c);
		*hi = l->base + gi_cursor_uleb(&l->c);
		return !l->c.bad;
	case DW_LLE_startx_endx:
		return gi_dwarf_indexed_addr(l->dw, l->die, gi_cursor_uleb(&l->c), lo) &&
		       gi_dwarf_indexed_addr(l->dw, l->die, gi_cursor_uleb(&l->c), hi);
	case DW_LLE_startx_length:
		if (!gi_dwarf_indexed_addr(l->dw, l->die, gi_cursor_uleb(&l->c), lo))
			return false;
		*hi = *lo + gi_cursor_uleb(&l->c);
		return !l->c.bad;
	}
	// Those that Go's toolchain does not write.
	return false;
}

// libdw reads an offset only for a section that it was given.
static bool attr_offset(struct gi_dwarf *dw, Dwarf_Die *die, unsigned at, uint64_t *ret)
{
	Dwarf_Attribute a;
	uint8_t size = 0;
	const uint8_t *info = NULL;
	size_t n = 0;

	if (!dwarf_attr(die, at, &a))
		return false;
	if (dwarf_whatform(&a) == DW_FORM_sec_offset)
		dwarf_cu_info(die->cu, NULL, NULL, NULL, NULL, NULL, NULL, &size);
	else if (dwarf_whatform(&a) == DW_FORM_data4)
		size = 4;
	else if (dwarf_whatform(&a) == DW_FORM_data8)
		size = 8;
	if (dw->info) {
		info = gi_elf_stream_data(dw->info);
		n = dw->covered;
	} else {
		struct gi_error *err = gi_elf_section(dw->elf, ".debug_info", &info, &n, NULL);
		if (err) {
			gi_error_ignore(err);
			return false;
		}
	}
	if ((size != 4 && size != 8) || a.valp < info || (size_t)(a.valp - info) > n ||
	    size > n - (size_t)(a.valp - info))
		return false;
	*ret = size == 4 ? gi_load_u32(a.valp) : gi_load_u64(a.valp);
	return true;
}

static bool covers(struct gi_dwarf *dw, Dwarf_Die *die, uint64_t pc)
{
	Dwarf_Addr low;
	Dwarf_Attribute a;
	Dwarf_Word len;
	uint64_t off, lo, hi;
	struct list l;
	bool base;

	if (dwarf_lowpc(die, &low) == 0) {
		Dwarf_Addr high;
		if (dwarf_attr(die, DW_AT_high_pc, &a) && dwarf_whatform(&a) != DW_FORM_addr &&
		    dwarf_formudata(&a, &len) == 0)
			return pc >= low && pc - low < len;
		return dwarf_highpc(die, &high) == 0 && pc >= low && pc < high;
	}
	if (!attr_offset(dw, die, DW_AT_ranges, &off) ||
	    !list_open(dw, die, off, ".debug_ranges", ".debug_rnglists", &l))
		return false;
	for (unsigned n = 0; n < MAX_LIST && list_next(&l, &lo, &hi, &base); n++) {
		if (!base && pc >= lo && pc < hi)
			return true;
	}
	return false;
}

// --- places ---------------------------------------------------------------------------

static bool add_piece(struct gi_dwarf_arg *a, struct gi_piece p)
{
	if (a->piece_count == GI_MAX_PIECES)
		return false;
	a->pieces[a->piece_count++] = p;
	return true;
}

// Reads a whole expression: pieces with their sizes, or one place for all.
static void read_place(const uint8_t *data, size_t n, struct gi_dwarf_arg *a)
{
	struct gi_cursor c = gi_cursor_make(data, n);
	struct gi_piece p = {0};
	int64_t plus = 0;
	bool ok = true, pieces = false, has_plus = false;

	while (ok && gi_cursor_left(&c) && !c.bad) {
		uint8_t op = gi_cursor_u8(&c);
		if (op == DW_OP_piece) {
			p.size = gi_cursor_uleb(&c);
			ok = p.size && !has_plus && add_piece(a, p);
			p = (struct gi_piece){0};
			pieces = true;
		} else if (op == DW_OP_plus && p.place == GI_PLACE_FRAME && has_plus) {
			p.value += (uint64_t)plus;
			has_plus = false;
		} else if (op == DW_OP_plus_uconst && p.place == GI_PLACE_FRAME) {
			p.value += gi_cursor_uleb(&c);
		} else if (op == DW_OP_consts && p.place == GI_PLACE_FRAME) {
			plus = gi_cursor_sleb(&c);
			has_plus = true;
		} else if (op == DW_OP_stack_value && p.place == GI_PLACE_CONST) {
			continue;
		} else if (p.place != GI_PLACE_NONE) {
			ok = false;
		} else if (op == DW_OP_call_frame_cfa) {
			p.place = GI_PLACE_FRAME;
		} else if (op == DW_OP_fbreg) {
			p = (struct gi_piece){GI_PLACE_FRAME, (uint64_t)gi_cursor_sleb(&c), 0};
		} else if (op >= DW_OP_reg0 && op <= DW_OP_reg31) {
			p = (struct gi_piece){GI_PLACE_REG, op - DW_OP_reg0, 0};
		} else if (op == DW_OP_regx) {
			p = (struct gi_piece){GI_PLACE_REG, gi_cursor_uleb(&c), 0};
		} else if (op == DW_OP_addr) {
			p = (struct gi_piece){GI_PLACE_MEMORY, gi_cursor_u64(&c), 0};
		} else if (op >= DW_OP_lit0 && op <= DW_OP_lit31) {
			p = (struct gi_piece){GI_PLACE_CONST, op - DW_OP_lit0, 0};
		} else if (op == DW_OP_consts) {
			p = (struct gi_piece){GI_PLACE_CONST, (uint64_t)gi_cursor_sleb(&c), 0};
		} else if (op == DW_OP_constu) {
			p = (struct gi_piece){GI_PLACE_CONST, gi_cursor_uleb(&c), 0};
		} else {
			ok = false;
		}
	}
	if (ok && !c.bad && !has_plus && !pieces && p.place != GI_PLACE_NONE)
		ok = add_piece(a, p);
	else if (pieces && p.place != GI_PLACE_NONE)
		ok = false;
	if (!ok || c.bad || has_plus) {
		a->pieces[0] = (struct gi_piece){.place = GI_PLACE_OTHER};
		a->piece_count = 1;
	}
}

static void find_place(struct gi_dwarf *dw, Dwarf_Die *var, uint64_t pc, struct gi_dwarf_arg *a)
{
	Dwarf_Attribute at;
	Dwarf_Block block;
	uint64_t off, lo, hi;
	struct list l;
	bool base;

	if (dwarf_attr(var, DW_AT_location, &at) && dwarf_formblock(&at, &block) == 0) {
		read_place(block.data, block.length, a);
		return;
	}
	a->listed = true;
	if (!attr_offset(dw, var, DW_AT_location, &off) ||
	    !list_open(dw, var, off, ".debug_loc", ".debug_loclists", &l))
		return;
	for (unsigned n = 0; n < MAX_LIST && list_next(&l, &lo, &hi, &base); n++) {
		if (base)
			continue;
		uint64_t len = l.v5 ? gi_cursor_uleb(&l.c) : gi_cursor_u16(&l.c);
		const uint8_t *data = gi_cursor_bytes(&l.c, len);
		if (!data)
			return;
		if (pc >= lo && pc < hi) {
			a->from = lo;
			read_place(data, len, a);
			return;
		}
	}
}

// --- arguments --------------------------------------------------------------------------

static const char *name_of(Dwarf_Die *die)
{
	Dwarf_Attribute a;

	return dwarf_attr_integrate(die, DW_AT_name, &a) ? dwarf_formstring(&a) : NULL;
}

static bool is_result(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	bool flag = false;

	return dwarf_attr_integrate(die, DW_AT_variable_parameter, &a) &&
	       dwarf_formflag(&a, &flag) == 0 && flag;
}

// The inlined call that is n levels inside of die at pc; blocks do not count.
static bool descend(struct gi_dwarf *dw, Dwarf_Die *die, uint64_t pc, size_t n, unsigned depth,
		    unsigned *left, Dwarf_Die *ret)
{
	Dwarf_Die c;

	if (!n) {
		*ret = *die;
		return true;
	}
	if (!depth || dwarf_child(die, &c) != 0)
		return false;
	do {
		int tag = dwarf_tag(&c);
		if ((tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block) ||
		    !covers(dw, &c, pc))
			continue;
		if (descend(dw, &c, pc, n - (tag == DW_TAG_inlined_subroutine), depth - 1,
			    left, ret))
			return true;
	} while (*left && --*left && dwarf_siblingof(&c, &c) == 0);
	return false;
}

// Go's compiler notes its flags of this kind with its name.
static bool is_optimized(Dwarf_Die *die)
{
	Dwarf_Die cu;
	Dwarf_Attribute a;
	const char *producer = NULL;

	if (dwarf_diecu(die, &cu, NULL, NULL) && dwarf_attr(&cu, DW_AT_producer, &a))
		producer = dwarf_formstring(&a);
	return !producer || !strstr(producer, " -N");
}

// The copy of the argument param that is a child of copy.
static bool copy_of(Dwarf_Die *param, Dwarf_Die *copy, Dwarf_Die *ret)
{
	Dwarf_Attribute at;
	Dwarf_Die c, origin;
	unsigned left = GI_DW_MAX_MEMBERS;

	if (dwarf_child(copy, &c) != 0)
		return false;
	do {
		if (dwarf_tag(&c) != DW_TAG_formal_parameter ||
		    !dwarf_attr(&c, DW_AT_abstract_origin, &at) ||
		    !dwarf_formref_die(&at, &origin) || origin.addr != param->addr)
			continue;
		*ret = c;
		return true;
	} while (--left && dwarf_siblingof(&c, &c) == 0);
	return false;
}

static bool tell(struct gi_dwarf *dw, Dwarf_Die *param, Dwarf_Die *copy, uint64_t pc,
		 gi_dwarf_arg_fn fn, void *arg)
{
	struct gi_dwarf_arg a = {0};
	Dwarf_Attribute at;
	Dwarf_Die type, var;

	a.optimized = is_optimized(param);
	a.name = name_of(param);
	// The compiler's own, as a generic function's dictionary, have a dot.
	if (!a.name || *a.name == '.')
		return true;
	if (dwarf_attr_integrate(param, DW_AT_type, &at) && dwarf_formref_die(&at, &type))
		a.type = gi_dwarf_die_id(dw, &type);
	if (*a.name == '&') {
		a.moved = true;
		a.name++;
	}
	if (!copy)
		find_place(dw, param, pc, &a);
	else if (copy_of(param, copy, &var))
		find_place(dw, &var, pc, &a);
	return fn(arg, &a);
}

struct gi_error *gi_dwarf_args(struct gi_dwarf *dw, const char *func, uint64_t entry, uint64_t pc,
			       size_t level, const char *name, gi_dwarf_arg_fn fn, void *arg)
{
	Dwarf_Die sub, die, c;
	struct gi_error *err = find_sub(dw, func, entry, &sub);

	if (err)
		return err;
	unsigned budget = GI_DW_MAX_MEMBERS; // of blocks in all
	bool found = covers(dw, &sub, pc) && descend(dw, &sub, pc, level, MAX_DEPTH, &budget, &die);
	if (found && level) {
		const char *is = name_of(&die);
		found = is && strcmp(is, name) == 0;
	}
	if (!found)
		return gi_error_create(GI_ERR_NOT_FOUND,
				       "the debug information does not tell of this call");
	// What was written once for all copies of a function names all of its arguments; a copy has
	// only those that it uses.
	Dwarf_Die all = die, origin;
	Dwarf_Attribute at;
	if (dwarf_attr(&die, DW_AT_abstract_origin, &at) && dwarf_formref_die(&at, &origin))
		all = origin;
	if (dwarf_child(&all, &c) != 0)
		return NULL;
	unsigned left = GI_DW_MAX_MEMBERS;
	do {
		if (dwarf_tag(&c) == DW_TAG_formal_parameter && !is_result(&c) &&
		    !tell(dw, &c, all.addr == die.addr ? NULL : &die, pc, fn, arg))
			return NULL;
	} while (--left && dwarf_siblingof(&c, &c) == 0);
	return NULL;
}

// --- types ------------------------------------------------------------------------------

// What has no kind of Go's is C's.
static enum gi_dwarf_kind kind_of_c(Dwarf_Die *die, uint64_t size)
{
	uint64_t enc;

	switch (dwarf_tag(die)) {
	case DW_TAG_pointer_type:
		return GI_DW_POINTER;
	case DW_TAG_structure_type:
		return GI_DW_STRUCT;
	case DW_TAG_array_type:
		return GI_DW_ARRAY;
	case DW_TAG_enumeration_type:
		return GI_DW_UINT;
	case DW_TAG_base_type:
		if (!gi_dwarf_attr_udata(die, DW_AT_encoding, &enc))
			return GI_DW_UNKNOWN;
		switch (enc) {
		case DW_ATE_boolean:
			return GI_DW_BOOL;
		case DW_ATE_signed:
		case DW_ATE_signed_char:
			return GI_DW_INT;
		case DW_ATE_unsigned:
		case DW_ATE_unsigned_char:
			return GI_DW_UINT;
		case DW_ATE_float:
			return size == 4 ? GI_DW_FLOAT32
			       : size == 8 ? GI_DW_FLOAT64
					   : GI_DW_UNKNOWN;
		}
	}
	return GI_DW_UNKNOWN;
}

bool gi_dwarf_type(struct gi_dwarf *dw, uint64_t id, struct gi_dwarf_type *ret)
{
	struct gi_dwarf_type t = {.id = id, .name = ""};
	Dwarf_Die die, next;
	uint64_t kind = 0;
	struct gi_dw_type r;

	if (!gi_dwarf_die_of(dw, id, &die))
		return false;
	for (unsigned n = 0; n < GI_DW_MAX_TYPE_DEPTH; n++) {
		const char *name = dwarf_diename(&die);
		if (name && !*t.name)
			t.name = name;
		if (!kind && gi_dwarf_attr_udata(&die, AT_GO_KIND, &kind))
			kind &= 31;
		int tag = dwarf_tag(&die);
		if (tag != DW_TAG_typedef && tag != DW_TAG_const_type &&
		    tag != DW_TAG_volatile_type)
			break;
		if (!gi_dwarf_type_of(&die, &next))
			return false;
		die = next;
	}
	gi_dwarf_type_resolve(&die, NULL, NULL, &r);
	if (!r.tag)
		return false;
	t.id = gi_dwarf_die_id(dw, &die);
	t.size = r.size;
	t.count = r.count;
	t.kind = kind && kind <= GI_DW_UNSAFE_POINTER ? (enum gi_dwarf_kind)kind
							: kind_of_c(&die, r.size);
	if ((r.tag == DW_TAG_array_type || r.tag == DW_TAG_pointer_type) &&
	    gi_dwarf_type_of(&die, &next))
		t.elem = gi_dwarf_die_id(dw, &next);
	*ret = t;
	return true;
}

void gi_dwarf_fields(struct gi_dwarf *dw, uint64_t id, gi_dwarf_field_fn fn, void *arg)
{
	Dwarf_Die die, m, type;
	unsigned left = GI_DW_MAX_MEMBERS;

	if (!gi_dwarf_die_of(dw, id, &die) || dwarf_child(&die, &m) != 0)
		return;
	do {
		uint64_t off;
		const char *name = dwarf_diename(&m);
		if (dwarf_tag(&m) != DW_TAG_member || !gi_dwarf_member_offset(&m, &off) ||
		    !gi_dwarf_type_of(&m, &type))
			continue;
		if (!fn(arg, name ? name : "", off, gi_dwarf_die_id(dw, &type)))
			return;
	} while (--left && dwarf_siblingof(&m, &m) == 0);
}

#include "dwarf_sample.h"

#include <dwarf.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "elf_builder.h"

const char *const dwarf_sample_names[DS_SECTIONS] = {".debug_info", ".debug_abbrev",
						     ".debug_addr"};

enum abbrev {
	A_CU = 1,
	A_CU_ADDR, // with a base of .debug_addr
	A_BASE,
	A_STRUCT,
	A_UNION,
	A_MEMBER,
	A_TYPEDEF,
	A_ARRAY,
	A_COUNT,
	A_UPPER,
	A_POINTER,
	A_CONST_TYPE,
	A_VOLATILE_TYPE,
	A_VAR_BLOCK, // as Go writes locations
	A_VAR_EXPR,
	A_VAR_PLAIN, // no location
	A_VAR_DECL,
	A_CONSTANT,
	A_FUNC,
};

struct abbrev_def {
	uint8_t code, tag, children;
	uint8_t attrs[9]; // pairs, ended by 0
};

static const struct abbrev_def abbrevs[] = {
	{A_CU,
	 DW_TAG_compile_unit,
	 1,
	 {DW_AT_name, DW_FORM_string, DW_AT_language, DW_FORM_data1}},
	{A_CU_ADDR,
	 DW_TAG_compile_unit,
	 1,
	 {DW_AT_name, DW_FORM_string, DW_AT_language, DW_FORM_data1, DW_AT_addr_base,
	  DW_FORM_sec_offset}},
	{A_BASE,
	 DW_TAG_base_type,
	 0,
	 {DW_AT_name, DW_FORM_string, DW_AT_byte_size, DW_FORM_udata}},
	{A_STRUCT,
	 DW_TAG_structure_type,
	 1,
	 {DW_AT_name, DW_FORM_string, DW_AT_byte_size, DW_FORM_udata}},
	{A_UNION, DW_TAG_union_type, 1, {DW_AT_byte_size, DW_FORM_udata}},
	{A_MEMBER,
	 DW_TAG_member,
	 0,
	 {DW_AT_name, DW_FORM_string, DW_AT_data_member_location, DW_FORM_udata,
	  DW_AT_type, DW_FORM_ref_addr}},
	{A_TYPEDEF,
	 DW_TAG_typedef,
	 0,
	 {DW_AT_name, DW_FORM_string, DW_AT_type, DW_FORM_ref_addr}},
	{A_ARRAY, DW_TAG_array_type, 1, {DW_AT_type, DW_FORM_ref_addr}},
	{A_COUNT, DW_TAG_subrange_type, 0, {DW_AT_count, DW_FORM_udata}},
	{A_UPPER, DW_TAG_subrange_type, 0, {DW_AT_upper_bound, DW_FORM_udata}},
	{A_POINTER, DW_TAG_pointer_type, 0, {DW_AT_type, DW_FORM_ref_addr}},
	{A_CONST_TYPE, DW_TAG_const_type, 0, {DW_AT_type, DW_FORM_ref_addr}},
	{A_VOLATILE_TYPE, DW_TAG_volatile_type, 0, {DW_AT_type, DW_FORM_ref_addr}},
	{A_VAR_BLOCK,
	 DW_TAG_variable,
	 0,
	 {DW_AT_name, DW_FORM_string, DW_AT_location, DW_FORM_block1, DW_AT_type,
	  DW_FORM_ref_addr}},
	{A_VAR_EXPR,
	 DW_TAG_variable,
	 0,
	 {DW_AT_name, DW_FORM_string, DW_AT_location, DW_FORM_exprloc, DW_AT_type,
	  DW_FORM_ref_addr}},
	{A_VAR_PLAIN,
	 DW_TAG_variable,
	 0,
	 {DW_AT_name, DW_FORM_string, DW_AT_type, DW_FORM_ref_addr}},
	{A_VAR_DECL,
	 DW_TAG_variable,
	 0,
	 {DW_AT_name, DW_FORM_string, DW_AT_declaration, DW_FORM_flag_present, DW_AT_type,
	  DW_FORM_ref_addr}},
	{A_CONSTANT,
	 DW_TAG_constant,
	 0,
	 {DW_AT_name, DW_FORM_string, DW_AT_const_value, DW_FORM_sdata}},
	{A_FUNC, DW_TAG_subprogram, 1, {DW_AT_name, DW_FORM_string}},
};

// Types that are referred to before or after they are written.
enum label {
	L_INT,
	L_UINT32,
	L_INNER,
	L_OUTER,
	L_OUTER_TYPEDEF,
	L_ALIAS,
	L_ARR3,
	L_ARR23,
	L_NEXT,
	L_SELF,
	L_C1,
	L_C2,
	L_REC,
	L_EMPTY,
	L_CSTRUCT,
	L_UNION,
	L_CONST,
	L_VOLATILE,
	L_COUNT,
};

struct maker {
	struct st_buf *info;
	int version;
	uint32_t at[L_COUNT];
	struct {
		size_t off;
		enum label label;
	} refs[64];
	size_t ref_count;
	size_t unit;
};

static void put_u8(struct st_buf *b, unsigned v)
{
	uint8_t c = (uint8_t)v;
	st_put(b, &c, 1);
}

static void put_ref(struct maker *m, enum label l)
{
	if (m->ref_count == GI_ARRAY_SIZE(m->refs))
		abort();
	m->refs[m->ref_count].off = m->info->n;
	m->refs[m->ref_count++].label = l;
	st_put_u32(m->info, 0);
}

static void put_die(struct maker *m, enum abbrev code, const char *name)
{
	put_u8(m->info, code);
	if (name)
		st_put_str(m->info, name);
}

static void set_label(struct maker *m, enum label l)
{
	m->at[l] = (uint32_t)m->info->n;
}

static void put_member(struct maker *m, const char *name, unsigned off, enum label type)
{
	put_die(m, A_MEMBER, name);
	put_u8(m->info, off);
	put_ref(m, type);
}

static void put_sized(struct maker *m, enum label l, enum abbrev code, const char *name,
		      unsigned size)
{
	set_label(m, l);
	put_die(m, code, name);
	put_u8(m->info, size);
}

static void put_alias(struct maker *m, enum label l, enum abbrev code, const char *name,
		      enum label type)
{
	set_label(m, l);
	put_die(m, code, name);
	put_ref(m, type);
}

static void put_array(struct maker *m, enum label l, enum label elem, enum abbrev code,
		      unsigned n)
{
	put_alias(m, l, A_ARRAY, NULL, elem);
	put_die(m, code, NULL);
	put_u8(m->info, n);
	put_u8(m->info, 0);
}

static void put_var(struct maker *m, const char *name, uint64_t addr, enum label type)
{
	put_die(m, A_VAR_BLOCK, name);
	put_u8(m->info, 9);
	put_u8(m->info, DW_OP_addr);
	st_put_u64(m->info, addr);
	put_ref(m, type);
}

static void unit_begin(struct maker *m, const char *name, unsigned language)
{
	bool addr = m->version >= 5;
	m->unit = m->info->n;
	st_put_u32(m->info, 0);
	put_u8(m->info, (unsigned)m->version);
	put_u8(m->info, 0);
	if (m->version >= 5) {
		put_u8(m->info, DW_UT_compile);
		put_u8(m->info, 8);
		st_put_u32(m->info, 0);
	} else {
		st_put_u32(m->info, 0);
		put_u8(m->info, 8);
	}
	put_die(m, addr ? A_CU_ADDR : A_CU, name);
	put_u8(m->info, language);
	if (addr)
		st_put_u32(m->info, 8);
}

static void patch_u32(struct st_buf *b, size_t off, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		b->p[off + i] = (uint8_t)(v >> 8 * i);
}

static void unit_end(struct maker *m)
{
	put_u8(m->info, 0);
	patch_u32(m->info, m->unit, (uint32_t)(m->info->n - m->unit - 4));
}

static void unit_runtime(struct maker *m)
{
	unit_begin(m, "runtime", DW_LANG_Go);
	put_sized(m, L_INT, A_BASE, "int", 8);
	put_sized(m, L_UINT32, A_BASE, "uint32", 4);
	put_die(m, A_FUNC, "runtime.f");
	put_var(m, "main.v", 0x9999, L_INT);
	put_u8(m->info, 0);
	put_sized(m, L_INNER, A_STRUCT, "runtime.inner", 16);
	put_member(m, "a", 0, L_UINT32);
	put_member(m, "b", 8, L_INT);
	put_u8(m->info, 0);
	put_sized(m, L_OUTER, A_STRUCT, "runtime.outer", 80);
	put_member(m, "in", 0, L_INNER);
	put_member(m, "arr", 16, L_ARR3);
	put_member(m, "next", 64, L_NEXT);
	put_u8(m->info, 0);
	put_alias(m, L_OUTER_TYPEDEF, A_TYPEDEF, "runtime.outer", L_OUTER);
	put_alias(m, L_ALIAS, A_TYPEDEF, "runtime.alias", L_OUTER_TYPEDEF);
	put_array(m, L_ARR3, L_INNER, A_COUNT, 3);
	put_array(m, L_ARR23, L_ARR3, A_UPPER, 1);
	put_alias(m, L_NEXT, A_POINTER, NULL, L_OUTER);
	put_alias(m, L_SELF, A_TYPEDEF, "runtime.self", L_SELF);
	put_alias(m, L_C1, A_TYPEDEF, "runtime.c1", L_C2);
	put_alias(m, L_C2, A_TYPEDEF, "runtime.c2", L_C1);
	put_sized(m, L_REC, A_STRUCT, "runtime.rec", 8);
	put_member(m, "rec", 0, L_REC);
	put_u8(m->info, 0);
	put_sized(m, L_EMPTY, A_STRUCT, "struct {}", 0);
	put_u8(m->info, 0);
	put_die(m, A_CONSTANT, "runtime.K");
	put_u8(m->info, 0x7b); // -5
	unit_end(m);
}

static void unit_main(struct maker *m)
{
	unit_begin(m, "main", DW_LANG_Go);
	put_var(m, "main.v", 0x1000, L_ALIAS);
	put_var(m, "main.empty", 0x1000, L_EMPTY);
	if (m->version >= 5) {
		put_die(m, A_VAR_EXPR, "main.w");
		put_u8(m->info, 2);
		put_u8(m->info, DW_OP_addrx);
		put_u8(m->info, 1);
		put_ref(m, L_ARR23);
	} else {
		put_var(m, "main.w", 0x2000, L_ARR23);
	}
	put_die(m, A_VAR_EXPR, "main.tls");
	put_u8(m->info, 10);
	put_u8(m->info, DW_OP_const8u);
	st_put_u64(m->info, 0x10);
	put_u8(m->info, DW_OP_form_tls_address);
	put_ref(m, L_INT);
	put_die(m, A_VAR_PLAIN, "main.nowhere");
	put_ref(m, L_INT);
	put_var(m, "main.rec", 0x3000, L_REC);
	put_var(m, "main.circle", 0x4000, L_C1);
	unit_end(m);
	unit_begin(m, "main", DW_LANG_Go);
	put_var(m, "main.late", 0x5000, L_INT);
	unit_end(m);
}

static void unit_c(struct maker *m)
{
	unit_begin(m, "x.c", DW_LANG_C11);
	put_sized(m, L_UNION, A_UNION, NULL, 8);
	put_member(m, "i", 0, L_INT);
	put_member(m, "u", 0, L_UINT32);
	put_u8(m->info, 0);
	put_alias(m, L_CONST, A_CONST_TYPE, NULL, L_VOLATILE);
	put_alias(m, L_VOLATILE, A_VOLATILE_TYPE, NULL, L_INT);
	put_sized(m, L_CSTRUCT, A_STRUCT, "cstruct", 16);
	put_member(m, "un", 0, L_UNION);
	put_member(m, "cv", 8, L_CONST);
	put_u8(m->info, 0);
	put_die(m, A_VAR_DECL, "main.late");
	put_ref(m, L_CSTRUCT);
	put_var(m, "cvar", 0x6000, L_CSTRUCT);
	unit_end(m);
}

// A type with a name of that length, which does not compress well.
static void unit_filler(struct maker *m, size_t n)
{
	uint32_t seed = 1;
	unit_begin(m, "filler.c", DW_LANG_C11);
	put_u8(m->info, A_BASE);
	for (; n; n--) {
		seed = seed * 1664525 + 1013904223;
		put_u8(m->info, 'a' + (seed >> 24) % 26);
	}
	put_u8(m->info, 0);
	put_u8(m->info, 1);
	unit_end(m);
}

void dwarf_sample(int version, size_t filler, struct st_buf sections[DS_SECTIONS])
{
	memset(sections, 0, DS_SECTIONS * sizeof(*sections));
	struct st_buf *ab = &sections[DS_ABBREV];
	for (size_t i = 0; i < GI_ARRAY_SIZE(abbrevs); i++) {
		const struct abbrev_def *d = &abbrevs[i];
		put_u8(ab, d->code);
		put_u8(ab, d->tag);
		put_u8(ab, d->children);
		for (const uint8_t *a = d->attrs; *a; a += 2) {
			put_u8(ab, a[0]);
			put_u8(ab, a[1]);
		}
		put_u8(ab, 0);
		put_u8(ab, 0);
	}
	put_u8(ab, 0);

	struct st_buf *ad = &sections[DS_ADDR];
	st_put_u32(ad, 4 + 2 * 8);
	put_u8(ad, 5);
	put_u8(ad, 0);
	put_u8(ad, 8);
	put_u8(ad, 0);
	st_put_u64(ad, 0x8888);
	st_put_u64(ad, 0x2000);

	struct maker m = {.info = &sections[DS_INFO], .version = version};
	unit_runtime(&m);
	unit_main(&m);
	if (filler)
		unit_filler(&m, filler);
	unit_c(&m);
	for (size_t i = 0; i < m.ref_count; i++)
		patch_u32(m.info, m.refs[i].off, m.at[m.refs[i].label]);
}

// The section as a zlib stream behind a header.
static struct st_buf packed(const struct st_buf *section)
{
	struct st_buf b = {0};
	Elf64_Chdr h = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = section->n, .ch_addralign = 1};
	uLongf n = compressBound(section->n);
	uint8_t *z = malloc(n);
	if (!z || compress(z, &n, section->p, section->n) != Z_OK)
		abort();
	st_put(&b, &h, sizeof(h));
	st_put(&b, z, n);
	free(z);
	return b;
}

static struct gi_elf *make_elf(const struct st_buf sections[DS_SECTIONS], bool pack, bool damage)
{
	struct elf_builder *b = elf_builder_create(ET_EXEC);
	for (size_t i = 0; i < DS_SECTIONS; i++) {
		bool z = pack && i == DS_INFO;
		struct st_buf s = z ? packed(&sections[i]) : sections[i];
		if (z && damage)
			s.p[s.n - 60] ^= 0xff;
		elf_builder_add_section(b, dwarf_sample_names[i], SHT_PROGBITS,
					z ? SHF_COMPRESSED : 0, 0, s.p, s.n, 0, 0);
		if (z)
			free(s.p);
	}
	size_t n;
	uint8_t *bytes = elf_builder_build(b, &n);
	struct gi_elf *elf;
	struct gi_error *err = gi_elf_open_image("sample", bytes, n, &elf);
	if (err)
		abort();
	elf_builder_destroy(b);
	free(bytes);
	return elf;
}

struct gi_elf *dwarf_sample_elf(const struct st_buf sections[DS_SECTIONS])
{
	return make_elf(sections, false, false);
}

struct gi_elf *dwarf_sample_elf_packed(const struct st_buf sections[DS_SECTIONS])
{
	return make_elf(sections, true, false);
}

struct gi_elf *dwarf_sample_elf_damaged(const struct st_buf *sections)
{
	return make_elf(sections, true, true);
}

static bool ask_field(void *arg, const char *name, uint64_t off, uint64_t type)
{
	struct gi_dwarf_type t;
	(void)name, (void)off;
	return !gi_dwarf_type(arg, type, &t) || t.count < 1000;
}

static bool ask_arg(void *arg, const struct gi_dwarf_arg *a)
{
	struct gi_dwarf_type t;
	if (gi_dwarf_type(arg, a->type, &t))
		gi_dwarf_fields(arg, t.id, ask_field, arg);
	return true;
}

void dwarf_sample_ask(struct gi_elf *elf)
{
	static const char *const types[] = {"runtime.alias", "runtime.rec", "cstruct",
					    "runtime.c1", "none"};
	static const char *const paths[] = {"in.b", "arr[].b", "rec.rec", "un.u", "next"};
	static const char *const globals[] = {"main.v", "main.w", "main.late", "cvar",
					      "main.tls"};
	static const uint64_t addrs[] = {0x1000, 0x1002, 0x1038, 0x2048,
					 0x3004, 0x4000, 0x6004};
	struct gi_dwarf *dw;
	struct gi_dwarf_member m;
	uint64_t v;
	int64_t k;
	struct gi_error *err = gi_dwarf_open(elf, &dw);
	if (err) {
		gi_error_free(err);
		return;
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(addrs); i++) {
		for (size_t level = 0; level < 3; level++)
			gi_error_ignore(gi_dwarf_args(dw, "main.f", addrs[i], addrs[i] + level, level,
						      "main.v", ask_arg, dw));
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(types); i++) {
		gi_error_ignore(gi_dwarf_sizeof(dw, types[i], &v));
		gi_error_ignore(gi_dwarf_member(dw, types[i], paths[i], &m));
		gi_error_ignore(gi_dwarf_global(dw, globals[i], &v, &m));
	}
	gi_error_ignore(gi_dwarf_constant(dw, "runtime.K", &k));
	for (size_t i = 0; i < GI_ARRAY_SIZE(addrs); i++) {
		struct gi_str s = {0};
		gi_error_ignore(gi_dwarf_name_at(dw, addrs[i],
						 i % 2 ? "runtime.inner" : NULL, &s));
		if (s.len > 100000)
			abort();
		gi_str_deinit(&s);
	}
	gi_dwarf_close(dw);
}

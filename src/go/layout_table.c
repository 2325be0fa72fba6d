// The layout tables of known releases as one array, and looking things up in it.
//
// layouts/ARCH/*.def are made by `make layouts`: a small program is built by each
// release, the resolver of layout.c asks its DWARF, and each answer becomes a line. Here
// the same questions get the same answers. A table is some hundred lines and is asked
// some hundred times, once for each target, so that looking from its start is quick
// enough.

#include "go/layout_table.h"

#include <string.h>

// The tables as pack.awk makes them small: its names as one string, its entries with where
// theirs is in it.
static const char names[] =
#include "layouts.gen.def"
	;

static const struct gi_table_entry entries[] = {
#define GI_T_ENTRIES
#define T_RELEASE(arch_, minor, patch) \
	{.kind = GI_T_RELEASE, .arch = (arch_), .u = (minor), .count = (patch)},
#define T_STRUCT(name_, size_) {.kind = GI_T_STRUCT, .name = (name_), .u = (size_)},
#define T_FIELD(path, off_, size_, count_) \
	{.kind = GI_T_FIELD, .name = (path), .field = {(off_), (size_)}, .count = (count_)},
#define T_GLOBAL(name_, size_, count_) \
	{.kind = GI_T_GLOBAL, .name = (name_), .u = (size_), .count = (count_)},
#define T_CONST(name_, value) {.kind = GI_T_CONST, .name = (name_), .i = (value)},
#define T_FUNC(name_, refs, shape) \
	{.kind = GI_T_FUNC, .name = (name_), .u = UINT64_C(shape), .count = (refs)},
#define T_REF(index, global, off) \
	{.kind = GI_T_REF, .name = (global), .u = (off), .count = (index)},
#include "layouts.gen.def"
};

_Static_assert(sizeof(names) <= UINT16_MAX, "names have offsets of 16 bits");
_Static_assert(sizeof(struct gi_table_entry) == 16, "there are some ten thousand of them");

const char *gi_layout_table_name(const struct gi_table_entry *e)
{
	return names + e->name;
}

static bool begins_table(const struct gi_table_entry *e, enum gi_arch arch)
{
	return e->kind == GI_T_RELEASE && e->arch == arch;
}

size_t gi_layout_table_count(enum gi_arch arch)
{
	size_t n = 0;

	for (size_t i = 0; i < GI_ARRAY_SIZE(entries); i++)
		n += begins_table(&entries[i], arch);
	return n;
}

struct gi_layout_table gi_layout_table(enum gi_arch arch, size_t i)
{
	struct gi_layout_table t = {0};
	const struct gi_table_entry *e = entries, *end = entries + GI_ARRAY_SIZE(entries);

	while (e < end && (!begins_table(e, arch) || i-- > 0))
		e++;
	if (e == end)
		return t;
	t.minor = (int)e->u;
	t.patch = (int)e->count;
	t.entries = ++e;
	while (e < end && e->kind != GI_T_RELEASE)
		e++;
	t.count = (size_t)(e - t.entries);
	return t;
}

struct gi_layout_table gi_layout_table_for(enum gi_arch arch, int minor, int patch)
{
	size_t n = gi_layout_table_count(arch);
	int level = patch < 0 ? 0 : patch;
	struct gi_layout_table best = gi_layout_table(arch, 0);

	for (size_t i = 1; i < n; i++) {
		struct gi_layout_table t = gi_layout_table(arch, i);

		if (t.minor < minor || (t.minor == minor && t.patch <= level))
			best = t;
	}
	return best;
}

static struct gi_error *not_found(const struct gi_layout_table *t, const char *what,
				  const char *name)
{
	return gi_error_create(GI_ERR_NOT_FOUND, "the table of go1.%d.%d has no %s %s", t->minor,
			       t->patch, what, name);
}

// The entry of a kind with a name; t->count if there is none.
static size_t find(const struct gi_layout_table *t, enum gi_table_kind kind, const char *name)
{
	size_t i = 0;

	while (i < t->count &&
	       (t->entries[i].kind != kind || strcmp(gi_layout_table_name(&t->entries[i]), name) != 0))
		i++;
	return i;
}

struct gi_error *gi_layout_table_record(const struct gi_layout_table *t, const char *type,
					uint64_t *size_ret)
{
	size_t i = find(t, GI_T_STRUCT, type);

	if (i == t->count)
		return not_found(t, "struct", type);
	*size_ret = t->entries[i].u;
	return NULL;
}

struct gi_error *gi_layout_table_member(const struct gi_layout_table *t, const char *type,
					const char *path, struct gi_field *ret)
{
	size_t i = find(t, GI_T_STRUCT, type);

	if (i == t->count)
		return not_found(t, "struct", type);
	for (i++; i < t->count && t->entries[i].kind == GI_T_FIELD; i++) {
		const struct gi_table_entry *e = &t->entries[i];

		if (strcmp(gi_layout_table_name(e), path) != 0)
			continue;
		*ret = (struct gi_field){
			.off = e->field.off, .size = e->field.size, .count = e->count};
		return NULL;
	}
	return not_found(t, "member", path);
}

bool gi_layout_table_global(const struct gi_layout_table *t, const char *name,
			    struct gi_global *ret)
{
	size_t i = find(t, GI_T_GLOBAL, name);

	if (i == t->count)
		return false;
	*ret = (struct gi_global){.size = t->entries[i].u, .count = t->entries[i].count};
	return true;
}

struct gi_error *gi_layout_table_constant(const struct gi_layout_table *t, const char *name,
					  int64_t *ret)
{
	size_t i = find(t, GI_T_CONST, name);

	if (i == t->count)
		return not_found(t, "constant", name);
	*ret = t->entries[i].i;
	return NULL;
}

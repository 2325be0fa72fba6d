// The layout tables of known releases as one array, and looking things up in it.
//
// layouts/ARCH/*.def are made by `make layouts`: a small program is built by each
// release, the resolver of layout.c asks its DWARF, and each answer becomes a line. Here
// the same questions get the same answers. A table is some hundred lines and is asked
// some hundred times, once for each target, so that looking from its start is quick
// enough.

#include "go/layout_table.h"

#include <string.h>

static const struct gi_table_entry entries[] = {
#define T_RELEASE(minor, patch) {.kind = GI_T_RELEASE, .size = (minor), .count = (patch)},
#define T_STRUCT(name_, size_) {.kind = GI_T_STRUCT, .name = (name_), .u = (size_)},
#define T_FIELD(path, off, size_, count_) \
	{.kind = GI_T_FIELD, .name = (path), .u = (off), .size = (size_), .count = (count_)},
#define T_GLOBAL(name_, size_, count_) \
	{.kind = GI_T_GLOBAL, .name = (name_), .u = (size_), .count = (count_)},
#define T_CONST(name_, value) {.kind = GI_T_CONST, .name = (name_), .i = (value)},
#define T_FUNC(name_, refs, shape) \
	{.kind = GI_T_FUNC, .name = (name_), .u = UINT64_C(shape), .count = (refs)},
#define T_REF(index, global, off) \
	{.kind = GI_T_REF, .name = (global), .u = (off), .count = (index)},
#include "go/layouts/amd64/all.def"
};

size_t gi_layout_table_count(void)
{
	size_t n = 0;

	for (size_t i = 0; i < GI_ARRAY_SIZE(entries); i++)
		n += entries[i].kind == GI_T_RELEASE;
	return n;
}

struct gi_layout_table gi_layout_table(size_t i)
{
	struct gi_layout_table t = {0};

	for (size_t k = 0; k < GI_ARRAY_SIZE(entries); k++) {
		const struct gi_table_entry *e = &entries[k];

		if (e->kind == GI_T_RELEASE && i-- == 0) {
			t.entries = e + 1;
			t.minor = (int)e->size;
			t.patch = (int)e->count;
			continue;
		}
		if (!t.entries)
			continue;
		if (e->kind == GI_T_RELEASE)
			break;
		t.count++;
	}
	return t;
}

struct gi_layout_table gi_layout_table_for(int minor, int patch)
{
	size_t n = gi_layout_table_count();
	int level = patch < 0 ? 0 : patch;
	struct gi_layout_table best = gi_layout_table(0);

	for (size_t i = 1; i < n; i++) {
		struct gi_layout_table t = gi_layout_table(i);

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
	       (t->entries[i].kind != kind || strcmp(t->entries[i].name, name) != 0))
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

		if (strcmp(e->name, path) != 0)
			continue;
		*ret = (struct gi_field){.off = (uint32_t)e->u, .size = e->size, .count = e->count};
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

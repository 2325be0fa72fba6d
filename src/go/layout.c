// Resolving layout.def against a source of layouts.
//
// Names move between releases: a field is renamed, wrapped in an atomic type, or moves
// into an embedded struct. Each line of the table lists the spellings, newest first; the
// first one that the target's own type information has wins, and its size must fit the
// kind of value that is read from it. Offsets are never guessed from the release number:
// that only tells which names are expected at all.

#include "go/layout.h"

#include <string.h>

struct field_desc {
	const char *id, *paths;
	uint16_t off; // in struct gi_layout
	uint8_t kind, need, since, until;
};

struct record_desc {
	const char *id, *names;
	const struct field_desc *fields;
	size_t field_count;
	uint16_t off;
	uint8_t need, since, until;
};

struct global_desc {
	const char *names;
	uint16_t off;
	uint8_t need, since, until;
};

struct const_desc {
	const char *names;
	int64_t fallback;
	uint16_t off;
	uint8_t since, until;
};

// One array of fields for each struct.
#define L_STRUCT(id, need, since, until, names) static const struct field_desc fields_##id[] = {
#define L_FIELD(s, id, kind, need, since, until, paths) \
	{#id, paths, offsetof(struct gi_layout, s.id), GI_L_##kind, GI_L_##need, since, until},
#define L_END(id) \
	}         \
	;
#define L_GLOBAL(id, need, since, until, names)
#define L_CONST(id, fallback, since, until, names)
#include "go/layout.def"
#undef L_STRUCT
#undef L_FIELD
#undef L_END

static const struct record_desc records[] = {
#define L_STRUCT(id, need, since, until, names) \
	{#id,                                   \
	 names,                                 \
	 fields_##id,                           \
	 GI_ARRAY_SIZE(fields_##id),            \
	 offsetof(struct gi_layout, id.rec),    \
	 GI_L_##need,                           \
	 since,                                 \
	 until},
#define L_FIELD(s, id, kind, need, since, until, paths)
#define L_END(id)
#include "go/layout.def"
#undef L_STRUCT
#undef L_GLOBAL
};

static const struct global_desc globals[] = {
#define L_STRUCT(id, need, since, until, names)
#define L_GLOBAL(id, need, since, until, names) \
	{names, offsetof(struct gi_layout, global.id), GI_L_##need, since, until},
#include "go/layout.def"
#undef L_GLOBAL
#undef L_CONST
};

static const struct const_desc constants[] = {
#define L_GLOBAL(id, need, since, until, names)
#define L_CONST(id, fallback, since, until, names) \
	{names, fallback, offsetof(struct gi_layout, constant.id), since, until},
#include "go/layout.def"
#undef L_STRUCT
#undef L_FIELD
#undef L_END
#undef L_GLOBAL
#undef L_CONST
};

enum { NAME_MAX_LEN = 128 };

// The next of names separated by '|', copied to buf; NULL at the end.
static const char *next_name(const char **names, char *buf)
{
	const char *start = *names;
	size_t n;

	if (!*start)
		return NULL;
	n = strcspn(start, "|");
	*names = start + n + (start[n] == '|');
	if (n >= NAME_MAX_LEN)
		return NULL;
	memcpy(buf, start, n);
	buf[n] = '\0';
	return buf;
}

static bool in_range(int minor, unsigned since, unsigned until)
{
	if (minor <= 0)
		return true;
	return (unsigned)minor >= since && (until == 0 || (unsigned)minor <= until);
}

static bool kind_fits(unsigned kind, uint64_t size)
{
	switch (kind) {
	case GI_L_INT:
		return size == 1 || size == 2 || size == 4 || size == 8;
	case GI_L_PTR:
		return size == 8;
	case GI_L_SLICE:
		return size == 24;
	case GI_L_STRING:
		return size == 16;
	}
	return size <= UINT32_MAX;
}

// What the source does not know is no failure; anything else is.
static struct gi_error *forgive_not_found(struct gi_error *err)
{
	if (err && gi_error_code(err) == GI_ERR_NOT_FOUND) {
		gi_error_ignore(err);
		return NULL;
	}
	return err;
}

static struct gi_error *resolve_field(const struct gi_layout_source *src, const char *type,
				      uint64_t type_size, const struct field_desc *d, bool strict,
				      struct gi_field *ret)
{
	const char *names = d->paths, *path;
	char buf[NAME_MAX_LEN];

	while ((path = next_name(&names, buf))) {
		struct gi_field f = {0};
		struct gi_error *err = src->member(src->arg, type, path, &f);

		if (err) {
			err = forgive_not_found(err);
			if (err)
				return err;
			continue;
		}
		if (!kind_fits(d->kind, f.size) && !strict)
			continue; // the caller tells that it is missing
		if (!kind_fits(d->kind, f.size))
			return gi_error_create(GI_ERR_UNSUPPORTED,
					       "%s.%s has %u bytes in %s, which is no size that it "
					       "has in a known Go release",
					       type, path, f.size, src->what);
		if (!gi_in_bounds(f.off, f.size, type_size))
			return gi_error_create(GI_ERR_FORMAT,
					       "%s.%s lies at offset %u in %s, outside of its "
					       "struct of %llu bytes",
					       type, path, f.off, src->what,
					       (unsigned long long)type_size);
		f.ok = true;
		*ret = f;
		return NULL;
	}
	return NULL;
}

static void add_missing(struct gi_str *missing, const char *a, const char *b)
{
	if (missing->len)
		gi_str_puts(missing, ", ");
	gi_str_putn(missing, a, strcspn(a, "|"));
	if (b) {
		gi_str_putc(missing, '.');
		gi_str_putn(missing, b, strcspn(b, "|"));
	}
}

static struct gi_error *missing_error(const struct gi_layout_source *src, const char *name,
				      const char *path)
{
	return gi_error_create(GI_ERR_UNSUPPORTED,
			       "%s has no %.*s%s%.*s: the Go release is not one that this program "
			       "knows, or the debug information is damaged",
			       src->what, (int)strcspn(name, "|"), name, path ? "." : "",
			       path ? (int)strcspn(path, "|") : 0, path ? path : "");
}

static struct gi_error *resolve_record(const struct gi_layout_source *src, int minor,
				       const struct record_desc *d, struct gi_layout *l,
				       struct gi_str *missing)
{
	struct gi_record *rec = (void *)((char *)l + d->off);
	const char *names = d->names, *type = NULL;
	char buf[NAME_MAX_LEN];
	struct gi_error *err;

	if (!in_range(minor, d->since, d->until))
		return NULL;
	while ((type = next_name(&names, buf))) {
		err = src->record(src->arg, type, &rec->size);
		if (!err)
			break;
		err = forgive_not_found(err);
		if (err)
			return err;
	}
	if (!type) {
		if (d->need == GI_L_MUST)
			return missing_error(src, d->names, NULL);
		// Of an unknown release nothing in particular is expected.
		if (d->need == GI_L_WANT && minor > 0)
			add_missing(missing, d->names, NULL);
		return NULL;
	}

	rec->ok = true;
	for (size_t i = 0; i < d->field_count; i++) {
		const struct field_desc *fd = &d->fields[i];
		struct gi_field *f = (void *)((char *)l + fd->off);

		if (!in_range(minor, fd->since, fd->until))
			continue;
		err = resolve_field(src, type, rec->size, fd,
				    fd->need == GI_L_MUST && d->need == GI_L_MUST, f);
		if (err)
			return err;
		if (f->ok)
			continue;
		if (fd->need == GI_L_MUST && d->need == GI_L_MUST)
			return missing_error(src, type, fd->paths);
		if (fd->need == GI_L_MUST)
			rec->ok = false;
		if (fd->need != GI_L_OPT && minor > 0)
			add_missing(missing, type, fd->paths);
	}
	return NULL;
}

struct gi_error *gi_layout_resolve_global(const struct gi_layout_source *src, const char *names,
					  struct gi_global *ret)
{
	char buf[NAME_MAX_LEN];
	const char *name;

	while ((name = next_name(&names, buf))) {
		struct gi_global g = {0};
		struct gi_error *err = src->global(src->arg, name, &g);

		if (!err) {
			g.ok = true;
			*ret = g;
			return NULL;
		}
		err = forgive_not_found(err);
		if (err)
			return err;
	}
	return NULL;
}

static struct gi_error *resolve_constant(const struct gi_layout_source *src, const char *names,
					 int64_t *ret)
{
	const char *name;
	char buf[NAME_MAX_LEN];

	while ((name = next_name(&names, buf))) {
		struct gi_error *err = src->constant(src->arg, name, ret);

		if (!err)
			return NULL;
		err = forgive_not_found(err);
		if (err)
			return err;
	}
	return NULL;
}

struct gi_error *gi_layout_resolve_types(const struct gi_layout_source *src, int minor,
					 struct gi_layout *ret, struct gi_str *missing)
{
	struct gi_layout l = {0};
	struct gi_error *err;

	for (size_t i = 0; i < GI_ARRAY_SIZE(records); i++) {
		err = resolve_record(src, minor, &records[i], &l, missing);
		if (err)
			return err;
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(constants); i++) {
		const struct const_desc *d = &constants[i];
		int64_t *c = (void *)((char *)&l + d->off);

		*c = d->fallback;
		if (!in_range(minor, d->since, d->until))
			continue;
		err = resolve_constant(src, d->names, c);
		if (err)
			return err;
	}
	if (missing->oom)
		return gi_error_nomem();
	*ret = l;
	return NULL;
}

struct gi_error *gi_layout_resolve_globals(const struct gi_layout_source *src, int minor,
					   struct gi_layout *l, struct gi_str *missing)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(globals); i++) {
		const struct global_desc *d = &globals[i];
		struct gi_global *g = (void *)((char *)l + d->off);
		struct gi_error *err;

		if (!in_range(minor, d->since, d->until))
			continue;
		err = gi_layout_resolve_global(src, d->names, g);
		if (err)
			return err;
		if (g->ok)
			continue;
		if (d->need == GI_L_MUST)
			return missing_error(src, d->names, NULL);
		if (d->need == GI_L_WANT && minor > 0)
			add_missing(missing, d->names, NULL);
	}
	return missing->oom ? gi_error_nomem() : NULL;
}

struct gi_error *gi_layout_resolve(const struct gi_layout_source *src, int minor,
				   struct gi_layout *ret, struct gi_str *missing)
{
	struct gi_layout l = {0};
	struct gi_error *err = gi_layout_resolve_types(src, minor, &l, missing);

	if (!err)
		err = gi_layout_resolve_globals(src, minor, &l, missing);
	if (err)
		return err;
	*ret = l;
	return NULL;
}

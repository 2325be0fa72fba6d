// From the name of a thing to its address: "main.srv.conns[3].mu", as names are written here.
//
// The longest beginning that is a global is one; then each step goes down the type that lies there,
// through pointers where a field or element is asked for, as Go itself does. Behind an interface the type
// that it holds is named, as in names (".(*main.conn)"), or may be left out. Types are those of debug
// information as long as these tell, then the program's own descriptors.

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gcore/type.h"
#include "go/go_impl.h"
#include "go/statics.h"

enum { MAX_STEPS = 64, MAX_ENTRIES = 1 << 20 };
#define MAX_COUNT (UINT64_C(1) << 40)

/** What lies where: a storage, and of which kind it is (the same numbers in both worlds). */
static bool kind_of(const struct gi_storage *s, unsigned *kind, uint64_t *size, uint64_t *count)
{
	struct gi_dwarf_type d;

	*count = 0;
	if (!s->dwarf) {
		*kind = s->type.kind;
		*size = s->type.size;
		return s->type.addr != 0;
	}
	if (!gi_dwarf_type(s->dwarf, s->by_debug, &d))
		return false;
	*kind = d.kind;
	*size = d.size;
	*count = d.count;
	return true;
}

static struct gi_error *lost(const char *path, const char *at, const char *why)
{
	return gi_error_create(GI_ERR_NOT_FOUND, "\"%.*s\" %s", (int)(at - path), path, why);
}

// --- one step -----------------------------------------------------------------------------

/** What the pointer, interface value, slice, channel or map at s leads to; false if it holds nil or tells no type. */
static bool behind(struct gi_go *go, const struct gi_storage *s, unsigned kind,
		   struct gi_storage *ret, bool *array_ret, uint64_t *count_ret)
{
	const uint64_t off = kind == GI_TYPE_INTERFACE ? 8 : 0;
	_cleanup_(gi_str_deinit) struct gi_str path = {0};
	struct gi_dwarf_pointee d = {.name = ""};
	struct gi_type_pointee t = {0};
	struct gi_storage to = {0};
	struct gi_type type;
	uint64_t word, count = 1;

	if (s->dwarf ? !gi_dwarf_pointee_in(s->dwarf, s->by_debug, off, &path, &d)
		     : !gi_type_pointee(go, &s->type, off, &path, &t))
		return false;
	if (!gi_target_peek_u64(go->target, s->start + off, &to.start) || !to.start)
		return false;
	if (kind == GI_TYPE_INTERFACE) {
		if (!gi_target_peek_u64(go->target, s->start, &word) ||
		    !gi_type_of_interface(go, word, &type))
			return false;
		to.type = type;
		if (type.kind == GI_TYPE_PTR && !gi_type_elem(go, &type, &to.type))
			return false;
	} else if (s->dwarf && d.header) {
		if (!gi_go_type_by_debug(go, &d, &to.type))
			to.type = (struct gi_type){0};
	} else if (s->dwarf) {
		to.dwarf = s->dwarf;
		to.by_debug = d.type;
	} else {
		to.type = t.type;
	}
	*array_ret = d.array || t.array;
	if (*array_ret && !gi_target_peek_u64(go->target, s->start + 8, &count))
		return false;
	*count_ret = count;
	*ret = to;
	return count <= MAX_COUNT;
}

/** Through pointers, and interfaces, to a thing that has fields or elements. */
static bool through(struct gi_go *go, struct gi_storage *s, unsigned *kind, uint64_t *count)
{
	struct gi_storage to;
	uint64_t size, n;
	bool array;

	for (unsigned step = 0; step < MAX_STEPS; step++) {
		if (!kind_of(s, kind, &size, count))
			return false;
		if (*kind != GI_TYPE_PTR && *kind != GI_TYPE_INTERFACE)
			return true;
		if (!behind(go, s, *kind, &to, &array, &n))
			return false;
		*s = to;
	}
	return false;
}

struct field {
	const char *name;
	size_t n;
	uint64_t off, type;
	bool found;
};

static bool see_field(void *arg, const char *name, uint64_t off, uint64_t type)
{
	struct field *f = arg;

	if (!name || strlen(name) != f->n || memcmp(name, f->name, f->n) != 0)
		return true;
	f->off = off;
	f->type = type;
	f->found = true;
	return false;
}

static bool field(struct gi_go *go, struct gi_storage *s, const char *name, size_t n)
{
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	struct field f = {.name = name, .n = n};
	struct gi_dwarf_type d;

	if (!s->dwarf) {
		gi_str_putn(&text, name, n);
		struct gi_type of = s->type;
		if (!gi_type_field(go, &of, gi_str_cstr(&text), &s->type, &f.off))
			return false;
	} else {
		if (!gi_dwarf_type(s->dwarf, s->by_debug, &d))
			return false;
		gi_dwarf_fields(s->dwarf, d.id, see_field, &f);
		if (!f.found)
			return false;
		s->by_debug = f.type;
	}
	s->start += f.off;
	return true;
}

struct key {
	struct gi_go *go;
	const struct gi_gomap_shape *shape;
	const char *text;
	size_t n;
	struct gi_str s;
	uint64_t found;
};

/** Quotation marks may be left out: a command line takes them off. */
static bool see_entry(void *arg, uint64_t key, uint64_t elem)
{
	struct key *k = arg;

	gi_str_reset(&k->s);
	gi_gomap_put_key_at(k->go, k->shape, key, &k->s);
	const char *s = gi_str_cstr(&k->s);
	const size_t n = k->s.len;
	if ((n == k->n && memcmp(s, k->text, n) == 0) ||
	    (n >= 2 && n - 2 == k->n && *s == '"' && memcmp(s + 1, k->text, k->n) == 0))
		k->found = elem;
	return !k->found;
}

static bool entry(struct gi_go *go, const struct gi_storage *map, const char *text, size_t n,
		  struct gi_storage *ret)
{
	struct gi_gomap_shape shape;
	struct key k = {.go = go, .shape = &shape, .text = text, .n = n};

	if (!map->type.addr || !gi_gomap_shape(go, &map->type, &shape))
		return false;
	gi_gomap_each(go, &shape, map->start, MAX_ENTRIES, see_entry, &k);
	gi_str_deinit(&k.s);
	*ret = (struct gi_storage){.start = k.found, .type = shape.elem};
	return k.found != 0;
}

static bool element(struct gi_go *go, struct gi_storage *s, const char *text, size_t n)
{
	struct gi_storage to = *s;
	struct gi_dwarf_type d;
	uint64_t count, size, i, len;
	unsigned kind;
	bool array;

	if (!through(go, s, &kind, &count) || n == 0)
		return false;
	to = *s;
	if (kind == GI_TYPE_MAP)
		return behind(go, s, kind, &to, &array, &len) && entry(go, &to, text, n, s);
	char *end, *copy = strndup(text, n);
	i = copy && isdigit((unsigned char)*text) ? strtoull(copy, &end, 0) : UINT64_MAX;
	const bool number = copy && i != UINT64_MAX && !*end;
	free(copy);
	if (!number)
		return false;
	if (kind == GI_TYPE_SLICE) {
		if (!behind(go, s, kind, &to, &array, &count) || !array)
			return false;
	} else if (kind != GI_TYPE_ARRAY) {
		return false;
	} else if (s->dwarf) {
		if (!gi_dwarf_type(s->dwarf, s->by_debug, &d))
			return false;
		to.by_debug = d.elem;
	} else {
		if (!gi_type_elem(go, &s->type, &to.type) || !to.type.size)
			return false;
		count = s->type.size / to.type.size;
	}
	if (!kind_of(&to, &kind, &size, &len) || i >= count)
		return false;
	*s = to;
	s->start += i * size;
	return true;
}

// --- all of them --------------------------------------------------------------------------

static struct gi_error *walk(struct gi_go *go, const char *path, const char *p,
			     struct gi_storage *s)
{
	unsigned kind;
	uint64_t count;
	size_t n;

	while (*p) {
		const char *from = p;

		if (*p == '[') {
			const char *close = strchr(p, ']');
			size_t skip = 1;
			n = close ? (size_t)(close - p) - 1 : 0;
			p = close ? close + 1 : p;
			if (!close || !element(go, s, from + skip, n))
				return lost(path, close ? p : p + 1, "is no element that there is");
		} else if (p[0] == '.' && p[1] == '(') {
			// What it holds says the value itself.
			const char *close = strchr(p, ')');
			if (!close || !through(go, s, &kind, &count))
				return lost(path, from, "holds no value of a type that is known");
			p = close + 1;
		} else if (*p == '.') {
			n = strcspn(++p, ".[");
			if (!through(go, s, &kind, &count))
				return lost(path, from, "holds nil, or nothing whose type is known");
			if (!n || !field(go, s, p, n))
				return lost(path, p + n, "is no field that there is");
			p += n;
		} else {
			return lost(path, p + 1, "is not understood");
		}
	}
	return NULL;
}

bool gi_go_path_global(struct gi_go *go, const char *path, uint64_t *ret, size_t *length_ret)
{
	_cleanup_(gi_str_deinit) struct gi_str global = {0};
	const char *slash = strrchr(path, '/');
	const size_t least = slash ? (size_t)(slash - path) : 0;

	// The longest first: a package's path has dots, too.
	for (size_t end = strlen(path); end > least; end--) {
		if (path[end] && path[end] != '.' && path[end] != '[')
			continue;
		gi_str_reset(&global);
		gi_str_putn(&global, path, end);
		if (!global.oom && gi_go_global(go, gi_str_cstr(&global), ret)) {
			*length_ret = end;
			return true;
		}
	}
	return false;
}

struct gi_error *gi_go_path(struct gi_go *go, const char *path, bool *begins_ret, uint64_t *ret)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	struct gi_storage s;
	uint64_t addr;
	size_t end;

	*begins_ret = gi_go_path_global(go, path, &addr, &end);
	if (!*begins_ret)
		return gi_error_create(GI_ERR_NOT_FOUND, "\"%s\" begins with no global", path);
	if (!path[end]) {
		*ret = addr;
		return NULL;
	}
	if (!gi_go_storage_at(go, addr, &name, &s))
		return lost(path, path + end,
			    "is a global of which no debug information tells the type");
	struct gi_error *err = walk(go, path, path + end, &s);
	if (!err)
		*ret = s.start;
	return err;
}

/** The thing that begins at addr: a global, or a part of one. */
static bool thing_at(struct gi_go *go, uint64_t addr, struct gi_storage *ret)
{
	_cleanup_(gi_str_deinit) struct gi_str path = {0};
	struct gi_storage s;
	uint64_t rest;

	if (!gi_go_storage_at(go, addr, &path, &s))
		return false;
	if (s.start == addr) {
		*ret = s;
		return true;
	}
	// By its own name it is found again, with its type.
	const size_t len = path.len;
	if (s.dwarf ? !gi_dwarf_path_at(s.dwarf, s.by_debug, addr - s.start, NULL, &path)
		    : !gi_type_at(go, &s.type, addr - s.start, NULL, &path, &ret->type, &rest))
		return false;
	struct gi_error *err = walk(go, gi_str_cstr(&path), gi_str_cstr(&path) + len, &s);
	gi_error_ignore(err);
	*ret = s;
	return !err && s.start == addr;
}

bool gi_go_follow(struct gi_go *go, uint64_t addr, uint64_t *ret, uint64_t *size_ret)
{
	struct gi_storage s, to;
	uint64_t size, count;
	unsigned kind;
	bool array;

	if (!thing_at(go, addr, &s) || !kind_of(&s, &kind, &size, &count) ||
	    (kind != GI_TYPE_PTR && kind != GI_TYPE_INTERFACE && kind != GI_TYPE_SLICE &&
	     kind != GI_TYPE_CHAN && kind != GI_TYPE_MAP) ||
	    !behind(go, &s, kind, &to, &array, &count))
		return false;
	*ret = to.start;
	*size_ret = 1;
	if (kind != GI_TYPE_CHAN && kind != GI_TYPE_MAP && kind_of(&to, &kind, &size, &(uint64_t){0}))
		*size_ret = size * count;
	return true;
}

uint64_t gi_go_extent(struct gi_go *go, uint64_t addr)
{
	struct gi_storage s;
	uint64_t size, count;
	unsigned kind;

	return thing_at(go, addr, &s) && kind_of(&s, &kind, &size, &count) ? size : 0;
}

// Type descriptors: see gcore/type.h.
//
// A descriptor begins with the same 48 bytes for every kind; what follows is the kind's own.
// Names and some types are offsets from the start of their module's types. All of it is the
// linker's format, the same from Go 1.18 to 1.27 but for the offset of a struct's field, which
// was shifted by one bit in 1.18.

#include "gcore/type.h"

#include <string.h>

#include "go/go_impl.h"

enum {
	OFF_SIZE = 0,
	OFF_HASH = 16,
	OFF_FLAGS = 20,
	OFF_ALIGN = 21,
	OFF_KIND = 23,
	OFF_NAME = 40,
	COMMON = 48, // then the kind's own
	FLAG_EXTRA_STAR = 2,
	KIND_MASK = 31, // before 1.26 bits above it say other things

	PACKAGE_OFF = COMMON, // a struct's
	FIELDS_OFF = COMMON + 8,
	FIELD_SIZE = 24,
	ARRAY_LEN_OFF = COMMON + 16,
	MAP_ELEM_OFF = COMMON + 8,

	ITAB_TYPE = 8,
	ITAB_HASH = 16,

	MAX_NAME = 1 << 12,
	MAX_FIELDS = 1 << 14,
	MAX_DEPTH = 64,
	MAX_TYPES_BYTES = 1 << 28,
};

static const struct gi_module *module_of(struct gi_go *go, uint64_t addr)
{
	for (size_t i = 0; i < gi_go_module_count(go); i++) {
		const struct gi_module *m = gi_go_module(go, i);
		if (addr >= m->types.start && addr < m->types.end)
			return m;
	}
	return NULL;
}

/** A name's bytes: flags, length as a varint, then the text. */
static bool read_name(struct gi_go *go, uint64_t addr, struct gi_str *ret)
{
	uint8_t head[4], text[256];
	uint64_t n = 0;
	unsigned used = 1;
	struct gi_error *err = gi_target_read(go->target, addr, head, sizeof(head));

	if (err) {
		gi_error_ignore(err);
		return false;
	}
	for (;; used++) {
		if (used == sizeof(head))
			return false;
		n |= (uint64_t)(head[used] & 0x7f) << (7 * (used - 1));
		if (!(head[used] & 0x80))
			break;
	}
	if (n > MAX_NAME)
		return false;
	for (uint64_t at = addr + used + 1; n;) {
		size_t k = n < sizeof(text) ? n : sizeof(text);
		err = gi_target_read(go->target, at, text, k);
		if (err) {
			gi_error_ignore(err);
			return false;
		}
		gi_str_putn(ret, (const char *)text, k);
		at += k;
		n -= k;
	}
	return true;
}

bool gi_type_read(struct gi_go *go, uint64_t addr, struct gi_type *ret)
{
	const struct gi_module *m = addr % 8 ? NULL : module_of(go, addr);
	uint8_t p[COMMON];

	if (!m || m->types.end - addr < COMMON)
		return false;
	struct gi_error *err = gi_target_read(go->target, addr, p, sizeof(p));
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	const struct gi_type t = {
		.addr = addr,
		.size = gi_load_u64(p + OFF_SIZE),
		.hash = gi_load_u32(p + OFF_HASH),
		.kind = p[OFF_KIND] & KIND_MASK,
		.flags = p[OFF_FLAGS],
		.name = (int32_t)gi_load_u32(p + OFF_NAME),
	};
	const uint64_t ptrdata = gi_load_u64(p + 8);
	const uint8_t align = p[OFF_ALIGN];
	if (!t.kind || t.kind >= GI_TYPE_KIND_END || ptrdata > t.size || t.size >> 40 || !align ||
	    align > 64 || (align & (align - 1)) || t.name <= 0 ||
	    (uint64_t)t.name >= m->types.end - m->types.start)
		return false;
	*ret = t;
	return true;
}

bool gi_type_of_interface(struct gi_go *go, uint64_t word, struct gi_type *ret)
{
	uint64_t type, hash;
	struct gi_type t;

	if (gi_type_read(go, word, ret))
		return true;
	// An itab: its type, and that type's hash once more.
	if (word % 8 || !word || !gi_target_peek_u64(go->target, word + ITAB_TYPE, &type) ||
	    !gi_type_read(go, type, &t) ||
	    !gi_target_peek_u64(go->target, word + ITAB_HASH, &hash) || (uint32_t)hash != t.hash)
		return false;
	*ret = t;
	return true;
}

void gi_type_name(struct gi_go *go, const struct gi_type *type, struct gi_str *ret)
{
	const struct gi_module *m = module_of(go, type->addr);
	size_t len = ret->len;

	if (!m || !read_name(go, m->types.start + (uint64_t)type->name, ret)) {
		gi_str_putc(ret, '?');
		return;
	}
	if ((type->flags & FLAG_EXTRA_STAR) && ret->len > len && ret->s[len] == '*') {
		memmove(ret->s + len, ret->s + len + 1, ret->len - len);
		ret->len--;
	}
}

static bool type_at_word(struct gi_go *go, uint64_t addr, struct gi_type *ret)
{
	uint64_t v;

	return gi_target_peek_u64(go->target, addr, &v) && gi_type_read(go, v, ret);
}

bool gi_type_elem(struct gi_go *go, const struct gi_type *type, struct gi_type *ret)
{
	switch (type->kind) {
	case GI_TYPE_ARRAY:
	case GI_TYPE_CHAN:
	case GI_TYPE_PTR:
	case GI_TYPE_SLICE:
		return type_at_word(go, type->addr + COMMON, ret);
	case GI_TYPE_MAP:
		return type_at_word(go, type->addr + MAP_ELEM_OFF, ret);
	default:
		return false;
	}
}

/** The field of a struct that holds off; its name is appended. */
static bool field_at(struct gi_go *go, const struct gi_type *type, uint64_t off,
		     struct gi_str *path, struct gi_type *ret, uint64_t *start_ret)
{
	const unsigned shift = gi_go_at_least(go, 1, 19) ? 0 : 1;
	uint64_t fields, n;

	if (!gi_target_peek_u64(go->target, type->addr + FIELDS_OFF, &fields) ||
	    !gi_target_peek_u64(go->target, type->addr + FIELDS_OFF + 8, &n) || n > MAX_FIELDS)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t f = fields + i * FIELD_SIZE;
		uint64_t start, name;
		struct gi_type t;

		if (!gi_target_peek_u64(go->target, f + 16, &start))
			return false;
		start >>= shift;
		if (start > off)
			return false;
		if (!type_at_word(go, f + 8, &t) || off - start >= t.size)
			continue;
		gi_str_putc(path, '.');
		if (!gi_target_peek_u64(go->target, f, &name) || !read_name(go, name, path))
			gi_str_putc(path, '?');
		*ret = t;
		*start_ret = start;
		return true;
	}
	return false;
}

bool gi_type_field(struct gi_go *go, const struct gi_type *type, const char *name,
		   struct gi_type *ret, uint64_t *off_ret)
{
	const unsigned shift = gi_go_at_least(go, 1, 19) ? 0 : 1;
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	uint64_t fields, n, at, off;

	if (type->kind != GI_TYPE_STRUCT ||
	    !gi_target_peek_u64(go->target, type->addr + FIELDS_OFF, &fields) ||
	    !gi_target_peek_u64(go->target, type->addr + FIELDS_OFF + 8, &n) || n > MAX_FIELDS)
		return false;
	for (uint64_t i = 0; i < n; i++, fields += FIELD_SIZE) {
		gi_str_reset(&s);
		if (!gi_target_peek_u64(go->target, fields, &at) || !read_name(go, at, &s))
			return false;
		if (strcmp(gi_str_cstr(&s), name) != 0)
			continue;
		if (!type_at_word(go, fields + 8, ret) ||
		    !gi_target_peek_u64(go->target, fields + 16, &off))
			return false;
		*off_ret = off >> shift;
		return *off_ret <= type->size && ret->size <= type->size - *off_ret;
	}
	return false;
}

bool gi_type_package(struct gi_go *go, const struct gi_type *type, struct gi_str *ret)
{
	uint64_t at;

	return type->kind == GI_TYPE_STRUCT &&
	       gi_target_peek_u64(go->target, type->addr + PACKAGE_OFF, &at) && at &&
	       read_name(go, at, ret);
}

static bool is_called(struct gi_go *go, const struct gi_type *type, const char *want)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};

	gi_type_name(go, type, &name);
	return strcmp(gi_str_cstr(&name), want) == 0;
}

static bool is_from(struct gi_go *go, const struct gi_type *type, const char *package)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	const size_t n = strlen(package);

	return gi_type_package(go, type, &s) && s.len >= n &&
	       strcmp(s.s + s.len - n, package) == 0 && (s.len == n || s.s[s.len - n - 1] == '/');
}

static bool find_type(struct gi_go *go, const char *package, const char *name, struct gi_type *ret)
{
	bool found = false;

	// Types stand one after the other with what belongs to them in between, in the order of
	// their names in some releases only: all places where one may be are looked at.
	for (size_t i = 0; i < gi_go_module_count(go); i++) {
		const struct gi_range r = gi_go_module(go, i)->types;
		const uint64_t end = gi_min_u64(r.end, r.start + MAX_TYPES_BYTES);

		for (uint64_t at = (r.start + 7) & ~UINT64_C(7); at + COMMON <= end; at += 8) {
			struct gi_type t;
			if (!gi_type_read(go, at, &t) || (package && t.kind != GI_TYPE_STRUCT) ||
			    !is_called(go, &t, name) || (package && !is_from(go, &t, package)))
				continue;
			if (found && (ret->hash != t.hash || ret->size != t.size))
				return false;
			*ret = t;
			found = true;
		}
	}
	return found;
}

bool gi_type_find(struct gi_go *go, const char *name, struct gi_type *ret)
{
	return find_type(go, NULL, name, ret);
}

bool gi_type_find_in(struct gi_go *go, const char *package, const char *name, struct gi_type *ret)
{
	return find_type(go, package, name, ret);
}

static void cut(struct gi_str *s, size_t len)
{
	if (s->oom || !s->s || s->len <= len)
		return;
	s->len = len;
	s->s[len] = '\0';
}

bool gi_type_at(struct gi_go *go, const struct gi_type *type, uint64_t off, const char *want,
		struct gi_str *path, struct gi_type *ret, uint64_t *rest_ret)
{
	struct gi_type t = *type, outermost = {0};
	size_t outermost_len = 0;

	if (off >= t.size)
		return false;
	for (unsigned depth = 0; depth < MAX_DEPTH; depth++) {
		if (!off) {
			if (!outermost.addr) {
				outermost = t;
				outermost_len = path->len;
			}
			if (!want || is_called(go, &t, want))
				break;
		}
		struct gi_type next;
		uint64_t start;
		if (t.kind == GI_TYPE_STRUCT) {
			if (!field_at(go, &t, off, path, &next, &start)) {
				if (outermost.addr)
					break;
				return false;
			}
			off -= start;
		} else if (t.kind == GI_TYPE_ARRAY) {
			if (!gi_type_elem(go, &t, &next) || !next.size)
				break;
			gi_str_printf(path, "[%llu]", (unsigned long long)(off / next.size));
			off %= next.size;
		} else {
			break;
		}
		t = next;
	}
	if (outermost.addr && !(want && !off && is_called(go, &t, want))) {
		cut(path, outermost_len);
		t = outermost;
		off = 0;
	}
	*ret = t;
	*rest_ret = off;
	return true;
}

/** Down to a word: what has no parts, or is one of Go's own headers. */
static bool leaf_at(struct gi_go *go, const struct gi_type *type, uint64_t off, struct gi_str *path,
		    struct gi_type *ret, uint64_t *rest_ret)
{
	struct gi_type t = *type;

	for (unsigned depth = 0; depth < MAX_DEPTH; depth++) {
		struct gi_type next;
		uint64_t start;

		if (off >= t.size)
			return false;
		if (t.kind == GI_TYPE_STRUCT) {
			if (!field_at(go, &t, off, path, &next, &start))
				return false;
			off -= start;
		} else if (t.kind == GI_TYPE_ARRAY) {
			if (!gi_type_elem(go, &t, &next) || !next.size)
				return false;
			gi_str_printf(path, "[%llu]", (unsigned long long)(off / next.size));
			off %= next.size;
		} else {
			*ret = t;
			*rest_ret = off;
			return true;
		}
		t = next;
	}
	return false;
}

bool gi_type_pointee(struct gi_go *go, const struct gi_type *type, uint64_t off,
		     struct gi_str *path, struct gi_type_pointee *ret)
{
	struct gi_type leaf;
	uint64_t rest;

	*ret = (struct gi_type_pointee){0};
	if (!leaf_at(go, type, off, path, &leaf, &rest))
		return false;
	if (leaf.kind == GI_TYPE_INTERFACE && rest == 8)
		return ret->dynamic = true;
	if (rest)
		return false;
	switch (leaf.kind) {
	case GI_TYPE_SLICE:
		ret->array = true;
		return gi_type_elem(go, &leaf, &ret->type);
	case GI_TYPE_PTR:
		return gi_type_elem(go, &leaf, &ret->type);
	case GI_TYPE_CHAN:
	case GI_TYPE_MAP:
	case GI_TYPE_FUNC:
		ret->type = leaf;
		ret->header = true;
		return true;
	default:
		return false;
	}
}

// Maps as the running program has them: entries by the descriptors of the map's type.
//
// From Go 1.24 on a map is a directory of tables, each of which has groups of eight slots; a map
// of at most eight entries is one group. Before, it has buckets of eight, each with a chain of
// others behind it, and while it grows the old ones, too. (1.24 and 1.25 can be built with either.)
// Where keys and elements lie in a group or bucket is what its own descriptor says, which the
// map's type refers to: its fields are "ctrl" and "slots" of "key" and "elem", or from 1.27 "keys" and
// "elems"; "topbits", "keys", "elems" and "overflow" of a bucket. The map's own record has one form
// in all releases of each kind, since the compiler writes code that goes by it.
// Sources: internal/runtime/maps/map.go, table.go (1.24 to 1.27), runtime/map.go (1.18 to 1.23),
// cmd/compile/internal/reflectdata.

#include <string.h>

#include "gcore/type.h"
#include "go/go_impl.h"
#include "go/gomap_impl.h"

enum {
	OFF_KEY = 48, // in a map type's descriptor
	OFF_ELEM = 56,
	OFF_GROUP = 64,

	OFF_COUNT = 0, // in a map's record, of both kinds
	OFF_HMAP_FLAGS = 8,
	OFF_HMAP_B = 9,
	SAME_SIZE_GROW = 8,

	MIN_TOP_HASH = 5, // what is below it, in a bucket, is no entry
	EMPTY_ONE = 1,
	SWISS_FREE = 0x80,

	MAX_B = 40,
	MAX_DIR = 1 << 24,
	MAX_EMPTY = 1 << 22, // groups that are looked at in all
	MAX_KEY = 48,	     // bytes of a string that are shown
};

static bool word_type(struct gi_go *go, uint64_t addr, struct gi_type *ret)
{
	uint64_t v;

	return gi_target_peek_u64(go->target, addr, &v) && gi_type_read(go, v, ret);
}

/** A field that is an array of GI_GOMAP_SLOTS, and what of. */
static bool array_field(struct gi_go *go, const struct gi_type *t, const char *name,
			struct gi_type *ret, uint64_t *off)
{
	struct gi_type array;

	return gi_type_field(go, t, name, &array, off) && array.kind == GI_TYPE_ARRAY &&
	       gi_type_elem(go, &array, ret) && array.size == GI_GOMAP_SLOTS * ret->size;
}

bool gi_gomap_shape(struct gi_go *go, const struct gi_type *map, struct gi_gomap_shape *ret)
{
	struct gi_gomap_shape s = {.overflow = 0};
	struct gi_type group, key, elem, slot, ignored;
	uint64_t off;

	if (map->kind != GI_TYPE_MAP || !word_type(go, map->addr + OFF_KEY, &s.key) ||
	    !word_type(go, map->addr + OFF_ELEM, &s.elem) ||
	    !word_type(go, map->addr + OFF_GROUP, &group) || group.size < GI_GOMAP_SLOTS)
		return false;
	s.size = group.size;
	s.swiss = gi_type_field(go, &group, "ctrl", &ignored, &off);
	if (!s.swiss && !gi_type_field(go, &group, "overflow", &ignored, &s.overflow))
		return false;
	if (s.swiss && array_field(go, &group, "slots", &slot, &off)) {
		if (!gi_type_field(go, &slot, "key", &key, &s.keys) ||
		    !gi_type_field(go, &slot, "elem", &elem, &s.elems))
			return false;
		s.keys += off;
		s.elems += off;
		s.key_stride = s.elem_stride = slot.size;
	} else {
		if (!array_field(go, &group, "keys", &key, &s.keys) ||
		    !array_field(go, &group, "elems", &elem, &s.elems))
			return false;
		s.key_stride = key.size;
		s.elem_stride = elem.size;
	}
	// Large ones lie elsewhere. A pointer is never large.
	s.key_indirect = key.kind == GI_TYPE_PTR && s.key.kind != GI_TYPE_PTR;
	s.elem_indirect = elem.kind == GI_TYPE_PTR && s.elem.kind != GI_TYPE_PTR;
	*ret = s;
	return true;
}

bool gi_gomap_slot_at(const struct gi_gomap_shape *shape, uint64_t off, unsigned *slot_ret,
		    bool *elem_ret, uint64_t *rest_ret)
{
	for (unsigned i = 0; i < GI_GOMAP_SLOTS; i++) {
		const uint64_t k = shape->keys + i * shape->key_stride;
		const uint64_t e = shape->elems + i * shape->elem_stride;
		const uint64_t ksize = shape->key_indirect ? 8 : shape->key.size;
		const uint64_t esize = shape->elem_indirect ? 8 : shape->elem.size;

		*slot_ret = i;
		*elem_ret = off >= e && off - e < esize;
		*rest_ret = off - (*elem_ret ? e : k);
		if (*elem_ret || (off >= k && off - k < ksize))
			return true;
	}
	return false;
}

bool gi_gomap_slot_used(struct gi_go *go, const struct gi_gomap_shape *shape, uint64_t group,
		      unsigned slot)
{
	uint64_t word;

	if (!gi_target_peek_u64(go->target, group, &word))
		return false;
	const uint8_t b = (uint8_t)(word >> (8 * slot));
	return shape->swiss ? !(b & SWISS_FREE) : b >= MIN_TOP_HASH;
}

static uint64_t key_at(struct gi_go *go, const struct gi_gomap_shape *shape, uint64_t group,
		       unsigned slot)
{
	uint64_t at = group + shape->keys + slot * shape->key_stride;

	if (shape->key_indirect && !gi_target_peek_u64(go->target, at, &at))
		return 0;
	return at;
}

static void put_string(struct gi_go *go, uint64_t addr, struct gi_str *ret)
{
	uint8_t text[MAX_KEY];
	uint64_t p, n;

	if (!gi_target_peek_u64(go->target, addr, &p) ||
	    !gi_target_peek_u64(go->target, addr + 8, &n)) {
		gi_str_puts(ret, "...");
		return;
	}
	const size_t k = (size_t)gi_min_u64(n, sizeof(text));
	struct gi_error *err = k ? gi_target_read(go->target, p, text, k) : NULL;
	gi_error_ignore(err);
	if (err) {
		gi_str_puts(ret, "...");
		return;
	}
	gi_str_putc(ret, '"');
	gi_str_put_escaped(ret, (const char *)text, k);
	gi_str_puts(ret, k < n ? "..." : "");
	gi_str_putc(ret, '"');
}

void gi_gomap_put_key(struct gi_go *go, const struct gi_gomap_shape *shape, uint64_t group,
		    unsigned slot, struct gi_str *ret)
{
	gi_gomap_put_key_at(go, shape, key_at(go, shape, group, slot), ret);
}

void gi_gomap_put_key_at(struct gi_go *go, const struct gi_gomap_shape *shape, uint64_t at,
			 struct gi_str *ret)
{
	const struct gi_type *t = &shape->key;
	uint8_t b[8] = {0};

	if (at && t->kind == GI_TYPE_STRING) {
		put_string(go, at, ret);
		return;
	}
	if (!at || t->kind < GI_TYPE_INT || t->kind > GI_TYPE_UINTPTR || t->size > sizeof(b)) {
		gi_str_puts(ret, "...");
		return;
	}
	struct gi_error *err = gi_target_read(go->target, at, b, (size_t)t->size);
	gi_error_ignore(err);
	if (err) {
		gi_str_puts(ret, "...");
		return;
	}
	const uint64_t v = gi_load_u64(b);
	const unsigned shift = 64 - 8 * (unsigned)t->size;
	if (t->kind >= GI_TYPE_UINT)
		gi_str_printf(ret, "%llu", (unsigned long long)v);
	else
		gi_str_printf(ret, "%lld", (long long)((int64_t)(v << shift) >> shift));
}

// --- all entries --------------------------------------------------------------------------

struct each {
	struct gi_go *go;
	const struct gi_gomap_shape *shape;
	gi_gomap_fn fn;
	void *arg;
	size_t left, groups;
	bool stop;
};

static void group_entries(struct each *e, uint64_t group)
{
	if (!e->groups--) {
		e->stop = true;
		return;
	}
	for (unsigned i = 0; i < GI_GOMAP_SLOTS && !e->stop; i++) {
		if (!gi_gomap_slot_used(e->go, e->shape, group, i))
			continue;
		uint64_t key = key_at(e->go, e->shape, group, i);
		uint64_t elem = group + e->shape->elems + i * e->shape->elem_stride;
		if (e->shape->elem_indirect && !gi_target_peek_u64(e->go->target, elem, &elem))
			continue;
		e->stop = !e->left-- || !e->fn(e->arg, key, elem);
	}
}

static void swiss_entries(struct each *e, uint64_t map)
{
	uint64_t dir, len, table, last = 0, groups, mask;

	if (!gi_target_peek_u64(e->go->target, map + GI_SWISS_DIR, &dir) ||
	    !gi_target_peek_u64(e->go->target, map + GI_SWISS_DIR_LEN, &len) || !dir ||
	    len > MAX_DIR)
		return;
	if (!len)
		group_entries(e, dir);
	// A table that was not split yet stands in several places next to each other.
	for (uint64_t i = 0; i < len && !e->stop; i++, last = table) {
		if (!gi_target_peek_u64(e->go->target, dir + 8 * i, &table) || table == last ||
		    !gi_target_peek_u64(e->go->target, table + GI_SWISS_GROUPS, &groups) ||
		    !gi_target_peek_u64(e->go->target, table + GI_SWISS_GROUPS + 8, &mask))
			continue;
		for (uint64_t k = 0; k <= mask && !e->stop; k++)
			group_entries(e, groups + k * e->shape->size);
	}
}

static void bucket_entries(struct each *e, uint64_t at, uint64_t n, bool old)
{
	for (uint64_t i = 0; at && i < n && !e->stop; i++) {
		uint64_t bucket = at + i * e->shape->size, word;

		// An old bucket that was moved: its entries are in the new ones.
		if (old && gi_target_peek_u64(e->go->target, bucket, &word) &&
		    (word & 0xff) > EMPTY_ONE && (word & 0xff) < MIN_TOP_HASH)
			continue;
		while (bucket && !e->stop) {
			group_entries(e, bucket);
			if (!gi_target_peek_u64(e->go->target, bucket + e->shape->overflow, &bucket))
				break;
		}
	}
}

void gi_gomap_each(struct gi_go *go, const struct gi_gomap_shape *shape, uint64_t addr, size_t max,
		 gi_gomap_fn fn, void *arg)
{
	struct each e = {go, shape, fn, arg, max, MAX_EMPTY, false};
	uint64_t count, buckets, old;
	uint8_t head[2];

	if (!addr || !gi_target_peek_u64(go->target, addr + OFF_COUNT, &count) || !count)
		return;
	if (shape->swiss) {
		swiss_entries(&e, addr);
		return;
	}
	struct gi_error *err = gi_target_read(go->target, addr + OFF_HMAP_FLAGS, head, 2);
	gi_error_ignore(err);
	if (err || head[1] > MAX_B || !gi_target_peek_u64(go->target, addr + GI_HMAP_BUCKETS, &buckets) ||
	    !gi_target_peek_u64(go->target, addr + GI_HMAP_OLD, &old))
		return;
	const unsigned b = head[OFF_HMAP_B - OFF_HMAP_FLAGS];
	bucket_entries(&e, buckets, UINT64_C(1) << b, false);
	bucket_entries(&e, old, UINT64_C(1) << (b && !(head[0] & SAME_SIZE_GROW) ? b - 1 : b), true);
}

// pprof labels of a goroutine. g.labels is a *pprof.labelMap; what that is differs:
//   up to 1.23   map[string]string: a pointer to the map's header, buckets of 8 entries
//                (src/runtime/map.go: 8 bytes of top hashes, 8 keys, 8 values, a pointer
//                to an overflow bucket)
//   1.24, 1.25   struct{ LabelSet{ list []label{key, value string} } }
//   1.26 on      the same, by internal/runtime/pprof/label.Set
// Labels are made once and never changed, so that a map is not growing while it is read;
// a half-grown one is read all the same, as the runtime does.

#include "go/go_impl.h"

#define ULL(x) ((unsigned long long)(x))

enum {
	LABEL_MAX_LEN = 1 << 16, // of one string
	STRING_SIZE = 16,	 // a string's header: pointer, length
	MIN_TOP_HASH = 5,	 // below: empty, or moved to the new buckets
	EMPTY_ONE = 1,
	SAME_SIZE_GROW = 8,
	MAX_B = 16,
};

struct emit {
	struct gi_go *go;
	gi_label_fn fn;
	void *arg;
	struct gi_str key, value;
	size_t count;
	bool stop;
};

static struct gi_error *emit(struct emit *e, uint64_t key_addr, uint64_t value_addr)
{
	struct gi_error *err;

	if (++e->count > GI_GO_MAX_LABELS)
		return gi_error_create(GI_ERR_FORMAT, "more than %d labels",
				       GI_GO_MAX_LABELS);
	gi_str_reset(&e->key);
	gi_str_reset(&e->value);
	err = gi_target_read_gostring(e->go->target, key_addr, LABEL_MAX_LEN, &e->key);
	if (!err)
		err = gi_target_read_gostring(e->go->target, value_addr, LABEL_MAX_LEN,
					      &e->value);
	if (err)
		return err;
	if (!e->fn(e->arg, gi_str_cstr(&e->key), e->key.len, gi_str_cstr(&e->value),
		   e->value.len))
		e->stop = true;
	return NULL;
}

static struct gi_error *each_in_list(struct emit *e, uint64_t addr)
{
	const struct gi_layout *l = &e->go->layout;
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	struct gi_slice list;
	struct gi_error *err;

	err = gi_go_bytes(e->go, addr, (size_t)l->label_set.rec.size, &buf, &rec);
	if (err)
		return err;
	list = gi_go_slice(rec, l->label_set.list);
	if (list.len > list.cap || list.len > GI_GO_MAX_LABELS)
		return gi_error_at(GI_ERR_FORMAT, addr, "%llu labels, room for %llu",
				   ULL(list.len), ULL(list.cap));
	for (uint64_t i = 0; i < list.len && !e->stop; i++) {
		uint64_t at = list.ptr + i * l->label.rec.size;

		err = emit(e, at + l->label.key.off, at + l->label.value.off);
		if (err)
			return err;
	}
	return NULL;
}

// Where things lie in a bucket of a map[string]string.
struct bucket_layout {
	uint64_t entries, keys, values, overflow, size;
};

static struct gi_error *each_in_bucket(struct emit *e, const struct bucket_layout *b,
				       uint64_t addr, bool old)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *p;
	struct gi_error *err;

	// Chains are short: the bound on labels bounds a circular one too, if its buckets
	// hold anything; empty ones are counted here.
	for (size_t links = 0; addr && !e->stop; links++) {
		if (links > GI_GO_MAX_LABELS)
			return gi_error_at(GI_ERR_FORMAT, addr,
					   "a chain of buckets without end");
		err = gi_go_bytes(e->go, addr, (size_t)b->size, &buf, &p);
		if (err)
			return err;
		// A moved bucket's entries are in the new ones.
		if (old && links == 0 && p[0] > EMPTY_ONE && p[0] < MIN_TOP_HASH)
			return NULL;
		for (uint64_t i = 0; i < b->entries && !e->stop; i++) {
			if (p[i] < MIN_TOP_HASH)
				continue;
			err = emit(e, addr + b->keys + i * STRING_SIZE,
				   addr + b->values + i * STRING_SIZE);
			if (err)
				return err;
		}
		addr = gi_load_u64(p + b->overflow);
	}
	return NULL;
}

static struct gi_error *each_in_map(struct emit *e, uint64_t addr)
{
	const struct gi_layout *l = &e->go->layout;
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint64_t n = l->bmap.tophash.size;
	const struct bucket_layout b = {
		.entries = n,
		.keys = n,
		.values = n + n * STRING_SIZE,
		.overflow = n + 2 * n * STRING_SIZE,
		.size = n + 2 * n * STRING_SIZE + 8,
	};
	uint64_t map, buckets, old, shift, flags;
	const uint8_t *rec;
	struct gi_error *err;

	err = gi_target_read_u64(e->go->target, addr, &map);
	if (err || !map)
		return err;
	err = gi_go_bytes(e->go, map, (size_t)l->hmap.rec.size, &buf, &rec);
	if (err)
		return err;
	shift = gi_field_uint(rec, l->hmap.b);
	flags = gi_field_uint(rec, l->hmap.flags);
	buckets = gi_field_uint(rec, l->hmap.buckets);
	old = gi_field_uint(rec, l->hmap.oldbuckets);
	if (shift > MAX_B || gi_field_uint(rec, l->hmap.count) > GI_GO_MAX_LABELS)
		return gi_error_at(GI_ERR_FORMAT, map,
				   "a map of 2^%llu buckets and %llu labels", ULL(shift),
				   ULL(gi_field_uint(rec, l->hmap.count)));
	for (uint64_t i = 0; buckets && i < UINT64_C(1) << shift && !e->stop; i++) {
		err = each_in_bucket(e, &b, buckets + i * b.size, false);
		if (err)
			return err;
	}
	if (!(flags & SAME_SIZE_GROW) && shift)
		shift--;
	for (uint64_t i = 0; old && i < UINT64_C(1) << shift && !e->stop; i++) {
		err = each_in_bucket(e, &b, old + i * b.size, true);
		if (err)
			return err;
	}
	return NULL;
}

struct gi_error *gi_go_labels(struct gi_go *go, const struct gi_g *g, gi_label_fn fn,
			      void *arg)
{
	const struct gi_layout *l = &go->layout;
	struct emit e = {.go = go, .fn = fn, .arg = arg};
	struct gi_error *err;

	if (!g->labels || g->unreadable)
		return NULL;
	if (l->label_set.rec.ok && l->label.rec.ok)
		err = each_in_list(&e, g->labels);
	else if (l->hmap.rec.ok && l->bmap.rec.ok &&
		 l->bmap.tophash.size == l->bmap.tophash.count)
		err = each_in_map(&e, g->labels);
	else
		err = gi_error_create(GI_ERR_UNSUPPORTED, "their layout is unknown");
	gi_str_deinit(&e.key);
	gi_str_deinit(&e.value);
	return gi_error_wrap(err, "labels of goroutine %llu", ULL(g->goid));
}

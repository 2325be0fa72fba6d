// The ancestors of a goroutine: with GODEBUG=tracebackancestors=N a go statement copies
// the pcs of its goroutine's stack, and what that one had copied of its own ancestors,
// into g.ancestors of the new one (src/runtime/proc.go saveAncestors). A slice of at most
// N, each with the pcs of as many frames as tracebacks print.

#include "go/go_impl.h"

enum { MAX_ANCESTORS = 4096, MAX_PCS = 256 };

static struct gi_error *read_one(struct gi_go *go, const uint8_t *rec, gi_ancestor_fn fn,
				 void *arg, bool *more_ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	struct gi_ancestor a = {
		.goid = gi_field_uint(rec, go->layout.ancestor.goid),
		.go_pc = gi_field_uint(rec, go->layout.ancestor.gopc),
	};
	struct gi_slice pcs = gi_go_slice(rec, go->layout.ancestor.pcs);
	uint64_t values[MAX_PCS];
	const uint8_t *bytes;

	if (pcs.len > MAX_PCS || pcs.len > pcs.cap)
		return gi_error_at(GI_ERR_FORMAT, pcs.ptr, "%llu frames of an ancestor",
				   (unsigned long long)pcs.len);
	if (pcs.len) {
		struct gi_error *err =
			gi_go_bytes(go, pcs.ptr, (size_t)pcs.len * 8, &buf, &bytes);

		if (err)
			return err;
		for (size_t i = 0; i < pcs.len; i++)
			values[i] = gi_load_u64(bytes + i * 8);
	}
	a.pcs = values;
	a.n = (size_t)pcs.len;
	*more_ret = fn(arg, &a);
	return NULL;
}

static struct gi_error *read_all(struct gi_go *go, uint64_t header, gi_ancestor_fn fn,
				 void *arg)
{
	_cleanup_(gi_buf_deinit) struct gi_buf head_buf = {0}, buf = {0};
	const struct gi_field whole = {.size = 24, .ok = true};
	const uint64_t size = go->layout.ancestor.rec.size;
	const uint8_t *rec;
	struct gi_slice list;
	struct gi_error *err;
	bool more = true;

	err = gi_go_bytes(go, header, 24, &head_buf, &rec);
	if (err)
		return err;
	list = gi_go_slice(rec, whole);
	if (list.len > MAX_ANCESTORS || list.len > list.cap)
		return gi_error_at(GI_ERR_FORMAT, header, "%llu ancestors",
				   (unsigned long long)list.len);
	for (uint64_t i = 0; i < list.len && more; i++) {
		err = gi_go_bytes(go, list.ptr + i * size, (size_t)size, &buf, &rec);
		if (!err)
			err = read_one(go, rec, fn, arg, &more);
		if (err)
			return err;
	}
	return NULL;
}

struct gi_error *gi_go_ancestors(struct gi_go *go, const struct gi_g *g,
				 gi_ancestor_fn fn, void *arg)
{
	struct gi_error *err;
	uint64_t header;

	if (g->unreadable || !go->layout.g.ancestors.ok || !go->layout.ancestor.rec.ok)
		return NULL;
	err = gi_target_read_u64(go->target, g->addr + go->layout.g.ancestors.off,
				 &header);
	if (!err && header)
		err = read_all(go, header, fn, arg);
	return gi_error_wrap(err, "the ancestors of goroutine %llu",
			     (unsigned long long)g->goid);
}

// Special records: what the runtime keeps of single objects. A span's records are a list
// in the order of their objects; each tells its kind, by a number that moves between
// releases, and where its object starts, as an offset from the span.
//
// A finalizer keeps alive what its object leads to: it is going to be called with the
// object. A weak handle is a word of the heap that holds the object's address without
// keeping it alive; weak pointers point to that word. Source: src/runtime/mheap.go.

#include "go/go_impl.h"
#include "go/heap_impl.h"

#define ULL(x) ((unsigned long long)(x))

static struct gi_error *read_special(struct gi_go *go, const struct gi_heap_span *s, uint64_t addr,
				     struct gi_buf *buf, struct gi_heap_special *ret,
				     uint64_t *next_ret)
{
	const struct gi_layout *l = &go->layout;
	const uint8_t *rec;
	uint64_t offset, kind;
	struct gi_error *err = gi_go_bytes(go, addr, (size_t)l->special.rec.size, buf, &rec);

	if (err)
		return gi_error_wrap(err, "special record at 0x%llx", ULL(addr));
	offset = gi_field_uint(rec, l->special.offset);
	kind = gi_field_uint(rec, l->special.kind);
	*next_ret = gi_field_uint(rec, l->special.next);
	if (offset >= s->limit)
		return gi_error_at(GI_ERR_FORMAT, addr,
				   "the special record at 0x%llx is of an object at "
				   "offset 0x%llx of a "
				   "span of 0x%llx bytes",
				   ULL(addr), ULL(offset), ULL(s->limit));
	*ret = (struct gi_heap_special){
		.addr = addr,
		.object = s->pub.start + gi_heap_slot_of(s, offset) * s->pub.elem_size,
		.kind = (uint8_t)kind,
		.finalizer = (int64_t)kind == l->constant.special_finalizer,
	};
	if (!l->special_weak.rec.ok || (int64_t)kind != l->constant.special_weak)
		return NULL;
	err = gi_target_read_u64(go->target, addr + l->special_weak.handle.off, &ret->handle);
	return err ? gi_error_wrap(err, "weak handle at 0x%llx", ULL(addr)) : NULL;
}

struct gi_error *gi_heap_specials(struct gi_go *go, const struct gi_heap *heap,
				  gi_heap_special_fn fn, void *arg)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	struct gi_error *err;

	if (!go->layout.special.rec.ok)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "the layout of runtime.special is unknown");
	for (size_t i = 0; i < heap->count; i++) {
		const struct gi_heap_span *s = &heap->spans[i];
		uint64_t addr = s->specials, next = 0;
		// An object has at most one record of each of 256 kinds.
		uint64_t left = s->pub.elem_count * 256;

		if (i % 4096 == 0) {
			err = gi_interrupt_check();
			if (err)
				return err;
		}
		for (; addr; addr = next) {
			struct gi_heap_special r;

			if (!left--)
				return gi_error_at(
					GI_ERR_FORMAT, addr,
					"the special records of the span at 0x%llx are a "
					"circle",
					ULL(s->pub.start));
			err = read_special(go, s, addr, &buf, &r, &next);
			if (!err)
				err = fn(arg, &r);
			if (err)
				return err;
		}
	}
	return NULL;
}

// What the heap is used for: objects by their size, and how many of them can be reached.
//
// Reached here is what the marker of reach.c finds with every goroutine live: the collector's own
// marks, or more where a word is taken for a pointer.

#include <stdlib.h>

#include "wait/graph.h"
#include "wait/reach_impl.h"

struct counting {
	struct gi_heap_class *classes;
	size_t count, cap;
	struct gi_map index; // size << 1 | noscan to 1 + index
};

static struct gi_error *class_of(struct counting *c, const struct gi_span *s, size_t *ret)
{
	const uint64_t size = s->elem_count == 1 && !s->size_class ? 0 : s->elem_size;
	const uint64_t key = size << 1 | s->noscan;
	uint64_t at;
	struct gi_error *err;

	if (gi_map_get(&c->index, key, &at)) {
		*ret = at - 1;
		return NULL;
	}
	err = gi_grow(&c->classes, &c->cap, c->count + 1, sizeof(*c->classes));
	if (!err)
		err = gi_map_put(&c->index, key, c->count + 1);
	if (err)
		return err;
	c->classes[c->count] = (struct gi_heap_class){.size = size, .noscan = s->noscan};
	*ret = c->count++;
	return NULL;
}

static struct gi_error *count_span(struct counting *c, const struct gi_heap_span *s,
				   const uint64_t *marks)
{
	size_t at;
	struct gi_error *err = class_of(c, &s->pub, &at);

	if (err)
		return err;
	struct gi_heap_class *k = &c->classes[at];
	k->spans++;
	k->span_bytes += s->pub.end - s->pub.start;
	for (uint64_t slot = 0; slot < s->pub.elem_count; slot++) {
		if (!gi_heap_slot_used(s, slot))
			continue;
		k->objects++;
		k->object_bytes += s->pub.elem_size;
		if (marks && gi_bit(marks, s->first_slot + slot)) {
			k->reachable++;
			k->reachable_bytes += s->pub.elem_size;
		}
	}
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	const struct gi_heap_class *x = a, *y = b;
	// Large objects, 0, last.
	const uint64_t sx = x->size - 1, sy = y->size - 1;

	if (sx != sy)
		return sx < sy ? -1 : 1;
	return x->noscan - y->noscan;
}

struct gi_error *gi_wait_heap_use(struct gi_go *go, struct gi_heap_class **ret, size_t *count_ret,
				  struct gi_error **why_ret)
{
	_cleanup_(gi_reach_destroyp) struct gi_reach *r = NULL;
	struct counting c = {0};
	struct gi_heap *heap;
	struct gi_error *err = gi_go_heap(go, &heap), *why = NULL;

	if (err)
		return err;
	why = gi_reach_solve(go, NULL, 0, &r);
	if (why && gi_error_code(why) == GI_ERR_INTERRUPTED)
		return why;
	for (size_t i = 0; i < heap->count && !err; i++) {
		if (heap->spans[i].pub.manual)
			continue;
		if (i % 1024 == 0)
			err = gi_interrupt_check();
		if (!err)
			err = count_span(&c, &heap->spans[i], r ? r->marker.marks : NULL);
	}
	gi_map_deinit(&c.index);
	if (err) {
		free(c.classes);
		gi_error_free(why);
		return err;
	}
	if (c.count)
		qsort(c.classes, c.count, sizeof(*c.classes), by_size);
	*ret = c.classes;
	*count_ret = c.count;
	*why_ret = why;
	return NULL;
}

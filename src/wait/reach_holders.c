// Who among the dead can reach what: the part of the heap that only goroutines which can never
// run again lead to, as a graph with its edges turned round.
//
// It is made when it is first asked for: from what those goroutines may still use of their stacks
// (reach_frames.c), over objects that the argument did not mark. An edge is a word that points from one object, or one goroutine,
// into an object. Asked for an object, the way back from it ends at all goroutines that hold
// it, in time proportional to that part of the graph alone.

#include "wait/reach_impl.h"

#include <stdlib.h>

// More than 1 GB for the edges: then there is no answer.
#define MAX_EDGES (UINT64_C(1) << 27)

enum { SLOT_BITS = 32 };
#define ROOT UINT32_C(0x80000000) // a goroutine: index of its wait

struct edge {
	uint32_t from, to; // from: a node, or ROOT | wait
};

struct gi_reach_edges {
	struct gi_map node_of_slot; // 1 + node
	uint32_t *first; // of each node, where its predecessors start; one more at the end
	uint32_t *from;
	size_t node_count;
	uint32_t *seen; // by which question a node was met last
	uint32_t question;
	struct gi_u64s stack;
	struct gi_u64s found;
};

void gi_reach_edges_destroy(struct gi_reach_edges *e)
{
	if (!e)
		return;
	gi_map_deinit(&e->node_of_slot);
	free(e->first);
	free(e->from);
	free(e->seen);
	free(e->stack.v);
	free(e->found.v);
	free(e);
}

static void gi_reach_edges_destroyp(struct gi_reach_edges **p)
{
	gi_reach_edges_destroy(*p);
}

struct builder {
	struct gi_reach *r;
	struct gi_reach_edges *e;
	struct edge *edges;
	size_t count, cap;
	struct gi_u64s todo; // span << 32 | slot, then its node
	struct gi_buf buf;
};

// --- building --------------------------------------------------------------------------

static struct gi_error *add_edge(struct builder *b, uint32_t from, uint64_t addr)
{
	struct gi_marker *m = &b->r->marker;
	uint64_t slot, number, node;
	const struct gi_heap_span *s = gi_heap_find(b->r->heap, addr, &slot);
	struct gi_error *err = NULL;

	if (!s)
		return NULL;
	number = s->first_slot + slot;
	if (gi_bit(m->marks, number))
		return NULL;
	if (!gi_map_get(&b->e->node_of_slot, number, &node)) {
		node = ++b->e->node_count;
		if (node >= ROOT)
			return gi_error_create(GI_ERR_UNSUPPORTED, "too many objects");
		err = gi_map_put(&b->e->node_of_slot, number, node);
		if (!err && !s->pub.noscan && !gi_bit(m->opaque, number)) {
			err = gi_u64s_push(&b->todo,
					   (uint64_t)(s - b->r->heap->spans) << SLOT_BITS | slot);
			if (!err)
				err = gi_u64s_push(&b->todo, node - 1);
		}
		if (err)
			return err;
	}
	if (b->count && b->edges[b->count - 1].from == from &&
	    b->edges[b->count - 1].to == node - 1)
		return NULL;
	if (b->count >= MAX_EDGES)
		return gi_error_create(
			GI_ERR_UNSUPPORTED,
			"the goroutines that cannot run hold too many objects to tell "
			"which holds which");
	err = gi_grow(&b->edges, &b->cap, b->count + 1, sizeof(*b->edges));
	if (err)
		return err;
	b->edges[b->count++] = (struct edge){from, (uint32_t)node - 1};
	return NULL;
}

static struct gi_error *add_range(struct builder *b, uint32_t from, uint64_t start, uint64_t end)
{
	const uint64_t lo = b->r->heap->lo, size = b->r->heap->size;

	start = (start + 7) & ~UINT64_C(7);
	end &= ~UINT64_C(7);
	while (start < end) {
		size_t n = (size_t)gi_min_u64(end - start, 1 << 20);
		const uint8_t *p;
		struct gi_error *err = gi_interrupt_check();

		if (!err)
			err = gi_go_bytes(b->r->go, start, n, &b->buf, &p);
		for (size_t i = 0; !err && i < n; i += 8) {
			uint64_t v = gi_load_u64(p + i);

			if (v - lo < size)
				err = add_edge(b, from, v);
		}
		if (err)
			return err;
		start += n;
	}
	return NULL;
}

static struct gi_error *add_object(struct builder *b, uint64_t item, uint32_t node)
{
	const struct gi_heap *h = b->r->heap;
	const struct gi_heap_span *s = &h->spans[item >> SLOT_BITS];
	const uint64_t size = s->pub.elem_size, off = (item & UINT32_MAX) * size;
	struct gi_error *err = NULL;

	if (!s->ptr_bits)
		return add_range(b, node, s->pub.start + off, s->pub.start + off + size);
	for (uint64_t at = off; at < off + size && !err; at += 8) {
		uint64_t v;

		if (!gi_heap_ptr_mask(h->bits_format, s->ptr_bits, at / 8, 1))
			continue;
		err = gi_target_read_u64(b->r->marker.t, s->pub.start + at, &v);
		if (!err)
			err = add_edge(b, node, v);
	}
	return err;
}

static struct gi_error *add_goroutine(void *arg, uint32_t wait, uint64_t start, uint64_t end)
{
	return add_range(arg, ROOT | wait, start, end);
}

static struct gi_error *add_all(struct builder *b)
{
	for (size_t i = 0; i < b->r->wait_count; i++) {
		const struct gi_reach_state *w = &b->r->waits[i];
		struct gi_error *err;

		if (w->live)
			continue;
		err = gi_reach_each_live(b->r, gi_go_g(b->r->go, w->g), (uint32_t)i, add_goroutine,
					 b);
		while (!err && b->todo.n) {
			b->todo.n -= 2;
			err = add_object(b, b->todo.v[b->todo.n],
					 (uint32_t)b->todo.v[b->todo.n + 1]);
		}
		if (err)
			return err;
	}
	return NULL;
}

// Sorts the edges by where they lead to, by counting.
static struct gi_error *turn_round(struct builder *b)
{
	struct gi_reach_edges *e = b->e;

	e->first = calloc(e->node_count + 2, sizeof(*e->first));
	e->from = calloc(b->count ? b->count : 1, sizeof(*e->from));
	e->seen = calloc(e->node_count + 1, sizeof(*e->seen));
	if (!e->first || !e->from || !e->seen)
		return gi_error_nomem();
	// first[n + 1] counts, then moves up to where n ends while n is filled.
	for (size_t i = 0; i < b->count; i++)
		e->first[b->edges[i].to + 2]++;
	for (size_t i = 2; i < e->node_count + 2; i++)
		e->first[i] += e->first[i - 1];
	for (size_t i = 0; i < b->count; i++)
		e->from[e->first[b->edges[i].to + 1]++] = b->edges[i].from;
	return NULL;
}

static struct gi_error *build(struct gi_reach *r)
{
	_cleanup_(gi_reach_edges_destroyp) struct gi_reach_edges *e = calloc(1, sizeof(*e));
	struct builder b = {.r = r, .e = e};
	struct gi_error *err;

	if (!e)
		return gi_error_nomem();
	err = add_all(&b);
	if (!err)
		err = turn_round(&b);
	free(b.edges);
	free(b.todo.v);
	gi_buf_deinit(&b.buf);
	if (err)
		return err;
	r->edges = e;
	e = NULL;
	return NULL;
}

// --- asking ----------------------------------------------------------------------------

static int compare_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

// All goroutines that lead to a node, into e->found.
static struct gi_error *walk_back(struct gi_reach *r, uint32_t node)
{
	struct gi_reach_edges *e = r->edges;
	_cleanup_(gi_map_deinit) struct gi_map met = {0};
	struct gi_error *err;

	e->question++;
	e->stack.n = 0;
	e->found.n = 0;
	e->seen[node] = e->question;
	err = gi_u64s_push(&e->stack, node);
	while (!err && e->stack.n) {
		uint64_t n = e->stack.v[--e->stack.n];

		for (uint32_t i = e->first[n]; i < e->first[n + 1] && !err; i++) {
			uint32_t from = e->from[i];
			uint64_t v;

			if (from & ROOT) {
				if (gi_map_get(&met, from, &v))
					continue;
				err = gi_map_put(&met, from, 1);
				if (!err)
					err = gi_u64s_push(&e->found, from & ~ROOT);
			} else if (e->seen[from] != e->question) {
				e->seen[from] = e->question;
				err = gi_u64s_push(&e->stack, from);
			}
		}
	}
	if (!err && e->found.n)
		qsort(e->found.v, e->found.n, sizeof(uint64_t), compare_u64);
	return err;
}

struct gi_error *gi_reach_holders(struct gi_reach *r, uint64_t object, uint32_t *waits_ret,
				  size_t max, size_t *count_ret)
{
	const struct gi_g *g;
	uint64_t slot, node;
	uint32_t wait;
	struct gi_error *err;

	if (!gi_mark_slot(r->heap, object, &slot)) {
		g = gi_go_g_by_stack(r->go, object);
		wait = g ? r->wait_of_g[g - gi_go_g(r->go, 0)] : 0;
		*count_ret = 0;
		if (wait && !r->waits[wait - 1].live) {
			*count_ret = 1;
			if (max)
				waits_ret[0] = wait - 1;
		}
		return NULL;
	}
	if (!r->edges) {
		err = build(r);
		if (err)
			return gi_error_wrap(err, "who holds an object is not known");
	}
	if (gi_bit(r->marker.marks, slot) || !gi_map_get(&r->edges->node_of_slot, slot, &node)) {
		*count_ret = 0;
		return NULL;
	}
	err = walk_back(r, (uint32_t)node - 1);
	if (err)
		return err;
	for (size_t i = 0; i < r->edges->found.n && i < max; i++)
		waits_ret[i] = (uint32_t)r->edges->found.v[i];
	*count_ret = r->edges->found.n;
	return NULL;
}

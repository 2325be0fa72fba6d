// Where types of heap objects come from: what points to them.
//
// One search reads all of the globals, the stacks and those objects of the heap that may hold
// pointers, for all objects that are looked for at once: a word is compared with the range that they
// lie in before it is looked up.
// See typing.c for what is made of that.

#include "go/typing_impl.h"

#include <string.h>

#include "gcore/record.h"

enum {
	MAX_REFERENCES = 16, // kept of each kind, for each object
	CHUNK = 1 << 20,
	MAX_CASES = 1 << 16, // of a select
};

static struct gi_error *add_reference(struct gi_typing_node *n, const struct gi_reference *r)
{
	n->pub.reference_total++;
	if (n->kept[r->kind] == MAX_REFERENCES)
		return NULL;
	struct gi_error *err =
		gi_grow(&n->refs, &n->cap, n->pub.reference_count + 1, sizeof(*n->refs));
	if (err)
		return err;
	n->kept[r->kind]++;
	n->refs[n->pub.reference_count++] = *r;
	n->pub.references = n->refs;
	return NULL;
}

static bool bit(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void set_bit(struct gi_typing *t, uint64_t *bits, uint64_t addr)
{
	uint64_t slot;
	const struct gi_heap_span *s = gi_heap_find(t->heap, addr, &slot);

	if (s)
		bits[(s->first_slot + slot) / 64] |= UINT64_C(1) << ((s->first_slot + slot) % 64);
}

/** The runtime's records lead to everything, and name nothing. */
void gi_typing_mark_own(struct gi_typing *t)
{
	for (size_t i = 0; i < gi_go_g_count(t->go); i++) {
		const struct gi_g *g = gi_go_g(t->go, i);
		uint64_t at = g->waiting;
		struct gi_sudog s;

		set_bit(t, t->own, g->addr);
		for (unsigned n = 0; at && n < MAX_CASES; n++) {
			struct gi_error *err = gi_go_read_sudog(t->go, at, &s);
			gi_error_ignore(err);
			if (err)
				break;
			set_bit(t, t->own, at);
			at = s.g == g->addr ? s.waitlink : 0;
		}
	}
	for (size_t i = 0; i < gi_go_m_count(t->go); i++) {
		const struct gi_m *m = gi_go_m(t->go, i);
		set_bit(t, t->own, m->addr);
		set_bit(t, t->own, m->g0);
		set_bit(t, t->own, m->gsignal);
	}
	for (size_t i = 0; i < gi_go_p_count(t->go); i++)
		set_bit(t, t->own, gi_go_p(t->go, i)->addr);
}

static struct gi_error *found_word(struct gi_typing *t, uint64_t v, struct gi_reference *r)
{
	uint64_t slot, at;
	const struct gi_heap_span *s = gi_heap_find(t->heap, v, &slot);

	if (!s || !bit(t->wanted, s->first_slot + slot) ||
	    !gi_map_get(&t->node_of_slot, s->first_slot + slot, &at))
		return NULL;
	// Of all that is searched, this is what a mini dump needs.
	gi_target_record_found(t->go->target, r->at, 8);
	if (r->kind == GI_REFERENCE_HEAP) {
		uint64_t from;
		const struct gi_heap_span *h = gi_heap_find(t->heap, r->at, &from);
		if (!h)
			return NULL; // a slot that is not in use
		r->holder = h->pub.start + from * h->pub.elem_size;
		if (h == s && from == slot)
			return NULL; // into itself
		if (bit(t->own, h->first_slot + from)) {
			t->nodes[at].pub.runtime_total++;
			return NULL;
		}
	}
	r->target = v;
	return add_reference(&t->nodes[at], r);
}

static struct gi_error *search_words(struct gi_typing *t, uint64_t at, const uint8_t *p, size_t n,
				     struct gi_reference *r)
{
	const uint64_t lo = t->lo, size = t->hi - t->lo;

	for (size_t i = 0; n - i >= 8; i += 8) {
		uint64_t v = gi_load_u64(p + i);

		if (v - lo >= size)
			continue;
		r->at = at + i;
		struct gi_error *err = found_word(t, v, r);
		if (err)
			return err;
	}
	return NULL;
}

static struct gi_error *search(struct gi_typing *t, uint64_t start, uint64_t end,
			       struct gi_reference *r)
{
	start = (start + 7) & ~UINT64_C(7);
	end &= ~UINT64_C(7);
	while (start < end) {
		size_t n = (size_t)gi_min_u64(end - start, CHUNK), got;
		const uint8_t *p;
		struct gi_error *err = gi_interrupt_check();

		if (err)
			return err;
		err = gi_go_bytes(t->go, start, n, &t->buf, &p);
		if (!err) {
			err = search_words(t, start, p, n, r);
			if (err)
				return err;
			start += n;
			continue;
		}
		gi_error_ignore(err);
		// What cannot be read leads nowhere.
		p = gi_target_view_max(t->go->target, start, n, &got);
		if (p && got >= 8)
			err = search_words(t, start, p, got &= ~(size_t)7, r);
		else
			got = (gi_target_unreadable(t->go->target, start, n) + 7) & ~(size_t)7;
		start += got;
	}
	return NULL;
}

static struct gi_error *search_globals(struct gi_typing *t)
{
	struct gi_reference r = {.kind = GI_REFERENCE_GLOBAL};
	struct gi_error *err = NULL;

	for (size_t i = 0; i < gi_go_module_count(t->go) && !err; i++) {
		const struct gi_module *m = gi_go_module(t->go, i);

		err = search(t, m->data.start, m->data.end, &r);
		if (!err)
			err = search(t, m->bss.start, m->bss.end, &r);
	}
	return err;
}

static struct gi_error *search_stacks(struct gi_typing *t)
{
	struct gi_error *err = NULL;

	for (size_t i = 0; i < gi_go_g_count(t->go) && !err; i++) {
		const struct gi_g *g = gi_go_g(t->go, i);
		struct gi_reference r = {.kind = GI_REFERENCE_STACK, .g = (uint32_t)i};
		uint64_t low = g->stack_lo;

		if (g->unreadable || gi_g_is_dead(g) || g->stack_lo >= g->stack_hi)
			continue;
		if (!g->thread && g->sched_sp > low && g->sched_sp <= g->stack_hi)
			low = g->sched_sp;
		err = search(t, low, g->stack_hi, &r);
	}
	return err;
}

static struct gi_error *search_heap(struct gi_typing *t)
{
	struct gi_reference r = {.kind = GI_REFERENCE_HEAP};
	struct gi_error *err = NULL;

	for (size_t i = 0; i < t->heap->count && !err; i++) {
		const struct gi_heap_span *s = &t->heap->spans[i];

		if (!s->pub.manual && !s->pub.noscan && s->limit)
			err = search(t, s->pub.start, s->pub.start + s->limit, &r);
	}
	return err;
}

struct gi_error *gi_typing_search(struct gi_typing *t, size_t first)
{
	struct gi_error *err = NULL;

	t->lo = UINT64_MAX;
	t->hi = 0;
	memset(t->wanted, 0, (size_t)(t->heap->slot_count / 64 + 1) * 8);
	for (size_t i = first; i < t->count; i++) {
		const struct gi_typing_node *n = &t->nodes[i];

		if (n->step && gi_typing_is_done(n))
			continue;
		set_bit(t, t->wanted, n->pub.start);
		t->lo = gi_min_u64(t->lo, n->pub.start);
		t->hi = gi_max_u64(t->hi, n->pub.start + n->pub.size);
	}
	if (t->lo >= t->hi)
		return NULL;
	gi_target_record_pause(t->go->target);
	err = search_globals(t);
	if (!err)
		err = search_stacks(t);
	if (!err)
		err = search_heap(t);
	gi_target_record_resume(t->go->target);
	return err;
}

// Which words of the heap's small objects are pointers: the collector's own bits.
//
// Three formats. Up to 1.19 each arena has two bits for every word: in each byte the lower half
// tells which of four words are pointers, the upper half where to stop. 1.20 and 1.21 have one bit
// for each word, in the arena. From 1.22 a span of objects of at most 512 bytes has one bit for
// each word of itself at its end; from 1.26 such a span may end with mark
// bits of the collector, and then its pointer bits lie before them, as the arena says for each
// page. Bits behind the place where the collector stops are old ones: at worst some words too many.
//
// Left out, so that each of their words may be a pointer: larger objects from 1.22 on (their
// type tells), objects with a span of their own (before 1.22 they have bits, but those of user
// arenas come late), and objects of one word, which all are pointers.
//
// A bit that is missing would hide a pointer, and then living objects would be taken for
// garbage. So the bits are not believed unless the fields of every goroutine agree, and unless of a
// sample of objects nearly all words that look like pointers to objects have their bit, and nearly
// all that have one are addresses.
//
// Source: src/runtime/mbitmap.go (1.22: mbitmap_allocheaders.go), mgcmark_greenteagc.go.

#include "go/go_impl.h"
#include "go/heap_impl.h"

enum {
	SAMPLE_SPANS = 2000,
	SAMPLE_OBJECTS = 32, // of each span
	SAMPLE_MAX_SIZE = 512,
	SAMPLE_MIN = 100,     // fewer words say nothing
	MAX_MISSING_PART = 8, // at most one of so many without a bit
	MAX_ODD_PART = 20,    // at most one of so many bits at what is no address
	PAGE = 1 << GI_HEAP_PAGE_SHIFT,
};

struct bits {
	struct gi_go *go;
	struct gi_heap *heap;
	uint64_t table; // of arenas
	uint64_t arena_size, arena_pages;
};

// The record of the arena that holds addr.
static bool arena_of(const struct bits *b, uint64_t addr, uint64_t *ret)
{
	uint64_t n = (addr - (uint64_t)b->go->layout.constant.arena_base_offset) / b->arena_size;

	return gi_target_peek_u64(b->go->target, b->table + 8 * n, ret) && *ret;
}

static const uint8_t *bits_in_arena(const struct bits *b, const struct gi_span *s,
				    unsigned per_word)
{
	const struct gi_field f = b->go->layout.heap_arena.bitmap;
	uint64_t arena, off = (s->start - (uint64_t)b->go->layout.constant.arena_base_offset) %
			      b->arena_size;

	if (off + (s->end - s->start) > b->arena_size || !arena_of(b, s->start, &arena))
		return NULL;
	return gi_target_view(b->go->target, arena + f.off + off / 64 * per_word,
			      (size_t)((s->end - s->start) / 64 * per_word));
}

static const uint8_t *bits_in_span(const struct bits *b, const struct gi_heap_span *h)
{
	const struct gi_layout *l = &b->go->layout;
	const struct gi_span *s = &h->pub;
	uint64_t size = (s->end - s->start) / 64, at = s->end - size, arena;

	if (s->elem_size > (uint64_t)l->constant.max_span_bits_size)
		return NULL;
	if (l->heap_arena.inline_marks.ok) {
		uint64_t page = s->start / PAGE % b->arena_pages;
		uint8_t flags;
		struct gi_error *err;

		if (!arena_of(b, s->start, &arena) || page / 8 >= l->heap_arena.inline_marks.size)
			return NULL;
		err = gi_target_read_u8(b->go->target,
					arena + l->heap_arena.inline_marks.off + page / 8, &flags);
		if (err) {
			gi_error_ignore(err);
			return NULL;
		}
		if (flags >> (page % 8) & 1) {
			if (!l->inline_marks.rec.ok || l->inline_marks.rec.size > at - s->start)
				return NULL;
			at -= l->inline_marks.rec.size;
		}
	}
	// Objects end before the bits.
	if (h->limit > at - s->start)
		return NULL;
	return gi_target_view(b->go->target, at, (size_t)size);
}

static void find_bits(struct bits *b)
{
	const struct gi_field bitmap = b->go->layout.heap_arena.bitmap;
	unsigned per_word = 0;

	b->heap->bits_format = GI_PTR_BITS_ONE;
	if (bitmap.ok) {
		per_word = (unsigned)((uint64_t)bitmap.size * 64 / b->arena_size);
		if (per_word == 2)
			b->heap->bits_format = GI_PTR_BITS_NIBBLE;
		else if (per_word != 1)
			return;
	}
	for (size_t i = 0; i < b->heap->count; i++) {
		struct gi_heap_span *s = &b->heap->spans[i];

		if (s->pub.manual || s->pub.noscan || !s->pub.size_class || s->pub.elem_size <= 8 ||
		    s->pub.elem_size % 8)
			continue;
		s->ptr_bits = bitmap.ok ? bits_in_arena(b, &s->pub, per_word) : bits_in_span(b, s);
	}
}

// --- belief ----------------------------------------------------------------------------

static bool has_bit(const struct gi_heap *h, const struct gi_heap_span *s, uint64_t addr)
{
	return gi_heap_ptr_mask(h->bits_format, s->ptr_bits, (addr - s->pub.start) / 8, 1);
}

// An object of the runtime's whose fields are known.
static bool object_agrees(const struct bits *b, uint64_t addr, const struct gi_field *fields,
			  size_t n)
{
	uint64_t slot;
	const struct gi_heap_span *s = gi_heap_find(b->heap, addr, &slot);

	for (size_t i = 0; s && s->ptr_bits && i < n; i++) {
		if (fields[i].ok && addr + fields[i].off < s->pub.start + s->limit &&
		    !has_bit(b->heap, s, addr + fields[i].off))
			return false;
	}
	return true;
}

static bool gs_agree(const struct bits *b)
{
	const struct gi_layout *l = &b->go->layout;
	const struct gi_field g[] = {l->g.panic, l->g.defer, l->g.m, l->g.waiting, l->g.param};
	const struct gi_field sudog[] = {l->sudog.g, l->sudog.next, l->sudog.prev, l->sudog.parent,
					 l->sudog.waitlink};

	for (size_t i = 0; i < b->go->g_count; i++) {
		const struct gi_g *x = &b->go->gs[i];

		if (!object_agrees(b, x->addr, g, GI_ARRAY_SIZE(g)) ||
		    !object_agrees(b, x->waiting, sudog, GI_ARRAY_SIZE(sudog)))
			return false;
	}
	return true;
}

struct sample {
	size_t pointers, missing; // words that look like pointers to objects
	size_t set, odd;	  // words that have a bit and are not 0
};

static void sample_object(const struct bits *b, const struct gi_heap_span *s, uint64_t addr,
			  struct sample *n)
{
	for (uint64_t at = addr; at < addr + s->pub.elem_size; at += 8) {
		bool bit = has_bit(b->heap, s, at);
		uint64_t v, slot;

		if (!gi_target_peek_u64(b->go->target, at, &v) || !v)
			continue;
		if (gi_heap_find(b->heap, v, &slot)) {
			n->pointers++;
			n->missing += !bit;
		}
		if (bit) {
			n->set++;
			n->odd += !gi_target_mapping_at(b->go->target, v);
		}
	}
}

// Gs, sudogs, Ms and Ps have many addresses in fields that are no pointers.
static bool is_runtimes_own(const struct bits *b, const struct gi_span *s)
{
	const uint64_t g = b->go->layout.g.rec.size, sudog = b->go->layout.sudog.rec.size;

	return s->elem_size > SAMPLE_MAX_SIZE ||
	       (s->elem_size >= g && s->elem_size < g + g / 8 + 16) ||
	       (s->elem_size >= sudog && s->elem_size < sudog + sudog / 8 + 16);
}

static bool sample_agrees(const struct bits *b)
{
	size_t step = b->heap->count / SAMPLE_SPANS + 1;
	struct sample n = {0};

	for (size_t i = 0; i < b->heap->count; i += step) {
		const struct gi_heap_span *s = &b->heap->spans[i];

		if (!s->ptr_bits || is_runtimes_own(b, &s->pub))
			continue;
		for (uint64_t k = 0, seen = 0; k < s->pub.elem_count && seen < SAMPLE_OBJECTS;
		     k++) {
			if (!gi_heap_slot_used(s, k))
				continue;
			seen++;
			sample_object(b, s, s->pub.start + k * s->pub.elem_size, &n);
		}
	}
	return (n.pointers < SAMPLE_MIN || n.missing <= n.pointers / MAX_MISSING_PART) &&
	       (n.set < SAMPLE_MIN || n.odd <= n.set / MAX_ODD_PART);
}

struct gi_error *gi_heap_load_bits(struct gi_go *go, struct gi_heap *heap)
{
	const struct gi_layout *l = &go->layout;
	struct bits b = {.go = go,
			 .heap = heap,
			 .arena_pages = l->heap_arena.spans.count,
			 .arena_size = (uint64_t)l->heap_arena.spans.count * PAGE};

	if (heap->bits_loaded)
		return NULL;
	heap->bits_loaded = true;
	if (!b.arena_size ||
	    !gi_target_peek_u64(go->target, l->global.mheap.addr + l->mheap.arenas.off, &b.table))
		return NULL;
	find_bits(&b);
	if (!gs_agree(&b) || !sample_agrees(&b)) {
		for (size_t i = 0; i < heap->count; i++)
			heap->spans[i].ptr_bits = NULL;
	}
	return gi_interrupt_check();
}

// The Go heap: which address belongs to which span, and which object of it.
//
// mheap_.allspans lists every mspan record that was ever made; those in state mSpanInUse
// hold objects of one size each, those in state mSpanManual hold stacks and the runtime's
// own buffers, all others are free records. A slot of a span in use is allocated if it
// lies below freeindex or its bit in allocBits is set: allocation moves freeindex forward
// past the bits that are clear. Sweeping exchanges allocBits and sets freeindex back, in
// several steps; a span that is being swept (its sweepgen is one below the heap's) has
// all its slots taken for allocated, since in the midst of these steps living objects may
// have neither.
//
// The heap's address space comes in arenas of 64 MB, whose addresses are random from
// Go 1.26 on; each arena has a table of the span of each page. That table and allspans
// must agree: this, the sizes of size classes and the goroutines (each g is an object of
// the heap) tell that the layouts are right and the heap is not damaged. Spans that
// overlap are refused: no object would be sure.
//
// Look-ups go through an index of our own, one 32-bit number for each page of 8 KB, in
// tables for 64 MB each: a constant number of steps for any heap.
//
// Source: src/runtime/mheap.go, malloc.go, mgcsweep.go, Go 1.19 to 1.27.

#include "go/go_impl.h"
#include "go/heap_impl.h"

#include <stdlib.h>
#include <string.h>

#define ULL(x) ((unsigned long long)(x))

// Entries of allspans: more pages do not fit into an address space of 47 bits.
#define MAX_SPANS (UINT64_C(1) << 31)
#define PAGE (UINT64_C(1) << GI_HEAP_PAGE_SHIFT)
#define CHUNK (UINT64_C(1) << GI_HEAP_CHUNK_SHIFT)
// User addresses of every supported machine.
#define ADDRESS_END (UINT64_C(1) << 56)

enum {
	MAX_ARENAS = 1 << 22,
	MAX_SIZE_CLASSES = 256,
	// Up to this span size, ceil(2^32 / elem_size) divides exactly: the error of the
	// quotient is below offset * elem_size / 2^32.
	MAGIC_MAX_SPAN = 1 << 17,
	MAGIC_MAX_ELEM = 1 << 15,
};

struct loader {
	struct gi_go *go;
	struct gi_heap *heap;
	size_t cap, record_cap, arena_cap;
	uint32_t sweepgen;
	uint64_t class_size[MAX_SIZE_CLASSES];
	size_t class_count;
	struct gi_buf buf;
};

void gi_heap_destroy(struct gi_heap *heap)
{
	if (!heap)
		return;
	for (size_t i = 0; i < heap->chunk_count; i++)
		free(heap->chunks[i]);
	free(heap->chunks);
	free(heap->spans);
	free(heap->arenas);
	free(heap->records);
	gi_arena_destroy(heap->memory);
	free(heap);
}

static void gi_heap_destroyp(struct gi_heap **p)
{
	gi_heap_destroy(*p);
}

// --- reading spans -------------------------------------------------------------------

// The sizes of the size classes: an array of 16-bit numbers, or nothing is compared.
static void read_size_classes(struct loader *l)
{
	const struct gi_global *g = &l->go->layout.global.size_classes;
	uint8_t raw[2 * MAX_SIZE_CLASSES];
	size_t n = (size_t)gi_min_u64(g->size / 2, MAX_SIZE_CLASSES);
	struct gi_error *err;

	if (!g->ok || !n)
		return;
	err = gi_target_read(l->go->target, g->addr, raw, 2 * n);
	if (err) {
		gi_error_ignore(err);
		return;
	}
	for (size_t i = 0; i < n; i++)
		l->class_size[i] = gi_load_u16(raw + 2 * i);
	l->class_count = n;
}

static struct gi_error *bad_span(uint64_t addr, const char *what, uint64_t a, uint64_t b)
{
	return gi_error_at(GI_ERR_MISMATCH, addr,
			   "the heap fails its check: the mspan at 0x%llx has %s (0x%llx, 0x%llx)",
			   ULL(addr), what, ULL(a), ULL(b));
}

static struct gi_error *check_span(const struct loader *l, const struct gi_heap_span *s,
				   uint64_t npages)
{
	const struct gi_span *p = &s->pub;

	if (!p->start || p->start % PAGE || p->start >= ADDRESS_END)
		return bad_span(p->addr, "a start that is no page of the heap", p->start, npages);
	if (!npages || npages > (ADDRESS_END - p->start) / PAGE)
		return bad_span(p->addr, "an impossible number of pages", p->start, npages);
	if (p->manual)
		return NULL;
	if (!p->elem_size || !p->elem_count || p->elem_count > (p->end - p->start) / p->elem_size)
		return bad_span(p->addr, "more objects than it has room for", p->elem_count,
				p->elem_size);
	if (s->free_index > p->elem_count)
		return bad_span(p->addr, "a free index behind its last object", s->free_index,
				p->elem_count);
	if (p->size_class == 0 && p->elem_count != 1)
		return bad_span(p->addr, "several objects, but no size class", p->elem_count,
				p->elem_size);
	if (p->size_class && l->class_count &&
	    (p->size_class >= l->class_count || p->elem_size != l->class_size[p->size_class]))
		return bad_span(p->addr, "objects of another size than its size class",
				p->elem_size, p->size_class);
	return NULL;
}

static uint32_t magic_of(const struct gi_span *p)
{
	if (p->elem_count == 1 || p->end - p->start > MAGIC_MAX_SPAN || p->elem_size < 2 ||
	    p->elem_size > MAGIC_MAX_ELEM)
		return 0;
	return (uint32_t)(((UINT64_C(1) << 32) + p->elem_size - 1) / p->elem_size);
}

// The bits stay in the target where they lie in one piece, as they do but at the ends of
// pieces.
static struct gi_error *load_alloc_bits(struct loader *l, struct gi_heap_span *s, uint64_t bits)
{
	size_t n = (size_t)((s->pub.elem_count + 7) / 8);
	struct gi_error *err;
	uint8_t *copy;

	s->alloc_bits = gi_target_view(l->go->target, bits, n);
	if (s->alloc_bits)
		return NULL;
	copy = gi_arena_alloc(l->heap->memory, n);
	if (!copy)
		return gi_error_nomem();
	err = gi_target_read(l->go->target, bits, copy, n);
	if (err)
		return gi_error_wrap(err, "allocation bits of the span at 0x%llx",
				     ULL(s->pub.start));
	s->alloc_bits = copy;
	return NULL;
}

static struct gi_error *add_span(struct loader *l, uint64_t addr)
{
	const struct gi_layout *lay = &l->go->layout;
	struct gi_heap *h = l->heap;
	struct gi_heap_span s = {0};
	const uint8_t *rec;
	uint64_t npages, state, class, bits;
	struct gi_error *err;

	err = gi_go_bytes(l->go, addr, (size_t)lay->mspan.rec.size, &l->buf, &rec);
	if (err)
		return gi_error_wrap(err, "mspan at 0x%llx", ULL(addr));
	err = gi_grow(&h->records, &l->record_cap, h->record_count + 1, sizeof(*h->records));
	if (err)
		return err;
	h->records[h->record_count++] = (struct gi_range){addr, addr + lay->mspan.rec.size};

#define FIELD(f) gi_field_uint(rec, lay->mspan.f)
	state = FIELD(state);
	if (state != (uint64_t)lay->constant.span_in_use &&
	    state != (uint64_t)lay->constant.span_manual)
		return NULL;
	npages = FIELD(npages);
	class = FIELD(spanclass);
	s.pub = (struct gi_span){
		.start = FIELD(start),
		.manual = state == (uint64_t)lay->constant.span_manual,
		.noscan = class & 1,
		.size_class = (uint8_t)(class >> 1),
		.addr = addr,
	};
	if (!s.pub.manual) {
		s.pub.elem_size = FIELD(elemsize);
		s.pub.elem_count = FIELD(nelems);
		s.free_index = (uint32_t)gi_min_u64(FIELD(freeindex), UINT32_MAX);
		s.specials = FIELD(specials);
	}
	bits = FIELD(alloc_bits);
	s.pub.end = s.pub.start + npages * PAGE;
	err = check_span(l, &s, npages);
	if (err)
		return err;
	s.limit = s.pub.elem_count * s.pub.elem_size;
	s.magic = magic_of(&s.pub);
	if (!s.pub.manual && bits && (uint32_t)FIELD(sweepgen) != l->sweepgen - 1) {
		err = load_alloc_bits(l, &s, bits);
		if (err)
			return err;
	}
#undef FIELD
	err = gi_grow(&h->spans, &l->cap, h->count + 1, sizeof(*h->spans));
	if (err)
		return err;
	h->spans[h->count++] = s;
	return NULL;
}

static struct gi_error *read_spans(struct loader *l)
{
	const struct gi_layout *lay = &l->go->layout;
	const struct gi_field slice = lay->mheap.allspans;
	struct gi_slice all;
	uint8_t head[24];
	uint64_t sweepgen;
	struct gi_error *err;

	err = gi_target_read(l->go->target, lay->global.mheap.addr + slice.off, head, sizeof(head));
	if (err)
		return gi_error_wrap(err, "the heap's list of spans");
	all = gi_go_slice(head, (struct gi_field){.size = sizeof(head), .ok = true});
	if (all.len > all.cap || all.len > MAX_SPANS || all.len * 8 > UINT64_MAX - all.ptr)
		return gi_error_create(
			GI_ERR_MISMATCH,
			"the heap fails its check: mheap_.allspans has %llu entries at "
			"0x%llx, room for %llu",
			ULL(all.len), ULL(all.ptr), ULL(all.cap));
	err = gi_target_read_uint(l->go->target, lay->global.mheap.addr + lay->mheap.sweepgen.off,
				  lay->mheap.sweepgen.size, &sweepgen);
	if (err)
		return gi_error_wrap(err, "mheap_.sweepgen");
	l->sweepgen = (uint32_t)sweepgen;

	for (uint64_t i = 0; i < all.len; i++) {
		uint64_t addr;

		if (i % 4096 == 0) {
			err = gi_interrupt_check();
			if (err)
				return err;
		}
		err = gi_target_read_u64(l->go->target, all.ptr + 8 * i, &addr);
		if (!err)
			err = add_span(l, addr);
		if (err)
			return gi_error_wrap(err, "the heap cannot be read");
	}
	return NULL;
}

// --- order and index
// --------------------------------------------------------------------

static int compare_spans(const void *a, const void *b)
{
	const struct gi_heap_span *x = a, *y = b;

	return x->pub.start < y->pub.start ? -1 : x->pub.start > y->pub.start;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct gi_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

// Sorts and joins what touches or overlaps.
static void join_ranges(struct gi_range *r, size_t *count)
{
	size_t n = 0;

	if (*count)
		qsort(r, *count, sizeof(*r), compare_ranges);
	for (size_t i = 0; i < *count; i++) {
		if (n && r[i].start <= r[n - 1].end)
			r[n - 1].end = gi_max_u64(r[n - 1].end, r[i].end);
		else
			r[n++] = r[i];
	}
	*count = n;
}

static struct gi_error *order_spans(struct gi_heap *h)
{
	if (h->count)
		qsort(h->spans, h->count, sizeof(*h->spans), compare_spans);
	for (size_t i = 0; i < h->count; i++) {
		struct gi_heap_span *s = &h->spans[i];

		if (i && s->pub.start < h->spans[i - 1].pub.end)
			return gi_error_at(GI_ERR_MISMATCH, s->pub.start,
					   "the heap fails its check: the spans 0x%llx..0x%llx and "
					   "0x%llx..0x%llx overlap",
					   ULL(h->spans[i - 1].pub.start),
					   ULL(h->spans[i - 1].pub.end), ULL(s->pub.start),
					   ULL(s->pub.end));
		s->first_slot = h->slot_count;
		h->slot_count += (s->pub.elem_count + 63) & ~UINT64_C(63);
	}
	join_ranges(h->records, &h->record_count);
	return NULL;
}

static struct gi_error *index_spans(struct gi_heap *h)
{
	uint64_t end;

	if (!h->count)
		return NULL;
	h->lo = h->spans[0].pub.start & ~(CHUNK - 1);
	end = (h->spans[h->count - 1].pub.end + CHUNK - 1) & ~(CHUNK - 1);
	h->size = end - h->lo;
	if (h->size >> GI_HEAP_CHUNK_SHIFT > MAX_ARENAS)
		return gi_error_create(
			GI_ERR_MISMATCH,
			"the heap fails its check: spans at 0x%llx and at 0x%llx are too "
			"far apart",
			ULL(h->lo), ULL(end));
	// Most of it is never touched if the heap's addresses are far apart.
	h->chunks = calloc((size_t)(h->size >> GI_HEAP_CHUNK_SHIFT), sizeof(*h->chunks));
	if (!h->chunks)
		return gi_error_nomem();
	h->chunk_count = (size_t)(h->size >> GI_HEAP_CHUNK_SHIFT);

	for (size_t i = 0; i < h->count; i++) {
		uint64_t page = (h->spans[i].pub.start - h->lo) >> GI_HEAP_PAGE_SHIFT;
		uint64_t stop = (h->spans[i].pub.end - h->lo) >> GI_HEAP_PAGE_SHIFT;

		for (; page < stop; page++) {
			uint32_t **chunk = &h->chunks[page / GI_HEAP_CHUNK_PAGES];

			if (!*chunk) {
				*chunk = calloc(GI_HEAP_CHUNK_PAGES, sizeof(**chunk));
				if (!*chunk)
					return gi_error_nomem();
			}
			(*chunk)[page % GI_HEAP_CHUNK_PAGES] = (uint32_t)i + 1;
		}
	}
	return NULL;
}

// --- arenas
// --------------------------------------------------------------------------------

static uint64_t pages_per_arena(const struct gi_layout *lay)
{
	return lay->heap_arena.spans.count;
}

static struct gi_error *add_arenas(struct loader *l, struct gi_field list)
{
	const struct gi_layout *lay = &l->go->layout;
	const uint64_t size = pages_per_arena(lay) * PAGE;
	struct gi_heap *h = l->heap;
	struct gi_slice s;
	uint8_t head[24];
	struct gi_error *err;

	if (!list.ok)
		return NULL;
	err = gi_target_read(l->go->target, lay->global.mheap.addr + list.off, head, sizeof(head));
	if (err)
		return gi_error_wrap(err, "the heap's list of arenas");
	s = gi_go_slice(head, (struct gi_field){.size = sizeof(head), .ok = true});
	if (s.len > MAX_ARENAS)
		return gi_error_create(GI_ERR_MISMATCH,
				       "the heap fails its check: it has %llu arenas", ULL(s.len));
	for (uint64_t i = 0; i < s.len; i++) {
		uint64_t number, start;

		err = gi_target_read_u64(l->go->target, s.ptr + 8 * i, &number);
		if (err)
			return gi_error_wrap(err, "the heap's list of arenas");
		// Wraps on purpose: user addresses start in the middle of the numbers.
		start = number * size + (uint64_t)lay->constant.arena_base_offset;
		if (start >= ADDRESS_END)
			return gi_error_create(
				GI_ERR_MISMATCH,
				"the heap fails its check: arena %llu is number 0x%llx", ULL(i),
				ULL(number));
		err = gi_grow(&h->arenas, &l->arena_cap, h->arena_count + 1, sizeof(*h->arenas));
		if (err)
			return err;
		h->arenas[h->arena_count++] = (struct gi_range){start, start + size};
	}
	return NULL;
}

static bool in_arena(const struct gi_heap *h, uint64_t addr)
{
	size_t lo = 0, hi = h->arena_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (h->arenas[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < h->arena_count && addr >= h->arenas[lo].start;
}

// What the arena's own table says: the mspan of the page at addr.
static bool arena_span(struct loader *l, uint64_t table, uint64_t addr, uint64_t *ret)
{
	const struct gi_layout *lay = &l->go->layout;
	const uint64_t per_arena = pages_per_arena(lay);
	uint64_t number = (addr - (uint64_t)lay->constant.arena_base_offset) / (per_arena * PAGE);
	uint64_t arena;

	if (number >= MAX_ARENAS ||
	    !gi_target_peek_u64(l->go->target, table + 8 * number, &arena) || !arena)
		return false;
	return gi_target_peek_u64(l->go->target,
				  arena + lay->heap_arena.spans.off + 8 * (addr / PAGE % per_arena),
				  ret);
}

static struct gi_error *check_arenas(struct loader *l)
{
	const struct gi_layout *lay = &l->go->layout;
	struct gi_heap *h = l->heap;
	size_t bad = 0, outside = 0;
	uint64_t table, found = 0, first_found = 0;
	const struct gi_span *first = NULL;

	if (!pages_per_arena(lay) || pages_per_arena(lay) > UINT32_MAX)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "the layout of runtime.heapArena is unknown");
	struct gi_error *err = add_arenas(l, lay->mheap.heap_arenas);
	if (!err)
		err = add_arenas(l, lay->mheap.user_arenas);
	if (err)
		return err;
	join_ranges(h->arenas, &h->arena_count);

	// One table of all arenas: address space is not split further on 64-bit Linux.
	err = gi_target_read_u64(l->go->target, lay->global.mheap.addr + lay->mheap.arenas.off,
				 &table);
	if (err)
		return gi_error_wrap(err, "the heap's table of arenas");
	for (size_t i = 0; i < h->count; i++) {
		const struct gi_span *s = &h->spans[i].pub;

		found = 0;
		if (!in_arena(h, s->start) || !in_arena(h, s->end - 1)) {
			outside++;
		} else if (arena_span(l, table, s->start, &found) && found == s->addr &&
			   arena_span(l, table, s->end - PAGE, &found) && found == s->addr) {
			continue;
		}
		if (!bad++) {
			first = s;
			first_found = found;
		}
	}
	// A span that is just being made is in one list and not yet in the other.
	if (outside || bad > 8 + h->count / 64)
		return gi_error_at(GI_ERR_MISMATCH, first->start,
				   "the heap fails its check: %zu of %zu spans are not "
				   "where the arenas "
				   "have them (first: 0x%llx, mspan at 0x%llx, the "
				   "arena's at 0x%llx)",
				   bad, h->count, ULL(first->start), ULL(first->addr),
				   ULL(first_found));
	return NULL;
}

// Every g but those of the runtime's own data is an object of the heap, of its full size.
static struct gi_error *check_gs(const struct loader *l)
{
	const struct gi_heap *h = l->heap;
	size_t seen = 0, bad = 0;
	uint64_t first = 0;

	for (size_t i = 0; i < l->go->g_count; i++) {
		const struct gi_g *g = &l->go->gs[i];
		const struct gi_heap_span *s;
		uint64_t slot, off;

		if (g->addr == l->go->layout.global.g0.addr)
			continue;
		seen++;
		s = gi_heap_find(h, g->addr, &slot);
		// Objects of more than 512 bytes begin with a word of the allocator's.
		off = s ? g->addr - s->pub.start - slot * s->pub.elem_size : 0;
		if (s && (off == 0 || off == 8) &&
		    s->pub.elem_size - off >= l->go->layout.g.rec.size)
			continue;
		if (!bad++)
			first = g->addr;
	}
	if (bad)
		return gi_error_at(GI_ERR_MISMATCH, first,
				   "the heap fails its check: %zu of %zu goroutines are "
				   "no objects of "
				   "it (first: g at 0x%llx)",
				   bad, seen, ULL(first));
	return NULL;
}

// --- the contract
// ------------------------------------------------------------------------------

// Experiments that leave the runtime's structs as they are.
static bool is_harmless(const char *name, size_t n)
{
	static const char *const names[] = {
		"aliastypeparams", "arenas",   "boringcrypto", "cacheprog", "cgocheck2",
		"coverageredesign", "dwarf5",  "jsonv2",       "loopvar",   "newinliner",
		"range",	   "rangefunc", "simd",	       "synctest",  "unified",
	};

	if (n > 2 && memcmp(name, "no", 2) == 0) {
		name += 2;
		n -= 2;
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
			return true;
	}
	return false;
}

// The tables are of programs without experiments ("go1.26.8-X:nogreenteagc,dwarf5" has some): with
// one, what follows a struct that it changed is elsewhere, and what it leads to is not seen.
static bool table_is_of_others(const struct gi_go *go)
{
	const char *s = strstr(go->version.text, "X:");

	if (!go->table.count || !s)
		return false;
	for (s += 2; *s; s += *s == ',') {
		size_t n = strcspn(s, ", ");

		if (!is_harmless(s, n))
			return true;
		s += n;
		if (*s != ',')
			break;
	}
	return false;
}

static struct gi_error *load(struct loader *l)
{
	const struct gi_layout *lay = &l->go->layout;
	struct gi_error *err;

	if (table_is_of_others(l->go))
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "the program is stripped, and was built with a GOEXPERIMENT "
				       "whose layouts are not known (%s)",
				       l->go->version.text);
	if (!lay->mheap.rec.ok || !lay->mspan.rec.ok || !lay->heap_arena.rec.ok ||
	    !lay->global.mheap.ok)
		return gi_error_create(
			GI_ERR_UNSUPPORTED,
			"the layout of the heap (runtime.mheap, mspan, heapArena) is "
			"unknown");
	read_size_classes(l);
	err = read_spans(l);
	if (!err)
		err = order_spans(l->heap);
	if (!err)
		err = index_spans(l->heap);
	if (!err)
		err = check_arenas(l);
	return err ? err : check_gs(l);
}

struct gi_error *gi_go_heap(struct gi_go *go, struct gi_heap **ret)
{
	_cleanup_(gi_heap_destroyp) struct gi_heap *heap = NULL;
	struct loader l = {.go = go};
	struct gi_error *err;

	if (go->heap) {
		*ret = go->heap;
		return NULL;
	}
	heap = calloc(1, sizeof(*heap));
	if (!heap)
		return gi_error_nomem();
	err = gi_arena_create(&heap->memory);
	if (err)
		return err;
	l.heap = heap;
	err = load(&l);
	gi_buf_deinit(&l.buf);
	if (err)
		return err;
	go->heap = heap;
	heap = NULL;
	*ret = go->heap;
	return NULL;
}

size_t gi_heap_span_count(const struct gi_heap *heap)
{
	return heap->count;
}

const struct gi_span *gi_heap_span(const struct gi_heap *heap, size_t i)
{
	return i < heap->count ? &heap->spans[i].pub : NULL;
}

const struct gi_span *gi_heap_span_at(const struct gi_heap *heap, uint64_t addr)
{
	uint32_t i = gi_heap_span_index(heap, addr);

	return i ? &heap->spans[i - 1].pub : NULL;
}

bool gi_heap_object_at(const struct gi_heap *heap, uint64_t addr, uint64_t *start_ret,
		       uint64_t *size_ret, const struct gi_span **span_ret)
{
	uint64_t slot;
	const struct gi_heap_span *s = gi_heap_find(heap, addr, &slot);

	if (!s)
		return false;
	*start_ret = s->pub.start + slot * s->pub.elem_size;
	*size_ret = s->pub.elem_size;
	*span_ret = &s->pub;
	return true;
}

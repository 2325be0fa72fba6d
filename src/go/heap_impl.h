// The heap's spans with what a marker needs of them: see heap.c. For src/go and for the
// reachability of src/wait.
#ifndef GCORE_GO_HEAP_IMPL_H
#define GCORE_GO_HEAP_IMPL_H

#include "gcore/base.h"
#include "gcore/heap.h"

enum {
	GI_HEAP_PAGE_SHIFT = 13,  // of the runtime's pages, every release
	GI_HEAP_CHUNK_SHIFT = 26, // of the index: one table of pages for each
	GI_HEAP_CHUNK_PAGES = 1 << (GI_HEAP_CHUNK_SHIFT - GI_HEAP_PAGE_SHIFT),
};

/** A span and how its slots are told apart. */
struct gi_heap_span {
	struct gi_span pub;
	const uint8_t *alloc_bits; // NULL: every slot counts as allocated
	uint32_t free_index;	   // slots below it are allocated
	uint32_t magic;		   // offset * magic >> 32 is the slot; 0: divide
	uint64_t limit;		   // elem_count * elem_size
	uint64_t first_slot;	   // slots of all spans before it, a multiple of 64
	uint64_t specials;	   // first record of its list, 0 if none
	const uint8_t *ptr_bits;   // of the span's first word; NULL: any word may be a pointer
};

/** How ptr_bits are laid out. */
enum gi_ptr_bits {
	GI_PTR_BITS_NONE,
	GI_PTR_BITS_ONE,    // a bit for each word
	GI_PTR_BITS_NIBBLE, // a byte for four words, in its lower half
};

struct gi_heap {
	struct gi_heap_span *spans; // sorted by start
	size_t count;
	uint64_t slot_count;	 // of all spans
	struct gi_range *arenas; // address space that is the heap's, sorted
	size_t arena_count;
	struct gi_range *records; // memory of the runtime's mspan records, sorted
	size_t record_count;

	uint64_t lo, size; // of the indexed address space
	uint32_t **chunks; // 1 + index of the span, for each page of a chunk
	size_t chunk_count;
	enum gi_ptr_bits bits_format;
	bool bits_loaded;
	struct gi_arena *memory; // for allocation bits that had to be copied
};

void gi_heap_destroy(struct gi_heap *heap);

/** 1 + index of the span that holds addr, 0 if none. */
static inline uint32_t gi_heap_span_index(const struct gi_heap *h, uint64_t addr)
{
	uint64_t off = addr - h->lo;
	const uint32_t *chunk;

	if (off >= h->size)
		return 0;
	chunk = h->chunks[off >> GI_HEAP_CHUNK_SHIFT];
	if (!chunk)
		return 0;
	return chunk[(off >> GI_HEAP_PAGE_SHIFT) & (GI_HEAP_CHUNK_PAGES - 1)];
}

/** The slot at an offset below the span's limit. */
static inline uint64_t gi_heap_slot_of(const struct gi_heap_span *s, uint64_t off)
{
	return s->magic ? off * s->magic >> 32 : off / s->pub.elem_size;
}

static inline bool gi_heap_slot_used(const struct gi_heap_span *s, uint64_t slot)
{
	return slot < s->free_index || !s->alloc_bits ||
	       (s->alloc_bits[slot / 8] >> (slot % 8) & 1);
}

/** The span and slot of the object that addr points into; NULL if there is none. */
static inline const struct gi_heap_span *gi_heap_find(const struct gi_heap *h, uint64_t addr,
						      uint64_t *slot_ret)
{
	uint32_t i = gi_heap_span_index(h, addr);
	const struct gi_heap_span *s;
	uint64_t off;

	if (!i)
		return NULL;
	s = &h->spans[i - 1];
	off = addr - s->pub.start;
	if (off >= s->limit)
		return NULL;
	*slot_ret = gi_heap_slot_of(s, off);
	return gi_heap_slot_used(s, *slot_ret) ? s : NULL;
}

/**
 * Finds which words of small objects are pointers, as the collector knows it: ptr_bits of spans.
 * They are compared with what is known of goroutines and with what the words hold; if they do not
 * agree, there are none, and every word may be a pointer. Once made they stay.
 */
struct gi_error *gi_heap_load_bits(struct gi_go *go, struct gi_heap *heap) GI_MUST_CHECK;
/** The bits of words 64 * i to 64 * i + 63 of a span, the lowest for the first. */
static inline uint64_t gi_heap_ptr_bits(enum gi_ptr_bits format, const uint8_t *bits, uint64_t i)
{
	uint64_t v = 0;

	if (format == GI_PTR_BITS_ONE)
		return gi_load_u64(bits + 8 * i);
	for (unsigned half = 0; half < 2; half++) {
		uint64_t x = gi_load_u64(bits + 16 * i + 8 * half) & UINT64_C(0x0f0f0f0f0f0f0f0f);

		x = (x | x >> 4) & UINT64_C(0x00ff00ff00ff00ff);
		x = (x | x >> 8) & UINT64_C(0x0000ffff0000ffff);
		x = (x | x >> 16) & UINT32_MAX;
		v |= x << (32 * half);
	}
	return v;
}

/** The bits of n words from word on, at most 64, all of which are in the span. */
static inline uint64_t gi_heap_ptr_mask(enum gi_ptr_bits format, const uint8_t *bits, uint64_t word,
					unsigned n)
{
	unsigned shift = word % 64;
	uint64_t v = gi_heap_ptr_bits(format, bits, word / 64) >> shift;

	if (shift + n > 64)
		v |= gi_heap_ptr_bits(format, bits, word / 64 + 1) << (64 - shift);
	return n < 64 ? v & ((UINT64_C(1) << n) - 1) : v;
}
/** The first byte that gi_heap_ptr_mask() of a word reads. */
static inline const uint8_t *gi_heap_ptr_at(enum gi_ptr_bits format, const uint8_t *bits,
					    uint64_t word)
{
	return bits + (format == GI_PTR_BITS_ONE ? 8 : 16) * (word / 64);
}

/**
 * A record that the runtime keeps of an object: a finalizer, a cleanup, a weak handle,
 * ...
 */
struct gi_heap_special {
	uint64_t addr;	 // of the record
	uint64_t object; // the object's address
	uint64_t handle; // of a weak handle; 0 if it is none
	uint8_t kind;	 // the release's own number
	bool finalizer;
};
typedef struct gi_error *(*gi_heap_special_fn)(void *arg, const struct gi_heap_special *s);
/** Calls fn for all of them; stops at its first error. */
struct gi_error *gi_heap_specials(struct gi_go *go, const struct gi_heap *heap,
				  gi_heap_special_fn fn, void *arg) GI_MUST_CHECK;

#endif

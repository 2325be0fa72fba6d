// Marking: which objects of the heap can be reached, conservatively.
//
// Every aligned word of a stack, a register, a global, an object with pointers is taken for an
// address; if it lies in an object's slot, the object is reached. That takes more for reachable
// than the collector does with its exact maps, never less: Go keeps pointers in aligned words, and
// an object that was only known by other means would be freed by the collector. Objects without
// pointers are marked and not scanned.
//
// Work is a stack of objects to scan. A short queue between it and the scan gives the memory
// of an object time to arrive. When one thread has much to do, a second one is started; a thread
// that has nothing left waits for some that others give away, and when all wait, it is done.
// Marks are set by atomic or, so that an object is scanned by one of them.

#include "wait/reach_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
	SLOT_BITS = 32,
	QUEUE = 16,	   // objects whose memory is on its way; a power of 2
	GIVE_AWAY = 64,	   // objects that a thread keeps when others are hungry
	HELP_AT = 1 << 14, // objects to scan that are worth a thread
	CHECK_EVERY = 4096,
};

struct gi_error *gi_u64s_push(struct gi_u64s *l, uint64_t v)
{
	struct gi_error *err = gi_grow(&l->v, &l->cap, l->n + 1, sizeof(*l->v));

	if (err)
		return err;
	l->v[l->n++] = v;
	return NULL;
}

// --- the hot path ----------------------------------------------------------------------

static void push(struct gi_mark_worker *w, struct gi_u64s *l, uint64_t v)
{
	if (l->n < l->cap) {
		l->v[l->n++] = v;
		return;
	}
	struct gi_error *err = gi_u64s_push(l, v);

	if (err && !w->err)
		w->err = err;
	else
		gi_error_free(err);
}

static inline void mark(struct gi_mark_worker *w, uint64_t addr)
{
	struct gi_marker *m = w->m;
	uint32_t index = gi_heap_span_index(m->heap, addr);
	const struct gi_mark_span *s;
	uint64_t off, slot, bit, mask;

	if (!index)
		return;
	s = &m->spans[index - 1];
	off = addr - s->start;
	if (off >= s->limit)
		return;
	slot = s->magic ? off * s->magic >> 32 : off / s->elem_size;
	bit = s->first_slot + slot;
	mask = UINT64_C(1) << (bit % 64);
	if (__atomic_load_n(&m->marks[bit / 64], __ATOMIC_RELAXED) & mask)
		return;
	if (!m->threads)
		m->marks[bit / 64] |= mask;
	else if (__atomic_fetch_or(&m->marks[bit / 64], mask, __ATOMIC_RELAXED) & mask)
		return;
	if (m->special[bit / 64] & mask)
		push(w, &w->found, bit);
	if (!s->noscan && !(m->opaque[bit / 64] & mask))
		push(w, &w->stack, (uint64_t)(index - 1) << SLOT_BITS | slot);
}

void gi_mark_words(struct gi_mark_worker *w, const uint8_t *p, size_t n)
{
	const uint64_t lo = w->m->heap->lo, size = w->m->heap->size;

	for (const uint8_t *end = p + (n & ~(size_t)7); p < end; p += 8) {
		uint64_t v = gi_load_u64(p);

		if (v - lo < size)
			mark(w, v);
	}
}

// An object in several pieces, or not there.
static struct gi_error *scan_slowly(struct gi_mark_worker *w, uint64_t addr, uint64_t n)
{
	while (n) {
		size_t part = (size_t)gi_min_u64(n, 1 << 20);
		const uint8_t *p;
		struct gi_error *err = gi_go_bytes(w->m->go, addr, part, &w->buf, &p);

		if (err)
			return gi_error_wrap(err, "an object of the heap");
		gi_mark_words(w, p, part);
		addr += part;
		n -= part;
	}
	return NULL;
}

// The words that the collector looks at.
static void scan_pointers(struct gi_mark_worker *w, const struct gi_mark_span *s, uint64_t off)
{
	const struct gi_heap *h = w->m->heap;
	uint64_t first = off / 8, end = first + s->elem_size / 8;

	while (first < end) {
		unsigned n = end - first < 64 ? (unsigned)(end - first) : 64;
		uint64_t mask = gi_heap_ptr_mask(h->bits_format, s->bits, first, n);

		for (; mask; mask &= mask - 1) {
			uint64_t at = 8 * (first + (unsigned)__builtin_ctzll(mask));
			uint64_t v = gi_load_u64(s->mem + at);

			if (v - h->lo < h->size)
				mark(w, v);
		}
		first += n;
	}
}

static struct gi_error *scan(struct gi_mark_worker *w, uint64_t item)
{
	const struct gi_mark_span *s = &w->m->spans[item >> SLOT_BITS];
	uint64_t off = (item & UINT32_MAX) * s->elem_size;

	if (!s->mem)
		return scan_slowly(w, s->start + off, s->elem_size);
	if (s->bits) {
		scan_pointers(w, s, off);
		return NULL;
	}
	gi_mark_words(w, s->mem + off, (size_t)s->elem_size);
	return NULL;
}

// The call itself is what counts: where a function does nothing else the compiler leaves it out.
#define PREFETCH(m, item)                                                                          \
	do {                                                                                       \
		const struct gi_mark_span *s_ = &(m)->spans[(item) >> SLOT_BITS];                  \
		const uint64_t off_ = ((item) & UINT32_MAX) * s_->elem_size;                       \
		if (s_->mem)                                                                       \
			__builtin_prefetch(s_->mem + off_);                                        \
		if (s_->bits)                                                                      \
			__builtin_prefetch(gi_heap_ptr_at((m)->heap->bits_format, s_->bits,        \
							  off_ / 8));                              \
	} while (0)

// --- threads ---------------------------------------------------------------------------

static void give_away(struct gi_mark_worker *w)
{
	struct gi_marker *m = w->m;
	size_t n = (w->stack.n - GIVE_AWAY) / 2;
	struct gi_error *err;

	// The oldest: what hangs on them is likely to be the most.
	pthread_mutex_lock(&m->lock);
	err = gi_grow(&m->shared.v, &m->shared.cap, m->shared.n + n, sizeof(uint64_t));
	if (!err) {
		memcpy(m->shared.v + m->shared.n, w->stack.v, n * sizeof(uint64_t));
		m->shared.n += n;
		memmove(w->stack.v, w->stack.v + n, (w->stack.n - n) * sizeof(uint64_t));
		w->stack.n -= n;
		pthread_cond_broadcast(&m->wake);
	}
	pthread_mutex_unlock(&m->lock);
	gi_error_free(err); // no memory to share it: it is done here
}

// Work from the others; false when there is none left anywhere.
static bool take(struct gi_mark_worker *w)
{
	struct gi_marker *m = w->m;
	bool got = false;

	pthread_mutex_lock(&m->lock);
	m->waiting++;
	__atomic_store_n(&m->hungry, m->waiting, __ATOMIC_RELAXED);
	while (!m->shared.n && !m->done) {
		if (m->waiting == m->running) {
			m->done = true;
			pthread_cond_broadcast(&m->wake);
			break;
		}
		pthread_cond_wait(&m->wake, &m->lock);
	}
	if (!m->done) {
		size_t n = m->shared.n > 1 ? (m->shared.n + 1) / 2 : 1;
		struct gi_error *err = gi_grow(&w->stack.v, &w->stack.cap, n, sizeof(uint64_t));

		if (err) {
			w->err = err;
			m->done = true;
			pthread_cond_broadcast(&m->wake);
		} else {
			m->shared.n -= n;
			memcpy(w->stack.v, m->shared.v + m->shared.n, n * sizeof(uint64_t));
			w->stack.n = n;
			got = true;
		}
	}
	m->waiting--;
	__atomic_store_n(&m->hungry, m->waiting, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&m->lock);
	return got;
}

// An error of one is the end for all.
static void stop_all(struct gi_marker *m)
{
	pthread_mutex_lock(&m->lock);
	m->done = true;
	pthread_cond_broadcast(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

// Scans all that w has, and what that leads to. until: leave at so much work, 0: never.
static void work(struct gi_mark_worker *w, size_t until)
{
	struct gi_marker *m = w->m;
	uint64_t queue[QUEUE];
	unsigned head = 0, tail = 0, checks = 0;

	while (!w->err) {
		while (w->stack.n && head - tail < QUEUE) {
			uint64_t item = w->stack.v[--w->stack.n];

			PREFETCH(m, item);
			queue[head++ % QUEUE] = item;
		}
		if (head == tail)
			return;
		struct gi_error *err = scan(w, queue[tail++ % QUEUE]);

		if (!err && ++checks % CHECK_EVERY == 0)
			err = gi_interrupt_check();
		if (err) {
			gi_error_free(w->err);
			w->err = err;
			return;
		}
		if (m->threads) {
			if (w->stack.n > 2 * GIVE_AWAY &&
			    __atomic_load_n(&m->hungry, __ATOMIC_RELAXED))
				give_away(w);
			if (checks % CHECK_EVERY == 0 &&
			    __atomic_load_n(&m->done, __ATOMIC_RELAXED))
				return;
		} else if (until && w->stack.n > until) {
			while (head != tail)
				push(w, &w->stack, queue[tail++ % QUEUE]);
			return;
		}
	}
}

static void *run(void *arg)
{
	struct gi_mark_worker *w = arg;

	do {
		work(w, 0);
		if (w->err)
			stop_all(w->m);
	} while (!w->err && take(w));
	return NULL;
}

struct gi_error *gi_mark_drain(struct gi_marker *m)
{
	struct gi_mark_worker *w = &m->workers[0];
	pthread_t helpers[GI_MARK_HELPERS];
	unsigned n = 0;
	struct gi_error *err = NULL;

	work(w, HELP_AT);
	if (w->stack.n && !w->err) {
		m->threads = true;
		m->done = false;
		m->running = 1 + GI_MARK_HELPERS;
		m->waiting = 0;
		m->hungry = 0;
		for (; n < GI_MARK_HELPERS; n++) {
			if (pthread_create(&helpers[n], NULL, run, &m->workers[1 + n]) != 0)
				break;
		}
		pthread_mutex_lock(&m->lock);
		m->running = 1 + n;
		pthread_mutex_unlock(&m->lock);
		run(w);
		for (unsigned i = 0; i < n; i++)
			pthread_join(helpers[i], NULL);
		m->threads = false;
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(m->workers); i++) {
		if (!err)
			err = m->workers[i].err;
		else
			gi_error_free(m->workers[i].err);
		m->workers[i].err = NULL;
	}
	return err;
}

bool gi_mark_found(struct gi_marker *m, uint64_t *slot_ret)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(m->workers); i++) {
		struct gi_u64s *l = &m->workers[i].found;

		if (l->n) {
			*slot_ret = l->v[--l->n];
			return true;
		}
	}
	return false;
}

// --- roots -----------------------------------------------------------------------------

void gi_mark_address(struct gi_marker *m, uint64_t addr)
{
	mark(&m->workers[0], addr);
}

struct gi_error *gi_mark_range(struct gi_marker *m, uint64_t start, uint64_t end)
{
	struct gi_mark_worker *w = &m->workers[0];

	if (start > UINT64_MAX - 7)
		return NULL;
	start = (start + 7) & ~UINT64_C(7);
	end &= ~UINT64_C(7);
	while (start < end) {
		size_t n;
		const uint8_t *p = gi_target_view_max(m->t, start,
						      (size_t)gi_min_u64(end - start, 1 << 24), &n);
		uint64_t v;
		struct gi_error *err = gi_interrupt_check();

		if (err)
			return err;
		if (p && n >= 8) {
			n &= ~(size_t)7;
			gi_mark_words(w, p, n);
			start += n;
			continue;
		}
		// A word across two pieces, or none at all.
		err = gi_target_read_u64(m->t, start, &v);
		if (err)
			return err;
		mark(w, v);
		start += 8;
	}
	if (w->err) {
		struct gi_error *err = w->err;

		w->err = NULL;
		return err;
	}
	return NULL;
}

// --- the marker ------------------------------------------------------------------------

// Marks the slots of a span that are not allocated.
static void mark_free_slots(struct gi_marker *m, const struct gi_heap_span *s)
{
	const uint64_t n = s->pub.elem_count;

	for (uint64_t slot = s->free_index; slot < n; slot++) {
		uint64_t bit = s->first_slot + slot;

		// Whole words where none or all of them are.
		if (slot % 64 == 0 && n - slot >= 64 && s->alloc_bits) {
			m->marks[bit / 64] = ~gi_load_u64(s->alloc_bits + slot / 8);
			slot += 63;
			continue;
		}
		if (!gi_heap_slot_used(s, slot))
			gi_bit_set(m->marks, bit);
	}
}

struct gi_error *gi_marker_init(struct gi_marker *m, struct gi_go *go, const struct gi_heap *heap)
{
	*m = (struct gi_marker){.go = go, .t = gi_go_target(go), .heap = heap};
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->wake, NULL);
	for (size_t i = 0; i < GI_ARRAY_SIZE(m->workers); i++)
		m->workers[i].m = m;

	m->word_count = (size_t)(heap->slot_count / 64);
	m->spans = calloc(heap->count ? heap->count : 1, sizeof(*m->spans));
	m->marks = calloc(m->word_count + 1, sizeof(uint64_t));
	m->special = calloc(m->word_count + 1, sizeof(uint64_t));
	m->opaque = calloc(m->word_count + 1, sizeof(uint64_t));
	if (!m->spans || !m->marks || !m->special || !m->opaque)
		return gi_error_nomem();
	for (size_t i = 0; i < heap->count; i++) {
		const struct gi_heap_span *s = &heap->spans[i];

		m->spans[i] = (struct gi_mark_span){
			.start = s->pub.start,
			.limit = s->limit,
			.first_slot = s->first_slot,
			.elem_size = s->pub.elem_size,
			.magic = s->magic,
			.noscan = s->pub.noscan,
			.bits = s->ptr_bits,
		};
		if (s->limit && !s->pub.noscan)
			m->spans[i].mem = gi_target_view(m->t, s->pub.start, (size_t)s->limit);
		mark_free_slots(m, s);
	}
	return NULL;
}

void gi_marker_deinit(struct gi_marker *m)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(m->workers); i++) {
		free(m->workers[i].stack.v);
		free(m->workers[i].found.v);
		gi_buf_deinit(&m->workers[i].buf);
		gi_error_free(m->workers[i].err);
	}
	free(m->shared.v);
	free(m->spans);
	free(m->marks);
	free(m->special);
	free(m->opaque);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->wake);
}

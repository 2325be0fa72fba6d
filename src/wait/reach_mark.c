// Marking: which objects of the heap can be reached, conservatively.
//
// Every aligned word of a stack, a register, a global, an object with pointers is taken for an
// address; if it lies in an object's slot, the object is reached. That takes more for reachable
// than the collector does with its exact maps, never less: Go keeps pointers in aligned words, and
// an object that was only known by other means would be freed by the collector. Objects without
// pointers are marked and not scanned.
//
// On a large heap nearly all of the time is spent waiting for memory, so the order of the work is
// made for that. The queue holds spans, not objects: while a span waits for its turn, more of its
// objects are reached, and they are scanned together, from memory that lies together. Pointers go
// through two short rings, in which the span's record and then the word of marks get time to
// arrive, objects through a third.
//
// When one thread has much to do, a second one is started; a thread that has nothing left waits
// for some that others give away, and when all wait, it is done.
// Marks are set by atomic or, and so is what is taken to be scanned: each object is scanned by one
// of them. Who marks an object looks then whether its span is in a queue; who takes a span out of
// its queue says so before looking at its marks: one of the two sees the other.

#include "wait/reach_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	GIVE_AWAY = 8, // spans that a thread keeps when others are hungry
	HELP_AT = 64,  // spans to scan that are worth a thread
	CHECK_EVERY = 4096,
	FEW = 8,	 // spans in the queue
	PIECE = 1 << 16, // of a large object
	HUGE_PAGE = 2 << 20,
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

// Macros: the compiler takes functions that do nothing else for ones without effect.
#define PREFETCH_OBJECT(m, s, slot)                                                           \
	do {                                                                                  \
		const uint64_t off_ = (slot) * (s)->elem_size;                                \
		if ((s)->mem)                                                                 \
			__builtin_prefetch((s)->mem + off_);                                  \
		if ((s)->bits)                                                                \
			__builtin_prefetch(                                                   \
				gi_heap_ptr_at((m)->heap->bits_format, (s)->bits, off_ / 8)); \
	} while (0)

static void push_found(struct gi_mark_worker *w, uint64_t bit)
{
	struct gi_error *err = gi_u64s_push(&w->found, bit);

	if (err && !w->err)
		w->err = err;
	else
		gi_error_free(err);
}

static inline void queue_put(const struct gi_marker *m, struct gi_mark_queue *q, uint32_t span)
{
	q->v[(q->first + q->n++) & m->queue_mask] = span;
}

static inline uint32_t queue_take(const struct gi_marker *m, struct gi_mark_queue *q)
{
	q->n--;
	return q->v[q->first++ & m->queue_mask];
}

static inline void to_be_scanned(struct gi_mark_worker *w, struct gi_mark_span *s)
{
	struct gi_marker *m = w->m;

	if (__atomic_load_n(&s->queued, __ATOMIC_SEQ_CST))
		return;
	if (!m->threads)
		s->queued = true;
	else if (__atomic_exchange_n(&s->queued, true, __ATOMIC_SEQ_CST))
		return;
	queue_put(m, &w->queue, (uint32_t)(s - m->spans));
}

static inline void mark(struct gi_mark_worker *w, struct gi_mark_span *s, uint64_t slot)
{
	struct gi_marker *m = w->m;
	const uint64_t bit = s->first_slot + slot, mask = UINT64_C(1) << (bit % 64);
	uint64_t *word = &m->marks[bit / 64];

	if (__atomic_load_n(word, __ATOMIC_RELAXED) & mask)
		return;
	if (!m->threads)
		*word |= mask;
	else if (__atomic_fetch_or(word, mask, __ATOMIC_SEQ_CST) & mask)
		return;
	if (s->odd && gi_bit(m->special, bit))
		push_found(w, bit);
	if (!s->noscan)
		to_be_scanned(w, s);
}

static inline bool slot_of(const struct gi_mark_span *s, uint64_t addr, uint64_t *ret)
{
	const uint64_t off = addr - s->start;

	if (off >= s->limit)
		return false;
	*ret = s->magic ? off * s->magic >> 32 : off / s->elem_size;
	return true;
}

// The second ring.
static inline void take_test(struct gi_mark_worker *w)
{
	const unsigned at = w->test_out++ % GI_MARK_TESTS;

	mark(w, w->test[at].span, w->test[at].slot);
}

// The first.
static inline void take_lookup(struct gi_mark_worker *w)
{
	struct gi_marker *m = w->m;
	unsigned at = w->lookup_out++ % GI_MARK_LOOKUPS;
	struct gi_mark_span *s = w->lookup[at].span;
	uint64_t slot;

	if (!slot_of(s, w->lookup[at].addr, &slot))
		return;
	__builtin_prefetch(&m->marks[(s->first_slot + slot) / 64], 1);
	// It is likely to be scanned next.
	if (w->queue.n < FEW) {
		__builtin_prefetch(&m->scanned[(s->first_slot + slot) / 64], 1);
		PREFETCH_OBJECT(m, s, slot);
	}
	if (w->test_in - w->test_out == GI_MARK_TESTS)
		take_test(w);
	at = w->test_in++ % GI_MARK_TESTS;
	w->test[at].span = s;
	w->test[at].slot = slot;
}

static inline void pointer(struct gi_mark_worker *w, uint64_t addr)
{
	const uint32_t span = gi_heap_span_index(w->m->heap, addr);
	unsigned at;

	if (!span)
		return;
	__builtin_prefetch(&w->m->spans[span - 1], 1);
	if (w->lookup_in - w->lookup_out == GI_MARK_LOOKUPS)
		take_lookup(w);
	at = w->lookup_in++ % GI_MARK_LOOKUPS;
	w->lookup[at].addr = addr;
	w->lookup[at].span = &w->m->spans[span - 1];
}

static void empty_rings(struct gi_mark_worker *w)
{
	while (w->lookup_in != w->lookup_out)
		take_lookup(w);
	while (w->test_in != w->test_out)
		take_test(w);
}

void gi_mark_words(struct gi_mark_worker *w, const uint8_t *p, size_t n)
{
	const uint64_t lo = w->m->heap->lo, size = w->m->heap->size;

	for (const uint8_t *end = p + (n & ~(size_t)7); p < end; p += 8) {
		uint64_t v = gi_load_u64(p);

		if (v - lo < size)
			pointer(w, v);
	}
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
				pointer(w, v);
		}
		first += n;
	}
}

// --- threads ---------------------------------------------------------------------------

static void move(const struct gi_marker *m, struct gi_mark_queue *from, struct gi_mark_queue *to,
		 uint32_t n)
{
	while (n--)
		queue_put(m, to, queue_take(m, from));
}

static void give_away(struct gi_mark_worker *w)
{
	struct gi_marker *m = w->m;

	pthread_mutex_lock(&m->lock);
	move(m, &w->queue, &m->shared, (w->queue.n - GIVE_AWAY) / 2);
	pthread_cond_broadcast(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

static inline void share(struct gi_mark_worker *w)
{
	if (w->queue.n > 2 * GIVE_AWAY && __atomic_load_n(&w->m->hungry, __ATOMIC_RELAXED))
		give_away(w);
}

// Work from the others; false when there is none left anywhere.
static bool take(struct gi_mark_worker *w)
{
	struct gi_marker *m = w->m;
	bool got;

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
	got = !m->done;
	if (got)
		move(m, &m->shared, &w->queue, (m->shared.n + 1) / 2);
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

// --- scanning --------------------------------------------------------------------------

static struct gi_error *check(struct gi_mark_worker *w)
{
	if (w->m->threads)
		share(w);
	if (++w->checked % CHECK_EVERY)
		return NULL;
	return gi_interrupt_check();
}

// A large object, or one in several pieces, or not there.
static struct gi_error *scan_pieces(struct gi_mark_worker *w, const struct gi_mark_span *s,
				    uint64_t off)
{
	for (uint64_t end = off + s->elem_size; off < end;) {
		size_t part = (size_t)gi_min_u64(end - off, PIECE);
		const uint8_t *p = s->mem + off;
		struct gi_error *err = NULL;

		if (!s->mem)
			err = gi_go_bytes(w->m->go, s->start + off, part, &w->buf, &p);
		if (err)
			return gi_error_wrap(err, "an object of the heap");
		gi_mark_words(w, p, part);
		err = check(w);
		if (err)
			return err;
		off += part;
	}
	return NULL;
}

static struct gi_error *scan(struct gi_mark_worker *w, const struct gi_mark_span *s, uint64_t slot)
{
	const uint64_t off = slot * s->elem_size;

	if (!s->mem || s->elem_size > PIECE)
		return scan_pieces(w, s, off);
	if (s->bits)
		scan_pointers(w, s, off);
	else
		gi_mark_words(w, s->mem + off, (size_t)s->elem_size);
	return NULL;
}

// The third ring.
static void take_object(struct gi_mark_worker *w)
{
	const unsigned at = w->object_out++ % GI_MARK_OBJECTS;
	struct gi_error *err;

	if (w->err)
		return;
	err = scan(w, w->object[at].span, w->object[at].slot);
	if (err) {
		gi_error_free(w->err); // of what was found
		w->err = err;
	}
}

static inline void object(struct gi_mark_worker *w, struct gi_mark_span *s, uint64_t slot)
{
	unsigned at;

	PREFETCH_OBJECT(w->m, s, slot);
	if (w->object_in - w->object_out == GI_MARK_OBJECTS)
		take_object(w);
	at = w->object_in++ % GI_MARK_OBJECTS;
	w->object[at].span = s;
	w->object[at].slot = slot;
}

// What is marked of a span and was not scanned yet.
static void scan_span(struct gi_mark_worker *w, struct gi_mark_span *s)
{
	struct gi_marker *m = w->m;
	const size_t first = (size_t)(s->first_slot / 64);

	if (!m->threads)
		s->queued = false;
	else
		(void)__atomic_exchange_n(&s->queued, false, __ATOMIC_SEQ_CST);
	for (size_t i = first; i < first + s->words; i++) {
		uint64_t marks = __atomic_load_n(&m->marks[i], __ATOMIC_SEQ_CST);
		uint64_t todo = marks & ~__atomic_load_n(&m->scanned[i], __ATOMIC_RELAXED);

		if (!todo)
			continue;
		if (!m->threads)
			m->scanned[i] |= marks;
		else
			todo &= ~__atomic_fetch_or(&m->scanned[i], marks, __ATOMIC_RELAXED);
		if (s->odd)
			todo &= ~m->opaque[i];
		for (; todo; todo &= todo - 1)
			object(w, s, 64 * (i - first) + (unsigned)__builtin_ctzll(todo));
	}
}

// The records of spans whose turn is near, the marks of those whose turn is nearer.
#define PREFETCH_SPANS(m, q)                                                                 \
	do {                                                                                 \
		if ((q)->n > 8)                                                              \
			__builtin_prefetch(                                                  \
				&(m)->spans[(q)->v[((q)->first + 8) & (m)->queue_mask]], 1); \
		if ((q)->n > 4) {                                                            \
			const uint32_t i_ = (q)->v[((q)->first + 4) & (m)->queue_mask];      \
			const size_t word_ = (size_t)((m)->spans[i_].first_slot / 64);       \
			__builtin_prefetch(&(m)->marks[word_]);                              \
			__builtin_prefetch(&(m)->scanned[word_], 1);                         \
		}                                                                            \
	} while (0)

// Scans all that w has, and what that leads to. until: leave when so many spans wait, 0: never.
static void work(struct gi_mark_worker *w, uint32_t until)
{
	struct gi_marker *m = w->m;

	while (!w->err) {
		if (w->queue.n && !(until && w->queue.n > until)) {
			PREFETCH_SPANS(m, &w->queue);
			scan_span(w, &m->spans[queue_take(m, &w->queue)]);
		} else {
			uint32_t before = w->queue.n;

			while (w->object_in != w->object_out)
				take_object(w);
			empty_rings(w);
			// Full enough, or empty for good.
			if (w->queue.n == 0 || (until && before > until))
				return;
		}
		struct gi_error *err = check(w);

		if (err) {
			gi_error_free(w->err);
			w->err = err;
			return;
		}
		if (m->threads && w->checked % CHECK_EVERY == 0 &&
		    __atomic_load_n(&m->done, __ATOMIC_RELAXED))
			return;
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
	if (w->queue.n && !w->err) {
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
	const uint32_t span = gi_heap_span_index(m->heap, addr);
	uint64_t slot;

	if (span && slot_of(&m->spans[span - 1], addr, &slot))
		mark(&m->workers[0], &m->spans[span - 1], slot);
}

bool gi_mark_special(struct gi_marker *m, uint64_t addr, uint64_t *slot_ret)
{
	if (!gi_mark_slot(m->heap, addr, slot_ret))
		return false;
	gi_bit_set(m->special, *slot_ret);
	m->spans[gi_heap_span_index(m->heap, addr) - 1].odd = true;
	return true;
}

void gi_mark_opaque(struct gi_marker *m, uint64_t addr)
{
	uint64_t slot;

	if (!gi_mark_slot(m->heap, addr, &slot))
		return;
	gi_bit_set(m->opaque, slot);
	m->spans[gi_heap_span_index(m->heap, addr) - 1].odd = true;
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
		gi_mark_address(m, v);
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

// Zeroed; large ones in huge pages: what is looked at here and there is found without the page
// table.
static void *table(size_t n, size_t size)
{
	size_t bytes = n * size;
	void *p;

	if (bytes < HUGE_PAGE)
		bytes = (bytes + 63) / 64 * 64;
	else
		bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	p = aligned_alloc(bytes < HUGE_PAGE ? 64 : HUGE_PAGE, bytes);
	if (!p)
		return NULL;
	if (bytes >= HUGE_PAGE)
		(void)madvise(p, bytes, MADV_HUGEPAGE);
	memset(p, 0, bytes);
	return p;
}

static bool make_queues(struct gi_marker *m)
{
	uint32_t size = 1;

	while (size < m->heap->count)
		size *= 2;
	m->queue_mask = size - 1;
	m->shared.v = malloc(size * sizeof(uint32_t));
	for (size_t i = 0; i < GI_ARRAY_SIZE(m->workers); i++) {
		m->workers[i].m = m;
		m->workers[i].queue.v = malloc(size * sizeof(uint32_t));
		if (!m->workers[i].queue.v)
			return false;
	}
	return m->shared.v != NULL;
}

struct gi_error *gi_marker_init(struct gi_marker *m, struct gi_go *go, const struct gi_heap *heap)
{
	*m = (struct gi_marker){.go = go, .t = gi_go_target(go), .heap = heap};
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->wake, NULL);
	m->word_count = (size_t)(heap->slot_count / 64);
	if (heap->count > UINT32_MAX / 2)
		return gi_error_create(GI_ERR_UNSUPPORTED, "the heap has too many spans");
	m->spans = table(heap->count + 1, sizeof(*m->spans));
	m->marks = table(m->word_count + 1, sizeof(uint64_t));
	m->scanned = table(m->word_count + 1, sizeof(uint64_t));
	m->special = calloc(m->word_count + 1, sizeof(uint64_t));
	m->opaque = calloc(m->word_count + 1, sizeof(uint64_t));
	if (!m->spans || !m->marks || !m->scanned || !m->special || !m->opaque || !make_queues(m))
		return gi_error_nomem();
	for (size_t i = 0; i < heap->count; i++) {
		const struct gi_heap_span *s = &heap->spans[i];

		m->spans[i] = (struct gi_mark_span){
			.start = s->pub.start,
			.limit = s->limit,
			.first_slot = s->first_slot,
			.elem_size = s->pub.elem_size,
			.magic = s->magic,
			.words = (uint32_t)((s->pub.elem_count + 63) / 64),
			.noscan = s->pub.noscan,
			.bits = s->ptr_bits,
		};
		if (s->limit && !s->pub.noscan)
			m->spans[i].mem = gi_target_view(m->t, s->pub.start, (size_t)s->limit);
		mark_free_slots(m, s);
	}
	memcpy(m->scanned, m->marks, m->word_count * sizeof(uint64_t));
	return NULL;
}

void gi_marker_deinit(struct gi_marker *m)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(m->workers); i++) {
		free(m->workers[i].queue.v);
		free(m->workers[i].found.v);
		gi_buf_deinit(&m->workers[i].buf);
		gi_error_free(m->workers[i].err);
	}
	free(m->shared.v);
	free(m->spans);
	free(m->marks);
	free(m->scanned);
	free(m->special);
	free(m->opaque);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->wake);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "heap_world.h"
#include "checks.h"

enum {
	M_START = 8,
	M_NPAGES = 16,
	M_FREEINDEX = 24,
	M_NELEMS = 26,
	M_ALLOC_BITS = 32,
	M_SWEEPGEN = 40,
	M_CLASS = 44,
	M_STATE = 45,
	M_ELEMSIZE = 48,
	M_SPECIALS = 56,
};

static struct gi_field field(uint32_t off, uint32_t size)
{
	return (struct gi_field){.off = off, .size = size, .ok = true};
}

static struct gi_global global(uint64_t addr, uint64_t size)
{
	return (struct gi_global){.addr = addr, .size = size, .ok = true};
}

static void set_layout(struct gi_layout *l)
{
	l->g.rec = (struct gi_record){G_SIZE, true};
	l->g.goid = field(8, 8);
	l->g.status = field(16, 4);
	l->g.waitreason = field(20, 1);
	l->g.stack_lo = field(24, 8);
	l->g.stack_hi = field(32, 8);
	l->g.sched_sp = field(40, 8);
	l->g.m = field(48, 8);
	l->g.waiting = field(72, 8);
	l->g.bubble = field(80, 8);
	l->g.syscallsp = field(88, 8);
	l->g.param = field(96, 8);
	l->sudog.rec = (struct gi_record){SUDOG_SIZE, true};
	l->sudog.g = field(0, 8);
	l->sudog.elem = field(8, 8);
	l->sudog.prev = field(16, 8);
	l->sudog.next = field(24, 8);
	l->sudog.waitlink = field(32, 8);
	l->sudog.parent = field(40, 8);
	l->sudog.c = field(48, 8);
	l->hchan.rec = (struct gi_record){64, true};
	l->hchan.recvq_first = field(16, 8);
	l->hchan.recvq_last = field(24, 8);
	l->hchan.sendq_first = field(32, 8);
	l->hchan.sendq_last = field(40, 8);
	l->sema_root.rec = (struct gi_record){24, true};
	l->sema_root.treap = field(8, 8);
	l->notify_list.rec = (struct gi_record){24, true};
	l->notify_list.head = field(8, 8);
	l->p.rec = (struct gi_record){256, true};
	l->p.timers = field(8, 24);
	l->p.wb_buf = field(64, 32);
	l->p.gcw = field(128, 32);
	l->p.gcw_ptr_buf = field(136, 8);
	l->mheap.rec = (struct gi_record){128, true};
	l->mheap.allspans = field(8, 24);
	l->mheap.sweepgen = field(40, 4);
	l->mheap.arenas = field(48, 8);
	l->mheap.heap_arenas = field(64, 24);
	l->heap_arena.rec = (struct gi_record){0x200, true};
	l->heap_arena.spans = field(16, 8 * ARENA_PAGES);
	l->heap_arena.spans.count = ARENA_PAGES;
	l->mspan.rec = (struct gi_record){SPAN_SIZE, true};
	l->mspan.start = field(M_START, 8);
	l->mspan.npages = field(M_NPAGES, 8);
	l->mspan.freeindex = field(M_FREEINDEX, 2);
	l->mspan.nelems = field(M_NELEMS, 2);
	l->mspan.alloc_bits = field(M_ALLOC_BITS, 8);
	l->mspan.sweepgen = field(M_SWEEPGEN, 4);
	l->mspan.spanclass = field(M_CLASS, 1);
	l->mspan.state = field(M_STATE, 1);
	l->mspan.elemsize = field(M_ELEMSIZE, 8);
	l->mspan.specials = field(M_SPECIALS, 8);
	l->special.rec = (struct gi_record){24, true};
	l->special.next = field(0, 8);
	l->special.offset = field(8, 8);
	l->special.kind = field(16, 1);
	l->special_weak.rec = (struct gi_record){32, true};
	l->special_weak.handle = field(24, 8);
	l->constant.func_id_wrapper = -1;
	l->constant.sem_tab_size = 7;
	l->constant.span_in_use = 1;
	l->constant.span_manual = 2;
	l->constant.arena_base_offset = (int64_t)(HW_HEAP - FIRST_ARENA * HW_ARENA);
	l->constant.special_finalizer = KIND_FINALIZER;
	l->constant.special_weak = KIND_WEAK;
	l->global.mheap = global(MHEAP, 128);
	l->global.size_classes = global(SIZE_CLASSES, 6);
	l->global.semtable = global(SEMTABLE, 7 * 64);
	l->global.allglen = global(GLOBALS, 8);
	l->global.allgptr = global(GLOBALS + 8, 8);
}

void hw_put(struct heap_world *w, uint64_t addr, uint64_t value)
{
	no_error(gi_fake_write_u64(w->t, addr, value));
}

uint64_t hw_get(struct heap_world *w, uint64_t addr)
{
	uint64_t v = 0;

	no_error(gi_target_read_u64(w->t, addr, &v));
	return v;
}

void hw_put_u32(struct heap_world *w, uint64_t addr, uint32_t value)
{
	const uint8_t b[] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
			     (uint8_t)(value >> 24)};

	no_error(gi_fake_write(w->t, addr, b, sizeof(b)));
}

static void put_bytes(struct heap_world *w, uint64_t addr, unsigned a, unsigned b)
{
	const uint8_t bytes[] = {(uint8_t)a, (uint8_t)b};

	no_error(gi_fake_write(w->t, addr, bytes, sizeof(bytes)));
}

static void put_u16(struct heap_world *w, uint64_t addr, unsigned v)
{
	put_bytes(w, addr, v & 0xff, v >> 8);
}

void hw_open(struct heap_world *w)
{
	uint8_t *zeroes = calloc(1, ARENA_COUNT * HW_ARENA);

	*w = (struct heap_world){.next_page = HW_HEAP};
	assert_non_null(zeroes);
	no_error(gi_fake_create(&w->t));
	no_error(gi_fake_add_memory(w->t, GLOBALS, zeroes, GLOBALS_SIZE, GI_MAP_R | GI_MAP_W));
	no_error(gi_fake_add_memory(w->t, DATA, zeroes, DATA_SIZE, GI_MAP_R | GI_MAP_W));
	no_error(gi_fake_add_memory(w->t, C_MEMORY, zeroes, C_MEMORY_SIZE, GI_MAP_R | GI_MAP_W));
	// In two pieces, so that some objects lie across their border.
	no_error(
		gi_fake_add_memory(w->t, HW_HEAP, zeroes, HW_SPLIT - HW_HEAP, GI_MAP_R | GI_MAP_W));
	no_error(gi_fake_add_memory(w->t, HW_SPLIT, zeroes,
				       HW_HEAP + ARENA_COUNT * HW_ARENA - HW_SPLIT,
				       GI_MAP_R | GI_MAP_W));
	free(zeroes);
	w->go = calloc(1, sizeof(*w->go));
	assert_non_null(w->go);
	w->go->target = w->t;
	w->go->version.text = "";
	pthread_mutex_init(&w->go->stacks_lock, NULL);
	no_error(gi_arena_create(&w->go->arena));
	set_layout(&w->go->layout);

	put_u16(w, SIZE_CLASSES, 0);
	put_u16(w, SIZE_CLASSES + 2, 64);
	put_u16(w, SIZE_CLASSES + 4, 512);
	hw_put(w, MHEAP + 8, ALLSPANS);
	hw_put(w, MHEAP + 8 + 16, 256);
	hw_put_u32(w, MHEAP + 40, SWEEPGEN);
	hw_put(w, MHEAP + 48, ARENA_TABLE);
	hw_put(w, MHEAP + 64, ARENA_LIST);
	hw_put(w, MHEAP + 72, ARENA_COUNT);
	hw_put(w, MHEAP + 80, ARENA_COUNT);
	for (unsigned i = 0; i < ARENA_COUNT; i++) {
		hw_put(w, ARENA_LIST + 8 * i, FIRST_ARENA + i);
		hw_put(w, ARENA_TABLE + 8 * (FIRST_ARENA + i), ARENA_RECORDS + 0x200 * i);
	}
	hw_put(w, GLOBALS + 8, ALLGS);
	w->small = hw_span(w, 1, 64, false);
	w->large = hw_span(w, 2, 512, false);
	w->noscan = hw_span(w, 1, 64, true);
}

void hw_close(struct heap_world *w)
{
	gi_go_close(w->go);
	gi_target_close(w->t);
}

static uint64_t add_span(struct heap_world *w, size_t pages, unsigned state)
{
	uint64_t rec = SPAN_RECORDS + SPAN_SIZE * w->span_count;
	uint64_t start = w->next_page;

	w->next_page += pages * HW_PAGE;
	assert_true(w->next_page <= HW_HEAP + ARENA_COUNT * HW_ARENA);
	hw_put(w, rec + M_START, start);
	hw_put(w, rec + M_NPAGES, pages);
	put_bytes(w, rec + M_STATE, state, 0);
	hw_put_u32(w, rec + M_SWEEPGEN, SWEEPGEN);
	hw_put(w, rec + M_ALLOC_BITS, ALLOC_BITS + 0x40 * w->span_count);
	for (uint64_t p = start; p < w->next_page; p += HW_PAGE) {
		uint64_t n = (p - HW_HEAP) / HW_PAGE;

		hw_put(w, ARENA_RECORDS + 0x200 * (n / ARENA_PAGES) + 16 + 8 * (n % ARENA_PAGES),
		       rec);
	}
	hw_put(w, ALLSPANS + 8 * w->span_count, rec);
	hw_put(w, MHEAP + 16, ++w->span_count);
	return start;
}

uint64_t hw_span(struct heap_world *w, size_t pages, uint64_t elem_size, bool noscan)
{
	uint64_t start = add_span(w, pages, 1), rec = hw_record(w, start);
	unsigned class = elem_size == 64 ? 1 : elem_size == 512 ? 2 : 0;

	if (!class)
		elem_size = pages * HW_PAGE;
	hw_put(w, rec + M_ELEMSIZE, elem_size);
	if (pages * HW_PAGE / elem_size > 0x40 * 8)
		hw_put(w, rec + M_ALLOC_BITS, BIG_ALLOC_BITS);
	put_u16(w, rec + M_NELEMS, (unsigned)(pages * HW_PAGE / elem_size));
	put_bytes(w, rec + M_CLASS, class << 1 | noscan, 1);
	return start;
}

void hw_reason(struct heap_world *w, uint64_t g, enum hw_reason reason)
{
	put_bytes(w, g + 20, reason, 0);
}

uint64_t hw_channel(struct heap_world *w)
{
	return hw_new(w, w->small);
}

static uint64_t new_sudog(struct heap_world *w, uint64_t g)
{
	uint64_t s = hw_new(w, w->large);

	hw_put(w, s, g);
	hw_put(w, g + 72, s);
	return s;
}

uint64_t hw_receive(struct heap_world *w, uint64_t g, uint64_t c)
{
	uint64_t s = new_sudog(w, g), last = hw_get(w, c + 24);

	hw_reason(w, g, HW_CHANNEL);
	hw_put(w, s + 48, c);
	hw_put(w, s + 16, last);
	if (last)
		hw_put(w, last + 24, s);
	else
		hw_put(w, c + 16, s);
	hw_put(w, c + 24, s);
	return s;
}

uint64_t hw_acquire(struct heap_world *w, uint64_t g, uint64_t sema, uint64_t parent)
{
	uint64_t s = new_sudog(w, g);

	hw_reason(w, g, HW_MUTEX);
	hw_put(w, s + 8, sema);
	if (parent)
		hw_put(w, parent + (sema < hw_get(w, parent + 8) ? 16 : 24), s);
	else
		hw_put(w, SEMTABLE + 64 * (sema / 8 % 7) + 8, s);
	hw_put(w, s + 40, parent);
	return s;
}

struct gi_m *hw_thread(struct heap_world *w, uint64_t curg, uint64_t p, const uint64_t *regs,
		       uint64_t sp)
{
	struct gi_thread th = {.tid = (pid_t)(100 + w->thread_count),
			       .regs = {.arch = GI_ARCH_AMD64}};
	uint64_t stack = hw_manual(w, 1), signals = hw_manual(w, 1);
	uint64_t g0 = hw_new(w, w->large);
	struct gi_m *m = &w->ms[w->thread_count++];

	assert_true(w->thread_count <= HW_MAX_THREADS);
	for (unsigned i = 0; regs && i < 6; i++)
		th.regs.r[i] = regs[i];
	th.regs.r[GI_AMD64_RSP] = sp ? sp : stack + HW_PAGE - 256;
	th.regs.known = (1u << GI_AMD64_RSP) | 0x3f;
	no_error(gi_fake_add_thread(w->t, &th));
	hw_put(w, g0 + 24, stack);
	hw_put(w, g0 + 32, stack + HW_PAGE);
	hw_put(w, g0 + 40, stack + HW_PAGE - 64);
	*m = (struct gi_m){.addr = DATA + DATA_SIZE - 64 * w->thread_count,
			   .g0 = g0,
			   .curg = curg,
			   .p = p,
			   .g0_lo = stack,
			   .g0_hi = stack + HW_PAGE,
			   .gsignal_lo = signals,
			   .gsignal_hi = signals + HW_PAGE,
			   .thread = (uint32_t)w->thread_count};
	return m;
}

uint64_t hw_manual(struct heap_world *w, size_t pages)
{
	return add_span(w, pages, 2);
}

uint64_t hw_record(const struct heap_world *w, uint64_t span)
{
	for (size_t i = 0; i < w->span_count; i++) {
		uint64_t rec = SPAN_RECORDS + SPAN_SIZE * i, start = 0;

		if (gi_target_peek_u64(w->t, rec + M_START, &start) && start == span)
			return rec;
	}
	fail_msg("no span at 0x%llx", (unsigned long long)span);
	return 0;
}

uint64_t hw_new(struct heap_world *w, uint64_t span)
{
	uint64_t rec = hw_record(w, span);
	uint64_t size = hw_get(w, rec + M_ELEMSIZE);
	uint64_t both = hw_get(w, rec + M_FREEINDEX);
	unsigned index = both & 0xffff, nelems = both >> 16 & 0xffff;

	assert_true(index < nelems);
	put_u16(w, rec + M_FREEINDEX, index + 1);
	return span + index * size;
}

// As after a sweep: the slots below the free index move into the bits.
void hw_free(struct heap_world *w, uint64_t object)
{
	uint64_t span = 0, rec, size;
	unsigned index;
	uint8_t bits[0x40] = {0};

	for (size_t i = 0; i < w->span_count; i++) {
		uint64_t start = hw_get(w, SPAN_RECORDS + SPAN_SIZE * i + M_START);

		if (start <= object && start > span)
			span = start;
	}
	rec = hw_record(w, span);
	size = hw_get(w, rec + M_ELEMSIZE);
	index = hw_get(w, rec + M_FREEINDEX) & 0xffff;
	for (unsigned i = 0; i < index; i++) {
		if (span + i * size != object)
			bits[i / 8] |= (uint8_t)(1u << i % 8);
	}
	no_error(gi_fake_write(w->t, hw_get(w, rec + M_ALLOC_BITS), bits, sizeof(bits)));
	put_u16(w, rec + M_FREEINDEX, 0);
}

void hw_special(struct heap_world *w, uint64_t object, unsigned kind, uint64_t word)
{
	uint64_t at = SPECIALS + 32 * w->special_count++, span = 0, rec;

	for (size_t i = 0; i < w->span_count; i++) {
		uint64_t start = hw_get(w, SPAN_RECORDS + SPAN_SIZE * i + M_START);

		if (start <= object && start > span)
			span = start;
	}
	rec = hw_record(w, span);
	hw_put(w, at, hw_get(w, rec + M_SPECIALS));
	hw_put(w, at + 8, object - span);
	put_bytes(w, at + 16, kind, 0);
	hw_put(w, at + 24, word);
	hw_put(w, rec + M_SPECIALS, at);
}

uint64_t hw_g(struct heap_world *w, uint64_t goid, uint32_t status)
{
	uint64_t g = hw_new(w, w->large), stack = hw_manual(w, 1);

	hw_put(w, g + 8, goid);
	hw_put_u32(w, g + 16, status);
	hw_put(w, g + 24, stack);
	hw_put(w, g + 32, stack + HW_PAGE);
	hw_put(w, g + 40, stack + HW_PAGE - 8);
	hw_put(w, ALLGS + 8 * w->g_count, g);
	hw_put(w, GLOBALS, ++w->g_count);
	return g;
}

void hw_stack(struct heap_world *w, uint64_t g, const uint64_t *words, size_t n)
{
	uint64_t sp = hw_get(w, g + 32) - 8 * (n + 1);

	for (size_t i = 0; i < n; i++)
		hw_put(w, sp + 8 * i, words[i]);
	hw_put(w, g + 40, sp);
}

void hw_load(struct heap_world *w)
{
	static const char *reasons[] = {
		[HW_REASON_NONE] = "",
		[HW_CHANNEL] = "chan receive",
		[HW_MUTEX] = "sync.Mutex.Lock",
		[HW_CONDITION] = "sync.Cond.Wait",
		[HW_NIL_CHANNEL] = "chan receive (nil chan)",
		[HW_OTHER] = "standing around",
	};
	struct gi_go *go = w->go;

	go->wait_reasons = reasons;
	go->wait_reason_count = GI_ARRAY_SIZE(reasons);
	no_error(gi_go_load_gs(go));
	go->m_of_thread = calloc(w->thread_count + 1, sizeof(uint32_t));
	go->ms = calloc(w->thread_count + 1, sizeof(*go->ms));
	go->ps = calloc(1, sizeof(*go->ps));
	assert_true(go->m_of_thread && go->ms && go->ps);
	go->m_count = w->thread_count;
	memcpy(go->ms, w->ms, w->thread_count * sizeof(*go->ms));
	for (size_t i = 0; i < w->thread_count; i++) {
		go->m_of_thread[i] = (uint32_t)i + 1;
		for (size_t k = 0; k < go->g_count; k++) {
			if (go->gs[k].addr != w->ms[i].curg)
				continue;
			go->gs[k].thread = go->gs[k].m_index = (uint32_t)i + 1;
		}
	}
	if (w->p) {
		go->p_count = 1;
		go->ps[0].addr = w->p;
	}
}

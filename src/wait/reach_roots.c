// Where the argument starts: globals, the memory of C and of the runtime, threads, and the
// stacks of goroutines that can run.
//
// All writable memory of the process is searched, but for these:
//  - the heap's arenas: they hold objects, which are to be reached, and goroutines' stacks;
//  - noptrdata and noptrbss of Go modules: the collector does not look there, so the program
//    cannot keep an object by them;
//  - what leads to objects without anybody going that way: mspan records (they name the first
//    address of each span), the collector's buffers (write barrier, work queues), weak handles'
//    records (a weak pointer counts when it is reached itself), the pages that a P keeps in
//    reserve (their first address is a number, and nobody's object);
//  - stacks of threads that the runtime knows, below the part in use;
//  - in programs with the race detector, all but Go's variables and what the runtime has allocated
//    for itself for ever: the detector keeps the addresses of all that it has seen.
// Memory that maps a file and was not saved was never written to, or is shared with other
// processes; in neither is a pointer to a Go object. Nor is it in memory without a file that the
// process asked the kernel not to dump (MADV_DONTDUMP) - secrets, and the state of the vDSO's
// random numbers, which every Go program has from 1.24 on where the kernel offers it: mappings of
// which nothing was saved, in a core that has the others. That they are few and small tells them
// from a dump that left out memory of its own choice. Any other writable memory that was not saved
// makes the argument fail: there might be one.
//
// Threads. A thread in a signal handler of Go has the interrupted registers in the frame that
// the kernel made; the handler itself runs on its own stack and touches no channel, no lock. A
// thread without a goroutine and without a P is idle: whoever makes goroutines runnable has a P.
// Its registers and its g0 stack hold only what it parked last, and are not searched. Neither are
// they if its M is dying: it prints a traceback, with the addresses of all that is printed, and
// then ends the process.
//
// Goroutines. A stack that is not running is in use from its saved stack pointer up. One that is
// running, or was left for g0, C or a handler, is in use from the lowest address that its thread or
// the runtime knows of it. No pointer to a stack exists outside of that stack but in its sudogs,
// defers and panics: stacks move when they grow or shrink, and only those are corrected. So a
// pointer into a stack is no edge.
//
// Source: src/runtime/proc.go, stack.go, signal_unix.go, mgcmark.go, Go 1.19 to 1.27.

#include "unwind/unwind_impl.h"
#include "wait/reach_impl.h"

#include <stdlib.h>

#define ULL(x) ((unsigned long long)(x))

enum {
	// Of struct ucontext, on every 64-bit Linux: the alternate stack that the handler runs on.
	UC_STACK_LO = 16,
	UC_STACK_SIZE = 32,
	MAX_SIGNAL_STACK = 1 << 26,
	MAX_SPAN_QUEUES = 1 << 16,
	PERSISTENT_CHUNK = 256 << 10,
	MAX_CHUNKS = 1 << 20,
	NOT_TO_DUMP_MAX = 1 << 20, // bytes in all that may be left out of a dump on purpose
	// Below the stack pointer, of C functions that call nobody (amd64); on arm64 nothing is
	// there but frame pointers.
	RED_ZONE = 128,
};

// --- memory ----------------------------------------------------------------------------

// The first hole that ends behind addr.
static size_t hole_after(const struct gi_reach *r, uint64_t addr)
{
	size_t lo = 0, hi = r->hole_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->holes[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

// Did the process ask the kernel not to dump it?
static bool is_not_to_dump(struct gi_reach *r, const struct gi_mapping *m)
{
	if (m->saved || m->end - m->start > NOT_TO_DUMP_MAX - r->not_to_dump)
		return false;
	r->not_to_dump += m->end - m->start;
	return true;
}

// Memory that is searched as far as it can hold a pointer: see above.
static struct gi_error *mark_piece(struct gi_reach *r, const struct gi_mapping *m, uint64_t start,
				   uint64_t end)
{
	struct gi_target *t = gi_go_target(r->go);
	struct gi_error *err = gi_mark_range(&r->marker, start, end);
	uint64_t bad;

	if (!err)
		return NULL;
	if (gi_error_code(err) != GI_ERR_NOT_SAVED || !gi_error_address(err, &bad) ||
	    (!m->path && !is_not_to_dump(r, m)))
		return gi_error_wrap(err, "memory that could hold pointers");
	gi_error_ignore(err);
	// The pages that were saved count nevertheless.
	const uint64_t page = gi_max_u64(gi_target_info(t)->page_size, 4096);

	for (start = (bad & ~(page - 1)) + page; start < end; start += page) {
		// A header that is damaged may tell of more pages than anybody can visit.
		const uint64_t gap = gi_target_unreadable(t, start, end - start);
		uint64_t v;

		start += gap & ~(page - 1);
		if (start >= end || !gi_target_peek_u64(t, start, &v))
			continue;
		err = gi_mark_range(&r->marker, start, gi_min_u64(start + page, end));
		if (err)
			return gi_error_wrap(err, "memory that could hold pointers");
	}
	return NULL;
}

static struct gi_error *mark_mapping(struct gi_reach *r, const struct gi_mapping *m)
{
	uint64_t at = m->start;

	for (size_t i = hole_after(r, at); at < m->end; i++) {
		uint64_t stop = m->end, next = m->end;
		struct gi_error *err;

		if (i < r->hole_count && r->holes[i].start < m->end) {
			stop = r->holes[i].start;
			next = r->holes[i].end;
		}
		if (at < stop) {
			err = mark_piece(r, m, at, stop);
			if (err)
				return err;
		}
		at = gi_max_u64(at, next);
	}
	return NULL;
}

// An object with parts that are not searched: a P. Large objects begin with a word of the
// allocator's own, so that it need not start where its object does.
static struct gi_error *mark_p(struct gi_reach *r, uint64_t p)
{
	const struct gi_layout *l = &r->go->layout;
	uint64_t start, size, at, buf;
	const struct gi_span *span;
	struct gi_error *err;

	if (!gi_heap_object_at(r->heap, p, &start, &size, &span))
		return NULL; // no object that could be opaque
	for (at = start; at < start + size;) {
		const struct gi_field out[] = {l->p.wb_buf, l->p.gcw, l->p.pcache};
		uint64_t stop = start + size, next = stop;

		for (size_t i = 0; i < GI_ARRAY_SIZE(out); i++) {
			uint64_t from = p + out[i].off;

			if (out[i].ok && from >= at && from < stop) {
				stop = from;
				next = from + out[i].size;
			}
		}
		err = gi_mark_range(&r->marker, at, stop);
		if (err)
			return gi_error_wrap(err, "P at 0x%llx", ULL(p));
		at = next;
	}
	if (l->p.gcw_ptr_buf.ok &&
	    gi_target_peek_u64(r->marker.t, p + l->p.gcw_ptr_buf.off, &buf) && buf)
		return gi_reach_add_hole(r, buf, buf + (UINT64_C(1) << GI_HEAP_PAGE_SHIFT));
	return NULL;
}

static struct gi_error *mark_ps(struct gi_reach *r)
{
	struct gi_error *err = NULL;

	for (size_t i = 0; i < gi_go_p_count(r->go) && !err; i++)
		gi_reach_set_opaque(r, gi_go_p(r->go, i)->addr);
	for (size_t i = 0; i < gi_go_p_count(r->go) && !err; i++)
		err = mark_p(r, gi_go_p(r->go, i)->addr);
	return err;
}

// An object with a finalizer will be handed to it. What other records hold is in the
// runtime's own memory and is searched with it; a weak handle's is not.
static struct gi_error *note_special(void *arg, const struct gi_heap_special *s)
{
	struct gi_reach *r = arg;

	if (s->finalizer)
		gi_mark_address(&r->marker, s->object);
	if (!s->handle)
		return NULL;
	return gi_reach_add_hole(r, s->addr, s->addr + r->go->layout.special_weak.rec.size);
}

// The collector's queues of spans (from 1.26): numbers that look like addresses of the first
// objects of each span, which stay when they were taken out.
static struct gi_error *add_span_queues(struct gi_reach *r)
{
	const struct gi_layout *l = &r->go->layout;
	struct gi_target *t = gi_go_target(r->go);
	uint64_t at, ring, cap;

	if (!l->global.gc_work.ok || !l->gc_work.queues.ok || !l->span_queue.rec.ok ||
	    !gi_target_peek_u64(t, l->global.gc_work.addr + l->gc_work.queues.off, &at))
		return NULL;
	for (unsigned n = 0; at && n < MAX_SPAN_QUEUES; n++) {
		struct gi_error *err = gi_target_read_uint(t, at + l->span_queue.cap.off,
							   l->span_queue.cap.size, &cap);

		if (!err)
			err = gi_target_read_u64(t, at + l->span_queue.ring.off, &ring);
		if (!err && ring && cap <= UINT32_MAX)
			err = gi_reach_add_hole(r, ring, ring + 8 * cap);
		if (!err)
			err = gi_target_read_u64(t, at + l->span_queue.next.off, &at);
		if (err)
			return gi_error_wrap(err, "the collector's queues of spans");
	}
	return NULL;
}

static struct gi_error *add_holes(struct gi_reach *r)
{
	struct gi_error *err = add_span_queues(r);

	for (size_t i = 0; i < r->heap->arena_count && !err; i++)
		err = gi_reach_add_hole(r, r->heap->arenas[i].start, r->heap->arenas[i].end);
	for (size_t i = 0; i < r->heap->record_count && !err; i++)
		err = gi_reach_add_hole(r, r->heap->records[i].start, r->heap->records[i].end);
	for (size_t i = 0; i < gi_go_module_count(r->go) && !err; i++) {
		const struct gi_module *m = gi_go_module(r->go, i);

		err = gi_reach_add_hole(r, m->noptrdata.start, m->noptrdata.end);
		if (!err)
			err = gi_reach_add_hole(r, m->noptrbss.start, m->noptrbss.end);
	}
	// Stacks are not globals; gi_reach_mark_threads looks at what is in use of them.
	for (size_t i = 0; i < gi_go_m_count(r->go) && !err; i++) {
		const struct gi_m *m = gi_go_m(r->go, i);

		if (m->thread)
			err = gi_reach_add_hole(r, m->g0_lo, m->g0_hi);
	}
	return err;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct gi_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

// Sorted, without overlaps.
static void order_holes(struct gi_reach *r)
{
	size_t n = 0;

	if (r->hole_count)
		qsort(r->holes, r->hole_count, sizeof(*r->holes), compare_ranges);
	for (size_t i = 0; i < r->hole_count; i++) {
		struct gi_range h = r->holes[i];

		if (n && h.start <= r->holes[n - 1].end)
			r->holes[n - 1].end = gi_max_u64(r->holes[n - 1].end, h.end);
		else
			r->holes[n++] = h;
	}
	r->hole_count = n;
}

static bool has_race_detector(const struct gi_reach *r)
{
	struct gi_func f;

	return r->go->functab && r->go->layout.global.persistent_chunks.ok &&
	       gi_functab_find_name(r->go->functab, "runtime.racefuncenter", &f);
}

// The runtime's small allocations that are never freed: queued finalizers and cleanups, specials.
// Each piece begins with the address of the next.
static struct gi_error *mark_persistent(struct gi_reach *r)
{
	uint64_t at;
	struct gi_error *err =
		gi_target_read_u64(r->marker.t, r->go->layout.global.persistent_chunks.addr, &at);

	for (unsigned n = 0; !err && at; n++) {
		const struct gi_mapping piece = {.start = at, .end = at + PERSISTENT_CHUNK};

		if (n == MAX_CHUNKS || at % 8 || piece.end < at)
			return gi_error_at(GI_ERR_MISMATCH, at,
					   "the list of the runtime's persistent memory is damaged");
		err = mark_mapping(r, &piece);
		if (!err)
			err = gi_target_read_u64(r->marker.t, at, &at);
	}
	return err ? gi_error_wrap(err, "the runtime's persistent memory") : NULL;
}

struct gi_error *gi_reach_mark_globals(struct gi_reach *r)
{
	struct gi_target *t = gi_go_target(r->go);
	struct gi_error *err = mark_ps(r);

	if (!err)
		err = add_holes(r);
	if (!err)
		err = gi_heap_specials(r->go, r->heap, note_special, r);
	if (err)
		return err;
	order_holes(r);
	// These must be there; mappings of files need not.
	for (size_t i = 0; i < gi_go_module_count(r->go); i++) {
		const struct gi_module *m = gi_go_module(r->go, i);

		err = gi_mark_range(&r->marker, m->data.start, m->data.end);
		if (!err)
			err = gi_mark_range(&r->marker, m->bss.start, m->bss.end);
		if (err)
			return gi_error_wrap(err, "the program's variables");
	}
	if (has_race_detector(r))
		return mark_persistent(r);
	for (size_t i = 0; i < gi_target_mapping_count(t); i++) {
		const struct gi_mapping *m = gi_target_mapping(t, i);

		if (!(m->flags & GI_MAP_W))
			continue;
		err = mark_mapping(r, m);
		if (err)
			return err;
	}
	return NULL;
}

// --- threads ---------------------------------------------------------------------------

/** Where a thread was when the process stopped, or when a signal interrupted it. */
struct context {
	const struct gi_thread *thread;
	const struct gi_m *m;
	struct gi_regs regs;
	uint64_t sp;	 // 0: unknown
	uint64_t frame;	 // of the signal on gsignal, 0: none
	bool idle;	 // nothing of it counts
	bool own_idle;	 // its registers and g0 stack do not count, its goroutine's stack does
	uint64_t g0_low; // its g0 stack is in use from here on; 0: not at all
};

// The oldest signal frame of a handler's stack: a handler that is interrupted itself interrupts
// nothing that counts. The frame is known by the alternate stack that it names.
static uint64_t signal_frame(struct gi_target *t, uint64_t lo, uint64_t hi)
{
	if (hi - lo > MAX_SIGNAL_STACK)
		return 0;
	for (uint64_t at = (hi - 8) & ~UINT64_C(7); at >= lo + UC_STACK_LO; at -= 8) {
		uint64_t v, size;

		if (gi_target_peek_u64(t, at, &v) && v == lo &&
		    gi_target_peek_u64(t, at + UC_STACK_SIZE - UC_STACK_LO, &size) &&
		    size == hi - lo)
			return at - UC_STACK_LO;
	}
	return 0;
}

static bool in_g0(const struct gi_m *m, uint64_t addr)
{
	return addr >= m->g0_lo && addr <= m->g0_hi;
}

static struct context context_of(struct gi_reach *r, size_t i)
{
	struct gi_target *t = gi_go_target(r->go);
	struct context c = {.thread = gi_target_thread(t, i), .m = gi_go_m_by_thread(r->go, i)};
	const struct gi_m *m = c.m;
	struct gi_g g0;

	c.regs = c.thread->regs;
	c.sp = gi_regs_sp(&c.regs);
	if (!m)
		return c;
	if (c.sp >= m->gsignal_lo && c.sp < m->gsignal_hi) {
		c.frame = signal_frame(t, m->gsignal_lo, m->gsignal_hi);
		if (c.frame && gi_ucontext_read(t, c.frame, &c.regs)) {
			c.sp = gi_regs_sp(&c.regs);
		} else {
			c.frame = c.sp;
			c.sp = 0;
		}
	}
	c.idle = !m->curg && !m->p && !m->is_extra;
	c.own_idle = m->dying > 0 && m->curg && !c.frame;
	if (c.sp && in_g0(m, c.sp)) {
		c.g0_low = c.sp;
	} else {
		struct gi_error *err = m->g0 ? gi_go_read_g(r->go, m->g0, &g0) : NULL;

		c.g0_low = m->g0 && !err && c.sp && in_g0(m, g0.sched_sp) ? g0.sched_sp : m->g0_lo;
		gi_error_ignore(err);
	}
	return c;
}

// A thread that is at work may hold a goroutine that it is just waking, which no queue has.
static struct gi_error *look_for_gs(struct gi_reach *r, uint64_t v)
{
	const struct gi_g *g = gi_go_g_by_addr(r->go, v);
	uint32_t wait = g ? r->wait_of_g[g - gi_go_g(r->go, 0)] : 0;

	if (wait && r->waits[wait - 1].unsure)
		return gi_reach_wake(r, wait - 1);
	return NULL;
}

static struct gi_error *mark_stack(struct gi_reach *r, uint64_t start, uint64_t end)
{
	struct gi_error *err = gi_mark_range(&r->marker, start, end);

	for (uint64_t at = (start + 7) & ~UINT64_C(7); !err && at < end; at += 8) {
		uint64_t v;

		if (gi_target_peek_u64(r->marker.t, at, &v))
			err = look_for_gs(r, v);
	}
	return err;
}

static struct gi_error *mark_registers(struct gi_reach *r, const struct context *c)
{
	struct gi_error *err = NULL;

	for (unsigned i = 0; i < GI_REGS_MAX && !err; i++) {
		if (!(c->regs.known >> i & 1))
			continue;
		gi_mark_address(&r->marker, c->regs.r[i]);
		err = look_for_gs(r, c->regs.r[i]);
	}
	// Vector registers carry pointers when memory is copied. Those of an interrupted
	// context are in the signal's frame. amd64's xstate has all that fpregs have.
	if (!c->frame && c->thread->xstate)
		gi_mark_words(&r->marker.workers[0], c->thread->xstate, c->thread->xstate_len);
	else if (!c->frame && c->thread->fpregs)
		gi_mark_words(&r->marker.workers[0], c->thread->fpregs, c->thread->fpregs_len);
	return err;
}

// Stacks that are somebody's, whoever the thread says it is.
static struct gi_error *mark_at_sp(struct gi_reach *r, uint64_t sp)
{
	const struct gi_g *g = gi_go_g_by_stack(r->go, sp);
	const struct gi_span *s;

	if (g) {
		uint32_t wait = r->wait_of_g[g - gi_go_g(r->go, 0)];
		struct gi_error *err = wait ? gi_reach_wake(r, wait - 1) : NULL;

		return err ? err : mark_stack(r, sp, g->stack_hi);
	}
	s = gi_heap_span_at(r->heap, sp);
	if (s && s->manual)
		return mark_stack(r, sp, s->end);
	return NULL; // memory of C: searched with all of it
}

static struct gi_error *mark_thread(struct gi_reach *r, size_t i)
{
	struct context c = context_of(r, i);
	struct gi_error *err = NULL;

	if (c.idle)
		return NULL;
	if (c.frame)
		err = mark_stack(r, c.frame, c.m->gsignal_hi);
	if (c.own_idle)
		return err;
	if (!err)
		err = mark_registers(r, &c);
	if (!err && c.m)
		err = mark_stack(r, gi_max_u64(c.m->g0_lo, c.g0_low - RED_ZONE), c.m->g0_hi);
	if (!err && c.sp && !(c.m && in_g0(c.m, c.sp)))
		err = mark_at_sp(r, c.sp);
	return err;
}

struct gi_error *gi_reach_mark_threads(struct gi_reach *r)
{
	struct gi_target *t = gi_go_target(r->go);

	for (size_t i = 0; i < gi_target_thread_count(t); i++) {
		struct gi_error *err = mark_thread(r, i);

		if (err)
			return gi_error_wrap(err, "thread %d", (int)gi_target_thread(t, i)->tid);
	}
	return NULL;
}

// --- goroutines --------------------------------------------------------------------------

struct low {
	uint64_t lo, hi; // of the stack
	uint64_t low;	 // lowest address in it that was seen; hi: none
};

static void lower(struct low *l, uint64_t addr)
{
	if (addr >= l->lo && addr < l->low)
		l->low = addr;
}

// Words of [start, end) that point into the stack. Where they cannot be read, all of it is in use.
static void lower_by_words(struct gi_reach *r, struct low *l, uint64_t start, uint64_t end)
{
	for (uint64_t at = (start + 7) & ~UINT64_C(7); at < end; at += 8) {
		uint64_t v;

		if (!gi_target_peek_u64(r->marker.t, at, &v)) {
			l->low = l->lo;
			return;
		}
		lower(l, v);
	}
}

static uint64_t stack_in_use(struct gi_reach *r, const struct gi_g *g)
{
	struct low l = {.lo = g->stack_lo, .hi = g->stack_hi, .low = g->stack_hi};
	const uint32_t status = gi_g_base_status(g->status);
	const struct gi_m *m = g->m_index ? gi_go_m(r->go, g->m_index - 1) : NULL;
	struct context c;

	if (!g->m && status != GI_G_RUNNING && status != GI_G_SYSCALL && status != GI_G_COPYSTACK) {
		if (g->sched_sp == g->stack_hi)
			return g->stack_hi;
		lower(&l, g->sched_sp);
		return l.low < l.hi ? l.low : l.lo;
	}
	if (!g->thread || !m)
		return l.lo;
	c = context_of(r, g->thread - 1);
	lower(&l, g->sched_sp);
	lower(&l, g->syscall_sp);
	lower(&l, m->vdso_sp);
	lower(&l, c.sp);
	for (unsigned i = 0; i < GI_REGS_MAX; i++) {
		if (c.regs.known >> i & 1)
			lower(&l, c.regs.r[i]);
	}
	lower_by_words(r, &l, c.g0_low, m->g0_hi);
	return l.low < l.hi && c.sp ? l.low : l.lo;
}

// The g itself. Where its pointers are is known, or else its words but for the end of its stack,
// which is the address of whatever comes next.
static struct gi_error *each_of_g(struct gi_reach *r, const struct gi_g *g, uint32_t tag,
				  gi_reach_range_fn fn, void *arg)
{
	const struct gi_layout *l = &r->go->layout;
	const uint64_t size = l->g.rec.size, hi = l->g.stack_hi.off;
	uint64_t slot;
	const struct gi_heap_span *s = gi_heap_find(r->heap, g->addr, &slot);
	struct gi_error *err = NULL;

	if (!s || !s->ptr_bits) {
		err = fn(arg, tag, g->addr, g->addr + hi);
		return err ? err : fn(arg, tag, g->addr + hi + 8, g->addr + size);
	}
	for (uint64_t at = g->addr; at + 8 <= g->addr + size && !err; at += 8) {
		if (gi_heap_ptr_mask(r->heap->bits_format, s->ptr_bits, (at - s->pub.start) / 8, 1))
			err = fn(arg, tag, at, at + 8);
	}
	return err;
}

struct gi_error *gi_reach_each_but_stack(struct gi_reach *r, const struct gi_g *g, uint32_t tag,
					 gi_reach_range_fn fn, void *arg)
{
	uint64_t addr = g->waiting;
	struct gi_error *err = each_of_g(r, g, tag, fn, arg);

	for (unsigned n = 0; addr && n < GI_REACH_MAX_CASES && !err; n++) {
		struct gi_sudog s;

		err = gi_go_read_sudog(r->go, addr, &s);
		// In a treap the link leads to another's.
		if (!err && s.g != g->addr)
			break;
		if (!err)
			err = fn(arg, tag, addr, addr + r->go->layout.sudog.rec.size);
		addr = s.waitlink;
	}
	return err ? gi_error_wrap(err, "goroutine %llu", ULL(g->goid)) : NULL;
}

struct gi_error *gi_reach_each_range(struct gi_reach *r, const struct gi_g *g, uint32_t tag,
				     gi_reach_range_fn fn, void *arg)
{
	struct gi_error *err = gi_reach_each_but_stack(r, g, tag, fn, arg);

	if (err || g->stack_lo >= g->stack_hi)
		return err;
	err = fn(arg, tag, stack_in_use(r, g), g->stack_hi);
	return err ? gi_error_wrap(err, "goroutine %llu", ULL(g->goid)) : NULL;
}

static struct gi_error *mark_one_range(void *arg, uint32_t tag, uint64_t start, uint64_t end)
{
	struct gi_reach *r = arg;

	(void)tag;
	return gi_mark_range(&r->marker, start, end);
}

struct gi_error *gi_reach_mark_goroutine(struct gi_reach *r, const struct gi_g *g)
{
	return gi_reach_each_live(r, g, 0, mark_one_range, r);
}

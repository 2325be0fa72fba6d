// What to copy of a process while it stands, so that commands need nothing later.
//
// The runtime's state is followed as the rest of this room does, but in breadth: all addresses of
// one kind are collected, then copied with few system calls, then the next kind that
// they lead to.
//
//   globals        the modules' data and bss
//   allgs          the array, each g; of each stack the part in use
//   sudogs         of all waits, round by round along their lists; channels, semaphores
//   Ms, Ps         with the tops of the system stacks, run queues and heaps of timers
//   persistent     memory of the runtime's own records: spans, descriptors of the poller
//
// It runs in the stop and is written to be quick: nothing is decoded that is not needed to find
// the next address. What is damaged or moves is passed over; who reads it later says so.

#include "gcore/sched.h"
#include "go/go_impl.h"

#include <stdlib.h>

enum {
	// A stack deeper than this is copied as far; the rest is read when it is asked for.
	STACK_MAX = 512 << 10,
	SYSTEM_STACK_TOP = 8 << 10,
	GLOBALS_MAX = 64 << 20,
	SUDOG_ROUNDS = 256,
	CHUNK_SIZE = 256 << 10, // of persistent memory
	MAX_CHUNKS = 1 << 12,
	P_TIMERS_MAX = 1 << 20,
};

struct list {
	struct gi_extent *p;
	size_t n, cap;
};

struct copier {
	struct gi_go *go;
	struct list extents;
	struct gi_buf buf;
	uint64_t *sudogs; // to look at
	size_t sudog_count, sudog_cap;
	struct gi_error *err;
};

static void add(struct copier *c, uint64_t start, uint64_t len)
{
	struct list *l = &c->extents;

	if (!start || !len || c->err)
		return;
	if (l->n == l->cap) {
		c->err = gi_grow(&l->p, &l->cap, l->n + 1, sizeof(*l->p));
		if (c->err)
			return;
	}
	l->p[l->n++] = (struct gi_extent){start, gi_min_u64(len, UINT64_MAX - start)};
}

static void run(struct copier *c)
{
	gi_target_fetch(c->go->target, c->extents.p, c->extents.n);
	c->extents.n = 0;
}

static void add_sudog(struct copier *c, uint64_t addr)
{
	if (!addr || c->err)
		return;
	c->err = gi_grow(&c->sudogs, &c->sudog_cap, c->sudog_count + 1, sizeof(*c->sudogs));
	if (!c->err)
		c->sudogs[c->sudog_count++] = addr;
}

static void copy_globals(struct copier *c)
{
	const struct gi_go *go = c->go;

	for (size_t i = 0; i < go->module_count; i++) {
		const struct gi_module *m = &go->modules[i];
		const struct gi_range r[] = {m->noptrdata, m->data, m->bss, m->noptrbss};

		for (size_t k = 0; k < GI_ARRAY_SIZE(r); k++)
			add(c, r[k].start, gi_min_u64(r[k].end - r[k].start, GLOBALS_MAX));
	}
	run(c);
}

// --- goroutines ------------------------------------------------------------------------

// Where the stack of a goroutine that does not stand still is in use from: a thread's stack pointer
// in it, or what was saved.
static uint64_t running_sp(struct copier *c, uint64_t lo, uint64_t hi)
{
	struct gi_target *t = c->go->target;

	for (size_t i = 0; i < gi_target_thread_count(t); i++) {
		uint64_t sp = gi_regs_sp(&gi_target_thread(t, i)->regs);

		if (sp >= lo && sp < hi)
			return sp;
	}
	return 0;
}

static void add_stack(struct copier *c, const uint8_t *rec)
{
	const struct gi_layout *l = &c->go->layout;
	uint64_t lo = gi_field_uint(rec, l->g.stack_lo), hi = gi_field_uint(rec, l->g.stack_hi);
	uint64_t sp = gi_field_uint(rec, l->g.sched_sp);
	uint32_t status = gi_g_base_status((uint32_t)gi_field_uint(rec, l->g.status));

	if (status == GI_G_DEAD || status == GI_G_IDLE || status == GI_G_DEADEXTRA || lo >= hi)
		return;
	if (status == GI_G_RUNNING || status == GI_G_SYSCALL || status == GI_G_COPYSTACK) {
		uint64_t now = running_sp(c, lo, hi), call = gi_field_uint(rec, l->g.syscallsp);

		// A system call's frames begin a little below of what it noted.
		if (now)
			sp = now;
		else if (call >= lo && call < hi && status == GI_G_SYSCALL)
			sp = call;
		else
			sp = lo;
		if (hi - lo <= SYSTEM_STACK_TOP)
			sp = lo;
	}
	if (sp < lo || sp >= hi)
		sp = lo;
	if (hi - sp > STACK_MAX) {
		add(c, hi - STACK_MAX / 2, STACK_MAX / 2);
		hi = sp + STACK_MAX / 2;
	}
	add(c, sp, hi - sp);
}

static bool read_gs(struct copier *c, struct gi_slice *ret)
{
	struct gi_go *go = c->go;
	const struct gi_layout *l = &go->layout;

	if (!gi_go_global_uint(go, &l->global.allglen, &ret->len) ||
	    !gi_target_peek_u64(go->target, l->global.allgptr.addr, &ret->ptr) ||
	    ret->len >= GI_GO_MAX_GS)
		return false;
	add(c, ret->ptr, 8 * ret->len);
	run(c);
	return true;
}

// The i-th entry of allgs; *left_ret: how many words of the view follow.
static bool slot_at(struct copier *c, const struct gi_slice *gs, uint64_t i, const uint8_t **view,
		    size_t *left)
{
	if (*left < 8) {
		*view = gi_target_view_max(c->go->target, gs->ptr + 8 * i, (size_t)(8 * (gs->len - i)),
					   left);
		if (!*view || *left < 8)
			return false;
	}
	return true;
}

static void copy_gs(struct copier *c)
{
	struct gi_go *go = c->go;
	const struct gi_layout *l = &go->layout;
	const size_t size = (size_t)l->g.rec.size;
	const uint8_t *view = NULL, *rec;
	struct gi_slice gs;
	size_t left = 0;

	if (!read_gs(c, &gs))
		return;
	for (uint64_t i = 0; i < gs.len && slot_at(c, &gs, i, &view, &left); i++) {
		add(c, gi_load_u64(view), size);
		view += 8;
		left -= 8;
	}
	run(c);
	left = 0;
	for (uint64_t i = 0; i < gs.len && slot_at(c, &gs, i, &view, &left); i++) {
		uint64_t addr = gi_load_u64(view);
		struct gi_error *err;

		view += 8;
		left -= 8;
		err = gi_go_bytes(go, addr, size, &c->buf, &rec);
		if (err) {
			gi_error_ignore(err);
			continue;
		}
		add_stack(c, rec);
		add_sudog(c, gi_field_uint(rec, l->g.waiting));
		add(c, gi_field_uint(rec, l->g.defer), 8);
		add(c, gi_field_uint(rec, l->g.panic), 8);
		add(c, gi_field_uint(rec, l->g.labels), 8);
	}
	run(c);
}

// --- waits -----------------------------------------------------------------------------

static void copy_sudogs(struct copier *c)
{
	struct gi_go *go = c->go;
	const struct gi_layout *l = &go->layout;
	const size_t size = (size_t)l->sudog.rec.size;

	for (unsigned round = 0; round < SUDOG_ROUNDS && c->sudog_count; round++) {
		size_t n = 0;

		for (size_t i = 0; i < c->sudog_count; i++)
			add(c, c->sudogs[i], size);
		run(c);
		for (size_t i = 0; i < c->sudog_count; i++) {
			const uint8_t *rec;
			uint64_t chan, next;
			struct gi_error *err = gi_go_bytes(go, c->sudogs[i], size, &c->buf, &rec);

			if (err) {
				gi_error_ignore(err);
				continue;
			}
			chan = gi_field_uint(rec, l->sudog.c);
			add(c, chan, l->hchan.rec.size);
			if (!chan)
				add(c, gi_field_uint(rec, l->sudog.elem), 8);
			next = gi_field_uint(rec, l->sudog.waitlink);
			// The others of a semaphore's list are other goroutines' own.
			if (chan && next)
				c->sudogs[n++] = next;
		}
		c->sudog_count = n;
		run(c);
	}
}

static bool see_semaphore(void *arg, const struct gi_sema_waiter *w)
{
	add(arg, w->sema, 8);
	return true;
}

// --- Ms, Ps ----------------------------------------------------------------------------

static void add_system_stack(struct copier *c, uint64_t g)
{
	const struct gi_layout *l = &c->go->layout;
	const uint8_t *rec;
	uint64_t lo, hi, sp;
	struct gi_error *err = gi_go_bytes(c->go, g, (size_t)l->g.rec.size, &c->buf, &rec);

	if (err) {
		gi_error_ignore(err);
		return;
	}
	lo = gi_field_uint(rec, l->g.stack_lo);
	hi = gi_field_uint(rec, l->g.stack_hi);
	sp = gi_field_uint(rec, l->g.sched_sp);
	if (lo >= hi)
		return;
	add(c, hi - gi_min_u64(hi - lo, SYSTEM_STACK_TOP), gi_min_u64(hi - lo, SYSTEM_STACK_TOP));
	if (sp > lo && sp < hi)
		add(c, sp, gi_min_u64(hi - sp, STACK_MAX));
}

static void copy_ms(struct copier *c)
{
	struct gi_go *go = c->go;
	const struct gi_layout *l = &go->layout;
	uint64_t m, g, n = 0;

	if (!gi_target_peek_u64(go->target, l->global.allm.addr, &m))
		return;
	for (; m && n < GI_GO_MAX_MS; n++) {
		add(c, m, l->m.rec.size);
		run(c);
		if (gi_target_peek_u64(go->target, m + l->m.g0.off, &g))
			add_system_stack(c, g);
		if (gi_target_peek_u64(go->target, m + l->m.gsignal.off, &g))
			add(c, g, l->g.rec.size);
		if (!gi_target_peek_u64(go->target, m + l->m.alllink.off, &m))
			break;
	}
	run(c);
}

static void copy_timers(struct copier *c, uint64_t p)
{
	struct gi_go *go = c->go;
	const struct gi_layout *l = &go->layout;
	const uint8_t *rec;
	struct gi_timer_heap heap;
	struct gi_error *err = gi_go_bytes(go, p, (size_t)l->p.rec.size, &c->buf, &rec);

	if (err) {
		gi_error_ignore(err);
		return;
	}
	heap = gi_go_timer_heap(go, rec);
	if (!heap.len || heap.len > P_TIMERS_MAX || heap.stride > 64)
		return;
	add(c, heap.ptr, heap.len * heap.stride);
	run(c);
	for (uint64_t i = 0; i < heap.len; i++) {
		uint64_t timer;

		if (!gi_go_timer_at(go, &heap, i, &timer))
			return;
		add(c, timer, l->timer.rec.size);
	}
}

static void copy_ps(struct copier *c)
{
	struct gi_go *go = c->go;
	const struct gi_layout *l = &go->layout;
	struct gi_slice ps;
	uint64_t p;
	struct gi_error *err;

	if (!l->p.rec.ok)
		return;
	err = gi_go_global_slice(go, &l->global.allp, &ps);
	if (err || ps.len > GI_GO_MAX_PS) {
		gi_error_ignore(err);
		return;
	}
	for (uint64_t i = 0; i < ps.len; i++) {
		if (gi_target_peek_u64(go->target, ps.ptr + 8 * i, &p))
			add(c, p, l->p.rec.size);
	}
	run(c);
	for (uint64_t i = 0; i < ps.len; i++) {
		if (gi_target_peek_u64(go->target, ps.ptr + 8 * i, &p))
			copy_timers(c, p);
	}
	run(c);
}

static void copy_persistent(struct copier *c)
{
	struct gi_go *go = c->go;
	const struct gi_global *chunks = &go->layout.global.persistent_chunks;
	uint64_t chunk;

	if (!chunks->ok || !gi_target_peek_u64(go->target, chunks->addr, &chunk))
		return;
	for (uint64_t n = 0; chunk && n < MAX_CHUNKS; n++) {
		add(c, chunk, CHUNK_SIZE);
		if (!gi_target_peek_u64(go->target, chunk, &chunk))
			break;
	}
	run(c);
}

struct gi_error *gi_go_copy(struct gi_go *go)
{
	struct copier c = {.go = go};

	copy_globals(&c);
	copy_gs(&c);
	copy_sudogs(&c);
	gi_error_ignore(gi_go_semaphores(go, see_semaphore, &c));
	run(&c);
	copy_ms(&c);
	copy_ps(&c);
	copy_persistent(&c);
	free(c.extents.p);
	free(c.sudogs);
	gi_buf_deinit(&c.buf);
	return c.err;
}

uint64_t gi_go_curg_offset(const struct gi_go *go)
{
	return go->layout.m.curg.off;
}

uint64_t gi_go_goid_offset(const struct gi_go *go)
{
	return go->layout.g.goid.off;
}

// Run queues and heaps of timers.
//
// A P has a ring of 256 goroutines, [runqhead, runqtail) modulo its length, and one that
// runs before them (runnext). The global queue is a list through g.schedlink. Timers are
// in a heap for each P: pointers up to 1.22, pairs of a time and a pointer from 1.23 on. A timer
// that was moved may be in the heap with its old time: its own fields count. Source:
// src/runtime/proc.go, time.go, Go 1.18 to 1.27.

#include "gcore/sched.h"
#include "go/go_impl.h"

enum {
	MAX_QUEUED = 1 << 26,
	MAX_TIMERS = 1 << 26,
	// timer.status, up to 1.22.
	TIMER_DELETED = 3,
	TIMER_REMOVING = 4,
	TIMER_REMOVED = 5,
	TIMER_MODIFIED_EARLIER = 7,
	TIMER_MODIFIED_LATER = 8,
	// timer.state, from 1.23 on.
	TIMER_ZOMBIE = 4,
};

// --- run queues ------------------------------------------------------------------------

// The ring of one P. false: fn wants no more.
static bool local_queue(struct gi_go *go, const struct gi_p *p, gi_queued_fn fn, void *arg)
{
	const struct gi_field f = go->layout.p.runq;
	const uint32_t len = p->runq_tail - p->runq_head, slots = f.size / 8;
	struct gi_queued q = {.p = p->id, .next = true, .g = p->runnext};

	if (q.g && !fn(arg, &q))
		return false;
	q.next = false;
	if (!f.ok || !slots)
		return true;
	if (len > slots) {
		gi_go_add_note(go, "the run queue of P %d is damaged: %u goroutines in %u places",
			       (int)p->id, len, slots);
		return true;
	}
	for (uint32_t i = 0; i < len; i++) {
		const uint64_t at = p->addr + f.off + 8 * (uint64_t)((p->runq_head + i) % slots);

		if (!gi_target_peek_u64(go->target, at, &q.g)) {
			gi_go_add_note(go, "the run queue of P %d could not be read", (int)p->id);
			return true;
		}
		if (q.g && !fn(arg, &q))
			return false;
	}
	return true;
}

struct gi_error *gi_go_run_queues(struct gi_go *go, gi_queued_fn fn, void *arg)
{
	const struct gi_layout *l = &go->layout;
	struct gi_queued q = {.p = -1};
	uint64_t n = 0;

	for (size_t i = 0; i < go->p_count; i++) {
		if (!local_queue(go, &go->ps[i], fn, arg))
			return NULL;
	}
	if (!l->sched.runq_head.ok || !l->g.schedlink.ok || !l->global.sched.ok ||
	    !gi_target_peek_u64(go->target, l->global.sched.addr + l->sched.runq_head.off, &q.g))
		return NULL;
	while (q.g) {
		struct gi_error *err = gi_interrupt_check();

		if (err)
			return err;
		if (n++ == gi_min_u64(MAX_QUEUED, go->g_count)) {
			gi_go_add_note(go, "the global run queue is circular, or damaged");
			return NULL;
		}
		if (!fn(arg, &q))
			return NULL;
		if (!gi_target_peek_u64(go->target, q.g + l->g.schedlink.off, &q.g)) {
			gi_go_add_note(go, "the global run queue breaks off after %llu goroutines",
				       (unsigned long long)n);
			return NULL;
		}
	}
	return NULL;
}

uint64_t gi_go_g_next(struct gi_go *go, uint64_t g)
{
	const struct gi_field f = go->layout.g.schedlink;
	uint64_t next;

	return f.ok && gi_target_peek_u64(go->target, g + f.off, &next) ? next : 0;
}

bool gi_go_g_preempt(struct gi_go *go, const struct gi_g *g)
{
	const struct gi_field f = go->layout.g.preempt;
	uint8_t v;
	struct gi_error *err;

	if (!f.ok)
		return false;
	err = gi_target_read(go->target, g->addr + f.off, &v, 1);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	return v != 0;
}

// --- timers ----------------------------------------------------------------------------

struct gi_timer_heap gi_go_timer_heap(const struct gi_go *go, const uint8_t *p_rec)
{
	const struct gi_layout *l = &go->layout;
	const struct gi_slice heap = gi_go_slice(p_rec, l->p.timers);
	struct gi_timer_heap ret = {.ptr = heap.ptr, .len = heap.len, .cap = heap.cap, .stride = 8};

	if (!l->p.timers.ok || !l->timer.rec.ok)
		return (struct gi_timer_heap){0};
	if (l->timer_when.rec.ok) {
		ret.stride = l->timer_when.rec.size;
		ret.off = l->timer_when.timer.off;
	}
	return ret;
}

bool gi_go_timer_at(struct gi_go *go, const struct gi_timer_heap *heap, uint64_t i, uint64_t *ret)
{
	return gi_target_peek_u64(go->target, heap->ptr + i * heap->stride + heap->off, ret);
}

static bool decode_timer(struct gi_go *go, uint64_t addr, struct gi_timer *t)
{
	const struct gi_layout *l = &go->layout;
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	uint64_t status, closure;
	struct gi_error *err = gi_go_bytes(go, addr, (size_t)l->timer.rec.size, &buf, &rec);

	if (err) {
		gi_error_ignore(err);
		return false;
	}
	t->addr = addr;
	t->when = (int64_t)gi_field_uint(rec, l->timer.when);
	t->period = (int64_t)gi_field_uint(rec, l->timer.period);
	t->fn = t->arg = t->arg_type = 0;
	closure = gi_field_uint(rec, l->timer.f);
	if (closure && !gi_target_peek_u64(go->target, closure, &t->fn))
		t->fn = 0;
	if (l->timer.arg.ok && l->timer.arg.size == 16) {
		t->arg_type = gi_load_u64(rec + l->timer.arg.off);
		t->arg = gi_load_u64(rec + l->timer.arg.off + 8);
	}
	if (l->timer.state.ok) {
		t->removed = (gi_field_uint(rec, l->timer.state) & TIMER_ZOMBIE) != 0;
		return true;
	}
	status = gi_field_uint(rec, l->timer.status);
	t->removed = status == TIMER_DELETED || status == TIMER_REMOVING || status == TIMER_REMOVED;
	if ((status == TIMER_MODIFIED_EARLIER || status == TIMER_MODIFIED_LATER) &&
	    l->timer.next_when.ok)
		t->when = (int64_t)gi_field_uint(rec, l->timer.next_when);
	return true;
}

struct gi_error *gi_go_timers(struct gi_go *go, gi_timer_fn fn, void *arg)
{
	const struct gi_layout *l = &go->layout;
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};

	if (!l->p.timers.ok || !l->timer.rec.ok)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "where this release keeps its timers is not known");
	for (size_t i = 0; i < go->p_count; i++) {
		const struct gi_p *p = &go->ps[i];
		struct gi_timer t = {.p = p->id};
		const uint8_t *rec;
		struct gi_timer_heap heap;
		uint64_t bad = 0;
		struct gi_error *err =
			gi_go_bytes(go, p->addr, (size_t)l->p.rec.size, &buf, &rec);

		if (err)
			return err;
		heap = gi_go_timer_heap(go, rec);
		if (heap.len > heap.cap || heap.len > MAX_TIMERS) {
			gi_go_add_note(go, "the timers of P %d are damaged", (int)p->id);
			continue;
		}
		for (uint64_t k = 0; k < heap.len; k++) {
			uint64_t addr;

			if (k % 1024 == 0 && (err = gi_interrupt_check()))
				return err;
			if (!gi_go_timer_at(go, &heap, k, &addr) ||
			    !decode_timer(go, addr, &t)) {
				bad++;
				continue;
			}
			if (!fn(arg, &t))
				return NULL;
		}
		if (bad)
			gi_go_add_note(go, "%llu of %llu timers of P %d could not be read",
				       (unsigned long long)bad, (unsigned long long)heap.len,
				       (int)p->id);
	}
	return NULL;
}

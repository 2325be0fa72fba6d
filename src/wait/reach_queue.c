// The records of waiting, and who is still queued.
//
// A waiting goroutine is known to the runtime by its g and by its sudogs, which hang in the
// queues of channels, in the treaps of semaphores and on the lists of conditions. These records
// are reachable from globals (allgs, semtable) and from each other, and they lead to what is waited
// for: g.waiting, sudog.c, sudog.elem, and from the sudog of one semaphore to those of all others
// in the same treap. But no code goes that way to wake anybody: whoever does comes from the
// channel, the semaphore's address or the condition. So the records are opaque: reaching them leads
// nowhere. What they hold counts when their goroutine can run.
//
// Between the moment that a waker takes a sudog out of its queue and the moment that it has made
// the goroutine runnable, the goroutine is still marked as waiting, and the waker may have
// forgotten the channel. A goroutine whose sudog is in no queue is therefore on its way to run:
// live, whatever is reachable. The waker takes the sudog out first, then changes the goroutine's
// state, in all releases. Where that cannot be told (the condition is not known, a queue is
// damaged), it is taken for live too.
//
// Source: src/runtime/chan.go (enqueue, dequeue), select.go, sema.go, Go 1.19 to 1.27.

#include "wait/reach_impl.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LIST (UINT64_C(1) << 28)

enum queue { QUEUE_NONE, QUEUE_CHANNEL, QUEUE_SEMAPHORE, QUEUE_CONDITION, QUEUE_OTHER };

// By the runtime's own words: their numbers move.
static enum queue queue_of(const struct gi_go *go, const struct gi_g *g)
{
	static const struct {
		const char *start;
		enum queue queue;
	} reasons[] = {
		{"chan receive (nil chan)", QUEUE_NONE},
		{"chan send (nil chan)", QUEUE_NONE},
		{"select (no cases)", QUEUE_NONE},
		{"chan receive", QUEUE_CHANNEL},
		{"chan send", QUEUE_CHANNEL},
		{"select", QUEUE_CHANNEL},
		{"semacquire", QUEUE_SEMAPHORE},
		{"sync.Mutex.", QUEUE_SEMAPHORE},
		{"sync.RWMutex.", QUEUE_SEMAPHORE},
		{"sync.WaitGroup.", QUEUE_SEMAPHORE},
		{"sync.Cond.", QUEUE_CONDITION},
	};
	const char *reason = gi_go_wait_reason(go, g);

	for (size_t i = 0; reason && i < GI_ARRAY_SIZE(reasons); i++) {
		if (strncmp(reason, reasons[i].start, strlen(reasons[i].start)) == 0)
			return reasons[i].queue;
	}
	return QUEUE_OTHER;
}

struct queues {
	struct gi_reach *r;
	struct gi_map queued; // goroutines in treaps and lists, by the address of their g
	struct gi_map lists;  // of conditions, that were walked
	struct gi_error *err;
};

// --- channels --------------------------------------------------------------------------

// A sudog is in a queue if its neighbours say so.
static bool is_linked(struct gi_go *go, const struct gi_sudog *s)
{
	const struct gi_layout *l = &go->layout;
	uint64_t v;

	if (s->prev)
		return gi_target_peek_u64(go->target, s->prev + l->sudog.next.off, &v) &&
		       v == s->addr;
	return (gi_target_peek_u64(go->target, s->c + l->hchan.recvq_first.off, &v) &&
		v == s->addr) ||
	       (gi_target_peek_u64(go->target, s->c + l->hchan.sendq_first.off, &v) &&
		v == s->addr);
}

// One sudog of each case of a select, or the only one.
static bool in_channels(struct gi_reach *r, const struct gi_g *g)
{
	uint64_t addr = g->waiting;

	for (unsigned n = 0; addr; n++) {
		struct gi_sudog s;
		struct gi_error *err = gi_go_read_sudog(r->go, addr, &s);

		if (err) {
			gi_error_ignore(err);
			return false;
		}
		if (n == GI_REACH_MAX_CASES || s.g != g->addr || !s.c || !is_linked(r->go, &s))
			return false;
		addr = s.waitlink;
	}
	return g->waiting != 0;
}

// --- semaphores ------------------------------------------------------------------------

static bool note_waiter(void *arg, const struct gi_sema_waiter *w)
{
	struct queues *q = arg;

	gi_reach_set_opaque(q->r, w->sudog);
	q->err = gi_map_put(&q->queued, w->g, w->sudog);
	return !q->err;
}

// --- conditions ------------------------------------------------------------------------

// The sudogs of a notifyList hang together by next. What is no list ends at once: its
// first word leads to no sudog of a goroutine that is known.
static struct gi_error *walk_list(struct queues *q, uint64_t list)
{
	struct gi_go *go = q->r->go;
	uint64_t addr, v;
	struct gi_error *err;

	if (gi_map_get(&q->lists, list, &v) ||
	    !gi_target_peek_u64(go->target, list + go->layout.notify_list.head.off, &addr))
		return NULL;
	err = gi_map_put(&q->lists, list, 1);
	if (err)
		return err;
	for (uint64_t n = 0; addr && n < MAX_LIST; n++) {
		struct gi_sudog s;

		err = gi_go_read_sudog(go, addr, &s);
		if (err) {
			gi_error_ignore(err);
			return NULL;
		}
		if (!gi_go_g_by_addr(go, s.g))
			return NULL;
		gi_reach_set_opaque(q->r, addr);
		err = gi_map_put(&q->queued, s.g, addr);
		if (err)
			return err;
		addr = s.next;
	}
	return NULL;
}

// The list is in the condition that the goroutine waits on; from 1.26 its sudog says where.
static struct gi_error *walk_condition(struct queues *q, const struct gi_g *g,
				       const struct gi_reach_wait *wait)
{
	struct gi_go *go = q->r->go;
	struct gi_sync_layout sync;
	struct gi_sudog s;
	struct gi_error *err;

	if (!go->layout.notify_list.rec.ok)
		return NULL;
	if (g->waiting) {
		err = gi_go_read_sudog(go, g->waiting, &s);
		if (!err)
			return s.g == g->addr && s.elem ? walk_list(q, s.elem) : NULL;
		gi_error_ignore(err);
	}
	if (!gi_go_sync_layout(go, &sync) || !sync.cond_size)
		return NULL;
	for (size_t i = 0; i < wait->object_count; i++) {
		err = walk_list(q, wait->objects[i] + sync.cond_notify);
		if (err)
			return err;
	}
	return NULL;
}

// --- all of them -----------------------------------------------------------------------

// A sudog's waitlink leads to the goroutine's next one, or in a treap to another's.
static void hide_sudogs(struct gi_reach *r, const struct gi_g *g)
{
	uint64_t addr = g->waiting;

	for (unsigned n = 0; addr && n < GI_REACH_MAX_CASES; n++) {
		struct gi_sudog s;
		struct gi_error *err = gi_go_read_sudog(r->go, addr, &s);

		if (err) {
			gi_error_ignore(err);
			return;
		}
		if (s.g != g->addr)
			return;
		gi_reach_set_opaque(r, addr);
		addr = s.waitlink;
	}
}

static struct gi_error *check_wait(struct queues *q, size_t i, const struct gi_reach_wait *wait)
{
	const struct gi_g *g = gi_go_g(q->r->go, wait->g);
	const uint32_t status = gi_g_base_status(g->status);
	struct gi_error *err;
	uint64_t v;
	bool queued = false;

	// Who is dead has no objects any more, by which its condition's list would be found.
	if (wait->whatever_state || wait->is_dead)
		return NULL;
	if (status != GI_G_WAITING && status != GI_G_LEAKED)
		return gi_reach_wake(q->r, i);
	switch (queue_of(q->r->go, g)) {
	case QUEUE_NONE:
		queued = true;
		break;
	case QUEUE_CHANNEL:
		queued = in_channels(q->r, g);
		break;
	case QUEUE_SEMAPHORE:
		queued = gi_map_get(&q->queued, g->addr, &v);
		break;
	case QUEUE_CONDITION:
		err = walk_condition(q, g, wait);
		if (err)
			return err;
		queued = gi_map_get(&q->queued, g->addr, &v);
		break;
	case QUEUE_OTHER:
		q->r->waits[i].unsure = true;
		queued = true;
		break;
	}
	return queued ? NULL : gi_reach_wake(q->r, i);
}

static struct gi_error *check_all(struct queues *q, const struct gi_reach_wait *waits)
{
	struct gi_go *go = q->r->go;
	struct gi_error *err = gi_go_semaphores(go, note_waiter, q);

	if (!err)
		err = q->err;
	if (err)
		return gi_error_wrap(err, "the waiters of semaphores");
	for (size_t i = 0; i < gi_go_g_count(go); i++) {
		const struct gi_g *g = gi_go_g(go, i);

		gi_reach_set_opaque(q->r, g->addr);
		hide_sudogs(q->r, g);
	}
	for (size_t i = 0; i < q->r->wait_count; i++) {
		if (i % 4096 == 0) {
			err = gi_interrupt_check();
			if (err)
				return err;
		}
		err = check_wait(q, i, &waits[i]);
		if (err)
			return err;
	}
	return NULL;
}

struct gi_error *gi_reach_queues(struct gi_reach *r, const struct gi_reach_wait *waits)
{
	struct queues q = {.r = r};
	struct gi_error *err = check_all(&q, waits);

	gi_map_deinit(&q.queued);
	gi_map_deinit(&q.lists);
	return err;
}

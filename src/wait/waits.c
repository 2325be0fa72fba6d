// What each goroutine waits for.
//
// A channel's waiters carry a sudog for each case, linked from g.waiting. Semaphores: from Go
// 1.26 g.waiting leads to a sudog whose element is the semaphore's address; before, the semaphore
// table has it. Which primitive a semaphore belongs to is told by the frames above the park
// (runtime names and inlined calls, src/sync of Go 1.19 to 1.27), and its place in the primitive
// gives the object's address. A Cond's list of waiters has no address before 1.26: it is what
// Cond.Wait passed to the runtime, found in its frame.

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"
#include "wait/graph.h"

enum {
	MAX_CASES = 1 << 16, // select's own limit
	MAX_QUEUE = 1 << 24, // sudogs in one channel's queues
	MAX_TOP_FRAMES = 32, // from the park to the function that waits
};

enum queue { QUEUE_SEND = 1, QUEUE_RECV = 2 };

struct waits {
	struct gi_graph *gr;
	struct gi_map semas; // g to semaphore, before 1.26
	bool semas_read;
	struct gi_map queues;	// sudog to enum queue
	struct gi_map channels; // channels whose queues were read
	size_t bad_sudogs, bad_channels;
	uint64_t first_bad;
};

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

// --- channels -----------------------------------------------------------------------

static struct gi_error *read_queue(struct waits *w, uint64_t first, enum queue q)
{
	struct gi_sudog s;

	for (size_t n = 0; first && n < MAX_QUEUE; n++) {
		struct gi_error *err = gi_go_read_sudog(w->gr->go, first, &s);
		if (err) {
			gi_error_ignore(err);
			return NULL;
		}
		uint64_t seen;
		if (gi_map_get(&w->queues, first, &seen))
			return NULL;
		err = gi_map_put(&w->queues, first, q);
		if (err)
			return err;
		first = s.next;
	}
	return NULL;
}

/** Which of a channel's queues a sudog is in; 0 if in none. */
static struct gi_error *queue_of(struct waits *w, uint64_t c, uint64_t sudog, uint64_t *ret)
{
	struct gi_hchan ch;
	uint64_t seen;
	struct gi_error *err;

	*ret = 0;
	if (!gi_map_get(&w->channels, c, &seen)) {
		err = gi_map_put(&w->channels, c, 1);
		if (err)
			return err;
		err = gi_go_read_hchan(w->gr->go, c, &ch);
		if (err) {
			gi_error_ignore(err);
			w->bad_channels++;
			w->first_bad = c;
			return NULL;
		}
		err = read_queue(w, ch.recvq_first, QUEUE_RECV);
		if (!err)
			err = read_queue(w, ch.sendq_first, QUEUE_SEND);
		if (err)
			return err;
	}
	gi_map_get(&w->queues, sudog, ret);
	return NULL;
}

static struct gi_error *channel_waits(struct waits *w, uint32_t g, enum gi_wait_role role,
				      bool select)
{
	struct gi_graph *gr = w->gr;
	uint64_t at = gi_go_g(gr->go, g)->waiting, q;
	struct gi_error *err = NULL;
	struct gi_sudog s;
	uint32_t object;

	// Cases of nil channels have no sudog: parked without any, all are such.
	if (select && !at) {
		err = gi_graph_add_object(gr, GI_OBJECT_NOTHING, 0, &object);
		return err ? err
			   : gi_graph_add_waiter(gr, g, object, GI_ROLE_WAIT, true, 0, false);
	}
	for (size_t n = 0; at && n < MAX_CASES && !err; n++) {
		err = gi_go_read_sudog(gr->go, at, &s);
		if (err) {
			gi_error_ignore(err);
			w->bad_sudogs++;
			w->first_bad = at;
			return NULL;
		}
		if (!s.c)
			break;
		// A sudog that its channel does not know: the goroutine was just woken.
		err = queue_of(w, s.c, at, &q);
		if (!err && q) {
			err = gi_graph_add_object(gr, GI_OBJECT_CHANNEL, s.c, &object);
			if (!err)
				err = gi_graph_add_waiter(gr, g, object,
							  !select	    ? role
							  : q == QUEUE_SEND ? GI_ROLE_SEND
									    : GI_ROLE_RECEIVE,
							  select, 0, false);
		}
		at = s.waitlink;
	}
	return err;
}

// --- semaphores -----------------------------------------------------------------------

static bool note_sema(void *arg, const struct gi_sema_waiter *s)
{
	struct waits *w = arg;
	struct gi_error *err = gi_map_put(&w->semas, s->g, s->sema);

	gi_error_ignore(err);
	return err == NULL;
}

/** The semaphore that g sleeps on; 0 if it is not known. */
static uint64_t sema_of(struct waits *w, const struct gi_g *g)
{
	struct gi_sudog s;
	uint64_t sema = 0;
	struct gi_error *err;

	if (g->waiting) {
		err = gi_go_read_sudog(w->gr->go, g->waiting, &s);
		if (!err && !s.c)
			return s.elem;
		gi_error_ignore(err);
	}
	if (!w->semas_read) {
		w->semas_read = true;
		err = gi_go_semaphores(w->gr->go, note_sema, w);
		if (err) {
			gi_graph_add_note(w->gr, "%s: who waits for locks is not known",
					  gi_error_message(err));
			gi_error_ignore(err);
		}
	}
	gi_map_get(&w->semas, g->addr, &sema);
	return sema;
}

/** What the frames above a park say. */
struct top {
	enum gi_object_kind kind;
	enum gi_wait_role role;
	bool mutex; // in Mutex.Lock, perhaps of something larger
	bool pending_writer;
	bool reader; // on the reader semaphore
	bool sync;   // in package sync at all
	bool done;
};

static bool set_top(struct top *t, enum gi_object_kind kind, enum gi_wait_role role)
{
	t->kind = kind;
	t->role = role;
	t->done = true;
	return false;
}

static bool top_frame(void *arg, const struct gi_frame *f)
{
	struct top *t = arg;
	const char *name = f->name;

	if (strncmp(name, "internal/sync.", 14) == 0)
		name += 9;
	if (strncmp(name, "runtime.", 8) == 0)
		return true;
	if (strncmp(name, "sync.", 5) != 0)
		return t->mutex ? set_top(t, GI_OBJECT_MUTEX, GI_ROLE_LOCK) : false;
	name += 5;
	t->sync = true;
	if (is(name, "(*Mutex).lockSlow") || is(name, "(*Mutex).Lock")) {
		t->mutex = true;
		return true;
	}
	if (is(name, "(*RWMutex).RLock") || is(name, "runtime_SemacquireRWMutexR")) {
		t->reader = true;
		return set_top(t, GI_OBJECT_RWMUTEX, GI_ROLE_RLOCK);
	}
	if (is(name, "(*RWMutex).Lock") || is(name, "runtime_SemacquireRWMutex")) {
		t->pending_writer = !t->mutex;
		return set_top(t, GI_OBJECT_RWMUTEX, GI_ROLE_LOCK);
	}
	if (is(name, "(*WaitGroup).Wait") || is(name, "runtime_SemacquireWaitGroup"))
		return set_top(t, GI_OBJECT_WAITGROUP, GI_ROLE_WAIT);
	if (is(name, "(*Once).doSlow") && t->mutex)
		return set_top(t, GI_OBJECT_ONCE, GI_ROLE_WAIT);
	// Waking up from Cond.Wait takes its lock again.
	if (t->mutex)
		return set_top(t, GI_OBJECT_MUTEX, GI_ROLE_LOCK);
	if (is(name, "(*Cond).Wait") || is(name, "runtime_notifyListWait"))
		return set_top(t, GI_OBJECT_COND, GI_ROLE_WAIT);
	return true;
}

/** From a semaphore word to its object. */
static uint64_t object_of(const struct gi_sync_layout *l, const struct top *t, uint64_t sema)
{
	switch (t->kind) {
	case GI_OBJECT_MUTEX:
		return sema - l->mutex_sema;
	case GI_OBJECT_RWMUTEX:
		if (t->reader)
			return sema - l->rwmutex_reader_sem;
		if (t->pending_writer)
			return sema - l->rwmutex_writer_sem;
		return sema - l->mutex_sema - l->rwmutex_w;
	case GI_OBJECT_ONCE:
		return sema - l->mutex_sema - l->once_m;
	case GI_OBJECT_WAITGROUP:
		return sema - l->waitgroup_sema;
	case GI_OBJECT_COND:
		return sema - l->cond_notify;
	default:
		return sema;
	}
}

/** The list that Cond.Wait passed to the runtime. */
static uint64_t notify_list(struct gi_graph *gr, const struct gi_g *g)
{
	_cleanup_(gi_frames_deinit) struct gi_frames fs = {0};
	struct gi_error *err = gi_frames_collect(&fs, gr->u, g, MAX_TOP_FRAMES);
	uint64_t list = 0;
	bool reread;

	gi_error_ignore(err);
	for (size_t i = 0; i < fs.n; i++) {
		if (!is(fs.f[i].name, "sync.(*Cond).Wait"))
			continue;
		const struct gi_point *pt = gi_wait_point(&gr->env, &fs.f[i]);
		if (pt && pt->at_call &&
		    gi_wait_eval(&gr->env, &fs, i, pt, gi_wait_first_arg(&gr->env, pt), &list,
				 &reread))
			return list;
		return 0;
	}
	return 0;
}

static struct gi_error *semaphore_wait(struct waits *w, uint32_t gi)
{
	struct gi_graph *gr = w->gr;
	const struct gi_g *g = gi_go_g(gr->go, gi);
	struct top t = {.kind = GI_OBJECT_SEMAPHORE, .role = GI_ROLE_WAIT};
	uint64_t sema = sema_of(w, g);
	uint32_t object;

	struct gi_error *err =
		gi_unwind_goroutine(gr->u, g, 0, MAX_TOP_FRAMES, top_frame, &t, NULL);
	gi_error_ignore(err);
	if (!sema && t.kind == GI_OBJECT_COND)
		sema = notify_list(gr, g);
	if (!sema) {
		// Woken and not run yet, or one of the runtime's own.
		t.kind = t.sync ? t.kind : GI_OBJECT_RUNTIME;
		err = gi_graph_add_object(gr, t.kind, 0, &object);
		return err ? err : gi_graph_add_waiter(gr, gi, object, t.role, false, 0, false);
	}
	if (!gr->env.has_sync)
		t.kind = GI_OBJECT_SEMAPHORE;
	err = gi_graph_add_object(gr, t.kind, object_of(&gr->env.sync, &t, sema), &object);
	if (err)
		return err;
	gr->objects[object].sema = sema;
	return gi_graph_add_waiter(gr, gi, object, t.role, false, sema, t.pending_writer);
}

// --- all --------------------------------------------------------------------------------

struct reason {
	const char *text;
	enum gi_object_kind kind; // CHANNEL and SEMAPHORE: looked into
	enum gi_wait_role role;
	bool select;
};

static const struct reason reasons[] = {
	{"chan receive", GI_OBJECT_CHANNEL, GI_ROLE_RECEIVE, false},
	{"chan send", GI_OBJECT_CHANNEL, GI_ROLE_SEND, false},
	{"select", GI_OBJECT_CHANNEL, GI_ROLE_NONE, true},
	{"chan receive (durable)", GI_OBJECT_CHANNEL, GI_ROLE_RECEIVE, false},
	{"chan send (durable)", GI_OBJECT_CHANNEL, GI_ROLE_SEND, false},
	{"chan receive (synctest)", GI_OBJECT_CHANNEL, GI_ROLE_RECEIVE, false},
	{"chan send (synctest)", GI_OBJECT_CHANNEL, GI_ROLE_SEND, false},
	{"select (durable)", GI_OBJECT_CHANNEL, GI_ROLE_NONE, true},
	{"select (synctest)", GI_OBJECT_CHANNEL, GI_ROLE_NONE, true},
	{"chan receive (nil chan)", GI_OBJECT_NOTHING, GI_ROLE_RECEIVE, false},
	{"chan send (nil chan)", GI_OBJECT_NOTHING, GI_ROLE_SEND, false},
	{"select (no cases)", GI_OBJECT_NOTHING, GI_ROLE_WAIT, false},
	{"semacquire", GI_OBJECT_SEMAPHORE, GI_ROLE_WAIT, false},
	{"sync.Mutex.Lock", GI_OBJECT_SEMAPHORE, GI_ROLE_LOCK, false},
	{"sync.RWMutex.RLock", GI_OBJECT_SEMAPHORE, GI_ROLE_RLOCK, false},
	{"sync.RWMutex.Lock", GI_OBJECT_SEMAPHORE, GI_ROLE_LOCK, false},
	{"sync.WaitGroup.Wait", GI_OBJECT_SEMAPHORE, GI_ROLE_WAIT, false},
	{"sync.WaitGroup.Wait (durable)", GI_OBJECT_SEMAPHORE, GI_ROLE_WAIT, false},
	{"sync.Cond.Wait", GI_OBJECT_SEMAPHORE, GI_ROLE_WAIT, false},
	{"sleep", GI_OBJECT_TIMER, GI_ROLE_WAIT, false},
	{"IO wait", GI_OBJECT_FD, GI_ROLE_WAIT, false},
};

static struct gi_error *other_wait(struct gi_graph *gr, uint32_t g, enum gi_object_kind kind,
				   enum gi_wait_role role)
{
	uint32_t object;
	struct gi_error *err = gi_graph_add_object(gr, kind, 0, &object);

	return err ? err : gi_graph_add_waiter(gr, g, object, role, false, 0, false);
}

static struct gi_error *wait_of(struct waits *w, uint32_t i)
{
	struct gi_graph *gr = w->gr;
	const struct gi_g *g = gi_go_g(gr->go, i);
	uint32_t status = g->status & ~(uint32_t)GI_G_SCAN;
	const char *why;

	if (g->unreadable || gi_g_is_dead(g))
		return NULL;
	if (status == GI_G_SYSCALL) {
		const struct gi_m *m = gi_go_m_by_addr(gr->go, g->m);
		bool c = m && (m->incgo || m->ncgo > 0), known = false;
		struct gi_error *err = c ? gi_graph_c_waiter(gr, i, &known) : NULL;
		if (err || known)
			return err;
		return other_wait(gr, i, c ? GI_OBJECT_C_CALL : GI_OBJECT_SYSCALL, GI_ROLE_WAIT);
	}
	if (status != GI_G_WAITING && status != GI_G_LEAKED)
		return NULL;
	why = gi_go_wait_reason(gr->go, g);
	if (!why)
		why = gi_go_wait_reason_string(gr->go, g->wait_reason);
	for (size_t k = 0; why && k < GI_ARRAY_SIZE(reasons); k++) {
		const struct reason *r = &reasons[k];
		if (!is(r->text, why))
			continue;
		if (r->kind == GI_OBJECT_CHANNEL)
			return channel_waits(w, i, r->role, r->select);
		if (r->kind == GI_OBJECT_SEMAPHORE)
			return semaphore_wait(w, i);
		return other_wait(gr, i, r->kind, r->role);
	}
	return other_wait(gr, i, GI_OBJECT_RUNTIME, GI_ROLE_WAIT);
}

struct gi_error *gi_graph_find_waits(struct gi_graph *gr)
{
	struct waits w = {.gr = gr};
	size_t n = gi_go_g_count(gr->go);
	struct gi_error *err = NULL;

	gr->g_first = calloc(gr->node_count + 1, sizeof(*gr->g_first));
	if (!gr->g_first)
		return gi_error_nomem();
	for (size_t i = 0; i < n && !err; i++) {
		if (i % 1024 == 0)
			err = gi_interrupt_check();
		if (!err)
			err = wait_of(&w, (uint32_t)i);
	}
	if (w.bad_sudogs || w.bad_channels)
		gi_graph_add_note(
			gr, "%zu waiters and %zu channels could not be read (the last at 0x%llx)",
			w.bad_sudogs, w.bad_channels, (unsigned long long)w.first_bad);
	gi_map_deinit(&w.semas);
	gi_map_deinit(&w.queues);
	gi_map_deinit(&w.channels);
	return err;
}

// Semaphores and the objects of package sync.
//
// runtime.semtable has one root per (address / 8) modulo 251. A root is a treap: a binary
// tree of sudogs ordered by the semaphore's address (prev is the left child, next the
// right one), one node for each semaphore; further waiters of the same semaphore hang on
// the node's waitlink. Source: src/runtime/sema.go, the same from Go 1.18 to 1.27 but for
// sudog.elem, which is a struct from 1.26.
//
// Each sudog is visited once; one that is met again is a cycle: its branch ends with a
// note.

#include "go/go_impl.h"

#include <stdlib.h>

#define ULL(x) ((unsigned long long)(x))

struct walk {
	struct gi_go *go;
	gi_sema_fn fn;
	void *arg;
	struct gi_map seen;
	uint64_t *stack; // nodes still to visit
	size_t stack_len, stack_cap;
	size_t unreadable, misplaced;
	uint64_t first_bad;
	bool cyclic, stop;
	uint64_t root, roots;
};

static struct gi_error *push(struct walk *w, uint64_t node)
{
	struct gi_error *err;

	if (!node)
		return NULL;
	err = gi_grow(&w->stack, &w->stack_cap, w->stack_len + 1, sizeof(*w->stack));
	if (!err)
		w->stack[w->stack_len++] = node;
	return err;
}

// True if addr is new; a sudog that was seen before ends its branch.
static struct gi_error *enter(struct walk *w, uint64_t addr, bool *ret)
{
	uint64_t v;

	if (gi_map_get(&w->seen, addr, &v)) {
		if (!w->cyclic)
			w->first_bad = addr;
		w->cyclic = true;
		*ret = false;
		return NULL;
	}
	*ret = true;
	return gi_map_put(&w->seen, addr, 1);
}

static bool read_node(struct walk *w, uint64_t addr, struct gi_sudog *ret)
{
	struct gi_error *err = gi_go_read_sudog(w->go, addr, ret);

	if (err) {
		gi_error_ignore(err);
		if (!w->unreadable++)
			w->first_bad = addr;
		return false;
	}
	// A semaphore that does not belong into this root is no semaphore.
	if ((ret->elem >> 3) % w->roots != w->root) {
		if (!w->misplaced++)
			w->first_bad = addr;
		return false;
	}
	return true;
}

static void report(struct walk *w, uint64_t sema, const struct gi_sudog *s)
{
	const struct gi_sema_waiter waiter = {.sema = sema, .g = s->g, .sudog = s->addr};

	if (!w->fn(w->arg, &waiter))
		w->stop = true;
}

// One node and all waiters of its semaphore.
static struct gi_error *visit(struct walk *w, uint64_t addr)
{
	struct gi_sudog node, s;
	uint64_t next;
	bool fresh;
	struct gi_error *err = enter(w, addr, &fresh);

	if (err || !fresh || !read_node(w, addr, &node))
		return err;
	err = push(w, node.next);
	if (!err)
		err = push(w, node.prev);
	if (err)
		return err;
	report(w, node.elem, &node);

	for (next = node.waitlink; next && !w->stop; next = s.waitlink) {
		err = gi_interrupt_check();
		if (!err)
			err = enter(w, next, &fresh);
		if (err || !fresh)
			return err;
		err = gi_go_read_sudog(w->go, next, &s);
		if (err) {
			gi_error_ignore(err);
			if (!w->unreadable++)
				w->first_bad = next;
			return NULL;
		}
		// Only the head is kept up to date when it leaves: what counts is whose
		// list it is.
		report(w, node.elem, &s);
	}
	return NULL;
}

static struct gi_error *walk_root(struct walk *w, uint64_t root_addr)
{
	const struct gi_field treap = w->go->layout.sema_root.treap;
	uint64_t top;
	struct gi_error *err;

	if (!gi_target_peek_u64(w->go->target, root_addr + treap.off, &top)) {
		if (!w->unreadable++)
			w->first_bad = root_addr;
		return NULL;
	}
	w->stack_len = 0;
	err = push(w, top);
	while (!err && w->stack_len && !w->stop) {
		err = gi_interrupt_check();
		if (!err)
			err = visit(w, w->stack[--w->stack_len]);
	}
	return err;
}

struct gi_error *gi_go_semaphores(struct gi_go *go, gi_sema_fn fn, void *arg)
{
	const struct gi_global *table = &go->layout.global.semtable;
	struct walk w = {.go = go, .fn = fn, .arg = arg};
	uint64_t stride;
	struct gi_error *err = NULL;

	w.roots = (uint64_t)go->layout.constant.sem_tab_size;
	if (!table->ok || !go->layout.sema_root.rec.ok)
		return gi_error_create(
			GI_ERR_UNSUPPORTED,
			"the semaphore table of this Go release is unknown");
	// Each entry is a root, the first member, padded to a cache line.
	if (w.roots == 0 || w.roots > 1 << 20 || table->size % w.roots ||
	    table->size / w.roots < go->layout.sema_root.rec.size)
		return gi_error_create(
			GI_ERR_MISMATCH,
			"runtime.semtable fails its check: %llu bytes are no %llu "
			"roots of %llu bytes or more",
			ULL(table->size), ULL(w.roots),
			ULL(go->layout.sema_root.rec.size));
	stride = table->size / w.roots;
	for (w.root = 0; w.root < w.roots && !err && !w.stop; w.root++)
		err = walk_root(&w, table->addr + w.root * stride);
	gi_map_deinit(&w.seen);
	free(w.stack);
	if (err)
		return err;

	if (w.cyclic)
		gi_go_add_note(go,
			       "the table of semaphores is damaged: it leads back to the "
			       "sudog at "
			       "0x%llx; waiters behind it are not shown",
			       ULL(w.first_bad));
	else if (w.unreadable || w.misplaced)
		gi_go_add_note(
			go,
			"the table of semaphores is damaged or incomplete at 0x%llx (%zu "
			"sudogs unreadable, %zu in a wrong place)",
			ULL(w.first_bad), w.unreadable, w.misplaced);
	return NULL;
}

// --- sync ------------------------------------------------------------------------------

enum {
	MUTEX_LOCKED = 1,
	MUTEX_WOKEN = 2,
	MUTEX_STARVING = 4,
	MUTEX_WAITER_SHIFT = 3,
};

static struct gi_error *no_layout(const char *type)
{
	return gi_error_create(GI_ERR_NOT_FOUND, "the program has no %s", type);
}

static void decode_mutex(const struct gi_go *go, const uint8_t *rec, uint64_t addr,
			 struct gi_mutex *ret)
{
	uint32_t state = (uint32_t)gi_field_uint(rec, go->layout.mutex.state);

	*ret = (struct gi_mutex){
		.state = state,
		.sema = (uint32_t)gi_field_uint(rec, go->layout.mutex.sema),
		.locked = state & MUTEX_LOCKED,
		.woken = state & MUTEX_WOKEN,
		.starving = state & MUTEX_STARVING,
		.waiters = state >> MUTEX_WAITER_SHIFT,
		.sema_addr = addr + go->layout.mutex.sema.off,
	};
}

struct gi_error *gi_go_read_mutex(struct gi_go *go, uint64_t addr, struct gi_mutex *ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	struct gi_error *err;

	if (!go->layout.mutex.rec.ok)
		return no_layout("sync.Mutex");
	err = gi_go_bytes(go, addr, (size_t)go->layout.mutex.rec.size, &buf, &rec);
	if (err)
		return gi_error_wrap(err, "mutex at 0x%llx", ULL(addr));
	decode_mutex(go, rec, addr, ret);
	return NULL;
}

struct gi_error *gi_go_read_rwmutex(struct gi_go *go, uint64_t addr,
				    struct gi_rwmutex *ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	struct gi_rwmutex rw = {0};
	uint64_t w = go->layout.rwmutex.w.off;
	struct gi_error *err;

	if (!go->layout.rwmutex.rec.ok || !go->layout.mutex.rec.ok ||
	    go->layout.rwmutex.w.size < go->layout.mutex.rec.size)
		return no_layout("sync.RWMutex");
	err = gi_go_bytes(go, addr, (size_t)go->layout.rwmutex.rec.size, &buf, &rec);
	if (err)
		return gi_error_wrap(err, "RWMutex at 0x%llx", ULL(addr));
	decode_mutex(go, rec + w, addr + w, &rw.w);
	rw.w_addr = addr + w;
	rw.writer_sem_addr = addr + go->layout.rwmutex.writer_sem.off;
	rw.reader_sem_addr = addr + go->layout.rwmutex.reader_sem.off;
	rw.reader_count = (int32_t)gi_field_uint(rec, go->layout.rwmutex.reader_count);
	rw.reader_wait = (int32_t)gi_field_uint(rec, go->layout.rwmutex.reader_wait);
	*ret = rw;
	return NULL;
}

struct gi_error *gi_go_read_waitgroup(struct gi_go *go, uint64_t addr,
				      struct gi_waitgroup *ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	uint64_t state;
	struct gi_error *err;

	if (!go->layout.waitgroup.rec.ok)
		return no_layout("sync.WaitGroup");
	err = gi_go_bytes(go, addr, (size_t)go->layout.waitgroup.rec.size, &buf, &rec);
	if (err)
		return gi_error_wrap(err, "WaitGroup at 0x%llx", ULL(addr));
	// The counter is the upper half; below it the count of waiters, whose top bit is
	// a flag of testing/synctest from 1.25 on, and never set before.
	state = gi_field_uint(rec, go->layout.waitgroup.state);
	*ret = (struct gi_waitgroup){
		.counter = (int32_t)(uint32_t)(state >> 32),
		.waiters = (uint32_t)state & INT32_MAX,
		.sema_addr = addr + go->layout.waitgroup.sema.off,
	};
	return NULL;
}

bool gi_go_sync_layout(struct gi_go *go, struct gi_sync_layout *ret)
{
	const struct gi_layout *l = &go->layout;

	if (!l->mutex.rec.ok)
		return false;
	// A type that is not in the program has size 0.
	*ret = (struct gi_sync_layout){
		.mutex_sema = l->mutex.sema.off,
		.mutex_size = l->mutex.rec.size,
	};
	if (l->rwmutex.rec.ok) {
		ret->rwmutex_w = l->rwmutex.w.off;
		ret->rwmutex_writer_sem = l->rwmutex.writer_sem.off;
		ret->rwmutex_reader_sem = l->rwmutex.reader_sem.off;
		ret->rwmutex_reader_count = l->rwmutex.reader_count.off;
		ret->rwmutex_size = l->rwmutex.rec.size;
	}
	if (l->waitgroup.rec.ok) {
		ret->waitgroup_sema = l->waitgroup.sema.off;
		ret->waitgroup_size = l->waitgroup.rec.size;
	}
	if (l->once.rec.ok) {
		ret->once_m = l->once.m.off;
		ret->once_size = l->once.rec.size;
	}
	if (l->cond.rec.ok) {
		ret->cond_l = l->cond.locker.off;
		ret->cond_notify = l->cond.notify.off;
		ret->cond_size = l->cond.rec.size;
	}
	return true;
}

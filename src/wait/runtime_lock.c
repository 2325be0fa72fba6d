// Who waits for the runtime's own locks, and who has them.
//
// Theory. A lock is one word. Up to Go 1.23 an M that has to wait makes that word 2 and has the
// kernel wake it by the word's address. From 1.24 on it sleeps on a word of its own, m.waitsema,
// and pushes itself on a list: the lock's upper bits lead to the first M, whose mWaitList.next
// leads to the next. No M notes which lock it waits for, but its frame of runtime.lock2 has the
// lock's address, and of all words there the right one is that from which the list comes back to
// the M: so the answer is exact.
//
// Who has a lock is recorded nowhere. An M counts its locks in m.locks (and, before 1.27, other
// reasons not to be interrupted, in the same number); whoever waits in lock2 has counted the lock
// that it waits for already. If one M remains that has any, it is that one. If more remain, the
// one whose frames hold the lock's address. Source: src/runtime/lock_futex.go, lock_spinbit.go,
// Go 1.18 to 1.27.

#include "gcore/runtime_lock.h"
#include "gcore/sched.h"
#include "gcore/syscall.h"
#include "go/go_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
	LOCK_SLEEPING = 2,    // up to 1.23: the word's value when somebody sleeps on it
	SPINBIT_LOCKED = 0x1, // from 1.24
	SPINBIT_SLEEPING = 0x2,
	SPINBIT_FLAGS = 0x303, // of the lower bits, those that have a meaning
	SPINBIT_MASK = 0x3ff,
	MUTEX_LOCKS = 16, // from 1.27: what one lock adds to m.locks
	FUTEX_COMMANDS = 0x7f,
	LOCK2_FRAMES = 24, // a signal's handler and its frames may be in front of it
	HOLDER_FRAMES = 100,
	FRAME_BYTES = 1 << 16, // no frame that matters is larger
	SPILLED = 64,	       // bytes of the caller's frame where a function may put its arguments
};

struct gi_lock_waits {
	struct gi_lock_wait *w;
	size_t n, cap;
};

/** What is asked of the frames of one thread. */
struct frames {
	struct gi_go *go;
	const struct gi_m *m;
	bool in_lock2;
	uint64_t want; // an address that is looked for in all frames, 0: none
	bool has_want;
	uint64_t lock; // that the M is on the list of
};

// --- the list of those that wait, from 1.24 -----------------------------------------------

static const struct gi_m *m_by_upper_bits(struct gi_go *go, uint64_t key)
{
	for (size_t i = 0; i < gi_go_m_count(go); i++) {
		const struct gi_m *m = gi_go_m(go, i);

		if (((m->addr ^ key) & ~(uint64_t)SPINBIT_MASK) == 0)
			return m;
	}
	return NULL;
}

// Does the list that begins in the word at addr have m?
static bool waits_on_list(struct gi_go *go, uint64_t addr, const struct gi_m *m)
{
	const struct gi_field next = go->layout.m.wait_next;
	const uint64_t low = SPINBIT_MASK;
	const struct gi_m *at;
	uint64_t key;

	if (!next.ok || addr % 8 || !gi_target_peek_u64(go->target, addr, &key) || !(key & ~low) ||
	    (key & low & ~(uint64_t)SPINBIT_FLAGS) ||
	    !(key & (SPINBIT_LOCKED | SPINBIT_SLEEPING)) || gi_go_m_by_addr(go, key))
		return false;
	at = m_by_upper_bits(go, key);
	for (size_t i = 0; at && i < gi_go_m_count(go); i++) {
		if (at == m)
			return true;
		if (!gi_target_peek_u64(go->target, at->addr + next.off, &key))
			return false;
		at = gi_go_m_by_addr(go, key);
	}
	return false;
}

// --- frames ---------------------------------------------------------------------------------

static void look_at(struct frames *x, uint64_t v, bool lock2)
{
	if (x->want && v == x->want)
		x->has_want = true;
	if (lock2 && !x->lock && v && waits_on_list(x->go, v, x->m))
		x->lock = v;
}

static bool see_frame(void *arg, const struct gi_frame *f)
{
	struct frames *x = arg;
	const bool lock2 = strcmp(f->name, "runtime.lock2") == 0;

	if (f->kind == GI_FRAME_INLINED)
		return true;
	x->in_lock2 |= lock2;
	if ((lock2 || x->want) && f->cfa > f->sp && f->cfa - f->sp < FRAME_BYTES) {
		for (uint64_t at = (f->sp + 7) & ~UINT64_C(7); at < f->cfa + SPILLED; at += 8) {
			uint64_t v;

			if (gi_target_peek_u64(x->go->target, at, &v))
				look_at(x, v, lock2);
		}
	}
	return x->want ? !x->has_want : !lock2;
}

static void walk(struct frames *x, struct gi_unwinder *u, size_t max)
{
	struct gi_error *why = NULL, *err;

	err = gi_unwind_thread(u, x->m->thread - 1, 0, max, see_frame, x, &why);
	gi_error_ignore(err);
	gi_error_ignore(why);
}

// --- waits ----------------------------------------------------------------------------------

static bool futex_word(struct gi_unwinder *u, const struct gi_m *m, uint64_t *ret)
{
	struct gi_syscall call;
	bool broken_off;

	if (!m->thread || !gi_unwind_syscall(u, m->thread - 1, &call, &broken_off) || !call.name ||
	    strcmp(call.name, "futex") != 0 || (call.known & 3) != 3 ||
	    (call.args[1] & FUTEX_COMMANDS) != 0)
		return false;
	*ret = call.args[0];
	return true;
}

static bool is_locked(struct gi_go *go, uint64_t lock)
{
	uint64_t key;

	if (!go->layout.m.wait_sema.ok) // the kernel knows words of 32 bits
		return gi_target_peek_u64(go->target, lock, &key) && (uint32_t)key;
	return gi_target_peek_u64(go->target, lock, &key) && (key & SPINBIT_LOCKED);
}

// *ret is left alone if m waits for no lock.
static bool wait_of(struct gi_go *go, struct gi_unwinder *u, const struct gi_m *m, uint64_t *ret)
{
	const struct gi_field sema = go->layout.m.wait_sema, park = go->layout.m.park;
	uint64_t word, key;

	// Who waits has counted the lock already.
	if (m->locks <= 0 || !futex_word(u, m, &word))
		return false;
	if (sema.ok) {
		struct frames x = {.go = go, .m = m};

		if (word != m->addr + sema.off)
			return false;
		walk(&x, u, LOCK2_FRAMES);
		*ret = x.lock;
		return true;
	}
	// A note that somebody sleeps on is 0.
	if ((park.ok && word == m->addr + park.off) ||
	    !gi_target_peek_u64(go->target, word, &key) || (uint32_t)key != LOCK_SLEEPING)
		return false;
	*ret = word;
	return true;
}

// --- holders --------------------------------------------------------------------------------

// How many locks the M has, at most, but for the one that it is about to get.
static int32_t locks_of(struct gi_go *go, struct gi_unwinder *u, const struct gi_m *m)
{
	struct frames x = {.go = go, .m = m};
	int32_t locks = gi_go_at_least(go, 1, 27) ? m->locks / MUTEX_LOCKS : m->locks;

	if (locks <= 0 || !m->thread)
		return 0;
	walk(&x, u, LOCK2_FRAMES);
	return locks - x.in_lock2;
}

// Nobody waits for a lock that it has: the program would have stopped on that.
static bool waits_for(const struct gi_lock_waits *all, const struct gi_m *m, uint64_t lock)
{
	const struct gi_lock_wait *w = gi_lock_waits_of(all, m);

	return w && w->lock == lock;
}

static void find_holder(struct gi_go *go, struct gi_unwinder *u, const struct gi_lock_waits *all,
			const struct gi_m **holders, size_t n, struct gi_lock_wait *w)
{
	const struct gi_m *last = NULL, *with_address = NULL;
	size_t candidates = 0, have = 0;

	if (!w->lock)
		return;
	if (!is_locked(go, w->lock)) {
		w->evidence = GI_LOCK_FREE;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct frames x = {.go = go, .m = holders[i], .want = w->lock};

		if (waits_for(all, holders[i], w->lock))
			continue;
		last = holders[i];
		candidates++;
		walk(&x, u, HOLDER_FRAMES);
		if (x.has_want) {
			with_address = holders[i];
			have++;
		}
	}
	if (candidates == 1) {
		w->holder = last;
		w->evidence = GI_LOCK_ONLY_ONE;
	} else if (have == 1) {
		w->holder = with_address;
		w->evidence = GI_LOCK_ON_STACK;
	}
}

static struct gi_error *add(struct gi_lock_waits *all, const struct gi_m *m, uint64_t lock)
{
	struct gi_error *err = gi_grow(&all->w, &all->cap, all->n + 1, sizeof(*all->w));

	if (!err)
		all->w[all->n++] = (struct gi_lock_wait){.m = m, .lock = lock};
	return err;
}

struct gi_error *gi_lock_waits_create(struct gi_go *go, struct gi_unwinder *u,
				      struct gi_lock_waits **ret)
{
	_cleanup_(gi_lock_waits_destroyp) struct gi_lock_waits *all = NULL;
	_cleanup_(gi_freep) const struct gi_m **holders = NULL;
	size_t n = 0;

	all = calloc(1, sizeof(*all));
	holders = calloc(gi_go_m_count(go) + 1, sizeof(struct gi_m *));
	if (!all || !holders)
		return gi_error_nomem();
	for (size_t i = 0; u && i < gi_go_m_count(go); i++) {
		uint64_t lock = 0;
		struct gi_error *err = gi_interrupt_check();

		if (!err && wait_of(go, u, gi_go_m(go, i), &lock))
			err = add(all, gi_go_m(go, i), lock);
		if (err)
			return err;
	}
	for (size_t i = 0; all->n && i < gi_go_m_count(go); i++) {
		if (locks_of(go, u, gi_go_m(go, i)) > 0)
			holders[n++] = gi_go_m(go, i);
	}
	for (size_t i = 0; i < all->n; i++) {
		// Those that wait for the same lock have the same answer.
		size_t same = 0;

		while (same < i && all->w[same].lock != all->w[i].lock)
			same++;
		if (same < i) {
			all->w[i].holder = all->w[same].holder;
			all->w[i].evidence = all->w[same].evidence;
		} else {
			find_holder(go, u, all, holders, n, &all->w[i]);
		}
	}
	*ret = all;
	all = NULL;
	return NULL;
}

void gi_lock_waits_destroy(struct gi_lock_waits *w)
{
	if (!w)
		return;
	free(w->w);
	free(w);
}

size_t gi_lock_waits_count(const struct gi_lock_waits *w)
{
	return w->n;
}

const struct gi_lock_wait *gi_lock_waits_at(const struct gi_lock_waits *w, size_t i)
{
	return i < w->n ? &w->w[i] : NULL;
}

const struct gi_lock_wait *gi_lock_waits_of(const struct gi_lock_waits *w, const struct gi_m *m)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->w[i].m == m)
			return &w->w[i];
	}
	return NULL;
}

const char *gi_lock_evidence_name(enum gi_lock_evidence evidence)
{
	switch (evidence) {
	case GI_LOCK_ONLY_ONE:
		return "only-one";
	case GI_LOCK_ON_STACK:
		return "on-stack";
	case GI_LOCK_NO_HOLDER:
	case GI_LOCK_FREE:
		break;
	}
	return NULL;
}

void gi_lock_wait_format(struct gi_go *go, const struct gi_lock_wait *w, struct gi_str *ret)
{
	if (!w->lock) {
		gi_str_puts(ret, "a lock of the runtime");
		return;
	}
	gi_go_lock_name(go, w->lock, ret);
	if (w->evidence == GI_LOCK_FREE)
		gi_str_puts(ret, ", which is changing hands");
	else if (!w->holder)
		gi_str_puts(ret, ", holder unknown");
	else
		gi_str_printf(
			ret, ", held by M %lld (inferred: %s)", (long long)w->holder->id,
			w->evidence == GI_LOCK_ONLY_ONE
				? "no other M has one that could be it"
				: "of those with locks only it has the lock's address in its frames");
}

struct gi_error *gi_lock_wait_of_m(struct gi_go *go, struct gi_unwinder *u, const struct gi_m *m,
				   struct gi_str *ret)
{
	_cleanup_(gi_lock_waits_destroyp) struct gi_lock_waits *all = NULL;

	// Who waits for one counts as a holder of locks already.
	if (m->locks <= 0)
		return NULL;
	struct gi_error *err = gi_lock_waits_create(go, u, &all);
	if (err)
		return err;
	const struct gi_lock_wait *w = gi_lock_waits_of(all, m);
	if (w)
		gi_lock_wait_format(go, w, ret);
	return NULL;
}

// What a thread that sleeps in the C library waits for.
//
// The kernel is given the address of one word (a futex). Which object that is in is told by the
// functions on the thread's stack; where they have no names, a word with the shape of a mutex that
// is held by a thread of this process, or one that ends with such a thread, is enough. The object's
// own state then says who has it.
//
// That state counts only as far as it agrees with the sleep: a mutex that is being handed over is
// free, or has no owner yet, and its waiters are about to wake up. glibc clears a mutex's owner
// before it lets go of the lock word and sets it after it has taken it, so a word that says
// "locked, with waiters" beside an owner is settled. Robust and priority-inheriting mutexes have
// the owner's id in the word itself, as have those of musl that are not of the normal kind; musl's
// normal mutex records no owner at all.
//
// Sources: glibc sysdeps/nptl/bits/pthreadtypes.h, nptl/pthread_mutex_lock.c,
// pthread_rwlock_common.c, pthread_cond_wait.c, sem_waitcommon.c, libio/libioP.h (2.25 to 2.42);
// musl src/internal/pthread_impl.h, src/thread (1.1.24 to 1.2.5); linux/futex.h.

#include "gcore/syscall.h"
#include "gcore/wait.h"
#include "wait/pthread.h"

#include <string.h>

enum {
	MAX_FRAMES = 64,  // a signal handler's are among them
	MAX_SCAN = 64,	  // words of a stack that cannot be unwound
	MAX_C_FRAMES = 8, // from the call to the function that has a name
	FUTEX_COMMANDS = 0x7f,
	TID_MASK = 0x3fffffff,
	OWNER_DIED = 0x40000000,
};
#define WAITERS UINT32_C(0x80000000)

// --- the function that waits --------------------------------------------------------------

struct known_function {
	const char *name; // without the underscores that it begins with
	enum gi_pthread_kind kind;
	bool write;
};

static const struct known_function functions[] = {
	{"pthread_mutex_lock", GI_PTHREAD_MUTEX, false},
	{"pthread_mutex_lock_full", GI_PTHREAD_MUTEX, false},
	{"pthread_mutex_cond_lock", GI_PTHREAD_MUTEX, false},
	{"pthread_mutex_cond_lock_full", GI_PTHREAD_MUTEX, false},
	{"pthread_mutex_timedlock", GI_PTHREAD_MUTEX, false},
	{"pthread_mutex_clocklock", GI_PTHREAD_MUTEX, false},
	{"pthread_mutex_clocklock_common", GI_PTHREAD_MUTEX, false},
	{"mtx_lock", GI_PTHREAD_MUTEX, false},
	{"mtx_timedlock", GI_PTHREAD_MUTEX, false},
	{"pthread_rwlock_rdlock", GI_PTHREAD_RWLOCK, false},
	{"pthread_rwlock_timedrdlock", GI_PTHREAD_RWLOCK, false},
	{"pthread_rwlock_clockrdlock", GI_PTHREAD_RWLOCK, false},
	{"pthread_rwlock_rdlock_full64", GI_PTHREAD_RWLOCK, false},
	{"pthread_rwlock_wrlock", GI_PTHREAD_RWLOCK, true},
	{"pthread_rwlock_timedwrlock", GI_PTHREAD_RWLOCK, true},
	{"pthread_rwlock_clockwrlock", GI_PTHREAD_RWLOCK, true},
	{"pthread_rwlock_wrlock_full64", GI_PTHREAD_RWLOCK, true},
	{"pthread_cond_wait", GI_PTHREAD_COND, false},
	{"pthread_cond_timedwait", GI_PTHREAD_COND, false},
	{"pthread_cond_timedwait64", GI_PTHREAD_COND, false},
	{"pthread_cond_clockwait", GI_PTHREAD_COND, false},
	{"pthread_cond_wait_common", GI_PTHREAD_COND, false},
	{"cnd_wait", GI_PTHREAD_COND, false},
	{"cnd_timedwait", GI_PTHREAD_COND, false},
	{"pthread_join", GI_PTHREAD_JOIN, false},
	{"pthread_clockjoin_ex", GI_PTHREAD_JOIN, false},
	{"pthread_timedjoin_ex", GI_PTHREAD_JOIN, false},
	{"pthread_timedjoin_np", GI_PTHREAD_JOIN, false},
	{"pthread_clockjoin_np", GI_PTHREAD_JOIN, false},
	{"thrd_join", GI_PTHREAD_JOIN, false},
	{"new_sem_wait", GI_PTHREAD_SEMAPHORE, false},
	{"new_sem_wait_slow", GI_PTHREAD_SEMAPHORE, false},
	{"new_sem_wait_slow64", GI_PTHREAD_SEMAPHORE, false},
	{"sem_wait", GI_PTHREAD_SEMAPHORE, false},
	{"sem_timedwait", GI_PTHREAD_SEMAPHORE, false},
	{"sem_clockwait", GI_PTHREAD_SEMAPHORE, false},
	{"pthread_once", GI_PTHREAD_ONCE, false},
	{"pthread_once_slow", GI_PTHREAD_ONCE, false},
	{"call_once", GI_PTHREAD_ONCE, false},
	{"pthread_barrier_wait", GI_PTHREAD_BARRIER, false},
	{"cxa_guard_acquire", GI_PTHREAD_GUARD, false},
	{"flockfile", GI_PTHREAD_FILE, false},
	{"lockfile", GI_PTHREAD_FILE, false},
	{"lll_lock_wait_private", GI_PTHREAD_LOCK, false},
};

static const struct known_function *find_function(const char *name)
{
	// Names inside of glibc: "__GI___pthread_cond_wait".
	name += strspn(name, "_");
	if (strncmp(name, "GI_", 3) == 0)
		name += 3 + strspn(name + 3, "_");
	const size_t n = strcspn(name, "@.");
	for (size_t i = 0; i < GI_ARRAY_SIZE(functions); i++) {
		if (strlen(functions[i].name) == n && strncmp(functions[i].name, name, n) == 0)
			return &functions[i];
	}
	return NULL;
}

bool gi_pthread_is_waiting_function(const char *name)
{
	return find_function(name) || strstr(name, "lll_lock_wait") || strstr(name, "futex");
}

struct top {
	const struct known_function *f;
	bool handler;  // in a signal's handler, as far as was seen
	bool resumed;  // what the signal interrupted is next
	unsigned seen; // C frames
	uint64_t sp;   // of the last of them
};

static bool look_at_frame(void *arg, const struct gi_frame *f)
{
	struct top *top = arg;

	if (f->kind == GI_FRAME_SIGNAL) {
		top->resumed = true;
		return true;
	}
	if (f->kind != GI_FRAME_C && f->kind != GI_FRAME_GUESSED) {
		// It may be a handler that was itself interrupted by the signal.
		const bool on = top->handler && !top->seen;
		top->resumed = false;
		return on;
	}
	if (top->handler && !top->resumed && !top->seen)
		return true;
	top->seen++;
	top->sp = f->sp;
	top->f = find_function(f->name);
	return !top->f && top->seen < MAX_C_FRAMES;
}

/**
 * A library without call frame information, as musl is: the return addresses that lie on the stack
 * next. One of them may be left over from an earlier call, so this tells no more than a kind.
 */
static const struct known_function *scan_stack(struct gi_target *t, uint64_t sp)
{
	const struct known_function *f = NULL;
	uint64_t v, bias;
	struct gi_elf_symbol sym;

	for (size_t i = 0; i < MAX_SCAN && !f; i++) {
		if (!gi_target_peek_u64(t, sp + i * 8, &v))
			return NULL;
		const struct gi_mapping *map = gi_target_mapping_at(t, v);
		if (map && (map->flags & GI_MAP_X) && gi_target_symbol_at(t, v - 1, &sym, &bias))
			f = find_function(sym.name);
	}
	return f;
}

/** False if it is not C code that made the call. */
static bool find_top(const struct gi_pthreads *p, struct gi_unwinder *u, size_t thread,
		     bool in_handler, const struct known_function **ret)
{
	struct top top = {.handler = in_handler};
	struct gi_error *why = NULL, *err;

	err = gi_unwind_thread(u, thread, GI_UNWIND_NO_INLINE, MAX_FRAMES, look_at_frame, &top,
			       &why);
	gi_error_ignore(err);
	if (!top.f && why && top.seen)
		top.f = scan_stack(p->t, top.sp);
	gi_error_ignore(why);
	*ret = top.f;
	return top.seen > 0;
}

// --- objects --------------------------------------------------------------------------------

static bool read_u32s(const struct gi_pthreads *p, uint64_t addr, uint32_t *ret, size_t n)
{
	uint8_t buf[64];
	struct gi_error *err;

	if (n * 4 > sizeof(buf))
		return false;
	err = gi_target_read(p->t, addr, buf, n * 4);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		ret[i] = gi_load_u32(buf + i * 4);
	return true;
}

static void set_owner(const struct gi_pthreads *p, uint32_t tid, struct gi_pthread_wait *w)
{
	size_t thread;

	w->owner_tid = tid;
	if (gi_pthreads_by_tid(p, tid, &thread))
		w->owner = (uint32_t)thread + 1;
}

// lock, count, owner, users, kind.
static bool glibc_mutex(const struct gi_pthreads *p, struct gi_pthread_wait *w)
{
	// Robust ones are marked as shared, too: the kernel marks what a dead thread had.
	enum { ROBUST = 16, INHERITS = 32, SHARED = 128, KNOWN = 0x3ff };
	uint32_t v[5];

	if (!read_u32s(p, w->word, v, 5) || v[4] & ~(uint32_t)KNOWN ||
	    (v[4] & 15) > GI_PTHREAD_ADAPTIVE)
		return false;
	w->addr = w->word;
	w->mutex = v[4] & 3;
	w->robust = v[4] & ROBUST;
	w->inherits = v[4] & INHERITS;
	w->shared = v[4] & SHARED;
	w->has_state = true;
	w->count = w->mutex == GI_PTHREAD_RECURSIVE ? v[1] : 0;
	if (w->robust || w->inherits) {
		set_owner(p, v[0] & TID_MASK, w);
		w->settled = (v[0] & WAITERS) && !(v[0] & OWNER_DIED) && w->owner_tid;
	} else {
		set_owner(p, v[0] ? v[2] : 0, w);
		w->settled = v[0] == 2 && w->owner_tid && v[3];
	}
	return true;
}

// type, lock, waiters, and count at 20. The word is the lock.
static bool musl_mutex(const struct gi_pthreads *p, struct gi_pthread_wait *w)
{
	enum { SHARED = 128, ROBUST = 4, INHERITS = 8, KNOWN = SHARED | 15 };
	uint32_t v[6];

	if (!read_u32s(p, w->word - 4, v, 6) || v[0] & ~(uint32_t)KNOWN || (v[0] & 3) > 2)
		return false;
	w->addr = w->word - 4;
	w->mutex = v[0] & 3;
	w->robust = v[0] & ROBUST;
	w->inherits = v[0] & INHERITS;
	w->shared = v[0] & SHARED;
	w->has_state = true;
	w->count = w->mutex == GI_PTHREAD_RECURSIVE ? v[5] + 1 : 0;
	if (v[0] & 15) {
		set_owner(p, v[1] & TID_MASK, w);
		w->settled = (v[1] & WAITERS) && !(v[1] & OWNER_DIED) && w->owner_tid;
	}
	return true;
}

static void see_mutex(const struct gi_pthreads *p, struct gi_pthread_wait *w)
{
	if (p->library == GI_C_LIBRARY_MUSL)
		musl_mutex(p, w);
	else
		glibc_mutex(p, w);
}

// readers, writers, the words that phases and writers wait on, two of padding, writer.
static void glibc_rwlock(const struct gi_pthreads *p, struct gi_pthread_wait *w)
{
	enum { WRITE_PHASE = 1, WRITE_LOCKED = 2, WAITING = 4, SHIFT = 3 };
	uint32_t v[7], value;

	if (!read_u32s(p, w->word, &value, 1))
		return;
	if (w->word % 8)
		w->addr = w->word - 12;
	else
		w->addr = value < WAITING ? w->word - 8 : w->word;
	if (!read_u32s(p, w->addr, v, 7))
		return;
	w->has_state = true;
	if (v[0] & WRITE_PHASE) {
		if (v[0] & WRITE_LOCKED)
			set_owner(p, v[6], w);
		w->settled = w->owner_tid != 0;
	} else {
		w->readers = v[0] >> SHIFT;
	}
}

static void musl_rwlock(const struct gi_pthreads *p, struct gi_pthread_wait *w)
{
	enum { WRITER = 0x7fffffff };
	uint32_t v;

	w->addr = w->word;
	if (!read_u32s(p, w->word, &v, 1))
		return;
	w->has_state = true;
	v &= WRITER;
	w->readers = v == WRITER ? 0 : v;
}

/** The counts of waits at addr can be a condition's: both are twice a number and a bit. */
static bool is_cond(const struct gi_pthreads *p, uint64_t addr)
{
	enum { MAX_GROUP = 1 << 24 };
	uint64_t sequence, start;

	return gi_target_peek_u64(p->t, addr, &sequence) &&
	       gi_target_peek_u64(p->t, addr + 8, &start) && sequence >= 2 &&
	       start / 2 <= sequence / 2 && sequence / 2 - start / 2 < MAX_GROUP;
}

// The word is one of two signals; what refers to the condition is counted right before them.
static void glibc_cond(const struct gi_pthreads *p, struct gi_pthread_wait *w)
{
	enum { SIGNALS = 40, SIGNALS_241 = 32, SHIFT = 3 };
	const uint64_t signals = w->word & ~(uint64_t)7;
	uint32_t refs;

	if (is_cond(p, signals - SIGNALS))
		w->addr = signals - SIGNALS;
	else if (is_cond(p, signals - SIGNALS_241))
		w->addr = signals - SIGNALS_241;
	if (!w->addr || !read_u32s(p, signals - 4, &refs, 1))
		return;
	w->has_state = true;
	w->waiters = refs >> SHIFT;
}

static void see_semaphore(const struct gi_pthreads *p, struct gi_pthread_wait *w)
{
	uint32_t v[2];

	// Both libraries: the value, how many wait.
	w->addr = w->word;
	if (!read_u32s(p, w->word, v, 2))
		return;
	w->has_state = true;
	w->waiters = v[1];
}

/** The word, if it is the one that changes when a thread ends. */
static bool see_join(const struct gi_pthreads *p, struct gi_pthread_wait *w)
{
	for (size_t i = 0; i < p->n; i++) {
		uint32_t v;

		if (gi_pthreads_join_word(p, i) != w->word || !read_u32s(p, w->word, &v, 1))
			continue;
		w->kind = GI_PTHREAD_JOIN;
		w->addr = w->word;
		w->has_state = true;
		w->owner = (uint32_t)i + 1;
		w->owner_tid = p->tids[i];
		w->settled = v != 0;
		return true;
	}
	return false;
}

/** A lock of stdio: the word, how often it is held, and the descriptor of the thread that has it.
 */
static bool see_file(const struct gi_pthreads *p, struct gi_pthread_wait *w)
{
	uint32_t v[2];
	uint64_t owner;

	w->addr = w->word;
	if (p->library != GI_C_LIBRARY_GLIBC) {
		if (!read_u32s(p, w->word, v, 1))
			return false;
		w->has_state = true;
		set_owner(p, v[0] & TID_MASK, w);
		w->settled = (v[0] & OWNER_DIED) && w->owner_tid; // here: somebody waits
		return true;
	}
	if (!read_u32s(p, w->word, v, 2) || !gi_target_peek_u64(p->t, w->word + 8, &owner))
		return false;
	for (size_t i = 0; owner && v[1] && i < p->n; i++) {
		if (gi_pthreads_descriptor(p, i) != owner)
			continue;
		w->kind = GI_PTHREAD_FILE;
		w->has_state = true;
		w->owner = (uint32_t)i + 1;
		w->owner_tid = p->tids[i];
		w->settled = v[0] == 2;
		return true;
	}
	return false;
}

/** Without a name: only what a thread of this process vouches for. */
static bool guess(const struct gi_pthreads *p, struct gi_pthread_wait *w)
{
	const struct gi_pthread_wait before = *w;

	w->kind = GI_PTHREAD_MUTEX;
	see_mutex(p, w);
	if (w->settled && w->owner)
		return true;
	*w = before;
	return p->library == GI_C_LIBRARY_GLIBC && see_file(p, w);
}

static bool see_object(const struct gi_pthreads *p, const struct known_function *f,
		       struct gi_pthread_wait *w)
{
	if (see_join(p, w))
		return true;
	if (!f)
		return guess(p, w);
	w->kind = f->kind;
	w->write = f->write;
	switch (f->kind) {
	case GI_PTHREAD_MUTEX:
		see_mutex(p, w);
		break;
	case GI_PTHREAD_RWLOCK:
		if (p->library == GI_C_LIBRARY_MUSL)
			musl_rwlock(p, w);
		else
			glibc_rwlock(p, w);
		break;
	case GI_PTHREAD_COND:
		// musl's waiters each sleep on a word on their own stack.
		if (p->library == GI_C_LIBRARY_GLIBC)
			glibc_cond(p, w);
		break;
	case GI_PTHREAD_SEMAPHORE:
		see_semaphore(p, w);
		break;
	case GI_PTHREAD_FILE:
	case GI_PTHREAD_LOCK:
		see_file(p, w);
		break;
	case GI_PTHREAD_ONCE:
	case GI_PTHREAD_GUARD:
	case GI_PTHREAD_BARRIER:
		w->addr = w->word;
		break;
	case GI_PTHREAD_JOIN:
		break;
	}
	return true;
}

bool gi_pthreads_wait(const struct gi_pthreads *p, struct gi_unwinder *u, size_t thread,
		      struct gi_pthread_wait *ret)
{
	enum { WAIT = 0, LOCK_PI = 6, WAIT_BITSET = 9, LOCK_PI2 = 13 };
	struct gi_syscall call;
	bool broken_off;

	if (!p->library || !gi_unwind_syscall(u, thread, &call, &broken_off) || !call.name ||
	    strcmp(call.name, "futex") != 0 || (call.known & 3) != 3)
		return false;
	const uint64_t op = call.args[1] & FUTEX_COMMANDS;
	if (op != WAIT && op != LOCK_PI && op != WAIT_BITSET && op != LOCK_PI2)
		return false;
	struct gi_pthread_wait w = {.word = call.args[0]};
	const struct known_function *f;
	w.timed = !(call.known >> 3 & 1) || call.args[3];
	if (!find_top(p, u, thread, broken_off, &f) || !see_object(p, f, &w))
		return false;
	// The kernel refuses a thread that has the mutex already, and writes the next owner's id before
	// that one runs: so it has been given what it slept for.
	if ((op == LOCK_PI || op == LOCK_PI2) && w.owner == thread + 1) {
		w.given = true;
		w.settled = false;
	}
	*ret = w;
	return true;
}

// --- words ----------------------------------------------------------------------------------

const char *gi_pthread_kind_name(enum gi_pthread_kind kind)
{
	static const char *const names[] = {
		[GI_PTHREAD_MUTEX] = "pthread-mutex",
		[GI_PTHREAD_RWLOCK] = "pthread-rwlock",
		[GI_PTHREAD_COND] = "pthread-cond",
		[GI_PTHREAD_JOIN] = "pthread-join",
		[GI_PTHREAD_SEMAPHORE] = "pthread-semaphore",
		[GI_PTHREAD_ONCE] = "pthread-once",
		[GI_PTHREAD_BARRIER] = "pthread-barrier",
		[GI_PTHREAD_GUARD] = "c++-guard",
		[GI_PTHREAD_FILE] = "stdio-lock",
		[GI_PTHREAD_LOCK] = "libc-lock",
	};

	return (size_t)kind < GI_ARRAY_SIZE(names) ? names[kind] : "?";
}

static void put_kind(const struct gi_pthread_wait *w, struct gi_str *s)
{
	static const char *const names[] = {
		[GI_PTHREAD_MUTEX] = "pthread mutex",
		[GI_PTHREAD_RWLOCK] = "pthread rwlock",
		[GI_PTHREAD_COND] = "pthread condition variable",
		[GI_PTHREAD_JOIN] = "the end of a thread",
		[GI_PTHREAD_SEMAPHORE] = "semaphore",
		[GI_PTHREAD_ONCE] = "pthread_once",
		[GI_PTHREAD_BARRIER] = "pthread barrier",
		[GI_PTHREAD_GUARD] = "initialisation of a static variable",
		[GI_PTHREAD_FILE] = "lock of a FILE",
		[GI_PTHREAD_LOCK] = "lock inside of libc",
	};

	gi_str_puts(s, names[w->kind]);
	if (w->addr) {
		gi_str_putc(s, ' ');
		gi_str_put_hex(s, w->addr);
	}
}

static void put_mutex(const struct gi_pthread_wait *w, struct gi_str *s)
{
	static const char *const kinds[] = {
		[GI_PTHREAD_NORMAL] = "normal",
		[GI_PTHREAD_RECURSIVE] = "recursive",
		[GI_PTHREAD_ERRORCHECK] = "errorcheck",
		[GI_PTHREAD_ADAPTIVE] = "adaptive",
	};

	gi_str_puts(s, kinds[w->mutex]);
	if (w->robust)
		gi_str_puts(s, ", robust");
	if (w->inherits)
		gi_str_puts(s, ", priority inheritance");
	if (w->mutex == GI_PTHREAD_RECURSIVE && w->owner_tid)
		gi_str_printf(s, ", count %u", w->count);
}

static void put_owner(struct gi_go *go, const struct gi_pthread_wait *w, struct gi_str *s)
{
	if (w->given) {
		gi_str_puts(s, " that it has just been given");
	} else if (w->owner) {
		gi_str_puts(s, " held by ");
		gi_thread_format(go, w->owner - 1, s);
	} else if (w->owner_tid) {
		gi_str_printf(s, " held by thread %llu, which is %s",
			      (unsigned long long)w->owner_tid,
			      w->shared ? "not of this process" : "gone");
	}
}

bool gi_pthread_state_format(struct gi_go *go, const struct gi_object *o, struct gi_str *s)
{
	_cleanup_(gi_pthreads_destroyp) struct gi_pthreads *p = NULL;
	struct gi_pthread_wait w = {.word = o->addr};

	if (o->kind < GI_OBJECT_PTHREAD_MUTEX)
		return false;
	gi_error_ignore(gi_pthreads_create(go, &p));
	if (!p || o->kind != GI_OBJECT_PTHREAD_MUTEX)
		return true;
	if (p->library == GI_C_LIBRARY_MUSL)
		w.word += 4;
	see_mutex(p, &w);
	if (w.has_state)
		put_mutex(&w, s);
	return true;
}

void gi_pthread_wait_format(struct gi_go *go, const struct gi_pthread_wait *w, struct gi_str *s)
{
	if (w->kind == GI_PTHREAD_JOIN) {
		gi_str_puts(s, "the end of ");
		if (w->owner)
			gi_thread_format(go, w->owner - 1, s);
		else
			gi_str_puts(s, "a thread");
		return;
	}
	put_kind(w, s);
	if (!w->has_state)
		return;
	switch (w->kind) {
	case GI_PTHREAD_MUTEX:
		gi_str_puts(s, " (");
		put_mutex(w, s);
		gi_str_puts(s, ")");
		put_owner(go, w, s);
		break;
	case GI_PTHREAD_RWLOCK:
		gi_str_puts(s, w->write ? " (to write)" : " (to read)");
		if (w->readers)
			gi_str_printf(s, " held by %u reader%s", w->readers,
				      w->readers > 1 ? "s" : "");
		put_owner(go, w, s);
		break;
	case GI_PTHREAD_COND:
	case GI_PTHREAD_SEMAPHORE:
		gi_str_printf(s, " with %u waiter%s", w->waiters, w->waiters == 1 ? "" : "s");
		break;
	default:
		put_owner(go, w, s);
	}
}

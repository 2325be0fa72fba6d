// Stopping all threads of a process, so that it can come to no harm.
//
// Threads are seized (PTRACE_SEIZE changes nothing for them), then interrupted
// (PTRACE_INTERRUPT sends no signal), until /proc/PID/task shows none that is new: a thread
// can only be made by one that still runs.
//
// All of it is done by a thread of ours that lives no longer than the stop. The kernel lets go of
// what a thread traces when that ends, whatever the reason: the end of the look, SIGKILL, lack
// of memory. It wakes them, in the state in which they would be without us:
//   a group stop (SIGSTOP) is entered again, since it still holds for the process;
//   a thread that stopped to receive a signal gets it (its exit_code is left as it was);
//   an interrupt that did not come through yet is taken back. So threads that do not stop in time,
//   as in an uninterruptible sleep or vfork(2), are not left behind with one: only a tracer's
//   end can give these back, PTRACE_DETACH needs a thread that stands.
// PTRACE_O_EXITKILL is never set, and neither are options that make threads stop for events.
//
// A signal may come to a seized thread before its interrupt does. It stops then to have it
// approved; it is passed on with the detach, once.
//
// Facts: ptrace(2); kernel/ptrace.c (exit_ptrace, __ptrace_unlink), kernel/signal.c of Linux.

#include "target/live_impl.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "target/arch_impl.h"

enum {
	ROUNDS_MAX = 1000, // of looking for new threads
	REGSET_MAX = 1 << 14,
	SEIZE_TRIES = 10, // of a thread that may be ending
	SEIZE_PAUSE_NS = 200000,
	STATE_LOOK_MS = 20,  // when to ask why a thread does not stop
	ASLEEP_LIMIT_MS = 60, // what an uninterruptible one gets
	HELD_LOOK_MS = 50,   // how often to ask what became of those that are held
	LIMIT_MS = 3000,     // and any other, on a busy machine
};

struct tracee {
	pid_t tid;
	bool stopped, gone;
	bool group_stop; // by a signal, before us
	int signal;	 // that it stopped to receive
};

struct live_tracer {
	struct live *l;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;    // it stands, or err says why not
	bool release; // let go
	struct gi_error *err;
	struct tracee *list;
	size_t count, cap;
	size_t waiting; // interrupted and neither stopped nor gone
	struct gi_arena *registers; // becomes the live one's, if all goes well
};

static uint64_t monotonic_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

// --- stopping -------------------------------------------------------------------

static struct tracee *tracee_find(struct live_tracer *x, pid_t tid)
{
	for (size_t i = 0; i < x->count; i++) {
		if (x->list[i].tid == tid)
			return &x->list[i];
	}
	return NULL;
}

// Seizes one thread, or finds it gone: 0; else why not. The kernel refuses a thread that ends with the same
// EPERM as one that is not ours to trace, and in an execve by another thread the number of the leader, which
// ends, is that of a running thread a moment later: what is refused for good is refused again.
static int seize(struct live_tracer *x, pid_t tid, bool *gone)
{
	for (int try = 0;; try++) {
		if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0)
			return 0;
		int why = errno;
		char state = gi_live_thread_state(x->l->pid, tid);
		// It ended meanwhile; of a leader its zombie stays.
		if (why == ESRCH || !state || state == 'Z' || state == 'X') {
			*gone = true;
			return 0;
		}
		if (why != EPERM || try == SEIZE_TRIES)
			return why;
		nanosleep(&(struct timespec){ .tv_nsec = SEIZE_PAUSE_NS }, NULL);
	}
}

// Seizes the threads that are not yet. *new_ret: how many.
static struct gi_error *seize_new(struct live_tracer *x, size_t *new_ret)
{
	_cleanup_(gi_freep) pid_t *tids = NULL;
	size_t n = 0, cap = 0;
	struct gi_error *err = gi_live_list_threads(x->l->pid, &tids, &n, &cap);
	if (err) {
		gi_error_ignore(err);
		return gi_live_refused(x->l->pid, x->l->pid, ESRCH);
	}
	*new_ret = 0;
	for (size_t i = 0; i < n; i++) {
		if (tracee_find(x, tids[i]))
			continue;
		err = gi_grow(&x->list, &x->cap, x->count + 1, sizeof(*x->list));
		if (err)
			return err;
		struct tracee tr = { .tid = tids[i] };
		int why = seize(x, tids[i], &tr.gone);
		if (why)
			return gi_live_refused(x->l->pid, tids[i], why);
		if (!tr.gone)
			*new_ret += 1;
		x->list[x->count++] = tr;
	}
	return NULL;
}

static void note_stop(struct live_tracer *x, pid_t tid, int status)
{
	struct tracee *tr = tracee_find(x, tid);
	if (!tr || tr->stopped || tr->gone)
		return;
	x->waiting -= x->waiting > 0;
	if (!WIFSTOPPED(status)) {
		tr->gone = true;
		return;
	}
	tr->stopped = true;
	if (status >> 16 != PTRACE_EVENT_STOP)
		tr->signal = WSTOPSIG(status);
	else
		tr->group_stop = WSTOPSIG(status) != SIGTRAP;
}

// Those that do not stop: true if there is nothing to wait for any more.
static bool give_up(struct live_tracer *x, uint64_t ms)
{
	bool all = true;
	for (size_t i = 0; i < x->count; i++) {
		struct tracee *tr = &x->list[i];
		if (tr->stopped || tr->gone)
			continue;
		char state = gi_live_thread_state(x->l->pid, tr->tid);
		if (!state || state == 'X' || state == 'Z') {
			tr->gone = true;
			x->waiting -= x->waiting > 0;
		} else if (state != 'D' || ms < ASLEEP_LIMIT_MS) {
			all = false;
		}
	}
	return all || ms >= LIMIT_MS;
}

static void wait_all(struct live_tracer *x)
{
	uint64_t start = monotonic_ns(), looked = 0;
	unsigned idle = 0;
	while (x->waiting) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG);
		if (tid > 0) {
			note_stop(x, tid, status);
			idle = 0;
			continue;
		}
		uint64_t ms = (monotonic_ns() - start) / 1000000;
		if (ms >= STATE_LOOK_MS && ms - looked >= STATE_LOOK_MS) {
			looked = ms;
			if (give_up(x, ms))
				return;
		}
		struct timespec nap = { .tv_nsec = idle++ < 100 ? 20000 : 200000 };
		nanosleep(&nap, NULL);
	}
}

static struct gi_error *stop_all(struct live_tracer *x)
{
	struct gi_live_stop *stop = &x->l->stop;
	size_t fresh, interrupted = 0;
	struct gi_error *err = seize_new(x, &fresh);
	if (err)
		return err;
	x->l->stopped_at = gi_now();
	for (size_t round = 0; fresh && round < ROUNDS_MAX; round++) {
		for (; interrupted < x->count; interrupted++) {
			struct tracee *tr = &x->list[interrupted];
			if (tr->gone)
				continue;
			if (ptrace(PTRACE_INTERRUPT, tr->tid, NULL, NULL) < 0 && errno == ESRCH)
				tr->gone = true;
			else
				x->waiting++;
		}
		wait_all(x);
		x->waiting = 0;
		err = seize_new(x, &fresh);
		if (err)
			return err;
	}
	stop->stop_ns = (uint64_t)((gi_now() - x->l->stopped_at) * 1e9);
	x->l->core.base.info.monotonic_ns = monotonic_ns() + (uint64_t)x->l->clock_offset;
	return NULL;
}

// --- registers ------------------------------------------------------------------

static const uint8_t *read_regset(struct live_tracer *x, pid_t tid, unsigned type, size_t *len_ret)
{
	uint8_t buf[REGSET_MAX];
	struct iovec iov = { buf, sizeof(buf) };
	if (ptrace(PTRACE_GETREGSET, tid, (void *)(uintptr_t)type, &iov) < 0)
		return NULL;
	uint8_t *copy = gi_arena_alloc(x->registers, iov.iov_len);
	if (copy)
		memcpy(copy, buf, iov.iov_len);
	*len_ret = copy ? iov.iov_len : 0;
	return copy;
}

static void read_thread(struct live_tracer *x, const struct tracee *tr, struct gi_thread *th)
{
	const struct gi_machine *machine = gi_target_machine(&x->l->core.base);
	uint8_t note[GI_PRSTATUS_REGS + 1024];
	struct iovec iov = { note + GI_PRSTATUS_REGS, sizeof(note) - GI_PRSTATUS_REGS };
	*th = (struct gi_thread){ .tid = tr->tid, .signal = tr->signal, .regs = { .arch = machine->arch } };
	if (!tr->stopped || ptrace(PTRACE_GETREGSET, tr->tid, (void *)(uintptr_t)NT_PRSTATUS, &iov) < 0) {
		if (!gi_live_sleeping_regs(x->l, tr->tid, &th->regs))
			th->regs = (struct gi_regs){ .arch = machine->arch };
		return;
	}
	for (size_t i = 0; i < machine->prstatus_count; i++) {
		const struct gi_reg_slot *slot = &machine->prstatus[i];
		if (slot->off + 8u <= GI_PRSTATUS_REGS + iov.iov_len)
			gi_regs_set(&th->regs, slot->reg, gi_load_u64(note + slot->off));
	}
	size_t len;
	const uint8_t *tls = machine->tls_note ? read_regset(x, tr->tid, machine->tls_note, &len) : NULL;
	if (tls && len >= 8)
		gi_regs_set(&th->regs, machine->tls, gi_load_u64(tls));
	if (machine->arch == GI_ARCH_AMD64)
		th->xstate = read_regset(x, tr->tid, NT_X86_XSTATE, &th->xstate_len);
	th->fpregs = read_regset(x, tr->tid, NT_FPREGSET, &th->fpregs_len);
	siginfo_t info;
	if (tr->signal && ptrace(PTRACE_GETSIGINFO, tr->tid, NULL, &info) == 0) {
		uint8_t *copy = gi_arena_alloc(x->registers, sizeof(info));
		if (copy)
			memcpy(copy, &info, sizeof(info));
		th->siginfo = copy;
		th->siginfo_len = copy ? sizeof(info) : 0;
	}
}

static int by_tid(const void *a, const void *b)
{
	const struct gi_thread *x = a, *y = b;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static struct gi_error *read_threads(struct live_tracer *x)
{
	struct gi_target *t = &x->l->core.base;
	struct gi_error *err = gi_arena_create(&x->registers);
	if (err)
		return err;
	struct gi_thread *threads = calloc(x->count + 1, sizeof(*threads));
	size_t n = 0;
	if (!threads)
		return gi_error_nomem();
	x->l->stop.unstopped = 0;
	x->l->stop.was_stopped = false;
	for (size_t i = 0; i < x->count; i++) {
		const struct tracee *tr = &x->list[i];
		if (tr->gone)
			continue;
		read_thread(x, tr, &threads[n++]);
		x->l->stop.was_stopped |= tr->group_stop;
		x->l->stop.unstopped += !tr->stopped;
	}
	if (!n) {
		free(threads);
		return gi_live_refused(x->l->pid, x->l->pid, ESRCH);
	}
	qsort(threads, n, sizeof(*threads), by_tid);
	free(t->threads);
	t->threads = threads;
	t->thread_count = n;
	gi_arena_destroy(x->l->registers);
	x->l->registers = x->registers;
	x->registers = NULL;
	return NULL;
}

// --- the thread that traces ---------------------------------------------------------

static void let_go(struct live_tracer *x)
{
	for (size_t i = 0; i < x->count; i++) {
		const struct tracee *tr = &x->list[i];
		// Those that do not stand are let go by the end of this thread.
		if (tr->stopped)
			(void)ptrace(PTRACE_DETACH, tr->tid, NULL, (void *)(intptr_t)tr->signal);
	}
}

struct live_priority gi_live_hurry(void)
{
	struct live_priority before = { .policy = sched_getscheduler(0) };
	struct sched_param first = { .sched_priority = 1 };
	// A thread that has been given a special place keeps it.
	if (before.policy == SCHED_OTHER && sched_getparam(0, &before.param) == 0)
		before.changed = sched_setscheduler(0, SCHED_RR, &first) == 0;
	return before;
}

void gi_live_calm(struct live_priority before)
{
	if (before.changed)
		(void)sched_setscheduler(0, before.policy, &before.param);
}

// A process that is killed while it is held ends, but its parent does not get to know before its tracer
// has been told, of each thread. Some that did not stop in time do so now.
static void see_to_held(struct live_tracer *x)
{
	int status;
	for (pid_t tid; (tid = waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG)) > 0;) {
		struct tracee *tr = tracee_find(x, tid);
		if (tr && !WIFSTOPPED(status)) {
			tr->gone = true;
			tr->stopped = false;
		} else {
			note_stop(x, tid, status);
		}
	}
}

static void wait_for_release(struct live_tracer *x)
{
	pthread_mutex_lock(&x->lock);
	while (!x->release) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += HELD_LOOK_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_cond_timedwait(&x->cond, &x->lock, &until) == ETIMEDOUT)
			see_to_held(x);
	}
	pthread_mutex_unlock(&x->lock);
}

static void *tracer_run(void *arg)
{
	struct live_tracer *x = arg;
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	(void)gi_live_hurry(); // to its end
	struct gi_error *err = stop_all(x);
	if (!err)
		err = read_threads(x);
	pthread_mutex_lock(&x->lock);
	x->err = err;
	x->done = true;
	pthread_cond_signal(&x->cond);
	pthread_mutex_unlock(&x->lock);
	wait_for_release(x);
	let_go(x);
	return NULL;
}

static void tracer_free(struct live_tracer *x)
{
	pthread_mutex_destroy(&x->lock);
	pthread_cond_destroy(&x->cond);
	gi_arena_destroy(x->registers);
	free(x->list);
	free(x);
}

struct gi_error *gi_live_halt(struct live *l)
{
	if (l->tracer)
		return NULL;
	struct live_tracer *x = calloc(1, sizeof(*x));
	if (!x)
		return gi_error_nomem();
	x->l = l;
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->cond, NULL);
	if (pthread_create(&x->thread, NULL, tracer_run, x) != 0) {
		tracer_free(x);
		return gi_error_create(GI_ERR_IO, "no thread can be started to stop the process with");
	}
	pthread_mutex_lock(&x->lock);
	while (!x->done)
		pthread_cond_wait(&x->cond, &x->lock);
	struct gi_error *err = x->err;
	pthread_mutex_unlock(&x->lock);
	l->tracer = x;
	if (err)
		gi_live_run(l);
	return err;
}

void gi_live_run(struct live *l)
{
	struct live_tracer *x = l->tracer;
	if (!x)
		return;
	pthread_mutex_lock(&x->lock);
	x->release = true;
	pthread_cond_signal(&x->cond);
	pthread_mutex_unlock(&x->lock);
	pthread_join(x->thread, NULL);
	l->stop.pause_ns = (uint64_t)((gi_now() - l->stopped_at) * 1e9);
	tracer_free(x);
	l->tracer = NULL;
}

struct gi_error *gi_live_look_at_threads(struct live *l)
{
	struct gi_target *t = &l->core.base;
	_cleanup_(gi_freep) pid_t *tids = NULL;
	size_t n = 0, cap = 0;
	struct gi_error *err = gi_live_list_threads(l->pid, &tids, &n, &cap);
	if (err) {
		gi_error_ignore(err);
		return gi_live_refused(l->pid, l->pid, ESRCH);
	}
	struct gi_thread *threads = calloc(n + 1, sizeof(*threads));
	if (!threads)
		return gi_error_nomem();
	for (size_t i = 0; i < n; i++) {
		threads[i].tid = tids[i];
		if (!gi_live_sleeping_regs(l, tids[i], &threads[i].regs))
			threads[i].regs = (struct gi_regs){ .arch = t->arch };
	}
	qsort(threads, n, sizeof(*threads), by_tid);
	free(t->threads);
	t->threads = threads;
	t->thread_count = n;
	t->info.monotonic_ns = monotonic_ns() + (uint64_t)l->clock_offset;
	return NULL;
}

// "Now": when the core was taken, on the clock that the runtime measures waits with.
//
// No clock reading is saved in a core. What it holds are readings that the runtime took
// with nanotime() (CLOCK_MONOTONIC) before the end; the newest of them is a lower bound
// of "now":
//   sched.lastpoll             the last network poll (0 while a thread polls)
//   sched.procresizetime       the last change of GOMAXPROCS
//   p.sysmontick.*when         when sysmon last saw a busy P move on (each 20 us to 10
//   ms) p.gcMarkWorkerStartTime, p.gcStopTime, memstats.last_gc_nanotime g.waitsince a
//   collection's scan of a parked stack g.trackingStamp            a sampled goroutine's
//   last change of state (1.18, 1.19:
//                              runnableStamp)
//   timer.when - timer.period  the last tick of a ticker, or its start
//   sysmon's stack, see below
// Times that lie in the future by their meaning (timers, sched.pollUntil) are left out.
//
// A hung program takes none of the former for long: it is idle, so that only sysmon
// wakes, every minute. When all Ps are idle, or the world is being stopped (as a crash
// does first of all), sysmon sleeps in notetsleep(&sched.sysmonnote, forcegcperiod/2),
// and its stack holds the time when it looked last and the deadline of its sleep: two
// words with half of forcegcperiod between them, but for the microseconds between two
// readings of the clock. Such a pair is no chance. With it "now" is at most a minute late
// in an idle program; in one that crashed while busy, some milliseconds. Source: sysmon
// in src/runtime/proc.go, notetsleep_internal in lock_futex.go, Go 1.18 to 1.27.

#include "go/go_impl.h"

enum {
	SYSMON_STACK = 4096,	 // bytes below the top of its stack; it uses some hundred
	SYSMON_MAX_M = 16,	 // sysmon's M is one of the first that a program starts
	PAIR_SLACK_NS = 1000000, // between the two readings of the clock
	MAX_TIMERS = 100000,
};

static void see_tickers(struct gi_go *go, uint64_t p)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const struct gi_layout *l = &go->layout;
	const uint8_t *rec;
	struct gi_timer_heap heap;
	struct gi_error *err;

	err = gi_go_bytes(go, p, (size_t)l->p.rec.size, &buf, &rec);
	if (err) {
		gi_error_ignore(err);
		return;
	}
	heap = gi_go_timer_heap(go, rec);
	for (uint64_t i = 0; i < heap.len && i < MAX_TIMERS; i++) {
		uint64_t timer, when, period;

		if (!gi_go_timer_at(go, &heap, i, &timer))
			return;
		if (!gi_target_peek_u64(go->target, timer + l->timer.when.off, &when) ||
		    !gi_target_peek_u64(go->target, timer + l->timer.period.off, &period))
			continue;
		if (period && period < when)
			gi_go_saw_time(go, when - period);
	}
}

// The words of a stack that may be readings of the clock or deadlines.
static void see_pairs(struct gi_go *go, const uint8_t *stack, size_t n, uint64_t sleep)
{
	const uint64_t floor = go->now;
	uint64_t best = 0;

	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t deadline = gi_load_u64(stack + i);

		if (deadline <= floor || deadline - floor < sleep)
			continue;
		for (size_t k = 0; k + 8 <= n; k += 8) {
			uint64_t looked = gi_load_u64(stack + k);

			if (looked > floor && looked < deadline &&
			    deadline - looked >= sleep &&
			    deadline - looked - sleep < PAIR_SLACK_NS && looked > best)
				best = looked;
		}
	}
	gi_go_saw_time(go, best);
}

static bool holds_word_in(const uint8_t *stack, size_t n, uint64_t lo, uint64_t hi)
{
	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t v = gi_load_u64(stack + i);

		if (v > lo && v < hi)
			return true;
	}
	return false;
}

static void see_sysmon(struct gi_go *go)
{
	uint64_t period;
	struct gi_func f;

	if (!gi_go_global_uint(go, &go->layout.global.forcegcperiod, &period) ||
	    !period || !go->functab ||
	    !gi_functab_find_name(go->functab, "runtime.sysmon", &f))
		return;
	for (size_t i = 0; i < go->m_count; i++) {
		const struct gi_m *m = &go->ms[i];
		const uint64_t top = m->g0_hi & ~UINT64_C(7);
		uint8_t stack[SYSMON_STACK];
		size_t n;
		struct gi_error *err;

		if (m->id < 0 || m->id >= SYSMON_MAX_M || m->curg || m->g0_lo >= top)
			continue;
		n = (size_t)gi_min_u64(sizeof(stack), top - m->g0_lo);
		err = gi_target_read(go->target, top - n, stack, n);
		if (err) {
			gi_error_ignore(err);
			continue;
		}
		// The return address of the call that sleeps.
		if (holds_word_in(stack, n, f.entry, f.end)) {
			see_pairs(go, stack, n, period / 2);
			return;
		}
	}
}

void gi_go_find_now(struct gi_go *go)
{
	const struct gi_field gc = go->layout.mstats.last_gc_nanotime;
	uint64_t v;

	if (gc.ok && go->layout.global.memstats.ok &&
	    gi_target_peek_u64(go->target, go->layout.global.memstats.addr + gc.off, &v))
		gi_go_saw_time(go, v);
	for (size_t i = 0; i < go->p_count; i++)
		see_tickers(go, go->ps[i].addr);
	see_sysmon(go);
}

uint64_t gi_go_now(const struct gi_go *go)
{
	return go->now;
}

// Which thread runs which M, and so which goroutine.
//
// Three kinds of evidence, strongest first:
//   1. the thread's TLS word that holds g, if that g belongs to an M as its g0, gsignal or
//      curg. Where pure Go programs have none (arm64), g is in a register in Go code: that one
//      is asked after the stacks, since a thread that C made inherits its maker's;
//   2. the thread's stack pointer lies on the stack of an M's g0, gsignal or curg;
//   3. m.procid is the thread's id.
// The third is not used once the first two have shown that ids differ: a process in a PID
// namespace of its own knows its threads by other numbers than a core taken from outside,
// and equal numbers are chance then.

#include "go/go_impl.h"

#include <stdlib.h>

struct stack_range {
	uint64_t lo, hi;
	size_t m;
};

struct matcher {
	struct gi_go *go;
	struct stack_range *ranges;
	size_t range_count;
	size_t same_ids, other_ids; // of the pairs found so far
};

static void pair(struct matcher *x, size_t thread, size_t m)
{
	struct gi_go *go = x->go;
	const struct gi_thread *t = gi_target_thread(go->target, thread);

	if (go->m_of_thread[thread] || go->ms[m].thread)
		return;
	go->m_of_thread[thread] = (uint32_t)m + 1;
	go->ms[m].thread = (uint32_t)thread + 1;
	if (go->ms[m].procid == (uint64_t)t->tid)
		x->same_ids++;
	else if (go->ms[m].procid)
		x->other_ids++;
}

static bool find_m_of_g(struct gi_go *go, uint64_t addr, size_t *ret)
{
	struct gi_g g;
	const struct gi_m *m;
	struct gi_error *err;

	if (!addr)
		return false;
	err = gi_go_read_g(go, addr, &g);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	m = gi_go_m_by_addr(go, g.m);
	if (!m || (m->g0 != addr && m->gsignal != addr && m->curg != addr))
		return false;
	*ret = (size_t)(m - go->ms);
	return true;
}

// How many threads have an M's g at off from their thread pointer; they are paired then.
static size_t match_at(struct matcher *x, uint64_t off)
{
	struct gi_go *go = x->go;
	unsigned tls = gi_target_machine(go->target)->tls;
	size_t found = 0;

	for (size_t i = 0; i < gi_target_thread_count(go->target); i++) {
		const struct gi_regs *r = &gi_target_thread(go->target, i)->regs;
		uint64_t g;
		size_t m;

		if (!gi_regs_has(r, tls) || !r->r[tls])
			continue;
		if (!gi_target_peek_u64(go->target, r->r[tls] + off, &g) || !find_m_of_g(go, g, &m))
			continue;
		pair(x, i, m);
		found++;
	}
	return found;
}

// A word that holds an M's g is g's: nothing else in thread-local storage does.
static void match_by_tls(struct matcher *x)
{
	uint64_t offs[GI_TLS_MAX_PLACES];
	size_t n = gi_go_tls_places(x->go, offs, GI_ARRAY_SIZE(offs));

	for (size_t i = 0; i < n; i++) {
		if (match_at(x, offs[i]))
			return;
	}
}

static int compare_ranges(const void *a, const void *b)
{
	const struct stack_range *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

static void add_range(struct matcher *x, uint64_t lo, uint64_t hi, size_t m)
{
	if (lo < hi)
		x->ranges[x->range_count++] = (struct stack_range){lo, hi, m};
}

static struct gi_error *match_by_stack(struct matcher *x)
{
	struct gi_go *go = x->go;

	x->ranges = calloc(3 * go->m_count + 1, sizeof(*x->ranges));
	if (!x->ranges)
		return gi_error_nomem();
	for (size_t i = 0; i < go->m_count; i++) {
		const struct gi_m *m = &go->ms[i];
		const struct gi_g *g = gi_go_g_by_addr(go, m->curg);

		add_range(x, m->g0_lo, m->g0_hi, i);
		add_range(x, m->gsignal_lo, m->gsignal_hi, i);
		if (g && !g->unreadable && g->m == m->addr)
			add_range(x, g->stack_lo, g->stack_hi, i);
	}
	qsort(x->ranges, x->range_count, sizeof(*x->ranges), compare_ranges);

	for (size_t i = 0; i < gi_target_thread_count(go->target); i++) {
		uint64_t sp = gi_regs_sp(&gi_target_thread(go->target, i)->regs);
		size_t lo = 0, hi = x->range_count;

		if (!sp || go->m_of_thread[i])
			continue;
		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;

			if (x->ranges[mid].lo <= sp)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo && sp < x->ranges[lo - 1].hi)
			pair(x, i, x->ranges[lo - 1].m);
	}
	return NULL;
}

// By the register that holds g in Go code.
static void match_by_register(struct matcher *x)
{
	struct gi_go *go = x->go;
	unsigned reg = gi_target_machine(go->target)->g;

	for (size_t i = 0; i < gi_target_thread_count(go->target); i++) {
		const struct gi_regs *r = &gi_target_thread(go->target, i)->regs;
		struct gi_func f;
		size_t m;

		if (!go->m_of_thread[i] && gi_regs_has(r, reg) &&
		    gi_functab_find(gi_go_functab(go), gi_regs_pc(r), &f) && f.pcsp &&
		    find_m_of_g(go, r->r[reg], &m))
			pair(x, i, m);
	}
}

static struct gi_error *match_by_procid(struct matcher *x)
{
	struct gi_go *go = x->go;
	_cleanup_(gi_map_deinit) struct gi_map tids = {0};
	struct gi_error *err;

	if (x->other_ids > x->same_ids)
		return NULL;
	for (size_t i = 0; i < gi_target_thread_count(go->target); i++) {
		err = gi_map_put(&tids, (uint64_t)gi_target_thread(go->target, i)->tid,
				 i);
		if (err)
			return err;
	}
	for (size_t i = 0; i < go->m_count; i++) {
		uint64_t thread;

		if (go->ms[i].procid && gi_map_get(&tids, go->ms[i].procid, &thread))
			pair(x, (size_t)thread, i);
	}
	return NULL;
}

struct gi_error *gi_go_match_threads(struct gi_go *go)
{
	struct matcher x = {.go = go};
	size_t n = gi_target_thread_count(go->target);
	struct gi_error *err;

	go->m_of_thread = calloc(n ? n : 1, sizeof(*go->m_of_thread));
	if (!go->m_of_thread)
		return gi_error_nomem();
	match_by_tls(&x);
	err = match_by_stack(&x);
	free(x.ranges);
	if (!err) {
		match_by_register(&x);
		err = match_by_procid(&x);
	}
	if (err)
		return err;

	for (size_t i = 0; i < go->g_count; i++) {
		struct gi_g *g = &go->gs[i];
		const struct gi_m *m = g->m ? gi_go_m_by_addr(go, g->m) : NULL;

		if (!m)
			continue;
		g->m_index = (uint32_t)(m - go->ms) + 1;
		if (m->curg == g->addr)
			g->thread = m->thread;
	}
	return NULL;
}

const struct gi_m *gi_go_m_by_thread(const struct gi_go *go, size_t thread)
{
	if (thread >= gi_target_thread_count(go->target) || !go->m_of_thread[thread])
		return NULL;
	return gi_go_m(go, go->m_of_thread[thread] - 1);
}

bool gi_m_is_extra(const struct gi_go *go, const struct gi_m *m)
{
	const struct gi_g *g = m->lockedg && m->lockedg == m->curg ? gi_go_g_by_addr(go, m->curg)
								   : NULL;

	return m->is_extra || (g && !g->unreadable && !g->start_pc && g->goid != 1);
}

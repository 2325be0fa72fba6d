// The scheduler as GODEBUG=schedtrace=N,scheddetail=1 prints it, line for line in the form of
// the target's own release. There are two: up to Go 1.19 flags are numbers and what is not there
// is -1; since Go 1.20 flags are words, what is not there is nil, and needspinning is told too.
// Source: schedtrace in src/runtime/proc.go, Go 1.18 to 1.27.

#include "report/sched.h"

#include <inttypes.h>

static void put_id(struct gi_out *out, bool words, const char *key, bool known, int64_t id)
{
	if (known)
		gi_out_printf(out, " %s=%" PRId64, key, id);
	else
		gi_out_printf(out, " %s=%s", key, words ? "nil" : "-1");
}

static void put_flag(struct gi_out *out, bool words, const char *key, uint32_t v)
{
	if (words)
		gi_out_printf(out, " %s=%s", key, v ? "true" : "false");
	else
		gi_out_printf(out, " %s=%" PRIu32, key, v);
}

static void put_head(struct gi_out *out, struct gi_go *go, bool words)
{
	const struct gi_sched *s = gi_go_sched(go);
	const int64_t now = (int64_t)gi_go_now(go);
	const int64_t ms = now > s->start_time ? gi_sub_i64(now, s->start_time) / 1000000 : 0;

	gi_out_printf(out,
		      "SCHED %" PRId64 "ms: gomaxprocs=%" PRId32 " idleprocs=%" PRIu32
		      " threads=%" PRId32 " spinningthreads=%" PRIu32,
		      ms, s->gomaxprocs, s->npidle, (int32_t)(s->mnext - s->nmfreed),
		      s->nmspinning);
	if (words)
		gi_out_printf(out, " needspinning=%" PRIu32, s->needspinning);
	gi_out_printf(out, " idlethreads=%" PRId32 " runqueue=%" PRId32, s->nmidle, s->runq_size);
	put_flag(out, words, "gcwaiting", s->gcwaiting);
	gi_out_printf(out, " nmidlelocked=%" PRId32 " stopwait=%" PRId32, s->nmidlelocked,
		      s->stopwait);
	put_flag(out, words, "sysmonwait", s->sysmonwait);
	gi_out_puts(out, "\n");
}

static void put_p(struct gi_out *out, struct gi_go *go, size_t i, bool words)
{
	const struct gi_p *p = gi_go_p(go, i);
	const struct gi_m *m = p->m ? gi_go_m_by_addr(go, p->m) : NULL;

	gi_out_printf(out,
		      "  P%zu: status=%" PRIu32 " schedtick=%" PRIu32 " syscalltick=%" PRIu32, i,
		      p->status, p->sched_tick, p->syscall_tick);
	put_id(out, words, "m", m != NULL, m ? m->id : 0);
	gi_out_printf(out, " runqsize=%" PRIu32 " gfreecnt=%" PRIu32 " timerslen=%" PRIu32 "\n",
		      p->runq_tail - p->runq_head, p->gfree_count, p->timer_heap_len);
}

static void put_m(struct gi_out *out, struct gi_go *go, const struct gi_m *m, bool words)
{
	const struct gi_p *p = m->p ? gi_go_p_by_addr(go, m->p) : NULL;
	const struct gi_g *g = m->curg ? gi_go_g_by_addr(go, m->curg) : NULL;
	const struct gi_g *locked = m->lockedg ? gi_go_g_by_addr(go, m->lockedg) : NULL;
	_cleanup_(gi_str_deinit) struct gi_str off = {0};

	gi_sched_preemptoff(go, m, &off);
	gi_out_printf(out, "  M%" PRId64 ":", m->id);
	put_id(out, words, "p", p != NULL, p ? p->id : 0);
	// An extra M's goroutine is no member of allgs until C code calls Go.
	put_id(out, words, "curg", g || (m->curg && words), g ? (int64_t)g->goid : 0);
	gi_out_printf(out,
		      " mallocing=%" PRId32 " throwing=%" PRId32 " preemptoff=%s locks=%" PRId32
		      " dying=%" PRId32 " spinning=%s blocked=%s",
		      m->mallocing, m->throwing, gi_str_cstr(&off), m->locks, m->dying,
		      m->spinning ? "true" : "false", m->blocked ? "true" : "false");
	put_id(out, words, "lockedg", locked != NULL, locked ? (int64_t)locked->goid : 0);
	gi_out_puts(out, "\n");
}

static void put_g(struct gi_out *out, struct gi_go *go, const struct gi_g *g, bool words)
{
	const struct gi_m *m = g->m ? gi_go_m_by_addr(go, g->m) : NULL;
	const struct gi_m *locked = g->lockedm ? gi_go_m_by_addr(go, g->lockedm) : NULL;
	const char *why = gi_go_wait_reason_string(go, g->wait_reason);

	if (g->unreadable) {
		gi_out_printf(out, "  G at 0x%" PRIx64 " could not be read\n", g->addr);
		return;
	}
	gi_out_printf(out, "  G%" PRIu64 ": status=%" PRIu32 "(", g->goid, g->status);
	gi_out_text(out, why ? why : "unknown wait reason");
	gi_out_puts(out, ")");
	put_id(out, words, "m", m != NULL, m ? m->id : 0);
	put_id(out, words, "lockedm", locked != NULL, locked ? locked->id : 0);
	gi_out_puts(out, "\n");
}

struct gi_error *gi_report_schedtrace(struct gi_out *out, struct gi_go *go)
{
	const bool words = gi_go_at_least(go, 1, 20);

	if (gi_out_is_json(out))
		return NULL; // ms, ps and goroutines have all of it as records
	put_head(out, go, words);
	for (size_t i = 0; i < gi_go_p_count(go); i++)
		put_p(out, go, i, words);
	for (size_t i = 0; i < gi_go_m_count(go); i++)
		put_m(out, go, gi_go_m(go, i), words);
	for (size_t i = 0; i < gi_go_g_count(go); i++) {
		struct gi_error *err = i % 1024 ? NULL : gi_out_check(out);

		if (err)
			return err;
		put_g(out, go, gi_go_g(go, i), words);
	}
	return NULL;
}

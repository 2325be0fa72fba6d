// The scheduler: Ms, Ps, and what they share.

#include "gcore/runtime_lock.h"
#include "gcore/sched.h"
#include "report/frame.h"
#include "report/sched.h"
#include "report/table.h"

#include <string.h>

static const struct gi_g *g_at(struct gi_go *go, uint64_t addr)
{
	return addr ? gi_go_g_by_addr(go, addr) : NULL;
}

static const struct gi_p *p_at(struct gi_go *go, uint64_t addr)
{
	return addr ? gi_go_p_by_addr(go, addr) : NULL;
}

void gi_sched_preemptoff(struct gi_go *go, const struct gi_m *m, struct gi_str *str)
{
	char text[64];
	size_t n = (size_t)gi_min_u64(m->preemptoff_len, sizeof(text));
	struct gi_error *err;

	if (!m->preemptoff_ptr || !n)
		return;
	err = gi_target_read(gi_go_target(go), m->preemptoff_ptr, text, n);
	if (err)
		gi_error_ignore(err);
	else
		gi_str_put_escaped(str, text, n);
}

void gi_sched_function(struct gi_go *go, uint64_t pc, struct gi_str *str)
{
	struct gi_func f;

	if (pc && gi_functab_find(gi_go_functab(go), pc, &f))
		gi_function_print_name(f.name, str);
	else
		gi_str_printf(str, "0x%" PRIx64, pc);
}

// What is of interest of an M beside its numbers.
static void m_state(struct gi_go *go, const struct gi_m *m, const struct gi_lock_wait *wait,
		    struct gi_str *ret)
{
	const struct gi_g *locked = g_at(go, m->lockedg);
	struct {
		bool is;
		const char *text;
	} flags[] = {
		{m->spinning, "spinning"},
		{m->blocked, "blocked"},
		{m->incgo, "in C"},
		{m->is_extra, "extra"},
		{m->dying != 0, "dying"},
		{m->throwing != 0, "throwing"},
		{m->mallocing != 0, "allocating"},
		{m->preemptoff_ptr != 0, "preemption off"},
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(flags); i++) {
		if (flags[i].is)
			gi_str_printf(ret, "%s%s", ret->len ? ", " : "", flags[i].text);
	}
	if (m->locks)
		gi_str_printf(ret, "%slocks %" PRId32, ret->len ? ", " : "", m->locks);
	if (locked)
		gi_str_printf(ret, "%slocked to goroutine %" PRIu64, ret->len ? ", " : "",
			      locked->goid);
	struct gi_left_p left;
	const struct gi_g *g = g_at(go, m->curg);
	if (g && gi_go_left_p(go, g, &left)) {
		gi_str_puts(ret, ret->len ? ", left P " : "left P ");
		gi_left_p_format(&left, ret);
	}
	if (wait) {
		gi_str_printf(ret, "%swaits for ", ret->len ? ", " : "");
		gi_lock_wait_format(go, wait, ret);
	}
}

void gi_json_lock_wait(struct gi_out *out, struct gi_go *go, const struct gi_lock_wait *w)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};

	if (!w) {
		gi_json_null(out, "waits_for_lock");
		return;
	}
	if (w->lock)
		gi_go_lock_name(go, w->lock, &name);
	gi_json_object(out, "waits_for_lock");
	gi_json_hex_or_null(out, "addr", w->lock != 0, w->lock);
	gi_json_str(out, "name", w->lock ? gi_str_cstr(&name) : NULL);
	gi_json_i64_or_null(out, "held_by_m", w->holder != NULL, w->holder ? w->holder->id : 0);
	gi_json_str(out, "inferred_from", gi_lock_evidence_name(w->evidence));
	gi_json_close(out);
}

static void json_m(struct gi_out *out, struct gi_go *go, const struct gi_m *m,
		   const struct gi_lock_wait *wait)
{
	const struct gi_g *g = g_at(go, m->curg), *locked = g_at(go, m->lockedg);
	const struct gi_p *p = p_at(go, m->p);
	gi_json_begin(out, "m");
	gi_json_i64(out, "id", m->id);
	gi_json_hex(out, "addr", m->addr);
	gi_json_i64_or_null(out, "thread", m->thread != 0,
			    m->thread ? gi_target_thread(gi_go_target(go), m->thread - 1)->tid : 0);
	gi_json_u64(out, "procid", m->procid);
	gi_json_i64_or_null(out, "p", p != NULL, p ? p->id : 0);
	gi_json_i64_or_null(out, "goroutine", g != NULL, g ? (int64_t)g->goid : 0);
	gi_json_i64_or_null(out, "locked_goroutine", locked != NULL,
			    locked ? (int64_t)locked->goid : 0);
	gi_json_bool(out, "spinning", m->spinning);
	gi_json_bool(out, "blocked", m->blocked);
	gi_json_bool(out, "in_c", m->incgo);
	gi_json_bool(out, "extra", m->is_extra);
	gi_json_i64(out, "locks", m->locks);
	gi_json_i64(out, "dying", m->dying);
	gi_json_u64(out, "c_calls", m->ncgocall);
	struct gi_left_p left;
	gi_json_left_p(out, g && gi_go_left_p(go, g, &left) ? &left : NULL);
	gi_json_lock_wait(out, go, wait);
	gi_json_end(out);
}

struct gi_error *gi_report_ms(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u)
{
	static const char *const heads[] = {">M", ">THREAD", ">P", ">GOROUTINE", "STATE", NULL};
	_cleanup_(gi_table_deinit) struct gi_table table;
	_cleanup_(gi_lock_waits_destroyp) struct gi_lock_waits *waits = NULL;
	gi_table_init(&table, heads);
	struct gi_error *err = gi_lock_waits_create(go, u, &waits);
	if (err)
		return err;
	for (size_t i = 0; i < gi_go_m_count(go); i++) {
		const struct gi_m *m = gi_go_m(go, i);
		const struct gi_lock_wait *wait = gi_lock_waits_of(waits, m);
		err = gi_out_check(out);
		if (err)
			return err;
		if (gi_out_is_json(out)) {
			json_m(out, go, m, wait);
			continue;
		}
		const struct gi_g *g = g_at(go, m->curg);
		const struct gi_p *p = p_at(go, m->p);
		_cleanup_(gi_str_deinit) struct gi_str state = {0};
		m_state(go, m, wait, &state);
		gi_table_cell(&table, "%" PRId64, m->id);
		if (m->thread)
			gi_table_cell(&table, "%d",
				      (int)gi_target_thread(gi_go_target(go), m->thread - 1)->tid);
		else
			gi_table_text(&table, NULL);
		if (p)
			gi_table_cell(&table, "%" PRId32, p->id);
		else
			gi_table_text(&table, NULL);
		if (g)
			gi_table_cell(&table, "%" PRIu64, g->goid);
		else
			gi_table_text(&table, NULL);
		gi_table_text(&table, gi_str_cstr(&state));
	}
	gi_table_print(&table, out);
	gi_out_printf(out, "%zu M%s\n", gi_go_m_count(go), gi_go_m_count(go) == 1 ? "" : "s");
	return NULL;
}

static const char *p_status(uint32_t status, char *buf, size_t n)
{
	const char *name = gi_p_status_name(status);
	if (name)
		return name;
	snprintf(buf, n, "%" PRIu32, status);
	return buf;
}

static void json_p(struct gi_out *out, struct gi_go *go, const struct gi_p *p)
{
	const struct gi_m *m = p->m ? gi_go_m_by_addr(go, p->m) : NULL;
	const struct gi_g *next = g_at(go, p->runnext);
	char buf[16];
	gi_json_begin(out, "p");
	gi_json_i64(out, "id", p->id);
	gi_json_hex(out, "addr", p->addr);
	gi_json_str(out, "status", p_status(p->status, buf, sizeof(buf)));
	gi_json_i64_or_null(out, "m", m != NULL, m ? m->id : 0);
	const struct gi_g *g = m ? g_at(go, m->curg) : NULL;
	gi_json_i64_or_null(out, "goroutine", g != NULL, g ? (int64_t)g->goid : 0);
	gi_json_u64(out, "run_queue", p->runq_tail - p->runq_head);
	gi_json_i64_or_null(out, "run_next", next != NULL, next ? (int64_t)next->goid : 0);
	gi_json_u64(out, "timers", p->timer_count);
	gi_json_u64(out, "free_goroutines", p->gfree_count);
	gi_json_u64(out, "sched_tick", p->sched_tick);
	gi_json_u64(out, "syscall_tick", p->syscall_tick);
	gi_json_bool(out, "preempt", p->preempt);
	gi_json_end(out);
}

void gi_report_sched_line(struct gi_out *out, const struct gi_sched *s)
{
	if (gi_out_is_json(out)) {
		gi_json_begin(out, "sched");
		gi_json_i64(out, "gomaxprocs", s->gomaxprocs);
		gi_json_i64(out, "cpus", s->ncpu);
		gi_json_u64(out, "idle_ps", s->npidle);
		gi_json_i64(out, "idle_ms", s->nmidle);
		gi_json_i64(out, "idle_locked_ms", s->nmidlelocked);
		gi_json_u64(out, "spinning_ms", s->nmspinning);
		gi_json_i64(out, "run_queue", s->runq_size);
		gi_json_bool(out, "gc_waiting", s->gcwaiting != 0);
		gi_json_bool(out, "sysmon_waiting", s->sysmonwait != 0);
		gi_json_bool(out, "panicking", s->panicking != 0);
		gi_json_end(out);
		return;
	}
	gi_out_printf(out,
		      "GOMAXPROCS %" PRId32 " of %" PRId32 " CPUs; idle: %" PRIu32 " Ps, %" PRId32
		      " Ms (and %" PRId32 " locked ones); spinning: %" PRIu32
		      " Ms; global run queue: %" PRId32 "\n",
		      s->gomaxprocs, s->ncpu, s->npidle, s->nmidle, s->nmidlelocked, s->nmspinning,
		      s->runq_size);
	if (s->gcwaiting)
		gi_out_puts(out, "the world is stopped, or being stopped\n");
	if (s->panicking)
		gi_out_puts(out, "the program was panicking\n");
}

struct gi_error *gi_report_ps(struct gi_out *out, struct gi_go *go)
{
	static const char *const heads[] = {">P",    "STATUS", ">M",	 ">GOROUTINE", ">RUNQ",
					    ">NEXT", ">TICK",  ">TIMERS", ">FREE GS",	NULL};
	_cleanup_(gi_table_deinit) struct gi_table table;
	gi_table_init(&table, heads);
	for (size_t i = 0; i < gi_go_p_count(go); i++) {
		const struct gi_p *p = gi_go_p(go, i);
		struct gi_error *err = gi_out_check(out);
		if (err)
			return err;
		if (gi_out_is_json(out)) {
			json_p(out, go, p);
			continue;
		}
		const struct gi_m *m = p->m ? gi_go_m_by_addr(go, p->m) : NULL;
		const struct gi_g *next = g_at(go, p->runnext);
		char buf[16];
		gi_table_cell(&table, "%" PRId32, p->id);
		gi_table_text(&table, p_status(p->status, buf, sizeof(buf)));
		if (m)
			gi_table_cell(&table, "%" PRId64, m->id);
		else
			gi_table_text(&table, NULL);
		const struct gi_g *g = m ? g_at(go, m->curg) : NULL;
		if (g)
			gi_table_cell(&table, "%" PRIu64, g->goid);
		else
			gi_table_text(&table, NULL);
		gi_table_cell(&table, "%" PRIu32, p->runq_tail - p->runq_head);
		if (next)
			gi_table_cell(&table, "%" PRIu64, next->goid);
		else
			gi_table_text(&table, NULL);
		gi_table_cell(&table, "%" PRIu32, p->sched_tick);
		gi_table_cell(&table, "%" PRIu32, p->timer_count);
		gi_table_cell(&table, "%" PRIu32, p->gfree_count);
	}
	gi_table_print(&table, out);
	gi_report_sched_line(out, gi_go_sched(go));
	return NULL;
}

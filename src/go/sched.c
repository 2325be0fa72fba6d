// Ms, Ps and the scheduler: the list at runtime.allm, the slice runtime.allp, the struct
// runtime.sched. Source: src/runtime/runtime2.go, Go 1.18 to 1.27.

#include "go/go_impl.h"

// --- Ms ------------------------------------------------------------------------------

static void stack_of(struct gi_go *go, uint64_t g, uint64_t *lo, uint64_t *hi)
{
	struct gi_g rec;
	struct gi_error *err;

	if (!g)
		return;
	err = gi_go_read_g(go, g, &rec);
	if (err) {
		gi_error_ignore(err);
		return;
	}
	*lo = rec.stack_lo;
	*hi = rec.stack_hi;
}

static void decode_m(struct gi_go *go, const uint8_t *rec, uint64_t addr, struct gi_m *ret)
{
#define FIELD(f) gi_field_uint(rec, go->layout.m.f)
#define SIGNED(f) gi_field_int(rec, go->layout.m.f)
	struct gi_slice preemptoff = gi_go_slice(rec, go->layout.m.preemptoff);

	*ret = (struct gi_m){
		.addr = addr,
		.id = SIGNED(id),
		.procid = FIELD(procid),
		.g0 = FIELD(g0),
		.gsignal = FIELD(gsignal),
		.curg = FIELD(curg),
		.p = FIELD(p),
		.nextp = FIELD(nextp),
		.oldp = FIELD(oldp),
		.lockedg = FIELD(lockedg),
		.locks = (int32_t)SIGNED(locks),
		.mallocing = (int32_t)SIGNED(mallocing),
		.throwing = (int32_t)SIGNED(throwing),
		.dying = (int32_t)SIGNED(dying),
		.caughtsig = FIELD(caughtsig),
		.ncgo = (int32_t)SIGNED(ncgo),
		.ncgocall = FIELD(ncgocall),
		.spinning = FIELD(spinning) != 0,
		.blocked = FIELD(blocked) != 0,
		.incgo = FIELD(incgo) != 0,
		.is_extra = FIELD(isextra) != 0,
		.preemptoff_ptr = preemptoff.ptr,
		.preemptoff_len = preemptoff.len,
		.waitlock = FIELD(waitlock),
		.waitunlockf = FIELD(waitunlockf),
		.vdso_pc = FIELD(vdso_pc),
		.vdso_sp = FIELD(vdso_sp),
		.syscall_tick = (uint32_t)FIELD(syscalltick),
		.has_syscall_tick = go->layout.m.syscalltick.ok,
	};
#undef FIELD
#undef SIGNED
	stack_of(go, ret->g0, &ret->g0_lo, &ret->g0_hi);
	stack_of(go, ret->gsignal, &ret->gsignal_lo, &ret->gsignal_hi);
}

struct gi_error *gi_go_load_ms(struct gi_go *go)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	uint64_t addr, i;
	struct gi_error *err;

	if (!gi_target_peek_u64(go->target, go->layout.global.allm.addr, &addr)) {
		gi_go_add_note(go, "no Ms: runtime.allm could not be read");
		return NULL;
	}
	while (addr) {
		const uint8_t *rec;

		err = gi_interrupt_check();
		if (err)
			return err;
		if (gi_map_get(&go->m_by_addr, addr, &i)) {
			gi_go_add_note(go,
				       "the list of Ms is circular: it comes back to "
				       "0x%llx after "
				       "%zu of them",
				       (unsigned long long)addr, go->m_count);
			break;
		}
		if (go->m_count == GI_GO_MAX_MS) {
			gi_go_add_note(go, "more than %d Ms: the others are left out",
				       GI_GO_MAX_MS);
			break;
		}
		err = gi_go_bytes(go, addr, (size_t)go->layout.m.rec.size, &buf, &rec);
		if (err) {
			if (gi_error_code(err) == GI_ERR_NOMEM)
				return err;
			gi_go_add_note(go, "the list of Ms breaks off after %zu of them: %s",
				       go->m_count, gi_error_message(err));
			go->m_lost = gi_go_not_in_core(err);
			gi_error_ignore(err);
			break;
		}
		err = gi_grow(&go->ms, &go->m_cap, go->m_count + 1, sizeof(*go->ms));
		if (err)
			return err;
		decode_m(go, rec, addr, &go->ms[go->m_count]);
		err = gi_map_put(&go->m_by_addr, addr, go->m_count++);
		if (err)
			return err;
		addr = gi_field_uint(rec, go->layout.m.alllink);
	}
	return NULL;
}

size_t gi_go_m_count(const struct gi_go *go)
{
	return go->m_count;
}

const struct gi_m *gi_go_m(const struct gi_go *go, size_t i)
{
	return i < go->m_count ? &go->ms[i] : NULL;
}

const struct gi_m *gi_go_m_by_addr(const struct gi_go *go, uint64_t addr)
{
	uint64_t i;

	return gi_map_get(&go->m_by_addr, addr, &i) ? gi_go_m(go, i) : NULL;
}

// --- Ps ------------------------------------------------------------------------------

static void decode_p(struct gi_go *go, const uint8_t *rec, uint64_t addr, struct gi_p *ret)
{
#define FIELD(f) gi_field_uint(rec, go->layout.p.f)
	uint64_t modified = FIELD(timer_modified);

	*ret = (struct gi_p){
		.addr = addr,
		.id = (int32_t)gi_field_int(rec, go->layout.p.id),
		.status = (uint32_t)FIELD(status),
		.m = FIELD(m),
		.sched_tick = (uint32_t)FIELD(schedtick),
		.syscall_tick = (uint32_t)FIELD(syscalltick),
		.runq_head = (uint32_t)FIELD(runqhead),
		.runq_tail = (uint32_t)FIELD(runqtail),
		.runnext = FIELD(runnext),
		.timer0_when = FIELD(timer_when),
		.timer_count = (uint32_t)FIELD(timer_count),
		.timer_heap_len = (uint32_t)gi_go_slice(rec, go->layout.p.timers).len,
		.gfree_count = (uint32_t)FIELD(gfree_count),
		.preempt = FIELD(preempt) != 0,
		.seen_sched_tick = (uint32_t)FIELD(sysmon_schedtick),
		.sched_tick_when = FIELD(sysmon_schedwhen),
		.seen_syscall_tick = (uint32_t)FIELD(sysmon_syscalltick),
		.syscall_tick_when = FIELD(sysmon_syscallwhen),
	};
	// A timer that was moved to an earlier time and is not sorted in yet.
	if (modified && (!ret->timer0_when || modified < ret->timer0_when))
		ret->timer0_when = modified;

	gi_go_saw_time(go, FIELD(sysmon_schedwhen));
	gi_go_saw_time(go, FIELD(sysmon_syscallwhen));
	gi_go_saw_time(go, FIELD(gc_mark_worker_start));
	gi_go_saw_time(go, FIELD(gc_stop_time));
#undef FIELD
}

struct gi_error *gi_go_load_ps(struct gi_go *go)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	struct gi_slice all;
	size_t bad = 0;
	struct gi_error *err;

	if (!go->layout.p.rec.ok || !go->layout.global.allp.ok)
		return NULL;
	err = gi_go_global_slice(go, &go->layout.global.allp, &all);
	if (err) {
		gi_go_add_note(go, "no Ps: %s", gi_error_message(err));
		gi_error_ignore(err);
		return NULL;
	}
	if (all.len > all.cap || all.len > GI_GO_MAX_PS)
		return gi_error_create(GI_ERR_MISMATCH,
				       "runtime.allp fails its check: %llu Ps, room for %llu",
				       (unsigned long long)all.len, (unsigned long long)all.cap);
	for (uint64_t i = 0; i < all.len; i++) {
		const uint8_t *rec;
		uint64_t addr;

		err = gi_target_read_uint(go->target, all.ptr + 8 * i, 8, &addr);
		if (!err)
			err = gi_go_bytes(go, addr, (size_t)go->layout.p.rec.size, &buf, &rec);
		if (err) {
			if (gi_error_code(err) == GI_ERR_NOMEM)
				return err;
			go->p_lost |= gi_go_not_in_core(err);
			gi_error_ignore(err);
			bad++;
			continue;
		}
		err = gi_grow(&go->ps, &go->p_cap, go->p_count + 1, sizeof(*go->ps));
		if (err)
			return err;
		decode_p(go, rec, addr, &go->ps[go->p_count++]);
	}
	if (bad)
		gi_go_add_note(go, "%zu of %llu Ps could not be read", bad,
			       (unsigned long long)all.len);
	return NULL;
}

size_t gi_go_p_count(const struct gi_go *go)
{
	return go->p_count;
}

const struct gi_p *gi_go_p(const struct gi_go *go, size_t i)
{
	return i < go->p_count ? &go->ps[i] : NULL;
}

const struct gi_p *gi_go_p_by_addr(const struct gi_go *go, uint64_t addr)
{
	for (size_t i = 0; i < go->p_count; i++) {
		if (go->ps[i].addr == addr)
			return &go->ps[i];
	}
	return NULL;
}

// An M that enters a system call notes its P (oldp) and the P's count of calls. Whoever takes the P
// adds one to that; sysmon keeps the count of the last call that it saw, and when it saw that first.
bool gi_go_left_p(const struct gi_go *go, const struct gi_g *g, struct gi_left_p *ret)
{
	const struct gi_m *m = g->m ? gi_go_m_by_addr(go, g->m) : NULL;
	const struct gi_p *p = m && m->oldp ? gi_go_p_by_addr(go, m->oldp) : NULL;
	const uint64_t now = gi_go_now(go);

	if (!p || g->unreadable || (g->status & ~(uint32_t)GI_G_SCAN) != GI_G_SYSCALL ||
	    m->curg != g->addr || !m->has_syscall_tick || !go->layout.p.syscalltick.ok ||
	    !go->layout.p.sysmon_syscalltick.ok)
		return false;
	*ret = (struct gi_left_p){.p = p, .taken = p->syscall_tick != m->syscall_tick};
	if (p->seen_syscall_tick == m->syscall_tick && p->syscall_tick_when &&
	    now >= p->syscall_tick_when) {
		ret->has_ns = true;
		ret->ns = now - p->syscall_tick_when;
	}
	return true;
}

const char *gi_p_status_name(uint32_t status)
{
	static const char *const names[] = {"idle", "running", "syscall", "gcstop", "dead"};

	return status < GI_ARRAY_SIZE(names) ? names[status] : "unknown";
}

// --- the scheduler ---------------------------------------------------------------------

void gi_go_load_sched(struct gi_go *go)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	struct gi_sched *s = &go->sched;
	const uint8_t *rec;
	uint64_t v;
	struct gi_error *err;

	if (gi_go_global_uint(go, &go->layout.global.gomaxprocs, &v))
		s->gomaxprocs = (int32_t)v;
	if (gi_go_global_uint(go, &go->layout.global.ncpu, &v))
		s->ncpu = (int32_t)v;
	if (gi_go_global_uint(go, &go->layout.global.panicking, &v))
		s->panicking = (uint32_t)v;
	if (gi_go_global_uint(go, &go->layout.global.main_started, &v))
		s->started = v != 0;
	if (gi_go_global_uint(go, &go->layout.global.iscgo, &v))
		s->iscgo = v != 0;
	if ((gi_go_global_uint(go, &go->layout.global.starttime, &v) && v) ||
	    gi_go_global_uint(go, &go->layout.global.runtime_init_time, &v))
		s->start_time = (int64_t)v;

	if (!go->layout.sched.rec.ok || !go->layout.global.sched.ok)
		return;
	err = gi_go_bytes(go, go->layout.global.sched.addr, (size_t)go->layout.sched.rec.size, &buf,
			  &rec);
	if (err) {
		gi_go_add_note(go, "the scheduler's state could not be read: %s",
			       gi_error_message(err));
		gi_error_ignore(err);
		return;
	}
#define FIELD(f) gi_field_uint(rec, go->layout.sched.f)
	go->goidgen = FIELD(goidgen);
	s->npidle = (uint32_t)FIELD(npidle);
	s->nmspinning = (uint32_t)FIELD(nmspinning);
	s->nmidle = (int32_t)FIELD(nmidle);
	s->nmidlelocked = (int32_t)FIELD(nmidlelocked);
	s->mnext = (int64_t)FIELD(mnext);
	s->runq_size = (int32_t)FIELD(runqsize);
	s->gcwaiting = (uint32_t)FIELD(gcwaiting);
	s->stopwait = (int32_t)FIELD(stopwait);
	s->sysmonwait = (uint32_t)FIELD(sysmonwait);
	s->lastpoll = (int64_t)FIELD(lastpoll);
	s->needspinning = (uint32_t)FIELD(needspinning);
	s->nmfreed = (int64_t)FIELD(nmfreed);
	gi_go_saw_time(go, FIELD(lastpoll));
	gi_go_saw_time(go, FIELD(procresizetime));
#undef FIELD
}

const struct gi_sched *gi_go_sched(const struct gi_go *go)
{
	return &go->sched;
}

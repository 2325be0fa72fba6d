// What a futex word belongs to: the runtime's notes and locks.
//
// An M parks on its own note, m.park; sysmon, a stop of the world and the safe-point function have
// notes in sched; the runtime's locks are words that are mutex.key. From Go 1.24 on an M that waits
// for such a lock sleeps on a word of its own (m.waitsema), up to then on the lock. Source:
// src/runtime/runtime2.go, lock_futex.go, lock_spinbit.go, Go 1.18 to 1.27.

#include "gcore/sched.h"
#include "go/go_impl.h"

#include <string.h>

static bool is_field(uint64_t base, struct gi_field f, uint64_t addr)
{
	return f.ok && base && addr == base + f.off;
}

// The M whose member stands at addr.
static const struct gi_m *m_with(struct gi_go *go, struct gi_field f, uint64_t addr)
{
	return f.ok ? gi_go_m_by_addr(go, addr - f.off) : NULL;
}

// --- locks -----------------------------------------------------------------------------------

struct find_timer {
	uint64_t addr;
	bool found;
};

static bool is_timer(void *arg, const struct gi_timer *t)
{
	struct find_timer *x = arg;

	x->found = t->addr == x->addr;
	return !x->found;
}

// An object whose type is one of the program's.
static bool has_type(struct gi_go *go, uint64_t type)
{
	for (size_t i = 0; i < go->module_count; i++) {
		const struct gi_module *m = &go->modules[i];

		if (type && type >= m->types.start && type < m->types.end)
			return true;
	}
	return false;
}

static bool name_of_object(struct gi_go *go, uint64_t addr, struct gi_str *ret)
{
	const struct gi_layout *l = &go->layout;
	struct gi_hchan c;
	struct find_timer x = {0};
	uint64_t self;
	struct gi_error *err;

	for (size_t i = 0; i < gi_go_p_count(go); i++) {
		const struct gi_p *p = gi_go_p(go, i);

		if (is_field(p->addr, l->p.timers_lock, addr)) {
			gi_str_printf(ret, "the lock of P %d's timers", (int)p->id);
			return true;
		}
	}
	if (l->poll_desc.lock.ok && l->poll_desc.self.ok &&
	    gi_target_peek_u64(go->target, addr - l->poll_desc.lock.off + l->poll_desc.self.off,
			       &self) &&
	    self == addr - l->poll_desc.lock.off) {
		gi_str_printf(ret, "the lock of the network poller's descriptor 0x%llx",
			      (unsigned long long)self);
		return true;
	}
	if (l->hchan.lock.ok) {
		err = gi_go_read_hchan(go, addr - l->hchan.lock.off, &c);
		if (!err && has_type(go, c.elemtype)) {
			gi_str_printf(ret, "hchan.lock of channel 0x%llx",
				      (unsigned long long)c.addr);
			return true;
		}
		gi_error_ignore(err);
	}
	if (l->timer.lock.ok) {
		x.addr = addr - l->timer.lock.off;
		err = gi_go_timers(go, is_timer, &x);
		gi_error_ignore(err);
		if (x.found)
			gi_str_printf(ret, "the lock of timer 0x%llx", (unsigned long long)x.addr);
	}
	return x.found;
}

void gi_go_lock_name(struct gi_go *go, uint64_t addr, struct gi_str *ret)
{
	static const char key[] = ".key";
	const struct gi_layout *l = &go->layout;
	const uint64_t sched = l->global.sched.ok ? l->global.sched.addr : 0;
	const size_t start = ret->len;

	if (is_field(sched, l->sched.lock, addr)) {
		gi_str_puts(ret, "runtime.sched.lock");
	} else if (is_field(sched, l->sched.sysmonlock, addr)) {
		gi_str_puts(ret, "runtime.sched.sysmonlock");
	} else if (l->global.mheap.ok && is_field(l->global.mheap.addr, l->mheap.lock, addr)) {
		gi_str_puts(ret, "runtime.mheap_.lock");
	} else if (gi_go_name_at(go, addr, NULL, ret)) {
		// The member of the lock itself tells nothing.
		if (ret->s && ret->len > start + sizeof(key) - 1 &&
		    strcmp(ret->s + ret->len - (sizeof(key) - 1), key) == 0) {
			ret->len -= sizeof(key) - 1;
			ret->s[ret->len] = '\0';
		}
	} else if (!name_of_object(go, addr, ret)) {
		gi_str_printf(ret, "a lock of the runtime at 0x%llx", (unsigned long long)addr);
	}
}

// --- all words -------------------------------------------------------------------------------

bool gi_go_futex_name(struct gi_go *go, uint64_t addr, struct gi_str *ret)
{
	const struct gi_layout *l = &go->layout;
	const uint64_t sched = l->global.sched.ok ? l->global.sched.addr : 0;
	const struct gi_m *m;
	const struct {
		struct gi_field field;
		const char *text;
	} of_sched[] = {
		{l->sched.lock, "runtime.sched.lock, the scheduler's lock"},
		{l->sched.sysmonnote,
		 "runtime.sched.sysmonnote: sysmon sleeps until there is work"},
		{l->sched.stopnote, "runtime.sched.stopnote: it waits until the world has stopped"},
		{l->sched.sysmonlock, "runtime.sched.sysmonlock"},
		{l->sched.safe_point_note,
		 "runtime.sched.safePointNote: it waits until all Ps ran a "
		 "function at a safe point"},
	};

	m = m_with(go, l->m.park, addr);
	if (m) {
		gi_str_printf(ret, "m.park of M %lld: it has nothing to run", (long long)m->id);
		return true;
	}
	m = m_with(go, l->m.wait_sema, addr);
	if (m) {
		gi_str_printf(ret, "m.waitsema of M %lld: it waits for a lock of the runtime",
			      (long long)m->id);
		return true;
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(of_sched); i++) {
		if (is_field(sched, of_sched[i].field, addr)) {
			gi_str_puts(ret, of_sched[i].text);
			return true;
		}
	}
	if (l->global.mheap.ok && is_field(l->global.mheap.addr, l->mheap.lock, addr)) {
		gi_str_puts(ret, "runtime.mheap_.lock, the heap's lock");
		return true;
	}
	return gi_go_name_at(go, addr, NULL, ret);
}

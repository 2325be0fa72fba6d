// What a futex word belongs to: the runtime's notes and locks.
//
// An M parks on its own note, m.park; sysmon, a stop of the world and the safe-point function have
// notes in sched; the runtime's locks are words that are mutex.key. From Go 1.24 on an M that waits
// for such a lock sleeps on a word of its own (m.waitsema), up to then on the lock. Source:
// src/runtime/runtime2.go, lock_futex.go, lock_spinbit.go, Go 1.18 to 1.27.

#include "gcore/sched.h"
#include "go/go_impl.h"

static bool is_field(uint64_t base, struct gi_field f, uint64_t addr)
{
	return f.ok && base && addr == base + f.off;
}

// The M whose member stands at addr.
static const struct gi_m *m_with(struct gi_go *go, struct gi_field f, uint64_t addr)
{
	return f.ok ? gi_go_m_by_addr(go, addr - f.off) : NULL;
}

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
		{l->sched.sysmonnote, "runtime.sched.sysmonnote: sysmon sleeps until there is work"},
		{l->sched.stopnote, "runtime.sched.stopnote: it waits until the world has stopped"},
		{l->sched.sysmonlock, "runtime.sched.sysmonlock"},
		{l->sched.safe_point_note, "runtime.sched.safePointNote: it waits until all Ps ran a "
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

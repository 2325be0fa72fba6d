// Does a table of layouts fit?
//
// A stripped program of a release that has no table gets the nearest one; and a patch level
// that is newer than all that tables were made from may have changed a struct. The layouts
// may be right, then everything is; or some structs have changed, and then much of what would
// be shown is nonsense that looks like an answer. So the data are asked for what must hold
// if the layouts are right: pointers that go forth and back, code addresses that are
// functions' entries, the main goroutine that starts in runtime.main, goroutines that are
// objects of the heap with a g's size. Each check covers some structs, and in a live
// process each has many instances, of which a few may be damaged, or caught half-way. What the core
// does not hold tells nothing.

#include "go/go_impl.h"

#include <string.h>

// Goroutines that are looked at: the first ones, which the runtime's own are among.
enum { SAMPLE = 4096, TID_MAX = 1 << 22, STACK_MAPS_MAX = 1 << 20 };

struct tally {
	struct gi_go *go;
	size_t seen, bad;
};

static void count(struct tally *t, bool good)
{
	t->seen++;
	t->bad += !good;
}

// Not more than a quarter may be bad.
static struct gi_error *judge(const struct tally *t, const char *what)
{
	if (t->bad * 4 <= t->seen)
		return NULL;
	return gi_error_create(GI_ERR_MISMATCH, "%zu of %zu %s", t->bad, t->seen, what);
}

// --- goroutines ------------------------------------------------------------------------

typedef void (*check_g_fn)(struct tally *t, const struct gi_g *g);

static struct gi_error *each_g(struct gi_go *go, check_g_fn fn, const char *what)
{
	struct tally t = {.go = go};

	for (size_t i = 0; i < go->g_count && i < SAMPLE; i++) {
		const struct gi_g *g = &go->gs[i];

		if (!g->unreadable && !gi_g_is_dead(g))
			fn(&t, g);
	}
	return judge(&t, what);
}

static void check_start(struct tally *t, const struct gi_g *g)
{
	struct gi_func f;

	// Those of threads that C made start nowhere.
	if (!g->start_pc && !g->go_pc)
		return;
	count(t, gi_functab_find(t->go->functab, g->start_pc, &f) && f.entry == g->start_pc);
	if (g->goid == 1)
		count(t, gi_functab_find(t->go->functab, g->start_pc, &f) && f.name &&
				 strcmp(f.name, "runtime.main") == 0);
}

static bool is_off_thread(const struct gi_g *g)
{
	uint32_t status = gi_g_base_status(g->status);

	return !g->m && (status == GI_G_RUNNABLE || status == GI_G_WAITING);
}

static void check_pc(struct tally *t, const struct gi_g *g)
{
	struct gi_func f;

	if (is_off_thread(g))
		count(t, gi_functab_find(t->go->functab, g->sched_pc, &f));
}

static void check_m(struct tally *t, const struct gi_g *g)
{
	const struct gi_m *m;

	if (!g->m)
		return;
	m = gi_go_m_by_addr(t->go, g->m);
	if (!m && t->go->m_lost)
		return;
	count(t, m && (!m->curg || m->curg == g->addr));
}

static void check_reason(struct tally *t, const struct gi_g *g)
{
	const char *reason;

	if (gi_g_base_status(g->status) != GI_G_WAITING)
		return;
	reason = gi_go_wait_reason(t->go, g);
	for (const char *p = reason; p && *p; p++) {
		if (*p < ' ' || *p > '~')
			reason = NULL;
	}
	count(t, reason);
}

static void check_sudog(struct tally *t, const struct gi_g *g)
{
	struct gi_sudog s;
	struct gi_hchan c;
	struct gi_error *err;

	if (!is_off_thread(g) || !g->waiting)
		return;
	err = gi_go_read_sudog(t->go, g->waiting, &s);
	if (!err && s.c)
		err = gi_go_read_hchan(t->go, s.c, &c);
	count(t, !err && s.g == g->addr);
	gi_error_ignore(err);
}

static struct gi_error *check_gs(struct gi_go *go)
{
	struct gi_error *err = each_g(go, check_start, "goroutines start at no function");

	if (!err)
		err = each_g(go, check_pc, "goroutines that are off a thread stand at no function");
	if (!err)
		err = each_g(go, check_m, "goroutines are on no thread that has them");
	if (!err)
		err = each_g(go, check_reason, "goroutines wait for no known reason");
	if (!err)
		err = each_g(go, check_sudog, "goroutines that wait are not what their sudog says");
	return err;
}

// --- threads and processors --------------------------------------------------------------

static struct gi_error *check_ms(struct gi_go *go)
{
	struct tally t = {.go = go};

	if (go->m_count && !go->m_lost && !gi_go_m_by_addr(go, go->layout.global.m0.addr))
		return gi_error_create(GI_ERR_MISMATCH, "the first M is not among the Ms");
	for (size_t i = 0; i < go->m_count; i++) {
		const struct gi_m *m = &go->ms[i];

		// One that waits for a thread of C to need it has a curg, and no thread.
		bool waits = m->is_extra || (m->curg && !m->p && !m->procid);

		if (!waits)
			count(&t, m->procid && m->procid <= TID_MAX &&
					  (!m->p || go->p_lost || gi_go_p_by_addr(go, m->p)));
	}
	return judge(&t, "Ms have an impossible thread or P");
}

static struct gi_error *check_ps(struct gi_go *go)
{
	struct tally t = {.go = go};

	for (size_t i = 0; i < go->p_count; i++) {
		const struct gi_p *p = &go->ps[i];

		if (p->m && !go->m_lost)
			count(&t, gi_go_m_by_addr(go, p->m));
	}
	return judge(&t, "Ps belong to no M");
}

// --- function data -----------------------------------------------------------------------

// A map of pointers: how many maps, of how many bits.
static struct gi_error *check_func_data(struct gi_go *go)
{
	struct tally t = {.go = go};
	size_t n = gi_functab_count(go->functab);

	for (size_t i = 0; i < n && i < SAMPLE; i++) {
		struct gi_func f;
		uint64_t at, v;

		if (!gi_functab_func(go->functab, i, &f))
			continue;
		at = gi_func_funcdata(&f, GI_FUNCDATA_LOCALS_POINTER_MAPS);
		if (at)
			count(&t, gi_target_peek_u64(go->target, at, &v) && (uint32_t)v &&
					  (uint32_t)v < STACK_MAPS_MAX && v >> 32 < STACK_MAPS_MAX);
	}
	return judge(&t, "functions have no map of the pointers on their stack");
}

// --- the heap ----------------------------------------------------------------------------

static struct gi_error *check_heap(struct gi_go *go)
{
	struct tally t = {.go = go};
	struct gi_heap *heap;
	struct gi_error *err = gi_go_heap(go, &heap);

	if (err && gi_error_code(err) == GI_ERR_MISMATCH)
		return err;
	// It is not found, or not in the core: then nothing is said by it either.
	if (err) {
		gi_error_ignore(err);
		return NULL;
	}
	for (size_t i = 0; i < go->g_count && i < SAMPLE; i++) {
		const struct gi_span *span;
		uint64_t start, size;

		count(&t, gi_heap_object_at(heap, go->gs[i].addr, &start, &size, &span) &&
				  start == go->gs[i].addr && size >= go->layout.g.rec.size);
	}
	return judge(&t, "goroutines are no objects of the heap with a g's size");
}

static struct gi_error *check_fit(struct gi_go *go)
{
	struct gi_error *err = check_ms(go);

	if (!err)
		err = check_ps(go);
	if (!err)
		err = check_gs(go);
	if (!err)
		err = check_func_data(go);
	return err;
}

struct gi_error *gi_go_check_fit(struct gi_go *go)
{
	struct gi_error *err = check_fit(go);

	if (!err && gi_go_has_foreign_table(go))
		err = check_heap(go);
	if (!err || gi_go_has_foreign_table(go) || gi_error_code(err) != GI_ERR_MISMATCH)
		return err;
	// Of its own release the table is right, or nearly; or the memory is damaged.
	gi_go_add_note(go, "%s may have other layouts than the go1.%d that is known: %s",
		       go->version.text, go->table.minor, gi_error_message(err));
	gi_error_ignore(err);
	return NULL;
}

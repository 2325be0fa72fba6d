// Goroutines: the entries of runtime.allgs as compact records, with indexes by id and
// address.
//
// runtime.allgs holds every g that was ever made, dead ones too; gs are never freed, so
// the array only grows. runtime.allglen and allgptr are its lock-free view: allgptr is
// stored before allglen, so allglen entries of it are valid whenever the process stopped.
//
// 100,000 goroutines are decoded from views of the mapped core, without copies: what
// costs is the page fault of each g. An unreadable g stays in the array, marked, so that
// counts are right and nothing is hidden.
//
// Whether a goroutine belongs to the system follows isSystemGoroutine in
// src/runtime/traceback.go (1.18 to 1.27): its start function is in package runtime and
// is none of main, corostart, handleAsyncEvent; the finalizer goroutine (runfinq,
// from 1.25 runFinalizers) and the cleanup goroutines (runCleanups, 1.25) count as the
// user's while they call into user code.

#include "go/go_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// --- system goroutines ---------------------------------------------------------

static enum gi_start_kind start_kind(const struct gi_functab *ft, uint64_t pc)
{
	static const char prefix[] = "runtime.";
	struct gi_func f;
	const char *name;

	if (!ft || !pc || !gi_functab_find(ft, pc, &f) || !f.name)
		return GI_START_USER;
	if (strncmp(f.name, prefix, sizeof(prefix) - 1) != 0)
		return GI_START_USER;
	name = f.name + sizeof(prefix) - 1;
	if (strcmp(name, "main") == 0 || strcmp(name, "corostart") == 0 ||
	    strcmp(name, "handleAsyncEvent") == 0)
		return GI_START_USER;
	if (strcmp(name, "runfinq") == 0 || strcmp(name, "runFinalizers") == 0)
		return GI_START_FINALIZERS;
	if (strcmp(name, "runCleanups") == 0)
		return GI_START_CLEANUPS;
	return GI_START_SYSTEM;
}

bool gi_go_is_system_start(struct gi_go *go, uint64_t start_pc)
{
	return start_kind(go->functab, start_pc) != GI_START_USER;
}

// Programs have few start functions and many goroutines.
static enum gi_start_kind cached_start_kind(struct gi_go *go, uint64_t pc)
{
	uint64_t v;

	if (!gi_map_get(&go->start_kinds, pc, &v)) {
		v = start_kind(go->functab, pc);
		gi_error_ignore(gi_map_put(&go->start_kinds, pc, v));
	}
	return (enum gi_start_kind)v;
}

static bool is_system(const struct gi_go *go, const uint8_t *rec, enum gi_start_kind kind)
{
	switch (kind) {
	case GI_START_USER:
		return false;
	case GI_START_SYSTEM:
		return true;
	case GI_START_FINALIZERS:
		return !go->finalizer_runs;
	case GI_START_CLEANUPS:
		return !gi_field_uint(rec, go->layout.g.running_cleanups);
	}
	return false;
}

static void find_finalizer_state(struct gi_go *go)
{
	uint64_t v;

	if (gi_go_global_uint(go, &go->layout.global.fing_status, &v))
		go->finalizer_runs =
			v & (uint64_t)go->layout.constant.fing_running_finalizer;
	else if (gi_go_global_uint(go, &go->layout.global.fing_running, &v))
		go->finalizer_runs = v != 0;
}

// --- one g -----------------------------------------------------------------------

void gi_go_decode_g(const struct gi_go *go, const uint8_t *rec, uint64_t addr,
		    struct gi_g *ret)
{
#define FIELD(f) gi_field_uint(rec, go->layout.g.f)
	*ret = (struct gi_g){
		.addr = addr,
		.goid = FIELD(goid),
		.stack_lo = FIELD(stack_lo),
		.stack_hi = FIELD(stack_hi),
		.sched_pc = FIELD(sched_pc),
		.sched_sp = FIELD(sched_sp),
		.sched_bp = FIELD(sched_bp),
		.sched_lr = FIELD(sched_lr),
		.sched_ctxt = FIELD(sched_ctxt),
		.syscall_pc = FIELD(syscallpc),
		.syscall_sp = FIELD(syscallsp),
		.syscall_bp = FIELD(syscallbp),
		.m = FIELD(m),
		.lockedm = FIELD(lockedm),
		.start_pc = FIELD(startpc),
		.go_pc = FIELD(gopc),
		.parent_goid = FIELD(parent_goid),
		.wait_since = FIELD(waitsince),
		.waiting = FIELD(waiting),
		.defer_head = FIELD(defer),
		.panic_head = FIELD(panic),
		.labels = FIELD(labels),
		.param = FIELD(param),
		.sig_pc = FIELD(sigpc),
		.status = (uint32_t)FIELD(status),
		.sig = (uint32_t)FIELD(sig),
		.wait_reason = (uint8_t)FIELD(waitreason),
		.preempt_stop = FIELD(preempt_stop) != 0,
		.async_safe_point = FIELD(async_safe_point) != 0,
		.para = FIELD(parking_on_chan) != 0,
		.coroarg = FIELD(coroarg),
		.bubble = FIELD(bubble),
	};
#undef FIELD
}

struct gi_error *gi_go_read_g(struct gi_go *go, uint64_t addr, struct gi_g *ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	struct gi_error *err = gi_go_bytes(go, addr, go->layout.g.rec.size, &buf, &rec);

	if (err)
		return gi_error_wrap(err, "g at 0x%llx", (unsigned long long)addr);
	gi_go_decode_g(go, rec, addr, ret);
	// Not through the cache: threads may call this at once.
	ret->system = is_system(go, rec, start_kind(go->functab, ret->start_pc));
	return NULL;
}

// --- allgs -------------------------------------------------------------------------

struct allgs {
	uint64_t ptr, len;
	uint64_t unreadable_slots; // entries of the array
	uint64_t unreadable_gs;	   // gs that entries point to
	uint64_t first_bad;
	struct gi_buf buf;
};

static struct gi_error *add_g(struct gi_go *go, struct allgs *a, uint64_t addr)
{
	const uint8_t *rec;
	struct gi_error *err;
	struct gi_g *g;

	err = gi_grow(&go->gs, &go->g_cap, go->g_count + 1, sizeof(*go->gs));
	if (err)
		return err;
	g = &go->gs[go->g_count++];
	err = gi_go_bytes(go, addr, go->layout.g.rec.size, &a->buf, &rec);
	if (err) {
		if (gi_error_code(err) == GI_ERR_NOMEM)
			return err;
		gi_error_ignore(err);
		*g = (struct gi_g){.addr = addr, .unreadable = true};
		if (!a->unreadable_gs++)
			a->first_bad = addr;
		return NULL;
	}
	gi_go_decode_g(go, rec, addr, g);
	g->system = is_system(go, rec, cached_start_kind(go, g->start_pc));

	gi_go_saw_time(go, g->wait_since);
	gi_go_saw_time(go, gi_field_uint(rec, go->layout.g.tracking_stamp));
	return NULL;
}

// Room for as many gs as entries of the array can be read at once. In huge pages, where
// there are many: faulting in small ones would take as long as reading all gs.
static struct gi_error *reserve_gs(struct gi_go *go, const struct allgs *a)
{
	const size_t huge = (size_t)2 << 20;
	size_t n, size;

	if (a->len > SIZE_MAX / sizeof(*go->gs) / 2 ||
	    !gi_target_view_max(go->target, a->ptr, (size_t)a->len * 8, &n) || n < 8)
		return NULL;
	n /= 8;
	size = (n * sizeof(*go->gs) + huge - 1) / huge * huge;
	if (n * sizeof(*go->gs) < huge)
		return gi_grow(&go->gs, &go->g_cap, n, sizeof(*go->gs));
	go->gs = aligned_alloc(huge, size);
	if (!go->gs)
		return gi_error_nomem();
	go->g_cap = size / sizeof(*go->gs);
	(void)madvise(go->gs, size, MADV_HUGEPAGE);
	return NULL;
}

static struct gi_error *add_slots(struct gi_go *go, struct allgs *a)
{
	const uint64_t page = 4096;
	struct gi_error *err;
	uint64_t i = 0;

	while (i < a->len) {
		uint64_t at = a->ptr + 8 * i;
		size_t n;
		const uint8_t *p = gi_target_view_max(
			go->target, at, (size_t)gi_min_u64((a->len - i) * 8, 1 << 20),
			&n);

		err = gi_interrupt_check();
		if (err)
			return err;
		if (!p || n < 8) {
			// An entry across two pieces, or a hole: go on at the next page.
			uint64_t addr, skip;

			if (gi_target_peek_u64(go->target, at, &addr)) {
				err = addr ? add_g(go, a, addr) : NULL;
				if (err)
					return err;
				i++;
				continue;
			}
			skip = gi_min_u64((page - at % page + 7) / 8, a->len - i);
			if (!a->unreadable_slots)
				a->first_bad = at;
			a->unreadable_slots += skip;
			i += skip;
			continue;
		}
		for (size_t k = 0; k + 8 <= n; k += 8, i++) {
			uint64_t addr = gi_load_u64(p + k);

			err = addr ? add_g(go, a, addr) : NULL;
			if (err)
				return err;
		}
	}
	return NULL;
}

// --- indexes -------------------------------------------------------------------------
//
// 4 bytes a slot, at most half full: of a map with its own keys 100,000 goroutines would
// fill 8 MB, which costs more time than reading the goroutines does.

static uint64_t by_id(const struct gi_g *g)
{
	return g->goid;
}

static uint64_t by_addr(const struct gi_g *g)
{
	return g->addr;
}

static size_t index_hash(const struct gi_g_index *x, uint64_t key)
{
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(key >> 32) & x->mask;
}

// The slot that holds key, or the free one where it belongs.
static inline uint32_t *index_slot(const struct gi_go *go, const struct gi_g_index *x,
				   uint64_t (*key_of)(const struct gi_g *), uint64_t key)
{
	size_t i = index_hash(x, key);

	while (x->slots[i] && key_of(&go->gs[x->slots[i] - 1]) != key)
		i = (i + 1) & x->mask;
	return &x->slots[i];
}

static const struct gi_g *index_get(const struct gi_go *go, const struct gi_g_index *x,
				    uint64_t (*key_of)(const struct gi_g *), uint64_t key)
{
	uint32_t i = x->slots && key ? *index_slot(go, x, key_of, key) : 0;

	return i ? &go->gs[i - 1] : NULL;
}

static struct gi_error *index_create(struct gi_g_index *x, size_t n)
{
	size_t size = 16;

	while (size < 2 * n)
		size *= 2;
	x->slots = calloc(size, sizeof(*x->slots));
	x->mask = size - 1;
	return x->slots ? NULL : gi_error_nomem();
}

static struct gi_error *index_gs(struct gi_go *go)
{
	struct gi_error *err = index_create(&go->g_by_id, go->g_count);

	if (!err)
		err = index_create(&go->g_by_addr, go->g_count);
	if (err)
		return err;
	for (size_t i = 0; i < go->g_count; i++) {
		const struct gi_g *g = &go->gs[i];
		uint32_t *slot = index_slot(go, &go->g_by_addr, by_addr, g->addr);

		if (!*slot)
			*slot = (uint32_t)i + 1;
		if (g->unreadable || !g->goid)
			continue;
		slot = index_slot(go, &go->g_by_id, by_id, g->goid);
		// A dead g keeps the id of its last goroutine.
		if (!*slot || !gi_g_is_dead(g))
			*slot = (uint32_t)i + 1;
	}
	return NULL;
}

// Where parts of the array are lost: those that Ms run or are locked to are known all the
// same.
static struct gi_error *add_gs_of_ms(struct gi_go *go, struct allgs *a)
{
	_cleanup_(gi_map_deinit) struct gi_map known = {0};
	struct gi_error *err = NULL;
	uint64_t v;

	for (size_t i = 0; i < go->g_count && !err; i++)
		err = gi_map_put(&known, go->gs[i].addr, 1);
	for (size_t i = 0; i < 2 * go->m_count && !err; i++) {
		const struct gi_m *m = &go->ms[i / 2];
		const uint64_t addr = i % 2 ? m->lockedg : m->curg;

		if (!addr || gi_map_get(&known, addr, &v))
			continue;
		err = gi_map_put(&known, addr, 1);
		if (!err)
			err = add_g(go, a, addr);
	}
	return err;
}

struct gi_error *gi_go_load_gs(struct gi_go *go)
{
	struct allgs a = {0};
	struct gi_slice s = {0};
	struct gi_error *err;

	find_finalizer_state(go);
	if (!gi_go_global_uint(go, &go->layout.global.allglen, &a.len) ||
	    !gi_target_peek_u64(go->target, go->layout.global.allgptr.addr, &a.ptr)) {
		gi_go_add_note(
			go,
			"no goroutines: runtime.allglen and allgptr could not be read");
		go->g_lost = true;
		return NULL;
	}
	err = gi_go_global_slice(go, &go->layout.global.allgs, &s);
	if (err) {
		gi_error_ignore(err);
	} else if (a.ptr == s.ptr && a.len > s.cap) {
		return gi_error_create(
			GI_ERR_MISMATCH,
			"runtime.allgs fails its check: allglen is %llu, but its "
			"array has room for %llu entries",
			(unsigned long long)a.len, (unsigned long long)s.cap);
	}
	if (a.len >= GI_GO_MAX_GS || a.len * 8 > UINT64_MAX - a.ptr)
		return gi_error_create(
			GI_ERR_MISMATCH,
			"runtime.allgs fails its check: %llu entries at 0x%llx do "
			"not fit into memory",
			(unsigned long long)a.len, (unsigned long long)a.ptr);

	err = reserve_gs(go, &a);
	if (!err)
		err = add_slots(go, &a);
	if (!err && a.unreadable_slots)
		err = add_gs_of_ms(go, &a);
	gi_buf_deinit(&a.buf);
	if (err)
		return err;
	go->g_lost = a.unreadable_slots || a.unreadable_gs;
	if (a.unreadable_slots)
		gi_go_add_note(
			go,
			"%llu of %llu entries of runtime.allgs could not be read: of "
			"their goroutines those are shown that an M runs or is locked to",
			(unsigned long long)a.unreadable_slots,
			(unsigned long long)a.len);
	if (a.unreadable_gs)
		gi_go_add_note(go, "%llu of %llu goroutines could not be read",
			       (unsigned long long)a.unreadable_gs,
			       (unsigned long long)a.len);
	return index_gs(go);
}

// --- look-ups ------------------------------------------------------------------------

size_t gi_go_g_count(const struct gi_go *go)
{
	return go->g_count;
}

bool gi_go_g_lost(const struct gi_go *go)
{
	return go->g_lost;
}

bool gi_go_g_all_lost(const struct gi_go *go)
{
	if (!go->g_lost)
		return false;
	for (size_t i = 0; i < go->g_count; i++) {
		if (!go->gs[i].unreadable)
			return false;
	}
	return true;
}

const struct gi_g *gi_go_g(const struct gi_go *go, size_t i)
{
	return i < go->g_count ? &go->gs[i] : NULL;
}

const struct gi_g *gi_go_g_by_id(const struct gi_go *go, uint64_t goid)
{
	return index_get(go, &go->g_by_id, by_id, goid);
}

const struct gi_g *gi_go_g_by_addr(const struct gi_go *go, uint64_t addr)
{
	return index_get(go, &go->g_by_addr, by_addr, addr);
}

static int compare_stacks(const void *a, const void *b, void *arg)
{
	const struct gi_g *gs = arg;
	const struct gi_g *x = &gs[*(const uint32_t *)a], *y = &gs[*(const uint32_t *)b];

	if (x->stack_lo != y->stack_lo)
		return x->stack_lo < y->stack_lo ? -1 : 1;
	// Of two claims to one stack the live one's is the later.
	return (int)gi_g_is_dead(y) - (int)gi_g_is_dead(x);
}

static void make_stacks(struct gi_go *go)
{
	go->stacks_made = true;
	go->stacks = calloc(go->g_count ? go->g_count : 1, sizeof(*go->stacks));
	if (!go->stacks)
		return;
	for (size_t i = 0; i < go->g_count; i++) {
		if (go->gs[i].stack_lo < go->gs[i].stack_hi)
			go->stacks[go->stack_count++] = (uint32_t)i;
	}
	qsort_r(go->stacks, go->stack_count, sizeof(*go->stacks), compare_stacks, go->gs);
}

const struct gi_g *gi_go_g_by_stack(struct gi_go *go, uint64_t addr)
{
	size_t lo = 0, hi;

	pthread_mutex_lock(&go->stacks_lock);
	if (!go->stacks_made)
		make_stacks(go);
	pthread_mutex_unlock(&go->stacks_lock);

	// The last stack that starts at or below addr.
	hi = go->stack_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (go->gs[go->stacks[mid]].stack_lo <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return NULL;
	const struct gi_g *g = &go->gs[go->stacks[lo - 1]];
	return addr < g->stack_hi ? g : NULL;
}

// --- statuses and wait reasons ---------------------------------------------------------

bool gi_g_is_leaked(const struct gi_g *g)
{
	return !g->unreadable && gi_g_base_status(g->status) == GI_G_LEAKED;
}

bool gi_g_is_dead(const struct gi_g *g)
{
	switch (gi_g_base_status(g->status)) {
	case GI_G_IDLE:
	case GI_G_DEAD:
	case GI_G_DEADEXTRA:
		return !g->unreadable;
	}
	return false;
}

const char *gi_g_status_name(const struct gi_g *g, char *buf, size_t n)
{
	static const char *const names[] = {
		[GI_G_IDLE] = "idle",		[GI_G_RUNNABLE] = "runnable",
		[GI_G_RUNNING] = "running",	[GI_G_SYSCALL] = "syscall",
		[GI_G_WAITING] = "waiting",	[GI_G_DEAD] = "dead",
		[GI_G_COPYSTACK] = "copystack", [GI_G_PREEMPTED] = "preempted",
		[GI_G_LEAKED] = "leaked",	[GI_G_DEADEXTRA] = "deadextra",
	};
	uint32_t status = gi_g_base_status(g->status);

	if (g->unreadable)
		return "unreadable";
	if (status < GI_ARRAY_SIZE(names) && names[status])
		return names[status];
	snprintf(buf, n, "0x%x", status);
	return buf;
}

struct gi_error *gi_go_load_wait_reasons(struct gi_go *go)
{
	const struct gi_global *g = &go->layout.global.wait_reasons;
	const struct gi_global *d = &go->layout.global.idle_in_synctest;
	size_t n, bad = 0;

	// An array of strings; each is a header of 16 bytes.
	if (go->wait_reasons || !g->ok || g->size < 16)
		return NULL;
	n = (size_t)gi_min_u64(g->size / 16, GI_GO_MAX_WAIT_REASONS);
	go->wait_reasons = gi_arena_alloc(go->arena, n * sizeof(*go->wait_reasons));
	if (!go->wait_reasons)
		return gi_error_nomem();
	go->wait_reason_count = n;
	for (size_t i = 0; i < n; i++) {
		_cleanup_(gi_str_deinit) struct gi_str s = {0};
		struct gi_error *err =
			gi_target_read_gostring(go->target, g->addr + 16 * i, 256, &s);

		if (err) {
			gi_error_ignore(err);
			bad++;
			continue;
		}
		go->wait_reasons[i] = gi_arena_strdup(go->arena, gi_str_cstr(&s));
		if (!go->wait_reasons[i])
			return gi_error_nomem();
	}
	if (bad)
		gi_go_add_note(
			go, "%zu of %zu of the names of wait reasons could not be read",
			bad, n);

	if (d->ok && d->size && d->size <= GI_GO_MAX_WAIT_REASONS) {
		uint8_t *p = gi_arena_alloc(go->arena, (size_t)d->size);
		struct gi_error *err;

		if (!p)
			return gi_error_nomem();
		err = gi_target_read(go->target, d->addr, p, (size_t)d->size);
		if (err) {
			gi_error_ignore(err);
		} else {
			go->wait_durable = p;
			go->wait_durable_count = (size_t)d->size;
		}
	}
	return NULL;
}

const char *gi_go_wait_reason_string(const struct gi_go *go, unsigned reason)
{
	return reason < go->wait_reason_count ? go->wait_reasons[reason] : NULL;
}

const char *gi_go_wait_reason(const struct gi_go *go, const struct gi_g *g)
{
	uint32_t status = gi_g_base_status(g->status);
	const char *s;

	if (g->unreadable || (status != GI_G_WAITING && status != GI_G_LEAKED))
		return NULL;
	s = gi_go_wait_reason_string(go, g->wait_reason);
	return s && *s ? s : NULL;
}

bool gi_go_wait_is_durable(const struct gi_go *go, unsigned reason)
{
	return reason < go->wait_durable_count && go->wait_durable[reason];
}

struct gi_error *gi_go_bubble_id(struct gi_go *go, const struct gi_g *g, uint64_t *ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	struct gi_g root;
	struct gi_error *err;

	if (!g->bubble || !go->layout.bubble.rec.ok)
		return gi_error_create(GI_ERR_NOT_FOUND, "goroutine %llu is in no bubble",
				       (unsigned long long)g->goid);
	err = gi_go_bytes(go, g->bubble, (size_t)go->layout.bubble.rec.size, &buf, &rec);
	if (err)
		return gi_error_wrap(err, "the synctest bubble of goroutine %llu",
				     (unsigned long long)g->goid);
	if (go->layout.bubble.id.ok) {
		*ret = gi_field_uint(rec, go->layout.bubble.id);
		return NULL;
	}
	err = gi_go_read_g(go, gi_field_uint(rec, go->layout.bubble.root), &root);
	if (err)
		return err;
	*ret = root.goid;
	return NULL;
}

bool gi_go_wait_ns(const struct gi_go *go, const struct gi_g *g, uint64_t *ret)
{
	uint32_t status = gi_g_base_status(g->status);

	if (g->unreadable || (status != GI_G_WAITING && status != GI_G_SYSCALL))
		return false;
	if (!g->wait_since || go->now < g->wait_since)
		return false;
	*ret = go->now - g->wait_since;
	return true;
}

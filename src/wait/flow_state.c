// The state of a function at a place: values of registers and stack slots, facts about locks.
//
// Where ways meet, a place whose values differ gets a new value (a phi) that stands for
// whichever came; places that always differ in the same way share one, so that a variable that
// lives in a register and in a slot stays one variable. Zero and something meet as something:
// values matter as addresses, and at address zero no program goes on. When a phi or an
// instruction's result is made again (the next round of a loop), all that was computed from the old
// one is forgotten.

#include "wait/flow.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PAIRS = 64 };

struct pair {
	gi_value dst, src, merged;
};

struct merge {
	struct gi_flow_state *dst;
	const struct gi_flow_state *src;
	struct gi_values *vs;
	uint32_t block;
	bool changed;
	struct pair pairs[MAX_PAIRS];
	size_t pair_count;
};

void gi_flow_state_deinit(struct gi_flow_state *st)
{
	free(st->slots);
	memset(st, 0, sizeof(*st));
}

struct gi_error *gi_flow_state_copy(struct gi_flow_state *dst, const struct gi_flow_state *src)
{
	struct gi_error *err =
		gi_grow(&dst->slots, &dst->slot_cap, src->slot_count, sizeof(*dst->slots));
	if (err)
		return err;
	dst->reg_count = src->reg_count;
	memcpy(dst->regs, src->regs, src->reg_count * sizeof(*dst->regs));
	dst->flags = src->flags;
	if (src->slot_count)
		memcpy(dst->slots, src->slots, src->slot_count * sizeof(*dst->slots));
	dst->slot_count = src->slot_count;
	memcpy(dst->facts, src->facts, src->fact_count * sizeof(*dst->facts));
	dst->fact_count = src->fact_count;
	dst->lost = src->lost;
	return NULL;
}

void gi_flow_state_enter(struct gi_flow_state *st, struct gi_values *vs, unsigned reg_count)
{
	st->reg_count = reg_count;
	for (unsigned r = 0; r < reg_count; r++)
		st->regs[r] = gi_value_entry(vs, r);
}

// --- slots ------------------------------------------------------------------------

/** The first slot that ends after off. */
static size_t slot_search(const struct gi_flow_state *st, int64_t off)
{
	size_t lo = 0, hi = st->slot_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (st->slots[mid].off + (int64_t)st->slots[mid].size <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

gi_value gi_flow_slot_get(const struct gi_flow_state *st, int64_t off, unsigned size)
{
	size_t i = slot_search(st, off);

	if (i < st->slot_count && st->slots[i].off == off && st->slots[i].size == size)
		return st->slots[i].v;
	return 0;
}

struct gi_error *gi_flow_slot_set(struct gi_flow_state *st, int64_t off, uint64_t size, gi_value v)
{
	// A frame is far smaller; whatever else an operand says is no slot.
	if (off < -(INT64_C(1) << 30) || off > INT64_C(1) << 30)
		return NULL;
	if (size > UINT32_C(1) << 30)
		size = UINT32_C(1) << 30;
	size_t i = slot_search(st, off), j = i;
	while (j < st->slot_count && st->slots[j].off < off + (int64_t)size)
		j++;
	if (j > i)
		memmove(&st->slots[i], &st->slots[j], (st->slot_count - j) * sizeof(*st->slots));
	st->slot_count -= j - i;
	if (!v || st->slot_count >= FLOW_MAX_SLOTS)
		return NULL;
	struct gi_error *err =
		gi_grow(&st->slots, &st->slot_cap, st->slot_count + 1, sizeof(*st->slots));
	if (err)
		return err;
	memmove(&st->slots[i + 1], &st->slots[i], (st->slot_count - i) * sizeof(*st->slots));
	st->slots[i] = (struct gi_slot){.off = (int32_t)off, .size = (uint32_t)size, .v = v};
	st->slot_count++;
	return NULL;
}

// --- forgetting ---------------------------------------------------------------------

static bool is_value(void *arg, gi_value root)
{
	return *(const gi_value *)arg == root;
}

static bool from(const struct gi_values *vs, gi_value x, gi_value v)
{
	return x && gi_value_any_root(vs, x, is_value, &v);
}

/** A release that cannot be named any more: whatever it may have been is not held for certain. */
static void doubt_others(struct gi_flow_state *st, const struct gi_lock_fact *gone)
{
	if (gone->is_call || !gone->is_foreign || !(gone->state & GI_FACT_RELEASED))
		return;
	for (size_t i = 0; i < st->fact_count; i++) {
		struct gi_lock_fact *f = &st->facts[i];
		if (!f->is_call && f->kind == gone->kind && f->doubt && (f->state & GI_FACT_HELD))
			f->state |= GI_FACT_RELEASED;
	}
}

static void drop_fact(struct gi_flow_state *st, size_t i)
{
	doubt_others(st, &st->facts[i]);
	memmove(&st->facts[i], &st->facts[i + 1], (st->fact_count - i - 1) * sizeof(st->facts[0]));
	st->fact_count--;
}

void gi_flow_state_forget(struct gi_flow_state *st, const struct gi_values *vs, gi_value v)
{
	for (unsigned r = 0; r < st->reg_count; r++) {
		if (from(vs, st->regs[r], v))
			st->regs[r] = 0;
	}
	if (from(vs, st->flags.attempt, v) || from(vs, st->flags.tested, v))
		st->flags = (struct gi_flow_flags){0};
	size_t n = 0;
	for (size_t i = 0; i < st->slot_count; i++) {
		if (!from(vs, st->slots[i].v, v))
			st->slots[n++] = st->slots[i];
	}
	st->slot_count = n;
	for (size_t i = st->fact_count; i-- > 0;) {
		struct gi_lock_fact *f = &st->facts[i];
		if (f->is_call && from(vs, f->data, v))
			f->data = 0;
		if (from(vs, f->recv, v) ||
		    (f->is_call && (from(vs, f->callee, v) || from(vs, f->ctx, v))))
			drop_fact(st, i);
	}
}

// --- merging --------------------------------------------------------------------------

// Places of phis: a register's number, or a slot's offset with a low byte that no register has.
static int64_t slot_place(int64_t off)
{
	return (int64_t)((uint64_t)off << 8 | 0xff);
}

static gi_value value_at(const struct gi_flow_state *st, int64_t place)
{
	if (place >= 0 && place < GI_INSN_REGS)
		return st->regs[place];
	return gi_flow_slot_get(st, place >> 8, 8);
}

static bool is_renewed(void *arg, gi_value root)
{
	const struct merge *m = arg;
	const struct gi_value_node *r = gi_value_node(m->vs, root);

	return r->kind == GI_V_PHI && r->site == m->block && value_at(m->src, r->off) != root;
}

/** True if v was computed from a phi of this block that the edge gives a new value. */
static bool is_stale(const struct merge *m, gi_value v)
{
	return v && gi_value_any_root(m->vs, v, is_renewed, (void *)(uintptr_t)m);
}

static gi_value remember(struct merge *m, gi_value dst, gi_value src, gi_value merged)
{
	if (m->pair_count < MAX_PAIRS)
		m->pairs[m->pair_count++] = (struct pair){dst, src, merged};
	return merged;
}

static gi_value merged_pair(const struct merge *m, gi_value dst, gi_value src)
{
	for (size_t i = 0; i < m->pair_count; i++) {
		if (m->pairs[i].dst == dst && m->pairs[i].src == src)
			return m->pairs[i].merged;
	}
	return 0;
}

static gi_value merge_value(struct merge *m, gi_value dst, gi_value src, int64_t place)
{
	if (!dst || !src)
		return 0;
	const struct gi_value_node *d = gi_value_node(m->vs, dst);
	const struct gi_value_node *s = gi_value_node(m->vs, src);
	if (d->kind == GI_V_PHI && d->site == m->block) {
		// Its own phi, or one that it shares as long as it gets the same values.
		if (d->off == place || value_at(m->src, d->off) == src)
			return remember(m, dst, src, dst);
	} else if (dst == src) {
		if (!is_stale(m, src))
			return dst;
	} else if (s->kind == GI_V_CONST && !s->off && d->kind != GI_V_CONST) {
		return dst;
	} else if (d->kind == GI_V_CONST && !d->off && s->kind != GI_V_CONST && !is_stale(m, src)) {
		return src;
	}
	gi_value shared = merged_pair(m, dst, src);
	if (shared)
		return shared;
	return remember(m, dst, src, gi_value_phi(m->vs, m->block, place));
}

static void merge_regs(struct merge *m)
{
	for (unsigned r = 0; r < m->dst->reg_count; r++) {
		gi_value v = merge_value(m, m->dst->regs[r], m->src->regs[r], r);
		if (v != m->dst->regs[r])
			m->changed = true;
		m->dst->regs[r] = v;
	}
	const struct gi_flow_flags *d = &m->dst->flags, *f = &m->src->flags;
	if ((d->attempt || d->tested) &&
	    (d->attempt != f->attempt || d->zero_is_success != f->zero_is_success ||
	     d->tested != f->tested)) {
		m->dst->flags = (struct gi_flow_flags){0};
		m->changed = true;
	}
}

static void merge_slots(struct merge *m)
{
	struct gi_flow_state *dst = m->dst;
	size_t n = 0;

	for (size_t i = 0; i < dst->slot_count; i++) {
		struct gi_slot s = dst->slots[i];
		gi_value v = merge_value(m, s.v, gi_flow_slot_get(m->src, s.off, s.size),
					 slot_place(s.off));
		if (v != s.v)
			m->changed = true;
		if (!v)
			continue;
		s.v = v;
		dst->slots[n++] = s;
	}
	dst->slot_count = n;
}

/** What two receivers of the same lock are called where the ways have met; NONE if they differ. */
static gi_value merge_recv(const struct merge *m, gi_value dst, gi_value src)
{
	int64_t doff, soff;

	if (is_stale(m, src)) {
		// The phi was made again; unless the new one is just this lock's.
		return 0;
	}
	if (dst == src)
		return dst;
	gi_value d = gi_value_split(m->vs, dst, &doff), s = gi_value_split(m->vs, src, &soff);
	if (doff != soff)
		return 0;
	gi_value p = merged_pair(m, d, s);
	return p ? gi_value_add(m->vs, p, doff) : 0;
}

static bool same_fact(const struct merge *m, const struct gi_lock_fact *d,
		      const struct gi_lock_fact *s, gi_value *recv_ret)
{
	if (d->is_call != s->is_call)
		return false;
	if (d->is_call) {
		*recv_ret = d->recv;
		return d->key == s->key;
	}
	if (d->kind != s->kind)
		return false;
	*recv_ret = merge_recv(m, d->recv, s->recv);
	return *recv_ret != 0;
}

static void merge_fact(const struct merge *m, struct gi_lock_fact *d, const struct gi_lock_fact *s)
{
	if (d->data != s->data || is_stale(m, s->data))
		d->data = 0;
	if (!(d->state & GI_FACT_HELD) && (s->state & GI_FACT_HELD))
		d->site = s->site;
	if (d->fast != s->fast)
		d->fast = 0;
	if (d->under != s->under)
		d->under = 0;
	if (!(d->prev & GI_FACT_HELD) && (s->prev & GI_FACT_HELD))
		d->prev_site = s->prev_site;
	d->prev |= s->prev;
	d->state |= s->state;
	d->after |= s->after;
	d->prev_after |= s->prev_after;
	d->is_try |= s->is_try;
	d->doubt |= s->doubt;
	d->is_foreign |= s->is_foreign;
}

/**
 * The fact of src that is about d's lock. moves: not the one that has let go of it: in a loop that
 * goes from lock to lock the variable that names the lock has gone on to another.
 */
static size_t find_same(const struct merge *m, const struct gi_lock_fact *d, const bool *used,
			bool moves, gi_value *recv_ret)
{
	size_t j = 0;

	for (; j < m->src->fact_count; j++) {
		const struct gi_lock_fact *s = &m->src->facts[j];
		bool let_go = (d->state & GI_FACT_HELD) && !(s->state & GI_FACT_HELD);
		if (!used[j] && !(moves && let_go) && same_fact(m, d, s, recv_ret))
			break;
	}
	return j;
}

static void merge_facts(struct merge *m)
{
	struct gi_flow_state *dst = m->dst;
	bool used[FLOW_MAX_FACTS] = {false};
	size_t n = dst->fact_count;

	for (size_t i = 0; i < n; i++) {
		struct gi_lock_fact *d = &dst->facts[i], old = *d;
		gi_value recv = 0;
		size_t j = find_same(m, d, used, true, &recv);
		if (j == m->src->fact_count)
			j = find_same(m, d, used, false, &recv);
		if (j < m->src->fact_count) {
			used[j] = true;
			d->recv = recv;
			merge_fact(m, d, &m->src->facts[j]);
		} else {
			d->state |= GI_FACT_UNTOUCHED;
			d->prev |= GI_FACT_UNTOUCHED;
			d->under = 0;
		}
		if (d->data != old.data || d->under != old.under || d->recv != old.recv ||
		    d->state != old.state || d->after != old.after ||
		    d->prev_after != old.prev_after || d->fast != old.fast ||
		    d->is_try != old.is_try || d->doubt != old.doubt ||
		    d->is_foreign != old.is_foreign)
			m->changed = true;
	}
	for (size_t j = 0; j < m->src->fact_count; j++) {
		const struct gi_lock_fact *s = &m->src->facts[j];
		if (used[j])
			continue;
		if (is_stale(m, s->recv) ||
		    (s->is_call && (is_stale(m, s->callee) || is_stale(m, s->ctx)))) {
			doubt_others(dst, s);
			continue;
		}
		struct gi_lock_fact *d = gi_flow_fact_add(dst);
		if (!d)
			break;
		*d = *s;
		if (is_stale(m, s->data))
			d->data = 0;
		d->state |= GI_FACT_UNTOUCHED;
		d->prev |= GI_FACT_UNTOUCHED;
		d->under = 0;
		m->changed = true;
	}
	if (m->src->lost && !dst->lost) {
		dst->lost = true;
		m->changed = true;
	}
}

struct gi_error *gi_flow_state_merge(struct gi_flow_state *dst, const struct gi_flow_state *src,
				     struct gi_values *vs, uint32_t block, bool *changed)
{
	struct merge m = {.dst = dst, .src = src, .vs = vs, .block = block};

	merge_regs(&m);
	merge_slots(&m);
	merge_facts(&m);
	*changed = m.changed;
	return NULL;
}

// --- facts ----------------------------------------------------------------------------

struct gi_lock_fact *gi_flow_fact(struct gi_flow_state *st, gi_value recv, unsigned kind)
{
	for (size_t i = 0; i < st->fact_count; i++) {
		struct gi_lock_fact *f = &st->facts[i];
		if (!f->is_call && f->recv == recv && f->kind == kind)
			return f;
	}
	return NULL;
}

struct gi_lock_fact *gi_flow_fact_add(struct gi_flow_state *st)
{
	if (st->fact_count >= FLOW_MAX_FACTS) {
		st->lost = true;
		return NULL;
	}
	struct gi_lock_fact *f = &st->facts[st->fact_count++];
	*f = (struct gi_lock_fact){.state = GI_FACT_UNTOUCHED, .ret = -1};
	return f;
}

static struct gi_lock_fact *fact_for(struct gi_flow_state *st, gi_value recv, unsigned kind)
{
	struct gi_lock_fact *f = gi_flow_fact(st, recv, kind);

	if (f)
		return f;
	f = gi_flow_fact_add(st);
	if (f) {
		f->recv = recv;
		f->kind = (uint8_t)kind;
	}
	return f;
}

/** Where a read lock that was held before the present hold was taken; 0: it was not, for certain.
 */
static uint32_t held_before(const struct gi_lock_fact *f)
{
	return f->kind == GI_LOCK_READ && f->prev == GI_FACT_HELD ? f->prev_site + 1 : 0;
}

void gi_flow_acquire(struct gi_flow_state *st, gi_value recv, unsigned kind, uint32_t site,
		     bool fast)
{
	struct gi_lock_fact *f = recv ? fact_for(st, recv, kind) : NULL;

	if (!f)
		return;
	f->prev = f->state;
	f->prev_site = f->site;
	f->prev_after = f->after;
	f->after = 0;
	f->state = GI_FACT_HELD;
	f->site = site;
	f->under = held_before(f);
	f->fast = fast ? site : 0;
	f->is_try = false;
	f->doubt = false;
}

bool gi_flow_may_alias(const struct gi_values *vs, gi_value a, gi_value b)
{
	int64_t aoff, boff;

	if (!a || !b || a == b)
		return true;
	const struct gi_value_node *na = gi_value_node(vs, a), *nb = gi_value_node(vs, b);
	bool fixed_a = na->kind == GI_V_CONST || na->kind == GI_V_FRAME;
	bool fixed_b = nb->kind == GI_V_CONST || nb->kind == GI_V_FRAME;
	if (fixed_a && fixed_b)
		return false;
	if (gi_value_split(vs, a, &aoff) == gi_value_split(vs, b, &boff))
		return false;
	// Pointers from different members of one struct are two pointers.
	return !(na->kind == GI_V_LOAD && nb->kind == GI_V_LOAD && na->base == nb->base);
}

void gi_flow_release(struct gi_flow_state *st, const struct gi_values *vs, gi_value recv,
		     unsigned kind, uint32_t site)
{
	struct gi_lock_fact *f = recv ? gi_flow_fact(st, recv, kind) : NULL;
	bool foreign = !f || !(f->state & GI_FACT_HELD);

	if (!f) {
		for (size_t i = 0; i < st->fact_count; i++) {
			f = &st->facts[i];
			if (f->is_call || f->kind != kind || !(f->state & GI_FACT_HELD) ||
			    !gi_flow_may_alias(vs, recv, f->recv))
				continue;
			// Which lock it was may show in a real frame.
			f->doubt = true;
			if (!recv)
				f->state |= GI_FACT_RELEASED;
		}
		f = recv ? fact_for(st, recv, kind) : NULL;
	}
	if (!f)
		return;
	if (f->state == GI_FACT_HELD && f->under && !f->is_try) {
		f->site = f->under - 1;
		f->under = 0;
		f->after |= f->prev_after;
		f->fast = 0;
		return;
	}
	f->under = 0;
	f->state = GI_FACT_RELEASED;
	f->site = site;
	f->fast = 0;
	f->is_try = false;
	f->is_foreign |= foreign;
	f->doubt = false;
}

void gi_flow_attempt(struct gi_flow_state *st, gi_value recv, unsigned kind, uint32_t site)
{
	struct gi_lock_fact *f = recv ? fact_for(st, recv, kind) : NULL;

	if (!f)
		return;
	f->prev = f->state;
	f->prev_site = f->site;
	f->prev_after = f->after;
	f->state |= GI_FACT_HELD;
	f->site = site;
	f->under = 0;
	f->fast = site;
	f->is_try = true;
}

void gi_flow_outcome(struct gi_flow_state *st, const struct gi_values *vs, gi_value attempt,
		     bool taken)
{
	const struct gi_value_node *n = gi_value_node(vs, attempt);

	if (n->kind != GI_V_TRY)
		return;
	struct gi_lock_fact *f = gi_flow_fact(st, n->base, n->reg);
	// Only if nothing else happened to the lock since.
	if (!f || !f->is_try || f->site != n->site)
		return;
	if (taken) {
		f->state = GI_FACT_HELD;
		// Else ways have met since, and what was before is not what it was on each of them.
		f->under = f->fast == n->site ? held_before(f) : 0;
	} else if (f->fast == n->site) {
		f->state = f->prev;
		f->site = f->prev_site;
	} else {
		f->state &= (uint8_t)~GI_FACT_HELD;
		if (!f->state)
			f->state = GI_FACT_UNTOUCHED;
	}
	f->fast = 0;
	f->is_try = false;
}

void gi_flow_release_maybe(struct gi_flow_state *st)
{
	for (size_t i = 0; i < st->fact_count; i++) {
		if (!st->facts[i].is_call && (st->facts[i].state & GI_FACT_HELD))
			st->facts[i].state |= GI_FACT_RELEASED;
	}
}

void gi_flow_after_deferred(struct gi_flow_state *st)
{
	for (size_t i = 0; i < st->fact_count; i++) {
		struct gi_lock_fact *f = &st->facts[i];
		if (!f->is_call && (f->state & GI_FACT_HELD)) {
			f->state =
				(uint8_t)((f->state & ~(unsigned)GI_FACT_HELD) | GI_FACT_RELEASED);
			f->under = 0;
		}
	}
}

void gi_flow_undo_fast(struct gi_flow_state *st, uint32_t site)
{
	for (size_t i = 0; i < st->fact_count; i++) {
		struct gi_lock_fact *f = &st->facts[i];
		if (f->is_call || !f->fast || f->is_try || (site && f->fast != site))
			continue;
		f->state = f->prev;
		f->site = f->prev_site;
		f->under = 0;
		f->after |= f->prev_after;
		f->fast = 0;
	}
}

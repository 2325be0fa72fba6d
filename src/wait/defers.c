// Deferred calls that have not run yet.
//
// Two kinds (src/runtime/panic.go; emitOpenDeferInfo in cmd/compile/internal/ssagen/ssa.go):
//   records, linked from g._defer, innermost first, with the SP of the frame that deferred;
//   open-coded ones, in functions with few defers and no loop around them: one byte in the frame
//   has a bit for each that is pending, and a slot for each has its closure. FUNCDATA 4 tells
//   their places below varp, the end of a frame's variables.
// Closures of both kinds are those of wrappers that the compiler made around the deferred
// call, so that they need no argument.
//
// A record of a range-over-func loop (1.22) leads to a list of its own. While Go up to 1.21 panics,
// the record that runs is still on the chain, marked as started.

#include "wait/defers.h"

#include <string.h>

#include "gcore/target.h"

enum {
	MAX_INFO_BYTES = 128,
	MAX_CHAIN = 1 << 20,
	OPEN_DEFERS_MAX = 8,
};

bool gi_open_defers_decode(const uint8_t *p, size_t n, bool old, struct gi_open_defers *ret)
{
	struct gi_cursor c = gi_cursor_make(p, n);
	struct gi_open_defers od = {.bits = gi_cursor_uleb(&c)};
	uint64_t count = gi_cursor_uleb(&c);

	if (old) {
		if (count > OPEN_DEFERS_MAX)
			return false;
		od.count = (uint32_t)count;
		for (size_t i = od.count; i-- > 0;)
			od.slots[i] = gi_cursor_uleb(&c);
	} else {
		// The second number is the place of the first closure; how many there are is
		// not said: at most one for each bit.
		od.count = OPEN_DEFERS_MAX;
		for (uint64_t i = 0; i < OPEN_DEFERS_MAX; i++)
			od.slots[i] = count - 8 * i;
	}
	if (c.bad)
		return false;
	*ret = od;
	return true;
}

bool gi_open_defers_of(struct gi_wait_env *env, uint64_t entry, struct gi_open_defers *ret)
{
	struct gi_func f;
	size_t n;

	if (!gi_functab_find(env->ft, entry, &f))
		return false;
	uint64_t addr = gi_func_funcdata(&f, GI_FUNCDATA_OPEN_CODED_DEFER);
	const uint8_t *p = addr ? gi_target_view_max(env->t, addr, MAX_INFO_BYTES, &n) : NULL;
	return p && gi_open_defers_decode(p, n, !gi_go_at_least(env->go, 1, 22), ret);
}

static struct gi_error *add(struct gi_pendings *ps, uint64_t closure, size_t frame, uint64_t pc,
			    bool open_coded)
{
	struct gi_error *err = gi_grow(&ps->p, &ps->cap, ps->n + 1, sizeof(*ps->p));

	if (err)
		return err;
	ps->p[ps->n++] = (struct gi_pending){closure, frame, pc, open_coded};
	return NULL;
}

/** True if the code has set the byte of defer bits on every way to where the frame is. */
static bool bits_are_set(struct gi_wait_env *env, const struct gi_phys *f, uint64_t addr)
{
	// Before a function's first call its prologue has cleared them.
	if (!f->exact)
		return true;
	const struct gi_point *pt = gi_wait_point(env, f);
	for (size_t i = 0; pt && i < pt->slot_count; i++) {
		if (pt->slots[i].size == 1 && f->cfa + (uint64_t)(int64_t)pt->slots[i].off == addr)
			return true;
	}
	return false;
}

struct gi_error *gi_pendings_add_open(struct gi_pendings *ps, struct gi_wait_env *env,
				      const struct gi_frames *fs, size_t i,
				      const struct gi_open_defers *od)
{
	const struct gi_phys *f = &fs->f[i];
	// Below the return address, where the call put it there, and a saved frame pointer.
	uint64_t varp = f->cfa - env->machine->return_size, closure;
	struct gi_error *err = NULL;
	uint8_t bits;

	// Without a frame, as where the stack is made to grow, nothing was deferred.
	if (varp <= f->sp)
		return NULL;
	varp -= 8;
	const uint8_t *p = gi_target_view(env->t, varp - od->bits, 1);
	if (!p || !bits_are_set(env, f, varp - od->bits))
		return NULL;
	bits = *p;
	for (unsigned k = 0; k < od->count && !err; k++) {
		if (bits >> k & 1 && gi_target_peek_u64(env->t, varp - od->slots[k], &closure) &&
		    closure)
			err = add(ps, closure, i, 0, true);
	}
	return err;
}

static size_t frame_with_sp(const struct gi_frames *fs, size_t from, uint64_t sp)
{
	for (size_t i = from; i < fs->n; i++) {
		if (fs->f[i].sp == sp)
			return i;
		if (fs->f[i].sp > sp)
			break;
	}
	return SIZE_MAX;
}

/** The list of a range-over-func loop. */
static struct gi_error *add_list(struct gi_pendings *ps, struct gi_wait_env *env, uint64_t head,
				 size_t frame)
{
	struct gi_error *err = NULL;
	struct gi_defer d;
	uint64_t at;

	if (!gi_target_peek_u64(env->t, head, &at))
		return NULL;
	for (size_t n = 0; at && n < MAX_CHAIN && !err; n++) {
		err = gi_go_read_defer(env->go, at, &d);
		if (err) {
			// The list of a loop that has ended is marked by a bad address.
			gi_error_ignore(err);
			return NULL;
		}
		if (d.fn)
			err = add(ps, d.fn, frame, 0, false);
		at = d.link;
	}
	return err;
}

struct gi_error *gi_pendings_add_chain(struct gi_pendings *ps, struct gi_wait_env *env,
				       const struct gi_g *g, const struct gi_frames *fs)
{
	uint64_t at = g->defer_head;
	struct gi_error *err = NULL;
	size_t frame = 0;

	for (size_t n = 0; at && n < MAX_CHAIN && !err; n++) {
		struct gi_defer d;
		err = gi_go_read_defer(env->go, at, &d);
		if (err) {
			gi_error_ignore(err);
			ps->lost = at;
			return NULL;
		}
		// The rest belongs to frames that were not collected.
		if (fs->at_max && fs->n && d.sp > fs->f[fs->n - 1].sp)
			return NULL;
		size_t k = frame_with_sp(fs, frame, d.sp);
		if (k != SIZE_MAX)
			frame = k;
		if (d.head && d.rangefunc)
			err = add_list(ps, env, d.head, k);
		else if (d.fn && !d.open_coded && !d.started)
			err = add(ps, d.fn, k, d.pc, false);
		at = d.link;
	}
	return err;
}

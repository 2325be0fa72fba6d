// Which words of a goroutine's stack are pointers that it may still use: by the maps that the
// compiler leaves for the garbage collector.
//
// A stack is used again and again, and a frame's slots are not cleared: what an earlier call, or
// an earlier goroutine, left there still looks like a pointer. At each call the compiler says which
// words of the frame's locals and arguments are live pointers (PCDATA StackMapIndex into FUNCDATA
// LocalsPointerMaps and ArgsPointerMaps). Variables whose address was taken are stack objects
// (FUNCDATA StackObjects): they count, all of their words, when something live points into them.
// Deferred calls' records on the stack are in no map and count whole; what they call may be a stack
// object. So may the closure that a goroutine was about to run when it was made to give way: only the
// saved context register points to it, since a deferred call's record is emptied before the call.
//
// The maps hold where a goroutine stopped by itself: at calls. So they are used for those that are
// parked, or wait for a processor; one that was interrupted in the midst of a function left its
// registers in the frame above, and both frames count whole, as they do for the collector. A
// goroutine that has a thread, that panics, or whose stack the collector holds at the moment counts
// whole, and so does each stack with anything on it that is not as expected.
//
// Source: src/runtime/stkframe.go (getStackMap), mgcmark.go (scanframeworker, scanstack), Go 1.18
// to 1.27.

#include "unwind/unwind_impl.h"
#include "wait/reach_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_BITS = 1 << 20,    // of one map
	MAX_OBJECTS = 1 << 16, // of one frame
	MAX_DEFERS = 1 << 16,
	MAX_FRAMES = 1 << 12,
	RECORD = 16, // of a stack object: int32 offset, size, bytes with pointers; uint32
	ARGS_UNKNOWN = INT32_MIN,
};

/** What is live of one stack. */
struct live {
	struct gi_reach *r;
	struct gi_target *t;
	uint64_t lo, hi;
	struct gi_u64s ranges;	// start, end
	struct gi_u64s objects; // start, end; both 0 when it counts already
};

static struct gi_error *add_range(struct live *l, uint64_t start, uint64_t end)
{
	struct gi_error *err;

	if (start < l->lo || end > l->hi || start >= end)
		return NULL;
	if (l->ranges.n && l->ranges.v[l->ranges.n - 1] == start) {
		l->ranges.v[l->ranges.n - 1] = end;
		return NULL;
	}
	err = gi_u64s_push(&l->ranges, start);
	return err ? err : gi_u64s_push(&l->ranges, end);
}

/** The words that map number index of the maps at addr has; *ok: it could be read. */
static struct gi_error *add_map(struct live *l, uint64_t addr, int32_t index, uint64_t base,
				bool at_end, bool *ok)
{
	const uint8_t *head = gi_target_view(l->t, addr, 8);
	struct gi_error *err = NULL;

	*ok = false;
	if (!head)
		return NULL;
	const int32_t n = (int32_t)gi_load_u32(head), bits = (int32_t)gi_load_u32(head + 4);
	// In a prologue there is no index yet: the first map is that of the entry.
	if (index < 0)
		index = 0;
	if (n <= 0 || bits < 0 || bits > MAX_BITS || index >= n)
		return NULL;
	*ok = true;
	const size_t bytes = ((size_t)bits + 7) / 8;
	const uint8_t *map = bytes ? gi_target_view(l->t, addr + 8 + (size_t)index * bytes, bytes)
				   : NULL;
	if (bytes && !map) {
		*ok = false;
		return NULL;
	}
	if (at_end)
		base -= (uint64_t)bits * 8;
	for (int32_t i = 0; i < bits && !err; i++) {
		if (map[i / 8] >> (i % 8) & 1)
			err = add_range(l, base + (uint64_t)i * 8, base + (uint64_t)i * 8 + 8);
	}
	return err;
}

static struct gi_error *add_objects(struct live *l, uint64_t list, uint64_t varp, uint64_t argp,
				    bool *ok)
{
	struct gi_error *err = NULL;
	uint64_t n;

	*ok = gi_target_peek_u64(l->t, list, &n) && n <= MAX_OBJECTS;
	for (uint64_t i = 0; *ok && i < n && !err; i++) {
		const uint8_t *p = gi_target_view(l->t, list + 8 + i * RECORD, RECORD);
		if (!p) {
			*ok = false;
			break;
		}
		const int32_t off = (int32_t)gi_load_u32(p), size = (int32_t)gi_load_u32(p + 4);
		const uint64_t at = (off < 0 ? varp : argp) + (uint64_t)(int64_t)off;
		if (size <= 0 || at < l->lo || at >= l->hi || (uint64_t)size > l->hi - at)
			continue;
		err = gi_u64s_push(&l->objects, at);
		if (!err)
			err = gi_u64s_push(&l->objects, at + (uint64_t)size);
	}
	return err;
}

static bool is_special(const char *name)
{
	static const char *const names[] = {
		"runtime.sigpanic",     "runtime.debugCall",
		"runtime.cgocallback",	"reflect.makeFunc",  "reflect.methodValue",
		"runtime.gopanic",	"runtime.morestack", "runtime.Goexit",
	};

	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

static struct gi_error *add_frame(struct live *l, const struct gi_phys *f, bool *ok)
{
	const struct gi_machine *m = gi_target_machine(l->t);
	const uint64_t least = m->lr == GI_NO_REG ? 0 : 8;
	uint64_t varp = f->cfa - (m->lr == GI_NO_REG ? 8 : 0), argp = f->cfa + m->args_above_cfa;
	struct gi_error *err = NULL;
	struct gi_func fn;

	*ok = !is_special(f->name) && gi_functab_find(l->r->go->functab, f->entry, &fn);
	if (!*ok)
		return NULL;
	// By the call itself: where its line is looked up may be elsewhere.
	const uint64_t pc = f->pc == fn.entry ? f->pc : f->pc - 1;
	const int32_t index = gi_func_pcdata(&fn, GI_PCDATA_STACK_MAP, pc, NULL);
	// The caller's frame pointer is kept there.
	if (varp > f->sp)
		varp -= 8;
	if (varp > f->sp && varp - f->sp > least) {
		const uint64_t maps = gi_func_funcdata(&fn, GI_FUNCDATA_LOCALS_POINTER_MAPS);
		if (maps)
			err = add_map(l, maps, index, varp, true, ok);
		if (!err && (!maps || !*ok))
			err = add_range(l, f->sp, varp);
	}
	if (!err && fn.args && (int32_t)fn.args != ARGS_UNKNOWN) {
		const uint64_t maps = gi_func_funcdata(&fn, GI_FUNCDATA_ARGS_POINTER_MAPS);
		*ok = false;
		if (maps)
			err = add_map(l, maps, index, argp, false, ok);
		if (!err && !*ok && fn.args < l->hi - l->lo)
			err = add_range(l, argp, argp + fn.args);
	}
	const uint64_t list = gi_func_funcdata(&fn, GI_FUNCDATA_STACK_OBJECTS);
	*ok = true;
	return err || !list ? err : add_objects(l, list, varp, argp, ok);
}

/** The same of a frame that is no call's: all of its words. */
static struct gi_error *add_whole(struct live *l, const struct gi_phys *f, bool *ok)
{
	const uint64_t argp = f->cfa + gi_target_machine(l->t)->args_above_cfa;
	struct gi_func fn;

	*ok = gi_functab_find(l->r->go->functab, f->entry, &fn) && f->cfa >= f->sp &&
	      fn.args < l->hi - l->lo;
	struct gi_error *err = *ok ? add_range(l, f->sp, f->cfa) : NULL;
	if (!err && *ok && fn.args && (int32_t)fn.args != ARGS_UNKNOWN)
		err = add_range(l, argp, argp + fn.args);
	return err;
}

/** Something live points to addr: the object there counts. */
static struct gi_error *point(struct live *l, uint64_t addr)
{
	struct gi_error *err = NULL;

	for (size_t i = 0; i + 1 < l->objects.n && !err; i += 2) {
		const uint64_t start = l->objects.v[i], end = l->objects.v[i + 1];
		if (addr < start || addr >= end)
			continue;
		l->objects.v[i] = l->objects.v[i + 1] = 0;
		err = gi_u64s_push(&l->ranges, start & ~UINT64_C(7));
		if (!err)
			err = gi_u64s_push(&l->ranges, end);
	}
	return err;
}

static struct gi_error *add_defers(struct live *l, const struct gi_g *g, bool *ok)
{
	const uint64_t size = l->r->go->layout.defer.rec.size;
	uint64_t at = g->defer_head;
	struct gi_error *err = NULL;

	for (unsigned n = 0; at && n < MAX_DEFERS && !err; n++) {
		struct gi_defer d;
		err = gi_go_read_defer(l->r->go, at, &d);
		if (err) {
			gi_error_ignore(err);
			*ok = false;
			return NULL;
		}
		if (at >= l->lo && at < l->hi)
			err = add_range(l, at, at + size);
		if (!err)
			err = point(l, d.fn);
		at = d.link;
	}
	return err;
}

static struct gi_error *follow(struct live *l, const struct gi_g *g)
{
	uint64_t addr = g->waiting;
	struct gi_error *err = NULL;

	for (unsigned n = 0; addr && n < GI_REACH_MAX_CASES && !err; n++) {
		struct gi_sudog s;

		err = gi_go_read_sudog(l->r->go, addr, &s);
		if (err || s.g != g->addr)
			break;
		err = point(l, s.elem);
		addr = s.waitlink;
	}
	// The list grows by the objects that are found on the way.
	for (size_t i = 0; i + 1 < l->ranges.n && !err && l->objects.n; i += 2) {
		for (uint64_t at = l->ranges.v[i]; at + 8 <= l->ranges.v[i + 1] && !err; at += 8) {
			uint64_t v;

			if (gi_target_peek_u64(l->t, at, &v) && v >= l->lo && v < l->hi)
				err = point(l, v);
		}
	}
	return err;
}

/** Fills l; *ok: all was as expected. */
static struct gi_error *find_live(struct live *l, struct gi_frames *fs, const struct gi_g *g,
				  bool *ok)
{
	struct gi_error *err = NULL;

	*ok = !fs->cut && !fs->at_max && !fs->err && fs->n &&
	      strcmp(fs->f[fs->n - 1].name, "runtime.goexit") == 0;
	size_t whole = SIZE_MAX; // the frame that was interrupted
	for (size_t i = 0; i + 1 < fs->n && *ok && !err; i++) {
		const struct gi_phys *f = &fs->f[i];
		const bool interrupts = strcmp(f->name, "runtime.asyncPreempt") == 0;
		if (interrupts)
			whole = i + 1;
		if (interrupts || whole == i)
			err = add_whole(l, f, ok);
		else
			err = add_frame(l, f, ok);
	}
	if (!err && *ok)
		err = add_defers(l, g, ok);
	// Who was stopped as it entered a closure has that in its context register alone.
	if (!err && *ok)
		err = point(l, g->sched_ctxt);
	return err || !*ok ? err : follow(l, g);
}

/** Not while the collector holds the stack: it may be moving it. */
static bool stands_still(const struct gi_g *g)
{
	return g->status == GI_G_WAITING || g->status == GI_G_RUNNABLE ||
	       g->status == GI_G_PREEMPTED || g->status == GI_G_LEAKED;
}

struct gi_error *gi_reach_each_live(struct gi_reach *r, const struct gi_g *g, uint32_t tag,
				    gi_reach_range_fn fn, void *arg)
{
	struct live l = {.r = r, .t = gi_go_target(r->go), .lo = g->sched_sp, .hi = g->stack_hi};
	struct gi_error *err = NULL;
	bool ok = false;

	if (r->u && !g->m && !g->thread && !g->panic_head && g->sched_sp >= g->stack_lo &&
	    g->sched_sp < g->stack_hi && stands_still(g)) {
		err = gi_frames_collect(&r->fs, r->u, g, MAX_FRAMES);
		if (err) {
			gi_error_ignore(err);
			err = NULL;
		} else {
			err = find_live(&l, &r->fs, g, &ok);
		}
	}
	if (!err && !ok)
		err = gi_reach_each_range(r, g, tag, fn, arg);
	else if (!err)
		err = gi_reach_each_but_stack(r, g, tag, fn, arg);
	for (size_t i = 0; ok && i + 1 < l.ranges.n && !err; i += 2)
		err = fn(arg, tag, l.ranges.v[i], l.ranges.v[i + 1]);
	free(l.ranges.v);
	free(l.objects.v);
	return err;
}

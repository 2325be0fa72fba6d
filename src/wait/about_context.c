// What a channel is to package context or os/signal.
//
// Both are found from the words of the heap that lead to the channel. A cancelCtx keeps its Done channel in
// an atomic.Value, beside the channel's type; where that is in the struct its descriptor says, and what
// lies around must be a context, too. The contexts that it was made of follow from there on. Its cancel function
// is a closure of context's own that holds it; who has that closure can cancel it.
// signal.Notify keeps its channels as keys of a map, whose values have a bit for each signal.
// Sources: context/context.go, os/signal/signal.go, Go 1.18 to 1.27.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gcore/sched.h"
#include "gcore/typing.h"
#include "gcore/util.h"
#include "wait/about.h"

enum {
	MAX_CHAIN = 24,
	MAX_CLOSURES = 8,
	MAX_GOROUTINES = 32,
	MAX_CHILDREN = 1 << 16,
	TIMER_ROOM = 64, // a time.Timer begins so many bytes before the runtime's timer at most
};

// Of the heap, searched for who has a cancel function.
#define CANCEL_BUDGET (UINT64_C(1) << 30)

// --- contexts -----------------------------------------------------------------------------

static bool is_type(const struct gi_about *a, const struct gi_type *t, const char *name)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	gi_type_name(a->go, t, &s);
	return strcmp(gi_str_cstr(&s), name) == 0;
}

/** The cancelCtx in a context that has one: the context itself, or embedded in it. */
static bool cancel_part(const struct gi_about *a, const struct gi_type *type, uint64_t addr,
			uint64_t *ret)
{
	struct gi_type t;
	uint64_t at;

	*ret = addr;
	if (is_type(a, type, "context.cancelCtx"))
		return true;
	if (!gi_about_field(a, type, addr, "cancelCtx", &t, &at))
		return false;
	if (t.kind == GI_TYPE_PTR)
		return gi_about_word(a, at, ret) && *ret;
	*ret = at;
	return true;
}

struct find_timer {
	uint64_t timer;
	struct gi_timer found;
	bool ok;
};

static bool look_at_timer(void *arg, const struct gi_timer *t)
{
	struct find_timer *f = arg;

	if (t->removed || t->addr < f->timer || t->addr - f->timer >= TIMER_ROOM)
		return true;
	f->found = *t;
	f->ok = true;
	return false;
}

static void put_seconds(struct gi_str *s, int64_t ns)
{
	const int64_t sec = ns / 1000000000;

	if (sec >= 60)
		gi_str_printf(s, "%" PRId64 "m%" PRId64 "s", sec / 60, sec % 60);
	else
		gi_str_printf(s, "%" PRId64 ".%" PRId64 "s", sec, ns / 100000000 % 10);
}

static void put_deadline(const struct gi_about *a, const struct gi_type *type, uint64_t addr)
{
	const int64_t now = (int64_t)gi_go_now(a->go);
	struct find_timer f = {.ok = false};
	struct gi_type t;
	uint64_t at;

	if (!gi_about_field(a, type, addr, "timer", &t, &at) || !gi_about_word(a, at, &f.timer) ||
	    !f.timer)
		return;
	gi_error_ignore(gi_go_timers(a->go, look_at_timer, &f));
	if (!f.ok || !now)
		return;
	if (f.found.when >= now) {
		gi_str_puts(a->out, ", its deadline is in ");
		put_seconds(a->out, f.found.when - now);
	} else {
		gi_str_puts(a->out, ", its deadline was ");
		put_seconds(a->out, now - f.found.when);
		gi_str_puts(a->out, " ago");
	}
}

static bool count_child(void *arg, uint64_t key, uint64_t elem)
{
	(void)key;
	(void)elem;
	++*(size_t *)arg;
	return true;
}

static void put_children(const struct gi_about *a, const struct gi_type *cancel, uint64_t addr)
{
	struct gi_gomap_shape shape;
	struct gi_type map;
	uint64_t at, v;
	size_t n = 0;

	if (!gi_about_field(a, cancel, addr, "children", &map, &at) || !gi_about_word(a, at, &v) ||
	    !v || !gi_gomap_shape(a->go, &map, &shape))
		return;
	gi_gomap_each(a->go, &shape, v, MAX_CHILDREN, count_child, &n);
	if (n)
		gi_str_printf(a->out, ", %zu made of it", n);
}

/** The context that one was made of. */
static bool parent_of(const struct gi_about *a, const struct gi_type *type, uint64_t addr,
		      struct gi_type *type_ret, uint64_t *ret)
{
	struct gi_type t;
	uint64_t at, word;

	if ((!gi_about_field(a, type, addr, "Context", &t, &at) &&
	     !gi_about_field(a, type, addr, "c", &t, &at)) ||
	    t.kind != GI_TYPE_INTERFACE || !gi_about_word(a, at, &word) ||
	    !gi_type_of_interface(a->go, word, type_ret) || !gi_about_word(a, at + 8, ret))
		return false;
	if (type_ret->kind == GI_TYPE_PTR) {
		t = *type_ret;
		return gi_type_elem(a->go, &t, type_ret);
	}
	return true;
}

static bool is_root(const struct gi_about *a, const struct gi_type *t)
{
	return is_type(a, t, "context.backgroundCtx") || is_type(a, t, "context.todoCtx") ||
	       is_type(a, t, "context.emptyCtx");
}

// --- who can cancel -----------------------------------------------------------------------

static bool is_cancel_function(const struct gi_about *a, uint64_t entry)
{
	struct gi_func func;
	struct gi_call call;

	if (!entry || !gi_functab_find(gi_go_functab(a->go), entry, &func) || func.entry != entry ||
	    !gi_func_calls(&func, entry, &call, 1))
		return false;
	return strstr(call.name, "WithCancel") || strstr(call.name, "WithDeadline") ||
	       strstr(call.name, "WithTimeout");
}

struct cancellers {
	uint32_t gs[MAX_GOROUTINES];
	size_t n;
	uint64_t closures[MAX_CLOSURES];
	size_t closure_count;
	struct gi_str name; // a way to the function from a global
};

static void add_goroutine(struct cancellers *c, uint32_t g)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->gs[i] == g)
			return;
	}
	if (c->n < GI_ARRAY_SIZE(c->gs))
		c->gs[c->n++] = g;
}

static struct gi_error *holders_of_closures(const struct gi_about *a, struct cancellers *c)
{
	_cleanup_(gi_typing_destroyp) struct gi_typing *t = NULL;
	struct gi_typed o;
	struct gi_error *err =
		gi_typing_find(a->go, c->closures, c->closure_count, CANCEL_BUDGET, &t);

	if (err)
		return err;
	for (size_t i = 0; i < c->closure_count; i++) {
		if (!gi_typing_at(t, c->closures[i], &o))
			continue;
		for (size_t k = 0; k < o.reference_count; k++) {
			if (o.references[k].kind == GI_REFERENCE_STACK)
				add_goroutine(c, o.references[k].g);
		}
		if (o.path && !c->name.len)
			gi_str_puts(&c->name, o.path);
	}
	return NULL;
}

/** Goroutines that have a function which cancels the context at addr. */
static struct gi_error *find_cancellers(const struct gi_about *a, uint64_t addr,
					struct cancellers *c)
{
	_cleanup_(gi_typing_destroyp) struct gi_typing *t = NULL;
	struct gi_typed o;
	uint64_t word;
	struct gi_error *err = gi_typing_find(a->go, &addr, 1, CANCEL_BUDGET, &t);

	if (err || !gi_typing_at(t, addr, &o))
		return err;
	for (size_t i = 0; i < o.reference_count; i++) {
		const struct gi_reference *r = &o.references[i];

		if (r->kind == GI_REFERENCE_GLOBAL || !gi_about_word(a, r->at - 8, &word) ||
		    !is_cancel_function(a, word))
			continue;
		if (r->kind == GI_REFERENCE_STACK)
			add_goroutine(c, r->g);
		else if (c->closure_count < MAX_CLOSURES)
			c->closures[c->closure_count++] = r->at - 8;
	}
	return c->closure_count ? holders_of_closures(a, c) : NULL;
}

static struct gi_error *put_cancellers(const struct gi_about *a, uint64_t addr)
{
	struct cancellers c = {.n = 0};
	struct gi_error *err = find_cancellers(a, addr, &c);

	if (!err && c.n) {
		gi_str_puts(a->out, ": its cancel function is on the stack of ");
		gi_about_put_goroutines(a, c.gs, c.n);
	} else if (!err && c.name.len) {
		gi_str_puts(a->out, ": its cancel function is ");
		gi_str_put_escaped(a->out, gi_str_cstr(&c.name), c.name.len);
	} else if (!err && !c.closure_count) {
		gi_str_puts(a->out, ": nobody has its cancel function any more");
	} else if (!err) {
		gi_str_puts(a->out, ": no goroutine has its cancel function on its stack");
	}
	gi_str_deinit(&c.name);
	return err;
}

/** Its type, where an interface or a child's parent says; else the plainest that it can be. */
static void type_of_context(const struct gi_about *a, struct gi_typing *typing, uint64_t addr,
			    struct gi_type *type)
{
	struct gi_typed o;
	struct gi_type t;
	uint64_t part;

	if (gi_typing_at(typing, addr, &o) && o.type.addr && !o.header && !o.part && !o.array &&
	    o.start + o.skip == addr && cancel_part(a, &o.type, addr, &part) && part == addr) {
		*type = o.type;
		return;
	}
	// A timer and a deadline follow: a cancelCtx would not have the room.
	if (gi_type_find_in(a->go, "context", "context.timerCtx", &t) && gi_typing_at(typing, addr, &o) &&
	    o.start + o.skip == addr && o.size - o.skip >= t.size && cancel_part(a, &t, addr, &part) &&
	    part == addr) {
		_cleanup_(gi_str_deinit) struct gi_str none = {0};
		struct gi_about quiet = *a;
		quiet.out = &none;
		put_deadline(&quiet, &t, addr);
		if (none.len)
			*type = t;
	}
}

static struct gi_error *put_context(const struct gi_about *a, struct gi_typing *typing,
				    const struct gi_type *cancel, uint64_t addr)
{
	struct gi_type type = *cancel, next;
	struct gi_error *err = NULL;
	uint64_t part;

	type_of_context(a, typing, addr, &type);
	gi_str_puts(a->out, "it is closed when a context is cancelled: ");
	for (unsigned n = 0; n < MAX_CHAIN && !err; n++) {
		const bool can = cancel_part(a, &type, addr, &part);

		if (is_root(a, &type)) {
			gi_str_puts(a->out, is_type(a, &type, "context.todoCtx") ? "made of context.TODO\n"
										    : "made of context.Background\n");
			break;
		}
		// Values say nothing of who cancels.
		if (!is_type(a, &type, "context.valueCtx")) {
			if (n)
				gi_str_puts(a->out, "made of ");
			gi_about_put_struct(a, &type, addr);
			put_deadline(a, &type, addr);
			if (can) {
				put_children(a, cancel, part);
				err = put_cancellers(a, addr);
			}
			gi_str_putc(a->out, '\n');
		}
		if (is_type(a, &type, "context.withoutCancelCtx") ||
		    !parent_of(a, can ? cancel : &type, can ? part : addr, &next, &addr))
			break;
		type = next;
	}
	return err;
}

/** The cancelCtx whose Done channel the word at is, beside its type. */
static bool context_at(const struct gi_about *a, uint64_t at, struct gi_type *cancel, uint64_t *ret)
{
	struct gi_type t, type;
	uint64_t off, word, ctx;

	if (!gi_about_word(a, at - 8, &word) || !gi_type_read(a->go, word, &type) ||
	    type.kind != GI_TYPE_CHAN || !is_type(a, &type, "chan struct {}") ||
	    !gi_type_find_in(a->go, "context", "context.cancelCtx", cancel) ||
	    !gi_type_field(a->go, cancel, "done", &t, &off))
		return false;
	*ret = at - 8 - off;
	return parent_of(a, cancel, *ret, &type, &ctx);
}

// --- signals ------------------------------------------------------------------------------

static void put_signal(struct gi_str *s, unsigned n)
{
	static const char *const names[] = {
		NULL,	"HUP",	"INT",	"QUIT", "ILL",	"TRAP",	  "ABRT", "BUS",
		"FPE",	"KILL", "USR1", "SEGV", "USR2", "PIPE",	  "ALRM", "TERM",
		"STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
		"XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",  "PWR",  "SYS",
	};

	if (n && n < GI_ARRAY_SIZE(names))
		gi_str_printf(s, "SIG%s", names[n]);
	else
		gi_str_printf(s, "%u", n);
}

/** True if the word is a key of the map that signal.Notify keeps; its signals are told. */
static bool put_signals(const struct gi_about *a, const struct gi_reference *r,
			const struct gi_typed *holder)
{
	struct gi_gomap_shape shape;
	struct gi_type map, handler, mask;
	uint64_t off, rest, at, mask_at;
	uint8_t bits[16];
	unsigned slot, n = 0;
	bool elem;

	if (!gi_type_find(a->go, "map[chan<- os.Signal]*signal.handler", &map) ||
	    !gi_gomap_shape(a->go, &map, &shape) || r->at < holder->start + holder->skip)
		return false;
	off = r->at - holder->start - holder->skip;
	const uint64_t group = r->at - off % shape.size;
	if (off / shape.size * shape.size + shape.size > holder->size - holder->skip ||
	    !gi_gomap_slot_at(&shape, off % shape.size, &slot, &elem, &rest) || elem || rest ||
	    !gi_gomap_slot_used(a->go, &shape, group, slot) ||
	    !gi_type_elem(a->go, &shape.elem, &handler) ||
	    !gi_about_word(a, group + shape.elems + slot * shape.elem_stride, &at) ||
	    !gi_about_field(a, &handler, at, "mask", &mask, &mask_at) || mask.size > sizeof(bits))
		return false;
	struct gi_error *err = gi_target_read(gi_go_target(a->go), mask_at, bits, (size_t)mask.size);
	gi_error_ignore(err);
	if (err)
		return false;
	gi_str_puts(a->out, "signal.Notify sends on it:");
	for (unsigned i = 0; i < 8 * mask.size; i++) {
		if (!(bits[i / 8] >> (i % 8) & 1))
			continue;
		if (n++ < 8) {
			gi_str_puts(a->out, n > 1 ? ", " : " ");
			put_signal(a->out, i);
		}
	}
	if (n > 8)
		gi_str_printf(a->out, " and %u more", n - 8);
	gi_str_putc(a->out, '\n');
	return true;
}

struct gi_error *gi_about_channel(struct gi_about *a)
{
	_cleanup_(gi_typing_destroyp) struct gi_typing *t = NULL;
	struct gi_typed o, holder;
	struct gi_type cancel;
	uint64_t ctx;
	struct gi_error *err;

	if (!a->budget)
		return NULL;
	err = gi_wait_typing(a->go, a->u, &a->o->addr, 1, a->budget, &t);

	if (err && (gi_error_code(err) == GI_ERR_INTERRUPTED || gi_error_code(err) == GI_ERR_NOMEM))
		return err;
	gi_error_ignore(err); // a heap that cannot be read says nothing
	if (err || !gi_typing_at(t, a->o->addr, &o))
		return NULL;
	for (size_t i = 0; i < o.reference_count; i++) {
		const struct gi_reference *r = &o.references[i];

		if (r->kind != GI_REFERENCE_HEAP || r->target != o.start)
			continue;
		if (context_at(a, r->at, &cancel, &ctx)) {
			err = put_context(a, t, &cancel, ctx);
			if (err && gi_error_code(err) != GI_ERR_NOT_SAVED)
				return err;
			gi_error_ignore(err);
			return NULL;
		}
		if (gi_typing_at(t, r->holder, &holder) && put_signals(a, r, &holder))
			return NULL;
	}
	return NULL;
}

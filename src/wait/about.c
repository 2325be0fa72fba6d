// What libraries make of a wait.
//
// Which library waits is told by the functions on the waiting goroutine's stack; the library's struct is
// found from the object that it waits for, or among the words of these functions' frames: it must then lead
// to that object. Where its fields lie is what its type's descriptor says, so stripped programs and other
// releases of the library do as well; a package may lie below a vendor directory.
// Sources: golang.org/x/sync v0.1 to v0.22 (errgroup, semaphore, singleflight), sync/cond.go, runtime/coro.go
// (the goroutine that is not running in a coroutine is what the record's first word leads to).

#include "wait/about.h"

#include <inttypes.h>
#include <string.h>

#include "wait/graph.h"

enum {
	MAX_TOP = 24,	       // frames that are looked at for a library's function
	MAX_WORDS = 1024,      // of the stack, looked at for a library's struct
	MAX_BOTTOM = 64,       // words at a stack's outer end
	MAX_CLOSURE = 6,       // words of a closure
	MAX_NAMED = 6,	       // goroutines that are told by number
	MAX_QUEUE = 1 << 16,   // waiters of a semaphore
	MAX_ENTRIES = 1 << 16, // of a map
};

static const char errgroup[] = "golang.org/x/sync/errgroup";
static const char semaphore[] = "golang.org/x/sync/semaphore";

// --- helpers ------------------------------------------------------------------------------

bool gi_about_word(const struct gi_about *a, uint64_t addr, uint64_t *ret)
{
	return gi_target_peek_u64(gi_go_target(a->go), addr, ret);
}

bool gi_about_field(const struct gi_about *a, const struct gi_type *type, uint64_t addr,
		    const char *name, struct gi_type *type_ret, uint64_t *at_ret)
{
	uint64_t off;

	if (!gi_type_field(a->go, type, name, type_ret, &off))
		return false;
	*at_ret = addr + off;
	return true;
}

/** A field of a name, read as a word. */
static bool field_word(const struct gi_about *a, const struct gi_type *type, uint64_t addr,
		       const char *name, uint64_t *ret)
{
	struct gi_type t;
	uint64_t at;

	return gi_about_field(a, type, addr, name, &t, &at) && gi_about_word(a, at, ret);
}

void gi_about_put_struct(const struct gi_about *a, const struct gi_type *type, uint64_t addr)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};

	gi_type_name(a->go, type, &name);
	gi_str_put_escaped(a->out, gi_str_cstr(&name), name.len);
	gi_str_printf(a->out, " 0x%" PRIx64, addr);
}

void gi_about_put_goroutines(const struct gi_about *a, const uint32_t *gs, size_t n)
{
	gi_str_puts(a->out, n == 1 ? "goroutine" : "goroutines");
	for (size_t i = 0; i < n && i < MAX_NAMED; i++)
		gi_str_printf(a->out, "%s %" PRIu64,
			      !i			 ? ""
			      : i == n - 1		 ? " and"
							 : ",",
			      gi_go_g(a->go, gs[i])->goid);
	if (n > MAX_NAMED)
		gi_str_printf(a->out, " and %zu more", n - MAX_NAMED);
}

/** True if a function is PACKAGE.NAME, the package perhaps below a vendor directory. */
static bool is_function(const char *function, const char *package, const char *name)
{
	const size_t n = strlen(function), p = strlen(package), m = strlen(name);

	if (n < p + m + 1)
		return false;
	const char *at = function + n - p - m - 1;
	return memcmp(at, package, p) == 0 && at[p] == '.' && strcmp(at + p + 1, name) == 0 &&
	       (at == function || at[-1] == '/');
}

// --- the stack ----------------------------------------------------------------------------

struct function {
	const char *package, *name;
	uint64_t sp, cfa; // of its frame
	bool found;
};

static bool look_at_frame(void *arg, const struct gi_frame *f)
{
	struct function *fn = arg;

	if (f->kind != GI_FRAME_GO && f->kind != GI_FRAME_INLINED)
		return true;
	if (!fn->sp)
		fn->sp = f->sp;
	fn->cfa = f->cfa;
	fn->found = fn->found || is_function(f->name, fn->package, fn->name);
	return !fn->found || f->kind == GI_FRAME_INLINED; // on to the frame that it is part of
}

/** Is the function one of g's innermost? Sets the bounds of the stack from where it waits to there. */
static bool runs_in(const struct gi_about *a, uint32_t g, const char *package, const char *name,
		    struct function *ret)
{
	struct gi_error *why = NULL;

	*ret = (struct function){.package = package, .name = name};
	struct gi_error *err = gi_unwind_goroutine(a->u, gi_go_g(a->go, g), 0, MAX_TOP,
						   look_at_frame, ret, &why);
	gi_error_ignore(why);
	gi_error_ignore(err);
	return ret->found;
}

/** Tries each word of the function's frames and of its caller's arguments until one is right. */
static bool find_word(const struct gi_about *a, const struct function *fn,
		      bool (*right)(const struct gi_about *a, uint64_t word, void *arg), void *arg,
		      uint64_t *ret)
{
	const struct gi_g *g = gi_go_g(a->go, a->g);
	const uint64_t end = gi_min_u64(fn->cfa + 256, g->stack_hi);
	uint64_t at = fn->sp, last = 0;

	for (unsigned n = 0; n < MAX_WORDS && at < end && end - at >= 8; n++, at += 8) {
		if (!gi_about_word(a, at, ret) || !*ret || *ret == last || *ret % 8)
			continue;
		last = *ret;
		if (right(a, *ret, arg))
			return true;
	}
	return false;
}

// --- errgroup -----------------------------------------------------------------------------

/** Does a closure that g began with, or its first frames, hold the word? */
static bool began_with(const struct gi_about *a, uint32_t i, uint64_t word)
{
	const struct gi_g *g = gi_go_g(a->go, i);
	uint64_t at = g->stack_hi, v, inner;

	for (unsigned n = 0; n < MAX_BOTTOM && at - 8 >= g->stack_lo; n++) {
		at -= 8;
		if (!gi_about_word(a, at, &v) || !v || v % 8)
			continue;
		if (v == word)
			return true;
		for (unsigned k = 1; k < MAX_CLOSURE; k++) {
			if (!gi_about_word(a, v + 8 * k, &inner))
				break;
			if (inner == word)
				return true;
		}
	}
	return false;
}

static void put_errgroup(const struct gi_about *a, const struct gi_type *type, uint64_t addr)
{
	struct gi_location by;
	struct gi_waitgroup wg;
	struct gi_hchan ch;
	struct gi_type t;
	uint32_t gs[MAX_NAMED + 1];
	uint64_t at, sem = 0;
	size_t n = 0;

	gi_about_put_struct(a, type, addr);
	struct gi_error *err = gi_about_field(a, type, addr, "wg", &t, &at)
				       ? gi_go_read_waitgroup(a->go, at, &wg)
				       : gi_error_create(GI_ERR_NOT_FOUND, "no wg");
	if (!err)
		gi_str_printf(a->out, ": %d running", (int)wg.counter);
	gi_error_ignore(err);
	if (field_word(a, type, addr, "sem", &sem) && sem) {
		err = gi_go_read_hchan(a->go, sem, &ch);
		if (!err)
			gi_str_printf(a->out, ", limit %" PRIu64, ch.dataqsiz);
		gi_error_ignore(err);
	}
	for (size_t i = 0; i < gi_go_g_count(a->go); i++) {
		const struct gi_g *g = gi_go_g(a->go, i);
		if (g->unreadable || gi_g_is_dead(g))
			continue;
		gi_unwind_created_by(a->u, g, &by);
		if (!by.pc || (!is_function(by.function, errgroup, "(*Group).Go") &&
			       !is_function(by.function, errgroup, "(*Group).TryGo")))
			continue;
		if (!began_with(a, (uint32_t)i, addr))
			continue;
		if (n < GI_ARRAY_SIZE(gs))
			gs[n] = (uint32_t)i;
		n++;
	}
	if (n) {
		gi_str_puts(a->out, ": ");
		gi_about_put_goroutines(a, gs, n);
	}
	gi_str_putc(a->out, '\n');
}

struct by_field {
	const struct gi_type *type;
	const char *field;
	uint64_t value;
};

static bool has_field(const struct gi_about *a, uint64_t word, void *arg)
{
	const struct by_field *f = arg;
	uint64_t v;

	return field_word(a, f->type, word, f->field, &v) && v == f->value;
}

static void about_errgroup(struct gi_about *a)
{
	struct gi_type type, t;
	struct function fn;
	uint64_t off, addr;

	if (a->o->kind == GI_OBJECT_WAITGROUP && runs_in(a, a->g, errgroup, "(*Group).Wait", &fn)) {
		if (gi_type_find_in(a->go, errgroup, "errgroup.Group", &type) &&
		    gi_type_field(a->go, &type, "wg", &t, &off))
			put_errgroup(a, &type, a->o->addr - off);
	} else if (a->o->kind == GI_OBJECT_CHANNEL &&
		   runs_in(a, a->g, errgroup, "(*Group).Go", &fn) &&
		   gi_type_find_in(a->go, errgroup, "errgroup.Group", &type)) {
		struct by_field f = {&type, "sem", a->o->addr};
		if (find_word(a, &fn, has_field, &f, &addr)) {
			gi_str_puts(a->out, "to start one more in ");
			put_errgroup(a, &type, addr);
		}
	}
}

// --- semaphore ----------------------------------------------------------------------------

struct queue {
	struct gi_type weighted;
	uint64_t channel;
	uint64_t ahead, total, wants;
	bool found;
};

/** Walks the list of waiters of what may be a semaphore.Weighted: is one of them for the channel? */
static bool has_waiter(const struct gi_about *a, uint64_t word, void *arg)
{
	struct queue *q = arg;
	struct gi_type list, element, value, waiter, t;
	uint64_t at, root, e, first, v, ready;

	q->found = false;
	q->total = q->ahead = q->wants = 0;
	if (!gi_about_field(a, &q->weighted, word, "waiters", &list, &at) ||
	    !gi_about_field(a, &list, at, "root", &element, &root) ||
	    !field_word(a, &element, root, "next", &e))
		return false;
	for (first = e; e && e != root && q->total < MAX_QUEUE; q->total++) {
		if (!gi_about_field(a, &element, e, "Value", &value, &at) ||
		    !gi_about_word(a, at, &v) || !gi_type_of_interface(a->go, v, &waiter) ||
		    waiter.kind != GI_TYPE_STRUCT || !gi_about_word(a, at + 8, &v) ||
		    !field_word(a, &waiter, v, "ready", &ready))
			return false;
		if (ready == q->channel) {
			q->found = true;
			q->ahead = q->total;
			if (gi_about_field(a, &waiter, v, "n", &t, &at))
				gi_about_word(a, at, &q->wants);
		}
		if (!field_word(a, &element, e, "next", &e) || e == first)
			break;
	}
	return q->found;
}

static const char semaphore_owners[] = "; who holds it is not recorded\n";

static void put_semaphore(const struct gi_about *a, const struct gi_type *type, uint64_t addr)
{
	uint64_t size, cur;

	gi_about_put_struct(a, type, addr);
	if (field_word(a, type, addr, "size", &size) && field_word(a, type, addr, "cur", &cur))
		gi_str_printf(a->out, ": %" PRId64 " of %" PRId64 " taken", (int64_t)cur,
			      (int64_t)size);
}

static void about_semaphore(struct gi_about *a)
{
	struct queue q = {.channel = a->o->addr};
	struct function fn;
	uint64_t addr;

	if (a->o->kind != GI_OBJECT_CHANNEL ||
	    !runs_in(a, a->g, semaphore, "(*Weighted).Acquire", &fn) ||
	    !gi_type_find_in(a->go, semaphore, "semaphore.Weighted", &q.weighted) ||
	    !find_word(a, &fn, has_waiter, &q, &addr))
		return;
	put_semaphore(a, &q.weighted, addr);
	gi_str_printf(a->out, "; this one waits for %" PRId64 ", %" PRIu64 " before it, %" PRIu64 " behind it",
		      (int64_t)q.wants, q.ahead, q.total - q.ahead - 1);
	gi_str_puts(a->out, semaphore_owners);
}

/** A full channel of empty elements is most often a semaphore. */
static void about_full_channel(struct gi_about *a)
{
	const struct gi_waiter *w = gi_graph_wait_of(a->graph, a->g);
	const struct gi_waiter *end = gi_graph_waiter(a->graph, 0) + gi_graph_waiter_count(a->graph);
	struct gi_hchan ch;

	if (!w || a->o->kind != GI_OBJECT_CHANNEL)
		return;
	while (w < end && w->g == a->g && gi_graph_object(a->graph, w->object) != a->o)
		w++;
	if (w >= end || w->g != a->g || w->role != GI_ROLE_SEND)
		return;
	struct gi_error *err = gi_go_read_hchan(a->go, a->o->addr, &ch);
	if (!err && ch.dataqsiz && ch.elemsize <= 1)
		gi_str_puts(a->out, "used as a semaphore, a channel does not record who holds its places\n");
	gi_error_ignore(err);
}

// --- singleflight -------------------------------------------------------------------------

struct flight {
	struct gi_type group;
	uint64_t call;
	struct gi_str key;
	const struct gi_about *a;
};

static bool look_at_call(void *arg, uint64_t key, uint64_t elem)
{
	struct flight *f = arg;
	uint64_t v, p, n;
	uint8_t text[64];

	if (!gi_about_word(f->a, elem, &v) || v != f->call)
		return true;
	if (!gi_about_word(f->a, key, &p) || !gi_about_word(f->a, key + 8, &n))
		return false;
	const size_t k = (size_t)gi_min_u64(n, sizeof(text));
	struct gi_error *err = k ? gi_target_read(gi_go_target(f->a->go), p, text, k) : NULL;
	gi_error_ignore(err);
	if (err)
		return false;
	gi_str_putc(&f->key, '"');
	gi_str_put_escaped(&f->key, (const char *)text, k);
	gi_str_puts(&f->key, k < n ? "...\"" : "\"");
	return false;
}

static bool has_call(const struct gi_about *a, uint64_t word, void *arg)
{
	struct flight *f = arg;
	struct gi_type map;
	struct gi_gomap_shape shape;
	uint64_t at, v;

	if (!gi_about_field(a, &f->group, word, "m", &map, &at) || !gi_about_word(a, at, &v) ||
	    !gi_gomap_shape(a->go, &map, &shape) || shape.key.kind != GI_TYPE_STRING)
		return false;
	gi_gomap_each(a->go, &shape, v, MAX_ENTRIES, look_at_call, f);
	return f->key.len > 0;
}

/** Goroutines that run the call: they are in doCall, with it on their stacks. */
static void put_runners(const struct gi_about *a, const char *package, uint64_t call)
{
	for (size_t i = 0; i < gi_go_g_count(a->go); i++) {
		const struct gi_g *g = gi_go_g(a->go, i);
		struct gi_about other = *a;
		struct by_field f = {NULL, NULL, call};
		struct function fn;
		uint64_t at;

		if (g->unreadable || gi_g_is_dead(g) ||
		    !runs_in(a, (uint32_t)i, package, "(*Group).doCall", &fn))
			continue;
		other.g = (uint32_t)i;
		for (at = fn.sp; at < fn.cfa + 256 && at < g->stack_hi; at += 8) {
			uint64_t v;
			if (gi_about_word(&other, at, &v) && v == f.value) {
				gi_str_printf(a->out, ", which goroutine %" PRIu64 " makes", g->goid);
				return;
			}
		}
	}
}

static void about_singleflight(struct gi_about *a)
{
	static const char *const packages[] = {"golang.org/x/sync/singleflight",
					       "internal/singleflight"};
	struct flight f = {.a = a};
	struct gi_type call, t;
	struct function fn;
	uint64_t off, addr;

	for (size_t i = 0; i < GI_ARRAY_SIZE(packages); i++) {
		if (a->o->kind != GI_OBJECT_WAITGROUP ||
		    !runs_in(a, a->g, packages[i], "(*Group).Do", &fn) ||
		    !gi_type_find_in(a->go, packages[i], "singleflight.call", &call) ||
		    !gi_type_field(a->go, &call, "wg", &t, &off))
			continue;
		f.call = a->o->addr - off;
		gi_about_put_struct(a, &call, f.call);
		if (gi_type_find_in(a->go, packages[i], "singleflight.Group", &f.group) &&
		    find_word(a, &fn, has_call, &f, &addr)) {
			gi_str_puts(a->out, ": the call for ");
			gi_str_puts(a->out, gi_str_cstr(&f.key));
		}
		put_runners(a, packages[i], f.call);
		gi_str_putc(a->out, '\n');
		break;
	}
	gi_str_deinit(&f.key);
}

// --- condition ----------------------------------------------------------------------------

static void about_cond(struct gi_about *a)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	struct gi_sync_layout l;
	struct gi_mutex m;
	struct gi_type type;
	uint64_t word, lock;
	struct gi_error *err;

	if (a->o->kind != GI_OBJECT_COND || !gi_go_sync_layout(a->go, &l) ||
	    !gi_about_word(a, a->o->addr + l.cond_l, &word) ||
	    !gi_about_word(a, a->o->addr + l.cond_l + 8, &lock) ||
	    !gi_type_of_interface(a->go, word, &type))
		return;
	gi_type_name(a->go, &type, &name);
	gi_str_puts(a->out, "when it is woken it takes its lock again: ");
	gi_str_put_escaped(a->out, gi_str_cstr(&name), name.len);
	gi_str_printf(a->out, " 0x%" PRIx64, lock);
	if (strcmp(gi_str_cstr(&name), "*sync.Mutex") == 0) {
		err = gi_go_read_mutex(a->go, lock, &m);
		if (!err)
			gi_str_puts(a->out, m.locked ? ", locked now" : ", unlocked now");
		gi_error_ignore(err);
	}
	gi_str_putc(a->out, '\n');
}

// --- coroutines ---------------------------------------------------------------------------

static bool is_coroutine_body(const struct gi_about *a, const struct gi_g *g)
{
	struct gi_location at;

	gi_unwind_started_at(a->u, g, &at);
	return at.pc && strcmp(at.function, "runtime.corostart") == 0;
}

/** The goroutine whose turn it is while g waits: the coroutine's record, on the body's stack, leads to g. */
static void about_coroutine(struct gi_about *a)
{
	const struct gi_g *g = gi_go_g(a->go, a->g);
	const char *reason = gi_go_wait_reason(a->go, g);
	uint64_t at, v, gp;

	if (a->o->kind != GI_OBJECT_RUNTIME || !reason || strcmp(reason, "coroutine") != 0)
		return;
	for (size_t i = 0; i < gi_go_g_count(a->go); i++) {
		const struct gi_g *body = gi_go_g(a->go, i);
		if (body == g || body->unreadable || gi_g_is_dead(body) || !is_coroutine_body(a, body))
			continue;
		at = body->stack_hi;
		for (unsigned n = 0; n < MAX_BOTTOM && at - 8 >= body->stack_lo; n++) {
			at -= 8;
			if (gi_about_word(a, at, &v) && v % 8 == 0 && gi_about_word(a, v, &gp) &&
			    gp == g->addr) {
				gi_str_printf(a->out, "it called an iterator (iter.Pull) that goroutine %" PRIu64
					      " runs: it goes on when that one yields or ends\n", body->goid);
				return;
			}
		}
	}
	if (is_coroutine_body(a, g)) {
		gi_str_puts(a->out, "it is an iterator (iter.Pull), and goes on when somebody calls next or stop");
		if (g->parent_goid)
			gi_str_printf(a->out, "; goroutine %" PRIu64 " made it", g->parent_goid);
		gi_str_putc(a->out, '\n');
	}
}

// --- all ----------------------------------------------------------------------------------

struct gi_error *gi_wait_about(struct gi_go *go, struct gi_unwinder *u, const struct gi_graph *graph,
			       size_t object, uint32_t g, uint64_t budget, struct gi_str *ret)
{
	struct gi_about a = {go, u, graph, gi_graph_object(graph, object), g, budget, ret};
	const struct gi_g *gp = gi_go_g(go, g);
	struct gi_error *err = NULL;
	const size_t len = ret->len;

	if (!gp)
		return NULL;
	about_errgroup(&a);
	about_semaphore(&a);
	about_singleflight(&a);
	about_cond(&a);
	about_coroutine(&a);
	if (ret->len == len)
		about_full_channel(&a);
	if (a.o->kind == GI_OBJECT_CHANNEL && ret->len == len)
		err = gi_about_channel(&a);
	return err;
}

/** True if a type is PACKAGE's own type of a name. */
static bool is_type_of(struct gi_go *go, const struct gi_type *type, const char *package, const char *name)
{
	struct gi_type t;

	return gi_type_find_in(go, package, name, &t) && t.addr == type->addr;
}

void gi_wait_about_struct(struct gi_go *go, struct gi_unwinder *u, const struct gi_type *type,
			  uint64_t addr, struct gi_str *ret)
{
	const struct gi_about a = {.go = go, .u = u, .out = ret};

	if (is_type_of(go, type, errgroup, "errgroup.Group")) {
		put_errgroup(&a, type, addr);
	} else if (is_type_of(go, type, semaphore, "semaphore.Weighted")) {
		put_semaphore(&a, type, addr);
		gi_str_puts(ret, semaphore_owners);
	}
}

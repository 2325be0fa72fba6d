// One object that goroutines wait for: its state, its waiters, its owners.

#include "report/deadlock.h"

#include <stdlib.h>

#include "gcore/pthread.h"
#include "report/frame.h"
#include "report/why.h"

enum { MAX_SHOWN = 100, MAX_INSIDE = 16 };

const char *gi_role_name(enum gi_wait_role role)
{
	switch (role) {
	case GI_ROLE_SEND:
		return "send";
	case GI_ROLE_RECEIVE:
		return "receive";
	case GI_ROLE_LOCK:
		return "lock";
	case GI_ROLE_RLOCK:
		return "rlock";
	case GI_ROLE_NONE:
	case GI_ROLE_WAIT:
		break;
	}
	return "wait";
}

static void mutex_state(struct gi_str *s, const struct gi_mutex *m)
{
	gi_str_puts(s, m->locked ? "locked" : "unlocked");
	if (m->woken)
		gi_str_puts(s, ", a waiter was woken");
	if (m->starving)
		gi_str_puts(s, ", starving");
}

void gi_object_state_format(struct gi_go *go, const struct gi_object *o, struct gi_str *s)
{
	enum { MAX_READERS = 1 << 30 };
	struct gi_mutex m;
	struct gi_rwmutex rw;
	struct gi_waitgroup wg;
	struct gi_hchan ch;
	struct gi_error *err = NULL;

	if (gi_pthread_state_format(go, o, s))
		return;
	switch (o->kind) {
	case GI_OBJECT_MUTEX:
		err = gi_go_read_mutex(go, o->addr, &m);
		if (!err)
			mutex_state(s, &m);
		break;
	case GI_OBJECT_RWMUTEX:
		err = gi_go_read_rwmutex(go, o->addr, &rw);
		if (err)
			break;
		if (rw.reader_count >= 0)
			gi_str_printf(s, "readers: %d", (int)rw.reader_count);
		else if (rw.reader_wait > 0)
			gi_str_printf(s, "a writer waits; readers that hold it: %d, that wait: %d",
				      (int)rw.reader_wait,
				      (int)(rw.reader_count + MAX_READERS - rw.reader_wait));
		else
			gi_str_printf(s, "locked for writing; readers that wait: %d",
				      (int)(rw.reader_count + MAX_READERS));
		break;
	case GI_OBJECT_WAITGROUP:
		err = gi_go_read_waitgroup(go, o->addr, &wg);
		if (!err)
			gi_str_printf(s, "counter %d", (int)wg.counter);
		break;
	case GI_OBJECT_CHANNEL:
		err = gi_go_read_hchan(go, o->addr, &ch);
		if (err)
			break;
		if (ch.dataqsiz)
			gi_str_printf(s, "%" PRIu64 " of %" PRIu64 " elements queued", ch.qcount,
				      ch.dataqsiz);
		else
			gi_str_puts(s, "unbuffered");
		if (ch.closed)
			gi_str_puts(s, ", closed");
		break;
	default:
		break;
	}
	gi_error_ignore(err);
}

static struct gi_location where_is(struct gi_go *go, struct gi_unwinder *u, uint32_t g)
{
	struct gi_location where = {.function = "", .file = ""}, user = where;

	if (u)
		gi_error_ignore(gi_unwind_locations(u, gi_go_g(go, g), &where, &user));
	return user;
}

/** What libraries make of it, by its first waiter's stack. */
static struct gi_error *put_about(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				  const struct gi_graph *graph, size_t object)
{
	for (size_t i = 0; i < gi_graph_waiter_count(graph) && u; i++) {
		const struct gi_waiter *w = gi_graph_waiter(graph, i);
		if (w->object == object)
			return gi_out_about(out, go, u, graph, object, w->g, "  ", true);
	}
	return NULL;
}

/** The first edge of each owner of an object; edges is as long as there are owners. */
static struct gi_error *find_owners(const struct gi_go *go, const struct gi_graph *graph,
				    size_t object, uint32_t **edges, size_t *n)
{
	_cleanup_(gi_freep) uint8_t *seen = calloc(gi_go_g_count(go) + 1, 1);
	struct gi_error *err = seen ? NULL : gi_error_nomem();
	size_t cap = 0;

	for (size_t i = 0; i < gi_graph_edge_count(graph) && !err; i++) {
		const struct gi_edge *e = gi_graph_edge(graph, i);
		if (e->object != object || seen[e->to])
			continue;
		seen[e->to] = 1;
		err = gi_grow(edges, &cap, *n + 1, sizeof(**edges));
		if (!err)
			(*edges)[(*n)++] = (uint32_t)i;
	}
	return err;
}

static void put_text(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
		     struct gi_graph *graph, size_t object, const uint32_t *owners, size_t owner_count)
{
	const struct gi_object *o = gi_graph_object(graph, object);
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	size_t n = 0;

	gi_object_format(o, &s);
	gi_out_style(out, GI_STYLE_HEAD);
	gi_out_puts(out, gi_str_cstr(&s));
	gi_out_style(out, GI_STYLE_NONE);
	gi_str_reset(&s);
	gi_object_state_format(go, o, &s);
	gi_out_printf(out, "%s%s\n", s.len ? ": " : "", gi_str_cstr(&s));
	for (size_t i = 0; i < gi_graph_waiter_count(graph); i++) {
		const struct gi_waiter *w = gi_graph_waiter(graph, i);
		if (w->object != object || n++ >= MAX_SHOWN)
			continue;
		struct gi_location at = where_is(go, u, w->g);
		gi_str_reset(&s);
		gi_location_format(&s, at.function, at.file, at.line, at.pc);
		gi_out_printf(out, "  goroutine %" PRIu64 " waits%s%s%s, in %s\n", gi_goid(go, w->g),
			      w->role == GI_ROLE_WAIT ? "" : " to ",
			      w->role == GI_ROLE_WAIT ? "" : gi_role_name(w->role),
			      w->in_select ? " (select)" : "", gi_str_cstr(&s));
	}
	if (n > MAX_SHOWN)
		gi_out_printf(out, "  and %zu more\n", n - MAX_SHOWN);
	for (size_t i = 0; i < owner_count; i++) {
		const struct gi_edge *e = gi_graph_edge(graph, owners[i]);
		gi_str_reset(&s);
		if (e->acquired_at.pc) {
			gi_str_printf(&s, ", which %s it in ", gi_edge_deed(graph, e));
			gi_location_format(&s, e->acquired_at.function, e->acquired_at.file,
					   e->acquired_at.line, e->acquired_at.pc);
		}
		_cleanup_(gi_str_deinit) struct gi_str who = {0};
		gi_node_format(go, e->to, &who);
		gi_out_printf(out, "  %s %s%s\n    %s: ", gi_edge_verb(graph, e),
			      gi_str_cstr(&who), gi_str_cstr(&s), gi_strength_name(e->strength));
		gi_out_text(out, e->evidence);
		gi_out_puts(out, "\n");
	}
	if (!owner_count && (o->kind == GI_OBJECT_MUTEX || o->kind == GI_OBJECT_RWMUTEX ||
			o->kind == GI_OBJECT_ONCE))
		gi_out_puts(out, "  no owner found: its owner returned, or is unknown\n");
}

static struct gi_error *put_json(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
		     struct gi_graph *graph, size_t object, const uint32_t *owners, size_t owner_count)
{
	const struct gi_object *o = gi_graph_object(graph, object);
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	gi_json_begin(out, "object");
	gi_json_str(out, "kind", gi_object_kind_name(o->kind));
	gi_json_hex_or_null(out, "addr", o->addr, o->addr);
	gi_json_str(out, "name", o->name && *o->name ? o->name : NULL);
	gi_object_state_format(go, o, &s);
	gi_json_str(out, "state", s.len ? gi_str_cstr(&s) : NULL);
	gi_json_array(out, "waiters");
	for (size_t i = 0; i < gi_graph_waiter_count(graph); i++) {
		const struct gi_waiter *w = gi_graph_waiter(graph, i);
		if (w->object != object)
			continue;
		struct gi_location at = where_is(go, u, w->g);
		gi_json_object(out, NULL);
		gi_json_u64(out, "goroutine", gi_goid(go, w->g));
		gi_json_str(out, "role", gi_role_name(w->role));
		gi_json_bool(out, "select", w->in_select);
		gi_json_location_or_null(out, "waits_at", &at);
		gi_json_close(out);
	}
	gi_json_close(out);
	gi_json_array(out, "owners");
	for (size_t i = 0; i < owner_count; i++) {
		const struct gi_edge *e = gi_graph_edge(graph, owners[i]);
		gi_json_object(out, NULL);
		gi_json_node(out, "goroutine", "thread", go, e->to);
		gi_json_str(out, "strength", gi_strength_name(e->strength));
		gi_json_str(out, "evidence", e->evidence);
		gi_json_location_or_null(out, "acquired_at", &e->acquired_at);
		gi_json_close(out);
	}
	gi_json_close(out);
	gi_json_array(out, "about");
	struct gi_error *err = put_about(out, go, u, graph, object);
	gi_json_close(out);
	gi_json_end(out);
	return err;
}

static struct gi_error *report_one(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				   struct gi_graph *graph, size_t object)
{
	_cleanup_(gi_freep) uint32_t *owners = NULL;
	const uint32_t named = (uint32_t)object;
	size_t n = 0;
	struct gi_error *err = gi_graph_name(graph, &named, 1);

	if (!err)
		err = find_owners(go, graph, object, &owners, &n);
	if (err)
		return err;
	if (gi_out_is_json(out))
		err = put_json(out, go, u, graph, object, owners, n);
	else
		put_text(out, go, u, graph, object, owners, n);
	if (!err && !gi_out_is_json(out))
		err = put_about(out, go, u, graph, object);
	return err ? err : gi_out_check(out);
}

static int by_addr(const void *a, const void *b, void *graph)
{
	const uint64_t x = gi_graph_object(graph, *(const uint32_t *)a)->addr;
	const uint64_t y = gi_graph_object(graph, *(const uint32_t *)b)->addr;

	return x < y ? -1 : x > y;
}

/** What goroutines wait for in a piece of memory; returns how many there are, of which *ret has MAX_INSIDE. */
static size_t inside(struct gi_graph *graph, uint64_t start, uint64_t size, uint32_t *ret)
{
	size_t n = 0, found;

	// Of a channel there is only its address, and the runtime's record has no type.
	if (gi_graph_find_object(graph, start, &found) &&
	    gi_graph_object(graph, found)->addr == start)
		ret[n++] = (uint32_t)found;
	for (size_t i = 0; i < gi_graph_object_count(graph) && size > 1; i++) {
		const struct gi_object *o = gi_graph_object(graph, i);
		if (!o->addr || o->addr <= start || o->addr - start >= size)
			continue;
		if (n < MAX_INSIDE)
			ret[n] = (uint32_t)i;
		n++;
	}
	qsort_r(ret, n < MAX_INSIDE ? n : MAX_INSIDE, sizeof(*ret), by_addr, graph);
	return n;
}

/** All in a struct that is waited for, or in what a pointer points to. */
static struct gi_error *report_inside(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				      struct gi_graph *graph, uint64_t addr)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	struct gi_error *err = NULL;
	uint32_t objects[MAX_INSIDE];
	uint64_t to = 0, size = gi_go_extent(go, addr);
	size_t n = inside(graph, addr, size, objects);

	gi_go_name_at(go, addr, NULL, &name);
	const char *shown = gi_str_cstr(&name);
	if (!n && gi_go_follow(go, addr, &to, &size)) {
		n = inside(graph, to, size, objects);
		if (n && !gi_out_is_json(out)) {
			gi_out_text(out, shown);
			gi_out_printf(out, " points to 0x%" PRIx64 "\n", to);
		}
	}
	// A word in the heap, whose type is not known here, may be the address of one.
	if (!n && !to && gi_target_peek_u64(gi_go_target(go), addr, &to)) {
		n = to ? inside(graph, to, 1, objects) : 0;
		if (n && !gi_out_is_json(out))
			gi_out_printf(out, "0x%" PRIx64 " points to 0x%" PRIx64 "\n", addr, to);
		to = 0;
	}
	if (!n && to)
		return gi_error_at(GI_ERR_NOT_FOUND, addr,
				   "no goroutine waits for anything at 0x%" PRIx64
				   " (%s), nor at 0x%" PRIx64 ", where it points to",
				   addr, shown, to);
	if (!n)
		return gi_error_at(GI_ERR_NOT_FOUND, addr,
				   "no goroutine waits for anything at 0x%" PRIx64 "%s%s%s", addr,
				   name.len ? " (" : "", shown, name.len ? ")" : "");
	for (size_t i = 0; i < n && i < MAX_INSIDE && !err; i++)
		err = report_one(out, go, u, graph, objects[i]);
	if (!err && n > MAX_INSIDE)
		gi_out_note(out, "%zu more", n - MAX_INSIDE);
	return err;
}

struct gi_error *gi_report_waiters(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				   struct gi_graph *graph, uint64_t addr)
{
	size_t object;

	return gi_graph_find_object(graph, addr, &object)
		       ? report_one(out, go, u, graph, object)
		       : report_inside(out, go, u, graph, addr);
}

// What most goroutines wait for: each object once, with its waiters merged by where they stand.
//
// Waiters are counted by object first; the places of an object's waiters are found when its turn
// comes, so that a list cut to its first lines unwinds only the stacks that these need.

#include <stdlib.h>
#include <string.h>

#include "report/deadlock.h"
#include "report/frame.h"

enum { MAX_PLACES = 1000, MAX_SHOWN = 20, MAX_OWNERS = 8, TABLE_BITS = 12, TABLE = 1 << TABLE_BITS };

/** Waiters that stand at the same line and want the same. */
struct place {
	struct gi_location at;
	enum gi_wait_role role;
	bool in_select;
	uint32_t *gs;
	size_t n, cap;
	uint32_t next; // 1 + place with the same hash
};

struct blocked {
	struct gi_out *out;
	struct gi_go *go;
	struct gi_unwinder *u;
	struct gi_graph *graph;
	uint32_t *waiters; // indexes of waiters, by object
	uint32_t *first;   // of each object, into waiters; one more at the end
	uint32_t *order;   // objects, most waiters first
	uint32_t *owner_edges; // indexes of edges, by object
	uint32_t *owner_first;

	struct place *places; // of the object that is being told
	size_t place_count, place_cap;
	uint32_t table[TABLE];
	size_t unplaced; // waiters in more places than are kept apart
};

// --- by object ----------------------------------------------------------------------------

/** Sorts 0..n-1 by their object, by counting: *first has where each object's begin. */
static struct gi_error *by_object(size_t objects, size_t n,
				  uint32_t (*object_of)(const struct gi_graph *, size_t),
				  const struct gi_graph *graph, uint32_t **first, uint32_t **ret)
{
	*first = calloc(objects + 2, sizeof(**first));
	*ret = malloc((n + 1) * sizeof(**ret));
	if (!*first || !*ret)
		return gi_error_nomem();
	for (size_t i = 0; i < n; i++)
		(*first)[object_of(graph, i) + 2]++;
	for (size_t i = 2; i < objects + 2; i++)
		(*first)[i] += (*first)[i - 1];
	for (size_t i = 0; i < n; i++)
		(*ret)[(*first)[object_of(graph, i) + 1]++] = (uint32_t)i;
	return NULL;
}

static uint32_t waiter_object(const struct gi_graph *graph, size_t i)
{
	return gi_graph_waiter(graph, i)->object;
}

static uint32_t edge_object(const struct gi_graph *graph, size_t i)
{
	return gi_graph_edge(graph, i)->object;
}

/** Things that have an address come before sleep, input and the like. */
static int more_waiters(const void *a, const void *b, void *arg)
{
	const struct blocked *bl = arg;
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const bool x_is = gi_graph_object(bl->graph, x)->addr != 0;
	const bool y_is = gi_graph_object(bl->graph, y)->addr != 0;
	const uint32_t nx = bl->first[x + 1] - bl->first[x], ny = bl->first[y + 1] - bl->first[y];

	if (x_is != y_is)
		return x_is ? -1 : 1;
	if (nx != ny)
		return nx > ny ? -1 : 1;
	return x < y ? -1 : x > y;
}

static struct gi_error *sort(struct blocked *b)
{
	size_t objects = gi_graph_object_count(b->graph);
	struct gi_error *err = by_object(objects, gi_graph_waiter_count(b->graph), waiter_object,
					 b->graph, &b->first, &b->waiters);

	if (!err)
		err = by_object(objects, gi_graph_edge_count(b->graph), edge_object, b->graph,
				&b->owner_first, &b->owner_edges);
	if (err)
		return err;
	b->order = malloc((objects + 1) * sizeof(*b->order));
	if (!b->order)
		return gi_error_nomem();
	for (size_t i = 0; i < objects; i++)
		b->order[i] = (uint32_t)i;
	qsort_r(b->order, objects, sizeof(*b->order), more_waiters, b);
	return NULL;
}

// --- places -------------------------------------------------------------------------------

static bool same_place(const struct place *p, const struct gi_location *at,
		       const struct gi_waiter *w)
{
	return p->at.line == at->line && p->role == w->role && p->in_select == w->in_select &&
	       strcmp(p->at.function, at->function) == 0 && strcmp(p->at.file, at->file) == 0;
}

static struct gi_error *add_waiter(struct blocked *b, const struct gi_waiter *w)
{
	struct gi_location where = {.function = "", .file = ""}, at = where;
	struct gi_error *err = gi_unwind_locations(b->u, gi_go_g(b->go, w->g), &where, &at);

	if (err && gi_error_code(err) == GI_ERR_INTERRUPTED)
		return err;
	gi_error_ignore(err);
	// Borrowed names of one function may lie at several addresses: not hashed.
	size_t hash = (at.line * 31 + w->role * 7 + w->in_select) % TABLE;
	uint32_t i = b->table[hash];
	while (i && !same_place(&b->places[i - 1], &at, w))
		i = b->places[i - 1].next;
	if (!i) {
		if (b->place_count == MAX_PLACES) {
			b->unplaced++;
			return NULL;
		}
		err = gi_grow(&b->places, &b->place_cap, b->place_count + 1, sizeof(*b->places));
		if (err)
			return err;
		b->places[b->place_count++] = (struct place){
			.at = at, .role = w->role, .in_select = w->in_select, .next = b->table[hash]};
		i = b->table[hash] = (uint32_t)b->place_count;
	}
	struct place *p = &b->places[i - 1];
	err = gi_grow(&p->gs, &p->cap, p->n + 1, sizeof(*p->gs));
	if (!err)
		p->gs[p->n++] = w->g;
	return err;
}

static void forget_places(struct blocked *b)
{
	for (size_t i = 0; i < b->place_count; i++)
		free(b->places[i].gs);
	b->place_count = b->unplaced = 0;
	memset(b->table, 0, sizeof(b->table));
}

static int larger_first(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return x->gs[0] < y->gs[0] ? -1 : x->gs[0] > y->gs[0];
}

static struct gi_error *find_places(struct blocked *b, uint32_t object)
{
	struct gi_error *err = NULL;

	forget_places(b);
	for (size_t i = b->first[object]; i < b->first[object + 1] && !err; i++) {
		if (i % 256 == 0)
			err = gi_out_check(b->out);
		if (!err)
			err = add_waiter(b, gi_graph_waiter(b->graph, b->waiters[i]));
	}
	if (!err && b->place_count)
		qsort(b->places, b->place_count, sizeof(*b->places), larger_first);
	return err;
}

/** The owners of an object, each once, by one of their edges; returns how many there are. */
static size_t owners(const struct blocked *b, uint32_t object, const struct gi_edge **ret,
		     size_t room)
{
	size_t n = 0;

	for (size_t i = b->owner_first[object]; i < b->owner_first[object + 1]; i++) {
		const struct gi_edge *e = gi_graph_edge(b->graph, b->owner_edges[i]);
		size_t k = 0;
		while (k < n && ret[k]->to != e->to)
			k++;
		if (k == n && n < room)
			ret[n++] = e;
	}
	return n;
}

// --- text ---------------------------------------------------------------------------------

/** What n goroutines that wait for no object do. */
static const char *deed(enum gi_object_kind kind, size_t n)
{
	const bool one = n == 1;

	switch (kind) {
	case GI_OBJECT_TIMER:
		return one ? "sleeps" : "sleep";
	case GI_OBJECT_FD:
		return one ? "waits for input or output" : "wait for input or output";
	case GI_OBJECT_C_CALL:
		return one ? "is in C code" : "are in C code";
	case GI_OBJECT_SYSCALL:
		return one ? "is in a system call" : "are in a system call";
	case GI_OBJECT_RUNTIME:
		return one ? "waits for the runtime, or is its own"
			   : "wait for the runtime, or are its own";
	case GI_OBJECT_NOTHING:
		return one ? "waits for nothing: a nil channel or an empty select"
			   : "wait for nothing: a nil channel or an empty select";
	default:
		return NULL;
	}
}

static void put_place(struct blocked *b, const struct place *p)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	gi_str_printf(&s, "%8zu  ", p->n);
	if (p->role != GI_ROLE_NONE && p->role != GI_ROLE_WAIT)
		gi_str_printf(&s, "to %s%s, ", gi_role_name(p->role),
			      p->in_select ? " (select)" : "");
	if (p->at.pc) {
		gi_str_puts(&s, "in ");
		gi_location_format(&s, p->at.function, p->at.file, p->at.line, p->at.pc);
	} else {
		gi_str_puts(&s, "outside of the program's own code");
	}
	gi_str_printf(&s, ": goroutine%s ", p->n > 1 ? "s" : "");
	gi_goroutines_format(b->go, p->gs, p->n, &s);
	gi_out_printf(b->out, "%s\n", gi_str_cstr(&s));
}

static void put_owners(struct blocked *b, const struct gi_object *o, uint32_t object)
{
	const struct gi_edge *es[MAX_OWNERS + 1];
	size_t n = owners(b, object, es, GI_ARRAY_SIZE(es));

	for (size_t i = 0; i < n && i < MAX_OWNERS; i++) {
		_cleanup_(gi_str_deinit) struct gi_str s = {0};
		gi_str_printf(&s, "          %s ", gi_edge_verb(b->graph, es[i]));
		gi_node_format(b->go, es[i]->to, &s);
		if (es[i]->acquired_at.pc) {
			gi_str_printf(&s, ", which %s it in ", gi_edge_deed(b->graph, es[i]));
			gi_location_format(&s, es[i]->acquired_at.function,
					   es[i]->acquired_at.file, es[i]->acquired_at.line,
					   es[i]->acquired_at.pc);
		}
		gi_out_printf(b->out, "%s\n", gi_str_cstr(&s));
	}
	if (n > MAX_OWNERS)
		gi_out_puts(b->out, "          and by others (\"waiters\" lists them)\n");
	if (!n && (o->kind == GI_OBJECT_MUTEX || o->kind == GI_OBJECT_RWMUTEX ||
		   o->kind == GI_OBJECT_ONCE))
		gi_out_puts(b->out, "          no owner found: its owner returned, or is unknown\n");
}

static void put_text(struct blocked *b, uint32_t object)
{
	const struct gi_object *o = gi_graph_object(b->graph, object);
	size_t n = b->first[object + 1] - b->first[object];
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	gi_str_printf(&s, "%zu goroutine%s ", n, n == 1 ? "" : "s");
	if (deed(o->kind, n) && !o->addr) {
		gi_str_puts(&s, deed(o->kind, n));
	} else {
		gi_str_puts(&s, n == 1 ? "waits for " : "wait for ");
		gi_object_format(o, &s);
		size_t len = s.len;
		gi_str_puts(&s, ": ");
		gi_object_state_format(b->go, o, &s);
		if (s.len == len + 2)
			s.s[s.len = len] = '\0';
	}
	gi_out_style(b->out, GI_STYLE_HEAD);
	gi_out_puts(b->out, gi_str_cstr(&s));
	gi_out_style(b->out, GI_STYLE_NONE);
	gi_out_puts(b->out, "\n");
	put_owners(b, o, object);
	size_t other = b->unplaced;
	for (size_t i = 0; i < b->place_count; i++) {
		if (i < MAX_SHOWN)
			put_place(b, &b->places[i]);
		else
			other += b->places[i].n;
	}
	if (other)
		gi_out_printf(b->out, "%8zu  in other places\n", other);
}

// --- records ------------------------------------------------------------------------------

static void put_json(struct blocked *b, uint32_t object)
{
	const struct gi_object *o = gi_graph_object(b->graph, object);
	const struct gi_edge *es[MAX_OWNERS];
	size_t n = owners(b, object, es, GI_ARRAY_SIZE(es));
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	gi_json_begin(b->out, "blocked");
	gi_json_object_of(b->out, o);
	gi_object_state_format(b->go, o, &s);
	gi_json_str(b->out, "state", s.len ? gi_str_cstr(&s) : NULL);
	gi_json_u64(b->out, "count", b->first[object + 1] - b->first[object]);
	gi_json_array(b->out, "places");
	for (size_t i = 0; i < b->place_count; i++) {
		const struct place *p = &b->places[i];
		gi_json_object(b->out, NULL);
		gi_json_str(b->out, "role", gi_role_name(p->role));
		gi_json_bool(b->out, "select", p->in_select);
		gi_json_location_or_null(b->out, "waits_at", &p->at);
		gi_json_array(b->out, "goroutines");
		for (size_t k = 0; k < p->n; k++)
			gi_json_u64(b->out, NULL, gi_goid(b->go, p->gs[k]));
		gi_json_close(b->out);
		gi_json_close(b->out);
	}
	gi_json_close(b->out);
	gi_json_array(b->out, "owners");
	for (size_t i = 0; i < n; i++) {
		if (gi_go_g(b->go, es[i]->to))
			gi_json_u64(b->out, NULL, gi_goid(b->go, es[i]->to));
	}
	gi_json_close(b->out);
	gi_json_end(b->out);
}

// --- all ----------------------------------------------------------------------------------

static struct gi_error *put_all(struct blocked *b, size_t max)
{
	size_t objects = gi_graph_object_count(b->graph), shown = 0, left = 0;
	struct gi_error *err = gi_graph_name(b->graph, b->order, max < objects ? max : objects);

	for (size_t i = 0; i < objects && !err; i++) {
		uint32_t object = b->order[i];
		if (b->first[object] == b->first[object + 1])
			break;
		if (shown == max) {
			left++;
			continue;
		}
		err = find_places(b, object);
		if (err)
			break;
		if (gi_out_is_json(b->out)) {
			put_json(b, object);
		} else {
			if (shown)
				gi_out_puts(b->out, "\n");
			put_text(b, object);
		}
		shown++;
		err = gi_out_check(b->out);
	}
	if (!err && !shown)
		gi_out_puts(b->out, "no goroutine waits for anything\n");
	if (!err && left)
		gi_out_note(b->out, "%zu more (-n 0 shows all)", left);
	return err;
}

struct gi_error *gi_report_blocked(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				   struct gi_graph *graph, size_t max)
{
	_cleanup_(gi_freep) struct blocked *b = calloc(1, sizeof(*b));

	if (!b)
		return gi_error_nomem();
	b->out = out;
	b->go = go;
	b->u = u;
	b->graph = graph;
	struct gi_error *err = sort(b);
	if (!err)
		err = put_all(b, max ? max : SIZE_MAX);
	forget_places(b);
	free(b->places);
	free(b->waiters);
	free(b->first);
	free(b->order);
	free(b->owner_edges);
	free(b->owner_first);
	return err;
}

// Types and names of heap objects, with what running methods say of them.
//
// A method's receiver is its first argument: where a frame of (*T).method has the object's
// address in its first argument's place, the object is a T. That is looked for only where no
// pointer of a known type says so already.

#include <string.h>
#include <time.h>

#include "gcore/record.h"
#include "gcore/typing.h"
#include "wait/graph.h"

enum {
	MAX_FRAMES = 1000,
	MAX_NAMED = 64,	 // objects that the graph names
	MAX_MEMBERS = 8, // of one verdict
};

// Of the heap, searched for names in verdicts: about a fifth of a second.
#define NAMES_BUDGET (UINT64_C(512) << 20)

/** A method that runs on the object. */
struct receiver {
	struct gi_target *t;
	uint64_t object;
	struct gi_str type; // empty: none was found
};

/** "main.server" of "example.org/main.(*server).lock". */
static bool receiver_type(const char *function, struct gi_str *ret)
{
	const char *slash = strrchr(function, '/');
	const char *base = slash ? slash + 1 : function;
	const char *open = strstr(base, ".(*"), *close = open ? strchr(open, ')') : NULL;

	if (!close || close[1] != '.' || strchr(close + 2, '.') || memchr(open, '[', (size_t)(close - open)))
		return false; // no method, a closure in one, or of a generic type
	gi_str_putn(ret, base, (size_t)(open - base) + 1);
	gi_str_putn(ret, open + 3, (size_t)(close - open) - 3);
	return true;
}

static bool receiver_frame(void *arg, const struct gi_frame *f)
{
	struct receiver *r = arg;
	uint64_t first;

	// A lock's own methods say no more than that it is a lock.
	if (f->kind != GI_FRAME_GO || !f->argp || gi_function_is_std(f->name) || !gi_target_peek_u64(r->t, f->argp, &first) ||
	    first != r->object)
		return true;
	return !receiver_type(f->name, &r->type);
}

/** Where nothing else says its type: the goroutines that point to it may run one of its methods. */
static struct gi_error *learn_receiver(struct gi_go *go, struct gi_unwinder *u,
				       struct gi_typing *typing, const struct gi_typed *o)
{
	struct receiver r = {.t = gi_go_target(go), .object = o->start + o->skip};
	struct gi_error *err = NULL, *why = NULL;
	uint32_t last = UINT32_MAX;
	struct gi_type type;

	for (size_t i = 0; i < o->reference_count && !r.type.len; i++) {
		if (o->references[i].kind != GI_REFERENCE_STACK || o->references[i].g == last)
			continue;
		last = o->references[i].g;
		err = gi_unwind_goroutine(u, gi_go_g(go, last), 0, MAX_FRAMES, receiver_frame, &r, &why);
		gi_error_ignore(why);
		gi_error_ignore(err);
	}
	err = NULL;
	if (r.type.len && gi_type_find(go, gi_str_cstr(&r.type), &type))
		err = gi_typing_learn(typing, o->start, &type, GI_TYPE_BY_RECEIVER);
	gi_str_deinit(&r.type);
	return err;
}

/** Of the object, or else of one that points to it. */
static struct gi_error *learn_receivers(struct gi_go *go, struct gi_unwinder *u,
					struct gi_typing *typing, const struct gi_typed *o)
{
	struct gi_typed now = *o, holder;
	struct gi_error *err = learn_receiver(go, u, typing, o);

	gi_typing_at(typing, o->start, &now);
	for (size_t i = 0; i < o->reference_count && !err && !now.type.addr; i++) {
		if (o->references[i].kind != GI_REFERENCE_HEAP ||
		    !gi_typing_at(typing, o->references[i].holder, &holder) || holder.type.addr)
			continue;
		err = learn_receiver(go, u, typing, &holder);
		gi_typing_at(typing, o->start, &now);
	}
	return err;
}

struct gi_error *gi_wait_typing(struct gi_go *go, struct gi_unwinder *u, const uint64_t *addrs,
				size_t n, uint64_t budget, struct gi_typing **ret)
{
	_cleanup_(gi_typing_destroyp) struct gi_typing *t = NULL;
	struct gi_typed o;
	struct gi_error *err = gi_typing_find(go, addrs, n, budget, &t);

	for (size_t i = 0; i < n && !err; i++) {
		if (gi_typing_at(t, addrs[i], &o) && !o.type.addr)
			err = learn_receivers(go, u, t, &o);
	}
	if (err)
		return err;
	*ret = t;
	t = NULL;
	return NULL;
}

// --- names in the graph -------------------------------------------------------------------

static const char names_answer[] = "names";

/** How a mini dump keeps what a search found: this, then the name. */
struct kept_name {
	uint64_t addr;
	uint32_t kind, length;
};

struct nameless {
	uint32_t objects[MAX_NAMED];
	uint64_t addrs[MAX_NAMED];
	size_t n;
};

static void add(struct gi_graph *gr, struct nameless *l, uint32_t object)
{
	const struct gi_object *o = &gr->objects[object];
	uint64_t tried;

	if (!o->addr || *o->name || o->kind >= GI_OBJECT_TIMER || l->n == MAX_NAMED ||
	    gi_map_get(&gr->named, object, &tried))
		return;
	gi_error_ignore(gi_map_put(&gr->named, object, 1));
	l->objects[l->n] = object;
	l->addrs[l->n++] = o->addr;
}

static struct gi_error *keep_name(struct gi_graph *gr, const struct gi_object *o)
{
	const struct kept_name k = {o->addr, o->kind, (uint32_t)strlen(o->name)};
	struct gi_target *t = gi_go_target(gr->go);
	struct gi_error *err = gi_target_extend_answer(t, names_answer, &k, sizeof(k));

	return err ? err : gi_target_extend_answer(t, names_answer, o->name, k.length);
}

/** Names that the search found where the mini dump was made. */
static void take_kept(struct gi_graph *gr, const struct nameless *l)
{
	size_t size, off = 0;
	const uint8_t *p = gi_target_answer(gi_go_target(gr->go), names_answer, &size);
	struct kept_name k;

	while (p && size - off >= sizeof(k)) {
		memcpy(&k, p + off, sizeof(k));
		off += sizeof(k);
		if (k.length > size - off)
			return;
		for (size_t i = 0; i < l->n; i++) {
			struct gi_object *o = &gr->objects[l->objects[i]];
			if (o->addr == k.addr && (uint32_t)o->kind == k.kind)
				o->name = gi_graph_sentence(gr, "%.*s", (int)k.length,
							    (const char *)p + off);
		}
		off += k.length;
	}
}

static void take_found(struct gi_graph *gr, struct gi_typing *t, struct gi_object *o)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	const char *type = gi_object_kind_type(o->kind);
	struct gi_typed typed;

	// Of a channel only the way that leads to it says more than its kind.
	if (!gi_typing_at(t, o->addr, &typed) || !gi_typing_name(t, o->addr, type, &name) ||
	    (typed.header && !typed.path) || (type && strcmp(gi_str_cstr(&name), type) == 0))
		return;
	const char *copy = gi_arena_strdup(gr->arena, gi_str_cstr(&name));
	if (copy)
		o->name = copy;
}

static struct gi_error *find_names(struct gi_graph *gr, const struct nameless *l)
{
	_cleanup_(gi_typing_destroyp) struct gi_typing *t = NULL;
	struct gi_error *err;

	if (!l->n)
		return NULL;
	if (gi_target_info(gi_go_target(gr->go))->mini) {
		take_kept(gr, l);
		return NULL;
	}
	err = gi_wait_typing(gr->go, gr->u, l->addrs, l->n, NAMES_BUDGET, &t);
	if (err) {
		// A heap that cannot be read names nothing.
		if (gi_error_code(err) == GI_ERR_INTERRUPTED || gi_error_code(err) == GI_ERR_NOMEM)
			return err;
		gi_error_ignore(err);
		return NULL;
	}
	for (size_t i = 0; i < l->n && !err; i++) {
		struct gi_object *o = &gr->objects[l->objects[i]];
		take_found(gr, t, o);
		if (*o->name && gi_target_recorded(gi_go_target(gr->go)))
			err = keep_name(gr, o);
	}
	return err;
}

struct gi_error *gi_graph_name(struct gi_graph *gr, const uint32_t *objects, size_t n)
{
	struct nameless l = {.n = 0};

	for (size_t i = 0; i < n; i++) {
		if (objects[i] < gr->object_count)
			add(gr, &l, objects[i]);
	}
	return find_names(gr, &l);
}

struct gi_error *gi_graph_name_all(struct gi_graph *gr, double seconds)
{
	// Of work: on a busy machine as many get names as on one that is at rest.
	const clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
	struct gi_error *err = NULL;
	size_t i = 0;

	while (i < gr->object_count && !err && clock() < end) {
		struct nameless l = {.n = 0};
		while (i < gr->object_count && l.n < MAX_NAMED)
			add(gr, &l, (uint32_t)i++);
		err = find_names(gr, &l);
	}
	for (; i < gr->object_count && !err; i++)
		err = gi_map_put(&gr->named, i, 1);
	return err;
}

struct gi_error *gi_graph_name_objects(struct gi_graph *gr)
{
	struct nameless l = {.n = 0};

	for (size_t i = 0; i < gr->verdict_count; i++) {
		const struct gi_verdict *v = &gr->verdicts[i];
		if (v->kind == GI_VERDICT_COLLATERAL)
			continue;
		for (size_t k = 0; k < v->edge_count && k < MAX_MEMBERS; k++)
			add(gr, &l, gr->edges[v->edges[k]].object);
		for (size_t k = 0; k < v->goroutine_count && k < MAX_MEMBERS; k++) {
			const struct gi_waiter *w = gi_graph_wait_of(gr, v->goroutines[k]);
			if (w)
				add(gr, &l, w->object);
		}
	}
	return find_names(gr, &l);
}

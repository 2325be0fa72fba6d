// Types and names of heap objects, with what running methods say of them.
//
// A method's receiver is its first argument: where a frame of (*T).method has the object's
// address in its first argument's place, the object is a T. That is looked for only where no
// pointer of a known type says so already.

#include <string.h>

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

struct nameless {
	uint32_t objects[MAX_NAMED];
	uint64_t addrs[MAX_NAMED];
	size_t n;
};

static void add(const struct gi_graph *gr, struct nameless *l, uint32_t object)
{
	const struct gi_object *o = &gr->objects[object];

	if (!o->addr || *o->name || o->kind >= GI_OBJECT_TIMER || l->n == MAX_NAMED)
		return;
	for (size_t i = 0; i < l->n; i++) {
		if (l->objects[i] == object)
			return;
	}
	l->objects[l->n] = object;
	l->addrs[l->n++] = o->addr;
}

struct gi_error *gi_graph_name_objects(struct gi_graph *gr)
{
	_cleanup_(gi_typing_destroyp) struct gi_typing *t = NULL;
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
	if (!l.n)
		return NULL;
	struct gi_error *err = gi_wait_typing(gr->go, gr->u, l.addrs, l.n, NAMES_BUDGET, &t);
	if (err) {
		// A heap that cannot be read names nothing.
		if (gi_error_code(err) == GI_ERR_INTERRUPTED || gi_error_code(err) == GI_ERR_NOMEM)
			return err;
		gi_error_ignore(err);
		return NULL;
	}
	for (size_t i = 0; i < l.n; i++) {
		struct gi_object *o = &gr->objects[l.objects[i]];
		_cleanup_(gi_str_deinit) struct gi_str name = {0};
		struct gi_typed typed;
		const char *copy;

		// Of a channel only the way that leads to it says more than its kind.
		if (!gi_typing_at(t, o->addr, &typed) ||
		    !gi_typing_name(t, o->addr, gi_graph_type_name(o->kind), &name) ||
		    (typed.header && !typed.path) ||
		    (gi_graph_type_name(o->kind) &&
		     strcmp(gi_str_cstr(&name), gi_graph_type_name(o->kind)) == 0))
			continue;
		copy = gi_arena_strdup(gr->arena, gi_str_cstr(&name));
		if (copy)
			o->name = copy;
	}
	return NULL;
}

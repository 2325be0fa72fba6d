// Types of heap objects: see gcore/typing.h.
//
// From an object back along the pointers that lead to it: an interface value beside whose pointer
// its type stands, a global whose type debug information knows, an object whose own type is
// known. What only untyped objects point to becomes typed when one of these is, so the search
// goes on from them, a bounded number of steps, until a global is met. Each step reads all of the
// heap that may hold pointers, once, for all objects that are looked for.
//
// A pointer says what its target's first bytes are. It may lie: memory that was freed and used
// again, a word that is no pointer. So a type must fit into its slot, only slots in use count, and
// the value must begin where the object does.

#include "gcore/record.h"
#include "gcore/typing.h"

#include <stdlib.h>
#include <string.h>

#include "go/go_impl.h"
#include "go/gomap_impl.h"
#include "go/typing_impl.h"

enum {
	MAX_STEPS = 12,
	MAX_NODES = 1 << 14,
	MAX_NEW = 512,	     // objects that one step adds
	HEADER_SIZE = 8,
	HEADER_MIN = 512,	// larger ones have a header
	HEADER_MAX = 32 << 10, // and larger than that have it elsewhere
};

static const char questions_name[] = "typing";

// --- nodes --------------------------------------------------------------------------------

/** The allocator's note on a map's memory has the type of its groups: that of the map has the same name. */
static void type_by_group(struct gi_typing *t, struct gi_typed *n)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0}, map = {0};
	const char *s;
	struct gi_gomap_shape shape;
	struct gi_type type;

	gi_type_name(t->go, &n->type, &name);
	s = gi_str_cstr(&name);
	if (strncmp(s, "noalg.", 6) == 0)
		s += 6;
	if (strncmp(s, "map.group[", 10) != 0 && strncmp(s, "map.bucket[", 11) != 0)
		return;
	gi_str_puts(&map, "map");
	gi_str_puts(&map, strchr(s, '['));
	if (!gi_type_find(t->go, gi_str_cstr(&map), &type) || !gi_gomap_shape(t->go, &type, &shape) ||
	    shape.size != n->type.size)
		return;
	n->type = type;
	n->array = false;
	n->part = GI_MAP_ENTRIES;
}

/** The object's own note of its type. */
static void type_by_header(struct gi_typing *t, const struct gi_heap_span *s, struct gi_typed *n)
{
	uint64_t word;

	if (!gi_go_at_least(t->go, 1, 22) || s->pub.noscan || n->size <= HEADER_MIN ||
	    n->size > HEADER_MAX)
		return;
	n->skip = HEADER_SIZE;
	if (!gi_target_peek_u64(t->go->target, n->start, &word) ||
	    !gi_type_read(t->go, word, &n->type)) {
		n->type = (struct gi_type){0};
		return;
	}
	if (n->type.size > n->size - HEADER_SIZE || !n->type.size) {
		n->type = (struct gi_type){0};
		return;
	}
	n->how = GI_TYPE_BY_HEADER;
	// An array is allocated by its elements' type.
	n->array = n->size - HEADER_SIZE >= 2 * n->type.size;
	type_by_group(t, n);
}

/** The node of the object that holds addr, made if it is new; NULL in *ret if there is none. */
static struct gi_error *node_at(struct gi_typing *t, uint64_t addr, uint32_t step, size_t *ret,
				bool *found)
{
	uint64_t slot, number, at;
	const struct gi_heap_span *s = gi_heap_find(t->heap, addr, &slot);
	struct gi_error *err;

	*found = false;
	if (!s)
		return NULL;
	number = s->first_slot + slot;
	if (gi_map_get(&t->node_of_slot, number, &at)) {
		*ret = at;
		*found = true;
		return NULL;
	}
	if (t->count == MAX_NODES)
		return NULL;
	err = gi_grow(&t->nodes, &t->cap, t->count + 1, sizeof(*t->nodes));
	if (!err)
		err = gi_map_put(&t->node_of_slot, number, t->count);
	if (err)
		return err;
	struct gi_typing_node *n = &t->nodes[t->count];
	*n = (struct gi_typing_node){.step = step,
			   .pub = {.start = s->pub.start + slot * s->pub.elem_size,
				   .size = s->pub.elem_size}};
	type_by_header(t, s, &n->pub);
	*ret = t->count++;
	*found = true;
	return NULL;
}

static const struct gi_typing_node *find(const struct gi_typing *t, uint64_t addr)
{
	uint64_t slot, at;
	const struct gi_heap_span *s = gi_heap_find(t->heap, addr, &slot);

	if (!s || !gi_map_get(&t->node_of_slot, s->first_slot + slot, &at))
		return NULL;
	return &t->nodes[at];
}

// --- understanding ------------------------------------------------------------------------

static bool is_runtime(const char *name)
{
	return strncmp(name, "runtime.", 8) == 0;
}

static bool fits(const struct gi_typed *o, const struct gi_type_pointee *p)
{
	// Channels, maps and closures have a record of the runtime's own.
	return p->header || p->part || (p->type.size && p->type.size <= o->size - o->skip);
}

static bool set_type(struct gi_typing_node *n, const struct gi_type_pointee *p, enum gi_type_evidence how)
{
	// The allocator notes the type of a map's groups, which does not tell of which map.
	const bool noted = p->part && !n->pub.part && n->pub.how == GI_TYPE_BY_HEADER;

	if ((n->pub.type.addr && !noted) || !p->type.addr || !fits(&n->pub, p))
		return false;
	n->pub.type = p->type;
	n->pub.part = p->part;
	n->pub.array = p->array;
	n->pub.header = p->header;
	n->pub.how = how;
	return true;
}

/** An interface value's second word is the pointer: the first says its type. */
static bool by_interface(struct gi_typing *t, const struct gi_reference *r,
			 struct gi_type_pointee *ret)
{
	struct gi_type type;
	uint64_t word;

	if (!gi_target_peek_u64(t->go->target, r->at - 8, &word) ||
	    !gi_type_of_interface(t->go, word, &type))
		return false;
	*ret = (struct gi_type_pointee){.type = type};
	switch (type.kind) {
	case GI_TYPE_PTR:
		return gi_type_elem(t->go, &type, &ret->type);
	case GI_TYPE_CHAN:
	case GI_TYPE_MAP:
	case GI_TYPE_FUNC:
		ret->header = true;
		return true;
	case GI_TYPE_UNSAFE_POINTER:
		return false;
	case GI_TYPE_STRUCT:
	case GI_TYPE_ARRAY:
		return type.size != 8; // of one pointer: that is the word itself
	default:
		return true; // the value was put into memory of its own
	}
}

/** What the words of a map's record, directory and tables lead to: other pieces of the same map. */
static bool map_way(struct gi_typing *t, const struct gi_typing_node *n, uint64_t off,
		    struct gi_type_pointee *ret)
{
	struct gi_gomap_shape s;
	uint64_t len;

	if (!gi_gomap_shape(t->go, &n->pub.type, &s))
		return false;
	*ret = (struct gi_type_pointee){.type = n->pub.type};
	switch (n->pub.part) {
	case GI_MAP_DIRECTORY:
		ret->part = GI_MAP_TABLE;
		return s.swiss;
	case GI_MAP_TABLE:
		ret->part = GI_MAP_ENTRIES;
		return s.swiss && off == GI_SWISS_GROUPS;
	case GI_MAP_ENTRIES:
		return false;
	case GI_MAP_WHOLE:
		break;
	}
	ret->part = GI_MAP_ENTRIES;
	if (!s.swiss)
		return off == GI_HMAP_BUCKETS || off == GI_HMAP_OLD;
	if (off != GI_SWISS_DIR || !gi_target_peek_u64(t->go->target, n->pub.start + n->pub.skip + GI_SWISS_DIR_LEN, &len))
		return false;
	if (len)
		ret->part = GI_MAP_DIRECTORY;
	return true;
}

/** The key or element of a map that lies at off; ["key"] is appended. */
static bool map_entry_at(struct gi_typing *t, const struct gi_typing_node *n, uint64_t off,
			 struct gi_gomap_shape *s, bool *elem_ret, uint64_t *rest_ret,
			 struct gi_str *path)
{
	unsigned slot;

	if (!gi_gomap_shape(t->go, &n->pub.type, s))
		return false;
	const uint64_t group = n->pub.start + n->pub.skip + off / s->size * s->size;
	if (!gi_gomap_slot_at(s, off % s->size, &slot, elem_ret, rest_ret) ||
	    !gi_gomap_slot_used(t->go, s, group, slot))
		return false;
	gi_str_puts(path, *elem_ret ? "[" : ".key[");
	gi_gomap_put_key(t->go, s, group, slot, path);
	gi_str_putc(path, ']');
	return true;
}

static bool map_entry_way(struct gi_typing *t, const struct gi_typing_node *n, uint64_t off,
			  struct gi_type_pointee *ret, struct gi_str *path)
{
	struct gi_gomap_shape s = {.size = 0};
	uint64_t rest;
	bool elem;

	if (!map_entry_at(t, n, off, &s, &elem, &rest, path)) {
		// A bucket leads to the next one of its chain.
		if (s.size && !s.swiss && off % s.size == s.overflow) {
			*ret = (struct gi_type_pointee){.type = n->pub.type, .part = GI_MAP_ENTRIES};
			return true;
		}
		return false;
	}
	if (elem ? s.elem_indirect : s.key_indirect) {
		*ret = (struct gi_type_pointee){.type = elem ? s.elem : s.key};
		return !rest;
	}
	return gi_type_pointee(t->go, elem ? &s.elem : &s.key, rest, path, ret);
}

/** The way into an object whose path is known, up to off. */
static bool way(struct gi_typing *t, const struct gi_typing_node *n, uint64_t off,
		struct gi_type_pointee *ret, struct gi_str *path)
{
	const struct gi_typed *o = &n->pub;

	if (!o->type.addr || off < o->skip)
		return false;
	off -= o->skip;
	if (o->part == GI_MAP_ENTRIES)
		return map_entry_way(t, n, off, ret, path);
	if (o->part || (o->header && o->type.kind == GI_TYPE_MAP))
		return map_way(t, n, off, ret);
	if (o->header)
		return false;
	if (o->array) {
		if (!o->type.size)
			return false;
		gi_str_printf(path, "[%llu]", (unsigned long long)(off / o->type.size));
		off %= o->type.size;
	}
	return gi_type_pointee(t->go, &o->type, off, path, ret);
}

/** Of the ways that become known at once the shortest name is the best. */
static bool takes_path(const struct gi_typing *t, const struct gi_typing_node *n)
{
	return !n->path || n->pass == t->pass;
}

static struct gi_error *set_path(struct gi_typing *t, struct gi_typing_node *n, bool *changed)
{
	const char *s = gi_str_cstr(&t->text);

	if (t->text.oom)
		return gi_error_nomem();
	if (n->path && (strlen(n->path) < t->text.len ||
			(strlen(n->path) == t->text.len && strcmp(n->path, s) <= 0)))
		return NULL;
	char *copy = strdup(s);
	if (!copy)
		return gi_error_nomem();
	free(n->path);
	n->path = copy;
	n->pub.path = copy;
	n->pass = t->pass;
	*changed = true;
	return NULL;
}

/** Behind an interface value the way goes on with a type assertion. */
static void assert_type(struct gi_typing *t, const struct gi_typing_node *n, const struct gi_type_pointee *p)
{
	if (!p->dynamic || !n->pub.type.addr || n->pub.how != GI_TYPE_BY_INTERFACE)
		return;
	gi_str_puts(&t->text, n->pub.header ? ".(" : ".(*");
	gi_type_name(t->go, &n->pub.type, &t->text);
	gi_str_putc(&t->text, ')');
}

/** What one pointer says of its target. Sets *changed if that is news. */
static struct gi_error *learn(struct gi_typing *t, struct gi_typing_node *n, const struct gi_reference *r,
			      bool *changed)
{
	struct gi_type_pointee p = {0};
	struct gi_error *err = NULL;
	const bool at_start = r->target == n->pub.start + n->pub.skip;

	gi_str_reset(&t->text);
	if (r->kind != GI_REFERENCE_STACK && !n->pub.type.addr && at_start && by_interface(t, r, &p))
		*changed |= set_type(n, &p, GI_TYPE_BY_INTERFACE);
	if (r->kind == GI_REFERENCE_GLOBAL) {
		p = (struct gi_type_pointee){0};
		if (gi_go_pointee_at(t->go, r->at, &t->text, &p) && at_start)
			*changed |= set_type(n, &p, GI_TYPE_BY_GLOBAL);
		if (!t->text.len)
			gi_go_name_at(t->go, r->at, NULL, &t->text);
		if (t->text.len && takes_path(t, n) && at_start &&
		    !is_runtime(gi_str_cstr(&t->text))) {
			assert_type(t, n, &p);
			err = set_path(t, n, changed);
		}
	} else if (r->kind == GI_REFERENCE_HEAP) {
		const struct gi_typing_node *h = find(t, r->holder);
		if (!h)
			return NULL;
		p = (struct gi_type_pointee){0};
		if (h->path)
			gi_str_puts(&t->text, h->path);
		bool known = way(t, h, r->at - h->pub.start, &p, &t->text);
		if (known && at_start)
			*changed |= set_type(n, &p, GI_TYPE_BY_POINTER);
		if (known && h->path && takes_path(t, n) && at_start) {
			assert_type(t, n, &p);
			err = set_path(t, n, changed);
		}
	}
	return err;
}

static struct gi_error *learn_all(struct gi_typing *t)
{
	struct gi_error *err = NULL;
	bool changed = true;

	for (unsigned pass = 0; changed && pass < 4 * MAX_STEPS && !err; pass++) {
		changed = false;
		t->pass++;
		for (size_t i = 0; i < t->count && !err; i++) {
			for (size_t k = 0; k < t->nodes[i].pub.reference_count && !err; k++) {
				struct gi_reference r = t->nodes[i].refs[k];
				if (gi_typing_is_done(&t->nodes[i]) && !takes_path(t, &t->nodes[i]))
					break;
				err = learn(t, &t->nodes[i], &r, &changed);
			}
		}
	}
	return err;
}

/** Adds the objects that point to those that are not understood. */
static struct gi_error *add_holders(struct gi_typing *t, size_t first, uint32_t step)
{
	const size_t end = t->count;
	struct gi_error *err = NULL;

	for (size_t i = first; i < end && t->count - end < MAX_NEW; i++) {
		const struct gi_typing_node *n = &t->nodes[i];
		if (gi_typing_is_done(n))
			continue;
		for (size_t k = 0; k < t->nodes[i].pub.reference_count; k++) {
			const struct gi_reference *r = &t->nodes[i].refs[k];
			size_t at;
			bool found;
			if (r->kind != GI_REFERENCE_HEAP)
				continue;
			err = node_at(t, r->holder, step, &at, &found);
			if (err)
				return err;
		}
	}
	return NULL;
}

// --- all ----------------------------------------------------------------------------------

/** Bytes that one step reads of the heap. */
static uint64_t step_bytes(const struct gi_typing *t)
{
	uint64_t n = 0;

	for (size_t i = 0; i < t->heap->count; i++) {
		const struct gi_heap_span *s = &t->heap->spans[i];
		if (!s->pub.manual && !s->pub.noscan)
			n += s->limit;
	}
	return n;
}

static struct gi_error *run(struct gi_typing *t, const uint64_t *addrs, size_t n, uint64_t budget)
{
	const uint64_t bytes = step_bytes(t);
	struct gi_error *err = NULL;
	size_t first = 0, asked;

	t->wanted = calloc((size_t)(t->heap->slot_count / 64 + 1), 8);
	t->own = calloc((size_t)(t->heap->slot_count / 64 + 1), 8);
	if (!t->wanted || !t->own)
		return gi_error_nomem();
	gi_typing_mark_own(t);
	for (size_t i = 0; i < n && !err; i++) {
		size_t at;
		bool found;
		err = node_at(t, addrs[i], 0, &at, &found);
	}
	asked = t->count;
	for (uint32_t step = 1; step <= MAX_STEPS && !err && first < t->count; step++) {
		size_t next = t->count;
		bool done = true;

		if (bytes > budget)
			break;
		budget -= bytes;

		err = gi_typing_search(t, first);
		if (!err)
			err = add_holders(t, first, step);
		if (!err)
			err = learn_all(t);
		for (size_t i = 0; i < asked; i++)
			done = done && gi_typing_is_done(&t->nodes[i]);
		if (done)
			break;
		first = next;
	}
	return err;
}

/** What a mini dump can answer is what was asked where it was made: in the form of this record. */
struct question {
	uint64_t addr, budget, n;
};

static struct gi_error *note_question(struct gi_go *go, const uint64_t *addrs, size_t n, uint64_t budget)
{
	size_t size;
	const struct question *asked = (const void *)gi_target_answer(go->target, questions_name, &size);

	for (size_t i = 0; i < n; i++) {
		struct question q = {addrs[i], budget, n}, old;
		struct gi_error *err =
			gi_target_extend_answer(go->target, questions_name, &q, sizeof(q));
		bool known = !gi_target_info(go->target)->mini;

		if (err)
			return err;
		for (size_t k = 0; !known && asked && k < size / sizeof(old); k++) {
			memcpy(&old, (const uint8_t *)asked + k * sizeof(old), sizeof(old));
			known = !memcmp(&old, &q, sizeof(q));
		}
		if (!known)
			return gi_error_create(GI_ERR_NOT_SAVED,
					       "what leads to 0x%llx was not saved in this mini dump",
					       (unsigned long long)addrs[i]);
	}
	return NULL;
}

struct gi_error *gi_typing_find(struct gi_go *go, const uint64_t *addrs, size_t n, uint64_t budget,
				struct gi_typing **ret)
{
	_cleanup_(gi_typing_destroyp) struct gi_typing *t = calloc(1, sizeof(*t));
	struct gi_error *err;

	if (!t)
		return gi_error_nomem();
	t->go = go;
	err = note_question(go, addrs, n, budget);
	if (!err)
		err = gi_go_heap(go, &t->heap);
	if (!err)
		err = run(t, addrs, n, budget);
	if (err)
		return err;
	*ret = t;
	t = NULL;
	return NULL;
}

void gi_typing_destroy(struct gi_typing *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++) {
		free(t->nodes[i].refs);
		free(t->nodes[i].path);
	}
	free(t->nodes);
	free(t->wanted);
	free(t->own);
	gi_map_deinit(&t->node_of_slot);
	gi_str_deinit(&t->text);
	gi_buf_deinit(&t->buf);
	free(t);
}

bool gi_typing_at(const struct gi_typing *t, uint64_t addr, struct gi_typed *ret)
{
	const struct gi_typing_node *n = find(t, addr);

	if (!n)
		return false;
	*ret = n->pub;
	return true;
}

struct gi_error *gi_typing_learn(struct gi_typing *t, uint64_t addr, const struct gi_type *type,
				 enum gi_type_evidence how)
{
	const struct gi_type_pointee p = {.type = *type};
	uint64_t slot, at;
	const struct gi_heap_span *s = gi_heap_find(t->heap, addr, &slot);

	if (!s || !gi_map_get(&t->node_of_slot, s->first_slot + slot, &at) ||
	    !set_type(&t->nodes[at], &p, how))
		return NULL;
	return learn_all(t);
}

/** The name of a field that points to the object, where no global leads to it: "main.server.cond". */
static bool by_holder(struct gi_typing *t, const struct gi_typing_node *n, struct gi_str *ret)
{
	const size_t len = ret->len;

	for (size_t i = 0; i < n->pub.reference_count; i++) {
		const struct gi_reference *r = &n->refs[i];
		const struct gi_typing_node *h = r->kind == GI_REFERENCE_HEAP ? find(t, r->holder) : NULL;
		struct gi_type_pointee p;

		if (!h || !h->pub.type.addr || r->target != n->pub.start + n->pub.skip)
			continue;
		gi_type_name(t->go, &h->pub.type, ret);
		if (way(t, h, r->at - h->pub.start, &p, ret) && p.type.addr == n->pub.type.addr)
			return true;
		ret->len = len;
		if (ret->s)
			ret->s[len] = '\0';
	}
	return false;
}

/** Of what a map has in itself: its entries have names, its other pieces have that of the map. */
static bool map_piece_name(struct gi_typing *t, const struct gi_typing_node *n, uint64_t off,
			   const char *want, struct gi_str *ret)
{
	struct gi_gomap_shape s;
	struct gi_type type;
	uint64_t rest;
	bool elem;

	if (n->pub.part != GI_MAP_ENTRIES || !map_entry_at(t, n, off, &s, &elem, &rest, ret) ||
	    (elem ? s.elem_indirect : s.key_indirect))
		return true;
	if (gi_type_at(t->go, elem ? &s.elem : &s.key, rest, want, ret, &type, &rest) && rest)
		gi_str_printf(ret, "+0x%llx", (unsigned long long)rest);
	return true;
}

// "internal/sync.Mutex" is a sync.Mutex, too. Small things of different types share one block of
// Go's tiny allocator, and what points to one of them says nothing of the others.
static bool is_called(struct gi_go *go, const struct gi_type *type, const char *want)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	const size_t n = strlen(want);

	gi_type_name(go, type, &name);
	return name.len >= n && strcmp(name.s + name.len - n, want) == 0 &&
	       (name.len == n || name.s[name.len - n - 1] == '/');
}

bool gi_typing_name(struct gi_typing *t, uint64_t addr, const char *want_type, struct gi_str *ret)
{
	const struct gi_typing_node *n = find(t, addr);
	size_t len = ret->len;
	struct gi_type type;
	uint64_t off, rest;

	if (!n || !n->pub.type.addr || addr < n->pub.start + n->pub.skip)
		return false;
	if (n->path)
		gi_str_puts(ret, n->path);
	else if (!by_holder(t, n, ret))
		gi_type_name(t->go, &n->pub.type, ret);
	if (n->pub.header)
		return addr == n->pub.start;
	off = addr - n->pub.start - n->pub.skip;
	if (n->pub.part)
		return map_piece_name(t, n, off, want_type, ret);
	if (n->pub.array && n->pub.type.size) {
		gi_str_printf(ret, "[%llu]", (unsigned long long)(off / n->pub.type.size));
		off %= n->pub.type.size;
	}
	if (gi_type_at(t->go, &n->pub.type, off, want_type, ret, &type, &rest) &&
	    (!want_type || (!rest && is_called(t->go, &type, want_type)))) {
		if (rest)
			gi_str_printf(ret, "+0x%llx", (unsigned long long)rest);
		return true;
	}
	if (ret->s) {
		ret->len = len;
		ret->s[len] = '\0';
	}
	return false;
}

// Globals of a stripped program, found in the code of functions that use them.
//
// Functions keep their names in pclntab. A table says, of some functions of its release,
// the shape of their references (shape.h), and which of these lead to which global. A
// function of the program with that shape is the same code, so that its references lead
// to the same globals: it is a witness. Most globals have several, in functions that the
// compiler may treat differently (inlining by profile); those that it did treat
// differently have another shape and say nothing. Where witnesses do not agree, the
// majority must be clear, else the global counts as not found.

#include "go/go_impl.h"

#include <stdlib.h>
#include <string.h>

#include "go/shape.h"

enum { MAX_GLOBALS = 64, MAX_ANSWERS = 4, MAX_CODE = 1 << 20 };

struct answer {
	uint64_t addr;
	unsigned votes;
};

struct global {
	const char *name; // of the table
	struct answer answers[MAX_ANSWERS];
	size_t count;
};

struct gi_witnesses {
	const struct gi_layout_table *table;
	struct global globals[MAX_GLOBALS];
	size_t count;
};

struct references {
	struct gi_shape shape;
	uint64_t targets[GI_SHAPE_MAX];
};

static bool collect(void *arg, const struct gi_code_ref *ref)
{
	struct references *r = arg;

	if (gi_shape_counts(&r->shape, ref))
		r->targets[r->shape.count] = ref->target;
	return gi_shape_add(&r->shape, ref);
}

// False if the program has no such function, or it was compiled in another way.
static struct gi_error *examine(struct gi_go *go, const struct gi_table_entry *e,
				struct references *ret, bool *same_ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	struct gi_func f;
	const uint8_t *code;
	struct gi_error *err;

	*same_ret = false;
	if (!gi_functab_find_name(go->functab, gi_layout_table_name(e), &f) || f.end <= f.entry ||
	    f.end - f.entry > MAX_CODE)
		return NULL;
	err = gi_go_bytes(go, f.entry, (size_t)(f.end - f.entry), &buf, &code);
	if (err && gi_error_code(err) != GI_ERR_NOMEM) {
		gi_error_ignore(err);
		return NULL;
	}
	if (err)
		return err;
	gi_shape_init(&ret->shape, f.mod->text.start, f.mod->text.end);
	err = gi_code_refs(gi_target_arch(go->target), f.entry, code, (size_t)(f.end - f.entry),
			   collect, ret);
	if (err)
		return err;
	*same_ret = ret->shape.count == e->count && ret->shape.hash == e->u;
	return NULL;
}

static void vote(struct gi_witnesses *w, const char *name, uint64_t addr)
{
	struct global *g = w->globals;
	size_t i = 0;

	while (i < w->count && strcmp(w->globals[i].name, name) != 0)
		i++;
	if (i == MAX_GLOBALS)
		return;
	g = &w->globals[i];
	if (i == w->count) {
		g->name = name;
		w->count++;
	}
	for (i = 0; i < g->count && g->answers[i].addr != addr; i++)
		;
	if (i == MAX_ANSWERS)
		return;
	if (i == g->count)
		g->answers[g->count++].addr = addr;
	g->answers[i].votes++;
}

struct gi_error *gi_witnesses_create(struct gi_go *go, struct gi_witnesses **ret)
{
	_cleanup_(gi_freep) struct references *r = calloc(1, sizeof(*r));
	_cleanup_(gi_freep) struct gi_witnesses *w = calloc(1, sizeof(*w));
	const struct gi_layout_table *t = &go->table;
	bool same = false;

	if (!r || !w)
		return gi_error_nomem();
	w->table = t;
	for (size_t i = 0; i < t->count; i++) {
		const struct gi_table_entry *e = &t->entries[i];

		if (e->kind == GI_T_FUNC) {
			struct gi_error *err = examine(go, e, r, &same);

			if (err)
				return err;
		} else if (e->kind == GI_T_REF && same && e->count < r->shape.count) {
			vote(w, gi_layout_table_name(e), r->targets[e->count] - e->u);
		}
	}
	*ret = w;
	w = NULL;
	return NULL;
}

void gi_witnesses_destroy(struct gi_witnesses *w)
{
	free(w);
}

struct gi_error *gi_witness_global(const struct gi_witnesses *w, const char *name,
				   struct gi_global *ret)
{
	struct gi_global found;

	for (size_t i = 0; w && i < w->count; i++) {
		const struct global *g = &w->globals[i];
		const struct answer *best = NULL;
		unsigned all = 0;

		if (strcmp(g->name, name) != 0)
			continue;
		for (size_t k = 0; k < g->count; k++) {
			all += g->answers[k].votes;
			if (!best || g->answers[k].votes > best->votes)
				best = &g->answers[k];
		}
		if (!best || best->votes * 4 <= all * 3 ||
		    !gi_layout_table_global(w->table, name, &found))
			break;
		found.addr = best->addr;
		*ret = found;
		return NULL;
	}
	return gi_error_create(GI_ERR_NOT_FOUND, "nothing tells where %s is", name);
}

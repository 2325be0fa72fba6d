// Who could still break a suspect: goroutines that are not stuck, and have a function on their stack
// whose code uses a global that leads to what the circle waits for.
//
// That a function uses a global is read from its machine code (an address relative to the code's own).
// It may have done so before, or come to it on another way only: so this names where to look, and
// proves nothing. Code that is on no stack yet (an HTTP handler, say) may do the same.

#include <stdlib.h>
#include <string.h>

#include "wait/graph.h"

enum {
	MAX_GLOBALS = 16,
	MAX_FRAMES = 64,
	MAX_CODE = 1 << 20,
	MAX_GOROUTINES = 20000,
	NONE = MAX_GLOBALS, // of a function: it uses none of them
};

struct global {
	uint64_t start, end;
	const char *name;
};

struct breakers {
	struct gi_graph *gr;
	struct global globals[MAX_GLOBALS];
	size_t n;
	struct gi_map functions; // entry to the global that it uses
	struct gi_frames fs;
	struct gi_breaker *b;
	size_t count, cap;
};

/** The global that an object's name begins with. */
static void add_global(struct breakers *s, const char *path)
{
	uint64_t start, size;
	size_t len;

	if (s->n == MAX_GLOBALS || !gi_go_path_global(s->gr->go, path, &start, &len))
		return;
	for (size_t i = 0; i < s->n; i++) {
		if (s->globals[i].start == start)
			return;
	}
	size = gi_go_extent(s->gr->go, start);
	s->globals[s->n++] = (struct global){
		.start = start,
		.end = start + (size ? size : 8),
		.name = gi_graph_sentence(s->gr, "%.*s", (int)len, path),
	};
}

struct look {
	const struct breakers *s;
	size_t found;
};

static bool see_reference(void *arg, const struct gi_code_ref *ref)
{
	struct look *l = arg;

	for (size_t i = 0; i < l->s->n && l->found == NONE; i++) {
		if (ref->target >= l->s->globals[i].start && ref->target < l->s->globals[i].end)
			l->found = i;
	}
	return l->found == NONE;
}

/** Which of the globals the function uses. */
static size_t used_by(struct breakers *s, const struct gi_phys *f)
{
	struct gi_target *t = gi_go_target(s->gr->go);
	struct look l = {.s = s, .found = NONE};
	struct gi_func func;
	const uint8_t *code;
	uint64_t known;

	if (gi_map_get(&s->functions, f->entry, &known))
		return (size_t)known;
	if (f->entry && !gi_function_is_std(f->name) &&
	    gi_functab_find(gi_go_functab(s->gr->go), f->entry, &func) && func.end > func.entry &&
	    func.end - func.entry <= MAX_CODE) {
		code = gi_target_view(t, func.entry, (size_t)(func.end - func.entry));
		if (code)
			gi_error_ignore(gi_code_refs(gi_target_arch(t), func.entry, code,
						     (size_t)(func.end - func.entry),
						     see_reference, &l));
	}
	gi_error_ignore(gi_map_put(&s->functions, f->entry, l.found));
	return l.found;
}

static struct gi_error *look_at(struct breakers *s, uint32_t g)
{
	struct gi_error *err =
		gi_frames_collect(&s->fs, s->gr->u, gi_go_g(s->gr->go, g), MAX_FRAMES);

	if (err) {
		gi_error_ignore(err);
		return NULL;
	}
	for (size_t i = 0; i < s->fs.n; i++) {
		const size_t used = used_by(s, &s->fs.f[i]);
		if (used == NONE)
			continue;
		err = gi_grow(&s->b, &s->cap, s->count + 1, sizeof(*s->b));
		if (!err)
			s->b[s->count++] = (struct gi_breaker){
				.g = g,
				.function = s->fs.f[i].name ? s->fs.f[i].name : "",
				.global = s->globals[used].name,
			};
		return err;
	}
	return NULL;
}

static struct gi_error *find(struct breakers *s, struct gi_verdict *v)
{
	struct gi_graph *gr = s->gr;
	struct gi_error *err = NULL;

	for (size_t i = 0; i < v->edge_count; i++)
		add_global(s, gr->objects[gr->edges[v->edges[i]].object].name);
	if (!s->n)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		v->globals = gi_graph_sentence(gr, "%s%s%s", i ? v->globals : "",
					       !i ? "" : i + 1 == s->n ? " or " : ", ",
					       s->globals[i].name);
	for (size_t g = 0; g < gi_go_g_count(gr->go) && !err; g++) {
		const struct gi_g *gp = gi_go_g(gr->go, g);

		if (g % 256 == 0)
			err = gi_interrupt_check();
		if (!err && !gp->system && !gp->unreadable && !gi_g_is_dead(gp) &&
		    !gr->g_verdict[g] && !(gr->dead && gr->dead[g]))
			err = look_at(s, (uint32_t)g);
	}
	if (err || !s->count)
		return err;
	struct gi_breaker *copy = gi_arena_alloc(gr->arena, s->count * sizeof(*copy));
	if (!copy)
		return gi_error_nomem();
	memcpy(copy, s->b, s->count * sizeof(*copy));
	v->breakers = copy;
	v->breaker_count = s->count;
	return NULL;
}

struct gi_error *gi_graph_find_breakers(struct gi_graph *gr)
{
	struct gi_error *err = NULL;

	for (size_t i = 0; i < gr->verdict_count && !err; i++) {
		struct breakers s = {.gr = gr};

		if (gr->verdicts[i].kind != GI_VERDICT_SUSPECT ||
		    gi_go_g_count(gr->go) > MAX_GOROUTINES)
			continue;
		err = find(&s, &gr->verdicts[i]);
		gi_frames_deinit(&s.fs);
		gi_map_deinit(&s.functions);
		free(s.b);
	}
	return err;
}

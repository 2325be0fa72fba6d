// The pending deferred calls of a goroutine, for people: which function, deferred where.
//
// Most deferred calls are made through a wrapper, a closure that the compiler wrote around the
// call ("main.f.deferwrap1"; up to 1.20 a name as any function literal has). What it calls is what a
// person wants to read: the outermost call that was inlined into it, else the one function that its
// code calls. A wrapper's only line is that of the defer statement.

#include <string.h>

#include "gcore/target.h"
#include "gcore/wait.h"
#include "wait/defers.h"

enum { MAX_WRAPPER_BYTES = 4096 };

/** What a wrapper calls. */
struct callee {
	const char *name; // an inlined one has no entry
	uint64_t entry;
	uint64_t pc; // of the call
	bool two;    // there are several: none of them
};

static void take(struct callee *c, const char *name, uint64_t entry, uint64_t pc)
{
	if (c->name && strcmp(c->name, name))
		c->two = true;
	c->name = name;
	c->entry = entry;
	c->pc = pc;
}

static bool is_wrapper(const struct gi_wait_env *env, const struct gi_func *f)
{
	const char *dot = strrchr(f->name, '.');
	size_t n = strlen(f->name);
	int id = gi_go_func_id_wrapper(env->go);

	return (id >= 0 && f->func_id == id) || strstr(f->name, "\u00b7dwrap\u00b7") ||
	       (dot && strncmp(dot, ".deferwrap", 10) == 0) ||
	       (n > 3 && strcmp(f->name + n - 3, "-fm") == 0);
}

static bool take_inlined(void *arg, uint64_t start, uint64_t end, const struct gi_call *calls,
			 size_t n)
{
	(void)end;
	take(arg, calls[n - 2].name, 0, start);
	return true;
}

// What the runtime has in any function.
static bool is_helper(const char *name)
{
	static const char *const prefixes[] = {
		"runtime.morestack", "runtime.gcWriteBarrier", "runtime.wbMove", "runtime.wbZero",
		"runtime.duff",	     "runtime.panic",	       "runtime.race",	 "runtime.asan",
		"runtime.msan",	     "runtime.newobject",      "runtime.typedmem",
	};
	for (size_t i = 0; i < GI_ARRAY_SIZE(prefixes); i++) {
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

/** A call of which the closure's values tell where it leads: of a method of an interface, say. */
static uint64_t indirect(struct gi_wait_env *env, uint64_t return_pc, uint64_t closure)
{
	const struct gi_point *pt = gi_code_point(env->code, return_pc, true);
	uint64_t entry;

	if (!pt || !pt->reachable || !pt->at_call)
		return 0;
	if (pt->callee)
		return pt->callee;
	return gi_wait_eval_closure(env, gi_fn_values(pt->fn), pt->callee_value, closure, &entry)
		       ? entry
		       : 0;
}

static struct gi_error *take_calls(struct gi_wait_env *env, const struct gi_func *f,
				   uint64_t closure, struct callee *ret)
{
	size_t n = (size_t)gi_min_u64(f->end - f->entry, MAX_WRAPPER_BYTES), count;
	const uint8_t *code = gi_target_view(env->t, f->entry, n);
	struct gi_insn *insns;
	struct gi_func to;

	if (!code)
		return NULL;
	struct gi_error *err = env->arch->decode(code, n, f->entry, &insns, &count);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		const struct gi_insn *in = &insns[i];
		uint64_t pc = f->entry + in->off, target = in->target;
		bool leaves = in->op == GI_OP_JMP && target &&
			      (target < f->entry || target >= f->end);
		if (in->op != GI_OP_CALL && !leaves)
			continue;
		if (!target)
			target = indirect(env, pc + in->len, closure);
		if (!target || !gi_functab_find(env->ft, target, &to))
			ret->two = true;
		else if (!is_helper(to.name))
			take(ret, to.name, to.entry, pc);
	}
	gi_freep(&insns);
	return NULL;
}

static void location_at(const struct gi_func *f, uint64_t pc, struct gi_location *ret)
{
	*ret = (struct gi_location){.pc = pc, .function = f->name};
	gi_func_line(f, pc, &ret->file, &ret->line);
}

/** The line of the statement that deferred through a record: its call's outermost one. */
static void statement_at(struct gi_wait_env *env, uint64_t pc, struct gi_location *ret)
{
	struct gi_call calls[GI_MAX_INLINE];
	struct gi_func f;

	if (!gi_functab_find(env->ft, pc - 1, &f))
		return;
	size_t n = gi_func_calls(&f, pc - 1, calls, GI_ARRAY_SIZE(calls));
	*ret = (struct gi_location){.pc = pc - 1,
				    .function = calls[n - 1].name,
				    .file = calls[n - 1].file,
				    .line = calls[n - 1].line};
}

static struct gi_error *describe(struct gi_wait_env *env, const struct gi_pending *p,
				 struct gi_deferred *ret)
{
	struct callee c = {0};
	struct gi_func f, to;
	uint64_t entry;

	ret->calls = ret->statement = (struct gi_location){.function = "", .file = ""};
	if (p->pc)
		statement_at(env, p->pc, &ret->statement);
	if (!gi_target_peek_u64(env->t, p->closure, &entry))
		return NULL;
	ret->calls.pc = entry;
	if (!gi_functab_find(env->ft, entry, &f) || f.entry != entry)
		return NULL;
	location_at(&f, entry, &ret->calls);
	if (!is_wrapper(env, &f))
		return NULL;
	ret->wrapper = f.name;
	gi_func_inline_each(&f, take_inlined, &c);
	if (!c.name) {
		struct gi_error *err = take_calls(env, &f, p->closure, &c);
		if (err)
			return err;
	}
	bool method_value = strlen(f.name) > 3 && !strcmp(f.name + strlen(f.name) - 3, "-fm");
	if (!ret->statement.pc && !method_value) {
		struct gi_call calls[GI_MAX_INLINE];
		uint64_t pc = c.pc ? c.pc : f.entry;
		size_t n = gi_func_calls(&f, pc, calls, GI_ARRAY_SIZE(calls));
		ret->statement.pc = pc;
		ret->statement.file = calls[n - 1].file;
		ret->statement.line = calls[n - 1].line;
	}
	if (!c.name || c.two)
		return NULL;
	ret->calls = (struct gi_location){.pc = c.pc, .function = c.name, .file = "?"};
	if (c.entry && gi_functab_find(env->ft, c.entry, &to))
		location_at(&to, to.entry, &ret->calls);
	else if (gi_functab_find_name(env->ft, c.name, &to))
		location_at(&to, to.entry, &ret->calls);
	else
		gi_func_line(&f, c.pc, &ret->calls.file, &ret->calls.line);
	return NULL;
}

static struct gi_error *add(struct gi_wait_env *env, const struct gi_frames *fs,
			    const struct gi_pending *p, struct gi_deferreds *ret)
{
	struct gi_error *err = gi_grow(&ret->d, &ret->cap, ret->n + 1, sizeof(*ret->d));

	if (err)
		return err;
	struct gi_deferred *d = &ret->d[ret->n];
	*d = (struct gi_deferred){.closure = p->closure, .open_coded = p->open_coded};
	if (p->frame != SIZE_MAX)
		d->sp = fs->f[p->frame].sp;
	err = describe(env, p, d);
	if (!err)
		ret->n++;
	return err;
}

/** Each frame's own first, the last first; then those of its records. */
static struct gi_error *add_all(struct gi_wait_env *env, const struct gi_g *g,
				const struct gi_frames *fs, struct gi_pendings *ps,
				struct gi_deferreds *ret)
{
	struct gi_error *err = g->defer_head ? gi_pendings_add_chain(ps, env, g, fs) : NULL;
	size_t records = ps->n, next = 0;

	for (size_t i = 0; i < fs->n && !err; i++) {
		struct gi_open_defers od;

		ps->n = records;
		if (gi_open_defers_of(env, fs->f[i].entry, &od))
			err = gi_pendings_add_open(ps, env, fs, i, &od);
		for (size_t k = ps->n; k-- > records && !err;)
			err = add(env, fs, &ps->p[k], ret);
		for (; next < records && !err; next++) {
			if (ps->p[next].frame != i && ps->p[next].frame != SIZE_MAX)
				break;
			err = add(env, fs, &ps->p[next], ret);
		}
	}
	for (; next < records && !err; next++)
		err = add(env, fs, &ps->p[next], ret);
	ret->lost = ps->lost;
	return err;
}

struct gi_error *gi_deferred_calls(struct gi_go *go, struct gi_unwinder *u, const struct gi_g *g,
				   size_t max, struct gi_deferreds *ret)
{
	struct gi_pendings ps = {0};
	struct gi_frames fs = {0};
	struct gi_wait_env env;
	struct gi_error *err;

	*ret = (struct gi_deferreds){0};
	err = gi_wait_env_init(&env, go);
	if (err)
		return err;
	err = gi_frames_collect(&fs, u, g, max);
	if (!err)
		err = add_all(&env, g, &fs, &ps, ret);
	gi_pendings_deinit(&ps);
	gi_frames_deinit(&fs);
	gi_wait_env_deinit(&env);
	return err;
}

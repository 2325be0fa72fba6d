// The code analysis on a real program, and its values in real frames.
//
// Go's compiler keeps nothing in registers over a call, so a value that a function still
// needs lies in its frame. A value is looked for in the slots that hold it or something at a
// fixed distance from it, then by reading memory through a value that is found, and, for what the
// function was given, in what its caller passed, by the caller's own frame.

#include "wait/env.h"

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"

enum { MAX_EVAL_DEPTH = 24, MAX_CALLERS = 8 };

// --- frames -------------------------------------------------------------------------

void gi_frames_deinit(struct gi_frames *fs)
{
	free(fs->f);
	gi_error_free(fs->err);
	memset(fs, 0, sizeof(*fs));
}

static bool add_frame(void *arg, const struct gi_frame *fr)
{
	struct gi_frames *fs = arg;

	if (fr->kind != GI_FRAME_GO || fr->stack != GI_STACK_GOROUTINE || !fr->has_func) {
		// What lies above a frame of another kind was not called by Go code.
		if (fs->n)
			fs->f[fs->n - 1].is_call = false;
		return true;
	}
	fs->err = gi_grow(&fs->f, &fs->cap, fs->n + 1, sizeof(*fs->f));
	if (fs->err)
		return false;
	struct gi_phys *p = &fs->f[fs->n];
	*p = (struct gi_phys){.pc = fr->pc,
			      .lookup_pc = fr->lookup_pc,
			      .sp = fr->sp,
			      .cfa = fr->cfa,
			      .entry = fr->entry,
			      .exact = fr->exact_pc,
			      .is_call = true,
			      .name = fr->name};
	if (!fs->n && fr->exact_pc && fr->regs) {
		fs->regs = *fr->regs;
		p->regs = &fs->regs;
	}
	fs->n++;
	return true;
}

struct gi_error *gi_frames_collect(struct gi_frames *fs, struct gi_unwinder *u,
				   const struct gi_g *g, size_t max)
{
	struct gi_error *why = NULL;

	fs->n = 0;
	struct gi_error *err =
		gi_unwind_goroutine(u, g, GI_UNWIND_NO_INLINE, max, add_frame, fs, &why);
	fs->at_max = fs->n >= max;
	fs->cut = why != NULL || fs->at_max;
	gi_error_free(why);
	if (!err && fs->err) {
		err = fs->err;
		fs->err = NULL;
	}
	return err;
}

// --- the program as the analysis sees it ------------------------------------------------

static bool env_func(void *arg, uint64_t pc, struct gi_code_func *ret)
{
	struct gi_wait_env *env = arg;
	struct gi_func f;

	if (!gi_functab_find(env->ft, pc, &f))
		return false;
	*ret = (struct gi_code_func){.entry = f.entry,
				     .end = f.end,
				     .name = f.name,
				     .args = f.args & 0x80000000 ? 0 : f.args};
	return true;
}

// Code that is linked dynamically calls other files' functions through stubs, which are in no
// function table: an indirect jump to what the dynamic linker wrote (amd64: perhaps endbr64, perhaps
// a prefix, then jmp *disp(%rip)).
static uint64_t env_leads_to(void *arg, uint64_t target)
{
	enum { STUB_MAX = 11, JMP_SIZE = 6 };
	static const uint8_t endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
	struct gi_wait_env *env = arg;
	struct gi_func f;
	uint64_t to;
	size_t n, at = 0;

	if (gi_target_arch(env->t) != GI_ARCH_AMD64 || gi_functab_find(env->ft, target, &f))
		return target;
	const uint8_t *p = gi_target_view_max(env->t, target, STUB_MAX, &n);
	if (!p)
		return target;
	if (n >= sizeof(endbr) && !memcmp(p, endbr, sizeof(endbr)))
		at = sizeof(endbr);
	if (at < n && p[at] == 0xf2)
		at++;
	if (n - at < JMP_SIZE || p[at] != 0xff || p[at + 1] != 0x25)
		return target;
	int32_t disp = (int32_t)gi_load_u32(p + at + 2);
	uint64_t slot = target + at + JMP_SIZE + (uint64_t)(int64_t)disp;
	if (!gi_target_peek_u64(env->t, slot, &to) || !gi_functab_find(env->ft, to, &f) ||
	    f.entry != to)
		return target;
	return to;
}

static const uint8_t *env_bytes(void *arg, uint64_t addr, size_t n)
{
	struct gi_wait_env *env = arg;

	return gi_target_view(env->t, addr, n);
}

static void env_sp_runs(void *arg, const struct gi_code_func *cf, gi_code_run_fn fn, void *fn_arg)
{
	struct gi_wait_env *env = arg;
	struct gi_func f;

	if (gi_functab_find(env->ft, cf->entry, &f))
		gi_func_pcdata_each(&f, GI_PCTABLE_SP, fn, fn_arg);
}

struct inline_call {
	gi_code_inline_fn fn;
	void *arg;
};

static bool inline_run(void *arg, uint64_t start, uint64_t end, const struct gi_call *calls,
		       size_t n)
{
	struct inline_call *c = arg;
	const char *names[GI_MAX_INLINE];
	size_t k = 0;

	for (; k + 1 < n && k < GI_ARRAY_SIZE(names); k++)
		names[k] = calls[k].name;
	return c->fn(c->arg, start, end, names, k);
}

static void env_inline_runs(void *arg, const struct gi_code_func *cf, gi_code_inline_fn fn,
			    void *fn_arg)
{
	struct gi_wait_env *env = arg;
	struct inline_call c = {fn, fn_arg};
	struct gi_func f;

	if (gi_functab_find(env->ft, cf->entry, &f))
		gi_func_inline_each(&f, inline_run, &c);
}

static bool env_read_const(void *arg, uint64_t addr, uint64_t *ret)
{
	struct gi_wait_env *env = arg;
	const struct gi_mapping *m = gi_target_mapping_at(env->t, addr);

	return m && !(m->flags & GI_MAP_W) && gi_target_peek_u64(env->t, addr, ret);
}

struct gi_error *gi_wait_env_init(struct gi_wait_env *env, struct gi_go *go)
{
	*env = (struct gi_wait_env){.go = go, .t = gi_go_target(go), .ft = gi_go_functab(go)};
	env->has_sync = gi_go_sync_layout(go, &env->sync);
	env->arch = gi_insn_arch_of(gi_target_arch(env->t));
	env->machine = gi_machine(gi_target_arch(env->t));
	if (!env->arch)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "the code of this architecture is not known");

	struct gi_code_env ce = {
		.arg = env,
		.arch = env->arch,
		.func = env_func,
		.leads_to = env_leads_to,
		.bytes = env_bytes,
		.sp_runs = env_sp_runs,
		.inline_runs = env_inline_runs,
		.read_const = env_read_const,
		.reader_sem = env->sync.rwmutex_reader_sem,
		.writer_sem = env->sync.rwmutex_writer_sem,
		.reader_count = env->sync.rwmutex_reader_count,
		.cond_lock = env->sync.cond_l + 8,
	};
	return gi_code_create(&ce, &env->code);
}

void gi_wait_env_deinit(struct gi_wait_env *env)
{
	gi_code_destroy(env->code);
	env->code = NULL;
}

gi_value gi_wait_first_arg(const struct gi_wait_env *env, const struct gi_point *pt)
{
	return pt->regs[env->machine->int_args[0]];
}

const struct gi_point *gi_wait_point(struct gi_wait_env *env, const struct gi_phys *f)
{
	const struct gi_point *pt = gi_code_point(env->code, f->pc, !f->exact);

	return pt && pt->reachable ? pt : NULL;
}

// --- values in frames -----------------------------------------------------------------

struct eval {
	struct gi_wait_env *env;
	const struct gi_frames *fs;
	bool reread;
};

static bool eval(struct eval *e, size_t i, const struct gi_point *pt, gi_value v, unsigned depth,
		 unsigned callers, uint64_t *ret);

/** In a slot (or the registers of a running goroutine) that holds v, or v and an offset. */
static bool eval_slot(struct eval *e, size_t i, const struct gi_point *pt, gi_value v,
		      uint64_t *ret)
{
	const struct gi_values *vs = gi_fn_values(pt->fn);
	const struct gi_phys *f = &e->fs->f[i];
	int64_t off, soff;
	gi_value base = gi_value_split(vs, v, &off);

	for (size_t k = 0; k < pt->slot_count; k++) {
		const struct gi_slot *s = &pt->slots[k];
		if (s->size != 8 || gi_value_split(vs, s->v, &soff) != base)
			continue;
		if (!gi_target_peek_u64(e->env->t, f->cfa + (uint64_t)(int64_t)s->off, ret))
			continue;
		// Nil is what a variable holds on the ways on which it was not set.
		if (!*ret)
			continue;
		*ret += (uint64_t)off - (uint64_t)soff;
		return true;
	}
	if (!f->regs)
		return false;
	for (unsigned r = 0; r < e->env->arch->reg_count; r++) {
		if (!(f->regs->known >> r & 1) || !pt->regs[r] ||
		    gi_value_split(vs, pt->regs[r], &soff) != base)
			continue;
		*ret = f->regs->r[r] + (uint64_t)off - (uint64_t)soff;
		return true;
	}
	return false;
}

/** What the caller passed in a register. */
static bool eval_entry(struct eval *e, size_t i, unsigned reg, unsigned depth, unsigned callers,
		       uint64_t *ret)
{
	const struct gi_phys *f = &e->fs->f[i];
	uint64_t callee;

	if (!callers || !f->is_call || i + 1 >= e->fs->n)
		return false;
	const struct gi_phys *c = &e->fs->f[i + 1];
	// Goroutines and deferred calls are begun by code that passes on what it was given.
	if (c->exact || strncmp(c->name, "runtime.", 8) == 0)
		return false;
	const struct gi_point *pt = gi_wait_point(e->env, c);
	if (!pt || !pt->at_call || !pt->regs[reg])
		return false;
	callee = pt->callee;
	if (!callee)
		eval(e, i + 1, pt, pt->callee_value, depth, callers - 1, &callee);
	// A wrapper that jumped here may have changed what it was given.
	if (callee && callee != f->entry)
		return false;
	return eval(e, i + 1, pt, pt->regs[reg], depth, callers - 1, ret);
}

static bool eval(struct eval *e, size_t i, const struct gi_point *pt, gi_value v, unsigned depth,
		 unsigned callers, uint64_t *ret)
{
	const struct gi_value_node *n = gi_value_node(gi_fn_values(pt->fn), v);
	uint64_t base;

	if (!depth)
		return false;
	switch ((enum gi_value_kind)n->kind) {
	case GI_V_NONE:
	case GI_V_TRY:
		return false;
	case GI_V_CONST:
		*ret = (uint64_t)n->off;
		return true;
	case GI_V_FRAME:
		*ret = e->fs->f[i].cfa + (uint64_t)n->off;
		return true;
	case GI_V_DEF:
	case GI_V_PHI:
		return eval_slot(e, i, pt, v, ret);
	case GI_V_ENTRY:
		return eval_slot(e, i, pt, v, ret) ||
		       eval_entry(e, i, n->reg, depth - 1, callers, ret);
	case GI_V_SUM:
		if (eval_slot(e, i, pt, v, ret))
			return true;
		if (!eval(e, i, pt, n->base, depth - 1, callers, &base) ||
		    !eval(e, i, pt, n->site, depth - 1, callers, ret))
			return false;
		*ret = base + *ret * n->reg;
		return true;
	case GI_V_ADD:
		if (eval_slot(e, i, pt, v, ret))
			return true;
		if (!eval(e, i, pt, n->base, depth - 1, callers, ret))
			return false;
		*ret += (uint64_t)n->off;
		return true;
	case GI_V_LOAD:
		if (eval_slot(e, i, pt, v, ret))
			return true;
		if (!eval(e, i, pt, n->base, depth - 1, callers, &base))
			return false;
		e->reread = true;
		return gi_target_peek_u64(e->env->t, base + (uint64_t)n->off, ret);
	}
	return false;
}

bool gi_wait_eval(struct gi_wait_env *env, const struct gi_frames *fs, size_t i,
		  const struct gi_point *pt, gi_value v, uint64_t *ret, bool *reread_ret)
{
	struct eval e = {.env = env, .fs = fs};

	if (!eval(&e, i, pt, v, MAX_EVAL_DEPTH, MAX_CALLERS, ret))
		return false;
	*reread_ret = e.reread;
	return true;
}

bool gi_wait_eval_closure(struct gi_wait_env *env, const struct gi_values *vs, gi_value v,
			  uint64_t closure, uint64_t *ret)
{
	const struct gi_value_node *n = gi_value_node(vs, v);

	// Chains are at most GI_VALUE_MAX_DEPTH long.
	switch ((enum gi_value_kind)n->kind) {
	case GI_V_CONST:
		*ret = (uint64_t)n->off;
		return true;
	case GI_V_ENTRY:
		*ret = closure;
		return n->reg == env->machine->closure;
	case GI_V_ADD:
		if (!gi_wait_eval_closure(env, vs, n->base, closure, ret))
			return false;
		*ret += (uint64_t)n->off;
		return true;
	case GI_V_LOAD:
		return gi_wait_eval_closure(env, vs, n->base, closure, ret) &&
		       gi_target_peek_u64(env->t, *ret + (uint64_t)n->off, ret);
	case GI_V_NONE:
	case GI_V_FRAME:
	case GI_V_DEF:
	case GI_V_PHI:
	case GI_V_TRY:
	case GI_V_SUM:
		break;
	}
	return false;
}

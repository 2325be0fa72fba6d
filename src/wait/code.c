// What a function has locked at a pc.
//
// A function is decoded once and interpreted over its blocks until nothing changes: which
// values registers and stack slots hold, which locks were taken and released. A point is that
// state just before an instruction; for a call that has not returned the instruction is
// the call, so its own effect is not in it (an acquisition under way is no hold). A summary is the
// state where the function returns, in terms of what it was given.
//
// Callees are looked into for their summaries a few levels down, if they can change a lock at all:
// a quick look at their bytes tells.

#include "wait/code.h"

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"
#include "wait/flow.h"

enum {
	WRAPPER_BYTES = 256,
	MAX_LIGHT_BYTES = 1 << 14, // of a callee: helpers that lock are small
	CALLEE_INSNS = 4 << 20,	   // decoded for summaries, in all
};

struct gi_error *gi_code_create(const struct gi_code_env *env, struct gi_code **ret)
{
	struct gi_code *code = calloc(1, sizeof(*code));

	if (!code)
		return gi_error_nomem();
	code->env = *env;
	code->insns_left = CALLEE_INSNS;
	*ret = code;
	return NULL;
}

void gi_fn_free_flow(struct gi_fn *fn)
{
	for (size_t i = 0; i < fn->block_count; i++)
		gi_flow_state_deinit(&fn->blocks[i].in);
}

static void fn_destroy(struct gi_fn *fn)
{
	if (!fn)
		return;
	gi_fn_free_flow(fn);
	free(fn->insns);
	free(fn->sp);
	free(fn->inner);
	free(fn->outer);
	free(fn->half);
	free(fn->deeds);
	free(fn->prims);
	free(fn->releases);
	free(fn->blocks);
	free(fn->edges);
	free(fn->block_of);
	gi_values_deinit(&fn->values);
	free(fn);
}

struct point {
	struct gi_point pub;
	struct gi_flow_state st;
	struct gi_ahead *ahead;
};

void gi_code_destroy(struct gi_code *code)
{
	if (!code)
		return;
	for (size_t i = 0; i < code->fn_count; i++)
		fn_destroy(code->all[i]);
	for (size_t i = 0; i < code->point_count; i++) {
		struct point *p = (struct point *)code->all_points[i];
		gi_flow_state_deinit(&p->st);
		free(p->ahead);
		free(p);
	}
	free(code->all);
	free(code->all_points);
	gi_map_deinit(&code->fns);
	gi_map_deinit(&code->points);
	gi_map_deinit(&code->prims);
	gi_map_deinit(&code->light);
	free(code);
}

// --- prims by entry -----------------------------------------------------------------

static uint64_t pack(struct gi_prim p)
{
	return (uint64_t)p.op | (uint64_t)p.kind << 8 | (uint64_t)p.bound << 16 |
	       (uint64_t)p.sema << 17;
}

static struct gi_prim unpack(uint64_t v)
{
	return (struct gi_prim){.op = (enum gi_prim_op)(v & 0xff),
				.kind = (enum gi_lock_kind)(v >> 8 & 0xff),
				.bound = v >> 16 & 1,
				.sema = v >> 17 & 1};
}

struct gi_prim gi_code_prim(struct gi_code *code, uint64_t entry)
{
	struct gi_prim prim = {.op = GI_PRIM_NONE};
	struct gi_code_func f;
	uint64_t v;

	if (gi_map_get(&code->prims, entry, &v))
		return unpack(v);
	if (code->env.func(code->env.arg, entry, &f) && f.entry == entry)
		prim = gi_prim_of(f.name);
	gi_error_ignore(gi_map_put(&code->prims, entry, pack(prim)));
	return prim;
}

// --- which callees matter -------------------------------------------------------------

static bool is_foreign(const char *name)
{
	static const char *const prefixes[] = {
		"runtime.", "runtime/", "internal/", "sync.", "sync/", "syscall.", "reflect.",
		"unicode",  "strings.", "strconv.",  "math",  "sort.", "errors.",  "type:",
		"type..",   "go:",	"go.",	     "time.", "_cgo",  "x_cgo",	   "crosscall",
	};

	for (size_t i = 0; i < GI_ARRAY_SIZE(prefixes); i++) {
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

/**
 * Whether a function's bytes can change a lock: they hold an atomic operation, or a call of
 * sync's, or of a function like this. Bytes that only look like these do no harm.
 */
static bool may_touch(struct gi_code *code, uint64_t entry, unsigned depth, bool is_frame)
{
	const struct gi_code_env *env = &code->env;
	uint64_t key = entry << 4 | depth << 1 | is_frame, v, end;
	struct gi_code_func f;
	bool found = false;

	if (gi_map_get(&code->light, key, &v))
		return v;
	// A recursive call adds nothing.
	gi_error_ignore(gi_map_put(&code->light, key, 0));
	if (!env->func(env->arg, entry, &f) || f.entry != entry ||
	    (is_frame ? strncmp(f.name, "runtime.", 8) == 0 : is_foreign(f.name)))
		return false;
	end = f.end - f.entry < (is_frame ? FLOW_MAX_BYTES : MAX_LIGHT_BYTES) ? f.end : f.entry;
	const uint8_t *p = env->bytes(env->arg, f.entry, end - f.entry);
	size_t n = p ? end - f.entry : 0, at = 0;
	enum gi_glance seen;
	uint64_t to = 0;
	while (!found && (seen = env->arch->glance(p, n, f.entry, &at, &to)) != GI_GLANCE_END) {
		if (seen == GI_GLANCE_TO) {
			if (to == entry || (to > f.entry && to < f.end))
				continue;
			if (env->leads_to)
				to = env->leads_to(env->arg, to);
			found = gi_code_prim(code, to).op != GI_PRIM_NONE ||
				(depth > 0 && may_touch(code, to, depth - 1, false));
		} else {
			// An indirect call: perhaps of a Locker's method, in a wrapper.
			found = seen == GI_GLANCE_ATOMIC || is_frame || n < WRAPPER_BYTES;
		}
	}
	gi_error_ignore(gi_map_put(&code->light, key, found));
	return found;
}

// --- the cache -----------------------------------------------------------------------------

static struct gi_fn *fn_make(struct gi_code *code, const struct gi_code_func *f)
{
	struct gi_fn *fn = calloc(1, sizeof(*fn));
	struct gi_error *err;

	if (!fn)
		return NULL;
	fn->code = code;
	fn->arch = code->env.arch;
	fn->machine = gi_machine(fn->arch->arch);
	fn->f = *f;
	err = gi_grow(&code->all, &code->fn_cap, code->fn_count + 1, sizeof(*code->all));
	if (!err)
		err = gi_map_put(&code->fns, f->entry, (uint64_t)(uintptr_t)fn);
	if (err) {
		gi_error_ignore(err);
		free(fn);
		return NULL;
	}
	code->all[code->fn_count++] = fn;
	err = gi_fn_load(fn);
	if (!err)
		err = gi_fn_solve(fn);
	// Why it cannot be analysed matters to nobody: without it there is no evidence.
	fn->failed = err != NULL;
	gi_error_ignore(err);
	return fn;
}

const struct gi_fn *gi_code_fn(struct gi_code *code, uint64_t pc)
{
	struct gi_code_func f;
	uint64_t p;

	if (!code->env.func(code->env.arg, pc, &f))
		return NULL;
	if (!gi_map_get(&code->fns, f.entry, &p)) {
		struct gi_fn *fn = fn_make(code, &f);
		return fn && !fn->failed ? fn : NULL;
	}
	struct gi_fn *fn = (struct gi_fn *)(uintptr_t)p;
	// It was looked at as a callee, with less of its own callees.
	if (!fn->failed && !fn->busy && fn->depth > code->depth) {
		struct gi_error *err = gi_fn_solve(fn);
		fn->failed = err != NULL;
		gi_error_ignore(err);
	}
	return fn->failed || fn->busy ? NULL : fn;
}

bool gi_code_may_touch(struct gi_code *code, uint64_t entry)
{
	return may_touch(code, entry, FLOW_MAX_DEPTH, true);
}

bool gi_fn_acquires(const struct gi_fn *fn)
{
	return fn->acquires;
}

const struct gi_fn *gi_code_callee(struct gi_code *code, uint64_t entry)
{
	uint64_t p;

	if (code->depth > FLOW_MAX_DEPTH ||
	    !may_touch(code, entry, FLOW_MAX_DEPTH - code->depth, false))
		return NULL;
	if (gi_map_get(&code->fns, entry, &p)) {
		const struct gi_fn *fn = (const struct gi_fn *)(uintptr_t)p;
		if (fn->failed || fn->busy || fn->depth <= code->depth)
			return fn->failed || fn->busy ? NULL : fn;
	} else if (!code->insns_left) {
		return NULL;
	}
	const struct gi_fn *fn = gi_code_fn(code, entry);
	if (fn)
		code->insns_left -= gi_min_u64(code->insns_left, fn->insn_count);
	return fn;
}

uint64_t gi_fn_entry(const struct gi_fn *fn)
{
	return fn->f.entry;
}

const char *gi_fn_name(const struct gi_fn *fn)
{
	return fn->f.name;
}

struct gi_values *gi_fn_values(const struct gi_fn *fn)
{
	// Evaluation makes sums that the analysis did not need; nothing else changes.
	return &((struct gi_fn *)(uintptr_t)fn)->values;
}

uint64_t gi_fn_site_pc(const struct gi_fn *fn, uint32_t site)
{
	return site < fn->insn_count ? fn->f.entry + fn->insns[site].off : 0;
}

bool gi_fn_summary(const struct gi_fn *fn, const struct gi_lock_fact **ret, size_t *count_ret)
{
	if (!fn->has_summary)
		return false;
	*ret = fn->summary;
	*count_ret = fn->summary_count;
	return true;
}

// --- points ------------------------------------------------------------------------------------

static bool find_insn(const struct gi_fn *fn, uint64_t pc, bool is_return, uint32_t *ret)
{
	size_t i = gi_fn_insn_from(fn, pc);

	if (is_return) {
		// The call is what ends at pc.
		if (!i || fn->insns[i - 1].off + fn->insns[i - 1].len + fn->f.entry != pc)
			return false;
		*ret = (uint32_t)(i - 1);
		return fn->insns[i - 1].op == GI_OP_CALL;
	}
	if (i >= fn->insn_count || fn->insns[i].off + fn->f.entry != pc)
		return false;
	*ret = (uint32_t)i;
	return true;
}

/** What a call under way changes: an acquisition's fast path did not succeed. */
static void enter_call(struct gi_fn *fn, struct point *p, uint32_t i)
{
	struct gi_code_func f;

	p->pub.at_call = true;
	p->pub.callee_value = gi_flow_target(fn, &p->st, i, &p->pub.callee);
	if (!p->pub.callee || !fn->code->env.func(fn->code->env.arg, p->pub.callee, &f))
		return;
	p->pub.callee = f.entry;
	p->pub.prim = gi_code_prim(fn->code, f.entry);
	if (p->pub.prim.op == GI_PRIM_SLOW)
		gi_flow_undo_fast(&p->st, fn->half[i]);
	// The deferred functions are running: which have run, the frame's own lists tell.
	if (strcmp(f.name, "runtime.deferreturn") == 0)
		gi_flow_release_maybe(&p->st);
}

/** The function's releases that lie on some way on from instruction i. */
static struct gi_error *find_ahead(struct gi_fn *fn, uint32_t i, struct point *p)
{
	_cleanup_(gi_freep) uint8_t *seen = calloc(fn->block_count, 1);
	_cleanup_(gi_freep) uint32_t *queue = malloc(fn->block_count * sizeof(*queue));
	uint32_t here = fn->block_of[i];
	size_t n = 0;

	p->ahead = malloc((fn->release_count + 1) * sizeof(*p->ahead));
	if (!seen || !queue || !p->ahead)
		return gi_error_nomem();
	// The rest of this block is ahead; all of it only if a loop leads back.
	for (uint32_t k = 0; k < fn->blocks[here].next_count; k++) {
		uint32_t to = fn->blocks[here].next[k];
		if (!seen[to])
			queue[n++] = to;
		seen[to] = 1;
	}
	for (size_t at = 0; at < n; at++) {
		const struct gi_flow_block *b = &fn->blocks[queue[at]];
		for (uint32_t k = 0; k < b->next_count; k++) {
			if (!seen[b->next[k]])
				queue[n++] = b->next[k];
			seen[b->next[k]] = 1;
		}
	}
	for (size_t k = 0; k < fn->release_count; k++) {
		const struct gi_ahead *r = &fn->releases[k];
		uint32_t b = fn->block_of[r->site];
		if (seen[b] || (b == here && r->site >= i))
			p->ahead[p->pub.ahead_count++] = *r;
	}
	p->pub.ahead = p->ahead;
	return NULL;
}

static struct gi_error *point_make(struct gi_fn *fn, uint32_t i, bool is_return, struct point *p)
{
	const struct gi_flow_block *b = &fn->blocks[fn->block_of[i]];
	struct gi_error *err;

	p->pub.fn = fn;
	p->pub.insn = i;
	p->pub.reachable = b->seen;
	if (!b->seen)
		return NULL;
	err = gi_flow_run_block(fn, b, i, &p->st);
	if (err)
		return err;
	if (is_return)
		enter_call(fn, p, i);
	memcpy(p->pub.regs, p->st.regs, sizeof(p->pub.regs));
	p->pub.slots = p->st.slots;
	p->pub.slot_count = p->st.slot_count;
	p->pub.facts = p->st.facts;
	p->pub.fact_count = p->st.fact_count;
	p->pub.lost = p->st.lost;
	return fn->release_count ? find_ahead(fn, i, p) : NULL;
}

static const uint32_t ENTRY = UINT32_MAX;

/** True if a way leads from behind instruction from, or ENTRY, to another without coming by avoid. */
static bool leads(const struct gi_fn *fn, uint32_t from, uint32_t to, uint32_t avoid)
{
	_cleanup_(gi_freep) uint8_t *seen = calloc(fn->block_count + 1, 1);
	_cleanup_(gi_freep) uint32_t *queue = malloc((fn->block_count + 1) * sizeof(*queue));
	uint32_t b = from == ENTRY ? 0 : fn->block_of[from];
	uint32_t first = from == ENTRY ? fn->blocks[0].first : from + 1;
	size_t n = 0;

	if (!seen || !queue)
		return false;
	for (size_t at = 0;; b = queue[at++], first = fn->blocks[b].first) {
		const struct gi_flow_block *block = &fn->blocks[b];
		const bool stops = avoid >= first && avoid < block->last;
		if (to >= first && to < block->last && (!stops || to <= avoid))
			return true;
		for (uint32_t k = 0; !stops && k < block->next_count; k++) {
			if (!seen[block->next[k]])
				queue[n++] = block->next[k];
			seen[block->next[k]] = 1;
		}
		if (at == n)
			return false;
	}
}

bool gi_point_precedes(const struct gi_point *pt, uint32_t site)
{
	const struct gi_fn *fn = pt->fn;

	return site < fn->insn_count && site != pt->insn &&
	       !leads(fn, ENTRY, site, pt->insn);
}

bool gi_point_leads_to(const struct gi_point *pt, uint32_t site)
{
	return site < pt->fn->insn_count && leads(pt->fn, pt->insn, site, ENTRY);
}

bool gi_point_between(const struct gi_point *from, uint32_t site, const struct gi_point *to)
{
	const struct gi_fn *fn = from->fn;

	return to->fn == fn && site < fn->insn_count && leads(fn, from->insn, site, from->insn) &&
	       leads(fn, site, to->insn, from->insn);
}

const struct gi_point *gi_code_point(struct gi_code *code, uint64_t pc, bool is_return)
{
	uint64_t key = pc << 1 | is_return, v;
	struct gi_error *err;
	uint32_t i;

	if (gi_map_get(&code->points, key, &v))
		return (const struct gi_point *)(uintptr_t)v;
	struct gi_fn *fn = (struct gi_fn *)(uintptr_t)gi_code_fn(code, is_return ? pc - 1 : pc);
	struct point *p = NULL;
	if (fn && find_insn(fn, pc, is_return, &i)) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return NULL;
		err = point_make(fn, i, is_return, p);
		if (!err)
			err = gi_grow(&code->all_points, &code->point_cap, code->point_count + 1,
				      sizeof(*code->all_points));
		if (err) {
			gi_error_ignore(err);
			gi_flow_state_deinit(&p->st);
			free(p->ahead);
			free(p);
			p = NULL;
		} else {
			code->all_points[code->point_count++] = &p->pub;
		}
	}
	gi_error_ignore(gi_map_put(&code->points, key, (uint64_t)(uintptr_t)p));
	return p ? &p->pub : NULL;
}

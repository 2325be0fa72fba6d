// Arguments of frames, by name.
//
// The debug information tells where each argument is at the frame's pc. A value is only told where
// that is sure. Go's calls keep no register, so a register's value is known in the innermost frame
// of a running thread alone: in all others it is lost, but for a copy of it that the analysis of the
// code finds in the frame. A place in the frame that holds for the whole
// function (code that is not optimised) is filled by its first instructions: where these may not
// have run, the analysis of the code has to have seen the store. What was moved to the heap is
// reached through the variable that holds its address, which is filled later still.

#include "gcore/value.h"

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"
#include "value/format.h"
#include "wait/env.h"
#include "wait/flow.h"

struct gi_arg_reader {
	struct gi_go *go;
	struct gi_wait_env env;
	bool has_env;
};

struct gi_error *gi_arg_reader_create(struct gi_go *go, struct gi_arg_reader **ret)
{
	struct gi_arg_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return gi_error_nomem();
	r->go = go;
	struct gi_error *err = gi_wait_env_init(&r->env, go);
	r->has_env = !err;
	gi_error_ignore(err);
	*ret = r;
	return NULL;
}

void gi_arg_reader_destroy(struct gi_arg_reader *r)
{
	if (r && r->has_env)
		gi_wait_env_deinit(&r->env);
	free(r);
}

const char *gi_arg_state_name(enum gi_arg_state state)
{
	switch (state) {
	case GI_ARG_KNOWN:
		return "known";
	case GI_ARG_OPTIMIZED_OUT:
		return "optimized out";
	case GI_ARG_LOST:
		return "lost";
	case GI_ARG_UNREADABLE:
		return "cannot be read";
	case GI_ARG_UNSET:
		return "not set yet";
	}
	return "unknown";
}

void gi_arg_values_deinit(struct gi_arg_values *v)
{
	for (size_t i = 0; i < v->n; i++)
		gi_str_deinit(&v->a[i].value);
	gi_freep(&v->a);
	*v = (struct gi_arg_values){0};
}

size_t gi_stack_inline_level(const struct gi_stack *s, size_t i)
{
	size_t n = i;

	while (n < gi_stack_len(s) && gi_stack_frame(s, n)->kind == GI_FRAME_INLINED)
		n++;
	return n - i;
}

struct reading {
	struct gi_arg_reader *r;
	const struct gi_frame *frame;
	struct gi_dwarf *dw;
	uint64_t bias;
	const struct gi_point *pt;
	bool looked; // for pt
	struct gi_arg_values *ret;
	struct gi_error *err;
};

static struct gi_target *target_of(const struct reading *rd)
{
	return gi_go_target(rd->r->go);
}

static void look(struct reading *rd)
{
	const struct gi_frame *f = rd->frame;

	if (!rd->looked && rd->r->has_env) {
		struct gi_phys phys = {.pc = f->pc,
				       .lookup_pc = f->lookup_pc,
				       .sp = f->sp,
				       .cfa = f->cfa,
				       .entry = f->entry,
				       .exact = f->exact_pc,
				       .name = f->func.name};
		rd->pt = gi_wait_point(&rd->r->env, &phys);
	}
	rd->looked = true;
}

/** Has the code stored size bytes at off from the CFA on every way to the frame's pc? */
static bool is_stored(struct reading *rd, int64_t off, uint64_t size)
{
	look(rd);
	for (uint64_t at = 0; rd->pt && at < size;) {
		size_t i = 0;
		for (; i < rd->pt->slot_count; i++) {
			const struct gi_slot *s = &rd->pt->slots[i];
			if (s->off <= off + (int64_t)at && off + (int64_t)at < s->off + (int64_t)s->size) {
				at = (uint64_t)(s->off + (int64_t)s->size - off);
				break;
			}
		}
		if (i == rd->pt->slot_count)
			return false;
	}
	return rd->pt != NULL;
}

/**
 * What the code analysis calls the value of a register where the debug information begins to say
 * that the variable is there; 0: nothing. The compiler is late to say that it is not there any more.
 */
static gi_value value_of_reg(struct reading *rd, const struct gi_dwarf_arg *a, unsigned reg)
{
	uint64_t from = a->listed ? a->from + rd->bias : rd->frame->entry;

	look(rd);
	if (!rd->pt || reg >= GI_INSN_REGS)
		return 0;
	const struct gi_point *pt = gi_code_point(rd->r->env.code, from, false);
	return pt && pt->reachable && pt->fn == rd->pt->fn ? pt->regs[reg] : 0;
}

/** Is a copy of the value in the frame while a call is made? */
static bool kept_copy(struct reading *rd, gi_value v, size_t size, uint64_t *addr_ret)
{
	for (size_t i = 0; v && i < rd->pt->slot_count; i++) {
		const struct gi_slot *s = &rd->pt->slots[i];
		if (s->v != v || s->size < size)
			continue;
		*addr_ret = rd->frame->cfa + (uint64_t)(int64_t)s->off;
		return true;
	}
	return false;
}

static gi_value slot_value(const struct gi_point *pt, int64_t off, uint64_t size)
{
	for (size_t i = 0; pt && i < pt->slot_count; i++) {
		if (pt->slots[i].off == off && pt->slots[i].size == size)
			return pt->slots[i].v;
	}
	return 0;
}

/** How many instructions of the function write to these bytes of its frame. */
static size_t writers(struct reading *rd, int64_t off, uint64_t size)
{
	const struct gi_fn *fn = rd->pt->fn;
	size_t n = 0;

	for (size_t i = 0; i < fn->insn_count; i++) {
		const struct gi_insn *in = &fn->insns[i];
		bool stores = (in->has_mem && in->mem_is_dst) || in->store != GI_STORE_NO;
		// Without a frame: the arguments' way past a growing stack and back.
		if (!stores || in->base != fn->machine->sp || fn->sp[i] <= 0)
			continue;
		int64_t at = in->disp - fn->sp[i] - fn->machine->return_size;
		n += at < off + (int64_t)size && off < at + (int64_t)gi_max_u64(in->size, 1);
	}
	return n;
}

/**
 * Does the frame still hold what the debug information says was put there? The compiler uses a
 * place again for something else, and does not always say so.
 */
static bool still_holds(struct reading *rd, const struct gi_dwarf_arg *a, int64_t off, uint64_t size)
{
	look(rd);
	if (!rd->pt)
		return false;
	const struct gi_point *then = gi_code_point(rd->r->env.code, a->from + rd->bias, false);
	for (uint64_t at = 0; at < size; at += 8) {
		uint64_t n = gi_min_u64(8, size - at);
		gi_value now = slot_value(rd->pt, off + (int64_t)at, n);
		bool same = now && then && now == slot_value(then, off + (int64_t)at, n);
		if (!same && writers(rd, off + (int64_t)at, n) > 1)
			return false;
	}
	return true;
}

/** Notes the worst that happened to any part. */
static void fail(enum gi_arg_state *state, enum gi_arg_state now)
{
	if (*state == GI_ARG_KNOWN)
		*state = now;
}

static void from_memory(struct reading *rd, uint64_t addr, size_t at, size_t n,
			struct gi_value_bytes *v, enum gi_arg_state *state)
{
	struct gi_error *err = gi_target_read(target_of(rd), addr, v->data + at, n);

	if (err) {
		gi_error_ignore(err);
		fail(state, GI_ARG_UNREADABLE);
		return;
	}
	memset(v->known + at, true, n);
}

static void from_word(uint64_t word, size_t at, size_t n, struct gi_value_bytes *v)
{
	if (n > sizeof(word))
		return;
	memcpy(v->data + at, &word, n); // little-endian, as all supported targets
	memset(v->known + at, true, n);
}

static void take_piece(struct reading *rd, const struct gi_dwarf_arg *a, const struct gi_piece *p,
		       size_t at, size_t n, struct gi_value_bytes *v, enum gi_arg_state *state)
{
	const struct gi_frame *f = rd->frame;
	const struct gi_machine *m = gi_machine(gi_target_arch(target_of(rd)));
	int64_t off = (int64_t)p->value;
	gi_value is;
	uint64_t addr;
	uint8_t reg;

	switch (p->place) {
	case GI_PLACE_NONE:
		fail(state, GI_ARG_OPTIMIZED_OUT);
		return;
	case GI_PLACE_FRAME:
		// Below the stack pointer: the frame is not made yet.
		if (f->cfa + p->value < f->sp)
			fail(state, GI_ARG_UNSET);
		else if (!a->listed && off < 0 && (f->exact_pc || a->moved) && !is_stored(rd, off, n))
			fail(state, GI_ARG_UNSET);
		else if (a->listed && a->optimized && !still_holds(rd, a, off, n))
			fail(state, GI_ARG_LOST);
		else
			from_memory(rd, f->cfa + p->value, at, n, v, state);
		return;
	case GI_PLACE_MEMORY:
		from_memory(rd, p->value + rd->bias, at, n, v, state);
		return;
	case GI_PLACE_REG:
		reg = p->value < m->dwarf_count ? m->dwarf[p->value] : GI_NO_REG;
		is = value_of_reg(rd, a, reg);
		if (is && f->exact_pc && f->regs && gi_regs_has(f->regs, reg) &&
		    rd->pt->regs[reg] == is)
			from_word(f->regs->r[reg], at, n, v);
		else if (kept_copy(rd, is, n, &addr))
			from_memory(rd, addr, at, n, v, state);
		else
			fail(state, GI_ARG_LOST);
		return;
	case GI_PLACE_CONST:
		from_word(p->value, at, n, v);
		return;
	case GI_PLACE_OTHER:
		fail(state, GI_ARG_LOST);
		return;
	}
}

static bool take_arg(void *arg, const struct gi_dwarf_arg *a)
{
	struct reading *rd = arg;
	struct gi_value_bytes v = {0};
	struct gi_dwarf_type t;
	struct gi_arg_value *out;
	enum gi_arg_state state = GI_ARG_KNOWN;
	uint64_t type = a->type;

	rd->err = gi_grow(&rd->ret->a, &rd->ret->cap, rd->ret->n + 1, sizeof(*rd->ret->a));
	if (rd->err)
		return false;
	out = &rd->ret->a[rd->ret->n++];
	*out = (struct gi_arg_value){.name = a->name, .type = "", .state = GI_ARG_OPTIMIZED_OUT};
	if (!gi_dwarf_type(rd->dw, type, &t))
		return true;
	out->type = t.name;
	v.size = (size_t)gi_min_u64(t.size, GI_VALUE_BYTES);
	size_t at = 0;
	// Go 1.18 tells some parts twice: then none is where it says.
	uint64_t told = 0;
	for (size_t i = 0; i < a->piece_count; i++)
		told += a->pieces[i].size;
	bool sound = !told || told == t.size;
	if (!sound)
		fail(&state, GI_ARG_LOST);
	for (size_t i = 0; sound && i < a->piece_count && at < v.size; i++) {
		const struct gi_piece *p = &a->pieces[i];
		size_t n = p->size && p->size < v.size - at ? (size_t)p->size : v.size - at;
		take_piece(rd, a, p, at, n, &v, &state);
		at += n;
	}
	if (!a->piece_count && t.size)
		fail(&state, GI_ARG_OPTIMIZED_OUT);
	if (a->moved) {
		uint64_t p = gi_load_u64(v.data);
		bool has = v.size == 8 && v.known[0] && v.known[7] && p;
		struct gi_dwarf_type pointed;

		if (gi_dwarf_type(rd->dw, t.elem, &pointed)) {
			type = t.elem;
			out->type = pointed.name;
			v = (struct gi_value_bytes){
				.size = (size_t)gi_min_u64(pointed.size, GI_VALUE_BYTES)};
			if (has)
				from_memory(rd, p, 0, v.size, &v, &state);
			else
				fail(&state, GI_ARG_UNSET);
		}
	}
	if (gi_value_format(rd->r->go, rd->dw, type, &v, &out->value))
		state = GI_ARG_KNOWN;
	else
		fail(&state, GI_ARG_LOST);
	out->state = state;
	return true;
}

struct gi_error *gi_arg_reader_read(struct gi_arg_reader *r, const struct gi_frame *frame,
				    size_t level, struct gi_arg_values *ret)
{
	struct reading rd = {.r = r, .frame = frame, .ret = ret};

	if (!frame->has_func)
		return gi_error_create(GI_ERR_NOT_FOUND, "this is no Go frame");
	rd.dw = gi_go_dwarf_at(r->go, frame->entry, &rd.bias);
	if (!rd.dw)
		return gi_error_create(GI_ERR_NOT_FOUND, "there is no debug information");
	struct gi_error *err = gi_dwarf_args(rd.dw, frame->func.name, frame->entry - rd.bias,
					     frame->lookup_pc - rd.bias, level, frame->name,
					     take_arg, &rd);
	return err ? err : rd.err;
}

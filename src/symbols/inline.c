// Inlined calls at a pc.
//
// PCDATA InlTreeIndex gives, for each pc, the innermost inlined call as an index into
// the function's inline tree (FUNCDATA InlTree), -1 in code of the function itself. A
// record of the tree names the called function and parentPc: the offset from entry of
// an instruction (before every one of the call) whose own inline index and line are
// those of the call site. So parents are found by looking their pc up again, up to -1.
// Go 1.18 and 1.19 store a parent index, file and line too, which the runtime does not
// use. Sources: src/runtime/symtabinl.go (1.21 to 1.27), symtab.go and traceback.go
// (before).

#include <string.h>

#include "symbols_impl.h"

enum { INL_SIZE_118 = 20, INL_SIZE_120 = 16, INL_INDEX_MAX = 1 << 20 };

struct inl_record {
	const char *name;
	uint64_t parent_pc;
	uint32_t start_line;
	uint8_t func_id;
};

static bool inl_read(const struct gi_func *f, uint64_t tree, int32_t i,
		     struct inl_record *ret)
{
	const struct gi_modtab *mt = gi_func_modtab(f);
	size_t size = mt->format >= GI_PCLN_120 ? INL_SIZE_120 : INL_SIZE_118;
	if (i < 0 || i >= INL_INDEX_MAX)
		return false;
	uint8_t buf[INL_SIZE_118];
	uint64_t addr = tree + (uint64_t)i * size;
	const uint8_t *p = gi_target_view(f->tab->t, addr, size);
	if (!p) {
		struct gi_error *err = gi_target_read(f->tab->t, addr, buf, size);
		if (err) {
			gi_error_ignore(err);
			return false;
		}
		p = buf;
	}
	uint32_t name_off, parent;
	struct inl_record r = {0};
	if (mt->format >= GI_PCLN_120) {
		r.func_id = p[0];
		name_off = gi_load_u32(p + 4);
		parent = gi_load_u32(p + 8);
		r.start_line = gi_load_u32(p + 12);
	} else {
		r.func_id = p[2];
		name_off = gi_load_u32(p + 12);
		parent = gi_load_u32(p + 16);
	}
	r.name = gi_modtab_string(&mt->funcname, name_off);
	if (!r.name || parent >= f->end - f->entry)
		return false;
	r.parent_pc = f->entry + parent;
	*ret = r;
	return true;
}

size_t gi_func_calls(const struct gi_func *f, uint64_t pc, struct gi_call *calls,
		     size_t max)
{
	uint64_t tree = gi_func_funcdata(f, GI_FUNCDATA_INL_TREE);
	int32_t seen[GI_MAX_INLINE];
	size_t n = 0;

	if (!max)
		return 0;
	while (tree && n + 1 < GI_MAX_INLINE) {
		int32_t ix = gi_func_pcdata(f, GI_PCDATA_INL_TREE, pc, NULL);
		struct inl_record r;
		if (ix < 0 || !inl_read(f, tree, ix, &r))
			break;
		// A sound tree never comes back to a call: what follows is damage.
		size_t k = 0;
		while (k < n && seen[k] != ix)
			k++;
		if (k < n)
			break;
		seen[n] = ix;
		calls[n] = (struct gi_call){
			.name = r.name,
			.start_line = r.start_line,
			.func_id = r.func_id,
			.inlined = true,
			.parent_pc = r.parent_pc,
		};
		gi_func_line(f, pc, &calls[n].file, &calls[n].line);
		pc = r.parent_pc;
		if (++n == max)
			return n;
	}
	calls[n] = (struct gi_call){
		.name = f->name,
		.start_line = f->start_line,
		.func_id = f->func_id,
	};
	gi_func_line(f, pc, &calls[n].file, &calls[n].line);
	return n + 1;
}

struct inline_each {
	const struct gi_func *f;
	gi_inline_fn fn;
	void *arg;
};

static bool inline_run(void *arg, uint64_t start, uint64_t end, int32_t value)
{
	const struct inline_each *e = arg;
	struct gi_call calls[GI_MAX_INLINE];
	if (value < 0)
		return true;
	size_t n = gi_func_calls(e->f, start, calls, GI_MAX_INLINE);
	return n < 2 || e->fn(e->arg, start, end, calls, n);
}

void gi_func_inline_each(const struct gi_func *f, gi_inline_fn fn, void *arg)
{
	struct inline_each e = {f, fn, arg};
	if (gi_func_funcdata(f, GI_FUNCDATA_INL_TREE))
		gi_func_pcdata_each(f, GI_PCDATA_INL_TREE, inline_run, &e);
}

// pc-value tables: a value for each pc of a function (SP delta, file, line, PCDATA).
//
// A table is a run of pairs of varints, (value delta zigzag, pc delta in units of the
// architecture's instruction step). The first value is a delta from -1, the first pc
// from the function's entry; a value delta of 0 ends the table, except in its first
// pair. A value holds up to the pc that its pair leads to. Offset 0 means: no table.
// Source: pcvalue and step in src/runtime/symtab.go, unchanged from Go 1.18 to 1.27.

#include "symbols_impl.h"

enum { MAX_VARINT = 5, MAX_STEPS = 1 << 22 };

bool gi_pcvalue_init(struct gi_pcvalue *it, const struct gi_func *f, uint32_t off)
{
	const struct gi_modtab *mt = gi_func_modtab(f);
	if (!off || off >= mt->pctab.n)
		return false;
	*it = (struct gi_pcvalue){
		.p = mt->pctab.p + off,
		.limit = mt->pctab.p + mt->pctab.n,
		.start = f->entry,
		.end = f->entry,
		.value = -1,
		.func_end = f->end,
		// A sound table has at most one pair for each pc; a little slack for
		// empty runs.
		.steps_left = f->end - f->entry + 16,
		.quantum = mt->quantum,
		.first = true,
	};
	return true;
}

static inline bool varint(struct gi_pcvalue *it, uint32_t *ret)
{
	if (it->p < it->limit && *it->p < 0x80) {
		*ret = *it->p++;
		return true;
	}
	uint32_t v = 0;
	for (unsigned i = 0; i < MAX_VARINT && it->p < it->limit; i++) {
		uint8_t b = *it->p++;
		v |= (uint32_t)(b & 0x7f) << (7 * i);
		if (b < 0x80) {
			*ret = v;
			return true;
		}
	}
	return false;
}

bool gi_pcvalue_next(struct gi_pcvalue *it)
{
	uint32_t dv, dpc;
	if (!it->steps_left || it->end >= it->func_end || !varint(it, &dv))
		return false;
	it->steps_left--;
	if (!dv && !it->first)
		return false;
	if (!varint(it, &dpc))
		return false;
	it->value = (int32_t)((uint32_t)it->value + ((dv >> 1) ^ -(dv & 1)));
	it->start = it->end;
	it->end += (uint64_t)dpc * it->quantum;
	it->first = it->first && !dpc;
	return true;
}

// -1 and 0 if the table does not cover pc, as the runtime has it.
static bool func_value(const struct gi_func *f, uint32_t off, uint64_t pc, int32_t *ret,
		       uint64_t *start_ret)
{
	struct gi_pcvalue it;
	if (pc < f->entry || !gi_pcvalue_init(&it, f, off))
		return false;
	while (gi_pcvalue_next(&it)) {
		if (pc < it.end) {
			*ret = it.value;
			*start_ret = it.start;
			return true;
		}
	}
	return false;
}

uint32_t gi_func_pctable(const struct gi_func *f, unsigned table)
{
	switch (table) {
	case GI_PCTABLE_SP:
		return f->pcsp;
	case GI_PCTABLE_FILE:
		return f->pcfile;
	case GI_PCTABLE_LINE:
		return f->pcln;
	}
	return table < f->npcdata ? gi_load_u32(f->tail + 4 * (size_t)table) : 0;
}

bool gi_func_spdelta(const struct gi_func *f, uint64_t pc, int32_t *ret)
{
	uint64_t start;
	return func_value(f, f->pcsp, pc, ret, &start);
}

int32_t gi_func_pcdata(const struct gi_func *f, unsigned table, uint64_t pc,
		       uint64_t *start_ret)
{
	int32_t value = -1;
	uint64_t start = 0;
	func_value(f, gi_func_pctable(f, table), pc, &value, &start);
	if (start_ret)
		*start_ret = start;
	return value;
}

void gi_func_pcdata_each(const struct gi_func *f, unsigned table, gi_pcvalue_fn fn,
			 void *arg)
{
	struct gi_pcvalue it;
	if (!gi_pcvalue_init(&it, f, gi_func_pctable(f, table)))
		return;
	while (gi_pcvalue_next(&it)) {
		if (it.end > it.start &&
		    !fn(arg, it.start, gi_min_u64(it.end, f->end), it.value))
			return;
	}
}

void gi_func_line(const struct gi_func *f, uint64_t pc, const char **file_ret,
		  uint32_t *line_ret)
{
	const struct gi_modtab *mt = gi_func_modtab(f);
	int32_t fileno = -1, line = -1;
	uint64_t start;

	*file_ret = "?";
	*line_ret = 0;
	if (!func_value(f, f->pcfile, pc, &fileno, &start) || fileno < 0 ||
	    !func_value(f, f->pcln, pc, &line, &start) || line < 0)
		return;
	uint64_t i = (uint64_t)f->cu_offset + (uint32_t)fileno;
	if (i >= mt->cutab.n / 4)
		return;
	const char *file =
		gi_modtab_string(&mt->filetab, gi_load_u32(mt->cutab.p + 4 * i));
	if (!file)
		return;
	*file_ret = file;
	*line_ret = (uint32_t)line;
}

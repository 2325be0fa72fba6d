// C frames by call frame information, for machines that the libunwind here does not know, and by
// .debug_frame for all: what a program has no .eh_frame of may have that, in its separate debug file, too.
//
// A function's frame description (.eh_frame: DWARF 5, 6.4; Linux Standard Base 5.0, 10.6) is a
// program that, run up to a pc, says where the caller's stack pointer (the CFA) is and where
// each register of the caller was saved. It is found in a sorted table of the ELF file that
// is mapped there (eh_table.c). Expressions are not evaluated: a register that has one is not
// known, and a CFA that has one is no information.
//
// Where there is none, the chain of frame pointers is a guess: compilers for arm64 keep one
// as a rule, whose record (the caller's frame pointer, the return address) x29 points to. It
// does not tell the caller's stack pointer, only that it lies above the record; gcc has the
// record at the bottom of a frame, so that the caller's frame pointer is its stack pointer, too.
//
// On arm64 return addresses may be signed: the signature is in the bits that addresses of
// programs do not use.

#include "unwind/unwind_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
	REGS_MAX = 64,	    // DWARF numbers that are followed; vector registers are above them
	STATES_MAX = 16,    // DW_CFA_remember_state without restore_state
	STEPS_MAX = 100000, // instructions of one description
	MODULES_MAX = 1024,
	ADDRESS_BITS = 48,
	FP_RECORD = 16,
};

enum {
	CFA_ADVANCE = 0x40, // 0xc0: the upper two bits are the instruction
	CFA_OFFSET = 0x80,
	CFA_RESTORE = 0xc0,
	CFA_SET_LOC = 0x01,
	CFA_ADVANCE1 = 0x02,
	CFA_ADVANCE2 = 0x03,
	CFA_ADVANCE4 = 0x04,
	CFA_OFFSET_EXTENDED = 0x05,
	CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07,
	CFA_SAME_VALUE = 0x08,
	CFA_REGISTER = 0x09,
	CFA_REMEMBER = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d,
	CFA_DEF_CFA_OFFSET = 0x0e,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_EXTENDED_SF = 0x11,
	CFA_DEF_CFA_SF = 0x12,
	CFA_DEF_CFA_OFFSET_SF = 0x13,
	CFA_VAL_OFFSET = 0x14,
	CFA_VAL_OFFSET_SF = 0x15,
	CFA_VAL_EXPRESSION = 0x16,
	CFA_NEGATE_RA_STATE = 0x2d,
	CFA_ARGS_SIZE = 0x2e,
};

enum rule_kind { RULE_DEFAULT, RULE_SAME, RULE_UNKNOWN, RULE_OFFSET, RULE_VALUE, RULE_REG };

struct rule {
	uint8_t kind;
	int64_t v; // offset from the CFA, or a register
};

/** A row of the table that a description stands for. */
struct row {
	struct rule regs[REGS_MAX];
	uint64_t cfa_reg;
	int64_t cfa_off;
	bool cfa_known, signed_ra;
};

/** .eh_frame, or what has its form. */
struct info_section {
	const uint8_t *data;
	size_t size;
	uint64_t addr;	// of it, link time
	uint8_t *table; // see gi_eh_table_make(), or NULL
	size_t count;
};

struct info_module {
	const struct gi_elf *elf;
	uint64_t bias;
	struct info_section eh, debug;
	bool looked_for_debug;
	uint8_t *debug_data; // debug.data, ours
};

struct gi_frame_info {
	struct gi_target *t;
	const struct gi_machine *machine;
	struct info_module *modules;
	size_t len, cap;
};

struct gi_error *gi_frame_info_create(struct gi_target *t, struct gi_frame_info **ret)
{
	struct gi_frame_info *fi = calloc(1, sizeof(*fi));
	if (!fi)
		return gi_error_nomem();
	fi->t = t;
	fi->machine = gi_target_machine(t);
	*ret = fi;
	return NULL;
}

void gi_frame_info_destroy(struct gi_frame_info *fi)
{
	if (!fi)
		return;
	for (size_t i = 0; i < fi->len; i++) {
		free(fi->modules[i].eh.table);
		free(fi->modules[i].debug.table);
		free(fi->modules[i].debug_data);
	}
	free(fi->modules);
	free(fi);
}

static struct info_module *module_at(struct gi_frame_info *fi, uint64_t pc)
{
	uint64_t bias;
	struct gi_elf *elf = gi_target_elf_at(fi->t, pc, &bias);
	if (!elf)
		return NULL;
	for (size_t i = 0; i < fi->len; i++)
		if (fi->modules[i].elf == elf && fi->modules[i].bias == bias)
			return &fi->modules[i];
	struct gi_error *err = NULL;
	if (fi->len < MODULES_MAX)
		err = gi_grow(&fi->modules, &fi->cap, fi->len + 1, sizeof(*fi->modules));
	if (err || fi->len == MODULES_MAX) {
		gi_error_ignore(err);
		return NULL;
	}
	struct info_module *m = &fi->modules[fi->len++];
	memset(m, 0, sizeof(*m));
	m->elf = elf;
	m->bias = bias;
	err = gi_elf_section(elf, ".eh_frame", &m->eh.data, &m->eh.size, &m->eh.addr);
	if (err || !gi_eh_table_make(elf, &m->eh.table, &m->eh.count, &m->eh.addr))
		gi_error_ignore(err);
	return m;
}

static const struct info_section *debug_section(struct gi_frame_info *fi, struct info_module *m,
						uint64_t pc)
{
	if (!m->looked_for_debug) {
		struct info_section *s = &m->debug;
		uint64_t bias;
		struct gi_elf *elf = gi_target_elf_at(fi->t, pc, &bias);

		m->looked_for_debug = true;
		if (elf && !gi_elf_has_section(elf, ".debug_frame"))
			elf = gi_target_debug_elf_at(fi->t, pc, &bias);
		if (elf && gi_debug_frame_make(elf, &m->debug_data, &s->size, &s->table, &s->count))
			s->data = m->debug_data;
	}
	return &m->debug;
}

// The description of the last function that begins at or below a link-time address: its offset.
static bool find_fde(const struct info_section *m, uint64_t addr, uint64_t *ret)
{
	size_t lo = 0, hi = m->count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int64_t start = (int32_t)gi_load_u32(m->table + mid * 8);
		if (m->addr + (uint64_t)start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	*ret = gi_load_u32(m->table + (lo - 1) * 8 + 4);
	return *ret < m->size;
}

bool gi_frame_info_function(struct gi_frame_info *fi, uint64_t pc, uint64_t *entry_ret,
			    uint64_t *size_ret)
{
	const struct info_module *m = module_at(fi, pc);
	struct gi_eh_record rec;
	uint64_t fde;
	if (!m || !m->eh.table || !find_fde(&m->eh, pc - m->bias, &fde) ||
	    !gi_eh_record_read(m->eh.data, m->eh.size, m->eh.addr, (size_t)fde, &rec) ||
	    pc - m->bias < rec.pc || pc - m->bias - rec.pc >= rec.pc_len)
		return false;
	*entry_ret = rec.pc + m->bias;
	*size_ret = rec.pc_len;
	return true;
}

// --- the program ---------------------------------------------------------

struct program {
	struct gi_eh_record rec;
	struct row row, initial;
	struct row *saved; // STATES_MAX of them
	size_t saved_len;
	uint64_t pc, want;
};

static void set_rule(struct program *p, uint64_t reg, enum rule_kind kind, int64_t v)
{
	if (reg < REGS_MAX)
		p->row.regs[reg] = (struct rule){(uint8_t)kind, v};
}

static void skip_block(struct gi_cursor *c)
{
	gi_cursor_skip(c, (size_t)gi_cursor_uleb(c));
}

static int64_t factored(const struct program *p, uint64_t v)
{
	return (int64_t)(v * (uint64_t)p->rec.data_align);
}

// Instructions that change a register's rule. False: it is none of them.
static bool run_register(struct program *p, uint8_t op, struct gi_cursor *c)
{
	uint64_t reg;

	switch (op) {
	case CFA_OFFSET_EXTENDED:
	case CFA_OFFSET_EXTENDED_SF:
	case CFA_VAL_OFFSET:
	case CFA_VAL_OFFSET_SF:
		reg = gi_cursor_uleb(c);
		set_rule(p, reg,
			 op == CFA_VAL_OFFSET || op == CFA_VAL_OFFSET_SF ? RULE_VALUE : RULE_OFFSET,
			 factored(p, op == CFA_OFFSET_EXTENDED || op == CFA_VAL_OFFSET ?
					     gi_cursor_uleb(c) :
					     (uint64_t)gi_cursor_sleb(c)));
		return true;
	case CFA_RESTORE_EXTENDED:
		reg = gi_cursor_uleb(c);
		if (reg < REGS_MAX)
			p->row.regs[reg] = p->initial.regs[reg];
		return true;
	case CFA_UNDEFINED:
		set_rule(p, gi_cursor_uleb(c), RULE_UNKNOWN, 0);
		return true;
	case CFA_SAME_VALUE:
		set_rule(p, gi_cursor_uleb(c), RULE_SAME, 0);
		return true;
	case CFA_REGISTER:
		reg = gi_cursor_uleb(c);
		set_rule(p, reg, RULE_REG, (int64_t)gi_cursor_uleb(c));
		return true;
	case CFA_EXPRESSION:
	case CFA_VAL_EXPRESSION:
		set_rule(p, gi_cursor_uleb(c), RULE_UNKNOWN, 0);
		skip_block(c);
		return true;
	}
	return false;
}

static bool run_cfa(struct program *p, uint8_t op, struct gi_cursor *c)
{
	struct row *row = &p->row;

	switch (op) {
	case CFA_DEF_CFA:
	case CFA_DEF_CFA_SF:
		row->cfa_reg = gi_cursor_uleb(c);
		row->cfa_off = op == CFA_DEF_CFA ? (int64_t)gi_cursor_uleb(c) :
						   factored(p, (uint64_t)gi_cursor_sleb(c));
		row->cfa_known = true;
		return true;
	case CFA_DEF_CFA_REGISTER:
		row->cfa_reg = gi_cursor_uleb(c);
		return true;
	case CFA_DEF_CFA_OFFSET:
		row->cfa_off = (int64_t)gi_cursor_uleb(c);
		return true;
	case CFA_DEF_CFA_OFFSET_SF:
		row->cfa_off = factored(p, (uint64_t)gi_cursor_sleb(c));
		return true;
	case CFA_DEF_CFA_EXPRESSION:
		row->cfa_known = false;
		skip_block(c);
		return true;
	}
	return false;
}

// False: an instruction that is not known, so that the row is not.
static bool run(struct program *p, const uint8_t *code, size_t n)
{
	struct gi_cursor c = gi_cursor_make(code, n);
	unsigned steps = 0;

	while (gi_cursor_left(&c) && !c.bad && steps++ < STEPS_MAX) {
		uint8_t op = gi_cursor_u8(&c), low = op & 0x3f;
		uint64_t advance = 0;

		if ((op & 0xc0) == CFA_ADVANCE) {
			advance = low;
		} else if ((op & 0xc0) == CFA_OFFSET) {
			set_rule(p, low, RULE_OFFSET, factored(p, gi_cursor_uleb(&c)));
			continue;
		} else if ((op & 0xc0) == CFA_RESTORE) {
			p->row.regs[low] = p->initial.regs[low];
			continue;
		} else if (run_register(p, op, &c) || run_cfa(p, op, &c)) {
			continue;
		} else {
			switch (op) {
			case 0: // a no-op, padding
				continue;
			case CFA_ADVANCE1:
				advance = gi_cursor_u8(&c);
				break;
			case CFA_ADVANCE2:
				advance = gi_cursor_u16(&c);
				break;
			case CFA_ADVANCE4:
				advance = gi_cursor_u32(&c);
				break;
			case CFA_REMEMBER:
				if (p->saved_len == STATES_MAX)
					return false;
				p->saved[p->saved_len++] = p->row;
				continue;
			case CFA_RESTORE_STATE:
				if (!p->saved_len)
					return false;
				p->row = p->saved[--p->saved_len];
				continue;
			case CFA_NEGATE_RA_STATE:
				p->row.signed_ra = !p->row.signed_ra;
				continue;
			case CFA_ARGS_SIZE:
				gi_cursor_uleb(&c);
				continue;
			default: // DW_CFA_set_loc among them: compilers do not use it
				return false;
			}
		}
		p->pc += advance * p->rec.code_align;
		if (p->pc > p->want)
			return !c.bad;
	}
	return !c.bad;
}

// addr: link time.
static bool find_row(const struct info_section *m, uint64_t addr, struct row *ret)
{
	uint64_t off;
	if (!m->table || !find_fde(m, addr, &off))
		return false;
	struct program p;
	memset(&p, 0, sizeof(p));
	if (!gi_eh_record_read(m->data, m->size, m->addr, (size_t)off, &p.rec) ||
	    addr - p.rec.pc >= p.rec.pc_len)
		return false;
	_cleanup_(gi_freep) struct row *saved = calloc(STATES_MAX, sizeof(*saved));
	if (!saved)
		return false;
	p.saved = saved;
	p.pc = p.rec.pc;
	p.want = UINT64_MAX; // the common part has no pcs
	if (!run(&p, p.rec.initial, p.rec.initial_len))
		return false;
	p.initial = p.row;
	p.pc = p.rec.pc;
	p.want = addr;
	if (!run(&p, p.rec.code, p.rec.code_len))
		return false;
	*ret = p.row;
	return true;
}

// --- steps ---------------------------------------------------------------

static unsigned index_of(const struct gi_machine *machine, uint64_t reg)
{
	return reg < machine->dwarf_count ? machine->dwarf[reg] : GI_NO_REG;
}

// The caller's value of a register; false: not known.
static bool apply(struct gi_frame_info *fi, const struct row *row, const struct gi_regs *in,
		  uint64_t cfa, uint64_t reg, uint64_t *ret)
{
	const struct gi_machine *machine = fi->machine;
	const struct rule *rule = &row->regs[reg];
	unsigned i = index_of(machine, reg);

	switch ((enum rule_kind)rule->kind) {
	case RULE_DEFAULT:
		if (!(machine->callee_saved >> i & 1))
			return false;
		break;
	case RULE_SAME:
		break;
	case RULE_UNKNOWN:
		return false;
	case RULE_OFFSET:
		return gi_target_peek_u64(fi->t, cfa + (uint64_t)rule->v, ret);
	case RULE_VALUE:
		*ret = cfa + (uint64_t)rule->v;
		return true;
	case RULE_REG:
		i = index_of(machine, (uint64_t)rule->v);
		break;
	}
	if (!gi_regs_has(in, i))
		return false;
	*ret = in->r[i];
	return true;
}

static enum gi_cfi_result step_by_fp(struct gi_frame_info *fi, const struct gi_regs *in,
				     struct gi_regs *ret)
{
	const struct gi_machine *machine = fi->machine;
	uint64_t fp, pc;
	uint64_t at = gi_regs_has(in, machine->fp) ? in->r[machine->fp] : 0;

	if (machine->lr == GI_NO_REG || !at || at < gi_regs_sp(in) || at % 8 ||
	    at > UINT64_MAX - FP_RECORD || !gi_target_peek_u64(fi->t, at, &fp) ||
	    !gi_target_peek_u64(fi->t, at + 8, &pc))
		return GI_CFI_FAILED;
	struct gi_regs regs = {.arch = machine->arch};
	gi_regs_set(&regs, machine->fp, fp);
	gi_regs_set(&regs, machine->pc, pc & ((UINT64_C(1) << ADDRESS_BITS) - 1));
	gi_regs_set(&regs, machine->sp, gi_max_u64(fp, at + FP_RECORD));
	*ret = regs;
	return GI_CFI_GUESSED;
}

static enum gi_cfi_result step_by_row(struct gi_frame_info *fi, const struct row *row,
				      const struct gi_regs *in, struct gi_regs *ret)
{
	const struct gi_machine *machine = fi->machine;
	uint64_t v;

	unsigned base = index_of(machine, row->cfa_reg);
	if (!row->cfa_known || !gi_regs_has(in, base))
		return GI_CFI_FAILED;
	uint64_t cfa = in->r[base] + (uint64_t)row->cfa_off;

	struct gi_regs regs = {.arch = machine->arch};
	for (uint64_t reg = 0; reg < machine->dwarf_count; reg++) {
		if (index_of(machine, reg) != GI_NO_REG &&
		    apply(fi, row, in, cfa, reg, &v))
			gi_regs_set(&regs, index_of(machine, reg), v);
	}
	unsigned link = index_of(machine, machine->dwarf_return);
	if (row->regs[machine->dwarf_return].kind == RULE_UNKNOWN)
		return GI_CFI_END;
	// A function that has not saved its return address, or never does.
	if (row->regs[machine->dwarf_return].kind == RULE_DEFAULT && gi_regs_has(in, link))
		gi_regs_set(&regs, link, in->r[link]);
	if (!gi_regs_has(&regs, link))
		return GI_CFI_FAILED;
	v = regs.r[link];
	if (row->signed_ra)
		v &= (UINT64_C(1) << ADDRESS_BITS) - 1;
	// The caller's own return address is where its description says.
	if (link != machine->pc)
		gi_regs_forget(&regs, link);
	gi_regs_set(&regs, machine->pc, v);
	gi_regs_set(&regs, machine->sp, cfa);
	*ret = regs;
	return GI_CFI_STEP;
}

enum gi_cfi_result gi_frame_info_step_debug(struct gi_frame_info *fi, const struct gi_regs *in,
					    bool exact, struct gi_regs *ret)
{
	const uint64_t pc = gi_regs_pc(in), at = exact || !pc ? pc : pc - 1;
	struct info_module *m = module_at(fi, at);
	struct row row;

	if (!m || !find_row(debug_section(fi, m, at), at - m->bias, &row))
		return GI_CFI_FAILED;
	return step_by_row(fi, &row, in, ret);
}

enum gi_cfi_result gi_frame_info_step(struct gi_frame_info *fi, const struct gi_regs *in,
				      bool exact, struct gi_regs *ret)
{
	const uint64_t pc = gi_regs_pc(in), at = exact || !pc ? pc : pc - 1;
	const struct info_module *m = module_at(fi, at);
	struct row row;

	if (m && find_row(&m->eh, at - m->bias, &row))
		return step_by_row(fi, &row, in, ret);
	enum gi_cfi_result r = gi_frame_info_step_debug(fi, in, exact, ret);
	return r == GI_CFI_FAILED ? step_by_fp(fi, in, ret) : r;
}

// Decodes amd64 instructions with capstone into a small form of our own. Zero tests, lea and
// locked instructions are as they are.
//
// Everything that the analysis does not follow becomes GI_OP_OTHER with the set of general
// registers that it changes: a register is taken as changed rather than as kept when in
// doubt, so that the analysis may lose a value and never keeps a wrong one.

#include "wait/insn.h"

#include <stdlib.h>
#include <string.h>

#include <capstone/capstone.h>

#include "gcore/base.h"

struct reg_name {
	uint16_t id;
	int8_t reg;
};

static const struct reg_name reg_names[] = {
#define R4(b, w, d, q, n)       \
	{b, n}, {w, n}, {d, n}, \
	{                       \
		q, n            \
	}
	R4(X86_REG_AL, X86_REG_AX, X86_REG_EAX, X86_REG_RAX, GI_AMD64_RAX),
	R4(X86_REG_BL, X86_REG_BX, X86_REG_EBX, X86_REG_RBX, GI_AMD64_RBX),
	R4(X86_REG_CL, X86_REG_CX, X86_REG_ECX, X86_REG_RCX, GI_AMD64_RCX),
	R4(X86_REG_DL, X86_REG_DX, X86_REG_EDX, X86_REG_RDX, GI_AMD64_RDX),
	R4(X86_REG_SIL, X86_REG_SI, X86_REG_ESI, X86_REG_RSI, GI_AMD64_RSI),
	R4(X86_REG_DIL, X86_REG_DI, X86_REG_EDI, X86_REG_RDI, GI_AMD64_RDI),
	R4(X86_REG_BPL, X86_REG_BP, X86_REG_EBP, X86_REG_RBP, GI_AMD64_RBP),
	R4(X86_REG_SPL, X86_REG_SP, X86_REG_ESP, X86_REG_RSP, GI_AMD64_RSP),
	R4(X86_REG_R8B, X86_REG_R8W, X86_REG_R8D, X86_REG_R8, GI_AMD64_R8),
	R4(X86_REG_R9B, X86_REG_R9W, X86_REG_R9D, X86_REG_R9, GI_AMD64_R9),
	R4(X86_REG_R10B, X86_REG_R10W, X86_REG_R10D, X86_REG_R10, GI_AMD64_R10),
	R4(X86_REG_R11B, X86_REG_R11W, X86_REG_R11D, X86_REG_R11, GI_AMD64_R11),
	R4(X86_REG_R12B, X86_REG_R12W, X86_REG_R12D, X86_REG_R12, GI_AMD64_R12),
	R4(X86_REG_R13B, X86_REG_R13W, X86_REG_R13D, X86_REG_R13, GI_AMD64_R13),
	R4(X86_REG_R14B, X86_REG_R14W, X86_REG_R14D, X86_REG_R14, GI_AMD64_R14),
	R4(X86_REG_R15B, X86_REG_R15W, X86_REG_R15D, X86_REG_R15, GI_AMD64_R15),
#undef R4
	{X86_REG_AH, GI_AMD64_RAX},
	{X86_REG_BH, GI_AMD64_RBX},
	{X86_REG_CH, GI_AMD64_RCX},
	{X86_REG_DH, GI_AMD64_RDX},
};

static int8_t reg_of(unsigned id)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(reg_names); i++) {
		if (reg_names[i].id == id)
			return reg_names[i].reg;
	}
	return GI_INSN_NOREG;
}

static void set_mem(struct gi_insn *in, const cs_insn *cs, const cs_x86_op *op, bool is_dst)
{
	in->has_mem = true;
	in->mem_is_dst = is_dst;
	in->base = GI_INSN_NOREG;
	in->index = GI_INSN_NOREG;
	in->scale = (uint8_t)op->mem.scale;
	in->disp = op->mem.disp;
	if (op->mem.base == X86_REG_RIP) {
		in->abs = true;
		in->disp = (int64_t)(cs->address + cs->size + (uint64_t)op->mem.disp);
	} else if (op->mem.base == X86_REG_INVALID) {
		in->abs = op->mem.index == X86_REG_INVALID;
	} else {
		in->base = reg_of(op->mem.base);
	}
	if (op->mem.index != X86_REG_INVALID)
		in->index = reg_of(op->mem.index);
	// Thread-local storage is no address that we could follow.
	if (op->mem.segment != X86_REG_INVALID) {
		in->abs = false;
		in->base = GI_INSN_NOREG;
		in->nowhere = true;
	}
}

/** The registers that an instruction changes. dst_too: the first operand among them. */
static uint32_t written(const cs_insn *cs, bool first_is_read_only)
{
	const cs_x86 *x = &cs->detail->x86;
	uint32_t w = 0;

	for (uint8_t i = 0; i < x->op_count; i++) {
		if (x->operands[i].type != X86_OP_REG)
			continue;
		if (!(x->operands[i].access & CS_AC_WRITE) && (i > 0 || first_is_read_only))
			continue;
		int8_t r = reg_of(x->operands[i].reg);
		if (r >= 0)
			w |= 1u << r;
	}
	for (uint8_t i = 0; i < cs->detail->regs_write_count; i++) {
		int8_t r = reg_of(cs->detail->regs_write[i]);
		if (r >= 0)
			w |= 1u << r;
	}
	return w & ~(1u << GI_AMD64_RSP);
}

static bool writes_no_operand(unsigned id)
{
	switch (id) {
	case X86_INS_CMP:
	case X86_INS_TEST:
	case X86_INS_BT:
	case X86_INS_UCOMISD:
	case X86_INS_UCOMISS:
	case X86_INS_COMISD:
	case X86_INS_COMISS:
	case X86_INS_PUSH:
	case X86_INS_PREFETCHNTA:
	case X86_INS_PREFETCHT0:
	case X86_INS_PREFETCHT1:
	case X86_INS_PREFETCHT2:
		return true;
	}
	return false;
}

static bool is_string_store(unsigned id)
{
	switch (id) {
	case X86_INS_STOSB:
	case X86_INS_STOSW:
	case X86_INS_STOSD:
	case X86_INS_STOSQ:
	case X86_INS_MOVSB:
	case X86_INS_MOVSW:
	case X86_INS_MOVSQ:
		return true;
	}
	return false;
}

static void decode_mov(struct gi_insn *in, const cs_insn *cs)
{
	const cs_x86 *x = &cs->detail->x86;
	const cs_x86_op *d = &x->operands[0], *s = &x->operands[1];

	if (x->op_count != 2)
		return;
	int8_t dst = d->type == X86_OP_REG ? reg_of(d->reg) : GI_INSN_NOREG;
	int8_t src = s->type == X86_OP_REG ? reg_of(s->reg) : GI_INSN_NOREG;
	if (d->type == X86_OP_REG && dst < 0)
		return; // a segment or control register
	if (s->type == X86_OP_REG && src < 0) {
		in->writes = written(cs, false);
		return;
	}
	in->op = GI_OP_MOV;
	in->keeps_flags = true;
	in->size = s->type == X86_OP_IMM ? d->size : s->size;
	in->dst = dst;
	in->src = src;
	if (d->type == X86_OP_MEM) {
		set_mem(in, cs, d, true);
		in->size = d->size;
	}
	if (s->type == X86_OP_MEM)
		set_mem(in, cs, s, false);
	if (s->type == X86_OP_IMM) {
		in->has_imm = true;
		in->imm = (uint64_t)s->imm;
		// A 32-bit move clears the upper half; capstone extends the sign.
		if (d->type == X86_OP_REG && d->size == 4)
			in->imm = (uint32_t)s->imm;
	}
}

/** lea and the arithmetic that only moves an address: true if it was one. */
static bool decode_address(struct gi_insn *in, const cs_insn *cs)
{
	const cs_x86 *x = &cs->detail->x86;
	const cs_x86_op *d = &x->operands[0], *s = &x->operands[1];

	if (x->op_count < 1 || d->type != X86_OP_REG || reg_of(d->reg) < 0)
		return false;
	switch (cs->id) {
	case X86_INS_LEA:
		in->op = GI_OP_LEA;
		in->keeps_flags = true;
		in->size = d->size;
		in->dst = reg_of(d->reg);
		set_mem(in, cs, s, false);
		return true;
	case X86_INS_ADD:
	case X86_INS_SUB:
		if (s->type == X86_OP_IMM && d->size == 8) {
			in->op = GI_OP_ADD;
			in->size = 8;
			in->dst = reg_of(d->reg);
			in->imm = cs->id == X86_INS_ADD ? (uint64_t)s->imm : -(uint64_t)s->imm;
			return true;
		}
		break;
	case X86_INS_INC:
	case X86_INS_DEC:
		if (d->size == 8) {
			in->op = GI_OP_ADD;
			in->size = 8;
			in->dst = reg_of(d->reg);
			in->imm = cs->id == X86_INS_INC ? 1 : UINT64_MAX;
			return true;
		}
		break;
	case X86_INS_XOR:
		if (s->type == X86_OP_REG && s->reg == d->reg && d->size >= 4) {
			in->op = GI_OP_ZERO;
			in->dst = reg_of(d->reg);
			return true;
		}
		break;
	}
	return false;
}

/** Comparisons with zero: true if it was one. */
static bool decode_test(struct gi_insn *in, const cs_insn *cs)
{
	const cs_x86 *x = &cs->detail->x86;
	const cs_x86_op *a = &x->operands[0], *b = &x->operands[1];

	if (x->op_count != 2)
		return false;
	bool same = cs->id == X86_INS_TEST && a->type == X86_OP_REG && b->type == X86_OP_REG &&
		    a->reg == b->reg;
	bool zero = cs->id == X86_INS_CMP && b->type == X86_OP_IMM && b->imm == 0;
	if (!same && !zero)
		return false;
	in->op = GI_OP_TEST;
	in->size = a->size;
	if (a->type == X86_OP_REG)
		in->src = reg_of(a->reg);
	else
		set_mem(in, cs, a, false);
	return true;
}

static void decode_branch(struct gi_insn *in, const cs_insn *cs, uint8_t op)
{
	const cs_x86 *x = &cs->detail->x86;
	const cs_x86_op *a = &x->operands[0];

	in->op = op;
	in->keeps_flags = true;
	if (x->op_count != 1)
		return;
	if (a->type == X86_OP_IMM) {
		in->has_imm = true;
		in->target = (uint64_t)a->imm;
	} else if (a->type == X86_OP_REG) {
		in->src = reg_of(a->reg);
	} else if (a->type == X86_OP_MEM) {
		set_mem(in, cs, a, false);
	}
}

static bool is_jcc(csh h, const cs_insn *cs)
{
	return cs_insn_group(h, cs, X86_GRP_JUMP) && cs->id != X86_INS_JMP &&
	       cs->id != X86_INS_LJMP;
}

static bool decode_control(struct gi_insn *in, csh h, const cs_insn *cs)
{
	switch (cs->id) {
	case X86_INS_CALL:
		decode_branch(in, cs, GI_OP_CALL);
		return true;
	case X86_INS_JMP:
		decode_branch(in, cs, GI_OP_JMP);
		return true;
	case X86_INS_RET:
		in->op = GI_OP_RET;
		return true;
	case X86_INS_UD2:
	case X86_INS_INT3:
	case X86_INS_HLT:
		in->op = GI_OP_STOP;
		return true;
	case X86_INS_NOP:
		in->op = GI_OP_NOP;
		in->keeps_flags = true;
		return true;
	}
	if (!is_jcc(h, cs))
		return false;
	decode_branch(in, cs, GI_OP_JCC);
	in->is_zero_test = cs->id == X86_INS_JE || cs->id == X86_INS_JNE;
	in->negated = cs->id == X86_INS_JNE;
	return true;
}

static void decode_atomic(struct gi_insn *in, const cs_insn *cs, uint8_t op)
{
	const cs_x86 *x = &cs->detail->x86;

	in->writes = written(cs, op == GI_OP_CMPXCHG);
	if (x->op_count < 1 || x->operands[0].type != X86_OP_MEM)
		return;
	in->op = op;
	in->size = x->operands[0].size;
	set_mem(in, cs, &x->operands[0], true);
	if (op == GI_OP_CMPXCHG)
		in->writes |= 1u << GI_AMD64_RAX;
	else if (x->op_count > 1 && x->operands[1].type == X86_OP_REG)
		in->src = reg_of(x->operands[1].reg);
}

static void decode_other(struct gi_insn *in, const cs_insn *cs)
{
	const cs_x86 *x = &cs->detail->x86;

	in->writes = written(cs, writes_no_operand(cs->id));
	if (is_string_store(cs->id)) {
		in->store = GI_STORE_STRING;
		in->has_mem = true;
		in->mem_is_dst = true;
		in->base = GI_AMD64_RDI;
		in->src = GI_AMD64_RCX;
		in->writes |= 1u << GI_AMD64_RDI | 1u << GI_AMD64_RCX | 1u << GI_AMD64_RSI;
		return;
	}
	if (cs->id == X86_INS_XCHG && x->op_count == 2) {
		for (int i = 0; i < 2; i++) {
			if (x->operands[i].type == X86_OP_REG && reg_of(x->operands[i].reg) >= 0)
				in->writes |= 1u << reg_of(x->operands[i].reg);
		}
	}
	for (uint8_t i = 0; i < x->op_count; i++) {
		if (x->operands[i].type != X86_OP_MEM || (i > 0 && cs->id != X86_INS_XCHG) ||
		    writes_no_operand(cs->id))
			continue;
		set_mem(in, cs, &x->operands[i], true);
		in->store = GI_STORE_ONE;
		in->size = x->operands[i].size;
		in->zero_store = i == 0 && x->op_count == 2 && x->operands[1].type == X86_OP_REG &&
				 x->operands[1].reg == X86_REG_XMM15;
	}
}

static void decode_one(struct gi_insn *in, csh h, const cs_insn *cs)
{
	const cs_x86 *x = &cs->detail->x86;

	in->len = (uint8_t)cs->size;
	in->op = GI_OP_OTHER;
	in->dst = GI_INSN_NOREG;
	in->src = GI_INSN_NOREG;
	in->base = GI_INSN_NOREG;
	in->index = GI_INSN_NOREG;

	if (decode_control(in, h, cs) || decode_address(in, cs))
		return;
	switch (cs->id) {
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_MOVZX:
		decode_mov(in, cs);
		if (in->op == GI_OP_OTHER)
			decode_other(in, cs);
		return;
	case X86_INS_TEST:
	case X86_INS_CMP:
		if (!decode_test(in, cs))
			decode_other(in, cs);
		return;
	case X86_INS_SETE:
	case X86_INS_SETNE:
		in->op = GI_OP_SETZ;
		in->keeps_flags = true;
		in->size = 1;
		in->negated = cs->id == X86_INS_SETNE;
		if (x->op_count == 1 && x->operands[0].type == X86_OP_REG)
			in->dst = reg_of(x->operands[0].reg);
		else if (x->op_count == 1)
			set_mem(in, cs, &x->operands[0], true);
		return;
	case X86_INS_CMPXCHG:
		decode_atomic(in, cs, GI_OP_CMPXCHG);
		return;
	case X86_INS_XADD:
		decode_atomic(in, cs, GI_OP_XADD);
		return;
	}
	decode_other(in, cs);
}

static struct gi_error *decode(const uint8_t *code, size_t n, uint64_t addr, struct gi_insn **ret,
			       size_t *count_ret)
{
	csh h;
	struct gi_error *err = NULL;

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &h) != CS_ERR_OK)
		return gi_error_create(GI_ERR_UNSUPPORTED, "capstone cannot decode amd64 code");
	cs_option(h, CS_OPT_DETAIL, CS_OPT_ON);
	cs_insn *cs = cs_malloc(h);
	if (!cs) {
		cs_close(&h);
		return gi_error_nomem();
	}

	struct gi_insn *insns = NULL;
	size_t count = 0, cap = 0;
	const uint8_t *p = code;
	size_t left = n;
	uint64_t at = addr;
	while (left > 0) {
		err = gi_grow(&insns, &cap, count + 1, sizeof(*insns));
		if (err)
			break;
		struct gi_insn *in = &insns[count++];
		memset(in, 0, sizeof(*in));
		in->off = (uint32_t)(at - addr);
		in->site = (uint32_t)(count - 1);
		if (cs_disasm_iter(h, &p, &left, &at, cs)) {
			decode_one(in, h, cs);
			continue;
		}
		in->op = GI_OP_STOP;
		in->len = 1;
		in->dst = in->src = in->base = in->index = GI_INSN_NOREG;
		p++;
		left--;
		at++;
	}
	cs_free(cs, 1);
	cs_close(&h);
	if (err) {
		free(insns);
		return err;
	}
	*ret = insns;
	*count_ret = count;
	return NULL;
}

static enum gi_glance glance(const uint8_t *p, size_t n, uint64_t addr, size_t *at,
			     uint64_t *to_ret)
{
	for (size_t i = *at; i + 5 <= n; i++) {
		*at = i + 1;
		if (p[i] == 0xf0) {
			size_t k = i + 1;
			if ((p[k] & 0xf0) == 0x40)
				k++;
			if (p[k] == 0x0f && (p[k + 1] == 0xb1 || p[k + 1] == 0xc1))
				return GI_GLANCE_ATOMIC;
		} else if (p[i] == 0xe8 || p[i] == 0xe9) {
			*to_ret = addr + i + 5 + (uint64_t)(int64_t)(int32_t)gi_load_u32(p + i + 1);
			return GI_GLANCE_TO;
		} else if (p[i] == 0xff && (p[i + 1] & 0x38) == 0x10) {
			return GI_GLANCE_INDIRECT;
		}
	}
	return GI_GLANCE_END;
}

// Source: src/runtime/duff_amd64.s, asm_amd64.s.
const struct gi_insn_arch gi_insn_amd64 = {
	.arch = GI_ARCH_AMD64,
	.reg_count = 16,
	.clear_to = GI_AMD64_RDI,
	.copy_to = GI_AMD64_RDI,
	.helper_writes = 1u << GI_AMD64_RDI | 1u << GI_AMD64_RSI | 1u << GI_AMD64_R11,
	.attempt_insns = 8,
	.decode = decode,
	.glance = glance,
};

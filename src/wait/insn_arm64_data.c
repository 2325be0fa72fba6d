// arm64's data processing: what moves, adds and computes in registers. Source: the instruction
// set's encoding tables (Arm ARM, C4.1).

#include "wait/insn_arm64.h"

static void emit_const(struct gi_arm64_decoder *d, unsigned reg, uint64_t v)
{
	struct gi_insn *in = gi_arm64_emit(d, GI_OP_MOV);

	in->dst = no_zr(reg);
	in->size = 8;
	in->has_imm = true;
	in->imm = v;
}

static void emit_address(struct gi_arm64_decoder *d, unsigned reg, uint64_t addr)
{
	struct gi_insn *in = gi_arm64_emit(d, GI_OP_LEA);

	in->dst = no_zr(reg);
	in->size = 8;
	in->has_mem = true;
	in->abs = true;
	in->disp = (int64_t)addr;
}

/** The constant of a logical instruction; false: reserved. */
static bool bitmask(uint32_t w, uint64_t *ret)
{
	unsigned n = field(w, 22, 1), immr = field(w, 16, 6), imms = field(w, 10, 6);
	unsigned all = n << 6 | (~imms & 0x3f), len = 6;

	while (len && !(all >> len & 1))
		len--;
	if (!len || (n && !(w >> 31)))
		return false;
	unsigned size = 1u << len, ones = (imms & (size - 1)) + 1, turn = immr & (size - 1);
	if (ones == size)
		return false;
	uint64_t v = (UINT64_C(1) << ones) - 1;
	if (turn)
		v = v >> turn | v << (size - turn);
	if (size < 64)
		v &= (UINT64_C(1) << size) - 1;
	for (; size < 64; size *= 2)
		v |= v << size;
	*ret = w >> 31 ? v : (uint32_t)v;
	return true;
}

static void emit_test(struct gi_arm64_decoder *d, unsigned reg, uint8_t size, unsigned bit)
{
	struct gi_insn *in = gi_arm64_emit(d, GI_OP_TEST);

	in->src = (int8_t)reg;
	in->size = size;
	in->bit = (uint8_t)bit;
	in->keeps_flags = false;
}

static void decode_logical_imm(struct gi_arm64_decoder *d, uint32_t w)
{
	enum { ORR = 1, ANDS = 3 };
	unsigned opc = field(w, 29, 2);
	uint64_t v;

	if (!bitmask(w, &v))
		gi_arm64_emit(d, GI_OP_STOP);
	else if (opc == ORR && rn(w) == ZR)
		emit_const(d, rd(w), v);
	else if (opc == ANDS && rd(w) == ZR && rn(w) != ZR && !(v & (v - 1)))
		emit_test(d, rn(w), 8, 1 + (unsigned)__builtin_ctzll(v));
	else
		gi_arm64_emit_other(d, reg_bit(rd(w)), opc != ANDS);
}

static void decode_wide(struct gi_arm64_decoder *d, uint32_t w)
{
	enum { MOVN, MOVZ = 2 };
	uint64_t v = (uint64_t)field(w, 5, 16) << 16 * field(w, 21, 2);
	unsigned opc = field(w, 29, 2);

	if (opc == MOVN)
		v = ~v;
	if (!(w >> 31))
		v = (uint32_t)v;
	if (opc == MOVN || opc == MOVZ)
		emit_const(d, rd(w), v);
	else
		gi_arm64_emit_other(d, reg_bit(rd(w)), true);
}

/** Addition and subtraction of constants: the stack pointer may be meant. */
static void decode_add_imm(struct gi_arm64_decoder *d, uint32_t w)
{
	int64_t v = (int64_t)field(w, 10, 12) << (field(w, 22, 1) ? 12 : 0);
	bool subtracts = field(w, 30, 1), flags = field(w, 29, 1);

	if (flags && subtracts && rd(w) == ZR && !v && rn(w) != SP)
		emit_test(d, rn(w), reg_size(w), 0);
	else if (flags && rd(w) == ZR)
		gi_arm64_emit_other(d, 0, false);
	else
		gi_arm64_emit_sum(d, rd(w), rn(w), subtracts ? -v : v, reg_size(w))->keeps_flags =
			!flags;
}

static void decode_add_reg(struct gi_arm64_decoder *d, uint32_t w, bool extended)
{
	enum { LSL, UXTX = 3, MAX_SHIFT = 7 };
	bool subtracts = field(w, 30, 1), flags = field(w, 29, 1);
	unsigned shift = extended ? field(w, 10, 3) : field(w, 10, 6);
	bool plain = extended ? field(w, 13, 3) == UXTX : field(w, 22, 2) == LSL;

	if (flags && subtracts && rd(w) == ZR && rm(w) == ZR && rn(w) != ZR && !extended) {
		emit_test(d, rn(w), reg_size(w), 0);
		return;
	}
	if (subtracts || flags || !plain || shift > MAX_SHIFT || rd(w) == ZR ||
	    (rn(w) == ZR && !extended)) {
		// Extended, register 31 is the stack pointer, of which the tables tell.
		gi_arm64_emit_other(d, reg_bit(rd(w)), !flags);
		return;
	}
	struct gi_insn *in = gi_arm64_emit_sum(d, rd(w), rn(w), 0, reg_size(w));
	in->index = no_zr(rm(w));
	in->scale = (uint8_t)(1u << shift);
}

static void decode_logical_reg(struct gi_arm64_decoder *d, uint32_t w)
{
	enum { ANDS = 3 };
	struct gi_insn *in;

	if ((w & 0x7fe0ffe0) == 0x2a0003e0) {
		// orr with zero: how a register is copied.
		if (rm(w) == ZR) {
			emit_const(d, rd(w), 0);
			return;
		}
		in = gi_arm64_emit(d, GI_OP_MOV);
		in->dst = no_zr(rd(w));
		in->src = (int8_t)rm(w);
		in->size = reg_size(w);
		return;
	}
	if ((w & 0x7fe0fc1f) == 0x6a00001f && rn(w) == rm(w) && rn(w) != ZR)
		emit_test(d, rn(w), reg_size(w), 0);
	else
		gi_arm64_emit_other(d, reg_bit(rd(w)), field(w, 29, 2) != ANDS);
}

/** Shifts and extensions: those that keep the low byte or two are moves. */
static void decode_bitfield(struct gi_arm64_decoder *d, uint32_t w)
{
	enum { UBFM = 2 };
	unsigned width = field(w, 10, 6) + 1;

	if (field(w, 29, 2) == UBFM && !field(w, 16, 6) && rn(w) != ZR &&
	    (width == 8 || width == 16)) {
		struct gi_insn *in = gi_arm64_emit(d, GI_OP_MOV);
		in->dst = no_zr(rd(w));
		in->src = (int8_t)rn(w);
		in->size = (uint8_t)(width / 8);
		return;
	}
	gi_arm64_emit_other(d, reg_bit(rd(w)), true);
}

static void decode_select(struct gi_arm64_decoder *d, uint32_t w)
{
	enum { EQ, NE };
	unsigned cond = field(w, 12, 4);

	// cset: one more than zero if the opposite does not hold.
	if ((w & 0x7fff0fe0) == 0x1a9f07e0 && (cond == EQ || cond == NE)) {
		struct gi_insn *in = gi_arm64_emit(d, GI_OP_SETZ);
		in->dst = no_zr(rd(w));
		in->size = reg_size(w);
		in->negated = cond == EQ;
		return;
	}
	gi_arm64_emit_other(d, reg_bit(rd(w)), true);
}

void gi_arm64_data_imm(struct gi_arm64_decoder *d, uint32_t w)
{
	uint64_t pc = d->addr + 4 * d->at;
	int64_t off;

	switch (field(w, 23, 3)) {
	case 0:
	case 1: // adr, adrp
		off = sfield(w, 5, 19) * 4 + field(w, 29, 2);
		if (w >> 31)
			emit_address(d, rd(w), (pc & ~UINT64_C(0xfff)) + (uint64_t)off * 4096);
		else
			emit_address(d, rd(w), pc + (uint64_t)off);
		return;
	case 2:
		decode_add_imm(d, w);
		return;
	case 4:
		decode_logical_imm(d, w);
		return;
	case 5:
		decode_wide(d, w);
		return;
	case 6:
		decode_bitfield(d, w);
		return;
	case 7: // extr
		gi_arm64_emit_other(d, reg_bit(rd(w)), true);
		return;
	}
	gi_arm64_emit_other(d, reg_bit(rd(w)), false);
}

void gi_arm64_data_reg(struct gi_arm64_decoder *d, uint32_t w)
{
	if ((w & 0x1f000000) == 0x0a000000)
		decode_logical_reg(d, w);
	else if ((w & 0x1f000000) == 0x0b000000)
		decode_add_reg(d, w, field(w, 21, 1));
	else if ((w & 0x1fe00000) == 0x1a800000)
		decode_select(d, w);
	else if ((w & 0x1fe00000) == 0x1a400000) // ccmp
		gi_arm64_emit_other(d, 0, false);
	else // with carry; of one, two (bit 22) and three sources, which leave flags alone
		gi_arm64_emit_other(d, reg_bit(rd(w)), (w & 0x1fe00000) != 0x1a000000);
}

void gi_arm64_vector(struct gi_arm64_decoder *d, uint32_t w)
{
	bool to_general = (w & 0x5f20fc00) == 0x1e200000 || (w & 0x5f200000) == 0x1e000000 ||
			  (w & 0xbfe0f400) == 0x0e003400 || (w & 0xbfe0fc00) == 0x0e002c00;

	gi_arm64_emit_other(d, to_general ? reg_bit(rd(w)) : 0, (w & 0x5f200400) != 0x1e200000);
}

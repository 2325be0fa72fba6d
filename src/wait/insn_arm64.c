// Decodes arm64 instructions, from their encodings, into a small form of our own.
//
// An instruction is one word, so this needs no library; one that is widespread does not know the
// atomic instructions of ARMv8.1 (LSE), on which everything here depends. Where registers
// are written is nearly always in bits 0 to 4: what is not followed takes that register as changed.
//
// What Go's compiler makes of atomic operations is taken as one instruction each:
//  - LSE: "casal" and the comparison after it, which says whether it succeeded; "ldaddal";
//  - before: a loop from "ldaxr" to "stlxr" and the branch back to it. It is entered and left at
//  its
//    ends only, so its branches are dropped: the operation is what happens at its beginning.
// A program for any arm64 has both and asks at run time (internal/cpu.ARM64.HasATOMICS). Both are
// the same operation then: the second's site is the first's, and what they leave is the same value.
// That test is known by its form: a bit of a byte that was loaded just before, with such a pair on
// its two ways.
//
// The runtime's duffzero and duffcopy go on from x20, and from x20 to x21. A saved frame
// pointer lies right below the stack pointer of who saved it.
//
// Source: the instruction set's encoding tables (Arm ARM, C4.1); src/cmd/compile/abi-internal.md,
// src/cmd/compile/internal/arm64/ssa.go, src/runtime/duff_arm64.s, asm_arm64.s.

#include "wait/insn_arm64.h"

#include <stdlib.h>
#include <string.h>

#include "gcore/base.h"

enum {
	LOOP_MAX = 8,	// words of a loop that is one operation
	WAY_MAX = 12,	// words to the operation on each way
	LOADED_MAX = 6, // words from where the byte is loaded to its test
};

static uint32_t word_at(const uint8_t *code, size_t i)
{
	return gi_load_u32(code + 4 * i);
}

// --- what words are --------------------------------------------------------------------

static bool is_bl(uint32_t w)
{
	return (w & 0xfc000000) == 0x94000000;
}

static bool is_b(uint32_t w)
{
	return (w & 0xfc000000) == 0x14000000;
}

static bool is_blr(uint32_t w)
{
	return (w & 0xfffffc1f) == 0xd63f0000;
}

static bool is_b_cond(uint32_t w)
{
	return (w & 0xff000010) == 0x54000000;
}

/** cbz or cbnz. */
static bool is_cb(uint32_t w)
{
	return (w & 0x7e000000) == 0x34000000;
}

/** tbz or tbnz. */
static bool is_tb(uint32_t w)
{
	return (w & 0x7e000000) == 0x36000000;
}

static bool is_cas(uint32_t w)
{
	return (w & 0x3fa07c00) == 0x08a07c00;
}

/** An atomic operation of LSE but cas: ldadd, swp, ... */
static bool is_lse(uint32_t w)
{
	return (w & 0x3f200c00) == 0x38200000;
}

static bool is_ldadd(uint32_t w)
{
	return is_lse(w) && field(w, 12, 4) == 0;
}

static bool is_exclusive(uint32_t w, bool load)
{
	return (w & 0x3fe00000) == (load ? 0x08400000 : 0x08000000);
}

/** Compares registers: a subtraction to nowhere. */
static bool is_cmp_reg(uint32_t w)
{
	return (w & 0x7fe0fc1f) == 0x6b00001f;
}

static bool is_add_reg(uint32_t w)
{
	return (w & 0x7f200000) == 0x0b000000;
}

/** A branch's target as a word; false: it has none, or outside of the function. */
static bool target_word(const struct gi_arm64_decoder *d, size_t i, size_t *ret)
{
	uint32_t w = word_at(d->code, i);
	int64_t off;

	if (is_b(w) || is_bl(w))
		off = sfield(w, 0, 26);
	else if (is_b_cond(w) || is_cb(w))
		off = sfield(w, 5, 19);
	else if (is_tb(w))
		off = sfield(w, 5, 14);
	else
		return false;
	if (off < -(int64_t)i || off >= (int64_t)(d->words - i))
		return false;
	*ret = (size_t)((int64_t)i + off);
	return true;
}

/** A loop of exclusive accesses from word i on: its operation and its end. */
static bool is_loop(const struct gi_arm64_decoder *d, size_t i, uint8_t *op_ret, size_t *end_ret)
{
	uint32_t w = word_at(d->code, i), left = 0;
	uint8_t op = GI_OP_OTHER;
	bool compared = false;
	size_t to;

	if (!is_exclusive(w, true))
		return false;
	for (size_t k = i + 1; k + 1 < d->words && k < i + LOOP_MAX; k++) {
		uint32_t x = word_at(d->code, k), back = word_at(d->code, k + 1);

		if (is_exclusive(x, false)) {
			// It goes back if what stlxr says is not zero.
			if (rn(x) != rn(w) || x >> 30 != w >> 30 || !is_cb(back) ||
			    !field(back, 24, 1) || rd(back) != rm(x) ||
			    !target_word(d, k + 1, &to) || to != i || (left && left != k + 2))
				return false;
			*op_ret = op;
			*end_ret = k + 2;
			return true;
		}
		if (is_cmp_reg(x) && (rn(x) == rd(w) || rm(x) == rd(w))) {
			compared = true;
		} else if (is_b_cond(x)) {
			// If not equal, out.
			if (!compared || left || field(x, 0, 4) != 1 || !target_word(d, k, &to))
				return false;
			left = (uint32_t)to;
			op = GI_OP_CMPXCHG;
		} else if (is_add_reg(x) && op == GI_OP_OTHER) {
			op = GI_OP_XADD;
		} else if (is_exclusive(x, true) || is_b(x) || is_bl(x) || is_cb(x) || is_tb(x)) {
			return false;
		}
	}
	return false;
}

// --- making instructions -------------------------------------------------------------------

struct gi_insn *gi_arm64_emit(struct gi_arm64_decoder *d, enum gi_insn_op op)
{
	struct gi_insn *in = &d->scratch;

	if (!d->err)
		d->err = gi_grow(&d->insns, &d->cap, d->count + 1, sizeof(*d->insns));
	if (!d->err)
		in = &d->insns[d->count++];
	*in = (struct gi_insn){
		.off = (uint32_t)(4 * d->at),
		.site = (uint32_t)(d->count - 1),
		.op = (uint8_t)op,
		.dst = GI_INSN_NOREG,
		.src = GI_INSN_NOREG,
		.base = GI_INSN_NOREG,
		.index = GI_INSN_NOREG,
		.scale = 1,
		.keeps_flags = true,
	};
	return in;
}

struct gi_insn *gi_arm64_emit_other(struct gi_arm64_decoder *d, uint32_t writes, bool keeps_flags)
{
	struct gi_insn *in = gi_arm64_emit(d, GI_OP_OTHER);

	in->writes = writes;
	in->keeps_flags = keeps_flags;
	return in;
}

struct gi_insn *gi_arm64_emit_sum(struct gi_arm64_decoder *d, unsigned dst, unsigned base,
				  int64_t disp, uint8_t size)
{
	struct gi_insn *in = gi_arm64_emit(d, GI_OP_LEA);

	in->dst = (int8_t)dst;
	in->size = size;
	in->has_mem = true;
	in->base = (int8_t)base;
	in->disp = disp;
	return in;
}

static void set_mem(struct gi_insn *in, unsigned base, int64_t disp, bool is_dst)
{
	in->has_mem = true;
	in->mem_is_dst = is_dst;
	in->base = (int8_t)base;
	in->disp = disp;
}

static struct gi_insn *emit_load(struct gi_arm64_decoder *d, unsigned reg, uint8_t size)
{
	// Even a load to nowhere is an access, as a check of nil.
	struct gi_insn *in = gi_arm64_emit(d, reg == ZR ? GI_OP_NOP : GI_OP_MOV);

	in->dst = no_zr(reg);
	in->size = size;
	return in;
}

static struct gi_insn *emit_store(struct gi_arm64_decoder *d, unsigned reg, uint8_t size)
{
	struct gi_insn *in = gi_arm64_emit(d, GI_OP_MOV);

	in->size = size;
	if (reg == ZR)
		in->has_imm = true;
	else
		in->src = (int8_t)reg;
	return in;
}

static void emit_atomic(struct gi_arm64_decoder *d, uint8_t op, uint32_t w, uint32_t writes)
{
	struct gi_insn *in = gi_arm64_emit(d, (enum gi_insn_op)op);

	in->size = (uint8_t)(1u << (w >> 30));
	in->writes = writes;
	set_mem(in, rn(w), 0, true);
	if (op == GI_OP_OTHER)
		in->store = GI_STORE_ONE;
}

/** A base register that moves: the stack pointer's way is known otherwise. */
static void emit_writeback(struct gi_arm64_decoder *d, unsigned base, int64_t by)
{
	if (base != SP)
		gi_arm64_emit_sum(d, base, base, by, 8);
}

// --- loads and stores --------------------------------------------------------------------------

/** One register; set_place says where in memory. */
static struct gi_insn *decode_access(struct gi_arm64_decoder *d, uint32_t w)
{
	unsigned size = w >> 30, opc = field(w, 22, 2);
	struct gi_insn *in;

	if (field(w, 26, 1)) {
		if (opc & 1) {
			in = gi_arm64_emit(d, GI_OP_NOP);
		} else {
			in = gi_arm64_emit_other(d, 0, true);
			in->store = GI_STORE_ONE;
			in->mem_is_dst = true;
		}
		in->size = opc & 2 ? 16 : (uint8_t)(1u << size);
		return in;
	}
	if (opc == 0) {
		in = emit_store(d, rd(w), (uint8_t)(1u << size));
		in->mem_is_dst = true;
		return in;
	}
	if (opc == 1)
		return emit_load(d, rd(w), (uint8_t)(1u << size));
	// With a sign; or a prefetch.
	return gi_arm64_emit_other(d, size == 3 ? 0 : reg_bit(rd(w)), true);
}

static void set_place(struct gi_insn *in, unsigned base, int64_t disp)
{
	set_mem(in, base, disp, in->mem_is_dst);
}

static void decode_single(struct gi_arm64_decoder *d, uint32_t w)
{
	enum { UNSCALED, POST, UNPRIVILEGED, PRE };
	enum { UXTX = 3, SXTX = 7 };
	unsigned size = w >> 30;
	struct gi_insn *in;

	if (field(w, 26, 1) && field(w, 23, 1))
		size = 4;
	if (field(w, 24, 1)) {
		set_place(decode_access(d, w), rn(w), (int64_t)field(w, 10, 12) << size);
	} else if (!field(w, 21, 1)) {
		unsigned mode = field(w, 10, 2);
		int64_t off = sfield(w, 12, 9);

		in = decode_access(d, w);
		set_place(in, rn(w), mode == POST ? 0 : off);
		if (mode & 1)
			emit_writeback(d, rn(w), off);
	} else if (field(w, 10, 2) == 2) {
		unsigned option = field(w, 13, 3);

		in = decode_access(d, w);
		set_place(in, rn(w), 0);
		in->index = no_zr(rm(w));
		in->scale = (uint8_t)(field(w, 12, 1) ? 1u << size : 1);
		in->nowhere = option != UXTX && option != SXTX;
	} else if (is_ldadd(w)) {
		emit_atomic(d, GI_OP_XADD, w, reg_bit(rd(w)));
	} else if (is_lse(w)) {
		emit_atomic(d, GI_OP_OTHER, w, reg_bit(rd(w)));
	} else {
		gi_arm64_emit_other(d, reg_bit(rd(w)) | reg_bit(rn(w)), true);
	}
}

static void decode_pair(struct gi_arm64_decoder *d, uint32_t w)
{
	enum { POST = 1, OFFSET, PRE };
	unsigned opc = w >> 30, mode = field(w, 23, 2), second = field(w, 10, 5);
	bool load = field(w, 22, 1), vector = field(w, 26, 1);
	unsigned size = vector ? 4u << opc : opc & 2 ? 8 : 4;
	int64_t off = sfield(w, 15, 7) * (int64_t)size, at = mode == POST ? 0 : off;
	struct gi_insn *in;

	if (vector) {
		in = gi_arm64_emit_other(d, 0, true);
		in->store = load ? GI_STORE_NO : GI_STORE_ONE;
		in->size = (uint8_t)(2 * size);
		set_mem(in, rn(w), at, !load);
	} else if (opc == 1) {
		gi_arm64_emit_other(d, load ? reg_bit(rd(w)) | reg_bit(second) : 0, true);
	} else if (!load) {
		set_mem(emit_store(d, rd(w), (uint8_t)size), rn(w), at, true);
		set_mem(emit_store(d, second, (uint8_t)size), rn(w), at + (int64_t)size, true);
	} else {
		// The register that the address is in last.
		bool swap = rd(w) == rn(w);
		unsigned a = swap ? second : rd(w), b = swap ? rd(w) : second;
		int64_t up = (int64_t)size;
		set_mem(emit_load(d, a, (uint8_t)size), rn(w), swap ? at + up : at, false);
		set_mem(emit_load(d, b, (uint8_t)size), rn(w), swap ? at : at + up, false);
	}
	if (mode & 1)
		emit_writeback(d, rn(w), off);
}

static void decode_literal(struct gi_arm64_decoder *d, uint32_t w)
{
	enum { WORD, DOUBLE };
	unsigned opc = w >> 30;

	if (field(w, 26, 1)) {
		gi_arm64_emit(d, GI_OP_NOP);
		return;
	}
	if (opc > DOUBLE) {
		gi_arm64_emit_other(d, opc == 2 ? reg_bit(rd(w)) : 0, true);
		return;
	}
	struct gi_insn *in = emit_load(d, rd(w), opc == DOUBLE ? 8 : 4);
	in->has_mem = true;
	in->abs = true;
	in->disp = (int64_t)(d->addr + 4 * d->at + (uint64_t)(sfield(w, 5, 19) * 4));
}

/** Exclusive, ordered, compare-and-swap. */
static void decode_ordered(struct gi_arm64_decoder *d, uint32_t w)
{
	bool load = field(w, 22, 1);
	uint8_t size = (uint8_t)(1u << (w >> 30)), op;
	size_t end;

	if (is_cas(w)) {
		uint32_t next = d->at + 1 < d->words ? word_at(d->code, d->at + 1) : 0;
		bool told = is_cmp_reg(next) && (rn(next) == rm(w) || rm(next) == rm(w));
		emit_atomic(d, told ? GI_OP_CMPXCHG : GI_OP_OTHER, w, reg_bit(rm(w)));
		if (told)
			d->dull_end = d->at + 2;
	} else if (is_loop(d, d->at, &op, &end)) {
		emit_atomic(d, op, w, reg_bit(rd(w)));
		d->dull_end = end;
	} else if ((w & 0x00a00000) == 0x00800000) { // ldar, stlr
		struct gi_insn *in = load ? emit_load(d, rd(w), size) : emit_store(d, rd(w), size);
		set_mem(in, rn(w), 0, !load);
	} else if (load) {
		gi_arm64_emit_other(d, reg_bit(rd(w)) | reg_bit(field(w, 10, 5)), true);
	} else {
		emit_atomic(d, GI_OP_OTHER, w, reg_bit(rm(w)));
	}
}

static void decode_structure(struct gi_arm64_decoder *d, uint32_t w)
{
	enum { LARGEST = 64 };
	struct gi_insn *in = gi_arm64_emit_other(d, rn(w) == SP ? 0 : reg_bit(rn(w)), true);

	if (!field(w, 22, 1)) {
		in->store = GI_STORE_ONE;
		in->size = LARGEST;
	}
	set_mem(in, rn(w), 0, !field(w, 22, 1));
}

static void decode_memory(struct gi_arm64_decoder *d, uint32_t w)
{
	if ((w & 0x3f000000) == 0x08000000)
		decode_ordered(d, w);
	else if ((w & 0x3b000000) == 0x18000000)
		decode_literal(d, w);
	else if ((w & 0x3a000000) == 0x28000000)
		decode_pair(d, w);
	else if ((w & 0x3a000000) == 0x38000000)
		decode_single(d, w);
	else // of vectors, in structures: they may move the base
		decode_structure(d, w);
}

// --- control -----------------------------------------------------------------------------------

static struct gi_insn *emit_branch(struct gi_arm64_decoder *d, enum gi_insn_op op, int64_t words)
{
	struct gi_insn *in = gi_arm64_emit(d, op);

	in->has_imm = true;
	in->target = d->addr + 4 * d->at + (uint64_t)(words * 4);
	return in;
}

static void decode_branch(struct gi_arm64_decoder *d, uint32_t w)
{
	enum { EQ, NE };
	struct gi_insn *in;

	if (is_b(w) || is_bl(w)) {
		emit_branch(d, is_b(w) ? GI_OP_JMP : GI_OP_CALL, sfield(w, 0, 26));
	} else if (is_b_cond(w)) {
		in = emit_branch(d, GI_OP_JCC, sfield(w, 5, 19));
		in->is_zero_test = field(w, 0, 4) <= NE;
		in->negated = field(w, 0, 4) == NE;
	} else if (is_cb(w) || is_tb(w)) {
		in = emit_branch(d, GI_OP_JCC, is_cb(w) ? sfield(w, 5, 19) : sfield(w, 5, 14));
		in->src = no_zr(rd(w));
		in->size = is_cb(w) ? reg_size(w) : 8;
		if (is_tb(w))
			in->bit = (uint8_t)(1 + (field(w, 31, 1) << 5 | field(w, 19, 5)));
		in->is_zero_test = in->src >= 0;
		in->negated = field(w, 24, 1);
	} else if (is_blr(w) || (w & 0xfffffc1f) == 0xd61f0000) {
		in = gi_arm64_emit(d, is_blr(w) ? GI_OP_CALL : GI_OP_JMP);
		in->src = no_zr(rn(w));
	} else if ((w & 0xfffffc1f) == 0xd65f0000) {
		gi_arm64_emit(d, GI_OP_RET);
	} else if ((w & 0xffe0001f) == 0xd4000001) { // svc
		gi_arm64_emit_other(d, reg_bit(0), true);
	} else if ((w & 0xffc00000) == 0xd5000000) {
		// System registers; hints and barriers among them.
		bool read = (w & 0xffe00000) == 0xd5200000;
		gi_arm64_emit_other(d, read ? reg_bit(rd(w)) : 0, (w & 0xfffff000) != 0xd51b4000);
	} else {
		gi_arm64_emit(d, GI_OP_STOP); // brk, hlt, ...
	}
}

// --- a function ---------------------------------------------------------------------------------

/** A word inside of an operation that was told at its beginning: only what registers it leaves. */
static bool decode_dull(struct gi_arm64_decoder *d, uint32_t w)
{
	if (is_cmp_reg(w) || is_b_cond(w) || is_cb(w))
		gi_arm64_emit(d, GI_OP_NOP);
	else if (is_exclusive(w, false))
		gi_arm64_emit_other(d, reg_bit(rm(w)), true);
	else
		return false;
	return true;
}

static void decode_word(struct gi_arm64_decoder *d)
{
	uint32_t w = word_at(d->code, d->at);

	if (d->at < d->dull_end && decode_dull(d, w))
		return;
	switch (field(w, 25, 4)) {
	case 8:
	case 9:
		gi_arm64_data_imm(d, w);
		return;
	case 10:
	case 11:
		decode_branch(d, w);
		return;
	case 4:
	case 6:
	case 12:
	case 14:
		decode_memory(d, w);
		return;
	case 5:
	case 13:
		gi_arm64_data_reg(d, w);
		return;
	case 7:
	case 15:
		gi_arm64_vector(d, w);
		return;
	case 2: // scalable vectors: some write general registers
		gi_arm64_emit_other(d, reg_bit(rd(w)), false);
		return;
	}
	gi_arm64_emit(d, GI_OP_STOP); // udf, unallocated
}

/** The first atomic operation from word i on, before control parts. */
static bool way_to_atomic(const struct gi_arm64_decoder *d, size_t i, bool *is_loop_ret,
			  size_t *ret)
{
	uint8_t op;
	size_t end;

	for (unsigned n = 0; n < WAY_MAX && i < d->words; n++) {
		uint32_t w = word_at(d->code, i);

		*ret = i;
		*is_loop_ret = is_loop(d, i, &op, &end);
		if (is_cas(w) || is_ldadd(w) || *is_loop_ret)
			return true;
		if (is_b(w)) {
			if (!target_word(d, i, &i))
				return false;
			continue;
		}
		// bits 25 to 28 of all other branches, calls and returns
		if (field(w, 25, 4) == 10 || field(w, 25, 4) == 11)
			return false;
		i++;
	}
	return false;
}

/** Is what is tested at i a byte that was loaded just before, or its lowest bit? */
static bool tests_byte(const struct gi_arm64_decoder *d, size_t i)
{
	uint32_t w = word_at(d->code, i);

	// Go 1.18 looks at all of it.
	if (!is_cb(w) && (!is_tb(w) || field(w, 31, 1) || field(w, 19, 5)))
		return false;
	for (size_t k = i; k-- > 0 && i - k < LOADED_MAX;) {
		uint32_t x = word_at(d->code, k);
		if ((x & 0xffc0001f) == (0x39400000 | rd(w)))
			return true;
	}
	return false;
}

/** Two ways to do one operation: they have one site. */
static void join_ways(struct gi_arm64_decoder *d)
{
	for (size_t i = 0; i + 1 < d->words; i++) {
		size_t to, a, b;
		bool a_loops, b_loops;

		if (!tests_byte(d, i) || !target_word(d, i, &to) ||
		    !way_to_atomic(d, i + 1, &a_loops, &a) || !way_to_atomic(d, to, &b_loops, &b) ||
		    a_loops == b_loops)
			continue;
		struct gi_insn *x = &d->insns[d->first[a]], *y = &d->insns[d->first[b]];
		if (x->op != y->op || x->size != y->size || x->op == GI_OP_OTHER)
			continue;
		if (a_loops)
			x->site = d->first[b];
		else
			y->site = d->first[a];
	}
}

static struct gi_error *decode(const uint8_t *code, size_t n, uint64_t addr, struct gi_insn **ret,
			       size_t *count_ret)
{
	struct gi_arm64_decoder d = {.code = code, .words = n / 4, .addr = addr};

	d.first = malloc((d.words + 1) * sizeof(*d.first));
	if (!d.first)
		return gi_error_nomem();
	for (; d.at < d.words && !d.err; d.at++) {
		d.first[d.at] = (uint32_t)d.count;
		decode_word(&d);
		if (d.count)
			d.insns[d.count - 1].len = 4;
	}
	if (!d.err)
		join_ways(&d);
	free(d.first);
	if (d.err) {
		free(d.insns);
		return d.err;
	}
	*ret = d.insns;
	*count_ret = d.count;
	return NULL;
}

static enum gi_glance glance(const uint8_t *code, size_t n, uint64_t addr, size_t *at,
			     uint64_t *to_ret)
{
	for (size_t i = *at / 4; i < n / 4; i++) {
		uint32_t w = word_at(code, i);

		*at = 4 * (i + 1);
		if (is_cas(w) || is_ldadd(w) || is_exclusive(w, true))
			return GI_GLANCE_ATOMIC;
		if (is_blr(w))
			return GI_GLANCE_INDIRECT;
		if (is_b(w) || is_bl(w)) {
			*to_ret = addr + 4 * i + (uint64_t)(sfield(w, 0, 26) * 4);
			return GI_GLANCE_TO;
		}
	}
	return GI_GLANCE_END;
}

const struct gi_insn_arch gi_insn_arm64 = {
	.arch = GI_ARCH_ARM64,
	.reg_count = 32,
	.clear_to = X20,
	.copy_to = X21,
	.helper_writes = 1u << X16 | 1u << X17 | 1u << X20 | 1u << X21 | 1u << X25 | 1u << X26 |
			 1u << X27 | 1u << X30,
	.attempt_insns = 16,
	.decode = decode,
	.glance = glance,
};

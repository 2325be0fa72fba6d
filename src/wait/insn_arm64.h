// Decoding arm64, inside of insn_arm64.c and insn_arm64_data.c.
#ifndef WAIT_INSN_ARM64_H
#define WAIT_INSN_ARM64_H

#include "gcore/base.h"
#include "wait/insn.h"

enum {
	X16 = 16,
	X17 = 17,
	X20 = 20,
	X21 = 21,
	X25 = 25,
	X26 = 26,
	X27 = 27,
	X28 = 28,
	X29 = 29,
	X30 = 30,
	SP = GI_ARM64_SP, // as an address or with immediates
	ZR = 31,	  // elsewhere
};

struct gi_arm64_decoder {
	const uint8_t *code;
	size_t words;
	uint64_t addr;
	struct gi_insn *insns;
	size_t count, cap;
	uint32_t *first; // for each word
	size_t at;	 // word
	// The words of an operation under way that say nothing on their own end here.
	size_t dull_end;
	struct gi_insn scratch;
	struct gi_error *err;
};

static inline uint32_t field(uint32_t w, unsigned low, unsigned n)
{
	return w >> low & ((UINT32_C(1) << n) - 1);
}

static inline int64_t sfield(uint32_t w, unsigned low, unsigned n)
{
	int64_t v = field(w, low, n), sign = INT64_C(1) << (n - 1);

	return (v ^ sign) - sign;
}

static inline int8_t no_zr(uint32_t reg)
{
	return reg == ZR ? GI_INSN_NOREG : (int8_t)reg;
}

static inline unsigned rd(uint32_t w)
{
	return field(w, 0, 5);
}

static inline unsigned rn(uint32_t w)
{
	return field(w, 5, 5);
}

static inline unsigned rm(uint32_t w)
{
	return field(w, 16, 5);
}

static inline uint8_t reg_size(uint32_t w)
{
	return w >> 31 ? 8 : 4;
}

static inline uint32_t reg_bit(unsigned reg)
{
	return reg == ZR ? 0 : UINT32_C(1) << reg;
}

/** A new instruction of the word at hand; ours to fill in, until the next one. */
struct gi_insn *gi_arm64_emit(struct gi_arm64_decoder *d, enum gi_insn_op op);
/** One that is not followed: a set of registers that it writes. */
struct gi_insn *gi_arm64_emit_other(struct gi_arm64_decoder *d, uint32_t writes, bool keeps_flags);
/** dst <- base + disp, either of which may be the stack pointer. */
struct gi_insn *gi_arm64_emit_sum(struct gi_arm64_decoder *d, unsigned dst, unsigned base,
				  int64_t disp, uint8_t size);

// insn_arm64_data.c, by the groups of the encoding.
void gi_arm64_data_imm(struct gi_arm64_decoder *d, uint32_t w);
void gi_arm64_data_reg(struct gi_arm64_decoder *d, uint32_t w);
/** Floating point and vectors: some write general registers. */
void gi_arm64_vector(struct gi_arm64_decoder *d, uint32_t w);

#endif

// Machine instructions, reduced to what the analysis of locks needs: how values move
// between registers, stack slots and memory, and where control goes. The only user of
// capstone.
#ifndef GCORE_WAIT_INSN_H
#define GCORE_WAIT_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/error.h"

/** General registers are numbered as enum gi_amd64_reg numbers them: 0 to 15. */
enum { GI_INSN_REGS = 16, GI_INSN_NOREG = -1 };

enum gi_insn_op {
	GI_OP_OTHER, // clobbers `writes`, and memory if `stores`
	GI_OP_NOP,
	GI_OP_MOV, // dst or memory <- src, imm or memory, `size` bytes; smaller than 8:
		   // zero-extended
	GI_OP_LEA,     // dst <- address
	GI_OP_ADD,     // dst += imm, 8 bytes
	GI_OP_ZERO,    // dst <- 0
	GI_OP_TEST,    // flags say whether src or memory is zero
	GI_OP_SETZ,    // dst or memory <- 1 if the flags say zero (negated: not zero)
	GI_OP_CMPXCHG, // locked, at memory
	GI_OP_XADD,    // locked, at memory
	GI_OP_CALL,    // to target, register src, or memory
	GI_OP_JMP,     // the same
	GI_OP_JCC,     // to target or on; is_zero_test: on the zero flag
	GI_OP_RET,
	GI_OP_STOP, // no way on: ud2, int3, hlt
};

/** What is written to memory, for GI_OP_OTHER. */
enum gi_insn_store { GI_STORE_NO, GI_STORE_ONE, GI_STORE_STRING };

struct gi_insn {
	uint32_t off; // from the first byte of the function
	uint8_t len;
	uint8_t op;	 // enum gi_insn_op
	uint8_t size;	 // of the operand, bytes
	int8_t dst, src; // registers, or GI_INSN_NOREG
	bool has_imm;
	// A memory operand: base + index * scale + disp; base NOREG and abs: disp is an address.
	bool has_mem, mem_is_dst, abs;
	int8_t base, index;
	uint8_t scale;
	bool is_zero_test, negated;
	uint8_t store;	 // enum gi_insn_store
	bool zero_store; // all of what is stored is zero (xmm15)
	bool keeps_flags;
	uint16_t writes; // registers that are clobbered, dst not among them
	int64_t disp;
	uint64_t imm;	 // a constant
	uint64_t target; // of a direct call or jump, absolute
};

/**
 * Decodes all of a function: n bytes at addr. *ret is malloc'ed and owned by the caller.
 * A byte that is no instruction yields a GI_OP_STOP of one byte.
 */
struct gi_error *gi_insn_decode(const uint8_t *code, size_t n, uint64_t addr, struct gi_insn **ret,
				size_t *count_ret) GI_MUST_CHECK;

#endif

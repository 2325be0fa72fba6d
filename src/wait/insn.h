// Machine instructions, reduced to what the analysis of locks needs: how values move
// between registers, stack slots and memory, and where control goes. Each architecture is one
// file.
#ifndef GCORE_WAIT_INSN_H
#define GCORE_WAIT_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/arch.h"
#include "gcore/error.h"

/**
 * General registers are numbered as the architecture's set in gi_regs numbers them (enum
 * gi_amd64_reg: 0 to 15); no architecture has more.
 */
enum { GI_INSN_REGS = 32, GI_INSN_NOREG = -1 };

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
	GI_OP_CMPXCHG, // atomic, at memory; flags say zero if it succeeded
	GI_OP_XADD,    // atomic, at memory
	GI_OP_CALL,    // to target, register src, or memory
	GI_OP_JMP,     // the same
	GI_OP_JCC,     // to target or on; is_zero_test: on the zero flag; with src: on src
	GI_OP_RET,
	GI_OP_STOP, // no way on: ud2, int3, hlt
};

/** What is written to memory, for GI_OP_OTHER. STRING: from there on, src words. */
enum gi_insn_store { GI_STORE_NO, GI_STORE_ONE, GI_STORE_STRING };

/**
 * What an instruction does, or a part of what it does: some become several of these, with
 * the same offset, of which only the last has a length.
 */
struct gi_insn {
	uint32_t off; // from the first byte of the function
	/**
	 * The number of the instruction that stands for it in facts: its own, unless the
	 * compiler wrote one operation in two ways of which the program takes one.
	 */
	uint32_t site;
	uint8_t len;
	uint8_t op;	 // enum gi_insn_op
	uint8_t size;	 // of the operand, bytes
	uint8_t bit;	 // of a test: 0, or 1 + the one bit that is tested
	int8_t dst, src; // registers, or GI_INSN_NOREG
	bool has_imm;
	// A memory operand: base + index * scale + disp; base NOREG and abs: disp is an address;
	// nowhere: it is nothing of these.
	bool has_mem, mem_is_dst, abs, nowhere;
	int8_t base, index;
	uint8_t scale;
	bool is_zero_test, negated;
	uint8_t store;	 // enum gi_insn_store
	bool zero_store; // all of what is stored is zero (xmm15)
	bool keeps_flags;
	uint32_t writes; // registers that are clobbered, dst not among them
	int64_t disp;
	uint64_t imm;	 // a constant
	uint64_t target; // of a direct call or jump, absolute
};

/** What a quick look at code finds. */
enum gi_glance {
	GI_GLANCE_END,
	GI_GLANCE_ATOMIC,   // a compare-and-swap, or an addition
	GI_GLANCE_TO,	    // a call or a jump: may be to anywhere
	GI_GLANCE_INDIRECT, // a call through a register or memory
};

/**
 * What the analysis has to know of an architecture's code beside struct gi_machine: its Go calling
 * convention (ABIInternal) keeps no register over a call but sp, fp and g.
 */
struct gi_insn_arch {
	enum gi_arch arch;
	uint8_t reg_count; // general registers and the stack pointer: 0 to reg_count - 1
	// The runtime's functions that keep registers (gi_prim_keeps_regs): where they clear and
	// copy to, and what they change after all.
	uint8_t clear_to, copy_to;
	uint32_t helper_writes;
	uint8_t attempt_insns; // in which an inlined attempt to lock is found

	/**
	 * Decodes all of a function: n bytes at addr. *ret is malloc'ed and owned by the caller.
	 * A byte that is no instruction yields a GI_OP_STOP.
	 */
	struct gi_error *(*decode)(const uint8_t *code, size_t n, uint64_t addr,
				   struct gi_insn **ret, size_t *count_ret);
	/**
	 * Looks on from *at, which is moved behind what is found. Bytes that only look like
	 * something do no harm. *to_ret is set for GI_GLANCE_TO.
	 */
	enum gi_glance (*glance)(const uint8_t *code, size_t n, uint64_t addr, size_t *at,
				 uint64_t *to_ret);
};

/** NULL if its code is not known. */
const struct gi_insn_arch *gi_insn_arch_of(enum gi_arch arch);

extern const struct gi_insn_arch gi_insn_amd64;
extern const struct gi_insn_arch gi_insn_arm64;

#endif

// Processor architectures: everything that differs between them, one table for each.
#ifndef GCORE_ARCH_H
#define GCORE_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gi_arch { GI_ARCH_AMD64 = 1, GI_ARCH_ARM64 };

/** amd64 registers, in the order of gi_regs.r; GI_AMD64_RIP is the pc. */
enum gi_amd64_reg {
	GI_AMD64_RAX,
	GI_AMD64_RBX,
	GI_AMD64_RCX,
	GI_AMD64_RDX,
	GI_AMD64_RSI,
	GI_AMD64_RDI,
	GI_AMD64_RBP,
	GI_AMD64_RSP,
	GI_AMD64_R8,
	GI_AMD64_R9,
	GI_AMD64_R10,
	GI_AMD64_R11,
	GI_AMD64_R12,
	GI_AMD64_R13,
	GI_AMD64_R14,
	GI_AMD64_R15,
	GI_AMD64_RIP,
	GI_AMD64_EFLAGS,
	GI_AMD64_CS,
	GI_AMD64_FS,
	GI_AMD64_GS,
	GI_AMD64_FS_BASE,
	GI_AMD64_GS_BASE,
	GI_AMD64_ORIG_RAX,
	GI_AMD64_REG_COUNT,
};

/** arm64 registers, in the order of gi_regs.r: GI_ARM64_X0 + n is xn. */
enum gi_arm64_reg {
	GI_ARM64_X0,
	GI_ARM64_X28 = 28, // g in Go code
	GI_ARM64_FP,	   // x29
	GI_ARM64_LR,	   // x30
	GI_ARM64_SP,
	GI_ARM64_PC,
	GI_ARM64_PSTATE,
	GI_ARM64_TPIDR, // tpidr_el0, the thread pointer
	GI_ARM64_REG_COUNT,
};
enum { GI_REGS_MAX = 40, GI_NO_REG = 0xff };

/** A register set. known has bit i set if r[i] is known. */
struct gi_regs {
	enum gi_arch arch;
	uint64_t r[GI_REGS_MAX];
	uint64_t known;
};
static inline void gi_regs_set(struct gi_regs *regs, unsigned i, uint64_t v)
{
	regs->r[i] = v;
	regs->known |= (uint64_t)1 << i;
}
static inline void gi_regs_forget(struct gi_regs *regs, unsigned i)
{
	regs->known &= ~((uint64_t)1 << i);
}
/** False for GI_NO_REG. */
static inline bool gi_regs_has(const struct gi_regs *regs, unsigned i)
{
	return i < GI_REGS_MAX && (regs->known >> i & 1);
}
uint64_t gi_regs_pc(const struct gi_regs *regs);
uint64_t gi_regs_sp(const struct gi_regs *regs);
uint64_t gi_regs_bp(const struct gi_regs *regs);
/** "rax", ..., NULL past the end. */
const char *gi_reg_name(enum gi_arch arch, size_t i);

/** Where a saved set of registers keeps one of them. */
struct gi_reg_slot {
	uint8_t reg;
	uint8_t size; // 2, 4 or 8 bytes, zero-extended
	uint16_t off; // from the beginning of what holds the set
};

/** Machine code, to be recognised. */
struct gi_code_bytes {
	uint8_t size;
	uint8_t bytes[15];
};

/** A callee-saved register that a function keeps above its SP. */
struct gi_kept_reg {
	uint8_t reg;
	uint16_t off;
};

/** A name for a register beside its own: "fp", "lr". */
struct gi_reg_alias {
	const char *name;
	uint8_t reg;
};

/**
 * What a processor, Linux on it and Go's code for it look like. Registers are indexes of
 * gi_regs.r; one that there is not is GI_NO_REG.
 */
struct gi_machine {
	enum gi_arch arch;
	const char *name;     // as GOARCH says it
	uint16_t elf_machine; // EM_...
	uint32_t page_size;   // where the core does not tell; the smallest that Linux uses
	uint8_t insn_size;    // what instructions begin at a multiple of; the runtime's PCQuantum

	// Registers.
	const char *const *reg_names;
	uint8_t reg_count;
	uint8_t pc, sp, fp;
	uint8_t lr;	   // where a call puts its return address; GI_NO_REG: on the stack
	uint8_t tls;	   // thread pointer
	uint8_t g;	   // the running g in Go code of ABIInternal
	uint8_t closure;   // context of a closure at its entry
	const struct gi_reg_alias *aliases; // ends with a NULL name

	// DWARF: register number to index; the return address of a C frame in call frame
	// information. GI_NO_REG: not kept.
	const uint8_t *dwarf;
	uint8_t dwarf_count, dwarf_return;
	uint64_t callee_saved; // in C: bit i is register i

	// ELF core: NT_PRSTATUS's pr_reg.
	const struct gi_reg_slot *prstatus;
	uint8_t prstatus_count;
	uint16_t prstatus_size; // of the whole note
	uint32_t tls_note;	// a note of owner LINUX with the thread pointer; 0: none

	// The kernel's signal frame, as a handler finds it: its registers, from the
	// beginning of the ucontext on.
	const struct gi_reg_slot *ucontext;
	uint8_t ucontext_count;
	uint16_t ucontext_size;	 // of what is read
	uint16_t signal_context; // the ucontext, above the stack pointer when the handler returns
	int16_t signal_info;	 // the siginfo, from the ucontext
	const struct gi_code_bytes *sigreturn; // what a handler returns to; ends with size 0
	uint16_t fault_address;	 // in the ucontext: what "fault" in register dumps is; 0: none

	// Go's frames (src/cmd/internal/obj, src/runtime/traceback.go). A frame's size is
	// its SP delta; cfa, the caller's SP, is sp + size + return_size.
	uint8_t return_size;	// bytes that a call pushes
	uint8_t args_above_cfa; // bytes between cfa and the stack arguments
	// Bytes by which a call that a signal injected (sigpanic, asyncPreempt) moved SP to
	// save the link register there.
	uint8_t injected_size;
	const uint8_t *int_args;    // of ABIInternal, in order; results too
	uint8_t int_arg_count, float_arg_count;
	// asmcgocall's notes above its SP on a system stack, by layout: where it came from
	// (depth in g's stack, or SP) and g. Ends with {-1, -1}.
	const int8_t (*asmcgocall)[2];
	// What crosscall2 keeps of C's, up to GI_NO_REG: besides the frame pointer where a call pushes its
	// return address, else with both. Where Go 1.18 did it otherwise: how. cgocallback keeps
	// m.g0.sched.sp above its SP.
	const struct gi_kept_reg *crosscall, *crosscall_1_18;
	uint8_t cgocallback_kept;
	// What crosscall1 keeps of C's, and its code behind its calls: it pops that, then returns. NULL:
	// call frame information tells.
	const struct gi_kept_reg *crosscall1;
	struct gi_code_bytes crosscall1_end;
	uint8_t rt0_return; // from rt0_go's SP to its return address (or 8 more: it aligns)
	uint8_t racecall_sp; // where racecall keeps its caller's SP (race.c); or GI_NO_REG
	// Where functions of the runtime that align SP for C keep the old one; or GI_NO_REG.
	uint8_t aligned_sp[2];

	// System calls: the instruction that enters the kernel; where the number, the arguments and the
	// result are; where the kernel keeps the number while the call runs (GI_NO_REG: where it was).
	struct gi_code_bytes syscall_insn;
	uint8_t syscall_number, syscall_result, syscall_kept;
	uint8_t syscall_args[6];

	// TLS segment of the executable: above the thread pointer (variant I), behind a
	// thread control block of so many bytes; or it ends there (variant II): 0.
	uint8_t tcb_size;
	bool tls_without_cgo; // pure Go programs keep g below the thread pointer

	// The runtime's register dump: text, as it stands before the value.
	const struct gi_reg_alias *dump; // ends with a NULL name
};

/** The table of an architecture; never NULL. */
const struct gi_machine *gi_machine(enum gi_arch arch);
/** The i-th of all; NULL past the end. */
const struct gi_machine *gi_machine_at(size_t i);
/** By e_machine of 64-bit little-endian ELF files; NULL if it is not known. */
const struct gi_machine *gi_machine_by_elf(uint16_t elf_machine);
/** Index of the register called so ("rax", "fp", "pc", "sp"); GI_NO_REG if there is none. */
unsigned gi_reg_by_name(enum gi_arch arch, const char *name);

#endif

// arm64, Linux and Go.
//
// Sources: the ABI of the Arm 64-bit architecture (DWARF numbers), the kernel's
// user_pt_regs (arch/arm64/include/uapi/asm/ptrace.h) and struct rt_sigframe: siginfo (128
// bytes) at the handler's SP, then struct ucontext (flags 8, link 8, stack 24, mask 128, up to
// 176), in it sigcontext: the fault address, x0 to x30, sp, pc, pstate (uapi sigcontext.h).
// Go: src/cmd/compile/abi-internal.md, src/cmd/internal/obj/arm64/obj7.go,
// src/runtime/asm_arm64.s, race_arm64.s, signal_arm64.go.
//
// A Go function with a frame keeps its return address at 0(SP) and its caller's frame pointer
// at -8(SP), below its frame; one without has the return address in x30. The word at 0(SP) of
// a caller is its own return address, so arguments begin at 8(SP): one word above the cfa.

#include "target/arch_impl.h"

#include <elf.h>

static const char *const names[GI_ARM64_REG_COUNT] = {
	"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",	 "x7",	"x8",  "x9",	 "x10",	   "x11",
	"x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",	 "x22",	   "x23",
	"x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",	"pc",  "pstate", "tpidr",
};

static const struct gi_reg_alias aliases[] = {
	{"fp", GI_ARM64_FP},
	{"lr", GI_ARM64_LR},
	{"g", GI_ARM64_X28},
	{NULL, GI_NO_REG},
};

static const uint8_t dwarf[] = {
	0,  1,	2,  3,	4,  5,	6,  7,	8,  9,	10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, GI_ARM64_SP, GI_ARM64_PC,
};

// x0 to x30 as they stand in all of these sets, then sp, pc, pstate.
#define R(base, i) {.reg = (i), .size = 8, .off = (base) + 8 * (i)}
#define ALL(b)                                                                                     \
	R(b, 0), R(b, 1), R(b, 2), R(b, 3), R(b, 4), R(b, 5), R(b, 6), R(b, 7), R(b, 8), R(b, 9),  \
		R(b, 10), R(b, 11), R(b, 12), R(b, 13), R(b, 14), R(b, 15), R(b, 16), R(b, 17),    \
		R(b, 18), R(b, 19), R(b, 20), R(b, 21), R(b, 22), R(b, 23), R(b, 24), R(b, 25),    \
		R(b, 26), R(b, 27), R(b, 28), R(b, 29), R(b, 30), R(b, GI_ARM64_SP),               \
		R(b, GI_ARM64_PC), R(b, GI_ARM64_PSTATE)

static const struct gi_reg_slot prstatus[] = {ALL(GI_PRSTATUS_REGS)};

enum { SIGINFO_SIZE = 128, UC_FAULT = 176, UC_REGS = UC_FAULT + 8 };
static const struct gi_reg_slot ucontext[] = {ALL(UC_REGS)};

// mov x8, #139; svc #0
static const struct gi_code_bytes sigreturn[] = {
	{8, {0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4}},
	{0},
};

static const uint8_t int_args[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static const int8_t asmcgocall[][2] = {{8, 0}, {-1, -1}};

#define R19_TO_R28                                                                                 \
	{19, 32}, {20, 40}, {21, 48}, {22, 56}, {23, 64}, {24, 72}, {25, 80}, {26, 88}, {27, 96},  \
	{                                                                                          \
		28, 104                                                                            \
	}
static const struct gi_kept_reg crosscall[] = {
	R19_TO_R28, {GI_ARM64_FP, 176}, {GI_ARM64_LR, 184}, {GI_NO_REG, 0},
};
static const struct gi_kept_reg crosscall_1_18[] = {
	R19_TO_R28, {GI_ARM64_FP, 112}, {GI_ARM64_LR, 120}, {GI_NO_REG, 0},
};

static const struct gi_reg_alias dump[] = {
	{"r0      ", 0},	    {"r1      ", 1},	   {"r2      ", 2},  {"r3      ", 3},
	{"r4      ", 4},	    {"r5      ", 5},	   {"r6      ", 6},  {"r7      ", 7},
	{"r8      ", 8},	    {"r9      ", 9},	   {"r10     ", 10}, {"r11     ", 11},
	{"r12     ", 12},	    {"r13     ", 13},	   {"r14     ", 14}, {"r15     ", 15},
	{"r16     ", 16},	    {"r17     ", 17},	   {"r18     ", 18}, {"r19     ", 19},
	{"r20     ", 20},	    {"r21     ", 21},	   {"r22     ", 22}, {"r23     ", 23},
	{"r24     ", 24},	    {"r25     ", 25},	   {"r26     ", 26}, {"r27     ", 27},
	{"r28     ", 28},	    {"r29     ", 29},	   {"lr      ", 30},
	{"sp      ", GI_ARM64_SP}, {"pc      ", GI_ARM64_PC},
	{NULL, GI_NO_REG},
};

const struct gi_machine gi_machine_arm64 = {
	.arch = GI_ARCH_ARM64,
	.name = "arm64",
	.elf_machine = EM_AARCH64,
	.page_size = 4096,
	.insn_size = 4,

	.reg_names = names,
	.reg_count = GI_ARM64_REG_COUNT,
	.pc = GI_ARM64_PC,
	.sp = GI_ARM64_SP,
	.fp = GI_ARM64_FP,
	.lr = GI_ARM64_LR,
	.tls = GI_ARM64_TPIDR,
	.g = GI_ARM64_X28,
	.closure = 26,
	.aliases = aliases,

	.dwarf = dwarf,
	.dwarf_count = GI_ARRAY_SIZE(dwarf),
	.dwarf_return = 30,
	.callee_saved = UINT64_C(0x7ff) << 19, // x19 to x29

	.prstatus = prstatus,
	.prstatus_count = GI_ARRAY_SIZE(prstatus),
	.prstatus_size = 392,
	.tls_note = NT_ARM_TLS,

	.ucontext = ucontext,
	.ucontext_count = GI_ARRAY_SIZE(ucontext),
	.ucontext_size = UC_REGS + 8 * (GI_ARM64_PSTATE + 1),
	.signal_context = SIGINFO_SIZE,
	.signal_info = -SIGINFO_SIZE,
	.sigreturn = sigreturn,
	.fault_address = UC_FAULT,

	.args_above_cfa = 8,
	.injected_size = 16,
	.int_args = int_args,
	.int_arg_count = GI_ARRAY_SIZE(int_args),
	.float_arg_count = 16,
	.asmcgocall = asmcgocall,
	.crosscall = crosscall,
	.crosscall_1_18 = crosscall_1_18,
	.cgocallback_kept = 16,
	.rt0_return = 32,
	.racecall_sp = GI_NO_REG,
	.aligned_sp = {GI_NO_REG, GI_NO_REG},

	.tcb_size = 16,

	.syscall_insn = {4, {0x01, 0, 0, 0xd4}},
	.syscall_number = GI_ARM64_X0 + 8,
	.syscall_result = GI_ARM64_X0,
	.syscall_kept = GI_NO_REG,
	.syscall_args = {GI_ARM64_X0, GI_ARM64_X0 + 1, GI_ARM64_X0 + 2, GI_ARM64_X0 + 3,
			 GI_ARM64_X0 + 4, GI_ARM64_X0 + 5},

	.dump = dump,
};

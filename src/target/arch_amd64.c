// amd64, Linux and Go.
//
// Sources: System V ABI (DWARF numbers, 3.6.2), the kernel's user_regs_struct
// (arch/x86/include/asm/user_64.h) and struct rt_sigframe (sigframe.h, uapi sigcontext.h):
// the return address of the handler, struct ucontext (flags 8, link 8, stack 24, mcontext
// 256, mask 8), siginfo. Go: src/cmd/compile/abi-internal.md, src/runtime/asm_amd64.s,
// race_amd64.s, signal_amd64.go.

#include "target/arch_impl.h"

#include <elf.h>

static const char *const names[GI_AMD64_REG_COUNT] = {
	[GI_AMD64_RAX] = "rax",	    [GI_AMD64_RBX] = "rbx",	    [GI_AMD64_RCX] = "rcx",
	[GI_AMD64_RDX] = "rdx",	    [GI_AMD64_RSI] = "rsi",	    [GI_AMD64_RDI] = "rdi",
	[GI_AMD64_RBP] = "rbp",	    [GI_AMD64_RSP] = "rsp",	    [GI_AMD64_R8] = "r8",
	[GI_AMD64_R9] = "r9",	    [GI_AMD64_R10] = "r10",	    [GI_AMD64_R11] = "r11",
	[GI_AMD64_R12] = "r12",	    [GI_AMD64_R13] = "r13",	    [GI_AMD64_R14] = "r14",
	[GI_AMD64_R15] = "r15",	    [GI_AMD64_RIP] = "rip",	    [GI_AMD64_EFLAGS] = "eflags",
	[GI_AMD64_CS] = "cs",	    [GI_AMD64_FS] = "fs",	    [GI_AMD64_GS] = "gs",
	[GI_AMD64_FS_BASE] = "fs_base", [GI_AMD64_GS_BASE] = "gs_base",
	[GI_AMD64_ORIG_RAX] = "orig_rax",
};

static const struct gi_reg_alias aliases[] = {
	{"bp", GI_AMD64_RBP},
	{"fp", GI_AMD64_RBP},
	{NULL, GI_NO_REG},
};

static const uint8_t dwarf[] = {
	GI_AMD64_RAX, GI_AMD64_RDX, GI_AMD64_RCX, GI_AMD64_RBX, GI_AMD64_RSI, GI_AMD64_RDI,
	GI_AMD64_RBP, GI_AMD64_RSP, GI_AMD64_R8,  GI_AMD64_R9,	GI_AMD64_R10, GI_AMD64_R11,
	GI_AMD64_R12, GI_AMD64_R13, GI_AMD64_R14, GI_AMD64_R15, GI_AMD64_RIP,
};

#define PR(index, reg_) {.reg = GI_AMD64_##reg_, .size = 8, .off = GI_PRSTATUS_REGS + 8 * (index)}
// ss (20), ds (23) and es (24) are not kept.
static const struct gi_reg_slot prstatus[] = {
	PR(0, R15), PR(1, R14), PR(2, R13),	 PR(3, R12),	 PR(4, RBP), PR(5, RBX),
	PR(6, R11), PR(7, R10), PR(8, R9),	 PR(9, R8),	 PR(10, RAX), PR(11, RCX),
	PR(12, RDX), PR(13, RSI), PR(14, RDI),	 PR(15, ORIG_RAX), PR(16, RIP), PR(17, CS),
	PR(18, EFLAGS), PR(19, RSP), PR(21, FS_BASE), PR(22, GS_BASE), PR(25, FS), PR(26, GS),
};

enum { UC_REGS = 40, UC_SEGMENTS = UC_REGS + 18 * 8, UC_SIZE = 304 };
#define UC(index, reg_) {.reg = GI_AMD64_##reg_, .size = 8, .off = UC_REGS + 8 * (index)}
static const struct gi_reg_slot ucontext[] = {
	UC(0, R8),   UC(1, R9),	  UC(2, R10),  UC(3, R11),  UC(4, R12),	 UC(5, R13),
	UC(6, R14),  UC(7, R15),  UC(8, RDI),  UC(9, RSI),  UC(10, RBP), UC(11, RBX),
	UC(12, RDX), UC(13, RAX), UC(14, RCX), UC(15, RSP), UC(16, RIP), UC(17, EFLAGS),
	{.reg = GI_AMD64_CS, .size = 2, .off = UC_SEGMENTS},
	{.reg = GI_AMD64_GS, .size = 2, .off = UC_SEGMENTS + 2},
	{.reg = GI_AMD64_FS, .size = 2, .off = UC_SEGMENTS + 4},
};

// mov $15, %rax; syscall, in both encodings.
static const struct gi_code_bytes sigreturn[] = {
	{9, {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05}},
	{7, {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05}},
	{0},
};

static const uint8_t int_args[] = {
	GI_AMD64_RAX, GI_AMD64_RBX, GI_AMD64_RCX, GI_AMD64_RDI, GI_AMD64_RSI,
	GI_AMD64_R8,  GI_AMD64_R9,  GI_AMD64_R10, GI_AMD64_R11,
};

static const int8_t asmcgocall[][2] = {{0, 8}, {40, 48}, {-1, -1}};

static const struct gi_kept_reg crosscall[] = {
	{GI_AMD64_RBX, 24}, {GI_AMD64_R12, 32}, {GI_AMD64_R13, 40},
	{GI_AMD64_R14, 48}, {GI_AMD64_R15, 56}, {GI_NO_REG, 0},
};

static const struct gi_kept_reg crosscall1[] = {
	{GI_AMD64_R15, 0},  {GI_AMD64_R14, 8},	{GI_AMD64_R13, 16}, {GI_AMD64_R12, 24},
	{GI_AMD64_RBP, 32}, {GI_AMD64_RBX, 40}, {GI_NO_REG, 0},
};

static const struct gi_reg_alias dump[] = {
	{"rax    ", GI_AMD64_RAX}, {"rbx    ", GI_AMD64_RBX}, {"rcx    ", GI_AMD64_RCX},
	{"rdx    ", GI_AMD64_RDX}, {"rdi    ", GI_AMD64_RDI}, {"rsi    ", GI_AMD64_RSI},
	{"rbp    ", GI_AMD64_RBP}, {"rsp    ", GI_AMD64_RSP}, {"r8     ", GI_AMD64_R8},
	{"r9     ", GI_AMD64_R9},  {"r10    ", GI_AMD64_R10}, {"r11    ", GI_AMD64_R11},
	{"r12    ", GI_AMD64_R12}, {"r13    ", GI_AMD64_R13}, {"r14    ", GI_AMD64_R14},
	{"r15    ", GI_AMD64_R15}, {"rip    ", GI_AMD64_RIP}, {"rflags ", GI_AMD64_EFLAGS},
	{"cs     ", GI_AMD64_CS},  {"fs     ", GI_AMD64_FS},  {"gs     ", GI_AMD64_GS},
	{NULL, GI_NO_REG},
};

const struct gi_machine gi_machine_amd64 = {
	.arch = GI_ARCH_AMD64,
	.name = "amd64",
	.elf_machine = EM_X86_64,
	.page_size = 4096,
	.insn_size = 1,

	.reg_names = names,
	.reg_count = GI_AMD64_REG_COUNT,
	.pc = GI_AMD64_RIP,
	.sp = GI_AMD64_RSP,
	.fp = GI_AMD64_RBP,
	.lr = GI_NO_REG,
	.tls = GI_AMD64_FS_BASE,
	.g = GI_AMD64_R14,
	.closure = GI_AMD64_RDX,
	.aliases = aliases,

	.dwarf = dwarf,
	.dwarf_count = GI_ARRAY_SIZE(dwarf),
	.dwarf_return = 16,
	.callee_saved = 1 << GI_AMD64_RBX | 1 << GI_AMD64_RBP | 1 << GI_AMD64_R12 |
			1 << GI_AMD64_R13 | 1 << GI_AMD64_R14 | 1 << GI_AMD64_R15,

	.prstatus = prstatus,
	.prstatus_count = GI_ARRAY_SIZE(prstatus),
	.prstatus_size = 336,

	.ucontext = ucontext,
	.ucontext_count = GI_ARRAY_SIZE(ucontext),
	.ucontext_size = UC_SEGMENTS + 8,
	.sigreturn = sigreturn,
	.signal_info = UC_SIZE,

	.return_size = 8,
	.int_args = int_args,
	.int_arg_count = GI_ARRAY_SIZE(int_args),
	.float_arg_count = 15,
	.asmcgocall = asmcgocall,
	.crosscall = crosscall,
	.rt0_return = 40,
	.crosscall1 = crosscall1,
	.crosscall1_end = {11,
			   {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3}},
	.racecall_sp = GI_AMD64_R12,
	.aligned_sp = {GI_AMD64_RBX, GI_AMD64_RBP},

	.syscall_insn = {2, {0x0f, 0x05}},
	.syscall_number = GI_AMD64_RAX,
	.syscall_result = GI_AMD64_RAX,
	.syscall_kept = GI_AMD64_ORIG_RAX,
	.syscall_args = {GI_AMD64_RDI, GI_AMD64_RSI, GI_AMD64_RDX, GI_AMD64_R10, GI_AMD64_R8,
			 GI_AMD64_R9},

	.tls_without_cgo = true,

	.dump = dump,
};

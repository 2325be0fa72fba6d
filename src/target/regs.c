// Register sets and their names.

#include "gcore/target.h"

static const char *const amd64_names[GI_AMD64_REG_COUNT] = {
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

const char *gi_reg_name(enum gi_arch arch, size_t i)
{
	if (arch != GI_ARCH_AMD64 || i >= GI_AMD64_REG_COUNT)
		return NULL;
	return amd64_names[i];
}

uint64_t gi_regs_pc(const struct gi_regs *regs)
{
	return regs->r[GI_AMD64_RIP];
}

uint64_t gi_regs_sp(const struct gi_regs *regs)
{
	return regs->r[GI_AMD64_RSP];
}

uint64_t gi_regs_bp(const struct gi_regs *regs)
{
	return regs->r[GI_AMD64_RBP];
}

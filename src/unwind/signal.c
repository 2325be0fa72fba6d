// The frame that the Linux kernel builds on a stack to run a signal handler, amd64.
//
// struct rt_sigframe (arch/x86/include/asm/sigframe.h): the return address of the handler
// (8 bytes), struct ucontext (flags 8, link 8, stack 24, mcontext 256, mask 8), then
// siginfo. The handler is entered with the stack pointer at that return address: the
// frame's cfa is the address of the ucontext. mcontext begins with the registers in the
// order below (arch/x86/include/uapi/asm/sigcontext.h).

#include "unwind/unwind_impl.h"

#include <signal.h>
#include <string.h>

enum { UC_MCONTEXT = 40, UC_SIZE = 304, MCONTEXT_REGS = 18, SIGINFO_SIZE = 24 };

bool gi_is_sigreturn(struct gi_target *t, uint64_t pc)
{
	// mov $15, %rax; syscall, in both encodings.
	static const uint8_t rax[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	static const uint8_t eax[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
	size_t n;
	const uint8_t *code = gi_target_view_max(t, pc, sizeof(rax), &n);
	if (!code || gi_target_arch(t) != GI_ARCH_AMD64)
		return false;
	return (n >= sizeof(rax) && !memcmp(code, rax, sizeof(rax))) ||
	       (n >= sizeof(eax) && !memcmp(code, eax, sizeof(eax)));
}

bool gi_ucontext_read(struct gi_target *t, uint64_t addr, struct gi_regs *ret)
{
	static const uint8_t order[] = {
		GI_AMD64_R8,  GI_AMD64_R9,  GI_AMD64_R10,    GI_AMD64_R11, GI_AMD64_R12,
		GI_AMD64_R13, GI_AMD64_R14, GI_AMD64_R15,    GI_AMD64_RDI, GI_AMD64_RSI,
		GI_AMD64_RBP, GI_AMD64_RBX, GI_AMD64_RDX,    GI_AMD64_RAX, GI_AMD64_RCX,
		GI_AMD64_RSP, GI_AMD64_RIP, GI_AMD64_EFLAGS,
	};
	uint8_t buf[(MCONTEXT_REGS + 1) * 8];
	if (gi_target_arch(t) != GI_ARCH_AMD64 || addr > UINT64_MAX - UC_SIZE)
		return false;
	struct gi_error *err = gi_target_read(t, addr + UC_MCONTEXT, buf, sizeof(buf));
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	struct gi_regs regs = {.arch = GI_ARCH_AMD64};
	for (size_t i = 0; i < GI_ARRAY_SIZE(order); i++)
		gi_regs_set(&regs, order[i], gi_load_u64(buf + i * 8));
	const uint8_t *segments = buf + MCONTEXT_REGS * 8;
	gi_regs_set(&regs, GI_AMD64_CS, gi_load_u16(segments));
	gi_regs_set(&regs, GI_AMD64_GS, gi_load_u16(segments + 2));
	gi_regs_set(&regs, GI_AMD64_FS, gi_load_u16(segments + 4));
	*ret = regs;
	return true;
}

void gi_siginfo_read(struct gi_target *t, uint64_t addr, struct gi_signal_context *ret)
{
	uint8_t buf[SIGINFO_SIZE];
	struct gi_error *err = gi_target_read(t, addr + UC_SIZE, buf, sizeof(buf));
	if (err) {
		gi_error_ignore(err);
		return;
	}
	ret->signal = (int)gi_load_u32(buf);
	ret->code = (int)gi_load_u32(buf + 8);
	// The kernel's own codes are positive; si_addr overlays others for kill and the
	// like.
	ret->has_addr = ret->signal == SIGSEGV || ret->signal == SIGBUS || ret->signal == SIGILL ||
			ret->signal == SIGFPE;
	ret->addr = gi_load_u64(buf + 16);
}

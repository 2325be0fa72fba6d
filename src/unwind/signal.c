// The frame that the Linux kernel builds on a stack to run a signal handler: the interrupted
// registers in a struct ucontext, the siginfo beside it. Where they are is the machine's.

#include "unwind/unwind_impl.h"

#include <signal.h>
#include <string.h>

enum { SIGINFO_SIZE = 24, UCONTEXT_MAX = 1024 };

bool gi_is_sigreturn(struct gi_target *t, uint64_t pc)
{
	for (const struct gi_code_bytes *c = gi_target_machine(t)->sigreturn; c->size; c++) {
		size_t n;
		const uint8_t *code = gi_target_view_max(t, pc, c->size, &n);
		if (code && n == c->size && memcmp(code, c->bytes, n) == 0)
			return true;
	}
	return false;
}

bool gi_ucontext_read(struct gi_target *t, uint64_t addr, struct gi_regs *ret)
{
	const struct gi_machine *machine = gi_target_machine(t);
	uint8_t buf[UCONTEXT_MAX];
	if (machine->ucontext_size > sizeof(buf))
		return false;
	struct gi_error *err = gi_target_read(t, addr, buf, machine->ucontext_size);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	struct gi_regs regs = {.arch = machine->arch};
	for (size_t i = 0; i < machine->ucontext_count; i++) {
		const struct gi_reg_slot *slot = &machine->ucontext[i];
		const uint8_t *p = buf + slot->off;
		uint64_t v = slot->size == 2   ? gi_load_u16(p)
			     : slot->size == 4 ? gi_load_u32(p)
					       : gi_load_u64(p);
		gi_regs_set(&regs, slot->reg, v);
	}
	*ret = regs;
	return true;
}

void gi_siginfo_read(struct gi_target *t, uint64_t addr, struct gi_signal_context *ret)
{
	const struct gi_machine *machine = gi_target_machine(t);
	uint8_t buf[SIGINFO_SIZE];
	if (machine->fault_address)
		ret->has_fault =
			gi_target_peek_u64(t, addr + machine->fault_address, &ret->fault);
	struct gi_error *err = gi_target_read(t, addr + (uint64_t)(int64_t)machine->signal_info,
					      buf, sizeof(buf));
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

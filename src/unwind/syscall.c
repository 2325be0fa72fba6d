// The system call of a thread. One in a signal handler is in some call of the handler's; what is
// asked for is the one that the signal broke off.

#include "gcore/syscall.h"
#include "unwind/unwind_impl.h"

bool gi_unwind_syscall(struct gi_unwinder *u, size_t thread, struct gi_syscall *ret,
		       bool *broken_off_ret)
{
	struct gi_target *t = gi_go_target(u->go);
	struct gi_signal_context context;

	if (!gi_unwind_in_handler(u, thread) && !gi_unwind_signal_in_c(u, thread, &context)) {
		*broken_off_ret = false;
		return gi_syscall_from_regs(t, &gi_target_thread(t, thread)->regs, false, ret);
	}
	if (gi_unwind_in_handler(u, thread) && !gi_unwind_signal(u, thread, &context))
		return false;
	*broken_off_ret = true;
	return gi_syscall_from_regs(t, &context.regs, true, ret);
}

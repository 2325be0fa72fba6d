// The system call of a thread. One in a signal handler is in some call of the handler's; what is
// asked for is the one that the signal broke off. Where the number of that is lost, the function that
// made it may have its name: runtime.futex, internal/runtime/syscall.EpollWait, the C library's read.

#include "gcore/syscall.h"
#include "unwind/unwind_impl.h"

enum { MAX_HANDLER = 64, MAX_WRAPPERS = 4 };

struct wrapper {
	struct gi_target *t;
	struct gi_syscall *call;
	bool resumed; // behind the signal's frame
	unsigned seen;
};

static bool see_wrapper(void *arg, const struct gi_frame *f)
{
	struct wrapper *w = arg;

	if (f->kind == GI_FRAME_SIGNAL) {
		w->resumed = true;
		w->seen = 0;
		return true;
	}
	if (!w->resumed)
		return true;
	if (w->seen++ >= MAX_WRAPPERS)
		return false;
	return !gi_syscall_from_function(w->t, f->name, w->call);
}

static void name_by_caller(struct gi_unwinder *u, size_t thread, struct gi_syscall *call)
{
	struct wrapper w = {.t = gi_go_target(u->go), .call = call};
	struct gi_error *why = NULL, *err;

	err = gi_unwind_thread(u, thread, 0, MAX_HANDLER, see_wrapper, &w, &why);
	gi_error_ignore(err);
	gi_error_ignore(why);
}

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
	if (!gi_syscall_from_regs(t, &context.regs, true, ret))
		return false;
	if (ret->nr < 0)
		name_by_caller(u, thread, ret);
	return true;
}

// cgo: the goroutines that are in C code.

#include "gcore/command.h"

static struct gi_error *cgo_run(struct gi_session *s, const struct gi_args *args,
				struct gi_out *out)
{
	struct gi_graph *graph;
	struct gi_error *err = gi_session_graph(s, &graph);

	(void)args;
	if (err)
		return err;
	return gi_report_cgo(out, gi_session_go(s), gi_session_unwinder(s), graph);
}

const struct gi_command gi_cmd_cgo = {
	.name = "cgo",
	.group = GI_GROUP_SCHEDULER,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "cgo",
	.summary = "the goroutines that are in C, longest first",
	.help = "Lists the goroutines whose thread is in C code: the C function that Go called and the\n"
		"innermost one, the Go code that called, and what the thread waits for where that is a\n"
		"lock of the C library. LOCKED: it does not leave its thread (LockOSThread, or a\n"
		"callback). WAITERS: how many wait for it.\n"
		"\n"
		"The runtime does not note when a goroutine enters C; its garbage collector notes when it\n"
		"first finds it there. So the time is the least that it can be, and may be unknown.\n",
	.run = cgo_run,
};

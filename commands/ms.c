// ms: list the runtime's Ms.

#include "gcore/command.h"

static struct gi_error *ms_run(struct gi_session *s, const struct gi_args *args, struct gi_out *out)
{
	(void)args;
	return gi_report_ms(out, gi_session_go(s), gi_session_unwinder(s));
}

const struct gi_command gi_cmd_ms = {
	.name = "ms",
	.group = GI_GROUP_SCHEDULER,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "ms",
	.summary = "list the runtime's Ms (its view of threads)",
	.help = "Lists allm: the number of each M, the thread that it is, the P that it holds, the\n"
		"goroutine that it runs, and what else is of interest (spinning, idle, in C code, a\n"
		"goroutine that is locked to it, ...).\n"
		"\n"
		"An M that sleeps until it gets one of the runtime's own locks is shown with the lock's name\n"
		"(runtime.sched.lock, hchan.lock of a channel, ...) and with the M that has it. The runtime does\n"
		"not record that one: it is inferred from the Ms' counts of locks and from their stacks.\n",
	.run = ms_run,
};

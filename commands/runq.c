// runq: list goroutines that are ready to run, by queue.

#include "gcore/command.h"

static struct gi_error *runq_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	(void)args;
	return gi_report_runq(out, gi_session_go(s), gi_session_unwinder(s));
}

const struct gi_command gi_cmd_runq = {
	.name = "runq",
	.group = GI_GROUP_SCHEDULER,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "runq",
	.summary = "list goroutines that are ready to run, by queue",
	.help = "Lists each P's run queue, the goroutine that runs next first, and the global queue, in the\n"
		"order in which they would run.\n",
	.run = runq_run,
};

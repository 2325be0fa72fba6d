// ps: list the runtime's Ps, and the scheduler.

#include "gcore/command.h"

static struct gi_error *ps_run(struct gi_session *s, const struct gi_args *args, struct gi_out *out)
{
	(void)args;
	return gi_report_ps(out, gi_session_go(s));
}

const struct gi_command gi_cmd_ps = {
	.name = "ps",
	.group = GI_GROUP_SCHEDULER,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "ps",
	.summary = "list the runtime's Ps (processors) and the scheduler's state",
	.help = "Lists allp: the status of each P, the M that holds it and the goroutine that this\n"
		"runs, how many goroutines stand in its run queue, which one runs next, how often it has\n"
		"begun to run one (schedtick), its timers, and dead goroutines that it keeps. A line on the scheduler follows:\n"
		"GOMAXPROCS, idle Ps and Ms, the global run queue.\n",
	.run = ps_run,
};

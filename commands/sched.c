// sched: the scheduler as the runtime's schedtrace prints it, and what is wrong with it.

#include "gcore/command.h"

static struct gi_error *sched_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	(void)args;
	return gi_report_sched(out, gi_session_go(s), gi_session_unwinder(s));
}

const struct gi_command gi_cmd_sched = {
	.name = "sched",
	.group = GI_GROUP_SCHEDULER,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "sched",
	.summary = "what is wrong with the scheduler, and what the runtime's schedtrace prints of it",
	.help = "Prints, in words, what is wrong with the scheduler, if anything: a stop of the world that\n"
		"does not end and who does not stop, goroutines that do not give way and who waits behind\n"
		"them, run queues that starve, Ps held in system calls, all Ms in C, goroutines that wait for\n"
		"the garbage collector, runnable ones beside idle Ps, overdue timers, lost wake-ups.\n"
		"Then what GODEBUG=schedtrace=1000,scheddetail=1 would print for this moment, in the form of\n"
		"the program's own Go release. The time in its first line is a lower bound: no core holds\n"
		"the clock itself.\n",
	.run = sched_run,
};

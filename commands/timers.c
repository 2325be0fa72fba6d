// timers: list the timers of all Ps, the next one first.

#include "gcore/command.h"

static struct gi_error *timers_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	(void)args;
	return gi_report_timers(out, gi_session_go(s));
}

const struct gi_command gi_cmd_timers = {
	.name = "timers",
	.group = GI_GROUP_SCHEDULER,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "timers",
	.summary = "list the timers of all Ps, the next one first",
	.help = "Lists the heap of timers of each P: when each fires, its period, the function that it calls,\n"
		"and whom that wakes: the goroutine of a time.Sleep, the channel of a timer or ticker, the\n"
		"function of time.AfterFunc. Times are from the newest moment that the core knows of, so\n"
		"that a timer may be closer than it looks. Timers that nobody waits for are in no heap\n"
		"since Go 1.23.\n",
	.run = timers_run,
};

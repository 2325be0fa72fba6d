// info: what the process was, how it ended, and what its goroutines do.

#include "gcore/command.h"

static struct gi_error *info_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	(void)args;
	return gi_report_summary(out, gi_session_target(s), gi_session_go(s),
				 gi_session_unwinder(s), NULL);
}

const struct gi_command gi_cmd_info = {
	.name = "info",
	.aliases = (const char *const[]){"i", "summary", NULL},
	.group = GI_GROUP_SESSION,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "info",
	.summary = "what the process was, how it ended, its goroutines, and the verdict",
	.help = "The summary that is printed at the start.\n",
	.run = info_run,
};

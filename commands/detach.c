// detach: leave a running process alone.

#include "gcore/command.h"

static struct gi_error *detach_run(struct gi_session *s, const struct gi_args *args,
				   struct gi_out *out)
{
	(void)args;
	return gi_session_resume(s, true, out);
}

const struct gi_command gi_cmd_detach = {
	.name = "detach",
	.group = GI_GROUP_SESSION,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "detach",
	.summary = "leave the running process alone from now on",
	.help = "It runs on if \"stop\" held it, and is not read any more. What was copied of it can still\n"
		"be asked for. For \"gcore-inspect -p PID\" only.\n",
	.run = detach_run,
};

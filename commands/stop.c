// stop: hold a running process still.

#include "gcore/command.h"

static struct gi_error *stop_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	(void)args;
	return gi_session_refresh(s, true, out);
}

const struct gi_command gi_cmd_stop = {
	.name = "stop",
	.group = GI_GROUP_SESSION,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "stop",
	.summary = "hold the running process still until \"continue\"",
	.help = "Looks at the process again, and keeps all of its threads stopped: whatever is read until\n"
		"\"continue\", \"detach\" or the end of the session is of one moment. When gcore-inspect ends,\n"
		"by whatever cause, the process runs on. For \"gcore-inspect -p PID\" only.\n",
	.run = stop_run,
};

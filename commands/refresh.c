// refresh: look at a running process again.

#include "gcore/command.h"

static struct gi_error *refresh_run(struct gi_session *s, const struct gi_args *args,
				    struct gi_out *out)
{
	(void)args;
	return gi_session_refresh(s, false, out);
}

const struct gi_command gi_cmd_refresh = {
	.name = "refresh",
	.group = GI_GROUP_SESSION,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "refresh",
	.summary = "look at the running process again",
	.help = "Stops the process for a moment, copies the state of all goroutines and threads, and\n"
		"lets it run on. All commands answer from that copy until the next refresh; what they\n"
		"need besides is read while the process runs, and they say so. Of a process that \"stop\"\n"
		"holds, it ends the stop. For \"gcore-inspect -p PID\" only.\n",
	.run = refresh_run,
};

// continue: let a process run on that "stop" holds.

#include "gcore/command.h"

static struct gi_error *continue_run(struct gi_session *s, const struct gi_args *args,
				     struct gi_out *out)
{
	(void)args;
	return gi_session_resume(s, false, out);
}

const struct gi_command gi_cmd_continue = {
	.name = "continue",
	.group = GI_GROUP_SESSION,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "continue",
	.summary = "let the process run on that \"stop\" holds",
	.help = "Commands go on to answer from the moment of the stop. For \"gcore-inspect -p PID\" only.\n",
	.run = continue_run,
};

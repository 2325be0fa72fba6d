// quit: end the session.

#include "gcore/command.h"

static struct gi_error *quit_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	(void)s;
	(void)args;
	(void)out;
	return gi_error_create(GI_ERR_QUIT, "quit");
}

const struct gi_command gi_cmd_quit = {
	.name = "quit",
	.aliases = (const char *const[]){"q", "exit", NULL},
	.group = GI_GROUP_SESSION,
	.synopsis = "quit",
	.summary = "end the session",
	.help = "Ctrl-D does the same.\n",
	.run = quit_run,
};

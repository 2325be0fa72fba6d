// help: list the commands, or explain one.

#include "gcore/command.h"

static struct gi_error *help_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	(void)s;
	if (gi_args_count(args))
		return gi_command_help(out, gi_args_get(args, 0));
	gi_command_list(out);
	return NULL;
}

const struct gi_command gi_cmd_help = {
	.name = "help",
	.aliases = (const char *const[]){"h", "?", NULL},
	.group = GI_GROUP_SESSION,
	.synopsis = "help [COMMAND]",
	.summary = "list the commands, or explain one",
	.help = "",
	.max_args = 1,
	.completes = GI_ARG_COMMAND,
	.run = help_run,
};

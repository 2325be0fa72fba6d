// source: run the commands of a file.

#include "gcore/command.h"

static struct gi_error *source_run(struct gi_session *s, const struct gi_args *args,
				   struct gi_out *out)
{
	return gi_session_source(s, gi_args_get(args, 0), out);
}

const struct gi_command gi_cmd_source = {
	.name = "source",
	.group = GI_GROUP_SESSION,
	.synopsis = "source FILE",
	.summary = "run the commands of a file",
	.help = "One command a line; lines that begin with \"#\" are comments. The first command that\n"
		"fails ends it.\n",
	.min_args = 1,
	.max_args = 1,
	.completes = GI_ARG_FILE,
	.run = source_run,
};

// down: select the frame of the callee.

#include "gcore/command.h"

static struct gi_error *down_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	uint64_t n = 1;
	struct gi_error *err = NULL;
	if (gi_args_count(args))
		err = gi_parse_u64(gi_args_get(args, 0), &n);
	if (!err)
		err = gi_session_move_frame(s, n, false);
	if (err)
		return gi_error_wrap(err, "down");
	return gi_session_show_frame(s, out);
}

const struct gi_command gi_cmd_down = {
	.name = "down",
	.group = GI_GROUP_STACK,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO | GI_NEEDS_FRAME,
	.synopsis = "down [N]",
	.summary = "select the frame that was called",
	.help = "Goes N frames down (default 1), as far as there are frames, and shows the frame. An\n"
		"empty line at the prompt goes on.\n",
	.max_args = 1,
	.run = down_run,
};

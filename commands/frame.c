// frame: select a frame of the stack and show it.

#include "gcore/command.h"

static struct gi_error *frame_run(struct gi_session *s, const struct gi_args *args,
				  struct gi_out *out)
{
	if (gi_args_count(args)) {
		uint64_t n;
		struct gi_error *err = gi_parse_u64(gi_args_get(args, 0), &n);
		if (!err)
			err = gi_session_select_frame(s, n > GI_UNWIND_MAX ? GI_UNWIND_MAX
									   : (size_t)n);
		if (err)
			return gi_error_wrap(err, "frame");
	}
	return gi_session_show_frame(s, out);
}

const struct gi_command gi_cmd_frame = {
	.name = "frame",
	.aliases = (const char *const[]){"f", NULL},
	.group = GI_GROUP_STACK,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO | GI_NEEDS_FRAME,
	.synopsis = "frame [N]",
	.summary = "select a frame and show it",
	.help = "Shows the selected frame, with argument words as the Go runtime prints them in its\n"
		"tracebacks (\"?\": the value may be stale). With N, selects frame N first, by the\n"
		"numbers that \"bt\" showed last.\n",
	.max_args = 1,
	.run = frame_run,
};

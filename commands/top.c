// top: who uses the processors.

#include "gcore/command.h"

#include <errno.h>
#include <stdlib.h>

enum { TOP_SHOWN = 20, TOP_SHOWN_MAX = 100000 };

static struct gi_error *top_run(struct gi_session *s, const struct gi_args *args,
				struct gi_out *out)
{
	const char *text = gi_args_opt(args, 's');
	double seconds = 1;
	uint64_t max;
	struct gi_error *err = gi_session_check_running(s);
	if (err)
		return err;
	if (text) {
		char *end;
		errno = 0;
		seconds = strtod(text, &end);
		if (errno || end == text || *end || !(seconds > 0 && seconds <= 3600))
			return gi_error_create(GI_ERR_USAGE,
					       "top: -s takes seconds, up to 3600, not \"%s\"", text);
	}
	err = gi_args_u64(args, 'n', TOP_SHOWN, TOP_SHOWN_MAX, &max);
	if (err)
		return err;
	return gi_report_top(out, gi_session_target(s), gi_session_go(s), seconds, (size_t)max);
}

static const struct gi_option top_options[] = {
	{.letter = 's', .meta = "SECONDS", .help = "watch for so long (default 1)"},
	{.letter = 'n', .meta = "N", .help = "show at most N of each (default 20)"},
	{0},
};

const struct gi_command gi_cmd_top = {
	.name = "top",
	.group = GI_GROUP_SCHEDULER,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "top [-s SECONDS] [-n N]",
	.summary = "who uses the processors: threads and goroutines of a running process",
	.options = top_options,
	.help = "Watches the process for a second, without stopping it: a hundred times a second each\n"
		"thread's time on processors is asked of the kernel, and the goroutine that it runs is\n"
		"read. 100% is one processor. What a thread used while it ran no goroutine (scheduler,\n"
		"collector, C) is told apart. For \"gcore-inspect -p PID\" only.\n",
	.run = top_run,
};

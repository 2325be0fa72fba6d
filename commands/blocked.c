// blocked: what most goroutines wait for.

#include "gcore/command.h"

enum { DEFAULT_OBJECTS = 30 };

static struct gi_error *blocked_run(struct gi_session *s, const struct gi_args *args,
				    struct gi_out *out)
{
	struct gi_graph *graph;
	uint64_t max;
	struct gi_error *err = gi_args_u64(args, 'n', DEFAULT_OBJECTS, SIZE_MAX, &max);

	if (err)
		return err;
	err = gi_session_graph(s, &graph);
	if (err)
		return err;
	return gi_report_blocked(out, gi_session_go(s), gi_session_unwinder(s), graph, max);
}

const struct gi_command gi_cmd_blocked = {
	.name = "blocked",
	.group = GI_GROUP_WAITS,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "blocked [-n N]",
	.summary = "what goroutines wait for, most waiters first",
	.options =
		(const struct gi_option[]){
			{.letter = 'n',
			 .meta = "N",
			 .help = "show N objects, 0 for all (default: 30)"},
			{0},
		},
	.help = "Each channel, lock and group that goroutines wait for is shown once, with its state,\n"
		"who has it, and its waiters merged by the place where they wait. A goroutine in a\n"
		"select is counted at each of its channels. Goroutines that wait for no object\n"
		"(sleep, input, system calls) are merged in the same way.\n",
	.run = blocked_run,
};

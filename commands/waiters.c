// waiters: the object at an address, who waits for it and who has it.

#include "gcore/command.h"

static struct gi_error *waiters_run(struct gi_session *s, const struct gi_args *args,
				    struct gi_out *out)
{
	struct gi_graph *graph;
	uint64_t addr;
	struct gi_error *err = gi_session_address(s, gi_args_get(args, 0), &addr);

	if (err)
		return err;
	err = gi_session_graph(s, &graph);
	if (err)
		return err;
	return gi_report_waiters(out, gi_session_go(s), gi_session_unwinder(s), graph, addr);
}

const struct gi_command gi_cmd_waiters = {
	.name = "waiters",
	.group = GI_GROUP_WAITS,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "waiters ADDR",
	.summary = "who waits for the object at an address, and who has it",
	.help = "ADDR is where a channel, a mutex or another thing of package sync is that goroutines\n"
		"wait for, or a member of one. Of a pointer, interface, slice or channel variable\n"
		"(main.db) what it points to is meant; of a struct, all in it that is waited for.\n",
	.min_args = 1,
	.max_args = 1,
	.completes = GI_ARG_ADDR,
	.run = waiters_run,
};

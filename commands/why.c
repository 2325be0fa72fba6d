// why: from a goroutine to the root cause of its wait.

#include "gcore/command.h"

static struct gi_error *why_run(struct gi_session *s, const struct gi_args *args,
				struct gi_out *out)
{
	const struct gi_g *g = gi_session_goroutine(s);
	const char *text = gi_args_get(args, 0);
	struct gi_graph *graph;
	struct gi_error *err = text ? gi_session_find_goroutine(s, text, &g) : NULL;

	if (err)
		return err;
	if (!g)
		return gi_error_create(GI_ERR_NOT_FOUND,
				       "why: a thread is selected that runs no goroutine (see \"why ID\")");
	err = gi_session_graph(s, &graph);
	if (err)
		return err;
	return gi_report_why(out, gi_session_go(s), gi_session_unwinder(s), graph, g);
}

const struct gi_command gi_cmd_why = {
	.name = "why",
	.group = GI_GROUP_WAITS,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "why [ID]",
	.summary = "the chain from a goroutine to the root cause of its wait",
	.help = "Tells what the goroutine waits for, who has that, what that one waits for, and so on,\n"
		"until somebody is found who runs, sleeps or waits for what nobody is known to have,\n"
		"or until the chain comes back to one of its own: then it is a deadlock. Of several\n"
		"owners the one is followed that leads to a root cause. What libraries make of a wait is\n"
		"told, too: the errgroup, semaphore or call of singleflight, the context behind a Done\n"
		"channel and who could cancel it, signals, the lock of a Cond. Without an ID: the\n"
		"selected goroutine.\n",
	.max_args = 1,
	.completes = GI_ARG_GOROUTINE,
	.run = why_run,
};

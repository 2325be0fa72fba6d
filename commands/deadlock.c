// deadlock: why goroutines are stuck, as a story.

#include "gcore/command.h"

static struct gi_error *deadlock_run(struct gi_session *s, const struct gi_args *args,
				     struct gi_out *out)
{
	struct gi_graph *graph;
	struct gi_error *err = gi_session_graph(s, &graph);

	if (err)
		return err;
	return gi_report_verdicts(out, gi_session_go(s), graph, gi_args_has(args, 'v'));
}

const struct gi_command gi_cmd_deadlock = {
	.name = "deadlock",
	.aliases = (const char *const[]){"dl", NULL},
	.group = GI_GROUP_WAITS,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "deadlock [-v]",
	.summary = "who waits for whom, and who is stuck for good",
	.options =
		(const struct gi_option[]){
			{.letter = 'v', .help = "show every edge from a waiter to an owner"},
			{0},
		},
	.help = "Tells each root cause once: the goroutines that wait for each other, what each waits\n"
		"for, who holds it, where it was taken, and why that is believed. Goroutines that\n"
		"are stuck behind a root cause are counted and grouped.\n"
		"\n"
		"A sync.Mutex does not know its owner, so owners are found by evidence: deferred\n"
		"Unlocks that have not run, code that has taken the lock on the way to where the\n"
		"goroutine is, the lock's own state. An edge is exact if such evidence leaves no\n"
		"choice, else inferred. Where there is none, no owner is named.\n"
		"\n"
		"What is only slow is no deadlock: a goroutine whose owner runs, sleeps or waits for\n"
		"input is not counted.\n",
	.run = deadlock_run,
};

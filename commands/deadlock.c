// deadlock: why goroutines are stuck, as a story.

#include "gcore/command.h"

static struct gi_error *deadlock_run(struct gi_session *s, const struct gi_args *args,
				     struct gi_out *out)
{
	struct gi_graph *graph;
	struct gi_error *err = gi_session_graph(s, &graph);

	if (err)
		return err;
	if (gi_session_is_guess(s))
		gi_out_note(out, "not proved: the heap was read while the process ran, and what moved in it meanwhile may "
				 "only seem to be lost. \"stop\" and \"deadlock\", or --check, will tell");
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
		"goroutine is, the lock's own state. An edge is exact if it is by that state\n"
		"alone, else inferred. Where there is no evidence, no owner is named.\n"
		"\n"
		"A goroutine whose channel, lock or group no global and no goroutine that can still\n"
		"run leads to can never go on. It is told with those others that could have woken it,\n"
		"or as one that waits for what nobody can reach.\n"
		"\n"
		"Locks of the C library name the thread that has them: a goroutine in C that waits\n"
		"for one waits for the goroutine on that thread, or for the thread if it runs none.\n"
		"A goroutine in C that others wait for is named with what it does there; C code\n"
		"may return, so nobody is counted as stuck for that.\n"
		"\n"
		"What is only slow is no deadlock: a goroutine whose owner runs, sleeps or waits for\n"
		"input is not counted.\n",
	.run = deadlock_run,
};

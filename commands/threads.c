// threads: list the threads of the process.

#include "gcore/command.h"

static struct gi_error *threads_run(struct gi_session *s, const struct gi_args *args,
				    struct gi_out *out)
{
	size_t selected = SIZE_MAX, thread;
	if (gi_session_thread(s, &thread))
		selected = thread;
	return gi_report_threads(out, gi_session_target(s), gi_session_go(s),
				 gi_session_unwinder(s), selected, gi_args_has(args, 's'));
}

static const struct gi_option threads_options[] = {
	{.letter = 's', .help = "the system call that each is in, and what that waits for"},
	{0},
};

const struct gi_command gi_cmd_threads = {
	.name = "threads",
	.group = GI_GROUP_SCHEDULER,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "threads [-s]",
	.summary = "list the threads",
	.options = threads_options,
	.help = "Lists the threads in the core's order: the first is the one that the signal hit. M is\n"
		"the runtime's number for the thread; GOROUTINE is the one that it runs, or ran before it\n"
		"entered a system call. A star marks the selected thread.\n"
		"Of a running process also what the kernel knew just before the stop: STATE (R running, S\n"
		"sleeping, D uninterruptibly, T stopped), time on processors, its RATE since the look before\n"
		"(see refresh), and the kernel's function that it sleeps in. \"thread N\" shows more.\n",
	.run = threads_run,
};

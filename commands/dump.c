// dump: writes what is open into a core file, whole or small.

#include "gcore/command.h"

static struct gi_error *dump_run(struct gi_session *s, const struct gi_args *args, struct gi_out *out)
{
	struct gi_dump_result made = {0};
	const char *path = gi_args_get(args, 0);
	bool mini = gi_args_has_name(args, "mini"), all = gi_args_has_name(args, "all");
	bool direct = gi_args_has_name(args, "direct");

	if (mini && (all || direct))
		return gi_error_create(GI_ERR_USAGE, "-mini leaves out as much as it can: it goes without -%s",
				       all ? "all" : "direct");
	double start = gi_now();
	struct gi_error *err = mini ? gi_session_dump_mini(s, path, &made)
				    : gi_session_dump_core(s, path, all, direct, &made);

	if (err)
		return err;
	double seconds = gi_now() - start;
	return gi_report_dump(out, path, mini, &made, seconds);
}

const struct gi_command gi_cmd_dump = {
	.name = "dump",
	.group = GI_GROUP_DATA,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "dump [-mini] [-all] [-direct] FILE",
	.summary = "write a core file of what is open, whole or small",
	.options =
		(const struct gi_option[]){
			{.name = "mini", .help = "only what goroutines, threads and verdicts need, and their executable"},
			{.name = "all", .help = "also what is mapped from files and was not changed"},
			{.name = "direct", .help = "of a process: write while it stands, without a copy of its memory"},
			{0},
		},
	.help = "Writes a core as the kernel does: threads, registers, and the memory that the program\n"
		"had written to. gdb, dlv and this program open it. Pages of zeros are holes.\n"
		"\n"
		"With -mini the file holds what was read to list all goroutines and their stacks,\n"
		"threads, the scheduler's state, timers and who waits for whom, and a little around it; and\n"
		"of the executable and libraries their tables of functions, types and symbols. It shows the\n"
		"same on a machine that has none of these, and is a few megabytes where the core has\n"
		"gigabytes. Memory that is not in it is said to be not saved. Who can still reach what is\n"
		"worked out before it is written, as that takes the whole heap.\n"
		"\n"
		"Where FILE ends with .zst it is compressed; this program opens it as it is.\n"
		"\n"
		"Of a running process a core is made of a new snapshot: it stands while its memory is copied,\n"
		"which is told, and runs on while that is written. A mini dump is of the snapshot at hand; what\n"
		"had to be read later is marked, and told by commands that use it: \"stop\" first, and all is of\n"
		"one moment.\n"
		"\n"
		"That copy must fit into half of the memory that is free. With -direct there is none: the process\n"
		"stands until the file is written, at the speed of the disk: some seconds for each GB, where a\n"
		"copy takes 0.3 to 0.4.\n"
		"\n"
		"The file is readable by its owner alone, and holds what the process held: keys and data.\n",
	.min_args = 1,
	.max_args = 1,
	.completes = GI_ARG_FILE,
	.run = dump_run,
};

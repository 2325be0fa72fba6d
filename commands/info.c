// info: what the process was, how it ended, and what its goroutines do.

#include "gcore/command.h"

static struct gi_error *info_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	struct gi_graph *graph = NULL;
	if (gi_session_go(s)) {
		// Without the verdict the rest is still an answer.
		_cleanup_(gi_error_freep) struct gi_error *err = gi_session_graph(s, &graph);
		if (err && gi_error_code(err) != GI_ERR_INTERRUPTED)
			gi_out_note(out, "no verdict: %s", gi_error_message(err));
		else if (gi_session_is_guess(s))
			gi_out_note(out, "not proved: the heap was read while the process ran, and what moved in it meanwhile may "
					 "only seem to be lost. \"stop\" and \"deadlock\", or --check, will tell");
	}
	struct gi_error *failed = gi_report_summary(out, gi_session_target(s), gi_session_go(s),
						    gi_session_unwinder(s), graph);
	if (!failed && gi_args_has(args, 'v'))
		failed = gi_report_files(out, gi_session_target(s));
	return failed;
}

const struct gi_command gi_cmd_info = {
	.name = "info",
	.aliases = (const char *const[]){"i", "summary", NULL},
	.group = GI_GROUP_SESSION,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "info [-v]",
	.summary = "what the process was, how it ended, its goroutines, and the verdict",
	.options = (const struct gi_option[]){
		{'v', NULL, "also the files that were mapped, and their debug files", NULL, false,
		 NULL},
		{0},
	},
	.help = "The summary that is printed at the start. With -v also each file that the process had\n"
		"mapped: its build ID in the core, the file that is used for it here, and its debug file\n"
		"or where that was looked for. --debug-dir DIR adds places, --debuginfod asks servers.\n",
	.run = info_run,
};

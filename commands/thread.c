// thread: show or select a thread, or run a command on one.

#include "gcore/command.h"

#include <string.h>

static struct gi_error *run_on(struct gi_session *s, size_t thread, const char *command,
			       struct gi_out *out)
{
	struct gi_selection before = gi_session_selection(s);
	gi_session_select_thread(s, thread);
	struct gi_error *err = gi_session_run(s, command, out);
	gi_session_restore(s, before);
	return err;
}

static struct gi_error *thread_run(struct gi_session *s, const struct gi_args *args,
				   struct gi_out *out)
{
	const char *text = gi_args_get(args, 0);
	size_t thread;
	if (text) {
		_cleanup_(gi_str_deinit) struct gi_str id = {0};
		size_t n = strcspn(text, " \t");
		gi_str_putn(&id, text, n);
		struct gi_error *err = gi_session_find_thread(s, gi_str_cstr(&id), &thread);
		if (err)
			return err;
		const char *command = text + n + strspn(text + n, " \t");
		if (*command)
			return run_on(s, thread, command, out);
		gi_session_select_thread(s, thread);
	} else if (!gi_session_thread(s, &thread)) {
		return gi_error_create(
			GI_ERR_NOT_FOUND,
			"thread: the selected goroutine is on no thread (see \"threads\")");
	}
	return gi_report_thread(out, gi_session_target(s), gi_session_go(s), gi_session_unwinder(s),
				thread);
}

const struct gi_command gi_cmd_thread = {
	.name = "thread",
	.aliases = (const char *const[]){"t", NULL},
	.group = GI_GROUP_SCHEDULER,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "thread [N [COMMAND]]",
	.summary = "show or select a thread, or run a command on one",
	.help = "N is a number or a thread id, as \"threads\" shows them. Selecting a thread shows all of\n"
		"its stack to \"bt\": C frames, the runtime's own stack, then the goroutine's. With a\n"
		"command, runs the command as if the thread were selected: \"thread 2 bt\".\n",
	.max_args = 1,
	.raw_args = true,
	.completes = GI_ARG_THREAD,
	.run = thread_run,
};

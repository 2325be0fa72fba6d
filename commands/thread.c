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

static void put_heading(struct gi_session *s, size_t thread, struct gi_out *out)
{
	const struct gi_m *m = gi_session_go(s) ? gi_go_m_by_thread(gi_session_go(s), thread) : NULL;

	if (gi_out_is_json(out))
		return;
	gi_out_printf(out, "%sThread %zu, id %d", thread ? "\n" : "", thread + 1,
		      (int)gi_target_thread(gi_session_target(s), thread)->tid);
	if (m)
		gi_out_printf(out, ", M %" PRId64, m->id);
	gi_out_puts(out, "\n");
}

// What fails on one thread does not hide the others.
static struct gi_error *run_on_all(struct gi_session *s, const char *command, struct gi_out *out)
{
	size_t n = gi_target_thread_count(gi_session_target(s));

	if (!*command)
		return gi_error_create(GI_ERR_USAGE, "thread: all of them do what? \"thread all "
						     "bt\", for one");
	for (size_t i = 0; i < n; i++) {
		put_heading(s, i, out);
		struct gi_error *err = run_on(s, i, command, out);
		if (err) {
			switch (gi_error_code(err)) {
			case GI_ERR_FORMAT:
			case GI_ERR_FAULT:
			case GI_ERR_NOT_SAVED:
			case GI_ERR_CUT_OFF:
			case GI_ERR_NOT_FOUND:
				gi_out_note(out, "thread %zu: %s", i + 1, gi_error_message(err));
				gi_error_free(err);
				break;
			default:
				return err;
			}
		}
		err = gi_out_check(out);
		if (err)
			return err;
	}
	return NULL;
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
		if (strcmp(gi_str_cstr(&id), "all") == 0)
			return run_on_all(s, text + n + strspn(text + n, " \t"), out);
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
	.synopsis = "thread [N [COMMAND]] | thread all COMMAND",
	.summary = "show or select a thread, or run a command on one",
	.help = "N is a number or a thread id, as \"threads\" shows them. Selecting a thread shows all of\n"
		"its stack to \"bt\": from what it does now (in C, in a signal handler, on the runtime's\n"
		"own stack) through the goroutine that it runs, and the C and Go frames below each\n"
		"callback, down to where the thread began. With a command, runs the command as if the\n"
		"thread were selected: \"thread 2 bt\"; \"thread all bt\" does it for each thread.\n",
	.max_args = 1,
	.raw_args = true,
	.completes = GI_ARG_THREAD,
	.run = thread_run,
};

// goroutine: show or select a goroutine, or run a command on one.

#include "gcore/command.h"

#include <string.h>

static struct gi_error *run_on(struct gi_session *s, const struct gi_g *g, const char *command,
			       struct gi_out *out)
{
	struct gi_selection before = gi_session_selection(s);
	gi_session_select_goroutine(s, g);
	struct gi_error *err = gi_session_run(s, command, out);
	gi_session_restore(s, before);
	return err;
}

static struct gi_error *goroutine_run(struct gi_session *s, const struct gi_args *args,
				      struct gi_out *out)
{
	const char *text = gi_args_get(args, 0);
	const struct gi_g *g = gi_session_goroutine(s);
	if (text) {
		_cleanup_(gi_str_deinit) struct gi_str id = {0};
		size_t n = strcspn(text, " \t");
		gi_str_putn(&id, text, n);
		struct gi_error *err = gi_session_find_goroutine(s, gi_str_cstr(&id), &g);
		if (err)
			return err;
		const char *command = text + n + strspn(text + n, " \t");
		if (*command)
			return run_on(s, g, command, out);
		gi_session_select_goroutine(s, g);
	}
	if (!g)
		return gi_error_create(
			GI_ERR_NOT_FOUND,
			"goroutine: a thread is selected that runs none (see \"goroutine ID\")");
	return gi_report_goroutine(out, gi_session_go(s), gi_session_unwinder(s), g);
}

const struct gi_command gi_cmd_goroutine = {
	.name = "goroutine",
	.aliases = (const char *const[]){"gr", NULL},
	.group = GI_GROUP_GOROUTINES,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "goroutine [ID [COMMAND]]",
	.summary = "show or select a goroutine, or run a command on one",
	.help = "Without arguments, shows what is known of the selected goroutine. With an ID (or the\n"
		"address of a g), selects that one and shows it. With a command, runs the command as if\n"
		"the goroutine were selected: \"goroutine 18 bt\".\n",
	.max_args = 1,
	.raw_args = true,
	.completes = GI_ARG_GOROUTINE,
	.run = goroutine_run,
};

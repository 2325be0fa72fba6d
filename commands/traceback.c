// traceback: the stacks as the program's own Go runtime would have printed them.

#include "gcore/command.h"

#include <string.h>

static const char *const levels[] = {"all", "system", "crash", NULL};

static struct gi_error *level_of(const struct gi_args *args, enum gi_traceback_level *ret)
{
	const char *text = gi_args_opt_name(args, "level");
	if (!text)
		text = "all";
	for (size_t i = 0; levels[i]; i++) {
		if (!strcmp(text, levels[i])) {
			*ret = (enum gi_traceback_level)i;
			return NULL;
		}
	}
	return gi_error_create(GI_ERR_USAGE,
			       "traceback: the level is all, system or crash, not \"%s\"",
			       text);
}

static struct gi_error *traceback_run(struct gi_session *s, const struct gi_args *args,
				      struct gi_out *out)
{
	enum gi_traceback_level level = GI_TRACEBACK_ALL;
	struct gi_error *err = level_of(args, &level);
	if (err)
		return err;

	struct gi_go *go = gi_session_go(s);
	struct gi_unwinder *u = gi_session_unwinder(s);
	size_t n = gi_args_count(args);
	if (!n)
		return gi_traceback_all(out, go, u, level);

	for (size_t i = 0; i < n; i++) {
		const struct gi_g *g = NULL;
		err = gi_session_find_goroutine(s, gi_args_get(args, i), &g);
		if (err)
			return err;
		if (i)
			gi_out_puts(out, "\n");
		err = gi_traceback_goroutine(out, go, u, g, level);
		if (err)
			return err;
	}
	return NULL;
}

const struct gi_command gi_cmd_traceback = {
	.name = "traceback",
	.group = GI_GROUP_STACK,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "traceback [-level all|system|crash] [ID...]",
	.summary = "print stacks as the Go runtime prints them",
	.options =
		(const struct gi_option[]){
			{0, "LEVEL", "all (the default), system or crash", "level", false,
			 levels},
			{0},
		},
	.help = "Prints the goroutines with these IDs, or all of them, word for word as "
		"the Go release\n"
		"that the program was built with prints them when it dies. Levels are "
		"those of the\n"
		"environment variable GOTRACEBACK:\n"
		"\n"
		"    all     user goroutines, without the runtime's own frames\n"
		"    system  the runtime's goroutines and frames, too, with addresses\n"
		"    crash   the same, and what each thread did, with its registers\n"
		"\n"
		"At the level crash, goroutines that ran on a thread are shown where the "
		"runtime would\n"
		"show them: in the part of that thread. At the others they stand among "
		"the rest.\n",
	.min_args = 0,
	.max_args = SIZE_MAX,
	.completes = GI_ARG_GOROUTINE,
	.run = traceback_run,
};

// goroutines: list the goroutines, all or some, or count them in groups.

#include "gcore/command.h"

enum { MAX_FILTERS = 16, MAX_FRAMES = 10000, DEFAULT_FRAMES = 50, EXAMPLES = 5 };

static struct gi_error *collect(const struct gi_args *args, const char *name, const char **list,
				size_t *n_ret)
{
	size_t n = 0;
	for (const char *v; (v = gi_args_opt_name_at(args, name, n)); n++) {
		if (n == MAX_FILTERS)
			return gi_error_create(GI_ERR_USAGE, "goroutines: at most %d times -%s",
					       MAX_FILTERS, name);
		list[n] = v;
	}
	*n_ret = n;
	return NULL;
}

static struct gi_error *goroutines_run(struct gi_session *s, const struct gi_args *args,
				       struct gi_out *out)
{
	const char *with[MAX_FILTERS], *without[MAX_FILTERS];
	struct gi_goroutines_options o = {
		.all = gi_args_has_name(args, "all"),
		.labels = gi_args_has(args, 'l'),
		.with = with,
		.without = without,
		.group = gi_args_opt_name(args, "group"),
		.examples = EXAMPLES,
		.selected = gi_session_goroutine(s),
	};
	int kinds = gi_args_has(args, 'r') + gi_args_has(args, 'u') + gi_args_has(args, 'g') +
		    gi_args_has(args, 's');
	if (kinds > 1)
		return gi_error_create(GI_ERR_USAGE, "goroutines: only one of -r, -u, -g and -s");
	o.show = gi_args_has(args, 'r')	  ? GI_SHOW_CURRENT
		 : gi_args_has(args, 'g') ? GI_SHOW_GO
		 : gi_args_has(args, 's') ? GI_SHOW_START
					  : GI_SHOW_USER;
	struct gi_error *err = collect(args, "with", with, &o.with_count);
	if (!err)
		err = collect(args, "without", without, &o.without_count);
	if (err)
		return err;
	if (gi_args_has(args, 't')) {
		uint64_t frames;
		err = gi_args_u64(args, 't', DEFAULT_FRAMES, MAX_FRAMES, &frames);
		if (err)
			return err;
		o.frames = frames ? (size_t)frames : 1;
	}
	return gi_report_goroutines(out, gi_session_go(s), gi_session_unwinder(s), &o);
}

static const char *const kinds_of_filter[] = {"function", "file",    "status",	"wait",	  "label",
					      "creator",  "start",   "userloc", "curloc", "goloc",
					      "startloc", "running", "user",	NULL};
static const char *const kinds_of_group[] = {"wait",   "status", "stack",   "creator",
					     "label",  "start",	 "userloc", "running",
					     "curloc", "user",	 NULL};

const struct gi_command gi_cmd_goroutines = {
	.name = "goroutines",
	.aliases = (const char *const[]){"grs", NULL},
	.group = GI_GROUP_GOROUTINES,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis =
		"goroutines [-t [N]] [-r|-u|-g|-s] [-l] [-all] [-with KIND VALUE] [-without KIND VALUE] "
		"[-group KIND]",
	.summary = "list goroutines",
	.options =
		(const struct gi_option[]){
			{'t', "[N]", "print stacks, of at most N frames (default 50)", NULL, false,
			 NULL},
			{'u', NULL, "where: in user code (the default)", NULL, false, NULL},
			{'r', NULL, "where: the innermost frame, the runtime's too", NULL, false,
			 NULL},
			{'g', NULL, "where: the go statement that created it", NULL, false, NULL},
			{'s', NULL, "where: the function that it was started with", NULL, false,
			 NULL},
			{'l', NULL, "print pprof labels", NULL, false, NULL},
			{0, "KIND VALUE...", "only those of which this is true; repeatable", "with",
			 true, kinds_of_filter},
			{0, "KIND VALUE...", "only those of which this is not true; repeatable",
			 "without", true, kinds_of_filter},
			{0, "KIND...", "count them by KIND, most numerous first", "group", false,
			 kinds_of_group},
			{0, NULL, "dead and extra ones too", "all", false, NULL},
			{0},
		},
	.help = "Lists goroutines by id: status, what they wait for and since when (where the runtime\n"
		"noted it), and where they are in user code. A star marks the selected one.\n"
		"\n"
		"Kinds of -with and -without; values are looked for inside of texts:\n"
		"\n"
		"    function TEXT    a function on the stack\n"
		"    file TEXT        a source file on the stack\n"
		"    status NAME      waiting, running, runnable, syscall, ...\n"
		"    wait TEXT        the wait reason\n"
		"    label KEY[=VAL]  a pprof label\n"
		"    creator TEXT     the go statement (function or file:line)\n"
		"    start TEXT       the function that it was started with\n"
		"    userloc, curloc, goloc, startloc TEXT\n"
		"                     the places of -u, -r, -g and -s (function or file:line)\n"
		"    running          it is on a thread\n"
		"    user             it is not one of the runtime's own\n"
		"\n"
		"Kinds of -group: wait, status, stack, creator, start, label KEY, userloc, curloc, user,\n"
		"running. Groups are shown with their counts and a few examples.\n",
	.min_args = 0,
	.max_args = 0,
	.run = goroutines_run,
};

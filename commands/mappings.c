// mappings: list the memory mappings.

#include "gcore/command.h"

static struct gi_error *mappings_run(struct gi_session *s, const struct gi_args *args,
				     struct gi_out *out)
{
	uint64_t addr = 0;
	bool one = gi_args_count(args) > 0;
	if (one) {
		struct gi_error *err = gi_session_address(s, gi_args_get(args, 0), &addr);
		if (err)
			return gi_error_wrap(err, "mappings");
	}
	return gi_report_mappings(out, gi_session_target(s), one, addr);
}

const struct gi_command gi_cmd_mappings = {
	.name = "mappings",
	.aliases = (const char *const[]){"maps", NULL},
	.group = GI_GROUP_DATA,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "mappings [ADDR]",
	.summary = "list the memory mappings",
	.help = "Lists the mappings of the process, or the one that holds ADDR. SAVED says how many\n"
		"bytes of each the core holds; \"file\" after it: what the core left out is read from the\n"
		"file on disk.\n",
	.max_args = 1,
	.completes = GI_ARG_ADDR,
	.run = mappings_run,
};

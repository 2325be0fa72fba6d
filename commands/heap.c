// heap: what the heap holds, by size.

#include "gcore/command.h"

static struct gi_error *heap_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	(void)args;
	return gi_report_heap(out, gi_session_go(s));
}

const struct gi_command gi_cmd_heap = {
	.name = "heap",
	.group = GI_GROUP_DATA,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "heap",
	.summary = "what the heap holds: objects by size, and how many can be reached",
	.help = "One line for each size of objects, those with and without pointers apart; \"large\" are\n"
		"those of more than 32 KB, each with memory of its own. REACHABLE counts the objects\n"
		"that globals and stacks lead to: the others wait to be freed by the collector.\n",
	.run = heap_run,
};

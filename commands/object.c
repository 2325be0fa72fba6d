// object: what is at an address.

#include "gcore/command.h"

static struct gi_error *object_run(struct gi_session *s, const struct gi_args *args,
				   struct gi_out *out)
{
	struct gi_graph *graph;
	uint64_t addr;
	struct gi_error *err = gi_session_address(s, gi_args_get(args, 0), &addr);

	if (err)
		return err;
	err = gi_session_graph(s, &graph);
	if (err)
		return err;
	return gi_report_object(out, gi_session_go(s), gi_session_unwinder(s), graph, addr);
}

const struct gi_command gi_cmd_object = {
	.name = "object",
	.aliases = (const char *const[]){"whatis", NULL},
	.group = GI_GROUP_WAITS,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "object ADDR",
	.summary = "what is at an address: its object, type, name, and who points to it",
	.help = "Of an address in the heap: the object that holds it, its type and the name by which\n"
		"a global leads to it, as far as they can be found from the pointers that lead there,\n"
		"and what points to it. Where no global is known by name, the name begins with a type:\n"
		"*main.user[1].mu is in what element 1 of an array of *main.user points to. Types are\n"
		"those of the running program, so this works for stripped programs, too, where an\n"
		"interface value or the allocator's note tells the type. Of other addresses: the\n"
		"global, function, stack or file. Who waits for it is told as \"waiters\" does.\n"
		"\n"
		"The whole heap is searched, some times over: about a second for each GB.\n",
	.min_args = 1,
	.max_args = 1,
	.completes = GI_ARG_ADDR,
	.run = object_run,
};

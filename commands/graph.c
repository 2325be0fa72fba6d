// graph: the wait-for graph as a drawing.

#include "gcore/command.h"

static struct gi_error *graph_run(struct gi_session *s, const struct gi_args *args,
				  struct gi_out *out)
{
	struct gi_graph *graph;
	struct gi_error *err = gi_session_graph(s, &graph);

	if (err)
		return err;
	return gi_report_graph(out, gi_session_go(s), gi_session_unwinder(s), graph,
			       gi_args_has(args, 'a'), gi_args_opt(args, 'o'));
}

const struct gi_command gi_cmd_graph = {
	.name = "graph",
	.group = GI_GROUP_WAITS,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "graph [-a] [-o FILE]",
	.summary = "draw who waits for whom",
	.options =
		(const struct gi_option[]){
			{.letter = 'a', .help = "all edges, not just what verdicts tell of"},
			{.letter = 'o',
			 .meta = "FILE",
			 .help = "write NAME.dot, or an image, NAME.svg (with graphviz' libraries)"},
			{0},
		},
	.help = "Goroutines are boxes, what they wait for ellipses; root causes are red, inferred owners\n"
		"have dashed arrows. Goroutines that are stuck behind a root cause at the same place\n"
		"are one box with their number. Without -o the graph is printed in graphviz' language.\n",
	.run = graph_run,
};

// The marks that the runtime's own leak profile has left on goroutines (Go 1.26 with
// GOEXPERIMENT=goroutineleakprofile, 1.27): when it is asked for, each goroutine that its collection proved
// never to run again has the status "leaked" until the next collection.

#include "report/deadlock.h"

enum { MAX_NAMED = 8 };

size_t gi_leaked_count(const struct gi_go *go, const struct gi_verdict *v)
{
	size_t found = 0, thread;

	for (size_t i = 0; i < v->goroutine_count; i++)
		found += !gi_graph_node_thread(go, v->goroutines[i], &thread) &&
			 gi_g_is_leaked(gi_go_g(go, v->goroutines[i]));
	return found;
}

void gi_out_leaked(struct gi_out *out, const struct gi_go *go, const struct gi_verdict *v)
{
	const size_t n = gi_leaked_count(go, v);

	if (!n)
		return;
	gi_out_style(out, GI_STYLE_DIM);
	gi_out_puts(out, "    the runtime's goroutineleak profile has marked ");
	if (v->goroutine_count == 1)
		gi_out_puts(out, "it, too\n");
	else if (n == v->goroutine_count)
		gi_out_puts(out, "them, too\n");
	else
		gi_out_printf(out, "%zu of them, too\n", n);
	gi_out_style(out, GI_STYLE_NONE);
}

void gi_out_only_leaked(struct gi_out *out, const struct gi_go *go, const struct gi_graph *graph,
			bool told)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	uint32_t gs[MAX_NAMED + 2];
	size_t n = 0, shown, v;

	for (size_t i = 0; i < gi_go_g_count(go); i++) {
		if (!gi_g_is_leaked(gi_go_g(go, i)) || gi_graph_verdict_of(graph, (uint32_t)i, &v))
			continue;
		if (n < GI_ARRAY_SIZE(gs))
			gs[n] = (uint32_t)i;
		n++;
	}
	if (!n)
		return;
	shown = n > MAX_NAMED + 1 ? MAX_NAMED : n;
	gi_goroutines_format(go, gs, shown, &s);
	if (shown < n)
		gi_str_printf(&s, " and %zu more", n - shown);
	gi_out_printf(out,
		      "%sthe runtime's goroutineleak profile has marked goroutine%s %s as leaked, "
		      "which is not found here\n",
		      told ? "\n" : "", n > 1 ? "s" : "", gi_str_cstr(&s));
}

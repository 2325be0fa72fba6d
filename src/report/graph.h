// The drawing of the wait-for graph, inside of this room.
#ifndef REPORT_GRAPH_H
#define REPORT_GRAPH_H

#include "gcore/report.h"

/**
 * Appends a graph in graphviz' language: what verdicts tell of, or all edges. left_ret: how many
 * things there was no room for.
 */
struct gi_error *gi_graph_dot(struct gi_go *go, struct gi_unwinder *u, const struct gi_graph *graph,
			      bool all, struct gi_str *dot, size_t *left_ret) GI_MUST_CHECK;
/** Lays a graph out and writes it as an SVG image. GI_ERR_UNSUPPORTED without graphviz' libraries. */
struct gi_error *gi_graph_svg(const char *dot, const char *path) GI_MUST_CHECK;

#endif

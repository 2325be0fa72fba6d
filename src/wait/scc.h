// Strongly connected components.
#ifndef GCORE_WAIT_SCC_H
#define GCORE_WAIT_SCC_H

#include <stddef.h>
#include <stdint.h>

#include "gcore/error.h"

/** A graph of n nodes: the successors of i are to[first[i]] .. to[first[i + 1] - 1]. */
struct gi_digraph {
	size_t n;
	uint32_t *first; // n + 1
	uint32_t *to;
	uint32_t *edge; // for each of to: the number of the edge that it came from
};
void gi_digraph_deinit(struct gi_digraph *d);
/** count edges; from and to below n. */
struct gi_error *gi_digraph_init(struct gi_digraph *d, size_t n, const uint32_t *from,
				 const uint32_t *to, size_t count) GI_MUST_CHECK;

/**
 * Numbers the components: component_ret[i] of node i, *count_ret of them. A component has a lower
 * number than those that lead to it. Recursion depth does not grow with the graph.
 */
struct gi_error *gi_scc(const struct gi_digraph *d, uint32_t *component_ret,
			uint32_t *count_ret) GI_MUST_CHECK;

/**
 * The shortest cycle through start whose nodes satisfy component[i] == component[start]: fills
 * edges_ret (room for n) with edge numbers in order; returns how many, 0 if there is none.
 * usable (may be NULL): which edges may be taken.
 */
size_t gi_digraph_cycle(const struct gi_digraph *d, const uint32_t *component, uint32_t start,
			const uint8_t *usable, uint32_t *edges_ret);

#endif

// Strongly connected components by Tarjan's algorithm, with a stack of our own: a chain of a
// hundred thousand waiting goroutines is no recursion.

#include "wait/scc.h"

#include <stdlib.h>
#include <string.h>

#include "gcore/base.h"

void gi_digraph_deinit(struct gi_digraph *d)
{
	free(d->first);
	free(d->to);
	free(d->edge);
	memset(d, 0, sizeof(*d));
}

struct gi_error *gi_digraph_init(struct gi_digraph *d, size_t n, const uint32_t *from,
				 const uint32_t *to, size_t count)
{
	*d = (struct gi_digraph){
		.n = n,
		.first = calloc(n + 2, sizeof(*d->first)),
		.to = malloc((count + 1) * sizeof(*d->to)),
		.edge = malloc((count + 1) * sizeof(*d->edge)),
	};
	if (!d->first || !d->to || !d->edge) {
		gi_digraph_deinit(d);
		return gi_error_nomem();
	}
	// Counting sort, by one place further so that the sums end up as the beginnings.
	for (size_t i = 0; i < count; i++)
		d->first[from[i] + 2]++;
	for (size_t i = 2; i < n + 2; i++)
		d->first[i] += d->first[i - 1];
	for (size_t i = 0; i < count; i++) {
		uint32_t at = d->first[from[i] + 1]++;
		d->to[at] = to[i];
		d->edge[at] = (uint32_t)i;
	}
	return NULL;
}

struct visit {
	uint32_t node, next; // next of its edges
};

struct gi_error *gi_scc(const struct gi_digraph *d, uint32_t *component_ret, uint32_t *count_ret)
{
	enum { UNSEEN = 0, NO_COMPONENT = UINT32_MAX };
	_cleanup_(gi_freep) uint32_t *order = calloc(d->n + 1, sizeof(*order));
	_cleanup_(gi_freep) uint32_t *low = calloc(d->n + 1, sizeof(*low));
	_cleanup_(gi_freep) uint32_t *open = malloc((d->n + 1) * sizeof(*open));
	_cleanup_(gi_freep) struct visit *stack = malloc((d->n + 1) * sizeof(*stack));
	uint32_t count = 0, seen = 0;
	size_t open_count = 0, depth = 0;

	if (!order || !low || !open || !stack)
		return gi_error_nomem();
	for (size_t i = 0; i < d->n; i++)
		component_ret[i] = NO_COMPONENT;
	for (size_t root = 0; root < d->n; root++) {
		if (order[root] != UNSEEN)
			continue;
		stack[depth++] = (struct visit){(uint32_t)root, d->first[root]};
		while (depth) {
			struct visit *v = &stack[depth - 1];
			uint32_t node = v->node;
			if (order[node] == UNSEEN) {
				order[node] = low[node] = ++seen;
				open[open_count++] = node;
			}
			if (v->next < d->first[node + 1]) {
				uint32_t to = d->to[v->next++];
				if (order[to] == UNSEEN)
					stack[depth++] = (struct visit){to, d->first[to]};
				else if (component_ret[to] == NO_COMPONENT && order[to] < low[node])
					low[node] = order[to];
				continue;
			}
			depth--;
			if (depth && low[node] < low[stack[depth - 1].node])
				low[stack[depth - 1].node] = low[node];
			if (low[node] != order[node])
				continue;
			while (component_ret[node] == NO_COMPONENT)
				component_ret[open[--open_count]] = count;
			count++;
		}
	}
	*count_ret = count;
	return NULL;
}

size_t gi_digraph_cycle(const struct gi_digraph *d, const uint32_t *component, uint32_t start,
			const uint8_t *usable, uint32_t *edges_ret)
{
	_cleanup_(gi_freep) uint32_t *queue = malloc((d->n + 1) * sizeof(*queue));
	_cleanup_(gi_freep) uint32_t *via = calloc(d->n + 1, sizeof(*via)); // 1 + place in to
	_cleanup_(gi_freep) uint32_t *prev = malloc((d->n + 1) * sizeof(*prev));
	size_t head = 0, tail = 0, n = 0;

	if (!queue || !via || !prev)
		return 0;
	queue[tail++] = start;
	while (head < tail && !via[start]) {
		uint32_t node = queue[head++];
		for (uint32_t k = d->first[node]; k < d->first[node + 1]; k++) {
			uint32_t to = d->to[k];
			if (component[to] != component[start] || via[to] ||
			    (usable && !usable[d->edge[k]]))
				continue;
			via[to] = k + 1;
			prev[to] = node;
			if (to == start)
				break;
			queue[tail++] = to;
		}
	}
	if (!via[start])
		return 0;
	uint32_t at = start;
	do {
		edges_ret[n++] = d->edge[via[at] - 1];
		at = prev[at];
	} while (at != start);
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t t = edges_ret[i];
		edges_ret[i] = edges_ret[n - 1 - i];
		edges_ret[n - 1 - i] = t;
	}
	return n;
}

// Which goroutines stood still while they were read, in a process that was not stopped.
//
// A goroutine that is parked changes nothing of its g or its stack. So what was copied of it is of one
// moment if its id, status, saved stack pointer and program counter are after the copying what they were
// before; one that was woken and parked at the same place meanwhile is the same to look at, but for
// its variables. All others are marked: their stacks may not fit together.

#include "gcore/live.h"
#include "go/go_impl.h"

#include <stdlib.h>

enum { WORDS = 4, GS_AT_ONCE = 4096 };

struct still {
	struct gi_go *go;
	uint64_t addrs[WORDS * GS_AT_ONCE], now[WORDS * GS_AT_ONCE];
	uint32_t index[GS_AT_ONCE];
	size_t n;
};

static void compare(struct still *x)
{
	gi_live_words_now(x->go->target, x->addrs, WORDS * x->n, x->now);
	for (size_t i = 0; i < x->n; i++) {
		struct gi_g *g = &x->go->gs[x->index[i]];
		const uint64_t *w = &x->now[WORDS * i];

		g->moved = (uint32_t)w[0] != g->status || w[1] != g->goid || w[2] != g->sched_sp ||
			   w[3] != g->sched_pc;
	}
	x->n = 0;
}

struct gi_error *gi_go_mark_moved(struct gi_go *go, size_t *moved_ret)
{
	const struct gi_layout *l = &go->layout;
	_cleanup_(gi_freep) struct still *x = malloc(sizeof(*x));

	if (!x)
		return gi_error_nomem();
	x->go = go;
	x->n = 0;
	for (size_t i = 0; i < go->g_count; i++) {
		struct gi_g *g = &go->gs[i];
		uint64_t *a;

		if (g->unreadable || gi_g_is_dead(g))
			continue;
		if (gi_g_base_status(g->status) != GI_G_WAITING) {
			g->moved = true;
			continue;
		}
		a = &x->addrs[WORDS * x->n];
		a[0] = g->addr + l->g.status.off;
		a[1] = g->addr + l->g.goid.off;
		a[2] = g->addr + l->g.sched_sp.off;
		a[3] = g->addr + l->g.sched_pc.off;
		x->index[x->n++] = (uint32_t)i;
		if (x->n == GS_AT_ONCE)
			compare(x);
	}
	compare(x);
	*moved_ret = 0;
	for (size_t i = 0; i < go->g_count; i++)
		*moved_ret += go->gs[i].moved;
	if (*moved_ret)
		gi_go_add_note(go,
			       "%zu goroutines ran or changed while they were read (marked [moving]): what is "
			       "shown of them may not fit together",
			       *moved_ret);
	return NULL;
}

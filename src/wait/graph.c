// The graph as a whole: what it holds, how it is built, what others may ask.

#include "wait/graph.h"

#include <stdlib.h>
#include <string.h>

const char *gi_object_kind_name(enum gi_object_kind kind)
{
	static const char *const names[] = {
		[GI_OBJECT_NONE] = "none",	     [GI_OBJECT_CHANNEL] = "channel",
		[GI_OBJECT_MUTEX] = "mutex",	     [GI_OBJECT_RWMUTEX] = "rwmutex",
		[GI_OBJECT_WAITGROUP] = "waitgroup", [GI_OBJECT_COND] = "cond",
		[GI_OBJECT_ONCE] = "once",	     [GI_OBJECT_SEMAPHORE] = "semaphore",
		[GI_OBJECT_TIMER] = "timer",	     [GI_OBJECT_FD] = "fd",
		[GI_OBJECT_C_CALL] = "c-call",	     [GI_OBJECT_SYSCALL] = "syscall",
		[GI_OBJECT_RUNTIME] = "runtime",     [GI_OBJECT_NOTHING] = "nothing",
		[GI_OBJECT_PTHREAD_MUTEX] = "pthread-mutex",
		[GI_OBJECT_PTHREAD_RWLOCK] = "pthread-rwlock",
		[GI_OBJECT_PTHREAD_COND] = "pthread-cond",
		[GI_OBJECT_PTHREAD_SEMAPHORE] = "pthread-semaphore",
		[GI_OBJECT_STDIO_LOCK] = "stdio-lock",
		[GI_OBJECT_THREAD] = "thread",
	};

	return (size_t)kind < GI_ARRAY_SIZE(names) ? names[kind] : "none";
}

const char *gi_verdict_kind_name(enum gi_verdict_kind kind)
{
	static const char *const names[] = {
		[GI_VERDICT_CYCLE] = "cycle",
		[GI_VERDICT_SELF] = "self",
		[GI_VERDICT_UNREACHABLE] = "unreachable",
		[GI_VERDICT_ORPHAN_LOCK] = "orphan-lock",
		[GI_VERDICT_IN_C] = "in-c",
		[GI_VERDICT_SUSPECT] = "suspect",
		[GI_VERDICT_COLLATERAL] = "collateral",
		[GI_VERDICT_UNKNOWN] = "unknown",
	};

	return (size_t)kind < GI_ARRAY_SIZE(names) ? names[kind] : "unknown";
}

// --- parts ------------------------------------------------------------------------------

void gi_graph_add_note(struct gi_graph *gr, const char *fmt, ...)
{
	struct gi_str s = {0};
	va_list ap;

	va_start(ap, fmt);
	gi_str_vprintf(&s, fmt, ap);
	va_end(ap);
	struct gi_error *err =
		gi_grow(&gr->notes, &gr->note_cap, gr->note_count + 1, sizeof(*gr->notes));
	char *copy = err ? NULL : gi_arena_strdup(gr->arena, gi_str_cstr(&s));
	if (copy)
		gr->notes[gr->note_count++] = copy;
	gi_error_ignore(err);
	gi_str_deinit(&s);
}

const char *gi_graph_sentence(struct gi_graph *gr, const char *fmt, ...)
{
	struct gi_str s = {0};
	va_list ap;

	va_start(ap, fmt);
	gi_str_vprintf(&s, fmt, ap);
	va_end(ap);
	const char *copy = gi_arena_strdup(gr->arena, gi_str_cstr(&s));
	gi_str_deinit(&s);
	return copy ? copy : "";
}

bool gi_object_kind_is_lock(enum gi_object_kind kind)
{
	return kind == GI_OBJECT_MUTEX || kind == GI_OBJECT_RWMUTEX || kind == GI_OBJECT_ONCE;
}

struct gi_error *gi_graph_add_edge(struct gi_graph *gr, const struct gi_edge *e)
{
	struct gi_error *err =
		gi_grow(&gr->edges, &gr->edge_cap, gr->edge_count + 1, sizeof(*gr->edges));

	if (!err)
		gr->edges[gr->edge_count++] = *e;
	return err;
}

struct gi_error *gi_graph_add_verdict(struct gi_graph *gr, const struct gi_verdict *v, size_t *ret)
{
	struct gi_error *err = gi_grow(&gr->verdicts, &gr->verdict_cap, gr->verdict_count + 1,
				       sizeof(*gr->verdicts));

	if (err)
		return err;
	*ret = gr->verdict_count;
	gr->verdicts[gr->verdict_count++] = *v;
	return NULL;
}

bool gi_graph_waits_alike(const struct gi_graph *gr, const struct gi_waiter *x, uint32_t g)
{
	size_t i = gr->g_first[g];

	if (!i)
		return false;
	for (; i <= gr->waiter_count && gr->waiters[i - 1].g == g; i++) {
		const struct gi_waiter *y = &gr->waiters[i - 1];
		if (y->object != x->object ||
		    (y->role != x->role && !gi_object_kind_is_lock(gr->objects[x->object].kind)))
			return false;
	}
	return true;
}

const char *gi_object_kind_type(enum gi_object_kind kind)
{
	switch (kind) {
	case GI_OBJECT_MUTEX:
		return "sync.Mutex";
	case GI_OBJECT_RWMUTEX:
		return "sync.RWMutex";
	case GI_OBJECT_WAITGROUP:
		return "sync.WaitGroup";
	case GI_OBJECT_COND:
		return "sync.Cond";
	case GI_OBJECT_ONCE:
		return "sync.Once";
	default:
		return NULL;
	}
}

static const char *name_of(struct gi_graph *gr, enum gi_object_kind kind, uint64_t addr)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	const char *copy = NULL;

	if (addr && kind != GI_OBJECT_CHANNEL && gi_go_name_at(gr->go, addr, gi_object_kind_type(kind), &name))
		copy = gi_arena_strdup(gr->arena, gi_str_cstr(&name));
	return copy ? copy : "";
}

static uint64_t object_key(enum gi_object_kind kind, uint64_t addr)
{
	return addr ^ (uint64_t)kind << 57;
}

bool gi_graph_has_object(const struct gi_graph *gr, enum gi_object_kind kind, uint64_t addr,
			 uint32_t *ret)
{
	uint64_t at;

	if (!gi_map_get(&gr->object_index, object_key(kind, addr), &at))
		return false;
	*ret = (uint32_t)at;
	return true;
}

struct gi_error *gi_graph_add_object(struct gi_graph *gr, enum gi_object_kind kind, uint64_t addr,
				     uint32_t *ret)
{
	uint64_t key = object_key(kind, addr), at;
	struct gi_error *err;

	if (gi_map_get(&gr->object_index, key, &at)) {
		*ret = (uint32_t)at;
		return NULL;
	}
	size_t n = gr->object_count;
	err = gi_grow(&gr->objects, &gr->object_cap, n + 1, sizeof(*gr->objects));
	if (!err)
		err = gi_grow(&gr->object_first, &gr->object_first_cap, n + 1,
			      sizeof(*gr->object_first));
	if (!err)
		err = gi_grow(&gr->object_waiters, &gr->object_waiters_cap, n + 1,
			      sizeof(*gr->object_waiters));
	if (!err)
		err = gi_map_put(&gr->object_index, key, n);
	if (err)
		return err;
	gr->objects[n] =
		(struct gi_object){.kind = kind, .addr = addr, .name = name_of(gr, kind, addr)};
	gr->object_first[n] = 0;
	gr->object_waiters[n] = 0;
	gr->object_count++;
	*ret = (uint32_t)n;
	return NULL;
}

struct gi_error *gi_graph_add_waiter(struct gi_graph *gr, uint32_t g, uint32_t object,
				     enum gi_wait_role role, bool in_select, uint64_t sema,
				     bool pending_writer)
{
	size_t n = gr->waiter_count;
	struct gi_error *err = gi_grow(&gr->waiters, &gr->waiter_cap, n + 1, sizeof(*gr->waiters));

	if (!err)
		err = gi_grow(&gr->infos, &gr->info_cap, n + 1, sizeof(*gr->infos));
	if (err)
		return err;
	gr->waiters[n] =
		(struct gi_waiter){.g = g, .role = role, .object = object, .in_select = in_select};
	gr->infos[n] = (struct gi_wait_info){
		.sema = sema, .pending_writer = pending_writer, .next = gr->object_first[object]};
	gr->object_first[object] = (uint32_t)n + 1;
	gr->object_waiters[object]++;
	if (!gr->g_first[g])
		gr->g_first[g] = (uint32_t)n + 1;
	gr->waiter_count++;
	return NULL;
}

// --- building ---------------------------------------------------------------------------

struct gi_error *gi_graph_build(struct gi_go *go, struct gi_graph **ret)
{
	_cleanup_(gi_graph_destroyp) struct gi_graph *gr = calloc(1, sizeof(*gr));

	if (!gr)
		return gi_error_nomem();
	gr->go = go;
	gr->node_count = gi_go_g_count(go) + gi_target_thread_count(gi_go_target(go));
	struct gi_error *err = gi_arena_create(&gr->arena);
	if (!err)
		err = gi_unwinder_create(go, &gr->u);
	if (!err)
		err = gi_wait_env_init(&gr->env, go);
	if (!err)
		err = gi_graph_find_c_waits(gr);
	if (!err)
		err = gi_graph_find_waits(gr);
	if (!err)
		err = gi_graph_find_holds(gr);
	if (!err)
		err = gi_graph_make_edges(gr);
	if (!err)
		err = gi_graph_make_c_edges(gr);
	if (!err)
		err = gi_graph_judge(gr, false);
	if (!err)
		err = gi_graph_prove(gr);
	if (!err)
		err = gi_graph_judge(gr, true);
	if (!err)
		err = gi_graph_name_objects(gr);
	if (!err)
		err = gi_graph_find_breakers(gr);
	if (err)
		return err;
	*ret = gr;
	gr = NULL;
	return NULL;
}

void gi_graph_destroy(struct gi_graph *gr)
{
	if (!gr)
		return;
	gi_wait_env_deinit(&gr->env);
	gi_pthreads_destroy(gr->pthreads);
	free(gr->c_waits);
	gi_unwinder_destroy(gr->u);
	gi_map_deinit(&gr->object_index);
	gi_map_deinit(&gr->named);
	free(gr->objects);
	free(gr->object_first);
	free(gr->object_waiters);
	free(gr->waiters);
	free(gr->infos);
	free(gr->g_first);
	free(gr->holds);
	free(gr->edges);
	free(gr->verdicts);
	free(gr->g_verdict);
	free(gr->dead);
	free(gr->notes);
	gi_arena_destroy(gr->arena);
	free(gr);
}

bool gi_graph_node_thread(const struct gi_go *go, uint32_t node, size_t *ret)
{
	const size_t n = gi_go_g_count(go);

	if (node < n)
		return false;
	*ret = node - n;
	return true;
}

struct gi_error *gi_graph_sort_edges(struct gi_graph *gr)
{
	size_t n = gr->node_count, count = gr->edge_count;
	_cleanup_(gi_freep) size_t *at = calloc(n + 2, sizeof(*at));
	struct gi_edge *sorted = malloc((count + 1) * sizeof(*sorted));

	if (!at || !sorted) {
		free(sorted);
		return gi_error_nomem();
	}
	for (size_t i = 0; i < count; i++)
		at[gr->edges[i].from + 1]++;
	for (size_t i = 1; i <= n; i++)
		at[i] += at[i - 1];
	for (size_t i = 0; i < count; i++)
		sorted[at[gr->edges[i].from]++] = gr->edges[i];
	free(gr->edges);
	gr->edges = sorted;
	gr->edge_cap = count + 1;
	return NULL;
}

// --- asking -----------------------------------------------------------------------------

size_t gi_graph_object_count(const struct gi_graph *gr)
{
	return gr->object_count;
}

const struct gi_object *gi_graph_object(const struct gi_graph *gr, size_t i)
{
	return i < gr->object_count ? &gr->objects[i] : NULL;
}

size_t gi_graph_waiter_count(const struct gi_graph *gr)
{
	return gr->waiter_count;
}

const struct gi_waiter *gi_graph_waiter(const struct gi_graph *gr, size_t i)
{
	return i < gr->waiter_count ? &gr->waiters[i] : NULL;
}

const struct gi_waiter *gi_graph_wait_of(const struct gi_graph *gr, uint32_t g)
{
	return g < gr->node_count && gr->g_first[g] ? &gr->waiters[gr->g_first[g] - 1] : NULL;
}

bool gi_graph_verdict_of(const struct gi_graph *gr, uint32_t g, size_t *ret)
{
	if (!gr->g_verdict || g >= gr->node_count || !gr->g_verdict[g])
		return false;
	*ret = gr->g_verdict[g] - 1;
	return true;
}

size_t gi_graph_edge_count(const struct gi_graph *gr)
{
	return gr->edge_count;
}

const struct gi_edge *gi_graph_edge(const struct gi_graph *gr, size_t i)
{
	return i < gr->edge_count ? &gr->edges[i] : NULL;
}

size_t gi_graph_verdict_count(const struct gi_graph *gr)
{
	return gr->verdict_count;
}

const struct gi_verdict *gi_graph_verdict(const struct gi_graph *gr, size_t i)
{
	return i < gr->verdict_count ? &gr->verdicts[i] : NULL;
}

size_t gi_graph_stuck_count(const struct gi_graph *gr)
{
	return gr->stuck_count;
}

size_t gi_graph_cycle_count(const struct gi_graph *gr)
{
	return gr->cycle_count;
}

size_t gi_graph_note_count(const struct gi_graph *gr)
{
	return gr->note_count;
}

const char *gi_graph_note(const struct gi_graph *gr, size_t i)
{
	return i < gr->note_count ? gr->notes[i] : NULL;
}

const struct gi_pthread_wait *gi_graph_pthread_wait(const struct gi_graph *gr, size_t thread)
{
	return thread < gr->node_count - gi_go_g_count(gr->go) && gr->c_waits[thread].waits
		       ? &gr->c_waits[thread].w
		       : NULL;
}

static uint64_t object_size(const struct gi_graph *gr, const struct gi_object *o)
{
	const struct gi_sync_layout *l = &gr->env.sync;

	switch (o->kind) {
	case GI_OBJECT_MUTEX:
		return l->mutex_size;
	case GI_OBJECT_RWMUTEX:
		return l->rwmutex_size;
	case GI_OBJECT_WAITGROUP:
		return l->waitgroup_size;
	case GI_OBJECT_ONCE:
		return l->once_size;
	case GI_OBJECT_COND:
		return l->cond_size;
	case GI_OBJECT_PTHREAD_MUTEX:
		return 40;
	case GI_OBJECT_PTHREAD_RWLOCK:
		return 56;
	case GI_OBJECT_PTHREAD_COND:
		return 48;
	case GI_OBJECT_PTHREAD_SEMAPHORE:
		return 32;
	default:
		return 4;
	}
}

bool gi_graph_find_object(const struct gi_graph *gr, uint64_t addr, size_t *ret)
{
	bool found = false;

	for (size_t i = 0; i < gr->object_count; i++) {
		const struct gi_object *o = &gr->objects[i];
		if (!o->addr || addr < o->addr)
			continue;
		if (addr == o->addr || addr == o->sema) {
			*ret = i;
			return true;
		}
		if (addr - o->addr < object_size(gr, o)) {
			*ret = i;
			found = true;
		}
	}
	return found;
}

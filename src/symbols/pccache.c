// A cache of what is known of a pc.
//
// Stacks of many goroutines share few pcs: a hundred thousand goroutines of a service
// stand at some dozens of places. Each pc is decoded once; results live in an arena,
// found by a hash of (pc, is_call). That no function holds a pc is remembered, too.

#include <stdlib.h>
#include <string.h>

#include "symbols_impl.h"

struct gi_pccache {
	const struct gi_functab *ft;
	struct gi_arena *arena;
	struct gi_map map; // pc * 2 + is_call -> struct gi_pcinfo *, 0: nothing there
};

struct gi_error *gi_pccache_create(const struct gi_functab *ft, struct gi_pccache **ret)
{
	struct gi_pccache *c = calloc(1, sizeof(*c));
	if (!c)
		return gi_error_nomem();
	struct gi_error *err = gi_arena_create(&c->arena);
	if (err) {
		free(c);
		return err;
	}
	c->ft = ft;
	*ret = c;
	return NULL;
}

void gi_pccache_destroy(struct gi_pccache *c)
{
	if (!c)
		return;
	gi_map_deinit(&c->map);
	gi_arena_destroy(c->arena);
	free(c);
}

static struct gi_pcinfo *pcinfo_make(struct gi_pccache *c, uint64_t pc, bool is_call)
{
	struct gi_func f;
	// The runtime looks a return address up as it is, too; only behind the last
	// function would that find nothing.
	if (!gi_functab_find(c->ft, pc, &f)) {
		if (!is_call || !pc || !gi_functab_find(c->ft, pc - 1, &f))
			return NULL;
	}
	struct gi_pcinfo *info = gi_arena_alloc(c->arena, sizeof(*info));
	if (!info)
		return NULL;
	info->func = f;
	uint64_t sp_pc = pc < f.end ? pc : pc - 1;
	info->has_spdelta = gi_func_spdelta(&f, sp_pc, &info->spdelta);

	// At a function's very entry there is no call behind us.
	uint64_t line_pc = is_call && pc > f.entry ? pc - 1 : pc;
	struct gi_call calls[GI_MAX_INLINE];
	size_t n = gi_func_calls(&f, line_pc, calls, GI_MAX_INLINE);
	struct gi_call *copy = gi_arena_alloc(c->arena, n * sizeof(*copy));
	if (!copy)
		return NULL;
	memcpy(copy, calls, n * sizeof(*copy));
	info->calls = copy;
	info->call_count = n;
	return info;
}

const struct gi_pcinfo *gi_pccache_get(struct gi_pccache *c, uint64_t pc, bool is_call)
{
	// Addresses have 57 bits at most: nothing is lost by the shift.
	if (pc >> 63)
		return NULL;
	uint64_t key = pc << 1 | is_call;
	uint64_t value;
	if (gi_map_get(&c->map, key, &value))
		return (const struct gi_pcinfo *)(uintptr_t)value;
	struct gi_pcinfo *info = pcinfo_make(c, pc, is_call);
	// Without memory for the entry it is only slower next time.
	gi_error_ignore(gi_map_put(&c->map, key, (uint64_t)(uintptr_t)info));
	return info;
}

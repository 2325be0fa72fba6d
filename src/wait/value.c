// Symbolic values, hash-consed: a value is made once, so that comparing numbers compares
// values. Constants and addresses in the frame are folded.

#include "wait/value.h"

#include <stdlib.h>
#include <string.h>

void gi_values_deinit(struct gi_values *vs)
{
	free(vs->nodes);
	free(vs->next);
	gi_map_deinit(&vs->index);
	memset(vs, 0, sizeof(*vs));
}

const struct gi_value_node *gi_value_node(const struct gi_values *vs, gi_value v)
{
	static const struct gi_value_node none;

	return v && v < vs->count ? &vs->nodes[v] : &none;
}

static uint64_t hash_node(const struct gi_value_node *n)
{
	uint64_t h = (uint64_t)n->kind << 56 ^ (uint64_t)n->reg << 48 ^ n->site;

	h = (h ^ h >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	h ^= (uint64_t)n->base << 32 | n->base;
	h = (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	h ^= (uint64_t)n->off;
	return (h ^ h >> 32) * UINT64_C(0x94d049bb133111eb);
}

static struct gi_error *add_node(struct gi_values *vs, const struct gi_value_node *n, uint64_t h,
				 uint64_t older, gi_value *ret)
{
	struct gi_error *err;

	if (!vs->count) {
		err = gi_grow(&vs->nodes, &vs->cap, 64, sizeof(*vs->nodes));
		if (err)
			return err;
		memset(&vs->nodes[0], 0, sizeof(vs->nodes[0]));
		vs->count = 1;
	}
	err = gi_grow(&vs->nodes, &vs->cap, vs->count + 1, sizeof(*vs->nodes));
	if (err)
		return err;
	err = gi_grow(&vs->next, &vs->next_cap, vs->count + 1, sizeof(*vs->next));
	if (err)
		return err;
	err = gi_map_put(&vs->index, h, vs->count);
	if (err)
		return err;
	vs->nodes[vs->count] = *n;
	vs->next[vs->count] = (uint32_t)older;
	*ret = (gi_value)vs->count++;
	return NULL;
}

static gi_value make(struct gi_values *vs, struct gi_value_node n)
{
	uint64_t h = hash_node(&n), older = 0;

	if (vs->oom || vs->count >= GI_VALUE_MAX)
		return 0;
	if (gi_map_get(&vs->index, h, &older)) {
		for (gi_value v = (gi_value)older; v; v = vs->next[v]) {
			const struct gi_value_node *o = &vs->nodes[v];
			if (o->kind == n.kind && o->reg == n.reg && o->base == n.base &&
			    o->site == n.site && o->off == n.off)
				return v;
		}
	}
	gi_value v = 0;
	struct gi_error *err = add_node(vs, &n, h, older, &v);
	if (err) {
		gi_error_ignore(err);
		vs->oom = true;
		return 0;
	}
	if (n.kind == GI_V_ADD || n.kind == GI_V_LOAD) {
		vs->nodes[v].root = vs->nodes[n.base].root;
		vs->nodes[v].depth = (uint8_t)(vs->nodes[n.base].depth + 1);
	} else {
		vs->nodes[v].root = v;
	}
	if (n.kind == GI_V_SUM)
		vs->nodes[v].depth =
			(uint8_t)(1 + gi_max_u64(vs->nodes[n.base].depth, vs->nodes[n.site].depth));
	return v;
}

gi_value gi_value_const(struct gi_values *vs, uint64_t c)
{
	return make(vs, (struct gi_value_node){.kind = GI_V_CONST, .off = (int64_t)c});
}

gi_value gi_value_frame(struct gi_values *vs, int64_t off)
{
	return make(vs, (struct gi_value_node){.kind = GI_V_FRAME, .off = off});
}

gi_value gi_value_entry(struct gi_values *vs, unsigned reg)
{
	return make(vs, (struct gi_value_node){.kind = GI_V_ENTRY, .reg = (uint8_t)reg});
}

gi_value gi_value_def(struct gi_values *vs, uint32_t site, int64_t place)
{
	return make(vs, (struct gi_value_node){.kind = GI_V_DEF, .site = site, .off = place});
}

gi_value gi_value_phi(struct gi_values *vs, uint32_t block, int64_t place)
{
	return make(vs, (struct gi_value_node){.kind = GI_V_PHI, .site = block, .off = place});
}

gi_value gi_value_try(struct gi_values *vs, uint32_t site, gi_value lock, unsigned kind)
{
	return make(vs,
		    (struct gi_value_node){
			    .kind = GI_V_TRY, .site = site, .base = lock, .reg = (uint8_t)kind});
}

gi_value gi_value_add(struct gi_values *vs, gi_value v, int64_t off)
{
	const struct gi_value_node n = *gi_value_node(vs, v);

	if (!off)
		return v;
	// Wrapping: addresses of a hostile file may be anything.
	int64_t sum = (int64_t)((uint64_t)n.off + (uint64_t)off);
	switch ((enum gi_value_kind)n.kind) {
	case GI_V_NONE:
	case GI_V_TRY:
		return 0;
	case GI_V_CONST:
		return gi_value_const(vs, (uint64_t)sum);
	case GI_V_FRAME:
		return gi_value_frame(vs, sum);
	case GI_V_ADD:
		if (!sum)
			return n.base;
		return make(vs,
			    (struct gi_value_node){.kind = GI_V_ADD, .base = n.base, .off = sum});
	case GI_V_ENTRY:
	case GI_V_DEF:
	case GI_V_PHI:
	case GI_V_LOAD:
	case GI_V_SUM:
		break;
	}
	if (n.depth >= GI_VALUE_MAX_DEPTH)
		return 0;
	return make(vs, (struct gi_value_node){.kind = GI_V_ADD, .base = v, .off = off});
}

gi_value gi_value_load(struct gi_values *vs, gi_value v, int64_t off)
{
	int64_t split = 0;
	gi_value base = gi_value_split(vs, v, &split);
	const struct gi_value_node *n = gi_value_node(vs, base);

	if (!base || n->kind == GI_V_TRY || n->depth >= GI_VALUE_MAX_DEPTH)
		return 0;
	return make(vs, (struct gi_value_node){.kind = GI_V_LOAD,
					       .base = base,
					       .off = (int64_t)((uint64_t)split + (uint64_t)off)});
}

gi_value gi_value_sum(struct gi_values *vs, gi_value base, gi_value index, unsigned scale)
{
	const struct gi_value_node *b = gi_value_node(vs, base), *i = gi_value_node(vs, index);

	if (!base || !index || b->kind == GI_V_TRY || i->kind == GI_V_TRY ||
	    b->depth >= GI_VALUE_MAX_DEPTH || i->depth >= GI_VALUE_MAX_DEPTH)
		return 0;
	if (i->kind == GI_V_CONST)
		return gi_value_add(vs, base, (int64_t)((uint64_t)i->off * scale));
	return make(vs,
		    (struct gi_value_node){
			    .kind = GI_V_SUM, .base = base, .site = index, .reg = (uint8_t)scale});
}

bool gi_value_any_root(const struct gi_values *vs, gi_value v, gi_value_fn fn, void *arg)
{
	const struct gi_value_node *n = gi_value_node(vs, gi_value_root(vs, v));

	// The depth of chains bounds this.
	if (n->kind == GI_V_SUM)
		return gi_value_any_root(vs, n->base, fn, arg) ||
		       gi_value_any_root(vs, n->site, fn, arg);
	if (n->kind == GI_V_TRY && gi_value_any_root(vs, n->base, fn, arg))
		return true;
	return n->root && fn(arg, n->root);
}

gi_value gi_value_root(const struct gi_values *vs, gi_value v)
{
	return gi_value_node(vs, v)->root;
}

bool gi_value_is_const(const struct gi_values *vs, gi_value v, uint64_t *ret)
{
	const struct gi_value_node *n = gi_value_node(vs, v);

	if (n->kind != GI_V_CONST)
		return false;
	*ret = (uint64_t)n->off;
	return true;
}

gi_value gi_value_split(const struct gi_values *vs, gi_value v, int64_t *off_ret)
{
	const struct gi_value_node *n = gi_value_node(vs, v);

	if (n->kind == GI_V_ADD) {
		*off_ret = n->off;
		return n->base;
	}
	*off_ret = 0;
	return v;
}

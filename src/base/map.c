// A hash map of integers: linear probing, at most 3/4 full, keys are mixed first
// because addresses share their low and high bits.

#include "gcore/base.h"

#include <stdlib.h>

struct gi_map_slot {
	uint64_t key; // 0: free
	uint64_t value;
};

enum { MAP_FIRST = 64 };

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 29;
	return x;
}

void gi_map_deinit(struct gi_map *m)
{
	if (!m)
		return;
	free(m->slots);
	*m = (struct gi_map){ 0 };
}

static struct gi_map_slot *map_find(struct gi_map_slot *slots, size_t cap, uint64_t key)
{
	size_t i = mix(key) & (cap - 1);
	while (slots[i].key && slots[i].key != key)
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

struct gi_error *gi_map_put(struct gi_map *m, uint64_t key, uint64_t value)
{
	if (!key) {
		m->len += !m->has_zero;
		m->has_zero = true;
		m->zero_value = value;
		return NULL;
	}
	if (m->len >= m->cap / 4 * 3) {
		size_t cap = m->cap ? m->cap * 2 : MAP_FIRST;
		struct gi_map_slot *slots = calloc(cap, sizeof(*slots));
		if (!slots)
			return gi_error_nomem();
		for (size_t i = 0; i < m->cap; i++) {
			if (m->slots[i].key)
				*map_find(slots, cap, m->slots[i].key) = m->slots[i];
		}
		free(m->slots);
		m->slots = slots;
		m->cap = cap;
	}
	struct gi_map_slot *slot = map_find(m->slots, m->cap, key);
	m->len += !slot->key;
	slot->key = key;
	slot->value = value;
	return NULL;
}

bool gi_map_get(const struct gi_map *m, uint64_t key, uint64_t *ret)
{
	if (!key) {
		if (m->has_zero)
			*ret = m->zero_value;
		return m->has_zero;
	}
	if (!m->cap)
		return false;
	const struct gi_map_slot *slot = map_find(m->slots, m->cap, key);
	if (!slot->key)
		return false;
	*ret = slot->value;
	return true;
}

bool gi_map_at(const struct gi_map *m, size_t i, uint64_t *key_ret, uint64_t *ret)
{
	if (i >= m->cap || !m->slots[i].key)
		return false;
	*key_ret = m->slots[i].key;
	*ret = m->slots[i].value;
	return true;
}

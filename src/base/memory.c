// Growing arrays and arenas.
//
// An arena is a chain of blocks; an allocation larger than a quarter block gets
// a block of its own, so that the current block is not wasted on it.

#include "gcore/base.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 64 * 1024, ARENA_ALIGN = 16, GROW_FIRST = 16 };

struct arena_block {
	struct arena_block *next;
	size_t size;
	size_t used;
	_Alignas(ARENA_ALIGN) unsigned char data[];
};

struct gi_arena {
	struct arena_block *head; // the block that small allocations come from
};

void gi_freep(void *p)
{
	void **pp = p;
	free(*pp);
}

struct gi_error *gi_grow(void *ptr, size_t *cap, size_t need, size_t elem_size)
{
	void **pp = ptr;
	if (need <= *cap)
		return NULL;
	size_t n = *cap ? *cap : GROW_FIRST;
	while (n < need) {
		if (n > SIZE_MAX / 2)
			return gi_error_nomem();
		n *= 2;
	}
	if (n > SIZE_MAX / elem_size)
		return gi_error_nomem();
	void *p = realloc(*pp, n * elem_size);
	if (!p)
		return gi_error_nomem();
	*pp = p;
	*cap = n;
	return NULL;
}

static struct arena_block *block_new(size_t size)
{
	if (size > SIZE_MAX - sizeof(struct arena_block))
		return NULL;
	struct arena_block *b = malloc(sizeof(*b) + size);
	if (!b)
		return NULL;
	b->next = NULL;
	b->size = size;
	b->used = 0;
	return b;
}

struct gi_error *gi_arena_create(struct gi_arena **ret)
{
	struct gi_arena *a = calloc(1, sizeof(*a));
	if (!a)
		return gi_error_nomem();
	*ret = a;
	return NULL;
}

void gi_arena_destroy(struct gi_arena *a)
{
	if (!a)
		return;
	struct arena_block *b = a->head;
	while (b) {
		struct arena_block *next = b->next;
		free(b);
		b = next;
	}
	free(a);
}

void gi_arena_reset(struct gi_arena *a)
{
	struct arena_block *keep = NULL, *b = a->head;
	while (b) {
		struct arena_block *next = b->next;
		if (!keep && b->size == ARENA_BLOCK) {
			keep = b;
			keep->used = 0;
		} else {
			free(b);
		}
		b = next;
	}
	if (keep)
		keep->next = NULL;
	a->head = keep;
}

void *gi_arena_alloc(struct gi_arena *a, size_t n)
{
	if (n > SIZE_MAX - ARENA_ALIGN)
		return NULL;
	n = (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	struct arena_block *b = a->head;
	if (!b || n > b->size - b->used) {
		bool own = n > ARENA_BLOCK / 4;
		b = block_new(own ? n : ARENA_BLOCK);
		if (!b)
			return NULL;
		if (own && a->head) {
			b->next = a->head->next;
			a->head->next = b;
		} else {
			b->next = a->head;
			a->head = b;
		}
	}
	void *p = b->data + b->used;
	b->used += n;
	memset(p, 0, n);
	return p;
}

char *gi_arena_strndup(struct gi_arena *a, const char *s, size_t n)
{
	if (n == SIZE_MAX)
		return NULL;
	char *p = gi_arena_alloc(a, n + 1);
	if (p)
		memcpy(p, s, n);
	return p;
}

char *gi_arena_strdup(struct gi_arena *a, const char *s)
{
	return gi_arena_strndup(a, s, strlen(s));
}

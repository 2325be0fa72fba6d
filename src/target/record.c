// What was read of a target: a bitmap of lines of 64 bytes, in chunks that a map finds.
//
// Views are noted as long as they are: who takes a view of a whole stack is thought to read
// all of it. Reads that fail are not noted. Stacks are read by several threads at once, so that
// a lock guards the bitmap; the last chunk is at hand, as neighbours are mostly read next.

#include "gcore/record.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "target/target_impl.h"

enum { CHUNK_SHIFT = 18, LINES = (1 << CHUNK_SHIFT) / GI_RECORD_LINE, ELFS_MAX = 4096, ANSWERS_MAX = 16 };
#define CHUNK_SIZE ((uint64_t)1 << CHUNK_SHIFT)

struct chunk {
	uint64_t base;
	uint64_t bits[LINES / 64];
};

struct answer {
	char *name;
	uint8_t *data;
	size_t n;
};

struct gi_record {
	struct gi_target *t; // NULL: it was stopped
	pthread_mutex_t lock;
	atomic_int paused;
	struct gi_map index; // base to 1 + index into chunks
	struct chunk **chunks;
	size_t chunk_count, chunk_cap;
	struct chunk *last;
	const struct gi_elf **elfs;
	size_t elf_count, elf_cap;
	struct answer answers[ANSWERS_MAX];
	size_t answer_count;
	struct gi_error *err;
};

struct gi_error *gi_record_start(struct gi_target *t, struct gi_record **ret)
{
	if (t->record)
		return gi_error_create(GI_ERR_USAGE, "what is read of this target is being recorded already");
	struct gi_record *r = calloc(1, sizeof(*r));
	if (!r)
		return gi_error_nomem();
	pthread_mutex_init(&r->lock, NULL);
	r->t = t;
	t->record = r;
	*ret = r;
	return NULL;
}

void gi_record_stop(struct gi_record *r)
{
	if (r->t)
		r->t->record = NULL;
	r->t = NULL;
}

void gi_record_destroy(struct gi_record *r)
{
	if (!r)
		return;
	gi_record_stop(r);
	for (size_t i = 0; i < r->chunk_count; i++)
		free(r->chunks[i]);
	for (size_t i = 0; i < r->answer_count; i++) {
		free(r->answers[i].name);
		free(r->answers[i].data);
	}
	free(r->chunks);
	free(r->elfs);
	gi_map_deinit(&r->index);
	gi_error_free(r->err);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static struct chunk *find_chunk(struct gi_record *r, uint64_t base)
{
	uint64_t at;
	if (r->last && r->last->base == base)
		return r->last;
	if (!gi_map_get(&r->index, base, &at))
		return NULL;
	r->last = r->chunks[at - 1];
	return r->last;
}

static struct gi_error *make_chunk(struct gi_record *r, uint64_t base, struct chunk **ret)
{
	struct gi_error *err = gi_grow(&r->chunks, &r->chunk_cap, r->chunk_count + 1, sizeof(*r->chunks));
	if (err)
		return err;
	struct chunk *c = calloc(1, sizeof(*c));
	if (!c)
		return gi_error_nomem();
	c->base = base;
	err = gi_map_put(&r->index, base, r->chunk_count + 1);
	if (err) {
		free(c);
		return err;
	}
	r->chunks[r->chunk_count++] = c;
	*ret = r->last = c;
	return NULL;
}

static void set_lines(struct chunk *c, size_t first, size_t last)
{
	for (size_t i = first; i <= last;) {
		if (i % 64 == 0 && last - i >= 63) {
			c->bits[i / 64] = UINT64_MAX;
			i += 64;
		} else {
			c->bits[i / 64] |= UINT64_C(1) << (i % 64);
			i++;
		}
	}
}

static void add_locked(struct gi_record *r, uint64_t addr, uint64_t last)
{
	for (uint64_t at = addr;;) {
		uint64_t base = at & ~(CHUNK_SIZE - 1);
		uint64_t end = gi_min_u64(last, base + (CHUNK_SIZE - 1));
		struct chunk *c = find_chunk(r, base);
		if (!c) {
			r->err = make_chunk(r, base, &c);
			if (r->err)
				return;
		}
		set_lines(c, (size_t)(at - base) / GI_RECORD_LINE, (size_t)(end - base) / GI_RECORD_LINE);
		if (end == last)
			return;
		at = end + 1;
	}
}

static void add_lines(struct gi_record *r, uint64_t addr, uint64_t n)
{
	if (!n)
		return;
	pthread_mutex_lock(&r->lock);
	if (!r->err)
		add_locked(r, addr, n - 1 > UINT64_MAX - addr ? UINT64_MAX : addr + (n - 1));
	pthread_mutex_unlock(&r->lock);
}

void gi_record_add(struct gi_record *r, uint64_t addr, uint64_t n)
{
	if (!atomic_load_explicit(&r->paused, memory_order_relaxed))
		add_lines(r, addr, n);
}

bool gi_record_has(struct gi_record *r, uint64_t addr)
{
	pthread_mutex_lock(&r->lock);
	struct chunk *c = find_chunk(r, addr & ~(CHUNK_SIZE - 1));
	size_t line = (size_t)(addr & (CHUNK_SIZE - 1)) / GI_RECORD_LINE;
	bool has = c && c->bits[line / 64] >> (line % 64) & 1;
	pthread_mutex_unlock(&r->lock);
	return has;
}

void gi_record_add_elf(struct gi_record *r, const struct gi_elf *elf)
{
	pthread_mutex_lock(&r->lock);
	bool known = r->err != NULL || r->elf_count >= ELFS_MAX;
	for (size_t i = 0; !known && i < r->elf_count; i++)
		known = r->elfs[i] == elf;
	if (!known) {
		r->err = gi_grow(&r->elfs, &r->elf_cap, r->elf_count + 1, sizeof(*r->elfs));
		if (!r->err)
			r->elfs[r->elf_count++] = elf;
	}
	pthread_mutex_unlock(&r->lock);
}

bool gi_record_has_elf(const struct gi_record *r, const struct gi_elf *elf)
{
	for (size_t i = 0; i < r->elf_count; i++) {
		if (r->elfs[i] == elf)
			return true;
	}
	return false;
}

// --- what came of it ----------------------------------------------------------

struct runs {
	struct gi_record_run *v;
	size_t n, cap;
	uint64_t gap;
};

static struct gi_error *runs_add(struct runs *l, uint64_t start, uint64_t end)
{
	if (l->n && start - l->v[l->n - 1].end <= l->gap) {
		l->v[l->n - 1].end = end;
		return NULL;
	}
	struct gi_error *err = gi_grow(&l->v, &l->cap, l->n + 1, sizeof(*l->v));
	if (!err)
		l->v[l->n++] = (struct gi_record_run){ start, end };
	return err;
}

static int chunk_cmp(const void *a, const void *b)
{
	const struct chunk *x = *(struct chunk *const *)a, *y = *(struct chunk *const *)b;
	return x->base < y->base ? -1 : x->base > y->base;
}

static struct gi_error *runs_of_chunk(struct runs *l, const struct chunk *c)
{
	for (size_t i = 0; i < LINES;) {
		if (!c->bits[i / 64]) {
			i = (i / 64 + 1) * 64;
			continue;
		}
		size_t from = i;
		while (i < LINES && c->bits[i / 64] >> (i % 64) & 1)
			i++;
		if (i == from) {
			i++;
			continue;
		}
		struct gi_error *err = runs_add(l, c->base + from * GI_RECORD_LINE,
						c->base + i * GI_RECORD_LINE);
		if (err)
			return err;
	}
	return NULL;
}

struct gi_error *gi_record_runs(struct gi_record *r, uint64_t gap, struct gi_record_run **ret,
				size_t *count_ret)
{
	struct runs l = { .gap = gap };
	struct gi_error *err = r->err;
	r->err = NULL;
	// The list is sorted apart: the index keeps its order.
	_cleanup_(gi_freep) struct chunk **sorted = malloc((r->chunk_count + 1) * sizeof(*sorted));
	if (!err && !sorted)
		err = gi_error_nomem();
	if (!err && r->chunk_count) {
		memcpy(sorted, r->chunks, r->chunk_count * sizeof(*sorted));
		qsort(sorted, r->chunk_count, sizeof(*sorted), chunk_cmp);
	}
	for (size_t i = 0; !err && i < r->chunk_count; i++)
		err = runs_of_chunk(&l, sorted[i]);
	if (err) {
		free(l.v);
		return err;
	}
	*ret = l.v;
	*count_ret = l.n;
	return NULL;
}

// --- answers --------------------------------------------------------------------

bool gi_target_recorded(const struct gi_target *t)
{
	return t->record != NULL;
}

void gi_target_record_pause(struct gi_target *t)
{
	if (t->record)
		atomic_fetch_add(&t->record->paused, 1);
}

void gi_target_record_resume(struct gi_target *t)
{
	if (t->record)
		atomic_fetch_sub(&t->record->paused, 1);
}

void gi_target_record_found(struct gi_target *t, uint64_t addr, uint64_t n)
{
	if (t->record)
		add_lines(t->record, addr, n);
}

static struct gi_error *put_answer(struct gi_target *t, const char *name, bool extend,
				   const void *data, size_t n)
{
	struct gi_record *r = t->record;
	if (!r)
		return NULL;
	size_t i = 0;
	while (i < r->answer_count && strcmp(r->answers[i].name, name) != 0)
		i++;
	if (i == ANSWERS_MAX)
		return gi_error_create(GI_ERR_USAGE, "there are more than %d answers to keep", ANSWERS_MAX);
	size_t before = extend && i < r->answer_count ? r->answers[i].n : 0;
	if (n > SIZE_MAX - 1 - before)
		return gi_error_nomem();
	struct answer made = { .name = strdup(name), .data = malloc(before + n + 1), .n = before + n };
	if (!made.name || !made.data) {
		free(made.name);
		free(made.data);
		return gi_error_nomem();
	}
	if (before)
		memcpy(made.data, r->answers[i].data, before);
	if (n)
		memcpy(made.data + before, data, n);
	if (i < r->answer_count) {
		free(r->answers[i].name);
		free(r->answers[i].data);
	} else {
		r->answer_count++;
	}
	r->answers[i] = made;
	return NULL;
}

struct gi_error *gi_target_keep_answer(struct gi_target *t, const char *name, const void *data,
				       size_t n)
{
	return put_answer(t, name, false, data, n);
}

struct gi_error *gi_target_extend_answer(struct gi_target *t, const char *name, const void *data,
					 size_t n)
{
	return put_answer(t, name, true, data, n);
}

const uint8_t *gi_target_answer(const struct gi_target *t, const char *name, size_t *n_ret)
{
	return t->ops->answer ? t->ops->answer(t, name, n_ret) : NULL;
}

size_t gi_record_answer_count(const struct gi_record *r)
{
	return r->answer_count;
}

struct gi_record_answer gi_record_answer(const struct gi_record *r, size_t i)
{
	return (struct gi_record_answer){ r->answers[i].name, r->answers[i].data, r->answers[i].n };
}

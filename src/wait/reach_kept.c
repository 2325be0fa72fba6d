// Keeping the answers of the reachability argument, and giving them again.
//
// While the target's reads are recorded, the argument's own are not (they are of the whole heap):
// what it answered is kept instead, by the addresses of goroutines, and a target that has such
// answers is never asked to argue. A goroutine that the kept answers do not know is taken for
// live, as always when nothing is proven.
//
// The answer: u32 kind, 0: no proof, a string says why; 1: u64 count, each u64 g, u8 live; u64 count,
// each u64 object, u32 holders in all, u32 holders here, these as u64 g.

#include "wait/reach_kept.h"

#include <stdlib.h>
#include <string.h>

#include "gcore/base.h"
#include "gcore/record.h"

enum { FAILED = 0, SOLVED = 1, WHY_MAX = 4096 };

struct gi_reach_kept {
	struct gi_go *go;
	const char *name; // of its answer
	const struct gi_reach_wait *waits;
	size_t wait_count;
	struct gi_reach *reach; // NULL: answers were kept

	// Kept answers: by g its index in waits + 1; the holders of an object, at an offset.
	struct gi_map wait_of;
	uint8_t *live;
	struct gi_map holders_of;
	const uint8_t *data; // borrowed of the target
	size_t size;

	// What is to be kept.
	struct gi_str holders;
	uint64_t object_count;
};

static void put_u32(struct gi_str *s, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		gi_str_putc(s, (char)(v >> 8 * i));
}

static void put_u64(struct gi_str *s, uint64_t v)
{
	put_u32(s, (uint32_t)v);
	put_u32(s, (uint32_t)(v >> 32));
}

static struct gi_error *keep_failure(const struct gi_reach_kept *k, const struct gi_error *why)
{
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	const char *text = gi_error_message(why);
	size_t n = strnlen(text, WHY_MAX);
	put_u32(&s, FAILED);
	put_u32(&s, (uint32_t)gi_error_code(why));
	put_u32(&s, (uint32_t)n);
	gi_str_putn(&s, text, n);
	return s.oom ? gi_error_nomem()
		     : gi_target_keep_answer(gi_go_target(k->go), k->name, s.s, s.len);
}

static struct gi_error *solve(struct gi_reach_kept *k)
{
	struct gi_target *t = gi_go_target(k->go);
	struct gi_heap *heap;
	// The heap's own tables are others' too: they are saved.
	struct gi_error *err = gi_go_heap(k->go, &heap);
	gi_error_ignore(err);
	gi_target_record_pause(t);
	err = gi_reach_solve(k->go, k->waits, k->wait_count, &k->reach);
	gi_target_record_resume(t);
	if (err && gi_target_recorded(t) && gi_error_code(err) != GI_ERR_INTERRUPTED &&
	    gi_error_code(err) != GI_ERR_NOMEM) {
		struct gi_error *failed = keep_failure(k, err);
		if (failed) {
			gi_error_ignore(err);
			return failed;
		}
	}
	return err;
}

static struct gi_error *damaged(void)
{
	return gi_error_create(GI_ERR_FORMAT, "what the mini dump says of that is damaged");
}

static struct gi_error *load_failure(struct gi_cursor *cur)
{
	uint32_t code = gi_cursor_u32(cur), n = gi_cursor_u32(cur);
	const char *text = gi_cursor_bytes(cur, n);
	if (!text || n > WHY_MAX)
		return damaged();
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	gi_str_put_escaped(&s, text, n);
	if (s.oom)
		return gi_error_nomem();
	// Whoever reads it tells only those two from the others.
	if (code == GI_ERR_INTERRUPTED || code == GI_ERR_NOMEM)
		code = GI_ERR_NOT_SAVED;
	return gi_error_create((enum gi_error_code)code, "%s", gi_str_cstr(&s));
}

static struct gi_error *load(struct gi_reach_kept *k)
{
	struct gi_cursor cur = gi_cursor_make(k->data, k->size);
	struct gi_map live = { 0 };
	struct gi_error *err = NULL;
	if (gi_cursor_u32(&cur) == FAILED)
		return load_failure(&cur);
	k->live = malloc(k->wait_count + 1);
	if (!k->live)
		return gi_error_nomem();
	uint64_t n = gi_cursor_u64(&cur);
	if (cur.bad || n > gi_cursor_left(&cur) / 9)
		return damaged();
	for (uint64_t i = 0; i < n && !err; i++) {
		uint64_t g = gi_cursor_u64(&cur);
		err = gi_map_put(&live, g, gi_cursor_u8(&cur) != 0);
	}
	for (size_t i = 0; i < k->wait_count && !err; i++) {
		uint64_t addr = gi_go_g(k->go, k->waits[i].g)->addr, v;
		k->live[i] = !gi_map_get(&live, addr, &v) || v;
		err = gi_map_put(&k->wait_of, addr, i + 1);
	}
	gi_map_deinit(&live);
	n = err ? 0 : gi_cursor_u64(&cur);
	for (uint64_t i = 0; i < n && !err; i++) {
		uint64_t object = gi_cursor_u64(&cur);
		err = gi_map_put(&k->holders_of, object, cur.off);
		gi_cursor_skip(&cur, 4);
		uint32_t here = gi_cursor_u32(&cur);
		gi_cursor_skip(&cur, (size_t)here * 8);
		if (!err && cur.bad)
			err = damaged();
	}
	return err;
}

struct gi_error *gi_reach_kept_solve(struct gi_go *go, const char *name,
				     const struct gi_reach_wait *waits, size_t n,
				     struct gi_reach_kept **ret)
{
	struct gi_reach_kept *k = calloc(1, sizeof(*k));
	if (!k)
		return gi_error_nomem();
	k->go = go;
	k->name = name;
	k->waits = waits;
	k->wait_count = n;
	k->data = gi_target_answer(gi_go_target(go), name, &k->size);
	struct gi_error *err;
	if (!k->data && gi_target_info(gi_go_target(go))->mini)
		err = gi_error_create(GI_ERR_NOT_SAVED, "this mini dump does not tell");
	else
		err = k->data ? load(k) : solve(k);
	if (err) {
		gi_reach_kept_destroy(k);
		return err;
	}
	*ret = k;
	return NULL;
}

void gi_reach_kept_destroy(struct gi_reach_kept *k)
{
	if (!k)
		return;
	gi_reach_destroy(k->reach);
	gi_map_deinit(&k->wait_of);
	gi_map_deinit(&k->holders_of);
	gi_str_deinit(&k->holders);
	free(k->live);
	free(k);
}

bool gi_reach_kept_is_live(const struct gi_reach_kept *k, size_t i)
{
	return k->reach ? gi_reach_is_live(k->reach, i) : k->live[i];
}

bool gi_reach_kept_from_globals(const struct gi_reach_kept *k, uint64_t object)
{
	return k->reach && gi_reach_from_globals(k->reach, object);
}

static void note_holders(struct gi_reach_kept *k, uint64_t object, const uint32_t *waits, size_t max,
			 size_t n)
{
	size_t here = n < max ? n : max;
	put_u64(&k->holders, object);
	put_u32(&k->holders, (uint32_t)n);
	put_u32(&k->holders, (uint32_t)here);
	for (size_t i = 0; i < here; i++)
		put_u64(&k->holders, gi_go_g(k->go, k->waits[waits[i]].g)->addr);
	k->object_count++;
}

struct gi_error *gi_reach_kept_holders(struct gi_reach_kept *k, uint64_t object, uint32_t *waits_ret,
				       size_t max, size_t *count_ret)
{
	struct gi_target *t = gi_go_target(k->go);
	uint64_t at, index;
	if (k->reach) {
		gi_target_record_pause(t);
		struct gi_error *err = gi_reach_holders(k->reach, object, waits_ret, max, count_ret);
		gi_target_record_resume(t);
		if (!err && gi_target_recorded(t))
			note_holders(k, object, waits_ret, max, *count_ret);
		return err;
	}
	*count_ret = 0;
	if (!gi_map_get(&k->holders_of, object, &at))
		return NULL;
	struct gi_cursor cur = gi_cursor_make(k->data, k->size);
	gi_cursor_skip(&cur, (size_t)at);
	uint32_t all = gi_cursor_u32(&cur), here = gi_cursor_u32(&cur);
	size_t n = 0;
	for (uint32_t i = 0; i < here && n < max && !cur.bad; i++) {
		if (gi_map_get(&k->wait_of, gi_cursor_u64(&cur), &index))
			waits_ret[n++] = (uint32_t)(index - 1);
	}
	// The number of all counts only if those that were kept are all there.
	*count_ret = n == here && all > n && n == max ? all : n;
	return cur.bad ? damaged() : NULL;
}

struct gi_error *gi_reach_kept_keep(struct gi_reach_kept *k)
{
	struct gi_target *t = gi_go_target(k->go);
	if (!gi_target_recorded(t))
		return NULL;
	if (!k->reach) // a mini dump of a mini dump
		return gi_target_keep_answer(t, k->name, k->data, k->size);
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	put_u32(&s, SOLVED);
	put_u64(&s, k->wait_count);
	for (size_t i = 0; i < k->wait_count; i++) {
		put_u64(&s, gi_go_g(k->go, k->waits[i].g)->addr);
		gi_str_putc(&s, gi_reach_is_live(k->reach, i));
	}
	put_u64(&s, k->object_count);
	gi_str_putn(&s, gi_str_cstr(&k->holders), k->holders.len);
	return s.oom || k->holders.oom ? gi_error_nomem() :
					 gi_target_keep_answer(t, k->name, s.s, s.len);
}

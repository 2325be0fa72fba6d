// Groups of goroutines: how many wait for the same thing, or stand at the same place.
//
// Every goroutine gets a key; those with the same key are one group. Keys are texts (a wait
// reason, a place); for stacks the key is the sequence of program counters, which is kept as a
// hash beside the first goroutine that had it: two stacks of equal length, equal ends and equal
// 64-bit hashes are taken for one.

#include "report/frame.h"
#include "report/goroutines.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_EXAMPLES = 5, POLL_EVERY = 256, STACK_FRAMES = 50 };

struct group {
	uint64_t hash;
	const char *key; // in the arena
	uint64_t count;
	uint32_t examples[MAX_EXAMPLES]; // indexes into gi_go_g()
	uint32_t example_count;
	uint32_t next; // 1 + index of the next group with the same slot of the map
};

struct grouping {
	const struct gi_g_query *q;
	enum gi_g_field field;
	const char *label;
	struct gi_arena *arena;
	struct group *groups;
	size_t count, cap;
	struct gi_map by_hash;
	struct gi_str key;
};

static uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
	const unsigned char *s = p;
	for (size_t i = 0; i < n; i++)
		h = (h ^ s[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void put_location_key(struct gi_str *key, const struct gi_location *loc, const char *unknown)
{
	if (loc->pc)
		gi_location_format(key, loc->function, loc->file, loc->line, loc->pc);
	else
		gi_str_puts(key, unknown);
}

static bool label_key(void *arg, const char *key, size_t key_len, const char *val, size_t val_len)
{
	struct grouping *gr = arg;
	if (!gr->label || (strlen(gr->label) == key_len && memcmp(gr->label, key, key_len) == 0))
		gi_label_format(&gr->key, key, key_len, val, val_len);
	return true;
}

// The key of a stack: its frames' pcs, as bytes.
static bool stack_key(void *arg, const struct gi_frame *f)
{
	struct grouping *gr = arg;
	uint64_t words[2] = {f->pc, (uintptr_t)f->name};
	gi_str_putn(&gr->key, (const char *)words, sizeof(words));
	return true;
}

static struct gi_error *make_key(struct grouping *gr, const struct gi_g *g)
{
	const struct gi_g_query *q = gr->q;
	struct gi_location loc = {0}, user = {0};
	struct gi_error *err = NULL, *why = NULL;
	const char *text = NULL;
	char buf[32];
	gi_str_reset(&gr->key);
	switch (gr->field) {
	case GI_FIELD_STATUS:
		text = gi_g_status_name(g, buf, sizeof(buf));
		break;
	case GI_FIELD_WAIT:
		text = gi_go_wait_reason(q->go, g);
		if (!text) {
			gi_str_puts(&gr->key, "not waiting: ");
			text = gi_g_status_name(g, buf, sizeof(buf));
		}
		break;
	case GI_FIELD_USER:
		text = g->system ? "the runtime's own" : "the program's";
		break;
	case GI_FIELD_RUNNING:
		text = g->thread ? "on a thread" : "on no thread";
		break;
	case GI_FIELD_LABEL:
		if (g->labels)
			err = gi_go_labels(q->go, g, label_key, gr);
		if (!gr->key.len)
			text = "no label";
		break;
	case GI_FIELD_CREATOR:
	case GI_FIELD_GOLOC:
		gi_g_created_by(q->u, g, &loc);
		put_location_key(&gr->key, &loc, "created by nobody that is known");
		break;
	case GI_FIELD_START:
		gi_unwind_started_at(q->u, g, &loc);
		put_location_key(&gr->key, &loc, "started at an unknown function");
		break;
	case GI_FIELD_USERLOC:
		err = gi_g_user_location(q->u, g, &loc);
		put_location_key(&gr->key, &loc, "an unknown place");
		break;
	case GI_FIELD_CURLOC:
		err = gi_unwind_locations(q->u, g, &loc, &user);
		put_location_key(&gr->key, &loc, "an unknown place");
		break;
	case GI_FIELD_STACK:
	case GI_FIELD_FUNCTION:
	case GI_FIELD_FILE:
		err = gi_unwind_goroutine(q->u, g, GI_UNWIND_SYSTEM_STACK, GI_UNWIND_MAX, stack_key,
					  gr, &why);
		gi_error_ignore(why);
		break;
	}
	if (text)
		gi_str_put_escaped(&gr->key, text, strlen(text));
	if (err && gi_error_code(err) == GI_ERR_INTERRUPTED)
		return err;
	gi_error_ignore(err); // what cannot be read is a group of its own
	return gr->key.oom ? gi_error_nomem() : NULL;
}

static bool same(const struct grouping *gr, const struct group *g, uint64_t hash)
{
	if (g->hash != hash)
		return false;
	return gr->field == GI_FIELD_STACK || strcmp(g->key, gi_str_cstr(&gr->key)) == 0;
}

static struct gi_error *add(struct grouping *gr, uint32_t index)
{
	uint64_t hash =
		hash_bytes(UINT64_C(0xcbf29ce484222325), gi_str_cstr(&gr->key), gr->key.len);
	hash ^= gr->key.len;
	uint64_t head = 0;
	gi_map_get(&gr->by_hash, hash, &head);
	struct group *group = NULL;
	for (uint64_t at = head; at; at = gr->groups[at - 1].next) {
		if (same(gr, &gr->groups[at - 1], hash)) {
			group = &gr->groups[at - 1];
			break;
		}
	}
	if (!group) {
		struct gi_error *err =
			gi_grow(&gr->groups, &gr->cap, gr->count + 1, sizeof(*gr->groups));
		if (!err)
			err = gi_map_put(&gr->by_hash, hash, gr->count + 1);
		if (err)
			return err;
		group = &gr->groups[gr->count++];
		*group = (struct group){.hash = hash, .next = (uint32_t)head, .key = ""};
		if (gr->field != GI_FIELD_STACK)
			group->key = gi_arena_strdup(gr->arena, gi_str_cstr(&gr->key));
		if (!group->key)
			return gi_error_nomem();
	}
	group->count++;
	if (group->example_count < MAX_EXAMPLES && group->example_count < gr->q->opts->examples)
		group->examples[group->example_count++] = index;
	return NULL;
}

static int by_count(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->examples[0] < y->examples[0] ? -1 : x->examples[0] > y->examples[0];
}

// --- output ---------------------------------------------------------------------

struct stack_out {
	struct gi_out *out;
	size_t n;
};

static bool put_frame(void *arg, const struct gi_frame *f)
{
	struct stack_out *so = arg;
	if (gi_out_is_json(so->out)) {
		gi_json_frame(so->out, f);
		return true;
	}
	_cleanup_(gi_str_deinit) struct gi_str line = {0};
	gi_str_printf(&line, "      #%-2zu ", so->n++);
	gi_location_format(&line, f->name, f->file, f->line, f->pc);
	if (f->kind == GI_FRAME_INLINED)
		gi_str_puts(&line, " [inlined]");
	gi_str_putc(&line, '\n');
	gi_out_write(so->out, gi_str_cstr(&line), line.len);
	return true;
}

static struct gi_error *put_stack(const struct gi_g_query *q, struct gi_out *out,
				  const struct gi_g *g)
{
	struct stack_out so = {.out = out};
	struct gi_error *why = NULL;
	struct gi_error *err = gi_unwind_goroutine(q->u, g, GI_UNWIND_SYSTEM_STACK, STACK_FRAMES,
						   put_frame, &so, &why);
	if (err && gi_error_code(err) == GI_ERR_INTERRUPTED) {
		gi_error_ignore(why);
		return err;
	}
	const struct gi_error *reason = err ? err : why;
	if (reason)
		gi_out_note(out, "goroutine %" PRIu64 ": the stack ends early: %s", g->goid,
			    gi_error_message(reason));
	gi_error_free(err);
	gi_error_free(why);
	return NULL;
}

static struct gi_error *group_json(struct grouping *gr, struct gi_out *out,
				   const struct group *group)
{
	const struct gi_g_query *q = gr->q;
	struct gi_error *err = NULL;
	gi_json_begin(out, "group");
	gi_json_str(out, "by", q->opts->group);
	gi_json_str(out, "key", gr->field == GI_FIELD_STACK ? NULL : group->key);
	gi_json_u64(out, "count", group->count);
	gi_json_array(out, "examples");
	for (uint32_t i = 0; i < group->example_count; i++)
		gi_json_u64(out, NULL, gi_go_g(q->go, group->examples[i])->goid);
	gi_json_close(out);
	if (gr->field == GI_FIELD_STACK) {
		gi_json_array(out, "frames");
		err = put_stack(q, out, gi_go_g(q->go, group->examples[0]));
		gi_json_close(out);
	}
	gi_json_end(out);
	return err;
}

static struct gi_error *group_text(struct grouping *gr, struct gi_out *out,
				   const struct group *group)
{
	const struct gi_g_query *q = gr->q;
	gi_out_style(out, GI_STYLE_HEAD);
	gi_out_printf(out, "%6" PRIu64 "  %s", group->count,
		      gr->field == GI_FIELD_STACK ? "with this stack" : group->key);
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_puts(out, "\n");
	if (gr->field == GI_FIELD_STACK) {
		struct gi_error *err = put_stack(q, out, gi_go_g(q->go, group->examples[0]));
		if (err)
			return err;
	}
	for (uint32_t i = 0; i < group->example_count; i++) {
		const struct gi_g *g = gi_go_g(q->go, group->examples[i]);
		struct gi_location user = {0};
		struct gi_error *err = gi_g_user_location(q->u, g, &user);
		if (err && gi_error_code(err) == GI_ERR_INTERRUPTED)
			return err;
		gi_error_ignore(err);
		_cleanup_(gi_str_deinit) struct gi_str line = {0};
		gi_str_printf(&line, "        goroutine %" PRIu64, g->goid);
		if (user.pc && gr->field != GI_FIELD_STACK) {
			gi_str_puts(&line, " in ");
			put_location_key(&line, &user, "");
		}
		gi_out_printf(out, "%s\n", gi_str_cstr(&line));
	}
	if (group->count > group->example_count)
		gi_out_puts(out, "        ...\n");
	return NULL;
}

static struct gi_error *group_all(struct grouping *gr, struct gi_out *out)
{
	const struct gi_g_query *q = gr->q;
	struct gi_error *err = NULL;
	uint64_t total = 0;
	for (size_t i = 0; i < q->count; i++) {
		if (i % POLL_EVERY == 0) {
			gi_out_progress(out, "goroutines", i, q->count);
			err = gi_out_check(out);
			if (err)
				return err;
		}
		gi_g_prefetch(q, i);
		const struct gi_g *g = gi_go_g(q->go, q->order[i]);
		bool match = true;
		if (q->filter_count)
			err = gi_g_matches(q, g, &match);
		if (!err && match) {
			total++;
			err = make_key(gr, g);
			if (!err)
				err = add(gr, q->order[i]);
		}
		if (err)
			return err;
	}
	if (gr->count)
		qsort(gr->groups, gr->count, sizeof(*gr->groups), by_count);
	for (size_t i = 0; i < gr->count; i++) {
		err = gi_out_check(out);
		if (!err)
			err = gi_out_is_json(out) ? group_json(gr, out, &gr->groups[i])
						  : group_text(gr, out, &gr->groups[i]);
		if (err)
			return err;
	}
	gi_out_printf(out, "%" PRIu64 " goroutine%s in %zu group%s\n", total, total == 1 ? "" : "s",
		      gr->count, gr->count == 1 ? "" : "s");
	return NULL;
}

struct gi_error *gi_g_group(const struct gi_g_query *q, struct gi_out *out)
{
	struct grouping gr = {.q = q};
	struct gi_error *err = gi_g_group_parse(q->opts->group, &gr.field, &gr.label);
	if (!err)
		err = gi_arena_create(&gr.arena);
	if (!err)
		err = group_all(&gr, out);
	gi_arena_destroy(gr.arena);
	gi_map_deinit(&gr.by_hash);
	gi_str_deinit(&gr.key);
	free(gr.groups);
	return err;
}

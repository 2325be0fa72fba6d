// The rows of "goroutines", and its JSON records.
//
// A hundred thousand rows must not take long: many goroutines stand at few places, so the text of
// a place is made once and found again by its pc; a row is put together in one string.

#include "report/frame.h"
#include "report/goroutines.h"

#include <stdlib.h>
#include <string.h>

struct gi_g_writer {
	const struct gi_g_query *q;
	struct gi_unwinder *u;
	struct gi_out *out;
	size_t id_width, status_width, reason_width;
	struct gi_str row;
	// Texts of places: map from a hash of (pc, function, line) to 1 + index into texts.
	struct gi_map places;
	struct place *texts;
	size_t text_count, text_cap;
	struct gi_arena *arena;
};

struct place {
	uint64_t pc;
	const char *function, *file;
	uint32_t line;
	const char *text; // in the arena
	size_t len;
};

static const char *status_text(const struct gi_g *g, char *buf, size_t n)
{
	return gi_g_status_name(g, buf, n);
}

static size_t digits(uint64_t v)
{
	size_t n = 1;
	while (v >= 10)
		v /= 10, n++;
	return n;
}

static void measure(struct gi_g_writer *w)
{
	w->id_width = 4;
	w->status_width = strlen("STATUS");
	w->reason_width = strlen("WAIT REASON");
	uint32_t last_status = UINT32_MAX;
	const char *last_reason = NULL;
	for (size_t i = 0; i < w->q->count; i++) {
		const struct gi_g *g = gi_go_g(w->q->go, w->q->order[i]);
		if (i + 1 == w->q->count) // sorted by id
			w->id_width = gi_max_u64(w->id_width, digits(g->goid));
		if (g->status != last_status) {
			char buf[32];
			w->status_width = gi_max_u64(w->status_width,
						     strlen(status_text(g, buf, sizeof(buf))));
			last_status = g->status;
		}
		const char *reason = gi_go_wait_reason(w->q->go, g);
		if (reason && reason != last_reason) {
			w->reason_width = gi_max_u64(w->reason_width, strlen(reason));
			last_reason = reason;
		}
	}
	w->reason_width = gi_min_u64(w->reason_width, 40);
}

struct gi_error *gi_g_writer_create(const struct gi_g_query *q, struct gi_unwinder *u,
				    struct gi_out *out, struct gi_g_writer **ret)
{
	_cleanup_(gi_g_writer_destroyp) struct gi_g_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return gi_error_nomem();
	w->q = q;
	w->u = u;
	w->out = out;
	struct gi_error *err = gi_arena_create(&w->arena);
	if (err)
		return err;
	if (!gi_out_is_json(out))
		measure(w);
	*ret = w;
	w = NULL;
	return NULL;
}

void gi_g_writer_destroy(struct gi_g_writer *w)
{
	if (!w)
		return;
	gi_str_deinit(&w->row);
	gi_map_deinit(&w->places);
	free(w->texts);
	gi_arena_destroy(w->arena);
	free(w);
}

// --- text ---------------------------------------------------------------------

static void pad(struct gi_str *s, size_t n)
{
	static const char spaces[] = "                                                ";
	while (n) {
		size_t k = gi_min_u64(n, sizeof(spaces) - 1);
		gi_str_putn(s, spaces, k);
		n -= k;
	}
}

static void put_column(struct gi_str *s, const char *text, size_t width)
{
	size_t len = strlen(text);
	gi_str_putn(s, text, len);
	pad(s, (len < width ? width - len : 0) + 2);
}

// The text of a place, from the cache. A hash that is taken by another place is not cached.
static void put_place(struct gi_g_writer *w, const char *function, const char *file, uint32_t line,
		      uint64_t pc)
{
	uint64_t key =
		pc ^ (uint64_t)line << 48 ^ (uintptr_t)function * UINT64_C(0x9e3779b97f4a7c15);
	uint64_t at;
	if (gi_map_get(&w->places, key, &at)) {
		const struct place *p = &w->texts[at];
		if (p->pc == pc && p->function == function && p->file == file && p->line == line) {
			gi_str_putn(&w->row, p->text, p->len);
			return;
		}
		gi_location_format(&w->row, function, file, line, pc);
		return;
	}
	size_t start = w->row.len;
	gi_location_format(&w->row, function, file, line, pc);
	struct gi_error *err =
		gi_grow(&w->texts, &w->text_cap, w->text_count + 1, sizeof(*w->texts));
	if (!err && !w->row.oom) {
		struct place p = {.pc = pc, .function = function, .file = file, .line = line};
		p.len = w->row.len - start;
		p.text = gi_arena_strndup(w->arena, w->row.s + start, p.len);
		if (p.text)
			err = gi_map_put(&w->places, key, w->text_count);
		if (p.text && !err)
			w->texts[w->text_count++] = p;
	}
	gi_error_ignore(err); // a cache only
}

enum { WAITED_WIDTH = 6 };

void gi_g_writer_head(struct gi_g_writer *w)
{
	if (gi_out_is_json(w->out))
		return;
	static const char *const wheres[] = {
		[GI_SHOW_USER] = "WHERE",
		[GI_SHOW_CURRENT] = "WHERE (innermost frame)",
		[GI_SHOW_GO] = "CREATED BY",
		[GI_SHOW_START] = "STARTED AT",
	};
	gi_str_reset(&w->row);
	pad(&w->row, 2 + w->id_width - 2);
	gi_str_puts(&w->row, "ID  ");
	put_column(&w->row, "STATUS", w->status_width);
	put_column(&w->row, "WAIT REASON", w->reason_width);
	gi_str_puts(&w->row, "WAITED  ");
	gi_str_puts(&w->row, wheres[w->q->opts->show]);
	gi_out_style(w->out, GI_STYLE_HEAD);
	gi_out_write(w->out, gi_str_cstr(&w->row), w->row.len);
	gi_out_style(w->out, GI_STYLE_NONE);
	gi_out_puts(w->out, "\n");
}

static bool put_label(void *arg, const char *key, size_t key_len, const char *val, size_t val_len)
{
	gi_label_format(arg, key, key_len, val, val_len);
	return true;
}

static struct gi_error *put_where(struct gi_g_writer *w, const struct gi_g *g)
{
	struct gi_location where = {0}, user;
	struct gi_error *err = NULL;
	switch (w->q->opts->show) {
	case GI_SHOW_USER:
		err = gi_g_user_location(w->u, g, &where);
		break;
	case GI_SHOW_CURRENT:
		err = gi_unwind_locations(w->u, g, &where, &user);
		break;
	case GI_SHOW_GO:
		gi_g_created_by(w->u, g, &where);
		break;
	case GI_SHOW_START:
		gi_unwind_started_at(w->u, g, &where);
		break;
	}
	if (err && gi_error_code(err) == GI_ERR_INTERRUPTED)
		return err;
	if (err && !gi_g_is_dead(g)) {
		// One stack that cannot be read does not end the list.
		const char *why = gi_error_message(err);
		gi_str_puts(&w->row, "? (");
		gi_str_put_escaped(&w->row, why, strlen(why));
		gi_str_putc(&w->row, ')');
	} else if (where.pc) {
		put_place(w, where.function, where.file, where.line, where.pc);
	} else {
		gi_str_putc(&w->row, '-');
	}
	gi_error_free(err);
	return NULL;
}

struct stack_text {
	struct gi_g_writer *w;
	size_t n;
};

static bool put_frame(void *arg, const struct gi_frame *f)
{
	struct stack_text *st = arg;
	struct gi_str *row = &st->w->row;
	gi_str_puts(row, "        #");
	gi_str_put_u64(row, st->n);
	pad(row, st->n < 10 ? 2 : 1);
	st->n++;
	put_place(st->w, f->name, f->file, f->line, f->pc);
	if (f->kind == GI_FRAME_INLINED)
		gi_str_puts(row, " [inlined]");
	else if (f->kind == GI_FRAME_GUESSED)
		gi_str_puts(row, " [guessed]");
	gi_str_putc(row, '\n');
	return true;
}

static struct gi_error *put_stack(struct gi_g_writer *w, const struct gi_g *g)
{
	struct stack_text st = {.w = w};
	struct gi_error *why = NULL;
	size_t max = w->q->opts->frames;
	struct gi_error *err =
		gi_unwind_goroutine(w->u, g, GI_UNWIND_SYSTEM_STACK, max, put_frame, &st, &why);
	if (err && gi_error_code(err) == GI_ERR_INTERRUPTED) {
		gi_error_ignore(why);
		return err;
	}
	const struct gi_error *reason = err ? err : why;
	if (reason) {
		gi_str_puts(&w->row, "        stack ends early: ");
		gi_str_put_escaped(&w->row, gi_error_message(reason),
				   strlen(gi_error_message(reason)));
		gi_str_putc(&w->row, '\n');
	}
	gi_error_free(err);
	gi_error_free(why);
	return NULL;
}

static struct gi_error *text_row(struct gi_g_writer *w, const struct gi_g *g)
{
	struct gi_str *row = &w->row;
	const struct gi_goroutines_options *o = w->q->opts;
	char buf[32];
	gi_str_reset(row);
	gi_str_puts(row, g == o->selected ? "* " : "  ");
	size_t id = digits(g->goid);
	pad(row, id < w->id_width ? w->id_width - id : 0);
	gi_str_put_u64(row, g->goid);
	gi_str_puts(row, "  ");
	put_column(row, status_text(g, buf, sizeof(buf)), w->status_width);
	const char *reason = gi_go_wait_reason(w->q->go, g);
	size_t start = row->len;
	gi_str_put_escaped(row, reason ? reason : "-", reason ? strlen(reason) : 1);
	pad(row,
	    (row->len - start < w->reason_width ? w->reason_width - (row->len - start) : 0) + 2);
	uint64_t ns;
	start = row->len;
	if (gi_go_wait_ns(w->q->go, g, &ns))
		gi_duration_format(row, ns);
	else
		gi_str_putc(row, '-');
	pad(row, (row->len - start < WAITED_WIDTH ? WAITED_WIDTH - (row->len - start) : 0) + 2);
	struct gi_error *err = put_where(w, g);
	if (err)
		return err;
	if (g->thread) {
		const struct gi_thread *t = gi_target_thread(gi_go_target(w->q->go), g->thread - 1);
		gi_str_printf(row, " [thread %d]", (int)t->tid);
	}
	if (g->lockedm)
		gi_str_puts(row, " [locked to thread]");
	if (g->system)
		gi_str_puts(row, " [system]");
	if (g->moved)
		gi_str_puts(row, " [moving]");
	if (o->labels && g->labels) {
		gi_str_puts(row, " {");
		gi_error_ignore(gi_go_labels(w->q->go, g, put_label, row));
		gi_str_putc(row, '}');
	}
	gi_str_putc(row, '\n');
	if (o->frames && !gi_g_is_dead(g))
		err = put_stack(w, g);
	gi_out_write(w->out, gi_str_cstr(row), row->len);
	return err;
}

// --- JSON ---------------------------------------------------------------------

static bool json_label(void *arg, const char *key, size_t key_len, const char *val, size_t val_len)
{
	struct gi_out *out = arg;
	_cleanup_(gi_str_deinit) struct gi_str k = {0};
	gi_str_putn(&k, key, key_len);
	gi_json_strn(out, gi_str_cstr(&k), val, val_len);
	return true;
}

static bool json_frame(void *arg, const struct gi_frame *f)
{
	gi_json_frame(arg, f);
	return true;
}

static void json_created_by(struct gi_g_writer *w, const struct gi_g *g)
{
	struct gi_location loc = {0};
	gi_g_created_by(w->u, g, &loc);
	if (!loc.pc) {
		gi_json_null(w->out, "created_by");
		return;
	}
	gi_json_object(w->out, "created_by");
	gi_json_str(w->out, "function", loc.function && *loc.function ? loc.function : NULL);
	gi_json_str(w->out, "file", loc.file && *loc.file ? loc.file : NULL);
	gi_json_u64_or_null(w->out, "line", loc.line != 0, loc.line);
	gi_json_u64_or_null(w->out, "goroutine", g->parent_goid, g->parent_goid);
	gi_json_close(w->out);
}

static struct gi_error *json_row(struct gi_g_writer *w, const struct gi_g *g)
{
	struct gi_out *out = w->out;
	const struct gi_goroutines_options *o = w->q->opts;
	struct gi_location where = {0}, user = {0};
	struct gi_error *err = gi_unwind_locations(w->u, g, &where, &user);
	if (err && gi_error_code(err) == GI_ERR_INTERRUPTED)
		return err;
	gi_error_ignore(err); // null says that it is unknown
	gi_json_begin(out, "goroutine");
	gi_json_goroutine_state(out, w->q->go, g);
	gi_json_location(out, "location", &where);
	gi_json_location(out, "user_location", &user);
	json_created_by(w, g);
	if (o->show == GI_SHOW_START) {
		struct gi_location start = {0};
		gi_unwind_started_at(w->u, g, &start);
		gi_json_location(out, "start_location", &start);
	}
	gi_json_object(out, "labels");
	if (g->labels)
		gi_error_ignore(gi_go_labels(w->q->go, g, json_label, out));
	gi_json_close(out);
	err = NULL;
	if (o->frames) {
		struct gi_error *why = NULL;
		gi_json_array(out, "frames");
		err = gi_unwind_goroutine(w->u, g, GI_UNWIND_SYSTEM_STACK, o->frames, json_frame,
					  out, &why);
		gi_json_close(out);
		if (err && gi_error_code(err) != GI_ERR_INTERRUPTED) {
			gi_error_free(why);
			why = err;
			err = NULL;
		}
		gi_json_str(out, "stack_ends_early", why ? gi_error_message(why) : NULL);
		gi_error_free(why);
	}
	gi_json_end(out);
	return err;
}

void gi_json_goroutine_state(struct gi_out *out, struct gi_go *go, const struct gi_g *g)
{
	char buf[32];
	uint64_t ns;
	gi_json_u64(out, "id", g->goid);
	gi_json_str(out, "status", status_text(g, buf, sizeof(buf)));
	gi_json_str(out, "wait_reason", gi_go_wait_reason(go, g));
	if (gi_go_wait_ns(go, g, &ns))
		gi_json_u64(out, "wait_ns", ns);
	else
		gi_json_null(out, "wait_ns");
	gi_json_bool(out, "system", g->system);
	if (g->moved)
		gi_json_bool(out, "moving", true);
	gi_json_bool(out, "locked_to_thread", g->lockedm != 0);
	if (g->thread)
		gi_json_i64(out, "thread", gi_target_thread(gi_go_target(go), g->thread - 1)->tid);
	else
		gi_json_null(out, "thread");
}

struct gi_error *gi_g_writer_row(struct gi_g_writer *w, const struct gi_g *g)
{
	return gi_out_is_json(w->out) ? json_row(w, g) : text_row(w, g);
}

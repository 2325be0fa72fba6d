// One goroutine, with all that is known of it.

#include "gcore/pthread.h"
#include "report/frame.h"
#include "report/goroutines.h"

#include <string.h>

static void put_location(struct gi_out *out, const char *name, const struct gi_location *loc,
			 uint64_t parent)
{
	if (!loc->pc)
		return;
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	gi_location_format(&text, loc->function, loc->file, loc->line, loc->pc);
	if (parent)
		gi_str_printf(&text, " in goroutine %" PRIu64, parent);
	gi_out_printf(out, "  %-12s %s\n", name, gi_str_cstr(&text));
}

static bool put_label(void *arg, const char *key, size_t key_len, const char *val, size_t val_len)
{
	gi_label_format(arg, key, key_len, val, val_len);
	return true;
}

static void put_state(struct gi_out *out, struct gi_go *go, const struct gi_g *g)
{
	char buf[32];
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	const char *reason = gi_go_wait_reason(go, g);
	gi_str_puts(&text, gi_g_status_name(g, buf, sizeof(buf)));
	if (reason) {
		gi_str_puts(&text, ": ");
		gi_str_put_escaped(&text, reason, strlen(reason));
	}
	uint64_t ns;
	if (gi_go_wait_ns(go, g, &ns)) {
		gi_str_puts(&text, ", for at least ");
		gi_duration_format(&text, ns);
	}
	if (g->status & GI_G_SCAN)
		gi_str_puts(&text, " (its stack is being scanned)");
	if (g->system)
		gi_str_puts(&text, "; one of the runtime's own");
	gi_out_printf(out, "  %-12s %s\n", "status", gi_str_cstr(&text));
}

/** What its thread waits for in the C library. */
static void put_c_wait(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
		       const struct gi_g *g)
{
	_cleanup_(gi_pthreads_destroyp) struct gi_pthreads *p = NULL;
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	struct gi_pthread_wait w;

	if (!g->thread)
		return;
	gi_error_ignore(gi_pthreads_create(go, &p));
	if (!p || !gi_pthreads_wait(p, u, g->thread - 1, &w))
		return;
	gi_pthread_wait_format(go, &w, &text);
	gi_out_printf(out, "  %-12s %s\n", "waits for", gi_str_cstr(&text));
}

static void put_thread(struct gi_out *out, struct gi_go *go, const struct gi_g *g)
{
	const struct gi_m *m = g->m_index ? gi_go_m(go, g->m_index - 1) : NULL;
	if (g->thread)
		gi_out_printf(out, "  %-12s %d\n", "thread",
			      (int)gi_target_thread(gi_go_target(go), g->thread - 1)->tid);
	if (m)
		gi_out_printf(out, "  %-12s %" PRId64 "\n", "m", m->id);
	if (g->lockedm) {
		const struct gi_m *locked = gi_go_m_by_addr(go, g->lockedm);
		if (locked)
			gi_out_printf(out, "  %-12s to m %" PRId64 " (LockOSThread)\n", "locked",
				      locked->id);
		else
			gi_out_printf(out, "  %-12s to a thread (LockOSThread)\n", "locked");
	}
}

struct gi_error *gi_report_goroutine(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				     const struct gi_g *g)
{
	if (gi_out_is_json(out)) {
		const struct gi_goroutines_options opts = {.selected = g};
		const struct gi_g_query q = {.go = go, .u = u, .opts = &opts};
		_cleanup_(gi_g_writer_destroyp) struct gi_g_writer *w = NULL;
		struct gi_error *err = gi_g_writer_create(&q, u, out, &w);
		return err ? err : gi_g_writer_row(w, g);
	}
	struct gi_location where = {0}, user = {0}, created = {0}, started = {0};
	struct gi_error *err = gi_unwind_locations(u, g, &where, &user);
	if (err && gi_error_code(err) == GI_ERR_INTERRUPTED)
		return err;
	gi_g_created_by(u, g, &created);
	gi_unwind_started_at(u, g, &started);

	gi_out_style(out, GI_STYLE_HEAD);
	gi_out_printf(out, "Goroutine %" PRIu64, g->goid);
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_puts(out, "\n");
	put_state(out, go, g);
	put_location(out, "in", &user, 0);
	if (where.pc != user.pc || where.function != user.function)
		put_location(out, "innermost", &where, 0);
	if (err && !gi_g_is_dead(g))
		gi_out_note(out, "its stack cannot be read: %s", gi_error_message(err));
	gi_error_free(err);
	put_location(out, "started at", &started, 0);
	put_location(out, "created by", &created, g->parent_goid);
	put_thread(out, go, g);
	put_c_wait(out, go, u, g);
	if (g->labels) {
		_cleanup_(gi_str_deinit) struct gi_str labels = {0};
		gi_error_ignore(gi_go_labels(go, g, put_label, &labels));
		if (labels.len)
			gi_out_printf(out, "  %-12s %s\n", "labels", gi_str_cstr(&labels));
	}
	gi_out_printf(out, "  %-12s 0x%" PRIx64 "\n", "g", g->addr);
	if (g->stack_hi)
		gi_out_printf(out, "  %-12s [0x%" PRIx64 ", 0x%" PRIx64 "), %" PRIu64 " bytes\n",
			      "stack", g->stack_lo, g->stack_hi, g->stack_hi - g->stack_lo);
	return NULL;
}

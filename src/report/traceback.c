// A goroutine's stack as the target's own release of the Go runtime prints it.
//
// What is printed, and how, comes from src/runtime/traceback.go of Go 1.18 to 1.27:
//
//   1.18  100 physical frames; "...additional frames elided..." when 100 were printed;
//         a frame below asyncPreempt is looked up as a call
//   1.21  the 50 innermost and the 50 outermost logical frames, "...N frames elided..."
//         between; "created by F in goroutine N"; names with type arguments are cut at
//         printing (the linker did it before)
//   1.22  gp=, m= and mp= in headers at the levels system and crash
//   1.23  exported methods of the runtime count as exported functions
//   1.24  "synctest group N"
//   1.25  "synctest bubble N", "(durable)"; runtime.runFinalizers and runCleanups always
//   1.26  "(leaked)"; " labels:{...}" inside of the brackets if GODEBUG asks for them
//   1.27  " {...}" behind the brackets, by default; "F[...].M[...]"
//
// The level all shows frames of user code (and exported functions of the runtime); the
// levels system and crash show every frame, with fp, sp and pc.
//
// Most frames of a large process stand at few pcs. The text of a frame is the same each
// time but for its arguments and addresses: it is made once per pc and kept ("piece").

#include "report/traceback_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_OLD = 100, // before 1.21
	INNER = 50,
	OUTER = 50,
	NEWEST = 27,
	// How deep below the innermost frame the functions that end a process may stand.
	FATAL_DEPTH = 64,
};

/** How a function is treated at the level all. */
enum show {
	SHOW_YES,
	SHOW_NO,
	SHOW_WRAPPER,	     // unless it called what it wraps
	SHOW_WRAPPER_HIDDEN, // a wrapper whose name would be hidden, too
	SHOW_GOPANIC,	     // unless it is the first
};

struct piece {
	const char *head; // "main.f("
	const char *tail; // ")\n\t/x/main.go:12 +0x1a"
	uint32_t head_len, tail_len;
	uint8_t show; // enum show
	bool panics;  // a wrapper that called this one is shown
};

struct gi_error *gi_tb_init(struct gi_tb *tb, struct gi_go *go, struct gi_unwinder *u,
			    enum gi_traceback_level level)
{
	int32_t labels;
	const struct gi_go_version *v = gi_go_version(go);
	memset(tb, 0, sizeof(*tb));
	tb->go = go;
	tb->u = u;
	tb->level = level;
	tb->minor = v && v->major == 1 && v->minor ? v->minor : NEWEST;
	tb->labels = gi_go_debug_setting(go, "tracebacklabels", &labels) && labels == 1;
	tb->wrapper_id = gi_functab_wrapper_id(gi_go_functab(go));
	return gi_arena_create(&tb->arena);
}

void gi_tb_deinit(struct gi_tb *tb)
{
	gi_map_deinit(&tb->pieces);
	gi_arena_destroy(tb->arena);
	gi_str_deinit(&tb->name);
}

static void put_escaped(struct gi_str *str, const char *s)
{
	gi_str_put_escaped(str, s, strlen(s));
}

static enum show show_of(struct gi_tb *tb, const char *name, uint8_t func_id)
{
	bool visible = gi_tb_is_visible(tb->minor, name);
	if (func_id && func_id == tb->wrapper_id)
		return visible ? SHOW_WRAPPER : SHOW_WRAPPER_HIDDEN;
	if (tb->minor >= 25 && (!strcmp(name, "runtime.runFinalizers") ||
				!strcmp(name, "runtime.runCleanups")))
		return SHOW_YES;
	if (!strcmp(name, "runtime.gopanic"))
		return SHOW_GOPANIC;
	return visible ? SHOW_YES : SHOW_NO;
}

static bool panics(const char *name)
{
	return !strcmp(name, "runtime.gopanic") || !strcmp(name, "runtime.sigpanic") ||
	       !strcmp(name, "runtime.panicwrap");
}

// --- pieces --------------------------------------------------------------

static void put_position(struct gi_str *str, const char *file, uint32_t line)
{
	gi_str_putc(str, '\t');
	put_escaped(str, file);
	gi_str_putc(str, ':');
	gi_str_put_u64(str, line);
}

static struct piece *make_piece(struct gi_tb *tb, const struct gi_frame *f)
{
	struct piece *p = gi_arena_alloc(tb->arena, sizeof(*p));
	if (!p)
		return NULL;
	struct gi_str *str = &tb->name;
	gi_str_reset(str);
	gi_tb_put_name(tb->minor, f->name, str);
	gi_str_putc(str, '(');
	p->head_len = (uint32_t)str->len;
	if (f->kind == GI_FRAME_INLINED)
		gi_str_puts(str, "...");
	gi_str_puts(str, ")\n");
	put_position(str, f->file, f->line);
	if (f->kind != GI_FRAME_INLINED && f->pc > f->entry && f->entry) {
		gi_str_puts(str, " +");
		gi_str_put_hex(str, f->pc - f->entry);
	}
	p->tail_len = (uint32_t)str->len - p->head_len;
	p->head =
		str->oom ? NULL : gi_arena_strndup(tb->arena, gi_str_cstr(str), str->len);
	if (!p->head)
		return NULL;
	p->tail = p->head + p->head_len;
	p->show = (uint8_t)show_of(tb, f->name, f->func_id);
	p->panics = panics(f->name);
	return p;
}

static const struct piece *piece_of(struct gi_tb *tb, const struct gi_frame *f)
{
	// A physical frame's text follows from its pc, and whether that is a return
	// address; an inlined one's from the pc that it was looked up with.
	bool inlined = f->kind == GI_FRAME_INLINED;
	uint64_t key = (inlined ? f->lookup_pc : f->pc) << 2 | (uint64_t)inlined << 1 |
		       (!inlined && f->exact_pc);
	uint64_t value;
	if (gi_map_get(&tb->pieces, key, &value))
		return (const struct piece *)(uintptr_t)value;
	struct piece *p = make_piece(tb, f);
	if (p)
		gi_error_ignore(gi_map_put(&tb->pieces, key, (uint64_t)(uintptr_t)p));
	return p;
}

// --- frames --------------------------------------------------------------

/** One pass over a stack. */
struct pass {
	struct gi_tb *tb;
	struct gi_str *text;
	bool show_runtime; // everything, whatever the level
	size_t skip_fatal; // physical frames to leave out, see gi_tb_fatal_depth()
	size_t physical;
	size_t n; // logical frames that were shown, or would be without the limit
	bool callee_panics;
	struct gi_frame *ring; // the last OUTER frames once INNER are printed
	bool oom;
};

static void print_frame(struct pass *ps, const struct gi_frame *f, const struct piece *p)
{
	struct gi_str *text = ps->text;
	gi_str_putn(text, p->head, p->head_len);
	bool physical = f->kind != GI_FRAME_INLINED;
	if (physical)
		gi_frame_args(ps->tb->u, f, text);
	gi_str_putn(text, p->tail, p->tail_len);
	if (physical && ps->tb->level >= GI_TRACEBACK_SYSTEM) {
		gi_str_putn(text, " fp=", 4);
		gi_str_put_hex(text, f->cfa);
		gi_str_putn(text, " sp=", 4);
		gi_str_put_hex(text, f->sp);
		gi_str_putn(text, " pc=", 4);
		gi_str_put_hex(text, f->pc);
	}
	gi_str_putc(text, '\n');
}

static bool is_shown(const struct pass *ps, const struct piece *p)
{
	if (ps->show_runtime || ps->tb->level >= GI_TRACEBACK_SYSTEM)
		return true;
	switch ((enum show)p->show) {
	case SHOW_YES:
		return true;
	case SHOW_NO:
		return false;
	case SHOW_WRAPPER:
		return ps->callee_panics;
	case SHOW_WRAPPER_HIDDEN:
		return false;
	case SHOW_GOPANIC:
		return ps->n > 0;
	}
	return true;
}

static bool pass_frame(void *arg, const struct gi_frame *f)
{
	struct pass *ps = arg;
	bool old = ps->tb->minor < 21;

	if (ps->skip_fatal) {
		if (f->kind != GI_FRAME_INLINED)
			ps->skip_fatal--;
		return true;
	}
	if (old && ps->physical >= MAX_OLD)
		return false;
	if (f->kind != GI_FRAME_INLINED)
		ps->physical++;
	const struct piece *p = piece_of(ps->tb, f);
	if (!p) {
		ps->oom = true;
		return false;
	}
	bool shown = is_shown(ps, p);
	ps->callee_panics = p->panics;
	if (!shown)
		return true;
	if (old || ps->n < INNER) {
		print_frame(ps, f, p);
	} else {
		if (!ps->ring)
			ps->ring = malloc(OUTER * sizeof(*ps->ring));
		if (!ps->ring) {
			ps->oom = true;
			return false;
		}
		ps->ring[(ps->n - INNER) % OUTER] = *f;
	}
	ps->n++;
	return true;
}

static void pass_end(struct pass *ps)
{
	if (ps->tb->minor < 21) {
		if (ps->n == MAX_OLD)
			gi_str_puts(ps->text, "...additional frames elided...\n");
		return;
	}
	if (ps->n <= INNER)
		return;
	size_t rest = ps->n - INNER, from = 0;
	if (rest > OUTER) {
		from = rest - OUTER;
		gi_str_puts(ps->text, "...");
		gi_str_put_u64(ps->text, from);
		gi_str_puts(ps->text, " frames elided...\n");
	}
	for (size_t i = from; i < rest; i++) {
		const struct gi_frame *f = &ps->ring[i % OUTER];
		const struct piece *p = piece_of(ps->tb, f);
		if (p)
			print_frame(ps, f, p);
		else
			ps->oom = true;
	}
}

struct fatal {
	size_t physical, found;
};

static bool find_fatal(void *arg, const struct gi_frame *f)
{
	struct fatal *fatal = arg;
	if (f->kind == GI_FRAME_INLINED)
		return true;
	fatal->physical++;
	if (!strcmp(f->name, "runtime.fatalpanic") ||
	    !strcmp(f->name, "runtime.fatalthrow"))
		fatal->found = fatal->physical;
	return fatal->physical < FATAL_DEPTH;
}

static struct gi_error *unwind(struct gi_tb *tb, const struct gi_g *g, size_t thread,
			       gi_frame_fn fn, void *arg, struct gi_error **why_ret)
{
	if (g)
		return gi_unwind_goroutine(tb->u, g, GI_UNWIND_AS_RUNTIME, GI_UNWIND_MAX,
					   fn, arg, why_ret);
	return gi_unwind_thread(tb->u, thread, GI_UNWIND_AS_RUNTIME, GI_UNWIND_MAX, fn,
				arg, why_ret);
}

// When a panic or a fatal error ends the process, the runtime prints from the function
// that called fatalpanic or fatalthrow on: how many physical frames that leaves out.
size_t gi_tb_fatal_depth(struct gi_tb *tb, const struct gi_g *g, size_t thread)
{
	const struct gi_m *m = gi_go_m_by_thread(tb->go, thread);
	if (g)
		m = g->m_index ? gi_go_m(tb->go, g->m_index - 1) : NULL;
	if (!m || !m->dying)
		return 0;
	struct fatal fatal = {0};
	gi_error_ignore(unwind(tb, g, thread, find_fatal, &fatal, NULL));
	return fatal.found;
}

// g is NULL for what a thread does outside of goroutines.
static struct gi_error *frames(struct gi_tb *tb, const struct gi_g *g, size_t thread,
			       struct gi_str *text)
{
	struct gi_error *err = NULL, *why = NULL;
	size_t skip = gi_tb_fatal_depth(tb, g, thread);
	// At the level all a stack without user code is printed whole.
	for (int all = 0; all < 2; all++) {
		struct pass ps = {
			.tb = tb, .text = text, .show_runtime = all, .skip_fatal = skip};
		err = unwind(tb, g, thread, pass_frame, &ps, &why);
		if (!err) {
			pass_end(&ps);
			if (ps.oom || text->oom)
				err = gi_error_nomem();
		}
		free(ps.ring);
		if (err || ps.n)
			break;
		gi_error_free(why);
		why = NULL;
	}
	if (!err && why) {
		gi_str_puts(text, "\t(the stack ends early: ");
		put_escaped(text, gi_error_message(why));
		gi_str_puts(text, ")\n");
	}
	gi_error_free(why);
	return err;
}

struct gi_error *gi_tb_frames(struct gi_tb *tb, const struct gi_g *g, struct gi_str *text)
{
	return frames(tb, g, 0, text);
}

struct gi_error *gi_tb_thread_frames(struct gi_tb *tb, size_t thread, struct gi_str *text)
{
	return frames(tb, NULL, thread, text);
}

static void put_offset(struct gi_str *text, uint64_t pc, const struct gi_func *f)
{
	if (pc > f->entry) {
		gi_str_puts(text, " +");
		gi_str_put_hex(text, pc - f->entry);
	}
	gi_str_putc(text, '\n');
}

// "created by", but for the main goroutine. parent is 0 where it is not printed.
static void put_created_by(struct gi_tb *tb, uint64_t goid, const struct gi_location *loc,
			   uint64_t parent, struct gi_str *text)
{
	struct gi_func f;
	if (!loc->pc || goid == 1 || !gi_functab_find(gi_go_functab(tb->go), loc->pc, &f))
		return;
	if (tb->level == GI_TRACEBACK_ALL) {
		enum show show = show_of(tb, loc->function, f.func_id);
		if (show != SHOW_YES && show != SHOW_GOPANIC)
			return;
	}
	gi_str_puts(text, "created by ");
	gi_tb_put_name(tb->minor, loc->function, text);
	if (tb->minor >= 21 && parent) {
		gi_str_puts(text, " in goroutine ");
		gi_str_put_u64(text, parent);
	}
	gi_str_putc(text, '\n');
	put_position(text, loc->file, loc->line);
	put_offset(text, loc->pc, &f);
}

void gi_tb_created_by(struct gi_tb *tb, const struct gi_g *g, struct gi_str *text)
{
	struct gi_location loc;
	gi_unwind_created_by(tb->u, g, &loc);
	put_created_by(tb, g->goid, &loc, g->parent_goid, text);
}

// --- ancestors -----------------------------------------------------------

static bool shows_ancestor(struct gi_tb *tb, const struct gi_func *f, bool first)
{
	if (tb->level != GI_TRACEBACK_ALL)
		return true;
	switch (show_of(tb, f->name, f->func_id)) {
	case SHOW_YES:
		return true;
	case SHOW_GOPANIC:
		return !first;
	case SHOW_WRAPPER:
		return tb->minor < 21;
	default:
		return false;
	}
}

struct ancestors {
	struct gi_tb *tb;
	struct gi_str *text;
};

// The runtime looks these pcs up as they are: the line may be the one after the call.
static bool put_ancestor(void *arg, const struct gi_ancestor *a)
{
	struct ancestors *as = arg;
	struct gi_tb *tb = as->tb;
	struct gi_str *text = as->text;
	struct gi_func f;
	gi_str_puts(text, "[originating from goroutine ");
	gi_str_put_u64(text, a->goid);
	gi_str_puts(text, "]:\n");
	for (size_t i = 0; i < a->n; i++) {
		struct gi_call call;
		if (!gi_functab_find(gi_go_functab(tb->go), a->pcs[i], &f) ||
		    !shows_ancestor(tb, &f, i == 0) ||
		    !gi_func_calls(&f, a->pcs[i], &call, 1))
			continue;
		gi_tb_put_name(tb->minor, call.name, text);
		gi_str_puts(text, "(...)\n");
		put_position(text, call.file, call.line);
		put_offset(text, a->pcs[i], &f);
	}
	if (a->n == (tb->minor < 21 ? MAX_OLD : INNER))
		gi_str_puts(text, "...additional frames elided...\n");
	struct gi_g creator = {.goid = a->goid, .go_pc = a->go_pc};
	struct gi_location loc;
	gi_unwind_created_by(tb->u, &creator, &loc);
	put_created_by(tb, a->goid, &loc, 0, text);
	return !text->oom;
}

static void put_ancestors(struct gi_tb *tb, const struct gi_g *g, struct gi_str *text)
{
	struct ancestors as = {tb, text};
	struct gi_error *err = gi_go_ancestors(tb->go, g, put_ancestor, &as);
	if (err) {
		gi_str_puts(text, "\t(");
		put_escaped(text, gi_error_message(err));
		gi_str_puts(text, ")\n");
		gi_error_free(err);
	}
}

struct gi_error *gi_tb_goroutine(struct gi_tb *tb, const struct gi_g *g,
				 struct gi_str *text)
{
	if (g->unreadable) {
		gi_str_puts(text, "goroutine at ");
		gi_str_put_hex(text, g->addr);
		gi_str_puts(text, " cannot be read\n");
		return NULL;
	}
	gi_tb_header(tb, g, text);
	struct gi_error *err = gi_tb_frames(tb, g, text);
	if (err) {
		enum gi_error_code code = gi_error_code(err);
		if (code == GI_ERR_NOMEM || code == GI_ERR_INTERRUPTED)
			return err;
		gi_str_puts(text, "\t(");
		put_escaped(text, gi_error_message(err));
		gi_str_puts(text, ")\n");
		gi_error_free(err);
	}
	gi_tb_created_by(tb, g, text);
	put_ancestors(tb, g, text);
	return text->oom ? gi_error_nomem() : NULL;
}

// The selected frame: moving it, showing it.

#include "repl/session_impl.h"

// The list with C frames has all of the other's frames, and more between them: where one of a
// list is in the other.
static size_t find_frame(const struct gi_stack *s, const struct gi_frame *f)
{
	for (size_t i = 0; i < gi_stack_len(s); i++) {
		const struct gi_frame *x = gi_stack_frame(s, i);
		if (x->pc == f->pc && x->sp == f->sp && x->kind == f->kind && x->name == f->name)
			return i;
	}
	return 0;
}

struct gi_error *gi_session_set_full_thread(struct gi_session *s, bool full)
{
	enum { MORE = 4096 }; // C frames that are looked through
	_cleanup_(gi_stack_freep) struct gi_stack *before = NULL, *after = NULL;
	if (full == s->full_thread || s->by_thread)
		return NULL;
	struct gi_error *err = s->frame ? gi_session_stack(s, s->frame + 1, &before) : NULL;
	if (err)
		return err;
	s->full_thread = full;
	if (!before || s->frame >= gi_stack_len(before)) {
		s->frame = 0;
		return NULL;
	}
	err = gi_session_stack(s, s->frame + MORE, &after);
	if (err) {
		s->full_thread = !full;
		return err;
	}
	s->frame = find_frame(after, gi_stack_frame(before, s->frame));
	return NULL;
}

struct gi_error *gi_session_move_frame(struct gi_session *s, uint64_t n, bool up)
{
	if (!up) {
		if (!s->frame)
			return gi_error_create(GI_ERR_NOT_FOUND, "this is the innermost frame");
		s->frame -= gi_min_u64(n, s->frame);
		return NULL;
	}
	size_t want = s->frame + gi_min_u64(n, GI_UNWIND_MAX);
	_cleanup_(gi_stack_freep) struct gi_stack *stack = NULL;
	struct gi_error *err = gi_session_stack(s, want + 1, &stack);
	if (err)
		return err;
	size_t last = gi_stack_len(stack) ? gi_stack_len(stack) - 1 : 0;
	if (s->frame >= last)
		return gi_error_create(GI_ERR_NOT_FOUND, "this is the outermost frame");
	s->frame = want < last ? want : last;
	return NULL;
}

struct show {
	struct gi_session *s;
	struct gi_out *out;
	size_t i;
	bool found;
};

static bool show_frame(void *arg, const struct gi_frame *frame)
{
	struct show *show = arg;
	if (show->i++ < show->s->frame)
		return true;
	show->found = true;
	_cleanup_(gi_str_deinit) struct gi_str args = {0};
	if (frame->kind == GI_FRAME_GO || frame->kind == GI_FRAME_INLINED)
		gi_frame_args(show->s->unwinder, frame, &args);
	gi_out_frame_args(show->out, show->s->frame, frame, gi_str_cstr(&args));
	return false;
}

struct gi_error *gi_session_show_frame(struct gi_session *s, struct gi_out *out)
{
	struct show show = {.s = s, .out = out};
	_cleanup_(gi_error_freep) struct gi_error *why = NULL;
	struct gi_error *err;
	size_t thread;
	if (!s->by_thread && s->g)
		err = gi_unwind_goroutine(s->unwinder, s->g, gi_session_unwind_flags(s), s->frame + 1,
					  show_frame, &show, &why);
	else if (gi_session_thread(s, &thread))
		err = gi_unwind_thread(s->unwinder, thread, GI_UNWIND_FULL_THREAD, s->frame + 1,
				       show_frame, &show, &why);
	else
		err = gi_error_create(GI_ERR_NOT_FOUND, "no goroutine or thread is selected");
	if (!err && !show.found)
		err = gi_error_create(GI_ERR_NOT_FOUND, "there is no frame %zu", s->frame);
	return err;
}

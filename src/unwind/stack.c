// Collected stacks: the frames of one walk, with copies of what a walk only lends.

#include "unwind/unwind_impl.h"

#include <stdlib.h>
#include <string.h>

// Registers are kept for this many physical frames: a runaway recursion's millions of
// frames differ in nothing else.
enum { REGS_KEPT = 4096 };

struct gi_stack {
	struct gi_frame *frames;
	size_t len, cap, max;
	struct gi_arena *arena; // of registers
	size_t regs_len;
	struct gi_error *why;
	struct gi_error *err;
	bool cut;
};

static bool collect(void *arg, const struct gi_frame *frame)
{
	struct gi_stack *s = arg;
	if (s->len >= s->max) {
		s->cut = true;
		return false;
	}
	s->err = gi_grow(&s->frames, &s->cap, s->len + 1, sizeof(*s->frames));
	if (s->err)
		return false;
	struct gi_frame *f = &s->frames[s->len];
	*f = *frame;
	f->regs = NULL;
	if (frame->regs) {
		// Logical frames of one physical frame share its registers.
		struct gi_frame *prev = s->len ? f - 1 : NULL;
		if (prev && prev->kind == GI_FRAME_INLINED && prev->cfa == f->cfa &&
		    prev->pc == f->pc) {
			f->regs = prev->regs;
		} else if (s->regs_len < REGS_KEPT) {
			struct gi_regs *copy = gi_arena_alloc(s->arena, sizeof(*copy));
			if (copy) {
				*copy = *frame->regs;
				f->regs = copy;
				s->regs_len++;
			}
		}
	}
	s->len++;
	return true;
}

static struct gi_error *stack_create(size_t max, struct gi_stack **ret)
{
	struct gi_stack *s = calloc(1, sizeof(*s));
	if (!s)
		return gi_error_nomem();
	struct gi_error *err = gi_arena_create(&s->arena);
	if (err) {
		free(s);
		return err;
	}
	s->max = max;
	*ret = s;
	return NULL;
}

// One more than max: to know whether max cut the stack.
static size_t ask_for(size_t max)
{
	return max < GI_UNWIND_MAX ? max + 1 : max;
}

static struct gi_error *stack_done(struct gi_stack *s, struct gi_error *err, struct gi_stack **ret)
{
	if (!err) {
		err = s->err;
		s->err = NULL;
	}
	if (err) {
		gi_stack_free(s);
		return err;
	}
	*ret = s;
	return NULL;
}

struct gi_error *gi_stack_of_goroutine(struct gi_unwinder *u, const struct gi_g *g, unsigned flags,
				       size_t max, struct gi_stack **ret)
{
	struct gi_stack *s = NULL;
	struct gi_error *err = stack_create(max, &s);
	if (err)
		return err;
	err = gi_unwind_goroutine(u, g, flags, ask_for(max), collect, s, &s->why);
	return stack_done(s, err, ret);
}

struct gi_error *gi_stack_of_thread(struct gi_unwinder *u, size_t thread, unsigned flags,
				    size_t max, struct gi_stack **ret)
{
	struct gi_stack *s = NULL;
	struct gi_error *err = stack_create(max, &s);
	if (err)
		return err;
	err = gi_unwind_thread(u, thread, flags, ask_for(max), collect, s, &s->why);
	return stack_done(s, err, ret);
}

void gi_stack_free(struct gi_stack *s)
{
	if (!s)
		return;
	gi_error_free(s->why);
	gi_error_free(s->err);
	gi_arena_destroy(s->arena);
	free(s->frames);
	free(s);
}

size_t gi_stack_len(const struct gi_stack *s)
{
	return s->len;
}

const struct gi_frame *gi_stack_frame(const struct gi_stack *s, size_t i)
{
	return i < s->len ? &s->frames[i] : NULL;
}

const struct gi_error *gi_stack_truncated(const struct gi_stack *s)
{
	return s->why;
}

bool gi_stack_cut_by_max(const struct gi_stack *s)
{
	return s->cut;
}

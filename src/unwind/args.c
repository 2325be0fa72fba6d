// Argument words, as the runtime prints them.
//
// The compiler describes each function's arguments as a byte stream (FUNCDATA ArgInfo,
// src/internal/abi/symtab.go TraceArgs*, cmd/compile ssagen.emitArgInfo): an offset from
// argp and a size for each word that is printed, braces around aggregates, "..." where it
// cut the list, "_" for what is out of reach, 0xff at the end. Arguments that came in
// registers have spill slots, which hold the value only where the function spilled it: a
// bitmap per pc (PCDATA ArgLiveIndex into FUNCDATA ArgLiveInfo, whose first byte is the
// smallest offset with liveness) says which, and others are marked "?".
//
// The stream is the same for each frame at a pc: it is turned once into pieces of text
// and loads, and kept.

#include "unwind/unwind_impl.h"

#include <string.h>

enum {
	ARGS_END = 0xff,
	ARGS_START_AGG = 0xfe,
	ARGS_END_AGG = 0xfd,
	ARGS_DOTDOTDOT = 0xfc,
	ARGS_TOO_FAR = 0xfb,
	// The compiler's limits: 10 words, 5 levels of aggregates.
	ARGS_MAX_LEN = (5 * 3 + 2) * 10 + 1,
	LIVE_MAX = 64,
};

struct arg_load {
	const char *before;
	size_t before_len;
	uint8_t off, size;
	bool live;
};

struct gi_arg_program {
	size_t n;
	struct arg_load *loads;
	const char *after;
	size_t after_len;
	size_t extent; // bytes from argp that loads reach
};

struct builder {
	struct gi_str text; // since the last load
	struct arg_load loads[ARGS_MAX_LEN / 2 + 1];
	size_t n;
	bool start;
};

static void comma(struct builder *b)
{
	if (!b->start)
		gi_str_puts(&b->text, ", ");
}

// The bytes of a table of func data: at most max, as many as can be read.
static size_t table(struct gi_target *t, uint64_t addr, uint8_t *buf, size_t max)
{
	size_t n = 0;
	const void *p = gi_target_view_max(t, addr, max, &n);
	if (p)
		memcpy(buf, p, n);
	return p ? n : 0;
}

static bool is_live(const uint8_t *live, size_t live_len, int32_t index, uint8_t off, unsigned slot)
{
	if (!live_len || index <= 0 || off < live[0])
		return true;
	size_t at = (size_t)index + slot / 8;
	return at >= live_len || live[at] >> slot % 8 & 1;
}

static bool compile(struct gi_unwinder *u, const struct gi_func *f, uint64_t pc, struct builder *b)
{
	uint8_t stream[ARGS_MAX_LEN], live[256 + LIVE_MAX];
	uint64_t info = gi_func_funcdata(f, GI_FUNCDATA_ARG_INFO);
	uint64_t live_info = gi_func_funcdata(f, GI_FUNCDATA_ARG_LIVE_INFO);
	size_t len = info ? table(u->t, info, stream, sizeof(stream)) : 0;
	size_t live_len = live_info ? table(u->t, live_info, live, sizeof(live)) : 0;
	int32_t index = gi_func_pcdata(f, GI_PCDATA_ARG_LIVE, pc, NULL);
	unsigned slot = 0;
	uint8_t first_slot = live_len ? live[0] : 0xff;

	b->start = true;
	for (size_t i = 0; i < len;) {
		uint8_t op = stream[i++];
		switch (op) {
		case ARGS_END:
			return true;
		case ARGS_START_AGG:
			comma(b);
			gi_str_putc(&b->text, '{');
			b->start = true;
			continue;
		case ARGS_END_AGG:
			gi_str_putc(&b->text, '}');
			break;
		case ARGS_DOTDOTDOT:
			comma(b);
			gi_str_puts(&b->text, "...");
			break;
		case ARGS_TOO_FAR:
			comma(b);
			gi_str_putc(&b->text, '_');
			break;
		default:
			if (i == len)
				return false;
			comma(b);
			struct arg_load *l = &b->loads[b->n++];
			l->off = op;
			l->size = stream[i++];
			l->live = is_live(live, live_len, index, op, slot);
			l->before =
				gi_arena_strndup(u->args_arena, gi_str_cstr(&b->text), b->text.len);
			l->before_len = b->text.len;
			gi_str_reset(&b->text);
			if (!l->before || l->size > 8)
				return false;
			if (op >= first_slot)
				slot++;
		}
		b->start = false;
	}
	// No end mark: what was read cannot be trusted, unless there was nothing to read.
	return !len;
}

static const struct gi_arg_program *program(struct gi_unwinder *u, const struct gi_func *f,
					    uint64_t pc)
{
	uint64_t value;
	if (gi_map_get(&u->args, pc, &value))
		return (const struct gi_arg_program *)(uintptr_t)value;
	struct gi_error *err;
	if (!u->args_arena) {
		err = gi_arena_create(&u->args_arena);
		if (err) {
			gi_error_ignore(err);
			return NULL;
		}
	}
	struct builder b = {.n = 0};
	struct gi_arg_program *p = gi_arena_alloc(u->args_arena, sizeof(*p));
	bool ok = compile(u, f, pc, &b) && !b.text.oom;
	if (p && ok) {
		p->loads = gi_arena_alloc(u->args_arena, (b.n + 1) * sizeof(*p->loads));
		p->after = gi_arena_strndup(u->args_arena, gi_str_cstr(&b.text), b.text.len);
		p->after_len = b.text.len;
		if (p->loads && p->after) {
			p->n = b.n;
			memcpy(p->loads, b.loads, b.n * sizeof(*p->loads));
		} else {
			p->after_len = 0;
		}
		for (size_t i = 0; i < p->n; i++)
			p->extent =
				gi_max_u64(p->extent, (uint64_t)p->loads[i].off + p->loads[i].size);
	}
	gi_str_deinit(&b.text);
	if (p)
		gi_error_ignore(gi_map_put(&u->args, pc, (uint64_t)(uintptr_t)p));
	return p;
}

void gi_frame_args(struct gi_unwinder *u, const struct gi_frame *frame, struct gi_str *ret)
{
	if (frame->kind == GI_FRAME_INLINED) {
		gi_str_puts(ret, "...");
		return;
	}
	if (!frame->has_func)
		return;
	// Releases before 1.21 looked liveness up where the outermost inlined call is.
	uint64_t pc = frame->lookup_pc;
	if (u->symbolic_args)
		pc = frame->exact_pc || frame->pc <= frame->entry ? frame->pc : frame->pc - 1;
	const struct gi_arg_program *p = program(u, &frame->func, pc);
	if (!p || !p->n) {
		if (p && p->after_len)
			gi_str_putn(ret, p->after, p->after_len);
		return;
	}
	const uint8_t *words = gi_target_view(u->t, frame->argp, p->extent);
	for (size_t i = 0; i < p->n; i++) {
		const struct arg_load *l = &p->loads[i];
		uint8_t buf[8] = {0};
		gi_str_putn(ret, l->before, l->before_len);
		if (words) {
			memcpy(buf, words + l->off, l->size);
		} else {
			struct gi_error *err =
				gi_target_read(u->t, frame->argp + l->off, buf, l->size);
			if (err) {
				gi_error_ignore(err);
				gi_str_putc(ret, '?');
				continue;
			}
		}
		gi_str_put_hex(ret, gi_load_u64(buf));
		if (!l->live)
			gi_str_putc(ret, '?');
	}
	gi_str_putn(ret, p->after, p->after_len);
}

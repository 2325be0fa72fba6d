// Frames and locations, as every command shows them.

#include "report/frame.h"

#include <string.h>

// The runtime prints "main.f[...]" for a generic function whatever its type arguments
// are; the linked name has them in brackets: "main.f[go.shape.int]".
void gi_function_print_name(const char *name, struct gi_str *ret)
{
	const char *open = strchr(name, '[');
	const char *close = strrchr(name, ']');
	if (!open || !close || close < open) {
		gi_str_put_escaped(ret, name, strlen(name));
		return;
	}
	gi_str_put_escaped(ret, name, (size_t)(open - name));
	gi_str_puts(ret, "[...]");
	gi_str_put_escaped(ret, close + 1, strlen(close + 1));
}

static bool known(const char *s)
{
	return s && *s && strcmp(s, "?") != 0;
}

static const char *or_null(const char *s)
{
	return known(s) ? s : NULL;
}

static const char *kind_name(enum gi_frame_kind kind)
{
	switch (kind) {
	case GI_FRAME_GO:
		return "go";
	case GI_FRAME_INLINED:
		return "inlined";
	case GI_FRAME_C:
		return "c";
	case GI_FRAME_SIGNAL:
		return "signal";
	case GI_FRAME_GUESSED:
		return "guessed";
	}
	return "unknown";
}

static const char *stack_name(enum gi_stack_id stack)
{
	switch (stack) {
	case GI_STACK_GOROUTINE:
		return "goroutine";
	case GI_STACK_G0:
		return "g0";
	case GI_STACK_GSIGNAL:
		return "gsignal";
	case GI_STACK_THREAD:
		return "thread";
	}
	return "unknown";
}

static void json_position(struct gi_out *out, uint64_t pc, const char *function, const char *file,
			  uint32_t line)
{
	gi_json_hex(out, "pc", pc);
	gi_json_str(out, "function", or_null(function));
	gi_json_str(out, "file", or_null(file));
	gi_json_u64_or_null(out, "line", known(file) && line, line);
}

void gi_json_frame(struct gi_out *out, const struct gi_frame *frame)
{
	gi_json_object(out, NULL);
	json_position(out, frame->pc, frame->name, frame->file, frame->line);
	gi_json_bool(out, "inlined", frame->kind == GI_FRAME_INLINED);
	gi_json_close(out);
}

void gi_json_location(struct gi_out *out, const char *key, const struct gi_location *loc)
{
	if (!loc->pc) {
		gi_json_null(out, key);
		return;
	}
	gi_json_object(out, key);
	json_position(out, loc->pc, loc->function, loc->file, loc->line);
	gi_json_close(out);
}

void gi_json_location_or_null(struct gi_out *out, const char *key, const struct gi_location *loc)
{
	if (loc->pc)
		gi_json_location(out, key, loc);
	else
		gi_json_null(out, key);
}

void gi_location_format(struct gi_str *str, const char *function, const char *file, uint32_t line,
			uint64_t pc)
{
	if (known(function))
		gi_function_print_name(function, str);
	else
		gi_str_put_hex(str, pc);
	if (known(file)) {
		gi_str_puts(str, " at ");
		gi_str_put_escaped(str, file, strlen(file));
		if (line) {
			gi_str_putc(str, ':');
			gi_str_put_u64(str, line);
		}
	}
}

static void frame_members(struct gi_out *out, size_t i, const struct gi_frame *frame)
{
	gi_json_u64(out, "number", i);
	json_position(out, frame->pc, frame->name, frame->file, frame->line);
	gi_json_bool(out, "inlined", frame->kind == GI_FRAME_INLINED);
	gi_json_str(out, "kind", kind_name(frame->kind));
	gi_json_str(out, "stack", stack_name(frame->stack));
	gi_json_hex(out, "sp", frame->sp);
	gi_json_u64_or_null(out, "offset", frame->entry && frame->pc >= frame->entry,
			    frame->pc - frame->entry);
	gi_json_str(out, "module", or_null(frame->module));
}

// args: untrusted; values: safe already; or both NULL.
static void frame_text(struct gi_out *out, size_t i, const struct gi_frame *frame, const char *args,
		       const char *values)
{
	_cleanup_(gi_str_deinit) struct gi_str str = {0};
	gi_str_printf(&str, "#%-3zu 0x%012" PRIx64 " in %s", i, frame->pc,
		      gi_style_start(out, GI_STYLE_NAME));
	if (known(frame->name))
		gi_function_print_name(frame->name, &str);
	else
		gi_str_puts(&str, "??");
	gi_str_puts(&str, gi_style_end(out));
	if (values) {
		gi_str_printf(&str, "(%s)", values);
	} else if (args) {
		gi_str_putc(&str, '(');
		gi_str_put_escaped(&str, args, strlen(args));
		gi_str_putc(&str, ')');
	}
	if (known(frame->file)) {
		gi_str_puts(&str, " at ");
		gi_str_put_escaped(&str, frame->file, strlen(frame->file));
		if (frame->line)
			gi_str_printf(&str, ":%" PRIu32, frame->line);
	} else if (known(frame->module)) {
		gi_str_puts(&str, " from ");
		gi_str_put_escaped(&str, frame->module, strlen(frame->module));
	}
	if (frame->kind == GI_FRAME_INLINED)
		gi_str_puts(&str, " [inlined]");
	else if (frame->kind == GI_FRAME_C)
		gi_str_puts(&str, " [C]");
	else if (frame->kind == GI_FRAME_GUESSED)
		gi_str_puts(&str, " [guessed]");
	else if (frame->kind == GI_FRAME_SIGNAL)
		gi_str_puts(&str, " [signal]");
	gi_str_putc(&str, '\n');
	gi_out_write(out, gi_str_cstr(&str), str.len);
}

static void json_deferred(struct gi_out *out, const struct gi_deferred *d)
{
	gi_json_object(out, NULL);
	gi_json_str(out, "function", or_null(d->calls.function));
	gi_json_str(out, "file", or_null(d->calls.file));
	gi_json_u64_or_null(out, "line", known(d->calls.file) && d->calls.line, d->calls.line);
	gi_json_hex(out, "closure", d->closure);
	gi_json_str(out, "wrapper", d->wrapper);
	gi_json_bool(out, "open_coded", d->open_coded);
	gi_json_str(out, "deferred_file", d->statement.pc ? or_null(d->statement.file) : NULL);
	gi_json_u64_or_null(out, "deferred_line", d->statement.pc && d->statement.line,
			    d->statement.line);
	gi_json_close(out);
}

static void deferred_text(struct gi_out *out, const struct gi_deferred *d)
{
	_cleanup_(gi_str_deinit) struct gi_str str = {0};

	gi_str_puts(&str, "       deferred: ");
	if (!d->calls.pc)
		gi_str_printf(&str, "a function value at 0x%" PRIx64 ", which cannot be read",
			      d->closure);
	else
		gi_location_format(&str, d->calls.function, d->calls.file, d->calls.line,
				   d->calls.pc);
	if (d->statement.pc && known(d->statement.file)) {
		gi_str_puts(&str, ", by ");
		gi_str_put_escaped(&str, d->statement.file, strlen(d->statement.file));
		gi_str_printf(&str, ":%" PRIu32, d->statement.line);
	}
	gi_str_putc(&str, '\n');
	gi_out_write(out, gi_str_cstr(&str), str.len);
}

// Those of the physical frame: its inlined calls have the same sp, and defer nothing.
static void deferred_of(struct gi_out *out, const struct gi_deferreds *ds, uint64_t sp)
{
	for (size_t k = 0; k < ds->n; k++) {
		if (ds->d[k].sp != sp)
			continue;
		if (gi_out_is_json(out))
			json_deferred(out, &ds->d[k]);
		else
			deferred_text(out, &ds->d[k]);
	}
}

void gi_out_deferred_elsewhere(struct gi_out *out, const struct gi_deferreds *deferred)
{
	bool any = false;

	for (size_t k = 0; k < deferred->n; k++)
		any |= !deferred->d[k].sp;
	gi_json_array(out, "deferred_elsewhere");
	if (any) {
		gi_out_puts(out, "deferred by frames that are not on the stack:\n");
		deferred_of(out, deferred, 0);
	}
	gi_json_close(out);
}

static void args_text(const struct gi_arg_values *args, struct gi_str *ret)
{
	for (size_t i = 0; i < args->n; i++) {
		const struct gi_arg_value *a = &args->a[i];
		if (i)
			gi_str_puts(ret, ", ");
		gi_str_put_escaped(ret, a->name, strlen(a->name));
		gi_str_putc(ret, '=');
		if (a->state == GI_ARG_KNOWN)
			gi_str_putn(ret, gi_str_cstr(&a->value), a->value.len);
		else
			gi_str_printf(ret, "<%s>", gi_arg_state_name(a->state));
	}
}

static void json_args(struct gi_out *out, const struct gi_frame_more *more)
{
	gi_json_str(out, "argument_words", more->words);
	if (!more->args)
		return;
	gi_json_array(out, "arguments");
	for (size_t i = 0; i < more->args->n; i++) {
		const struct gi_arg_value *a = &more->args->a[i];
		bool known_value = a->state == GI_ARG_KNOWN;
		gi_json_object(out, NULL);
		gi_json_str(out, "name", a->name);
		gi_json_str(out, "type", a->type && *a->type ? a->type : NULL);
		gi_json_str(out, "value", known_value ? gi_str_cstr(&a->value) : NULL);
		gi_json_str(out, "state", gi_arg_state_name(a->state));
		gi_json_close(out);
	}
	gi_json_close(out);
}

struct gi_error *gi_out_stack_frame(struct gi_out *out, const struct gi_stack *stack, size_t i,
				    struct gi_unwinder *u, struct gi_arg_reader *reader,
				    const struct gi_deferreds *deferred)
{
	const struct gi_frame *frame = gi_stack_frame(stack, i);
	_cleanup_(gi_arg_values_deinit) struct gi_arg_values values = {0};
	_cleanup_(gi_str_deinit) struct gi_str words = {0};
	struct gi_frame_more more = {.deferred = deferred, .with_args = true};

	if (frame->kind == GI_FRAME_GO || frame->kind == GI_FRAME_INLINED) {
		struct gi_error *err = gi_arg_reader_read(
			reader, frame, gi_stack_inline_level(stack, i), &values);
		if (!err)
			more.args = &values;
		else if (gi_error_code(err) != GI_ERR_NOT_FOUND)
			return err;
		gi_error_ignore(err);
		gi_frame_args(u, frame, &words);
		more.words = gi_str_cstr(&words);
	}
	gi_out_frame_more(out, i, frame, &more);
	return NULL;
}

void gi_out_frame_more(struct gi_out *out, size_t i, const struct gi_frame *frame,
		       const struct gi_frame_more *more)
{
	bool json = gi_out_is_json(out), may_defer = frame->kind == GI_FRAME_GO &&
						     frame->stack == GI_STACK_GOROUTINE;
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	const char *values = NULL;
	if (more->args) {
		args_text(more->args, &text);
		values = gi_str_cstr(&text);
	}
	if (json) {
		gi_json_object(out, NULL);
		frame_members(out, i, frame);
	} else {
		frame_text(out, i, frame, more->words, values);
	}
	if (json && more->with_args)
		json_args(out, more);
	if (more->deferred) {
		gi_json_array(out, "deferred");
		if (may_defer)
			deferred_of(out, more->deferred, frame->sp);
		gi_json_close(out);
	}
	gi_json_close(out);
}

void gi_out_frame(struct gi_out *out, size_t i, const struct gi_frame *frame)
{
	gi_out_frame_more(out, i, frame, &(struct gi_frame_more){0});
}

void gi_out_frame_args(struct gi_out *out, size_t i, const struct gi_frame *frame, const char *args)
{
	if (!gi_out_is_json(out)) {
		frame_text(out, i, frame, args, NULL);
		return;
	}
	gi_json_begin(out, "frame");
	frame_members(out, i, frame);
	gi_json_str(out, "args", args);
	gi_json_end(out);
}

void gi_out_stack_switch(struct gi_out *out, enum gi_stack_id to)
{
	static const char *const texts[] = {
		[GI_STACK_GOROUTINE] = "the goroutine's own stack",
		[GI_STACK_G0] = "the thread's scheduler stack (g0)",
		[GI_STACK_GSIGNAL] = "the thread's signal stack",
		[GI_STACK_THREAD] = "the thread's stack",
	};
	gi_out_style(out, GI_STYLE_DIM);
	gi_out_printf(out, "     -- %s --",
		      (size_t)to < GI_ARRAY_SIZE(texts) ? texts[to] : "another stack");
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_puts(out, "\n");
}

// Outputs: one buffer before a file descriptor, or a buffer alone.
//
// A command never learns of a failed write in the middle of a line: the first failure is
// kept, later writes are dropped, and gi_out_check() tells loops that it is time to stop.
//
// On a terminal the session asks to hold text back until it is longer than the screen:
// then a callback starts the pager and gives the descriptor to go on with.

#include "report/out_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUT_BUFFER = 64 * 1024 };

static struct gi_error *out_create(int fd, bool json, bool color, struct gi_out **ret)
{
	struct gi_out *out = calloc(1, sizeof(*out));
	if (!out)
		return gi_error_nomem();
	out->cap = OUT_BUFFER;
	out->buf = malloc(out->cap);
	if (!out->buf) {
		free(out);
		return gi_error_nomem();
	}
	out->fd = fd;
	out->json = json;
	out->color = color && !json;
	*ret = out;
	return NULL;
}

struct gi_error *gi_out_create_fd(int fd, bool json, bool color, struct gi_out **ret)
{
	return out_create(fd, json, color, ret);
}

struct gi_error *gi_out_create_memory(bool json, struct gi_out **ret)
{
	return out_create(-1, json, false, ret);
}

static void write_all(struct gi_out *out)
{
	size_t off = 0;
	while (!out->error && off < out->len) {
		ssize_t n = write(out->fd, out->buf + off, out->len - off);
		if (n >= 0)
			off += (size_t)n;
		else if (errno != EINTR)
			out->error = errno;
	}
	out->len = 0;
}

// Lets go of what was held back: to the pager when it is long, else as it is.
static void release(struct gi_out *out, bool is_long)
{
	gi_out_overflow_fn fn = out->overflow;
	out->overflow = NULL;
	if (fn && is_long) {
		int fd = fn(out->overflow_arg);
		if (fd >= 0)
			out->fd = fd;
	}
}

// Follows where the text ends on the screen; true once it is longer than that.
static bool measure(struct gi_out *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c == '\n') {
			out->row++;
			out->col = 0;
		} else if (c == '\t') {
			out->col = (out->col | 7) + 1;
		} else if ((c & 0xc0) != 0x80 && ++out->col > out->cols) {
			out->row++;
			out->col = 1;
		}
	}
	return out->row >= out->rows;
}

static bool make_room(struct gi_out *out, size_t n)
{
	if (n <= out->cap - out->len)
		return true;
	if (out->fd >= 0 && !out->overflow) {
		write_all(out);
		if (n <= out->cap)
			return !out->error;
	}
	if (n > SIZE_MAX - out->len) {
		out->error = ENOMEM;
		return false;
	}
	struct gi_error *err = gi_grow(&out->buf, &out->cap, out->len + n, 1);
	if (err) {
		gi_error_ignore(err);
		out->error = ENOMEM;
		return false;
	}
	return true;
}

void gi_out_raw(struct gi_out *out, const char *s, size_t n)
{
	if (out->error || !n)
		return;
	if (out->overflow && measure(out, s, n)) {
		release(out, true);
		write_all(out);
	}
	if (!make_room(out, n))
		return;
	memcpy(out->buf + out->len, s, n);
	out->len += n;
}

struct gi_error *gi_out_flush(struct gi_out *out)
{
	if (out->fd >= 0) {
		release(out, false);
		write_all(out);
	}
	if (out->error == EPIPE)
		return gi_error_create(GI_ERR_PIPE, "the reader of the output went away");
	if (out->error == ENOMEM)
		return gi_error_nomem();
	if (out->error)
		return gi_error_create(GI_ERR_IO, "cannot write the output: %s",
				       strerror(out->error));
	return NULL;
}

struct gi_error *gi_out_check(struct gi_out *out)
{
	if (out->error)
		return gi_out_flush(out);
	return gi_interrupt_check();
}

const char *gi_out_memory_text(struct gi_out *out, size_t *len_ret)
{
	size_t len = out->len;
	if (!make_room(out, 1)) {
		if (len_ret)
			*len_ret = 0;
		return "";
	}
	out->buf[len] = '\0';
	if (len_ret)
		*len_ret = len;
	return out->buf;
}

void gi_out_destroy(struct gi_out *out)
{
	if (!out)
		return;
	if (out->fd >= 0) {
		release(out, false);
		write_all(out);
	}
	gi_str_deinit(&out->notes);
	free(out->buf);
	free(out);
}

void gi_out_set_overflow(struct gi_out *out, size_t rows, size_t cols, gi_out_overflow_fn fn,
			 void *arg)
{
	out->rows = rows;
	out->cols = cols ? cols : 80;
	out->overflow = fn;
	out->overflow_arg = arg;
}

void gi_out_set_progress(struct gi_out *out, gi_progress_fn fn, void *arg)
{
	out->progress = fn;
	out->progress_arg = arg;
}

void gi_out_progress(struct gi_out *out, const char *what, uint64_t done, uint64_t total)
{
	if (out->progress)
		out->progress(out->progress_arg, what, done, total);
}

bool gi_out_is_json(const struct gi_out *out)
{
	return out->json;
}

bool gi_out_has_color(const struct gi_out *out)
{
	return out->color;
}

// --- text -------------------------------------------------------------------

GI_PRINTF(2, 0)
static void out_vprintf(struct gi_out *out, const char *fmt, va_list ap)
{
	struct gi_str str = {0};
	gi_str_vprintf(&str, fmt, ap);
	if (str.oom)
		out->error = ENOMEM;
	else
		gi_out_raw(out, gi_str_cstr(&str), str.len);
	gi_str_deinit(&str);
}

void gi_out_printf(struct gi_out *out, const char *fmt, ...)
{
	if (out->json)
		return;
	va_list ap;
	va_start(ap, fmt);
	out_vprintf(out, fmt, ap);
	va_end(ap);
}

void gi_out_write(struct gi_out *out, const char *s, size_t n)
{
	if (!out->json)
		gi_out_raw(out, s, n);
}

void gi_out_puts(struct gi_out *out, const char *s)
{
	gi_out_write(out, s, strlen(s));
}

void gi_out_text(struct gi_out *out, const char *s)
{
	if (out->json)
		return;
	_cleanup_(gi_str_deinit) struct gi_str str = {0};
	gi_str_put_escaped(&str, s, strlen(s));
	if (str.oom)
		out->error = ENOMEM;
	else
		gi_out_raw(out, gi_str_cstr(&str), str.len);
}

const char *gi_style_start(const struct gi_out *out, enum gi_style style)
{
	static const char *const codes[] = {
		[GI_STYLE_NONE] = "",	      [GI_STYLE_HEAD] = "\033[1m",
		[GI_STYLE_GOOD] = "\033[32m", [GI_STYLE_BAD] = "\033[31m",
		[GI_STYLE_DIM] = "\033[2m",   [GI_STYLE_NAME] = "\033[36m",
	};
	return out->color && style < GI_ARRAY_SIZE(codes) ? codes[style] : "";
}

const char *gi_style_end(const struct gi_out *out)
{
	return out->color ? "\033[0m" : "";
}

void gi_out_style(struct gi_out *out, enum gi_style style)
{
	if (!out->color)
		return;
	if (out->styled)
		gi_out_puts(out, gi_style_end(out));
	gi_out_puts(out, gi_style_start(out, style));
	out->styled = style != GI_STYLE_NONE;
}

void gi_out_note(struct gi_out *out, const char *fmt, ...)
{
	struct gi_str text = {0};
	va_list ap;
	va_start(ap, fmt);
	gi_str_vprintf(&text, fmt, ap);
	va_end(ap);
	if (out->json) {
		gi_json_note(out, gi_str_cstr(&text));
	} else {
		gi_out_style(out, GI_STYLE_DIM);
		gi_out_puts(out, "note: ");
		gi_out_text(out, gi_str_cstr(&text));
		gi_out_style(out, GI_STYLE_NONE);
		gi_out_puts(out, "\n");
	}
	gi_str_deinit(&text);
}

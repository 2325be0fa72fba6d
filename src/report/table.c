// Small tables: cells are collected, then printed with columns of even width.

#include "report/table.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 16 };

void gi_table_init(struct gi_table *t, const char *const *heads)
{
	*t = (struct gi_table){.heads = heads};
	while (t->columns < MAX_COLUMNS && heads[t->columns])
		t->columns++;
}

void gi_table_deinit(struct gi_table *t)
{
	gi_str_deinit(&t->text);
}

void gi_table_text(struct gi_table *t, const char *s)
{
	if (!s || !*s)
		s = "-";
	gi_str_put_escaped(&t->text, s, strlen(s));
	gi_str_putc(&t->text, '\0');
	t->cells++;
}

void gi_table_cell(struct gi_table *t, const char *fmt, ...)
{
	struct gi_str s = {0};
	va_list ap;
	va_start(ap, fmt);
	gi_str_vprintf(&s, fmt, ap);
	va_end(ap);
	gi_table_text(t, gi_str_cstr(&s));
	gi_str_deinit(&s);
}

// Columns of a UTF-8 text, taking each character for one wide.
static size_t width_of(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static const char *head_of(const struct gi_table *t, size_t column)
{
	return t->heads[column] + (t->heads[column][0] == '>');
}

static void put(struct gi_str *line, const struct gi_table *t, size_t column, const char *cell,
		size_t width)
{
	size_t w = width_of(cell), pad = w < width ? width - w : 0;
	if (t->heads[column][0] == '>')
		gi_str_printf(line, "%*s", (int)pad, "");
	gi_str_puts(line, cell);
	if (t->heads[column][0] != '>' && column + 1 < t->columns)
		gi_str_printf(line, "%*s", (int)pad, "");
	gi_str_puts(line, column + 1 < t->columns ? "  " : "");
}

void gi_table_print(struct gi_table *t, struct gi_out *out)
{
	size_t widths[MAX_COLUMNS] = {0};
	if (gi_out_is_json(out) || t->text.oom || !t->columns)
		return;
	for (size_t c = 0; c < t->columns; c++)
		widths[c] = width_of(head_of(t, c));
	const char *cell = gi_str_cstr(&t->text);
	for (size_t i = 0; i < t->cells; i++, cell += strlen(cell) + 1) {
		size_t w = width_of(cell);
		if (w > widths[i % t->columns])
			widths[i % t->columns] = w;
	}
	_cleanup_(gi_str_deinit) struct gi_str line = {0};
	for (size_t c = 0; c < t->columns; c++)
		put(&line, t, c, head_of(t, c), widths[c]);
	gi_out_style(out, GI_STYLE_HEAD);
	gi_out_write(out, gi_str_cstr(&line), line.len);
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_puts(out, "\n");
	cell = gi_str_cstr(&t->text);
	for (size_t i = 0; i + t->columns <= t->cells; i += t->columns) {
		gi_str_reset(&line);
		for (size_t c = 0; c < t->columns; c++, cell += strlen(cell) + 1)
			put(&line, t, c, cell, widths[c]);
		gi_str_putc(&line, '\n');
		gi_out_write(out, gi_str_cstr(&line), line.len);
	}
}

// JSON records, one a line.
//
// They are written as they come, without a tree of values: a record of a goroutine costs no
// allocation. What is open is kept in two bit sets, so that commas and closing brackets
// come out right whatever a command does. Tests parse all output with jansson.
//
// Strings are of the inferior more often than not: bytes that are no UTF-8, or that a
// terminal would act on, appear as \xNN in text form ("\\xNN" as JSON writes it).

#include "report/out_impl.h"

#include <string.h>

enum { JSON_MAX_DEPTH = 60 };

static void put(struct gi_out *out, const char *s)
{
	gi_out_raw(out, s, strlen(s));
}

static void put_string(struct gi_out *out, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	put(out, "\"");
	size_t start = 0, i = 0;
	while (i < n) {
		unsigned char c = (unsigned char)s[i];
		size_t len = 0;
		if (c < 0x80)
			len = c >= 0x20 && c != 0x7f && c != '"' && c != '\\';
		else
			len = gi_utf8_printable(s + i, n - i);
		if (len) {
			i += len;
			continue;
		}
		gi_out_raw(out, s + start, i - start);
		char esc[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		if (c == '"' || c == '\\')
			gi_out_raw(out, (char[]){'\\', (char)c}, 2);
		else if (c == '\n')
			put(out, "\\n");
		else if (c == '\t')
			put(out, "\\t");
		else if (c < 0x80)
			gi_out_raw(out, esc, sizeof(esc));
		else
			gi_out_raw(out, (char[]){'\\', '\\', 'x', hex[c >> 4], hex[c & 15]}, 5);
		start = ++i;
	}
	gi_out_raw(out, s + start, n - start);
	put(out, "\"");
}

// The comma before a member, and its key.
static void member(struct gi_out *out, const char *key)
{
	if (out->filled & 1)
		put(out, ",");
	out->filled |= 1;
	if (key && !(out->arrays & 1)) {
		put_string(out, key, strlen(key));
		put(out, ":");
	}
}

static void open_one(struct gi_out *out, bool array)
{
	// The records are ours: their depth is fixed and far below this.
	if (out->depth >= JSON_MAX_DEPTH)
		return;
	out->depth++;
	out->arrays = out->arrays << 1 | array;
	out->filled <<= 1;
	put(out, array ? "[" : "{");
}

static void close_one(struct gi_out *out)
{
	if (!out->depth)
		return;
	put(out, out->arrays & 1 ? "]" : "}");
	out->depth--;
	out->arrays >>= 1;
	out->filled >>= 1;
}

void gi_json_begin(struct gi_out *out, const char *type)
{
	if (!out->json)
		return;
	gi_json_end(out);
	open_one(out, false);
	gi_json_str(out, "type", type);
}

void gi_json_end(struct gi_out *out)
{
	if (!out->json || !out->depth)
		return;
	while (out->depth)
		close_one(out);
	out->filled = 0;
	put(out, "\n");
	if (out->notes.len) {
		gi_out_raw(out, out->notes.s, out->notes.len);
		gi_str_reset(&out->notes);
	}
}

void gi_json_note(struct gi_out *out, const char *text)
{
	if (!out->json)
		return;
	if (!out->depth) {
		gi_json_begin(out, "note");
		gi_json_str(out, "text", text);
		gi_json_end(out);
		return;
	}
	// In the middle of a record: it follows that record.
	struct gi_out *side = NULL;
	struct gi_error *err = gi_out_create_memory(true, &side);
	if (err) {
		gi_error_ignore(err);
		return;
	}
	gi_json_note(side, text);
	size_t n;
	const char *line = gi_out_memory_text(side, &n);
	gi_str_putn(&out->notes, line, n);
	gi_out_destroy(side);
}

void gi_json_strn(struct gi_out *out, const char *key, const char *s, size_t n)
{
	if (!out->json)
		return;
	member(out, key);
	put_string(out, s, n);
}

void gi_json_str(struct gi_out *out, const char *key, const char *s)
{
	if (!s)
		gi_json_null(out, key);
	else
		gi_json_strn(out, key, s, strlen(s));
}

void gi_json_u64(struct gi_out *out, const char *key, uint64_t v)
{
	if (!out->json)
		return;
	member(out, key);
	char buf[20];
	size_t i = sizeof(buf);
	do {
		buf[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	gi_out_raw(out, buf + i, sizeof(buf) - i);
}

void gi_json_i64(struct gi_out *out, const char *key, int64_t v)
{
	if (v >= 0) {
		gi_json_u64(out, key, (uint64_t)v);
		return;
	}
	if (!out->json)
		return;
	_cleanup_(gi_str_deinit) struct gi_str str = {0};
	gi_str_putc(&str, '-');
	gi_str_put_u64(&str, (uint64_t)0 - (uint64_t)v);
	member(out, key);
	put(out, gi_str_cstr(&str));
}

void gi_json_hex(struct gi_out *out, const char *key, uint64_t v)
{
	if (!out->json)
		return;
	char buf[20];
	size_t i = sizeof(buf);
	buf[--i] = '"';
	do {
		buf[--i] = "0123456789abcdef"[v & 15];
		v >>= 4;
	} while (v);
	buf[--i] = 'x';
	buf[--i] = '0';
	member(out, key);
	put(out, "\"");
	gi_out_raw(out, buf + i, sizeof(buf) - i);
}

void gi_json_bool(struct gi_out *out, const char *key, bool v)
{
	if (!out->json)
		return;
	member(out, key);
	put(out, v ? "true" : "false");
}

void gi_json_null(struct gi_out *out, const char *key)
{
	if (!out->json)
		return;
	member(out, key);
	put(out, "null");
}

void gi_json_u64_or_null(struct gi_out *out, const char *key, bool known, uint64_t v)
{
	if (known)
		gi_json_u64(out, key, v);
	else
		gi_json_null(out, key);
}

void gi_json_i64_or_null(struct gi_out *out, const char *key, bool known, int64_t v)
{
	if (known)
		gi_json_i64(out, key, v);
	else
		gi_json_null(out, key);
}

void gi_json_hex_or_null(struct gi_out *out, const char *key, bool known, uint64_t v)
{
	if (known)
		gi_json_hex(out, key, v);
	else
		gi_json_null(out, key);
}

void gi_json_object(struct gi_out *out, const char *key)
{
	if (!out->json)
		return;
	member(out, key);
	open_one(out, false);
}

void gi_json_array(struct gi_out *out, const char *key)
{
	if (!out->json)
		return;
	member(out, key);
	open_one(out, true);
}

void gi_json_close(struct gi_out *out)
{
	// The record itself is closed by gi_json_end().
	if (out->json && out->depth > 1)
		close_one(out);
}

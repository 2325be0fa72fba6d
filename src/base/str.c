// Growing strings, with the escaping that untrusted text needs before a terminal.

#include "gcore/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gi_str_deinit(struct gi_str *str)
{
	if (!str)
		return;
	free(str->s);
	*str = (struct gi_str){ 0 };
}

void gi_str_reset(struct gi_str *str)
{
	str->len = 0;
	str->oom = false;
	if (str->s)
		str->s[0] = '\0';
}

static bool str_room(struct gi_str *str, size_t n)
{
	if (str->oom)
		return false;
	if (n < str->cap && str->len < str->cap - n)
		return true;
	if (n >= SIZE_MAX - str->len - 1) {
		str->oom = true;
		return false;
	}
	struct gi_error *err = gi_grow(&str->s, &str->cap, str->len + n + 1, 1);
	if (err) {
		gi_error_ignore(err);
		str->oom = true;
		return false;
	}
	return true;
}

void gi_str_putn(struct gi_str *str, const char *s, size_t n)
{
	if (!str_room(str, n))
		return;
	if (n)
		memcpy(str->s + str->len, s, n);
	str->len += n;
	str->s[str->len] = '\0';
}

void gi_str_putc(struct gi_str *str, char c)
{
	gi_str_putn(str, &c, 1);
}

void gi_str_puts(struct gi_str *str, const char *s)
{
	gi_str_putn(str, s, strlen(s));
}

void gi_str_vprintf(struct gi_str *str, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	char small[256];
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	if (n < 0) {
		str->oom = true;
	} else if ((size_t)n < sizeof(small)) {
		gi_str_putn(str, small, (size_t)n);
	} else if (str_room(str, (size_t)n)) {
		vsnprintf(str->s + str->len, (size_t)n + 1, fmt, again);
		str->len += (size_t)n;
	}
	va_end(again);
}

void gi_str_printf(struct gi_str *str, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	gi_str_vprintf(str, fmt, ap);
	va_end(ap);
}

void gi_str_put_u64(struct gi_str *str, uint64_t v)
{
	char buf[20];
	size_t i = sizeof(buf);
	do {
		buf[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	gi_str_putn(str, buf + i, sizeof(buf) - i);
}

void gi_str_put_hex(struct gi_str *str, uint64_t v)
{
	char buf[18];
	size_t i = sizeof(buf);
	do {
		buf[--i] = "0123456789abcdef"[v & 15];
		v >>= 4;
	} while (v);
	buf[--i] = 'x';
	buf[--i] = '0';
	gi_str_putn(str, buf + i, sizeof(buf) - i);
}

// The length of the valid, printable UTF-8 sequence at s, or 0. Bytes below
// 0x20, DEL and the C1 controls are not printable: terminals act on them.
size_t gi_utf8_printable(const char *str, size_t n)
{
	const unsigned char *s = (const unsigned char *)str;
	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	size_t len;
	uint32_t cp, min;
	if ((s[0] & 0xe0) == 0xc0) {
		len = 2, cp = s[0] & 0x1f, min = 0x80;
	} else if ((s[0] & 0xf0) == 0xe0) {
		len = 3, cp = s[0] & 0x0f, min = 0x800;
	} else if ((s[0] & 0xf8) == 0xf0) {
		len = 4, cp = s[0] & 0x07, min = 0x10000;
	} else {
		return 0;
	}
	if (len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	if (cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	if (cp < 0xa0) // C1 controls
		return 0;
	// Bidirectional overrides reorder what a person reads.
	if ((cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069))
		return 0;
	return len;
}

void gi_str_put_escaped(struct gi_str *str, const char *s, size_t n)
{
	size_t start = 0, i = 0; // what is printable is copied in one piece
	while (i < n) {
		unsigned char c = (unsigned char)s[i];
		size_t len = c >= 0x20 && c < 0x7f ? 1 : gi_utf8_printable(s + i, n - i);
		if (len) {
			i += len;
			continue;
		}
		gi_str_putn(str, s + start, i - start);
		gi_str_printf(str, "\\x%02x", c);
		start = ++i;
	}
	gi_str_putn(str, s + start, n - start);
}

const char *gi_str_cstr(const struct gi_str *str)
{
	return str->s ? str->s : "";
}

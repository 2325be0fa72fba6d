// The line above a goroutine's frames (goroutineheader in src/runtime/traceback.go).

#include "report/traceback_impl.h"

#include <string.h>

enum { NS_PER_MINUTE_E9 = 60, LABELS_MAX = 10000 };

static const char *status_name(uint32_t status)
{
	switch (status) {
	case GI_G_IDLE:
		return "idle";
	case GI_G_RUNNABLE:
		return "runnable";
	case GI_G_RUNNING:
		return "running";
	case GI_G_SYSCALL:
		return "syscall";
	case GI_G_WAITING:
		return "waiting";
	case GI_G_DEAD:
		return "dead";
	case GI_G_COPYSTACK:
		return "copystack";
	case GI_G_PREEMPTED:
		return "preempted";
	case GI_G_LEAKED:
		return "leaked";
	case GI_G_DEADEXTRA:
		return "waiting for cgo callback";
	}
	return "???";
}

static const char *reason_of(struct gi_tb *tb, const struct gi_g *g, uint32_t status)
{
	bool waits = status == GI_G_WAITING || status == GI_G_LEAKED;
	if (!waits || !g->wait_reason)
		return status_name(status);
	const char *reason = gi_go_wait_reason_string(tb->go, g->wait_reason);
	return reason ? reason : "unknown wait reason";
}

static uint64_t minutes(struct gi_tb *tb, const struct gi_g *g, uint32_t status)
{
	if ((status != GI_G_WAITING && status != GI_G_SYSCALL) || !g->wait_since)
		return 0;
	uint64_t now = gi_go_now(tb->go);
	if (now <= g->wait_since)
		return 0;
	return (now - g->wait_since) / 1000000000 / NS_PER_MINUTE_E9;
}

// --- labels --------------------------------------------------------------

// One character of UTF-8 as Go decodes it; n is how many bytes, 0xfffd for damaged ones.
static uint32_t decode(const unsigned char *s, size_t len, size_t *n)
{
	static const uint32_t min[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t want = s[0] < 0x80	      ? 1
		      : (s[0] & 0xe0) == 0xc0 ? 2
		      : (s[0] & 0xf0) == 0xe0 ? 3
		      : (s[0] & 0xf8) == 0xf0 ? 4
					      : 0;
	*n = 1;
	if (want == 1)
		return s[0];
	if (!want || want > len)
		return 0xfffd;
	uint32_t cp = s[0] & (0x7fu >> want);
	for (size_t i = 1; i < want; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0xfffd;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	if (cp < min[want] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return 0xfffd;
	*n = want;
	return cp;
}

static void put_quoted(struct gi_tb *tb, struct gi_str *text, const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;
	gi_str_putc(text, '"');
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t r = decode(s + i, len - i, &n);
		if (r == '\n')
			gi_str_puts(text, "\\n");
		else if (r == '\r')
			gi_str_puts(text, "\\r");
		else if (r == '\t')
			gi_str_puts(text, "\\t");
		else if (r == '\\' || r == '"')
			gi_str_printf(text, "\\%c", (int)r);
		else if (r == 0xfffd && n == 1 && tb->minor >= 27)
			gi_str_printf(text, "\\x%02x", s[i]);
		else if (r >= ' ' && r <= '~')
			gi_str_putc(text, (char)r);
		else if (r < 127)
			gi_str_printf(text, "\\x%02x", r);
		else if (r < 0x10000)
			gi_str_printf(text, "\\u%04x", r);
		else
			gi_str_printf(text, "\\U%08x", r);
	}
	gi_str_putc(text, '"');
}

static void put_label(struct gi_tb *tb, struct gi_str *text, const char *s, size_t len)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_";
	bool quote = tb->minor < 27;
	for (size_t i = 0; i < len && !quote; i++)
		quote = !s[i] || !strchr(plain, s[i]);
	if (quote)
		put_quoted(tb, text, s, len);
	else
		gi_str_putn(text, s, len);
}

struct labels {
	struct gi_tb *tb;
	struct gi_str *text;
	size_t n;
};

static bool label(void *arg, const char *key, size_t key_len, const char *val,
		  size_t val_len)
{
	struct labels *l = arg;
	if (l->n++)
		gi_str_puts(l->text, ", ");
	else
		gi_str_puts(l->text, l->tb->minor < 27 ? " labels:{" : " {");
	put_label(l->tb, l->text, key, key_len);
	gi_str_puts(l->text, ": ");
	put_label(l->tb, l->text, val, val_len);
	return l->n < LABELS_MAX;
}

static void put_labels(struct gi_tb *tb, const struct gi_g *g, struct gi_str *text)
{
	if (!g->labels || !tb->labels || tb->minor < 26)
		return;
	struct labels l = {tb, text, 0};
	gi_error_ignore(gi_go_labels(tb->go, g, label, &l));
	if (l.n)
		gi_str_putc(text, '}');
}

// --- the line ------------------------------------------------------------

static void put_bubble(struct gi_tb *tb, const struct gi_g *g, struct gi_str *text)
{
	uint64_t id;
	if (!g->bubble || tb->minor < 24)
		return;
	struct gi_error *err = gi_go_bubble_id(tb->go, g, &id);
	gi_str_puts(text, tb->minor < 25 ? ", synctest group " : ", synctest bubble ");
	if (err)
		gi_str_putc(text, '?');
	else
		gi_str_put_u64(text, id);
	gi_error_ignore(err);
}

static bool ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n >= m && !strcmp(s + n - m, suffix);
}

void gi_tb_header(struct gi_tb *tb, const struct gi_g *g, struct gi_str *text)
{
	uint32_t status = g->status & ~(uint32_t)GI_G_SCAN;
	const char *what = reason_of(tb, g, status);

	gi_str_puts(text, "goroutine ");
	gi_str_put_u64(text, g->goid);
	if (tb->minor >= 22 && tb->level >= GI_TRACEBACK_SYSTEM) {
		gi_str_puts(text, " gp=");
		gi_str_put_hex(text, g->addr);
		const struct gi_m *m = g->m ? gi_go_m_by_addr(tb->go, g->m) : NULL;
		if (!g->m) {
			gi_str_puts(text, " m=nil");
		} else {
			gi_str_puts(text, " m=");
			if (m)
				gi_str_printf(text, "%lld", (long long)m->id);
			else
				gi_str_putc(text, '?');
			gi_str_puts(text, " mp=");
			gi_str_put_hex(text, g->m);
		}
	}
	gi_str_puts(text, " [");
	gi_str_put_escaped(text, what, strlen(what));
	if (status == GI_G_LEAKED)
		gi_str_puts(text, " (leaked)");
	if (g->status & GI_G_SCAN)
		gi_str_puts(text, " (scan)");
	if (g->bubble && tb->minor >= 25 && (status == GI_G_WAITING || tb->minor < 26) &&
	    gi_go_wait_is_durable(tb->go, g->wait_reason) && !ends(what, "(durable)"))
		gi_str_puts(text, " (durable)");
	uint64_t waited = minutes(tb, g, status);
	if (waited) {
		gi_str_puts(text, ", ");
		gi_str_put_u64(text, waited);
		gi_str_puts(text, " minutes");
	}
	if (g->lockedm)
		gi_str_puts(text, ", locked to thread");
	put_bubble(tb, g, text);
	if (tb->minor >= 27) {
		gi_str_putc(text, ']');
		put_labels(tb, g, text);
	} else {
		put_labels(tb, g, text);
		gi_str_putc(text, ']');
	}
	gi_str_puts(text, ":\n");
}

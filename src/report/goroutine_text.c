// What lists, groups and the goroutine command say alike: places, labels, times.

#include "report/goroutines.h"

#include <string.h>

void gi_g_prefetch(const struct gi_g_query *q, size_t i)
{
	enum { AHEAD = 8, BYTES = 512, LINE = 64 };
	if (i + AHEAD >= q->count)
		return;
	const struct gi_g *g = gi_go_g(q->go, q->order[i + AHEAD]);
	const char *p = gi_target_view(gi_go_target(q->go), g->sched_sp, BYTES);
	for (size_t k = 0; p && k < BYTES; k += LINE)
		__builtin_prefetch(p + k);
}

void gi_g_created_by(struct gi_unwinder *u, const struct gi_g *g, struct gi_location *ret)
{
	// Goroutine 1 is made by the start-up code; the runtime does not name it either.
	*ret = (struct gi_location){0};
	if (g->goid != 1)
		gi_unwind_created_by(u, g, ret);
}

struct gi_error *gi_g_user_location(struct gi_unwinder *u, const struct gi_g *g,
				    struct gi_location *ret)
{
	struct gi_location where = {0}, user = {0};
	struct gi_error *err = gi_unwind_locations(u, g, &where, &user);
	if (err)
		return err;
	*ret = user.pc ? user : where;
	// One that runs nothing but the runtime is known by what it was started for.
	if (g->system && (!ret->pc || gi_function_is_runtime(ret->function)))
		gi_unwind_started_at(u, g, ret);
	return NULL;
}

void gi_label_format(struct gi_str *str, const char *key, size_t key_len, const char *val,
		     size_t val_len)
{
	if (str->len && str->s[str->len - 1] != '{')
		gi_str_puts(str, ", ");
	gi_str_put_escaped(str, key, key_len);
	gi_str_putc(str, '=');
	bool quote = !val_len;
	for (size_t i = 0; i < val_len; i++)
		quote = quote || strchr(" ,=\"\\{}", val[i]);
	if (!quote) {
		gi_str_put_escaped(str, val, val_len);
		return;
	}
	gi_str_putc(str, '"');
	for (size_t i = 0, n; i < val_len; i += n) {
		n = 0;
		while (i + n < val_len && val[i + n] != '"' && val[i + n] != '\\')
			n++;
		if (n) {
			gi_str_put_escaped(str, val + i, n);
		} else {
			gi_str_putc(str, '\\');
			gi_str_putc(str, val[i]);
			n = 1;
		}
	}
	gi_str_putc(str, '"');
}

void gi_duration_format(struct gi_str *str, uint64_t ns)
{
	uint64_t ms = ns / 1000000, s = ms / 1000;
	if (ms < 1000)
		gi_str_printf(str, "%" PRIu64 "ms", ms);
	else if (s < 60)
		gi_str_printf(str, "%" PRIu64 ".%" PRIu64 "s", s, ms % 1000 / 100);
	else if (s < 3600)
		gi_str_printf(str, "%" PRIu64 "m%" PRIu64 "s", s / 60, s % 60);
	else if (s < 48 * 3600)
		gi_str_printf(str, "%" PRIu64 "h%" PRIu64 "m", s / 3600, s % 3600 / 60);
	else
		gi_str_printf(str, "%" PRIu64 "d%" PRIu64 "h", s / 86400, s % 86400 / 3600);
}

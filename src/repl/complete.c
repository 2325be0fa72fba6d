// Completion: candidates for a word from what stands before it.
//
// The first word is a command. A word with a dash is one of that command's options, the word
// after an option one of its values. Else the command says what it takes. "goroutine 18 " and
// "thread 2 " take a command again.

#include "repl/args.h"
#include "repl/session_impl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CANDIDATES = 10000 };

struct candidates {
	char **v;
	size_t n, cap;
	const char *prefix;
	size_t len;
};

static void add(struct candidates *c, const char *text)
{
	if (strncmp(text, c->prefix, c->len) != 0 || c->n >= MAX_CANDIDATES)
		return;
	struct gi_error *err = gi_grow(&c->v, &c->cap, c->n + 2, sizeof(*c->v));
	if (err) {
		gi_error_ignore(err);
		return;
	}
	char *copy = strdup(text);
	if (!copy)
		return;
	c->v[c->n++] = copy;
	c->v[c->n] = NULL;
}

static void add_commands(struct candidates *c)
{
	for (size_t i = 0; gi_commands[i]; i++) {
		add(c, gi_commands[i]->name);
		// Aliases only when one is being typed: they would be noise in the full list.
		for (size_t k = 0; c->len && gi_commands[i]->aliases && gi_commands[i]->aliases[k];
		     k++)
			add(c, gi_commands[i]->aliases[k]);
	}
}

static void add_options(struct candidates *c, const struct gi_command *cmd)
{
	for (const struct gi_option *o = cmd->options; o && !gi_option_is_end(o); o++) {
		char letter[3] = {'-', o->letter, '\0'};
		if (o->letter)
			add(c, letter);
		if (o->name) {
			_cleanup_(gi_str_deinit) struct gi_str s = {0};
			gi_str_printf(&s, "-%s", o->name);
			add(c, gi_str_cstr(&s));
		}
	}
}

static void add_goroutines(struct candidates *c, struct gi_session *s)
{
	for (size_t i = 0; s->go && i < gi_go_g_count(s->go); i++) {
		const struct gi_g *g = gi_go_g(s->go, i);
		if (g->unreadable || gi_g_is_dead(g))
			continue;
		_cleanup_(gi_str_deinit) struct gi_str id = {0};
		gi_str_put_u64(&id, g->goid);
		add(c, gi_str_cstr(&id));
	}
}

static void add_threads(struct candidates *c, struct gi_session *s)
{
	for (size_t i = 0; s->target && i < gi_target_thread_count(s->target); i++) {
		_cleanup_(gi_str_deinit) struct gi_str id = {0};
		gi_str_put_u64(&id, i + 1);
		add(c, gi_str_cstr(&id));
	}
}

static void add_functions(struct candidates *c, struct gi_session *s)
{
	if (!s->go)
		return;
	const struct gi_functab *ft = gi_go_functab(s->go);
	struct gi_func f;
	for (size_t i = 0; i < gi_functab_count(ft); i++) {
		if (gi_functab_func(ft, i, &f))
			add(c, f.name);
	}
}

static void add_registers(struct candidates *c, struct gi_session *s)
{
	for (size_t i = 0; s->target && gi_reg_name(gi_target_arch(s->target), i); i++) {
		_cleanup_(gi_str_deinit) struct gi_str name = {0};
		gi_str_printf(&name, "$%s", gi_reg_name(gi_target_arch(s->target), i));
		add(c, gi_str_cstr(&name));
	}
}

// The values of the option that stands before the word; true if it was one that has some.
static bool add_values(struct candidates *c, struct gi_session *s, const struct gi_command *cmd,
		       const char *before, size_t n)
{
	if (n == strlen("function") && memcmp(before, "function", n) == 0) {
		add_functions(c, s);
		return true;
	}
	for (const struct gi_option *o = cmd->options; o && !gi_option_is_end(o); o++) {
		bool same = (o->letter && n == 2 && before[0] == '-' && before[1] == o->letter) ||
			    (o->name && n == strlen(o->name) + 1 && before[0] == '-' &&
			     memcmp(before + 1, o->name, n - 1) == 0);
		if (!same || !o->values)
			continue;
		for (size_t i = 0; o->values[i]; i++)
			add(c, o->values[i]);
		return true;
	}
	return false;
}

static void add_arguments(struct candidates *c, struct gi_session *s, const struct gi_command *cmd)
{
	switch (cmd->completes) {
	case GI_ARG_GOROUTINE:
		add_goroutines(c, s);
		break;
	case GI_ARG_THREAD:
		add_threads(c, s);
		break;
	case GI_ARG_FUNCTION:
		add_functions(c, s);
		break;
	case GI_ARG_COMMAND:
		add_commands(c);
		break;
	case GI_ARG_ADDR:
		if (c->len && c->prefix[0] == '$')
			add_registers(c, s);
		else if (c->len)
			add_functions(c, s);
		break;
	case GI_ARG_FILE:
	case GI_ARG_NONE:
		break;
	}
}

static const char *word_end(const char *p)
{
	while (*p && !isspace((unsigned char)*p))
		p++;
	return p;
}

static const char *word_start(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

char **gi_session_complete(struct gi_session *s, const char *line, size_t start, size_t end)
{
	_cleanup_(gi_str_deinit) struct gi_str prefix = {0};
	gi_str_putn(&prefix, line + start, end - start);
	struct candidates c = {.prefix = gi_str_cstr(&prefix), .len = prefix.len};
	const char *at = line + start;
	const char *p = word_start(line);
	const struct gi_command *cmd = NULL;
	while (p < at) {
		const char *stop = word_end(p);
		size_t n = strcspn(p, "/"); // "x/8gx"
		if (!n || n > (size_t)(stop - p))
			n = (size_t)(stop - p);
		struct gi_error *err = gi_command_find(p, n, &cmd);
		if (err) {
			gi_error_ignore(err);
			return NULL;
		}
		p = word_start(stop);
		if (!cmd->raw_args || p >= at)
			break;
		if (cmd->completes == GI_ARG_GOROUTINE || cmd->completes == GI_ARG_THREAD) {
			// "goroutine ID COMMAND ...": go on with that command.
			p = word_start(word_end(p));
			if (p >= at)
				cmd = NULL;
		} else {
			break;
		}
	}
	if (!cmd) {
		add_commands(&c);
		return c.v;
	}
	const char *before = at, *stop = at;
	while (stop > p && isspace((unsigned char)stop[-1]))
		stop--;
	before = stop;
	while (before > p && !isspace((unsigned char)before[-1]))
		before--;
	if (c.len && c.prefix[0] == '-')
		add_options(&c, cmd);
	else if (!(before < stop && add_values(&c, s, cmd, before, (size_t)(stop - before))))
		add_arguments(&c, s, cmd);
	return c.v;
}

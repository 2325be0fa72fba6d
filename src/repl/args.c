// Arguments: words, then options by a command's table.
//
// Options are written as in dlv and gdb, with one dash: a letter (-t, -n 5, -n5, several flags
// as -rt) or a name (-with, -group). Two dashes before a name are accepted too. What an option
// takes is read off its meta: none, "N" one word, "[N]" a number if one follows, "KIND..." all
// words up to the next option. "--" ends the options.

#include "repl/args.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct given {
	const struct gi_option *opt;
	const char *value; // NULL: a flag, or an optional number that was left out
};

struct gi_args {
	const struct gi_command *cmd;
	const char **pos;
	size_t npos;
	struct given *given;
	size_t ngiven;
};

// --- words ------------------------------------------------------------------

struct gi_error *gi_words_split(struct gi_arena *arena, const char *text, struct gi_word **ret,
				size_t *n_ret)
{
	size_t len = strlen(text);
	// At most one word for two characters.
	struct gi_word *words = gi_arena_alloc(arena, (len / 2 + 1) * sizeof(*words));
	if (!words)
		return gi_error_nomem();
	size_t n = 0;
	const char *p = text;
	while (*p) {
		if (isspace((unsigned char)*p)) {
			p++;
			continue;
		}
		char *w = gi_arena_alloc(arena, strlen(p) + 1);
		if (!w)
			return gi_error_nomem();
		words[n].text = w;
		while (*p && !isspace((unsigned char)*p)) {
			if (*p == '\\' && p[1]) {
				words[n].quoted = true;
				*w++ = p[1];
				p += 2;
			} else if (*p == '\'' || *p == '"') {
				char quote = *p++;
				words[n].quoted = true;
				while (*p && *p != quote) {
					if (quote == '"' && *p == '\\' &&
					    (p[1] == '"' || p[1] == '\\'))
						p++;
					*w++ = *p++;
				}
				if (!*p)
					return gi_error_create(GI_ERR_USAGE, "a %c is not closed",
							       quote);
				p++;
			} else {
				*w++ = *p++;
			}
		}
		n++;
	}
	*ret = words;
	*n_ret = n;
	return NULL;
}

// --- options ----------------------------------------------------------------

void gi_option_format(const struct gi_option *opt, struct gi_str *ret)
{
	gi_str_putc(ret, '-');
	if (opt->letter)
		gi_str_putc(ret, opt->letter);
	if (opt->letter && opt->name)
		gi_str_puts(ret, ", -");
	if (opt->name)
		gi_str_puts(ret, opt->name);
	if (opt->meta) {
		gi_str_putc(ret, ' ');
		gi_str_puts(ret, opt->meta);
	}
}

static struct gi_error *no_option(const struct gi_command *cmd, const char *word)
{
	_cleanup_(gi_str_deinit) struct gi_str list = {0};
	for (const struct gi_option *o = cmd->options; o && !gi_option_is_end(o); o++) {
		if (list.len)
			gi_str_puts(&list, "; ");
		gi_option_format(o, &list);
	}
	if (!list.len)
		return gi_error_create(GI_ERR_USAGE, "%s takes no options, but \"%s\" was given",
				       cmd->name, word);
	return gi_error_create(GI_ERR_USAGE, "%s has no option \"%s\"; it has %s", cmd->name, word,
			       gi_str_cstr(&list));
}

static bool is_number(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return false;
	}
	return true;
}

static const struct gi_option *option_by_name(const struct gi_command *cmd, const char *name,
					      size_t n)
{
	const struct gi_option *found = NULL;
	if (!n)
		return NULL;
	for (const struct gi_option *o = cmd->options; o && !gi_option_is_end(o); o++) {
		if (!o->name || strncmp(o->name, name, n) != 0)
			continue;
		if (strlen(o->name) == n)
			return o;
		if (found || n < 2)
			return NULL; // ambiguous, or too short to be meant
		found = o;
	}
	return found;
}

static const struct gi_option *option_by_letter(const struct gi_command *cmd, char letter)
{
	for (const struct gi_option *o = cmd->options; o && !gi_option_is_end(o); o++) {
		if (o->letter == letter)
			return o;
	}
	return NULL;
}

struct parser {
	struct gi_arena *arena;
	struct gi_args *args;
	struct gi_word *words;
	size_t n, i;
};

static bool looks_like_option(const struct gi_word *w)
{
	return !w->quoted && w->text[0] == '-' && w->text[1] && !is_number(w->text + 1);
}

// Takes an option's value: attached to it, or the words that follow.
static struct gi_error *take_value(struct parser *p, const struct gi_option *o,
				   const char *attached)
{
	struct given *g = &p->args->given[p->args->ngiven++];
	g->opt = o;
	if (!o->meta)
		return NULL;
	if (attached) {
		g->value = attached;
		return NULL;
	}
	if (o->meta[0] == '[') {
		if (p->i < p->n && !p->words[p->i].quoted && is_number(p->words[p->i].text))
			g->value = p->words[p->i++].text;
		return NULL;
	}
	size_t max = strstr(o->meta, "...") ? SIZE_MAX : 1;
	_cleanup_(gi_str_deinit) struct gi_str value = {0};
	size_t taken = 0;
	while (p->i < p->n && taken < max && !looks_like_option(&p->words[p->i])) {
		if (taken++)
			gi_str_putc(&value, ' ');
		gi_str_puts(&value, p->words[p->i++].text);
	}
	if (!taken) {
		_cleanup_(gi_str_deinit) struct gi_str text = {0};
		gi_option_format(o, &text);
		return gi_error_create(GI_ERR_USAGE, "%s: a value is missing: %s",
				       p->args->cmd->name, gi_str_cstr(&text));
	}
	g->value = gi_arena_strdup(p->arena, gi_str_cstr(&value));
	return g->value && !value.oom ? NULL : gi_error_nomem();
}

static struct gi_error *parse_option(struct parser *p, const char *word)
{
	const struct gi_command *cmd = p->args->cmd;
	const char *body = word + (word[1] == '-' ? 2 : 1);
	size_t len = strcspn(body, "=");
	const struct gi_option *o = option_by_name(cmd, body, len);
	if (!o && word[1] != '-') {
		// Letters: flags may stand together, the last one may have its value attached.
		for (const char *l = body; *l; l++) {
			o = option_by_letter(cmd, *l);
			if (!o || (l[1] && o->meta && o->meta[0] == '[' && !is_number(l + 1)))
				return no_option(cmd, word);
			if (o->meta)
				return take_value(p, o, l[1] ? l + 1 : NULL);
			struct gi_error *err = take_value(p, o, NULL);
			if (err)
				return err;
		}
		return NULL;
	}
	if (!o && !body[len] && len == 1)
		o = option_by_letter(cmd, *body); // --t
	if (!o || (body[len] && !o->meta))
		return no_option(cmd, word);
	return take_value(p, o, body[len] ? body + len + 1 : NULL);
}

static struct gi_error *check_counts(const struct gi_args *args)
{
	const struct gi_command *cmd = args->cmd;
	if (args->npos < cmd->min_args)
		return gi_error_create(GI_ERR_USAGE, "%s: an argument is missing: %s", cmd->name,
				       cmd->synopsis);
	if (args->npos > cmd->max_args)
		return gi_error_create(GI_ERR_USAGE, "%s: \"%s\" is one argument too many: %s",
				       cmd->name, args->pos[cmd->max_args], cmd->synopsis);
	for (size_t i = 0; i < args->ngiven; i++) {
		for (size_t k = 0; k < i; k++) {
			const struct gi_option *o = args->given[i].opt;
			if (o == args->given[k].opt && o->meta && !o->repeatable) {
				_cleanup_(gi_str_deinit) struct gi_str text = {0};
				gi_option_format(o, &text);
				return gi_error_create(GI_ERR_USAGE, "%s: %s was given twice",
						       cmd->name, gi_str_cstr(&text));
			}
		}
	}
	return NULL;
}

struct gi_error *gi_args_parse(struct gi_arena *arena, const struct gi_command *cmd,
			       const char *text, struct gi_args **ret)
{
	struct gi_args *args = gi_arena_alloc(arena, sizeof(*args));
	if (!args)
		return gi_error_nomem();
	args->cmd = cmd;
	if (cmd->raw_args) {
		args->pos = gi_arena_alloc(arena, sizeof(*args->pos));
		if (!args->pos)
			return gi_error_nomem();
		if (*text)
			args->pos[args->npos++] = text;
		*ret = args;
		return cmd->min_args <= args->npos ? NULL : check_counts(args);
	}
	struct parser p = {.arena = arena, .args = args};
	struct gi_error *err = gi_words_split(arena, text, &p.words, &p.n);
	if (err)
		return gi_error_wrap(err, "%s", cmd->name);
	// A word holds as many options as letters.
	args->pos = gi_arena_alloc(arena, (p.n + 1) * sizeof(*args->pos));
	args->given = gi_arena_alloc(arena, (strlen(text) + 1) * sizeof(*args->given));
	if (!args->pos || !args->given)
		return gi_error_nomem();
	bool options = true;
	while (p.i < p.n) {
		struct gi_word *w = &p.words[p.i++];
		if (options && !w->quoted && strcmp(w->text, "--") == 0) {
			options = false;
			continue;
		}
		if (!options || !looks_like_option(w)) {
			args->pos[args->npos++] = w->text;
			continue;
		}
		err = parse_option(&p, w->text);
		if (err)
			return err;
	}
	*ret = args;
	return check_counts(args);
}

// --- what commands ask ------------------------------------------------------

size_t gi_args_count(const struct gi_args *args)
{
	return args->npos;
}

const char *gi_args_get(const struct gi_args *args, size_t i)
{
	return i < args->npos ? args->pos[i] : NULL;
}

static const struct given *find(const struct gi_args *args, char letter, const char *name,
				size_t nth)
{
	for (size_t i = 0; i < args->ngiven; i++) {
		const struct gi_option *o = args->given[i].opt;
		bool same = letter ? o->letter == letter : o->name && strcmp(o->name, name) == 0;
		if (same && !nth--)
			return &args->given[i];
	}
	return NULL;
}

bool gi_args_has(const struct gi_args *args, char letter)
{
	return find(args, letter, NULL, 0) != NULL;
}

bool gi_args_has_name(const struct gi_args *args, const char *name)
{
	return find(args, 0, name, 0) != NULL;
}

const char *gi_args_opt(const struct gi_args *args, char letter)
{
	const struct given *g = find(args, letter, NULL, 0);
	return g ? g->value : NULL;
}

const char *gi_args_opt_name(const struct gi_args *args, const char *name)
{
	return gi_args_opt_name_at(args, name, 0);
}

const char *gi_args_opt_name_at(const struct gi_args *args, const char *name, size_t i)
{
	const struct given *g = find(args, 0, name, i);
	return g ? g->value : NULL;
}

struct gi_error *gi_parse_u64(const char *s, uint64_t *ret)
{
	int base = 10;
	const char *digits = s;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		digits += 2;
	}
	char *end = NULL;
	errno = 0;
	// strtoull takes signs and spaces, which are no digits.
	unsigned long long v = isxdigit((unsigned char)*digits) ? strtoull(digits, &end, base) : 0;
	if (!end || *end)
		return gi_error_create(GI_ERR_USAGE, "\"%s\" is not a number", s);
	if (errno == ERANGE)
		return gi_error_create(GI_ERR_USAGE, "%s does not fit in 64 bits", s);
	*ret = v;
	return NULL;
}

struct gi_error *gi_args_u64(const struct gi_args *args, char letter, uint64_t def, uint64_t max,
			     uint64_t *ret)
{
	const char *text = gi_args_opt(args, letter);
	uint64_t v = def;
	if (text) {
		struct gi_error *err = gi_parse_u64(text, &v);
		if (err)
			return gi_error_wrap(err, "%s -%c", args->cmd->name, letter);
		if (v > max)
			return gi_error_create(GI_ERR_USAGE, "%s -%c: at most %" PRIu64,
					       args->cmd->name, letter, max);
	}
	*ret = v;
	return NULL;
}

// Words of a command line, and the options among them.
#ifndef REPL_ARGS_H
#define REPL_ARGS_H

#include "gcore/command.h"

/** A word as typed; quoted ones are never options. */
struct gi_word {
	char *text;
	bool quoted;
};

/**
 * Splits text into words: spaces separate, '...' and "..." keep them together, a backslash takes
 * the next character as it is. Words live in the arena. GI_ERR_USAGE: a quote is not closed.
 */
struct gi_error *gi_words_split(struct gi_arena *arena, const char *text, struct gi_word **ret,
				size_t *n_ret) GI_MUST_CHECK;

/**
 * Parses what follows a command's name by its table; everything lives in the arena.
 * GI_ERR_USAGE says what is wrong and what the command takes.
 */
struct gi_error *gi_args_parse(struct gi_arena *arena, const struct gi_command *cmd,
			       const char *text, struct gi_args **ret) GI_MUST_CHECK;

/** "-n DEPTH", "-with KIND VALUE": an option as help shows it. */
/** The forms of addresses that gi_session_address() takes, one a line (address.c). */
void gi_address_forms(struct gi_str *ret, const char *indent);
void gi_option_format(const struct gi_option *opt, struct gi_str *ret);

/** Ends an option table. */
static inline bool gi_option_is_end(const struct gi_option *opt)
{
	return !opt->letter && !opt->name;
}

#endif

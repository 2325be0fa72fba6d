// From a line to a command: the name, what the command needs, its arguments, its run.

#include "repl/args.h"
#include "repl/session_impl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NESTING = 16 };

// --- names ------------------------------------------------------------------

bool gi_command_is_called(const struct gi_command *cmd, const char *name, size_t n)
{
	if (strlen(cmd->name) == n && memcmp(cmd->name, name, n) == 0)
		return true;
	for (size_t i = 0; cmd->aliases && cmd->aliases[i]; i++) {
		if (strlen(cmd->aliases[i]) == n && memcmp(cmd->aliases[i], name, n) == 0)
			return true;
	}
	return false;
}

static bool begins(const struct gi_command *cmd, const char *name, size_t n)
{
	if (strncmp(cmd->name, name, n) == 0)
		return true;
	for (size_t i = 0; cmd->aliases && cmd->aliases[i]; i++) {
		if (strncmp(cmd->aliases[i], name, n) == 0)
			return true;
	}
	return false;
}

// Levenshtein distance, of short words only.
static size_t distance(const char *a, size_t n, const char *b)
{
	size_t m = strlen(b);
	size_t row[33];
	if (n > 32 || m > 32)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			best = best < row[j] + 1 ? best : row[j] + 1;
			row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
		}
	}
	return row[m];
}

static struct gi_error *unknown_command(const char *name, size_t n)
{
	_cleanup_(gi_str_deinit) struct gi_str typed = {0};
	gi_str_put_escaped(&typed, name, n);
	const char *nearest = NULL;
	size_t best = 3;
	for (size_t i = 0; gi_commands[i]; i++) {
		const struct gi_command *cmd = gi_commands[i];
		size_t d = distance(name, n, cmd->name);
		if (d < best && d < n)
			best = d, nearest = cmd->name;
		for (size_t k = 0; cmd->aliases && cmd->aliases[k]; k++) {
			d = distance(name, n, cmd->aliases[k]);
			if (d < best && d < n && strlen(cmd->aliases[k]) > 3)
				best = d, nearest = cmd->aliases[k];
		}
	}
	if (nearest)
		return gi_error_create(GI_ERR_USAGE,
				       "there is no command \"%s\": did you mean \"%s\"?",
				       gi_str_cstr(&typed), nearest);
	return gi_error_create(GI_ERR_USAGE, "there is no command \"%s\": \"help\" lists them",
			       gi_str_cstr(&typed));
}

struct gi_error *gi_command_find(const char *name, size_t n, const struct gi_command **ret)
{
	const struct gi_command *found = NULL;
	size_t matches = 0;
	_cleanup_(gi_str_deinit) struct gi_str list = {0};
	for (size_t i = 0; gi_commands[i]; i++) {
		if (gi_command_is_called(gi_commands[i], name, n)) {
			*ret = gi_commands[i];
			return NULL;
		}
		if (!begins(gi_commands[i], name, n))
			continue;
		found = gi_commands[i];
		gi_str_printf(&list, "%s%s", matches++ ? ", " : "", found->name);
	}
	if (matches == 0)
		return unknown_command(name, n);
	if (matches > 1)
		return gi_error_create(GI_ERR_USAGE, "\"%.*s\" could be %s", (int)n, name,
				       gi_str_cstr(&list));
	*ret = found;
	return NULL;
}

// --- running ----------------------------------------------------------------

static struct gi_error *check_needs(struct gi_session *s, const struct gi_command *cmd)
{
	if ((cmd->needs & (GI_NEEDS_TARGET | GI_NEEDS_GO | GI_NEEDS_FRAME)) && !s->target)
		return gi_error_create(GI_ERR_UNSUPPORTED, "%s: no core and no process is open", cmd->name);
	if ((cmd->needs & GI_NEEDS_GO) && !s->go)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "%s needs the Go runtime of the process: %s", cmd->name,
				       gi_error_message(s->go_error));
	size_t thread;
	if ((cmd->needs & GI_NEEDS_FRAME) && !s->g && !gi_session_thread(s, &thread))
		return gi_error_create(
			GI_ERR_NOT_FOUND,
			"%s: no goroutine or thread is selected (see \"goroutine ID\")", cmd->name);
	return NULL;
}

struct gi_error *gi_session_dispatch(struct gi_session *s, const char *line, struct gi_out *out)
{
	while (isspace((unsigned char)*line))
		line++;
	if (!*line || *line == '#')
		return NULL;
	// "x/8gx ADDR" is the command x with the argument /8gx.
	size_t n = strcspn(line, " \t\r\n/");
	if (!n)
		n = strcspn(line, " \t\r\n");
	const struct gi_command *cmd;
	struct gi_error *err = gi_command_find(line, n, &cmd);
	if (err)
		return err;
	err = check_needs(s, cmd);
	if (err)
		return err;
	if (s->nesting >= MAX_NESTING)
		return gi_error_create(GI_ERR_USAGE, "%s: commands run commands too deeply",
				       cmd->name);

	_cleanup_(gi_arena_destroyp) struct gi_arena *arena = NULL;
	err = gi_arena_create(&arena);
	if (err)
		return err;
	const char *rest = line + n;
	while (isspace((unsigned char)*rest))
		rest++;
	size_t len = strlen(rest);
	while (len && isspace((unsigned char)rest[len - 1]))
		len--;
	char *text = gi_arena_strndup(arena, rest, len);
	if (!text)
		return gi_error_nomem();
	struct gi_args *args;
	err = gi_args_parse(arena, cmd, text, &args);
	if (err)
		return err;
	s->nesting++;
	err = cmd->run(s, args, out);
	s->nesting--;
	if (!s->nesting)
		gi_session_note_late(s, out);
	return err;
}

// The prompt: readline on a terminal, plain lines of standard input elsewhere.
//
// Ctrl-C at the prompt throws the line away; during a command it raises the flag that target
// reads and loops poll. The history is kept below XDG_STATE_HOME.

#include "repl/session_impl.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

enum { HISTORY_MAX = 5000 };

// readline's callbacks carry no argument of ours.
static struct gi_session *completing;

static char **complete(const char *text, int start, int end)
{
	(void)text;
	char **found = gi_session_complete(completing, rl_line_buffer, (size_t)start, (size_t)end);
	// File names are readline's own business, and only where a file is meant.
	size_t n = strcspn(rl_line_buffer, " ");
	const struct gi_command *cmd = NULL;
	struct gi_error *err = gi_command_find(rl_line_buffer, n, &cmd);
	gi_error_ignore(err);
	bool file = memchr(rl_line_buffer, '>', (size_t)start) ||
		    (cmd && cmd->completes == GI_ARG_FILE);
	rl_attempted_completion_over = start == 0 || !file;
	if (!found)
		return NULL;
	// readline wants the longest common beginning first.
	size_t count = 0, common = strlen(found[0]);
	for (; found[count]; count++) {
		size_t k = 0;
		while (k < common && found[count][k] == found[0][k])
			k++;
		common = k;
	}
	char **matches = malloc((count + 2) * sizeof(*matches));
	char *first = matches ? strndup(found[0], common) : NULL;
	if (!first) {
		free(matches);
		for (size_t i = 0; i < count; i++)
			free(found[i]);
		free(found);
		return NULL;
	}
	matches[0] = first;
	memcpy(matches + 1, found, (count + 1) * sizeof(*matches));
	free(found);
	if (count == 1) {
		free(matches[1]);
		matches[1] = NULL;
	}
	return matches;
}

static void drop_line(void)
{
	gi_interrupt_clear();
	rl_replace_line("", 0);
	rl_crlf();
	rl_on_new_line();
	rl_redisplay();
}

// Waits for a key. SIGINT is let in only while waiting: one that came at any other moment is
// still pending, or noted by readline, when we look.
static int get_key(FILE *f)
{
	sigset_t sigint, before, open;
	sigemptyset(&sigint);
	sigaddset(&sigint, SIGINT);
	for (;;) {
		sigprocmask(SIG_BLOCK, &sigint, &before);
		rl_check_signals(); // readline's handler hands on what it caught
		if (gi_interrupted()) {
			sigprocmask(SIG_SETMASK, &before, NULL);
			drop_line();
			continue;
		}
		struct pollfd fd = {.fd = fileno(f), .events = POLLIN};
		open = before;
		sigdelset(&open, SIGINT);
		int n = ppoll(&fd, 1, NULL, &open);
		bool failed = n < 0 && errno != EINTR;
		sigprocmask(SIG_SETMASK, &before, NULL);
		if (n > 0 || failed)
			return rl_getc(f);
	}
}

static bool make_parents(char *path)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;
		*p = '/';
		if (!ok)
			return false;
	}
	return true;
}

// The path of the history file; NULL if there is no place for it.
static char *history_path(void)
{
	_cleanup_(gi_str_deinit) struct gi_str path = {0};
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	if (state && state[0] == '/')
		gi_str_puts(&path, state);
	else if (home && home[0] == '/')
		gi_str_printf(&path, "%s/.local/state", home);
	else
		return NULL;
	gi_str_puts(&path, "/gcore-inspect/history");
	if (path.oom || !make_parents(path.s))
		return NULL;
	return strdup(path.s);
}

static bool is_blank(const char *line)
{
	return !*(line + strspn(line, " \t\r\n"));
}

// Commands that an empty line does again: going up and down a stack.
static bool repeats(const char *line)
{
	const struct gi_command *cmd = NULL;
	line += strspn(line, " \t");
	struct gi_error *err = gi_command_find(line, strcspn(line, " \t/"), &cmd);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	return gi_command_is_called(cmd, "up", 2) || gi_command_is_called(cmd, "down", 4);
}

// False: the session is over; an error that matters is in *ret.
static bool run_line(struct gi_session *s, const char *line, struct gi_error **ret)
{
	struct gi_error *err = gi_session_execute(s, line);
	if (!err)
		return true;
	if (gi_error_code(err) == GI_ERR_QUIT || gi_error_code(err) == GI_ERR_PIPE) {
		*ret = err;
		return false;
	}
	gi_session_complain("error", err);
	gi_error_free(err);
	return true;
}

static struct gi_error *prompt(struct gi_session *s)
{
	completing = s;
	rl_readline_name = "gcore-inspect";
	rl_attempted_completion_function = complete;
	// No colon, bracket or star: they are parts of Go's names.
	rl_completer_word_break_characters = " \t\n\"'|>";
	rl_getc_function = get_key;
	_cleanup_(gi_freep) char *path = history_path();
	using_history();
	stifle_history(HISTORY_MAX);
	if (path)
		(void)!read_history(path);

	struct gi_error *end = NULL;
	_cleanup_(gi_freep) char *last = NULL;
	for (bool go_on = true; go_on;) {
		gi_interrupt_clear();
		char *line = readline("(gcore) ");
		if (!line) {
			fputc('\n', stdout);
			break;
		}
		if (!is_blank(line)) {
			HIST_ENTRY *newest = history_length ? history_get(history_length) : NULL;
			if (!newest || strcmp(newest->line, line) != 0)
				add_history(line);
			free(last);
			last = line;
		} else {
			free(line);
			if (!last || !repeats(last))
				continue;
		}
		fflush(stdout);
		go_on = run_line(s, last, &end);
	}
	if (path && write_history(path) == 0)
		(void)!chmod(path, 0600);
	return end;
}

struct gi_error *gi_session_interact(struct gi_session *s)
{
	if (s->opts.interactive)
		return prompt(s);
	struct gi_error *end = NULL;
	_cleanup_(gi_freep) char *line = NULL;
	size_t cap = 0;
	while (!end && getline(&line, &cap, stdin) >= 0) {
		if (!is_blank(line) && !run_line(s, line, &end))
			break;
	}
	return end;
}

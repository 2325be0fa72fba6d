// Where the output of a line goes: standard output, a pager, a shell command or a file.
//
// "COMMAND | shell command" and "COMMAND > file" are split off before anything else is looked
// at; a bar or an angle in quotes is an argument's. On a terminal the pager is started once
// the text is longer than the screen, not before.

#include "repl/session_impl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct redirect {
	char kind; // 0: none, '|', '>', 'a' (append)
	const char *to;
};

// Finds the first unquoted '|' or '>'; command gets what stands before it.
static struct gi_error *split_redirect(const char *line, struct gi_str *command,
				       struct redirect *ret)
{
	char quote = 0;
	const char *p = line;
	for (; *p; p++) {
		if (quote) {
			if (*p == '\\' && quote == '"' && p[1])
				p++;
			else if (*p == quote)
				quote = 0;
		} else if (*p == '\\' && p[1]) {
			p++;
		} else if (*p == '\'' || *p == '"') {
			quote = *p;
		} else if (*p == '|' || *p == '>') {
			break;
		}
	}
	gi_str_putn(command, line, (size_t)(p - line));
	if (command->oom)
		return gi_error_nomem();
	*ret = (struct redirect){0};
	if (!*p)
		return NULL;
	ret->kind = *p++;
	if (ret->kind == '>' && *p == '>') {
		ret->kind = 'a';
		p++;
	}
	while (isspace((unsigned char)*p))
		p++;
	ret->to = p;
	if (!*p)
		return gi_error_create(GI_ERR_USAGE,
				       ret->kind == '|' ? "a shell command is missing after \"|\""
							: "a file name is missing after \">\"");
	return NULL;
}

// --- progress -----------------------------------------------------------------

void gi_session_clear_progress(struct gi_session *s)
{
	if (s->progress_shown)
		fputs("\r\033[K", stderr);
	s->progress_shown = false;
}

void gi_session_show_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct gi_session *s = arg;
	double now = gi_now();
	if (s->pager.pid || now - s->started < 1 || now - s->shown_at < 0.1)
		return;
	s->shown_at = now;
	s->progress_shown = true;
	fprintf(stderr, "\r\033[K%s: %" PRIu64 " of %" PRIu64, what, done, total);
	if (total)
		fprintf(stderr, " (%u%%)", (unsigned)((double)done * 100 / (double)total));
}

void gi_session_show_unpacking(void *arg, const char *path, uint64_t done, uint64_t total)
{
	_cleanup_(gi_str_deinit) struct gi_str what = { 0 };
	gi_str_puts(&what, "unpacking ");
	gi_str_put_escaped(&what, path, strlen(path));
	gi_session_show_progress(arg, gi_str_cstr(&what), done, total);
}

static int start_pager(void *arg)
{
	struct gi_session *s = arg;
	const char *pager = gi_pager_command();
	gi_session_clear_progress(s);
	if (!pager)
		return -1;
	struct gi_error *err = gi_child_start(pager, &s->pager);
	if (err) {
		gi_session_complain("note", err);
		gi_error_free(err);
		return -1;
	}
	return s->pager.fd;
}

// --- running ------------------------------------------------------------------

// A reader that leaves early (a pager, "| head") has what it wants: no failure.
static struct gi_error *without_pipe(struct gi_error *err)
{
	if (!err || gi_error_code(err) != GI_ERR_PIPE)
		return err;
	gi_error_free(err);
	return NULL;
}

static struct gi_error *run_to_fd(struct gi_session *s, const char *command, int fd)
{
	_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
	struct gi_error *err = gi_out_create_fd(fd, s->opts.json, s->opts.color_always, &out);
	if (err)
		return err;
	if (isatty(STDERR_FILENO))
		gi_out_set_progress(out, gi_session_show_progress, s);
	err = gi_session_dispatch(s, command, out);
	gi_session_clear_progress(s);
	struct gi_error *flushed = gi_out_flush(out);
	if (!err)
		return flushed;
	gi_error_ignore(flushed);
	return err;
}

static struct gi_error *run_to_pipe(struct gi_session *s, const char *command, const char *shell)
{
	struct gi_child child;
	struct gi_error *err = gi_child_start(shell, &child);
	if (err)
		return err;
	err = run_to_fd(s, command, child.fd);
	gi_child_finish(&child);
	return without_pipe(err);
}

static struct gi_error *run_to_file(struct gi_session *s, const char *command, struct redirect to)
{
	_cleanup_(gi_str_deinit) struct gi_str path = {0};
	size_t n = strlen(to.to);
	while (n && isspace((unsigned char)to.to[n - 1]))
		n--;
	if (n >= 2 && (to.to[0] == '"' || to.to[0] == '\'') && to.to[n - 1] == to.to[0])
		gi_str_putn(&path, to.to + 1, n - 2);
	else
		gi_str_putn(&path, to.to, n);
	if (path.oom)
		return gi_error_nomem();
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (to.kind == 'a' ? O_APPEND : O_TRUNC);
	int fd = open(gi_str_cstr(&path), flags, 0666);
	if (fd < 0)
		return gi_error_errno("cannot write %s", gi_str_cstr(&path));
	struct gi_error *err = run_to_fd(s, command, fd);
	if (close(fd) < 0 && !err)
		err = gi_error_errno("cannot write %s", gi_str_cstr(&path));
	return err;
}

struct gi_error *gi_session_run(struct gi_session *s, const char *line, struct gi_out *out)
{
	_cleanup_(gi_str_deinit) struct gi_str command = {0};
	struct redirect to = {0};
	struct gi_error *err = split_redirect(line, &command, &to);
	if (err)
		return err;
	if (!to.kind)
		return gi_session_dispatch(s, line, out);
	// What was printed so far comes first.
	err = gi_out_flush(out);
	if (err)
		return err;
	if (to.kind == '|')
		return run_to_pipe(s, gi_str_cstr(&command), to.to);
	return run_to_file(s, gi_str_cstr(&command), to);
}

// Runs a line, or the lines of a file, on standard output.
static struct gi_error *execute(struct gi_session *s, const char *line, const char *file)
{
	_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
	struct gi_error *err = gi_out_create_fd(STDOUT_FILENO, s->opts.json, s->opts.color, &out);
	if (err)
		return err;
	gi_interrupt_clear();
	s->started = gi_now();
	bool terminal = isatty(STDOUT_FILENO);
	bool held = false;
	struct winsize ws;
	if (s->opts.interactive && terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 &&
	    ws.ws_row > 2) {
		gi_out_set_overflow(out, ws.ws_row - 1, ws.ws_col, start_pager, s);
		held = true;
	}
	// Progress would stand between lines of output on the same terminal.
	if (isatty(STDERR_FILENO) && (held || !terminal))
		gi_out_set_progress(out, gi_session_show_progress, s);
	err = file ? gi_session_source(s, file, out) : gi_session_run(s, line, out);
	gi_session_clear_progress(s);
	struct gi_error *flushed = gi_out_flush(out);
	if (s->pager.pid) {
		gi_child_finish(&s->pager);
		flushed = without_pipe(flushed);
		err = without_pipe(err);
	}
	if (err)
		gi_error_ignore(flushed);
	else
		err = flushed;
	if (!err && s->target)
		err = gi_target_check_unchanged(s->target);
	return err;
}

struct gi_error *gi_session_execute(struct gi_session *s, const char *line)
{
	return execute(s, line, NULL);
}

struct gi_error *gi_session_execute_file(struct gi_session *s, const char *path)
{
	return execute(s, NULL, path);
}

void gi_session_complain(const char *prefix, const struct gi_error *err)
{
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	const char *message = gi_error_message(err);
	gi_str_put_escaped(&text, message, strlen(message));
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", prefix, gi_str_cstr(&text));
}

// The session: what is open, what is selected, how commands run.
#ifndef REPL_SESSION_H
#define REPL_SESSION_H

#include "gcore/command.h"

struct gi_session_options {
	struct gi_target_options target;
	bool json;
	bool color;	   // on standard output
	bool color_always; // even in pipes and files
	bool interactive;  // a person at a terminal: pager, history
	bool batch;	   // no prompt follows
	pid_t pid;	   // a running process to look at; 0: a core
};

/**
 * Opens the core and, as far as it can be understood, the Go program in it. Without a Go
 * runtime the session is still made: gi_session_go_error() says why.
 */
struct gi_error *gi_session_open(const char *core, const struct gi_session_options *opts,
				 struct gi_session **ret) GI_MUST_CHECK;
/** A session without a target, for help. */
struct gi_error *gi_session_open_none(const struct gi_session_options *opts,
				      struct gi_session **ret) GI_MUST_CHECK;
void gi_session_close(struct gi_session *s);
GI_DEFINE_CLEANUP(struct gi_session *, gi_session_closep, gi_session_close)

/** Why there is no Go runtime; NULL if there is one. Borrowed. */
const struct gi_error *gi_session_go_error(const struct gi_session *s);
const struct gi_session_options *gi_session_options(const struct gi_session *s);

/**
 * Runs one line as typed, with its "| shell command" or "> file", and flushes. Errors of the
 * command come back; GI_ERR_PIPE when standard output's reader is gone.
 */
struct gi_error *gi_session_execute(struct gi_session *s, const char *line) GI_MUST_CHECK;
/** The same with the lines of a file; stops at the first that fails. */
struct gi_error *gi_session_execute_file(struct gi_session *s, const char *path) GI_MUST_CHECK;
/** Prints err on standard error, as text that is safe for a terminal. */
void gi_session_complain(const char *prefix, const struct gi_error *err);

/** Reads commands from standard input until its end or quit: a prompt on a terminal. */
struct gi_error *gi_session_interact(struct gi_session *s) GI_MUST_CHECK;

/**
 * Sees to it that what is stuck for good in a running process is more than an impression: where the heap
 * had to be read while it ran, it is looked at again, with all of its memory at once if that is not much, and
 * at last if it is up to 1 GB.
 * GI_ERR_UNSUPPORTED: two looks do not agree. *proven_ret: it was all of one moment.
 */
struct gi_error *gi_session_judge(struct gi_session *s, bool *proven_ret) GI_MUST_CHECK;

/** The manual of all commands, as Markdown. */
void gi_command_manual(struct gi_out *out);

// --- dispatch.c -------------------------------------------------------------

/** A command by name, alias or unique prefix of n bytes. GI_ERR_USAGE: unknown (suggests) or
 * ambiguous. */
struct gi_error *gi_command_find(const char *name, size_t n,
				 const struct gi_command **ret) GI_MUST_CHECK;
/** True if name[0..n) is the command's name or one of its aliases. */
bool gi_command_is_called(const struct gi_command *cmd, const char *name, size_t n);

// --- child.c ----------------------------------------------------------------

/** A child process that reads what we write. */
struct gi_child {
	pid_t pid;
	int fd; // to write to
};
/** Runs a shell command with its standard input from us. */
struct gi_error *gi_child_start(const char *shell_command, struct gi_child *ret) GI_MUST_CHECK;
/** Closes its input and waits for its end. */
void gi_child_finish(struct gi_child *child);
/** $PAGER, or what is installed; NULL: none. Borrowed. */
const char *gi_pager_command(void);

// --- lost_file.c ------------------------------------------------------------

/**
 * From now on, a file that is cut short while it is read, or whose disk fails, ends the program
 * with one line that says so and with this status.
 */
void gi_lost_file_handle(int exit_status);

// --- complete.c -------------------------------------------------------------

/** Candidates for the word at [start, end) of line; NULL-terminated, each and the list malloced. */
char **gi_session_complete(struct gi_session *s, const char *line, size_t start, size_t end);

#endif

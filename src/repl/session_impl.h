// The inside of a session.
#ifndef REPL_SESSION_IMPL_H
#define REPL_SESSION_IMPL_H

#include "repl/session.h"

struct gi_session {
	struct gi_session_options opts;
	struct gi_target *target;
	struct gi_go *go; // NULL: go_error says why
	struct gi_error *go_error;
	struct gi_unwinder *unwinder;
	struct gi_graph *graph; // NULL until it was needed
	bool graph_late; // parts of it were read from a process that ran

	const struct gi_g *g; // NULL: a thread, or nothing, is selected
	bool by_thread;
	bool full_thread;
	size_t thread;
	size_t frame;

	unsigned nesting; // commands that run commands
	unsigned sourcing; // of them: files of commands

	// Progress on the terminal.
	double started, shown_at;
	bool progress_shown;
	struct gi_child pager; // of the command that runs; pid 0: none
};

/** Of struct gi_elf_unpacking, with the session. */
void gi_session_show_progress(void *session, const char *what, uint64_t done, uint64_t total);
void gi_session_show_unpacking(void *session, const char *path, uint64_t done, uint64_t total);
/** Takes what progress was shown off the terminal. */
void gi_session_clear_progress(struct gi_session *s);

/** t becomes the session's, and, as far as it can be understood, the Go program in it. */
struct gi_error *gi_session_take_target(struct gi_session *s, struct gi_target *t) GI_MUST_CHECK;

/** Of gi_unwind_goroutine, for the stack that is selected. */
unsigned gi_session_unwind_flags(const struct gi_session *s);

/** Runs one command, whose redirection was split off. */
struct gi_error *gi_session_dispatch(struct gi_session *s, const char *line,
				     struct gi_out *out) GI_MUST_CHECK;

/** Selects what a session begins with. */
void gi_session_select_first(struct gi_session *s);

// --- live.c -------------------------------------------------------------------

/** Opens process s->opts.pid and takes the first snapshot. */
struct gi_error *gi_session_open_live(struct gi_session *s,
				      const struct gi_target_options *opts) GI_MUST_CHECK;
/** gi_graph_build(); notes whether what it read was of the snapshot. */
struct gi_error *gi_session_build_graph(struct gi_session *s) GI_MUST_CHECK;
/** After a command: says if it used memory of a later moment than the snapshot. */
void gi_session_note_late(struct gi_session *s, struct gi_out *out);

#endif

// Inside of the traceback renderer: what its files share.
#ifndef REPORT_TRACEBACK_IMPL_H
#define REPORT_TRACEBACK_IMPL_H

#include "gcore/report.h"

/** One renderer: a release, a level, and the text that was already made for each pc. */
struct gi_tb {
	struct gi_go *go;
	struct gi_unwinder *u;
	enum gi_traceback_level level;
	int minor;   // of the target's release; releases that are not known count as the
		     // newest
	bool labels; // GODEBUG tracebacklabels
	int wrapper_id;
	struct gi_map pieces; // see traceback.c
	struct gi_arena *arena;
	struct gi_str name; // scratch
};

struct gi_error *gi_tb_init(struct gi_tb *tb, struct gi_go *go, struct gi_unwinder *u,
			    enum gi_traceback_level level) GI_MUST_CHECK;
void gi_tb_deinit(struct gi_tb *tb);

/** A function's name as Go 1.minor prints it, escaped. */
void gi_tb_put_name(int minor, const char *name, struct gi_str *str);
/** True if the level all shows such a function: user code, and what the runtime exports.
 */
bool gi_tb_is_visible(int minor, const char *name);

/** "goroutine 18 [chan receive, 5 minutes, locked to thread]:\n" */
void gi_tb_header(struct gi_tb *tb, const struct gi_g *g, struct gi_str *text);
/** The frames of a goroutine, as the runtime's traceback(gp) would print them. */
struct gi_error *gi_tb_frames(struct gi_tb *tb, const struct gi_g *g,
			      struct gi_str *text) GI_MUST_CHECK;
/** The frames that begin at what a thread does (or did when a signal interrupted it). */
struct gi_error *gi_tb_thread_frames(struct gi_tb *tb, size_t thread,
				     struct gi_str *text) GI_MUST_CHECK;
/** How many frames lie between a process's end by panic or fatal error and what led to
 * it; 0: none. */
size_t gi_tb_fatal_depth(struct gi_tb *tb, const struct gi_g *g, size_t thread);
void gi_tb_created_by(struct gi_tb *tb, const struct gi_g *g, struct gi_str *text);
/** Header, frames, created by. */
struct gi_error *gi_tb_goroutine(struct gi_tb *tb, const struct gi_g *g,
				 struct gi_str *text) GI_MUST_CHECK;

#endif

// Reports: where commands write, as text or as JSON records, and the renderers that
// more than one command uses.
#ifndef GCORE_REPORT_H
#define GCORE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/dump.h"
#include "gcore/error.h"
#include "gcore/go.h"
#include "gcore/target.h"
#include "gcore/unwind.h"
#include "gcore/value.h"
#include "gcore/wait.h"

/**
 * An output. Writes are buffered; a failed write (closed pipe, full disk) makes the
 * rest no-ops and is told by gi_out_error(). Long loops poll gi_out_check().
 */
struct gi_out;

struct gi_error *gi_out_create_fd(int fd, bool json, bool color, struct gi_out **ret) GI_MUST_CHECK;
/** Collects into memory, for tests and -group like uses; the text is borrowed until the next write. */
struct gi_error *gi_out_create_memory(bool json, struct gi_out **ret) GI_MUST_CHECK;
const char *gi_out_memory_text(struct gi_out *out, size_t *len_ret);
/** Flushes. */
void gi_out_destroy(struct gi_out *out);
GI_DEFINE_CLEANUP(struct gi_out *, gi_out_destroyp, gi_out_destroy)
struct gi_error *gi_out_flush(struct gi_out *out) GI_MUST_CHECK;
/** GI_ERR_PIPE or GI_ERR_IO once a write failed, GI_ERR_INTERRUPTED after Ctrl-C; else NULL. */
struct gi_error *gi_out_check(struct gi_out *out) GI_MUST_CHECK;

/**
 * Holds text back until it is longer than rows lines of cols columns; then fn gives the
 * descriptor (a pager's) to go on with, or -1 to keep the old one.
 */
typedef int (*gi_out_overflow_fn)(void *arg);
void gi_out_set_overflow(struct gi_out *out, size_t rows, size_t cols, gi_out_overflow_fn fn, void *arg);
/** Commands over many things call gi_out_progress now and then; a terminal shows it after a second. */
typedef void (*gi_progress_fn)(void *arg, const char *what, uint64_t done, uint64_t total);
void gi_out_set_progress(struct gi_out *out, gi_progress_fn fn, void *arg);
void gi_out_progress(struct gi_out *out, const char *what, uint64_t done, uint64_t total);

bool gi_out_is_json(const struct gi_out *out);
bool gi_out_has_color(const struct gi_out *out);

// Text. Formats are ours; text of the inferior goes through gi_out_text or %s of a
// gi_str that was escaped. In JSON mode these write nothing.
void gi_out_printf(struct gi_out *out, const char *fmt, ...) GI_PRINTF(2, 3);
void gi_out_puts(struct gi_out *out, const char *s);
void gi_out_write(struct gi_out *out, const char *s, size_t n);
/** Untrusted text, escaped. */
void gi_out_text(struct gi_out *out, const char *s);
enum gi_style { GI_STYLE_NONE, GI_STYLE_HEAD, GI_STYLE_GOOD, GI_STYLE_BAD, GI_STYLE_DIM, GI_STYLE_NAME };
void gi_out_style(struct gi_out *out, enum gi_style style); // GI_STYLE_NONE ends it
/** The same as strings, "" without colour, for lines that are put together elsewhere. */
const char *gi_style_start(const struct gi_out *out, enum gi_style style);
const char *gi_style_end(const struct gi_out *out);

/** A remark on the answer ("stack ends early: ..."): a "note: " line, or a note record. */
void gi_out_note(struct gi_out *out, const char *fmt, ...) GI_PRINTF(2, 3);

// JSON records, one a line. In text mode these write nothing. Objects and arrays nest:
// key is NULL inside of an array. begin writes {"type":TYPE,...
void gi_json_begin(struct gi_out *out, const char *type);
void gi_json_end(struct gi_out *out);
void gi_json_str(struct gi_out *out, const char *key, const char *s); // s NULL: null; invalid UTF-8 is escaped
void gi_json_strn(struct gi_out *out, const char *key, const char *s, size_t n);
void gi_json_u64(struct gi_out *out, const char *key, uint64_t v);
void gi_json_i64(struct gi_out *out, const char *key, int64_t v);
void gi_json_hex(struct gi_out *out, const char *key, uint64_t v); // "0x..."
void gi_json_bool(struct gi_out *out, const char *key, bool v);
void gi_json_null(struct gi_out *out, const char *key);
/** v if it is known, else null. */
void gi_json_u64_or_null(struct gi_out *out, const char *key, bool known, uint64_t v);
void gi_json_i64_or_null(struct gi_out *out, const char *key, bool known, int64_t v);
void gi_json_hex_or_null(struct gi_out *out, const char *key, bool known, uint64_t v);
void gi_json_object(struct gi_out *out, const char *key); // opens {
void gi_json_array(struct gi_out *out, const char *key);  // opens [
void gi_json_close(struct gi_out *out);			  // closes the innermost of them

/** What gi_out_note writes in JSON mode: a note record, after the record that is open. */
void gi_json_note(struct gi_out *out, const char *text);

// --- renderers --------------------------------------------------------------

/** A frame: a numbered line (or two), or a member of a JSON "frames" array. */
void gi_out_frame(struct gi_out *out, size_t i, const struct gi_frame *frame);
/** The same, and what was asked for beside it. */
struct gi_frame_more {
	const struct gi_deferreds *deferred; // of its goroutine: those of this frame are shown; or NULL
	bool with_args;
	const struct gi_arg_values *args; // by name; NULL: there is no debug information for it
	const char *words;		  // what the runtime would print of them; or NULL
};
/** Frame i of a stack with its arguments, which reader reads. */
struct gi_error *gi_out_stack_frame(struct gi_out *out, const struct gi_stack *stack, size_t i,
				    struct gi_unwinder *u, struct gi_arg_reader *reader,
				    const struct gi_deferreds *deferred) GI_MUST_CHECK;
void gi_out_frame_more(struct gi_out *out, size_t i, const struct gi_frame *frame,
		       const struct gi_frame_more *more);
/** Deferred calls that belong to no frame; in JSON an array "deferred_elsewhere" of the open object. */
void gi_out_deferred_elsewhere(struct gi_out *out, const struct gi_deferreds *deferred);
/** The same with its argument words (untrusted text); in JSON a record of its own. */
void gi_out_frame_args(struct gi_out *out, size_t i, const struct gi_frame *frame, const char *args);
/** A line between frames: the stack goes on on another one. */
void gi_out_stack_switch(struct gi_out *out, enum gi_stack_id to);
/** {"pc","function","file","line"} under key. */
void gi_json_location(struct gi_out *out, const char *key, const struct gi_location *loc);
/** The same, or null if its pc is unknown. */
void gi_json_location_or_null(struct gi_out *out, const char *key, const struct gi_location *loc);

/** Function name as the target's runtime prints it in tracebacks ("main.f[...]"). */
void gi_function_print_name(const char *name, struct gi_str *ret);

/** Members of a goroutine record that the runtime's own fields give: id, status, ..., thread. */
void gi_json_goroutine_state(struct gi_out *out, struct gi_go *go, const struct gi_g *g);

// report/goroutines.c: lists of goroutines.
enum gi_show { GI_SHOW_USER, GI_SHOW_CURRENT, GI_SHOW_GO, GI_SHOW_START };
struct gi_goroutines_options {
	bool all;    // dead and extra ones too
	bool labels; // in text; records have them always
	enum gi_show show;
	size_t frames;		    // of each stack; 0: no stacks
	const char *const *with;    // "KIND VALUE"; all must hold
	const char *const *without; // none may hold
	size_t with_count, without_count;
	const char *group;	     // "KIND" or "label KEY": groups instead of goroutines; NULL: no
	size_t examples;	     // of each group
	const struct gi_g *selected; // is marked; or NULL
};
/** GI_ERR_USAGE for kinds that do not exist. */
struct gi_error *gi_report_goroutines(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				      const struct gi_goroutines_options *opts) GI_MUST_CHECK;

/** What is known of one goroutine; in JSON its record of "goroutines". */
struct gi_error *gi_report_goroutine(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				     const struct gi_g *g) GI_MUST_CHECK;

// report/threads.c, sched.c, mappings.c. go and u may be NULL for those that take a target too.
struct gi_error *gi_report_threads(struct gi_out *out, struct gi_target *t, struct gi_go *go,
				   struct gi_unwinder *u, size_t selected,
				   bool syscalls) GI_MUST_CHECK;
struct gi_error *gi_report_thread(struct gi_out *out, struct gi_target *t, struct gi_go *go,
				  struct gi_unwinder *u, size_t thread) GI_MUST_CHECK;
/** u may be NULL: which locks of the runtime Ms wait for is not shown then. */
struct gi_error *gi_report_ms(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u) GI_MUST_CHECK;
struct gi_error *gi_report_ps(struct gi_out *out, struct gi_go *go) GI_MUST_CHECK;
/** One line on what was written. */
struct gi_error *gi_report_dump(struct gi_out *out, const char *path, bool mini,
				const struct gi_dump_result *made, double seconds) GI_MUST_CHECK;
/** report/sched_findings.c: the runtime's own text of the scheduler, and what is wrong with it. u may be NULL. */
struct gi_error *gi_report_sched(struct gi_out *out, struct gi_go *go,
				 struct gi_unwinder *u) GI_MUST_CHECK;
// report/queues.c: lists.
struct gi_error *gi_report_runq(struct gi_out *out, struct gi_go *go,
				struct gi_unwinder *u) GI_MUST_CHECK;
struct gi_error *gi_report_timers(struct gi_out *out, struct gi_go *go) GI_MUST_CHECK;
struct gi_error *gi_report_netpoll(struct gi_out *out, struct gi_go *go) GI_MUST_CHECK;
/** All mappings, or the one that holds addr. */
struct gi_error *gi_report_mappings(struct gi_out *out, struct gi_target *t, bool one,
				    uint64_t addr) GI_MUST_CHECK;
/** report/files.c: the files that the process had mapped, and their debug files. */
struct gi_error *gi_report_files(struct gi_out *out, struct gi_target *t) GI_MUST_CHECK;
/** "SIGSEGV", "signal 40". */
void gi_signal_format(int signal, struct gi_str *ret);

/**
 * report/top.c: threads and goroutines of a running process by their time on processors in the next
 * seconds, at most max of each. It is not stopped for that. go may be NULL.
 */
struct gi_error *gi_report_top(struct gi_out *out, struct gi_target *t, struct gi_go *go,
			       double seconds, size_t max) GI_MUST_CHECK;
/** report/live.c: the record "look" of a running process, and the same in words. */
void gi_report_live(struct gi_out *out, struct gi_target *t);
void gi_report_live_line(struct gi_str *s, struct gi_target *t);

// report/memory.c: raw memory in rows.
struct gi_memory_format {
	char format;   // x d u o t (binary) c a (address) s (string)
	unsigned size; // of a unit: 1, 2, 4, 8
	uint64_t count;
};
/** Prints what can be read; the error says where it stopped. go may be NULL: no names. */
struct gi_error *gi_report_memory(struct gi_out *out, struct gi_target *t, struct gi_go *go,
				  uint64_t addr, const struct gi_memory_format *fmt) GI_MUST_CHECK;

// report/traceback.c: the runtime's own text.
enum gi_traceback_level { GI_TRACEBACK_ALL, GI_TRACEBACK_SYSTEM, GI_TRACEBACK_CRASH };
/** One goroutine's block as the target's release prints it, followed by nothing; or its record. */
struct gi_error *gi_traceback_goroutine(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
					const struct gi_g *g, enum gi_traceback_level level) GI_MUST_CHECK;
/**
 * All goroutines that the runtime would print, in its order; at the level crash with the
 * sections of the threads. Or their records, then without those sections.
 */
struct gi_error *gi_traceback_all(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				  enum gi_traceback_level level) GI_MUST_CHECK;

// report/deadlock.c: verdicts as stories, or verdict and summary records.
struct gi_error *gi_report_verdicts(struct gi_out *out, struct gi_go *go, struct gi_graph *graph,
				    bool verbose) GI_MUST_CHECK;
/** The lines of --check and of the summary: one a root cause. */
struct gi_error *gi_report_verdict_line(struct gi_out *out, struct gi_go *go,
					struct gi_graph *graph) GI_MUST_CHECK;
/** The object that goroutines wait for at an address: its state, waiters and owners. GI_ERR_NOT_FOUND. */
struct gi_error *gi_report_waiters(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				   struct gi_graph *graph, uint64_t addr) GI_MUST_CHECK;
/** report/blocked.c: objects by the number of their waiters, at most max of them (0: all). */
struct gi_error *gi_report_blocked(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				   struct gi_graph *graph, size_t max) GI_MUST_CHECK;
/** report/why.c: from a goroutine along the edges to where the chain ends. */
struct gi_error *gi_report_why(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
			       struct gi_graph *graph, const struct gi_g *g) GI_MUST_CHECK;
/** report/cgo.c: goroutines in C, with what they do there. */
struct gi_error *gi_report_cgo(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
			       const struct gi_graph *graph) GI_MUST_CHECK;
/**
 * report/graph_file.c: the graph in graphviz' language, or in the file path (.dot or .svg).
 * all: every edge, else what verdicts tell of.
 */
struct gi_error *gi_report_graph(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				 const struct gi_graph *graph, bool all, const char *path) GI_MUST_CHECK;
/** report/heap.c: objects of the heap by size. */
struct gi_error *gi_report_heap(struct gi_out *out, struct gi_go *go) GI_MUST_CHECK;
/** report/object.c: what is at an address: memory of which kind, type, name, who points to it. */
struct gi_error *gi_report_object(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				  struct gi_graph *graph, uint64_t addr) GI_MUST_CHECK;
/**
 * report/summary.c: what the process was, how it ended, goroutines by status, verdict, notes.
 * go, u and graph may be NULL.
 */
struct gi_error *gi_report_summary(struct gi_out *out, struct gi_target *t, struct gi_go *go,
				   struct gi_unwinder *u, struct gi_graph *graph) GI_MUST_CHECK;

#endif

// What a command sees: its session, its arguments, its output. A file in commands/
// includes this and nothing else.
#ifndef GCORE_COMMAND_H
#define GCORE_COMMAND_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/dump.h"
#include "gcore/error.h"
#include "gcore/go.h"
#include "gcore/report.h"
#include "gcore/symbols.h"
#include "gcore/target.h"
#include "gcore/unwind.h"
#include "gcore/value.h"
#include "gcore/wait.h"

struct gi_session;
struct gi_args;

enum gi_command_group {
	GI_GROUP_GOROUTINES,
	GI_GROUP_STACK,
	GI_GROUP_WAITS,
	GI_GROUP_SCHEDULER,
	GI_GROUP_DATA,
	GI_GROUP_SESSION,
};

/** What must be there before run is called; the dispatcher answers when it is not. */
enum {
	GI_NEEDS_TARGET = 1, // a core is open
	GI_NEEDS_GO = 2,     // and the Go runtime in it was understood
	GI_NEEDS_FRAME = 4,  // and a goroutine or thread is selected
};

enum gi_arg_kind { // for completion
	GI_ARG_NONE,
	GI_ARG_GOROUTINE,
	GI_ARG_THREAD,
	GI_ARG_FUNCTION,
	GI_ARG_COMMAND,
	GI_ARG_FILE,
	GI_ARG_ADDR,
};

/**
 * An option: "-t", or "-name" when name is set. meta: the name of its value, NULL: no value;
 * "[N]": an optional number; "KIND VALUE...": all words up to the next option, joined by spaces.
 * A table ends with a zero entry.
 */
struct gi_option {
	char letter;
	const char *meta;
	const char *help;
	const char *name; // long form ("with", "group"), or NULL
	bool repeatable;
	const char *const *values; // words to complete its value with, NULL-terminated; or NULL
};

struct gi_command {
	const char *name;
	const char *const *aliases; // NULL-terminated, or NULL
	enum gi_command_group group;
	unsigned needs;
	const char *synopsis;
	const char *summary; // one line, no period
	const struct gi_option *options;
	const char *help;
	size_t min_args, max_args; // positional; SIZE_MAX: any
	bool raw_args;		   // the rest of the line is one argument, unparsed
	enum gi_arg_kind completes;
	struct gi_error *(*run)(struct gi_session *s, const struct gi_args *args, struct gi_out *out);
};

/** All commands, NULL-terminated; generated from the files in commands/. */
extern const struct gi_command *const gi_commands[];
/** All commands by group, and one command's help. */
void gi_command_list(struct gi_out *out);
struct gi_error *gi_command_help(struct gi_out *out, const char *name) GI_MUST_CHECK;

// --- arguments --------------------------------------------------------------

size_t gi_args_count(const struct gi_args *args);
const char *gi_args_get(const struct gi_args *args, size_t i); // positional
/** A flag, or whether an option was given. Long options: letter 0 and name. */
bool gi_args_has(const struct gi_args *args, char letter);
bool gi_args_has_name(const struct gi_args *args, const char *name);
/** An option's value, NULL if not given (or given without its optional value). */
const char *gi_args_opt(const struct gi_args *args, char letter);
const char *gi_args_opt_name(const struct gi_args *args, const char *name);
/** Repeated options: the i-th value, NULL past the end. */
const char *gi_args_opt_name_at(const struct gi_args *args, const char *name, size_t i);
/** An option's number, def if not given; an error past max or if it is no number. */
struct gi_error *gi_args_u64(const struct gi_args *args, char letter, uint64_t def, uint64_t max,
			     uint64_t *ret) GI_MUST_CHECK;
/** Parses a positional number: decimal, 0x hex. */
struct gi_error *gi_parse_u64(const char *s, uint64_t *ret) GI_MUST_CHECK;
/** An address: a number, a register ($rsp), a global or function (main.a), with +N or -N. */
struct gi_error *gi_session_address(struct gi_session *s, const char *text, uint64_t *ret) GI_MUST_CHECK;

// --- the session ------------------------------------------------------------

struct gi_target *gi_session_target(struct gi_session *s);
struct gi_go *gi_session_go(struct gi_session *s);
struct gi_unwinder *gi_session_unwinder(struct gi_session *s);
/** Built on first use, kept. */
struct gi_error *gi_session_graph(struct gi_session *s, struct gi_graph **ret) GI_MUST_CHECK;
/** True if that graph says that goroutines are stuck for good, of a heap that was read while the process ran. */
bool gi_session_is_guess(struct gi_session *s);

/**
 * Of a live process: a new snapshot. hold: the process stands from then on, until
 * gi_session_resume(). The selection stays where it can. Prints what it took.
 */
struct gi_error *gi_session_refresh(struct gi_session *s, bool hold, struct gi_out *out) GI_MUST_CHECK;
/** GI_ERR_USAGE unless the process can be looked at while it runs: no core, not held, not detached. */
struct gi_error *gi_session_check_running(struct gi_session *s) GI_MUST_CHECK;
/** Lets the process run on. detach: it is not read any more. */
struct gi_error *gi_session_resume(struct gi_session *s, bool detach, struct gi_out *out) GI_MUST_CHECK;

/** The selection: a goroutine, or a thread when no goroutine runs on it. */
const struct gi_g *gi_session_goroutine(struct gi_session *s); // NULL: a thread that runs none
bool gi_session_thread(struct gi_session *s, size_t *ret);     // false: it is on no thread
/** True if a thread was selected: stacks are then the thread's, not its goroutine's. */
bool gi_session_by_thread(struct gi_session *s);
void gi_session_select_goroutine(struct gi_session *s, const struct gi_g *g);
void gi_session_select_thread(struct gi_session *s, size_t thread);
/** The selected frame number (index into the stack); 0 after a selection. */
size_t gi_session_frame(struct gi_session *s);
struct gi_error *gi_session_select_frame(struct gi_session *s, size_t i) GI_MUST_CHECK;
/** Moves the selected frame by n, as far as there are frames; an error if it cannot move at all. */
struct gi_error *gi_session_move_frame(struct gi_session *s, uint64_t n, bool up) GI_MUST_CHECK;
/** Prints the selected frame with its arguments. */
struct gi_error *gi_session_show_frame(struct gi_session *s, struct gi_out *out) GI_MUST_CHECK;
/** The selection as a whole, for commands that change it for a while. */
struct gi_selection {
	const struct gi_g *g;
	bool by_thread, full_thread;
	size_t thread, frame;
};
struct gi_selection gi_session_selection(struct gi_session *s);
void gi_session_restore(struct gi_session *s, struct gi_selection selection);
/** The selected goroutine's or thread's stack; owned by the caller. */
struct gi_error *gi_session_stack(struct gi_session *s, uint64_t depth, struct gi_stack **ret) GI_MUST_CHECK;
/**
 * Whether a goroutine's stack has the C frames below callbacks (GI_UNWIND_FULL_THREAD), until
 * something else is selected: frames are numbered by that. The selected frame remains.
 */
struct gi_error *gi_session_set_full_thread(struct gi_session *s, bool full) GI_MUST_CHECK;
/** Registers in the selected frame, as far as they are known there. */
struct gi_error *gi_session_regs(struct gi_session *s, struct gi_regs *ret) GI_MUST_CHECK;
/** A goroutine by what a person typed ("18"); GI_ERR_NOT_FOUND says what there is. */
struct gi_error *gi_session_find_goroutine(struct gi_session *s, const char *text,
					   const struct gi_g **ret) GI_MUST_CHECK;
/** A thread by thread id, or by number as "threads" shows. */
struct gi_error *gi_session_find_thread(struct gi_session *s, const char *text, size_t *ret) GI_MUST_CHECK;
/** Runs one command line with the given output ("goroutine 18 bt" uses it). */
struct gi_error *gi_session_run(struct gi_session *s, const char *line, struct gi_out *out) GI_MUST_CHECK;
/** Writes a core of the session's target, see gi_dump_core(); of a process, of a new snapshot. */
struct gi_error *gi_session_dump_core(struct gi_session *s, const char *path, bool all, bool direct,
				      struct gi_dump_result *ret) GI_MUST_CHECK;
/** Writes a mini dump of the session's target, see gi_dump_mini(). */
struct gi_error *gi_session_dump_mini(struct gi_session *s, const char *path,
				      struct gi_dump_result *ret) GI_MUST_CHECK;
/** Runs the commands of a file, up to the first that fails: its error names file and line. */
struct gi_error *gi_session_source(struct gi_session *s, const char *path, struct gi_out *out) GI_MUST_CHECK;

#endif

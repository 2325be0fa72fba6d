// The code analysis on a real program, and its values in real frames.
#ifndef GCORE_WAIT_ENV_H
#define GCORE_WAIT_ENV_H

#include "gcore/go.h"
#include "gcore/unwind.h"
#include "wait/code.h"

/** A physical frame, innermost first. */
struct gi_phys {
	uint64_t pc, lookup_pc, sp, cfa, entry;
	bool exact;   // pc is no return address
	bool is_call; // the frame above was called by this one, as far as is known
	const char *name;
	const struct gi_regs *regs; // of the innermost frame of a running goroutine, or NULL
};

struct gi_frames {
	struct gi_phys *f;
	size_t n, cap;
	struct gi_regs regs; // of the innermost
	bool cut;	     // there are more
	bool at_max;	     // since no more were asked for
	struct gi_error *err;
};
void gi_frames_deinit(struct gi_frames *fs);

/** The goroutine's own stack, at most max frames. Frames that were found are kept if it ends early.
 */
struct gi_error *gi_frames_collect(struct gi_frames *fs, struct gi_unwinder *u,
				   const struct gi_g *g, size_t max) GI_MUST_CHECK;

struct gi_wait_env {
	struct gi_go *go;
	struct gi_target *t;
	struct gi_functab *ft;
	struct gi_code *code;
	const struct gi_insn_arch *arch;
	const struct gi_machine *machine;
	struct gi_sync_layout sync;
	bool has_sync;
};
struct gi_error *gi_wait_env_init(struct gi_wait_env *env, struct gi_go *go) GI_MUST_CHECK;
void gi_wait_env_deinit(struct gi_wait_env *env);

/** The first argument of the call that has not returned at pt. */
gi_value gi_wait_first_arg(const struct gi_wait_env *env, const struct gi_point *pt);

/** What is known of the code at a frame; NULL if nothing is. */
const struct gi_point *gi_wait_point(struct gi_wait_env *env, const struct gi_phys *f);
/**
 * A symbolic value of frame i's function at its pc, as a number. *reread_ret is set if it was
 * read through a pointer that may have changed since.
 */
bool gi_wait_eval(struct gi_wait_env *env, const struct gi_frames *fs, size_t i,
		  const struct gi_point *pt, gi_value v, uint64_t *ret, bool *reread_ret);
/** A value of a function that was (or will be) called with a closure, in terms of that alone. */
bool gi_wait_eval_closure(struct gi_wait_env *env, const struct gi_values *vs, gi_value v,
			  uint64_t closure, uint64_t *ret);

#endif

// Go values: arguments of frames, by the debug information.
#ifndef GCORE_VALUE_H
#define GCORE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/error.h"
#include "gcore/go.h"
#include "gcore/symbols.h"
#include "gcore/unwind.h"

/** Reads arguments; keeps what it learned of the code. Not thread-safe. */
struct gi_arg_reader;
struct gi_error *gi_arg_reader_create(struct gi_go *go, struct gi_arg_reader **ret) GI_MUST_CHECK;
void gi_arg_reader_destroy(struct gi_arg_reader *r);
GI_DEFINE_CLEANUP(struct gi_arg_reader *, gi_arg_reader_destroyp, gi_arg_reader_destroy)

enum gi_arg_state {
	GI_ARG_KNOWN,
	GI_ARG_OPTIMIZED_OUT, // it is nowhere at this place in the code
	GI_ARG_LOST,	      // it was in a register that has been used for something else since
	GI_ARG_UNREADABLE,    // its memory is not there
	GI_ARG_UNSET,	      // the code has not come to where it is put in its place
};
/** "optimized out", "lost", ... */
const char *gi_arg_state_name(enum gi_arg_state state);
struct gi_arg_value {
	const char *name, *type; // borrowed as long as the gi_go; type "" if unknown
	enum gi_arg_state state;
	struct gi_str value; // if it is known; parts may be marked as lost. Safe for a terminal.
};
struct gi_arg_values {
	struct gi_arg_value *a;
	size_t n, cap;
};
void gi_arg_values_deinit(struct gi_arg_values *v);

/**
 * The arguments of a Go frame, or of a call inlined into one: level is then how deep below the
 * physical frame (1: into it), else 0. GI_ERR_NOT_FOUND if there is no debug information for it.
 */
struct gi_error *gi_arg_reader_read(struct gi_arg_reader *r, const struct gi_frame *frame,
				    size_t level, struct gi_arg_values *ret) GI_MUST_CHECK;
/** The level of frame i of a stack. */
size_t gi_stack_inline_level(const struct gi_stack *s, size_t i);

#endif

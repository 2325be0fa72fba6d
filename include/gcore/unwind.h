// Unwinding: one stack out of many. Go frames by pclntab, switches between stacks
// from saved state, C frames by libunwind over our target.
#ifndef GCORE_UNWIND_H
#define GCORE_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/error.h"
#include "gcore/go.h"

enum gi_frame_kind {
	GI_FRAME_GO,	  // a physical Go (or Go assembly) function
	GI_FRAME_INLINED, // a Go call that was inlined into the next physical frame
	GI_FRAME_C,	  // found by call frame information
	GI_FRAME_SIGNAL,  // the frame that a signal interrupted is next
	GI_FRAME_GUESSED, // by frame pointer or scan only: marked for the user
};

enum gi_stack_id {
	GI_STACK_GOROUTINE,
	GI_STACK_G0,
	GI_STACK_GSIGNAL,
	GI_STACK_THREAD, // a thread's own stack, no g known
};

/** One logical frame, innermost first. Strings are borrowed as long as the gi_go. */
struct gi_frame {
	enum gi_frame_kind kind;
	enum gi_stack_id stack;
	uint64_t pc;	    // in this function: a return address, but exact for the innermost,
			    // sigpanic's caller and an interrupted frame. An inlined call has its
			    // physical frame's pc.
	uint64_t lookup_pc; // what line and inline chain were looked up with (pc or pc-1)
	uint64_t sp;	    // at pc
	uint64_t cfa;	    // value of sp before the call that made this physical frame; the runtime's fp
	uint64_t argp;	    // address of stack arguments (amd64: cfa; arm64: a word above)
	uint64_t entry;	    // of the physical function, 0 if unknown
	const char *name;   // "?" if unknown
	const char *file;   // "?" if unknown
	uint32_t line;
	uint32_t start_line;
	uint8_t func_id;
	bool exact_pc;	     // pc is not a return address
	bool has_func;	     // func is valid (the physical function)
	struct gi_func func;
	// Registers as known in this physical frame (callee-saved ones and SP, PC); for the
	// innermost frame all of the thread's. Borrowed until the unwinder is used again; or NULL.
	const struct gi_regs *regs;
	const char *module; // C: the file that the pc is in; borrowed; or NULL
};

/** One per thread of ours that unwinds. go is borrowed as long as the result. */
struct gi_unwinder;
struct gi_error *gi_unwinder_create(struct gi_go *go, struct gi_unwinder **ret) GI_MUST_CHECK;
void gi_unwinder_destroy(struct gi_unwinder *u);
GI_DEFINE_CLEANUP(struct gi_unwinder *, gi_unwinder_destroyp, gi_unwinder_destroy)

enum {
	GI_UNWIND_SYSTEM_STACK = 1, // goroutine: begin with what its thread does on g0 or gsignal
				    // on its behalf, and C; then switch to the goroutine's stack
	GI_UNWIND_NO_INLINE = 2,    // physical frames only
	GI_UNWIND_AS_RUNTIME = 4,   // begin where the runtime's own traceback would: for a thread that was in
				    // a signal handler, the interrupted context
	GI_UNWIND_FULL_THREAD = 8, // the C frames between a callback from C and the Go frames that
				   // called C, too
};
enum { GI_UNWIND_MAX = 10000000 }; // logical frames; a 1 GB stack of the smallest frames

/**
 * Calls fn for each frame, innermost first, until it returns false or max frames.
 * A stack that ends early (for any reason but max and fn) gives the reason in *why_ret (owned by the
 * caller; NULL if the stack was complete, i.e. ended in a top frame such as runtime.goexit).
 * An error is returned only when nothing could be begun (e.g. no registers for a running goroutine).
 */
typedef bool (*gi_frame_fn)(void *arg, const struct gi_frame *frame);
struct gi_error *gi_unwind_goroutine(struct gi_unwinder *u, const struct gi_g *g, unsigned flags,
				     size_t max, gi_frame_fn fn, void *arg,
				     struct gi_error **why_ret) GI_MUST_CHECK;
/** The whole stack of a thread: C, gsignal, g0, and the goroutine it switched from. */
struct gi_error *gi_unwind_thread(struct gi_unwinder *u, size_t thread, unsigned flags, size_t max,
				  gi_frame_fn fn, void *arg, struct gi_error **why_ret) GI_MUST_CHECK;
/** From given registers, on a stack with bounds [lo, hi). */
struct gi_error *gi_unwind_regs(struct gi_unwinder *u, const struct gi_regs *regs, uint64_t lo,
				uint64_t hi, unsigned flags, size_t max, gi_frame_fn fn, void *arg,
				struct gi_error **why_ret) GI_MUST_CHECK;

/** What a thread did when the signal whose handler it is in arrived. */
struct gi_signal_context {
	struct gi_regs regs; // interrupted
	int signal, code;    // 0 if unknown
	bool has_addr;	     // SIGSEGV, SIGBUS, SIGILL, SIGFPE: si_addr
	uint64_t addr;
	bool has_fault; // the processor's own fault address, where signal frames have it (arm64)
	uint64_t fault;
};
/**
 * The system call that the thread is in: its own, or, if it handles a signal, the one that this
 * broke off. false: none.
 */
struct gi_syscall;
bool gi_unwind_syscall(struct gi_unwinder *u, size_t thread, struct gi_syscall *ret,
		       bool *broken_off_ret);
/** The bounds of a C function, by its frame description: stripped programs have that, too. */
bool gi_unwind_c_function(struct gi_unwinder *u, uint64_t pc, uint64_t *entry_ret,
			  uint64_t *size_ret);
/** True if the thread is in a signal handler of the Go runtime: on its M's stack for those. */
bool gi_unwind_in_handler(struct gi_unwinder *u, size_t thread);
/** False if it is not, or if what the signal interrupted cannot be read. */
bool gi_unwind_signal(struct gi_unwinder *u, size_t thread, struct gi_signal_context *ret);
/**
 * The same for a thread that C made: the runtime's handler runs there on whatever stack it found, with an
 * M that it borrowed.
 */
bool gi_unwind_signal_in_c(struct gi_unwinder *u, size_t thread, struct gi_signal_context *ret);

/**
 * The g, m->curg or m->g0, whose stack the runtime shows for a thread that a deadly signal hit: the
 * one that its handler found in the g register or thread-local storage. Where stacks are switched
 * the stack pointer may be on the other's. 0: no handler noted any.
 */
uint64_t gi_unwind_caught(const struct gi_m *m);

/** A collected stack. */
struct gi_stack;
struct gi_error *gi_stack_of_goroutine(struct gi_unwinder *u, const struct gi_g *g, unsigned flags,
				       size_t max, struct gi_stack **ret) GI_MUST_CHECK;
struct gi_error *gi_stack_of_thread(struct gi_unwinder *u, size_t thread, unsigned flags, size_t max,
				    struct gi_stack **ret) GI_MUST_CHECK;
void gi_stack_free(struct gi_stack *s);
GI_DEFINE_CLEANUP(struct gi_stack *, gi_stack_freep, gi_stack_free)
size_t gi_stack_len(const struct gi_stack *s);
const struct gi_frame *gi_stack_frame(const struct gi_stack *s, size_t i);
/** Why it ended early; NULL if complete. Borrowed. */
const struct gi_error *gi_stack_truncated(const struct gi_stack *s);
/** True if max cut it. */
bool gi_stack_cut_by_max(const struct gi_stack *s);

/** Location kinds of dlv: where a goroutine is, is in user code, was created, was started. */
struct gi_location {
	uint64_t pc; // 0: unknown
	const char *function, *file; // "" if unknown; borrowed as long as the gi_go
	uint32_t line;
};
/** The innermost frame (runtime's or not) and the innermost frame of user code, by one unwinding that stops there. */
struct gi_error *gi_unwind_locations(struct gi_unwinder *u, const struct gi_g *g,
				     struct gi_location *where_ret, struct gi_location *user_ret) GI_MUST_CHECK;
/** The go statement that created g, and the function it started. pc 0 if unknown. */
void gi_unwind_created_by(struct gi_unwinder *u, const struct gi_g *g, struct gi_location *ret);
void gi_unwind_started_at(struct gi_unwinder *u, const struct gi_g *g, struct gi_location *ret);
/** True for functions that are the runtime's, not a user's ("runtime.gopark", "internal/runtime/..."; main.main is the user's). */
bool gi_function_is_runtime(const char *name);
/** True for the standard library's, the runtime included ("sync.(*Mutex).Lock"). What is not is user code. */
bool gi_function_is_std(const char *name);

/**
 * Appends the argument words of a frame as the target's runtime prints them
 * ("0x1, {0x2, 0x3}, 0x4?, ..."), without parentheses; "..." for an inlined call.
 */
void gi_frame_args(struct gi_unwinder *u, const struct gi_frame *frame, struct gi_str *ret);

#endif

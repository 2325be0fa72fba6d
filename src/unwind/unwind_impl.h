// Inside of the unwinder: functions that the walk treats specially, the walk itself, and
// what its files give each other.
#ifndef GCORE_UNWIND_IMPL_H
#define GCORE_UNWIND_IMPL_H

#include "gcore/base.h"
#include "gcore/unwind.h"

/** Functions at which a stack switches, ends, or was interrupted. */
enum gi_special {
	GI_SPECIAL_NONE,
	GI_SPECIAL_OTHER, // one of the runtime's numbered functions, without meaning here
	GI_SPECIAL_SYSTEMSTACK,
	GI_SPECIAL_MCALL,
	GI_SPECIAL_MORESTACK,
	GI_SPECIAL_ASMCGOCALL,
	GI_SPECIAL_CGOCALLBACK,
	GI_SPECIAL_SIGTRAMP,
	GI_SPECIAL_SIGPANIC, // a fault made it look called
	GI_SPECIAL_INJECTED, // asyncPreempt, debugCall: the same, by a signal
	GI_SPECIAL_VDSOCALL, // calls the vDSO on g0's stack
	GI_SPECIAL_RACECALL, // calls the race detector on g0's stack
	GI_SPECIAL_ALIGNED,   // aligns SP, keeps the old one in a register, calls C
	GI_SPECIAL_CROSSCALL, // crosscall2: C's way into Go; keeps C's registers
	GI_SPECIAL_CLONE,     // a thread that it made begins in it
	GI_SPECIAL_MAIN,      // main, which C calls: calls rt0_go or jumps there
	GI_SPECIAL_UNKNOWN = 0xff,
};

struct gi_cfi;

struct gi_unwinder {
	struct gi_go *go;
	struct gi_target *t;
	const struct gi_machine *machine;
	struct gi_functab *ft;
	struct gi_pccache *cache;
	struct gi_cfi *cfi; // made for the first C frame
	struct gi_frame_info *functions; // made when it is asked for
	int wrapper_id;
	uint8_t special[256]; // by func_id, filled on first sight
	struct gi_regs regs;  // of the physical frame that is shown
	struct gi_map args;   // pc to its compiled argument stream, see args.c
	struct gi_arena *args_arena;
	bool symbolic_args; // 1.21+: liveness of arguments is looked up at the frame's
			    // own pc
	// Whose code a function is, by its name's address: names are borrowed from the program's
	// tables and live as long as they do.
	struct gi_origin {
		const char *name;
		bool is_std, is_runtime;
	} origins[1024];
};

/** func_id is that of the physical function. */
enum gi_special gi_unwinder_special(struct gi_unwinder *u, const struct gi_func *f);

// --- the walk: walk.c, walk_c.c ------------------------------------------

/** One run along a stack. Registers of the current frame are u->regs. */
struct gi_walk {
	struct gi_unwinder *u;
	const struct gi_m *m; // that the stack belongs to, or NULL
	unsigned flags;
	size_t left; // logical frames that may still be shown
	gi_frame_fn fn;
	void *arg;
	bool stopped;	      // by fn, or by left
	struct gi_error *why; // the stack ended early

	uint64_t pc, sp;
	bool exact;	   // pc is no return address
	bool syscall;	   // pc and sp are those that entersyscall saved
	bool injected;	   // exact, because a signal made a call here
	bool first;	   // of the whole walk
	bool sp_guessed;   // where C returned to Go: sp is not above it
	unsigned switches; // of stacks, bounded
	bool entered;	   // a stack, and nothing of it was shown yet
	size_t frames;	   // physical ones
	unsigned flat;	   // in a row that did not move sp, bounded

	enum gi_stack_id id;
	uint64_t hi;	     // no frame ends above it
	// Where the walk left each kind of stack: it comes back to it further up only.
	struct gi_left {
		uint64_t hi, sp;
	} was[GI_STACK_THREAD + 1];
	uint64_t view_at;    // the stack's bytes from here on
	const uint8_t *view; // NULL: not looked for yet, or not in one piece
	size_t view_len;

	// Set by find_signal: stop at the handler's entry and give its context.
	bool to_signal;
	bool found_signal;
	uint64_t signal_frame; // address of the ucontext

	// Set to find where a thread left this goroutine's stack: stop there.
	const struct gi_g *to_g;
	bool found_g;

	// With GI_UNWIND_FULL_THREAD: see callback.c.
	struct gi_callback {
		uint64_t sp;	      // of the last cgocallback's frame on g0, 0: none yet
		const struct gi_g *g; // whose frames go on below the C frames, or NULL
		uint64_t back_pc, back_sp; // there
	} callback;

	// With GI_UNWIND_FULL_THREAD: see base.c.
	bool of_thread; // and not only of a goroutine
	bool at_base;
	enum { GI_ENDED_NONE, GI_ENDED_TOP, GI_ENDED_SCHEDULER } ended; // the Go frames did, so

	struct gi_frame frame; // reused: most of it stays the same
};

/** Puts the walk on the stack that holds sp. */
void gi_walk_enter(struct gi_walk *w, uint64_t sp);
/** Goes on at what a signal interrupted; false: the walk is over. context: of its ucontext. */
bool gi_walk_signal(struct gi_walk *w, uint64_t context);
/** The same, known: a goroutine's stack. */
void gi_walk_enter_g(struct gi_walk *w, const struct gi_g *g);
/** Shows the frames of w until the end. */
void gi_walk_run(struct gi_walk *w);
/** Shows the C frames from u->regs on, until w->pc is Go again. False: the walk is over.
 */
bool gi_walk_c(struct gi_walk *w);
/** Moves w to (pc, sp) on another stack; it has no registers but these. False: too often. */
bool gi_walk_jump(struct gi_walk *w, uint64_t pc, uint64_t sp);
/** False, with the reason: the walk came back to a stack below where it left it, or too often. */
bool gi_walk_progress(struct gi_walk *w);
/** The goroutine that w's M runs, or NULL; read into *buf if it is in no list. */
const struct gi_g *gi_walk_curg(struct gi_walk *w, struct gi_g *buf);
/** Gives one logical frame to fn; false: stop. */
bool gi_walk_show(struct gi_walk *w, const struct gi_frame *frame);
GI_PRINTF(2, 3) void gi_walk_why(struct gi_walk *w, const char *fmt, ...);

// --- calls from C into Go: callback.c -------------------------------------

/**
 * At cgocallback's frame on a goroutine's stack, [sp, sp+size): moves to the C frames that called
 * it; pc and cfa are where the goroutine's frames go on. False: they are not known; w stays.
 */
bool gi_callback_enter(struct gi_walk *w, uint64_t size, uint64_t pc, uint64_t cfa);
/** C's registers that the frame of crosscall2, which calls with SP at, keeps. */
void gi_callback_restore(struct gi_walk *w, uint64_t at);
/** At crosscall2's frame: its return address, where that is among what it keeps. */
bool gi_callback_return(struct gi_walk *w, uint64_t *ret);
/** What m.g0.sched.sp was before the callback that w met last; false: it does not lead upwards. */
bool gi_callback_outer(struct gi_walk *w, uint64_t *ret);

// --- where threads begin: base.c -------------------------------------------

/** Behind the last Go frame: moves to what the thread did before. False: nothing is known of it. */
bool gi_base_enter(struct gi_walk *w);
/** crosscall1, which has no unwind information: its caller's registers. False: w is not there. */
bool gi_base_leave_c(struct gi_walk *w, struct gi_regs *ret);

// --- the race detector: race.c -------------------------------------------

/** The SP of racecall's caller, at racecall; g is the M's goroutine or NULL. */
bool gi_race_caller(struct gi_walk *w, const struct gi_g *g, uint64_t *sp_ret);
/** From C code that has no unwind information to racecall. False: it was not called by that. */
bool gi_race_leave_c(struct gi_walk *w, const struct gi_g *g);

// --- signal frames: signal.c ---------------------------------------------

/** Does the code at pc return from a signal handler? The kernel's frame of the signal is below. */
bool gi_is_sigreturn(struct gi_target *t, uint64_t pc);
/** The interrupted registers in a struct ucontext; false if it cannot be read. */
bool gi_ucontext_read(struct gi_target *t, uint64_t addr, struct gi_regs *ret);
/** The siginfo beside it, where it can be read. */
void gi_siginfo_read(struct gi_target *t, uint64_t addr, struct gi_signal_context *ret);

// --- call frame information: cfi.c ---------------------------------------

struct gi_error *gi_cfi_create(struct gi_target *t, struct gi_cfi **ret) GI_MUST_CHECK;
void gi_cfi_destroy(struct gi_cfi *cfi);
/** exact: the pc is no return address. */
struct gi_error *gi_cfi_begin(struct gi_cfi *cfi, const struct gi_regs *regs,
			      bool exact) GI_MUST_CHECK;
enum gi_cfi_result {
	GI_CFI_END,	// the outermost frame
	GI_CFI_STEP,	// by call frame information
	GI_CFI_GUESSED, // by frame pointer
	GI_CFI_FAILED,
};
/** To the caller, whose registers as far as they are known come in *ret. */
enum gi_cfi_result gi_cfi_step(struct gi_cfi *cfi, struct gi_regs *ret);
/**
 * A sorted table over elf's .eh_frame: *count_ret pairs of int32_t offsets from the
 * section's link-time address *addr_ret, of a function and of its description. False:
 * there is none. The caller frees *ret.
 */
bool gi_eh_table_make(struct gi_elf *elf, uint8_t **ret, size_t *count_ret,
		      uint64_t *addr_ret);
/**
 * .debug_frame in the form of an .eh_frame at address 0, and the same table of it. Both are to be
 * freed. False: there is none.
 */
bool gi_debug_frame_make(struct gi_elf *elf, uint8_t **data_ret, size_t *size_ret, uint8_t **ret,
			 size_t *count_ret);
/** One frame description: a function's pcs and what unwinds it. */
struct gi_eh_record {
	uint64_t pc, pc_len; // link time
	uint64_t code_align;
	int64_t data_align;
	const uint8_t *initial, *code; // instructions: the shared ones, its own
	size_t initial_len, code_len;
};
/** The record at off of an .eh_frame section; false: it is none, or is not understood. */
bool gi_eh_record_read(const uint8_t *data, size_t size, uint64_t addr, size_t off,
		       struct gi_eh_record *ret);

/** C frames of machines that libunwind is not used for, and by .debug_frame: frame_info.c. */
struct gi_frame_info;
struct gi_error *gi_frame_info_create(struct gi_target *t, struct gi_frame_info **ret) GI_MUST_CHECK;
void gi_frame_info_destroy(struct gi_frame_info *fi);
/** Where the function of a pc begins, and its length. */
bool gi_frame_info_function(struct gi_frame_info *fi, uint64_t pc, uint64_t *entry_ret,
			    uint64_t *size_ret);
/** From a frame's registers to its caller's. */
enum gi_cfi_result gi_frame_info_step(struct gi_frame_info *fi, const struct gi_regs *in,
				      bool exact, struct gi_regs *ret);
/** The same by .debug_frame alone; GI_CFI_FAILED if that does not know the function. */
enum gi_cfi_result gi_frame_info_step_debug(struct gi_frame_info *fi, const struct gi_regs *in,
					    bool exact, struct gi_regs *ret);
/** True if the current frame was interrupted by a signal: its pc is exact. */
bool gi_cfi_is_signal_frame(struct gi_cfi *cfi);

#endif

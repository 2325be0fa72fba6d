// What a function has locked at a pc: an abstract interpretation of its machine code.
#ifndef GCORE_WAIT_CODE_H
#define GCORE_WAIT_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/error.h"
#include "wait/insn.h"
#include "wait/prim.h"
#include "wait/value.h"

// --- where code comes from ----------------------------------------------------

struct gi_code_func {
	uint64_t entry, end;
	const char *name; // borrowed as long as the environment
	uint32_t args;	  // bytes of stack arguments and results, 0 if unknown
};
/** [start, end) of a function and a value that holds there. */
typedef bool (*gi_code_run_fn)(void *arg, uint64_t start, uint64_t end, int32_t value);
/** The same for an inlined call: names, innermost first. */
typedef bool (*gi_code_inline_fn)(void *arg, uint64_t start, uint64_t end, const char *const *names,
				  size_t n);

/** The program as the analysis sees it: a target's, or a test's. arg comes first. */
struct gi_code_env {
	void *arg;
	const struct gi_insn_arch *arch;
	bool (*func)(void *arg, uint64_t pc, struct gi_code_func *ret);
	/** Where a call of that address leads: past the dynamic linker's stub. NULL: there is none. */
	uint64_t (*leads_to)(void *arg, uint64_t target);
	/** Borrowed code bytes, or NULL. */
	const uint8_t *(*bytes)(void *arg, uint64_t addr, size_t n);
	/** Bytes below the return address. */
	void (*sp_runs)(void *arg, const struct gi_code_func *f, gi_code_run_fn fn, void *fn_arg);
	void (*inline_runs)(void *arg, const struct gi_code_func *f, gi_code_inline_fn fn,
			    void *fn_arg);
	/** A word of memory that never changes. */
	bool (*read_const)(void *arg, uint64_t addr, uint64_t *ret);
	/** Offsets in sync.RWMutex. */
	uint64_t reader_sem, writer_sem, reader_count;
	/** Of the lock's address in sync.Cond. */
	uint64_t cond_lock;
};

// --- results ------------------------------------------------------------------

/** What is true of a lock on the ways that lead to a place; a set, for there may be several. */
enum {
	GI_FACT_HELD = 1,     // taken since the function began, and not released
	GI_FACT_RELEASED = 2, // released, and not taken again
	GI_FACT_UNTOUCHED = 4,
};

struct gi_lock_fact {
	gi_value recv;	 // the lock's address; of an unresolved call: its first argument
	uint8_t kind;	 // enum gi_lock_kind
	uint8_t state;	 // GI_FACT_*
	bool is_call;	 // a call whose callee is known only when values are: HELD says it was made
	bool is_try;	 // the last attempt may have failed
	bool is_foreign; // a release of what was not taken here: it may be another fact's lock
	bool doubt;	 // such a release came after it was taken
	gi_value callee, ctx; // of such a call
	gi_value data;	// its second argument: of an interface's method, what the interface holds
	uint8_t key;	// of such a call: its bit in `after`
	uint64_t after; // keys of the calls that may have come after it; of a lock, since taken
	uint32_t site;	// the instruction that took or released it, last
	// An inlined fast path whose slow path may follow; what was true before it.
	uint32_t fast;
	uint8_t prev;
	uint32_t prev_site;
	uint64_t prev_after;
	// A read lock that was certainly held when it was taken once more: 1 + where it had been
	// taken, else 0. The next release leaves that one held.
	uint32_t under;
	// In summaries: the lock lies at what register ret returns, plus ret_off; else -1.
	int8_t ret;
	int64_t ret_off;
};

/** A release or acquisition, what wakes others, or a call that may be one, somewhere in a function. */
struct gi_ahead {
	uint32_t site;
	uint8_t kind; // enum gi_lock_kind, or gi_wake_kind
	bool is_call;
	bool is_acquire;
	bool is_foreign;		  // what it releases was not taken in the function before
	gi_value recv, callee, ctx, data; // the last three of a call
};

struct gi_slot {
	int32_t off; // from the CFA
	uint32_t size;
	gi_value v;
};

struct gi_flow_state;
struct gi_fn; // an analysed function

/** What is known at a pc. Borrowed as long as the gi_code. */
struct gi_point {
	const struct gi_fn *fn;
	uint32_t insn; // the instruction at pc; of a call that has not returned, the call
	bool reachable;
	bool lost;		     // there were too many locks: what is held may not be
	gi_value regs[GI_INSN_REGS]; // at a call: what it passes
	const struct gi_slot *slots;
	size_t slot_count;
	const struct gi_lock_fact *facts;
	size_t fact_count;
	const struct gi_ahead *ahead; // that the code may come to from here
	size_t ahead_count;
	// If it is a call that has not returned:
	bool at_call;
	uint64_t callee; // entry, 0 if it is not known by the code alone
	gi_value callee_value;
	struct gi_prim prim; // of the callee, or of what is inlined here
};

/** All analyses of a program; not thread-safe. */
struct gi_code;
/** env is copied. */
struct gi_error *gi_code_create(const struct gi_code_env *env, struct gi_code **ret) GI_MUST_CHECK;
void gi_code_destroy(struct gi_code *code);
GI_DEFINE_CLEANUP(struct gi_code *, gi_code_destroyp, gi_code_destroy)

/** The function that holds pc, analysed once. NULL if it cannot be: no code, too large. */
const struct gi_fn *gi_code_fn(struct gi_code *code, uint64_t pc);
uint64_t gi_fn_entry(const struct gi_fn *fn);
const char *gi_fn_name(const struct gi_fn *fn);
struct gi_values *gi_fn_values(const struct gi_fn *fn);
/** The run-time address of an instruction. */
uint64_t gi_fn_site_pc(const struct gi_fn *fn, uint32_t site);

/**
 * What is known at pc. is_return: pc is a return address, and the call has not returned.
 * Cached; NULL if the function cannot be analysed or pc is no instruction of it.
 */
const struct gi_point *gi_code_point(struct gi_code *code, uint64_t pc, bool is_return);

/** What a whole call of fn does, in terms of what it was given; false if it is not known. */
bool gi_fn_summary(const struct gi_fn *fn, const struct gi_lock_fact **ret, size_t *count_ret);

/** True if the code at a frame, or what it calls, can change a lock at all: a quick look. */
bool gi_code_may_touch(struct gi_code *code, uint64_t entry);
/** True if the function itself takes a lock somewhere. */
bool gi_fn_acquires(const struct gi_fn *fn);
/**
 * True if the lock that the function took at site is taken again on every way on, and nothing
 * lets go of it in between: somebody else has to.
 */
bool gi_fn_passes_on(const struct gi_fn *fn, uint32_t site, gi_value recv, unsigned kind);
/** The same from the point on, for who may have the lock. */
bool gi_point_takes_again(const struct gi_point *pt, gi_value recv, unsigned kind);
/** True if no way leads from the function's entry to instruction site but through the point. */
bool gi_point_precedes(const struct gi_point *pt, uint32_t site);
/**
 * True if a way leads from one point over instruction site to another of the same function, and
 * does not come by the first again.
 */
bool gi_point_between(const struct gi_point *from, uint32_t site, const struct gi_point *to);
/** True if a way leads from the point to instruction site. */
bool gi_point_leads_to(const struct gi_point *pt, uint32_t site);
/**
 * The point is where a lock is taken: true if there is a way on which it is released twice then, as
 * if it had been taken before.
 */
bool gi_point_released_twice(const struct gi_point *pt, gi_value recv, unsigned kind);
/** True if fn may let go of the lock at addr without having taken it. */
bool gi_fn_lets_go(const struct gi_fn *fn, uint64_t addr, unsigned kind);
/** The callee's prim by entry, cached. */
struct gi_prim gi_code_prim(struct gi_code *code, uint64_t entry);

#endif

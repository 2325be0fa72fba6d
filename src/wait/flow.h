// Inside of the code analysis: the state at a place, and functions as graphs of blocks.
#ifndef GCORE_WAIT_FLOW_H
#define GCORE_WAIT_FLOW_H

#include "wait/code.h"

enum {
	FLOW_MAX_BYTES = 1 << 18,
	FLOW_MAX_INSNS = 40000,
	FLOW_MAX_SLOTS = 400,
	FLOW_MAX_FACTS = 32,
	FLOW_MAX_KEYS = 64,
	FLOW_MAX_DEPTH = 4, // of callees that are looked into
	FLOW_MAX_SUMMARY = 16,
	FLOW_MAX_RELEASES = 256,
	FLOW_MAX_TABLE = 1024, // targets of one jump table
};

/** Condition flags: whether the zero flag tells of an attempt to lock. */
struct gi_flow_flags {
	gi_value attempt; // a TRY value, or NONE
	bool zero_is_success;
	gi_value tested; // a value that was compared with zero, or NONE
	uint64_t mask;	 // bits of it that were compared
};

struct gi_flow_state {
	unsigned reg_count;
	gi_value regs[GI_INSN_REGS];
	struct gi_flow_flags flags;
	struct gi_slot *slots; // sorted by off
	size_t slot_count, slot_cap;
	struct gi_lock_fact facts[FLOW_MAX_FACTS];
	size_t fact_count;
	bool lost;
};
void gi_flow_state_deinit(struct gi_flow_state *st);
struct gi_error *gi_flow_state_copy(struct gi_flow_state *dst,
				    const struct gi_flow_state *src) GI_MUST_CHECK;
/** As a function begins. */
void gi_flow_state_enter(struct gi_flow_state *st, struct gi_values *vs, unsigned reg_count);
/**
 * Merges what comes over an edge into what is known at a block's beginning. *changed is set
 * if dst is not what it was.
 */
struct gi_error *gi_flow_state_merge(struct gi_flow_state *dst, const struct gi_flow_state *src,
				     struct gi_values *vs, uint32_t block,
				     bool *changed) GI_MUST_CHECK;
/** Forgets all that was computed from v, which gets a new meaning. */
void gi_flow_state_forget(struct gi_flow_state *st, const struct gi_values *vs, gi_value v);

gi_value gi_flow_slot_get(const struct gi_flow_state *st, int64_t off, unsigned size);
/** v NONE forgets the bytes. */
struct gi_error *gi_flow_slot_set(struct gi_flow_state *st, int64_t off, uint64_t size,
				  gi_value v) GI_MUST_CHECK;

// --- facts about locks ----------------------------------------------------------

void gi_flow_acquire(struct gi_flow_state *st, gi_value recv, unsigned kind, uint32_t site,
		     bool fast);
void gi_flow_release(struct gi_flow_state *st, const struct gi_values *vs, gi_value recv,
		     unsigned kind, uint32_t site);
/** An attempt, whose outcome is not known yet. */
void gi_flow_attempt(struct gi_flow_state *st, gi_value recv, unsigned kind, uint32_t site);
/** The outcome of the attempt that a TRY value is about. */
void gi_flow_outcome(struct gi_flow_state *st, const struct gi_values *vs, gi_value attempt,
		     bool taken);
/** False only if a and b are certainly different addresses. */
bool gi_flow_may_alias(const struct gi_values *vs, gi_value a, gi_value b);
/** Every lock may have been released. */
void gi_flow_release_maybe(struct gi_flow_state *st);
/**
 * The function's deferred calls have run, of which nothing is known: who defers and returns is
 * taken to have let go of what it took, for a lock without an owner is better than a false one.
 */
void gi_flow_after_deferred(struct gi_flow_state *st);
/** Takes back the acquisition that began at site and whose slow path is under way; 0: any. */
void gi_flow_undo_fast(struct gi_flow_state *st, uint32_t site);
struct gi_lock_fact *gi_flow_fact(struct gi_flow_state *st, gi_value recv, unsigned kind);
/** A new fact, or NULL when there are too many. */
struct gi_lock_fact *gi_flow_fact_add(struct gi_flow_state *st);

// --- functions --------------------------------------------------------------------

struct gi_flow_block {
	uint32_t first, last; // instructions, [first, last)
	uint32_t *next;	      // borrowed from the function
	uint32_t next_count;
	bool seen;
	bool queued;
	struct gi_flow_state in;
};

enum {
	FLOW_TAKES = 1,
	FLOW_LETS_GO = 2,
	FLOW_NOT_ITS_OWN = 4, // lets go of a lock that the function has not taken
	FLOW_BORROWS = 8,     // calls what takes a lock and lets go of it
	FLOW_UNSURE = 16,     // lets go of a lock that the function may not have taken
};

/** What an instruction does with a lock. */
struct gi_flow_deed {
	gi_value recv; // NONE: more than one lock, or not known which
	uint8_t what;  // FLOW_TAKES ...
	uint8_t kind;  // enum gi_lock_kind, if recv is known
};

struct gi_fn {
	struct gi_code *code;
	const struct gi_insn_arch *arch;
	const struct gi_machine *machine;
	struct gi_code_func f;
	struct gi_insn *insns;
	size_t insn_count;
	int32_t *sp; // for each instruction: bytes below where it was at entry, -1 unknown
	uint8_t *inner, *outer; // for each instruction: 1 + index into prims of what is inlined
	uint32_t *half; // for each call: the site of the atomic operation whose second half it is
	struct gi_flow_deed *deeds; // for each instruction
	struct gi_prim *prims;
	size_t prim_count, prim_cap;
	struct gi_flow_block *blocks;
	size_t block_count, block_cap;
	uint32_t *edges;
	size_t edge_count, edge_cap;
	uint32_t *block_of; // for each instruction
	struct gi_values values;
	bool has_loop;
	bool acquires;
	bool busy; // being analysed: a recursive call finds nothing
	bool failed;
	unsigned depth; // callees were looked into down to here
	// All releases and unresolved calls; filled by the run that makes the summary.
	struct gi_ahead *releases;
	size_t release_count, release_cap;
	bool recording;
	bool has_summary;
	struct gi_lock_fact summary[FLOW_MAX_SUMMARY];
	size_t summary_count;
	// Unresolved calls: (callee, recv, ctx) of each key.
	gi_value keys[FLOW_MAX_KEYS][3];
	size_t key_count;
};

struct gi_code {
	struct gi_code_env env;
	struct gi_map fns;    // entry to struct gi_fn *
	struct gi_map points; // pc << 1 | is_return to struct gi_point *
	struct gi_map prims;  // entry to packed prim
	struct gi_map light;  // entry: whether a function is worth to be looked into
	struct gi_fn **all;
	size_t fn_count, fn_cap;
	struct gi_point **all_points;
	size_t point_count, point_cap;
	unsigned depth; // of the analysis under way
	uint64_t insns_left;
};

/** Notes a release for gi_point.ahead, once for each site. */
void gi_fn_record(struct gi_fn *fn, const struct gi_ahead *r);
/** Fills all of fn that does not depend on states. */
struct gi_error *gi_fn_load(struct gi_fn *fn) GI_MUST_CHECK;
/** The first instruction at or after an address. */
size_t gi_fn_insn_from(const struct gi_fn *fn, uint64_t addr);
/** Forgets the states at the beginnings of blocks. */
void gi_fn_free_flow(struct gi_fn *fn);
/** The state before instruction `until` of a block. */
struct gi_error *gi_flow_run_block(struct gi_fn *fn, const struct gi_flow_block *b, uint32_t until,
				   struct gi_flow_state *st) GI_MUST_CHECK;
/** Splits a decoded function into blocks. */
struct gi_error *gi_fn_make_blocks(struct gi_fn *fn) GI_MUST_CHECK;
/** Runs one instruction on a state. */
struct gi_error *gi_flow_step(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i) GI_MUST_CHECK;
/** The address of a memory operand at instruction i, NONE if it is not known. */
gi_value gi_flow_address(struct gi_fn *fn, const struct gi_flow_state *st, uint32_t i);
/** What a call or jump at i goes to: its value, and its address if the code alone tells. */
gi_value gi_flow_target(struct gi_fn *fn, struct gi_flow_state *st, uint32_t i, uint64_t *addr_ret);
/** Analyses a callee for its summary; NULL if it is not worth it or not known. */
const struct gi_fn *gi_code_callee(struct gi_code *code, uint64_t entry);
/** Runs the fixpoint and makes the summary. */
struct gi_error *gi_fn_solve(struct gi_fn *fn) GI_MUST_CHECK;

#endif

// Symbolic values: what a register or stack slot of a function holds, in terms of what the
// function was given. A value is a chain from one root: offsets are added, memory is loaded.
#ifndef GCORE_WAIT_VALUE_H
#define GCORE_WAIT_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/error.h"

enum gi_value_kind {
	GI_V_NONE,  // nothing is known
	GI_V_CONST, // off
	GI_V_FRAME, // address: CFA + off
	GI_V_ENTRY, // what register `reg` held when the function was called
	GI_V_DEF,   // what instruction `site` left in place `off`: a register, or a slot
	GI_V_PHI,   // what place `off` holds at the beginning of block `site`
	GI_V_TRY,   // not zero if attempt `site` took lock `base` (of kind `reg`)
	GI_V_SUM,   // base + value number `site` * `reg`: an element of an array
	GI_V_ADD,   // base + off
	GI_V_LOAD,  // the 8 bytes at base + off
};

/** An index into a gi_values; 0 is GI_V_NONE. */
typedef uint32_t gi_value;

struct gi_value_node {
	uint8_t kind, reg;
	uint8_t depth; // steps from the root
	gi_value base; // ADD, LOAD, TRY, SUM
	gi_value root; // of the chain; itself if it is one
	uint32_t site;
	int64_t off;
};

/** All values of one function; equal values have equal numbers. All-zero is empty. */
struct gi_values {
	struct gi_value_node *nodes;
	size_t count, cap;
	struct gi_map index; // hash of a node to the newest node with it
	uint32_t *next;	     // older nodes with the same hash
	size_t next_cap;
	bool oom; // memory ran out: values are NONE from then on
};
void gi_values_deinit(struct gi_values *vs);

enum { GI_VALUE_MAX_DEPTH = 12, GI_VALUE_MAX = 1 << 20 };

const struct gi_value_node *gi_value_node(const struct gi_values *vs, gi_value v);
gi_value gi_value_const(struct gi_values *vs, uint64_t c);
gi_value gi_value_frame(struct gi_values *vs, int64_t off);
gi_value gi_value_entry(struct gi_values *vs, unsigned reg);
gi_value gi_value_def(struct gi_values *vs, uint32_t site, int64_t place);
gi_value gi_value_phi(struct gi_values *vs, uint32_t block, int64_t place);
gi_value gi_value_try(struct gi_values *vs, uint32_t site, gi_value lock, unsigned kind);
/** NONE in, NONE out; too long chains are NONE. */
gi_value gi_value_add(struct gi_values *vs, gi_value v, int64_t off);
gi_value gi_value_sum(struct gi_values *vs, gi_value base, gi_value index, unsigned scale);
gi_value gi_value_load(struct gi_values *vs, gi_value v, int64_t off);
/** The root of v's chain. A SUM or TRY is a root, made of other values. */
gi_value gi_value_root(const struct gi_values *vs, gi_value v);
/** Calls fn for each value that v is computed from and that no other made; stops at true, returns
 * it. */
typedef bool (*gi_value_fn)(void *arg, gi_value root);
bool gi_value_any_root(const struct gi_values *vs, gi_value v, gi_value_fn fn, void *arg);
bool gi_value_is_const(const struct gi_values *vs, gi_value v, uint64_t *ret);
/** v as base + *off_ret, where base is no ADD. */
gi_value gi_value_split(const struct gi_values *vs, gi_value v, int64_t *off_ret);

#endif

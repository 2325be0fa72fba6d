// Inside of the search for owners.
#ifndef GCORE_WAIT_OWNERS_H
#define GCORE_WAIT_OWNERS_H

#include "wait/defers.h"
#include "wait/graph.h"

enum {
	GI_OWNERS_FRAMES = 1 << 14, // of one goroutine, innermost; deeper ones are not looked at
	GI_OWNERS_LOCALS = 256,
};

/** What is known of a pc in every goroutine. */
struct gi_place {
	const struct gi_point *pt;    // NULL if its facts do not matter
	const struct gi_point *ahead; // NULL if nothing that matters lies ahead
	struct gi_open_defers open;
	bool has_open;
	bool has_defers; // the function defers at all
	bool cond_wait;
	bool plain; // nothing of the above, as far as owners go
};

/** What one goroutine has to do with a lock, so far. */
struct gi_local {
	uint32_t object;
	uint8_t mode;
	bool by_code, by_maybe, by_defer;
	bool kept; // as in struct gi_hold
	bool exact;
	uint32_t site;	     // 1 + instruction that took it, or may have; 0: none
	uint32_t site_frame; // in the code of this frame
	uint64_t after;	     // as in struct gi_lock_fact, of its calls
	uint32_t free_site;  // 1 + instruction by which that frame's code surely let go of it; 0:
			     // none
	uint32_t free_frame;
	uint64_t site_pc, frame_pc;
	const char *function;
};

struct gi_search {
	struct gi_graph *gr;
	struct gi_map targets; // address and kind of a lock to its object
	struct gi_map places;  // pc to struct gi_place *
	struct gi_map passed;  // address of a lock to whether others let go of it
	struct gi_frames fs;   // of the goroutine in hand
	struct gi_pendings pending;
	struct gi_local local[GI_OWNERS_LOCALS];
	size_t local_count;
	size_t unread;
	uint64_t first_unread;
};

/** A key for maps of locks. */
uint64_t gi_owners_key(uint64_t addr, unsigned kind);
/** The mode in which a kind of lock is held. */
unsigned gi_owners_mode(unsigned kind);
/** The object that a lock at addr is, if anybody waits for it. */
bool gi_owners_target(const struct gi_search *s, uint64_t addr, unsigned kind,
		      uint32_t *object_ret);
/** The goroutine's record of that object; NULL if nobody waits for it, or there is none and !make.
 */
struct gi_local *gi_owners_local(struct gi_search *s, uint64_t addr, unsigned kind, bool make);
/** It has released the lock. */
void gi_owners_drop(struct gi_local *l);

// --- owners_code.c: what the code of a frame does ------------------------------------

/** Takes up what frame i's function has taken and released. */
void gi_owners_code(struct gi_search *s, size_t i, const struct gi_place *p, bool panics);
/** Frame i is in Cond.Wait. */
void gi_owners_cond(struct gi_search *s, size_t i);
/**
 * True if frame i's function may still come to take the lock. Else *unnamed_ret: whether it may
 * come to take one of the kind of which the frame does not tell which it is.
 */
bool gi_owners_takes_later(struct gi_search *s, size_t i, unsigned kind, uint64_t addr,
			   bool *unnamed_ret);
/** The lock that frame i is about to take, 0 if none. */
uint64_t gi_owners_acquiring(struct gi_search *s, size_t i);
/**
 * Calls fn for each lock that frame i may come to release without having taken it; with the object
 * UINT32_MAX if that may be any.
 */
typedef void (*gi_owners_fn)(void *arg, uint32_t object, unsigned mode);
void gi_owners_strange(struct gi_search *s, size_t i, const struct gi_place *p, gi_owners_fn fn,
		       void *arg);

// --- owners_defer.c ------------------------------------------------------------------

/**
 * Takes up what frame i's pending calls would release. If the function returns, and runs them, they
 * alone tell what it still has.
 */
void gi_owners_defers(struct gi_search *s, size_t i);

#endif

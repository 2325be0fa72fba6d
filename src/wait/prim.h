// The functions of package sync that take and release locks, by name.
#ifndef GCORE_WAIT_PRIM_H
#define GCORE_WAIT_PRIM_H

#include <stdbool.h>
#include <stddef.h>

/** What is held. A mutex inside of an RWMutex is the RWMutex's. */
/** A group is "released" by Done. */
enum gi_lock_kind { GI_LOCK_MUTEX, GI_LOCK_WRITE, GI_LOCK_READ, GI_LOCK_GROUP };

/** What wakes those who wait on a channel or a condition; beside enum gi_lock_kind in struct gi_ahead. */
enum gi_wake_kind { GI_WAKE_SEND = 16, GI_WAKE_CLOSE, GI_WAKE_RECEIVE, GI_WAKE_SIGNAL };

enum gi_prim_op {
	GI_PRIM_NONE,
	GI_PRIM_ACQUIRE,
	GI_PRIM_SLOW, // the second half of an acquisition whose fast path was inlined
	GI_PRIM_RELEASE,
	GI_PRIM_TRY,	  // result: taken or not
	GI_PRIM_COND,	  // releases the lock of a condition, and takes it again
	GI_PRIM_ADD,	  // to a group: a release if -1 is added
	GI_PRIM_HARMLESS, // of sync, changes no lock on its own
};

struct gi_prim {
	enum gi_prim_op op;
	enum gi_lock_kind kind;
	bool bound; // a method value: the receiver is the closure's first captured word
	bool sema;  // SLOW: the argument is a semaphore of the lock, not the lock
};

/** op NONE for all other functions. */
struct gi_prim gi_prim_of(const char *name);
/** The enum gi_wake_kind of a function whose first argument is the channel or condition; 0: of none. */
unsigned gi_prim_wakes(const char *name);
/** Functions that never return to their caller. */
bool gi_prim_no_return(const char *name);
/** Functions of the runtime that keep the registers of their caller, or all but one or two. */
bool gi_prim_keeps_regs(const char *name);
/** Functions that clear or copy memory from where a register points. */
bool gi_prim_fills(const char *name);
/** Of these, one that copies. */
bool gi_prim_copies(const char *name);

#endif

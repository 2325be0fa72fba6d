// The runtime's own locks (runtime.mutex): which Ms sleep until they get one, and who has it.
#ifndef GCORE_RUNTIME_LOCK_H
#define GCORE_RUNTIME_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/error.h"
#include "gcore/go.h"
#include "gcore/unwind.h"

/** How the holder of a lock is known. The runtime records none, so all of it is inferred. */
enum gi_lock_evidence {
	GI_LOCK_NO_HOLDER, // unknown
	GI_LOCK_FREE,	   // nobody has it just now: it is changing hands
	GI_LOCK_ONLY_ONE,  // all others have no lock, or wait for this one
	GI_LOCK_ON_STACK,  // of those that have locks, only it has the address in its frames
};

/** An M that sleeps until it gets a lock. */
struct gi_lock_wait {
	const struct gi_m *m;
	uint64_t lock;		 // address of the word, 0: unknown
	const struct gi_m *holder; // NULL: unknown
	enum gi_lock_evidence evidence;
};

/** All Ms that wait so. go and u are borrowed for the call, the Ms as long as the result. */
struct gi_lock_waits;
struct gi_error *gi_lock_waits_create(struct gi_go *go, struct gi_unwinder *u,
				      struct gi_lock_waits **ret) GI_MUST_CHECK;
void gi_lock_waits_destroy(struct gi_lock_waits *w);
GI_DEFINE_CLEANUP(struct gi_lock_waits *, gi_lock_waits_destroyp, gi_lock_waits_destroy)
size_t gi_lock_waits_count(const struct gi_lock_waits *w);
const struct gi_lock_wait *gi_lock_waits_at(const struct gi_lock_waits *w, size_t i);
/** NULL if the M waits for no lock. */
const struct gi_lock_wait *gi_lock_waits_of(const struct gi_lock_waits *w, const struct gi_m *m);

/**
 * Appends "runtime.sched.lock, held by M 3 (inferred: no other M has one that could be it)"; names
 * as gi_go_lock_name() has them.
 */
void gi_lock_wait_format(struct gi_go *go, const struct gi_lock_wait *w, struct gi_str *ret);
/** The same of one M, appended; nothing if it waits for none. */
struct gi_error *gi_lock_wait_of_m(struct gi_go *go, struct gi_unwinder *u, const struct gi_m *m,
				   struct gi_str *ret) GI_MUST_CHECK;
/** "only-one", ...; as in JSON. NULL if there is no holder. */
const char *gi_lock_evidence_name(enum gi_lock_evidence evidence);

#endif

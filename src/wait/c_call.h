// The call into C that a goroutine is in.
#ifndef GCORE_WAIT_C_CALL_H
#define GCORE_WAIT_C_CALL_H

#include "gcore/pthread.h"
#include "wait/env.h"

/**
 * True if that call may have taken a lock before the one that it waits for now: one of its C
 * functions has called something before. False also where their code is not known.
 */
bool gi_c_call_may_have_locked(struct gi_go *go, struct gi_unwinder *u, const struct gi_g *g);

#endif

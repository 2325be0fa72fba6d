// The reachability argument (reach.h), or what came of it where a mini dump was made: such a dump
// has too little of the heap to argue from.
#ifndef GCORE_WAIT_REACH_KEPT_H
#define GCORE_WAIT_REACH_KEPT_H

#include "wait/reach.h"

struct gi_reach_kept;

/**
 * As gi_reach_solve(), whose errors it gives. name: of the question, for there are several. go,
 * name and waits are borrowed as long as the result.
 */
struct gi_error *gi_reach_kept_solve(struct gi_go *go, const char *name,
				     const struct gi_reach_wait *waits, size_t n,
				     struct gi_reach_kept **ret) GI_MUST_CHECK;
void gi_reach_kept_destroy(struct gi_reach_kept *k);
/** As gi_reach_is_live(). */
bool gi_reach_kept_is_live(const struct gi_reach_kept *k, size_t i);
/** As gi_reach_from_globals(); false where answers were kept. */
bool gi_reach_kept_from_globals(const struct gi_reach_kept *k, uint64_t object);
/** As gi_reach_holders(), each object asked for once. */
struct gi_error *gi_reach_kept_holders(struct gi_reach_kept *k, uint64_t object, uint32_t *waits_ret,
				       size_t max, size_t *count_ret) GI_MUST_CHECK;
/** If the target is being recorded: keeps all that was answered. */
struct gi_error *gi_reach_kept_keep(struct gi_reach_kept *k) GI_MUST_CHECK;

#endif

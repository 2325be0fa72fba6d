// The end of a chain of waits, inside of this room.
#ifndef REPORT_WHY_H
#define REPORT_WHY_H

#include "gcore/report.h"
#include "gcore/sched.h"

/** The timer that sends on a channel; false if there is none. */
bool gi_why_timer(struct gi_go *go, uint64_t channel, struct gi_timer *ret);
/** What libraries make of g's wait, a line each with some space before it (gi_wait_about); into an array in records.
 * The heap is searched for them if search is set. */
struct gi_error *gi_out_about(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
			      const struct gi_graph *graph, size_t object, uint32_t g,
			      const char *indent, bool search) GI_MUST_CHECK;
/** Lines about who could end g's wait for an object that has no owner. */
struct gi_error *gi_why_end(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
			    const struct gi_graph *graph, size_t object, uint32_t g) GI_MUST_CHECK;

#endif

// The scheduler, inside of this room.
#ifndef REPORT_SCHED_H
#define REPORT_SCHED_H

#include "gcore/report.h"

/** Appends why an M keeps its goroutine running (m.preemptoff), escaped; nothing if it does not. */
void gi_sched_preemptoff(struct gi_go *go, const struct gi_m *m, struct gi_str *str);
/** Puts the addresses of those goroutines that a thread is just moving: they are on no queue, and not lost. */
struct gi_error *gi_sched_hands(struct gi_go *go, struct gi_unwinder *u,
				struct gi_map *ret) GI_MUST_CHECK;
/** How many findings there are that do not pass by themselves; the first is appended to first. */
size_t gi_sched_trouble(struct gi_go *go, struct gi_unwinder *u, struct gi_str *first);
/** The text of GODEBUG=schedtrace=N,scheddetail=1; nothing in JSON. */
struct gi_error *gi_report_schedtrace(struct gi_out *out, struct gi_go *go) GI_MUST_CHECK;
/** Appends "1 taken for 3.2s", "1 kept", or nothing for NULL; and the member "left_p". */
void gi_left_p_format(const struct gi_left_p *left, struct gi_str *s);
void gi_json_left_p(struct gi_out *out, const struct gi_left_p *left);
/** The member "waits_for_lock"; NULL: it waits for none of the runtime's. */
struct gi_lock_wait;
void gi_json_lock_wait(struct gi_out *out, struct gi_go *go, const struct gi_lock_wait *w);
/** One line, or the record "sched". */
void gi_report_sched_line(struct gi_out *out, const struct gi_sched *s);
/** Appends a function's name for people, or its address. */
void gi_sched_function(struct gi_go *go, uint64_t pc, struct gi_str *str);

#endif

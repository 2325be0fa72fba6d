// System calls of threads, for the renderers of this room.
#ifndef REPORT_SYSCALL_H
#define REPORT_SYSCALL_H

#include "gcore/pthread.h"
#include "gcore/report.h"
#include "gcore/syscall.h"

/**
 * Appends the call, its arguments and, of a futex, what it belongs to. go may be NULL; waits is what
 * the thread waits for in the C library, or NULL.
 */
void gi_syscall_format(struct gi_target *t, struct gi_go *go, const struct gi_syscall *call,
		       const struct gi_pthread_wait *waits, struct gi_str *s);
/** gi_unwind_syscall; without an unwinder by the registers alone. */
bool gi_thread_syscall(struct gi_target *t, struct gi_unwinder *u, size_t thread,
		       struct gi_syscall *ret, bool *broken_off_ret);
/** The member "waits_for". */
void gi_json_pthread_wait(struct gi_out *out, struct gi_go *go, const struct gi_pthread_wait *w);

#endif

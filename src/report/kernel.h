// What the kernel knows of a thread of a running process, for the renderers of this room.
#ifndef REPORT_KERNEL_H
#define REPORT_KERNEL_H

#include "gcore/live.h"
#include "gcore/report.h"

/** "running", "sleeping", ... of gi_live_task.state. */
const char *gi_kernel_state_name(char state);
/** "0.4%", "-" without a rate. */
void gi_kernel_put_rate(struct gi_str *s, bool known, double rate);
/** "12ms", "3.4s". */
void gi_kernel_put_time(struct gi_str *s, uint64_t ns);
/** The object "kernel". */
void gi_kernel_json(struct gi_out *out, const struct gi_live_task *task);
/** Lines of "thread N". */
void gi_kernel_text(struct gi_out *out, struct gi_target *t, const struct gi_live_task *task);

#endif

// What the kernel knows of a thread of a running process.

#include "report/kernel.h"

#include <inttypes.h>
#include <string.h>

const char *gi_kernel_state_name(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "sleeping uninterruptibly";
	case 'T':
		return "stopped by a signal";
	case 't':
		return "stopped by a debugger";
	case 'Z':
	case 'X':
		return "ended";
	case 'I':
		return "idle";
	case 'P':
		return "parked";
	}
	return "unknown";
}

void gi_kernel_put_rate(struct gi_str *s, bool known, double rate)
{
	if (known)
		gi_str_printf(s, "%.1f%%", rate * 100);
	else
		gi_str_puts(s, "-");
}

void gi_kernel_put_time(struct gi_str *s, uint64_t ns)
{
	if (ns < UINT64_C(1000000000))
		gi_str_printf(s, "%.1fms", (double)ns / 1e6);
	else
		gi_str_printf(s, "%.1fs", (double)ns / 1e9);
}

void gi_kernel_json(struct gi_out *out, const struct gi_live_task *task)
{
	char state[2] = {task->state, '\0'};
	gi_json_object(out, "kernel");
	gi_json_str(out, "state", task->state ? state : NULL);
	gi_json_str(out, "name", task->name);
	gi_json_u64(out, "cpu_us", task->cpu_ns / 1000);
	gi_json_u64(out, "user_us", task->user_ns / 1000);
	gi_json_u64(out, "system_us", task->system_ns / 1000);
	gi_json_u64(out, "wait_us", task->wait_ns / 1000);
	gi_json_u64_or_null(out, "cpu_permille", task->has_rate,
			    (uint64_t)(task->cpu_rate * 1000 + 0.5));
	gi_json_u64_or_null(out, "wait_permille", task->has_rate,
			    (uint64_t)(task->wait_rate * 1000 + 0.5));
	gi_json_i64_or_null(out, "processor", task->processor >= 0, task->processor);
	gi_json_u64(out, "voluntary_switches", task->voluntary);
	gi_json_u64(out, "involuntary_switches", task->involuntary);
	gi_json_str(out, "wchan", task->wchan[0] ? task->wchan : NULL);
	gi_json_close(out);
}

static void put_stack(struct gi_out *out, struct gi_target *t, pid_t tid)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	if (!gi_live_kernel_stack(t, tid, &s) || s.oom)
		return;
	gi_out_puts(out, "  in the kernel now\n");
	for (const char *p = s.s, *end; (end = strchr(p, '\n')); p = end + 1)
		gi_out_printf(out, "               %.*s\n", (int)(end - p), p);
}

void gi_kernel_text(struct gi_out *out, struct gi_target *t, const struct gi_live_task *task)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	gi_str_puts(&s, gi_kernel_state_name(task->state));
	if (task->wchan[0]) {
		gi_str_puts(&s, " in ");
		gi_str_put_escaped(&s, task->wchan, strlen(task->wchan));
	}
	if (task->processor >= 0)
		gi_str_printf(&s, ", on processor %d last", task->processor);
	gi_out_printf(out, "  kernel       %s\n", gi_str_cstr(&s));
	gi_str_reset(&s);
	gi_str_put_escaped(&s, task->name, strlen(task->name));
	gi_out_printf(out, "  name         %s\n", gi_str_cstr(&s));
	gi_str_reset(&s);
	gi_kernel_put_time(&s, task->cpu_ns);
	gi_str_puts(&s, " (");
	gi_kernel_put_time(&s, task->user_ns);
	gi_str_puts(&s, " user, ");
	gi_kernel_put_time(&s, task->system_ns);
	gi_str_puts(&s, " system)");
	if (task->has_rate) {
		gi_str_puts(&s, ", ");
		gi_kernel_put_rate(&s, true, task->cpu_rate);
		gi_str_puts(&s, " since the look before");
	}
	gi_out_printf(out, "  cpu          %s\n", gi_str_cstr(&s));
	gi_str_reset(&s);
	gi_kernel_put_time(&s, task->wait_ns);
	if (task->has_rate) {
		gi_str_puts(&s, ", ");
		gi_kernel_put_rate(&s, true, task->wait_rate);
		gi_str_puts(&s, " since the look before");
	}
	gi_out_printf(out, "  no processor %s\n", gi_str_cstr(&s));
	gi_out_printf(out, "  switches     %" PRIu64 " by itself, %" PRIu64 " not\n", task->voluntary,
		      task->involuntary);
	put_stack(out, t, task->tid);
}

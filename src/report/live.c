// What looking at a running process was like for it.

#include "gcore/live.h"
#include "gcore/report.h"

static void put_ms(struct gi_str *s, uint64_t ns)
{
	gi_str_printf(s, ns < 100000 ? "%.2f ms" : "%.1f ms", (double)ns / 1e6);
}

void gi_report_live_line(struct gi_str *s, struct gi_target *t)
{
	const struct gi_live_stop *stop = gi_live_stop(t);
	if (stop->held) {
		gi_str_puts(s, "held still until \"continue\" or the end of this session");
	} else if (stop->no_stop) {
		gi_str_puts(s, "while it runs, without a stop: what changes meanwhile may not fit together");
	} else {
		gi_str_puts(s, "stopped for ");
		put_ms(s, stop->pause_ns);
		gi_str_puts(s, " (");
		put_ms(s, stop->stop_ns);
		gi_str_printf(s, " until all threads stood), %.1f MB copied; it runs on",
			      (double)stop->bytes / 1e6);
	}
	if (stop->was_stopped)
		gi_str_puts(s, "; a signal had stopped it before, and it stays stopped");
	if (stop->unstopped)
		gi_str_printf(s, "; %zu thread%s slept uninterruptibly in the kernel (D in \"threads\") and did "
				 "not stop in time: of %s registers only pc, sp and the system call's are known",
			      stop->unstopped, stop->unstopped == 1 ? "" : "s",
			      stop->unstopped == 1 ? "its" : "their");
	if (stop->detached)
		gi_str_puts(s, "; detached");
}

void gi_report_live(struct gi_out *out, struct gi_target *t)
{
	const struct gi_live_stop *stop = gi_live_stop(t);
	gi_json_begin(out, "look");
	gi_json_i64_or_null(out, "pid", true, gi_target_info(t)->pid);
	gi_json_bool(out, "held", stop->held);
	gi_json_bool(out, "no_stop", stop->no_stop);
	gi_json_bool(out, "detached", stop->detached);
	gi_json_bool(out, "was_stopped", stop->was_stopped);
	gi_json_u64(out, "pause_us", stop->pause_ns / 1000);
	gi_json_u64(out, "stop_us", stop->stop_ns / 1000);
	gi_json_u64(out, "bytes", stop->bytes);
	gi_json_u64(out, "unstopped_threads", stop->unstopped);
	gi_json_end(out);
}

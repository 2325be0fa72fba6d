// What a dump came to.

#include "gcore/dump.h"
#include "gcore/report.h"

#include <inttypes.h>

static void put_size(struct gi_out *out, uint64_t n)
{
	if (n < 10 << 20)
		gi_out_printf(out, "%" PRIu64 ".%" PRIu64 " MB", n / 1000000, n / 100000 % 10);
	else
		gi_out_printf(out, "%" PRIu64 " MB", n / 1000000);
}

struct gi_error *gi_report_dump(struct gi_out *out, const char *path, bool mini,
				const struct gi_dump_result *made, double seconds)
{
	uint64_t ms = seconds > 0 ? (uint64_t)(seconds * 1000) : 0;
	if (gi_out_is_json(out)) {
		gi_json_begin(out, "dump");
		gi_json_str(out, "file", path);
		gi_json_bool(out, "mini", mini);
		gi_json_u64(out, "size", made->size);
		gi_json_u64(out, "memory", made->memory);
		gi_json_u64(out, "files", made->files);
		gi_json_u64(out, "milliseconds", ms);
		gi_json_u64_or_null(out, "pause_ns", made->live, made->pause_ns);
		gi_json_u64(out, "late", made->late);
		gi_json_end(out);
		return gi_out_check(out);
	}
	gi_out_text(out, path);
	gi_out_puts(out, ": ");
	put_size(out, made->size);
	gi_out_puts(out, made->size < made->memory ? ", compressed, of which " : ", of which ");
	put_size(out, made->memory);
	gi_out_puts(out, " are memory");
	if (mini) {
		gi_out_puts(out, " and ");
		put_size(out, made->files);
		gi_out_puts(out, " executable and libraries");
	}
	gi_out_printf(out, "; made in %" PRIu64 ".%03" PRIu64 " s", ms / 1000, ms % 1000);
	if (made->live && !made->pause_ns)
		gi_out_puts(out, ", of a process that was not stopped");
	else if (made->live)
		gi_out_printf(out, ", of a process that was stopped for %" PRIu64 ".%" PRIu64 " ms",
			      made->pause_ns / 1000000, made->pause_ns / 100000 % 10);
	if (made->late)
		gi_out_printf(out, "; %" PRIu64 " KB of its memory were read after that", (made->late + 1023) / 1024);
	gi_out_puts(out, "\n");
	return gi_out_check(out);
}

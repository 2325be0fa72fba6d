// The files that the process had mapped: which of them are used here, and their debug files.

#include "report/frame.h"

#include <string.h>

static void json_file(struct gi_out *out, const struct gi_target_file *f)
{
	char hex[2 * sizeof(f->id.bytes) + 1];
	gi_build_id_format(&f->id, hex, sizeof(hex));
	gi_json_begin(out, "file");
	gi_json_str(out, "name", f->name);
	gi_json_hex_or_null(out, "start", f->start, f->start);
	gi_json_bool(out, "executable", f->executable);
	gi_json_str(out, "build_id", f->id.len ? hex : NULL);
	gi_json_str(out, "go_build_id", f->go_id[0] ? f->go_id : NULL);
	gi_json_str(out, "file", f->path);
	gi_json_str(out, "why", f->why);
	gi_json_str(out, "debug_file", f->debug_path);
	gi_json_str(out, "debug_how", f->debug_how);
	gi_json_str(out, "common_debug_file", f->alt_path);
	gi_json_bool(out, "mini_debug_info", f->mini);
	gi_json_bool(out, "split_debug_info", f->split);
	gi_json_end(out);
}

static void head(struct gi_out *out, const char *name)
{
	gi_out_printf(out, "    %-11s ", name);
}

static void text_debug(struct gi_out *out, const struct gi_target_file *f)
{
	if (f->debug_path) {
		head(out, "debug file");
		gi_out_text(out, f->debug_path);
		gi_out_printf(out, ", found %s\n", f->debug_how ? f->debug_how : "");
	} else if (f->debug_how) {
		head(out, "debug file");
		gi_out_puts(out, "none; ");
		gi_out_text(out, f->debug_how);
		gi_out_puts(out, "\n");
	}
	if (f->alt_path) {
		head(out, "common file");
		gi_out_text(out, f->alt_path);
		gi_out_puts(out, "\n");
	}
	if (f->mini) {
		head(out, "symbols");
		gi_out_puts(out, "from its mini debug information (.gnu_debugdata)\n");
	}
	if (f->split) {
		head(out, "C parts");
		gi_out_puts(out, "their debug information is in .dwo or .dwp files, which are not "
				 "read\n");
	}
}

static void text_file(struct gi_out *out, const struct gi_target_file *f)
{
	char hex[2 * sizeof(f->id.bytes) + 1];
	gi_out_puts(out, "  ");
	gi_out_text(out, f->name ? f->name : "?");
	if (f->executable)
		gi_out_puts(out, " (the executable)");
	if (f->start)
		gi_out_printf(out, " at 0x%" PRIx64, f->start);
	gi_out_puts(out, "\n");
	head(out, "build ID");
	gi_build_id_format(&f->id, hex, sizeof(hex));
	if (f->id.len)
		gi_out_puts(out, hex);
	else if (f->go_id[0])
		gi_out_printf(out, "only Go's: %s", f->go_id);
	else
		gi_out_puts(out, "the core holds none");
	gi_out_puts(out, "\n");
	head(out, "file");
	if (f->path && f->name && f->path[0] == '[' && strcmp(f->path, f->name) == 0) {
		gi_out_puts(out, "the core holds all of it");
	} else if (f->path) {
		gi_out_text(out, f->path);
	} else {
		gi_out_puts(out, "none");
		if (f->why)
			gi_out_printf(out, ": %s", f->why);
	}
	gi_out_puts(out, "\n");
	text_debug(out, f);
}

struct gi_error *gi_report_files(struct gi_out *out, struct gi_target *t)
{
	gi_out_puts(out, "Files\n");
	for (size_t i = 0; i < gi_target_file_count(t); i++) {
		struct gi_error *err = gi_out_check(out);
		if (err)
			return err;
		struct gi_target_file f = gi_target_file(t, i);
		if (gi_out_is_json(out))
			json_file(out, &f);
		else
			text_file(out, &f);
	}
	return NULL;
}

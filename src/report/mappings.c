// Memory mappings, and how much of each the core holds.

#include "report/frame.h"
#include "report/table.h"

#include <string.h>

static const char *permissions(const struct gi_mapping *m, char buf[4])
{
	buf[0] = m->flags & GI_MAP_R ? 'r' : '-';
	buf[1] = m->flags & GI_MAP_W ? 'w' : '-';
	buf[2] = m->flags & GI_MAP_X ? 'x' : '-';
	buf[3] = '\0';
	return buf;
}

static void json_mapping(struct gi_out *out, const struct gi_mapping *m)
{
	char perm[4];
	gi_json_begin(out, "mapping");
	gi_json_hex(out, "start", m->start);
	gi_json_hex(out, "end", m->end);
	gi_json_str(out, "permissions", permissions(m, perm));
	gi_json_u64(out, "saved", m->saved);
	gi_json_bool(out, "from_file", m->overlaid);
	gi_json_str(out, "file", m->path);
	gi_json_u64(out, "file_offset", m->file_off);
	gi_json_end(out);
}

static void row(struct gi_table *table, const struct gi_mapping *m)
{
	char perm[4];
	gi_table_cell(table, "0x%" PRIx64, m->start);
	gi_table_cell(table, "0x%" PRIx64, m->end);
	gi_table_cell(table, "0x%" PRIx64, m->end - m->start);
	gi_table_text(table, permissions(m, perm));
	uint64_t size = m->end - m->start;
	const char *file = m->overlaid && m->saved < size ? ", file" : "";
	if (m->saved >= size)
		gi_table_cell(table, "all");
	else if (!m->saved)
		gi_table_cell(table, "%s", *file ? "file" : "none");
	else
		gi_table_cell(table, "0x%" PRIx64 "%s", m->saved, file);
	gi_table_text(table, m->path);
}

struct gi_error *gi_report_mappings(struct gi_out *out, struct gi_target *t, bool one,
				    uint64_t addr)
{
	static const char *const heads[] = {">START", ">END", ">SIZE", "PERM",
					    "SAVED",  "FILE", NULL};
	_cleanup_(gi_table_deinit) struct gi_table table;
	gi_table_init(&table, heads);
	if (one && !gi_target_mapping_at(t, addr))
		return gi_error_at(GI_ERR_FAULT, addr,
				   "0x%" PRIx64 " is in no mapping of the process", addr);
	for (size_t i = 0; i < gi_target_mapping_count(t); i++) {
		const struct gi_mapping *m = gi_target_mapping(t, i);
		struct gi_error *err = gi_out_check(out);
		if (err)
			return err;
		if (one && (addr < m->start || addr >= m->end))
			continue;
		if (gi_out_is_json(out))
			json_mapping(out, m);
		else
			row(&table, m);
	}
	gi_table_print(&table, out);
	return NULL;
}

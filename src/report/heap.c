// The heap by sizes of objects.

#include <inttypes.h>
#include <stdlib.h>

#include "report/table.h"

static void put_row(struct gi_table *t, const struct gi_heap_class *c, bool reach)
{
	if (c->size)
		gi_table_cell(t, "%" PRIu64, c->size);
	else
		gi_table_text(t, "large");
	gi_table_text(t, c->noscan ? "no" : "yes");
	gi_table_cell(t, "%" PRIu64, c->spans);
	gi_table_cell(t, "%" PRIu64, c->objects);
	gi_table_cell(t, "%" PRIu64, c->object_bytes);
	if (reach)
		gi_table_cell(t, "%" PRIu64, c->reachable);
	else
		gi_table_text(t, NULL);
}

static void put_json(struct gi_out *out, const struct gi_heap_class *c, bool reach)
{
	gi_json_begin(out, "heap_class");
	gi_json_u64_or_null(out, "size", c->size, c->size);
	gi_json_bool(out, "pointers", !c->noscan);
	gi_json_u64(out, "spans", c->spans);
	gi_json_u64(out, "span_bytes", c->span_bytes);
	gi_json_u64(out, "objects", c->objects);
	gi_json_u64(out, "object_bytes", c->object_bytes);
	gi_json_u64_or_null(out, "reachable", reach, c->reachable);
	gi_json_u64_or_null(out, "reachable_bytes", reach, c->reachable_bytes);
	gi_json_end(out);
}

struct gi_error *gi_report_heap(struct gi_out *out, struct gi_go *go)
{
	static const char *const heads[] = {">SIZE",	"POINTERS", ">SPANS", ">OBJECTS",
					    ">BYTES", ">REACHABLE", NULL};
	_cleanup_(gi_freep) struct gi_heap_class *classes = NULL;
	struct gi_heap_class sum = {0};
	struct gi_error *why = NULL;
	struct gi_table t;
	size_t n;
	struct gi_error *err = gi_wait_heap_use(go, &classes, &n, &why);

	if (err)
		return err;
	gi_table_init(&t, heads);
	for (size_t i = 0; i < n; i++) {
		const struct gi_heap_class *c = &classes[i];

		sum.spans += c->spans;
		sum.span_bytes += c->span_bytes;
		sum.objects += c->objects;
		sum.object_bytes += c->object_bytes;
		sum.reachable += c->reachable;
		sum.reachable_bytes += c->reachable_bytes;
		if (gi_out_is_json(out))
			put_json(out, c, !why);
		else
			put_row(&t, c, !why);
	}
	gi_table_print(&t, out);
	gi_table_deinit(&t);
	gi_out_printf(out, "%" PRIu64 " objects, %" PRIu64 " bytes, in spans of %" PRIu64 " bytes\n",
		      sum.objects, sum.object_bytes, sum.span_bytes);
	if (!why)
		gi_out_printf(out,
			      "%" PRIu64 " of them, %" PRIu64 " bytes, can be reached; the collector would free the others\n",
			      sum.reachable, sum.reachable_bytes);
	else
		gi_out_note(out, "%s", gi_error_message(why));
	gi_error_free(why);
	return gi_out_check(out);
}

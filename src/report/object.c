// What is at an address: which kind of memory, which object of which type, how globals lead to
// it, who points to it, and who waits for it.

#include <string.h>

#include "gcore/typing.h"
#include "report/deadlock.h"
#include "report/frame.h"

enum place {
	PLACE_NOT_MAPPED,
	PLACE_MAPPED,
	PLACE_GLOBAL,
	PLACE_HEAP,
	PLACE_HEAP_FREE,
	PLACE_GOROUTINE_STACK,
	PLACE_SYSTEM_STACK,
	PLACE_CODE,
	PLACE_TYPE,
};

struct found {
	enum place place;
	const struct gi_span *span;
	struct gi_typed object;
	bool typed; // object is filled
	struct gi_type type;
	const struct gi_g *g;
	const struct gi_m *m;
	const struct gi_mapping *mapping;
	const char *heap_error; // why the heap cannot be told apart; NULL: it can
	uint64_t points_to;	// a global's value; 0: nothing, or not known
	struct gi_str name;	// of the global, function, type or object part
};

static const char *place_name(enum place p)
{
	static const char *const names[] = {
		[PLACE_NOT_MAPPED] = "not-mapped",	[PLACE_MAPPED] = "mapped",
		[PLACE_GLOBAL] = "global",		[PLACE_HEAP] = "heap",
		[PLACE_HEAP_FREE] = "heap-free",	[PLACE_GOROUTINE_STACK] = "stack",
		[PLACE_SYSTEM_STACK] = "system-stack",	[PLACE_CODE] = "code",
		[PLACE_TYPE] = "type",
	};

	return names[p];
}

static const char *evidence_text(const struct gi_typed *o)
{
	switch (o->how) {
	case GI_TYPE_BY_HEADER:
		return "by the allocator's note";
	case GI_TYPE_BY_INTERFACE:
		return "by an interface value that holds it";
	case GI_TYPE_BY_GLOBAL:
		return "by the type of a global that points to it";
	case GI_TYPE_BY_POINTER:
		return "by the type of an object that points to it";
	case GI_TYPE_BY_RECEIVER:
		return "by the method that is called on it";
	case GI_TYPE_BY_NOTHING:
		break;
	}
	return "";
}

static const char *const evidence_names[] = {
	[GI_TYPE_BY_NOTHING] = NULL,	      [GI_TYPE_BY_HEADER] = "header",
	[GI_TYPE_BY_INTERFACE] = "interface", [GI_TYPE_BY_GLOBAL] = "global",
	[GI_TYPE_BY_POINTER] = "pointer",
	[GI_TYPE_BY_RECEIVER] = "receiver",
};

/** A channel says itself of what it is. */
static bool put_channel_type(struct gi_go *go, const struct gi_graph *graph, uint64_t start,
			     struct gi_str *s)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	struct gi_hchan ch;
	struct gi_type elem;
	size_t i;

	if (!graph || !gi_graph_find_object(graph, start, &i) ||
	    gi_graph_object(graph, i)->kind != GI_OBJECT_CHANNEL ||
	    gi_graph_object(graph, i)->addr != start)
		return false;
	struct gi_error *err = gi_go_read_hchan(go, start, &ch);
	gi_error_ignore(err);
	if (err || !gi_type_read(go, ch.elemtype, &elem))
		return false;
	gi_type_name(go, &elem, &name);
	gi_str_puts(s, "chan ");
	gi_str_put_escaped(s, gi_str_cstr(&name), name.len);
	return true;
}

/** The type's name, as that of a variable that holds the object. */
static void put_type(struct gi_go *go, const struct gi_typed *o, struct gi_str *s)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};

	gi_type_name(go, &o->type, &name);
	static const char *const parts[] = {
		[GI_MAP_WHOLE] = "",
		[GI_MAP_DIRECTORY] = "directory of a ",
		[GI_MAP_TABLE] = "table of a ",
		[GI_MAP_ENTRIES] = "entries of a ",
	};

	gi_str_puts(s, parts[o->part]);
	if (o->array)
		gi_str_puts(s, "array of ");
	if (o->header)
		gi_str_puts(s, o->type.kind == GI_TYPE_FUNC ? "closure of type " : "");
	gi_str_put_escaped(s, gi_str_cstr(&name), name.len);
}

// --- finding ------------------------------------------------------------------------------

static const char *wanted_type(const struct gi_graph *graph, uint64_t addr)
{
	size_t i;

	if (!graph || !gi_graph_find_object(graph, addr, &i))
		return NULL;
	const struct gi_object *o = gi_graph_object(graph, i);
	return o->addr == addr ? gi_object_kind_type(o->kind) : NULL;
}

static bool find_stack(struct gi_go *go, uint64_t addr, struct found *f)
{
	f->g = gi_go_g_by_stack(go, addr);
	if (f->g) {
		f->place = PLACE_GOROUTINE_STACK;
		return true;
	}
	for (size_t i = 0; i < gi_go_m_count(go); i++) {
		const struct gi_m *m = gi_go_m(go, i);
		if ((addr >= m->g0_lo && addr < m->g0_hi) ||
		    (addr >= m->gsignal_lo && addr < m->gsignal_hi)) {
			f->m = m;
			f->place = PLACE_SYSTEM_STACK;
			return true;
		}
	}
	return false;
}

static bool in(struct gi_range r, uint64_t addr)
{
	return addr >= r.start && addr < r.end;
}

static bool find_in_module(struct gi_go *go, const char *want, uint64_t addr, struct found *f)
{
	for (size_t i = 0; i < gi_go_module_count(go); i++) {
		const struct gi_module *m = gi_go_module(go, i);
		struct gi_func func;

		if (in(m->noptrdata, addr) || in(m->data, addr) || in(m->bss, addr) ||
		    in(m->noptrbss, addr)) {
			f->place = PLACE_GLOBAL;
			gi_go_name_at(go, addr, want, &f->name);
			if (!gi_go_follow(go, addr, &f->points_to, &(uint64_t){0}))
				f->points_to = 0;
			return true;
		}
		if (in(m->text, addr)) {
			f->place = PLACE_CODE;
			if (gi_functab_find(gi_go_functab(go), addr, &func)) {
				struct gi_call call;
				if (gi_func_calls(&func, addr, &call, 1))
					gi_str_puts(&f->name, call.name);
			}
			return true;
		}
		if (gi_type_read(go, addr, &f->type)) {
			f->place = PLACE_TYPE;
			gi_type_name(go, &f->type, &f->name);
			return true;
		}
	}
	return false;
}

static struct gi_error *find(struct gi_go *go, struct gi_unwinder *u, struct gi_graph *graph,
			     uint64_t addr, struct gi_typing **typing, struct found *f)
{
	const char *want = wanted_type(graph, addr);
	struct gi_heap *heap;
	uint64_t start, size;
	struct gi_error *err;

	f->mapping = gi_target_mapping_at(gi_go_target(go), addr);
	if (find_in_module(go, want, addr, f) || find_stack(go, addr, f))
		return NULL;
	f->place = f->mapping ? PLACE_MAPPED : PLACE_NOT_MAPPED;
	err = gi_go_heap(go, &heap);
	if (err) {
		if (gi_error_code(err) == GI_ERR_INTERRUPTED)
			return err;
		f->heap_error = "the heap cannot be read";
		gi_error_ignore(err);
		return NULL;
	}
	if (gi_heap_object_at(heap, addr, &start, &size, &f->span)) {
		f->place = PLACE_HEAP;
		err = gi_wait_typing(go, u, &addr, 1, UINT64_MAX, typing);
		if (err)
			return err;
		f->typed = gi_typing_at(*typing, addr, &f->object);
		if (f->typed)
			gi_typing_name(*typing, addr, want, &f->name);
		return NULL;
	}
	f->span = gi_heap_span_at(heap, addr);
	if (f->span)
		f->place = PLACE_HEAP_FREE;
	return NULL;
}

// --- text ---------------------------------------------------------------------------------

static void put_line(struct gi_out *out, const char *name, const struct gi_str *text)
{
	gi_out_printf(out, "  %-12s %s\n", name, gi_str_cstr(text));
}

static void put_name(struct gi_out *out, const char *label, const struct gi_str *name)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	if (!name->len)
		return;
	gi_str_put_escaped(&s, gi_str_cstr(name), name->len);
	put_line(out, label, &s);
}

static void put_reference(struct gi_out *out, struct gi_go *go, struct gi_typing *typing,
			  const struct gi_reference *r)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0}, name = {0};
	struct gi_typed holder;

	switch (r->kind) {
	case GI_REFERENCE_GLOBAL:
		gi_str_puts(&s, "global ");
		if (gi_go_name_at(go, r->at, NULL, &name))
			gi_str_put_escaped(&s, gi_str_cstr(&name), name.len);
		else
			gi_str_put_hex(&s, r->at);
		break;
	case GI_REFERENCE_STACK:
		return; // all in one line
	case GI_REFERENCE_HEAP:
		gi_str_printf(&s, "object 0x%" PRIx64 ", at offset %" PRIu64, r->holder,
			      r->at - r->holder);
		if (gi_typing_at(typing, r->holder, &holder) && holder.type.addr) {
			gi_str_puts(&s, ": ");
			put_type(go, &holder, &s);
			if (holder.path) {
				gi_str_puts(&s, ", ");
				gi_str_put_escaped(&s, holder.path, strlen(holder.path));
			}
		}
		break;
	}
	gi_out_printf(out, "    %s\n", gi_str_cstr(&s));
}

/** Goroutines whose stacks point to it, each once. */
static void put_stacks(struct gi_out *out, const struct gi_go *go, const struct gi_typed *o)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	uint32_t gs[32];
	size_t n = 0;

	for (size_t i = 0; i < o->reference_count && n < GI_ARRAY_SIZE(gs); i++) {
		const struct gi_reference *r = &o->references[i];
		if (r->kind == GI_REFERENCE_STACK && (!n || gs[n - 1] != r->g))
			gs[n++] = r->g;
	}
	if (!n)
		return;
	gi_goroutines_format(go, gs, n, &s);
	gi_out_printf(out, "    the stack%s of goroutine%s %s\n", n > 1 ? "s" : "", n > 1 ? "s" : "",
		      gi_str_cstr(&s));
}

static void put_references(struct gi_out *out, struct gi_go *go, struct gi_typing *typing,
			   const struct gi_typed *o)
{
	if (!o->reference_total && !o->runtime_total) {
		gi_out_puts(out, "  nothing points to it from globals, goroutines' stacks and the heap\n");
		return;
	}
	gi_out_printf(out, "  %zu word%s point%s to it%s\n", o->reference_total,
		      o->reference_total == 1 ? "" : "s", o->reference_total == 1 ? "s" : "",
		      o->reference_count < o->reference_total ? "; of these:"
		      : o->reference_total		     ? ":"
							     : "");
	put_stacks(out, go, o);
	for (size_t i = 0; i < o->reference_count; i++)
		put_reference(out, go, typing, &o->references[i]);
	if (o->runtime_total)
		gi_out_printf(out, "    and %zu in the runtime's own records (goroutines, queues)\n",
			      o->runtime_total);
}

/** What state a channel, a lock or a library's struct is in that nobody waits for. */
static void put_state(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
		      const struct gi_typed *o, uint64_t addr)
{
	static const struct {
		const char *type;
		enum gi_object_kind kind;
	} types[] = {
		{"sync.Mutex", GI_OBJECT_MUTEX},
		{"sync.RWMutex", GI_OBJECT_RWMUTEX},
		{"sync.WaitGroup", GI_OBJECT_WAITGROUP},
	};
	_cleanup_(gi_str_deinit) struct gi_str s = {0}, name = {0};
	struct gi_object object = {.kind = GI_OBJECT_NONE, .addr = addr};

	if (!o->type.addr || o->array || addr != o->start + o->skip)
		return;
	gi_type_name(go, &o->type, &name);
	if (o->header && o->type.kind == GI_TYPE_CHAN)
		object.kind = GI_OBJECT_CHANNEL;
	for (size_t i = 0; i < GI_ARRAY_SIZE(types) && !o->header; i++) {
		if (strcmp(gi_str_cstr(&name), types[i].type) == 0)
			object.kind = types[i].kind;
	}
	if (object.kind)
		gi_object_state_format(go, &object, &s);
	else if (!o->header)
		gi_wait_about_struct(go, u, &o->type, addr, &s);
	if (s.len && s.s[s.len - 1] == '\n')
		s.s[--s.len] = '\0';
	if (s.len)
		put_line(out, "state", &s);
}

static void put_heap(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u, const struct gi_graph *graph,
		     struct gi_typing *typing, const struct found *f, uint64_t addr)
{
	const struct gi_typed *o = &f->object;
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	size_t waited;

	gi_str_printf(&s, "0x%" PRIx64 ", %" PRIu64 " bytes%s", o->start, o->size,
		      f->span->noscan ? ", without pointers" : "");
	if (addr != o->start)
		gi_str_printf(&s, "; the address is at offset %" PRIu64, addr - o->start);
	put_line(out, "object", &s);
	gi_str_reset(&s);
	if (o->type.addr) {
		put_type(go, o, &s);
		gi_str_printf(&s, ", %s", evidence_text(o));
	} else if (put_channel_type(go, graph, o->start, &s)) {
		gi_str_puts(&s, ", by the channel itself");
	} else {
		gi_str_puts(&s, "not known: nothing whose type is known points to its start");
	}
	put_line(out, "type", &s);
	put_name(out, "name", &f->name);
	if (!graph || !gi_graph_find_object(graph, addr, &waited))
		put_state(out, go, u, o, addr);
	put_references(out, go, typing, o);
}

static void put_place(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u, const struct gi_graph *graph,
		      struct gi_typing *typing, const struct found *f, uint64_t addr)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};

	gi_out_style(out, GI_STYLE_HEAD);
	gi_out_printf(out, "0x%" PRIx64, addr);
	gi_out_style(out, GI_STYLE_NONE);
	switch (f->place) {
	case PLACE_NOT_MAPPED:
		gi_out_puts(out, ": no memory of the process\n");
		return;
	case PLACE_GLOBAL:
		gi_out_puts(out, ": a global\n");
		put_name(out, "name", &f->name);
		if (f->points_to) {
			gi_str_printf(&s, "0x%" PRIx64, f->points_to);
			put_line(out, "points to", &s);
		}
		return;
	case PLACE_CODE:
		gi_out_puts(out, ": code\n");
		put_name(out, "function", &f->name);
		return;
	case PLACE_TYPE:
		gi_out_puts(out, ": a type's descriptor\n");
		put_name(out, "type", &f->name);
		gi_out_printf(out, "  %-12s %" PRIu64 " bytes\n", "size", f->type.size);
		return;
	case PLACE_GOROUTINE_STACK:
		gi_out_printf(out, ": the stack of goroutine %" PRIu64 "%s\n", f->g->goid,
			      !f->g->thread && addr < f->g->sched_sp ? ", below what is in use" : "");
		return;
	case PLACE_SYSTEM_STACK:
		gi_out_printf(out, ": the system stack of m %" PRId64 "\n", f->m->id);
		return;
	case PLACE_HEAP_FREE:
		if (f->span->manual)
			gi_out_puts(out, ": memory of the runtime's own (a stack that is not in use, a buffer)\n");
		else
			gi_out_printf(out, ": in the heap, in no object: room for one of %" PRIu64 " bytes\n",
				      f->span->elem_size);
		return;
	case PLACE_HEAP:
		gi_out_puts(out, ": in the heap\n");
		if (f->typed)
			put_heap(out, go, u, graph, typing, f, addr);
		return;
	case PLACE_MAPPED:
		break;
	}
	if (f->mapping->path && *f->mapping->path) {
		gi_str_puts(&s, f->mapping->path);
		gi_out_puts(out, ": memory of a file, or of C\n");
		put_name(out, "file", &s);
	} else {
		gi_out_puts(out, ": memory that is not the Go heap's: the runtime's own, or of C\n");
	}
	if (f->heap_error)
		gi_out_note(out, "%s: it may be the heap", f->heap_error);
}

// --- records ------------------------------------------------------------------------------

static void json_reference(struct gi_out *out, struct gi_go *go, const struct gi_reference *r)
{
	static const char *const kinds[] = {
		[GI_REFERENCE_GLOBAL] = "global",
		[GI_REFERENCE_STACK] = "stack",
		[GI_REFERENCE_HEAP] = "heap",
	};
	_cleanup_(gi_str_deinit) struct gi_str name = {0};

	gi_json_object(out, NULL);
	gi_json_str(out, "kind", kinds[r->kind]);
	gi_json_hex(out, "at", r->at);
	if (r->kind == GI_REFERENCE_GLOBAL)
		gi_go_name_at(go, r->at, NULL, &name);
	gi_json_str(out, "name", name.len ? gi_str_cstr(&name) : NULL);
	gi_json_u64_or_null(out, "goroutine", r->kind == GI_REFERENCE_STACK,
			    r->kind == GI_REFERENCE_STACK ? gi_go_g(go, r->g)->goid : 0);
	gi_json_hex_or_null(out, "object", r->kind == GI_REFERENCE_HEAP, r->holder);
	gi_json_close(out);
}

static void put_json(struct gi_out *out, struct gi_go *go, const struct found *f, uint64_t addr)
{
	const struct gi_typed *o = &f->object;
	_cleanup_(gi_str_deinit) struct gi_str type = {0};

	gi_json_begin(out, "place");
	gi_json_hex(out, "addr", addr);
	gi_json_str(out, "in", place_name(f->place));
	gi_json_str(out, "name", f->name.len ? gi_str_cstr(&f->name) : NULL);
	gi_json_hex_or_null(out, "points_to", f->points_to, f->points_to);
	gi_json_hex_or_null(out, "object", f->typed, o->start);
	gi_json_u64_or_null(out, "size", f->typed, o->size);
	if (f->typed && o->type.addr)
		gi_type_name(go, &o->type, &type);
	gi_json_str(out, "object_type", type.len ? gi_str_cstr(&type) : NULL);
	gi_json_bool(out, "array", o->array);
	static const char *const parts[] = {
		[GI_MAP_WHOLE] = NULL,
		[GI_MAP_DIRECTORY] = "directory",
		[GI_MAP_TABLE] = "table",
		[GI_MAP_ENTRIES] = "entries",
	};
	gi_json_str(out, "map_part", parts[o->part]);
	gi_json_str(out, "evidence", evidence_names[o->how]);
	gi_json_u64_or_null(out, "goroutine", f->g, f->g ? f->g->goid : 0);
	gi_json_u64(out, "reference_count", o->reference_total);
	gi_json_array(out, "references");
	for (size_t i = 0; i < o->reference_count; i++)
		json_reference(out, go, &o->references[i]);
	gi_json_close(out);
	gi_json_end(out);
}

struct gi_error *gi_report_object(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				  struct gi_graph *graph, uint64_t addr)
{
	_cleanup_(gi_typing_destroyp) struct gi_typing *typing = NULL;
	struct found f = {0};
	size_t waited;
	struct gi_error *err = find(go, u, graph, addr, &typing, &f);

	if (!err) {
		if (gi_out_is_json(out))
			put_json(out, go, &f, addr);
		else
			put_place(out, go, u, graph, typing, &f, addr);
		if (graph && gi_graph_find_object(graph, addr, &waited))
			err = gi_report_waiters(out, go, u, graph, addr);
	}
	gi_str_deinit(&f.name);
	return err ? err : gi_out_check(out);
}

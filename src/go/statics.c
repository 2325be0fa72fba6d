// Static storage without a name of its own, and the globals that lead there.
//
// What "var db = &DB{...}" points to is laid out by the compiler, in the data of the program: no
// variable holds it, so debug information has no name for it. Its author knows it as main.db. So
// the data are searched once for words that point into the data, and these are sorted by what they
// point to. Storage is named by a word that points to it or before it, if that word's type, by
// debug information or by the interface value that it is in, says that what it points to reaches
// that far. The word itself may lie in such storage: &DB{in: &inner{}}.
//
// A name is what memory says when it is read: a pointer that was set to something else since
// names that.

#include <stdlib.h>
#include <string.h>

#include "gcore/record.h"
#include "go/go_impl.h"
#include "go/statics.h"

enum {
	CHUNK = 1 << 20,
	MAX_POINTERS = 1 << 20,
	MAX_TRIED = 64, // pointers to before an address
	MAX_STEPS = 16,
};
// Of data that is searched, and of one piece of storage.
#define MAX_DATA (UINT64_C(1) << 30)
#define MAX_REACH (UINT64_C(256) << 20)

struct pointer {
	uint64_t target, at;
	struct gi_storage to;
	char *path;    // NULL: it leads nowhere, as far as is known
	uint64_t size; // of what it points to
};

struct gi_statics {
	struct gi_go *go;
	struct pointer *p; // by target
	size_t n, cap;
	uint32_t *by_at;   // indexes
	uint32_t *queue;   // those that lead somewhere, in the order in which that was found
	size_t queued;
	struct gi_buf buf;
};

// --- pointers from data to data -----------------------------------------------------------

static bool in(struct gi_range r, uint64_t addr)
{
	return addr >= r.start && addr < r.end;
}

bool gi_go_in_data(const struct gi_go *go, uint64_t addr)
{
	for (size_t i = 0; i < go->module_count; i++) {
		const struct gi_module *m = &go->modules[i];

		if (in(m->noptrdata, addr) || in(m->data, addr) || in(m->bss, addr) ||
		    in(m->noptrbss, addr))
			return true;
	}
	return false;
}

static struct gi_error *add_words(struct gi_statics *s, uint64_t at, const uint8_t *p, size_t n)
{
	for (size_t i = 0; n - i >= 8 && s->n < MAX_POINTERS; i += 8) {
		const uint64_t v = gi_load_u64(p + i);

		if (!v || !gi_go_in_data(s->go, v))
			continue;
		struct gi_error *err = gi_grow(&s->p, &s->cap, s->n + 1, sizeof(*s->p));
		if (err)
			return err;
		s->p[s->n++] = (struct pointer){.target = v, .at = at + i};
	}
	return NULL;
}

static struct gi_error *search(struct gi_statics *s, struct gi_range r)
{
	struct gi_target *t = s->go->target;
	uint64_t at = (r.start + 7) & ~UINT64_C(7);
	const uint64_t end = r.end & ~UINT64_C(7);

	if (r.end <= r.start || r.end - r.start > MAX_DATA)
		return NULL;
	while (at < end) {
		size_t n = (size_t)gi_min_u64(end - at, CHUNK), got = n;
		const uint8_t *p;
		struct gi_error *err = gi_interrupt_check();

		if (err)
			return err;
		err = gi_go_bytes(s->go, at, n, &s->buf, &p);
		if (err) {
			gi_error_ignore(err);
			p = gi_target_view_max(t, at, n, &got);
			got = p ? got & ~(size_t)7 : 0;
		}
		err = got ? add_words(s, at, p, got) : NULL;
		if (err)
			return err;
		if (!got) // what cannot be read leads nowhere
			got = (gi_target_unreadable(t, at, n) + 7) & ~(size_t)7;
		at += got;
	}
	return NULL;
}

static int by_target(const void *a, const void *b)
{
	const struct pointer *x = a, *y = b;

	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

// --- what they lead to --------------------------------------------------------------------

/** What the interface value holds whose second word is at at; its type is appended as an assertion. */
static bool dynamic_type(struct gi_go *go, uint64_t at, struct gi_str *path, struct gi_type *ret)
{
	struct gi_type type;
	uint64_t word;

	if (!gi_target_peek_u64(go->target, at - 8, &word) ||
	    !gi_type_of_interface(go, word, &type))
		return false;
	const bool pointer = type.kind == GI_TYPE_PTR;
	*ret = type;
	if (pointer && !gi_type_elem(go, &type, ret))
		return false;
	if (type.kind == GI_TYPE_CHAN || type.kind == GI_TYPE_MAP || type.kind == GI_TYPE_FUNC)
		return false; // the word is the runtime's own record
	gi_str_puts(path, pointer ? ".(*" : ".(");
	gi_type_name(go, ret, path);
	gi_str_putc(path, ')');
	return true;
}

/** The target of a pointer that lies in from; the way from there is appended to path. */
static bool follow(struct gi_go *go, const struct gi_storage *from, struct pointer *p,
		   struct gi_str *path)
{
	const uint64_t off = p->at - from->start;
	struct gi_dwarf_pointee d = {.name = ""};
	struct gi_type_pointee t = {0};
	struct gi_dwarf_type type;
	uint64_t size, count = 1;
	bool array;

	if (from->dwarf) {
		if (!gi_dwarf_pointee_in(from->dwarf, from->by_debug, off, path, &d) || d.header)
			return false;
		array = d.array;
	} else {
		if (!gi_type_pointee(go, &from->type, off, path, &t) || t.header || t.part)
			return false;
		array = t.array;
	}
	p->to = (struct gi_storage){.start = p->target};
	if (d.dynamic || t.dynamic) {
		if (!dynamic_type(go, p->at, path, &p->to.type))
			return false;
		size = p->to.type.size;
	} else if (from->dwarf) {
		if (!d.type || !gi_dwarf_type(from->dwarf, d.type, &type))
			return false;
		p->to.dwarf = from->dwarf;
		p->to.by_debug = d.type;
		size = type.size;
	} else {
		p->to.type = t.type;
		size = t.type.size;
	}
	// A slice says how many there are.
	if (array && !gi_target_peek_u64(go->target, p->at + 8, &count))
		return false;
	p->to.elem = array ? size : 0;
	return !path->oom && !__builtin_mul_overflow(size, count, &p->size) && p->size <= MAX_REACH;
}

/** Takes note of where p leads that lies in from, whose name is in path. */
static void resolve(struct gi_statics *s, struct pointer *p, const struct gi_storage *from,
		    struct gi_str *path)
{
	// The runtime's own records lead to everything, and name nothing.
	if (p->path || strncmp(gi_str_cstr(path), "runtime.", 8) == 0 ||
	    !follow(s->go, from, p, path))
		return;
	p->path = strdup(gi_str_cstr(path));
	if (!p->path)
		return;
	s->queue[s->queued++] = (uint32_t)(p - s->p);
	// Of all that was searched, this is what a mini dump needs: the word, its type or its length.
	gi_target_record_found(s->go->target, p->at - 8, 24);
}

/** An address in what p points to; the way there is appended. */
static void storage_in(const struct pointer *p, uint64_t addr, struct gi_str *path,
		       struct gi_storage *ret)
{
	gi_str_puts(path, p->path);
	*ret = p->to;
	if (ret->elem) {
		const uint64_t i = (addr - ret->start) / ret->elem;
		gi_str_printf(path, "[%llu]", (unsigned long long)i);
		ret->start += i * ret->elem;
	}
}

static bool is_shorter(const char *a, const char *b)
{
	const size_t n = strlen(a), m = strlen(b);

	return n != m ? n < m : strcmp(a, b) < 0;
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct gi_statics *s = arg;
	const char *x = s->p[*(const uint32_t *)a].path, *y = s->p[*(const uint32_t *)b].path;

	return is_shorter(x, y) ? -1 : is_shorter(y, x);
}

static int by_place(const void *a, const void *b, void *arg)
{
	const struct gi_statics *s = arg;
	const uint64_t x = s->p[*(const uint32_t *)a].at, y = s->p[*(const uint32_t *)b].at;

	return x < y ? -1 : x > y;
}

/** The words in what p points to. */
static void resolve_in(struct gi_statics *s, const struct pointer *p, struct gi_str *path)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->p[s->by_at[mid]].at < p->target)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < s->n && s->p[s->by_at[lo]].at - p->target < p->size; lo++) {
		struct pointer *in = &s->p[s->by_at[lo]];
		struct gi_storage from;

		if (in->path)
			continue;
		gi_str_reset(path);
		storage_in(p, in->at, path, &from);
		resolve(s, in, &from, path);
	}
}

static struct gi_error *resolve_all(struct gi_statics *s)
{
	_cleanup_(gi_str_deinit) struct gi_str path = {0};
	struct gi_error *err = NULL;
	struct gi_storage from;
	size_t first = 0;

	for (size_t i = 0; i < s->n && !err; i++) {
		gi_str_reset(&path);
		if (gi_go_variable_at(s->go, s->p[i].at, &path, &from))
			resolve(s, &s->p[i], &from, &path);
		if (i % 1024 == 0)
			err = gi_interrupt_check();
	}
	for (unsigned step = 0; step < MAX_STEPS && first < s->queued && !err; step++) {
		const size_t end = s->queued;
		qsort_r(s->queue + first, end - first, sizeof(*s->queue), by_name, s);
		for (; first < end; first++)
			resolve_in(s, &s->p[s->queue[first]], &path);
		err = gi_interrupt_check();
	}
	return err;
}

static struct gi_error *make(struct gi_go *go, struct gi_statics **ret)
{
	_cleanup_(gi_statics_destroyp) struct gi_statics *s = calloc(1, sizeof(*s));
	struct gi_error *err = s ? NULL : gi_error_nomem();

	if (err)
		return err;
	s->go = go;
	gi_target_record_pause(go->target);
	for (size_t i = 0; i < go->module_count && !err; i++) {
		err = search(s, go->modules[i].data);
		if (!err)
			err = search(s, go->modules[i].bss);
	}
	gi_target_record_resume(go->target);
	s->by_at = malloc((s->n + 1) * sizeof(*s->by_at));
	s->queue = malloc((s->n + 1) * sizeof(*s->queue));
	if (!err && (!s->by_at || !s->queue))
		err = gi_error_nomem();
	if (err)
		return err;
	if (s->n)
		qsort(s->p, s->n, sizeof(*s->p), by_target);
	for (size_t i = 0; i < s->n; i++)
		s->by_at[i] = (uint32_t)i;
	qsort_r(s->by_at, s->n, sizeof(*s->by_at), by_place, s);
	err = resolve_all(s);
	if (err)
		return err;
	*ret = s;
	s = NULL;
	return NULL;
}

void gi_statics_destroy(struct gi_statics *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->p[i].path);
	free(s->p);
	free(s->by_at);
	free(s->queue);
	gi_buf_deinit(&s->buf);
	free(s);
}

bool gi_statics_find(struct gi_go *go, uint64_t addr, struct gi_str *path, struct gi_storage *ret)
{
	const struct pointer *best = NULL;
	struct gi_statics *s;

	if (!go->statics) {
		struct gi_error *err = make(go, &go->statics);
		gi_error_ignore(err);
		if (err)
			return false;
	}
	s = go->statics;
	size_t lo = 0, hi = s->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->p[mid].target <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t k = 0; k < MAX_TRIED && lo > 0; k++) {
		const struct pointer *p = &s->p[--lo];

		if (p->path && addr - p->target < p->size &&
		    (!best || is_shorter(p->path, best->path)))
			best = p;
	}
	if (!best)
		return false;
	storage_in(best, addr, path, ret);
	return !path->oom;
}

// The runtime's lists in the data of a stripped executable, by their form: a second way
// to find what witness.c reads off the code, to check that and to stand in for it where
// the code was compiled in a way that no table knows.
//
//   m0, g0   two objects in the data that point to each other, g0 with a stack
//   allgs    a slice of pointers to gs, the first being goroutine 1
//   allp     a slice of pointers to Ps, numbered from 0
//   allm     the longest list of Ms, each with a g0 that points back, that ends in m0
//
// allgptr and allglen are the pointer and the length of allgs, and are taken from there.
// Several words can hold the same list (a collection's snapshot of allgs): the longest
// one wins. Source: src/runtime/runtime2.go, proc.go, Go 1.18 to 1.27.

#include "go/go_impl.h"

#include <string.h>

enum { LOOK_AT = 32, GOID_MAIN = 1 };

struct gi_go_lists {
	uint64_t m0, g0;
	size_t pairs; // of m0 and g0 that were seen
	uint64_t allgs, allgs_len, allgs_cap;
	uint64_t allp, allp_len;
	uint64_t allm, allm_len;
};

// Reads for a check. With why, it also notes if the last one failed since the core does not
// hold that memory, which contradicts nothing.
struct look {
	struct gi_go *go;
	bool why, lost;
};

static bool read_failed(struct look *k, struct gi_error *err)
{
	k->lost = gi_go_not_in_core(err);
	gi_error_ignore(err);
	return false;
}

static bool peek_word(struct look *k, uint64_t addr, uint64_t *ret)
{
	struct gi_error *err;

	if (!k->why)
		return gi_target_peek_u64(k->go->target, addr, ret);
	err = gi_target_read_uint(k->go->target, addr, 8, ret);
	return err ? read_failed(k, err) : true;
}

static bool peek_field(struct look *k, uint64_t addr, struct gi_field f, uint64_t *ret)
{
	struct gi_error *err;

	if (!f.ok || !addr || addr % 8)
		return false;
	err = gi_target_read_uint(k->go->target, addr + f.off, f.size, ret);
	return err ? read_failed(k, err) : true;
}

// --- each form -----------------------------------------------------------------------

static bool is_pair(struct look *k, uint64_t m, uint64_t g)
{
	const struct gi_layout *l = &k->go->layout;
	uint64_t lo, hi, back, g0;

	return gi_go_in_exe(k->go, g, l->g.rec.size) && g != m && peek_field(k, m, l->m.g0, &g0) &&
	       g0 == g && peek_field(k, g, l->g.m, &back) && back == m &&
	       peek_field(k, g, l->g.stack_lo, &lo) && peek_field(k, g, l->g.stack_hi, &hi) &&
	       lo < hi;
}

static bool read_slice(struct look *k, uint64_t addr, uint64_t max, struct gi_slice *ret)
{
	return peek_word(k, addr, &ret->ptr) && ret->ptr && ret->ptr % 8 == 0 &&
	       peek_word(k, addr + 8, &ret->len) && ret->len && ret->len <= max &&
	       peek_word(k, addr + 16, &ret->cap) && ret->cap >= ret->len && ret->cap <= 2 * max;
}

// Looks like a g, and like goroutine 1 if it is the first.
static bool is_g(struct look *k, uint64_t g, bool first)
{
	const struct gi_layout *l = &k->go->layout;
	uint64_t v, lo, hi;

	return peek_field(k, g, l->g.stack_lo, &lo) && peek_field(k, g, l->g.stack_hi, &hi) &&
	       lo <= hi && peek_field(k, g, l->g.status, &v) &&
	       gi_g_base_status((uint32_t)v) <= GI_G_DEADEXTRA &&
	       (!first || (peek_field(k, g, l->g.goid, &v) && v == GOID_MAIN));
}

// The first entries, and the last: a length may be no length.
static bool is_allgs(struct look *k, uint64_t addr, struct gi_slice *ret)
{
	uint64_t n, g;

	if (!read_slice(k, addr, GI_GO_MAX_GS, ret))
		return false;
	n = gi_min_u64(ret->len, LOOK_AT);
	for (uint64_t i = 0; i < n; i++) {
		if (!peek_word(k, ret->ptr + 8 * i, &g) || !is_g(k, g, i == 0) ||
		    !peek_word(k, ret->ptr + 8 * (ret->len - 1 - i), &g) || !is_g(k, g, false))
			return false;
	}
	return true;
}

static bool is_allp(struct look *k, uint64_t addr, struct gi_slice *ret)
{
	const struct gi_layout *l = &k->go->layout;
	uint64_t p, id, status;

	if (!l->p.rec.ok || !read_slice(k, addr, GI_GO_MAX_PS, ret))
		return false;
	for (uint64_t i = 0; i < ret->len && i < LOOK_AT; i++) {
		if (!peek_word(k, ret->ptr + 8 * i, &p) || !peek_field(k, p, l->p.id, &id) ||
		    id != i || !peek_field(k, p, l->p.status, &status) || status > 4)
			return false;
	}
	return true;
}

// How many Ms the list at addr has; 0 if it is none.
static uint64_t count_ms(struct look *k, uint64_t addr)
{
	const struct gi_layout *l = &k->go->layout;
	uint64_t m, g0, back, next, n = 0;

	if (!peek_word(k, addr, &m))
		return 0;
	while (n++ < GI_GO_MAX_MS) {
		if (!peek_field(k, m, l->m.g0, &g0) || !peek_field(k, g0, l->g.m, &back) ||
		    back != m || !peek_field(k, m, l->m.alllink, &next))
			return 0;
		if (!next)
			return gi_go_in_exe(k->go, m, l->m.rec.size) ? n : 0;
		m = next;
	}
	return 0;
}

// --- looking for them ------------------------------------------------------------------

struct list_scan {
	struct gi_go *go;
	struct gi_go_lists *lists;
};

static bool see_word(void *arg, uint64_t addr, uint64_t word)
{
	struct list_scan *s = arg;
	struct gi_go_lists *x = s->lists;
	struct look k = {.go = s->go};
	struct gi_slice list;
	uint64_t n;

	// All of them start with a pointer.
	if (!word || word % 8)
		return true;
	if (is_pair(&k, addr - s->go->layout.m.g0.off, word) && !x->pairs++) {
		x->m0 = addr - s->go->layout.m.g0.off;
		x->g0 = word;
	}
	if (is_allgs(&k, addr, &list) &&
	    (list.len > x->allgs_len || (list.len == x->allgs_len && list.cap > x->allgs_cap))) {
		x->allgs = addr;
		x->allgs_len = list.len;
		x->allgs_cap = list.cap;
	}
	if (is_allp(&k, addr, &list) && list.len > x->allp_len) {
		x->allp = addr;
		x->allp_len = list.len;
	}
	n = count_ms(&k, addr);
	if (n > x->allm_len) {
		x->allm = addr;
		x->allm_len = n;
	}
	return true;
}

static struct gi_error *scan(struct gi_go *go)
{
	struct gi_go_lists *x;
	struct list_scan s = {.go = go};

	if (go->lists)
		return NULL;
	x = gi_arena_alloc(go->arena, sizeof(*x));
	if (!x)
		return gi_error_nomem();
	go->lists = s.lists = x;
	return gi_go_each_word(go, true, see_word, &s);
}

struct gi_error *gi_go_scan_global(struct gi_go *go, const char *name, uint64_t *ret)
{
	struct gi_error *err = scan(go);
	const struct gi_go_lists *x = go->lists;
	uint64_t addr = 0;

	if (err)
		return err;
	if (strcmp(name, "runtime.m0") == 0 && x->pairs == 1)
		addr = x->m0;
	else if (strcmp(name, "runtime.g0") == 0 && x->pairs == 1)
		addr = x->g0;
	else if (strcmp(name, "runtime.allgs") == 0 || strcmp(name, "runtime.allgptr") == 0)
		addr = x->allgs;
	else if (strcmp(name, "runtime.allglen") == 0 && x->allgs)
		addr = x->allgs + 8;
	else if (strcmp(name, "runtime.allp") == 0)
		addr = x->allp;
	else if (strcmp(name, "runtime.allm") == 0)
		addr = x->allm;
	if (!addr)
		return gi_error_create(GI_ERR_NOT_FOUND, "the data hold nothing like %s", name);
	*ret = addr;
	return NULL;
}

bool gi_go_global_fits(struct gi_go *go, const char *name, uint64_t addr)
{
	struct look k = {.go = go, .why = true};
	struct gi_slice list;
	bool fits = true;

	if (strcmp(name, "runtime.allgs") == 0)
		fits = is_allgs(&k, addr, &list);
	else if (strcmp(name, "runtime.allp") == 0)
		fits = is_allp(&k, addr, &list);
	else if (strcmp(name, "runtime.allm") == 0)
		fits = count_ms(&k, addr) > 0;
	return fits || k.lost;
}

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

static bool peek_field(struct gi_go *go, uint64_t addr, struct gi_field f, uint64_t *ret)
{
	struct gi_error *err;

	if (!f.ok || !addr || addr % 8)
		return false;
	err = gi_target_read_uint(go->target, addr + f.off, f.size, ret);
	if (err)
		gi_error_ignore(err);
	return !err;
}

// --- each form -----------------------------------------------------------------------

static bool is_pair(struct gi_go *go, uint64_t m, uint64_t g)
{
	const struct gi_layout *l = &go->layout;
	uint64_t lo, hi, back, g0;

	return gi_go_in_exe(go, g, l->g.rec.size) && g != m && peek_field(go, m, l->m.g0, &g0) &&
	       g0 == g && peek_field(go, g, l->g.m, &back) && back == m &&
	       peek_field(go, g, l->g.stack_lo, &lo) && peek_field(go, g, l->g.stack_hi, &hi) &&
	       lo < hi;
}

static bool read_slice(struct gi_go *go, uint64_t addr, uint64_t max, struct gi_slice *ret)
{
	return gi_target_peek_u64(go->target, addr, &ret->ptr) && ret->ptr && ret->ptr % 8 == 0 &&
	       gi_target_peek_u64(go->target, addr + 8, &ret->len) && ret->len && ret->len <= max &&
	       gi_target_peek_u64(go->target, addr + 16, &ret->cap) && ret->cap >= ret->len &&
	       ret->cap <= 2 * max;
}

// Looks like a g, and like goroutine 1 if it is the first.
static bool is_g(struct gi_go *go, uint64_t g, bool first)
{
	const struct gi_layout *l = &go->layout;
	uint64_t v, lo, hi;

	return peek_field(go, g, l->g.stack_lo, &lo) && peek_field(go, g, l->g.stack_hi, &hi) &&
	       lo <= hi && peek_field(go, g, l->g.status, &v) &&
	       gi_g_base_status((uint32_t)v) <= GI_G_DEADEXTRA &&
	       (!first || (peek_field(go, g, l->g.goid, &v) && v == GOID_MAIN));
}

// The first entries, and the last: a length may be no length.
static bool is_allgs(struct gi_go *go, uint64_t addr, struct gi_slice *ret)
{
	uint64_t n, g;

	if (!read_slice(go, addr, GI_GO_MAX_GS, ret))
		return false;
	n = gi_min_u64(ret->len, LOOK_AT);
	for (uint64_t i = 0; i < n; i++) {
		if (!gi_target_peek_u64(go->target, ret->ptr + 8 * i, &g) || !is_g(go, g, i == 0) ||
		    !gi_target_peek_u64(go->target, ret->ptr + 8 * (ret->len - 1 - i), &g) ||
		    !is_g(go, g, false))
			return false;
	}
	return true;
}

static bool is_allp(struct gi_go *go, uint64_t addr, struct gi_slice *ret)
{
	const struct gi_layout *l = &go->layout;
	uint64_t p, id, status;

	if (!l->p.rec.ok || !read_slice(go, addr, GI_GO_MAX_PS, ret))
		return false;
	for (uint64_t i = 0; i < ret->len && i < LOOK_AT; i++) {
		if (!gi_target_peek_u64(go->target, ret->ptr + 8 * i, &p) ||
		    !peek_field(go, p, l->p.id, &id) || id != i ||
		    !peek_field(go, p, l->p.status, &status) || status > 4)
			return false;
	}
	return true;
}

// How many Ms the list at addr has; 0 if it is none.
static uint64_t count_ms(struct gi_go *go, uint64_t addr)
{
	const struct gi_layout *l = &go->layout;
	uint64_t m, g0, back, next, n = 0;

	if (!gi_target_peek_u64(go->target, addr, &m))
		return 0;
	while (n++ < GI_GO_MAX_MS) {
		if (!peek_field(go, m, l->m.g0, &g0) || !peek_field(go, g0, l->g.m, &back) ||
		    back != m || !peek_field(go, m, l->m.alllink, &next))
			return 0;
		if (!next)
			return gi_go_in_exe(go, m, l->m.rec.size) ? n : 0;
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
	struct gi_slice list;
	uint64_t n;

	// All of them start with a pointer.
	if (!word || word % 8)
		return true;
	if (is_pair(s->go, addr - s->go->layout.m.g0.off, word) && !x->pairs++) {
		x->m0 = addr - s->go->layout.m.g0.off;
		x->g0 = word;
	}
	if (is_allgs(s->go, addr, &list) &&
	    (list.len > x->allgs_len || (list.len == x->allgs_len && list.cap > x->allgs_cap))) {
		x->allgs = addr;
		x->allgs_len = list.len;
		x->allgs_cap = list.cap;
	}
	if (is_allp(s->go, addr, &list) && list.len > x->allp_len) {
		x->allp = addr;
		x->allp_len = list.len;
	}
	n = count_ms(s->go, addr);
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
	struct gi_slice list;

	if (strcmp(name, "runtime.allgs") == 0)
		return is_allgs(go, addr, &list);
	if (strcmp(name, "runtime.allp") == 0)
		return is_allp(go, addr, &list);
	if (strcmp(name, "runtime.allm") == 0)
		return count_ms(go, addr) > 0;
	return true;
}

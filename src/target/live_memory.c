// The memory of a running process: copied by pages into a shadow of its address space.
//
// Each stretch of readable memory has a shadow of the same size here, reserved and empty at
// first, so that whatever lies in one piece there does so here, and a view is a pointer into it.
// A page is copied once for a snapshot: bit maps tell which are there, and which of them were
// copied while the process stood. Shadows stay from one snapshot to the next. Copying is done by
// process_vm_readv, many pages with one call; it writes nothing there. Where that call is kept from us (the
// seccomp filter of a container, a kernel built without it), /proc/PID/mem gives the same, more slowly.
//
// Read-only parts of mapped files are read from the file, as of a core.
//
// After the stop the process may end, or run another program under the same number. Its
// address space is known by /proc/PID/mem, which was opened at the start and gives nothing once
// that is gone: it is asked before anything is copied late.

#include "target/live_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

// A view is at most this long: whoever wants more reads in pieces.
#define VIEW_MAX ((uint64_t)4 << 20)
// Areas are not joined beyond this: sanitizers reserve terabytes.
#define AREA_MAX ((uint64_t)64 << 30)
// A few pages out of a large area would cost as many huge ones.
#define HUGE_MAX ((uint64_t)512 << 20)
enum {
	BITMAPS = 4,
	THREADS_MAX = 4,
	EXTENTS_PER_THREAD = 2048,
	SPARSE_MIN = 64,     // pages of which it pays to ask which there are
	PAGEMAP_STEP = 1024, // entries
};
#define SLACK ((uint64_t)64 << 20) // what an area may grow by without a new shadow

static bool bit_get(const _Atomic uint64_t *bits, uint64_t i)
{
	return atomic_load_explicit(&bits[i / 64], memory_order_acquire) >> (i % 64) & 1;
}

static void bit_clear(_Atomic uint64_t *bits, uint64_t i)
{
	atomic_fetch_and_explicit(&bits[i / 64], ~((uint64_t)1 << (i % 64)), memory_order_relaxed);
}

// What it was.
static bool bit_set(_Atomic uint64_t *bits, uint64_t i)
{
	return atomic_fetch_or_explicit(&bits[i / 64], (uint64_t)1 << (i % 64),
					memory_order_release) >> (i % 64) & 1;
}

static size_t bitmap_size(const struct live_area *a)
{
	uint64_t bytes = a->reserved / LIVE_PAGE / 8 + 1;
	return (size_t)((bytes + LIVE_PAGE - 1) / LIVE_PAGE * LIVE_PAGE);
}

// --- areas and ranges -------------------------------------------------------------

static void *reserve(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

// The shadow and its bit maps, in one piece.
static void area_free(struct live_area *a)
{
	if (a->shadow)
		munmap(a->shadow, a->reserved + BITMAPS * bitmap_size(a));
	free(a);
}

// Under the lock.
static bool area_prepare(struct live_area *a)
{
	if (a->shadow)
		return true;
	size_t bitmap = bitmap_size(a);
	uint8_t *shadow = reserve(a->reserved + BITMAPS * bitmap);
	if (!shadow)
		return false;
	a->present = (void *)(shadow + a->reserved);
	a->during = (void *)(shadow + a->reserved + bitmap);
	a->queued = (void *)(shadow + a->reserved + 2 * bitmap);
	a->filled = (void *)(shadow + a->reserved + 3 * bitmap);
	// Goroutines' stacks lie close together: in huge pages the copying waits less for our
	// own memory.
	if (a->reserved <= HUGE_MAX)
		(void)madvise(shadow, a->reserved, MADV_HUGEPAGE);
	__atomic_store_n(&a->shadow, shadow, __ATOMIC_RELEASE);
	return true;
}

static struct gi_error *area_get(struct live *l, uint64_t start, uint64_t len, bool file,
				 struct live_area **ret)
{
	for (size_t i = 0; i < l->area_count; i++) {
		struct live_area *a = l->areas[i];
		if (!a->used && a->start == start && a->file == file && a->reserved >= len) {
			a->len = len;
			a->used = true;
			*ret = a;
			return NULL;
		}
	}
	struct gi_error *err = gi_grow(&l->areas, &l->area_cap, l->area_count + 1,
				       sizeof(struct live_area *));
	if (err)
		return err;
	struct live_area *a = calloc(1, sizeof(*a));
	if (!a)
		return gi_error_nomem();
	*a = (struct live_area){
		.start = start,
		.len = len,
		.reserved = file ? len : len + SLACK,
		.file = file,
		.used = true,
	};
	l->areas[l->area_count++] = a;
	*ret = a;
	return NULL;
}

static struct gi_error *add_range(struct live *l, uint64_t start, uint64_t len,
				  const uint8_t *data)
{
	if (!len)
		return NULL;
	struct gi_error *err = gi_grow(&l->ranges, &l->range_cap, l->range_count + 1,
				       sizeof(*l->ranges));
	if (!err)
		l->ranges[l->range_count++] =
			(struct live_range){ .start = start, .len = len, .data = data };
	return err;
}

// A mapping that a file can stand for, in pieces.
static struct gi_error *add_file_mapping(struct live *l, struct gi_mapping *m,
					 const struct core_module *mod)
{
	for (uint64_t at = m->start; at < m->end;) {
		uint64_t len;
		uint32_t flags;
		const uint8_t *data = gi_core_overlay_at(&l->core, mod, m, at, &len, &flags);
		len = gi_min_u64(len, m->end - at);
		struct gi_error *err = add_range(l, at, len, data);
		if (err)
			return err;
		if (data)
			m->overlaid = true;
		at += len;
	}
	return NULL;
}

// Ranges without data get their shadows; neighbours without a file share one.
static struct gi_error *give_shadows(struct live *l)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->range_count; i++) {
		struct live_range r = l->ranges[i];
		const struct gi_mapping *m = gi_target_mapping_at(&l->core.base, r.start);
		bool file = m && m->path && m->path[0] == '/';
		while (!r.data && !file && i + 1 < l->range_count) {
			const struct live_range *next = &l->ranges[i + 1];
			const struct gi_mapping *nm =
				gi_target_mapping_at(&l->core.base, next->start);
			if (next->data || next->start != r.start + r.len ||
			    next->len > AREA_MAX - gi_min_u64(r.len, AREA_MAX) ||
			    (nm && nm->path && nm->path[0] == '/'))
				break;
			r.len += next->len;
			i++;
		}
		if (!r.data) {
			struct gi_error *err = area_get(l, r.start, r.len, file, &r.area);
			if (err)
				return err;
		}
		l->ranges[kept++] = r;
	}
	l->range_count = kept;
	return NULL;
}

struct gi_error *gi_live_make_ranges(struct live *l)
{
	struct core *c = &l->core;
	l->range_count = 0;
	for (size_t i = 0; i < c->base.mapping_count; i++) {
		struct gi_mapping *m = &c->base.mappings[i];
		size_t module = c->origins[i].module;
		const struct core_module *mod = module != SIZE_MAX ? &c->modules[module] : NULL;
		struct gi_error *err = NULL;
		m->saved = 0;
		m->overlaid = false;
		// Without access there is nothing to read; the kernel's own pages cannot be.
		if (!(m->flags & GI_MAP_R))
			continue;
		if (m->path && (strncmp(m->path, "[vvar", 5) == 0 || !strcmp(m->path, "[vsyscall]")))
			continue;
		m->saved = m->end - m->start;
		if (mod && mod->elf && !(m->flags & GI_MAP_W) && m->path && m->path[0] == '/')
			err = add_file_mapping(l, m, mod);
		else
			err = add_range(l, m->start, m->end - m->start, NULL);
		if (err)
			return err;
	}
	for (size_t i = 0; i < l->area_count; i++)
		l->areas[i]->used = false;
	struct gi_error *err = give_shadows(l);
	if (err)
		return err;
	size_t kept = 0;
	for (size_t i = 0; i < l->area_count; i++) {
		if (l->areas[i]->used)
			l->areas[kept++] = l->areas[i];
		else
			area_free(l->areas[i]);
	}
	l->area_count = kept;
	return NULL;
}

void gi_live_forget(struct live *l)
{
	for (size_t i = 0; i < l->area_count; i++) {
		struct live_area *a = l->areas[i];
		if (!a->shadow)
			continue;
		// Faster than writing zeroes where few pages of the bit map are in use.
		(void)madvise((void *)a->present, bitmap_size(a), MADV_DONTNEED);
		(void)madvise((void *)a->during, bitmap_size(a), MADV_DONTNEED);
	}
	l->pages = 0;
	l->full = false;
}

void gi_live_memory_deinit(struct live *l)
{
	for (size_t i = 0; i < l->area_count; i++)
		area_free(l->areas[i]);
	free(l->areas);
	free(l->ranges);
}

// --- copying ------------------------------------------------------------------

struct batch {
	struct live *l;
	struct iovec local[LIVE_BATCH], remote[LIVE_BATCH];
	struct live_area *areas[LIVE_BATCH];
	size_t n;
};

static void mark(struct batch *b, size_t i, uint64_t off, uint64_t len)
{
	struct live_area *a = b->areas[i];
	uint64_t at = (uint64_t)(uintptr_t)b->remote[i].iov_base - a->start + off;
	for (uint64_t p = at / LIVE_PAGE; p < (at + len) / LIVE_PAGE; p++) {
		if (b->l->standing)
			bit_set(a->during, p);
		bit_set(a->filled, p);
		bit_set(a->present, p);
	}
	atomic_fetch_add_explicit(&b->l->pages, len / LIVE_PAGE, memory_order_relaxed);
	atomic_fetch_add_explicit(&b->l->bytes, len, memory_order_relaxed);
}

ssize_t gi_live_read(struct live *l, const struct iovec *to, const struct iovec *from, size_t n)
{
	ssize_t sum = 0;
	if (!atomic_load_explicit(&l->by_file, memory_order_relaxed)) {
		sum = process_vm_readv(l->via, to, n, from, n, 0);
		if (sum >= 0 || (errno != EPERM && errno != ENOSYS) || l->mem_fd < 0)
			return sum;
		atomic_store_explicit(&l->by_file, true, memory_order_relaxed);
		sum = 0;
	}
	for (size_t i = 0; i < n; i++) {
		ssize_t got = pread(l->mem_fd, to[i].iov_base, to[i].iov_len,
				    (off_t)(uintptr_t)from[i].iov_base);
		if (got < 0)
			return sum ? sum : -1;
		sum += got;
		if ((size_t)got < to[i].iov_len)
			break;
	}
	return sum;
}

// An entry that cannot be read as a whole: what can be of it.
static void read_pages(struct batch *b, size_t i)
{
	for (size_t off = 0; off < b->remote[i].iov_len; off += LIVE_PAGE) {
		struct iovec to = {(uint8_t *)b->local[i].iov_base + off, LIVE_PAGE};
		struct iovec from = {(uint8_t *)b->remote[i].iov_base + off, LIVE_PAGE};
		ssize_t got = gi_live_read(b->l, &to, &from, 1);
		if (got == LIVE_PAGE)
			mark(b, i, off, LIVE_PAGE);
		else if (got < 0)
			b->l->read_errno = errno;
	}
}

static void batch_run(struct batch *b)
{
	for (size_t i = 0; i < b->n;) {
		ssize_t got = gi_live_read(b->l, b->local + i, b->remote + i, b->n - i);
		if (got < 0)
			b->l->read_errno = errno;
		size_t left = got > 0 ? (size_t)got : 0;
		while (i < b->n && left >= b->remote[i].iov_len) {
			left -= b->remote[i].iov_len;
			mark(b, i, 0, b->remote[i].iov_len);
			i++;
		}
		if (i < b->n)
			read_pages(b, i++);
	}
	for (size_t i = 0; i < b->n; i++) {
		uint64_t at = (uint64_t)(uintptr_t)b->remote[i].iov_base - b->areas[i]->start;
		for (uint64_t p = at / LIVE_PAGE; p < (at + b->remote[i].iov_len) / LIVE_PAGE; p++)
			bit_clear(b->areas[i]->queued, p);
	}
	b->n = 0;
}

static void batch_add(struct batch *b, struct live_area *a, uint64_t page, uint64_t count)
{
	uint8_t *local = a->shadow + page * LIVE_PAGE;
	uint8_t *remote = (uint8_t *)(uintptr_t)(a->start + page * LIVE_PAGE);
	size_t len = (size_t)(count * LIVE_PAGE);
	if (b->n) {
		size_t last = b->n - 1;
		if (b->areas[last] == a &&
		    (uint8_t *)b->remote[last].iov_base + b->remote[last].iov_len == remote) {
			b->remote[last].iov_len += len;
			b->local[last].iov_len += len;
			return;
		}
	}
	if (b->n == LIVE_BATCH)
		batch_run(b);
	b->local[b->n] = (struct iovec){local, len};
	b->remote[b->n] = (struct iovec){remote, len};
	b->areas[b->n++] = a;
}

// Pages that the process never touched are zeroes: no need to read them, and to make it have them.
// Of files they are not, and wait until somebody asks for them.
static void skip_untouched(struct live *l, struct live_area *a, uint64_t first, uint64_t last)
{
	enum { PRESENT = 63, SWAPPED = 62 };
	uint64_t entries[PAGEMAP_STEP];
	for (uint64_t p = first; p <= last && !a->file && l->pagemap_fd >= 0; p += PAGEMAP_STEP) {
		uint64_t want = gi_min_u64(PAGEMAP_STEP, last + 1 - p);
		ssize_t got = pread(l->pagemap_fd, entries, want * sizeof(entries[0]),
				    (off_t)((a->start / LIVE_PAGE + p) * sizeof(entries[0])));
		if (got < 0)
			return;
		for (uint64_t i = 0; i < (uint64_t)got / sizeof(entries[0]); i++) {
			if (entries[i] >> PRESENT & 1 || entries[i] >> SWAPPED & 1 ||
			    bit_get(a->present, p + i) || bit_set(a->queued, p + i))
				continue;
			if (bit_get(a->filled, p + i))
				memset(a->shadow + (p + i) * LIVE_PAGE, 0, LIVE_PAGE);
			if (l->standing)
				bit_set(a->during, p + i);
			bit_set(a->present, p + i);
			bit_clear(a->queued, p + i);
		}
	}
}

// Adds the missing pages of [addr, addr + len) of the area. Whoever marks a page as queued
// is the one that copies it.
static void want(void *arg, struct live_area *a, uint64_t addr, uint64_t len)
{
	struct batch *b = arg;
	struct live *l = b->l;
	if (!__atomic_load_n(&a->shadow, __ATOMIC_ACQUIRE))
		return;
	uint64_t first = (addr - a->start) / LIVE_PAGE;
	uint64_t last = (addr - a->start + len - 1) / LIVE_PAGE;
	if (last - first >= SPARSE_MIN)
		skip_untouched(l, a, first, last);
	for (uint64_t p = first; p <= last; p++) {
		if (bit_get(a->present, p))
			continue;
		if (atomic_load_explicit(&l->pages, memory_order_relaxed) >= l->max_pages) {
			l->full = true;
			return;
		}
		if (!bit_set(a->queued, p))
			batch_add(b, a, p, 1);
	}
}

static const struct live_range *range_at(const struct live *l, uint64_t addr)
{
	static _Thread_local size_t hint;
	const struct live_range *r = l->ranges;
	size_t i = hint, lo = 0, hi = l->range_count;
	if (i < hi && addr - r[i].start < r[i].len)
		return &r[i];
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (r[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || addr - r[lo - 1].start >= r[lo - 1].len)
		return NULL;
	hint = lo - 1;
	return &r[lo - 1];
}

bool gi_live_is_over(struct gi_target *t)
{
	struct live *l = live_of(t);
	uint8_t byte;
	// The end of the file: nobody uses that memory any more. What is not mapped is EIO: an executable that unpacks
	// itself (UPX) unmaps its headers.
	return l->mem_fd >= 0 && pread(l->mem_fd, &byte, 1, (off_t)l->probe) == 0;
}

// A part of a list, for a thread of its own.
struct part {
	struct live *l;
	const struct gi_extent *list;
	size_t n;
	pthread_t thread;
	bool started;
};

typedef void (*piece_fn)(void *arg, struct live_area *a, uint64_t addr, uint64_t len);

static void each_piece(const struct live *l, const struct gi_extent *list, size_t n, piece_fn fn,
		       void *arg)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t at = list[i].start, len = list[i].len;
		while (len) {
			const struct live_range *r = range_at(l, at);
			if (!r)
				break;
			uint64_t part = gi_min_u64(len, r->len - (at - r->start));
			if (r->area)
				fn(arg, r->area, at, part);
			at += part;
			len -= part;
		}
	}
}

static void prepare(void *arg, struct live_area *a, uint64_t addr, uint64_t len)
{
	(void)arg;
	(void)addr;
	(void)len;
	(void)area_prepare(a);
}

static void *fetch_part(void *arg)
{
	struct part *x = arg;
	struct batch *b = malloc(sizeof(*b));
	if (!b)
		return NULL;
	b->l = x->l;
	b->n = 0;
	each_piece(x->l, x->list, x->n, want, b);
	batch_run(b);
	free(b);
	return NULL;
}

// Copying is bound by the memory: a few threads are faster than one, many are not.
static void fetch_all(struct live *l, const struct gi_extent *list, size_t n)
{
	struct part parts[THREADS_MAX];
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t count = n < EXTENTS_PER_THREAD || processors < 2 ? 1 :
		       gi_min_u64(THREADS_MAX, (uint64_t)processors);
	for (size_t i = 0; i < count; i++) {
		size_t from = n * i / count;
		parts[i] = (struct part){ .l = l, .list = list + from, .n = n * (i + 1) / count - from };
		parts[i].started = i + 1 < count &&
				   pthread_create(&parts[i].thread, NULL, fetch_part, &parts[i]) == 0;
		if (!parts[i].started)
			(void)fetch_part(&parts[i]);
	}
	for (size_t i = 0; i < count; i++) {
		if (parts[i].started)
			pthread_join(parts[i].thread, NULL);
	}
}

void gi_live_fetch(struct gi_target *t, const struct gi_extent *list, size_t n)
{
	struct live *l = live_of(t);
	pthread_mutex_lock(&l->lock);
	each_piece(l, list, n, prepare, NULL);
	if (n && (l->standing || (!l->stop.detached && !gi_live_is_over(t))))
		fetch_all(l, list, n);
	pthread_mutex_unlock(&l->lock);
}

const void *gi_live_view(struct gi_target *t, uint64_t addr, size_t max, size_t *n_ret,
			 enum gi_error_code *why_ret)
{
	struct live *l = live_of(t);
	const struct live_range *r = range_at(l, addr);
	if (!r) {
		*why_ret = GI_ERR_FAULT;
		return NULL;
	}
	uint64_t delta = addr - r->start;
	uint64_t n = gi_min_u64(max, r->len - delta);
	if (r->data) {
		*n_ret = n;
		return r->data + delta;
	}
	struct live_area *a = r->area;
	if (!n)
		n = 1;
	n = gi_min_u64(n, VIEW_MAX);
	uint64_t off = addr - a->start, first = off / LIVE_PAGE, last = (off + n - 1) / LIVE_PAGE;
	uint64_t p = first;
	bool ready = __atomic_load_n(&a->shadow, __ATOMIC_ACQUIRE);
	while (ready && p <= last && bit_get(a->present, p))
		p++;
	if (p <= last) {
		gi_live_fetch(t, &(struct gi_extent){addr, n}, 1);
		ready = __atomic_load_n(&a->shadow, __ATOMIC_ACQUIRE);
		while (ready && p <= last && bit_get(a->present, p))
			p++;
	}
	if (p == first) {
		*why_ret = l->full ? GI_ERR_NOT_SAVED : GI_ERR_FAULT;
		return NULL;
	}
	if (p <= last)
		n = p * LIVE_PAGE - off;
	// Late once is late: no need to look at the other pages.
	if (!l->standing && !atomic_load_explicit(&t->late, memory_order_relaxed)) {
		for (uint64_t k = first; k < p; k++) {
			if (!bit_get(a->during, k)) {
				atomic_store_explicit(&t->late, true, memory_order_relaxed);
				break;
			}
		}
	}
	*n_ret = gi_min_u64(max, n);
	return a->shadow + off;
}

uint64_t gi_live_room(struct gi_target *t)
{
	const struct live *l = live_of(t);
	return l->max_pages > UINT64_MAX / LIVE_PAGE ? UINT64_MAX : l->max_pages * LIVE_PAGE;
}

struct gi_error *gi_live_read_now(struct gi_target *t, uint64_t addr, uint8_t *buf, size_t n)
{
	struct live *l = live_of(t);
	for (size_t done = 0; done < n;) {
		struct iovec to = { buf + done, n - done };
		struct iovec from = { (void *)(uintptr_t)(addr + done), n - done };
		ssize_t got = process_vm_readv(l->via, &to, 1, &from, 1, 0);
		if (got > 0) {
			done += (size_t)got;
			continue;
		}
		if (got < 0 && errno == EINTR)
			continue;
		if (gi_live_is_over(t))
			return gi_error_create(GI_ERR_NOT_FOUND, "process %d ended while it was read", (int)l->pid);
		size_t left = LIVE_PAGE - (addr + done) % LIVE_PAGE;
		left = gi_min_u64(left, n - done);
		memset(buf + done, 0, left);
		done += left;
	}
	return NULL;
}

bool gi_live_is_late(struct gi_target *t, uint64_t addr, uint64_t *len)
{
	const struct live *l = live_of(t);
	const struct live_range *r = range_at(l, addr);
	if (!r || r->data || !__atomic_load_n(&r->area->shadow, __ATOMIC_ACQUIRE))
		return false;
	*len = gi_min_u64(*len, r->len - (addr - r->start));
	const struct live_area *a = r->area;
	uint64_t off = addr - a->start, p = off / LIVE_PAGE;
	bool late = !bit_get(a->during, p);
	while (++p * LIVE_PAGE < off + *len) {
		if (late == bit_get(a->during, p))
			*len = p * LIVE_PAGE - off;
	}
	return late;
}

struct gi_error *gi_live_explain(struct gi_target *t, uint64_t addr, enum gi_error_code why)
{
	struct live *l = live_of(t);
	unsigned long long a = addr;
	const struct gi_mapping *m = gi_target_mapping_at(t, addr);
	if (why == GI_ERR_NOT_SAVED)
		return gi_error_at(why, addr,
				   "memory at 0x%llx is not read: copies of the process's memory "
				   "fill half of what this machine has free already",
				   a);
	if (!m)
		return gi_error_at(why, addr, "memory at 0x%llx is not mapped", a);
	if (gi_live_is_over(t))
		return gi_error_at(GI_ERR_NOT_SAVED, addr,
				   "memory at 0x%llx was not copied before the process ended or "
				   "ran another program",
				   a);
	if (l->stop.detached)
		return gi_error_at(GI_ERR_NOT_SAVED, addr,
				   "memory at 0x%llx was not copied before the process was detached from", a);
	if (!(m->flags & GI_MAP_R))
		return gi_error_at(why, addr, "memory at 0x%llx is mapped without access", a);
	return gi_error_at(why, addr, "memory at 0x%llx cannot be read now", a);
}

// Threads' descriptors in the C library: which id each has.
//
// A lock of the C library names its owner by the id that the kernel gave the thread inside of the
// process's PID namespace. Each thread keeps its own in its descriptor, at a fixed distance from
// the thread pointer. That distance is the library's and the processor's affair: glibc on amd64 has
// it at 0x2d0 behind the thread pointer, musl at 0x30; on arm64 the descriptor ends at the thread
// pointer and has a size that depends on the version. What the Go runtime noted in m.procid is the
// same number, so each distance can be tried on the threads that have an M.
//
// qemu's cores hold no thread pointers. There the program tells which library it is, by its interpreter
// or the functions linked in, and threads go by the ids that the core has. Sources: glibc
// nptl/descr.h (2.17 to 2.42), musl src/internal/pthread_impl.h (1.1.24 to 1.2.5).

#include "wait/pthread.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

enum {
	GLIBC_AMD64_TID = 0x2d0,
	MUSL_AMD64_TID = 0x30,
	GLIBC_ARM64_TID = 0xd0, // in the descriptor
	BELOW = 0x1000,		// where the search begins
	MUSL_SIZE_MAX = 0x200,	// of a descriptor; glibc's are larger
};

static uint64_t thread_pointer(const struct gi_pthreads *p, size_t thread)
{
	const struct gi_regs *r = &gi_target_thread(p->t, thread)->regs;
	const unsigned tls = gi_target_machine(p->t)->tls;

	return gi_regs_has(r, tls) ? r->r[tls] : 0;
}

static bool read_tid(const struct gi_pthreads *p, size_t thread, int64_t off, uint64_t *ret)
{
	const uint64_t tp = thread_pointer(p, thread);
	const uint8_t *view;

	if (!tp)
		return false;
	view = gi_target_view(p->t, tp + (uint64_t)off, 4);
	if (!view)
		return false;
	*ret = gi_load_u32(view);
	return true;
}

/** Do the threads have the id there that their M noted? One of many may be damaged. */
static bool fits(const struct gi_pthreads *p, int64_t off)
{
	enum { DAMAGED = 8 };
	size_t found = 0, others = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct gi_m *m = gi_go_m_by_thread(p->go, i);
		uint64_t tid;

		if (!m || !m->procid || !read_tid(p, i, off, &tid))
			continue;
		if (tid == m->procid)
			found++;
		else
			others++;
	}
	return found > others * DAMAGED;
}

static bool try_at(struct gi_pthreads *p, int64_t off, enum gi_c_library library)
{
	if (!fits(p, off))
		return false;
	p->tid_off = off;
	p->library = library;
	return true;
}

static bool has_thread_pointers(const struct gi_pthreads *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (thread_pointer(p, i))
			return true;
	return false;
}

static enum gi_c_library library_of_program(struct gi_elf *exe)
{
	enum { NAME_MAX_LEN = 4096 };
	struct gi_elf_symbol sym;
	size_t size;
	const uint8_t *bytes = gi_elf_bytes(exe, &size);

	for (size_t i = 0; i < gi_elf_segment_count(exe); i++) {
		const struct gi_elf_segment seg = gi_elf_segment(exe, i);
		if (seg.type != PT_INTERP || seg.filesz > NAME_MAX_LEN ||
		    !gi_in_bounds(seg.offset, seg.filesz, size))
			continue;
		if (memmem(bytes + seg.offset, seg.filesz, "/ld-linux", 9))
			return GI_C_LIBRARY_GLIBC;
		if (memmem(bytes + seg.offset, seg.filesz, "/ld-musl", 8))
			return GI_C_LIBRARY_MUSL;
		return GI_C_LIBRARY_UNKNOWN;
	}
	if (gi_elf_symbol_by_name(exe, "__libc_setup_tls", &sym))
		return GI_C_LIBRARY_GLIBC;
	if (gi_elf_symbol_by_name(exe, "__init_tp", &sym))
		return GI_C_LIBRARY_MUSL;
	return GI_C_LIBRARY_UNKNOWN;
}

static void find_layout(struct gi_pthreads *p)
{
	if (!has_thread_pointers(p)) {
		struct gi_elf *exe = gi_target_exe(p->t);
		p->library = exe ? library_of_program(exe) : GI_C_LIBRARY_UNKNOWN;
		return;
	}
	if (gi_target_arch(p->t) == GI_ARCH_AMD64) {
		if (!try_at(p, GLIBC_AMD64_TID, GI_C_LIBRARY_GLIBC))
			try_at(p, MUSL_AMD64_TID, GI_C_LIBRARY_MUSL);
		p->descriptor_off = 0;
		return;
	}
	for (int64_t off = -BELOW; off < 0 && !p->library; off += 4)
		try_at(p, off, off < -MUSL_SIZE_MAX ? GI_C_LIBRARY_GLIBC : GI_C_LIBRARY_MUSL);
	if (p->library == GI_C_LIBRARY_GLIBC)
		p->descriptor_off = p->tid_off - GLIBC_ARM64_TID;
}

uint64_t gi_pthreads_descriptor(const struct gi_pthreads *p, size_t thread)
{
	const uint64_t tp = thread_pointer(p, thread);

	return p->library && tp ? tp + (uint64_t)p->descriptor_off : 0;
}

uint64_t gi_pthreads_join_word(const struct gi_pthreads *p, size_t thread)
{
	const uint64_t tp = thread_pointer(p, thread);

	// musl's detach_state is behind the id and errno.
	return p->library && tp
		       ? tp + (uint64_t)p->tid_off + (p->library == GI_C_LIBRARY_MUSL ? 8 : 0)
		       : 0;
}

static struct gi_error *read_tids(struct gi_pthreads *p)
{
	struct gi_error *err = NULL;

	for (size_t i = 0; i < p->n && !err; i++) {
		const struct gi_m *m = gi_go_m_by_thread(p->go, i);
		uint64_t tid = 0;

		if (p->library)
			read_tid(p, i, p->tid_off, &tid);
		if (!tid)
			tid = m && m->procid ? m->procid : (uint64_t)gi_target_thread(p->t, i)->tid;
		p->tids[i] = tid;
		err = gi_map_put(&p->by_tid, tid, i);
	}
	return err;
}

struct gi_error *gi_pthreads_create(struct gi_go *go, struct gi_pthreads **ret)
{
	_cleanup_(gi_pthreads_destroyp) struct gi_pthreads *p = calloc(1, sizeof(*p));
	struct gi_error *err;

	if (!p)
		return gi_error_nomem();
	p->go = go;
	p->t = gi_go_target(go);
	p->n = gi_target_thread_count(p->t);
	p->tids = calloc(p->n + 1, sizeof(*p->tids));
	if (!p->tids)
		return gi_error_nomem();
	if (gi_go_sched(go)->iscgo)
		find_layout(p);
	err = read_tids(p);
	if (err)
		return err;
	*ret = p;
	p = NULL;
	return NULL;
}

void gi_pthreads_destroy(struct gi_pthreads *p)
{
	if (!p)
		return;
	gi_map_deinit(&p->by_tid);
	free(p->tids);
	free(p);
}

enum gi_c_library gi_pthreads_library(const struct gi_pthreads *p)
{
	return p->library;
}

uint64_t gi_pthreads_tid(const struct gi_pthreads *p, size_t thread)
{
	return thread < p->n ? p->tids[thread] : 0;
}

bool gi_pthreads_by_tid(const struct gi_pthreads *p, uint64_t tid, size_t *ret)
{
	uint64_t at;

	if (!tid || !gi_map_get(&p->by_tid, tid, &at))
		return false;
	*ret = (size_t)at;
	return true;
}

const struct gi_g *gi_thread_goroutine(struct gi_go *go, size_t thread)
{
	const struct gi_m *m = gi_go_m_by_thread(go, thread);
	const struct gi_g *g;

	if (!m)
		return NULL;
	// A callback's goroutine is tied to the thread, and leaves it only to sleep.
	g = gi_go_g_by_addr(go, m->curg ? m->curg : m->lockedg);
	if (!g || g->unreadable || gi_g_is_dead(g))
		return NULL;
	// An M that was borrowed to handle a signal in a thread of C runs nothing.
	if (gi_m_is_extra(go, m) && !m->incgo && !m->ncgo && (g->status & ~(uint32_t)GI_G_SCAN) == GI_G_SYSCALL)
		return NULL;
	return g;
}

void gi_thread_format(struct gi_go *go, size_t thread, struct gi_str *ret)
{
	const struct gi_g *g = gi_thread_goroutine(go, thread);

	gi_str_printf(ret, "thread %d", (int)gi_target_thread(gi_go_target(go), thread)->tid);
	if (g)
		gi_str_printf(ret, " (goroutine %llu)", (unsigned long long)g->goid);
}

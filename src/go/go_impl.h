// Inside of src/go.
#ifndef GCORE_GO_IMPL_H
#define GCORE_GO_IMPL_H

#include <pthread.h>

#include "gcore/base.h"
#include "gcore/go.h"
#include "gcore/heap.h"
#include "go/layout.h"
#include "go/layout_table.h"

// Bounds of loops over target data: far above of what a process can have, low enough that
// damaged data ends soon.
enum {
	GI_GO_MAX_MODULES = 4096,
	GI_GO_MAX_MS = 1 << 20,
	GI_GO_MAX_PS = 1 << 16,
	GI_GO_MAX_WAIT_REASONS = 255,
	GI_GO_MAX_LABELS = 1 << 16,
};
// Entries of allgs, so that indexes fit into 32 bits: with 2 KB of stack each, 8 TB.
#define GI_GO_MAX_GS (UINT64_C(1) << 31)

/** A hash index of gs by a member: slots hold 1 + index into gi_go.gs, 0 if free. */
struct gi_g_index {
	uint32_t *slots;
	size_t mask;
};

/** What the name of a start function says, cached by its pc. */
enum gi_start_kind {
	GI_START_USER,
	GI_START_SYSTEM,
	GI_START_FINALIZERS, // the goroutine of finalizers: a user's while it runs one
	GI_START_CLEANUPS,   // likewise for cleanups, told by a flag of the g
};

/** Debug information of another file than that of the runtime: a plugin. */
struct gi_go_file {
	struct gi_elf *elf;	// where it is; borrowed
	struct gi_dwarf *dwarf; // NULL: there is none
};

struct gi_go {
	struct gi_target *target;
	struct gi_dwarf *dwarf;
	struct gi_go_file *files; // made on first use
	size_t file_count, file_cap;
	struct gi_functab *functab;
	struct gi_arena *arena;
	struct gi_layout layout;
	struct gi_layout_table table;	// no entries: layouts are from DWARF
	struct gi_witnesses *witnesses; // of a stripped program, else NULL
	struct gi_go_lists *lists;	// what scan_lists.c found, NULL: not needed
	struct gi_go_version version;
	bool version_known;

	struct gi_module *modules;
	size_t module_count, module_cap;

	struct gi_g *gs;
	size_t g_count, g_cap;
	bool g_lost;	     // some goroutines could not be read
	bool m_lost, p_lost; // the core does not hold all Ms, all Ps
	struct gi_g_index g_by_id, g_by_addr;
	struct gi_map start_kinds;
	bool finalizer_runs; // user code is called by the finalizer goroutine

	// Stacks sorted by their low end: made on first use, under the lock.
	pthread_mutex_t stacks_lock;
	pthread_mutex_t c_lines_lock;
	struct gi_c_lines *c_lines; // see c_line.c; NULL: none yet
	uint32_t *stacks;
	size_t stack_count;
	bool stacks_made;

	const char **wait_reasons;   // NULL: unreadable
	const uint8_t *wait_durable; // one byte for each wait reason, or NULL
	size_t wait_reason_count, wait_durable_count;

	struct gi_m *ms;
	size_t m_count, m_cap;
	struct gi_map m_by_addr;
	uint32_t *m_of_thread; // 1 + index into ms, for each thread of the target

	struct gi_p *ps;
	size_t p_count, p_cap;

	struct gi_sched sched;
	uint64_t goidgen;
	uint64_t now; // the newest time that was seen

	struct gi_heap *heap; // NULL until it is asked for
	struct gi_statics *statics; // the same

	char **notes;
	size_t note_count, note_cap;
	size_t prepared_notes; // of gi_go_prepare()
};

/** Adds a note, unless the same one is there already. */
void gi_go_add_note(struct gi_go *go, const char *fmt, ...) GI_PRINTF(2, 3);

// --- reading ------------------------------------------------------------------

/** Bytes for structs that lie in no single piece of the target's memory. */
struct gi_buf {
	uint8_t *p;
	size_t cap;
};
static inline void gi_buf_deinit(struct gi_buf *b)
{
	gi_freep(&b->p);
}
/**
 * n bytes at addr: a view if there is one, else a copy in buf; valid until the next call
 * with the same buf.
 */
struct gi_error *gi_go_bytes(struct gi_go *go, uint64_t addr, size_t n, struct gi_buf *buf,
			     const uint8_t **ret) GI_MUST_CHECK;
/** A slice or string header (Go's ABI: pointer, length, capacity). */
struct gi_slice gi_go_slice(const uint8_t *rec, struct gi_field f);
/** A number of 1, 2, 4 or 8 bytes; false if there is no such global or it is unreadable.
 */
bool gi_go_global_uint(struct gi_go *go, const struct gi_global *g, uint64_t *ret);
/** A slice header that is a global. */
struct gi_error *gi_go_global_slice(struct gi_go *go, const struct gi_global *g,
				    struct gi_slice *ret) GI_MUST_CHECK;

// --- parts of gi_go_open --------------------------------------------------------

/** Release, layout, globals, modules, function tables: by DWARF or by a table. */
struct gi_error *gi_go_resolve(struct gi_go *go) GI_MUST_CHECK;
/** A global's run-time address, by its linker name; arg is a gi_go. */
struct gi_error *gi_go_find_global(void *arg, const char *name,
				   struct gi_global *ret) GI_MUST_CHECK;
/** The build version, alone: the layout's alternatives depend on it. */
void gi_go_load_version(struct gi_go *go, const struct gi_global *g);
void gi_go_load_version_from_build_info(struct gi_go *go);
bool gi_go_parse_version(const char *text, struct gi_go_version *v);
/** Modules and their function tables. */
struct gi_error *gi_go_load_tables(struct gi_go *go) GI_MUST_CHECK;
/** Decodes and checks one module. */
struct gi_error *gi_go_read_module(struct gi_go *go, uint64_t addr, struct gi_module *ret,
				   uint64_t *next_ret) GI_MUST_CHECK;
struct gi_error *gi_go_load_modules(struct gi_go *go) GI_MUST_CHECK;
struct gi_error *gi_go_load_gs(struct gi_go *go) GI_MUST_CHECK;
struct gi_error *gi_go_load_ms(struct gi_go *go) GI_MUST_CHECK;
struct gi_error *gi_go_load_ps(struct gi_go *go) GI_MUST_CHECK;
void gi_go_load_sched(struct gi_go *go);
struct gi_error *gi_go_load_wait_reasons(struct gi_go *go) GI_MUST_CHECK;
/** Threads to Ms, and goroutines to threads; needs all Gs and Ms. */
struct gi_error *gi_go_match_threads(struct gi_go *go) GI_MUST_CHECK;
/** Where g may lie, relative to the thread pointer, the likeliest first; returns how many. */
enum { GI_TLS_MAX_PLACES = 1024 };
size_t gi_go_tls_places(struct gi_go *go, uint64_t *ret, size_t max);
/** Evidence of "now" that lies outside of the structs that are read anyway; needs all of
 * them. */
void gi_go_find_now(struct gi_go *go);

/** Before anything is read: runtime.m0 and runtime.g0 point to each other. */
struct gi_error *gi_go_check_static(struct gi_go *go) GI_MUST_CHECK;
/** After all is read: what must hold for a layout to be believed. */
struct gi_error *gi_go_check_live(struct gi_go *go) GI_MUST_CHECK;
/**
 * A stripped program: do the data have what its table says? Of another release's table
 * GI_ERR_MISMATCH if not; of its own a note is made.
 */
struct gi_error *gi_go_check_fit(struct gi_go *go) GI_MUST_CHECK;
bool gi_go_has_foreign_table(const struct gi_go *go);

/** Does err say that the memory is the process's, but not in the core? */
static inline bool gi_go_not_in_core(const struct gi_error *err)
{
	enum gi_error_code code = gi_error_code(err);

	return code == GI_ERR_CUT_OFF || code == GI_ERR_NOT_SAVED;
}

/** What to say of a table that does not fit, and what to do. Takes err. */
struct gi_error *gi_go_misfit(struct gi_go *go, struct gi_error *err) GI_MUST_CHECK;

// --- stripped programs ------------------------------------------------------------

/** runtime.firstmoduledata of the executable, by its form; needs the layout of it. */
struct gi_error *gi_go_scan_module(struct gi_go *go, struct gi_global *ret) GI_MUST_CHECK;
/** String headers in the executable's data that may be runtime.buildVersion. */
size_t gi_go_scan_versions(struct gi_go *go, struct gi_global *ret, size_t max);
/** A string header in the data that is the known version. */
bool gi_go_scan_build_version(struct gi_go *go, struct gi_global *ret);

/**
 * The 8-byte words at multiples of 8 in the executable's writable data, with what the file
 * does not initialise (bss) or without; what cannot be read is left out. Stops at false.
 */
typedef bool (*gi_word_fn)(void *arg, uint64_t addr, uint64_t word);
struct gi_error *gi_go_each_word(struct gi_go *go, bool bss, gi_word_fn fn,
				 void *arg) GI_MUST_CHECK;
/** A P's heap of timers, as its record says: unchecked; empty if the release's is not known. */
struct gi_timer_heap {
	uint64_t ptr, len, cap;
	uint64_t stride, off; // of entries, and of the pointer to the timer in each
};
struct gi_timer_heap gi_go_timer_heap(const struct gi_go *go, const uint8_t *p_rec);
/** The address of the i-th timer; false if it is unreadable. */
bool gi_go_timer_at(struct gi_go *go, const struct gi_timer_heap *heap, uint64_t i, uint64_t *ret);

/** Does [addr, addr + n) lie in what the executable maps? */
bool gi_go_in_exe(struct gi_go *go, uint64_t addr, uint64_t n);

/**
 * runtime.m0, g0, allgs, allglen, allgptr, allp and allm by their form: an address where
 * the same value stands. GI_ERR_NOT_FOUND for others.
 */
struct gi_error *gi_go_scan_global(struct gi_go *go, const char *name, uint64_t *ret) GI_MUST_CHECK;
/** Does it have the form, as far as name has one? */
bool gi_go_global_fits(struct gi_go *go, const char *name, uint64_t addr);

/** What the code of known functions says of globals' addresses. */
struct gi_witnesses;
/** By go->table and go->functab. */
struct gi_error *gi_witnesses_create(struct gi_go *go, struct gi_witnesses **ret) GI_MUST_CHECK;
void gi_witnesses_destroy(struct gi_witnesses *w);
/** GI_ERR_NOT_FOUND if no function tells, or they do not agree. w may be NULL. */
struct gi_error *gi_witness_global(const struct gi_witnesses *w, const char *name,
				   struct gi_global *ret) GI_MUST_CHECK;

void gi_heap_destroy(struct gi_heap *heap);

/** Everything of a g but ->system, ->thread, ->m_index. */
void gi_go_decode_g(const struct gi_go *go, const uint8_t *rec, uint64_t addr, struct gi_g *ret);

/** A reading of nanotime() by the process: "now" is later. What cannot be a time is
 * ignored. */
static inline void gi_go_saw_time(struct gi_go *go, uint64_t t)
{
	const uint64_t max = UINT64_C(1) << 60; // 36 years after boot

	if (t > go->now && t < max)
		go->now = t;
}

/** A status without its scan bit. */
static inline uint32_t gi_g_base_status(uint32_t status)
{
	return status & ~(uint32_t)GI_G_SCAN;
}

// --- lines of C code: c_line.c

struct gi_c_lines;
void gi_go_c_lines_destroy(struct gi_c_lines *c);

#endif

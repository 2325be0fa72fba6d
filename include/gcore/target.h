// The target: a process's memory, threads, registers and mappings, of a core, a
// live process (gcore/live.h) or a test's fake.
#ifndef GCORE_TARGET_H
#define GCORE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gcore/arch.h"
#include "gcore/base.h"
#include "gcore/elf.h"
#include "gcore/error.h"

struct gi_target;

struct gi_thread {
	pid_t tid;
	struct gi_regs regs;
	int signal;		// current signal, 0 if none
	const uint8_t *prstatus; // borrowed raw NT_PRSTATUS, NULL if there is none
	size_t prstatus_len;
	const uint8_t *siginfo; // borrowed raw siginfo_t, NULL if not saved
	size_t siginfo_len;
	const uint8_t *xstate; // borrowed raw NT_X86_XSTATE, NULL if not saved
	size_t xstate_len;
	const uint8_t *fpregs; // borrowed raw NT_FPREGSET (amd64: an fxsave area), NULL if not saved
	size_t fpregs_len;
};

enum { GI_MAP_R = 4, GI_MAP_W = 2, GI_MAP_X = 1 };
struct gi_mapping {
	uint64_t start, end; // [start, end)
	uint64_t file_off;   // of start in path
	unsigned flags;	     // GI_MAP_*
	const char *path;    // borrowed; NULL: anonymous or unknown; or "[stack]", "[vdso]",
			     // "[vsyscall]". As the core says it: escape it before printing
	uint64_t saved;	     // bytes from start that the core holds (a prefix)
	bool shared;	     // a live process's MAP_SHARED
	bool overlaid;	     // what is not saved is read from the file on disk
};

/**
 * What is known of the process as a whole. Strings are borrowed; NULL/0 if unknown. Those
 * that the core says (comm, args, exe_name) are raw: escape them before printing.
 */
struct gi_process_info {
	pid_t pid, ppid;
	uid_t uid;
	const char *comm; // prpsinfo
	const char *args; // prpsinfo's command line (cut at 80 bytes by the kernel)
	const char *core_path;
	const char *exe_path; // of the executable that is used
	const char *exe_name; // as the process knew it (AT_EXECFN, NT_FILE)
	int signal;	      // that ended it, 0 if none (gcore)
	int signal_code; // siginfo's si_code
	bool has_fault_addr;
	uint64_t fault_addr;
	pid_t sender;	  // its pid, for SI_USER and the like
	uint64_t entry;	  // AT_ENTRY
	uint64_t phdr;	  // AT_PHDR
	uint64_t base;	  // AT_BASE
	uint64_t vdso;	  // AT_SYSINFO_EHDR
	uint64_t page_size;
	bool by_kernel; // a kernel core, as far as can be told; else gdb's or another tool's
	bool live;	// a running process: core_path is NULL
	uint64_t monotonic_ns; // CLOCK_MONOTONIC at the snapshot, of a live process or in our dump of one; else 0
	bool mini;	// a mini dump: what was not needed for its goroutines was left out
	bool never_stopped; // the process ran while it was read (--no-stop), or while what this is a dump of was
	bool late_verdicts; // of a mini dump: who can reach what was worked out from memory read after the stop
	uint64_t late_bytes; // of a mini dump: read after the stop,
	uint64_t late_after; // which took so many ns
	const uint8_t *auxv; // the raw auxiliary vector, NULL if unknown
	size_t auxv_len;
};

struct gi_target_options {
	const char *exe;       // --exe, or NULL to look for it
	const char *sysroot;   // or NULL
	const char *const *debug_dirs; // folders of separate debug files, before /usr/lib/debug
	size_t debug_dir_count;
	struct gi_elf_unpacking unpacking; // of a compressed core or executable
	bool debuginfod; // fetch what is missing from the servers of $DEBUGINFOD_URLS
	struct gi_debuginfod_options fetching;
	bool no_stop; // of a live process: never stop it
};

/**
 * Opens a core file and its executable; either may be compressed. Errors name the file and what to do:
 * GI_ERR_IO, GI_ERR_FORMAT (not a core, damaged), GI_ERR_UNSUPPORTED (machine),
 * GI_ERR_NOT_FOUND (no executable; says where it was looked for),
 * GI_ERR_MISMATCH (another executable; both build IDs).
 */
struct gi_error *gi_target_open_core(const char *path, const struct gi_target_options *opts,
				     struct gi_target **ret) GI_MUST_CHECK;
void gi_target_close(struct gi_target *t);
GI_DEFINE_CLEANUP(struct gi_target *, gi_target_closep, gi_target_close)

enum gi_arch gi_target_arch(const struct gi_target *t);
/** What there is to know of its architecture. */
const struct gi_machine *gi_target_machine(const struct gi_target *t);
const struct gi_process_info *gi_target_info(const struct gi_target *t);
/** Things a person should know of this target ("the core is cut off: ..."), one line each; borrowed. */
size_t gi_target_note_count(const struct gi_target *t);
const char *gi_target_note(const struct gi_target *t, size_t i);

/** GI_ERR_IO if the core, the executable or a library was written to since it was opened. */
struct gi_error *gi_target_check_unchanged(struct gi_target *t) GI_MUST_CHECK;

/**
 * The executable, and what to add to its link-time addresses. Never NULL for a core. Where the
 * Go runtime is not in the process's executable but in a library of it, that library.
 */
struct gi_elf *gi_target_exe(struct gi_target *t);
uint64_t gi_target_exe_bias(const struct gi_target *t);
/**
 * Further files of the process with Go runtimes of their own (several c-shared libraries); as
 * options.exe one of these paths gives a target of that runtime. Borrowed.
 */
size_t gi_target_other_runtime_count(const struct gi_target *t);
const char *gi_target_other_runtime(const struct gi_target *t, size_t i);
/** Where debug information is read from: the executable or its separate debug file. */
struct gi_elf *gi_target_debug_elf(struct gi_target *t);

/**
 * The symbol that holds addr, from whatever has symbols of the file that is mapped there: its
 * own table, its debug file, its mini debug information. *bias_ret is to be added to the
 * symbol's value. Thread-safe.
 */
bool gi_target_symbol_at(struct gi_target *t, uint64_t addr, struct gi_elf_symbol *ret,
			 uint64_t *bias_ret);

/** An ELF file that the process had mapped, and what is used of it here. Strings are borrowed. */
struct gi_target_file {
	const char *name;	 // as the process had it, raw: escape it; NULL if unknown
	uint64_t start;		 // where it was mapped, 0 if unknown
	bool executable;	 // the file that the goroutines are read by
	struct gi_build_id id;	 // in the core; len 0: the core does not tell
	const char *go_id;	 // the same, Go's own; "" if none
	const char *path;	 // the file that is used, NULL: none
	const char *why;	 // why none
	const char *debug_path;	 // its separate debug file, NULL: none
	const char *debug_how;	 // how that was found, or why there is none; NULL: it needs none
	const char *alt_path;	 // the common file (of dwz) of the debug information, or NULL
	bool mini;		 // it has mini debug information
	bool split;		 // C parts have their debug information in .dwo files, which are not read
};
size_t gi_target_file_count(const struct gi_target *t);
/** Looks for its debug file if that was not done yet. Thread-safe. */
struct gi_target_file gi_target_file(struct gi_target *t, size_t i);

/**
 * The ELF file that is mapped at addr, and what to add to its link-time addresses: the
 * executable, a library (only if the file here is the same build) or the vDSO. NULL if
 * there is none. Borrowed, as long as t. Thread-safe.
 */
struct gi_elf *gi_target_elf_at(struct gi_target *t, uint64_t addr, uint64_t *bias_ret);
/**
 * Of the file that is mapped at addr, where its debug information is: the file or its separate
 * debug file, which is looked for on first use.
 */
struct gi_elf *gi_target_debug_elf_at(struct gi_target *t, uint64_t addr, uint64_t *bias_ret);

// --- memory ---------------------------------------------------------------

/**
 * Reads all of [addr, addr+n) or fails with the first bad address and why:
 * GI_ERR_FAULT, GI_ERR_NOT_SAVED, GI_ERR_CUT_OFF. buf is unspecified on failure.
 */
struct gi_error *gi_target_read(struct gi_target *t, uint64_t addr, void *buf, size_t n) GI_MUST_CHECK;
/**
 * A borrowed view of [addr, addr+n), valid as long as t; NULL if those bytes are not
 * available in one piece (then gi_target_read gives them or says why not). Thread-safe.
 */
const void *gi_target_view(struct gi_target *t, uint64_t addr, size_t n);
/**
 * The longest view that starts at addr, at most max bytes; *n_ret its length. NULL, 0 if none.
 */
const void *gi_target_view_max(struct gi_target *t, uint64_t addr, size_t max, size_t *n_ret);

/** An address range, [start, start + len). */
struct gi_extent {
	uint64_t start, len;
};
/**
 * Says that these will be read: of a live process they are copied now, in few system calls. What
 * cannot be read is passed over. Nothing for a core.
 */
void gi_target_fetch(struct gi_target *t, const struct gi_extent *list, size_t n);

/**
 * True if memory that was used since the last call was read of a running process after the stop, here
 * or where the mini dump was made.
 */
bool gi_target_was_late(struct gi_target *t);
/** Makes the next call say so. */
void gi_target_set_late(struct gi_target *t);
/** True if the byte at addr was read after the stop; *len is cut to how far that is the same. */
bool gi_target_is_late(struct gi_target *t, uint64_t addr, uint64_t *len);

/** From an address that cannot be read: how many bytes, at most max, surely cannot be; at least 1. */
uint64_t gi_target_unreadable(struct gi_target *t, uint64_t addr, uint64_t max);
struct gi_error *gi_target_read_u8(struct gi_target *t, uint64_t addr, uint8_t *ret) GI_MUST_CHECK;
struct gi_error *gi_target_read_u32(struct gi_target *t, uint64_t addr, uint32_t *ret) GI_MUST_CHECK;
struct gi_error *gi_target_read_u64(struct gi_target *t, uint64_t addr, uint64_t *ret) GI_MUST_CHECK;
/** Little-endian, n of 1, 2, 4, 8, zero-extended. */
struct gi_error *gi_target_read_uint(struct gi_target *t, uint64_t addr, size_t n, uint64_t *ret) GI_MUST_CHECK;
/** The quick form for hot paths: false if unreadable. */
bool gi_target_peek_u64(struct gi_target *t, uint64_t addr, uint64_t *ret);
/** A Go string header at addr; appended to *ret, at most max bytes (longer is an error). */
struct gi_error *gi_target_read_gostring(struct gi_target *t, uint64_t addr, size_t max,
					 struct gi_str *ret) GI_MUST_CHECK;
/** A NUL-terminated string at addr, at most max bytes. */
struct gi_error *gi_target_read_cstring(struct gi_target *t, uint64_t addr, size_t max,
					struct gi_str *ret) GI_MUST_CHECK;

// --- threads and mappings ---------------------------------------------------

size_t gi_target_thread_count(const struct gi_target *t);
/** In the core's order: the first is the one that the signal hit. Borrowed. */
const struct gi_thread *gi_target_thread(const struct gi_target *t, size_t i);
/** NULL if there is no thread with that id. */
const struct gi_thread *gi_target_thread_by_tid(const struct gi_target *t, pid_t tid);

size_t gi_target_mapping_count(const struct gi_target *t);
/** Sorted by start. Borrowed. */
const struct gi_mapping *gi_target_mapping(const struct gi_target *t, size_t i);
const struct gi_mapping *gi_target_mapping_at(const struct gi_target *t, uint64_t addr);

#endif

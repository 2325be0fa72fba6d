// The core backend's own parts: core.c opens, core_notes.c reads the notes,
// core_memory.c knows which bytes are where, core_exe.c finds the executable.
#ifndef GCORE_CORE_IMPL_H
#define GCORE_CORE_IMPL_H

#include "target/target_impl.h"

/** A PT_LOAD of the core, made not to overlap the ones before it. */
struct core_load {
	uint64_t vaddr, memsz;
	uint64_t filesz; // what the core claims to hold of it
	uint64_t offset;
	uint32_t flags;
};

/** An entry of NT_FILE: [start, end) maps path from off. */
struct core_file {
	uint64_t start, end, off;
	const char *path; // in the arena, as the core says it
};

/** Where a mapping comes from, beside its gi_mapping. */
struct core_origin {
	size_t load;   // or SIZE_MAX: only NT_FILE knows of it
	size_t module; // whose file it maps, or SIZE_MAX
};

/** An ELF file that the process had mapped. */
struct core_module {
	const char *path; // as in NT_FILE, NULL if unknown
	uint64_t start;	  // where its ELF header was mapped
	uint64_t bias;
	uint64_t dynamic;   // of one that only the dynamic linker's list tells of; or 0
	struct gi_elf *elf; // what its unsaved bytes are read from, or NULL
	bool owned;	    // the executable belongs to the target
	const char *why;    // if elf is NULL: why, or NULL if it was not looked at
	// What more is known of it, looked for on first use (core_debug.c); owned, or NULL:
	bool debug_looked_for;
	struct gi_elf *debug; // its debug file
	struct gi_elf *mini;  // its mini debug information
	const char *debug_how; // how it was found, or why not
};

/** Bytes of the address space with one story. Sorted, never overlapping. */
struct core_range {
	uint64_t start, len;
	const uint8_t *data; // or NULL, and
	enum gi_error_code why;
	bool late; // see gi_target_is_late()
};

/** A core, or the process that a live target is made of (live_impl.h): elf is NULL then. */
struct core {
	struct gi_target base;
	struct gi_elf *elf;
	pid_t live_pid; // 0: a core
	const uint8_t *bytes;
	uint64_t size;
	char *sysroot; // or NULL
	const char **debug_dirs; // all folders of debug files, strings of the arena
	size_t debug_dir_count;
	struct gi_debuginfod *servers; // or NULL
	struct gi_elf_unpacking unpacking; // borrowed strings: while it is opened

	struct core_load *loads;
	size_t load_count;
	struct core_file *files;
	size_t file_count;
	struct core_origin *origins; // one for each mapping
	struct core_module *modules; // 0 is the executable
	size_t module_count, module_cap;
	struct core_range *ranges;
	size_t range_count, range_cap;

	uint64_t at_phnum, at_execfn;
	uint64_t needed; // size of the file if it were whole
	bool adding_late;  // what is added to the ranges was read after the stop
	struct mini *mini; // what only a mini dump has, or NULL
	bool no_private; // no stack and no anonymous memory was saved: coredump_filter left them out
};

static inline struct core *core_of(struct gi_target *t)
{
	return (struct core *)t;
}

/** Frees all of c but c itself. */
void gi_core_deinit(struct core *c);
struct gi_error *gi_core_check_unchanged(struct gi_target *t) GI_MUST_CHECK;
/** Takes what matters of an auxiliary vector, which is borrowed. */
void gi_core_take_auxv(struct core *c, const uint8_t *auxv, size_t len);
/**
 * The bytes that the module's file has for addr of mapping m, if the process cannot have changed
 * them, and how many; else NULL and how far there are none. *flags_ret: PF_* of the segment.
 */
const uint8_t *gi_core_overlay_at(struct core *c, const struct core_module *mod,
				  const struct gi_mapping *m, uint64_t addr, uint64_t *len_ret,
				  uint32_t *flags_ret);

/** Reads every PT_NOTE: threads, process, auxiliary vector, mapped files. */
struct gi_error *gi_core_read_notes(struct core *c) GI_MUST_CHECK;

/** Reads the PT_LOADs: sorted, none overlaps another. */
struct gi_error *gi_core_read_loads(struct core *c) GI_MUST_CHECK;
/** Adds bytes of the address space, behind the last ones; data NULL: there are none, and why. */
struct gi_error *gi_core_add_range(struct core *c, uint64_t start, uint64_t len,
				   const uint8_t *data, enum gi_error_code why) GI_MUST_CHECK;
/** Reads the PT_LOADs, and makes mappings of them and of NT_FILE. */
struct gi_error *gi_core_make_mappings(struct core *c) GI_MUST_CHECK;
/** Makes the ranges anew, with the modules that are open now. */
struct gi_error *gi_core_make_ranges(struct core *c) GI_MUST_CHECK;
/** Sets no_private, once there are ranges. */
void gi_core_look_for_private(struct core *c);
const void *gi_core_view(struct gi_target *t, uint64_t addr, size_t max, size_t *n_ret,
			 enum gi_error_code *why_ret);
bool gi_core_is_late(struct gi_target *t, uint64_t addr, uint64_t *len);
uint64_t gi_core_unreadable(struct gi_target *t, uint64_t addr);
struct gi_error *gi_core_explain(struct gi_target *t, uint64_t addr, enum gi_error_code why);
uint64_t gi_core_page_down(const struct core *c, uint64_t v);

/** Finds the modules in the mappings: those whose ELF header the core saved. */
struct gi_error *gi_core_find_modules(struct core *c) GI_MUST_CHECK;
struct gi_error *gi_core_add_module(struct core *c, const struct core_module *mod) GI_MUST_CHECK;
/** Module i is the executable from now on, and what was that is module i. */
void gi_core_swap_modules(struct core *c, size_t i);
/** Where the first PT_LOAD of the ELF image at addr wants to be. */
uint64_t gi_core_image_vaddr(struct core *c, uint64_t addr);
enum { CORE_EVIDENCE = 256 }; // bytes that are the same, or what counts for as much
/**
 * What of the core and of the file can be compared when one of them has no build ID: NULL, or in
 * what they differ. *compared_ret says how much was found to be the same, in bytes of evidence.
 */
const char *gi_core_compare_shape(struct core *c, struct gi_elf *elf, size_t module, uint64_t bias,
				  uint64_t *compared_ret);
/** Opens the executable, checks that it belongs to the core, sets the bias. */
struct gi_error *gi_core_find_exe(struct core *c, const struct gi_target_options *opts) GI_MUST_CHECK;

enum { CORE_IMAGE_MAX = 1 << 16 }; // of a saved ELF header, how far to look
/** Build IDs of a file, or of the one that was mapped. */
struct core_ids {
	struct gi_build_id gnu;
	char go[256];
};
enum core_sameness { CORE_SAME, CORE_DIFFERENT, CORE_UNKNOWN };
bool gi_core_ids_any(const struct core_ids *ids);
void gi_core_ids_of_elf(struct gi_elf *elf, struct core_ids *ret);
/** Those in the ELF header that the core saved at addr; none if it did not. */
void gi_core_ids(struct core *c, uint64_t addr, struct core_ids *ret);
enum core_sameness gi_core_ids_compare(const struct core_ids *core, const struct core_ids *file);
void gi_core_ids_format(const struct core_ids *ids, const struct core_ids *other,
			struct gi_str *str);

enum { CORE_LIBRARIES_MAX = 4096 }; // opened at most; a process has a few dozen
/** Finds the libraries in the dynamic linker's list, if the core names no files. */
struct gi_error *gi_core_find_linked(struct core *c) GI_MUST_CHECK;
/** Gives a module's mappings the name and the places in the file that its open file tells. */
void gi_core_name_by_file(struct core *c, size_t module);
/** Is elf the file of a module of which only the dynamic linker's list tells? */
bool gi_core_same_linked(struct core *c, struct gi_elf *elf, const struct core_module *mod);
/** Opens the libraries that the core needs and that are the same on this machine. */
void gi_core_open_libraries(struct core *c, const struct gi_target_options *opts);
/**
 * The executable of the target is from now on the file that holds the Go runtime, if that is a
 * library. *exe_err: why there is no executable, or NULL; freed if a library stands in for it.
 */
struct gi_error *gi_core_choose_runtime(struct core *c, struct gi_error **exe_err) GI_MUST_CHECK;
/** The module whose file is mapped at addr, with what no file is mapped at (.bss); NULL: none. */
struct core_module *gi_core_module_at(struct core *c, uint64_t addr);
struct gi_elf *gi_core_elf_at(struct gi_target *t, uint64_t addr, uint64_t *bias_ret);

/** Takes over what the options say of debug files. */
struct gi_error *gi_core_debug_init(struct core *c, const struct gi_target_options *opts) GI_MUST_CHECK;
void gi_core_debug_deinit(struct core *c);
struct gi_elf *gi_core_open_debug(struct gi_target *t);
struct gi_elf *gi_core_library_debug(struct gi_target *t, uint64_t addr);
bool gi_core_symbol_at(struct gi_target *t, uint64_t addr, struct gi_elf_symbol *ret,
		       uint64_t *bias_ret);
size_t gi_core_file_count(const struct gi_target *t);
struct gi_target_file gi_core_file(struct gi_target *t, size_t i);
/**
 * Fetches the file with that build ID, if servers may be asked; its path is in the arena. NULL
 * if it is not to be had. The first failure of the servers becomes a note.
 */
const char *gi_core_fetch(struct core *c, const struct gi_build_id *id);

// --- mini dumps (mini.c) ----------------------------------------------------------

/** Notes one of the mini dump's own notes, which makes the core one. */
struct gi_error *gi_mini_add_note(struct core *c, const struct gi_elf_note *note) GI_MUST_CHECK;
/** In place of all steps after the notes: mappings, modules with their files, ranges. */
struct gi_error *gi_mini_open(struct core *c, const struct gi_target_options *opts) GI_MUST_CHECK;
void gi_mini_destroy(struct mini *m);
/** True if it could be read of what the mini dump was made of. */
bool gi_mini_left_out(const struct core *c, uint64_t addr);
const uint8_t *gi_mini_answer(const struct gi_target *t, const char *name, size_t *n_ret);

#endif

// Inside of the target: what a backend provides. An empty slot means "unsupported"
// and is answered once, in target.c.
#ifndef GCORE_TARGET_IMPL_H
#define GCORE_TARGET_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "gcore/record.h"
#include "gcore/target.h"

struct gi_target_ops {
	const char *name; // "core", "live", "fake"
	bool is_core;	  // the target begins a struct core (core_impl.h)
	void (*destroy)(struct gi_target *t);
	/** The longest readable run at addr (at most max), or NULL and *why_ret. Thread-safe. */
	const void *(*view)(struct gi_target *t, uint64_t addr, size_t max, size_t *n_ret,
			    enum gi_error_code *why_ret);
	/** Why addr cannot be read, in words. Thread-safe. */
	struct gi_error *(*explain)(struct gi_target *t, uint64_t addr, enum gi_error_code why);
	/** See gi_target_elf_at(). */
	struct gi_elf *(*elf_at)(struct gi_target *t, uint64_t addr, uint64_t *bias_ret);
	/** See gi_target_check_unchanged(). */
	struct gi_error *(*check_unchanged)(struct gi_target *t);
	/** Opens the separate debug file of the executable, NULL if there is none. t->lock is held. */
	struct gi_elf *(*open_debug)(struct gi_target *t);
	/** The debug file of a library that is mapped at addr, NULL if there is none. */
	struct gi_elf *(*library_debug)(struct gi_target *t, uint64_t addr);
	/** See gi_target_symbol_at(). */
	bool (*symbol_at)(struct gi_target *t, uint64_t addr, struct gi_elf_symbol *ret,
			  uint64_t *bias_ret);
	/** See gi_target_fetch(). Thread-safe. */
	void (*fetch)(struct gi_target *t, const struct gi_extent *list, size_t n);
	/** How many bytes from addr on, which cannot be read, cannot be either. NULL: a page's. */
	uint64_t (*unreadable)(struct gi_target *t, uint64_t addr);
	/** See gi_target_answer(). */
	const uint8_t *(*answer)(const struct gi_target *t, const char *name, size_t *n_ret);
	/** See gi_target_is_late(). NULL: nothing is. */
	bool (*is_late)(struct gi_target *t, uint64_t addr, uint64_t *len);
	/** See gi_target_file(). */
	size_t (*file_count)(const struct gi_target *t);
	struct gi_target_file (*file)(struct gi_target *t, size_t i);
};

struct gi_target {
	const struct gi_target_ops *ops;
	enum gi_arch arch;
	struct gi_process_info info;
	struct gi_thread *threads;
	size_t thread_count;
	struct gi_mapping *mappings; // sorted
	size_t mapping_count;
	char **notes;
	size_t note_count, note_cap;
	struct gi_elf *exe;	  // owned
	struct gi_elf *debug_elf; // owned, or NULL: the executable itself
	bool debug_looked_for;
	uint64_t exe_bias;
	const char *runtimes[8]; // files with Go runtimes of their own, beside exe
	size_t runtime_count;
	struct gi_arena *arena; // of strings above
	pthread_mutex_t lock;	// of what is made on first use
	struct gi_record *record; // what is read is noted there, or NULL; borrowed
	_Atomic bool late;	// see gi_target_was_late()
};

/** For target.c: notes that this file of the target was asked for. */
void gi_record_add_elf(struct gi_record *r, const struct gi_elf *elf);

/** For a backend's constructor: makes the arena and the lock of a zeroed t. */
struct gi_error *gi_target_init(struct gi_target *t, const struct gi_target_ops *ops) GI_MUST_CHECK;
/** Adds a note, see gi_target_note(). */
void gi_target_add_note(struct gi_target *t, const char *fmt, ...) GI_PRINTF(2, 3);
/** A copy of s in the target's arena with control bytes escaped, for messages and names. */
const char *gi_target_escape(struct gi_target *t, const char *s, size_t n);

#endif

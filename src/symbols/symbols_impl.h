// Inside of the symbols module: tables of one Go module as bounded views, the pc-value
// decoder, and small helpers that its files share.
#ifndef GCORE_SYMBOLS_IMPL_H
#define GCORE_SYMBOLS_IMPL_H

#include <pthread.h>

#include "gcore/base.h"
#include "gcore/symbols.h"

/** Borrowed bytes of the target. */
struct gi_blob {
	const uint8_t *p;
	size_t n;
};

/** Formats of pclntab, by what they changed. */
enum gi_pcln_format {
	GI_PCLN_118 = 118, // 1.18, 1.19
	GI_PCLN_120 = 120, // 1.20 and later: start lines, short inline records
};

struct gi_textsect {
	uint64_t vaddr, end; // offsets, [vaddr, end)
	uint64_t base;	     // run-time address
};

/** One module's tables. mod comes first: a gi_func's mod is also its gi_modtab. */
struct gi_modtab {
	struct gi_module mod;
	enum gi_pcln_format format;
	unsigned quantum; // smallest step of a pc
	size_t nfunc; // entries of ftab without the last one, which only ends the text
	struct gi_blob funcname, cutab, filetab, pctab, pcln, ftab;
	struct gi_textsect *sects; // NULL if there is one section only
	size_t nsect;
};

/** Of the index by name, open addressing. */
struct gi_name_slot {
	uint32_t hash;
	uint32_t func; // 1 + function index, 0: free
};

struct gi_functab {
	struct gi_target *t;
	struct gi_modtab *mods;
	size_t nmod;
	size_t nfunc; // of all modules
	void **owned; // tables that had to be copied
	size_t owned_len, owned_cap;

	pthread_mutex_t lock; // of the lazily made rest
	struct gi_name_slot *names;
	size_t names_cap; // a power of two, 0: not made yet
	int wrapper_id;	  // -1: not looked for yet
};

static inline const struct gi_modtab *gi_func_modtab(const struct gi_func *f)
{
	return (const struct gi_modtab *)f->mod;
}

/** The NUL-terminated string at off of a string table; NULL if off is outside. */
const char *gi_modtab_string(const struct gi_blob *tab, uint64_t off);

/**
 * Iterates the runs of a pc-value table: [start, end) has value. All-bounded: it ends at
 * the table's end, at a malformed record, past the function, or after more steps than the
 * function has pcs.
 */
struct gi_pcvalue {
	const uint8_t *p, *limit;
	uint64_t start, end;
	int32_t value;
	uint64_t func_end;
	uint64_t steps_left;
	unsigned quantum;
	bool first;
};
/** false: there is no such table. */
bool gi_pcvalue_init(struct gi_pcvalue *it, const struct gi_func *f, uint32_t off);
bool gi_pcvalue_next(struct gi_pcvalue *it);
/** The offset in pctab of a PCDATA table or one of GI_PCTABLE_*; 0: none. */
uint32_t gi_func_pctable(const struct gi_func *f, unsigned table);

#endif

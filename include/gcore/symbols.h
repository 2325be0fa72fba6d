// Names for addresses: Go's function tables (pclntab) and DWARF.
#ifndef GCORE_SYMBOLS_H
#define GCORE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/elf.h"
#include "gcore/error.h"
#include "gcore/target.h"

// --- modules and their function tables --------------------------------------

struct gi_range {
	uint64_t start, end; // [start, end)
};

/** A Go slice header as found in the inferior. */
struct gi_slice {
	uint64_t ptr, len, cap;
};

/**
 * One runtime.moduledata, as values (run-time addresses). src/go fills it, by layout.
 * Source: moduledata in src/runtime/symtab.go, Go 1.18 to 1.27.
 */
struct gi_module {
	uint64_t addr;	     // of the moduledata itself
	uint64_t pc_header;  // of struct pcHeader
	struct gi_slice funcnametab, cutab, filetab, pctab, pclntable, ftab;
	struct gi_range pcs; // minpc, maxpc
	struct gi_range text;
	struct gi_range noptrdata, data, bss, noptrbss;
	uint64_t gcdatamask, gcbssmask; // bitmaps of data and bss: address of the first byte
	uint64_t rodata;
	uint64_t gofunc; // base of funcdata offsets
	struct gi_range types;
	struct gi_slice textsectmap;
};

/** The function tables of all modules of a program. */
struct gi_functab;

/**
 * mods is copied. Tables are read through t (borrowed as long as the result). An unknown
 * pcHeader magic is GI_ERR_UNSUPPORTED; damaged tables are GI_ERR_FORMAT.
 */
struct gi_error *gi_functab_create(struct gi_target *t, const struct gi_module *mods, size_t n,
				   struct gi_functab **ret) GI_MUST_CHECK;
void gi_functab_destroy(struct gi_functab *ft);

/** A function of pclntab. A small value; strings are borrowed as long as the functab. */
struct gi_func {
	const struct gi_functab *tab;
	const struct gi_module *mod;
	uint64_t entry, end; // run-time addresses, [entry, end)
	const char *name;    // as linked, e.g. "main.f[...]", "main.(*T).M", "main.main.func1"
	uint32_t args;	     // bytes of in and out arguments (stack ABI), 0x80000000: unknown
	uint32_t deferreturn; // offset of the deferreturn call from entry, 0: none
	uint32_t start_line;  // 0: unknown (before Go 1.20)
	uint8_t func_id;      // numbers move between releases: compare names
	uint8_t flag;	      // abi.FuncFlag: 1 top frame, 2 writes SP, 4 assembly
	// Offsets of the pc-value tables and func data; for symbols' own use.
	uint32_t pcsp, pcfile, pcln, npcdata, cu_offset, nfuncdata;
	const uint8_t *tail; // pcdata offsets, then funcdata offsets
};
enum { GI_FUNCFLAG_TOPFRAME = 1, GI_FUNCFLAG_SPWRITE = 2, GI_FUNCFLAG_ASM = 4 };

/** FUNCDATA and PCDATA indexes (internal/abi/symtab.go, the same from 1.18 on unless noted). */
enum {
	GI_PCDATA_UNSAFE_POINT = 0,
	GI_PCDATA_STACK_MAP = 1,
	GI_PCDATA_INL_TREE = 2,
	GI_PCDATA_ARG_LIVE = 3,
	GI_FUNCDATA_ARGS_POINTER_MAPS = 0,
	GI_FUNCDATA_LOCALS_POINTER_MAPS = 1,
	GI_FUNCDATA_STACK_OBJECTS = 2,
	GI_FUNCDATA_INL_TREE = 3,
	GI_FUNCDATA_OPEN_CODED_DEFER = 4,
	GI_FUNCDATA_ARG_INFO = 5,
	GI_FUNCDATA_ARG_LIVE_INFO = 6,
	GI_FUNCDATA_WRAP_INFO = 7,
};

/** The function that holds pc; false if none. Thread-safe, as all of these. */
bool gi_functab_find(const struct gi_functab *ft, uint64_t pc, struct gi_func *ret);
/** The function with exactly this name, through an index made on first use. */
bool gi_functab_find_name(struct gi_functab *ft, const char *name, struct gi_func *ret);
size_t gi_functab_count(const struct gi_functab *ft);
/** The i-th function, in table order; false past the end or if it is damaged. */
bool gi_functab_func(const struct gi_functab *ft, size_t i, struct gi_func *ret);

/** Stack bytes below the return address at pc (SP delta); false if there is none. */
bool gi_func_spdelta(const struct gi_func *f, uint64_t pc, int32_t *ret);
/** PCDATA value at pc; *start_ret (may be NULL) is the first pc of the run. -1 where there is no table. */
int32_t gi_func_pcdata(const struct gi_func *f, unsigned table, uint64_t pc, uint64_t *start_ret);
/** Run-time address of a FUNCDATA, 0 if the function has none. */
uint64_t gi_func_funcdata(const struct gi_func *f, unsigned i);
/** File (borrowed; "?" if unknown) and line of pc in the physical function. */
void gi_func_line(const struct gi_func *f, uint64_t pc, const char **file_ret, uint32_t *line_ret);
/** All pc runs of a PCDATA table or of the line table: the callback gets [start, end) and the value. */
typedef bool (*gi_pcvalue_fn)(void *arg, uint64_t start, uint64_t end, int32_t value);
void gi_func_pcdata_each(const struct gi_func *f, unsigned table, gi_pcvalue_fn fn, void *arg);

/**
 * A logical call at a pc: the innermost inlined call first, the physical function last.
 */
struct gi_call {
	const char *name; // of the inlined or physical function
	const char *file;
	uint32_t line;
	uint32_t start_line;
	uint8_t func_id;
	bool inlined;
	// The physical pc from which the parent's position was computed (0 for the last).
	uint64_t parent_pc;
};
enum { GI_MAX_INLINE = 128 };
/**
 * The chain of calls at pc, at most max of them; returns how many (>= 1), bounded even in
 * a damaged inline tree. pc is the one to look up: callers pass pc-1 for return addresses.
 */
size_t gi_func_calls(const struct gi_func *f, uint64_t pc, struct gi_call *calls, size_t max);
/** All [start, end) pc runs of f that belong to an inlined call of a function named name (any depth);
 *  inl_ret gets that node's number, -1 at the end of iteration. Used by lock analysis. */
typedef bool (*gi_inline_fn)(void *arg, uint64_t start, uint64_t end, const struct gi_call *calls, size_t n);
void gi_func_inline_each(const struct gi_func *f, gi_inline_fn fn, void *arg);

/** A cache from pc to (function, SP delta, calls). One per thread that unwinds; not thread-safe. */
struct gi_pccache;
struct gi_pcinfo {
	struct gi_func func;
	bool has_spdelta;
	int32_t spdelta;	     // at pc
	size_t call_count;	     // calls at the looked-up pc
	const struct gi_call *calls; // borrowed as long as the cache
};
struct gi_error *gi_pccache_create(const struct gi_functab *ft, struct gi_pccache **ret) GI_MUST_CHECK;
void gi_pccache_destroy(struct gi_pccache *c);
/** is_call: pc is a return address: lines and inline chain are those of pc-1. NULL if no function holds pc. */
const struct gi_pcinfo *gi_pccache_get(struct gi_pccache *c, uint64_t pc, bool is_call);

// --- DWARF ------------------------------------------------------------------

/** DWARF of one ELF file (libdw). Not thread-safe. */
struct gi_dwarf;
/** GI_ERR_NOT_FOUND when the file has none. elf borrowed as long as the result. */
struct gi_error *gi_dwarf_open(struct gi_elf *elf, struct gi_dwarf **ret) GI_MUST_CHECK;
void gi_dwarf_close(struct gi_dwarf *dw);

/**
 * A member by path, e.g. ("runtime.g", "sched.sp"): members of embedded structs by their path,
 * through pointers never; "[]" after a name means the element of an array: its size is then the
 * element's. offset from the outermost struct. GI_ERR_NOT_FOUND if there is no such struct or member.
 */
struct gi_dwarf_member {
	uint64_t offset;
	uint64_t size;	// of the member's type
	uint64_t count; // elements if it is an array, else 0
};
struct gi_error *gi_dwarf_member(struct gi_dwarf *dw, const char *type, const char *path,
				 struct gi_dwarf_member *ret) GI_MUST_CHECK;
struct gi_error *gi_dwarf_sizeof(struct gi_dwarf *dw, const char *type, uint64_t *ret) GI_MUST_CHECK;
/** An integer constant, e.g. "runtime._Gwaiting", "internal/abi.FuncIDWrapper". */
struct gi_error *gi_dwarf_constant(struct gi_dwarf *dw, const char *name, int64_t *ret) GI_MUST_CHECK;
/** A global's link-time address, and the size of its type (0 unknown) and array count (0: no array). */
struct gi_error *gi_dwarf_global(struct gi_dwarf *dw, const char *name, uint64_t *addr_ret,
				 struct gi_dwarf_member *ret) GI_MUST_CHECK;
/**
 * A name for a link-time data address: global and field path, e.g. "main.srv.mu", "main.locks[3].mu";
 * appended to *ret. want_type, if not NULL ("sync.Mutex"), tells which of nested objects at the same
 * address is meant. GI_ERR_NOT_FOUND if no global with a type holds it.
 */
struct gi_error *gi_dwarf_name_at(struct gi_dwarf *dw, uint64_t addr, const char *want_type,
				  struct gi_str *ret) GI_MUST_CHECK;

#endif

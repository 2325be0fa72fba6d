// Inside of the DWARF part of the symbols module.
#ifndef GCORE_DWARF_IMPL_H
#define GCORE_DWARF_IMPL_H

#include <elfutils/libdw.h>

#include "elf/elf_impl.h"
#include "gcore/base.h"
#include "gcore/symbols.h"

enum gi_dw_kind { GI_DW_KIND_TYPE, GI_DW_KIND_CONST, GI_DW_KIND_VAR };

/** A unit, known by name before its children are looked at. */
struct gi_dw_unit {
	const char *name; // "" if it has none
	Dwarf_Off die;
	bool go;
	bool alt; // of the common file of dwz
	bool scanned, subs_scanned;
	bool has[3]; // names of that enum gi_dw_kind; once scanned
};

struct gi_dw_entry {
	const char *name;
	Dwarf_Off die;
	bool alt; // of the common file of dwz
	enum gi_dw_kind kind;
	uint32_t next; // 1 + index of the next entry of the same hash, 0: none
};

/** A global for names of addresses. */
struct gi_dw_var {
	uint64_t addr;
	uint32_t entry;
};

struct gi_dwarf {
	struct gi_elf *elf;	    // borrowed
	struct gi_elf_stream *info; // .debug_info if it is compressed, or NULL
	size_t covered;		    // bytes of it that the handle has, whole units
	bool complete;		    // the handle has all
	struct gi_elf_subset *subset;
	Dwarf *dw;
	struct gi_elf_subset *alt_subset; // of the common file of dwz, or NULL
	Dwarf *alt;
	bool partial; // units were split, so that names are not where their language puts them
	const char *path;     // borrowed
	const uint8_t *addrs; // .debug_addr, borrowed
	size_t addrs_size;
	struct gi_dw_unit *units;
	size_t unit_count, unit_cap;
	size_t units_left; // not scanned yet
	struct gi_dw_entry *entries;
	size_t entry_count, entry_cap;
	uint32_t *buckets;
	size_t bucket_count;	// a power of two
	struct gi_dw_var *vars; // sorted by address
	size_t var_count, var_cap;
	bool vars_made;
	struct gi_map subs; // functions: entry to gi_dwarf_die_id
	bool all_subs;
};

/** Makes all units known. What libdw told before does not hold any more. */
struct gi_error *gi_dwarf_complete(struct gi_dwarf *dw) GI_MUST_CHECK;
/** A number for a DIE that outlives its handle; 0: none. */
uint64_t gi_dwarf_die_id(struct gi_dwarf *dw, Dwarf_Die *die);
bool gi_dwarf_die_of(struct gi_dwarf *dw, uint64_t id, Dwarf_Die *ret);
/** Entry i of .debug_addr for the unit of die. */
bool gi_dwarf_indexed_addr(struct gi_dwarf *dw, Dwarf_Die *die, uint64_t i, uint64_t *ret);
/** The first n characters of name are its package's path. 0: none. */
size_t gi_dwarf_package_of(const char *name);
/** The DIE of an entry of the index. */
bool gi_dwarf_entry_die(struct gi_dwarf *dw, const struct gi_dw_entry *e, Dwarf_Die *ret);
/** Scans all units that are not scanned yet. */
struct gi_error *gi_dwarf_scan_all(struct gi_dwarf *dw) GI_MUST_CHECK;

/** What a type is, without its names: typedefs and qualifiers taken off. */
struct gi_dw_type {
	Dwarf_Die die;
	int tag;	// 0: no type (void) or damaged
	uint64_t size;	// 0: unknown
	uint64_t count; // elements, if it is an array
};
/**
 * Resolves a type. want, if not NULL, sets *is_want if the type or a typedef on the way
 * has that name.
 */
void gi_dwarf_type_resolve(Dwarf_Die *die, const char *want, bool *is_want, struct gi_dw_type *ret);
/** The DIE that DW_AT_type of die leads to; false if none. */
bool gi_dwarf_type_of(Dwarf_Die *die, Dwarf_Die *ret);
/** A member's offset in its struct; false if it is none or not a constant. */
bool gi_dwarf_member_offset(Dwarf_Die *member, uint64_t *ret);
/** An unsigned or signed constant attribute; false if there is none. */
bool gi_dwarf_attr_udata(Dwarf_Die *die, unsigned attr, uint64_t *ret);
/** The address of a variable at a fixed place. */
bool gi_dwarf_var_addr(struct gi_dwarf *dw, Dwarf_Die *var, uint64_t *ret);

/** The member of a struct that holds off and is not empty; unions: the first. */
bool gi_dwarf_member_at(Dwarf_Die *type, uint64_t off, Dwarf_Die *ret, uint64_t *off_ret);
/** The global that holds a link-time address: its name (borrowed), type and start. GI_ERR_NOT_FOUND. */
struct gi_error *gi_dwarf_var_at(struct gi_dwarf *dw, uint64_t addr, const char **name_ret,
				 Dwarf_Die *type_ret, uint64_t *start_ret) GI_MUST_CHECK;

/** Bounds of walks over damaged debug information. */
enum { GI_DW_MAX_TYPE_DEPTH = 64, GI_DW_MAX_MEMBERS = 1 << 16 };

#endif

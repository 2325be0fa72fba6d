// Where a variable or static storage without a name is, and what it is.
#ifndef GCORE_GO_STATICS_H
#define GCORE_GO_STATICS_H

#include "gcore/symbols.h"
#include "gcore/type.h"

struct gi_storage {
	uint64_t start;		// run-time address
	struct gi_dwarf *dwarf; // of by_debug; NULL: type counts
	uint64_t by_debug;	// a type's id in dwarf
	struct gi_type type;
	uint64_t elem; // of an array of them: the size of each, else 0
};

struct gi_statics;
void gi_statics_destroy(struct gi_statics *s);
GI_DEFINE_CLEANUP(struct gi_statics *, gi_statics_destroyp, gi_statics_destroy)

/** Is addr in the data of the program, or of one of its plugins? */
bool gi_go_in_data(const struct gi_go *go, uint64_t addr);
/** The variable that holds addr, by debug information; its name is appended. */
bool gi_go_variable_at(struct gi_go *go, uint64_t addr, struct gi_str *path,
		       struct gi_storage *ret);
/** Either. */
bool gi_go_storage_at(struct gi_go *go, uint64_t addr, struct gi_str *path, struct gi_storage *ret);
/** The type's descriptor by debug information; false if the program has none. */
bool gi_go_type_by_debug(struct gi_go *go, const struct gi_dwarf_pointee *p, struct gi_type *ret);
/** The storage that holds addr, by what variables point to, and those things in turn. */
bool gi_statics_find(struct gi_go *go, uint64_t addr, struct gi_str *path, struct gi_storage *ret);

#endif

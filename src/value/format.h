// Text of Go values.
#ifndef GCORE_VALUE_FORMAT_H
#define GCORE_VALUE_FORMAT_H

#include "gcore/go.h"
#include "gcore/symbols.h"

enum { GI_VALUE_BYTES = 2048 }; // bytes of a value that are looked at

/** A value's bytes, of which some may not be known. */
struct gi_value_bytes {
	size_t size;
	uint8_t data[GI_VALUE_BYTES];
	bool known[GI_VALUE_BYTES];
};

/** Appends it as Go would write it, in short. False if nothing of it was known. */
bool gi_value_format(struct gi_go *go, struct gi_dwarf *dw, uint64_t type,
		     const struct gi_value_bytes *v, struct gi_str *ret);

#endif

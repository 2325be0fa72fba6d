// Frames and locations, for the renderers of this room.
#ifndef REPORT_FRAME_H
#define REPORT_FRAME_H

#include <inttypes.h>

#include "gcore/report.h"

/** {"pc","function","file","line","inlined"}, a member of an array. */
void gi_json_frame(struct gi_out *out, const struct gi_frame *frame);
/** Appends "FUNCTION at FILE:LINE", as much of it as is known, escaped. */
void gi_location_format(struct gi_str *str, const char *function, const char *file, uint32_t line,
			uint64_t pc);

#endif

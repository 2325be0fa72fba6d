// The inside of an output, shared by its text side (out.c) and its JSON side (json.c).
#ifndef REPORT_OUT_IMPL_H
#define REPORT_OUT_IMPL_H

#include "gcore/report.h"

struct gi_out {
	int fd; // -1: memory
	bool json, color;
	bool styled; // a style is on
	char *buf;
	size_t len, cap;
	int error; // errno of the write that failed; ENOMEM too

	// JSON: what is open, innermost in bit 0.
	unsigned depth;
	uint64_t arrays;     // bit set: an array, else an object
	uint64_t filled;     // bit set: it has a member already
	struct gi_str notes; // note records that wait for the end of the record

	// Text is held back until it is known to be longer than a screen.
	gi_out_overflow_fn overflow; // NULL: nothing is held back
	void *overflow_arg;
	size_t rows, cols;
	size_t row, col; // where the text held back ends

	gi_progress_fn progress;
	void *progress_arg;
};

/** Appends bytes, whatever the mode. */
void gi_out_raw(struct gi_out *out, const char *s, size_t n);

#endif

// What many unit tests ask in the same way. Include it behind cmocka.h.
#ifndef TESTS_CHECKS_H
#define TESTS_CHECKS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "gcore/error.h"

static inline void no_error(struct gi_error *err)
{
	if (err)
		fail_msg("%s", gi_error_message(err));
}

/** An error of that code, with text in its message; frees it. */
static inline void error_says(struct gi_error *err, enum gi_error_code code, const char *text)
{
	assert_non_null(err);
	if (gi_error_code(err) != code || !strstr(gi_error_message(err), text))
		fail_msg("%d \"%s\" is not %d \"...%s...\"", gi_error_code(err),
			 gi_error_message(err), code, text);
	gi_error_free(err);
}

/** Seconds of work of this process: what else the machine does is not in it. */
static inline double worked(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/** The path of a shipped file, in buf. */
static inline const char *corefile(const char *program, const char *suffix, char *buf, size_t n)
{
	const char *dir = getenv("GCORE_COREFILES");

	snprintf(buf, n, "%s/%s%s", dir ? dir : "build/corefiles", program, suffix);
	if (access(buf, R_OK) != 0)
		fail_msg("%s is not there: run corefiles/unpack", buf);
	return buf;
}

#endif

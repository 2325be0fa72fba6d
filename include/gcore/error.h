// Errors: every fallible function returns a struct gi_error *, NULL for success.
#ifndef GCORE_ERROR_H
#define GCORE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "gcore/util.h"

enum gi_error_code {
	GI_ERR_NOMEM = 1,
	GI_ERR_IO,	    // a system call on a file of ours failed
	GI_ERR_USAGE,	    // the user asked in a way that cannot be understood
	GI_ERR_FORMAT,	    // a file or structure is malformed
	GI_ERR_FAULT,	    // inferior memory: the address is not mapped
	GI_ERR_NOT_SAVED,   // inferior memory: mapped, but the core did not save it
	GI_ERR_CUT_OFF,	    // inferior memory: the core file ends before it
	GI_ERR_NOT_FOUND,   // no such goroutine, symbol, file, ...
	GI_ERR_UNSUPPORTED, // understood, but not handled by this program (yet)
	GI_ERR_MISMATCH,    // build IDs differ, or a layout fails its checks
	GI_ERR_INTERRUPTED, // Ctrl-C
	GI_ERR_PIPE,	    // the reader of our output went away
	GI_ERR_QUIT,	    // not a failure: a command asks the session to end
};

struct gi_error;

/**
 * Makes an error. Never returns NULL: when memory is out, a static error is
 * returned, which gi_error_free() knows not to free.
 * The message is one line, says what to do next where it can, no final period.
 */
struct gi_error *gi_error_create(enum gi_error_code code, const char *fmt, ...)
	GI_PRINTF(2, 3) GI_MUST_CHECK;
/** The same, about an address in the inferior. */
struct gi_error *gi_error_at(enum gi_error_code code, uint64_t addr, const char *fmt, ...)
	GI_PRINTF(3, 4) GI_MUST_CHECK;
/** GI_ERR_IO with strerror(errno) appended. */
struct gi_error *gi_error_errno(const char *fmt, ...) GI_PRINTF(1, 2) GI_MUST_CHECK;
/**
 * Puts "CONTEXT: " before the message of err; consumes err, returns it or its
 * replacement. NULL in, NULL out.
 */
struct gi_error *gi_error_wrap(struct gi_error *err, const char *fmt, ...)
	GI_PRINTF(2, 3) GI_MUST_CHECK;
/** The out-of-memory error; never allocates. */
struct gi_error *gi_error_nomem(void) GI_MUST_CHECK;
/** A copy with its own lifetime. */
struct gi_error *gi_error_dup(const struct gi_error *err) GI_MUST_CHECK;

enum gi_error_code gi_error_code(const struct gi_error *err);
/** Borrowed, valid as long as err. */
const char *gi_error_message(const struct gi_error *err);
/** True and the address in *ret if the error is about one. */
bool gi_error_address(const struct gi_error *err, uint64_t *ret);

/** NULL is accepted. */
void gi_error_free(struct gi_error *err);
/** Frees an error that is knowingly passed over. */
static inline void gi_error_ignore(struct gi_error *err)
{
	gi_error_free(err);
}
GI_DEFINE_CLEANUP(struct gi_error *, gi_error_freep, gi_error_free)

#endif

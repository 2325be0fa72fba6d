// Errors: a code, a message, and the address in the inferior where there is one.
//
// Creating an error must not fail, so running out of memory while making one
// yields a static error instead.

#include "gcore/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gi_error {
	enum gi_error_code code;
	bool has_addr;
	uint64_t addr;
	char *message;
};

static struct gi_error nomem_error = { .code = GI_ERR_NOMEM, .message = (char *)"out of memory" };

struct gi_error *gi_error_nomem(void)
{
	return &nomem_error;
}

GI_PRINTF(3, 0)
static struct gi_error *error_make(enum gi_error_code code, const char *suffix, const char *fmt,
				   va_list ap)
{
	struct gi_error *err = calloc(1, sizeof(*err));
	if (!err)
		return &nomem_error;
	err->code = code;
	char *msg = NULL;
	if (vasprintf(&msg, fmt, ap) < 0) {
		free(err);
		return &nomem_error;
	}
	if (suffix) {
		char *both = NULL;
		if (asprintf(&both, "%s: %s", msg, suffix) < 0) {
			free(msg);
			free(err);
			return &nomem_error;
		}
		free(msg);
		msg = both;
	}
	err->message = msg;
	return err;
}

struct gi_error *gi_error_create(enum gi_error_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct gi_error *err = error_make(code, NULL, fmt, ap);
	va_end(ap);
	return err;
}

struct gi_error *gi_error_at(enum gi_error_code code, uint64_t addr, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct gi_error *err = error_make(code, NULL, fmt, ap);
	va_end(ap);
	if (err != &nomem_error) {
		err->has_addr = true;
		err->addr = addr;
	}
	return err;
}

struct gi_error *gi_error_errno(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	struct gi_error *err = error_make(GI_ERR_IO, strerror(saved), fmt, ap);
	va_end(ap);
	return err;
}

struct gi_error *gi_error_wrap(struct gi_error *err, const char *fmt, ...)
{
	if (!err || err == &nomem_error)
		return err;
	va_list ap;
	va_start(ap, fmt);
	struct gi_error *outer = error_make(err->code, err->message, fmt, ap);
	va_end(ap);
	if (outer == &nomem_error)
		return err;
	outer->has_addr = err->has_addr;
	outer->addr = err->addr;
	gi_error_free(err);
	return outer;
}

struct gi_error *gi_error_dup(const struct gi_error *err)
{
	if (!err || err == &nomem_error)
		return (struct gi_error *)err;
	struct gi_error *copy = gi_error_create(err->code, "%s", err->message);
	if (copy != &nomem_error) {
		copy->has_addr = err->has_addr;
		copy->addr = err->addr;
	}
	return copy;
}

enum gi_error_code gi_error_code(const struct gi_error *err)
{
	return err->code;
}

const char *gi_error_message(const struct gi_error *err)
{
	return err->message;
}

bool gi_error_address(const struct gi_error *err, uint64_t *ret)
{
	if (!err->has_addr)
		return false;
	*ret = err->addr;
	return true;
}

void gi_error_free(struct gi_error *err)
{
	if (!err || err == &nomem_error)
		return;
	free(err->message);
	free(err);
}

// Attributes and small macros that every header of the library uses.
#ifndef GCORE_UTIL_H
#define GCORE_UTIL_H

#include <stddef.h>
#include <stdint.h>

#define GI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define GI_MUST_CHECK __attribute__((warn_unused_result))
#ifndef _cleanup_
#define _cleanup_(fn) __attribute__((cleanup(fn)))
#endif

/** Defines NAME(T *p), for _cleanup_, which calls FN on *p. */
#define GI_DEFINE_CLEANUP(T, NAME, FN)                                         \
	static inline __attribute__((unused)) void NAME(T *p)                  \
	{                                                                      \
		FN(*p);                                                        \
	}

#define GI_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline uint64_t gi_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
static inline uint64_t gi_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}
/** a - b, or the nearest number that there is: for differences of times that a target tells. */
static inline int64_t gi_sub_i64(int64_t a, int64_t b)
{
	int64_t d;
	if (__builtin_sub_overflow(a, b, &d))
		return a < b ? INT64_MIN : INT64_MAX;
	return d;
}
/** True if [off, off + n) lies in [0, size), without overflow. */
static inline int gi_in_bounds(uint64_t off, uint64_t n, uint64_t size)
{
	return off <= size && n <= size - off;
}

#endif

// Base: arenas, growing strings and arrays, bounded cursors, a hash map, interrupts.
#ifndef GCORE_BASE_H
#define GCORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/error.h"
#include "gcore/util.h"

// --- memory ---------------------------------------------------------------

/** free(*p), for _cleanup_(gi_freep) on any pointer variable. */
void gi_freep(void *p);

/**
 * Grows an array to hold at least need elements (amortised doubling).
 * *ptr and *cap are updated; on failure both are untouched.
 */
struct gi_error *gi_grow(void *ptr, size_t *cap, size_t need, size_t elem_size) GI_MUST_CHECK;

/** An arena: many small allocations with one lifetime. */
struct gi_arena;
struct gi_error *gi_arena_create(struct gi_arena **ret) GI_MUST_CHECK;
void gi_arena_destroy(struct gi_arena *a);
/** Frees everything allocated from it but keeps its first block. */
void gi_arena_reset(struct gi_arena *a);
/** Zeroed, 16-byte aligned; NULL when memory is out. */
void *gi_arena_alloc(struct gi_arena *a, size_t n);
/** A NUL-terminated copy; NULL when memory is out. */
char *gi_arena_strndup(struct gi_arena *a, const char *s, size_t n);
char *gi_arena_strdup(struct gi_arena *a, const char *s);
GI_DEFINE_CLEANUP(struct gi_arena *, gi_arena_destroyp, gi_arena_destroy)

// --- strings --------------------------------------------------------------

/**
 * A growing string. All-zero is the empty string. Running out of memory sets
 * oom and makes further appends no-ops, so that it is checked once at the end.
 */
struct gi_str {
	char *s; // NUL-terminated, or NULL if nothing was appended
	size_t len;
	size_t cap;
	bool oom;
};
void gi_str_deinit(struct gi_str *str);
void gi_str_reset(struct gi_str *str); // len = 0, keeps the buffer
void gi_str_putc(struct gi_str *str, char c);
void gi_str_puts(struct gi_str *str, const char *s);
void gi_str_putn(struct gi_str *str, const char *s, size_t n);
void gi_str_printf(struct gi_str *str, const char *fmt, ...) GI_PRINTF(2, 3);
void gi_str_vprintf(struct gi_str *str, const char *fmt, va_list ap) GI_PRINTF(2, 0);
void gi_str_put_u64(struct gi_str *str, uint64_t v);     // decimal, fast
void gi_str_put_hex(struct gi_str *str, uint64_t v);     // 0x1f, fast
/** The length of the valid UTF-8 sequence at s that a terminal may print, 0 if there is none. n >= 1. */
size_t gi_utf8_printable(const char *s, size_t n);
/** Appends s with control bytes and invalid UTF-8 as \xNN, so that a terminal is safe. */
void gi_str_put_escaped(struct gi_str *str, const char *s, size_t n);
/** "" instead of NULL. */
const char *gi_str_cstr(const struct gi_str *str);

// --- cursor ---------------------------------------------------------------

/**
 * A bounded reader over borrowed bytes. The first read past the end sets
 * `bad`; from then on every read yields 0 and does not move, so that a parser
 * may check once per record.
 */
struct gi_cursor {
	const uint8_t *base;
	size_t size;
	size_t off;
	bool bad;
};
static inline struct gi_cursor gi_cursor_make(const void *p, size_t size)
{
	return (struct gi_cursor){ .base = p, .size = size };
}
uint8_t gi_cursor_u8(struct gi_cursor *c);
uint16_t gi_cursor_u16(struct gi_cursor *c); // little-endian, as all supported targets
uint32_t gi_cursor_u32(struct gi_cursor *c);
uint64_t gi_cursor_u64(struct gi_cursor *c);
uint64_t gi_cursor_uleb(struct gi_cursor *c);
int64_t gi_cursor_sleb(struct gi_cursor *c);
/** Go's varint of at most 32 bits, as pc-value tables use. */
uint32_t gi_cursor_uvarint32(struct gi_cursor *c);
const void *gi_cursor_bytes(struct gi_cursor *c, size_t n); // NULL if bad
void gi_cursor_seek(struct gi_cursor *c, size_t off);
void gi_cursor_skip(struct gi_cursor *c, size_t n);
static inline size_t gi_cursor_left(const struct gi_cursor *c)
{
	return c->size - c->off;
}

static inline uint16_t gi_load_u16(const void *p)
{
	const uint8_t *b = p;
	return (uint16_t)(b[0] | b[1] << 8);
}
static inline uint32_t gi_load_u32(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t gi_load_u64(const void *p)
{
	return gi_load_u32(p) | (uint64_t)gi_load_u32((const uint8_t *)p + 4) << 32;
}

// --- hash map -------------------------------------------------------------

/** A map from uint64_t to uint64_t, open addressing. All-zero is empty. */
struct gi_map {
	struct gi_map_slot *slots;
	size_t cap;
	size_t len;
	bool has_zero; // the key 0 lives outside of the slots
	uint64_t zero_value;
};
void gi_map_deinit(struct gi_map *m);
struct gi_error *gi_map_put(struct gi_map *m, uint64_t key, uint64_t value) GI_MUST_CHECK;
bool gi_map_get(const struct gi_map *m, uint64_t key, uint64_t *ret);
/** What is in place i of m->cap; false if nothing is. The key 0 is in none of them. */
bool gi_map_at(const struct gi_map *m, size_t i, uint64_t *key_ret, uint64_t *ret);

// --- interrupts -----------------------------------------------------------

/** Async-signal-safe: asks whatever runs to stop. */
void gi_interrupt_raise(void);
void gi_interrupt_clear(void);
bool gi_interrupted(void);
/** GI_ERR_INTERRUPTED if an interrupt was raised, else NULL. Long loops poll this. */
struct gi_error *gi_interrupt_check(void) GI_MUST_CHECK;

/** Monotonic seconds, for progress and timings. */
double gi_now(void);

#endif

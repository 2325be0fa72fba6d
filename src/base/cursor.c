// Bounded cursors: the only way that bytes of files and of the inferior are parsed.

#include "gcore/base.h"

const void *gi_cursor_bytes(struct gi_cursor *c, size_t n)
{
	if (c->bad || n > c->size - c->off) {
		c->bad = true;
		return NULL;
	}
	const void *p = c->base + c->off;
	c->off += n;
	return p;
}

uint8_t gi_cursor_u8(struct gi_cursor *c)
{
	const uint8_t *p = gi_cursor_bytes(c, 1);
	return p ? *p : 0;
}

uint16_t gi_cursor_u16(struct gi_cursor *c)
{
	const void *p = gi_cursor_bytes(c, 2);
	return p ? gi_load_u16(p) : 0;
}

uint32_t gi_cursor_u32(struct gi_cursor *c)
{
	const void *p = gi_cursor_bytes(c, 4);
	return p ? gi_load_u32(p) : 0;
}

uint64_t gi_cursor_u64(struct gi_cursor *c)
{
	const void *p = gi_cursor_bytes(c, 8);
	return p ? gi_load_u64(p) : 0;
}

uint64_t gi_cursor_uleb(struct gi_cursor *c)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t b = gi_cursor_u8(c);
		if (c->bad)
			return 0;
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	c->bad = true;
	return 0;
}

int64_t gi_cursor_sleb(struct gi_cursor *c)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t b = gi_cursor_u8(c);
		if (c->bad)
			return 0;
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		if (b & 0x80)
			continue;
		if (b & 0x40 && shift + 7 < 64)
			v |= UINT64_MAX << (shift + 7);
		return (int64_t)v;
	}
	c->bad = true;
	return 0;
}

uint32_t gi_cursor_uvarint32(struct gi_cursor *c)
{
	uint32_t v = 0;
	for (unsigned shift = 0; shift < 35; shift += 7) {
		uint8_t b = gi_cursor_u8(c);
		if (c->bad)
			return 0;
		v |= (uint32_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	c->bad = true;
	return 0;
}

void gi_cursor_seek(struct gi_cursor *c, size_t off)
{
	if (off > c->size)
		c->bad = true;
	else
		c->off = off;
}

void gi_cursor_skip(struct gi_cursor *c, size_t n)
{
	(void)!gi_cursor_bytes(c, n);
}

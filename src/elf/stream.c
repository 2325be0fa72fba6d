// Sections unpacked as far as they are asked for.
//
// Of a big program's .debug_info little is read to find the runtime's types, and that
// stands early: unpacking tens of megabytes behind it would be most of the time and memory
// that opening the program takes. The buffer has the size that the section claims, so
// that nothing moves as it fills; pages that were not reached yet take no memory.

#include "elf/elf_private.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <zlib.h>

struct gi_elf_stream {
	const struct gi_elf *elf;
	const char *name; // borrowed from elf
	z_stream z;
	bool z_begun;
	uint8_t *data;
	size_t size, have;
	size_t left; // of the packed bytes, not given to zlib yet
};

enum { STEP_MAX = 1 << 30 }; // zlib counts in unsigned int

struct gi_error *gi_elf_stream_open(struct gi_elf *elf, const char *name,
				    struct gi_elf_stream **ret)
{
	size_t i;
	struct elf_section sec;
	struct elf_packed packed;
	*ret = NULL;
	if (!gi_elf_find_either(elf, name, &i, &sec) || !gi_elf_section_is_packed(&sec))
		return NULL;
	struct gi_error *err = gi_elf_packed_read(elf, &sec, &packed);
	if (err || packed.type != ELFCOMPRESS_ZLIB || !packed.size)
		return err;

	struct gi_elf_stream *s = calloc(1, sizeof(*s));
	if (!s)
		return gi_error_nomem();
	void *data = mmap(NULL, packed.size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (data == MAP_FAILED) {
		free(s);
		return gi_error_nomem();
	}
	s->elf = elf;
	s->name = sec.name;
	s->data = data;
	s->size = packed.size;
	s->left = packed.stream_size;
	s->z.next_in = (uint8_t *)packed.stream; // zlib only reads it
	if (inflateInit(&s->z) != Z_OK) {
		gi_elf_stream_close(s);
		return gi_error_nomem();
	}
	s->z_begun = true;
	*ret = s;
	return NULL;
}

void gi_elf_stream_close(struct gi_elf_stream *s)
{
	if (!s)
		return;
	if (s->z_begun)
		inflateEnd(&s->z);
	munmap(s->data, s->size);
	free(s);
}

struct gi_error *gi_elf_stream_want(struct gi_elf_stream *s, size_t n)
{
	n = gi_min_u64(n, s->size);
	while (s->have < n) {
		if (!s->z.avail_in) {
			s->z.avail_in = (uInt)gi_min_u64(s->left, STEP_MAX);
			s->left -= s->z.avail_in;
		}
		uInt room = (uInt)gi_min_u64(n - s->have, STEP_MAX);
		s->z.next_out = s->data + s->have;
		s->z.avail_out = room;
		int r = inflate(&s->z, Z_NO_FLUSH);
		s->have += room - s->z.avail_out;
		// Behind the last byte nothing but the end and a checksum may come.
		if (s->have == s->size && r == Z_OK) {
			uint8_t more;
			s->z.next_out = &more;
			s->z.avail_out = 1;
			r = inflate(&s->z, Z_FINISH);
			if (r != Z_STREAM_END || !s->z.avail_out)
				s->have--, r = Z_DATA_ERROR;
		}
		if (r == Z_OK || (r == Z_STREAM_END && s->have >= n))
			continue;
		return gi_error_create(GI_ERR_FORMAT, "%s: section %s cannot be decompressed: %s",
				       s->elf->path, s->name,
				       r == Z_STREAM_END || r == Z_BUF_ERROR ? "it ends early"
				       : s->z.msg			     ? s->z.msg
									     : zError(r));
	}
	return NULL;
}

size_t gi_elf_stream_size(const struct gi_elf_stream *s)
{
	return s->size;
}

const uint8_t *gi_elf_stream_data(const struct gi_elf_stream *s)
{
	return s->data;
}

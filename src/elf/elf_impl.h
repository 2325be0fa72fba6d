// What src/symbols needs of an ELF file beyond gcore/elf.h: libelf handles, for libdw.
#ifndef GCORE_ELF_IMPL_H
#define GCORE_ELF_IMPL_H

#include <libelf.h>

#include "gcore/elf.h"

/**
 * A compressed section that is unpacked from its beginning as far as it is asked for. Its
 * bytes stay where they are. Not thread-safe. elf is borrowed as long as the stream.
 */
struct gi_elf_stream;
/** *ret is NULL if the section is not there, not compressed or not by zlib. */
struct gi_error *gi_elf_stream_open(struct gi_elf *elf, const char *name,
				    struct gi_elf_stream **ret) GI_MUST_CHECK;
void gi_elf_stream_close(struct gi_elf_stream *s);
/** Unpacks the first n bytes, or all if it has no more. */
struct gi_error *gi_elf_stream_want(struct gi_elf_stream *s, size_t n) GI_MUST_CHECK;
/** Of the whole section. */
size_t gi_elf_stream_size(const struct gi_elf_stream *s);
/** The bytes, of which as many may be read as were asked for. */
const uint8_t *gi_elf_stream_data(const struct gi_elf_stream *s);

/**
 * A libelf handle that has some sections alone, those of names[] that the file has, decompressed,
 * and part, if that is not NULL. For libdw, which would decompress every debug section of the
 * file itself. Their bytes are borrowed from elf. Only to be read.
 */
struct gi_elf_part {
	const char *name;
	const uint8_t *data; // borrowed as long as the handle
	size_t size;
};
struct gi_elf_subset;
struct gi_error *gi_elf_subset_open(struct gi_elf *elf, const char *const *names, size_t n,
				    const struct gi_elf_part *part,
				    struct gi_elf_subset **ret) GI_MUST_CHECK;
void gi_elf_subset_close(struct gi_elf_subset *s);
/** Borrowed, as long as s. */
Elf *gi_elf_subset_handle(struct gi_elf_subset *s);

#endif

// A copy of an ELF file to be carried along inside of another file: without the contents of
// sections that nobody will ask for, and compressed with zstd.
//
// What is left out becomes a section without contents (SHT_NOBITS) and zeros, which cost nothing
// once they are compressed: no offset in the file moves. That those zeros are not the file's
// bytes is told by the holes, to whoever maps segments.

#include "elf/elf_private.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf/sparse.h"

enum {
	BLOCK = 1 << 20,
	SHDR_SIZE = 64,
	SHDR_TYPE = 4,
	SHOFF = 40,
	THOROUGH_MAX = 24 << 20, // above this many bytes speed counts more than size
};

void gi_elf_packed_deinit(struct gi_elf_packed *p)
{
	free(p->packed);
	free(p->holes);
	*p = (struct gi_elf_packed){ 0 };
}

struct sink {
	uint8_t *p;
	size_t n, cap;
	struct gi_error *err;
};

static la_ssize_t sink_write(struct archive *a, void *arg, const void *data, size_t n)
{
	struct sink *s = arg;
	(void)a;
	if (!s->err)
		s->err = gi_grow(&s->p, &s->cap, s->n + n, 1);
	if (s->err)
		return -1;
	memcpy(s->p + s->n, data, n);
	s->n += n;
	return (la_ssize_t)n;
}

static struct gi_error *archive_failed(struct archive *a)
{
	const char *s = archive_error_string(a);
	return gi_error_create(GI_ERR_UNSUPPORTED,
			       "libarchive cannot compress with zstd here: %s", s ? s : "no reason given");
}

static void archive_freep(struct archive **a)
{
	archive_write_free(*a);
}

/** Bytes in, a zstd stream out to write. */
static struct gi_error *stream_open(uint64_t size, const char *level, archive_write_callback *write,
				    void *arg, struct archive **ret)
{
	_cleanup_(archive_freep) struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	if (!a || !entry) {
		archive_entry_free(entry);
		return gi_error_nomem();
	}
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_pathname(entry, "data");
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_write_set_bytes_in_last_block(a, 1);
	// ARCHIVE_WARN: libarchive would run a program, found by PATH.
	bool ok = archive_write_add_filter_zstd(a) == ARCHIVE_OK &&
		  archive_write_set_filter_option(a, "zstd", "compression-level", level) == ARCHIVE_OK &&
		  archive_write_set_format_raw(a) == ARCHIVE_OK &&
		  archive_write_open(a, arg, NULL, write, NULL) == ARCHIVE_OK &&
		  archive_write_header(a, entry) == ARCHIVE_OK;
	archive_entry_free(entry);
	if (!ok)
		return archive_failed(a);
	*ret = a;
	a = NULL;
	return NULL;
}

static struct gi_error *stream_put(struct archive *a, const uint8_t *p, size_t n)
{
	struct gi_error *err = gi_interrupt_check();
	if (!err && archive_write_data(a, p, n) != (la_ssize_t)n)
		err = archive_failed(a);
	return err;
}

/** Ends the stream; an error of the sink itself says more than one of the stream. */
static struct gi_error *stream_end(struct archive *a, struct gi_error *err, struct gi_error *sink)
{
	if (!err && archive_write_close(a) != ARCHIVE_OK)
		err = archive_failed(a);
	if (sink) {
		gi_error_ignore(err);
		err = sink;
	}
	return err;
}

static struct gi_error *compress(const uint8_t *data, size_t n, uint8_t **ret, size_t *size_ret)
{
	struct sink sink = { 0 };
	_cleanup_(archive_freep) struct archive *a = NULL;
	struct gi_error *err = stream_open(n, n > THOROUGH_MAX ? "6" : "16", sink_write, &sink, &a);
	for (size_t at = 0; !err && at < n; at += gi_min_u64(BLOCK, n - at))
		err = stream_put(a, data + at, gi_min_u64(BLOCK, n - at));
	err = stream_end(a, err, sink.err);
	if (err) {
		free(sink.p);
		return err;
	}
	*ret = sink.p;
	*size_ret = sink.n;
	return NULL;
}

struct file_sink {
	struct elf_sparse *out;
	struct gi_error *err;
};

static la_ssize_t file_write(struct archive *a, void *arg, const void *data, size_t n)
{
	struct file_sink *s = arg;
	(void)a;
	if (!s->err)
		s->err = gi_elf_sparse_write(s->out, data, n);
	return s->err ? -1 : (la_ssize_t)n;
}

struct gi_error *gi_elf_pack_file(int fd, uint64_t size, struct elf_sparse *out)
{
	struct file_sink sink = { .out = out };
	_cleanup_(archive_freep) struct archive *a = NULL;
	_cleanup_(gi_freep) uint8_t *block = malloc(BLOCK);
	if (!block)
		return gi_error_nomem();
	struct gi_error *err = stream_open(size, "6", file_write, &sink, &a);
	for (uint64_t at = 0; !err && at < size;) {
		ssize_t n = pread(fd, block, gi_min_u64(BLOCK, size - at), (off_t)at);
		if (n <= 0)
			err = gi_error_errno("a temporary file cannot be read");
		else
			err = stream_put(a, block, (size_t)n);
		at += n > 0 ? (uint64_t)n : 0;
	}
	return stream_end(a, err, sink.err);
}

static int hole_cmp(const void *a, const void *b)
{
	const struct gi_elf_hole *x = a, *y = b;
	return x->off < y->off ? -1 : x->off > y->off;
}

// Empties section i of the copy.
static struct gi_error *leave_out_section(const struct gi_elf *elf, uint8_t *copy, size_t i,
					  const struct elf_section *sec, struct gi_elf_packed *ret,
					  size_t *cap)
{
	static const uint8_t nobits[4] = { SHT_NOBITS };
	size_t n;
	const uint8_t *bytes = gi_elf_section_bytes(elf, sec, &n);
	if (!bytes || !n)
		return NULL;
	struct gi_error *err =
		gi_grow(&ret->holes, cap, ret->hole_count + 1, sizeof(*ret->holes));
	if (err)
		return err;
	memset(copy + sec->offset, 0, n);
	uint64_t shoff = gi_load_u64(elf->bytes + SHOFF);
	memcpy(copy + shoff + i * SHDR_SIZE + SHDR_TYPE, nobits, sizeof(nobits));
	ret->holes[ret->hole_count++] = (struct gi_elf_hole){ sec->offset, n };
	return NULL;
}

// True if a part of the file that is needed otherwise lies in [off, off + n).
static bool overlaps_headers(const struct gi_elf *elf, uint64_t off, uint64_t n)
{
	uint64_t shoff = gi_load_u64(elf->bytes + SHOFF);
	uint64_t phsize = elf->phnum_held * (uint64_t)elf->ident.phentsize;
	uint64_t shsize = elf->shnum * (uint64_t)SHDR_SIZE;
	return off < sizeof(Elf64_Ehdr) || (off < elf->ident.phoff + phsize && elf->ident.phoff < off + n) ||
	       (off < shoff + shsize && shoff < off + n);
}

static struct gi_error *make_holes(const struct gi_elf *elf, uint8_t *copy,
				   gi_elf_leave_out_fn leave_out, void *arg,
				   struct gi_elf_packed *ret)
{
	size_t cap = 0;
	for (size_t i = 1; leave_out && i < elf->shnum; i++) {
		struct elf_section sec = gi_elf_section_header(elf, i);
		if (sec.type == SHT_NOBITS || sec.type == SHT_NULL || sec.offset >= elf->size ||
		    overlaps_headers(elf, sec.offset, gi_min_u64(sec.size, elf->size - sec.offset)) ||
		    !leave_out(arg, sec.name))
			continue;
		struct gi_error *err = leave_out_section(elf, copy, i, &sec, ret, &cap);
		if (err)
			return err;
	}
	if (ret->hole_count)
		qsort(ret->holes, ret->hole_count, sizeof(*ret->holes), hole_cmp);
	return NULL;
}

struct gi_error *gi_elf_pack(const struct gi_elf *elf, gi_elf_leave_out_fn leave_out, void *arg,
			     struct gi_elf_packed *ret)
{
	_cleanup_(gi_elf_packed_deinit) struct gi_elf_packed made = { .size = elf->size };
	if (elf->size > GI_ELF_PACKED_MAX)
		return gi_error_create(GI_ERR_UNSUPPORTED, "%s is too large to be carried along: it has %zu bytes",
				       elf->path, elf->size);
	_cleanup_(gi_freep) uint8_t *copy = malloc(elf->size);
	if (!copy)
		return gi_error_nomem();
	memcpy(copy, elf->bytes, elf->size);
	struct gi_error *err = make_holes(elf, copy, leave_out, arg, &made);
	if (!err)
		err = compress(copy, elf->size, &made.packed, &made.packed_size);
	if (err)
		return err;
	*ret = made;
	made = (struct gi_elf_packed){ 0 };
	return NULL;
}

struct gi_error *gi_elf_open_packed_image(const char *name, const uint8_t *packed, size_t n,
					  uint64_t size, struct gi_elf **ret)
{
	_cleanup_(gi_freep) uint8_t *image = NULL;
	size_t got;
	if (size > GI_ELF_PACKED_MAX)
		return gi_error_create(GI_ERR_FORMAT, "the copy of %s is damaged: it claims %llu bytes", name,
				       (unsigned long long)size);
	struct gi_error *err = gi_elf_unpack_bytes(name, "zstd", packed, n, (size_t)size, &image, &got);
	if (err)
		return err;
	if (got != size)
		return gi_error_create(GI_ERR_FORMAT,
				       "the copy of %s is damaged: it unpacks to %zu bytes, not %llu", name,
				       got, (unsigned long long)size);
	return gi_elf_open_image(name, image, got, ret);
}

void gi_elf_set_alt(struct gi_elf *elf, struct gi_elf *alt)
{
	if (elf->alt)
		gi_elf_close(alt);
	else
		elf->alt = alt;
}

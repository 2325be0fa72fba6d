// Cores and executables that are compressed as a whole, as systemd-coredump and people
// store them: one stream, no archive.
//
// How a file is compressed is told by its first bytes, never by its name. libarchive
// unpacks it, with the one filter that these bytes call for, built into the library: it
// is not allowed to start other programs. The result goes to a file (sparse.c), because a
// core is mapped, and larger than memory more often than not.
//
// The file is not to be trusted. Its first unpacked bytes must begin an ELF file before
// anything is written; the unpacked size has a limit. What a file that is cut off or
// damaged gave before that point is good (the streams are in order), so it is
// used, with a note.

#include "elf/compressed.h"

#include <archive.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf/elf_private.h"
#include "elf/sparse.h"

enum { INPUT_BLOCK = 1 << 18, HEAD = 512 };

struct elf_filter {
	const char *magic;
	size_t n;
	const char *name;
	int (*support)(struct archive *);
};

static const struct elf_filter filters[] = {
	{ "\x28\xb5\x2f\xfd", 4, "zstd", archive_read_support_filter_zstd },
	{ "\x04\x22\x4d\x18", 4, "lz4", archive_read_support_filter_lz4 },
	{ "\x02\x21\x4c\x18", 4, "lz4", archive_read_support_filter_lz4 },
	{ "\xfd"
	  "7zXZ\0",
	  6, "xz", archive_read_support_filter_xz },
	{ "\x1f\x8b", 2, "gzip", archive_read_support_filter_gzip },
	{ "BZh", 3, "bzip2", archive_read_support_filter_bzip2 },
};

const struct elf_filter *gi_elf_filter_find(const uint8_t *head, size_t n)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(filters); i++) {
		if (n >= filters[i].n && !memcmp(head, filters[i].magic, filters[i].n))
			return &filters[i];
	}
	return NULL;
}

/** One file on its way. */
struct run {
	const struct elf_filter *filter;
	const char *path;
	const struct gi_elf_unpacking *unpacking;
	uint64_t packed_size, max_size;
	struct archive *archive;
	struct elf_sparse *out;
	struct gi_str head;    // until there is enough of it to see what it is
	struct gi_error *why;  // the stream ended early
};

static void run_deinit(struct run *r)
{
	archive_read_free(r->archive);
	gi_elf_sparse_destroy(r->out);
	gi_str_deinit(&r->head);
	gi_error_free(r->why);
}

static struct gi_error *stream_error(struct run *r)
{
	_cleanup_(gi_str_deinit) struct gi_str text = { 0 };
	const char *s = archive_error_string(r->archive);
	if (s)
		gi_str_put_escaped(&text, s, strlen(s));
	return gi_error_create(GI_ERR_FORMAT, "%s", text.len ? gi_str_cstr(&text) : "no reason given");
}

static struct gi_error *open_stream(struct run *r, int fd)
{
	r->archive = archive_read_new();
	if (!r->archive)
		return gi_error_nomem();
	// ARCHIVE_WARN: libarchive would run a program, found by PATH.
	if (r->filter->support(r->archive) != ARCHIVE_OK)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "%s is compressed with %s, which the libarchive of this system "
				       "cannot unpack: unpack it first",
				       r->path, r->filter->name);
	struct archive_entry *entry;
	if (archive_read_support_format_raw(r->archive) != ARCHIVE_OK ||
	    archive_read_open_fd(r->archive, fd, INPUT_BLOCK) != ARCHIVE_OK ||
	    archive_read_next_header(r->archive, &entry) != ARCHIVE_OK)
		r->why = stream_error(r);
	else if (archive_filter_code(r->archive, 0) == ARCHIVE_FILTER_NONE)
		r->why = gi_error_create(GI_ERR_FORMAT, "the header of the stream is not whole");
	return NULL;
}

// What begins the unpacked file decides whether the rest of it is wanted.
static struct gi_error *check_head(struct run *r)
{
	_cleanup_(gi_str_deinit) struct gi_str name = { 0 };
	gi_str_printf(&name, "%s (compressed with %s)", r->path, r->filter->name);
	return gi_elf_check_ident(gi_str_cstr(&name), (const uint8_t *)r->head.s, r->head.len);
}

static struct gi_error *put_block(struct run *r, const uint8_t *p, size_t n)
{
	if (n > r->max_size - gi_elf_sparse_size(r->out))
		return gi_error_create(GI_ERR_FORMAT,
				       "%s unpacks to more than %llu bytes: if that is right, raise the "
				       "limit with GCORE_UNPACK_MAX=SIZE in the environment",
				       r->path, (unsigned long long)r->max_size);
	if (r->head.len < HEAD) {
		gi_str_putn(&r->head, (const char *)p, gi_min_u64(n, HEAD - r->head.len));
		if (r->head.oom)
			return gi_error_nomem();
		if (r->head.len == HEAD) {
			struct gi_error *err = check_head(r);
			if (err)
				return err;
		}
	}
	return gi_error_wrap(gi_elf_sparse_write(r->out, p, n), "%s cannot be unpacked", r->path);
}

static struct gi_error *unpack_all(struct run *r)
{
	for (;;) {
		const void *p;
		size_t n;
		la_int64_t off;
		struct gi_error *err = gi_interrupt_check();
		if (err)
			return err;
		int status = archive_read_data_block(r->archive, &p, &n, &off);
		if (status == ARCHIVE_EOF)
			return NULL;
		if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
			r->why = stream_error(r);
			return NULL;
		}
		err = put_block(r, p, n);
		if (err)
			return err;
		if (!r->unpacking->progress)
			continue;
		// The innermost filter counts the bytes of the file itself.
		la_int64_t done = archive_filter_bytes(r->archive, -1);
		r->unpacking->progress(r->unpacking->progress_arg, r->path,
				       gi_min_u64(done > 0 ? (uint64_t)done : 0, r->packed_size),
				       r->packed_size);
	}
}

static struct gi_error *check_result(struct run *r, char **note_ret)
{
	uint64_t size = gi_elf_sparse_size(r->out);
	if (!size && r->why)
		return gi_error_create(GI_ERR_FORMAT,
				       "%s is compressed with %s, but nothing of it can be unpacked: it is "
				       "cut off or damaged (%s)",
				       r->path, r->filter->name, gi_error_message(r->why));
	if (!size)
		return gi_error_create(GI_ERR_FORMAT, "%s is compressed with %s, and empty", r->path,
				       r->filter->name);
	if (r->head.len < HEAD) {
		struct gi_error *err = check_head(r);
		if (err)
			return err;
	}
	if (!r->why)
		return NULL;
	_cleanup_(gi_str_deinit) struct gi_str path = { 0 };
	gi_str_put_escaped(&path, r->path, strlen(r->path));
	char *note;
	if (asprintf(&note, "%s, compressed with %s, is cut off or damaged: %llu bytes of what was in it "
			    "could be unpacked (%s)",
		     gi_str_cstr(&path), r->filter->name, (unsigned long long)size,
		     gi_error_message(r->why)) < 0)
		return gi_error_nomem();
	*note_ret = note;
	return NULL;
}

struct gi_error *gi_elf_filter_run(const struct elf_filter *filter, const char *path, int fd,
				   const struct gi_elf_unpacking *unpacking, int *fd_ret,
				   char **note_ret)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return gi_error_errno("%s", path);
	_cleanup_(run_deinit) struct run r = {
		.filter = filter,
		.path = path,
		.unpacking = unpacking,
		.packed_size = (uint64_t)st.st_size,
		.max_size = unpacking->max_size ? unpacking->max_size : GI_ELF_UNPACKED_MAX,
	};
	_cleanup_(gi_freep) char *kept = NULL;
	const char *dir = unpacking->cache_dir;
	struct gi_error *err;
	if (dir && dir[0]) {
		err = gi_elf_cache_prepare(dir);
		if (err)
			return err;
		kept = gi_elf_cache_name(dir, &st);
		if (!kept)
			return gi_error_nomem();
		int found = gi_elf_cache_open(kept);
		if (found >= 0) {
			*fd_ret = found;
			return NULL;
		}
	} else {
		dir = gi_elf_sparse_temp_dir();
	}
	err = gi_error_wrap(gi_elf_sparse_create(dir, &r.out), "%s is compressed with %s", path,
			    filter->name);
	if (!err)
		err = open_stream(&r, fd);
	if (!err && !r.why)
		err = unpack_all(&r);
	char *note = NULL;
	if (!err)
		err = check_result(&r, &note);
	// A part is not kept: whoever finds it would not know.
	if (!err)
		err = gi_elf_sparse_finish(r.out, r.why ? NULL : kept, fd_ret);
	if (err) {
		free(note);
		return err;
	}
	if (note)
		*note_ret = note;
	return NULL;
}

// Large files that are written once: temporary ones, and those that a cache keeps.
//
// A core is mostly zeros: pages of them are not written, so that the file system keeps
// holes there, and a core of many gigabytes needs the room of what is in it.
//
// A file has no name while it is written (O_TMPFILE), so that nothing is left behind
// however this process ends. Where the file system has no such files, a temporary one is
// removed as soon as it is open, and one that will be kept has a name of its own until it
// is whole. A kept file is brought to the disk before it gets its name: after a crash of
// the machine a core with zeros in the place of memory must not be found there.
//
// A cache's file is named by the identity of the file it was made from: device, inode,
// size, time of change. Cores hold secrets: all files are their owner's alone, and only
// files of the same owner are believed.

#include "elf/sparse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gcore/base.h"

enum { CHUNK = 1 << 20, PAGE = 4096 };

struct elf_sparse {
	int fd;
	bool wanted; // where it is, by whoever asked for it
	char *dir;
	char *name;    // while it is written; NULL: it has none
	uint64_t size; // written or left out before chunk
	size_t fill;   // of chunk
	uint8_t chunk[CHUNK];
};

const char *gi_elf_sparse_temp_dir(void)
{
	const char *dir = getenv("TMPDIR");
	if (dir && dir[0])
		return dir;
	return access("/var/tmp", W_OK | X_OK) == 0 ? "/var/tmp" : "/tmp";
}

struct gi_error *gi_elf_sparse_create(const char *dir, struct elf_sparse **ret)
{
	_cleanup_(gi_elf_sparse_destroyp) struct elf_sparse *s = malloc(sizeof(*s));
	if (!s)
		return gi_error_nomem();
	s->size = s->fill = 0;
	s->name = NULL;
	s->wanted = false;
	s->fd = -1;
	s->dir = strdup(dir);
	if (!s->dir)
		return gi_error_nomem();
	s->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		if (asprintf(&s->name, "%s/.gcore-XXXXXX", dir) < 0) {
			s->name = NULL;
			return gi_error_nomem();
		}
		s->fd = mkostemp(s->name, O_CLOEXEC);
		if (s->fd < 0) {
			int e = errno;
			free(s->name); // nothing of that name is ours to remove
			s->name = NULL;
			errno = e;
		}
	}
	if (s->fd < 0)
		return gi_error_errno("no file can be made in %s", dir);
	*ret = s;
	s = NULL;
	return NULL;
}

void gi_elf_sparse_destroy(struct elf_sparse *s)
{
	if (!s)
		return;
	if (s->name)
		unlink(s->name);
	if (s->fd >= 0)
		close(s->fd);
	free(s->name);
	free(s->dir);
	free(s);
}

uint64_t gi_elf_sparse_size(const struct elf_sparse *s)
{
	return s->size + s->fill;
}

void gi_elf_sparse_set_wanted(struct elf_sparse *s)
{
	s->wanted = true;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static struct gi_error *write_error(const struct elf_sparse *s)
{
	if (!s->wanted && (errno == ENOSPC || errno == EDQUOT))
		return gi_error_errno("%s is full after %llu bytes: TMPDIR or --cache-dir can name "
				      "a folder with more room",
				      s->dir, (unsigned long long)s->size);
	if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
		return gi_error_errno("%s has no room for more than %llu MB of the file: nothing of it was left there",
				      s->dir, (unsigned long long)(s->size >> 20));
	return gi_error_errno("a file in %s cannot be written", s->dir);
}

static struct gi_error *write_run(struct elf_sparse *s, size_t from, size_t to)
{
	while (from < to) {
		ssize_t n = pwrite(s->fd, s->chunk + from, to - from, (off_t)(s->size + from));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return write_error(s);
		from += (size_t)n;
	}
	return NULL;
}

// Writes the chunk's pages that are not zero, neighbours together.
static struct gi_error *flush_chunk(struct elf_sparse *s)
{
	for (size_t at = 0; at < s->fill;) {
		size_t from = at;
		while (at < s->fill && !is_zero(s->chunk + at, gi_min_u64(PAGE, s->fill - at)))
			at = gi_min_u64(at + PAGE, s->fill);
		struct gi_error *err = write_run(s, from, at);
		if (err)
			return err;
		// This page, if there is one, is zero.
		at = gi_min_u64(at + PAGE, s->fill);
	}
	s->size += s->fill;
	s->fill = 0;
	return NULL;
}

struct gi_error *gi_elf_sparse_write(struct elf_sparse *s, const uint8_t *p, size_t n)
{
	while (n) {
		size_t part = gi_min_u64(n, CHUNK - s->fill);
		memcpy(s->chunk + s->fill, p, part);
		s->fill += part;
		p += part;
		n -= part;
		if (s->fill < CHUNK)
			continue;
		struct gi_error *err = flush_chunk(s);
		if (err)
			return err;
	}
	return NULL;
}

struct gi_error *gi_elf_sparse_zeros(struct elf_sparse *s, uint64_t n)
{
	while (n) {
		size_t part = gi_min_u64(n, CHUNK - s->fill);
		memset(s->chunk + s->fill, 0, part);
		s->fill += part;
		n -= part;
		if (s->fill < CHUNK)
			continue;
		struct gi_error *err = flush_chunk(s);
		if (err)
			return err;
		// Whole chunks of zeros are passed over.
		uint64_t whole = n / CHUNK * CHUNK;
		s->size += whole;
		n -= whole;
	}
	return NULL;
}

static struct gi_error *keep(struct elf_sparse *s, const char *name)
{
	if (fdatasync(s->fd) < 0)
		return write_error(s);
	if (s->name) {
		if (rename(s->name, name) < 0)
			return gi_error_errno("%s", name);
		free(s->name);
		s->name = NULL;
		return NULL;
	}
	_cleanup_(gi_str_deinit) struct gi_str self = { 0 };
	gi_str_printf(&self, "/proc/self/fd/%d", s->fd);
	if (self.oom)
		return gi_error_nomem();
	// Another process may have been quicker. What is not to be trusted goes.
	int done = linkat(AT_FDCWD, self.s, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
	if (done < 0 && errno == EEXIST) {
		unlink(name);
		done = linkat(AT_FDCWD, self.s, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
	}
	if (done < 0 && errno != EEXIST)
		return gi_error_errno("%s", name);
	return NULL;
}

struct gi_error *gi_elf_sparse_finish(struct elf_sparse *s, const char *name, int *fd_ret)
{
	struct gi_error *err = flush_chunk(s);
	if (err)
		return err;
	if (ftruncate(s->fd, (off_t)s->size) < 0)
		return write_error(s);
	if (name) {
		err = keep(s, name);
		if (err)
			return err;
	}
	*fd_ret = s->fd;
	s->fd = -1;
	return NULL;
}

// --- the cache ------------------------------------------------------------------

struct gi_error *gi_elf_cache_prepare(const char *dir)
{
	struct stat st;
	if (mkdir(dir, 0700) == 0)
		return NULL;
	int e = errno;
	if (e == EEXIST && stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
		e = ENOTDIR;
	if (e == EEXIST)
		return NULL;
	errno = e;
	return gi_error_errno("the cache folder %s", dir);
}

char *gi_elf_cache_name(const char *dir, const struct stat *st)
{
	char *name;
	if (asprintf(&name, "%s/%llx-%llx-%llx-%llx.%09ld.unpacked", dir,
		     (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
		     (unsigned long long)st->st_size, (unsigned long long)st->st_mtim.tv_sec,
		     (long)st->st_mtim.tv_nsec) < 0)
		return NULL;
	return name;
}

int gi_elf_cache_open(const char *name)
{
	struct stat st;
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return fd;
	close(fd);
	return -1;
}

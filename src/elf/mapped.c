// Which mapped file an address is of: for the signal that reading a mapped file may end in.
//
// Memory that maps a file is gone once the file is cut short (someone writes a new core or
// program over it) or its disk fails: the access is a SIGBUS. A signal handler has
// to find out what happened to whom, where nothing may be locked and nothing allocated. So
// opened files are in a list whose links are only ever set, by whoever has the lock, to
// something whole.

#include "elf/elf_private.h"

#include <stdatomic.h>
#include <sys/stat.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gi_elf *_Atomic first;

void gi_elf_mapped_add(struct gi_elf *elf)
{
	pthread_mutex_lock(&lock);
	atomic_store(&elf->next_mapped, atomic_load(&first));
	atomic_store(&first, elf);
	pthread_mutex_unlock(&lock);
}

void gi_elf_mapped_remove(struct gi_elf *elf)
{
	pthread_mutex_lock(&lock);
	struct gi_elf *_Atomic *link = &first;
	for (struct gi_elf *e; (e = atomic_load(link)) != NULL; link = &e->next_mapped) {
		if (e != elf)
			continue;
		atomic_store(link, atomic_load(&e->next_mapped));
		break;
	}
	pthread_mutex_unlock(&lock);
}

const char *gi_elf_mapped_at(const void *addr, uint64_t *off_ret, uint64_t *size_ret)
{
	for (struct gi_elf *e = atomic_load(&first); e; e = atomic_load(&e->next_mapped)) {
		// The last page of a mapping reaches past the end of its file.
		uint64_t off = (uint64_t)(uintptr_t)addr - (uint64_t)(uintptr_t)e->bytes;
		if (off >= ((e->size + 4095) & ~(uint64_t)4095))
			continue;
		*off_ret = off;
		*size_ret = e->size;
		return e->path;
	}
	return NULL;
}

struct gi_error *gi_elf_check_unchanged(const struct gi_elf *elf)
{
	const struct stat *was = &elf->opened;
	struct stat is;
	if (!was->st_nlink || stat(elf->path, &is) < 0 || is.st_dev != was->st_dev ||
	    is.st_ino != was->st_ino)
		return NULL;
	if (is.st_size == was->st_size && is.st_mtim.tv_sec == was->st_mtim.tv_sec &&
	    is.st_mtim.tv_nsec == was->st_mtim.tv_nsec)
		return NULL;
	return gi_error_create(GI_ERR_IO,
			       "%s was written to while it was read: do not trust what was shown since "
			       "then; start again once it is whole, or with a copy of it",
			       elf->path);
}

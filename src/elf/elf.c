// ELF files: opening, headers, segments and sections.
//
// A file is mapped read-only and never copied. Its headers are decoded here, on
// demand, from the mapping: each access is checked against the size of the file,
// so that a damaged or hostile file yields errors or fewer entries, not faults.
// libelf only serves decompression (unpack.c) and libdw (subset.c).
//
// The facts are of the System V ABI, chapters 4 and 5, and of elf(5): PN_XNUM and
// the extended section numbering keep their real values in section header 0.

#include "elf/compressed.h"
#include "elf/elf_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	EHDR_SIZE = 64,
	PHDR_SIZE = 56,
	SHDR_SIZE = 64,
	SKIPPABLE_FRAMES_MAX = 16,
};

static struct elf_section shdr_decode(const uint8_t *p)
{
	return (struct elf_section){
		.name = "",
		.type = gi_load_u32(p + 4),
		.flags = gi_load_u64(p + 8),
		.addr = gi_load_u64(p + 16),
		.offset = gi_load_u64(p + 24),
		.size = gi_load_u64(p + 32),
		.link = gi_load_u32(p + 40),
		.entsize = gi_load_u64(p + 56),
	};
}

struct elf_section gi_elf_section_header(const struct gi_elf *elf, size_t i)
{
	const uint8_t *p = elf->shdrs + i * SHDR_SIZE;
	struct elf_section sec = shdr_decode(p);
	uint32_t name = gi_load_u32(p);
	if (name < elf->shstr_size)
		sec.name = elf->shstr + name;
	return sec;
}

static void elf_read_sections(struct gi_elf *elf)
{
	const uint8_t *e = elf->bytes;
	uint64_t shoff = gi_load_u64(e + 40);
	uint16_t shentsize = gi_load_u16(e + 58);
	uint64_t shnum = gi_load_u16(e + 60);
	uint32_t shstrndx = gi_load_u16(e + 62);
	if (!shoff || shentsize != SHDR_SIZE || !elf_at(elf, shoff, SHDR_SIZE))
		return;
	struct elf_section zero = shdr_decode(e + shoff);
	if (!shnum)
		shnum = zero.size;
	if (shstrndx == SHN_XINDEX)
		shstrndx = zero.link;
	shnum = gi_min_u64(shnum, (elf->size - shoff) / SHDR_SIZE);
	elf->shdrs = e + shoff;
	elf->shnum = shnum;
	if (shstrndx >= elf->shnum)
		return;
	struct elf_section str = gi_elf_section_header(elf, shstrndx);
	size_t n;
	const uint8_t *data = gi_elf_section_bytes(elf, &str, &n);
	// Names end at the last NUL: any offset before it is a terminated string.
	while (n && data[n - 1])
		n--;
	elf->shstr = (const char *)data;
	elf->shstr_size = n;
}

static struct gi_error *elf_read_headers(struct gi_elf *elf)
{
	const uint8_t *e = elf->bytes;
	elf->ident = (struct gi_elf_ident){
		.type = gi_load_u16(e + 16),
		.machine = gi_load_u16(e + 18),
		.entry = gi_load_u64(e + 24),
		.phoff = gi_load_u64(e + 32),
		.phentsize = gi_load_u16(e + 54),
	};
	elf_read_sections(elf);
	elf->phnum = gi_load_u16(e + 56);
	if (elf->phnum == PN_XNUM && elf->shnum)
		elf->phnum = gi_load_u32(elf->shdrs + 44); // sh_info
	if (!elf->phnum)
		return NULL;
	if (elf->ident.phentsize != PHDR_SIZE)
		return gi_error_create(GI_ERR_FORMAT,
				       "%s is damaged: its program headers claim to be %u bytes each",
				       elf->path, elf->ident.phentsize);
	if (elf->ident.phoff < elf->size)
		elf->phnum_held = gi_min_u64(elf->phnum,
					     (elf->size - elf->ident.phoff) / PHDR_SIZE);
	return NULL;
}

struct gi_error *gi_elf_check_ident(const char *path, const uint8_t *head, size_t n)
{
	if (n < SELFMAG || memcmp(head, ELFMAG, SELFMAG) != 0)
		return gi_error_create(GI_ERR_FORMAT, "%s %s", path,
				       gi_elf_describe_other(head, n));
	if (n < EHDR_SIZE)
		return gi_error_create(GI_ERR_FORMAT,
				       "%s is cut off inside of its ELF header: %zu bytes are left",
				       path, n);
	bool narrow = head[EI_CLASS] == ELFCLASS32, big = head[EI_DATA] == ELFDATA2MSB;
	if (narrow || big) {
		uint16_t machine = big ? (uint16_t)(head[18] << 8 | head[19]) :
					 gi_load_u16(head + 18);
		const char *name = gi_elf_machine_name(machine);
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "%s is a %s%s%s ELF file%s%s: only 64-bit little-endian ones "
				       "are supported",
				       path, narrow ? "32-bit" : "", narrow && big ? ", " : "",
				       big ? "big-endian" : "", name ? " of " : "",
				       name ? name : "");
	}
	if (head[EI_CLASS] != ELFCLASS64 || head[EI_DATA] != ELFDATA2LSB)
		return gi_error_create(GI_ERR_FORMAT, "%s is damaged: its ELF header is not valid",
				       path);
	return NULL;
}

// Takes over the mapping of size bytes, also when it fails.
static struct gi_error *elf_create(const char *path, void *map, size_t size, struct gi_elf **ret)
{
	_cleanup_(gi_elf_closep) struct gi_elf *elf = calloc(1, sizeof(*elf));
	if (!elf) {
		munmap(map, size);
		return gi_error_nomem();
	}
	pthread_mutex_init(&elf->lock, NULL);
	elf->bytes = map;
	elf->size = size;
	elf->path = strdup(path);
	if (!elf->path)
		return gi_error_nomem();
	gi_elf_mapped_add(elf);
	struct gi_error *err = elf_read_headers(elf);
	if (err)
		return err;
	*ret = elf;
	elf = NULL;
	return NULL;
}

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

// Frames that readers of zstd and lz4 skip may come first: parallel compressors note there how
// the rest is cut. Where the file goes on behind them.
static off_t after_skippable_frames(int fd)
{
	off_t at = 0;
	for (int i = 0; i < SKIPPABLE_FRAMES_MAX; i++) {
		uint8_t head[8];
		if (pread(fd, head, sizeof(head), at) != sizeof(head) ||
		    (gi_load_u32(head) & 0xfffffff0) != 0x184d2a50)
			break;
		at += (off_t)sizeof(head) + gi_load_u32(head + 4);
	}
	return at;
}

// Opens what is behind *fd, or, if that is compressed, what was in it: *fd and *size are
// the unpacked file's then.
static struct gi_error *elf_unpack_file(const char *path, const struct gi_elf_unpacking *unpacking,
					int *fd, uint64_t *size, char **note_ret)
{
	uint8_t head[512];
	off_t start = after_skippable_frames(*fd);
	ssize_t got = pread(*fd, head, sizeof(head), start);
	if (got < 0)
		return gi_error_errno("%s", path);
	const struct elf_filter *filter = unpacking ? gi_elf_filter_find(head, (size_t)got) : NULL;
	// Unpacking starts where the file stands.
	if (filter && lseek(*fd, start, SEEK_SET) < 0)
		return gi_error_errno("%s", path);
	if (!filter && start && (got = pread(*fd, head, sizeof(head), 0)) < 0)
		return gi_error_errno("%s", path);
	if (!filter)
		return gi_elf_check_ident(path, head, (size_t)got);
	int plain;
	struct gi_error *err = gi_elf_filter_run(filter, path, *fd, unpacking, &plain, note_ret);
	if (err)
		return err;
	close(*fd);
	*fd = plain;
	struct stat st;
	if (fstat(*fd, &st) < 0)
		return gi_error_errno("%s", path);
	*size = (uint64_t)st.st_size;
	return NULL;
}

static struct gi_error *elf_open(const char *path, const struct gi_elf_unpacking *unpacking,
				 struct gi_elf **ret)
{
	struct stat st;
	// Looked at before it is opened: opening a device or a pipe has effects.
	if (stat(path, &st) < 0)
		return gi_error_errno("%s", path);
	if (S_ISDIR(st.st_mode))
		return gi_error_create(GI_ERR_IO, "%s is a directory", path);
	if (!S_ISREG(st.st_mode))
		return gi_error_create(GI_ERR_IO, "%s is not a regular file", path);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return gi_error_errno("%s", path);
	if (st.st_size <= 0)
		return gi_error_create(GI_ERR_FORMAT, "%s is empty", path);
	uint64_t size = (uint64_t)st.st_size;
	_cleanup_(gi_freep) char *note = NULL;
	int file = fd;
	struct gi_error *err = elf_unpack_file(path, unpacking, &fd, &size, &note);
	if (err)
		return err;
	if (fd != file)
		st.st_nlink = 0; // what is mapped is not this file

	void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return gi_error_errno("%s: cannot be mapped", path);
	struct gi_elf *elf;
	err = elf_create(path, map, size, &elf);
	if (err)
		return err;
	elf->opened = st;
	elf->unpacking_note = note;
	note = NULL;
	*ret = elf;
	return NULL;
}

struct gi_error *gi_elf_open(const char *path, struct gi_elf **ret)
{
	return elf_open(path, NULL, ret);
}

struct gi_error *gi_elf_open_packed(const char *path, const struct gi_elf_unpacking *unpacking,
				    struct gi_elf **ret)
{
	static const struct gi_elf_unpacking defaults;
	return elf_open(path, unpacking ? unpacking : &defaults, ret);
}

const char *gi_elf_unpacking_note(const struct gi_elf *elf)
{
	return elf->unpacking_note;
}

struct gi_error *gi_elf_open_image(const char *name, const uint8_t *image, size_t n,
				   struct gi_elf **ret)
{
	struct gi_error *err = gi_elf_check_ident(name, image, n);
	if (err)
		return err;
	void *map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return gi_error_nomem();
	memcpy(map, image, n);
	return elf_create(name, map, n, ret);
}

void gi_elf_close(struct gi_elf *elf)
{
	if (!elf)
		return;
	gi_elf_mapped_remove(elf);
	while (elf->unpacked) {
		struct elf_unpacked *next = elf->unpacked->next;
		gi_elf_unpacked_destroy(elf->unpacked);
		elf->unpacked = next;
	}
	gi_elf_symtab_deinit(&elf->symtab);
	gi_elf_close(elf->alt);
	if (elf->bytes)
		munmap((void *)elf->bytes, elf->size);
	pthread_mutex_destroy(&elf->lock);
	free(elf->path);
	free(elf->unpacking_note);
	free(elf);
}

const char *gi_elf_path(const struct gi_elf *elf)
{
	return elf->path;
}

struct gi_elf_ident gi_elf_ident(const struct gi_elf *elf)
{
	return elf->ident;
}

const uint8_t *gi_elf_bytes(const struct gi_elf *elf, size_t *size_ret)
{
	*size_ret = elf->size;
	return elf->bytes;
}

size_t gi_elf_segment_count(const struct gi_elf *elf)
{
	return elf->phnum_held;
}

uint64_t gi_elf_segment_count_declared(const struct gi_elf *elf)
{
	return elf->phnum;
}

struct gi_elf_segment gi_elf_segment(const struct gi_elf *elf, size_t i)
{
	if (i >= elf->phnum_held)
		return (struct gi_elf_segment){ .type = PT_NULL };
	const uint8_t *p = elf->bytes + elf->ident.phoff + i * PHDR_SIZE;
	return (struct gi_elf_segment){
		.type = gi_load_u32(p),
		.flags = gi_load_u32(p + 4),
		.offset = gi_load_u64(p + 8),
		.vaddr = gi_load_u64(p + 16),
		.filesz = gi_load_u64(p + 32),
		.memsz = gi_load_u64(p + 40),
		.align = gi_load_u64(p + 48),
	};
}

uint64_t gi_elf_size_declared(const struct gi_elf *elf)
{
	const uint64_t shoff = gi_load_u64(elf->bytes + 40);
	const uint64_t shsize = (uint64_t)gi_load_u16(elf->bytes + 58) * gi_load_u16(elf->bytes + 60);
	uint64_t n = gi_elf_segment_count_declared(elf) > gi_elf_segment_count(elf) ?
			     (uint64_t)elf->size + 1 :
			     0;

	// A sum that no file can have is damage, not a length.
	if (shoff <= UINT64_MAX - shsize)
		n = gi_max_u64(n, shoff + shsize);
	for (size_t i = 0; i < elf->shnum; i++) {
		const struct elf_section sec = gi_elf_section_header(elf, i);
		if (sec.type != SHT_NULL && sec.type != SHT_NOBITS &&
		    sec.offset <= UINT64_MAX - sec.size)
			n = gi_max_u64(n, sec.offset + sec.size);
	}
	for (size_t i = 0; i < gi_elf_segment_count(elf); i++) {
		const struct gi_elf_segment seg = gi_elf_segment(elf, i);
		if (seg.filesz && seg.offset <= UINT64_MAX - seg.filesz)
			n = gi_max_u64(n, seg.offset + seg.filesz);
	}
	return n;
}

const uint8_t *gi_elf_section_bytes(const struct gi_elf *elf, const struct elf_section *sec,
				    size_t *size_ret)
{
	*size_ret = 0;
	if (sec->type == SHT_NOBITS || sec->type == SHT_NULL || sec->offset >= elf->size)
		return NULL;
	*size_ret = gi_min_u64(sec->size, elf->size - sec->offset);
	return elf->bytes + sec->offset;
}

bool gi_elf_find_section(const struct gi_elf *elf, const char *name, size_t *index_ret,
			 struct elf_section *ret)
{
	for (size_t i = 1; i < elf->shnum; i++) {
		struct elf_section sec = gi_elf_section_header(elf, i);
		if (sec.type == SHT_NOBITS || sec.type == SHT_NULL || strcmp(sec.name, name) != 0)
			continue;
		*index_ret = i;
		*ret = sec;
		return true;
	}
	return false;
}

// The section of that name, or its older compressed form: .debug_x as .zdebug_x.
bool gi_elf_find_either(const struct gi_elf *elf, const char *name, size_t *index_ret,
			    struct elf_section *ret)
{
	if (gi_elf_find_section(elf, name, index_ret, ret))
		return true;
	static const char prefix[] = ".debug_";
	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return false;
	_cleanup_(gi_str_deinit) struct gi_str z = { 0 };
	gi_str_puts(&z, ".z");
	gi_str_puts(&z, name + 1);
	return !z.oom && gi_elf_find_section(elf, gi_str_cstr(&z), index_ret, ret);
}

bool gi_elf_has_section(struct gi_elf *elf, const char *name)
{
	size_t i;
	struct elf_section sec;
	return gi_elf_find_either(elf, name, &i, &sec);
}

struct gi_error *gi_elf_section(struct gi_elf *elf, const char *name, const uint8_t **data_ret,
				size_t *size_ret, uint64_t *addr_ret)
{
	size_t i;
	struct elf_section sec;
	if (!gi_elf_find_either(elf, name, &i, &sec))
		return gi_error_create(GI_ERR_NOT_FOUND, "%s has no section %s", elf->path, name);
	if (gi_elf_section_is_packed(&sec)) {
		const struct elf_unpacked *u = NULL;
		pthread_mutex_lock(&elf->lock);
		struct gi_error *err = gi_elf_unpack(elf, i, &sec, &u);
		pthread_mutex_unlock(&elf->lock);
		if (err)
			return err;
		*data_ret = u->data;
		*size_ret = u->size;
		if (addr_ret)
			*addr_ret = sec.addr;
		return NULL;
	}
	const uint8_t *data = elf_at(elf, sec.offset, sec.size);
	if (!data)
		return gi_error_create(GI_ERR_FORMAT,
				       "%s is damaged: its section %s lies beyond the end of the file",
				       elf->path, name);
	*data_ret = data;
	*size_ret = sec.size;
	if (addr_ret)
		*addr_ret = sec.addr;
	return NULL;
}

bool gi_elf_is_go(struct gi_elf *elf)
{
	static const char *const names[] = { ".gopclntab", ".go.buildinfo", ".note.go.buildid",
					     ".note.go.abihash",
					     ".data.rel.ro.gopclntab" };
	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		if (gi_elf_has_section(elf, names[i]))
			return true;
	}
	return gi_elf_go_build_id(elf)[0] != '\0';
}

// The ELF side of a core file: header, program headers, notes, memory, in this order.
//
// A core with more program headers than e_phnum can count (PN_XNUM) has one section header,
// whose sh_info tells their number, as the kernel writes it.

#include "dump/file.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf/sparse.h"
#include "gcore/live.h"

enum { DIRECT = 1 << 20 };

void gi_dump_file_deinit(struct dump_file *f)
{
	gi_str_deinit(&f->notes);
	free(f->pieces);
}

void gi_put_u32(struct gi_str *s, uint32_t v)
{
	char b[4] = { (char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24) };
	gi_str_putn(s, b, sizeof(b));
}

void gi_put_u64(struct gi_str *s, uint64_t v)
{
	gi_put_u32(s, (uint32_t)v);
	gi_put_u32(s, (uint32_t)(v >> 32));
}

void gi_put_string(struct gi_str *s, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	gi_put_u32(s, (uint32_t)n);
	gi_str_putn(s, text ? text : "", n);
}

void gi_dump_file_note(struct dump_file *f, const char *owner, uint32_t type, const void *desc, size_t n)
{
	static const char zeros[4];
	size_t name = strlen(owner) + 1;
	gi_put_u32(&f->notes, (uint32_t)name);
	gi_put_u32(&f->notes, (uint32_t)n);
	gi_put_u32(&f->notes, type);
	gi_str_putn(&f->notes, owner, name);
	gi_str_putn(&f->notes, zeros, -name & 3);
	gi_str_putn(&f->notes, desc, n);
	gi_str_putn(&f->notes, zeros, -n & 3);
}

struct gi_error *gi_dump_file_add(struct dump_file *f, struct dump_piece piece)
{
	struct gi_error *err = gi_grow(&f->pieces, &f->piece_cap, f->piece_count + 1, sizeof(*f->pieces));
	if (!err)
		f->pieces[f->piece_count++] = piece;
	return err;
}

static uint64_t align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

static uint32_t elf_flags(unsigned map)
{
	return (map & GI_MAP_R ? PF_R : 0) | (map & GI_MAP_W ? PF_W : 0) | (map & GI_MAP_X ? PF_X : 0);
}

// Everything before the memory.
static struct gi_error *put_head(struct dump_file *f, struct gi_str *head)
{
	size_t count = f->piece_count + 1;
	bool many = count >= PN_XNUM;
	if (count > UINT32_MAX)
		return gi_error_create(GI_ERR_UNSUPPORTED, "a core file cannot have %zu segments", count);
	uint64_t shoff = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
	uint64_t notes = shoff + (many ? sizeof(Elf64_Shdr) : 0);
	Elf64_Ehdr eh = {
		.e_type = ET_CORE,
		.e_machine = gi_target_machine(f->t)->elf_machine,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_shoff = many ? shoff : 0,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = many ? PN_XNUM : (uint16_t)count,
		.e_shentsize = many ? sizeof(Elf64_Shdr) : 0,
		.e_shnum = many,
	};
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_ident[EI_VERSION] = EV_CURRENT;
	gi_str_putn(head, (const char *)&eh, sizeof(eh));
	Elf64_Phdr ph = { .p_type = PT_NOTE, .p_offset = notes, .p_filesz = f->notes.len, .p_align = 4 };
	gi_str_putn(head, (const char *)&ph, sizeof(ph));
	uint64_t off = notes + f->notes.len;
	for (size_t i = 0; i < f->piece_count; i++) {
		const struct dump_piece *p = &f->pieces[i];
		off = align_up(off, f->align);
		ph = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = elf_flags(p->flags),
			.p_offset = off,
			.p_vaddr = p->start,
			.p_filesz = p->filesz,
			.p_memsz = p->memsz,
			.p_align = f->align,
		};
		gi_str_putn(head, (const char *)&ph, sizeof(ph));
		off += p->filesz;
	}
	if (many) {
		Elf64_Shdr sh = { .sh_info = (uint32_t)count };
		gi_str_putn(head, (const char *)&sh, sizeof(sh));
	}
	return head->oom || f->notes.oom ? gi_error_nomem() : NULL;
}

static struct gi_error *put_bytes(struct dump_file *f, struct elf_sparse *out, uint64_t start,
				  uint64_t len)
{
	struct gi_error *err = NULL;
	for (uint64_t done = 0; !err && done < len;) {
		size_t n;
		const uint8_t *bytes = gi_target_view_max(f->t, start + done,
							  gi_min_u64(len - done, 16 << 20), &n);
		uint8_t b;
		err = gi_interrupt_check();
		if (!err && !bytes) {
			// It was there when the pieces were made.
			err = gi_target_read(f->t, start + done, &b, 1);
			n = 1;
			bytes = &b;
		}
		if (!err)
			err = gi_elf_sparse_write(out, bytes, n);
		done += n;
	}
	return err;
}

static struct gi_error *put_direct(struct dump_file *f, struct elf_sparse *out, uint64_t start,
				   uint64_t len)
{
	_cleanup_(gi_freep) uint8_t *buf = malloc(DIRECT);
	struct gi_error *err = buf ? NULL : gi_error_nomem();
	for (uint64_t done = 0, n; !err && done < len; done += n) {
		n = gi_min_u64(len - done, DIRECT);
		err = gi_interrupt_check();
		if (!err)
			err = gi_live_read_now(f->t, start + done, buf, n);
		if (!err)
			err = gi_elf_sparse_write(out, buf, n);
	}
	return err;
}

static struct gi_error *put_memory(struct dump_file *f, struct elf_sparse *out, uint64_t *memory_ret)
{
	size_t k = 0; // of what is present
	for (size_t i = 0; i < f->piece_count; i++) {
		const struct dump_piece *p = &f->pieces[i];
		uint64_t at = gi_elf_sparse_size(out), end = p->start + p->filesz;
		struct gi_error *err = gi_elf_sparse_zeros(out, align_up(at, f->align) - at);
		for (at = p->start; !err && f->present && at < end;) {
			const struct gi_extent *e;
			while (k < f->present_count && f->present[k].start + f->present[k].len <= at)
				k++;
			e = k < f->present_count ? &f->present[k] : NULL;
			uint64_t next = e ? gi_min_u64(gi_max_u64(e->start, at), end) : end;
			err = gi_elf_sparse_zeros(out, next - at);
			at = next;
			if (err || at == end)
				continue;
			next = gi_min_u64(e->start + e->len, end);
			err = f->direct ? put_direct(f, out, at, next - at) :
					  put_bytes(f, out, at, next - at);
			*memory_ret += next - at;
			at = next;
		}
		if (!err && !f->present) {
			err = put_bytes(f, out, p->start, p->filesz);
			*memory_ret += p->filesz;
		}
		if (err)
			return err;
	}
	return NULL;
}

// The folder of path, malloc'd.
static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static bool is_file(const struct stat *st, const char *path)
{
	struct stat other;
	return path && stat(path, &other) == 0 && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

// What is at path must not be what is read, nor what the process runs.
static struct gi_error *check_path(struct gi_target *t, const char *path)
{
	struct stat st;
	const struct gi_process_info *info = gi_target_info(t);
	if (stat(path, &st) < 0)
		return NULL;
	if (!S_ISREG(st.st_mode))
		return gi_error_create(GI_ERR_USAGE, "%s is no regular file: a dump can only be written to one",
				       path);
	if (is_file(&st, info->core_path))
		return gi_error_create(GI_ERR_USAGE, "%s is the core that is open: name another file", path);
	if (is_file(&st, info->exe_path))
		return gi_error_create(GI_ERR_USAGE, "%s is the executable that is open: name another file",
				       path);
	size_t files = gi_target_file_count(t);
	for (size_t i = 0; i < files; i++) {
		struct gi_target_file file = gi_target_file(t, i);
		if (is_file(&st, file.path) || is_file(&st, file.debug_path) || is_file(&st, file.alt_path))
			return gi_error_create(GI_ERR_USAGE,
					       "%s is a file that the process had mapped, or its debug file: "
					       "name another file", path);
	}
	return NULL;
}

static bool is_packed(const char *path)
{
	size_t n = strlen(path);
	return n > 4 && strcmp(path + n - 4, ".zst") == 0;
}

// What was written becomes path, compressed.
static struct gi_error *pack(struct elf_sparse *plain, const char *dir, const char *path, uint64_t *size)
{
	_cleanup_(gi_elf_sparse_destroyp) struct elf_sparse *out = NULL;
	int from, fd;
	struct gi_error *err = gi_elf_sparse_finish(plain, NULL, &from);
	if (err)
		return err;
	err = gi_elf_sparse_create(dir, &out);
	if (!err) {
		gi_elf_sparse_set_wanted(out);
		err = gi_elf_pack_file(from, *size, out);
	}
	close(from);
	if (err)
		return err;
	*size = gi_elf_sparse_size(out);
	err = gi_elf_sparse_finish(out, path, &fd);
	if (!err)
		close(fd);
	return err;
}

struct gi_error *gi_dump_file_write(struct dump_file *f, const char *path, uint64_t *size_ret,
				    uint64_t *memory_ret)
{
	_cleanup_(gi_str_deinit) struct gi_str head = { 0 };
	_cleanup_(gi_freep) char *dir = dir_of(path);
	_cleanup_(gi_elf_sparse_destroyp) struct elf_sparse *out = NULL;
	uint64_t memory = 0;
	int fd;
	struct gi_error *err = dir ? check_path(f->t, path) : gi_error_nomem();
	if (!err)
		err = put_head(f, &head);
	if (!err)
		err = gi_elf_sparse_create(dir, &out);
	if (err)
		return err;
	gi_elf_sparse_set_wanted(out);
	err = gi_elf_sparse_write(out, (const uint8_t *)head.s, head.len);
	if (!err)
		err = gi_elf_sparse_write(out, (const uint8_t *)gi_str_cstr(&f->notes), f->notes.len);
	if (!err)
		err = put_memory(f, out, &memory);
	if (f->release)
		gi_live_release(f->t);
	uint64_t size = gi_elf_sparse_size(out);
	if (!err && is_packed(path))
		err = pack(out, dir, path, &size);
	else if (!err && !(err = gi_elf_sparse_finish(out, path, &fd)))
		close(fd);
	if (err)
		return err;
	*size_ret = size;
	*memory_ret = memory;
	return NULL;
}

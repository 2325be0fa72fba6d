// The fake backend: see fake.h. Pieces are kept sorted, beside the mappings that tell
// of them to the outside.

#include "target/fake.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "target/target_impl.h"

struct fake_piece {
	uint8_t *bytes; // NULL: not saved
	enum gi_error_code why;
};

struct fake {
	struct gi_target base;
	struct fake_piece *pieces; // pieces[i] is what mappings[i] maps
	size_t piece_cap, mapping_cap, thread_cap;
};

static struct fake *fake_of(struct gi_target *t)
{
	return (struct fake *)t;
}

static void fake_destroy(struct gi_target *t)
{
	struct fake *f = fake_of(t);
	for (size_t i = 0; i < t->mapping_count; i++)
		free(f->pieces[i].bytes);
	free(f->pieces);
	free(f);
}

static const void *fake_view(struct gi_target *t, uint64_t addr, size_t max, size_t *n_ret,
			     enum gi_error_code *why_ret)
{
	const struct gi_mapping *m = gi_target_mapping_at(t, addr);
	if (!m) {
		*why_ret = GI_ERR_FAULT;
		return NULL;
	}
	const struct fake_piece *p = &fake_of(t)->pieces[m - t->mappings];
	if (!p->bytes) {
		*why_ret = p->why;
		return NULL;
	}
	*n_ret = gi_min_u64(max, m->end - addr);
	return p->bytes + (addr - m->start);
}

static struct gi_elf *fake_elf_at(struct gi_target *t, uint64_t addr, uint64_t *bias_ret)
{
	for (size_t i = 0; t->exe && i < gi_elf_segment_count(t->exe); i++) {
		struct gi_elf_segment s = gi_elf_segment(t->exe, i);
		if (s.type != PT_LOAD || addr - t->exe_bias - s.vaddr >= s.memsz)
			continue;
		*bias_ret = t->exe_bias;
		return t->exe;
	}
	return NULL;
}

void gi_fake_set_arch(struct gi_target *t, enum gi_arch arch)
{
	t->arch = arch;
	t->info.page_size = gi_target_machine(t)->page_size;
}

static const struct gi_target_ops fake_ops = {
	.name = "fake",
	.destroy = fake_destroy,
	.view = fake_view,
	.elf_at = fake_elf_at,
};

struct gi_error *gi_fake_create(struct gi_target **ret)
{
	struct fake *f = calloc(1, sizeof(*f));
	if (!f)
		return gi_error_nomem();
	struct gi_error *err = gi_target_init(&f->base, &fake_ops);
	if (err) {
		gi_target_close(&f->base);
		return err;
	}
	f->base.info.page_size = 4096;
	*ret = &f->base;
	return NULL;
}

static struct gi_error *fake_insert(struct gi_target *t, uint64_t addr, size_t n, unsigned flags,
				    struct fake_piece piece)
{
	struct fake *f = fake_of(t);
	if (!n || n > UINT64_MAX - addr)
		return gi_error_at(GI_ERR_USAGE, addr, "a piece of %zu bytes cannot be added", n);
	size_t at = 0;
	while (at < t->mapping_count && t->mappings[at].end <= addr)
		at++;
	if (at < t->mapping_count && t->mappings[at].start < addr + n)
		return gi_error_at(GI_ERR_USAGE, addr, "pieces overlap at 0x%llx",
				   (unsigned long long)addr);
	struct gi_error *err = gi_grow(&t->mappings, &f->mapping_cap, t->mapping_count + 1,
				       sizeof(*t->mappings));
	if (!err)
		err = gi_grow(&f->pieces, &f->piece_cap, t->mapping_count + 1, sizeof(*f->pieces));
	if (err)
		return err;
	size_t after = t->mapping_count - at;
	memmove(&t->mappings[at + 1], &t->mappings[at], after * sizeof(*t->mappings));
	memmove(&f->pieces[at + 1], &f->pieces[at], after * sizeof(*f->pieces));
	t->mappings[at] = (struct gi_mapping){
		.start = addr,
		.end = addr + n,
		.flags = flags,
		.saved = piece.bytes ? n : 0,
	};
	f->pieces[at] = piece;
	t->mapping_count++;
	return NULL;
}

struct gi_error *gi_fake_add_memory(struct gi_target *t, uint64_t addr, const void *bytes, size_t n,
				    unsigned flags)
{
	uint8_t *copy = malloc(n ? n : 1);
	if (!copy)
		return gi_error_nomem();
	if (n)
		memcpy(copy, bytes, n);
	struct gi_error *err = fake_insert(t, addr, n, flags, (struct fake_piece){ .bytes = copy });
	if (err)
		free(copy);
	return err;
}

struct gi_error *gi_fake_add_unsaved(struct gi_target *t, uint64_t addr, size_t n, unsigned flags,
				     enum gi_error_code why)
{
	return fake_insert(t, addr, n, flags, (struct fake_piece){ .why = why });
}

struct gi_error *gi_fake_write(struct gi_target *t, uint64_t addr, const void *bytes, size_t n)
{
	const uint8_t *from = bytes;
	while (n) {
		size_t got;
		enum gi_error_code why;
		void *p = (void *)fake_view(t, addr, n, &got, &why);
		if (!p)
			return gi_error_at(why, addr, "no piece at 0x%llx", (unsigned long long)addr);
		memcpy(p, from, got);
		from += got;
		addr += got;
		n -= got;
	}
	return NULL;
}

struct gi_error *gi_fake_write_u64(struct gi_target *t, uint64_t addr, uint64_t value)
{
	uint8_t b[8];
	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(value >> (8 * i));
	return gi_fake_write(t, addr, b, sizeof(b));
}

struct gi_error *gi_fake_add_thread(struct gi_target *t, const struct gi_thread *th)
{
	struct gi_error *err = gi_grow(&t->threads, &fake_of(t)->thread_cap, t->thread_count + 1,
				       sizeof(*t->threads));
	if (!err)
		t->threads[t->thread_count++] = *th;
	return err;
}

struct gi_error *gi_fake_set_path(struct gi_target *t, uint64_t addr, const char *path,
				  uint64_t file_off)
{
	struct gi_mapping *m = (struct gi_mapping *)gi_target_mapping_at(t, addr);
	if (!m)
		return gi_error_at(GI_ERR_USAGE, addr, "no piece at 0x%llx", (unsigned long long)addr);
	m->path = gi_arena_strdup(t->arena, path);
	m->file_off = file_off;
	return m->path ? NULL : gi_error_nomem();
}

void gi_fake_set_exe(struct gi_target *t, struct gi_elf *elf, uint64_t bias)
{
	gi_elf_close(t->exe);
	t->exe = elf;
	t->exe_bias = bias;
}

struct gi_process_info *gi_fake_info(struct gi_target *t)
{
	return &t->info;
}

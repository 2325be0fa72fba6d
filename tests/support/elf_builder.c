// Layout of the files: ELF header, program headers, the first PT_LOAD's rest if there is one,
// segments' bytes, sections' bytes, section names, section headers.

#include "elf_builder.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

struct eb_segment {
	Elf64_Phdr phdr;
	uint8_t *bytes; // NULL: phdr is as it is
	bool first;	// covers the headers
	bool last;	// bytes stand behind all other segments'
};

struct eb_section {
	Elf64_Shdr shdr;
	char *name;
	uint8_t *bytes;
};

struct elf_builder {
	Elf64_Ehdr ehdr;
	struct eb_segment *segs;
	size_t seg_count, seg_cap;
	struct eb_section *secs;
	size_t sec_count, sec_cap;
	struct gi_str notes; // of the first load
	uint8_t fill;
	bool xnum;
};

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static void *copy_of(const void *bytes, size_t n)
{
	void *p = must(malloc(n ? n : 1));
	if (n)
		memcpy(p, bytes, n);
	return p;
}

static void grow(void *ptr, size_t *cap, size_t need, size_t size)
{
	struct gi_error *err = gi_grow(ptr, cap, need, size);
	if (err)
		abort();
}

struct elf_builder *elf_builder_create(uint16_t type)
{
	struct elf_builder *b = must(calloc(1, sizeof(*b)));
	memcpy(b->ehdr.e_ident, ELFMAG, SELFMAG);
	b->ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	b->ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	b->ehdr.e_ident[EI_VERSION] = EV_CURRENT;
	b->ehdr.e_type = type;
	b->ehdr.e_machine = EM_X86_64;
	b->ehdr.e_version = EV_CURRENT;
	b->ehdr.e_ehsize = sizeof(Elf64_Ehdr);
	b->ehdr.e_phentsize = sizeof(Elf64_Phdr);
	b->ehdr.e_shentsize = sizeof(Elf64_Shdr);
	return b;
}

void elf_builder_destroy(struct elf_builder *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->seg_count; i++)
		free(b->segs[i].bytes);
	for (size_t i = 0; i < b->sec_count; i++) {
		free(b->secs[i].bytes);
		free(b->secs[i].name);
	}
	free(b->segs);
	free(b->secs);
	gi_str_deinit(&b->notes);
	free(b);
}

void elf_builder_set_entry(struct elf_builder *b, uint64_t entry)
{
	b->ehdr.e_entry = entry;
}

void elf_builder_set_machine(struct elf_builder *b, uint16_t machine)
{
	b->ehdr.e_machine = machine;
}

void elf_builder_set_xnum(struct elf_builder *b)
{
	b->xnum = true;
}

static struct eb_segment *new_segment(struct elf_builder *b)
{
	grow(&b->segs, &b->seg_cap, b->seg_count + 1, sizeof(*b->segs));
	struct eb_segment *s = &b->segs[b->seg_count++];
	*s = (struct eb_segment){ .first = false };
	return s;
}

void elf_builder_add_segment(struct elf_builder *b, uint32_t type, uint32_t flags, uint64_t vaddr,
			     const void *bytes, uint64_t filesz, uint64_t memsz, uint64_t align)
{
	struct eb_segment *s = new_segment(b);
	s->bytes = copy_of(bytes, filesz);
	s->phdr = (Elf64_Phdr){ .p_type = type,
				.p_flags = flags,
				.p_vaddr = vaddr,
				.p_filesz = filesz,
				.p_memsz = memsz,
				.p_align = align };
}

void elf_builder_set_bytes(struct elf_builder *b, size_t i, const void *bytes, size_t n, bool last)
{
	struct eb_segment *s = &b->segs[i];
	free(s->bytes);
	s->bytes = copy_of(bytes, n);
	s->phdr.p_filesz = n;
	s->last = last;
}

void elf_builder_add_header(struct elf_builder *b, uint32_t type, uint32_t flags, uint64_t vaddr,
			    uint64_t offset, uint64_t filesz, uint64_t memsz)
{
	new_segment(b)->phdr = (Elf64_Phdr){ .p_type = type,
					     .p_flags = flags,
					     .p_vaddr = vaddr,
					     .p_offset = offset,
					     .p_filesz = filesz,
					     .p_memsz = memsz };
}

void elf_builder_add_first_load(struct elf_builder *b, uint32_t flags, uint64_t vaddr, size_t size,
				const struct gi_str *notes, uint8_t fill)
{
	struct eb_segment *s = new_segment(b);
	s->first = true;
	s->phdr = (Elf64_Phdr){ .p_type = PT_LOAD,
				.p_flags = flags,
				.p_vaddr = vaddr,
				.p_filesz = size,
				.p_memsz = size,
				.p_align = 4096 };
	b->fill = fill;
	if (!notes || !notes->len)
		return;
	gi_str_putn(&b->notes, notes->s, notes->len);
	struct eb_segment *n = new_segment(b);
	n->first = true;
	n->phdr = (Elf64_Phdr){ .p_type = PT_NOTE, .p_flags = PF_R, .p_vaddr = vaddr, .p_align = 4 };
}

void elf_builder_add_section(struct elf_builder *b, const char *name, uint32_t type, uint64_t flags,
			     uint64_t addr, const void *bytes, size_t n, uint32_t link,
			     uint64_t entsize)
{
	grow(&b->secs, &b->sec_cap, b->sec_count + 1, sizeof(*b->secs));
	b->secs[b->sec_count++] = (struct eb_section){
		.name = must(strdup(name)),
		.bytes = copy_of(bytes, type == SHT_NOBITS ? 0 : n),
		.shdr = { .sh_type = type,
			  .sh_flags = flags,
			  .sh_addr = addr,
			  .sh_size = n,
			  .sh_link = link,
			  .sh_addralign = 1,
			  .sh_entsize = entsize },
	};
}

static void pad_to(struct gi_str *out, uint64_t align, uint64_t rest)
{
	while (align > 1 && out->len % align != rest % align)
		gi_str_putc(out, 0);
}

static void put_segments(struct elf_builder *b, struct gi_str *out)
{
	size_t phdrs = sizeof(Elf64_Ehdr);
	for (size_t i = 0; i < b->seg_count; i++) {
		struct eb_segment *s = &b->segs[i];
		if (!s->first)
			continue;
		if (s->phdr.p_type == PT_NOTE) {
			uint64_t at = phdrs + b->seg_count * sizeof(Elf64_Phdr);
			s->phdr.p_offset = at;
			s->phdr.p_vaddr += at;
			s->phdr.p_filesz = s->phdr.p_memsz = b->notes.len;
			gi_str_putn(out, b->notes.s, b->notes.len);
		}
	}
	for (size_t i = 0; i < b->seg_count; i++) {
		struct eb_segment *s = &b->segs[i];
		while (s->first && s->phdr.p_type == PT_LOAD && out->len < s->phdr.p_filesz)
			gi_str_putc(out, (char)b->fill);
	}
	for (size_t i = 0; i < 2 * b->seg_count; i++) {
		struct eb_segment *s = &b->segs[i % b->seg_count];
		if (!s->bytes || s->last != (i >= b->seg_count))
			continue;
		pad_to(out, s->phdr.p_align, s->phdr.p_vaddr);
		s->phdr.p_offset = out->len;
		gi_str_putn(out, (const char *)s->bytes, s->phdr.p_filesz);
	}
}

static void put_sections(struct elf_builder *b, struct gi_str *out)
{
	if (!b->sec_count && !b->xnum)
		return;
	_cleanup_(gi_str_deinit) struct gi_str names = { 0 };
	gi_str_putc(&names, 0);
	for (size_t i = 0; i < b->sec_count; i++) {
		struct eb_section *s = &b->secs[i];
		s->shdr.sh_name = (uint32_t)names.len;
		gi_str_putn(&names, s->name, strlen(s->name) + 1);
		pad_to(out, 16, 0);
		s->shdr.sh_offset = out->len;
		if (s->shdr.sh_type != SHT_NOBITS)
			gi_str_putn(out, (const char *)s->bytes, s->shdr.sh_size);
	}
	Elf64_Shdr str = { .sh_type = SHT_STRTAB, .sh_addralign = 1, .sh_name = 0 };
	str.sh_offset = out->len;
	str.sh_size = names.len;
	gi_str_putn(out, names.s, names.len);
	pad_to(out, 16, 0);
	b->ehdr.e_shoff = out->len;
	b->ehdr.e_shnum = (uint16_t)(b->sec_count + 2);
	b->ehdr.e_shstrndx = (uint16_t)(b->sec_count + 1);
	Elf64_Shdr zero = { .sh_info = b->xnum ? (uint32_t)b->seg_count : 0 };
	gi_str_putn(out, (const char *)&zero, sizeof(zero));
	for (size_t i = 0; i < b->sec_count; i++)
		gi_str_putn(out, (const char *)&b->secs[i].shdr, sizeof(Elf64_Shdr));
	gi_str_putn(out, (const char *)&str, sizeof(str));
}

uint8_t *elf_builder_build(struct elf_builder *b, size_t *n_ret)
{
	struct gi_str out = { 0 };
	b->ehdr.e_phoff = b->seg_count ? sizeof(Elf64_Ehdr) : 0;
	b->ehdr.e_phnum = b->xnum ? PN_XNUM : (uint16_t)b->seg_count;
	for (size_t i = 0; i < sizeof(Elf64_Ehdr) + b->seg_count * sizeof(Elf64_Phdr); i++)
		gi_str_putc(&out, 0);
	put_segments(b, &out);
	put_sections(b, &out);
	if (out.oom)
		abort();
	memcpy(out.s, &b->ehdr, sizeof(b->ehdr));
	for (size_t i = 0; i < b->seg_count; i++)
		memcpy(out.s + sizeof(b->ehdr) + i * sizeof(Elf64_Phdr), &b->segs[i].phdr,
		       sizeof(Elf64_Phdr));
	*n_ret = out.len;
	return (uint8_t *)out.s;
}

char *elf_builder_write(struct elf_builder *b, const char *name)
{
	size_t n;
	uint8_t *bytes = elf_builder_build(b, &n);
	char *path = test_write(name, bytes, n);
	free(bytes);
	return path;
}

void elf_note_add(struct gi_str *notes, const char *name, uint32_t type, const void *desc, size_t n)
{
	uint32_t head[3] = { (uint32_t)strlen(name) + 1, (uint32_t)n, type };
	gi_str_putn(notes, (const char *)head, sizeof(head));
	gi_str_putn(notes, name, head[0]);
	pad_to(notes, 4, 0);
	gi_str_putn(notes, desc, n);
	pad_to(notes, 4, 0);
}

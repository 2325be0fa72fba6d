// An ELF handle made of some sections of a file.
//
// libelf lets a program build an ELF file: the handle made here is such a file that is
// never written. Its data point at the sections as mapped or as already decompressed, so
// that nothing is copied, and what reads the handle sees nothing else.

#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf/elf_impl.h"
#include "gcore/base.h"

struct gi_elf_subset {
	Elf *elf;
	int fd;
	struct gi_str names; // the section name table
};

static bool add_section(Elf *elf, const void *data, size_t size, Elf64_Word type, size_t name)
{
	Elf_Scn *scn = elf_newscn(elf);
	Elf_Data *d = scn ? elf_newdata(scn) : NULL;
	GElf_Shdr shdr;
	if (!d || !gelf_getshdr(scn, &shdr))
		return false;
	d->d_buf = (void *)data; // only read, as the handle is never written
	d->d_size = size;
	d->d_type = ELF_T_BYTE;
	d->d_align = 1;
	d->d_version = EV_CURRENT;
	shdr.sh_type = type;
	shdr.sh_name = (Elf64_Word)name;
	shdr.sh_size = size;
	return gelf_update_shdr(scn, &shdr);
}

static struct gi_error *libelf_error(void)
{
	return gi_error_create(GI_ERR_NOMEM, "libelf: %s", elf_errmsg(-1));
}

static struct gi_error *subset_add(struct gi_elf_subset *s, const char *name, const uint8_t *data,
				   size_t size, size_t *count)
{
	if (!size)
		return NULL;
	if (!add_section(s->elf, data, size, SHT_PROGBITS, s->names.len))
		return libelf_error();
	gi_str_putn(&s->names, name, strlen(name) + 1);
	++*count;
	return NULL;
}

static struct gi_error *subset_fill(struct gi_elf_subset *s, struct gi_elf *elf,
				    const char *const *names, size_t n,
				    const struct gi_elf_part *part)
{
	// libelf wants a file to write to.
	s->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (s->fd < 0)
		return gi_error_errno("/dev/null");
	elf_version(EV_CURRENT);
	s->elf = elf_begin(s->fd, ELF_C_WRITE, NULL);
	GElf_Ehdr ehdr;
	if (!s->elf || !gelf_newehdr(s->elf, ELFCLASS64) || !gelf_getehdr(s->elf, &ehdr))
		return libelf_error();

	struct gi_error *err = NULL;
	size_t count = 0;
	gi_str_putc(&s->names, '\0');
	if (part)
		err = subset_add(s, part->name, part->data, part->size, &count);
	for (size_t i = 0; !err && i < n; i++) {
		const uint8_t *data;
		size_t size;
		if (!gi_elf_has_section(elf, names[i]))
			continue;
		err = gi_elf_section(elf, names[i], &data, &size, NULL);
		if (!err)
			err = subset_add(s, names[i], data, size, &count);
	}
	if (err)
		return err;
	size_t own = s->names.len;
	gi_str_putn(&s->names, ".shstrtab", sizeof(".shstrtab"));
	if (s->names.oom)
		return gi_error_nomem();

	ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	ehdr.e_type = ET_EXEC;
	ehdr.e_machine = gi_elf_ident(elf).machine;
	ehdr.e_version = EV_CURRENT;
	ehdr.e_shstrndx = (Elf64_Half)(count + 1);
	if (!add_section(s->elf, s->names.s, s->names.len, SHT_STRTAB, own) ||
	    !gelf_update_ehdr(s->elf, &ehdr) || elf_update(s->elf, ELF_C_NULL) < 0)
		return libelf_error();
	return NULL;
}

struct gi_error *gi_elf_subset_open(struct gi_elf *elf, const char *const *names, size_t n,
				    const struct gi_elf_part *part, struct gi_elf_subset **ret)
{
	struct gi_elf_subset *s = calloc(1, sizeof(*s));
	if (!s)
		return gi_error_nomem();
	s->fd = -1;
	struct gi_error *err = subset_fill(s, elf, names, n, part);
	if (err) {
		gi_elf_subset_close(s);
		return err;
	}
	*ret = s;
	return NULL;
}

void gi_elf_subset_close(struct gi_elf_subset *s)
{
	if (!s)
		return;
	if (s->elf)
		elf_end(s->elf);
	if (s->fd >= 0)
		close(s->fd);
	gi_str_deinit(&s->names);
	free(s);
}

Elf *gi_elf_subset_handle(struct gi_elf_subset *s)
{
	return s->elf;
}

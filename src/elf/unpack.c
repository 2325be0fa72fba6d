// Decompression of sections: SHF_COMPRESSED (an Elf64_Chdr, then a zlib stream) and
// the older .zdebug_* (the letters ZLIB, the size in big-endian, a zlib stream).
//
// libelf does the work on a little ELF image of its own that holds nothing but the
// one section: libelf changes section headers where it finds them, and the file's are in
// our mapping. Both forms take the same path. What a section claims of its unpacked size is
// checked first: deflate cannot do better than 1032 to 1, and a cap stands against bombs
// that can. Sections of which only the beginning may be needed go through stream.c.

#include "elf/elf_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	CHDR_SIZE = 24,
	CHDR_ZSTD = 2, // ELFCOMPRESS_ZSTD, which older headers lack
	ZDEBUG_HEADER = 12,
	DEFLATE_MAX_RATIO = 1032,
	IMAGE_HEADERS = 4096, // room for the image's own headers, a page
};
#define UNPACKED_MAX ((uint64_t)4 << 30)
#define UNPACKED_TOTAL_MAX ((uint64_t)8 << 30)

static bool is_zdebug(const struct elf_section *sec)
{
	return strncmp(sec->name, ".zdebug_", 8) == 0;
}

bool gi_elf_section_is_packed(const struct elf_section *sec)
{
	return (sec->flags & SHF_COMPRESSED) || is_zdebug(sec);
}

static uint64_t load_be64(const uint8_t *p)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

// Splits a packed section into what it says of itself and its stream.
static struct gi_error *packed_parse(const struct gi_elf *elf, const struct elf_section *sec,
				     struct elf_packed *ret)
{
	const uint8_t *data = elf_at(elf, sec->offset, sec->size);
	if (!data || sec->type == SHT_NOBITS)
		return gi_error_create(GI_ERR_FORMAT,
				       "%s is damaged: its section %s lies beyond the end of the file",
				       elf->path, sec->name);
	size_t header;
	uint64_t size;
	uint32_t type = ELFCOMPRESS_ZLIB;
	if (sec->flags & SHF_COMPRESSED) {
		header = CHDR_SIZE;
		if (sec->size < header)
			goto damaged;
		type = gi_load_u32(data);
		size = gi_load_u64(data + 8);
	} else {
		header = ZDEBUG_HEADER;
		if (sec->size < header || memcmp(data, "ZLIB", 4) != 0)
			goto damaged;
		size = load_be64(data + 4);
	}
	*ret = (struct elf_packed){data + header, sec->size - header, size, type};
	return NULL;
damaged:
	return gi_error_create(GI_ERR_FORMAT, "%s is damaged: section %s is not compressed as it says",
			       elf->path, sec->name);
}

struct gi_error *gi_elf_packed_read(const struct gi_elf *elf, const struct elf_section *sec,
				    struct elf_packed *ret)
{
	struct gi_error *err = packed_parse(elf, sec, ret);
	if (err)
		return err;
	if (ret->size > UNPACKED_MAX ||
	    (ret->type == ELFCOMPRESS_ZLIB && ret->size / DEFLATE_MAX_RATIO > ret->stream_size))
		return gi_error_create(GI_ERR_FORMAT,
				       "%s is damaged: section %s claims to unpack from %zu to %llu "
				       "bytes",
				       elf->path, sec->name, ret->stream_size,
				       (unsigned long long)ret->size);
	return NULL;
}

void gi_elf_unpacked_destroy(struct elf_unpacked *u)
{
	if (!u)
		return;
	elf_end(u->elf);
	if (u->image)
		munmap(u->image, u->image_size);
	free(u->owned);
	free(u);
}
GI_DEFINE_CLEANUP(struct elf_unpacked *, unpacked_destroyp, gi_elf_unpacked_destroy)

// zstd: not every libelf knows it.
static struct gi_error *unpack_zstd(const struct gi_elf *elf, const struct elf_section *sec,
				    const struct elf_packed *packed, struct elf_unpacked *u)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	gi_str_printf(&name, "%s: section %s", elf->path, sec->name);
	struct gi_error *err = gi_elf_unpack_bytes(gi_str_cstr(&name), "zstd", packed->stream,
						   packed->stream_size, packed->size, &u->owned,
						   &u->size);
	if (err)
		return err;
	if (u->size != packed->size)
		return gi_error_create(GI_ERR_FORMAT,
				       "%s cannot be decompressed: it ends early", gi_str_cstr(&name));
	u->data = u->owned;
	return NULL;
}

static struct gi_error *unpack_by_libelf(const struct gi_elf *elf, const struct elf_section *sec,
					 const struct elf_packed *packed, struct elf_unpacked *u)
{
	size_t n = packed->stream_size;
	uint32_t type = packed->type;

	size_t data_size = CHDR_SIZE + n;
	void *image = mmap(NULL, IMAGE_HEADERS + data_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (image == MAP_FAILED)
		return gi_error_nomem();
	u->image = image;
	u->image_size = IMAGE_HEADERS + data_size;

	Elf64_Ehdr ehdr = {
		.e_type = ET_REL,
		.e_machine = elf->ident.machine,
		.e_version = EV_CURRENT,
		.e_ehsize = sizeof(ehdr),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shoff = sizeof(ehdr),
		.e_shnum = 2,
	};
	memcpy(ehdr.e_ident, elf->bytes, EI_NIDENT);
	Elf64_Shdr shdr = {
		.sh_type = SHT_PROGBITS,
		.sh_flags = SHF_COMPRESSED,
		.sh_offset = IMAGE_HEADERS,
		.sh_size = data_size,
		.sh_addralign = 8,
	};
	Elf64_Chdr chdr = { .ch_type = type, .ch_size = packed->size, .ch_addralign = 1 };
	memcpy(image, &ehdr, sizeof(ehdr));
	memcpy((char *)image + sizeof(ehdr) + sizeof(shdr), &shdr, sizeof(shdr));
	memcpy((char *)image + IMAGE_HEADERS, &chdr, sizeof(chdr));
	memcpy((char *)image + IMAGE_HEADERS + sizeof(chdr), packed->stream, n);

	if (elf_version(EV_CURRENT) == EV_NONE)
		return gi_error_create(GI_ERR_UNSUPPORTED, "libelf is too old");
	u->elf = elf_memory(image, u->image_size);
	Elf_Scn *scn = u->elf ? elf_getscn(u->elf, 1) : NULL;
	Elf_Data *data = NULL;
	if (scn && elf_compress(scn, 0, 0) >= 0)
		data = elf_getdata(scn, NULL);
	if (!data && type != ELFCOMPRESS_ZLIB)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "%s: section %s is compressed in a way that this build's libelf "
				       "cannot unpack (type %u)",
				       elf->path, sec->name, type);
	if (!data || data->d_size != packed->size)
		return gi_error_create(GI_ERR_FORMAT, "%s: section %s cannot be decompressed: %s",
				       elf->path, sec->name, elf_errmsg(-1));
	u->data = data->d_buf;
	u->size = data->d_size;
	// The packed bytes are not needed again; the headers before them are.
	madvise((char *)image + IMAGE_HEADERS, data_size, MADV_DONTNEED);
	return NULL;
}

struct gi_error *gi_elf_unpack(struct gi_elf *elf, size_t i, const struct elf_section *sec,
			       const struct elf_unpacked **ret)
{
	uint64_t size = 0, total = 0;
	for (const struct elf_unpacked *u = elf->unpacked; u; u = u->next) {
		if (u->index == i) {
			*ret = u;
			return NULL;
		}
		total += u->size;
	}
	struct elf_packed packed;
	struct gi_error *err = gi_elf_packed_read(elf, sec, &packed);
	if (err)
		return err;
	size = packed.size;
	if (size > UNPACKED_TOTAL_MAX - total)
		return gi_error_create(GI_ERR_FORMAT,
				       "%s: its sections unpack to more than %llu bytes", elf->path,
				       (unsigned long long)UNPACKED_TOTAL_MAX);
	_cleanup_(unpacked_destroyp) struct elf_unpacked *u = calloc(1, sizeof(*u));
	if (!u)
		return gi_error_nomem();
	u->index = i;
	err = packed.type == CHDR_ZSTD ? unpack_zstd(elf, sec, &packed, u) :
					 unpack_by_libelf(elf, sec, &packed, u);
	if (err)
		return err;
	u->next = elf->unpacked;
	elf->unpacked = u;
	*ret = u;
	u = NULL;
	return NULL;
}

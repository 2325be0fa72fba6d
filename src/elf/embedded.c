// What is compressed inside of ELF files otherwise than by zlib: sections packed with zstd,
// which libelf only learnt in 0.189, and .gnu_debugdata, an ELF file packed with xz that
// holds the names of functions that .dynsym lacks ("mini debug information", as Fedora's
// and Red Hat's libraries have it).
//
// libarchive unpacks both, as it does whole files (compressed.c), with one filter allowed.

#include "elf/elf_private.h"

#include <archive.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 16 };
#define MINI_MAX ((size_t)256 << 20)

static const struct {
	const char *name;
	int (*support)(struct archive *);
} filters[] = {
	{"zstd", archive_read_support_filter_zstd},
	{"xz", archive_read_support_filter_xz},
};

static void archive_freep(struct archive **a)
{
	archive_read_free(*a);
}

static struct gi_error *failed(const char *path, const char *filter, struct archive *a)
{
	const char *s = archive_error_string(a);
	return gi_error_create(GI_ERR_FORMAT, "%s cannot be unpacked by %s: %s", path, filter,
			       s ? s : "it is damaged");
}

struct gi_error *gi_elf_unpack_bytes(const char *path, const char *filter, const uint8_t *data,
				     size_t n, size_t max, uint8_t **ret, size_t *size_ret)
{
	_cleanup_(archive_freep) struct archive *a = archive_read_new();
	if (!a)
		return gi_error_nomem();
	bool known = false;
	for (size_t i = 0; i < GI_ARRAY_SIZE(filters); i++) {
		// ARCHIVE_WARN: libarchive would run a program, found by PATH.
		if (strcmp(filters[i].name, filter) == 0)
			known = filters[i].support(a) == ARCHIVE_OK;
	}
	if (!known)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "%s is compressed with %s, which the libarchive of this system "
				       "cannot unpack",
				       path, filter);
	struct archive_entry *entry;
	if (archive_read_support_format_raw(a) != ARCHIVE_OK ||
	    archive_read_open_memory(a, data, n) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return failed(path, filter, a);
	if (archive_filter_code(a, 0) == ARCHIVE_FILTER_NONE)
		return gi_error_create(GI_ERR_FORMAT, "%s is damaged: it is not compressed with %s",
				       path, filter);
	_cleanup_(gi_freep) uint8_t *out = NULL;
	size_t cap = 0, len = 0;
	for (;;) {
		struct gi_error *err = gi_interrupt_check();
		if (!err)
			err = gi_grow(&out, &cap, len + BLOCK, 1);
		if (err)
			return err;
		la_ssize_t got = archive_read_data(a, out + len, BLOCK);
		if (got < 0)
			return failed(path, filter, a);
		if (!got)
			break;
		if ((size_t)got > max - len)
			return gi_error_create(GI_ERR_FORMAT,
					       "%s is damaged: it unpacks to more than %zu bytes", path,
					       max);
		len += (size_t)got;
	}
	*ret = out;
	out = NULL;
	*size_ret = len;
	return NULL;
}

struct gi_error *gi_elf_open_mini(struct gi_elf *elf, struct gi_elf **ret)
{
	const uint8_t *data;
	size_t n, size;
	_cleanup_(gi_freep) uint8_t *image = NULL;
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	struct gi_error *err = gi_elf_section(elf, ".gnu_debugdata", &data, &n, NULL);
	if (err)
		return err;
	gi_str_printf(&name, "%s: its section .gnu_debugdata", elf->path);
	err = gi_elf_unpack_bytes(gi_str_cstr(&name), "xz", data, n, MINI_MAX, &image, &size);
	if (!err)
		err = gi_elf_open_image(gi_str_cstr(&name), image, size, ret);
	return err;
}

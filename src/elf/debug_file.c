// Separate debug files, as distributions ship them: below a debug folder by build ID
// (.build-id/ab/cdef.debug), or by the name in .gnu_debuglink, which comes with the
// CRC-32 of the debug file. A file that is found but does not belong is passed over.

#include "elf/elf_private.h"

#include <stdlib.h>
#include <string.h>

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t table[256];
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
		table[i] = c;
	}
	uint32_t crc = 0xffffffffu;
	for (size_t i = 0; i < n; i++)
		crc = table[(crc ^ p[i]) & 0xff] ^ (crc >> 8);
	return ~crc;
}

static bool same_id(const struct gi_build_id *a, const struct gi_build_id *b)
{
	return a->len && a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

// Opens path if it is the debug file of elf; else NULL, and path is added to tried.
static struct gi_elf *try_file(struct gi_elf *elf, const struct gi_str *path, const uint32_t *crc,
			       struct gi_str *tried)
{
	if (path->oom)
		return NULL;
	if (tried->len)
		gi_str_puts(tried, ", ");
	gi_str_puts(tried, path->s);
	_cleanup_(gi_elf_closep) struct gi_elf *debug = NULL;
	struct gi_error *err = gi_elf_open(path->s, &debug);
	if (err) {
		gi_error_ignore(err);
		return NULL;
	}
	struct gi_build_id want = gi_elf_build_id(elf), got = gi_elf_build_id(debug);
	bool fits;
	if (want.len && got.len)
		fits = same_id(&want, &got);
	else
		fits = crc && crc32_of(debug->bytes, debug->size) == *crc;
	// A link that names the file itself leads nowhere.
	if (!fits || debug->ident.machine != elf->ident.machine ||
	    !(gi_elf_has_section(debug, ".debug_info") || gi_elf_has_section(debug, ".symtab"))) {
		gi_str_puts(tried, " (does not belong)");
		return NULL;
	}
	struct gi_elf *ret = debug;
	debug = NULL;
	return ret;
}

static struct gi_elf *try_build_id(struct gi_elf *elf, const char *const *dirs, size_t n,
				   struct gi_str *tried)
{
	struct gi_build_id id = gi_elf_build_id(elf);
	if (id.len < 2)
		return NULL;
	char hex[2 * sizeof(id.bytes) + 1];
	gi_build_id_format(&id, hex, sizeof(hex));
	for (size_t i = 0; i < n; i++) {
		_cleanup_(gi_str_deinit) struct gi_str path = { 0 };
		gi_str_printf(&path, "%s/.build-id/%.2s/%s.debug", dirs[i], hex, hex + 2);
		struct gi_elf *debug = try_file(elf, &path, NULL, tried);
		if (debug)
			return debug;
	}
	return NULL;
}

static struct gi_elf *try_link(struct gi_elf *elf, const char *const *dirs, size_t n,
			       struct gi_str *tried)
{
	const uint8_t *data;
	size_t size;
	struct gi_error *err = gi_elf_section(elf, ".gnu_debuglink", &data, &size, NULL);
	if (err) {
		gi_error_ignore(err);
		return NULL;
	}
	const uint8_t *end = memchr(data, 0, size);
	if (!end || end == data || memchr(data, '/', (size_t)(end - data)))
		return NULL;
	const char *name = (const char *)data;
	size_t crc_at = ((size_t)(end - data) + 4) & ~(size_t)3;
	if (!gi_in_bounds(crc_at, 4, size))
		return NULL;
	uint32_t crc = gi_load_u32(data + crc_at);

	_cleanup_(gi_freep) char *real = realpath(elf->path, NULL);
	const char *file = real ? real : elf->path;
	const char *slash = strrchr(file, '/');
	int dir_len = slash ? (int)(slash - file) : 1;
	const char *dir = slash ? file : ".";
	// Beside the file, then below each folder: in it and, as distributions do, by the file's path.
	for (size_t i = 0; i < 2 * n + 2; i++) {
		_cleanup_(gi_str_deinit) struct gi_str path = { 0 };
		const char *top = i < 2 ? "" : dirs[(i - 2) / 2];
		if (i == 0)
			gi_str_printf(&path, "%.*s/%s", dir_len, dir, name);
		else if (i == 1)
			gi_str_printf(&path, "%.*s/.debug/%s", dir_len, dir, name);
		else if (i % 2)
			gi_str_printf(&path, "%s/%s", top, name);
		else
			gi_str_printf(&path, "%s%s%.*s/%s", top, slash ? "" : "/", dir_len, dir,
				      name);
		struct gi_elf *debug = try_file(elf, &path, &crc, tried);
		if (debug)
			return debug;
	}
	return NULL;
}

struct gi_error *gi_elf_open_debug(struct gi_elf *elf, const char *const *debug_dirs, size_t n,
				   struct gi_elf **ret)
{
	_cleanup_(gi_str_deinit) struct gi_str tried = { 0 };
	struct gi_elf *debug = try_build_id(elf, debug_dirs, n, &tried);
	if (!debug)
		debug = try_link(elf, debug_dirs, n, &tried);
	if (!debug)
		return gi_error_create(GI_ERR_NOT_FOUND, "%s: no separate debug file%s%s", elf->path,
				       tried.len ? "; looked for " : "", gi_str_cstr(&tried));
	*ret = debug;
	return NULL;
}

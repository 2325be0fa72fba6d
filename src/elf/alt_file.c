// The common file of dwz: debug information that several files had alike is moved to one,
// and they refer to it by forms of their own (DW_FORM_GNU_ref_alt and GNU_strp_alt, in
// DWARF 5 ref_sup and strp_sup).
//
// Two sections name it. .gnu_debugaltlink is a file name, NUL, and the build ID of the file
// as bytes. .debug_sup (DWARF 5, section 7.3.6) is a version, a flag that says whether this
// is the common file itself, a file name, and a checksum with its length before it; the common
// file has the same checksum in its own .debug_sup.
//
// The name is as it was when the files were made: absolute, or relative to the file that has
// the section. Distributions keep these files in .dwz below the debug folder.

#include "elf/elf_private.h"

#include <stdlib.h>
#include <string.h>

enum { SUP_VERSION = 5 };

// Reads .debug_sup. *common_ret: it is the common file's own.
static bool read_sup(struct gi_elf *elf, struct gi_elf_alt_link *ret, bool *common_ret)
{
	const uint8_t *data;
	size_t size;
	if (!gi_elf_has_section(elf, ".debug_sup"))
		return false;
	struct gi_error *err = gi_elf_section(elf, ".debug_sup", &data, &size, NULL);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	struct gi_cursor cur = gi_cursor_make(data, size);
	uint16_t version = gi_cursor_u16(&cur);
	*common_ret = gi_cursor_u8(&cur);
	const char *name = (const char *)data + cur.off;
	size_t len = strnlen(name, gi_cursor_left(&cur));
	gi_cursor_skip(&cur, len + 1);
	uint64_t n = gi_cursor_uleb(&cur);
	if (cur.bad || version != SUP_VERSION || !n || n > sizeof(ret->id.bytes) ||
	    n > gi_cursor_left(&cur))
		return false;
	ret->name = name;
	memcpy(ret->id.bytes, data + cur.off, n);
	ret->id.len = n;
	return true;
}

bool gi_elf_alt_link(struct gi_elf *elf, struct gi_elf_alt_link *ret)
{
	const uint8_t *data;
	size_t size;
	struct gi_elf_alt_link link = {.name = NULL};
	bool common = false;
	if (read_sup(elf, &link, &common) && !common && link.name[0]) {
		*ret = link;
		return true;
	}
	if (!gi_elf_has_section(elf, ".gnu_debugaltlink"))
		return false;
	struct gi_error *err = gi_elf_section(elf, ".gnu_debugaltlink", &data, &size, NULL);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t n = end ? size - (size_t)(end + 1 - data) : 0;
	if (!n || end == data || n > sizeof(link.id.bytes))
		return false;
	link.name = (const char *)data;
	memcpy(link.id.bytes, end + 1, n);
	link.id.len = n;
	*ret = link;
	return true;
}

// Opens path if it is the file of link.
static struct gi_elf *try_alt(const struct gi_str *path, const struct gi_elf_alt_link *link,
			      struct gi_debug_search *s)
{
	_cleanup_(gi_elf_closep) struct gi_elf *alt = path->oom ? NULL : gi_debug_try(path->s, s);
	if (!alt)
		return NULL;
	struct gi_build_id id = gi_elf_build_id(alt);
	struct gi_elf_alt_link sup;
	bool common = false;
	if (read_sup(alt, &sup, &common) && common)
		id = sup.id;
	if (!gi_build_id_equal(&id, &link->id)) {
		char want[2 * sizeof(id.bytes) + 1], got[2 * sizeof(id.bytes) + 1];
		_cleanup_(gi_str_deinit) struct gi_str why = {0};
		gi_build_id_format(&link->id, want, sizeof(want));
		gi_build_id_format(&id, got, sizeof(got));
		gi_str_printf(&why, "its build ID is %s, wanted is %s", id.len ? got : "none",
			      want);
		gi_debug_refuse(s, path->s, gi_str_cstr(&why));
		return NULL;
	}
	if (!gi_elf_has_section(alt, ".debug_info") && !gi_elf_has_section(alt, ".debug_str")) {
		gi_debug_refuse(s, path->s, "it has no debug information");
		return NULL;
	}
	struct gi_elf *ret = alt;
	alt = NULL;
	return ret;
}

// Below the root that the process had, then as this machine has it.
static struct gi_elf *try_absolute(const struct gi_elf_alt_link *link, struct gi_debug_search *s)
{
	struct gi_elf *alt = NULL;
	for (int i = s->sysroot ? 0 : 1; i < 2 && !alt; i++) {
		_cleanup_(gi_str_deinit) struct gi_str path = {0};
		gi_str_printf(&path, "%s%s", i ? "" : s->sysroot, link->name);
		alt = try_alt(&path, link, s);
	}
	return alt;
}

static struct gi_elf *try_beside(struct gi_elf *elf, const struct gi_elf_alt_link *link,
				 struct gi_debug_search *s)
{
	_cleanup_(gi_freep) char *real = realpath(elf->path, NULL);
	_cleanup_(gi_freep) char *dir = gi_debug_dir_of(real ? real : elf->path);
	_cleanup_(gi_str_deinit) struct gi_str path = {0};
	if (!dir)
		return NULL;
	gi_str_printf(&path, "%s/%s", dir, link->name);
	return try_alt(&path, link, s);
}

static struct gi_elf *try_folders(const struct gi_elf_alt_link *link, struct gi_debug_search *s)
{
	static const char folder[] = "/.dwz/";
	const char *inner = strstr(link->name, folder), *base = strrchr(link->name, '/');
	base = base ? base + 1 : link->name;
	inner = inner ? inner + sizeof(folder) - 1 : base;
	for (size_t i = 0; i < s->dir_count; i++) {
		for (int k = 0; k < 4; k++) {
			_cleanup_(gi_str_deinit) struct gi_str path = {0};
			if (k == 0 && link->id.len > 1)
				gi_debug_build_id_path(s->dirs[i], &link->id, &path);
			else if (k == 1)
				gi_str_printf(&path, "%s%s%s", s->dirs[i], folder, inner);
			else if (k == 2 && inner != base)
				gi_str_printf(&path, "%s%s%s", s->dirs[i], folder, base);
			else if (k == 3)
				gi_str_printf(&path, "%s/%s", s->dirs[i], base);
			if (!path.len)
				continue;
			struct gi_elf *alt = try_alt(&path, link, s);
			if (alt)
				return alt;
		}
	}
	return NULL;
}

static struct gi_elf *try_servers(const struct gi_elf_alt_link *link, struct gi_debug_search *s)
{
	_cleanup_(gi_str_deinit) struct gi_str path = {0};
	return gi_debug_ask_servers(s, &link->id, &path) ? try_alt(&path, link, s) : NULL;
}

struct gi_error *gi_elf_open_alt(struct gi_elf *elf, struct gi_debug_search *s,
				 struct gi_elf **ret)
{
	struct gi_elf_alt_link link;
	if (elf->alt) {
		*ret = elf->alt;
		return NULL;
	}
	if (!gi_elf_alt_link(elf, &link))
		return gi_error_create(GI_ERR_NOT_FOUND, "%s names no common debug file", elf->path);
	size_t from = s->tried.len ? s->tried.len + strlen(", ") : 0;
	struct gi_elf *alt = link.name[0] == '/' ? try_absolute(&link, s) :
						   try_beside(elf, &link, s);
	if (!alt)
		alt = try_folders(&link, s);
	if (!alt)
		alt = try_servers(&link, s);
	if (!alt) {
		char hex[2 * sizeof(link.id.bytes) + 1];
		gi_build_id_format(&link.id, hex, sizeof(hex));
		return gi_error_create(GI_ERR_NOT_FOUND,
				       "%s: its common debug file %s (of dwz, build ID %s) was not "
				       "found; looked for %s",
				       elf->path, link.name, hex, gi_str_cstr(&s->tried) + from);
	}
	elf->alt = alt;
	*ret = alt;
	return NULL;
}

struct gi_elf *gi_elf_alt(struct gi_elf *elf)
{
	return elf->alt;
}

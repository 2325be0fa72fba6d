// Separate debug files, as distributions and people make them: below a debug folder by
// build ID (.build-id/ab/cdef.debug), by the name in .gnu_debuglink, which comes with the
// CRC-32 of the debug file, or by the program's own name with ".debug" behind it.
//
// The places are those where gdb looks, in its order; what it does not know comes last.
// A file that is there has to prove that it belongs: by GNU's build ID, else by Go's (older
// Go programs have no other), else by the CRC. (The CRC is not asked for where the IDs are
// the same: dwz changes the file and not its ID.) Whatever is passed over is remembered
// with the reason, since a person who put it there expects it to be used.

#include "elf/elf_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

void gi_debug_search_deinit(struct gi_debug_search *s)
{
	gi_str_deinit(&s->tried);
	gi_str_deinit(&s->refused);
}

void gi_debug_refuse(struct gi_debug_search *s, const char *path, const char *why)
{
	gi_str_puts(&s->refused, path);
	gi_str_puts(&s->refused, ": ");
	gi_str_puts(&s->refused, why);
	gi_str_putc(&s->refused, '\n');
}

bool gi_build_id_equal(const struct gi_build_id *a, const struct gi_build_id *b)
{
	return a->len && a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

static uint32_t crc_of(const uint8_t *p, size_t n)
{
	enum { STEP = 1 << 30 };
	uLong crc = crc32(0, NULL, 0);
	while (n) {
		uInt step = (uInt)gi_min_u64(n, STEP);
		crc = crc32(crc, p, step);
		p += step;
		n -= step;
	}
	return (uint32_t)crc;
}

// Does debug belong to elf? If not, why is appended.
static bool belongs(struct gi_elf *elf, struct gi_elf *debug, const uint32_t *crc,
		    struct gi_str *why)
{
	struct gi_build_id want = gi_elf_build_id(elf), got = gi_elf_build_id(debug);
	const char *go_want = gi_elf_go_build_id(elf), *go_got = gi_elf_go_build_id(debug);
	char want_hex[2 * sizeof(want.bytes) + 1], got_hex[2 * sizeof(got.bytes) + 1];

	if (debug->ident.machine != elf->ident.machine) {
		gi_str_puts(why, "it is for another machine");
		return false;
	}
	if (want.len && got.len) {
		if (gi_build_id_equal(&want, &got))
			return true;
		gi_build_id_format(&want, want_hex, sizeof(want_hex));
		gi_build_id_format(&got, got_hex, sizeof(got_hex));
		gi_str_printf(why, "its build ID is %s, wanted is %s", got_hex, want_hex);
		return false;
	}
	if (go_want[0] && go_got[0]) {
		if (strcmp(go_want, go_got) == 0)
			return true;
		gi_str_printf(why, "its Go build ID is %s, wanted is %s", go_got, go_want);
		return false;
	}
	if (!crc) {
		gi_str_puts(why, "no build ID tells that it belongs");
		return false;
	}
	uint32_t is = crc_of(debug->bytes, debug->size);
	if (is == *crc)
		return true;
	gi_str_printf(why, "its CRC is %08x, wanted is %08x", (unsigned)is, (unsigned)*crc);
	return false;
}

static bool has_debug_info(struct gi_elf *elf)
{
	return gi_elf_has_section(elf, ".debug_info");
}

// Sections that end behind the end of the file, or a table of them that does.
static bool is_cut_off(const struct gi_elf *elf)
{
	uint64_t shoff = gi_load_u64(elf->bytes + 40);
	if (shoff > elf->size || (shoff && !elf->shnum))
		return true;
	for (size_t i = 1; i < elf->shnum; i++) {
		struct elf_section sec = gi_elf_section_header(elf, i);
		if (sec.type != SHT_NOBITS && sec.type != SHT_NULL &&
		    !gi_in_bounds(sec.offset, sec.size, elf->size))
			return true;
	}
	return false;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

// Is path below root? Then what follows it, with its slash.
static const char *below(const char *path, const char *root)
{
	size_t n = root ? strlen(root) : 0;
	while (n && root[n - 1] == '/')
		n--;
	return n && !strncmp(path, root, n) && path[n] == '/' ? path + n : NULL;
}

struct gi_elf *gi_debug_try(const char *path, struct gi_debug_search *s)
{
	struct gi_elf *elf = NULL;
	struct stat st;
	if (s->tried.len)
		gi_str_puts(&s->tried, ", ");
	gi_str_puts(&s->tried, path);
	// Links below the root that the process had are links of that root.
	const char *inner = below(path, s->sysroot);
	_cleanup_(gi_str_deinit) struct gi_str inside = {0};
	if (inner) {
		struct gi_error *lost = gi_elf_resolve(s->sysroot, inner, &inside);
		if (lost) {
			gi_error_ignore(lost);
			return NULL;
		}
		path = gi_str_cstr(&inside);
	}
	if (stat(path, &st) < 0)
		return NULL;
	struct gi_error *err = gi_elf_open(path, &elf);
	if (!err)
		return elf;
	// The message begins with the path, or is about memory.
	gi_str_puts(&s->refused, gi_error_message(err));
	gi_str_putc(&s->refused, '\n');
	gi_error_ignore(err);
	return NULL;
}

// Opens path if it is the debug file of elf; else NULL.
static struct gi_elf *try_file(struct gi_elf *elf, const struct gi_str *path, const uint32_t *crc,
			       struct gi_debug_search *s)
{
	// A link may name the program itself, which is no news.
	if (path->oom || same_file(path->s, elf->path))
		return NULL;
	_cleanup_(gi_elf_closep) struct gi_elf *debug = gi_debug_try(path->s, s);
	if (!debug)
		return NULL;
	_cleanup_(gi_str_deinit) struct gi_str why = {0};
	if (is_cut_off(debug))
		gi_str_puts(&why, "it is cut off");
	else if (belongs(elf, debug, crc, &why) && !has_debug_info(debug) &&
		 !(gi_elf_has_section(debug, ".symtab") && !gi_elf_has_section(elf, ".symtab")))
		gi_str_puts(&why, "it has no debug information");
	if (why.len || why.oom) {
		gi_debug_refuse(s, path->s, gi_str_cstr(&why));
		return NULL;
	}
	struct gi_elf *ret = debug;
	debug = NULL;
	return ret;
}

static struct gi_elf *try_build_id(struct gi_elf *elf, struct gi_debug_search *s)
{
	struct gi_build_id id = gi_elf_build_id(elf);
	if (id.len < 2)
		return NULL;
	for (size_t i = 0; i < s->dir_count; i++) {
		_cleanup_(gi_str_deinit) struct gi_str path = {0};
		gi_debug_build_id_path(s->dirs[i], &id, &path);
		struct gi_elf *debug = try_file(elf, &path, NULL, s);
		if (debug)
			return debug;
	}
	return NULL;
}

void gi_debug_build_id_path(const char *dir, const struct gi_build_id *id, struct gi_str *path)
{
	char hex[2 * sizeof(id->bytes) + 1];
	gi_build_id_format(id, hex, sizeof(hex));
	gi_str_printf(path, "%s/.build-id/%.2s/%s.debug", dir, hex, hex + 2);
}

// The file called name that belongs to elf, which lies in dir.
static struct gi_elf *try_name(struct gi_elf *elf, const char *dir, const char *name,
			       const uint32_t *crc, struct gi_debug_search *s)
{
	_cleanup_(gi_freep) char *root = s->sysroot ? realpath(s->sysroot, NULL) : NULL;
	const char *inner = below(dir, s->sysroot);
	if (!inner)
		inner = below(dir, root);
	struct gi_elf *debug;
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(gi_str_deinit) struct gi_str path = {0};
		gi_str_printf(&path, "%s/%s%s", dir, i ? ".debug/" : "", name);
		debug = try_file(elf, &path, crc, s);
		if (debug)
			return debug;
	}
	for (size_t i = 0; i < s->dir_count; i++) {
		for (size_t k = inner ? 0 : 1; k < 3; k++) {
			_cleanup_(gi_str_deinit) struct gi_str path = {0};
			gi_str_puts(&path, s->dirs[i]);
			if (k < 2)
				gi_str_printf(&path, "%s%s", dir[0] == '/' ? "" : "/",
					      k ? dir : inner);
			gi_str_printf(&path, "/%s", name);
			debug = try_file(elf, &path, crc, s);
			if (debug)
				return debug;
		}
	}
	return NULL;
}

// The name and CRC in .gnu_debuglink; false if there is none that could be true.
static bool read_link(struct gi_elf *elf, const char **name_ret, uint32_t *crc_ret)
{
	const uint8_t *data;
	size_t size;
	struct gi_error *err = gi_elf_section(elf, ".gnu_debuglink", &data, &size, NULL);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	const uint8_t *end = memchr(data, 0, size);
	// A name leads to a file in a place that we choose, never somewhere else.
	if (!end || end == data || memchr(data, '/', (size_t)(end - data)) ||
	    strcmp((const char *)data, "..") == 0)
		return false;
	size_t crc_at = ((size_t)(end - data) + 4) & ~(size_t)3;
	if (!gi_in_bounds(crc_at, 4, size))
		return false;
	*name_ret = (const char *)data;
	*crc_ret = gi_load_u32(data + crc_at);
	return true;
}

// Splits a path; dir is malloc'd, NULL without memory.
static char *split(const char *path, const char **name_ret)
{
	const char *slash = strrchr(path, '/');
	*name_ret = slash ? slash + 1 : path;
	return slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
}

char *gi_debug_dir_of(const char *path)
{
	const char *name;
	return split(path, &name);
}

static struct gi_elf *try_names(struct gi_elf *elf, struct gi_debug_search *s)
{
	const char *link = NULL;
	uint32_t crc;
	bool linked = read_link(elf, &link, &crc);
	_cleanup_(gi_freep) char *real = realpath(elf->path, NULL);
	struct gi_elf *debug = NULL;
	// By the path as it was given, and by the one without symbolic links.
	for (int i = 0; i < 2 && !debug; i++) {
		const char *path = i ? real : elf->path, *name;
		if (!path || (i && strcmp(real, elf->path) == 0))
			continue;
		_cleanup_(gi_freep) char *dir = split(path, &name);
		if (dir && linked) {
			s->how = "by .gnu_debuglink";
			debug = try_name(elf, dir, link, &crc, s);
		}
		_cleanup_(gi_str_deinit) struct gi_str guess = {0};
		gi_str_printf(&guess, "%s.debug", name);
		if (dir && !debug && !guess.oom && (!linked || strcmp(link, guess.s) != 0)) {
			s->how = "by its name";
			debug = try_name(elf, dir, guess.s, NULL, s);
		}
	}
	return debug;
}

static struct gi_elf *try_servers(struct gi_elf *elf, struct gi_debug_search *s)
{
	struct gi_build_id id = gi_elf_build_id(elf);
	_cleanup_(gi_str_deinit) struct gi_str path = {0};
	if (!gi_debug_ask_servers(s, &id, &path))
		return NULL;
	return try_file(elf, &path, NULL, s);
}

bool gi_debug_ask_servers(struct gi_debug_search *s, const struct gi_build_id *id,
			  struct gi_str *path)
{
	if (!s->servers || !id->len)
		return false;
	if (s->tried.len)
		gi_str_puts(&s->tried, ", ");
	gi_str_puts(&s->tried, "debuginfod");
	struct gi_error *err = gi_debuginfod_fetch(s->servers, id, GI_DEBUGINFOD_DEBUG, path);
	if (!err)
		return true;
	if (gi_error_code(err) != GI_ERR_NOT_FOUND)
		gi_debug_refuse(s, "debuginfod", gi_error_message(err));
	gi_error_ignore(err);
	return false;
}

struct gi_error *gi_elf_open_debug(struct gi_elf *elf, struct gi_debug_search *s,
				   struct gi_elf **ret)
{
	size_t from = s->tried.len ? s->tried.len + strlen(", ") : 0;
	s->how = "by build ID";
	struct gi_elf *debug = try_build_id(elf, s);
	if (!debug)
		debug = try_names(elf, s);
	if (!debug) {
		s->how = "by debuginfod";
		debug = try_servers(elf, s);
	}
	if (!debug) {
		s->how = NULL;
		return gi_error_create(GI_ERR_NOT_FOUND, "%s: no separate debug file%s%s",
				       elf->path, s->tried.len > from ? "; looked for " : "",
				       gi_str_cstr(&s->tried) + from);
	}
	*ret = debug;
	return NULL;
}

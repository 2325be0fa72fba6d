// The Go release that built a program.
//
// runtime.buildVersion says it: a string that the linker sets. Without symbols there is
// .go.buildinfo, whose header is followed by the same string; and, where a tool has taken
// that away too, the variable itself can be found in the data: a string header whose text
// starts as versions do. A program may have several such strings of its own, so what is
// found in that way are candidates: the layout that belongs to one has to fit, and then
// the code says where runtime.buildVersion is. Source: debug/buildinfo, Go 1.18 to 1.27.

#include "go/go_impl.h"

#include <string.h>

enum { VERSION_MAX = 256, BUILDINFO_HEADER = 32, BUILDINFO_INLINE = 2 };

// The number at *s, at most 3 digits; -1 if there is none.
static int version_number(const char **s)
{
	int v = 0, n = 0;

	while (**s >= '0' && **s <= '9' && n < 3) {
		v = v * 10 + (**s - '0');
		++*s;
		n++;
	}
	return n ? v : -1;
}

// "go1.27.4", "go1.26.8 X:nospinbitmutex", "go1.28rc1", "devel go1.28-0123abc ...",
// "go1.22.3-vendor". Development versions before a first release carry no number.
bool gi_go_parse_version(const char *text, struct gi_go_version *v)
{
	const char *s = strstr(text, "go1.");
	int minor;

	if (!s)
		return false;
	s += 4;
	minor = version_number(&s);
	if (minor < 0)
		return false;
	v->major = 1;
	v->minor = minor;
	v->patch = -1;
	if (*s == '.') {
		s++;
		v->patch = version_number(&s);
	}
	return true;
}

static void set_version(struct gi_go *go, const char *s)
{
	char *text = gi_arena_strdup(go->arena, s);

	if (!text)
		return;
	// It goes to terminals and into messages.
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			*c = '?';
	}
	go->version.text = text;
	go->version_known = gi_go_parse_version(text, &go->version);
}

void gi_go_load_version(struct gi_go *go, const struct gi_global *g)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	struct gi_error *err;

	if (!g->ok)
		return;
	err = gi_target_read_gostring(go->target, g->addr, VERSION_MAX, &s);
	if (err)
		gi_error_ignore(err);
	else
		set_version(go, gi_str_cstr(&s));
}

void gi_go_load_version_from_build_info(struct gi_go *go)
{
	static const char magic[] = "\xff Go buildinf:";
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	struct gi_cursor c;
	const uint8_t *p;
	const void *text;
	uint64_t n;
	size_t size;
	struct gi_error *err =
		gi_elf_section(gi_target_exe(go->target), ".go.buildinfo", &p, &size, NULL);

	if (err) {
		gi_error_ignore(err);
		return;
	}
	if (size < BUILDINFO_HEADER || memcmp(p, magic, sizeof(magic) - 1) != 0 ||
	    !(p[15] & BUILDINFO_INLINE))
		return;
	c = gi_cursor_make(p, size);
	gi_cursor_seek(&c, BUILDINFO_HEADER);
	n = gi_cursor_uleb(&c);
	if (n > VERSION_MAX)
		return;
	text = gi_cursor_bytes(&c, (size_t)n);
	if (!text)
		return;
	gi_str_putn(&s, text, (size_t)n);
	set_version(go, gi_str_cstr(&s));
}

// x: print memory, with gdb's /FMT or dlv's options.

#include "gcore/command.h"

#include <ctype.h>
#include <string.h>

enum { X_MAX_COUNT = 1000000 };

// "/8gx": a count, a size (b h w g) and a format in any order, as gdb has it.
static struct gi_error *parse_slash(const char *text, struct gi_memory_format *f, bool *sized)
{
	const char *p = text + 1;
	if (isdigit((unsigned char)*p)) {
		f->count = 0;
		for (; isdigit((unsigned char)*p); p++) {
			f->count = f->count * 10 + (uint64_t)(*p - '0');
			if (f->count > X_MAX_COUNT)
				return gi_error_create(GI_ERR_USAGE, "x: at most %d units",
						       X_MAX_COUNT);
		}
	}
	for (; *p; p++) {
		const char *sizes = "bhwg", *at = strchr(sizes, *p);
		if (at) {
			f->size = 1u << (at - sizes);
			*sized = true;
		} else if (strchr("xduotcas", *p)) {
			f->format = *p;
		} else {
			return gi_error_create(
				GI_ERR_USAGE,
				"x: \"%s\" is no format: a count, a size of b h w g, and one of "
				"x d u o t c a s",
				text);
		}
	}
	return NULL;
}

static struct gi_error *parse_options(const struct gi_args *args, struct gi_memory_format *f,
				      bool *sized)
{
	static const struct {
		const char *name;
		char format;
	} formats[] = {{"hex", 'x'}, {"dec", 'd'},  {"oct", 'o'},   {"bin", 't'},
		       {"raw", 'x'}, {"addr", 'a'}, {"string", 's'}};
	const char *fmt = gi_args_opt_name(args, "fmt"), *text;
	if (fmt) {
		f->format = 0;
		for (size_t i = 0; i < GI_ARRAY_SIZE(formats); i++) {
			if (strcmp(fmt, formats[i].name) == 0)
				f->format = formats[i].format;
		}
		if (!f->format)
			return gi_error_create(
				GI_ERR_USAGE,
				"x -fmt: \"%s\" is none of hex, dec, oct, bin, addr, string", fmt);
	}
	struct gi_error *err = NULL;
	text = gi_args_opt_name(args, "count");
	if (!text)
		text = gi_args_opt_name(args, "len");
	if (text)
		err = gi_parse_u64(text, &f->count);
	if (!err && f->count > X_MAX_COUNT)
		return gi_error_create(GI_ERR_USAGE, "x: at most %d units", X_MAX_COUNT);
	uint64_t size = f->size;
	text = gi_args_opt_name(args, "size");
	if (!err && text)
		err = gi_parse_u64(text, &size);
	if (err)
		return gi_error_wrap(err, "x");
	if (size != 1 && size != 2 && size != 4 && size != 8)
		return gi_error_create(GI_ERR_USAGE, "x -size: 1, 2, 4 or 8 bytes");
	f->size = (unsigned)size;
	*sized = *sized || text;
	return NULL;
}

static struct gi_error *x_run(struct gi_session *s, const struct gi_args *args, struct gi_out *out)
{
	struct gi_memory_format f = {.format = 'x', .size = 8, .count = 1};
	bool sized = false;
	size_t i = 0;
	struct gi_error *err = NULL;
	if (gi_args_get(args, 0)[0] == '/')
		err = parse_slash(gi_args_get(args, i++), &f, &sized);
	if (!err)
		err = parse_options(args, &f, &sized);
	if (err)
		return err;
	if (f.format == 'c' && !sized)
		f.size = 1;
	if (f.format == 'a')
		f.size = 8;
	// "$rsp + 8" is one expression.
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	for (; i < gi_args_count(args); i++)
		gi_str_puts(&text, gi_args_get(args, i));
	uint64_t addr;
	err = gi_session_address(s, gi_str_cstr(&text), &addr);
	if (!err)
		err = gi_report_memory(out, gi_session_target(s), gi_session_go(s), addr, &f);
	return gi_error_wrap(err, "x");
}

static const char *const format_names[] = {"hex", "dec", "oct", "bin", "addr", "string", NULL};

const struct gi_command gi_cmd_x = {
	.name = "x",
	.aliases = (const char *const[]){"examinemem", NULL},
	.group = GI_GROUP_DATA,
	.needs = GI_NEEDS_TARGET,
	.synopsis = "x[/FMT] [-fmt NAME] [-count N] [-size BYTES] ADDR",
	.summary = "print memory",
	.options =
		(const struct gi_option[]){
			{0, "NAME", "hex, dec, oct, bin, addr or string", "fmt", false,
			 format_names},
			{0, "N", "how many units (default 1)", "count", false, NULL},
			{0, "N", "the same", "len", false, NULL},
			{0, "BYTES", "of a unit: 1, 2, 4 or 8 (default 8)", "size", false, NULL},
			{0},
		},
	.help = "FMT is as in gdb: a count, a size (b 1, h 2, w 4, g 8 bytes) and a format:\n"
		"x hexadecimal, d decimal, u unsigned, o octal, t binary, c character, a address with its\n"
		"name, s NUL-terminated string. \"x/8gx $rsp\" prints eight words of the stack.\n"
		"\n"
		"Memory that the core did not save is never shown as zeroes: what can be read is printed,\n"
		"then the reason why the rest cannot.\n",
	.min_args = 1,
	.max_args = SIZE_MAX,
	.completes = GI_ARG_ADDR,
	.run = x_run,
};

// Commands from files.

#include "repl/session_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 1 << 16 };

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

/** The next line without its end; one that is too long is cut after MAX_LINE + 1 bytes. */
static bool read_line(FILE *f, struct gi_str *line)
{
	int c;

	gi_str_reset(line);
	errno = 0;
	while ((c = getc(f)) != EOF && c != '\n' && line->len <= MAX_LINE && !line->oom)
		gi_str_putc(line, (char)c);
	return c != EOF || line->len;
}

static struct gi_error *run_lines(struct gi_session *s, const char *path, struct gi_out *out)
{
	_cleanup_(close_file) FILE *f = fopen(path, "re");
	if (!f)
		return gi_error_errno("cannot read %s", path);
	_cleanup_(gi_str_deinit) struct gi_str line = {0};
	size_t number = 0;
	while (read_line(f, &line)) {
		number++;
		if (line.oom)
			return gi_error_nomem();
		if (line.len > MAX_LINE || memchr(gi_str_cstr(&line), '\0', line.len))
			return gi_error_create(GI_ERR_FORMAT, "%s:%zu: this is no text", path,
					       number);
		struct gi_error *err = gi_session_run(s, gi_str_cstr(&line), out);
		// A file that runs itself would name itself at every level.
		bool told = err && strncmp(gi_error_message(err), path, strlen(path)) == 0;
		if (err && !told && gi_error_code(err) != GI_ERR_QUIT &&
		    gi_error_code(err) != GI_ERR_PIPE)
			return gi_error_wrap(err, "%s:%zu", path, number);
		if (err)
			return err;
		err = gi_out_check(out);
		if (err)
			return err;
	}
	if (ferror(f))
		return gi_error_errno("cannot read %s", path);
	return NULL;
}

struct gi_error *gi_session_source(struct gi_session *s, const char *path, struct gi_out *out)
{
	bool nested = s->nesting > 0;
	s->sourcing += nested;
	struct gi_error *err = run_lines(s, path, out);
	s->sourcing -= nested;
	return err;
}

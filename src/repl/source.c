// Commands from files.

#include "repl/session_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static struct gi_error *run_lines(struct gi_session *s, const char *path, struct gi_out *out)
{
	_cleanup_(close_file) FILE *f = fopen(path, "re");
	if (!f)
		return gi_error_errno("cannot read %s", path);
	_cleanup_(gi_freep) char *line = NULL;
	size_t cap = 0, number = 0;
	ssize_t n;
	while (errno = 0, (n = getline(&line, &cap, f)) >= 0) {
		number++;
		if (memchr(line, '\0', (size_t)n))
			return gi_error_create(GI_ERR_FORMAT, "%s:%zu: this is no text", path,
					       number);
		struct gi_error *err = gi_session_run(s, line, out);
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

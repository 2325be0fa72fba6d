// Files and lines of C code, for frames: from the debug information of whatever file is mapped
// at a pc, opened when it is first asked for and kept as long as the gi_go.

#include "go/go_impl.h"

#include <stdlib.h>

struct gi_c_lines {
	struct c_lines_file {
		struct gi_elf *elf;	// its key
		struct gi_lines *lines; // NULL: there are none
	} *files;
	size_t len, cap;
};

static struct gi_lines *lines_of(struct gi_go *go, struct gi_elf *elf)
{
	struct gi_lines *lines = NULL;
	struct gi_c_lines *c = go->c_lines;

	if (!c)
		c = go->c_lines = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	for (size_t i = 0; i < c->len; i++)
		if (c->files[i].elf == elf)
			return c->files[i].lines;
	struct gi_error *err = gi_grow(&c->files, &c->cap, c->len + 1, sizeof(*c->files));
	if (!err && gi_elf_has_section(elf, ".debug_line"))
		err = gi_lines_open(elf, &lines);
	else if (err)
		elf = NULL;
	// Lines are an extra: without them the frame has its function and file.
	gi_error_ignore(err);
	if (elf)
		c->files[c->len++] = (struct c_lines_file){.elf = elf, .lines = lines};
	return lines;
}

bool gi_go_c_line(struct gi_go *go, uint64_t pc, const char **file_ret, uint32_t *line_ret)
{
	uint64_t bias;
	struct gi_elf *elf = gi_target_debug_elf_at(go->target, pc, &bias);

	if (!elf)
		return false;
	pthread_mutex_lock(&go->c_lines_lock);
	struct gi_lines *lines = lines_of(go, elf);
	bool found = lines && gi_lines_find(lines, pc - bias, file_ret, line_ret);
	pthread_mutex_unlock(&go->c_lines_lock);
	return found;
}

void gi_go_c_lines_destroy(struct gi_c_lines *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->len; i++)
		gi_lines_close(c->files[i].lines);
	free(c->files);
	free(c);
}

// Build IDs: GNU's, and Go's own, which is all that Go binaries had before GNU's became the
// default. The kernel saves the first page of each mapped ELF file, which mostly holds both.

#include "target/core_impl.h"

#include <string.h>

bool gi_core_ids_any(const struct core_ids *ids)
{
	return ids->gnu.len || ids->go[0];
}

void gi_core_ids_of_elf(struct gi_elf *elf, struct core_ids *ret)
{
	ret->gnu = gi_elf_build_id(elf);
	const char *go = gi_elf_go_build_id(elf);
	size_t n = strnlen(go, sizeof(ret->go) - 1);
	memcpy(ret->go, go, n);
	ret->go[n] = '\0';
}

void gi_core_ids(struct core *c, uint64_t addr, struct core_ids *ret)
{
	*ret = (struct core_ids){ 0 };
	size_t n;
	const uint8_t *image = gi_target_view_max(&c->base, addr, CORE_IMAGE_MAX, &n);
	if (image)
		(void)gi_build_id_from_image(image, n, &ret->gnu, ret->go, sizeof(ret->go));
}

enum core_sameness gi_core_ids_compare(const struct core_ids *core, const struct core_ids *file)
{
	if (core->gnu.len && file->gnu.len)
		return core->gnu.len == file->gnu.len &&
				       !memcmp(core->gnu.bytes, file->gnu.bytes, core->gnu.len) ?
			       CORE_SAME :
			       CORE_DIFFERENT;
	if (core->go[0] && file->go[0])
		return strcmp(core->go, file->go) == 0 ? CORE_SAME : CORE_DIFFERENT;
	// IDs are part of the loaded file: they do not come or go by stripping.
	return gi_core_ids_any(core) ? CORE_DIFFERENT : CORE_UNKNOWN;
}

void gi_core_ids_format(const struct core_ids *ids, const struct core_ids *other, struct gi_str *str)
{
	if (ids->gnu.len && (other->gnu.len || !ids->go[0])) {
		char hex[2 * sizeof(ids->gnu.bytes) + 1];
		gi_build_id_format(&ids->gnu, hex, sizeof(hex));
		gi_str_puts(str, hex);
	} else if (ids->go[0]) {
		gi_str_puts(str, ids->go);
	} else {
		gi_str_puts(str, "none");
	}
}

// Lines of C code, by DWARF. Go's own are pclntab's: units in Go are left out.
//
// Which unit has a pc is looked up in a sorted table of all units' ranges, made once: compilers
// and linkers leave .debug_aranges out as they like. The line table of a unit is decoded by
// libdw when it is first asked for. libdw checks the sections' bounds.

#include <dwarf.h>
#include <stdlib.h>

#include "dwarf_impl.h"

static const char *const section_names[] = {
	".debug_info", ".debug_abbrev",	     ".debug_str",    ".debug_line_str", ".debug_line",
	".debug_addr", ".debug_str_offsets", ".debug_ranges", ".debug_rnglists",
};

enum { RANGES_MAX = 4000000 };

struct unit_range {
	uint64_t start, end;
	Dwarf_Off die;
};

struct gi_lines {
	struct gi_elf_subset *subset;
	Dwarf *dw;
	struct unit_range *ranges; // sorted by start
	size_t len, cap;
};

static struct gi_error *add_ranges(struct gi_lines *l, Dwarf_Die *die)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;

	while (l->len < RANGES_MAX && (at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
		// What the linker dropped is at 0.
		if (!start || end <= start)
			continue;
		struct gi_error *err =
			gi_grow(&l->ranges, &l->cap, l->len + 1, sizeof(*l->ranges));
		if (err)
			return err;
		l->ranges[l->len++] =
			(struct unit_range){.start = start, .end = end, .die = dwarf_dieoffset(die)};
	}
	return NULL;
}

static int range_cmp(const void *a, const void *b)
{
	const struct unit_range *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static struct gi_error *add_units(struct gi_lines *l)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint8_t type;

	while (dwarf_get_units(l->dw, cu, &cu, NULL, &type, &die, NULL) == 0) {
		uint64_t lang;
		if (dwarf_tag(&die) != DW_TAG_compile_unit ||
		    (gi_dwarf_attr_udata(&die, DW_AT_language, &lang) && lang == DW_LANG_Go))
			continue;
		struct gi_error *err = add_ranges(l, &die);
		if (err)
			return err;
	}
	if (l->len)
		qsort(l->ranges, l->len, sizeof(*l->ranges), range_cmp);
	return NULL;
}

struct gi_error *gi_lines_open(struct gi_elf *elf, struct gi_lines **ret)
{
	_cleanup_(gi_lines_closep) struct gi_lines *l = calloc(1, sizeof(*l));
	if (!l)
		return gi_error_nomem();
	struct gi_error *err = gi_elf_subset_open(elf, section_names,
						  GI_ARRAY_SIZE(section_names), NULL, &l->subset);
	if (err)
		return err;
	l->dw = dwarf_begin_elf(gi_elf_subset_handle(l->subset), DWARF_C_READ, NULL);
	if (!l->dw)
		return gi_error_create(GI_ERR_FORMAT, "%s has no debug information that can be read",
				       gi_elf_path(elf));
	err = add_units(l);
	if (err)
		return err;
	*ret = l;
	l = NULL;
	return NULL;
}

void gi_lines_close(struct gi_lines *l)
{
	if (!l)
		return;
	if (l->dw)
		dwarf_end(l->dw);
	gi_elf_subset_close(l->subset);
	free(l->ranges);
	free(l);
}

bool gi_lines_find(struct gi_lines *l, uint64_t pc, const char **file_ret, uint32_t *line_ret)
{
	size_t lo = 0, hi = l->len;
	Dwarf_Die die;
	int line;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (l->ranges[mid].start <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || pc >= l->ranges[lo - 1].end || !dwarf_offdie(l->dw, l->ranges[lo - 1].die, &die))
		return false;
	Dwarf_Line *at = dwarf_getsrc_die(&die, pc);
	if (!at || dwarf_lineno(at, &line) || line <= 0)
		return false;
	const char *file = dwarf_linesrc(at, NULL, NULL);
	if (!file)
		return false;
	*file_ret = file;
	*line_ret = (uint32_t)line;
	return true;
}

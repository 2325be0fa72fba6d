// Finding things in the data of a stripped executable by their form.
//
// For module data and the version only what the file itself initialises is looked at:
// they are written by the linker. In the process they may have been relocated (PIE), so that
// values are run-time addresses, and they are read from the process, not from the file.

#include "go/go_impl.h"

#include <elf.h>
#include <string.h>

enum { SCAN_STEP = 1 << 20, PAGE = 4096, VERSION_LONGEST = 64, MAX_VERSIONS = 8 };

struct gi_error *gi_go_each_word(struct gi_go *go, bool bss, gi_word_fn fn, void *arg)
{
	struct gi_elf *exe = gi_target_exe(go->target);
	uint64_t bias = gi_target_exe_bias(go->target);

	for (size_t i = 0; i < gi_elf_segment_count(exe); i++) {
		struct gi_elf_segment s = gi_elf_segment(exe, i);
		uint64_t size = bss ? s.memsz : gi_min_u64(s.filesz, s.memsz),
			 off = (8 - s.vaddr % 8) % 8;

		if (s.type != PT_LOAD || !(s.flags & PF_W))
			continue;
		while (off < size && size - off >= 8) {
			uint64_t at = s.vaddr + bias + off, left = size - off;
			size_t n;
			const uint8_t *p = gi_target_view_max(
				go->target, at, (size_t)gi_min_u64(left, SCAN_STEP), &n);
			struct gi_error *err = gi_interrupt_check();

			if (err)
				return err;
			if (!p || n < 8) {
				off += PAGE - at % PAGE;
				continue;
			}
			for (size_t k = 0; n - k >= 8; k += 8) {
				if (!fn(arg, at + k, gi_load_u64(p + k)))
					return NULL;
			}
			off += n & ~(size_t)7;
		}
	}
	return NULL;
}

bool gi_go_in_exe(struct gi_go *go, uint64_t addr, uint64_t n)
{
	struct gi_elf *exe = gi_target_exe(go->target);
	uint64_t link_addr = addr - gi_target_exe_bias(go->target);

	for (size_t i = 0; i < gi_elf_segment_count(exe); i++) {
		struct gi_elf_segment s = gi_elf_segment(exe, i);

		if (s.type == PT_LOAD && link_addr >= s.vaddr &&
		    gi_in_bounds(link_addr - s.vaddr, n, s.memsz))
			return true;
	}
	return false;
}

// --- module data -------------------------------------------------------------------

// pcHeader: a magic, two zeroes, the smallest instruction, the size of a pointer.
static bool is_pc_header(struct gi_go *go, uint64_t addr)
{
	uint64_t v;

	return gi_go_in_exe(go, addr, 8) && gi_target_peek_u64(go->target, addr, &v) &&
	       ((uint32_t)v | 0xf) == 0xffffffff && (uint32_t)v < 0xfffffffc &&
	       (v >> 32 & 0xffff) == 0 && v >> 56 == 8;
}

static bool fits(struct gi_go *go, const struct gi_module *m)
{
	const struct gi_slice *tables[] = {&m->funcnametab, &m->cutab,	   &m->filetab,
					   &m->pctab,	    &m->pclntable, &m->ftab};

	for (size_t i = 0; i < GI_ARRAY_SIZE(tables); i++) {
		if (tables[i]->ptr < m->pc_header || tables[i]->len > tables[i]->cap ||
		    !gi_go_in_exe(go, tables[i]->ptr, tables[i]->len))
			return false;
	}
	return m->text.end > m->text.start &&
	       gi_go_in_exe(go, m->text.start, m->text.end - m->text.start) &&
	       gi_go_in_exe(go, m->bss.start, m->bss.end - m->bss.start);
}

struct module_scan {
	struct gi_go *go;
	uint64_t found, pc_header;
};

static bool see_module(void *arg, uint64_t addr, uint64_t word)
{
	struct module_scan *s = arg;
	struct gi_module m;
	uint64_t next, start = addr - s->go->layout.moduledata.pc_header.off;
	struct gi_error *err;

	if (!is_pc_header(s->go, word))
		return true;
	s->pc_header = word;
	err = gi_go_read_module(s->go, start, &m, &next);
	if (err) {
		gi_error_ignore(err);
		return true;
	}
	if (!fits(s->go, &m))
		return true;
	s->found = start;
	return false;
}

struct gi_error *gi_go_scan_module(struct gi_go *go, struct gi_global *ret)
{
	struct module_scan s = {.go = go};
	struct gi_error *err = gi_go_each_word(go, false, see_module, &s);

	if (err)
		return err;
	if (!s.found && s.pc_header)
		return gi_error_create(
			GI_ERR_MISMATCH,
			"the function table at 0x%llx is found, but no module data of "
			"this release's form around a pointer to it",
			(unsigned long long)s.pc_header);
	if (!s.found)
		return gi_error_create(GI_ERR_MISMATCH,
				       "no module data are found (a pointer to a Go "
				       "function table, and around it what belongs to it)");
	*ret = (struct gi_global){
		.addr = s.found, .size = go->layout.moduledata.rec.size, .ok = true};
	return NULL;
}

// --- versions ------------------------------------------------------------------------

struct version_scan {
	struct gi_go *go;
	struct gi_global *ret;
	size_t n, max;
	uint64_t last_addr, last; // the word before
};

static bool is_version(struct gi_go *go, uint64_t text, uint64_t len)
{
	char buf[VERSION_LONGEST + 1];
	struct gi_go_version v;
	struct gi_error *err;

	if (len < 5 || len > VERSION_LONGEST || !gi_go_in_exe(go, text, len))
		return false;
	err = gi_target_read(go->target, text, buf, (size_t)len);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	buf[len] = '\0';
	return (strncmp(buf, "go1.", 4) == 0 || strncmp(buf, "devel ", 6) == 0) &&
	       gi_go_parse_version(buf, &v);
}

static bool see_version(void *arg, uint64_t addr, uint64_t word)
{
	struct version_scan *s = arg;
	uint64_t text = s->last;
	bool adjacent = addr == s->last_addr + 8;

	s->last_addr = addr;
	s->last = word;
	if (!adjacent || !is_version(s->go, text, word))
		return true;
	s->ret[s->n++] = (struct gi_global){.addr = addr - 8, .size = 16, .ok = true};
	return s->n < s->max;
}

size_t gi_go_scan_versions(struct gi_go *go, struct gi_global *ret, size_t max)
{
	struct version_scan s = {.go = go, .ret = ret, .max = max};
	struct gi_error *err = max ? gi_go_each_word(go, false, see_version, &s) : NULL;

	if (err)
		gi_error_ignore(err);
	return s.n;
}

bool gi_go_scan_build_version(struct gi_go *go, struct gi_global *ret)
{
	struct gi_global found[MAX_VERSIONS];
	size_t n = gi_go_scan_versions(go, found, GI_ARRAY_SIZE(found));
	struct gi_slice s;

	for (size_t i = 0; i < n; i++) {
		char text[VERSION_LONGEST + 1];
		struct gi_error *err;

		if (!gi_target_peek_u64(go->target, found[i].addr, &s.ptr) ||
		    !gi_target_peek_u64(go->target, found[i].addr + 8, &s.len) ||
		    s.len != strlen(go->version.text) || s.len > VERSION_LONGEST)
			continue;
		err = gi_target_read(go->target, s.ptr, text, (size_t)s.len);
		if (err) {
			gi_error_ignore(err);
			continue;
		}
		if (memcmp(text, go->version.text, (size_t)s.len) != 0)
			continue;
		*ret = found[i];
		return true;
	}
	return false;
}

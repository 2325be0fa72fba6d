// Is a file the library that the dynamic linker's list names?
//
// qemu's cores leave the code and the headers of libraries out, and with them the build ID. What
// was saved of each is its data: among these is the dynamic section, whose words are the places and
// sizes of all tables that the linker made (symbols, strings, relocations, constructors), and the words that
// were relocated and are read-only since, which point into the code and the data. In another build
// of a library, not even of another release, these are not all the same.
//
// Checked: the place that the list tells of the dynamic section, each word of it, and of the
// relative relocations in PT_GNU_RELRO all but a few (the dynamic linker changes some of its own).

#include "target/core_impl.h"

#include <elf.h>

enum {
	DYNAMIC_MAX = 1024,  // entries
	DYNAMIC_LEAST = 12,  // that must be there to tell
	RELOCS_MAX = 1 << 16,
	RELA_SIZE = 24,
};

struct span {
	uint64_t addr, size;
};

static bool find_segment(struct gi_elf *elf, uint32_t type, struct span *ret)
{
	for (size_t i = 0; i < gi_elf_segment_count(elf); i++) {
		struct gi_elf_segment seg = gi_elf_segment(elf, i);
		if (seg.type != type)
			continue;
		*ret = (struct span){seg.vaddr, seg.memsz};
		return true;
	}
	return false;
}

// The file's bytes for [addr, addr + n); NULL if it does not have all of them.
static const uint8_t *file_at(struct gi_elf *elf, uint64_t addr, uint64_t n)
{
	size_t size;
	const uint8_t *bytes = gi_elf_bytes(elf, &size);

	for (size_t i = 0; i < gi_elf_segment_count(elf); i++) {
		struct gi_elf_segment seg = gi_elf_segment(elf, i);
		if (seg.type == PT_LOAD && addr >= seg.vaddr &&
		    gi_in_bounds(addr - seg.vaddr, n, seg.filesz) &&
		    gi_in_bounds(seg.offset, seg.filesz, size))
			return bytes + seg.offset + (addr - seg.vaddr);
	}
	return NULL;
}

// Compares the dynamic section; *rela_ret: the table of relocations that it tells of.
static bool same_dynamic(struct core *c, struct gi_elf *elf, const struct core_module *mod,
			 struct span *rela_ret)
{
	struct span dyn, rela = {0};
	size_t same = 0;

	if (!find_segment(elf, PT_DYNAMIC, &dyn) || mod->bias + dyn.addr != mod->dynamic)
		return false;
	uint64_t n = gi_min_u64(dyn.size / 16, DYNAMIC_MAX);
	const uint8_t *p = file_at(elf, dyn.addr, n * 16);
	for (uint64_t i = 0; p && i < n; i++) {
		uint64_t tag = gi_load_u64(p + 16 * i), want = gi_load_u64(p + 16 * i + 8);
		uint64_t saved_tag, saved;
		if (!gi_target_peek_u64(&c->base, mod->dynamic + 16 * i, &saved_tag) ||
		    !gi_target_peek_u64(&c->base, mod->dynamic + 16 * i + 8, &saved))
			return false;
		// The dynamic linker adds the bias to addresses.
		if (saved_tag != tag || (saved != want && saved != want + mod->bias))
			return false;
		if (tag == DT_NULL)
			break;
		if (tag == DT_RELA)
			rela.addr = want;
		else if (tag == DT_RELASZ)
			rela.size = want;
		same += want != 0;
	}
	*rela_ret = rela;
	return same >= DYNAMIC_LEAST;
}

static bool same_relocated(struct core *c, struct gi_elf *elf, const struct core_module *mod,
			   const struct span *rela)
{
	uint32_t relative = gi_elf_ident(elf).machine == EM_AARCH64 ? R_AARCH64_RELATIVE :
								      R_X86_64_RELATIVE;
	struct span ro;
	size_t same = 0, other = 0;

	if (!find_segment(elf, PT_GNU_RELRO, &ro))
		return true;
	uint64_t n = gi_min_u64(rela->size / RELA_SIZE, RELOCS_MAX);
	const uint8_t *p = n ? file_at(elf, rela->addr, n * RELA_SIZE) : NULL;
	for (uint64_t i = 0; p && i < n; i++, p += RELA_SIZE) {
		uint64_t at = gi_load_u64(p), info = gi_load_u64(p + 8), word;
		if ((uint32_t)info != relative || at < ro.addr ||
		    !gi_in_bounds(at - ro.addr, 8, ro.size) ||
		    !gi_target_peek_u64(&c->base, mod->bias + at, &word))
			continue;
		if (word == mod->bias + gi_load_u64(p + 16))
			same++;
		else
			other++;
	}
	return other <= same / 8;
}

bool gi_core_same_linked(struct core *c, struct gi_elf *elf, const struct core_module *mod)
{
	struct span rela;

	return gi_elf_ident(elf).machine == gi_target_machine(&c->base)->elf_machine &&
	       same_dynamic(c, elf, mod, &rela) && same_relocated(c, elf, mod, &rela);
}

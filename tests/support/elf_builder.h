// Builds ELF files byte by byte, sound ones and others: segments, sections, notes.
#ifndef TESTS_ELF_BUILDER_H
#define TESTS_ELF_BUILDER_H

#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"

struct elf_builder;

/** Of amd64, little-endian, 64-bit, without segments and sections. Out of memory aborts. */
struct elf_builder *elf_builder_create(uint16_t type);
void elf_builder_destroy(struct elf_builder *b);
GI_DEFINE_CLEANUP(struct elf_builder *, elf_builder_destroyp, elf_builder_destroy)

void elf_builder_set_entry(struct elf_builder *b, uint64_t entry);
void elf_builder_set_machine(struct elf_builder *b, uint16_t machine);
/** Writes the number of program headers as PN_XNUM, the real one in section header 0. */
void elf_builder_set_xnum(struct elf_builder *b);

/**
 * A segment whose bytes are appended to the file, at an offset that is the same as vaddr
 * modulo align (0 or 1: anywhere).
 */
void elf_builder_add_segment(struct elf_builder *b, uint32_t type, uint32_t flags, uint64_t vaddr,
			     const void *bytes, uint64_t filesz, uint64_t memsz, uint64_t align);
/** A program header as it is, with no bytes of its own. */
void elf_builder_add_header(struct elf_builder *b, uint32_t type, uint32_t flags, uint64_t vaddr,
			    uint64_t offset, uint64_t filesz, uint64_t memsz);
/** Gives segment i bytes of its own, before those of others or, if last, behind them. */
void elf_builder_set_bytes(struct elf_builder *b, size_t i, const void *bytes, size_t n, bool last);
/**
 * A PT_LOAD of size bytes (a multiple of 4096) from offset 0, as linkers make it: the headers, then the notes
 * (also as a PT_NOTE), the rest filled with fill.
 */
void elf_builder_add_first_load(struct elf_builder *b, uint32_t flags, uint64_t vaddr, size_t size,
				const struct gi_str *notes, uint8_t fill);
/** link is the index of another section, counted from 1 in the order of adding. */
void elf_builder_add_section(struct elf_builder *b, const char *name, uint32_t type, uint64_t flags,
			     uint64_t addr, const void *bytes, size_t n, uint32_t link,
			     uint64_t entsize);

/** The file, malloc'd. */
uint8_t *elf_builder_build(struct elf_builder *b, size_t *n_ret);
/** The file written below test_dir(); its path, malloc'd. */
char *elf_builder_write(struct elf_builder *b, const char *name);

/** Appends a note to notes. */
void elf_note_add(struct gi_str *notes, const char *name, uint32_t type, const void *desc, size_t n);

#endif

// Debug information made by hand: Go units and one of C, with circles in their types.
#ifndef GCORE_TESTS_DWARF_SAMPLE_H
#define GCORE_TESTS_DWARF_SAMPLE_H

#include "symtab.h"

enum { DS_INFO, DS_ABBREV, DS_ADDR, DS_SECTIONS };
extern const char *const dwarf_sample_names[DS_SECTIONS];

/**
 * Fills the three sections (free() their bytes) in DWARF 4 or 5:
 *
 *   unit "runtime" (Go)
 *     int (8), uint32 (4)
 *     struct runtime.inner (16) { a uint32 at 0; b int at 8 }
 *     struct runtime.outer (80) { in runtime.inner at 0; arr [3]runtime.inner at 16; next
 * *runtime.outer at 64 } typedef runtime.outer, and runtime.alias of it typedefs that
 * lead in circles: runtime.self; runtime.c1, runtime.c2 struct runtime.rec (8) { rec
 * runtime.rec at 0 } a function with a local variable "main.v" of its own; constant
 * runtime.K = -5 unit "main" (Go) main.v at 0x1000, a runtime.alias; main.empty at
 * 0x1000, of size 0 main.w at 0x2000 (by index in DWARF 5), a [2][3]runtime.inner
 *     main.tls, thread-local; main.nowhere, without a location
 *     main.rec at 0x3000, a runtime.rec; main.circle at 0x4000, a runtime.c1
 *   unit "main" (Go)
 *     main.late at 0x5000, an int
 *   unit "x.c" (C)
 *     struct cstruct (16) { union { int i; uint32 u } at 0; const volatile int cv at 8 }
 *     main.late, declared only; cvar at 0x6000, a cstruct
 *
 * filler: bytes of a C unit in front of "x.c".
 */
void dwarf_sample(int version, size_t filler, struct st_buf sections[DS_SECTIONS]);
/** An ELF file in memory with these sections; borrows nothing. */
struct gi_elf *dwarf_sample_elf(const struct st_buf sections[DS_SECTIONS]);
/** The same with a .debug_info compressed by zlib. */
struct gi_elf *dwarf_sample_elf_packed(const struct st_buf sections[DS_SECTIONS]);
/** That one, damaged near the end of the stream. */
struct gi_elf *dwarf_sample_elf_damaged(const struct st_buf *sections);
/** Asks for everything in the sample, however damaged; aborts at an answer without
 * bounds. */
void dwarf_sample_ask(struct gi_elf *elf);

#endif

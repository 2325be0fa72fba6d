// Builds core files as the kernel and gdb write them, and damaged ones.
#ifndef TESTS_CORE_BUILDER_H
#define TESTS_CORE_BUILDER_H

#include "elf_builder.h"
#include "gcore/target.h"

struct core_builder;

enum core_order {
	CORE_BY_KERNEL, // notes first; first thread, process, siginfo, auxv, files, other threads
	CORE_BY_GDB,	// notes last; process, threads with a siginfo each, auxv, files
	CORE_BY_DELVE,	// notes last, a header and no owners; process, auxv, threads; no files
};

/** Out of memory aborts. */
struct core_builder *core_builder_create(enum core_order order);
void core_builder_destroy(struct core_builder *b);
GI_DEFINE_CLEANUP(struct core_builder *, core_builder_destroyp, core_builder_destroy)

/** A PT_LOAD: [vaddr, vaddr + memsz), of which the core saves the first filesz bytes. */
void core_builder_add_load(struct core_builder *b, uint64_t vaddr, unsigned map_flags,
			   const void *bytes, uint64_t filesz, uint64_t memsz);
/** A program header as it is, e.g. one that lies. */
void core_builder_add_header(struct core_builder *b, uint32_t type, uint64_t vaddr, uint64_t offset,
			     uint64_t filesz, uint64_t memsz);
/** regs in the order of enum gi_amd64_reg. The first thread is the signalled one. */
void core_builder_add_thread(struct core_builder *b, int tid, const uint64_t *regs, int signal);
void core_builder_set_process(struct core_builder *b, int pid, int ppid, unsigned uid,
			      const char *comm, const char *args);
/** The first thread's siginfo. addr is si_addr, or the sender's pid for codes up to 0. */
void core_builder_set_siginfo(struct core_builder *b, int signo, int code, uint64_t addr);
void core_builder_add_auxv(struct core_builder *b, uint64_t type, uint64_t value);
/** An entry of NT_FILE; off in bytes, a multiple of 4096. */
void core_builder_add_file(struct core_builder *b, uint64_t start, uint64_t end, uint64_t off,
			   const char *path);
/** A note as it is, behind all others. */
void core_builder_add_note(struct core_builder *b, const char *name, uint32_t type, const void *desc,
			   size_t n);
/** Bytes at the end of the note segment that are no note. */
void core_builder_add_note_bytes(struct core_builder *b, const void *bytes, size_t n);
/** The ELF file below, for what is not said here. */
struct elf_builder *core_builder_elf(struct core_builder *b);

uint8_t *core_builder_build(struct core_builder *b, size_t *n_ret);
char *core_builder_write(struct core_builder *b, const char *name);

#endif

// The structures are the C library's (sys/procfs.h, sys/user.h), so that a mistake in the
// reader's table of offsets is not repeated here.

#include "core_builder.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "files.h"

struct cb_thread {
	int tid, signal;
	uint64_t regs[GI_AMD64_REG_COUNT];
};

struct cb_file {
	uint64_t range[3]; // start, end, offset in pages
	char *path;
};

struct core_builder {
	enum core_order order;
	struct elf_builder *elf;
	struct cb_thread *threads;
	size_t thread_count, thread_cap;
	struct cb_file *files;
	size_t file_count, file_cap;
	struct gi_str auxv, extra;
	struct elf_prpsinfo process;
	bool has_process, has_siginfo;
	uint8_t siginfo[128];
};

static void grow(void *ptr, size_t *cap, size_t need, size_t size)
{
	struct gi_error *err = gi_grow(ptr, cap, need, size);
	if (err)
		abort();
}

struct core_builder *core_builder_create(enum core_order order)
{
	struct core_builder *b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	b->order = order;
	b->elf = elf_builder_create(ET_CORE);
	// The place of the notes among the program headers is the first.
	elf_builder_add_header(b->elf, PT_NOTE, 0, 0, 0, 0, 0);
	return b;
}

void core_builder_destroy(struct core_builder *b)
{
	if (!b)
		return;
	elf_builder_destroy(b->elf);
	for (size_t i = 0; i < b->file_count; i++)
		free(b->files[i].path);
	free(b->files);
	free(b->threads);
	gi_str_deinit(&b->auxv);
	gi_str_deinit(&b->extra);
	free(b);
}

void core_builder_add_load(struct core_builder *b, uint64_t vaddr, unsigned map_flags,
			   const void *bytes, uint64_t filesz, uint64_t memsz)
{
	uint32_t flags = (map_flags & GI_MAP_R ? PF_R : 0) | (map_flags & GI_MAP_W ? PF_W : 0) |
			 (map_flags & GI_MAP_X ? PF_X : 0);
	elf_builder_add_segment(b->elf, PT_LOAD, flags, vaddr, bytes, filesz, memsz, 4096);
}

void core_builder_add_header(struct core_builder *b, uint32_t type, uint64_t vaddr, uint64_t offset,
			     uint64_t filesz, uint64_t memsz)
{
	elf_builder_add_header(b->elf, type, PF_R | PF_W, vaddr, offset, filesz, memsz);
}

void core_builder_add_thread(struct core_builder *b, int tid, const uint64_t *regs, int signal)
{
	grow(&b->threads, &b->thread_cap, b->thread_count + 1, sizeof(*b->threads));
	struct cb_thread *t = &b->threads[b->thread_count++];
	*t = (struct cb_thread){ .tid = tid, .signal = signal };
	if (regs)
		memcpy(t->regs, regs, sizeof(t->regs));
}

void core_builder_set_process(struct core_builder *b, int pid, int ppid, unsigned uid,
			      const char *comm, const char *args)
{
	b->has_process = true;
	b->process.pr_pid = pid;
	b->process.pr_ppid = ppid;
	b->process.pr_uid = uid;
	memcpy(b->process.pr_fname, comm, strnlen(comm, sizeof(b->process.pr_fname)));
	memcpy(b->process.pr_psargs, args, strnlen(args, sizeof(b->process.pr_psargs)));
}

void core_builder_set_siginfo(struct core_builder *b, int signo, int code, uint64_t addr)
{
	b->has_siginfo = true;
	memset(b->siginfo, 0, sizeof(b->siginfo));
	int32_t head[3] = { signo, 0, code };
	memcpy(b->siginfo, head, sizeof(head));
	memcpy(b->siginfo + 16, &addr, sizeof(addr));
}

void core_builder_add_auxv(struct core_builder *b, uint64_t type, uint64_t value)
{
	uint64_t pair[2] = { type, value };
	gi_str_putn(&b->auxv, (const char *)pair, sizeof(pair));
}

void core_builder_add_file(struct core_builder *b, uint64_t start, uint64_t end, uint64_t off,
			   const char *path)
{
	grow(&b->files, &b->file_cap, b->file_count + 1, sizeof(*b->files));
	struct cb_file *f = &b->files[b->file_count++];
	*f = (struct cb_file){ .range = { start, end, off / 4096 }, .path = strdup(path) };
	if (!f->path)
		abort();
}

void core_builder_add_note(struct core_builder *b, const char *name, uint32_t type, const void *desc,
			   size_t n)
{
	elf_note_add(&b->extra, name, type, desc, n);
}

void core_builder_add_note_bytes(struct core_builder *b, const void *bytes, size_t n)
{
	gi_str_putn(&b->extra, bytes, n);
}

struct elf_builder *core_builder_elf(struct core_builder *b)
{
	return b->elf;
}

static void put_prstatus(struct gi_str *notes, const struct cb_thread *t, const char *owner)
{
	struct elf_prstatus st = { .pr_info = { .si_signo = t->signal } };
	st.pr_cursig = (short)t->signal;
	st.pr_pid = t->tid;
	struct user_regs_struct u = {
		.r15 = t->regs[GI_AMD64_R15],
		.r14 = t->regs[GI_AMD64_R14],
		.r13 = t->regs[GI_AMD64_R13],
		.r12 = t->regs[GI_AMD64_R12],
		.rbp = t->regs[GI_AMD64_RBP],
		.rbx = t->regs[GI_AMD64_RBX],
		.r11 = t->regs[GI_AMD64_R11],
		.r10 = t->regs[GI_AMD64_R10],
		.r9 = t->regs[GI_AMD64_R9],
		.r8 = t->regs[GI_AMD64_R8],
		.rax = t->regs[GI_AMD64_RAX],
		.rcx = t->regs[GI_AMD64_RCX],
		.rdx = t->regs[GI_AMD64_RDX],
		.rsi = t->regs[GI_AMD64_RSI],
		.rdi = t->regs[GI_AMD64_RDI],
		.orig_rax = t->regs[GI_AMD64_ORIG_RAX],
		.rip = t->regs[GI_AMD64_RIP],
		.cs = t->regs[GI_AMD64_CS],
		.eflags = t->regs[GI_AMD64_EFLAGS],
		.rsp = t->regs[GI_AMD64_RSP],
		.ss = 0x2b,
		.fs_base = t->regs[GI_AMD64_FS_BASE],
		.gs_base = t->regs[GI_AMD64_GS_BASE],
		.fs = t->regs[GI_AMD64_FS],
		.gs = t->regs[GI_AMD64_GS],
	};
	memcpy(&st.pr_reg, &u, sizeof(u));
	elf_note_add(notes, owner, NT_PRSTATUS, &st, sizeof(st));
}

static void put_fpregs(struct gi_str *notes)
{
	static const uint8_t fpregs[512], xstate[832] = { 0x7f, 0x03 };
	elf_note_add(notes, "CORE", NT_FPREGSET, fpregs, sizeof(fpregs));
	elf_note_add(notes, "LINUX", NT_X86_XSTATE, xstate, sizeof(xstate));
}

static void put_process(struct core_builder *b, struct gi_str *notes)
{
	if (b->has_process)
		elf_note_add(notes, "CORE", NT_PRPSINFO, &b->process, sizeof(b->process));
}

static void put_siginfo(struct core_builder *b, struct gi_str *notes, size_t thread)
{
	static const uint8_t none[128];
	if (b->has_siginfo)
		elf_note_add(notes, "CORE", NT_SIGINFO, thread ? none : b->siginfo,
			     sizeof(b->siginfo));
}

static void put_rest(struct core_builder *b, struct gi_str *notes)
{
	if (b->auxv.len) {
		core_builder_add_auxv(b, AT_NULL, 0);
		elf_note_add(notes, "CORE", NT_AUXV, b->auxv.s, b->auxv.len);
	}
	if (!b->file_count)
		return;
	_cleanup_(gi_str_deinit) struct gi_str desc = { 0 };
	uint64_t head[2] = { b->file_count, 4096 };
	gi_str_putn(&desc, (const char *)head, sizeof(head));
	for (size_t i = 0; i < b->file_count; i++)
		gi_str_putn(&desc, (const char *)b->files[i].range, sizeof(b->files[i].range));
	for (size_t i = 0; i < b->file_count; i++)
		gi_str_putn(&desc, b->files[i].path, strlen(b->files[i].path) + 1);
	elf_note_add(notes, "CORE", NT_FILE, desc.s, desc.len);
}

static void put_delve_notes(struct core_builder *b, struct gi_str *notes)
{
	static const char header[] = "linux/amd64\nVersion: 1.27.2\nTarget Pid: 100\n";
	static const uint8_t xstate[832] = { 0x7f, 0x03 };
	elf_note_add(notes, "Delve Header", 0x444c5645, header, sizeof(header) - 1);
	if (b->has_process)
		elf_note_add(notes, "", NT_PRPSINFO, &b->process, sizeof(b->process));
	if (b->auxv.len) {
		core_builder_add_auxv(b, AT_NULL, 0);
		elf_note_add(notes, "", NT_AUXV, b->auxv.s, b->auxv.len);
	}
	for (size_t i = 0; i < b->thread_count; i++) {
		put_prstatus(notes, &b->threads[i], "");
		elf_note_add(notes, "", NT_X86_XSTATE, xstate, sizeof(xstate));
	}
}

static void put_notes(struct core_builder *b, struct gi_str *notes)
{
	if (b->order == CORE_BY_DELVE) {
		put_delve_notes(b, notes);
		gi_str_putn(notes, b->extra.s, b->extra.len);
		return;
	}
	if (b->order == CORE_BY_GDB)
		put_process(b, notes);
	for (size_t i = 0; i < b->thread_count; i++) {
		put_prstatus(notes, &b->threads[i], "CORE");
		if (b->order == CORE_BY_KERNEL && i == 0) {
			put_process(b, notes);
			put_siginfo(b, notes, 0);
			put_rest(b, notes);
		}
		put_fpregs(notes);
		if (b->order == CORE_BY_GDB)
			put_siginfo(b, notes, i);
	}
	if (b->order == CORE_BY_GDB || !b->thread_count)
		put_rest(b, notes);
	gi_str_putn(notes, b->extra.s, b->extra.len);
}

uint8_t *core_builder_build(struct core_builder *b, size_t *n_ret)
{
	_cleanup_(gi_str_deinit) struct gi_str notes = { 0 };
	put_notes(b, &notes);
	elf_builder_set_bytes(b->elf, 0, notes.s, notes.len, b->order != CORE_BY_KERNEL);
	return elf_builder_build(b->elf, n_ret);
}

char *core_builder_write(struct core_builder *b, const char *name)
{
	size_t n;
	uint8_t *bytes = core_builder_build(b, &n);
	char *path = test_write(name, bytes, n);
	free(bytes);
	return path;
}

// The notes of a core: threads, process, auxiliary vector, mapped files.
//
// Layouts are the kernel's for 64-bit machines (elfcore.h: struct elf_prstatus, elf_prpsinfo;
// binfmt_elf.c: fill_files_note). The kernel writes the signalled thread first, then
// the process-wide notes, then that thread's other register sets, then the other
// threads; gdb writes the process first and may give each thread a siginfo. In both,
// an NT_PRSTATUS begins a thread, and what follows until the next one belongs to it.
//
// Delve's dump begins with a header of its own (pkg/elfwriter) and has the same notes after
// it, the process first, but names no owner of them; which files were mapped it does not say.

#include "target/core_impl.h"

#include <elf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
	PRSTATUS_CURSIG = 12,
	PRSTATUS_PID = 32,
	PRSTATUS_PPID = 36,
	PRPSINFO_UID = 16,
	PRPSINFO_PID = 24,
	PRPSINFO_PPID = 28,
	PRPSINFO_FNAME = 40,
	PRPSINFO_FNAME_MAX = 16,
	PRPSINFO_PSARGS = 56,
	PRPSINFO_PSARGS_MAX = 80,
	PRPSINFO_SIZE = 136,
	SIGINFO_CODE = 8,
	SIGINFO_PID = 16,
	SIGINFO_ADDR = 16,
	SIGINFO_MIN = 24,
	DELVE_HEADER = 0x444c5645,
};

struct notes {
	struct core *c;
	size_t thread_cap;
	bool has_prpsinfo, has_auxv, has_file;
	bool delve; // its header was seen
	size_t seen; // notes of owner CORE or LINUX
	uint32_t first, second;
	size_t odd; // notes that are too short for what they are
};

static struct gi_error *note_prstatus(struct notes *n, const struct gi_elf_note *note)
{
	struct gi_target *t = &n->c->base;
	const struct gi_machine *machine = gi_target_machine(t);
	if (note->desc_len < machine->prstatus_size) {
		n->odd++;
		return NULL;
	}
	struct gi_error *err = gi_grow(&t->threads, &n->thread_cap, t->thread_count + 1,
				       sizeof(*t->threads));
	if (err)
		return err;
	struct gi_thread *th = &t->threads[t->thread_count++];
	*th = (struct gi_thread){
		.tid = (pid_t)gi_load_u32(note->desc + PRSTATUS_PID),
		.signal = gi_load_u16(note->desc + PRSTATUS_CURSIG),
		.regs = { .arch = t->arch },
		.prstatus = note->desc,
		.prstatus_len = note->desc_len,
	};
	for (size_t i = 0; i < machine->prstatus_count; i++) {
		const struct gi_reg_slot *slot = &machine->prstatus[i];
		gi_regs_set(&th->regs, slot->reg, gi_load_u64(note->desc + slot->off));
	}
	if (t->thread_count == 1 && !n->has_prpsinfo) {
		t->info.pid = th->tid;
		t->info.ppid = (pid_t)gi_load_u32(note->desc + PRSTATUS_PPID);
	}
	return NULL;
}

static void note_prpsinfo(struct notes *n, const struct gi_elf_note *note)
{
	struct gi_target *t = &n->c->base;
	if (note->desc_len < PRPSINFO_SIZE) {
		n->odd++;
		return;
	}
	if (n->has_prpsinfo)
		return;
	n->has_prpsinfo = true;
	const uint8_t *p = note->desc;
	const char *fname = (const char *)p + PRPSINFO_FNAME;
	const char *args = (const char *)p + PRPSINFO_PSARGS;
	t->info.uid = gi_load_u32(p + PRPSINFO_UID);
	t->info.pid = (pid_t)gi_load_u32(p + PRPSINFO_PID);
	t->info.ppid = (pid_t)gi_load_u32(p + PRPSINFO_PPID);
	t->info.comm = gi_arena_strndup(t->arena, fname, strnlen(fname, PRPSINFO_FNAME_MAX));
	size_t len = strnlen(args, PRPSINFO_PSARGS_MAX);
	while (len && args[len - 1] == ' ')
		len--;
	t->info.args = gi_arena_strndup(t->arena, args, len);
}

static void note_siginfo(struct notes *n, const struct gi_elf_note *note)
{
	struct gi_target *t = &n->c->base;
	if (note->desc_len < SIGINFO_MIN) {
		n->odd++;
		return;
	}
	if (!t->thread_count)
		return;
	struct gi_thread *th = &t->threads[t->thread_count - 1];
	if (!th->siginfo) {
		th->siginfo = note->desc;
		th->siginfo_len = note->desc_len;
	}
}

// criu's converter takes each word of the vector for an entry, the value being 0, and cuts off the
// second half. A real one has the page size, which is not 0.
static bool auxv_is_spread(const uint8_t *auxv, size_t len)
{
	size_t n = len / 16;
	for (size_t i = 0; i < n; i++) {
		if (gi_load_u64(auxv + 16 * i + 8))
			return false;
	}
	return n >= 4;
}

void gi_core_take_auxv(struct core *c, const uint8_t *auxv, size_t len)
{
	struct gi_process_info *info = &c->base.info;
	struct gi_cursor cur = gi_cursor_make(auxv, len);
	bool spread = auxv_is_spread(auxv, len);
	info->auxv = auxv;
	info->auxv_len = len;
	while (gi_cursor_left(&cur) >= (spread ? 32 : 16)) {
		uint64_t type = gi_cursor_u64(&cur), value = gi_cursor_u64(&cur);
		if (spread) {
			value = gi_cursor_u64(&cur);
			gi_cursor_skip(&cur, 8);
		}
		switch (type) {
		case AT_NULL:
			return;
		case AT_PHDR:
			info->phdr = value;
			break;
		case AT_PHNUM:
			c->at_phnum = value;
			break;
		case AT_ENTRY:
			info->entry = value;
			break;
		case AT_BASE:
			info->base = value;
			break;
		case AT_SYSINFO_EHDR:
			info->vdso = value;
			break;
		case AT_EXECFN:
			c->at_execfn = value;
			break;
		case AT_PAGESZ:
			// A power of two that a kernel could use, or it is not believed.
			if (value >= 4096 && value <= 1 << 20 && !(value & (value - 1)))
				info->page_size = value;
			break;
		}
	}
}

static int file_cmp(const void *a, const void *b)
{
	const struct core_file *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static struct gi_error *note_file(struct notes *n, const struct gi_elf_note *note)
{
	struct core *c = n->c;
	if (n->has_file)
		return NULL;
	struct gi_cursor cur = gi_cursor_make(note->desc, note->desc_len);
	uint64_t count = gi_cursor_u64(&cur), unit = gi_cursor_u64(&cur);
	if (cur.bad || count > gi_cursor_left(&cur) / 24 || !unit || unit > 1 << 30) {
		n->odd++;
		return NULL;
	}
	n->has_file = true;
	const uint8_t *entry = gi_cursor_bytes(&cur, count * 24);
	c->files = calloc(count ? count : 1, sizeof(*c->files));
	if (!c->files)
		return gi_error_nomem();
	const char *last = NULL;
	for (uint64_t i = 0; i < count; i++, entry += 24) {
		size_t left = gi_cursor_left(&cur);
		const char *name = (const char *)cur.base + cur.off;
		size_t len = strnlen(name, left);
		if (len == left) { // not terminated: the note is cut off
			n->odd++;
			break;
		}
		gi_cursor_skip(&cur, len + 1);
		uint64_t start = gi_load_u64(entry), end = gi_load_u64(entry + 8);
		uint64_t off = gi_load_u64(entry + 16);
		if (start >= end || off > UINT64_MAX / unit)
			continue;
		// Consecutive entries mostly name the same file: one copy serves them.
		if (!last || strcmp(last, name) != 0)
			last = gi_arena_strndup(c->base.arena, name, len);
		if (!last)
			return gi_error_nomem();
		c->files[c->file_count++] = (struct core_file){
			.start = start,
			.end = end,
			.off = off * unit,
			.path = last,
		};
	}
	qsort(c->files, c->file_count, sizeof(*c->files), file_cmp);
	size_t kept = 0;
	for (size_t i = 0; i < c->file_count; i++) {
		if (kept && c->files[i].start < c->files[kept - 1].end)
			continue;
		c->files[kept++] = c->files[i];
	}
	c->file_count = kept;
	return NULL;
}

static bool owner_is(const struct gi_elf_note *note, const char *name)
{
	return note->name_len == strlen(name) && !memcmp(note->name, name, note->name_len);
}

static struct gi_error *note_one(struct notes *n, const struct gi_elf_note *note)
{
	struct gi_target *t = &n->c->base;
	bool nameless = n->delve && !note->name_len;
	if (owner_is(note, "Delve Header") && note->type == DELVE_HEADER)
		n->delve = true;
	if (owner_is(note, "LINUX") || (nameless && note->type == NT_X86_XSTATE)) {
		n->seen++;
		if (note->type == NT_X86_XSTATE && t->arch == GI_ARCH_AMD64 && t->thread_count) {
			struct gi_thread *th = &t->threads[t->thread_count - 1];
			th->xstate = note->desc;
			th->xstate_len = note->desc_len;
		}
		const struct gi_machine *machine = gi_target_machine(t);
		if (machine->tls_note && note->type == machine->tls_note && t->thread_count &&
		    note->desc_len >= 8)
			gi_regs_set(&t->threads[t->thread_count - 1].regs, machine->tls,
				    gi_load_u64(note->desc));
		return NULL;
	}
	if (owner_is(note, "GCORE"))
		return gi_mini_add_note(n->c, note);
	if (!owner_is(note, "CORE") && !nameless)
		return NULL;
	if (n->seen == 0)
		n->first = note->type;
	else if (n->seen == 1)
		n->second = note->type;
	n->seen++;
	switch (note->type) {
	case NT_PRSTATUS:
		return note_prstatus(n, note);
	case NT_FPREGSET:
		if (t->thread_count) {
			struct gi_thread *th = &t->threads[t->thread_count - 1];
			th->fpregs = note->desc;
			th->fpregs_len = note->desc_len;
		}
		break;
	case NT_PRPSINFO:
		note_prpsinfo(n, note);
		break;
	case NT_SIGINFO:
		note_siginfo(n, note);
		break;
	case NT_AUXV:
		if (!n->has_auxv)
			gi_core_take_auxv(n->c, note->desc, note->desc_len);
		n->has_auxv = true;
		break;
	case NT_FILE:
		return note_file(n, note);
	}
	return NULL;
}

// Signals whose siginfo carries the address of the fault.
static bool signal_has_addr(int sig, int code)
{
	// Codes up to 0 are sent by a process.
	return code > 0 && code != SI_KERNEL &&
	       (sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGTRAP);
}

static void read_signal(struct core *c)
{
	struct gi_target *t = &c->base;
	if (!t->thread_count)
		return;
	const struct gi_thread *th = &t->threads[0];
	t->info.signal = th->signal;
	// Who makes a core of a living process stops it first.
	if (!t->info.by_kernel && th->signal == SIGSTOP)
		t->info.signal = 0;
	if (!th->siginfo)
		return;
	int sig = (int)gi_load_u32(th->siginfo);
	int code = (int)gi_load_u32(th->siginfo + SIGINFO_CODE);
	if (t->info.by_kernel)
		t->info.signal = sig;
	if (sig != t->info.signal)
		return;
	t->info.signal_code = code;
	if (signal_has_addr(sig, code)) {
		t->info.has_fault_addr = true;
		t->info.fault_addr = gi_load_u64(th->siginfo + SIGINFO_ADDR);
	} else if (code <= 0) {
		t->info.sender = (pid_t)gi_load_u32(th->siginfo + SIGINFO_PID);
	}
}

struct gi_error *gi_core_read_notes(struct core *c)
{
	struct notes n = { .c = c };
	bool cut = false, damaged = false;
	for (size_t i = 0; i < gi_elf_segment_count(c->elf); i++) {
		struct gi_elf_segment seg = gi_elf_segment(c->elf, i);
		if (seg.type != PT_NOTE || !seg.filesz)
			continue;
		if (seg.offset >= c->size) {
			cut = true;
			continue;
		}
		uint64_t size = gi_min_u64(seg.filesz, c->size - seg.offset);
		size_t off = 0;
		struct gi_elf_note note;
		while (gi_elf_note_next(c->bytes + seg.offset, size, &off, &note)) {
			struct gi_error *err = note_one(&n, &note);
			if (err)
				return err;
		}
		if (size < seg.filesz)
			cut = true;
		else if (off < size && size - off >= 12)
			damaged = true;
	}
	struct gi_target *t = &c->base;
	// The kernel begins with the signalled thread's registers, then the process.
	t->info.by_kernel = n.first == NT_PRSTATUS && n.second == NT_PRPSINFO;
	read_signal(c);
	if (cut && t->thread_count)
		gi_target_add_note(t, "the core is cut off inside of its notes: %zu threads were "
				      "read, there may have been more", t->thread_count);
	if (damaged || n.odd)
		gi_target_add_note(t, "some notes of the core are damaged and were passed over");
	if (!n.has_auxv && !cut)
		gi_target_add_note(t, "the core has no auxiliary vector");
	return NULL;
}

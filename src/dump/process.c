// The notes that any core has: threads with their registers, process, auxiliary vector, mapped
// files; in the kernel's order, or in gdb's if the target says that it came in that.
//
// What the target has in raw form is copied; what it only knows by its meaning is laid out as
// the kernel does (linux/elfcore.h).

#include "dump/file.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "target/mini_format.h"

enum {
	PRSTATUS_INFO_SIGNAL = 0,
	PRSTATUS_CURSIG = 12,
	PRSTATUS_PID = 32,
	PRSTATUS_PPID = 36,
	PRSTATUS_PGRP = 40,
	PRPSINFO_SIZE = 136,
	PRPSINFO_SNAME = 1,
	PRPSINFO_UID = 16,
	PRPSINFO_PID = 24,
	PRPSINFO_PPID = 28,
	PRPSINFO_FNAME = 40,
	PRPSINFO_FNAME_MAX = 16,
	PRPSINFO_ARGS = 56,
	PRPSINFO_ARGS_MAX = 80,
	PRSTATUS_MAX = 1024,
};

static void store(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void put_prstatus(struct dump_file *f, const struct gi_thread *th)
{
	const struct gi_machine *machine = gi_target_machine(f->t);
	uint8_t note[PRSTATUS_MAX] = { 0 };
	if (th->prstatus) {
		gi_dump_file_note(f, "CORE", NT_PRSTATUS, th->prstatus, th->prstatus_len);
		return;
	}
	store(note + PRSTATUS_INFO_SIGNAL, (uint64_t)th->signal, 4);
	store(note + PRSTATUS_CURSIG, (uint64_t)th->signal, 2);
	store(note + PRSTATUS_PID, (uint64_t)th->tid, 4);
	store(note + PRSTATUS_PPID, (uint64_t)gi_target_info(f->t)->ppid, 4);
	store(note + PRSTATUS_PGRP, (uint64_t)gi_target_info(f->t)->pid, 4);
	for (size_t i = 0; i < machine->prstatus_count; i++) {
		const struct gi_reg_slot *slot = &machine->prstatus[i];
		if (gi_regs_has(&th->regs, slot->reg) && slot->off + slot->size <= PRSTATUS_MAX)
			store(note + slot->off, th->regs.r[slot->reg], slot->size);
	}
	gi_dump_file_note(f, "CORE", NT_PRSTATUS, note, gi_min_u64(machine->prstatus_size, PRSTATUS_MAX));
}

static void put_registers(struct dump_file *f, const struct gi_thread *th)
{
	const struct gi_machine *machine = gi_target_machine(f->t);
	if (th->fpregs)
		gi_dump_file_note(f, "CORE", NT_FPREGSET, th->fpregs, th->fpregs_len);
	if (th->xstate)
		gi_dump_file_note(f, "LINUX", NT_X86_XSTATE, th->xstate, th->xstate_len);
	if (machine->tls_note && gi_regs_has(&th->regs, machine->tls)) {
		uint8_t tls[8];
		store(tls, th->regs.r[machine->tls], sizeof(tls));
		gi_dump_file_note(f, "LINUX", machine->tls_note, tls, sizeof(tls));
	}
}

static void put_siginfo(struct dump_file *f, const struct gi_thread *th)
{
	if (th->siginfo)
		gi_dump_file_note(f, "CORE", NT_SIGINFO, th->siginfo, th->siginfo_len);
}

static void put_prpsinfo(struct dump_file *f)
{
	const struct gi_process_info *info = gi_target_info(f->t);
	uint8_t note[PRPSINFO_SIZE] = { 0 };
	if (!info->comm && !info->args)
		return;
	note[PRPSINFO_SNAME] = 'R';
	store(note + PRPSINFO_UID, info->uid, 4);
	store(note + PRPSINFO_PID, (uint64_t)info->pid, 4);
	store(note + PRPSINFO_PPID, (uint64_t)info->ppid, 4);
	if (info->comm)
		memcpy(note + PRPSINFO_FNAME, info->comm, strnlen(info->comm, PRPSINFO_FNAME_MAX - 1));
	if (info->args)
		memcpy(note + PRPSINFO_ARGS, info->args, strnlen(info->args, PRPSINFO_ARGS_MAX));
	gi_dump_file_note(f, "CORE", NT_PRPSINFO, note, sizeof(note));
}

static void put_auxv(struct dump_file *f)
{
	const struct gi_process_info *info = gi_target_info(f->t);
	if (info->auxv)
		gi_dump_file_note(f, "CORE", NT_AUXV, info->auxv, info->auxv_len);
}

// In NT_FILE are mappings of files, which have a path that does not begin with "[".
static bool maps_file(const struct gi_mapping *m)
{
	return m->path && m->path[0] && m->path[0] != '[';
}

static struct gi_error *put_files(struct dump_file *f)
{
	_cleanup_(gi_str_deinit) struct gi_str head = { 0 }, names = { 0 };
	uint64_t page = gi_target_info(f->t)->page_size, count = 0;
	for (size_t i = 0; i < gi_target_mapping_count(f->t); i++)
		count += maps_file(gi_target_mapping(f->t, i));
	if (!count)
		return NULL;
	gi_put_u64(&head, count);
	gi_put_u64(&head, page);
	for (size_t i = 0; i < gi_target_mapping_count(f->t); i++) {
		const struct gi_mapping *m = gi_target_mapping(f->t, i);
		if (!maps_file(m))
			continue;
		gi_put_u64(&head, m->start);
		gi_put_u64(&head, m->end);
		gi_put_u64(&head, m->file_off / page);
		gi_str_putn(&names, m->path, strlen(m->path) + 1);
	}
	gi_str_putn(&head, gi_str_cstr(&names), names.len);
	if (head.oom || names.oom)
		return gi_error_nomem();
	if (head.len > UINT32_MAX)
		return gi_error_create(GI_ERR_UNSUPPORTED, "the table of mapped files is too long for a core");
	gi_dump_file_note(f, "CORE", NT_FILE, head.s, head.len);
	return NULL;
}

struct gi_error *gi_dump_file_process(struct dump_file *f)
{
	const struct gi_process_info *info = gi_target_info(f->t);
	const struct gi_thread *first = gi_target_thread(f->t, 0);
	bool process_first = !first || !(info->by_kernel || info->live);
	struct gi_error *err = NULL;
	if (process_first)
		put_prpsinfo(f);
	for (size_t i = 0; i < gi_target_thread_count(f->t) && !err; i++) {
		const struct gi_thread *th = gi_target_thread(f->t, i);
		put_prstatus(f, th);
		if (i == 0 && !process_first) {
			put_prpsinfo(f);
			put_siginfo(f, th);
			put_auxv(f);
			err = put_files(f);
			put_registers(f, th);
		} else {
			put_registers(f, th);
			put_siginfo(f, th);
		}
	}
	if (info->monotonic_ns) {
		uint8_t moment[8];
		store(moment, info->monotonic_ns, sizeof(moment));
		gi_dump_file_note(f, MINI_OWNER, MINI_MOMENT, moment, sizeof(moment));
	}
	if (process_first && !err) {
		put_auxv(f);
		err = put_files(f);
	}
	return err;
}

// The walk along C frames: a cgo call, a library's thread, the vDSO, a C signal handler.
//
// It begins at the registers of a thread, or of what a signal interrupted, and ends where
// a pc is Go's again: the C function that asmcgocall or a vDSO caller called returns
// there. Only then does anything but call frame information know the way.

#include "unwind/unwind_impl.h"

#include <string.h>

enum { MAX_C_FRAMES = 100000 };

static void show_name(struct gi_walk *w, uint64_t pc)
{
	struct gi_frame *f = &w->frame;
	uint64_t bias;
	struct gi_elf_symbol sym;
	struct gi_elf *elf = gi_target_elf_at(w->u->t, pc, &bias);
	f->name = "?";
	f->module = NULL;
	f->entry = 0;
	if (elf) {
		f->module = gi_elf_path(elf);
		if (gi_target_symbol_at(w->u->t, pc, &sym, &bias) && sym.name[0]) {
			f->name = sym.name;
			f->entry = sym.value + bias;
		}
		return;
	}
	const struct gi_mapping *map = gi_target_mapping_at(w->u->t, pc);
	if (map)
		f->module = map->path;
}

// Go's linker gives the C functions that it links names in the function table, which a
// stripped program keeps.
static void name_from_table(struct gi_walk *w, uint64_t pc)
{
	struct gi_func f;
	if (strcmp(w->frame.name, "?") == 0 && gi_functab_find(w->u->ft, pc, &f) && f.name[0]) {
		w->frame.name = f.name;
		w->frame.entry = f.entry;
	}
}

static bool show_c(struct gi_walk *w, enum gi_frame_kind kind, uint64_t cfa)
{
	struct gi_frame *f = &w->frame;
	memset(f, 0, sizeof(*f));
	f->kind = kind;
	f->stack = w->id;
	f->pc = w->pc;
	f->lookup_pc = w->exact || !w->pc ? w->pc : w->pc - 1;
	f->sp = w->sp;
	f->cfa = cfa;
	f->argp = cfa;
	f->exact_pc = w->exact;
	f->file = "?";
	f->regs = &w->u->regs;
	show_name(w, f->lookup_pc);
	name_from_table(w, f->lookup_pc);
	const char *file;
	uint32_t line;
	if (w->fn && w->u->go && gi_go_c_line(w->u->go, f->lookup_pc, &file, &line)) {
		f->file = file;
		f->line = line;
	}
	return gi_walk_show(w, f);
}

static bool is_go(struct gi_walk *w, uint64_t pc)
{
	struct gi_func f;
	return gi_functab_find(w->u->ft, pc, &f) && f.pcsp;
}

// To the caller's frame, whose registers are regs. False: it cannot be the caller's.
static bool move(struct gi_walk *w, struct gi_regs *regs, bool signal, bool guessed)
{
	const struct gi_machine *machine = w->u->machine;
	uint64_t pc = gi_regs_pc(regs), sp = gi_regs_sp(regs);

	// A signal's frame leads to whatever stack was in use; others only go up.
	if (signal) {
		gi_walk_enter(w, sp);
	} else if (sp <= w->sp || (w->hi && sp > w->hi)) {
		gi_walk_why(w, "the caller's stack pointer 0x%llx is not above 0x%llx",
			    (unsigned long long)sp, (unsigned long long)w->sp);
		return false;
	}
	// A guess by C's habits is none for Go: what is known is the end of C's record.
	if (guessed && machine->lr != GI_NO_REG && is_go(w, pc)) {
		sp = w->u->regs.r[machine->fp] + 16;
		gi_regs_set(regs, machine->sp, sp);
		w->sp_guessed = true;
	}
	w->u->regs = *regs;
	w->pc = pc;
	w->sp = sp;
	w->exact = signal;
	w->injected = false;
	w->syscall = false;
	w->first = false;
	return gi_walk_progress(w);
}

// glibc has no call frame information for the instructions of clone around the system call, since
// they run on two stacks (sysdeps/unix/sysv/linux/x86_64/clone3.S, clone.S): the new thread begins
// there, with the result 0; for the old one nothing was pushed yet.
static bool is_clone(const char *name)
{
	static const char *const names[] = {"__clone3", "clone3", "__clone", "clone"};

	for (size_t i = 0; name && i < GI_ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

// From clone to its caller. False: the thread begins here.
static bool leave_clone(const struct gi_walk *w, struct gi_regs *regs)
{
	const struct gi_machine *machine = w->u->machine;
	const struct gi_mapping *map;
	uint64_t pc;

	*regs = w->u->regs;
	if (!w->exact || machine->lr != GI_NO_REG || !gi_regs_has(regs, machine->syscall_result) ||
	    !regs->r[machine->syscall_result] || !gi_target_peek_u64(w->u->t, w->sp, &pc))
		return false;
	map = gi_target_mapping_at(w->u->t, pc);
	if (!map || !(map->flags & GI_MAP_X))
		return false;
	gi_regs_set(regs, machine->pc, pc);
	gi_regs_set(regs, machine->sp, w->sp + machine->return_size);
	return true;
}

bool gi_walk_c(struct gi_walk *w)
{
	struct gi_unwinder *u = w->u;
	struct gi_error *err = NULL;

	if (!gi_target_mapping_at(u->t, w->pc)) {
		gi_walk_why(w, "the program counter 0x%llx is in no mapping",
			    (unsigned long long)w->pc);
		return false;
	}
	if (!u->cfi)
		err = gi_cfi_create(u->t, &u->cfi);
	if (!err)
		err = gi_cfi_begin(u->cfi, &u->regs, w->exact);
	if (err) {
		if (show_c(w, GI_FRAME_C, w->sp))
			gi_walk_why(w, "%s", gi_error_message(err));
		gi_error_ignore(err);
		return false;
	}
	bool guessed = false;
	for (unsigned n = 0; n < MAX_C_FRAMES; n++) {
		// Not each C library has call frame information for it.
		if (gi_is_sigreturn(u->t, w->pc))
			return show_c(w, GI_FRAME_SIGNAL, w->sp) &&
			       gi_walk_signal(w, w->sp + u->machine->signal_context);
		struct gi_regs regs;
		bool signal = gi_cfi_is_signal_frame(u->cfi);
		enum gi_frame_kind kind = signal    ? GI_FRAME_SIGNAL
					  : guessed ? GI_FRAME_GUESSED
						    : GI_FRAME_C;
		enum gi_cfi_result r = gi_cfi_step(u->cfi, &regs);
		bool moved = r == GI_CFI_STEP || r == GI_CFI_GUESSED;
		if (moved &&
		    (!gi_regs_has(&regs, u->machine->pc) || !gi_regs_has(&regs, u->machine->sp)))
			moved = false, r = GI_CFI_FAILED;
		bool again = false;
		if (r != GI_CFI_STEP && !signal && gi_base_leave_c(w, &regs))
			moved = true, again = true, r = GI_CFI_STEP;
		if (!show_c(w, kind, moved && !signal ? gi_regs_sp(&regs) : w->sp))
			return false;
		if ((r == GI_CFI_FAILED || r == GI_CFI_GUESSED) && !signal && is_clone(w->frame.name)) {
			if (!leave_clone(w, &regs))
				return false;
			moved = again = true, r = GI_CFI_STEP;
		}
		struct gi_g buf;
		if (r != GI_CFI_STEP && !signal && gi_race_leave_c(w, gi_walk_curg(w, &buf)))
			return true;
		if (r == GI_CFI_END || (moved && !gi_regs_pc(&regs)))
			return false;
		if (r == GI_CFI_FAILED) {
			gi_walk_why(w, "no unwind information for 0x%llx in %s",
				    (unsigned long long)w->pc,
				    w->frame.module ? w->frame.module : "anonymous memory");
			return false;
		}
		guessed = r == GI_CFI_GUESSED;
		if (!move(w, &regs, signal, guessed))
			return false;
		if (is_go(w, w->pc))
			return true;
		const struct gi_mapping *map = gi_target_mapping_at(u->t, w->pc);
		if (guessed && (!map || !(map->flags & GI_MAP_X))) {
			gi_walk_why(w, "no unwind information for the frame of %s", w->frame.name);
			return false;
		}
		err = again ? gi_cfi_begin(u->cfi, &regs, false) : NULL;
		if (err) {
			gi_walk_why(w, "%s", gi_error_message(err));
			gi_error_ignore(err);
			return false;
		}
	}
	gi_walk_why(w, "more than %d C frames", MAX_C_FRAMES);
	return false;
}

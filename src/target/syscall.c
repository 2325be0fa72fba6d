// The system call that a thread is in.
//
// In a core the registers of a thread that the kernel had in a system call are those of its
// return: the pc is behind the instruction that entered it. The number and the arguments are in
// registers of their own (amd64: orig_rax; arm64: x8), and only the register of the result is
// overwritten, by an error that asks for a restart. A thread that stopped elsewhere has no
// such number (amd64: -1).
//
// What a signal handler will return to is another matter. A call that is to be restarted
// has its pc moved back onto the instruction and its number put back; one that ends with
// EINTR is behind it, and amd64 has lost the number then. Go's own wrappers load the
// number just before they enter, so that code can be asked.

#include "gcore/syscall.h"
#include "target/arch_impl.h"

#include <errno.h>
#include <string.h>

enum { INSN_MAX = 4, LOOK_BACK = 24 };

struct known_syscall {
	int amd64, arm64;
	const char *name, *kinds;
};
static const struct known_syscall table[] = {
#define S(amd64, arm64, name, kinds) {amd64, arm64, name, kinds},
#include "target/syscalls.def"
#undef S
};

static void name_it(enum gi_arch arch, struct gi_syscall *s)
{
	s->name = NULL;
	s->arg_kinds = "";
	for (size_t i = 0; s->nr >= 0 && i < GI_ARRAY_SIZE(table); i++) {
		int nr = arch == GI_ARCH_ARM64 ? table[i].arm64 : table[i].amd64;

		if (nr == s->nr) {
			s->name = table[i].name;
			s->arg_kinds = table[i].kinds;
			return;
		}
	}
}

static bool enters_at(struct gi_target *t, uint64_t pc)
{
	const struct gi_code_bytes *insn = &gi_target_machine(t)->syscall_insn;
	size_t n;
	const uint8_t *code = insn->size ? gi_target_view_max(t, pc, insn->size, &n) : NULL;

	return code && n == insn->size && memcmp(code, insn->bytes, n) == 0;
}

// amd64: mov $imm32, %eax right before the instruction at pc, or a few plain moves earlier, as
// Go's wrappers have it; -1 if there is none.
static int64_t number_from_code(struct gi_target *t, uint64_t pc)
{
	uint8_t code[5];
	struct gi_error *err;

	if (pc < sizeof(code) || gi_target_machine(t)->arch != GI_ARCH_AMD64)
		return -1;
	err = gi_target_read(t, pc - sizeof(code), code, sizeof(code));
	if (err) {
		gi_error_ignore(err);
		return -1;
	}
	return code[0] == 0xb8 ? (int64_t)gi_load_u32(code + 1) : -1;
}

static bool is_number(uint64_t v)
{
	return v < 1024;
}

static void take_args(const struct gi_machine *machine, const struct gi_regs *regs,
		      struct gi_syscall *s, bool first_lost)
{
	for (size_t i = 0; i < GI_SYSCALL_ARGS; i++) {
		const unsigned reg = machine->syscall_args[i];

		// On arm64 the result takes the place of the first argument.
		if (!gi_regs_has(regs, reg) || (first_lost && reg == machine->syscall_result))
			continue;
		s->args[i] = regs->r[reg];
		s->known |= (uint8_t)(1 << i);
	}
}

bool gi_syscall_from_regs(struct gi_target *t, const struct gi_regs *regs, bool broken_off,
			  struct gi_syscall *ret)
{
	const struct gi_machine *machine = gi_target_machine(t);
	const uint64_t pc = gi_regs_pc(regs), size = machine->syscall_insn.size;
	const unsigned nr = broken_off || machine->syscall_kept == GI_NO_REG ?
				    machine->syscall_number :
				    machine->syscall_kept;
	struct gi_syscall s = {.nr = -1};

	if (!size || pc < size)
		return false;
	if (enters_at(t, pc) && gi_regs_has(regs, machine->syscall_number) &&
	    is_number(regs->r[machine->syscall_number])) {
		// It is to be called again. So would one that is just about to be.
		s.nr = (int64_t)regs->r[machine->syscall_number];
		take_args(machine, regs, &s, false);
		name_it(machine->arch, &s);
		*ret = s;
		return true;
	}
	if (!enters_at(t, pc - size))
		return false;
	if (broken_off && machine->syscall_number == machine->syscall_result) {
		if (!gi_regs_has(regs, machine->syscall_result) ||
		    regs->r[machine->syscall_result] != (uint64_t)-EINTR)
			return false; // it has its result
		s.nr = number_from_code(t, pc - size);
	} else if (broken_off) {
		if (!gi_regs_has(regs, machine->syscall_result) ||
		    regs->r[machine->syscall_result] != (uint64_t)-EINTR)
			return false;
		s.nr = gi_regs_has(regs, nr) && is_number(regs->r[nr]) ? (int64_t)regs->r[nr] : -1;
	} else {
		if (!gi_regs_has(regs, nr) || !is_number(regs->r[nr]))
			return false;
		s.nr = (int64_t)regs->r[nr];
	}
	take_args(machine, regs, &s, true);
	name_it(machine->arch, &s);
	*ret = s;
	return true;
}

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

enum { NUMBERS = 1024, MOVE_SIZE = 5 };

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

// amd64: mov $imm32, %eax right before the instruction at pc; -1 if that is not what stands there.
static int64_t number_from_code(struct gi_target *t, uint64_t pc)
{
	uint8_t code[MOVE_SIZE];
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

// The number in a register, -1 if there is none.
static int64_t number_in(const struct gi_regs *regs, unsigned reg)
{
	return gi_regs_has(regs, reg) && regs->r[reg] < NUMBERS ? (int64_t)regs->r[reg] : -1;
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
	const unsigned number = machine->syscall_number, result = machine->syscall_result;
	struct gi_syscall s = {.nr = number_in(regs, number)};
	bool behind = false; // the instruction

	if (!size || pc < size)
		return false;
	// It is to be called again. So would one that is just about to be.
	if (s.nr < 0 || !enters_at(t, pc)) {
		behind = true;
		if (!enters_at(t, pc - size))
			return false;
		if (!broken_off) {
			if (machine->syscall_kept != GI_NO_REG)
				s.nr = number_in(regs, machine->syscall_kept);
			if (s.nr < 0)
				return false;
		} else {
			if (!gi_regs_has(regs, result) || regs->r[result] != (uint64_t)-EINTR)
				return false; // it has its result
			if (number == result)
				s.nr = number_from_code(t, pc - size);
		}
	}
	take_args(machine, regs, &s, behind);
	name_it(machine->arch, &s);
	*ret = s;
	return true;
}

/** "epoll_wait" and "EpollWait" alike: letters and digits alone. */
static bool same_name(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += strspn(a, "_");
		b += strspn(b, "_");
		const char x = *a >= 'A' && *a <= 'Z' ? (char)(*a - 'A' + 'a') : *a;
		if (x != *b || !x)
			return x == *b;
	}
}

bool gi_syscall_from_function(struct gi_target *t, const char *function, struct gi_syscall *s)
{
	// Go's epollwait makes the newer call; usleep is no call of its own.
	static const struct {
		const char *function, *call;
	} others[] = {
		{"epollwait", "epoll_pwait"}, {"usleep", "nanosleep"}, {"recv", "recvfrom"},
		{"send", "sendto"},	      {"waitpid", "wait4"},
	};
	const bool is_go = strchr(function, '.') != NULL;
	const char *dot = strrchr(function, '.'), *name = dot ? dot + 1 : function;

	if (!is_go) {
		name += strspn(name, "_");
		if (strncmp(name, "GI_", 3) == 0)
			name += 3 + strspn(name + 3, "_");
		if (strncmp(name, "libc_", 5) == 0)
			name += 5;
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(others); i++) {
		// C's function has its own call, where the processor has one.
		if ((is_go || i) && same_name(name, others[i].function)) {
			name = others[i].call;
			break;
		}
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(table); i++) {
		const int nr = gi_target_arch(t) == GI_ARCH_ARM64 ? table[i].arm64 : table[i].amd64;

		if (nr < 0 || !same_name(name, table[i].name))
			continue;
		s->nr = nr;
		name_it(gi_target_arch(t), s);
		return true;
	}
	return false;
}

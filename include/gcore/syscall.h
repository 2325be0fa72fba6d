// The system call that a thread is in, by its registers. Facts: Linux's entry code and
// restart rules (arch/x86/kernel/signal.c, arch/arm64/kernel/signal.c), asm/unistd.h.
#ifndef GCORE_SYSCALL_H
#define GCORE_SYSCALL_H

#include <stdbool.h>
#include <stdint.h>

#include "gcore/arch.h"
#include "gcore/target.h"

enum { GI_SYSCALL_ARGS = 6 };

struct gi_syscall {
	int64_t nr;	      // -1: it is in one, but which is lost
	const char *name;     // NULL: not in our table
	const char *arg_kinds; // a letter for each argument that it takes, see syscalls.def; "" if unknown
	uint64_t args[GI_SYSCALL_ARGS];
	uint8_t known; // bit i: args[i] is known
};

/**
 * False if a thread with these registers is not in a system call. broken_off: they are
 * those that a signal handler will return to, so that the kernel has noted the result, or has
 * set them up to call again.
 */
bool gi_syscall_from_regs(struct gi_target *t, const struct gi_regs *regs, bool broken_off,
			  struct gi_syscall *ret);

/**
 * Names a call whose number is lost by the function that made it ("runtime.epollwait", "__read"). False if
 * no system call has its name.
 */
bool gi_syscall_from_function(struct gi_target *t, const char *function, struct gi_syscall *s);

#endif

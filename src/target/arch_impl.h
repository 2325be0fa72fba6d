// The tables of architectures, one file each. A new one is added here and in arch.c.
#ifndef GCORE_ARCH_IMPL_H
#define GCORE_ARCH_IMPL_H

#include "gcore/arch.h"
#include "gcore/util.h"

extern const struct gi_machine gi_machine_amd64;
extern const struct gi_machine gi_machine_arm64;

/** In struct elf_prstatus of every 64-bit Linux: pr_reg. */
enum { GI_PRSTATUS_REGS = 112 };

/** Of the machine that this program runs on. */
enum gi_arch gi_arch_host(void);

#endif

// Architectures: what the tables of arch_*.c answer.

#include "target/arch_impl.h"

#include <string.h>

static const struct gi_machine *const machines[] = {&gi_machine_amd64, &gi_machine_arm64};

const struct gi_machine *gi_machine_at(size_t i)
{
	return i < GI_ARRAY_SIZE(machines) ? machines[i] : NULL;
}

const struct gi_machine *gi_machine(enum gi_arch arch)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(machines); i++) {
		if (machines[i]->arch == arch)
			return machines[i];
	}
	// A set of registers that was never filled.
	return machines[0];
}

const struct gi_machine *gi_machine_by_elf(uint16_t elf_machine)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(machines); i++) {
		if (machines[i]->elf_machine == elf_machine)
			return machines[i];
	}
	return NULL;
}

uint64_t gi_regs_pc(const struct gi_regs *regs)
{
	return regs->r[gi_machine(regs->arch)->pc];
}

uint64_t gi_regs_sp(const struct gi_regs *regs)
{
	return regs->r[gi_machine(regs->arch)->sp];
}

uint64_t gi_regs_bp(const struct gi_regs *regs)
{
	return regs->r[gi_machine(regs->arch)->fp];
}

const char *gi_reg_name(enum gi_arch arch, size_t i)
{
	const struct gi_machine *m = gi_machine(arch);
	return i < m->reg_count ? m->reg_names[i] : NULL;
}

unsigned gi_reg_by_name(enum gi_arch arch, const char *name)
{
	const struct gi_machine *m = gi_machine(arch);
	for (unsigned i = 0; i < m->reg_count; i++) {
		if (strcmp(m->reg_names[i], name) == 0)
			return i;
	}
	if (strcmp(name, "pc") == 0)
		return m->pc;
	if (strcmp(name, "sp") == 0)
		return m->sp;
	for (const struct gi_reg_alias *a = m->aliases; a->name; a++) {
		if (strcmp(a->name, name) == 0)
			return a->reg;
	}
	return GI_NO_REG;
}

enum gi_arch gi_arch_host(void)
{
#ifdef __aarch64__
	return GI_ARCH_ARM64;
#else
	return GI_ARCH_AMD64;
#endif
}

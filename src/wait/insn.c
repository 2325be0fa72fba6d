// The architectures whose code is understood.

#include "wait/insn.h"

const struct gi_insn_arch *gi_insn_arch_of(enum gi_arch arch)
{
	switch (arch) {
	case GI_ARCH_AMD64:
		return &gi_insn_amd64;
	case GI_ARCH_ARM64:
		return &gi_insn_arm64;
	}
	return NULL;
}

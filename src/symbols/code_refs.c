// What code refers to: the rip-relative operands of amd64 instructions.
//
// Go's compiler names every global and every constant in that way, in all link modes. A
// reference's shape is what the assembler chose (prefixes, opcode, registers), without
// the displacement, which the linker chose: two builds of one source have the same shapes
// at other addresses.

#include <capstone/capstone.h>

#include "gcore/base.h"
#include "gcore/symbols.h"

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t hash_bytes(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * FNV_PRIME;
	return h;
}

static bool is_rip_relative(const cs_insn *in)
{
	const cs_x86 *x = &in->detail->x86;

	// mod 0, r/m 5: a displacement from the next instruction, and nothing else.
	if ((x->modrm & 0xc7) != 0x05)
		return false;
	for (uint8_t i = 0; i < x->op_count; i++) {
		if (x->operands[i].type == X86_OP_MEM && x->operands[i].mem.base == X86_REG_RIP)
			return true;
	}
	return false;
}

struct gi_error *gi_code_refs(enum gi_arch arch, uint64_t pc, const uint8_t *code, size_t n,
			      gi_code_ref_fn fn, void *arg)
{
	csh h;
	cs_insn *in;
	uint64_t at = pc;

	if (arch != GI_ARCH_AMD64)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "the code of this architecture is not known");
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &h) != CS_ERR_OK)
		return gi_error_nomem();
	cs_option(h, CS_OPT_DETAIL, CS_OPT_ON);
	in = cs_malloc(h);
	if (!in) {
		cs_close(&h);
		return gi_error_nomem();
	}
	while (n) {
		struct gi_code_ref ref;
		const cs_x86 *x;

		if (!cs_disasm_iter(h, &code, &n, &at, in)) {
			code++;
			n--;
			at++;
			continue;
		}
		x = &in->detail->x86;
		if (!is_rip_relative(in))
			continue;
		ref.pc = in->address;
		ref.target = in->address + in->size + (uint64_t)x->disp;
		ref.shape = hash_bytes(FNV_OFFSET, x->prefix, sizeof(x->prefix));
		ref.shape = hash_bytes(ref.shape, x->opcode, sizeof(x->opcode));
		ref.shape = hash_bytes(ref.shape, &x->rex, 1);
		ref.shape = hash_bytes(ref.shape, &x->modrm, 1);
		if (!fn(arg, &ref))
			break;
	}
	cs_free(in, 1);
	cs_close(&h);
	return NULL;
}

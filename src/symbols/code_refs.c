// What code refers to: rip-relative operands on amd64; on arm64 pairs of adrp, which gives
// a page, and the add, load or store behind it that has the offset within it.
//
// Go's compiler names every global and every constant in that way, in all link modes. A
// reference's shape is what the assembler chose (prefixes, opcode, registers), without
// the displacement, which the linker chose: two builds of one source have the same shapes
// at other addresses.
//
// Instructions of amd64 have every length from 1 to 15: capstone knows it. Those of arm64
// have 4 bytes, and a few bits tell the ones that matter here (Arm Architecture Reference
// Manual, C4.1 and C6.2: ADR, ADRP, ADD (immediate), LDR (literal), load/store register
// (unsigned immediate)). Go's assembler leaves nothing between the two of a pair.

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

static struct gi_error *refs_amd64(uint64_t pc, const uint8_t *code, size_t n, gi_code_ref_fn fn,
				   void *arg)
{
	csh h;
	cs_insn *in;
	uint64_t at = pc;

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

// --- arm64 ---------------------------------------------------------------------------

enum { ARM64_PAGE = 4096, ARM64_IMM12 = 0xfff << 10 };

static uint64_t sign_extend(uint64_t v, unsigned bits)
{
	uint64_t sign = UINT64_C(1) << (bits - 1);

	return (v ^ sign) - sign;
}

static bool is_adrp(uint32_t in)
{
	return (in & 0x9f000000) == 0x90000000;
}

// The 21-bit immediate of adr and adrp.
static uint64_t adr_imm(uint32_t in)
{
	return sign_extend((in >> 5 & 0x7ffff) << 2 | (in >> 29 & 3), 21);
}

static bool is_add_imm(uint32_t in)
{
	return (in & 0xffc00000) == 0x91000000;
}

// What its 12-bit immediate counts; 0 if it is no load or store with one.
static uint64_t load_store_scale(uint32_t in)
{
	if ((in & 0x3b000000) != 0x39000000)
		return 0;
	// Of the vector registers also the whole ones, 16 bytes.
	if ((in & 0xc4800000) == 0x04800000)
		return 16;
	return UINT64_C(1) << (in >> 30);
}

// adr instead of adrp and add is what linkers make of a near target: the same reference.
static uint64_t shape_of_address(uint32_t in)
{
	return 0x91000000 | (in & 31);
}

// How many instructions refer to ret->target; 0 if in, with next behind it, does not.
static unsigned decode_arm64(uint64_t pc, uint32_t in, uint32_t next, struct gi_code_ref *ret)
{
	uint64_t offset = next >> 10 & 0xfff, scale = load_store_scale(next);

	ret->pc = pc;
	if ((in & 0x9f000000) == 0x10000000) {
		ret->target = pc + adr_imm(in);
		ret->shape = shape_of_address(in);
		return 1;
	}
	if ((in & 0x3b000000) == 0x18000000) {
		ret->target = pc + sign_extend((in >> 5 & 0x7ffff) << 2, 21);
		ret->shape = in & ~(UINT32_C(0x7ffff) << 5);
		return 1;
	}
	if (!is_adrp(in) || (next >> 5 & 31) != (in & 31))
		return 0;
	ret->target = (pc & ~(uint64_t)(ARM64_PAGE - 1)) + adr_imm(in) * ARM64_PAGE;
	if (is_add_imm(next)) {
		ret->target += offset;
		ret->shape = shape_of_address(next);
		return 2;
	}
	if (scale) {
		ret->target += offset * scale;
		ret->shape = next & ~(uint32_t)ARM64_IMM12;
		return 2;
	}
	return 0;
}

static void refs_arm64(uint64_t pc, const uint8_t *code, size_t n, gi_code_ref_fn fn, void *arg)
{
	size_t i = pc % 4 ? 4 - pc % 4 : 0;

	while (i < n && n - i >= 4) {
		uint32_t in = gi_load_u32(code + i);
		uint32_t next = n - i >= 8 ? gi_load_u32(code + i + 4) : 0;
		struct gi_code_ref ref;
		unsigned count = decode_arm64(pc + i, in, next, &ref);

		if (count && !fn(arg, &ref))
			return;
		i += count ? 4 * count : 4;
	}
}

struct gi_error *gi_code_refs(enum gi_arch arch, uint64_t pc, const uint8_t *code, size_t n,
			      gi_code_ref_fn fn, void *arg)
{
	switch (arch) {
	case GI_ARCH_AMD64:
		return refs_amd64(pc, code, n, fn, arg);
	case GI_ARCH_ARM64:
		refs_arm64(pc, code, n, fn, arg);
		return NULL;
	}
	return gi_error_create(GI_ERR_UNSUPPORTED, "the code of this architecture is not known");
}

// C frames, by call frame information: libunwind over our target, for amd64; other machines
// are frame_info.c's.
//
// libunwind asks for everything it needs: memory and registers, which come from the
// target and the registers given, and for the unwind information of a pc. That is found
// as a debugger would find it: the ELF file that the target says is mapped at pc (it
// answers only for the same build), its PT_GNU_EH_FRAME segment, whose sorted table
// libunwind searches itself in target memory (.eh_frame_hdr, Linux Standard Base 5.0,
// 10.6.2); where there is none but .eh_frame, in a table that eh_table.c makes. That one
// is shown to libunwind at addresses that no process has. What neither knows may be in
// .debug_frame, which frame_info.c reads. Without any of them the frame
// pointer is gone by: such a step is a guess, and told as one.
//
// dwarf_search_unwind_table is exported by libunwind-x86_64 for its users with tables of
// their own, but in no header.

#include "unwind/unwind_impl.h"

#include <elf.h>
#include <libunwind-x86_64.h>
#include <stdlib.h>
#include <string.h>

extern int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip,
					      unw_dyn_info_t *di, unw_proc_info_t *pi,
					      int need_unwind_info, void *arg);

// Tables of ours lie in the hole between the two canonical halves of the address space.
enum { TABLES_SHIFT = 32, MAX_TABLES = 1024 };
enum { GUESS_MAX = 1 << 24 }; // bytes of a frame that is guessed
#define TABLES_BASE (UINT64_C(0x80) << 48)

/** What is known of one ELF file. */
struct eh_module {
	const struct gi_elf *elf;
	uint64_t bias;
	bool usable; // it has unwind information
	unw_dyn_info_t info;
	uint8_t *table; // of ours, or NULL
	size_t table_size;
};

struct gi_cfi {
	struct gi_target *t;
	unw_addr_space_t as;
	unw_cursor_t cursor;
	struct gi_frame_info *own; // used instead, where libunwind does not know the machine
	struct gi_frame_info *debug; // by .debug_frame; made when it is needed
	struct gi_regs start;	   // own: the current ones
	bool exact;
	struct gi_regs now; // of the current frame
	bool now_exact;
	bool found_info; // in the last step
	struct eh_module *modules;
	size_t module_len, module_cap;
};

static const uint8_t from_unw[] = {
	[UNW_X86_64_RAX] = GI_AMD64_RAX, [UNW_X86_64_RDX] = GI_AMD64_RDX,
	[UNW_X86_64_RCX] = GI_AMD64_RCX, [UNW_X86_64_RBX] = GI_AMD64_RBX,
	[UNW_X86_64_RSI] = GI_AMD64_RSI, [UNW_X86_64_RDI] = GI_AMD64_RDI,
	[UNW_X86_64_RBP] = GI_AMD64_RBP, [UNW_X86_64_RSP] = GI_AMD64_RSP,
	[UNW_X86_64_R8] = GI_AMD64_R8,	 [UNW_X86_64_R9] = GI_AMD64_R9,
	[UNW_X86_64_R10] = GI_AMD64_R10, [UNW_X86_64_R11] = GI_AMD64_R11,
	[UNW_X86_64_R12] = GI_AMD64_R12, [UNW_X86_64_R13] = GI_AMD64_R13,
	[UNW_X86_64_R14] = GI_AMD64_R14, [UNW_X86_64_R15] = GI_AMD64_R15,
	[UNW_X86_64_RIP] = GI_AMD64_RIP,
};

// --- what libunwind asks -------------------------------------------------

static int access_mem(unw_addr_space_t as, unw_word_t addr, unw_word_t *val, int write, void *arg)
{
	(void)as;
	struct gi_cfi *cfi = arg;
	if (write)
		return -UNW_EREADONLYREG;
	uint64_t v;
	if (addr >= TABLES_BASE) {
		uint64_t i = (addr - TABLES_BASE) >> TABLES_SHIFT;
		uint64_t off = addr & ((UINT64_C(1) << TABLES_SHIFT) - 1);
		if (i < cfi->module_len && gi_in_bounds(off, 8, cfi->modules[i].table_size)) {
			*val = gi_load_u64(cfi->modules[i].table + off);
			return 0;
		}
	}
	if (!gi_target_peek_u64(cfi->t, addr, &v)) {
		// A word at the end of a mapping: what there is of it.
		uint8_t buf[8] = {0};
		size_t n;
		const void *p = gi_target_view_max(cfi->t, addr, sizeof(buf), &n);
		if (!p)
			return -UNW_EINVAL;
		memcpy(buf, p, n);
		v = gi_load_u64(buf);
	}
	*val = v;
	return 0;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *val, int write, void *arg)
{
	(void)as;
	struct gi_cfi *cfi = arg;
	if (write)
		return -UNW_EREADONLYREG;
	if (reg < 0 || (size_t)reg >= GI_ARRAY_SIZE(from_unw))
		return -UNW_EBADREG;
	unsigned i = from_unw[reg];
	if (!gi_regs_has(&cfi->start, i))
		return -UNW_EBADREG;
	*val = cfi->start.r[i];
	return 0;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *val, int write,
			void *arg)
{
	(void)as, (void)reg, (void)val, (void)write, (void)arg;
	return -UNW_EBADREG;
}

static int get_dyn_info_list_addr(unw_addr_space_t as, unw_word_t *ret, void *arg)
{
	(void)as, (void)ret, (void)arg;
	return -UNW_ENOINFO;
}

static int resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg)
{
	(void)as, (void)cursor, (void)arg;
	return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t as, unw_word_t addr, char *buf, size_t n, unw_word_t *off,
			 void *arg)
{
	(void)as, (void)addr, (void)buf, (void)n, (void)off, (void)arg;
	return -UNW_ENOINFO;
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg)
{
	// The table search allocates from the library's own pool, and the library frees
	// it.
	(void)as, (void)pi, (void)arg;
}

enum {
	PE_UDATA4 = 0x03,
	PE_SDATA4 = 0x0b,
	PE_DATAREL = 0x30,
	HDR_SIZE = 12, // version, three encodings, eh_frame_ptr, fde_count
};

// The search table that the linker made: only the layout that linkers write.
static bool linked_table(struct gi_cfi *cfi, struct gi_elf *elf, uint64_t bias, unw_dyn_info_t *ret)
{
	struct gi_elf_segment seg = {0};
	size_t n = gi_elf_segment_count(elf), i;
	for (i = 0; i < n; i++) {
		seg = gi_elf_segment(elf, i);
		if (seg.type == PT_GNU_EH_FRAME)
			break;
	}
	if (i == n || seg.memsz < HDR_SIZE)
		return false;
	uint64_t base = seg.vaddr + bias;
	uint8_t hdr[HDR_SIZE];
	struct gi_error *err = gi_target_read(cfi->t, base, hdr, sizeof(hdr));
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	if (hdr[0] != 1 || (hdr[1] & 0x0f) != PE_SDATA4 || hdr[2] != PE_UDATA4 ||
	    hdr[3] != (PE_DATAREL | PE_SDATA4))
		return false;
	uint64_t count = gi_load_u32(hdr + 8);
	if (!count || count > (seg.memsz - HDR_SIZE) / 8)
		return false;
	ret->u.rti.segbase = base;
	ret->u.rti.table_data = base + HDR_SIZE;
	ret->u.rti.table_len = count * 8 / sizeof(unw_word_t);
	return true;
}

static struct eh_module *module_at(struct gi_cfi *cfi, uint64_t ip)
{
	uint64_t bias;
	struct gi_elf *elf = gi_target_elf_at(cfi->t, ip, &bias);
	if (!elf)
		return NULL;
	for (size_t i = 0; i < cfi->module_len; i++)
		if (cfi->modules[i].elf == elf && cfi->modules[i].bias == bias)
			return &cfi->modules[i];
	if (cfi->module_len == MAX_TABLES)
		return NULL;
	struct gi_error *err = gi_grow(&cfi->modules, &cfi->module_cap, cfi->module_len + 1,
				       sizeof(*cfi->modules));
	if (err) {
		gi_error_ignore(err);
		return NULL;
	}
	struct eh_module *m = &cfi->modules[cfi->module_len];
	size_t count;
	uint64_t addr;
	memset(m, 0, sizeof(*m));
	m->elf = elf;
	m->bias = bias;
	m->info.end_ip = UINT64_MAX;
	m->info.format = UNW_INFO_FORMAT_REMOTE_TABLE;
	if (linked_table(cfi, elf, bias, &m->info)) {
		m->usable = true;
	} else if (gi_eh_table_make(elf, &m->table, &count, &addr)) {
		m->usable = true;
		m->table_size = count * 8;
		m->info.u.rti.segbase = addr + bias;
		m->info.u.rti.table_data =
			TABLES_BASE + ((uint64_t)cfi->module_len << TABLES_SHIFT);
		m->info.u.rti.table_len = m->table_size / sizeof(unw_word_t);
	}
	cfi->module_len++;
	return m;
}

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi,
			  int need_unwind_info, void *arg)
{
	struct gi_cfi *cfi = arg;
	struct eh_module *m = module_at(cfi, ip);
	if (!m || !m->usable)
		return -UNW_ENOINFO;
	unw_dyn_info_t di = m->info;
	int r = UNW_OBJ(dwarf_search_unwind_table)(as, ip, &di, pi, need_unwind_info, arg);
	if (r >= 0)
		cfi->found_info = true;
	return r;
}

// --- the cursor ----------------------------------------------------------

struct gi_error *gi_cfi_create(struct gi_target *t, struct gi_cfi **ret)
{
	static unw_accessors_t accessors = {
		.find_proc_info = find_proc_info,
		.put_unwind_info = put_unwind_info,
		.get_dyn_info_list_addr = get_dyn_info_list_addr,
		.access_mem = access_mem,
		.access_reg = access_reg,
		.access_fpreg = access_fpreg,
		.resume = resume,
		.get_proc_name = get_proc_name,
	};
	struct gi_cfi *cfi = calloc(1, sizeof(*cfi));
	if (!cfi)
		return gi_error_nomem();
	cfi->t = t;
	// The library is made for one machine.
	if (gi_target_arch(t) != GI_ARCH_AMD64) {
		struct gi_error *err = gi_frame_info_create(t, &cfi->own);
		if (err) {
			free(cfi);
			return err;
		}
		*ret = cfi;
		return NULL;
	}
	cfi->as = unw_create_addr_space(&accessors, 0);
	if (!cfi->as) {
		free(cfi);
		return gi_error_nomem();
	}
	*ret = cfi;
	return NULL;
}

void gi_cfi_destroy(struct gi_cfi *cfi)
{
	if (!cfi)
		return;
	if (cfi->as)
		unw_destroy_addr_space(cfi->as);
	gi_frame_info_destroy(cfi->own);
	gi_frame_info_destroy(cfi->debug);
	for (size_t i = 0; i < cfi->module_len; i++)
		free(cfi->modules[i].table);
	free(cfi->modules);
	free(cfi);
}

struct gi_error *gi_cfi_begin(struct gi_cfi *cfi, const struct gi_regs *regs, bool exact)
{
	cfi->start = cfi->now = *regs;
	cfi->exact = cfi->now_exact = exact;
	if (cfi->own)
		return NULL;
	// A return address may be the next function's, or in another part of this one.
	if (!exact && cfi->start.r[GI_AMD64_RIP])
		cfi->start.r[GI_AMD64_RIP]--;
	int r = unw_init_remote(&cfi->cursor, cfi->as, cfi);
	if (r < 0)
		return gi_error_create(GI_ERR_UNSUPPORTED, "C frames cannot be unwound: %s",
				       unw_strerror(r));
	return NULL;
}

bool gi_cfi_is_signal_frame(struct gi_cfi *cfi)
{
	return !cfi->own && unw_is_signal_frame(&cfi->cursor) > 0;
}

// By the frame record that the frame pointer leads to. libunwind does so too, but its caller's
// stack pointer is another: with it the next frame's information would go wrong.
static enum gi_cfi_result guess(struct gi_cfi *cfi, uint64_t fp, uint64_t sp, struct gi_regs *ret)
{
	struct gi_regs regs = {.arch = GI_ARCH_AMD64};
	uint64_t pc, next;

	if (!fp || fp % 8 || fp < sp || fp - sp > GUESS_MAX ||
	    !gi_target_peek_u64(cfi->t, fp, &next) || !gi_target_peek_u64(cfi->t, fp + 8, &pc))
		return GI_CFI_FAILED;
	// Where nothing says that a frame is the outermost, its frame pointer does not either.
	if (!pc)
		return GI_CFI_FAILED;
	gi_regs_set(&regs, GI_AMD64_RIP, pc);
	gi_regs_set(&regs, GI_AMD64_RSP, fp + 16);
	gi_regs_set(&regs, GI_AMD64_RBP, next);
	struct gi_error *err = gi_cfi_begin(cfi, &regs, false);
	if (err) {
		gi_error_ignore(err);
		return GI_CFI_FAILED;
	}
	*ret = regs;
	return GI_CFI_GUESSED;
}

static enum gi_cfi_result step_by_debug_frame(struct gi_cfi *cfi, struct gi_regs *ret)
{
	struct gi_error *err = NULL;
	struct gi_regs regs;

	if (!cfi->debug)
		err = gi_frame_info_create(cfi->t, &cfi->debug);
	enum gi_cfi_result r = err ? GI_CFI_FAILED :
				     gi_frame_info_step_debug(cfi->debug, &cfi->now,
							      cfi->now_exact, &regs);
	if (r == GI_CFI_STEP)
		err = gi_cfi_begin(cfi, &regs, false);
	if (err) {
		gi_error_ignore(err);
		return GI_CFI_FAILED;
	}
	if (r == GI_CFI_STEP)
		*ret = regs;
	return r;
}

enum gi_cfi_result gi_cfi_step(struct gi_cfi *cfi, struct gi_regs *ret)
{
	if (cfi->own) {
		enum gi_cfi_result own =
			gi_frame_info_step(cfi->own, &cfi->start, cfi->exact, ret);
		if (own == GI_CFI_STEP || own == GI_CFI_GUESSED)
			cfi->start = *ret;
		cfi->exact = false;
		return own;
	}
	unw_word_t fp = 0, sp = 0;
	if (unw_get_reg(&cfi->cursor, UNW_X86_64_RBP, &fp) < 0 ||
	    unw_get_reg(&cfi->cursor, UNW_X86_64_RSP, &sp) < 0)
		fp = 0;
	const bool signal = gi_cfi_is_signal_frame(cfi);
	cfi->found_info = false;
	int r = unw_step(&cfi->cursor);
	if (!cfi->found_info) {
		const enum gi_cfi_result by_debug = step_by_debug_frame(cfi, ret);
		return by_debug == GI_CFI_FAILED ? guess(cfi, fp, sp, ret) : by_debug;
	}
	if (r < 0)
		return GI_CFI_FAILED;
	if (!r)
		return GI_CFI_END;
	struct gi_regs regs = {.arch = GI_ARCH_AMD64};
	for (size_t i = 0; i < GI_ARRAY_SIZE(from_unw); i++) {
		unw_word_t v;
		if (unw_get_reg(&cfi->cursor, (unw_regnum_t)i, &v) >= 0)
			gi_regs_set(&regs, from_unw[i], v);
	}
	*ret = cfi->now = regs;
	cfi->now_exact = signal;
	return GI_CFI_STEP;
}

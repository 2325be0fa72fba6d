// Where the word of thread-local storage is that holds g.
//
// In a program it is in the executable's TLS segment, at the place of the symbol runtime.tlsg.
// That segment ends at the thread pointer or begins behind the thread control block there, as
// the machine has it. Pure Go programs have no such segment; some use the word below the thread
// pointer. In a library the segment is put anywhere when the library is loaded; its code takes
// the offset from a word that the dynamic linker fills in, and a relocation (TPOFF) tells which
// word that is. A stripped program does not say which of its segment's words it is.
// So there may be several places; who asks looks at each of them for a g.
// Sources: cmd/link/internal/ld (tlsg), cmd/internal/obj/x86/obj6.go, Go 1.18 to 1.27; the ELF
// handling of thread-local storage.

#include "go/go_impl.h"

#include <elf.h>

enum { RELA_SIZE = 24, RELAS_MAX = 1 << 22 };

struct places {
	uint64_t *ret;
	size_t n, max;
};

static void add(struct places *p, uint64_t off)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->ret[i] == off)
			return;
	}
	if (p->n < p->max)
		p->ret[p->n++] = off;
}

// The offset of the byte at off in the executable's TLS segment.
static uint64_t in_program(const struct gi_machine *machine, const struct gi_elf_segment *s,
			   uint64_t off)
{
	uint64_t align = s->align;

	if (align <= 1 || (align & (align - 1)) != 0)
		align = 1;
	if (machine->tcb_size)
		return machine->tcb_size + ((s->vaddr - machine->tcb_size) & (align - 1)) + off;
	return off - s->memsz - ((0 - s->memsz - s->vaddr) & (align - 1));
}

// What the dynamic linker wrote where code of a library looks for offsets.
static void add_relocated(struct gi_go *go, struct places *p)
{
	const struct gi_machine *machine = gi_target_machine(go->target);
	const uint32_t want = machine->elf_machine == EM_AARCH64 ? R_AARCH64_TLS_TPREL :
								   R_X86_64_TPOFF64;
	uint64_t bias = gi_target_exe_bias(go->target), off;
	const uint8_t *relas;
	size_t size;
	struct gi_error *err =
		gi_elf_section(gi_target_exe(go->target), ".rela.dyn", &relas, &size, NULL);

	if (err) {
		gi_error_ignore(err);
		return;
	}
	for (size_t i = 0; i < size / RELA_SIZE && i < RELAS_MAX; i++) {
		const uint8_t *r = relas + i * RELA_SIZE;

		if (gi_load_u32(r + 8) == want &&
		    gi_target_peek_u64(go->target, bias + gi_load_u64(r), &off))
			add(p, off);
	}
}

size_t gi_go_tls_places(struct gi_go *go, uint64_t *ret, size_t max)
{
	struct places p = {.ret = ret, .max = max};
	const struct gi_machine *machine = gi_target_machine(go->target);
	const struct gi_global *tlsg = &go->layout.global.tlsg;
	struct gi_elf *exe = gi_target_exe(go->target);
	struct gi_elf_segment tls = {0};

	for (size_t i = 0; exe && i < gi_elf_segment_count(exe); i++) {
		struct gi_elf_segment s = gi_elf_segment(exe, i);

		if (s.type == PT_TLS)
			tls = s;
	}
	if (tlsg->ok && gi_in_bounds(tlsg->addr, 8, tls.memsz))
		add(&p, in_program(machine, &tls, tlsg->addr));
	else if (!tls.type && machine->tls_without_cgo)
		add(&p, (uint64_t)-8);
	if (exe)
		add_relocated(go, &p);
	if (machine->tls_without_cgo)
		add(&p, (uint64_t)-8);
	for (uint64_t off = 0; off < tls.memsz && p.n < max; off += 8)
		add(&p, in_program(machine, &tls, off));
	return p.n;
}

// Cores: any bytes are opened as a core of a known executable, and whatever opens is read
// all over: threads, notes, mappings, memory at and around their borders.

#include "fuzz.h"

#include <elf.h>
#include <string.h>

#include "gcore/dump.h"

#include "../support/core_builder.h"
#include "../support/files.h"

enum { EXE = 0x400000, LIMIT = 2000 };

static char *exe_path;

static struct core_builder *seed(enum core_order order)
{
	struct core_builder *b = core_builder_create(order);
	_cleanup_(gi_elf_closep) struct gi_elf *elf = NULL;
	if (gi_elf_open(exe_path, &elf))
		abort();
	size_t n;
	const uint8_t *file = gi_elf_bytes(elf, &n);
	uint8_t stack[256] = "/proc/self/exe";
	core_builder_add_load(b, EXE, GI_MAP_R | GI_MAP_X, file, 512, 4096);
	core_builder_add_load(b, EXE + 4096, GI_MAP_R, NULL, 0, 4096);
	core_builder_add_load(b, 0x7000000, GI_MAP_R | GI_MAP_W, stack, sizeof(stack), 4096);
	core_builder_add_file(b, EXE, EXE + 0x1000, 0, exe_path);
	core_builder_add_file(b, EXE + 0x1000, EXE + 0x2000, 0x1000, exe_path);
	core_builder_set_process(b, 10, 1, 0, "exe", "./exe");
	core_builder_set_siginfo(b, 11, 1, 0);
	core_builder_add_auxv(b, AT_PHDR, EXE + 64);
	core_builder_add_auxv(b, AT_ENTRY, EXE + 0x100);
	core_builder_add_auxv(b, AT_EXECFN, 0x7000000);
	core_builder_add_auxv(b, AT_SYSINFO_EHDR, EXE);
	core_builder_add_thread(b, 10, NULL, 11);
	core_builder_add_thread(b, 11, NULL, 0);
	return b;
}

static void make_exe(void)
{
	_cleanup_(elf_builder_destroyp) struct elf_builder *b = elf_builder_create(ET_DYN);
	_cleanup_(gi_str_deinit) struct gi_str notes = { 0 };
	elf_note_add(&notes, "GNU", NT_GNU_BUILD_ID, "12345678", 8);
	elf_builder_set_entry(b, 0x100);
	elf_builder_add_first_load(b, PF_R | PF_X, 0, 4096, &notes, 't');
	elf_builder_add_segment(b, PT_LOAD, PF_R, 0x1000, "rodata", 6, 4096, 4096);
	exe_path = elf_builder_write(b, "exe");
}

// A mini dump of that core, with all of its tables.
static void mini_seed(const uint8_t *core, size_t n)
{
	_cleanup_(gi_freep) char *from = test_write("core", core, n), *to = test_path("mini");
	struct gi_target_options opts = { .exe = exe_path };
	struct gi_target *t;
	struct gi_record *r;
	struct gi_dump_result made;
	struct gi_elf *elf;
	uint8_t word[8];
	if (gi_target_open_core(from, &opts, &t) || gi_record_start(t, &r))
		abort();
	gi_error_ignore(gi_target_read(t, 0x7000000, word, sizeof(word)));
	gi_error_ignore(gi_target_read(t, EXE + 64, word, sizeof(word)));
	if (gi_target_keep_answer(t, "reach", word, sizeof(word)) || gi_dump_mini(t, r, to, &made) ||
	    gi_elf_open(to, &elf))
		abort();
	const uint8_t *bytes = gi_elf_bytes(elf, &n);
	fuzz_seed("mini", bytes, n);
	gi_elf_close(elf);
	gi_record_destroy(r);
	gi_target_close(t);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	make_exe();
	if (!fuzz_seed_dir())
		return 0;
	for (int order = CORE_BY_KERNEL; order <= CORE_BY_GDB; order++) {
		_cleanup_(core_builder_destroyp) struct core_builder *b = seed((enum core_order)order);
		size_t n;
		_cleanup_(gi_freep) uint8_t *bytes = core_builder_build(b, &n);
		fuzz_seed(order == CORE_BY_KERNEL ? "kernel" : "gdb", bytes, n);
		if (order == CORE_BY_KERNEL)
			mini_seed(bytes, n);
	}
	exit(0);
}

static void touch(struct gi_target *t, uint64_t addr)
{
	uint8_t buf[64];
	uint64_t bias, value;
	size_t n;
	struct gi_error *err = gi_target_read(t, addr, buf, sizeof(buf));
	uint64_t at;
	if (err && !(gi_error_address(err, &at) && at - addr <= sizeof(buf)))
		abort(); // an error that does not say where
	gi_error_ignore(err);
	gi_target_peek_u64(t, addr, &value);
	const uint8_t *p = gi_target_view_max(t, addr, SIZE_MAX, &n);
	if (p && n)
		value += p[0] + p[n - 1] + p[n / 2];
	gi_target_elf_at(t, addr, &bias);
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	gi_error_ignore(gi_target_read_cstring(t, addr, 100, &s));
	gi_error_ignore(gi_target_read_gostring(t, addr, 1000, &s));
}

static void walk(struct gi_target *t)
{
	size_t total = 0;
	const struct gi_process_info *info = gi_target_info(t);
	const char *strings[] = { info->comm, info->args, info->exe_name, info->exe_path };
	for (size_t i = 0; i < GI_ARRAY_SIZE(strings); i++)
		total += strings[i] ? strlen(strings[i]) : 0;
	for (size_t i = 0; i < gi_target_note_count(t); i++)
		total += strlen(gi_target_note(t, i));
	for (size_t i = 0; i < gi_target_thread_count(t); i++) {
		const struct gi_thread *th = gi_target_thread(t, i);
		for (size_t k = 0; k < th->siginfo_len; k++)
			total += th->siginfo[k];
		for (size_t k = 0; k < th->xstate_len; k++)
			total += th->xstate[k];
		touch(t, gi_regs_sp(&th->regs));
	}
	uint64_t end = 0;
	for (size_t i = 0; i < gi_target_mapping_count(t) && i < LIMIT; i++) {
		const struct gi_mapping *m = gi_target_mapping(t, i);
		if (m->start < end || m->end <= m->start || m->saved > m->end - m->start ||
		    gi_target_mapping_at(t, m->start) != m)
			abort();
		end = m->end;
		total += m->path ? strlen(m->path) : 0;
		touch(t, m->start - 1);
		touch(t, m->start);
		touch(t, m->start + m->saved - 8);
		touch(t, m->start + m->saved);
		touch(t, m->end - 8);
		touch(t, m->end);
	}
	size_t n;
	const uint8_t *answer = gi_target_answer(t, "reach", &n);
	for (size_t i = 0; answer && i < n; i++)
		total += answer[i];
	touch(t, 0);
	touch(t, UINT64_MAX);
	if (!gi_target_debug_elf(t) || total == SIZE_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = fuzz_file(data, size, path, sizeof(path));
	struct gi_target_options opts = { .exe = exe_path };
	for (int i = 0; i < 2; i++) {
		struct gi_target *t = NULL;
		struct gi_error *err = gi_target_open_core(path, i == 0 ? &opts : NULL, &t);
		if (err && strchr(gi_error_message(err), '\n'))
			abort();
		gi_error_ignore(err);
		if (t)
			walk(t);
		gi_target_close(t);
	}
	close(fd);
	return 0;
}

// The target, whatever its backend: memory, threads, mappings.
//
// A backend answers one question, "which bytes can be read in one piece at this
// address, or why not"; everything else about memory is made of that here.

#include "target/target_impl.h"

#include <stdlib.h>
#include <string.h>

struct gi_error *gi_target_init(struct gi_target *t, const struct gi_target_ops *ops)
{
	t->ops = ops;
	t->arch = GI_ARCH_AMD64;
	pthread_mutex_init(&t->lock, NULL);
	return gi_arena_create(&t->arena);
}

void gi_target_close(struct gi_target *t)
{
	if (!t)
		return;
	gi_elf_close(t->exe);
	gi_elf_close(t->debug_elf);
	free(t->threads);
	free(t->mappings);
	free(t->notes);
	gi_arena_destroy(t->arena);
	pthread_mutex_destroy(&t->lock);
	t->ops->destroy(t);
}

const char *gi_target_escape(struct gi_target *t, const char *s, size_t n)
{
	_cleanup_(gi_str_deinit) struct gi_str str = { 0 };
	gi_str_put_escaped(&str, s, n);
	const char *copy = str.oom ? NULL : gi_arena_strdup(t->arena, gi_str_cstr(&str));
	return copy ? copy : "?";
}

void gi_target_add_note(struct gi_target *t, const char *fmt, ...)
{
	_cleanup_(gi_str_deinit) struct gi_str str = { 0 };
	va_list ap;
	va_start(ap, fmt);
	gi_str_vprintf(&str, fmt, ap);
	va_end(ap);
	char *text = str.oom ? NULL : gi_arena_strdup(t->arena, gi_str_cstr(&str));
	struct gi_error *err = gi_grow(&t->notes, &t->note_cap, t->note_count + 1,
				       sizeof(*t->notes));
	// Without memory for a remark there is none for the work either, which will say so.
	gi_error_ignore(err);
	if (text && !err)
		t->notes[t->note_count++] = text;
}

bool gi_target_was_late(struct gi_target *t)
{
	return atomic_exchange(&t->late, false);
}

void gi_target_set_late(struct gi_target *t)
{
	atomic_store(&t->late, true);
}

bool gi_target_is_late(struct gi_target *t, uint64_t addr, uint64_t *len)
{
	return t->ops->is_late && t->ops->is_late(t, addr, len);
}

enum gi_arch gi_target_arch(const struct gi_target *t)
{
	return t->arch;
}

const struct gi_machine *gi_target_machine(const struct gi_target *t)
{
	return gi_machine(t->arch);
}

const struct gi_process_info *gi_target_info(const struct gi_target *t)
{
	return &t->info;
}

size_t gi_target_note_count(const struct gi_target *t)
{
	return t->note_count;
}

const char *gi_target_note(const struct gi_target *t, size_t i)
{
	return i < t->note_count ? t->notes[i] : NULL;
}

struct gi_error *gi_target_check_unchanged(struct gi_target *t)
{
	return t->ops->check_unchanged ? t->ops->check_unchanged(t) : NULL;
}

struct gi_elf *gi_target_exe(struct gi_target *t)
{
	return t->exe;
}

size_t gi_target_other_runtime_count(const struct gi_target *t)
{
	return t->runtime_count;
}

const char *gi_target_other_runtime(const struct gi_target *t, size_t i)
{
	return i < t->runtime_count ? t->runtimes[i] : NULL;
}

uint64_t gi_target_exe_bias(const struct gi_target *t)
{
	return t->exe_bias;
}

struct gi_elf *gi_target_debug_elf(struct gi_target *t)
{
	pthread_mutex_lock(&t->lock);
	if (!t->debug_looked_for) {
		t->debug_looked_for = true;
		if (t->exe && t->ops->open_debug)
			t->debug_elf = t->ops->open_debug(t);
	}
	struct gi_elf *elf = t->debug_elf ? t->debug_elf : t->exe;
	pthread_mutex_unlock(&t->lock);
	return elf;
}

struct gi_elf *gi_target_elf_at(struct gi_target *t, uint64_t addr, uint64_t *bias_ret)
{
	struct gi_elf *elf = t->ops->elf_at ? t->ops->elf_at(t, addr, bias_ret) : NULL;
	if (elf && t->record)
		gi_record_add_elf(t->record, elf);
	return elf;
}

struct gi_elf *gi_target_debug_elf_at(struct gi_target *t, uint64_t addr, uint64_t *bias_ret)
{
	struct gi_elf *elf = gi_target_elf_at(t, addr, bias_ret), *debug = NULL;
	if (elf && elf == t->exe)
		return gi_target_debug_elf(t);
	if (elf && t->ops->library_debug)
		debug = t->ops->library_debug(t, addr);
	return debug ? debug : elf;
}

bool gi_target_symbol_at(struct gi_target *t, uint64_t addr, struct gi_elf_symbol *ret,
			 uint64_t *bias_ret)
{
	struct gi_elf *elf = gi_target_elf_at(t, addr, bias_ret);
	if (t->ops->symbol_at)
		return t->ops->symbol_at(t, addr, ret, bias_ret);
	return elf && gi_elf_symbol_by_addr(elf, addr - *bias_ret, ret);
}

size_t gi_target_file_count(const struct gi_target *t)
{
	return t->ops->file_count ? t->ops->file_count(t) : 0;
}

struct gi_target_file gi_target_file(struct gi_target *t, size_t i)
{
	if (i < gi_target_file_count(t))
		return t->ops->file(t, i);
	return (struct gi_target_file){.go_id = ""};
}

// --- memory ---------------------------------------------------------------

static const void *target_view(struct gi_target *t, uint64_t addr, size_t max, size_t *n_ret,
			       enum gi_error_code *why_ret)
{
	const void *p = t->ops->view(t, addr, max, n_ret, why_ret);
	if (p && t->record)
		gi_record_add(t->record, addr, *n_ret);
	return p;
}

static struct gi_error *unreadable(struct gi_target *t, uint64_t addr, enum gi_error_code why)
{
	if (t->ops->explain)
		return t->ops->explain(t, addr, why);
	return gi_error_at(why, addr, "memory at 0x%llx %s", (unsigned long long)addr,
			   why == GI_ERR_FAULT ? "is not mapped" : "was not saved");
}

struct gi_error *gi_target_read(struct gi_target *t, uint64_t addr, void *buf, size_t n)
{
	uint8_t *out = buf;
	while (n) {
		size_t got;
		enum gi_error_code why;
		const void *p = target_view(t, addr, n, &got, &why);
		if (!p)
			return unreadable(t, addr, why);
		memcpy(out, p, got);
		out += got;
		n -= got;
		if (n && addr > UINT64_MAX - got)
			return gi_error_at(GI_ERR_FAULT, UINT64_MAX,
					   "the address space ends at 0x%llx",
					   (unsigned long long)UINT64_MAX);
		addr += got;
	}
	return NULL;
}

const void *gi_target_view(struct gi_target *t, uint64_t addr, size_t n)
{
	size_t got;
	enum gi_error_code why;
	const void *p = target_view(t, addr, n, &got, &why);
	return p && got == n ? p : NULL;
}

const void *gi_target_view_max(struct gi_target *t, uint64_t addr, size_t max, size_t *n_ret)
{
	size_t got;
	enum gi_error_code why;
	const void *p = target_view(t, addr, max, &got, &why);
	*n_ret = p ? got : 0;
	return p;
}

void gi_target_fetch(struct gi_target *t, const struct gi_extent *list, size_t n)
{
	if (t->ops->fetch)
		t->ops->fetch(t, list, n);
}

uint64_t gi_target_unreadable(struct gi_target *t, uint64_t addr, uint64_t max)
{
	uint64_t n = t->ops->unreadable ? t->ops->unreadable(t, addr) :
					  t->info.page_size - (addr & (t->info.page_size - 1));
	n = gi_min_u64(n, max);
	return n ? n : 1;
}

struct gi_error *gi_target_read_u8(struct gi_target *t, uint64_t addr, uint8_t *ret)
{
	return gi_target_read(t, addr, ret, 1);
}

struct gi_error *gi_target_read_u32(struct gi_target *t, uint64_t addr, uint32_t *ret)
{
	uint8_t b[4];
	struct gi_error *err = gi_target_read(t, addr, b, sizeof(b));
	if (!err)
		*ret = gi_load_u32(b);
	return err;
}

struct gi_error *gi_target_read_u64(struct gi_target *t, uint64_t addr, uint64_t *ret)
{
	uint8_t b[8];
	struct gi_error *err = gi_target_read(t, addr, b, sizeof(b));
	if (!err)
		*ret = gi_load_u64(b);
	return err;
}

struct gi_error *gi_target_read_uint(struct gi_target *t, uint64_t addr, size_t n, uint64_t *ret)
{
	if (n != 1 && n != 2 && n != 4 && n != 8)
		return gi_error_at(GI_ERR_FORMAT, addr, "an integer of %zu bytes cannot be read", n);
	uint8_t b[8] = { 0 };
	struct gi_error *err = gi_target_read(t, addr, b, n);
	if (!err)
		*ret = gi_load_u64(b);
	return err;
}

bool gi_target_peek_u64(struct gi_target *t, uint64_t addr, uint64_t *ret)
{
	size_t got;
	enum gi_error_code why;
	const void *p = target_view(t, addr, 8, &got, &why);
	if (p && got == 8) {
		*ret = gi_load_u64(p);
		return true;
	}
	if (!p)
		return false;
	struct gi_error *err = gi_target_read_u64(t, addr, ret);
	gi_error_ignore(err);
	return !err;
}

// Appends [addr, addr + n) to str; str is as before on failure.
static struct gi_error *append(struct gi_target *t, uint64_t addr, size_t n, struct gi_str *str)
{
	size_t before = str->len;
	while (n) {
		size_t got;
		enum gi_error_code why;
		const void *p = target_view(t, addr, n, &got, &why);
		if (!p) {
			if (str->s) {
				str->len = before;
				str->s[before] = '\0';
			}
			return unreadable(t, addr, why);
		}
		gi_str_putn(str, p, got);
		addr += got;
		n -= got;
	}
	return str->oom ? gi_error_nomem() : NULL;
}

struct gi_error *gi_target_read_gostring(struct gi_target *t, uint64_t addr, size_t max,
					 struct gi_str *ret)
{
	uint8_t b[16];
	struct gi_error *err = gi_target_read(t, addr, b, sizeof(b));
	if (err)
		return err;
	uint64_t ptr = gi_load_u64(b), len = gi_load_u64(b + 8);
	if (len > max)
		return gi_error_at(GI_ERR_FORMAT, addr,
				   "the string at 0x%llx claims %llu bytes, more than %zu",
				   (unsigned long long)addr, (unsigned long long)len, max);
	return append(t, ptr, len, ret);
}

struct gi_error *gi_target_read_cstring(struct gi_target *t, uint64_t addr, size_t max,
					struct gi_str *ret)
{
	for (uint64_t at = addr; max;) {
		size_t got;
		enum gi_error_code why;
		const char *p = target_view(t, at, max, &got, &why);
		if (!p)
			return unreadable(t, at, why);
		const char *end = memchr(p, 0, got);
		if (end)
			return append(t, addr, at - addr + (uint64_t)(end - p), ret);
		at += got;
		max -= got;
	}
	return gi_error_at(GI_ERR_FORMAT, addr, "the string at 0x%llx does not end where it should",
			   (unsigned long long)addr);
}

// --- threads and mappings ---------------------------------------------------

size_t gi_target_thread_count(const struct gi_target *t)
{
	return t->thread_count;
}

const struct gi_thread *gi_target_thread(const struct gi_target *t, size_t i)
{
	return i < t->thread_count ? &t->threads[i] : NULL;
}

const struct gi_thread *gi_target_thread_by_tid(const struct gi_target *t, pid_t tid)
{
	for (size_t i = 0; i < t->thread_count; i++) {
		if (t->threads[i].tid == tid)
			return &t->threads[i];
	}
	return NULL;
}

size_t gi_target_mapping_count(const struct gi_target *t)
{
	return t->mapping_count;
}

const struct gi_mapping *gi_target_mapping(const struct gi_target *t, size_t i)
{
	return i < t->mapping_count ? &t->mappings[i] : NULL;
}

const struct gi_mapping *gi_target_mapping_at(const struct gi_target *t, uint64_t addr)
{
	size_t lo = 0, hi = t->mapping_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (t->mappings[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < t->mapping_count && t->mappings[lo].start <= addr)
		return &t->mappings[lo];
	return NULL;
}

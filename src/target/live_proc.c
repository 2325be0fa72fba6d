// What /proc says of a process: its mappings, name, threads (proc(5)).

#include "target/live_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_STEP = 1 << 16, MAPS_MAX = 1 << 28, THREADS_MAX = 1 << 22 };

struct gi_error *gi_live_proc_read(pid_t pid, const char *name, struct gi_str *ret)
{
	_cleanup_(gi_str_deinit) struct gi_str path = { 0 };
	_cleanup_(gi_freep) char *buf = malloc(READ_STEP);
	gi_str_printf(&path, "/proc/%d/%s", (int)pid, name);
	if (!buf || path.oom)
		return gi_error_nomem();
	int fd = open(path.s, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return gi_error_errno("cannot open %s", path.s);
	struct gi_error *err = NULL;
	while (!err) {
		ssize_t got = read(fd, buf, READ_STEP);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			err = gi_error_errno("cannot read %s", path.s);
		if (got <= 0)
			break;
		gi_str_putn(ret, buf, (size_t)got);
		if (ret->oom)
			err = gi_error_nomem();
		else if (ret->len > MAPS_MAX)
			err = gi_error_create(GI_ERR_FORMAT, "%s does not end", path.s);
	}
	close(fd);
	return err;
}

bool gi_live_proc_value(const char *text, const char *key, char *buf, size_t n)
{
	size_t len = strlen(key);
	for (const char *p = text; p && *p;) {
		const char *end = strchr(p, '\n');
		if (strncmp(p, key, len) == 0 && p[len] == ':') {
			p += len + 1;
			p += strspn(p, " \t");
			size_t value = end ? (size_t)(end - p) : strlen(p);
			value = gi_min_u64(value, n - 1);
			memcpy(buf, p, value);
			buf[value] = '\0';
			return true;
		}
		p = end ? end + 1 : NULL;
	}
	return false;
}

// --- mappings -------------------------------------------------------------------

// "\012" stands for a newline in a path; nothing else is escaped.
static char *unescape(struct gi_arena *arena, const char *s, size_t n)
{
	char *copy = gi_arena_strndup(arena, s, n);
	if (!copy)
		return NULL;
	char *to = copy;
	for (char *p = copy; *p; p++) {
		if (strncmp(p, "\\012", 4) == 0) {
			*to++ = '\n';
			p += 3;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return copy;
}

struct maps {
	struct live *l;
	size_t mapping_cap, origin_cap, file_cap;
	const char *last; // path
};

static bool parse_hex(const char **p, char end, uint64_t *ret)
{
	char *stop;
	errno = 0;
	*ret = strtoull(*p, &stop, 16);
	if (errno || stop == *p || *stop != end)
		return false;
	*p = stop + 1;
	return true;
}

static struct gi_error *take_line(struct maps *x, const char *p, const char *end)
{
	struct core *c = &x->l->core;
	struct gi_target *t = &c->base;
	struct gi_mapping m = { 0 };
	if (!parse_hex(&p, '-', &m.start) || !parse_hex(&p, ' ', &m.end) || m.start >= m.end ||
	    end - p < 5 ||
	    (t->mapping_count && m.start < t->mappings[t->mapping_count - 1].end))
		return gi_error_create(GI_ERR_FORMAT, "/proc/%d/maps cannot be understood",
				       (int)x->l->pid);
	m.flags = (p[0] == 'r' ? GI_MAP_R : 0) | (p[1] == 'w' ? GI_MAP_W : 0) |
		  (p[2] == 'x' ? GI_MAP_X : 0);
	m.shared = p[3] == 's';
	p += 5;
	if (!parse_hex(&p, ' ', &m.file_off))
		return gi_error_create(GI_ERR_FORMAT, "/proc/%d/maps cannot be understood",
				       (int)x->l->pid);
	for (unsigned skip = 0; skip < 2 && p < end; skip++) { // device, inode
		while (p < end && *p != ' ')
			p++;
		while (p < end && *p == ' ')
			p++;
	}
	// "[heap]" and names that the program gave are no files; an empty one is none.
	if (p < end && strncmp(p, "[anon", 5) != 0) {
		size_t n = (size_t)(end - p);
		if (!x->last || strncmp(x->last, p, n) != 0 || x->last[n])
			x->last = unescape(t->arena, p, n);
		if (!x->last)
			return gi_error_nomem();
		m.path = x->last;
	}
	struct gi_error *err = gi_grow(&t->mappings, &x->mapping_cap, t->mapping_count + 1,
				       sizeof(*t->mappings));
	if (!err)
		err = gi_grow(&c->origins, &x->origin_cap, t->mapping_count + 1,
			      sizeof(*c->origins));
	if (!err && m.path && m.path[0] == '/')
		err = gi_grow(&c->files, &x->file_cap, c->file_count + 1, sizeof(*c->files));
	if (err)
		return err;
	if (m.path && m.path[0] == '/')
		c->files[c->file_count++] = (struct core_file){
			.start = m.start, .end = m.end, .off = m.file_off, .path = m.path};
	c->origins[t->mapping_count] = (struct core_origin){ .load = SIZE_MAX, .module = SIZE_MAX };
	t->mappings[t->mapping_count++] = m;
	return NULL;
}

struct gi_error *gi_live_take_maps(struct live *l, const char *text)
{
	struct core *c = &l->core;
	struct gi_target *t = &c->base;
	struct maps x = { .l = l };
	free(t->mappings);
	free(c->origins);
	free(c->files);
	t->mappings = NULL;
	c->origins = NULL;
	c->files = NULL;
	t->mapping_count = c->file_count = 0;
	for (const char *p = text; *p;) {
		const char *end = strchrnul(p, '\n');
		struct gi_error *err = take_line(&x, p, end);
		if (err)
			return err;
		p = *end ? end + 1 : end;
	}
	if (!t->mapping_count)
		return gi_error_create(GI_ERR_NOT_FOUND, "process %d has no memory: it ends",
				       (int)l->pid);
	return NULL;
}

// --- the process as a whole -------------------------------------------------------

static char *take_text(struct live *l, const char *name, bool lines)
{
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	gi_error_ignore(gi_live_proc_read(l->via, name, &s));
	size_t n = s.len;
	while (n && (s.s[n - 1] == '\0' || s.s[n - 1] == '\n' || s.s[n - 1] == ' '))
		n--;
	for (size_t i = 0; !lines && i < n; i++) {
		if (!s.s[i])
			s.s[i] = ' ';
	}
	return n ? gi_arena_strndup(l->core.base.arena, s.s, n) : NULL;
}

struct gi_error *gi_live_take_info(struct live *l)
{
	struct gi_target *t = &l->core.base;
	_cleanup_(gi_str_deinit) struct gi_str auxv = { 0 }, status = { 0 };
	char value[64];
	t->info.pid = l->pid;
	t->info.comm = take_text(l, "comm", true);
	t->info.args = take_text(l, "cmdline", false);
	struct gi_error *err = gi_live_proc_read(l->pid, "status", &status);
	if (err)
		return err;
	if (gi_live_proc_value(gi_str_cstr(&status), "PPid", value, sizeof(value)))
		t->info.ppid = (pid_t)strtol(value, NULL, 10);
	if (gi_live_proc_value(gi_str_cstr(&status), "Uid", value, sizeof(value)))
		t->info.uid = (uid_t)strtoul(value, NULL, 10);
	err = gi_live_proc_read(l->via, "auxv", &auxv);
	if (err)
		return gi_error_code(err) == GI_ERR_IO && errno == EACCES ?
			       (gi_error_ignore(err), gi_live_refused(l->pid, l->pid, EACCES)) :
			       err;
	uint8_t *copy = gi_arena_alloc(t->arena, auxv.len + 1);
	if (!copy)
		return gi_error_nomem();
	memcpy(copy, gi_str_cstr(&auxv), auxv.len);
	gi_core_take_auxv(&l->core, copy, auxv.len);
	return NULL;
}

// "monotonic SECONDS NANOSECONDS", of a time namespace.
static int64_t namespace_offset(pid_t pid)
{
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	gi_error_ignore(gi_live_proc_read(pid, "timens_offsets", &s));
	const char *p = s.s ? strstr(s.s, "monotonic") : NULL;
	if (!p)
		return 0;
	char *end;
	int64_t seconds = strtoll(p + strlen("monotonic"), &end, 10);
	return seconds * 1000000000 + strtoll(end, NULL, 10);
}

int64_t gi_live_clock_offset(pid_t pid)
{
	return namespace_offset(pid) - namespace_offset(getpid());
}

// --- threads ----------------------------------------------------------------------

char gi_live_thread_state(pid_t pid, pid_t tid)
{
	_cleanup_(gi_str_deinit) struct gi_str name = { 0 }, stat = { 0 };
	gi_str_printf(&name, "task/%d/stat", (int)tid);
	gi_error_ignore(gi_live_proc_read(pid, gi_str_cstr(&name), &stat));
	// The name before it may hold anything, parentheses too.
	const char *p = stat.s ? strrchr(stat.s, ')') : NULL;
	return p && p[1] == ' ' ? p[2] : 0;
}

struct gi_error *gi_live_list_threads(pid_t pid, pid_t **list, size_t *count, size_t *cap)
{
	_cleanup_(gi_str_deinit) struct gi_str path = { 0 };
	gi_str_printf(&path, "/proc/%d/task", (int)pid);
	DIR *dir = opendir(gi_str_cstr(&path));
	if (!dir)
		return gi_error_errno("cannot read %s", gi_str_cstr(&path));
	struct gi_error *err = NULL;
	for (struct dirent *e; !err && (e = readdir(dir));) {
		long tid = strtol(e->d_name, NULL, 10);
		if (tid <= 0 || *count >= THREADS_MAX)
			continue;
		err = gi_grow(list, cap, *count + 1, sizeof(**list));
		if (!err)
			(*list)[(*count)++] = (pid_t)tid;
	}
	closedir(dir);
	return err;
}

pid_t gi_live_choose_thread(pid_t pid)
{
	_cleanup_(gi_freep) pid_t *tids = NULL;
	size_t n = 0, cap = 0;
	gi_error_ignore(gi_live_list_threads(pid, &tids, &n, &cap));
	// The first is pid.
	for (size_t i = 0; i < n; i++) {
		char state = gi_live_thread_state(pid, tids[i]);
		if (state && state != 'Z' && state != 'X')
			return tids[i];
	}
	return pid;
}

bool gi_live_has_ended(pid_t pid)
{
	_cleanup_(gi_freep) pid_t *tids = NULL;
	size_t n = 0, cap = 0;
	gi_error_ignore(gi_live_list_threads(pid, &tids, &n, &cap));
	// One that ends gives its memory up before it is a zombie; a leader may do so before other threads.
	for (size_t i = 0; i < n; i++) {
		_cleanup_(gi_str_deinit) struct gi_str name = { 0 }, status = { 0 };
		char value[64];
		gi_str_printf(&name, "task/%d/status", (int)tids[i]);
		gi_error_ignore(gi_live_proc_read(pid, gi_str_cstr(&name), &status));
		if (gi_live_proc_value(gi_str_cstr(&status), "VmSize", value, sizeof(value)))
			return false;
	}
	return true;
}

bool gi_live_sleeping_regs(struct live *l, pid_t tid, struct gi_regs *ret)
{
	_cleanup_(gi_str_deinit) struct gi_str name = { 0 }, text = { 0 };
	const struct gi_machine *machine = gi_target_machine(&l->core.base);
	*ret = (struct gi_regs){ .arch = machine->arch };
	gi_str_printf(&name, "task/%d/syscall", (int)tid);
	gi_error_ignore(gi_live_proc_read(l->pid, gi_str_cstr(&name), &text));
	const char *p = gi_str_cstr(&text);
	char *end;
	// "running", or "NUMBER 0xARG ... 0xSP 0xPC"; "-1 0xSP 0xPC" outside of a system call.
	long number = strtol(p, &end, 10);
	if (end == p)
		return false;
	uint64_t words[8];
	size_t n = 0;
	for (p = end; n < GI_ARRAY_SIZE(words); n++) {
		words[n] = strtoull(p, &end, 16);
		if (end == p)
			break;
		p = end;
	}
	if (n != (number < 0 ? 2 : 8))
		return false;
	if (number >= 0) {
		for (size_t i = 0; i < GI_ARRAY_SIZE(machine->syscall_args); i++)
			gi_regs_set(ret, machine->syscall_args[i], words[i]);
		unsigned kept = machine->syscall_kept != GI_NO_REG ? machine->syscall_kept :
								     machine->syscall_number;
		gi_regs_set(ret, kept, (uint64_t)number);
	}
	gi_regs_set(ret, machine->sp, words[n - 2]);
	gi_regs_set(ret, machine->pc, words[n - 1]);
	return true;
}

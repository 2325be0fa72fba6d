// The live backend: a process is opened, then looked at in snapshots.
//
//   opening    mappings, executable and libraries are found and opened while the process runs: that
//              can take long and needs no stop
//   rehearsal  what will be copied is copied once while it runs, and forgotten: our own
//              memory is there then, and everything that is only made once
//   snapshot   all threads stop; registers and mappings are read; what the caller names is copied;
//              they run on
//   after      commands answer from what was copied. What else they need is read from the running
//              process, and it is known that it was (gi_target_was_late)
//
// The process's files are read through /proc/PID: exe is the mapped file even when its path is gone
// or leads to another one by now, root is the root folder of its mount namespace.

#include "target/live_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/arch_impl.h"

enum {
	STACK_COPIED = 64 << 10,
	// Of a process with so much memory of its own all is copied: it takes some milliseconds, and
	// nothing is of a later moment then.
	WHOLE_MAX = 32 << 20,
};
// Larger stretches of address space are reserved, mostly (sanitizers): asking which pages are there
// would take longer than all else.
#define STRETCH_MAX ((uint64_t)1 << 30)

static void live_destroy(struct gi_target *t)
{
	struct live *l = live_of(t);
	gi_live_run(l);
	gi_core_deinit(&l->core);
	gi_live_memory_deinit(l);
	gi_str_deinit(&l->maps);
	free(l->tasks);
	gi_arena_destroy(l->registers);
	if (l->mem_fd >= 0)
		close(l->mem_fd);
	if (l->pagemap_fd >= 0)
		close(l->pagemap_fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static const struct gi_target_ops live_ops = {
	.name = "live",
	.is_core = true,
	.destroy = live_destroy,
	.view = gi_live_view,
	.fetch = gi_live_fetch,
	.explain = gi_live_explain,
	.is_late = gi_live_is_late,
	.elf_at = gi_core_elf_at,
	.open_debug = gi_core_open_debug,
	.library_debug = gi_core_library_debug,
	.symbol_at = gi_core_symbol_at,
	.file_count = gi_core_file_count,
	.file = gi_core_file,
	.check_unchanged = gi_core_check_unchanged,
};

bool gi_target_is_live(const struct gi_target *t)
{
	return t->ops == &live_ops;
}

// --- opening ----------------------------------------------------------------------

// Half of what is free: a copy of a process must not drive the machine out of memory.
static uint64_t pages_allowed(void)
{
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 };
	char value[64];
	gi_error_ignore(gi_live_proc_read(getpid(), "../meminfo", &s));
	if (!gi_live_proc_value(gi_str_cstr(&s), "MemAvailable", value, sizeof(value)))
		return UINT64_MAX;
	return strtoull(value, NULL, 10) * 1024 / 2 / LIVE_PAGE;
}

// When memory runs out all the same, it is us that the kernel should end, not the process.
static void offer_to_the_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, "1000", 4);
	close(fd);
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

// The executable by a name that says something, if that leads to the same file.
static const char *exe_path(struct live *l)
{
	struct gi_arena *arena = l->core.base.arena;
	_cleanup_(gi_str_deinit) struct gi_str exe = { 0 }, below = { 0 };
	char link[4096];
	gi_str_printf(&exe, "/proc/%d/exe", (int)l->via);
	ssize_t n = readlink(gi_str_cstr(&exe), link, sizeof(link) - 1);
	if (n > 0) {
		link[n] = '\0';
		if (same_file(link, gi_str_cstr(&exe)))
			return gi_arena_strdup(arena, link);
		gi_str_printf(&below, "/proc/%d/root%s", (int)l->via, link);
		if (same_file(gi_str_cstr(&below), gi_str_cstr(&exe)))
			return gi_arena_strdup(arena, gi_str_cstr(&below));
	}
	return gi_arena_strdup(arena, gi_str_cstr(&exe));
}

static struct gi_error *take_root(struct live *l, const struct gi_target_options *opts)
{
	_cleanup_(gi_str_deinit) struct gi_str root = { 0 };
	gi_str_printf(&root, "/proc/%d/root", (int)l->via);
	if (opts && opts->sysroot && opts->sysroot[0]) {
		gi_str_reset(&root);
		gi_str_puts(&root, opts->sysroot);
	} else if (same_file(gi_str_cstr(&root), "/")) {
		return NULL;
	}
	l->core.sysroot = strdup(gi_str_cstr(&root));
	return l->core.sysroot ? NULL : gi_error_nomem();
}

static struct gi_error *read_maps(struct live *l, bool *changed_ret)
{
	_cleanup_(gi_str_deinit) struct gi_str text = { 0 };
	struct gi_error *err = gi_live_proc_read(l->via, "maps", &text);
	if (err && errno == EACCES) {
		gi_error_ignore(err);
		return gi_live_refused(l->pid, l->pid, EACCES);
	}
	if (err)
		return err;
	*changed_ret = !l->maps.s || strcmp(l->maps.s, gi_str_cstr(&text)) != 0;
	if (!*changed_ret)
		return NULL;
	struct gi_str old = l->maps;
	l->maps = text;
	text = old;
	return gi_live_take_maps(l, gi_str_cstr(&l->maps));
}

// Of mappings that were read anew: which module each is of. True: there is a file that is new.
static bool match_modules(struct live *l)
{
	struct core *c = &l->core;
	bool fresh = false;
	for (size_t i = 0; i < c->base.mapping_count; i++) {
		const struct gi_mapping *m = &c->base.mappings[i];
		size_t best = SIZE_MAX;
		for (size_t k = 0; m->path && k < c->module_count; k++) {
			const struct core_module *mod = &c->modules[k];
			if (mod->path && mod->start <= m->start && strcmp(mod->path, m->path) == 0 &&
			    (best == SIZE_MAX || mod->start >= c->modules[best].start))
				best = k;
		}
		c->origins[i].module = best;
		fresh |= best == SIZE_MAX && m->path && m->path[0] == '/' && (m->flags & GI_MAP_X);
	}
	return fresh;
}

static int open_of(struct live *l, const char *name)
{
	_cleanup_(gi_str_deinit) struct gi_str path = { 0 };
	gi_str_printf(&path, "/proc/%d/%s", (int)l->via, name);
	return open(gi_str_cstr(&path), O_RDONLY | O_CLOEXEC);
}

static struct gi_error *open_process(struct live *l, const struct gi_target_options *opts)
{
	struct core *c = &l->core;
	struct gi_target *t = &c->base;
	// First: it is this memory, and no later program's, that all else is of.
	l->mem_fd = open_of(l, "mem");
	if (l->mem_fd < 0)
		return gi_live_refused(l->pid, l->pid, errno);
	l->pagemap_fd = open_of(l, "pagemap");
	struct gi_error *err = take_root(l, opts);
	if (!err)
		err = gi_core_debug_init(c, opts);
	if (!err)
		err = gi_live_take_info(l);
	bool changed;
	if (!err)
		err = read_maps(l, &changed);
	if (!err)
		err = gi_live_make_ranges(l);
	if (err)
		return err;
	l->probe = t->info.phdr ? t->info.phdr : t->mappings[0].start;

	err = gi_core_find_modules(c);
	if (err)
		return err;
	struct gi_target_options mine = opts ? *opts : (struct gi_target_options){ 0 };
	if (!mine.exe)
		mine.exe = exe_path(l);
	_cleanup_(gi_error_freep) struct gi_error *exe_err = gi_core_find_exe(c, &mine);
	if (exe_err && opts && opts->exe) {
		err = exe_err;
		exe_err = NULL;
		return err;
	}
	gi_core_open_libraries(c, opts);
	err = gi_core_choose_runtime(c, &exe_err);
	if (!err) {
		err = exe_err;
		exe_err = NULL;
	}
	return err ? err : gi_live_make_ranges(l);
}

struct gi_error *gi_target_open_live(pid_t pid, const struct gi_target_options *opts,
				     struct gi_target **ret)
{
	struct gi_error *err = gi_live_check_process(pid);
	if (err)
		return err;
	struct live *l = calloc(1, sizeof(*l));
	if (!l)
		return gi_error_nomem();
	struct core *c = &l->core;
	_cleanup_(gi_target_closep) struct gi_target *t = &c->base;
	l->pid = pid;
	l->via = c->live_pid = gi_live_choose_thread(pid);
	l->mem_fd = l->pagemap_fd = -1;
	l->clock_offset = gi_live_clock_offset(l->via);
	l->whole_max = WHOLE_MAX;
	l->max_pages = pages_allowed();
	pthread_mutex_init(&l->lock, NULL);
	err = gi_target_init(t, &live_ops);
	if (err)
		return err;
	t->arch = gi_arch_host();
	t->info.live = true;
	t->info.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	l->no_stop = t->info.never_stopped = opts && opts->no_stop;
	if (opts)
		c->unpacking = opts->unpacking;
	offer_to_the_oom_killer();
	err = gi_live_gone(l, open_process(l, opts));
	if (err)
		return err;
	*ret = t;
	t = NULL;
	return NULL;
}

// --- snapshots ----------------------------------------------------------------------

// Of each thread, the part of its stack that is in use.
static void copy_thread_stacks(struct live *l)
{
	struct gi_target *t = &l->core.base;
	_cleanup_(gi_freep) struct gi_extent *list = calloc(t->thread_count + 1, sizeof(*list));
	size_t n = 0;
	for (size_t i = 0; list && i < t->thread_count; i++) {
		uint64_t sp = gi_regs_sp(&t->threads[i].regs);
		const struct gi_mapping *m = gi_target_mapping_at(t, sp);
		if (m)
			list[n++] = (struct gi_extent){ sp, gi_min_u64(m->end - sp, STACK_COPIED) };
	}
	if (list)
		gi_target_fetch(t, list, n);
}

// All memory that the process can write to, if it is little.
static void copy_whole(struct live *l)
{
	struct gi_target *t = &l->core.base;
	_cleanup_(gi_str_deinit) struct gi_str statm = { 0 };
	gi_error_ignore(gi_live_proc_read(l->via, "statm", &statm));
	char *end;
	uint64_t size = strtoull(gi_str_cstr(&statm), &end, 10);
	uint64_t resident = strtoull(end, &end, 10), shared = strtoull(end, &end, 10);
	if (!size || shared > resident || (resident - shared) * t->info.page_size > l->whole_max)
		return;
	for (size_t i = 0; i < t->mapping_count; i++) {
		const struct gi_mapping *m = &t->mappings[i];
		if (m->end - m->start <= STRETCH_MAX && (m->flags & GI_MAP_W) && !(m->path && m->path[0] == '/' && m->shared))
			gi_target_fetch(t, &(struct gi_extent){ m->start, m->end - m->start }, 1);
	}
}

static struct gi_error *copy_all(struct live *l, gi_live_copy_fn copy, void *arg)
{
	bool changed;
	struct gi_error *err = gi_live_check_same(l);
	if (!err)
		err = read_maps(l, &changed);
	if (!err && changed) {
		(void)match_modules(l);
		err = gi_live_make_ranges(l);
	}
	if (err)
		return err;
	gi_live_forget(l);
	copy_thread_stacks(l);
	err = copy ? copy(arg) : NULL;
	if (!err)
		copy_whole(l);
	return err;
}

// Ctrl-Z in the midst of a look would leave the process standing for as long as we are stopped.
// Threads that are started meanwhile inherit this.
static void hold_job_control(sigset_t *before_ret)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGTTIN);
	sigaddset(&set, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &set, before_ret);
}

static struct gi_error *take_snapshot(struct live *l, gi_live_copy_fn copy, void *arg, bool hold)
{
	struct gi_error *err = NULL;
	if (l->stop.detached)
		err = gi_error_create(GI_ERR_USAGE, "process %d was detached from: look at it anew with "
						    "gcore-inspect -p %d",
				      (int)l->pid, (int)l->pid);
	if (!err)
		err = gi_live_check_same(l);
	if (err)
		return err;
	gi_live_run(l);
	l->via = gi_live_choose_thread(l->pid);
	l->standing = false;
	l->stop = (struct gi_live_stop){ .no_stop = l->no_stop };
	// The rehearsal: see above.
	if (copy) {
		gi_error_ignore(copy(arg));
		copy_whole(l);
	}
	gi_live_take_tasks(l);
	sigset_t signals;
	hold_job_control(&signals);
	struct live_priority priority = gi_live_hurry();
	err = l->no_stop ? gi_live_look_at_threads(l) : gi_live_halt(l);
	if (err) {
		gi_live_calm(priority);
		pthread_sigmask(SIG_SETMASK, &signals, NULL);
		return err;
	}
	uint64_t before = l->bytes;
	l->standing = true;
	err = copy_all(l, copy, arg);
	l->stop.bytes = l->bytes - before;
	if (!hold || err) {
		l->standing = false;
		gi_live_run(l);
	}
	gi_live_calm(priority);
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
	l->stop.held = l->tracer != NULL;
	atomic_store(&l->core.base.late, false);
	return err;
}

static struct gi_error *snapshot(struct live *l, gi_live_copy_fn copy, void *arg, bool hold)
{
	return gi_live_gone(l, take_snapshot(l, copy, arg, hold));
}

struct gi_error *gi_live_snapshot(struct gi_target *t, gi_live_copy_fn copy, void *arg)
{
	return snapshot(live_of(t), copy, arg, false);
}

struct gi_error *gi_live_hold(struct gi_target *t, gi_live_copy_fn copy, void *arg)
{
	if (live_of(t)->no_stop)
		return gi_error_create(GI_ERR_USAGE, "with --no-stop the process is never stopped");
	return snapshot(live_of(t), copy, arg, true);
}

void gi_live_release(struct gi_target *t)
{
	struct live *l = live_of(t);
	l->standing = false;
	gi_live_run(l);
	l->stop.held = false;
}

void gi_live_detach(struct gi_target *t)
{
	gi_live_release(t);
	live_of(t)->stop.detached = true;
}

const struct gi_live_stop *gi_live_stop(struct gi_target *t)
{
	struct live *l = live_of(t);
	if (l->tracer)
		l->stop.pause_ns = (uint64_t)((gi_now() - l->stopped_at) * 1e9);
	return &l->stop;
}

void gi_live_copy_up_to(struct gi_target *t, uint64_t bytes)
{
	live_of(t)->whole_max = bytes;
}

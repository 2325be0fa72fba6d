// What the kernel knows of each thread: its state, its time on processors, where it sleeps.
//
// It is asked just before the stop. In it every thread would be seen to sleep in ptrace_stop, and
// the questions would make it longer. Rates are of the time since the look before.
//
// Facts: proc(5): /proc/PID/task/TID/stat, status, wchan; schedstat has nanoseconds where the kernel
// was built with it.

#include "target/live_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WORDS_AT_ONCE = 512, STAT_UTIME = 11, STAT_STIME = 12, STAT_PROCESSOR = 36 };

static bool read_task_file(struct live *l, pid_t tid, const char *file, struct gi_str *ret)
{
	_cleanup_(gi_str_deinit) struct gi_str name = { 0 };
	gi_str_reset(ret);
	gi_str_printf(&name, "task/%d/%s", (int)tid, file);
	struct gi_error *err = gi_live_proc_read(l->pid, gi_str_cstr(&name), ret);
	gi_error_ignore(err);
	return !err && ret->len;
}

static void copy_text(char *to, size_t size, const char *from, size_t n)
{
	n = gi_min_u64(n, size - 1);
	memcpy(to, from, n);
	to[n] = '\0';
}

// "TID (NAME) STATE NUMBERS...": the name may hold anything.
static void take_stat(struct gi_live_task *task, const char *text)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	uint64_t tick = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	if (!open || !close || close < open || close[1] != ' ')
		return;
	copy_text(task->name, sizeof(task->name), open + 1, (size_t)(close - open - 1));
	task->state = close[2];
	char *p = (char *)close + 3;
	for (unsigned i = 1; *p; i++) {
		char *end;
		uint64_t v = strtoull(p, &end, 10);
		if (end == p)
			break;
		if (i == STAT_UTIME)
			task->user_ns = v * tick;
		else if (i == STAT_STIME)
			task->system_ns = v * tick;
		else if (i == STAT_PROCESSOR)
			task->processor = (int)v;
		p = end;
	}
}

static bool take_schedstat(const char *text, uint64_t *cpu_ret, uint64_t *wait_ret)
{
	char *end;
	*cpu_ret = strtoull(text, &end, 10);
	if (end == text)
		return false;
	*wait_ret = strtoull(end, NULL, 10);
	return true;
}

static uint64_t status_number(const char *status, const char *key)
{
	char value[32];
	return gi_live_proc_value(status, key, value, sizeof(value)) ? strtoull(value, NULL, 10) : 0;
}

static const struct gi_live_task *task_find(const struct gi_live_task *list, size_t n, pid_t tid)
{
	for (size_t lo = 0, hi = n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;
		if (list[mid].tid == tid)
			return &list[mid];
		if (list[mid].tid < tid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static void take_task(struct live *l, struct gi_live_task *task, struct gi_str *text)
{
	task->processor = -1;
	if (read_task_file(l, task->tid, "stat", text))
		take_stat(task, text->s);
	task->cpu_ns = task->user_ns + task->system_ns;
	if (read_task_file(l, task->tid, "schedstat", text))
		(void)take_schedstat(text->s, &task->cpu_ns, &task->wait_ns);
	if (read_task_file(l, task->tid, "wchan", text) && strcmp(text->s, "0") != 0)
		copy_text(task->wchan, sizeof(task->wchan), text->s, text->len);
	if (read_task_file(l, task->tid, "status", text)) {
		task->voluntary = status_number(text->s, "voluntary_ctxt_switches");
		task->involuntary = status_number(text->s, "nonvoluntary_ctxt_switches");
	}
}

static int by_tid(const void *a, const void *b)
{
	const struct gi_live_task *x = a, *y = b;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

void gi_live_take_tasks(struct live *l)
{
	_cleanup_(gi_freep) pid_t *tids = NULL;
	_cleanup_(gi_str_deinit) struct gi_str text = { 0 };
	size_t n = 0, cap = 0;
	struct gi_error *err = gi_live_list_threads(l->pid, &tids, &n, &cap);
	struct gi_live_task *list = err ? NULL : calloc(n + 1, sizeof(*list));
	gi_error_ignore(err);
	if (!list)
		return;
	double now = gi_now(), span = now - l->tasks_at;
	for (size_t i = 0; i < n; i++) {
		struct gi_live_task *task = &list[i];
		task->tid = tids[i];
		take_task(l, task, &text);
		const struct gi_live_task *old = task_find(l->tasks, l->task_count, tids[i]);
		if (!old || span <= 0 || task->cpu_ns < old->cpu_ns || task->wait_ns < old->wait_ns)
			continue;
		task->has_rate = true;
		task->cpu_rate = (double)(task->cpu_ns - old->cpu_ns) / 1e9 / span;
		task->wait_rate = (double)(task->wait_ns - old->wait_ns) / 1e9 / span;
	}
	qsort(list, n, sizeof(*list), by_tid);
	free(l->tasks);
	l->tasks = list;
	l->task_count = n;
	l->rate_span = l->tasks_at > 0 ? span : 0;
	l->tasks_at = now;
}

const struct gi_live_task *gi_live_task(struct gi_target *t, size_t i)
{
	if (!gi_target_is_live(t) || i >= t->thread_count)
		return NULL;
	return task_find(live_of(t)->tasks, live_of(t)->task_count, t->threads[i].tid);
}

// --- now ------------------------------------------------------------------------

bool gi_live_kernel_stack(struct gi_target *t, pid_t tid, struct gi_str *ret)
{
	_cleanup_(gi_str_deinit) struct gi_str text = { 0 };
	struct live *l = live_of(t);
	// While we hold it, it is that of a thread that is held.
	if (l->tracer || l->stop.detached || !read_task_file(l, tid, "stack", &text))
		return false;
	size_t before = ret->len;
	for (const char *p = text.s; *p;) {
		const char *end = strchrnul(p, '\n'), *name = strstr(p, "] ");
		// "[<0>] do_epoll_wait+0x6a2/0x750", the last one "0xffffffffffffffff" on old kernels.
		if (name && name < end && strncmp(name + 2, "0x", 2) != 0) {
			gi_str_put_escaped(ret, name + 2, (size_t)(end - name - 2));
			gi_str_putc(ret, '\n');
		}
		p = *end ? end + 1 : end;
	}
	return ret->len > before;
}

bool gi_live_cpu_now(struct gi_target *t, pid_t tid, uint64_t *ret)
{
	_cleanup_(gi_str_deinit) struct gi_str text = { 0 };
	struct live *l = live_of(t);
	uint64_t wait;
	if (read_task_file(l, tid, "schedstat", &text) && take_schedstat(text.s, ret, &wait))
		return true;
	struct gi_live_task task = { .tid = tid };
	if (!read_task_file(l, tid, "stat", &text))
		return false;
	take_stat(&task, text.s);
	*ret = task.user_ns + task.system_ns;
	return true;
}

void gi_live_words_now(struct gi_target *t, const uint64_t *addrs, size_t n, uint64_t *ret)
{
	struct live *l = live_of(t);
	struct iovec to[WORDS_AT_ONCE], from[WORDS_AT_ONCE];
	memset(ret, 0, n * sizeof(*ret));
	if (l->stop.detached || gi_live_is_over(t))
		return;
	for (size_t i = 0; i < n;) {
		size_t k = 0;
		for (; k < WORDS_AT_ONCE && i + k < n; k++) {
			to[k] = (struct iovec){ &ret[i + k], sizeof(*ret) };
			from[k] = (struct iovec){ (void *)(uintptr_t)addrs[i + k], sizeof(*ret) };
		}
		ssize_t got = gi_live_read(l, to, from, k);
		// It stops at the first that cannot be read, which is passed over.
		size_t whole = got > 0 ? (size_t)got / sizeof(*ret) : 0;
		i += whole < k ? whole + 1 : k;
	}
}

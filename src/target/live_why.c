// Why a process cannot be looked at: what the kernel answers with one error number, in words.
//
// ptrace(2) tells what is asked for (ptrace access mode checking): the same user, or the capability
// CAP_SYS_PTRACE in the process's user namespace; a process that is "dumpable"; what Yama's
// scope says (kernel documentation, admin-guide/LSM/Yama); and nobody else who traces it.

#include "target/live_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CAP_SYS_PTRACE_BIT = 19 };

static long file_number(const char *path)
{
	// Below /proc/self, so that one reader serves.
	_cleanup_(gi_str_deinit) struct gi_str s = { 0 }, name = { 0 };
	gi_str_printf(&name, "../..%s", path);
	gi_error_ignore(gi_live_proc_read(getpid(), gi_str_cstr(&name), &s));
	return s.len ? strtol(s.s, NULL, 10) : -1;
}

static struct gi_error *has_ended(pid_t pid)
{
	return gi_error_create(GI_ERR_NOT_FOUND, "process %d has ended", (int)pid);
}

// The flags of a task, field 9 of stat (proc(5)); PF_KTHREAD of linux/sched.h.
static bool is_kernel_thread(pid_t pid)
{
	enum { PF_KTHREAD = 0x200000, FIELDS_TO_FLAGS = 7 };
	_cleanup_(gi_str_deinit) struct gi_str stat = { 0 };
	gi_error_ignore(gi_live_proc_read(pid, "stat", &stat));
	// The name before it may hold anything, parentheses too.
	const char *p = stat.s ? strrchr(stat.s, ')') : NULL;
	for (int i = 0; p && i < FIELDS_TO_FLAGS; i++)
		p = strchr(p + 1, ' ');
	return p && strtoul(p, NULL, 10) & PF_KTHREAD;
}

struct gi_error *gi_live_check_process(pid_t pid)
{
	_cleanup_(gi_str_deinit) struct gi_str status = { 0 };
	char value[64] = "";
	struct gi_error *err = gi_live_proc_read(pid, "status", &status);
	if (err) {
		gi_error_ignore(err);
		return gi_error_create(GI_ERR_NOT_FOUND,
				       "there is no process %d%s", (int)pid,
				       access("/proc/self", F_OK) ? " (/proc is not mounted)" : "");
	}
	if (gi_live_proc_value(status.s, "Tgid", value, sizeof(value)) &&
	    strtol(value, NULL, 10) != pid)
		return gi_error_create(GI_ERR_NOT_FOUND, "%d is a thread of process %s: use -p %s",
				       (int)pid, value, value);
	if (pid == getpid())
		return gi_error_create(GI_ERR_NOT_FOUND, "%d is this program itself", (int)pid);
	_cleanup_(gi_freep) pid_t *tids = NULL;
	size_t count = 0, cap = 0;
	gi_error_ignore(gi_live_list_threads(pid, &tids, &count, &cap));
	char state = gi_live_thread_state(pid, pid);
	// The leader may have ended before other threads.
	if ((state == 'Z' || state == 'X') && count <= 1) {
		if (!gi_live_proc_value(status.s, "PPid", value, sizeof(value)))
			value[0] = '\0';
		return gi_error_create(GI_ERR_NOT_FOUND,
				       "process %d has ended (a zombie, for which its parent, process %s, "
				       "has not waited): nothing of it is left to look at",
				       (int)pid, value);
	}
	if (is_kernel_thread(pid))
		return gi_error_create(GI_ERR_NOT_FOUND,
				       "process %d is a thread of the kernel: it runs no Go program",
				       (int)pid);
	// One that ends lets go of its memory before its state says so.
	return gi_live_has_ended(pid) ? has_ended(pid) : NULL;
}

struct gi_error *gi_live_gone(struct live *l, struct gi_error *err)
{
	if (!err)
		return NULL;
	switch (gi_error_code(err)) {
	case GI_ERR_IO:
	case GI_ERR_FORMAT:
	case GI_ERR_NOT_FOUND:
	case GI_ERR_MISMATCH:
		break;
	default:
		return err;
	}
	struct gi_error *why = gi_live_check_same(l);
	if (!why)
		return err;
	gi_error_free(err);
	return why;
}

struct gi_error *gi_live_check_same(struct live *l)
{
	if (l->mem_fd >= 0 ? !gi_live_is_over(&l->core.base) : !gi_live_has_ended(l->pid))
		return NULL;
	if (gi_live_has_ended(l->pid))
		return has_ended(l->pid);
	return gi_error_create(GI_ERR_NOT_FOUND,
			       "process %d runs another program since (execve): look at it anew with "
			       "gcore-inspect -p %d",
			       (int)l->pid, (int)l->pid);
}

static bool have_capability(void)
{
	_cleanup_(gi_str_deinit) struct gi_str status = { 0 };
	char value[64];
	gi_error_ignore(gi_live_proc_read(getpid(), "status", &status));
	return gi_live_proc_value(gi_str_cstr(&status), "CapEff", value, sizeof(value)) &&
	       (strtoull(value, NULL, 16) >> CAP_SYS_PTRACE_BIT & 1);
}

static struct gi_error *traced_by(pid_t pid, long tracer)
{
	_cleanup_(gi_str_deinit) struct gi_str comm = { 0 }, shown = { 0 };
	gi_error_ignore(gi_live_proc_read((pid_t)tracer, "comm", &comm));
	gi_str_put_escaped(&shown, gi_str_cstr(&comm), comm.len ? comm.len - 1 : 0);
	return gi_error_create(GI_ERR_IO,
			       "process %d is traced already, by %s (process %ld): only one can; end that, "
			       "or use --no-stop, which needs no tracing",
			       (int)pid, shown.len ? shown.s : "another program", tracer);
}

struct gi_error *gi_live_refused(pid_t pid, pid_t tid, int err)
{
	_cleanup_(gi_str_deinit) struct gi_str status = { 0 }, name = { 0 };
	char value[64];
	if (err == ESRCH)
		return has_ended(pid);
	if (err != EPERM && err != EACCES) {
		errno = err;
		return gi_error_errno("process %d cannot be traced", (int)pid);
	}
	gi_str_printf(&name, "task/%d/status", (int)tid);
	gi_error_ignore(gi_live_proc_read(pid, gi_str_cstr(&name), &status));
	const char *text = gi_str_cstr(&status);
	long tracer = gi_live_proc_value(text, "TracerPid", value, sizeof(value)) ?
			      strtol(value, NULL, 10) :
			      0;
	if (tracer)
		return traced_by(pid, tracer);
	long scope = file_number("/proc/sys/kernel/yama/ptrace_scope");
	if (scope == 3)
		return gi_error_create(GI_ERR_IO,
				       "no permission to look at process %d: kernel.yama.ptrace_scope is 3, "
				       "which forbids it to all, root too, until the next boot",
				       (int)pid);
	if (have_capability())
		return gi_error_create(GI_ERR_IO,
				       "no permission to look at process %d although this is done with "
				       "CAP_SYS_PTRACE: it is in another user namespace (look at it from outside of "
				       "this container), a tracer outside of this container has it, or a "
				       "security module (SELinux, AppArmor, seccomp of a container) forbids it",
				       (int)pid);
	// Others can become root. Root without it is in a container, which has to be started anew.
	_cleanup_(gi_str_deinit) struct gi_str advice = { 0 };
	if (geteuid() == 0)
		gi_str_puts(&advice, "which root does not have here: start the container with it (docker run "
				     "--cap-add=SYS_PTRACE, securityContext.capabilities of a pod), or look "
				     "from outside of it, by the process's number there");
	else
		gi_str_printf(&advice, "run as root (sudo gcore-inspect -p %d); in a container root needs "
				       "CAP_SYS_PTRACE too", (int)pid);
	long uid = gi_live_proc_value(text, "Uid", value, sizeof(value)) ? strtol(value, NULL, 10) : -1;
	if (uid >= 0 && (uid_t)uid != geteuid())
		return gi_error_create(GI_ERR_IO,
				       "no permission to look at process %d: it is of user %ld, this is of "
				       "user %ld; that takes the same user, or CAP_SYS_PTRACE: %s",
				       (int)pid, uid, (long)geteuid(), gi_str_cstr(&advice));
	if (scope > 0)
		return gi_error_create(GI_ERR_IO,
				       "no permission to look at process %d: kernel.yama.ptrace_scope is %ld, "
				       "so that it takes CAP_SYS_PTRACE: %s%s",
				       (int)pid, scope, gi_str_cstr(&advice),
				       scope == 1 ? "; or have root of the host say: sysctl "
						    "kernel.yama.ptrace_scope=0" : "");
	return gi_error_create(GI_ERR_IO,
			       "no permission to look at process %d: it has capabilities that this has not, was "
			       "started with other rights (set-user-ID, set-group-ID), or has made itself "
			       "undumpable, so that it takes CAP_SYS_PTRACE: %s",
			       (int)pid, gi_str_cstr(&advice));
}

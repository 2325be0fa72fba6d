// freeze: runs a program and stops it for good at the point where it would dump a core.
//
//	freeze PROGRAM [ARG...]
//
// Theory. The runtime's text and a core are of the same moment only because the process dies
// right after it printed. A core that another tool takes (gcore, dlv, criu) needs a process
// that lives. So the program runs under ptrace, all of its threads, undisturbed: every
// signal is passed on, until one thread is about to die of SIGABRT, with which the
// runtime ends a traceback of GOTRACEBACK=crash. That signal is turned into SIGSTOP and the
// program is let go: it stays stopped, in the state that the kernel would have dumped.
//
// Once that is so "frozen PID" is printed, and freeze waits for the end of the program, which is
// whoever takes the core to bring about (SIGKILL). Exit 0: it was frozen; 1: it ended before that.

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS_MAX = 8192 };

static pid_t threads[THREADS_MAX];
static size_t thread_count;

static void die(const char *what)
{
	fprintf(stderr, "freeze: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void add(pid_t tid)
{
	for (size_t i = 0; i < thread_count; i++) {
		if (threads[i] == tid)
			return;
	}
	if (thread_count == THREADS_MAX)
		die("too many threads");
	threads[thread_count++] = tid;
}

static void drop(pid_t tid)
{
	for (size_t i = 0; i < thread_count; i++) {
		if (threads[i] == tid)
			threads[i] = threads[--thread_count];
	}
}

// Lets every thread go; the one that was about to die stops by the signal that it gets instead.
static void let_go(pid_t pid, pid_t dying)
{
	if (ptrace(PTRACE_DETACH, dying, NULL, (void *)(long)SIGSTOP) < 0)
		die("detach");
	for (size_t i = 0; i < thread_count; i++) {
		pid_t tid = threads[i];
		int status;
		if (tid == dying)
			continue;
		// The group stops now, and a traced thread reports that; it is let go from there.
		if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 && errno == ESRCH)
			continue;
		if (waitpid(tid, &status, __WALL) < 0 || !WIFSTOPPED(status))
			continue;
		int sig = status >> 16 ? 0 : WSTOPSIG(status);
		if (ptrace(PTRACE_DETACH, tid, NULL, (void *)(long)sig) < 0 && errno != ESRCH)
			die("detach");
	}
	printf("frozen %d\n", (int)pid);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const long options = PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: freeze PROGRAM [ARG...]\n");
		return 2;
	}
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		raise(SIGSTOP); // until it is traced
		execv(argv[1], argv + 1);
		die(argv[1]);
	}
	if (waitpid(pid, &status, WUNTRACED) < 0 ||
	    ptrace(PTRACE_SEIZE, pid, NULL, (void *)options) < 0)
		die("seize");
	kill(pid, SIGCONT);
	add(pid);

	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			die("wait");
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (tid == pid)
				return 1;
			drop(tid);
			continue;
		}
		if (!WIFSTOPPED(status))
			continue;
		add(tid);
		int event = status >> 16, sig = WSTOPSIG(status);
		if (!event && sig == SIGABRT) {
			let_go(pid, tid);
			break;
		}
		if (event == PTRACE_EVENT_STOP &&
		    (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU))
			ptrace(PTRACE_LISTEN, tid, NULL, NULL);
		else
			ptrace(PTRACE_CONT, tid, NULL, (void *)(long)(event ? 0 : sig));
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return 0;
}

// Processes that do what is awkward to be looked at, and check that nothing went wrong for them.
//
//	target MODE          prints "ready PID"; at SIGTERM prints what came of it, exits 0 if all was well
//	target send PID N    sends N queued signals with the values 1 to N
//	target caged COMMAND...  runs it so that it is killed if it writes into another process, sends
//	                     a signal to anybody, or asks ptrace for more than to stop threads, to read them and to
//	                     let them go
//	target blind COMMAND...  runs it without process_vm_readv
//
//	signals  counts queued signals in handlers, on threads that work, sleep and call the kernel
//	exec     becomes itself again, 50 times a second
//	fork     makes children and checks how they end
//	vfork    the same with vfork, the child being slow
//	threads  starts and joins threads without pause
//	leader   its first thread has ended
//	seccomp  may call little more than nanosleep, and is killed for anything else
//	times    does timed calls and checks that they take their time and do not fail
//	asleep   one of its threads is in vfork for as long as it runs
//	zombie   has a child that has ended; prints that one's id
//	undumpable  is so
//	brief    has threads, and ends after some milliseconds
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static atomic_long count, sum, wrong;
static volatile sig_atomic_t over;
static const char *mode;

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

static void hold_term(int how)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(how, &set, NULL);
}

static void on_queued(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	count++;
	sum += info->si_value.sival_int;
}

static void nap(long us)
{
	struct timespec ts = {us / 1000000, us % 1000000 * 1000};
	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int finish(void)
{
	printf("%s count %ld sum %ld wrong %ld\n", mode, (long)count, (long)sum, (long)wrong);
	fflush(stdout);
	_exit(wrong ? 1 : 0);
}

static void *worker(void *arg)
{
	long kind = (long)arg;
	while (!over) {
		if (kind == 0)
			for (volatile int i = 0; i < 100000; i++)
				;
		else if (kind == 1)
			nap(1000);
		else
			(void)syscall(SYS_getppid);
		if (kind != 1)
			nap(300);
	}
	return NULL;
}

static void *short_lived(void *arg)
{
	nap(200);
	return arg;
}

static void *after_leader(void *arg)
{
	(void)arg;
	while (!over) {
		nap(1000);
		count++;
	}
	exit(finish());
}

static void run_children(int use_vfork)
{
	static const char *const slow[] = {"sh", "-c", "sleep 0.02; exit 7", NULL};
	while (!over) {
		pid_t pid = use_vfork ? vfork() : fork();
		if (pid == 0) {
			if (!use_vfork) {
				nap(2000);
				_exit(7);
			}
			// The parent waits in the kernel for this, uninterruptibly.
			struct timespec ts = {0, 30000000};
			nanosleep(&ts, NULL);
			execv("/bin/sh", (char *const *)slow);
			_exit(9);
		}
		int status;
		pid_t got;
		while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
			;
		if (pid < 0 || got != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
			wrong++;
		count++;
	}
}

static void time_calls(void)
{
	while (!over) {
		struct timespec ts = {0, 20000000};
		double start = now();
		// Both are taken up again by the kernel, for the rest of the time.
		if (nanosleep(&ts, NULL) < 0 && !over)
			wrong++;
		if (poll(NULL, 0, 20) != 0 && !over)
			wrong++;
		if (now() - start < 0.0399 && !over)
			wrong++;
		count++;
	}
}

static void lock_down(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_nanosleep, 6, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_nanosleep, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		wrong++;
}

#define DENY(nr, action) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW_ARG(value) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

// Only what takes nothing from the process that is looked at, and gives it nothing.
static int run_caged(char **command)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(SYS_process_vm_writev, SECCOMP_RET_KILL_PROCESS),
		DENY(SYS_kill, SECCOMP_RET_KILL_PROCESS),
		DENY(SYS_tkill, SECCOMP_RET_KILL_PROCESS),
		DENY(SYS_tgkill, SECCOMP_RET_KILL_PROCESS),
		DENY(SYS_rt_sigqueueinfo, SECCOMP_RET_KILL_PROCESS),
		DENY(SYS_rt_tgsigqueueinfo, SECCOMP_RET_KILL_PROCESS),
		DENY(SYS_pidfd_send_signal, SECCOMP_RET_KILL_PROCESS),
		DENY(SYS_pwrite64, SECCOMP_RET_KILL_PROCESS),
		DENY(SYS_pwritev, SECCOMP_RET_KILL_PROCESS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		ALLOW_ARG(PTRACE_SEIZE),
		ALLOW_ARG(PTRACE_INTERRUPT),
		ALLOW_ARG(PTRACE_GETREGSET),
		ALLOW_ARG(PTRACE_GETSIGINFO),
		ALLOW_ARG(PTRACE_DETACH),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return 2;
	execvp(command[0], command);
	return 2;
}

static int run_blind(char **command)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(SYS_process_vm_readv, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return 2;
	execvp(command[0], command);
	return 2;
}

static void *sleep_in_vfork(void *arg)
{
	(void)arg;
	// Killed with its parent.
	if (vfork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return NULL;
}

static void *brief(void *arg)
{
	nap(1000 * (getpid() % 40));
	exit((int)(long)arg);
}

static int send_queued(pid_t pid, int n)
{
	for (int i = 1; i <= n; i++) {
		union sigval v = {.sival_int = i};
		while (sigqueue(pid, SIGRTMIN + 3, v) < 0) {
			if (errno != EAGAIN)
				return 1;
			nap(1000);
		}
		if (i % 8 == 0)
			nap(500);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "send") == 0)
		return send_queued((pid_t)atoi(argv[2]), atoi(argv[3]));
	if (argc > 2 && strcmp(argv[1], "caged") == 0)
		return run_caged(argv + 2);
	if (argc > 2 && strcmp(argv[1], "blind") == 0)
		return run_blind(argv + 2);
	if (argc < 2)
		return 2;
	mode = argv[1];
	struct sigaction term = {.sa_handler = on_term};
	struct sigaction queued = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGTERM, &term, NULL);
	sigaction(SIGRTMIN + 3, &queued, NULL);
	hold_term(SIG_UNBLOCK);
	if (argc == 2)
		printf("ready %d\n", (int)getpid());
	fflush(stdout);
	if (strcmp(mode, "exec") == 0) {
		char turn[32];
		nap(20000);
		count = argc > 2 ? atol(argv[2]) : 0;
		// It has no handler at first.
		hold_term(SIG_BLOCK);
		if (over)
			return finish();
		snprintf(turn, sizeof(turn), "%ld", (long)count + 1);
		execl("/proc/self/exe", argv[0], mode, turn, (char *)NULL);
		return 1;
	}
	if (strcmp(mode, "leader") == 0) {
		pthread_t t;
		pthread_create(&t, NULL, after_leader, NULL);
		pthread_exit(NULL);
	}
	if (strcmp(mode, "fork") == 0 || strcmp(mode, "vfork") == 0)
		run_children(mode[0] == 'v');
	else if (strcmp(mode, "times") == 0)
		time_calls();
	else if (strcmp(mode, "threads") == 0)
		while (!over) {
			pthread_t t[4];
			for (long i = 0; i < 4; i++)
				wrong += pthread_create(&t[i], NULL, short_lived, (void *)i) != 0;
			for (long i = 0; i < 4; i++) {
				void *ret;
				wrong += pthread_join(t[i], &ret) != 0 || ret != (void *)i;
			}
			count += 4;
		}
	else if (strcmp(mode, "asleep") == 0) {
		pthread_t t;
		pthread_create(&t, NULL, sleep_in_vfork, NULL);
		while (!over)
			nap(1000);
	} else if (strcmp(mode, "zombie") == 0) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		nap(10000);
		printf("zombie %d\n", (int)pid);
		fflush(stdout);
		while (!over)
			nap(1000);
	} else if (strcmp(mode, "undumpable") == 0) {
		wrong += prctl(PR_SET_DUMPABLE, 0) != 0;
		printf("undumpable\n");
		fflush(stdout);
		while (!over)
			nap(1000);
	} else if (strcmp(mode, "brief") == 0) {
		pthread_t t[3];
		for (long i = 0; i < 3; i++)
			pthread_create(&t[i], NULL, brief, NULL);
		for (;;)
			pause();
	} else if (strcmp(mode, "seccomp") == 0) {
		lock_down();
		while (!over) {
			struct timespec ts = {0, 2000000};
			nanosleep(&ts, NULL);
			count++;
		}
	} else {
		pthread_t t[6];
		for (long i = 0; i < 6; i++)
			pthread_create(&t[i], NULL, worker, (void *)(i % 3));
		while (!over)
			nap(1000);
	}
	return finish();
}

// Processes that do what is awkward to be looked at, and check that nothing went wrong for them.
//
//	target MODE          prints "ready PID"; at SIGTERM prints what came of it, exits 0 if all was well
//	target send PID N    sends N queued signals with the values 1 to N
//
//	signals  counts queued signals in handlers, on threads that work, sleep and call the kernel
//	exec     becomes itself again, 50 times a second
//	fork     makes children and checks how they end
//	vfork    the same with vfork, the child being slow
//	threads  starts and joins threads without pause
//	leader   its first thread has ended
//	seccomp  may call little more than nanosleep, and is killed for anything else
//	times    does timed calls and checks that they take their time and do not fail
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
	if (argc < 2)
		return 2;
	mode = argv[1];
	struct sigaction term = {.sa_handler = on_term};
	struct sigaction queued = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGTERM, &term, NULL);
	sigaction(SIGRTMIN + 3, &queued, NULL);
	if (argc == 2)
		printf("ready %d\n", (int)getpid());
	fflush(stdout);
	if (strcmp(mode, "exec") == 0) {
		char turn[32];
		nap(20000);
		count = argc > 2 ? atol(argv[2]) : 0;
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
	else if (strcmp(mode, "seccomp") == 0) {
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

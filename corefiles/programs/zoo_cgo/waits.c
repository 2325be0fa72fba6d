#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "waits.h"
#include "_cgo_export.h"

static atomic_int here;
static pthread_mutex_t never_free = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t cond_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never_true = PTHREAD_COND_INITIALIZER;

// Before any thread that will wait for it.
void lock_for_good(void)
{
	pthread_mutex_lock(&never_free);
}

int arrived(void)
{
	return here;
}

static int read_forever(void)
{
	int fds[2];
	char c;

	if (pipe(fds) != 0)
		return -1;
	here++;
	return (int)read(fds[0], &c, 1);
}

__attribute__((noinline)) int wait_for(int kind, void *unused)
{
	struct timespec hour = { 3600, 0 };

	(void)unused;
	switch (kind) {
	case IN_READ:
		return read_forever();
	case IN_PAUSE:
		here++;
		for (;;)
			pause();
	case IN_MUTEX:
		here++;
		return pthread_mutex_lock(&never_free);
	case IN_COND:
		pthread_mutex_lock(&cond_mutex);
		here++;
		for (;;)
			pthread_cond_wait(&never_true, &cond_mutex);
	case IN_NANOSLEEP:
		here++;
		return nanosleep(&hour, NULL);
	}
	return 0;
}

// Every level keeps something on its stack, so that it stays a frame.
__attribute__((noinline)) int wait_deep(int depth)
{
	volatile int below = depth;

	if (depth == 0)
		return wait_for(IN_READ, NULL);
	below += wait_deep(depth - 1);
	return below;
}

__attribute__((noinline)) int many(int a, double b, const char *c, struct pair d, long e)
{
	int n = wait_for(IN_READ, NULL);

	return n + a + (int)b + c[0] + d.a + (int)d.b + (int)e;
}

__attribute__((noinline)) int call_back(int how)
{
	volatile int n = how;

	here++;
	n += goBack(how);
	return n;
}

static void *go_thread(void *arg)
{
	here++;
	goFromThread((int)(long)arg);
	return NULL;
}

static void *c_thread(void *arg)
{
	(void)arg;
	wait_for(IN_PAUSE, NULL);
	return NULL;
}

// C's own threads take no signals: those are for Go.
void start_threads(void)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (long i = 0; i < C_THREADS; i++)
		pthread_create(&thread, NULL, c_thread, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	// These take them: they belong to Go while they are in there.
	static const long hows[GO_THREADS] = { 0, 1, 3 };

	for (long i = 0; i < GO_THREADS; i++)
		pthread_create(&thread, NULL, go_thread, (void *)hows[i]);
}

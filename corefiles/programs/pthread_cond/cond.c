// One thread in each thing of pthreads that one can wait for. Everybody's owner lives.

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cond.h"

static pthread_mutex_t cond_mutex = PTHREAD_MUTEX_INITIALIZER, timed, inherits, given, shared;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t read_locked = PTHREAD_RWLOCK_INITIALIZER;
static pthread_rwlock_t write_locked = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore;
static pthread_t holder;
static atomic_int here, held, given_to;

// The words of a mutex that the libraries have the lock and the owner in.
#ifdef __GLIBC__
enum { LOCK = 0, OWNER = 2 };
#else
enum { LOCK = 1, OWNER = 1 };
#endif
#define WAITERS 0x80000000u

static void set_word(pthread_mutex_t *lock, int i, unsigned value)
{
	((volatile unsigned *)lock)[i] = value;
}

static unsigned get_word(pthread_mutex_t *lock, int i)
{
	return ((volatile unsigned *)lock)[i];
}

// A thread of C that has all of them and works on.
static void *hold(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&timed);
	pthread_mutex_lock(&inherits);
	pthread_rwlock_rdlock(&read_locked);
	pthread_rwlock_wrlock(&write_locked);
	flockfile(stderr);
	pthread_mutex_lock(&given);
	pthread_mutex_lock(&shared);
	held = 1;
	// The state between two moments, for ever: the kernel has made the one that sleeps the owner,
	// and that has not run yet.
	while (!given_to || !(get_word(&given, LOCK) & WAITERS))
		usleep(1000);
	set_word(&given, LOCK, (unsigned)given_to | WAITERS);
	// And process 1 has this one.
	while (get_word(&shared, LOCK) != 2 && !(get_word(&shared, LOCK) & WAITERS))
		usleep(1000);
	set_word(&shared, OWNER, OWNER == LOCK ? 1 | WAITERS : 1);
	here++;
	for (;;)
		pause();
	return NULL;
}

void prepare(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&timed, &attr);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&inherits, &attr);
	pthread_mutex_init(&given, &attr);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&shared, &attr);
	sem_init(&semaphore, 0, 0);
	pthread_create(&holder, NULL, hold, NULL);
	while (!held)
		usleep(1000);
}

void wait_in(int how)
{
	struct timespec later;

	here++;
	switch (how) {
	case IN_COND:
		pthread_mutex_lock(&cond_mutex);
		for (;;)
			pthread_cond_wait(&cond, &cond_mutex);
	case IN_JOIN:
		pthread_join(holder, NULL);
		break;
	case IN_READERS:
		pthread_rwlock_wrlock(&read_locked);
		break;
	case IN_WRITER:
		pthread_rwlock_rdlock(&write_locked);
		break;
	case IN_SEMAPHORE:
		sem_wait(&semaphore);
		break;
	case IN_TIMED:
		clock_gettime(CLOCK_REALTIME, &later);
		later.tv_sec += 3600;
		pthread_mutex_timedlock(&timed, &later);
		break;
	case IN_PI:
		pthread_mutex_lock(&inherits);
		break;
	case IN_GIVEN:
		given_to = (int)syscall(SYS_gettid);
		pthread_mutex_lock(&given);
		break;
	case IN_SHARED:
		pthread_mutex_lock(&shared);
		break;
	case IN_FILE:
		flockfile(stderr);
		break;
	}
}

int arrived(void)
{
	return here;
}

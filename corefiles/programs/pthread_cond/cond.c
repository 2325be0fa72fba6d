// One thread in each thing of pthreads that one can wait for. Everybody's owner lives.

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cond.h"

static pthread_mutex_t cond_mutex = PTHREAD_MUTEX_INITIALIZER, timed, inherits;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t read_locked = PTHREAD_RWLOCK_INITIALIZER;
static pthread_rwlock_t write_locked = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore;
static pthread_t holder;
static atomic_int here, held;

// A thread of C that has all of them and works on.
static void *hold(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&timed);
	pthread_mutex_lock(&inherits);
	pthread_rwlock_rdlock(&read_locked);
	pthread_rwlock_wrlock(&write_locked);
	flockfile(stderr);
	held = 1;
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
	case IN_FILE:
		flockfile(stderr);
		break;
	}
}

int arrived(void)
{
	return here;
}

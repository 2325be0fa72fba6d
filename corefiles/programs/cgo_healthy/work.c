// Locks of every kind under load, all taken in one order.

#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

#include "work.h"
#include "_cgo_export.h"

static pthread_mutex_t locks[4], outside = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static long queued;
volatile long total;

void prepare(void)
{
	static const int types[4] = { PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
				      PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_NORMAL };
	pthread_mutexattr_t attr;

	for (int i = 0; i < 4; i++) {
		pthread_mutexattr_init(&attr);
		pthread_mutexattr_settype(&attr, types[i]);
		if (i == 3)
			pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
		pthread_mutex_init(&locks[i], &attr);
	}
}

static void work(int n)
{
	for (int i = 0; i < n; i++)
		total += i;
}

void pair(int first, long rounds)
{
	for (long i = 0; i < rounds; i++) {
		pthread_mutex_lock(&locks[first]);
		work(200);
		pthread_mutex_lock(&locks[first + 1]);
		work(200);
		if (i % 64 == 0)
			usleep(100);
		pthread_mutex_unlock(&locks[first + 1]);
		pthread_mutex_unlock(&locks[first]);
		if (i % 8 == 0) {
			pthread_rwlock_wrlock(&rw);
			work(100);
			pthread_rwlock_unlock(&rw);
		} else {
			pthread_rwlock_rdlock(&rw);
			work(100);
			pthread_rwlock_unlock(&rw);
		}
	}
}

// Taken here, given back in another call, perhaps on another thread.
void outside_lock(void)
{
	pthread_mutex_lock(&outside);
}

void outside_unlock(void)
{
	pthread_mutex_unlock(&outside);
}

void queue_put(long rounds)
{
	for (long i = 0; i < rounds; i++) {
		pthread_mutex_lock(&queue_lock);
		while (queued == 4)
			pthread_cond_wait(&not_full, &queue_lock);
		queued++;
		pthread_cond_signal(&not_empty);
		pthread_mutex_unlock(&queue_lock);
	}
}

void queue_get(long rounds)
{
	for (long i = 0; i < rounds; i++) {
		pthread_mutex_lock(&queue_lock);
		while (queued == 0)
			pthread_cond_wait(&not_empty, &queue_lock);
		queued--;
		pthread_cond_signal(&not_full);
		pthread_mutex_unlock(&queue_lock);
	}
}

void callback_round(int how)
{
	pthread_mutex_lock(&locks[how]);
	goWork();
	pthread_mutex_unlock(&locks[how]);
}

static void *thread(void *arg)
{
	(void)arg;
	for (;;) {
		callback_round(1);
		pair(2, 10);
	}
	return NULL;
}

void start_threads(int n)
{
	pthread_t id;

	for (int i = 0; i < n; i++)
		pthread_create(&id, NULL, thread, NULL);
}

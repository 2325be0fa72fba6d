// A thread that takes a mutex which it has, and threads of C that wait in a circle with a goroutine.

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "self.h"

static pthread_mutex_t twice, outer, inner;
static atomic_int has_outer, has_inner;

static void make(pthread_mutex_t *lock, int robust)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	if (robust)
		pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	else
		pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(lock, &attr);
}

void make_locks(void)
{
	make(&twice, 1);
	make(&outer, 0);
	make(&inner, 0);
}

__attribute__((noinline)) static void lock_again(void)
{
	pthread_mutex_lock(&twice);
	pthread_mutex_unlock(&twice);
}

void lock_twice(void)
{
	pthread_mutex_lock(&twice);
	lock_again();
	pthread_mutex_unlock(&twice);
}

// A thread that never ran Go: it has inner and wants outer.
static void *c_thread(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&inner);
	has_inner = 1;
	while (!has_outer)
		usleep(1000);
	pthread_mutex_lock(&outer);
	pthread_mutex_unlock(&outer);
	pthread_mutex_unlock(&inner);
	return NULL;
}

// Has outer, and waits for the end of that thread.
void hold_and_join(void)
{
	pthread_t id;

	pthread_mutex_lock(&outer);
	pthread_create(&id, NULL, c_thread, NULL);
	while (!has_inner)
		usleep(1000);
	has_outer = 1;
	pthread_join(id, NULL);
	pthread_mutex_unlock(&outer);
}

void wait_for_owner(void)
{
	while (!has_inner)
		usleep(1000);
	pthread_mutex_lock(&inner);
	pthread_mutex_unlock(&inner);
}

int settled(void)
{
	return has_inner && has_outer;
}

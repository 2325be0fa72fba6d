#include <pthread.h>
#include <stddef.h>

#include "mixed.h"
#include "_cgo_export.h"

static pthread_mutex_t lock;

// Of a kind that records its owner in every C library.
void make_lock(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&lock, &attr);
}

__attribute__((noinline)) void lock_it(void)
{
	pthread_mutex_lock(&lock);
}

void unlock_it(void)
{
	pthread_mutex_unlock(&lock);
}

__attribute__((noinline)) void lock_and_call(void)
{
	lock_it();
	goCallback();
	unlock_it();
}


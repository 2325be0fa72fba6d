// Two mutexes of each kind, which two threads take in opposite order.

#include <stdatomic.h>
#include <unistd.h>

#include "locks.h"

static pthread_mutex_t locks[KINDS][2];
static atomic_int holders[KINDS];

void make_locks(void)
{
	static const int types[KINDS] = { PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
					  PTHREAD_MUTEX_ERRORCHECK };
	pthread_mutexattr_t attr;

	for (int kind = 0; kind < KINDS; kind++) {
		for (int i = 0; i < 2; i++) {
			pthread_mutexattr_init(&attr);
			pthread_mutexattr_settype(&attr, types[kind]);
			pthread_mutex_init(&locks[kind][i], &attr);
		}
	}
}

__attribute__((noinline)) static void lock_second(pthread_mutex_t *lock)
{
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
}

void lock_first(int kind, int which)
{
	pthread_mutex_lock(&locks[kind][which]);
	holders[kind]++;
	while (holders[kind] < 2)
		usleep(1000);
	lock_second(&locks[kind][!which]);
	pthread_mutex_unlock(&locks[kind][which]);
}

int both_have(int kind)
{
	return holders[kind] == 2;
}

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "nest.h"
#include "_cgo_export.h"

// What follows a call keeps it from being made a jump.
static volatile int after;

__attribute__((noinline)) static void wait_in_c(int chain)
{
	note(chain, "wait_in_c");
	settled();
	for (;;)
		pause();
}

__attribute__((noinline)) static void static_c(int chain, int depth, int *room)
{
	note(chain, "static_c");
	room[0] = depth;
	if (depth)
		goMiddle(chain, depth - 1);
	else
		wait_in_c(chain);
	after += room[0];
}

void outer_c(int chain, int depth)
{
	int room[64];

	note(chain, "outer_c");
	static_c(chain, depth, room);
	after += room[0];
}

struct start {
	int chain, depth;
};

static void *thread_in_c(void *arg)
{
	struct start *s = arg;

	note(s->chain, "thread_in_c");
	goMiddle(s->chain, s->depth);
	after++;
	return NULL;
}

void start_thread_in_c(int chain, int depth)
{
	struct start *s = malloc(sizeof(*s));
	pthread_t t;

	s->chain = chain;
	s->depth = depth;
	if (pthread_create(&t, NULL, thread_in_c, s) != 0)
		abort();
}

#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nest.h"

static volatile int after;
static volatile int signal_chain;

// On the signal stack that Go has for the thread.
__attribute__((noinline)) static void on_signal_c(int sig)
{
	note(signal_chain, "on_signal_c");
	settled();
	for (;;)
		pause();
	after += sig;
}

__attribute__((noinline)) static void raise_c(int chain)
{
	note(chain, "raise_c");
	pthread_kill(pthread_self(), SIGUSR2);
	after++;
}

void signal_c(int chain)
{
	struct sigaction act;

	memset(&act, 0, sizeof(act));
	act.sa_handler = on_signal_c;
	act.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR2, &act, NULL);
	note(chain, "signal_c");
	signal_chain = chain;
	raise_c(chain);
	after++;
}

__attribute__((noinline)) static void plain_wait_c(int chain)
{
	note(chain, "plain_wait_c");
	settled();
	for (;;)
		pause();
}

static void *plain_thread_c(void *arg)
{
	int chain = *(int *)arg;

	note(chain, "plain_thread_c");
	plain_wait_c(chain);
	after++;
	return NULL;
}

static void start(void *(*fn)(void *), int chain)
{
	int *arg = malloc(sizeof(*arg));
	pthread_t t;

	*arg = chain;
	if (pthread_create(&t, NULL, fn, arg) != 0)
		abort();
}

void start_plain_thread(int chain)
{
	start(plain_thread_c, chain);
}

void library_c(int chain, const char *path)
{
	void *lib = dlopen(path, RTLD_NOW);
	void (*enter)(int, void (*)(int, const char *), void (*)(void));

	if (!lib)
		abort();
	*(void **)&enter = dlsym(lib, "library_enter_c");
	note(chain, "library_c");
	enter(chain, note, settled);
	after++;
}

__attribute__((noinline)) static void really_die_c(int chain, int how)
{
	const char *text;

	note(chain, "really_die_c");
	text = chain_text(chain);
	if (write(1, "chain 0", 7) < 0 || write(1, text, strlen(text)) < 0 ||
	    write(1, "\nready\n", 7) < 0)
		_exit(1);
	usleep(100000);
	if (how == DIE_BY_SEGV)
		*(volatile int *)8 = 1;
	if (how == DIE_BY_TRAP)
		__builtin_trap();
	assert(how == 0);
	after++;
}

void die_c(int chain, int how)
{
	note(chain, "die_c");
	really_die_c(chain, how);
	after++;
}

static int dying_how;

static void *dying_thread_c(void *arg)
{
	note(*(int *)arg, "dying_thread_c");
	die_c(*(int *)arg, dying_how);
	after++;
	return NULL;
}

void start_dying_thread(int chain, int how)
{
	dying_how = how;
	start(dying_thread_c, chain);
}

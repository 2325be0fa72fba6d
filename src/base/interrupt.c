// Interrupts: Ctrl-C sets a flag which loops poll; nothing jumps.

#include "gcore/base.h"

#include <signal.h>
#include <time.h>

static volatile sig_atomic_t interrupted;

void gi_interrupt_raise(void)
{
	interrupted = 1;
}

void gi_interrupt_clear(void)
{
	interrupted = 0;
}

bool gi_interrupted(void)
{
	return interrupted;
}

struct gi_error *gi_interrupt_check(void)
{
	if (!interrupted)
		return NULL;
	return gi_error_create(GI_ERR_INTERRUPTED, "interrupted");
}

double gi_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

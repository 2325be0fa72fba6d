#include "stay.h"

#include <unistd.h>

/* Sleeps for as long as the process lives. */
__attribute__((noinline)) void stay(int deep)
{
	if (deep > 0)
		stay(deep - 1);
	for (;;)
		pause();
}

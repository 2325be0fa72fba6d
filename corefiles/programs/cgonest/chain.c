#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "nest.h"

static char texts[CHAINS][CHAIN_MAX];
static atomic_int done;

void note(int chain, const char *name)
{
	char *p = texts[chain];

	if (strlen(p) + strlen(name) + 2 < CHAIN_MAX) {
		strcat(p, " ");
		strcat(p, name);
	}
}

const char *chain_text(int chain)
{
	return texts[chain];
}

int arrived(void)
{
	return done;
}

void settled(void)
{
	done++;
}

// A library that cgonest loads: a function that others see calls one that they do not see.
#include <unistd.h>

static volatile int after;

__attribute__((noinline)) static void hidden_wait_c(int chain, void (*note)(int, const char *),
						   void (*settled)(void))
{
	note(chain, "hidden_wait_c");
	settled();
	for (;;)
		pause();
	after++;
}

__attribute__((noinline)) static void hidden_c(int chain, void (*note)(int, const char *),
					       void (*settled)(void))
{
	volatile int room[32];

	note(chain, "hidden_c");
	room[0] = chain;
	hidden_wait_c(chain, note, settled);
	after += room[0];
}

void library_enter_c(int chain, void (*note)(int, const char *), void (*settled)(void))
{
	note(chain, "library_enter_c");
	hidden_c(chain, note, settled);
	after++;
}

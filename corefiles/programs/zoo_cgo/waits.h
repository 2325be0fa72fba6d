#ifndef WAITS_H
#define WAITS_H

// Ways to wait in C.
enum { IN_READ, IN_PAUSE, IN_MUTEX, IN_COND, IN_NANOSLEEP, KINDS };

// KINDS goroutines, two more in C, nine calls back (one of them below another),
// two goroutines back in C below that, and threads of C's own.
enum { GO_THREADS = 3, C_THREADS = 2 };
enum { EXPECTED = KINDS + 2 + 9 + 2 + GO_THREADS + C_THREADS };

struct pair {
	int a;
	long b;
};

int wait_for(int kind, void *unused);
int wait_deep(int depth);
int many(int a, double b, const char *c, struct pair d, long e);
int call_back(int how);
void lock_for_good(void);
void start_threads(void);
int arrived(void);

#endif

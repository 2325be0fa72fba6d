#ifndef NEST_H
#define NEST_H

// Each function appends its name to the chain of its goroutine or thread before it goes deeper.
enum { CHAINS = 10, CHAIN_MAX = 1024 };

void note(int chain, const char *name);
const char *chain_text(int chain);
int arrived(void);
void settled(void);

void outer_c(int chain, int depth);
void start_thread_in_c(int chain, int depth);

// stories.c: waits in a signal handler, in a thread that never runs Go, in a library; ways to die.
void signal_c(int chain);
void start_plain_thread(int chain);
void library_c(int chain, const char *path);
void die_c(int chain, int how);
void start_dying_thread(int chain, int how);
enum { DIE_BY_SEGV = 1, DIE_BY_ASSERT, DIE_BY_TRAP };

#endif

#ifndef NEST_H
#define NEST_H

// Each function appends its name to the chain of its goroutine or thread before it goes deeper.
enum { CHAINS = 6, CHAIN_MAX = 1024 };

void note(int chain, const char *name);
const char *chain_text(int chain);
int arrived(void);
void settled(void);

void outer_c(int chain, int depth);
void start_thread_in_c(int chain, int depth);

#endif

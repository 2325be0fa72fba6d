#include <pthread.h>

enum { NORMAL, RECURSIVE, ERRORCHECK, KINDS };

void make_locks(void);
void lock_first(int kind, int which);
int both_have(int kind);

void make_locks(void);
void lock_twice(void);
void hold_and_join(void);
void wait_for_owner(void);
int settled(void);

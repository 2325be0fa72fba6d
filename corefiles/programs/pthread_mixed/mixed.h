void make_lock(void);
void lock_it(void);
void unlock_it(void);
void lock_and_call(void);

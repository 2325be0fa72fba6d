void prepare(void);
void pair(int first, long rounds);
void outside_lock(void);
void outside_unlock(void);
void queue_put(long rounds);
void queue_get(long rounds);
void callback_round(int how);
void start_threads(int n);

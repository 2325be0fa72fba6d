enum { IN_COND, IN_JOIN, IN_READERS, IN_WRITER, IN_SEMAPHORE, IN_TIMED, IN_PI, IN_FILE, IN_GIVEN, IN_SHARED,
       WAITS };

void prepare(void);
void wait_in(int how);
int arrived(void);

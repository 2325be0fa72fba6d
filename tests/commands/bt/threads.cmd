# signal frames, the scheduler's stack, and the goroutine's below a system call
core zoo-go1.27.4 zoo-go1.19.13
thread 1 bt
thread 8 bt

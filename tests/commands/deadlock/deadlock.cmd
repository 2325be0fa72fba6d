core abba-go1.27.4 abba-go1.19.13 abba-go1.27.4-gcore rwmutex-go1.27.4 selflock-go1.19.13 chanpair-go1.19.13 healthy-go1.27.4 zoo-go1.27.4
deadlock
core rwmutex-go1.27.4
deadlock -v

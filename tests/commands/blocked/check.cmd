core abba-go1.19.13 zoo-go1.27.4 rwmutex-go1.27.4
blocked -n 3

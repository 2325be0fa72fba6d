core abba-go1.27.4 abba-go1.19.13
waiters main.a
waiters main.b+4
waiters 0x10
core rwmutex-go1.27.4
waiters main.config
core abba-go1.27.4
waiters
options --json
waiters main.a
core rwmutex-go1.27.4
waiters main.config

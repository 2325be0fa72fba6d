core abba-go1.27.4 selflock-go1.19.13 healthy-go1.19.13
options --json
deadlock
core rwmutex-go1.27.4
deadlock -v

options --json
bt -n 2
core zoo-go1.19.13
thread 1 bt -n 3

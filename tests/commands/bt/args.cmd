# arguments by name; a stripped program's are words
core zoo-go1.27.4 zoo-go1.19.13
goroutine 1 bt -args
goroutine 24 bt -args
core zoo-go1.19.13-arm64
goroutine 1 bt -args -n 3
options --json
core abba-go1.27.4
goroutine 9 bt -n 8 -args

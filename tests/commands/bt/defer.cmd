# pending deferred calls: open-coded, a wrapped method, of Go with records and without
core abba-go1.27.4 abba-go1.19.13
goroutine 8 bt -defer
goroutine 1 bt -defer
core rwmutex-go1.27.4
bt -defer
core zoo-go1.19.13-arm64
goroutine 1 bt -defer
thread 1 bt -defer
options --json
core abba-go1.27.4
goroutine 9 bt -defer

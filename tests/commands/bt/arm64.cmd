# C by call frame information, signal frames, a call into C and back to the goroutine's stack
core zoo_cgo-go1.27.4-arm64
thread 1 bt
thread 6 bt
thread 8 bt
thread 10 bt
core zoo-go1.19.13-arm64
thread 2 bt
bt 1
bt 20

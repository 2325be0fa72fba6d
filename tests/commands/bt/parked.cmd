# a parked goroutine: Go frames with inlined calls
core abba-go1.27.4 abba-go1.19.13
bt
bt -n 3
bt 2
backtrace -n 0x2
goroutine 8 bt

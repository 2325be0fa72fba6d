goroutine 8 bt -n 2
goroutine 8 frame 7
  frame
goroutine 8 goroutine 9 goroutine

core abba-go1.27.4 zoo-go1.19.13
thread
thread 1
  thread
  goroutine
thread 2 bt -n 2
  thread
thread 4711
thread x
core zoo-go1.27.4
thread 8
  goroutine
  bt -n 2
options --json
thread 8

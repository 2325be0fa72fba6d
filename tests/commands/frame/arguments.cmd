core zoo-go1.27.4
goroutine 119
  up 1
  up 1
  up 1

core abba-go1.27.4 abba-go1.19.13
goroutine
goroutine 8
  goroutine
gr 7 gr 9
  gr
core zoo-go1.27.4
goroutine 49
goroutine 1
goroutine 156

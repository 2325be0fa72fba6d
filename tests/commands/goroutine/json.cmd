options --json
goroutine 8

goroutine 4711
goroutine x
goroutine 8 nonsense
goroutine -1

options --json
goroutines
goroutines -t 2 -with user
goroutines -s -with wait Mutex
goroutines -group wait
goroutines -group stack -with user
core zoo-go1.27.4
goroutines -with label tenant
goroutines -with running

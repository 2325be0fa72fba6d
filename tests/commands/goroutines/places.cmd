core abba-go1.27.4 abba-go1.19.13
goroutines -u
goroutines -r
goroutines -g
goroutines -s
goroutines -r -u

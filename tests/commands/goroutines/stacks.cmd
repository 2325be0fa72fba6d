core abba-go1.27.4 abba-go1.19.13
goroutines -t
goroutines -t 2
goroutines -t2 -with user
grs -rt 1

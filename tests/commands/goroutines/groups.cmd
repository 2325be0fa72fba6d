core abba-go1.27.4 zoo-go1.19.13
goroutines -group wait
goroutines -group status
goroutines -group label
goroutines -group label tenant
goroutines -group user
goroutines -group running
goroutines -group creator -with user
core abba-go1.27.4
goroutines -group stack
goroutines -group start
goroutines -group userloc
goroutines -group curloc

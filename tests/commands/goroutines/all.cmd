# goroutine 9 is dead
core abba-go1.19.13
goroutines -all
goroutines -all -with status dead -t
options --json
goroutines -all -t -with status dead

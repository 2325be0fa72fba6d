core abba-go1.27.4 abba-go1.19.13
goroutine 8
	up
	up 3
	down
	frame
up 1000
bt -n 1
  up 1000
  up
up x

// Program locks has goroutines that all want the lock of one channel all the time, and go through
// the scheduler while they do.
package main

import (
	"os"
	"runtime"
	"time"
)

var c = make(chan int, 1)

func both() {
	for i := 0; ; i++ {
		select {
		case c <- i:
		case <-c:
		default:
		}
		if i%64 == 0 {
			runtime.Gosched()
		}
	}
}

func main() {
	runtime.GOMAXPROCS(4)
	for i := 0; i < 3; i++ {
		go both()
	}
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}

// Program chanpair has two goroutines that each wait to receive from the other,
// over channels that nobody else knows.
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

//go:noinline
func ping(done *sync.WaitGroup, in <-chan int, out chan<- int) {
	defer done.Done()
	for n := range in {
		out <- n + 1
	}
}

//go:noinline
func pong(done *sync.WaitGroup, in <-chan int, out chan<- int) {
	defer done.Done()
	for {
		n, ok := <-in
		if !ok {
			return
		}
		out <- n + 1
	}
}

// start leaves with all that it knew of the channels.
//
//go:noinline
func start(done *sync.WaitGroup) {
	there, back := make(chan int), make(chan int)
	go ping(done, there, back)
	go pong(done, back, there)
}

func heartbeat() {
	for range time.Tick(time.Hour) {
	}
}

// ready says that nothing moves any more, then crashes if it was asked to.
func ready() {
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
}

func main() {
	var done sync.WaitGroup
	done.Add(2)
	go heartbeat()
	start(&done)
	go ready()
	sweep(20)
	done.Wait()
}

// Leaves nothing of what ran before on the stack.
//
//go:noinline
func sweep(depth int) int {
	var room [64]int
	if depth == 0 {
		return room[3]
	}
	return sweep(depth-1) + room[5]
}

// Program nopreempt has loops without calls, and tells the runtime not to interrupt goroutines by
// signals: such a loop never gives way. What then hangs depends on its argument:
//
//	world   (or none) one loop, and a collection that waits for it to stop the world
//	mark    a loop that began while a collection marked, which it keeps from its end
//	starve  a loop on each P, and goroutines that never get their turn
package main

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

type node struct{ next *node }

var (
	sink    int
	looping int32
	list    *node
)

//go:noinline
func loop(n int) {
	for {
		n += n*n + 1
		if n == 42 {
			sink = n
		}
	}
}

//go:noinline
func collect() { runtime.GC() }

//go:noinline
func waiting() { sink++ }

func main() {
	if os.Getenv("GODEBUG") != "asyncpreemptoff=1" {
		os.Setenv("GODEBUG", "asyncpreemptoff=1")
		if exe, err := os.Executable(); err == nil {
			syscall.Exec(exe, os.Args, os.Environ())
		}
		os.Exit(2)
	}
	mode := "world"
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	// The last loop stops all: what is to be said is said before.
	os.Stdout.WriteString("ready\n")
	if mode == "starve" {
		runtime.GOMAXPROCS(2)
		go func() {
			atomic.StoreInt32(&looping, 1)
			loop(2)
		}()
		for atomic.LoadInt32(&looping) == 0 {
			runtime.Gosched()
		}
		// All of them run if this one has to give way meanwhile.
		for runtime.NumGoroutine() < 1000 {
			go waiting()
		}
		loop(1)
	}
	runtime.GOMAXPROCS(3)
	if mode == "mark" {
		// Following a list takes long, and nothing of it can be done at the same time.
		for i := 0; i < 4000000; i++ {
			list = &node{next: list}
		}
		go collect()
		time.Sleep(2 * time.Millisecond)
		loop(1)
	}
	go loop(1)
	time.Sleep(200 * time.Millisecond)
	go collect()
	collect()
}

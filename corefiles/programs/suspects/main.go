// Program suspects has goroutines that wait for each other, over channels and a condition that
// globals lead to: somebody could still break each circle, though nobody is seen to. Beside them is
// what looks like it and is well.
//
// Just these verdicts: 3 suspect
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

type table struct {
	there, back chan int
}

var (
	shared = table{make(chan int), make(chan int)}
	asks   = make(chan int)
	tells  = make(chan int)
	mu     sync.Mutex
	held   = make(chan int)
	jobs   = make(chan int)
	done   = make(chan int)
	clock  = make(chan int)
	ticks  = make(chan int)
)

// ping and pong wait for each other, by what they were given.
//
//go:noinline
func ping(in <-chan int, out chan<- int) {
	for n := range in {
		out <- n + 1
	}
}

//go:noinline
func pong(in <-chan int, out chan<- int) {
	for n := range in {
		out <- n - 1
	}
}

// ask and tell, by globals themselves.
func ask() {
	for {
		asks <- <-tells
	}
}

func tell() {
	for {
		tells <- <-asks
	}
}

// keep has a lock and waits for one who wants it.
func keep() {
	mu.Lock()
	<-held
	mu.Unlock()
}

func want() {
	untilLocked(&mu)
	mu.Lock()
	held <- 1
	mu.Unlock()
}

// Well: workers that wait for work, some of which they put back, and one for their results.
func worker() {
	for n := range jobs {
		if n > 1 {
			jobs <- n - 1
			continue
		}
		done <- n
	}
}

func collect() {
	for range done {
	}
}

// Well: one of the two is only asleep.
func tick() {
	for {
		time.Sleep(time.Hour)
		clock <- <-ticks
	}
}

func tock() {
	for {
		ticks <- <-clock
	}
}

// untilLocked waits until somebody has it.
func untilLocked(mu *sync.Mutex) {
	for mu.TryLock() {
		mu.Unlock()
		time.Sleep(time.Millisecond)
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
	go ping(shared.there, shared.back)
	go pong(shared.back, shared.there)
	go ask()
	go tell()
	go keep()
	go want()
	for i := 0; i < 3; i++ {
		go worker()
	}
	go collect()
	go tick()
	go tock()
	go ready()
	time.Sleep(24 * time.Hour)
}

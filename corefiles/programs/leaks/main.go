// Program leaks loses goroutines in all the usual ways: each waits for something
// that nobody else knows any more, or only others that wait like it. Functions
// are named after what was forgotten.
package main

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
)

type tree struct {
	left, right *tree
	ch          chan int
}

func grow(depth int, ch chan int) *tree {
	if depth == 0 {
		return &tree{ch: ch}
	}
	return &tree{left: grow(depth-1, ch), right: grow(depth-1, ch)}
}

// The answer comes too late: whoever asked has given up.
//
//go:noinline
func abandonedAnswer() {
	answer, gone := make(chan *tree), make(chan struct{})
	go func() { <-gone; answer <- grow(5, nil) }()
	select {
	case <-answer:
	default:
	}
	close(gone)
}

//go:noinline
func noSender() {
	ch := make(chan int)
	go func() { <-ch }()
	for i := 0; i < 20; i++ {
		ch := make(chan int)
		go func() { <-ch }()
	}
}

//go:noinline
func neverClosed() {
	ch := make(chan int, 4)
	ch <- 1
	go func() {
		for range ch {
		}
	}()
}

//go:noinline
func noCaseLeft() {
	a, b := make(chan int), make(chan string)
	go func() {
		select {
		case <-a:
		case b <- "x":
		}
	}()
}

// Workers whose jobs have ended, and whose results nobody fetches.
//
//go:noinline
func forgottenPool() {
	jobs, results := make(chan int), make(chan int, 2)
	for i := 0; i < 5; i++ {
		go func() {
			for j := range jobs {
				results <- j
			}
		}()
	}
	for i := 0; i < 3; i++ {
		jobs <- i
	}
}

//go:noinline
func twoWithoutOthers() {
	a, b := make(chan int), make(chan int)
	go func() { <-a; b <- 1 }()
	go func() { <-b; a <- 1 }()
}

//go:noinline
func ring() {
	first := make(chan int)
	in := first
	for i := 0; i < 10; i++ {
		out := make(chan int)
		if i == 9 {
			out = first
		}
		go func(in, out chan int) {
			for x := range in {
				out <- x
			}
		}(in, out)
		in = out
	}
}

//go:noinline
func missingDone() {
	s := &struct {
		group sync.WaitGroup
		t     *tree
	}{}
	s.group.Add(1)
	go func() { s.group.Wait() }()
}

//go:noinline
func missingUnlock() {
	s := &struct {
		mu sync.Mutex
		t  *tree
	}{}
	done := make(chan int)
	go func() { s.mu.Lock(); done <- 1 }()
	<-done
	go func() { s.mu.Lock() }()
}

//go:noinline
func missingSignal() {
	s := &struct {
		mu   sync.Mutex
		cond *sync.Cond
	}{}
	s.cond = sync.NewCond(&s.mu)
	for i := 0; i < 3; i++ {
		go func() { s.mu.Lock(); s.cond.Wait() }()
	}
}

//go:noinline
func forgottenCancel() {
	ctx, cancel := context.WithCancel(context.Background())
	_ = cancel
	go func() { <-ctx.Done() }()
}

// What they wait for is in a large structure, which they hold alone.
//
//go:noinline
func ownTree() {
	ch := make(chan int)
	t := grow(8, ch)
	go func() {
		<-t.left.right.left.right.left.right.left.right.ch
		t.ch = nil
	}()
}

// ready says that nothing moves any more, then crashes if it was asked to.
func ready() {
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
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

func main() {
	for _, f := range []func(){
		abandonedAnswer, noSender, neverClosed, noCaseLeft, forgottenPool,
		twoWithoutOthers, ring, missingDone, missingUnlock, missingSignal,
		forgottenCancel, ownTree,
	} {
		f()
	}
	sweep(20)
	go ready()
	time.Sleep(24 * time.Hour)
}

// Program behind_c waits for goroutines that are in C, and do not come back: for the answer of one on a channel
// that nobody else knows, for what is behind that answer, for a group that it has not left, and for a mutex
// that it has. Another goroutine waits on a channel that a global leads to as well: it waits for nobody in
// particular. Nobody is stuck for good, as far as can be known.
//
// At least these verdicts: 2 in-c, 2 collateral
package main

/*
#include "stay.h"
*/
import "C"

import (
	"os"
	"sync"
	"syscall"
	"time"
)

var (
	mu    sync.Mutex
	known = make(chan int)
)

// Each makes what is waited for itself, and hands it on: so no word of how goroutines were started, which
// stays on the stacks that C runs on, leads there.

//go:noinline
func answerLater(give chan chan int) {
	c := make(chan int)
	give <- c
	time.Sleep(20 * time.Millisecond) // for the registers, too
	C.stay(3)
	c <- 1
}

//go:noinline
func asks(take, give chan chan int) {
	c, next := <-take, make(chan int)
	give <- next
	next <- <-c
}

//go:noinline
func asksBehind(take chan chan int) { <-<-take }

//go:noinline
func member(give chan *sync.WaitGroup) {
	wg := new(sync.WaitGroup)
	wg.Add(1)
	defer wg.Done()
	give <- wg
	time.Sleep(20 * time.Millisecond)
	C.stay(2)
}

//go:noinline
func group(take chan *sync.WaitGroup) { (<-take).Wait() }

//go:noinline
func locker() {
	mu.Lock()
	defer mu.Unlock()
	C.stay(1)
}

//go:noinline
func wantsLock() { mu.Lock(); mu.Unlock() }

//go:noinline
func onGlobal() { <-known }

func start() {
	c, next, wg := make(chan chan int), make(chan chan int), make(chan *sync.WaitGroup)
	go asksBehind(next)
	go asks(c, next)
	go group(wg)
	time.Sleep(50 * time.Millisecond)
	go answerLater(c)
	go member(wg)
	go locker()
	time.Sleep(200 * time.Millisecond)
	go wantsLock()
	go onGlobal()
}

func main() {
	start()
	time.Sleep(300 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	time.Sleep(time.Hour)
}

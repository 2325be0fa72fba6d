// Program behind_c waits for goroutines that are in C, and do not come back: for the answer of one on a channel
// that nobody else knows, for what is behind that answer, for a group that it has not left, and for a mutex
// that it has. Another goroutine waits on a channel that a global leads to as well: it waits for nobody in
// particular. Nobody is stuck for good, as far as can be known.
//
// Just these verdicts: 3 in-c, 3 collateral
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

//go:noinline
func answerLater(c chan int) {
	C.stay(3)
	c <- 1
}

//go:noinline
func asks(c, next chan int) { next <- <-c }

//go:noinline
func asksBehind(next chan int) { <-next }

//go:noinline
func member(wg *sync.WaitGroup) {
	defer wg.Done()
	C.stay(2)
}

//go:noinline
func group(wg *sync.WaitGroup) { wg.Wait() }

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
	c, next, wg := make(chan int), make(chan int), new(sync.WaitGroup)
	wg.Add(1)
	go answerLater(c)
	go asks(c, next)
	go asksBehind(next)
	go member(wg)
	go group(wg)
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

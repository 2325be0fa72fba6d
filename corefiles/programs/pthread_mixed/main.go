// Program pthread_mixed hangs in a cycle through Go and C: goroutine one has a Go mutex and waits in C for a
// pthread mutex; the other has that one, taken in C, and waits for the Go mutex in a callback. Another
// goroutine wants the Go mutex, and is stuck behind them. With an argument "locked" the second is no
// callback, but tied to its thread.
//
// At least these verdicts: 1 cycle, 1 collateral
package main

/*
#cgo LDFLAGS: -pthread
#include "mixed.h"
*/
import "C"

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

var (
	mu           sync.Mutex
	goHas, cHas  = make(chan int), make(chan int)
	never        sync.WaitGroup
	callbackDone bool
)

//export goCallback
func goCallback() {
	close(cHas)
	<-goHas
	mu.Lock()
	callbackDone = true
	mu.Unlock()
}

//go:noinline
func goThenC() {
	mu.Lock()
	defer mu.Unlock()
	close(goHas)
	<-cHas
	C.lock_it()
	C.unlock_it()
}

//go:noinline
func cThenGo() { C.lock_and_call() }

//go:noinline
func cThenGoLocked() {
	runtime.LockOSThread()
	C.lock_it()
	defer C.unlock_it()
	goCallback()
}

//go:noinline
func bystander() {
	<-goHas
	mu.Lock()
	mu.Unlock()
}

func main() {
	C.make_lock()
	never.Add(1)
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	go goThenC()
	if mode == "locked" {
		go cThenGoLocked()
	} else {
		go cThenGo()
	}
	go bystander()
	go func() {
		time.Sleep(300 * time.Millisecond)
		os.Stdout.WriteString("ready\n")
		if mode == "crash" {
			syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		}
	}()
	go func() {
		for range time.Tick(time.Hour) {
		}
	}()
	select {}
}

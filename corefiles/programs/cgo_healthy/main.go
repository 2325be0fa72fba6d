// Program cgo_healthy goes on for ever: goroutines and threads of C take pthread mutexes of all kinds,
// read-write locks, conditions and a Go mutex under load, always in one order. One mutex is locked in one
// call into C and unlocked in another, which may be on another thread. Whenever it is looked at, nobody
// is stuck.
package main

/*
#cgo LDFLAGS: -pthread
#include "work.h"
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
	mu    sync.Mutex
	count int
)

//export goWork
func goWork() {
	mu.Lock()
	count++
	mu.Unlock()
}

func outside() {
	for i := 0; ; i++ {
		C.outside_lock()
		mu.Lock()
		count++
		mu.Unlock()
		runtime.Gosched()
		if i%16 == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		C.outside_unlock()
	}
}

func forEver(f func()) {
	go func() {
		for {
			f()
		}
	}()
}

func main() {
	C.prepare()
	for i := 0; i < 3; i++ {
		i := i
		forEver(func() { C.pair(C.int(i), 100) })
		forEver(func() { C.pair(C.int(i), 10) })
		forEver(func() { C.queue_put(100) })
		forEver(func() { C.queue_get(100) })
		forEver(func() { C.callback_round(C.int(i)) })
		go outside()
	}
	C.start_threads(2)
	time.Sleep(100 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	select {}
}

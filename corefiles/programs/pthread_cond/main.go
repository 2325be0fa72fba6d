// Program pthread_cond has a goroutine in each thing of pthreads that one can wait for: a condition variable,
// the end of a thread, read-write locks, a semaphore, mutexes with a time limit and with priority
// inheritance, a FILE. The thread of C that has them is not stuck, so nobody is: not who has just been given
// a mutex, nor who waits for another process.
package main

/*
#cgo LDFLAGS: -pthread
#include "cond.h"
*/
import "C"

import (
	"os"
	"syscall"
	"time"
)

//go:noinline
func wait(how int) { C.wait_in(C.int(how)) }

func main() {
	C.prepare()
	for how := 0; how < C.WAITS; how++ {
		go wait(how)
	}
	for C.arrived() < C.WAITS+1 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	for range time.Tick(time.Hour) {
	}
}

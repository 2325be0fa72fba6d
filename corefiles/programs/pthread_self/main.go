// Program pthread_self hangs in C: one goroutine takes a mutex that its thread has already, another waits
// for the end of a thread of C that never ran Go, and that wants what the goroutine has. A third
// goroutine is stuck behind that thread.
//
// At least these verdicts: 1 self, 1 cycle, 1 collateral
package main

/*
#cgo LDFLAGS: -pthread
#include "self.h"
*/
import "C"

import (
	"os"
	"syscall"
	"time"
)

//go:noinline
func twice() { C.lock_twice() }

//go:noinline
func join() { C.hold_and_join() }

//go:noinline
func behind() { C.wait_for_owner() }

func main() {
	C.make_locks()
	go twice()
	go join()
	go behind()
	for C.settled() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	select {}
}

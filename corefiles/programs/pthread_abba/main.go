// Program pthread_abba hangs in C: for each kind of pthread mutex two goroutines take two of them in
// opposite order. musl's normal mutexes record no owner, its others do.
//
// At least these verdicts: 2 cycle
package main

/*
#cgo LDFLAGS: -pthread
#include "locks.h"
*/
import "C"

import (
	"os"
	"sync"
	"syscall"
	"time"
)

func lockAB(kind int) { C.lock_first(C.int(kind), 0) }
func lockBA(kind int) { C.lock_first(C.int(kind), 1) }

func main() {
	var workers sync.WaitGroup
	C.make_locks()
	for kind := 0; kind < C.KINDS; kind++ {
		kind := kind
		workers.Add(2)
		go func() { defer workers.Done(); lockAB(kind) }()
		go func() { defer workers.Done(); lockBA(kind) }()
	}
	for kind := 0; kind < C.KINDS; kind++ {
		for C.both_have(C.int(kind)) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	go func() {
		time.Sleep(200 * time.Millisecond)
		os.Stdout.WriteString("ready\n")
		if len(os.Args) > 1 && os.Args[1] == "crash" {
			syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		}
	}()
	go func() {
		for range time.Tick(time.Hour) {
		}
	}()
	workers.Wait()
}

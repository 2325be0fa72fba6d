// Program zoo_cgo holds goroutines and threads in every mixture of Go and C.
package main

/*
#cgo LDFLAGS: -pthread
#include "waits.h"
*/
import "C"

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

var (
	never = make(chan int)
	held  sync.Mutex
)

// inC blocks in C.
//
//go:noinline
func inC(kind int) {
	C.wait_for(C.int(kind), nil)
}

//go:noinline
func inCLocked() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.wait_deep(20)
}

//go:noinline
func inCWithMany(name string, xs []int) int {
	cs := C.CString(name)
	n := C.many(1, 2.5, cs, C.struct_pair{3, 4}, C.long(len(xs)))
	return int(n)
}

// Go calls C calls Go, which blocks.
//
//go:noinline
func back(how int) {
	C.call_back(C.int(how))
}

//export goBack
func goBack(how C.int) C.int { return C.int(blockIn(int(how))) }

//go:noinline
func blockIn(how int) int {
	switch how {
	case 0:
		return <-never
	case 1:
		held.Lock()
		defer held.Unlock()
	case 2:
		time.Sleep(time.Hour)
	case 3:
		// And down into C again.
		inC(0)
	case 4:
		// Go, C, Go, C, Go.
		back(0)
	case 5:
		select {}
	case 6:
		// Blocked in a deferred call, panicking across nothing but Go.
		defer func() { <-never }()
		panic("in the callback")
	case 7:
		grow(2000)
	}
	return 0
}

// grow moves the stack below the C frames.
//
//go:noinline
func grow(n int) int {
	if n == 0 {
		return <-never
	}
	return grow(n-1) + n
}

// A thread that C made calls Go.
//
//export goFromThread
func goFromThread(how C.int) { blockIn(int(how)) }

func init() {
	runtime.LockOSThread()
}

func main() {
	held.Lock()
	C.lock_for_good()
	for kind := 0; kind < C.KINDS; kind++ {
		go inC(kind)
	}
	go inCLocked()
	go inCWithMany("text", []int{1, 2, 3})
	for how := 0; how <= 7; how++ {
		go back(how)
	}
	C.start_threads()
	go func() { _ = <-never }()

	for C.arrived() < C.EXPECTED {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	runtime.GC()
	debug.SetGCPercent(-1)
	time.Sleep(100 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	select {}
}

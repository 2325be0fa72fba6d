// Program zoo holds a goroutine in every kind of wait, and stacks, arguments
// and panics of every kind that a traceback has its own way of printing.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

// never has no sender. Goroutines whose stack is the point, not the wait,
// wait here.
var never = make(chan int)

// more adds goroutines that need a newer release.
var more []func()

// afterGC adds goroutines that would keep a garbage collection from ending.
var afterGC []func()

// The main goroutine belongs to the main thread.
func init() {
	runtime.LockOSThread()
}

// settle waits until no goroutine was started or ended for a while.
func settle() {
	const steady = 10
	n, same := runtime.NumGoroutine(), 0
	for same < steady {
		time.Sleep(20 * time.Millisecond)
		if now := runtime.NumGoroutine(); now == n {
			same++
		} else {
			n, same = now, 0
		}
	}
}

// waitFor waits until *n is at least want.
func waitFor(n *int32, want int32) {
	for atomic.LoadInt32(n) < want {
		time.Sleep(time.Millisecond)
	}
}

func main() {
	startWaits()
	startIO()
	startRuntime()
	startStacks()
	startArgs()
	startPanics()
	for _, start := range more {
		start()
	}
	settle()

	// A collection writes down since when each goroutine waits. No other
	// may come in between.
	runtime.GC()
	settle()
	debug.SetGCPercent(-1)
	for _, start := range afterGC {
		start()
	}
	settle()

	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	select {}
}

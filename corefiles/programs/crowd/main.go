// Program crowd has two goroutines that hold each other's lock, hundreds that queue behind either
// of the two locks and behind those who queue, and as many that queue behind a lock whose owner is
// only asleep. The many are one line with one root, or none.
//
// Just these verdicts: 1 cycle
package main

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	behindA    = 700 // wait for a themselves
	behindB    = 250 // wait for b
	behindNext = 50  // wait for one that waits for a
	behindSlow = 1000
)

var a, b, next, slow sync.Mutex
var started int64

func lockAB(met *sync.WaitGroup) {
	a.Lock()
	defer a.Unlock()
	meet(met)
	b.Lock()
	defer b.Unlock()
}

func lockBA(met *sync.WaitGroup) {
	b.Lock()
	defer b.Unlock()
	meet(met)
	a.Lock()
	defer a.Unlock()
}

func meet(met *sync.WaitGroup) {
	met.Done()
	met.Wait()
}

func begin() { atomic.AddInt64(&started, 1) }

func waitForA() {
	begin()
	a.Lock()
	defer a.Unlock()
}

func waitForB() {
	begin()
	b.Lock()
	defer b.Unlock()
}

// keepNext waits for a, too, and has what others want.
func keepNext() {
	next.Lock()
	defer next.Unlock()
	begin()
	a.Lock()
	defer a.Unlock()
}

func waitForNext() {
	begin()
	next.Lock()
	defer next.Unlock()
}

// keepSlow lets go of its lock in an hour.
func keepSlow() {
	slow.Lock()
	defer slow.Unlock()
	begin()
	time.Sleep(time.Hour)
}

func waitForSlow() {
	begin()
	slow.Lock()
	defer slow.Unlock()
}

func start(n int, f func()) {
	want := atomic.LoadInt64(&started) + int64(n)
	for i := 0; i < n; i++ {
		go f()
	}
	for atomic.LoadInt64(&started) < want {
		time.Sleep(time.Millisecond)
	}
}

func main() {
	var met sync.WaitGroup
	met.Add(2)
	go lockAB(&met)
	go lockBA(&met)
	met.Wait()
	start(1, keepSlow)
	start(1, keepNext)
	start(behindA, waitForA)
	start(behindB, waitForB)
	start(behindNext, waitForNext)
	start(behindSlow, waitForSlow)
	time.Sleep(300 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	time.Sleep(24 * time.Hour)
}

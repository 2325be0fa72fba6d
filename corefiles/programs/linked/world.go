//go:build !linked_host

// Program linked is built in every way in which Go code is linked: as a program, as a
// library or an archive that a C program calls (lib.go, c/host.c), as a plugin (plugin.go,
// host.go). It hangs in the same way in each: two goroutines take two mutexes in opposite
// order, others wait for what may yet come. With LINKED=well in the environment nothing is
// stuck.
package main

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

type account struct {
	name    string
	mu      sync.Mutex
	balance int
}

var (
	left, right = &account{name: "left"}, &account{name: "right"}
	first       sync.Mutex
	second      sync.Mutex
	work        = make(chan int)
	more        = sync.NewCond(new(sync.Mutex))
	config      sync.RWMutex
	stop        chan struct{}
	runtimes    = "1" // the second of two libraries in one process is linked with "2"
)

// A meeting lets its goroutines go on once all of them hold their first lock.
type meeting struct{ sync.WaitGroup }

func (m *meeting) wait() {
	m.Done()
	m.Wait()
}

func lockForward(m *meeting) {
	first.Lock()
	defer first.Unlock()
	m.wait()
	second.Lock()
	defer second.Unlock()
}

func lockBackward(m *meeting) {
	second.Lock()
	defer second.Unlock()
	m.wait()
	first.Lock()
	defer first.Unlock()
}

// orderly takes its locks in one order, and keeps them for a while.
func orderly() {
	for {
		left.mu.Lock()
		right.mu.Lock()
		time.Sleep(time.Hour)
		right.mu.Unlock()
		left.mu.Unlock()
	}
}

func worker() (sum int) {
	for n := range work {
		sum += n
	}
	return sum
}

func feeder() {
	for i := 0; ; i++ {
		select {
		case work <- i:
			time.Sleep(time.Hour)
		case <-stop:
			return
		}
	}
}

func waitForMore() {
	more.L.Lock()
	more.Wait()
	more.L.Unlock()
}

func tellMore() {
	time.Sleep(time.Hour)
	more.Broadcast()
}

func readConfig(n int) int {
	if n > 0 {
		return readConfig(n-1) + 1
	}
	config.RLock()
	defer config.RUnlock()
	return 0
}

func writeConfig() {
	config.Lock()
	time.Sleep(time.Hour)
	config.Unlock()
}

func heartbeat() {
	for range time.Tick(time.Hour) {
	}
}

// hang starts everything. It returns when nothing moves any more.
func hang() {
	var met meeting
	if os.Getenv("LINKED") != "well" {
		met.Add(2)
		go lockForward(&met)
		go lockBackward(&met)
	}
	go orderly()
	go writeConfig()
	go tellMore()
	go heartbeat()
	time.Sleep(50 * time.Millisecond)
	go orderly()
	go readConfig(3)
	go waitForMore()
	go worker()
	go feeder()
	time.Sleep(200 * time.Millisecond)
	runtime.GC()
	time.Sleep(50 * time.Millisecond)
}

// settled says so, then crashes if it was asked to.
func settled() {
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" && runtimes == "1" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
}

// Program abba hangs in the classic way: two goroutines take two mutexes in
// opposite order. A heartbeat keeps the process alive, so the runtime's own
// "all goroutines are asleep" check says nothing.
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

var a, b sync.Mutex

func lockAB(met *meeting) {
	a.Lock()
	defer a.Unlock()
	met.wait()
	b.Lock()
	defer b.Unlock()
}

func lockBA(met *meeting) {
	b.Lock()
	defer b.Unlock()
	met.wait()
	a.Lock()
	defer a.Unlock()
}

// A meeting lets its goroutines go on once all of them hold their first lock.
type meeting struct{ sync.WaitGroup }

func (m *meeting) wait() {
	m.Done()
	m.Wait()
}

func heartbeat() {
	for range time.Tick(time.Hour) {
	}
}

// ready says that nothing moves any more, then crashes if it was asked to.
func ready() {
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
}

func main() {
	var met meeting
	var workers sync.WaitGroup
	met.Add(2)
	workers.Add(2)
	go heartbeat()
	go func() {
		defer workers.Done()
		lockAB(&met)
	}()
	go func() {
		defer workers.Done()
		lockBA(&met)
	}()
	go ready()
	workers.Wait()
}

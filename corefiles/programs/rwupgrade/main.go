// Program rwupgrade wants to write while it still reads: the write lock waits
// for all readers, the goroutine itself among them.
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

type registry struct {
	mu    sync.RWMutex
	names map[string]int
}

func (r *registry) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[name]++
}

func (r *registry) ensure(name string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if _, ok := r.names[name]; !ok {
		r.add(name)
	}
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
	r := &registry{names: make(map[string]int)}
	var wg sync.WaitGroup
	wg.Add(1)
	go heartbeat()
	go ready()
	go func() {
		defer wg.Done()
		r.ensure("gopher")
	}()
	wg.Wait()
}

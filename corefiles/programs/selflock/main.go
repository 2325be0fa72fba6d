// Program selflock locks a mutex that the goroutine itself holds: a method
// calls another one of the same lock.
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

type cache struct {
	mu   sync.Mutex
	data map[string]int
}

func (c *cache) get(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data[key]
}

func (c *cache) increment(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.data[key] = c.get(key) + 1
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
	c := &cache{data: make(map[string]int)}
	go heartbeat()
	go ready()
	done := make(chan bool)
	go func() {
		c.increment("hits")
		close(done)
	}()
	<-done
}

// Program throw dies of an error that the runtime lets nobody recover: a mutex
// is unlocked that is not locked.
package main

import (
	"os"
	"sync"
	"time"
)

type guarded struct {
	sync.Mutex
	n int
}

//go:noinline
func (g *guarded) reset() {
	defer g.Unlock()
	g.n = 0
}

func wait(c chan int) { <-c }

func main() {
	g := new(guarded)
	go wait(make(chan int))
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		g.reset()
	}
	for range time.Tick(time.Hour) {
	}
}

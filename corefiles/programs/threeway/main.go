// Program threeway has three philosophers at a table of three forks, each with
// the fork to the left in hand.
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

var forks [3]sync.Mutex

//go:noinline
func dine(seat int, seated, finished *sync.WaitGroup) {
	defer finished.Done()
	left, right := &forks[seat], &forks[(seat+1)%len(forks)]
	left.Lock()
	defer left.Unlock()
	seated.Done()
	seated.Wait()
	right.Lock()
	defer right.Unlock()
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
	var seated, finished sync.WaitGroup
	seated.Add(len(forks))
	finished.Add(len(forks))
	go heartbeat()
	for seat := range forks {
		go dine(seat, &seated, &finished)
	}
	go ready()
	finished.Wait()
}

// Program abba_explicit is abba without defer: the locks are let go of by plain
// calls, so nothing but the code itself says who holds them.
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

type store struct {
	users  sync.Mutex
	orders sync.Mutex
	n      int
}

var shop store

var met sync.WaitGroup

//go:noinline
func placeOrder(s *store) {
	s.users.Lock()
	s.n++
	met.Done()
	met.Wait()
	s.orders.Lock()
	s.n++
	s.orders.Unlock()
	s.users.Unlock()
}

//go:noinline
func deleteUser(s *store) {
	s.orders.Lock()
	s.n--
	met.Done()
	met.Wait()
	s.users.Lock()
	s.n--
	s.users.Unlock()
	s.orders.Unlock()
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
	met.Add(2)
	go heartbeat()
	go deleteUser(&shop)
	go ready()
	placeOrder(&shop)
}

package main

import (
	"context"
	"sync"
	"time"
)

var (
	global   sync.Mutex
	globalRW sync.RWMutex
)

type server struct {
	mu    sync.Mutex
	rw    sync.RWMutex
	once  sync.Once
	wg    sync.WaitGroup
	cond  *sync.Cond
	queue chan string
}

func sendUnbuffered(c chan<- int) { c <- 1 }

func sendFull(c chan<- string) {
	for {
		c <- "job"
	}
}

func receive(c <-chan int) int { return <-c }

func receiveTwo(c <-chan struct{}) bool {
	_, ok := <-c
	return ok
}

func rangeOver(c <-chan [4]int) {
	for range c {
	}
}

func sendNil() {
	var c chan int
	c <- 1
}

func receiveNil() {
	var c chan int
	<-c
}

func selectMany(a, b chan int, c chan string) {
	select {
	case <-a:
	case b <- 7:
	case s := <-c:
		_ = s
	}
}

func selectSame(c chan int) {
	select {
	case <-c:
	case c <- 1:
	}
}

func selectNil() {
	var a, b chan int
	select {
	case <-a:
	case b <- 1:
	}
}

func selectTimeout(c chan int) {
	select {
	case <-c:
	case <-time.After(time.Hour):
	}
}

func selectNothing() { select {} }

func (s *server) lock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue <- "never"
}

func (s *server) lockHeld(held chan<- bool) {
	s.mu.Lock()
	held <- true
	<-never
	s.mu.Unlock()
}

func (s *server) read() {
	s.rw.RLock()
	defer s.rw.RUnlock()
	s.queue <- "never"
}

func (s *server) readHeld(held chan<- bool) {
	s.rw.RLock()
	defer s.rw.RUnlock()
	held <- true
	<-never
}

func (s *server) write() {
	s.rw.Lock()
	defer s.rw.Unlock()
	s.queue <- "never"
}

func lockGlobal() {
	global.Lock()
	defer global.Unlock()
}

func writeGlobal() {
	globalRW.Lock()
	globalRW.Unlock()
}

func readGlobal() {
	globalRW.RLock()
	globalRW.RUnlock()
}

func holdGlobals(held chan<- bool) {
	global.Lock()
	defer global.Unlock()
	globalRW.Lock()
	defer globalRW.Unlock()
	held <- true
	<-never
}

func (s *server) waitCond() {
	s.cond.L.Lock()
	defer s.cond.L.Unlock()
	s.cond.Wait()
}

func (s *server) initialize(inside chan<- bool) {
	s.once.Do(func() {
		inside <- true
		<-never
	})
}

func (s *server) initializeAgain() { s.once.Do(func() {}) }

func waitContext(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func sleeper() { time.Sleep(time.Hour) }

func tick(t *time.Ticker) {
	for range t.C {
	}
}

func startWaits() {
	s := &server{queue: make(chan string, 2)}
	s.cond = sync.NewCond(new(sync.Mutex))
	c := make(chan int)
	held := make(chan bool)

	go sendUnbuffered(make(chan int))
	go sendFull(s.queue)
	go receive(c)
	go receive(c)
	go receiveTwo(make(chan struct{}))
	go rangeOver(make(chan [4]int, 3))
	go sendNil()
	go receiveNil()
	go selectMany(make(chan int), make(chan int), make(chan string))
	go selectSame(make(chan int))
	go selectNil()
	go selectTimeout(c)
	go selectNothing()

	go s.lockHeld(held)
	<-held
	go s.lock()
	go s.lock()

	// A reader holds the lock, a writer waits for it, a second reader waits
	// for the writer, a second writer for the first.
	go s.readHeld(held)
	<-held
	go s.write()
	time.Sleep(10 * time.Millisecond)
	go s.read()
	go s.write()

	go holdGlobals(held)
	<-held
	go lockGlobal()
	go writeGlobal()
	go readGlobal()

	s.wg.Add(3)
	go s.wg.Wait()
	go func() { s.wg.Wait() }()
	go s.waitCond()
	go s.waitCond()
	go s.initialize(held)
	<-held
	go s.initializeAgain()

	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), c, "v"), time.Hour)
	_ = cancel
	go waitContext(ctx)
	go sleeper()
	go tick(time.NewTicker(time.Hour))
	time.AfterFunc(time.Millisecond, func() { <-never })
}

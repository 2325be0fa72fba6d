package main

import (
	"io"
	"runtime/trace"
	"sync"
	"time"
	"unsafe"

	"library/copies/golang.org/x/sync/semaphore"
)

var (
	places  = make(chan struct{}, 2)
	closed  = make(chan int, 3)
	idle    = semaphore.NewWeighted(7)
	rw      = new(sync.RWMutex)
	counter = new(sync.WaitGroup)
	free    = new(sync.RWMutex)
)

func init() {
	more = append(more, nils, locks, states)
}

// nils: what nobody can ever end, and a select with some such cases.
func nils() {
	var no chan int
	tell(start(func() {
		select {
		case <-no:
		case no <- 1:
		}
	}), "all channels of its select are nil: nobody can ever wake it")
	tell(start(func() { select {} }), "its select has no cases: nobody can ever wake it")
	tell(start(func() { <-no }), "its channel is nil: nobody can ever wake it")
	places <- struct{}{}
	places <- struct{}{}
	id := start(func() {
		select {
		case <-no:
		case places <- struct{}{}:
		case <-never:
		}
	})
	tell(id, "waits to send (select): channel %p (main.places), 2 of 2 elements queued", places)
	tell(id, "waits to receive (select): channel %p (main.never), unbuffered", never)
	tell(start(func() { places <- struct{}{} }), "a channel does not record who holds its places")
}

func locks() {
	readers := [2]uint64{}
	for i := range readers {
		readers[i] = start(func() { rw.RLock(); <-never; rw.RUnlock() })
	}
	time.Sleep(20 * time.Millisecond)
	writer := start(func() { rw.Lock() })
	time.Sleep(20 * time.Millisecond)
	reader := start(func() { rw.RLock() })
	next := start(func() { rw.Lock() })
	tell(reader, "kept out by goroutine %d", writer)
	tell(next, "kept out by goroutine %d", writer)
	what(unsafe.Pointer(rw), "a writer waits; readers that hold it: 2, that wait: 1")
	for _, id := range readers {
		what(unsafe.Pointer(rw), "held by goroutine %d, which read-locked it", id)
	}
	counter.Add(3)
	tell(start(func() { counter.Wait() }), "counter 3")
}

// states: of things that nobody waits for.
func states() {
	closed <- 1
	close(closed)
	what(*(*unsafe.Pointer)(unsafe.Pointer(&closed)), "1 of 3 elements queued, closed")
	idle.TryAcquire(4)
	what(unsafe.Pointer(idle), "semaphore.Weighted %p: 4 of 7 taken; who holds it is not recorded", idle)
	free.RLock()
	what(unsafe.Pointer(free), "readers: 1")
	trace.Start(io.Discard)
}

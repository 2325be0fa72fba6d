// Program handover is healthy, though it looks like deadlocks: locks are taken by one
// goroutine and let go of by another, and waiters that a Cond has woken queue up for its lock.
// Those whom everybody waits for are only asleep.
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

var turn sync.Mutex
var turns = make(chan int)

// give takes the lock for someone else, again and again.
func give() {
	for n := 0; ; n++ {
		turn.Lock()
		turns <- n
	}
}

func take() {
	for {
		<-turns
		time.Sleep(time.Hour)
		turn.Unlock()
	}
}

type job struct {
	mu   sync.Mutex
	done int
}

func (j *job) finish() {
	time.Sleep(time.Hour)
	j.done++
	j.mu.Unlock()
}

// start locks a job for the goroutine that does it, and again to wait for its end.
func (j *job) start() int {
	j.mu.Lock()
	go j.finish()
	j.mu.Lock()
	n := j.done
	j.mu.Unlock()
	return n
}

func (j *job) result() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.done
}

// startAndAsk is the same, but waits in a function that locks for itself.
func (j *job) startAndAsk() int {
	j.mu.Lock()
	go j.finish()
	time.Sleep(time.Millisecond)
	return j.result()
}

var gate sync.RWMutex
var visits = make(chan int)

// visit locks for reading, for someone else to leave; a writer waits for that one.
func visit() {
	for n := 0; ; n++ {
		gate.RLock()
		visits <- n
		time.Sleep(20 * time.Millisecond)
	}
}

func leave() {
	for {
		<-visits
		time.Sleep(time.Hour)
		gate.RUnlock()
	}
}

func shut() {
	time.Sleep(10 * time.Millisecond)
	gate.Lock()
	gate.Unlock()
}

type queue struct {
	mu    sync.Mutex
	some  *sync.Cond
	items []int
	idle  int
}

func (q *queue) get() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.idle++
	for len(q.items) == 0 {
		q.some.Wait()
	}
	n := q.items[0]
	q.items = q.items[1:]
	return n
}

func (q *queue) getPlainly() int {
	q.mu.Lock()
	q.idle++
	for len(q.items) == 0 {
		q.some.Wait()
	}
	n := q.items[0]
	q.items = q.items[1:]
	q.mu.Unlock()
	return n
}

// wakeAll lets them come while it has the lock still.
func (q *queue) wakeAll() {
	for idle := 0; idle < 4; {
		time.Sleep(time.Millisecond)
		q.mu.Lock()
		idle = q.idle
		q.mu.Unlock()
	}
	q.mu.Lock()
	q.items = append(q.items, 1, 2, 3, 4)
	q.some.Broadcast()
	time.Sleep(time.Hour)
	q.mu.Unlock()
}

var tool, shelf sync.Mutex

//go:noinline
func borrow(l sync.Locker, use func()) {
	l.Lock()
	use()
	l.Unlock()
}

// borrowLater has a call deferred that takes the tool and gives it back, and has not got it yet.
func borrowLater() {
	time.Sleep(20 * time.Millisecond)
	defer func() {
		borrow(&tool, func() {})
	}()
	shelf.Lock()
	defer shelf.Unlock()
}

func fetchTool() {
	shelf.Lock()
	time.Sleep(10 * time.Millisecond)
	tool.Lock()
	tool.Unlock()
	shelf.Unlock()
}

// useTool takes the tool; who returns it comes later.
func useTool() {
	tool.Lock()
	go func() {
		time.Sleep(time.Hour)
		tool.Unlock()
	}()
}

var hall, yard, shed, porch, attic, loft sync.Mutex
var rooms = map[string]*sync.Mutex{"red": new(sync.Mutex), "blue": new(sync.Mutex), "green": new(sync.Mutex)}
var jobs = []*job{new(job), new(job)}
var three = 2 + len(os.Args[:1])

// enterLater has a release deferred of a room that it has not taken yet, and looks up anew then.
func enterLater() {
	time.Sleep(20 * time.Millisecond)
	for n := 0; n < three; n++ {
		if n == 1 {
			defer rooms["red"].Unlock()
			hall.Lock()
			hall.Unlock()
			rooms["red"].Lock()
		}
	}
}

// climbLater does as much while it has a lock that is another one.
func climbLater() {
	time.Sleep(20 * time.Millisecond)
	attic.Lock()
	for n := 0; n < three; n++ {
		if n == 1 {
			defer rooms["green"].Unlock()
			loft.Lock()
			loft.Unlock()
			rooms["green"].Lock()
		}
	}
	attic.Unlock()
}

// closeLater has one of a lock that it is to take through an interface.
//
//go:noinline
func closeLater(l sync.Locker) {
	time.Sleep(20 * time.Millisecond)
	defer l.Unlock()
	porch.Lock()
	porch.Unlock()
	l.Lock()
}

// tidyLater takes a job in the one turn of its loop that comes to it, and another lock for the way there.
func tidyLater() {
	time.Sleep(20 * time.Millisecond)
	for n := 0; n < three; n++ {
		if n == 1 {
			switch three {
			case 2:
				time.Sleep(time.Hour)
			case 3:
				shed.Lock()
				yard.Lock()
				yard.Unlock()
				shed.Unlock()
			case 4:
				time.Sleep(time.Hour)
			}
			jobs[1].mu.Lock()
		}
	}
	jobs[1].done++
	jobs[1].mu.Unlock()
}

// fetch takes a lock that somebody else lets go of later, and lets another goroutine wait for it who has
// the first.
func fetch(first, then *sync.Mutex) {
	then.Lock()
	go func() {
		time.Sleep(time.Hour)
		then.Unlock()
	}()
	go func() {
		first.Lock()
		then.Lock()
		then.Unlock()
		first.Unlock()
	}()
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
	q := &queue{}
	q.some = sync.NewCond(&q.mu)
	go give()
	go take()
	go new(job).start()
	go new(job).startAndAsk()
	go visit()
	go leave()
	go shut()
	for i := 0; i < 2; i++ {
		go q.get()
		go q.getPlainly()
	}
	go q.wakeAll()
	useTool()
	go fetchTool()
	go borrowLater()
	fetch(&hall, rooms["red"])
	go enterLater()
	fetch(&loft, rooms["green"])
	go climbLater()
	fetch(&porch, rooms["blue"])
	go closeLater(rooms["blue"])
	fetch(&yard, &jobs[1].mu)
	go tidyLater()
	go ready()
	time.Sleep(time.Hour)
}

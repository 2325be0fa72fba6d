// Waits that libraries stand behind: errgroup, semaphore, singleflight, contexts, signals, conditions, coroutines. The
// program says of each goroutine that waits what "why" should tell: "why ID TEXT".
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"library/copies/golang.org/x/sync/semaphore"
	"library/copies/golang.org/x/sync/singleflight"
)

var (
	never = make(chan bool)
	mu    sync.Mutex
	lines []string
	more  []func()
)

func goid() uint64 {
	var buf [64]byte
	f := bytes.Fields(buf[:runtimeStack(buf[:])])
	id, _ := strconv.ParseUint(string(f[1]), 10, 64)
	return id
}

// tell notes what why should say of a goroutine.
func tell(id uint64, format string, args ...interface{}) {
	mu.Lock()
	lines = append(lines, fmt.Sprintf("why %d ", id)+fmt.Sprintf(format, args...))
	mu.Unlock()
}

// what notes what object should say of an address.
func what(addr unsafe.Pointer, format string, args ...interface{}) {
	mu.Lock()
	lines = append(lines, fmt.Sprintf("object %p ", addr)+fmt.Sprintf(format, args...))
	mu.Unlock()
}

// start runs f in a goroutine and returns its id.
func start(f func()) uint64 {
	id := make(chan uint64)
	go func() {
		id <- goid()
		f()
	}()
	return <-id
}

func semaphores() {
	s := semaphore.NewWeighted(10)
	s.Acquire(context.Background(), 8)
	first := start(func() { s.Acquire(context.Background(), 5) })
	time.Sleep(20 * time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	start(func() { <-never; cancel() })
	second := start(func() { s.Acquire(ctx, 3) })
	time.Sleep(20 * time.Millisecond)
	tell(first, "semaphore.Weighted %p: 8 of 10 taken; this one waits for 5, 0 before it, 1 behind it", s)
	tell(second, "semaphore.Weighted %p: 8 of 10 taken; this one waits for 3, 1 before it, 0 behind it", s)
	start(func() { <-never; s.Release(8) })
}

func flights() {
	g := new(singleflight.Group)
	runner := start(func() {
		g.Do("users/7", func() (interface{}, error) { <-never; return nil, nil })
	})
	time.Sleep(20 * time.Millisecond)
	waiter := start(func() {
		g.Do("users/7", func() (interface{}, error) { return nil, nil })
	})
	tell(waiter, `: the call for "users/7", which goroutine %d makes`, runner)
}

type key struct{}

//go:noinline
func waitDone(ctx context.Context) { <-ctx.Done() }

var cancelGlobal context.CancelFunc

//go:noinline
func keeper(ids chan<- uint64, cancel context.CancelFunc) {
	defer cancel()
	ids <- goid()
	<-never
}

func contexts() {
	// Background, a deadline, a value, then what can be cancelled by one goroutine alone.
	hour, stop := context.WithTimeout(context.Background(), time.Hour)
	ids := make(chan uint64)
	go keeper(ids, stop)
	timeKeeper := <-ids
	value := context.WithValue(hour, key{}, "x")
	ctx, cancel := context.WithCancel(value)
	go keeper(ids, cancel)
	canceller := <-ids
	id := start(func() { waitDone(ctx) })
	tell(id, "context.cancelCtx %p: its cancel function is on the stack of goroutine %d", pointer(ctx), canceller)
	tell(id, "made of context.timerCtx %p, its deadline is in 59m5", pointer(hour))
	tell(id, ", 1 made of it: its cancel function is on the stack of goroutine %d", timeKeeper)
	tell(id, "made of context.Background")
	id = start(func() { waitDone(hour) })
	tell(id, "it is closed when a context is cancelled: context.timerCtx %p, its deadline is in 59m5", pointer(hour))

	lost, _ := context.WithCancel(context.TODO())
	id = start(func() { waitDone(lost) })
	tell(id, "context.cancelCtx %p: no", pointer(lost))

	kept, cancel := context.WithCancel(context.Background())
	cancelGlobal = cancel
	id = start(func() {
		select {
		case <-kept.Done():
		case <-never:
		}
	})
	tell(id, "context.cancelCtx %p: ", pointer(kept))
}

func pointer(ctx context.Context) unsafe.Pointer {
	return (*[2]unsafe.Pointer)(unsafe.Pointer(&ctx))[1]
}

func signals() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGHUP)
	d := make(chan os.Signal, 1)
	signal.Notify(d, syscall.SIGWINCH)
	tell(start(func() { <-c }), "signal.Notify sends on it: SIGHUP, SIGUSR1")
	tell(start(func() { <-d }), "signal.Notify sends on it: SIGWINCH")
}

func conditions() {
	m := new(sync.Mutex)
	c := sync.NewCond(m)
	tell(start(func() { m.Lock(); c.Wait() }), "when it is woken it takes its lock again: *sync.Mutex %p, unlocked now", m)
	n := new(sync.RWMutex)
	d := sync.NewCond(n.RLocker())
	tell(start(func() { n.RLock(); d.Wait() }), "when it is woken it takes its lock again: *sync.rlocker %p", n)
	start(func() { <-never; c.Signal(); d.Signal() })
}

func timers() {
	t := time.NewTicker(time.Hour)
	tell(start(func() { <-t.C }), "a timer will send on it in 59m5")
}

func onces() {
	o := new(sync.Once)
	runner := start(func() { o.Do(func() { <-never }) })
	time.Sleep(20 * time.Millisecond)
	waiter := start(func() { o.Do(func() {}) })
	tell(waiter, "run by goroutine %d", runner)
}

func main() {
	semaphores()
	flights()
	contexts()
	signals()
	conditions()
	timers()
	onces()
	for _, f := range more {
		f()
	}
	time.Sleep(100 * time.Millisecond)
	for _, l := range lines {
		fmt.Fprintln(os.Stderr, l)
	}
	fmt.Println("ready")
	for {
		time.Sleep(time.Hour)
	}
}

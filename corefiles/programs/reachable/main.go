// Program reachable is well, though most of its goroutines wait: each waits for
// something that a global, a timer, a finalizer or another goroutine knows, and
// that may be used yet. Nothing may be called stuck here. Functions are named
// after what leads to the object that is waited for.
package main

import (
	"context"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

type tree struct {
	left, right *tree
	ch          chan int
}

var (
	globalChan   = make(chan int)
	globalMap    = map[string]chan int{}
	globalTrees  []*tree
	globalIface  interface{}
	globalFunc   func()
	globalSync   sync.Map
	globalPtr    unsafe.Pointer
	globalQueue  = make(chan chan int, 3)
	globalOffer  = make(chan chan int)
	globalPool   sync.Pool
	globalGroup  sync.WaitGroup
	globalCancel context.CancelFunc
	globalValue  atomic.Value
	globalConn   net.Conn

	later []func() // of newer releases
)

type key struct{}

func receive(ch <-chan int) { <-ch }

//go:noinline
func byGlobal() { go receive(globalChan) }

//go:noinline
func byMap() {
	ch := make(chan int)
	globalMap["x"] = ch
	go receive(ch)
}

//go:noinline
func grow(depth int, ch chan int) *tree {
	if depth == 0 {
		return &tree{ch: ch}
	}
	return &tree{left: grow(depth-1, nil), right: grow(depth-1, ch)}
}

//go:noinline
func byTree() {
	ch := make(chan int)
	globalTrees = append(globalTrees, grow(8, ch))
	go func() { ch <- 1 }()
}

//go:noinline
func byInterface() {
	ch := make(chan int)
	globalIface = struct {
		n int
		c chan int
	}{1, ch}
	go receive(ch)
}

//go:noinline
func byClosure() {
	ch := make(chan int)
	globalFunc = func() { close(ch) }
	go receive(ch)
}

//go:noinline
func bySyncMap() {
	ch := make(chan int)
	globalSync.Store("k", ch)
	go receive(ch)
}

//go:noinline
func byAtomicValue() {
	ch := make(chan int)
	globalValue.Store(ch)
	go receive(ch)
}

//go:noinline
func byInteriorPointer() {
	s := &struct {
		pad [40]int
		ch  chan int
		in  int
	}{ch: make(chan int)}
	ch := s.ch
	globalPtr = unsafe.Pointer(&s.in)
	go receive(ch)
}

//go:noinline
func byBuffer() {
	ch := make(chan int)
	globalQueue <- ch
	go receive(ch)
}

//go:noinline
func byBlockedSender() {
	ch := make(chan int)
	go func() { globalOffer <- ch }()
	go receive(ch)
}

//go:noinline
func byPool() {
	ch := make(chan int)
	globalPool.Put(&tree{ch: ch})
	go receive(ch)
}

//go:noinline
func byTimer() {
	ch := make(chan int)
	time.AfterFunc(time.Hour, func() { ch <- 1 })
	go receive(ch)
	go func() { <-time.After(time.Hour) }()
	go func() {
		for range time.Tick(time.Hour) {
		}
	}()
	unknown := make(chan int)
	go func() {
		select {
		case <-unknown:
		case <-time.After(time.Hour):
		}
	}()
}

//go:noinline
func byContext() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	child, cancelChild := context.WithCancel(context.WithValue(ctx, key{}, 1))
	_, _ = cancel, cancelChild
	go func() { <-ctx.Done() }()
	go func() { <-child.Done() }()
	other, cancelOther := context.WithCancel(context.Background())
	globalCancel = cancelOther
	go func() { <-other.Done() }()
}

//go:noinline
func byFinalizer() {
	byObject, byFunc, byLive := make(chan int), make(chan int), make(chan int)
	object := &tree{ch: byObject}
	runtime.SetFinalizer(object, func(t *tree) { t.ch <- 1 })
	runtime.SetFinalizer(&tree{}, func(*tree) { byFunc <- 1 })
	live := &tree{ch: byLive}
	runtime.SetFinalizer(live, func(t *tree) { t.ch <- 1 })
	globalTrees = append(globalTrees, live)
	go receive(byObject)
	go receive(byFunc)
	go receive(byLive)
}

//go:noinline
func bySignal() {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGUSR1)
	go func() { <-ch }()
}

//go:noinline
func byReader() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	read, accepted := make(chan int), make(chan int)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		var b [1]byte
		conn.Read(b[:])
		read <- 1
	}()
	globalConn, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		panic(err)
	}
	go func() { listener.Accept(); accepted <- 1 }()
	go receive(read)
	go receive(accepted)
}

//go:noinline
func bySleeper() {
	ch := make(chan int)
	go func() { time.Sleep(time.Hour); ch <- 1 }()
	go receive(ch)
}

//go:noinline
func byDeferred() {
	ch := make(chan int)
	go func() {
		defer func() { ch <- 1 }()
		for i := 0; i < 2; i++ {
			defer func(i int) { ch <- i }(i)
		}
		time.Sleep(time.Hour)
	}()
	go receive(ch)
}

//go:noinline
func bySyscall() {
	var p [2]int
	if err := syscall.Pipe(p[:]); err != nil {
		panic(err)
	}
	ch := make(chan int)
	go func() {
		var b [1]byte
		syscall.Read(p[0], b[:])
		ch <- 1
	}()
	go receive(ch)
}

//go:noinline
func byLockedThread() {
	ch := make(chan int)
	go func() {
		runtime.LockOSThread()
		time.Sleep(time.Hour)
		ch <- 1
	}()
	go receive(ch)
}

// Those who have what is waited for here sleep, or are timers.
//
//go:noinline
func byOwner() {
	mu, rw, once := new(sync.Mutex), new(sync.RWMutex), new(sync.Once)
	group, cond := new(sync.WaitGroup), sync.NewCond(new(sync.Mutex))
	group.Add(1)
	go func() { mu.Lock(); rw.Lock(); time.Sleep(time.Hour); rw.Unlock(); mu.Unlock() }()
	go func() { once.Do(func() { time.Sleep(time.Hour) }) }()
	time.Sleep(50 * time.Millisecond)
	go func() { mu.Lock() }()
	go func() { rw.RLock() }()
	go func() { rw.Lock() }()
	go func() { once.Do(func() {}) }()
	time.AfterFunc(time.Hour, func() { group.Done(); cond.Broadcast() })
	go func() { group.Wait() }()
	for i := 0; i < 3; i++ {
		go func() { cond.L.Lock(); cond.Wait() }()
	}
	globalGroup.Add(1)
	go func() { globalGroup.Wait() }()
}

// Each waits for the one before; the first is woken by one that sleeps.
//
//go:noinline
func byChain() {
	first := make(chan int)
	in := first
	for i := 0; i < 20; i++ {
		out := make(chan int)
		go func(in, out chan int) { out <- <-in }(in, out)
		in = out
	}
	go receive(in)
	go func() { time.Sleep(time.Hour); first <- 1 }()
}

//go:noinline
func byOneCase() {
	a, b := make(chan int), make(chan int)
	go func() {
		select {
		case <-a:
		case b <- 1:
		case <-globalChan:
		}
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
	for _, f := range []func(){
		byGlobal, byMap, byTree, byInterface, byClosure, bySyncMap, byAtomicValue,
		byInteriorPointer, byBuffer, byBlockedSender, byPool, byTimer, byContext,
		byFinalizer, bySignal, byReader, bySleeper, byDeferred, bySyscall,
		byLockedThread, byOwner, byChain, byOneCase,
	} {
		f()
	}
	for _, f := range later {
		f()
	}
	go ready()
	time.Sleep(24 * time.Hour)
}

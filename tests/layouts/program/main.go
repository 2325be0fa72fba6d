// A program whose debug information describes every type that src/go/layout.def names.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime/pprof"
	"sync"
	"time"
)

type all struct {
	mu    sync.Mutex
	rw    sync.RWMutex
	wg    sync.WaitGroup
	once  sync.Once
	cond  *sync.Cond
	pool  sync.Pool
	m     sync.Map
	timer *time.Timer
	conn  net.Conn
}

func main() {
	var a all

	a.cond = sync.NewCond(&a.mu)
	a.timer = time.NewTimer(time.Hour)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		ln.Close()
	}
	a.wg.Add(1)
	pprof.Do(context.Background(), pprof.Labels("key", "value"), func(context.Context) {
		a.once.Do(func() { a.m.Store(1, a.wg.Done) })
	})
	f, ok := a.m.Load(1)
	if ok {
		f.(func())()
	}
	a.wg.Wait()
	a.rw.RLock()
	time.AfterFunc(time.Second, a.cond.Broadcast)
	a.mu.Lock()
	a.cond.Wait()
	fmt.Fprintln(os.Stderr, a.pool.Get(), a.conn, err)
	a.mu.Unlock()
	a.rw.RUnlock()
	pprof.Lookup("goroutine").WriteTo(os.Stderr, 0)
}

// Program lockstyles has many pairs of goroutines that take two locks in opposite order, each pair
// in a style of its own: what a tool must see through to name the owners.
//
// At least these verdicts: 15 cycle
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

// A pair's goroutines go on once each has its first lock.
type pair struct {
	a, b sync.Mutex
	met  sync.WaitGroup
}

func (p *pair) meet() {
	p.met.Done()
	p.met.Wait()
}

type style func(p *pair, first, second *sync.Mutex)

var (
	styles []style
	yes    = len(os.Args) > 0
	three  = 2 + len(os.Args[:1])
	worked int
	pairs  []*pair
)

//go:noinline
func work() { worked++ }

func explicit(p *pair, first, second *sync.Mutex) {
	first.Lock()
	p.meet()
	second.Lock()
	second.Unlock()
	first.Unlock()
}

func deferred(p *pair, first, second *sync.Mutex) {
	first.Lock()
	defer first.Unlock()
	p.meet()
	second.Lock()
	defer second.Unlock()
}

func deferredClosure(p *pair, first, second *sync.Mutex) {
	locked := false
	defer func() {
		if locked {
			work()
			first.Unlock()
		}
	}()
	first.Lock()
	locked = true
	p.meet()
	second.Lock()
	second.Unlock()
}

func methodValues(p *pair, first, second *sync.Mutex) {
	lock, unlock := first.Lock, first.Unlock
	lock()
	p.meet()
	second.Lock()
	second.Unlock()
	unlock()
}

//go:noinline
func acquire(m *sync.Mutex) { m.Lock(); work() }

//go:noinline
func release(m *sync.Mutex) { work(); m.Unlock() }

func helpers(p *pair, first, second *sync.Mutex) {
	acquire(first)
	p.meet()
	acquire(second)
	release(second)
	release(first)
}

//go:noinline
func guard(m *sync.Mutex) (done func()) {
	m.Lock()
	return func() { work(); m.Unlock() }
}

func guards(p *pair, first, second *sync.Mutex) {
	done := guard(first)
	p.meet()
	defer guard(second)()
	done()
}

func attempts(p *pair, first, second *sync.Mutex) {
	if !first.TryLock() {
		return
	}
	defer first.Unlock()
	p.meet()
	second.Lock()
	second.Unlock()
}

func lockers(p *pair, first, second *sync.Mutex) {
	under(first, func() {
		p.meet()
		under(second, work)
	})
}

//go:noinline
func under(l sync.Locker, f func()) {
	l.Lock()
	f()
	l.Unlock()
}

//go:noinline
func generic[T sync.Locker](l T, f func()) {
	l.Lock()
	defer l.Unlock()
	f()
}

func generics(p *pair, first, second *sync.Mutex) {
	generic(first, func() {
		p.meet()
		generic(second, work)
	})
}

// genericLockers has an interface for the parameter, whose methods a table of the function's tells.
func genericLockers(p *pair, first, second *sync.Mutex) {
	generic(locker(first), func() {
		p.meet()
		generic(locker(second), work)
	})
}

func loops(p *pair, first, second *sync.Mutex) {
	for i := 0; i < three; i++ {
		first.Lock()
		if i == 1 {
			p.meet()
			second.Lock()
			second.Unlock()
		}
		first.Unlock()
		time.Sleep(time.Millisecond)
	}
}

func loopDefers(p *pair, first, second *sync.Mutex) {
	for i, m := range []*sync.Mutex{first, second} {
		m.Lock()
		defer m.Unlock()
		if i == 0 {
			p.meet()
		}
	}
}

func switches(p *pair, first, second *sync.Mutex) {
	switch three {
	case 1, 2:
		work()
	case 3:
		first.Lock()
		defer first.Unlock()
		p.meet()
		second.Lock()
		second.Unlock()
	case 4, 5, 6, 7, 8:
		work()
	}
}

type office struct {
	n int
	*sync.Mutex
}

func embedded(p *pair, first, second *sync.Mutex) {
	x, y := &office{1, first}, &office{2, second}
	x.Lock()
	p.meet()
	y.Lock()
	y.Unlock()
	x.Unlock()
}

// The lock is released for a while and taken again, under a deferred Unlock.
func released(p *pair, first, second *sync.Mutex) {
	first.Lock()
	defer first.Unlock()
	work()
	first.Unlock()
	work()
	first.Lock()
	p.meet()
	second.Lock()
	second.Unlock()
}

func heartbeat() {
	for range time.Tick(time.Hour) {
	}
}

// ready says that nothing moves any more, then crashes if it was asked to.
func ready() {
	time.Sleep(300 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
}

func main() {
	styles = []style{
		explicit, deferred, deferredClosure, methodValues, helpers, guards, attempts,
		lockers, generics, genericLockers, loops, loopDefers, switches, embedded, released,
	}
	go heartbeat()
	for _, s := range styles {
		p := new(pair)
		p.met.Add(2)
		pairs = append(pairs, p)
		go s(p, &p.a, &p.b)
		go s(p, &p.b, &p.a)
	}
	go ready()
	select {}
}

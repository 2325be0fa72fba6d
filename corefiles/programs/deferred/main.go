// Program deferred has goroutines that block in the midst of functions with deferred calls of every
// kind. Each deferred call is also written down where it is deferred: what must be pending.
//
// It prints a line to standard error for each goroutine, "pending ID ..." with the functions that its main.* frames
// have deferred, in the order in which they are going to run.
package main

import (
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A book is what one goroutine has deferred, the first first.
type book struct {
	id      string // of the goroutine
	pending []string
	mu      sync.RWMutex
}

func (b *book) note(name string) { b.pending = append(b.pending, name) }

// done takes the note of the call that runs back out.
func (b *book) done() { b.pending = b.pending[:len(b.pending)-1] }

var (
	books   []*book
	settled = make(chan bool)
	never   = make(chan int)
	sink    int
)

//go:noinline
func wait() {
	settled <- true
	<-never
}

//go:noinline
func release(b *book, n int) { sink += n }

type closer interface{ shut() }

type file struct{ name string }

//go:noinline
func (f *file) shut() { sink += len(f.name) }

// open has few defers and no loop: the compiler needs no records, if it optimises.
//
//go:noinline
func open(b *book, yes bool, n int) {
	b.note("main.open.func1")
	defer func() { sink += n }()
	if yes {
		b.note("main.release")
		defer release(b, n)
	}
	if !yes {
		b.note("main.open.func2")
		defer func() { sink -= n }()
	}
	b.note("sync.(*RWMutex).Unlock")
	b.mu.Lock()
	defer b.mu.Unlock()
	wait()
}

// inLoop's defers need records on the heap.
//
//go:noinline
func inLoop(b *book, n int) {
	b.note("main.inLoop.func1")
	defer func() { sink++ }()
	for i := 0; i < n; i++ {
		b.note("main.release")
		defer release(b, i)
	}
	wait()
}

// many has more than a byte has bits: its records are on the stack.
//
//go:noinline
func many(b *book) {
	b.note("main.many.func1")
	defer func() { sink += 1 }()
	b.note("main.many.func2")
	defer func() { sink += 2 }()
	b.note("main.many.func3")
	defer func() { sink += 3 }()
	b.note("main.many.func4")
	defer func() { sink += 4 }()
	b.note("main.many.func5")
	defer func() { sink += 5 }()
	b.note("main.many.func6")
	defer func() { sink += 6 }()
	b.note("main.many.func7")
	defer func() { sink += 7 }()
	b.note("main.many.func8")
	defer func() { sink += 8 }()
	b.note("main.release")
	defer release(b, 9)
	wait()
}

// values defers what only its values tell.
//
//go:noinline
func values(b *book, c closer, fn func()) {
	b.note("main.(*file).shut")
	defer c.shut()
	b.note("main.literal")
	defer fn()
	b.note("sync.(*RWMutex).RUnlock")
	f := b.mu.RUnlock
	b.mu.RLock()
	defer f()
	wait()
}

// nested has frames with defers of both kinds above and below it.
//
//go:noinline
func nested(b *book) {
	b.note("main.release")
	defer release(b, 1)
	inLoop(b, 2)
}

// returning runs its deferred calls; one of them blocks, and has deferred one itself.
//
//go:noinline
func returning(b *book) {
	b.note("main.returning.func1")
	defer func() { sink++ }()
	b.note("main.returning.func2")
	defer func() {
		b.done()
		b.note("main.release")
		defer release(b, 2)
		wait()
	}()
	sink++
}

// panicking does the same while it panics: from records,
//
//go:noinline
func panicking(b *book) {
	b.note("main.panicking.func1")
	defer func() { recover() }()
	for i := 0; i < 2; i++ {
		b.note("main.release")
		defer release(b, i)
	}
	b.note("main.panicking.func2")
	defer func() {
		b.done()
		b.note("main.release")
		for i := 0; i < 1; i++ {
			defer release(b, i)
		}
		wait()
	}()
	panic("out of order")
}

// and without records.
//
//go:noinline
func panickingOpen(b *book, p *int) {
	b.note("main.panickingOpen.func1")
	defer func() { recover() }()
	b.note("main.release")
	defer release(b, 3)
	b.note("main.panickingOpen.func2")
	defer func() {
		b.done()
		wait()
	}()
	*p = 1
}

// recovered blocks after a panic is over.
//
//go:noinline
func recovered(b *book) {
	b.note("main.recovered.func1")
	defer func() { sink++ }()
	failing(b)
	wait()
}

//go:noinline
func failing(b *book) {
	defer func() { recover() }()
	defer release(b, 1)
	panic("no")
}

// spinning is not parked: its frame is where a signal finds it.
//
//go:noinline
func spinning(b *book) {
	b.note("main.spinning.func1")
	defer func() { sink++ }()
	b.note("main.release")
	defer release(b, 1)
	settled <- true
	for i := 0; ; i++ {
		sink = i
	}
}

func main() {
	literal := func() { sink++ } // main.main.func1
	start := []func(b *book){
		func(b *book) { open(b, true, 1) },
		func(b *book) { open(b, false, 2) },
		func(b *book) { inLoop(b, 3) },
		many,
		func(b *book) { values(b, &file{"x"}, literal) },
		nested,
		returning,
		panicking,
		func(b *book) { panickingOpen(b, nil) },
		recovered,
		spinning,
	}
	start = append(start, newer...)
	for _, f := range start {
		f, b := f, &book{}
		books = append(books, b)
		go func() {
			buf := make([]byte, 64)
			b.id = strings.Fields(string(buf[:runtime.Stack(buf, false)]))[1]
			f(b)
		}()
		<-settled
	}
	time.Sleep(100 * time.Millisecond)
	for _, b := range books {
		line := "pending " + b.id
		for k := len(b.pending) - 1; k >= 0; k-- {
			line += " " + strings.Replace(b.pending[k], "main.literal", "main.main.func1", 1)
		}
		os.Stderr.WriteString(line + "\n")
	}
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 {
		syscall.Kill(syscall.Getpid(), syscall.SIGABRT)
	}
	<-never
}

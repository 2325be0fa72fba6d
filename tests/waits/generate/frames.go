package main

// What both kinds of programs share.
const commonFrame = `type node struct {
	n  int
	mu sync.Mutex
	s  string
	rw sync.RWMutex
}

type shell struct {
	n int
	sync.Mutex
}

type box struct {
	n    int
	mu   sync.Mutex
	name string
	rw   sync.RWMutex
	done chan struct{}
	next *box
}

const nodeCount = %d

var (
	yes      = len(os.Args) > 0
	three    = 2 + len(os.Args[:1])
	table    [nodeCount]sync.Mutex
	nodes    []*node
	embedded []*shell
	byName   = map[string]*node{}
	pointers []*sync.Mutex
	never    = make(chan int)
	never2   = make(chan int)
	worked   int32
)

func init() {
	for i := 0; i < nodeCount; i++ {
		nodes = append(nodes, new(node))
		embedded = append(embedded, new(shell))
		byName[strconv.Itoa(i)] = new(node)
		pointers = append(pointers, new(sync.Mutex))
	}
}

//go:noinline
func work() { atomic.AddInt32(&worked, 1) }

//go:noinline
func use(int, ...any) {}

func withLocker(l sync.Locker, f func()) {
	l.Lock()
	defer l.Unlock()
	f()
}

//go:noinline
func withLockerExplicit(l sync.Locker, f func()) {
	l.Lock()
	f()
	l.Unlock()
}

//go:noinline
func with[T sync.Locker](l T, f func()) {
	l.Lock()
	f()
	l.Unlock()
}

// dieQuietly ends the process with a core of the moment: by a signal that the runtime does not see.
func dieQuietly() {
	var byDefault [8]uintptr
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGABRT), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	syscall.Kill(os.Getpid(), syscall.SIGABRT)
	time.Sleep(time.Hour)
}

`

const stuckFrame = `// Made by tests/waits/generate with the seed %d.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

var _ = context.Background

type entry struct {
	hidden  uintptr // the address, as no pointer looks like
	owners  [16]int
	count   int
	foreign bool
}

type scenario struct {
	kind          string
	roots, behind []int
	barrier       sync.WaitGroup
}

// No pointer to a scenario's objects is kept here.
var (
	bookMu    sync.Mutex
	book      [%d]entry
	changes   int
	scenarios [%d]scenario
)

func took(id, me int) {
	bookMu.Lock()
	e := &book[id]
	e.owners[e.count] = me
	e.count++
	changes++
	bookMu.Unlock()
}

func dropped(id, me int) {
	bookMu.Lock()
	defer bookMu.Unlock()
	changes++
	e := &book[id]
	for i, o := range e.owners[:e.count] {
		if o == me {
			e.count--
			e.owners[i] = e.owners[e.count]
			return
		}
	}
}

func foreign(id int) {
	bookMu.Lock()
	book[id].foreign = true
	changes++
	bookMu.Unlock()
}

func at(id int, addr uintptr) {
	bookMu.Lock()
	book[id].hidden = ^addr
	bookMu.Unlock()
}

func root(id int) int {
	me := enter()
	bookMu.Lock()
	scenarios[id].roots = append(scenarios[id].roots, me)
	bookMu.Unlock()
	return me
}

func behind(id int) int {
	me := enter()
	bookMu.Lock()
	scenarios[id].behind = append(scenarios[id].behind, me)
	bookMu.Unlock()
	return me
}

//go:noinline
func met(id int) { scenarios[id].barrier.Wait() }

//go:noinline
func meet(id int) {
	scenarios[id].barrier.Done()
	scenarios[id].barrier.Wait()
}

func enter() int {
	buf := make([]byte, 64)
	buf = buf[:runtime.Stack(buf, false)]
	id, _ := strconv.Atoi(string(bytes.Fields(buf)[1]))
	return id
}

func start(f func(int)) { f(enter()) }

//go:noinline
func stand() { <-never }

var stacks = make([]byte, 1<<23)

// settle returns when nothing moves any more: all others wait, and the book does not change.
func settle() {
	last := -1
	for quiet := 0; quiet < 3; quiet++ {
		time.Sleep(20 * time.Millisecond)
		all := stacks[:runtime.Stack(stacks, true)]
		if len(all) == len(stacks) {
			panic("too many goroutines")
		}
		if bytes.Count(all, []byte(" [run")) > 1 || changes != last {
			quiet = -1
		}
		last = changes
	}
}

%s%s//go:noinline
func startScenarios() {
%s}

// clear leaves nothing of what ran before on the stack.
//
//go:noinline
func clear(depth int) int {
	var room [64]int
	if depth == 0 {
		return room[3]
	}
	return clear(depth-1) + room[5]
}

func main() {
	startScenarios()
	settle()
%s	settle()
%s	out := json.NewEncoder(os.Stdout)
	bookMu.Lock()
	for i := range book {
		e := &book[i]
		out.Encode(map[string]any{"addr": "0x" + strconv.FormatUint(uint64(^e.hidden), 16),
			"owners": e.owners[:e.count], "foreign": e.foreign})
	}
	for i := range scenarios {
		s := &scenarios[i]
		out.Encode(map[string]any{"kind": s.kind, "roots": s.roots, "behind": append([]int{}, s.behind...)})
	}
	bookMu.Unlock()
	clear(20)
	switch os.Args[1] {
	case "quiet":
		dieQuietly()
	case "crash":
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}
`

const healthyFrame = `// Made by tests/waits/generate with the seed %d: it goes on for ever.
package main

%simport (
	%s
)

var (
	_ = context.Background
	_ = debug.FreeOSMemory
)

func took(id, me int)    { atomic.AddInt32(&worked, 1) }
func dropped(id, me int) { atomic.AddInt32(&worked, -1) }
func foreign(id int)     {}

// pause is a short while of one kind or another.
//
//go:noinline
func pause() {
	switch n := rand.Intn(40); {
	case n < 10:
		runtime.Gosched()
	case n < 20:
		for i := 0; i < 1000*n; i++ {
			work()
		}
	case n < 30:
		time.Sleep(time.Duration(n) * 10 * time.Microsecond)
	case n < 38:
		time.Sleep(time.Duration(rand.Intn(4000)) * time.Microsecond)
	case n < 39:
		done := make(chan bool)
		time.AfterFunc(time.Millisecond, func() { close(done) })
		<-done
	default:
		runtime.GC()
	}
}

//go:noinline
func stand() { pause() }

%s%sfunc main() {
	rand.Seed(time.Now().UnixNano())
	%s
	%s
	for i, f := range []func(){%s} {
		go func(i int, f func()) {
			// Many come late, and meet memory that was used before.
			time.Sleep(time.Duration(i%%8) * 5 * time.Millisecond)
			f()
		}(i, f)
	}
	if len(os.Args) > 1 {
		ms, _ := strconv.Atoi(os.Args[1])
		time.Sleep(time.Duration(ms) * time.Millisecond)
		dieQuietly()
	}
	select {}
}
`

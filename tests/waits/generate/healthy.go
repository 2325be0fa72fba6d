package main

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// An actor goes on for ever and gets on: whatever its goroutines wait for comes, by somebody who can
// run. It is the text of a function without arguments. Most of what is waited for here is known to
// few: it hangs on one stack, or on a timer.
var actors = []func() string{
	orderedLocks, orderedLocks, orderedLocks, orderedLocks,
	pipeline, pool, rounds, condQueue, tokens, requests, timeouts, canceled, onceEach,
	pingPong, tokenRing, handOver, readersAndWriters, timerWakes, nested, pipes, broadcast,
}

func num(lo, hi int) int { return lo + pick(hi-lo+1) }

// orderedLocks takes locks in the order of their numbers.
func orderedLocks() string {
	f := fresh("ordered")
	order := rnd.Perm(len(locks))[:1+pick(3)]
	sort.Ints(order)
	code := body(order, blocks, func() string { return "pause()\n" })
	fmt.Fprintf(&funcs, "func %s(me int) {\n%s}\n\n", f, indent(code))
	return fmt.Sprintf(`for i := 0; i < %d; i++ {
	go func(me int) {
		for {
			%s(me)
			pause()
		}
	}(i)
}
`, num(1, 4), f)
}

func pipeline() string {
	s := fmt.Sprintf("for {\n\tc := make(chan int, %d)\n\tgo func() {\n\t\tfor i := 0; i < 50; i++ {\n\t\t\tpause()\n\t\t\tc <- i\n\t\t}\n\t\tclose(c)\n\t}()\n\tin := (<-chan int)(c)\n", pick(3))
	for n := num(1, 3); n > 0; n-- {
		s += fmt.Sprintf("\t{\n\t\tfrom, out := in, make(chan int, %d)\n\t\tgo func() {\n\t\t\tdefer close(out)\n\t\t\tfor n := range from {\n\t\t\t\tpause()\n\t\t\t\tout <- n\n\t\t\t}\n\t\t}()\n\t\tin = out\n\t}\n", pick(3))
	}
	return s + "\tfor range in {\n\t}\n}\n"
}

func pool() string {
	return fmt.Sprintf(`jobs, results := make(chan int), make(chan int, %d)
for i := 0; i < %d; i++ {
	go func() {
		for n := range jobs {
			pause()
			results <- n
		}
	}()
}
go func() {
	for n := 0; ; n++ {
		jobs <- n
	}
}()
for range results {
	%s
}
`, pick(4), num(1, 6), []string{"work()", "pause()"}[pick(2)])
}

func rounds() string {
	done := "defer wg.Done()\n\t\t\tpause()"
	if chance(50) {
		done = "pause()\n\t\t\twg.Done()"
	}
	return fmt.Sprintf(`for {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := 0; i < %d; i++ {
		wg.Add(1)
		go func() {
			%s
			mu.Lock()
			defer mu.Unlock()
			work()
		}()
	}
	wg.Wait()
}
`, num(1, 8), done)
}

func condQueue() string {
	return fmt.Sprintf(`b := new(box)
c := sync.NewCond(&b.mu)
for i := 0; i < %d; i++ {
	go func() {
		for {
			c.L.Lock()
			for b.n == 0 {
				c.Wait()
			}
			b.n--
			%s
			c.L.Unlock()
		}
	}()
}
for {
	pause()
	b.mu.Lock()
	b.n++
	%s
	b.mu.Unlock()
}
`, num(1, 5), []string{"pause()", "work()"}[pick(2)], []string{"c.Signal()", "c.Broadcast()"}[pick(2)])
}

func tokens() string {
	return fmt.Sprintf(`tokens := make(chan struct{}, %d)
for i := 0; i < %d; i++ {
	go func() {
		for {
			tokens <- struct{}{}
			pause()
			<-tokens
		}
	}()
}
`, num(1, 3), num(2, 8))
}

func requests() string {
	return fmt.Sprintf(`type request struct {
	n     int
	reply chan int
}
asked := make(chan request, %d)
for i := 0; i < %d; i++ {
	go func() {
		for n := 0; ; n++ {
			r := request{n, make(chan int, %d)}
			asked <- r
			n = <-r.reply
		}
	}()
}
var mu sync.Mutex
for i := 0; i < %d; i++ {
	go func() {
		for r := range asked {
			mu.Lock()
			pause()
			mu.Unlock()
			r.reply <- r.n
		}
	}()
}
`, pick(3), num(1, 5), pick(2), num(1, 3))
}

func timeouts() string {
	return fmt.Sprintf(`for i := 0; i < %d; i++ {
	go func() {
		for {
			select {
			case <-make(chan int):
			case <-time.After(time.Duration(%d) * time.Microsecond):
			}
			t := time.NewTicker(time.Millisecond)
			<-t.C
			<-t.C
			t.Stop()
		}
	}()
}
`, num(1, 4), num(100, 9000))
}

func canceled() string {
	return fmt.Sprintf(`for {
	ctx, cancel := context.With%s
	var wg sync.WaitGroup
	for i := 0; i < %d; i++ {
		wg.Add(1)
		child, stop := context.WithCancel(ctx)
		go func() {
			defer wg.Done()
			defer stop()
			<-child.Done()
		}()
	}
	%s
	cancel()
	wg.Wait()
}
`, []string{"Cancel(context.Background())", "Timeout(context.Background(), 3*time.Millisecond)"}[pick(2)],
		num(1, 4), []string{"pause()", "work()"}[pick(2)])
}

func onceEach() string {
	return fmt.Sprintf(`for {
	once := new(sync.Once)
	var wg sync.WaitGroup
	wg.Add(%d)
	for i := 0; i < %[1]d; i++ {
		go func() {
			once.Do(pause)
			wg.Done()
		}()
	}
	wg.Wait()
}
`, num(2, 6))
}

func pingPong() string {
	return fmt.Sprintf(`there, back := make(chan int, %d), make(chan int)
go func() {
	for n := range there {
		pause()
		back <- n + 1
	}
}()
there <- 0
for n := range back {
	%s
	there <- n
}
`, pick(2), []string{"pause()", "work()"}[pick(2)])
}

func tokenRing() string {
	return fmt.Sprintf(`first := make(chan int)
from := first
for i := 0; i < %d; i++ {
	to := make(chan int)
	go func(from, to chan int) {
		for {
			n := <-from
			pause()
			to <- n
		}
	}(from, to)
	from = to
}
go func() { first <- 1 }()
for n := range from {
	first <- n
}
`, num(1, 5))
}

func handOver() string {
	return fmt.Sprintf(`b := new(box)
turn := make(chan int%s)
go func() {
	for range turn {
		pause()
		b.mu.Unlock()
	}
}()
for i := 0; i < %d; i++ {
	go func() {
		for {
			b.mu.Lock()
			b.n++
			turn <- b.n
		}
	}()
}
`, []string{"", ", 1"}[pick(2)], num(1, 3))
}

func readersAndWriters() string {
	return fmt.Sprintf(`b := new(box)
for i := 0; i < %d; i++ {
	go func() {
		for {
			b.rw.RLock()
			pause()
			b.rw.RUnlock()
		}
	}()
}
for i := 0; i < %d; i++ {
	go func() {
		for {
			pause()
			b.rw.Lock()
			%s
			b.rw.Unlock()
		}
	}()
}
`, num(1, 5), num(1, 3), []string{"pause()", "b.n++"}[pick(2)])
}

func timerWakes() string {
	return fmt.Sprintf(`for i := 0; i < %d; i++ {
	go func() {
		for {
			b := &box{done: make(chan struct{})}
			b.mu.Lock()
			time.AfterFunc(time.Duration(%d)*time.Microsecond, func() {
				b.mu.Unlock()
				close(b.done)
			})
			b.mu.Lock()
			b.mu.Unlock()
			<-b.done
		}
	}()
}
`, num(1, 3), num(200, 8000))
}

// nested waits for a group under a lock that others want, who do not belong to the group.
func nested() string {
	return fmt.Sprintf(`b := new(box)
for i := 0; i < %d; i++ {
	go func() {
		for {
			func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				var wg sync.WaitGroup
				c := make(chan int)
				wg.Add(2)
				go func() { defer wg.Done(); pause(); c <- 1 }()
				go func() { defer wg.Done(); <-c }()
				wg.Wait()
			}()
			pause()
		}
	}()
}
`, num(1, 5))
}

func pipes() string {
	return fmt.Sprintf(`r, w, err := os.Pipe()
if err != nil {
	panic(err)
}
got := make(chan byte)
go func() {
	var buf [1]byte
	for {
		if n, err := r.Read(buf[:]); n != 1 || err != nil {
			panic(err)
		}
		got <- buf[0]
	}
}()
go func() {
	for {
		pause()
		w.Write([]byte{1})
	}
}()
for i := 0; i < %d; i++ {
	go func() {
		for {
			<-got
		}
	}()
}
`, num(1, 3))
}

func broadcast() string {
	return fmt.Sprintf(`for {
	start, gone := make(chan struct{}), make(chan struct{})
	for i := 0; i < %d; i++ {
		go func() {
			<-start
			pause()
			gone <- struct{}{}
		}()
	}
	pause()
	close(start)
	for i := 0; i < %[1]d; i++ {
		<-gone
	}
}
`, num(1, 7))
}

// What a healthy program may use.
type allowed struct {
	minor             int // of the release
	network, throughC bool
}

// makeHealthy writes a program of n actors: loads are half of them.
func makeHealthy(seed, n int, may allowed) {
	const nodes = 4
	var calls []string
	makeLocks(nodes)
	imports := map[string]bool{}
	for _, name := range strings.Fields("context math/rand os runtime runtime/debug strconv sync sync/atomic syscall time unsafe") {
		imports[name] = true
	}
	var from []load
	for _, l := range loads {
		if l.oldest <= may.minor {
			from = append(from, l)
		}
	}
	if may.network {
		// Each of them is several of another kind.
		from = append(append(from, services...), services...)
	}
	if may.throughC {
		from = append(append(from, throughC...), throughC...)
	}
	there := map[string]bool{}
	for i := 0; i < n; i++ {
		f := fresh("actor")
		var code string
		if chance(50) {
			code = actors[pick(len(actors))]()
		} else {
			l := from[pick(len(from))]
			for _, name := range strings.Fields(l.imports) {
				imports[name] = true
			}
			if !there[l.top] {
				there[l.top] = true
				funcs.WriteString(fill(l.top))
			}
			code = fill(l.body)
		}
		fmt.Fprintf(&funcs, "func %s() {\n%s}\n\n", f, indent(code))
		calls = append(calls, f)
	}
	importC := ""
	if imports["runtime/cgo"] {
		importC = cgoTop
	}
	var lines []string
	for name := range imports {
		lines = append(lines, strconv.Quote(name))
	}
	sort.Strings(lines)
	fmt.Printf(healthyFrame, seed, importC, strings.Join(lines, "\n\t"), fmt.Sprintf(commonFrame, nodes), funcs.String(),
		[]string{"", "", "runtime.GOMAXPROCS(1)", "runtime.GOMAXPROCS(4)"}[pick(4)],
		[]string{"", "", "debug.SetGCPercent(10)", "debug.SetGCPercent(-1)"}[pick(4)],
		strings.Join(calls, ", "))
}

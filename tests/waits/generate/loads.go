package main

import (
	"strconv"
	"strings"
)

// A load is what servers and their like do, again and again: it never comes to an end, and nobody in it
// is stuck. In the texts @[a|b]@ is one of these by chance, and @[2..5]@ a number.
type load struct {
	imports string
	oldest  int    // the release 1.N that it takes
	top     string // declarations, once in a program
	body    string // of a function without arguments
}

// fill makes the choices of a text.
func fill(s string) string {
	for {
		i := strings.Index(s, "@[")
		if i < 0 {
			return s
		}
		j := i + strings.Index(s[i:], "]@")
		choice := s[i+2 : j]
		if lo, hi, ok := strings.Cut(choice, ".."); ok {
			a, _ := strconv.Atoi(lo)
			b, _ := strconv.Atoi(hi)
			choice = strconv.Itoa(num(a, b))
		} else {
			all := strings.Split(choice, "|")
			choice = all[pick(len(all))]
		}
		s = s[:i] + choice + s[j+2:]
	}
}

var loads = append(sharing, mixed...)

// sharing: groups, caches, queues, pools, timers, and what newer releases have for them.
var sharing = []load{
	{"errors", 18, `
// crew is a group of goroutines of which the first error ends all.
type crew struct {
	wg     sync.WaitGroup
	once   sync.Once
	err    error
	cancel func()
	room   chan struct{}
}

func newCrew(parent context.Context, room int) (*crew, context.Context) {
	ctx, cancel := context.WithCancel(parent)
	return &crew{cancel: cancel, room: make(chan struct{}, room)}, ctx
}

func (c *crew) run(f func() error) {
	c.room <- struct{}{}
	c.wg.Add(1)
	go func() {
		defer func() {
			<-c.room
			c.wg.Done()
		}()
		if err := f(); err != nil {
			c.once.Do(func() {
				c.err = err
				c.cancel()
			})
		}
	}()
}

func (c *crew) wait() error {
	c.wg.Wait()
	c.cancel()
	return c.err
}
`, `for n := 0; ; n++ {
	c, ctx := newCrew(context.Background(), @[1..4]@)
	for i := 0; i < @[2..9]@; i++ {
		i := i
		c.run(func() error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(rand.Intn(2000)) * time.Microsecond):
			}
			pause()
			if n%3 == 0 && i == 2 {
				return errors.New("enough")
			}
			return nil
		})
	}
	c.wait()
}
`},
	{"container/list", 18, `
// share is a semaphore of a weight, whose waiters stand in a list.
type share struct {
	size, cur int
	mu        sync.Mutex
	waiters   list.List
}

type sharer struct {
	n     int
	ready chan struct{}
}

func (s *share) take(ctx context.Context, n int) bool {
	s.mu.Lock()
	if s.size-s.cur >= n && s.waiters.Len() == 0 {
		s.cur += n
		s.mu.Unlock()
		return true
	}
	ready := make(chan struct{})
	e := s.waiters.PushBack(sharer{n, ready})
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case <-ready:
			return true
		default:
		}
		first := s.waiters.Front() == e
		s.waiters.Remove(e)
		if first {
			s.wake()
		}
		return false
	case <-ready:
		return true
	}
}

func (s *share) give(n int) {
	s.mu.Lock()
	s.cur -= n
	s.wake()
	s.mu.Unlock()
}

func (s *share) wake() {
	for e := s.waiters.Front(); e != nil; e = s.waiters.Front() {
		w := e.Value.(sharer)
		if s.size-s.cur < w.n {
			return
		}
		s.cur += w.n
		s.waiters.Remove(e)
		close(w.ready)
	}
}
`, `s := &share{size: @[3..6]@}
for i := 0; i < @[2..8]@; i++ {
	n := 1 + i%3
	go func() {
		for {
			ctx, cancel := @[context.WithCancel(context.Background())|context.WithTimeout(context.Background(), time.Millisecond)]@
			if s.take(ctx, n) {
				pause()
				s.give(n)
			}
			cancel()
		}
	}()
}
`},
	{"", 18, `
// flight lets many ask for the same thing, and one fetch it.
type flight struct {
	mu    sync.Mutex
	calls map[string]*flightCall
}

type flightCall struct {
	wg  sync.WaitGroup
	val int
}

func (f *flight) do(key string, get func() int) int {
	f.mu.Lock()
	if c, ok := f.calls[key]; ok {
		f.mu.Unlock()
		c.wg.Wait()
		return c.val
	}
	c := new(flightCall)
	c.wg.Add(1)
	f.calls[key] = c
	f.mu.Unlock()
	func() {
		defer func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			c.wg.Done()
			delete(f.calls, key)
		}()
		c.val = get()
	}()
	return c.val
}
`, `f := &flight{calls: map[string]*flightCall{}}
for i := 0; i < @[3..12]@; i++ {
	go func() {
		for n := 0; ; n++ {
			f.do(strconv.Itoa(n%@[1..4]@), func() int { pause(); return n })
		}
	}()
}
`},
	{"", 18, `
type cacheEntry struct {
	mu    sync.Mutex
	val   int
	until time.Time
}

// cache fills itself when it is asked, each entry under its own lock, and forgets by a ticker.
type cache struct {
	rw      sync.RWMutex
	entries map[int]*cacheEntry
}

func (c *cache) get(k int) int {
	c.rw.RLock()
	e := c.entries[k]
	c.rw.RUnlock()
	if e == nil {
		c.rw.Lock()
		if e = c.entries[k]; e == nil {
			e = new(cacheEntry)
			c.entries[k] = e
		}
		c.rw.Unlock()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Now().After(e.until) {
		pause()
		e.val++
		e.until = time.Now().Add(2 * time.Millisecond)
	}
	return e.val
}

func (c *cache) forget() {
	c.rw.Lock()
	defer c.rw.Unlock()
	for k := range c.entries {
		if k%2 == rand.Intn(2) {
			delete(c.entries, k)
		}
	}
}
`, `c := &cache{entries: map[int]*cacheEntry{}}
for i := 0; i < @[2..9]@; i++ {
	go func() {
		for {
			c.get(rand.Intn(@[1..5]@))
		}
	}()
}
for range time.Tick(@[500|3000]@ * time.Microsecond) {
	c.forget()
}
`},
	{"", 18, `
// bounded is a queue with room for some, of which both ends wait.
type bounded struct {
	mu              sync.Mutex
	notEmpty, notFull *sync.Cond
	items           []int
	room            int
	closed          bool
}

func newBounded(room int) *bounded {
	b := &bounded{room: room}
	b.notEmpty, b.notFull = sync.NewCond(&b.mu), sync.NewCond(&b.mu)
	return b
}

func (b *bounded) put(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.items) == b.room {
		b.notFull.Wait()
	}
	b.items = append(b.items, n)
	b.notEmpty.Signal()
}

func (b *bounded) get() (int, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.items) == 0 {
		if b.closed {
			return 0, false
		}
		b.notEmpty.Wait()
	}
	n := b.items[0]
	b.items = b.items[1:]
	b.notFull.Signal()
	return n, true
}

func (b *bounded) close() {
	b.mu.Lock()
	b.closed = true
	b.notEmpty.Broadcast()
	b.mu.Unlock()
}
`, `for {
	q := newBounded(@[1..3]@)
	var makers, eaters sync.WaitGroup
	for i := 0; i < @[1..4]@; i++ {
		makers.Add(1)
		go func() {
			defer makers.Done()
			for n := 0; n < 20; n++ {
				pause()
				q.put(n)
			}
		}()
	}
	for i := 0; i < @[1..4]@; i++ {
		eaters.Add(1)
		go func() {
			defer eaters.Done()
			for {
				if _, ok := q.get(); !ok {
					return
				}
				@[pause()|work()]@
			}
		}()
	}
	makers.Wait()
	q.close()
	eaters.Wait()
}
`},
	{"", 18, `
// meeting lets n goroutines go on when all are there, again and again.
type meeting struct {
	mu    sync.Mutex
	cond  *sync.Cond
	n     int
	here  int
	round int
}

func (m *meeting) wait() {
	m.mu.Lock()
	defer m.mu.Unlock()
	round := m.round
	if m.here++; m.here == m.n {
		m.here = 0
		m.round++
		m.cond.Broadcast()
		return
	}
	for round == m.round {
		m.cond.Wait()
	}
}
`, `m := &meeting{n: @[2..7]@}
m.cond = sync.NewCond(&m.mu)
for i := 0; i < m.n; i++ {
	go func() {
		for {
			pause()
			m.wait()
		}
	}()
}
`},
	{"", 18, `
func merge(from ...<-chan int) <-chan int {
	out := make(chan int)
	var wg sync.WaitGroup
	wg.Add(len(from))
	for _, c := range from {
		go func(c <-chan int) {
			for n := range c {
				out <- n
			}
			wg.Done()
		}(c)
	}
	go func() {
		wg.Wait()
		close(out)
	}()
	return out
}

func until(done <-chan struct{}, c <-chan int) <-chan int {
	out := make(chan int)
	go func() {
		defer close(out)
		for {
			select {
			case <-done:
				return
			case n, ok := <-c:
				if !ok {
					return
				}
				select {
				case out <- n:
				case <-done:
					return
				}
			}
		}
	}()
	return out
}
`, `for {
	done := make(chan struct{})
	var from []<-chan int
	for i := 0; i < @[1..5]@; i++ {
		c := make(chan int, @[0..2]@)
		go func() {
			defer close(c)
			for n := 0; ; n++ {
				pause()
				select {
				case c <- n:
				case <-done:
					return
				}
			}
		}()
		from = append(from, until(done, c))
	}
	n := 0
	for range merge(from...) {
		if n++; n == 30 {
			close(done)
		}
	}
}
`},
	{"", 18, "", `type job struct {
	mu   *sync.Mutex
	rw   *sync.RWMutex
	back chan *job
}
stages := make([]chan *job, @[2..5]@)
for i := range stages {
	stages[i] = make(chan *job, @[0..1]@)
}
for i := range stages {
	from := stages[i]
	var to chan *job
	if i+1 < len(stages) {
		to = stages[i+1]
	}
	for k := 0; k < @[1..2]@; k++ {
		go func() {
			for j := range from {
				pause()
				if to != nil {
					to <- j
					continue
				}
				// Who took them is somebody else.
				j.rw.RUnlock()
				j.mu.Unlock()
				j.back <- nil
			}
		}()
	}
}
mu, rw := new(sync.Mutex), new(sync.RWMutex)
for i := 0; i < @[1..5]@; i++ {
	go func() {
		back := make(chan *job)
		for {
			mu.Lock()
			rw.RLock()
			stages[0] <- &job{mu, rw, back}
			<-back
		}
	}()
}
`},
	{"", 18, `
type pooled struct {
	c    chan int
	mu   sync.Mutex
	data [@[10..3000]@]byte
}

var pooledPool = sync.Pool{New: func() any { return &pooled{c: make(chan int, 1)} }}
`, `for i := 0; i < @[2..6]@; i++ {
	go func() {
		for {
			p := pooledPool.Get().(*pooled)
			go func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				pause()
				p.c <- 1
			}()
			<-p.c
			p.mu.Lock()
			p.data[0]++
			p.mu.Unlock()
			pooledPool.Put(p)
		}
	}()
}
`},
	{"", 18, `
type finalized struct {
	next *finalized
	c    chan int
	room [@[1..60]@]int
}

//go:noinline
func lose(c chan int, mu *sync.Mutex) {
	f := &finalized{c: c}
	f.next = &finalized{}
	runtime.SetFinalizer(f, func(f *finalized) {
		mu.Unlock()
		f.c <- 1
	})
}
`, `for i := 0; i < @[1..4]@; i++ {
	go func() {
		for {
			c, mu := make(chan int, 1), new(sync.Mutex)
			mu.Lock()
			lose(c, mu)
			// Only the collector can end these waits.
			mu.Lock()
			<-c
		}
	}()
}
for {
	time.Sleep(@[500|4000]@ * time.Microsecond)
	runtime.GC()
}
`},
	{"weak", 24, `
type faint struct {
	c    chan int
	next *faint
}

//go:noinline
func looseEnd(c chan int) weak.Pointer[faint] {
	f := &faint{next: &faint{c: make(chan int)}}
	runtime.AddCleanup(f, func(c chan int) { close(c) }, c)
	runtime.AddCleanup(f, func(n int) { work() }, 7)
	return weak.Make(f)
}
`, `for i := 0; i < @[1..4]@; i++ {
	go func() {
		for {
			c := make(chan int)
			w := looseEnd(c)
			<-c
			if w.Value() != nil {
				panic("it is still there")
			}
		}
	}()
}
kept := &faint{c: make(chan int)}
w := weak.Make(kept)
go func() {
	for {
		pause()
		w.Value().c <- 1
	}
}()
for range kept.c {
	runtime.GC()
	runtime.KeepAlive(kept)
}
`},
	{"iter", 23, `
func numbers(c chan int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := range c {
			if !yield(n) {
				return
			}
			pause()
		}
	}
}

func squares(from iter.Seq[int]) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		next, stop := iter.Pull(from)
		defer stop()
		for {
			n, ok := next()
			if !ok || !yield(n, n*n) {
				return
			}
		}
	}
}
`, `for i := 0; i < @[1..4]@; i++ {
	go func() {
		for {
			c, gone := make(chan int), make(chan int)
			go func() {
				defer close(c)
				for n := 0; n < 40; n++ {
					select {
					case c <- n:
					case <-gone:
						return
					}
				}
			}()
			next, stop := iter.Pull2(squares(numbers(c)))
			for {
				n, _, ok := next()
				if !ok || n == 20 {
					break
				}
				pause()
			}
			stop()
			close(gone)
		}
	}()
}
`},
	{"testing testing/synctest", 25, `
var synctestOnce sync.Once
`, `go synctestOnce.Do(func() {
	bubble := func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		c := make(chan int)
		var wg sync.WaitGroup
		for i := 0; i < @[2..6]@; i++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for {
					time.Sleep(time.Minute)
					work()
					select {
					case c <- i:
					case <-ctx.Done():
						return
					}
				}
			}()
		}
		for n := 0; n < 50; n++ {
			<-c
			for i := 0; i < 20000; i++ {
				work()
			}
		}
		synctest.Wait()
		wg.Wait()
	}
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "T", F: func(t *testing.T) {
		for {
			t.Run("bubble", func(t *testing.T) { synctest.Test(t, bubble) })
		}
	}}}, nil, nil)
})
`},
	{"", 18, "", `for i := 0; i < @[20..600]@; i++ {
	d := time.Duration(1+rand.Intn(20000)) * time.Microsecond
	var t *time.Timer
	var mu sync.Mutex
	mu.Lock()
	t = time.AfterFunc(d, func() {
		mu.Lock()
		defer mu.Unlock()
		work()
		t.Reset(d)
	})
	mu.Unlock()
}
for i := 0; i < @[3..30]@; i++ {
	go func() {
		t := time.NewTimer(time.Duration(rand.Intn(9000)) * time.Microsecond)
		for n := range t.C {
			use(n.Nanosecond())
			t.Reset(time.Duration(rand.Intn(9000)) * time.Microsecond)
			if rand.Intn(4) == 0 && t.Stop() {
				t.Reset(time.Millisecond)
			}
		}
	}()
}
`},
}

package main

// mixed: contexts, signals, the system, accounts under locks, brokers, trees; see loads.go.
var mixed = []load{
	{"", 18, "", `room := make(chan struct{}, @[20..400]@)
var wg sync.WaitGroup
var mu sync.Mutex
total := 0
for n := 0; ; n++ {
	room <- struct{}{}
	wg.Add(1)
	go func() {
		defer wg.Done()
		@[mu.Lock()|time.Sleep(time.Duration(rand.Intn(300)) * time.Microsecond); mu.Lock()]@
		total++
		mu.Unlock()
		<-room
	}()
	if n%1000 == 999 {
		wg.Wait()
		pause()
	}
}
`},
	{"", 18, `
// foreignContext is a context that the library does not know.
type foreignContext struct {
	context.Context
	done chan struct{}
}

func (f *foreignContext) Done() <-chan struct{} { return f.done }
func (f *foreignContext) Err() error {
	select {
	case <-f.done:
		return context.Canceled
	default:
		return nil
	}
}
`, `for {
	f := &foreignContext{context.Background(), make(chan struct{})}
	ctx := context.Context(f)
	var wg sync.WaitGroup
	for i := 0; i < @[1..6]@; i++ {
		child, cancel := @[context.WithCancel(ctx)|context.WithTimeout(ctx, time.Hour)|context.WithTimeout(ctx, time.Millisecond)]@
		ctx = context.WithValue(child, i, "value")
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer cancel()
			<-child.Done()
		}()
	}
	pause()
	close(f.done)
	wg.Wait()
}
`},
	{"", 21, "", `for {
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	wg.Add(2)
	stop := context.AfterFunc(ctx, func() { pause(); wg.Done() })
	value := sync.OnceValue(func() int { pause(); return 7 })
	for i := 0; i < @[1..5]@; i++ {
		wg.Add(1)
		go func() { value(); wg.Done() }()
	}
	go func() {
		defer wg.Done()
		<-ctx.Done()
	}()
	pause()
	cancel(nil)
	wg.Wait()
	stop()
}
`},
	{"os/signal", 18, "", `c := make(chan os.Signal, 1)
signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH)
got := make(chan os.Signal)
go func() {
	for s := range c {
		got <- s
	}
}()
go func() {
	for {
		time.Sleep(time.Duration(rand.Intn(5000)) * time.Microsecond)
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		syscall.Kill(os.Getpid(), syscall.SIGUSR2)
		syscall.Kill(os.Getpid(), syscall.SIGWINCH)
	}
}()
for range got {
	work()
}
`},
	{"compress/gzip io", 18, "", `for i := 0; i < @[1..3]@; i++ {
	go func() {
		for {
			r, w := io.Pipe()
			go func() {
				z := gzip.NewWriter(w)
				buf := make([]byte, 5000)
				for n := 0; n < 30; n++ {
					rand.Read(buf)
					z.Write(buf)
					pause()
				}
				z.Close()
				w.Close()
			}()
			z, err := gzip.NewReader(r)
			if err != nil {
				panic(err)
			}
			io.Copy(io.Discard, z)
			r.Close()
		}
	}()
}
`},
	{"", 18, `
type account struct {
	mu      sync.@[Mutex|RWMutex]@
	id, sum int
}

func transfer(from, to *account) {
	if from.id > to.id {
		from, to = to, from
	}
	from.mu.Lock()
	defer from.mu.Unlock()
	@[pause()|work()]@
	if to != from {
		to.mu.Lock()
		defer to.mu.Unlock()
	}
	pause()
	from.sum--
	to.sum++
}

func audit(all []*account) (sum int) {
	for _, a := range all {
		a.mu.Lock()
		defer a.mu.Unlock()
		sum += a.sum
	}
	work()
	return sum
}
`, `var all []*account
for i := 0; i < @[3..9]@; i++ {
	all = append(all, &account{id: i})
}
for i := 0; i < @[3..9]@; i++ {
	go func() {
		for {
			transfer(all[rand.Intn(len(all))], all[rand.Intn(len(all))])
		}
	}()
}
for {
	audit(all)
	pause()
}
`},
	{"", 18, `
func sum(numbers []int, depth int) int {
	if len(numbers) < 20 {
		n := 0
		for _, i := range numbers {
			n += i
		}
		return n
	}
	var left, right int
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		left = sum(numbers[:len(numbers)/2], depth+1)
	}()
	@[pause()|work()]@
	right = sum(numbers[len(numbers)/2:], depth+1)
	wg.Wait()
	return left + right
}
`, `for {
	sum(make([]int, @[100..1500]@), 0)
	pause()
}
`},
	{"", 18, `
func mayPanic(mu *sync.Mutex, rw *sync.RWMutex) {
	defer func() {
		if recover() != nil {
			pause()
		}
	}()
	mu.Lock()
	defer mu.Unlock()
	rw.RLock()
	defer func() { rw.RUnlock() }()
	pause()
	if rand.Intn(2) == 0 {
		panic("it happens")
	}
}
`, `mu, rw := new(sync.Mutex), new(sync.RWMutex)
for i := 0; i < @[1..5]@; i++ {
	go func() {
		for {
			mayPanic(mu, rw)
		}
	}()
}
for {
	done := make(chan int)
	go func() {
		defer close(done)
		rw.Lock()
		defer rw.Unlock()
		pause()
		runtime.Goexit()
	}()
	<-done
}
`},
	{"reflect", 18, "", `n := @[2..9]@
var all []chan int
var cases []reflect.SelectCase
for i := 0; i < n; i++ {
	c := make(chan int, @[0..1]@)
	all = append(all, c)
	cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)})
}
for _, c := range all {
	c := c
	go func() {
		for {
			pause()
			c <- 1
		}
	}()
}
for {
	reflect.Select(cases)
}
`},
	{"", 18, "", `type call struct {
	n     int
	reply chan int
}
// The channels of those who wait are in a channel's buffer, or on its senders.
mail := make(chan chan call, @[0..3]@)
for i := 0; i < @[1..3]@; i++ {
	go func() {
		@[runtime.LockOSThread()|work()]@
		for {
			me := make(chan call)
			mail <- me
			c := <-me
			pause()
			c.reply <- c.n
		}
	}()
}
for i := 0; i < @[1..6]@; i++ {
	go func() {
		for n := 0; ; n++ {
			worker := <-mail
			c := call{n, make(chan int)}
			worker <- c
			<-c.reply
		}
	}()
}
`},
	{"", 18, `
type broker struct {
	rw   sync.RWMutex
	subs map[int]chan int
	next int
}

func (b *broker) subscribe() (int, chan int) {
	b.rw.Lock()
	defer b.rw.Unlock()
	b.next++
	c := make(chan int, 1)
	b.subs[b.next] = c
	return b.next, c
}

func (b *broker) leave(id int) {
	b.rw.Lock()
	close(b.subs[id])
	delete(b.subs, id)
	b.rw.Unlock()
}

func (b *broker) publish(n int) {
	b.rw.RLock()
	defer b.rw.RUnlock()
	for _, c := range b.subs {
		select {
		case c <- n:
		default:
		}
	}
}
`, `b := &broker{subs: map[int]chan int{}}
for i := 0; i < @[1..6]@; i++ {
	go func() {
		for {
			id, c := b.subscribe()
			for n := 0; n < 9; n++ {
				<-c
				pause()
			}
			b.leave(id)
		}
	}()
}
for i := 0; i < @[1..3]@; i++ {
	go func() {
		for n := 0; ; n++ {
			pause()
			b.publish(n)
		}
	}()
}
`},
	{"", 18, `
// spare keeps connections, as a database's pool does.
type spare struct {
	mu    sync.Mutex
	free  []*box
	count int
	asked map[int]chan *box
	next  int
}

func (s *spare) get(ctx context.Context) *box {
	s.mu.Lock()
	if n := len(s.free); n > 0 {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		s.mu.Unlock()
		return b
	}
	if s.count < 2 {
		s.count++
		s.mu.Unlock()
		return new(box)
	}
	c := make(chan *box, 1)
	s.next++
	id := s.next
	s.asked[id] = c
	s.mu.Unlock()
	select {
	case b := <-c:
		return b
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.asked, id)
		s.mu.Unlock()
		select {
		case b := <-c:
			s.put(b)
		default:
		}
		return nil
	}
}

func (s *spare) put(b *box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.asked {
		delete(s.asked, id)
		c <- b
		return
	}
	s.free = append(s.free, b)
}
`, `s := &spare{asked: map[int]chan *box{}}
for i := 0; i < @[3..9]@; i++ {
	go func() {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			if b := s.get(ctx); b != nil {
				b.mu.Lock()
				pause()
				b.mu.Unlock()
				s.put(b)
			}
			cancel()
		}
	}()
}
`},
	{"io log", 18, "", `l := log.New(io.Discard, "", log.LstdFlags)
var m sync.Map
for i := 0; i < @[3..9]@; i++ {
	go func() {
		for n := 0; ; n++ {
			l.Printf("%d %v", n, &m)
			m.Store(n%50, n)
			if n%20 == 0 {
				pause()
			}
		}
	}()
}
`},
	{"", 18, "", `type stripe struct {
	mu sync.Mutex
	m  map[int]int
	_  [40]byte
}
stripes := make([]stripe, @[1..8]@)
for i := range stripes {
	stripes[i].m = map[int]int{}
}
for i := 0; i < @[2..9]@; i++ {
	go func() {
		for {
			k := rand.Intn(1000)
			s := &stripes[k%len(stripes)]
			if rand.Intn(2) == 0 {
				for !s.mu.TryLock() {
					runtime.Gosched()
				}
			} else {
				s.mu.Lock()
			}
			s.m[k]++
			@[pause()|work()]@
			s.mu.Unlock()
		}
	}()
}
`},
	{"", 18, `
type tree struct {
	mu          sync.Mutex
	left, right *tree
	key         int
}

// insert goes down hand over hand: the lock of the next is taken before this one's is released.
func (t *tree) insert(key int) {
	t.mu.Lock()
	for {
		next := &t.left
		if key > t.key {
			next = &t.right
		}
		if *next == nil {
			*next = &tree{key: key}
			t.mu.Unlock()
			return
		}
		n := *next
		@[work()|pause()]@
		n.mu.Lock()
		t.mu.Unlock()
		t = n
		if t.key == key {
			t.mu.Unlock()
			return
		}
	}
}
`, `t := &tree{key: 500}
for i := 0; i < @[2..7]@; i++ {
	go func() {
		for {
			t.insert(rand.Intn(1000))
		}
	}()
}
`},
	{"bytes os/exec", 18, "", `for {
	cmd := exec.Command("@[/bin/echo|/bin/true]@", "hello")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		panic(err)
	}
	time.Sleep(20 * time.Millisecond)
}
`},
	{"", 18, `
type ring struct{ next *ring; c chan int; big [@[5..9000]@]*int }
`, `// Nobody but the next one knows a channel.
n := @[2..40]@
first := &ring{c: make(chan int)}
last := first
for i := 1; i < n; i++ {
	last.next = &ring{c: make(chan int)}
	last = last.next
}
last.next = first
for r, i := first, 0; i < n; r, i = r.next, i+1 {
	go func(r *ring) {
		for n := range r.c {
			work()
			to := r.next.c
			if n%50 == 0 {
				pause()
			}
			to <- n + 1
		}
	}(r)
}
go func(c chan int) {
	time.Sleep(time.Millisecond)
	c <- 1
}(first.c)
`},
}

package main

// Loads that talk over the network, for programs that may be bigger.
var services = []load{
	{"io net net/http", 18, `
type service struct {
	mu    sync.Mutex
	hits  map[string]int
	rw    sync.RWMutex
	cache map[string]string
	jobs  chan chan string
}

func newService() *service {
	s := &service{hits: map[string]int{}, cache: map[string]string{}, jobs: make(chan chan string)}
	for i := 0; i < @[1..4]@; i++ {
		go func() {
			for reply := range s.jobs {
				pause()
				reply <- "done"
			}
		}()
	}
	return s
}

func (s *service) count(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.hits[r.URL.Path]++
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(r.Context(), 20*time.Millisecond)
		defer cancel()
		h(w, r.WithContext(ctx))
	}
}

func (s *service) cached(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	s.rw.RLock()
	v, ok := s.cache[key]
	s.rw.RUnlock()
	if !ok {
		s.rw.Lock()
		defer s.rw.Unlock()
		pause()
		if len(s.cache) > 50 {
			s.cache = map[string]string{}
		}
		v = key + key
		s.cache[key] = v
	}
	io.WriteString(w, v)
}

func (s *service) slow(w http.ResponseWriter, r *http.Request) {
	reply := make(chan string, 1)
	select {
	case s.jobs <- reply:
	case <-r.Context().Done():
		http.Error(w, "busy", 503)
		return
	}
	select {
	case v := <-reply:
		io.WriteString(w, v)
	case <-r.Context().Done():
		http.Error(w, "late", 504)
	}
}

func (s *service) stream(w http.ResponseWriter, r *http.Request) {
	for n := 0; n < 5; n++ {
		io.WriteString(w, "some lines\n")
		w.(http.Flusher).Flush()
		pause()
	}
}

func (s *service) echo(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }

func (s *service) mux() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("/cached", s.count(s.cached))
	m.HandleFunc("/slow", s.count(s.slow))
	m.HandleFunc("/stream", s.count(s.stream))
	m.HandleFunc("/echo", s.count(s.echo))
	return m
}

func ask(c *http.Client, base string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rand.Intn(40))*time.Millisecond)
	defer cancel()
	method, path := "GET", []string{"/cached?key=" + strconv.Itoa(rand.Intn(99)), "/slow", "/stream", "/echo"}[rand.Intn(4)]
	var body io.Reader
	if path == "/echo" {
		r, w := io.Pipe()
		// Clients of old releases forget bodies that they have not begun to read.
		defer r.Close()
		go func() {
			for n := 0; n < 3; n++ {
				pause()
				if _, err := io.WriteString(w, "a piece of the body"); err != nil {
					return
				}
			}
			w.Close()
		}()
		method, body = "POST", r
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, body)
	if err != nil {
		panic(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if rand.Intn(5) > 0 {
		io.Copy(io.Discard, resp.Body)
	}
}
`, `ln, err := net.Listen("tcp", "127.0.0.1:0")
if err != nil {
	panic(err)
}
go (&http.Server{Handler: newService().mux(), ReadHeaderTimeout: time.Second}).Serve(ln)
c := &http.Client{Timeout: time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: @[1..4]@@[|, MaxConnsPerHost: 2|, IdleConnTimeout: time.Millisecond]@}}
for i := 0; i < @[1..6]@; i++ {
	go func() {
		for {
			ask(c, "http://"+ln.Addr().String())
			pause()
		}
	}()
}
`},
	{"io net/http net/http/httptest log", 18, "", `// The second version of the protocol: streams over one connection.
s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	pause()
	io.Copy(w, r.Body)
	io.WriteString(w, "done")
}))
s.EnableHTTP2 = true
s.Config.ErrorLog = log.New(io.Discard, "", 0)
s.StartTLS()
c := s.Client()
for i := 0; i < @[1..6]@; i++ {
	go func() {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.Intn(60))*time.Millisecond)
			req, err := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
			if err != nil {
				panic(err)
			}
			if resp, err := c.Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			cancel()
			pause()
		}
	}()
}
`},
	{"errors net net/rpc", 18, `
type Arith int

type Pair struct{ A, B int }

func (*Arith) Add(p Pair, sum *int) error {
	pause()
	*sum = p.A + p.B
	if rand.Intn(9) == 0 {
		return errors.New("no")
	}
	return nil
}
`, `// Both ends are in this program's memory alone.
for {
	here, there := net.Pipe()
	s := rpc.NewServer()
	if err := s.Register(new(Arith)); err != nil {
		panic(err)
	}
	go s.ServeConn(there)
	c := rpc.NewClient(here)
	var wg sync.WaitGroup
	for i := 0; i < @[1..6]@; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; n < 20; n++ {
				var sum int
				if n%2 == 0 {
					c.Call("Arith.Add", Pair{n, 7}, &sum)
				} else {
					<-c.Go("Arith.Add", Pair{n, 7}, &sum, nil).Done
				}
			}
		}()
	}
	wg.Wait()
	c.Close()
}
`},
	{"bufio io net", 18, "", `ln, err := net.Listen("tcp", "127.0.0.1:0")
if err != nil {
	panic(err)
}
go func() {
	for {
		conn, err := ln.Accept()
		if err != nil {
			panic(err)
		}
		lines := make(chan string, @[0..2]@)
		go func() {
			defer close(lines)
			r := bufio.NewReader(conn)
			for {
				conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				s, err := r.ReadString('\n')
				if err != nil {
					return
				}
				lines <- s
			}
		}()
		go func() {
			defer conn.Close()
			for s := range lines {
				pause()
				if _, err := io.WriteString(conn, s); err != nil {
					for range lines {
					}
				}
			}
		}()
	}
}()
for i := 0; i < @[1..5]@; i++ {
	go func() {
		for {
			conn, err := net.DialTimeout("tcp", ln.Addr().String(), time.Second)
			if err != nil {
				continue
			}
			r := bufio.NewReader(conn)
			for n := 0; n < 30; n++ {
				io.WriteString(conn, "hello\n")
				conn.SetDeadline(time.Now().Add(30 * time.Millisecond))
				if _, err := r.ReadString('\n'); err != nil {
					break
				}
			}
			conn.Close()
			time.Sleep(time.Millisecond)
		}
	}()
}
`},
}

// Loads that go through C.
const cgoTop = `/*
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

extern void calledBack(uintptr_t handle, int n);

struct queue {
	pthread_mutex_t mu;
	pthread_cond_t cond;
	int count;
	uintptr_t handle;
};

static void *serve(void *arg)
{
	struct queue *q = arg;
	for (int n = 0;; n++) {
		pthread_mutex_lock(&q->mu);
		while (!q->count)
			pthread_cond_wait(&q->cond, &q->mu);
		q->count--;
		pthread_mutex_unlock(&q->mu);
		calledBack(q->handle, n);
	}
	return NULL;
}

static struct queue *start(uintptr_t handle)
{
	struct queue *q = calloc(1, sizeof *q);
	pthread_t t;
	pthread_mutex_init(&q->mu, NULL);
	pthread_cond_init(&q->cond, NULL);
	q->handle = handle;
	pthread_create(&t, NULL, serve, q);
	return q;
}

static void post(struct queue *q)
{
	pthread_mutex_lock(&q->mu);
	q->count++;
	pthread_cond_signal(&q->cond);
	pthread_mutex_unlock(&q->mu);
}

static void busy(struct queue *q, int us)
{
	pthread_mutex_lock(&q->mu);
	usleep(us);
	pthread_mutex_unlock(&q->mu);
}

static void there_and_back(uintptr_t handle, int n) { calledBack(handle, n); }
*/
import "C"

`

var throughC = []load{
	{"runtime/cgo", 18, `
type callee struct {
	mu sync.Mutex
	n  int
	c  chan int
}

//export calledBack
func calledBack(handle C.uintptr_t, n C.int) {
	b := cgo.Handle(handle).Value().(*callee)
	b.mu.Lock()
	b.n++
	b.mu.Unlock()
	pause()
	b.c <- int(n)
}
`, `for i := 0; i < @[1..3]@; i++ {
	go func() {
		b := &callee{c: make(chan int)}
		h := cgo.NewHandle(b)
		q := C.start(C.uintptr_t(h))
		go func() {
			for {
				C.busy(q, C.int(rand.Intn(500)))
				pause()
			}
		}()
		for {
			C.post(q)
			// Only a thread of C can end that.
			<-b.c
			go C.there_and_back(C.uintptr_t(h), 1)
			<-b.c
		}
	}()
}
`},
}

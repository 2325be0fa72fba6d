// Program healthy is busy and well: locks are contended but let go of, queues
// fill and empty, waits end. Nothing may be called stuck here.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// An account's owner sleeps while it holds the lock, so others queue for it.
type account struct {
	mu      sync.Mutex
	balance int
}

type bank struct {
	rw       sync.RWMutex
	accounts []*account
	total    int
}

var (
	transfers int64
	logMu     sync.Mutex
	logLines  int
)

// transfer always locks the account with the lower number first.
func (b *bank) transfer(from, to, n int) {
	b.rw.RLock()
	defer b.rw.RUnlock()
	first, second := b.accounts[from], b.accounts[to]
	if from > to {
		first, second = second, first
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	time.Sleep(time.Millisecond)
	first.balance -= n
	second.balance += n
	atomic.AddInt64(&transfers, 1)
}

func (b *bank) audit() {
	for {
		time.Sleep(20 * time.Millisecond)
		b.rw.Lock()
		b.total = 0
		for _, a := range b.accounts {
			b.total += a.balance
		}
		time.Sleep(time.Millisecond)
		b.rw.Unlock()
	}
}

func logf() {
	logMu.Lock()
	defer logMu.Unlock()
	time.Sleep(200 * time.Microsecond)
	logLines++
}

func teller(b *bank, n int) {
	for i := n; ; i++ {
		from, to := i%len(b.accounts), (i*7+n)%len(b.accounts)
		if from != to {
			b.transfer(from, to, 1)
		}
		logf()
	}
}

func producer(jobs chan<- int) {
	for i := 0; ; i++ {
		jobs <- i
	}
}

func consumer(jobs <-chan int, results chan<- int) {
	for job := range jobs {
		time.Sleep(500 * time.Microsecond)
		results <- job * job
	}
}

func collector(results <-chan int, quit <-chan struct{}) (sum int) {
	for {
		select {
		case n := <-results:
			sum += n
		case <-quit:
			return
		case <-time.After(time.Hour):
			return
		}
	}
}

// rounds starts helpers again and again and waits for them.
func rounds() {
	for {
		var wg sync.WaitGroup
		for i := 1; i <= 4; i++ {
			wg.Add(1)
			go func(d time.Duration) {
				defer wg.Done()
				time.Sleep(d)
				logf()
			}(time.Duration(i) * time.Millisecond)
		}
		wg.Wait()
	}
}

// A queue with a condition variable: one waits, one signals.
type queue struct {
	mu    sync.Mutex
	some  sync.Cond
	items []int
}

func (q *queue) put() {
	for i := 0; ; i++ {
		time.Sleep(time.Millisecond)
		q.mu.Lock()
		q.items = append(q.items, i)
		q.mu.Unlock()
		q.some.Signal()
	}
}

func (q *queue) take() {
	for {
		q.mu.Lock()
		for len(q.items) == 0 {
			q.some.Wait()
		}
		q.items = q.items[:0]
		q.mu.Unlock()
	}
}

func serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			for s := bufio.NewScanner(conn); s.Scan(); {
				logf()
				fmt.Fprintf(conn, "%s\n", s.Text())
			}
		}()
	}
}

func client(addr string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	for in := bufio.NewScanner(conn); ; {
		fmt.Fprintf(conn, "ping\n")
		if !in.Scan() {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func main() {
	b := new(bank)
	for i := 0; i < 8; i++ {
		b.accounts = append(b.accounts, &account{balance: 1000})
	}
	for i := 0; i < 12; i++ {
		go teller(b, i)
	}
	go b.audit()

	jobs, results := make(chan int, 4), make(chan int)
	go producer(jobs)
	for i := 0; i < 3; i++ {
		go consumer(jobs, results)
	}
	go collector(results, make(chan struct{}))
	go rounds()

	q := new(queue)
	q.some.L = &q.mu
	go q.put()
	go q.take()

	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		go serve(l)
		go client(l.Addr().String())
	}

	// It is well when it has got somewhere.
	for atomic.LoadInt64(&transfers) < 100 {
		time.Sleep(10 * time.Millisecond)
	}
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	select {}
}

// A busy server, to be looked at while it works.
//
//	server serve PARKED    an HTTP server with that many goroutines parked besides; prints its port
//	server load PORT CONNS SECONDS|0
//	                       asks it without pause and checks each answer; until the time is
//	                       over or a line comes on standard input. Prints requests, failures, latencies
//
// /sum?n=N answers with a number that the client can work out; /stall with the longest time that a
// thread which does nothing but read the clock was kept from it since the last such question.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

var (
	longest atomic.Int64
	parked  = make(chan int)
	held    sync.Mutex
	group   sync.WaitGroup
)

func number(n int) string {
	s := sha256.Sum256([]byte(strconv.Itoa(n)))
	return fmt.Sprintf("%x %d", s[:8], n*7+1)
}

//go:noinline
func parkDeep(depth int, ch chan int) int {
	var pad [16]int
	if depth > 0 {
		pad[depth%16] = parkDeep(depth-1, ch)
		return pad[depth%16] + 1
	}
	return <-ch
}

func park(i int) {
	switch i % 4 {
	case 0:
		<-parked
	case 1:
		parkDeep(3, parked)
	case 2:
		select {
		case <-parked:
		case v := <-make(chan int):
			_ = v
		}
	case 3:
		group.Wait()
	}
}

func watch() {
	runtime.LockOSThread()
	last := time.Now()
	for {
		time.Sleep(200 * time.Microsecond)
		now := time.Now()
		if gap := int64(now.Sub(last)); gap > longest.Load() {
			longest.Store(gap)
		}
		last = now
	}
}

func serve(n int) {
	group.Add(1)
	for i := 0; i < n; i++ {
		go park(i)
	}
	go watch()
	http.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		done := make(chan string)
		go func() { done <- number(n) }()
		io.WriteString(w, <-done)
	})
	http.HandleFunc("/stall", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, longest.Swap(0))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	time.Sleep(200 * time.Millisecond)
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(l, nil))
}

func load(port string, conns int, seconds float64) {
	var requests, failures atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for c := 0; c < conns; c++ {
		wg.Add(1)
		go func(c int) {
			defer wg.Done()
			client := &http.Client{Transport: &http.Transport{}, Timeout: 60 * time.Second}
			var mine []time.Duration
			for i := c; ; i += conns {
				select {
				case <-stop:
					mu.Lock()
					all = append(all, mine...)
					mu.Unlock()
					return
				default:
				}
				start := time.Now()
				r, err := client.Get("http://127.0.0.1:" + port + "/sum?n=" + strconv.Itoa(i))
				var body []byte
				if err == nil {
					body, err = io.ReadAll(r.Body)
					r.Body.Close()
				}
				requests.Add(1)
				if err != nil || string(body) != number(i) {
					failures.Add(1)
					fmt.Fprintln(os.Stderr, "failed:", i, err, string(body))
				}
				mine = append(mine, time.Since(start))
				time.Sleep(time.Millisecond)
			}
		}(c)
	}
	if seconds > 0 {
		time.Sleep(time.Duration(seconds * float64(time.Second)))
	} else {
		bufio.NewReader(os.Stdin).ReadString('\n')
	}
	close(stop)
	wg.Wait()
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	at := func(p float64) time.Duration {
		if len(all) == 0 {
			return 0
		}
		return all[int(p*float64(len(all)-1))]
	}
	fmt.Println("requests", requests.Load(), "failures", failures.Load(), "p50", at(.5).Microseconds(),
		"p99", at(.99).Microseconds(), "p999", at(.999).Microseconds(), "max", at(1).Microseconds())
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		n, _ := strconv.Atoi(os.Args[2])
		serve(n)
	}
	if len(os.Args) == 5 && os.Args[1] == "load" {
		n, _ := strconv.Atoi(os.Args[3])
		s, _ := strconv.ParseFloat(os.Args[4], 64)
		load(os.Args[2], n, s)
		return
	}
	os.Exit(2)
}

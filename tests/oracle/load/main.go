// load keeps a server busy until it is killed, so that a dump catches it at work.
//
//	load http N URL...	N clients, each GET after GET
//	load post N URL FILE	the same with POST of a file
//	load hold N ADDR [TEXT]	N connections that send TEXT, read, and stay
//	load serve N ADDR	a server itself: every N-th path is there
//
// "ready" is printed when the first answers (hold: all the connections) are there.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: load http|post|hold|serve N TARGET [MORE...]")
		os.Exit(2)
	}
	n, err := strconv.Atoi(os.Args[2])
	if err != nil || n <= 0 {
		fmt.Fprintln(os.Stderr, "load: not a number of clients:", os.Args[2])
		os.Exit(2)
	}
	targets := os.Args[3:]
	switch os.Args[1] {
	case "http":
		requests(n, targets, nil)
	case "post":
		body, err := os.ReadFile(targets[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, "load:", err)
			os.Exit(2)
		}
		requests(n, targets[:1], body)
	case "hold":
		hold(n, targets[0], strings.Join(targets[1:], " "))
	case "serve":
		serve(n, targets[0])
	default:
		fmt.Fprintln(os.Stderr, "load: no way called", os.Args[1])
		os.Exit(2)
	}
	select {}
}

func requests(n int, urls []string, body []byte) {
	var answers atomic.Int64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	for i := 0; i < n; i++ {
		go func(i int) {
			for ; ; i++ {
				var resp *http.Response
				var err error
				if body == nil {
					resp, err = client.Get(urls[i%len(urls)])
				} else {
					resp, err = client.Post(urls[i%len(urls)], "application/octet-stream",
						bytes.NewReader(body))
				}
				if err != nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if answers.Add(1) == int64(n) {
					fmt.Println("ready")
				}
			}
		}(i)
	}
}

func hold(n int, addr, text string) {
	var all sync.WaitGroup
	slots := make(chan bool, 64)
	for i := 0; i < n; i++ {
		all.Add(1)
		slots <- true
		go func(i int) {
			var conn net.Conn
			var err error
			for try := 0; try < 100; try++ {
				if conn, err = net.Dial("tcp", addr); err == nil {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			<-slots
			if err != nil {
				fmt.Fprintln(os.Stderr, "load:", err)
				os.Exit(1)
			}
			fmt.Fprint(conn, strings.NewReplacer(`\r`, "\r", `\n`, "\n", "%i", strconv.Itoa(i)).
				Replace(text))
			all.Done()
			io.Copy(io.Discard, conn)
		}(i)
	}
	all.Wait()
	fmt.Println("ready")
}

func serve(n int, addr string) {
	var count atomic.Int64
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	fmt.Println("ready")
	http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond)
		if count.Add(1)%int64(n) != 0 {
			http.NotFound(w, r)
		}
	}))
}

// Program busy is caught at work: its goroutines compute, copy, allocate and
// call each other, and the dump finds them anywhere.
package main

import (
	"bytes"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var sink int

func loop(n int) {
	for i := 0; ; i++ {
		n += i * n
		if n == 42 {
			sink = n
		}
	}
}

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func compute(n int) {
	for {
		sink += fib(n)
	}
}

func copyAround(size int) {
	a, b := make([]byte, size), make([]byte, size)
	for {
		copy(a, b)
		if bytes.Equal(a, b) {
			copy(b[1:], a)
		}
	}
}

type tree struct {
	left, right *tree
	name        string
}

func grow(depth int) *tree {
	if depth == 0 {
		return nil
	}
	return &tree{grow(depth - 1), grow(depth - 1), "node" + strconv.Itoa(depth)}
}

func allocate(depth int) {
	for {
		t := grow(depth)
		sink += len(t.name)
	}
}

func maps(n int) {
	m := make(map[string]int)
	for i := 0; ; i++ {
		m[strconv.Itoa(i%n)] += i
		for _, v := range m {
			sink += v
			break
		}
	}
}

func sorting(n int) {
	xs := make([]int, n)
	for i := 0; ; i++ {
		for j := range xs {
			xs[j] = (i + j*7919) % 1009
		}
		sort.Ints(xs)
	}
}

func text(s string) {
	for {
		sink += len(strings.Fields(strings.ToUpper(strings.Repeat(s, 100))))
	}
}

func deferring() {
	var mu sync.Mutex
	for i := 0; ; i++ {
		func() {
			mu.Lock()
			defer mu.Unlock()
			defer func() { sink += i }()
			sink++
		}()
	}
}

func channels(c chan int) {
	for i := 0; ; i++ {
		select {
		case c <- i:
		case n := <-c:
			sink += n
		default:
			runtime.Gosched()
		}
	}
}

func syscalls() {
	for {
		sink += syscall.Getppid()
	}
}

func clock() {
	for {
		sink += time.Now().Nanosecond()
	}
}

func deepStacks(n int) {
	for {
		done := make(chan bool)
		go func() {
			sink += descend(n)
			close(done)
		}()
		<-done
	}
}

//go:noinline
func descend(n int) int {
	var pad [64]int
	if n == 0 {
		return pad[3]
	}
	return descend(n-1) + pad[n%64]
}

func main() {
	work := []func(){
		func() { loop(3) },
		func() { compute(25) },
		func() { copyAround(1 << 14) },
		func() { allocate(10) },
		func() { maps(1000) },
		func() { sorting(1000) },
		func() { text("some words ") },
		deferring,
		func() { channels(make(chan int, 1)) },
		syscalls,
		clock,
		func() { deepStacks(300) },
	}
	runtime.GOMAXPROCS(4)
	for _, f := range work {
		go f()
	}
	time.Sleep(300 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	loop(5)
}

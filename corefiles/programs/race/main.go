// Program race is built with the race detector: most of what its goroutines do is done in
// the detector's C code, where the dump finds them. They have no data races.
//
// Not for Go 1.19: there the detector may leave terabytes of its shadow memory to be dumped,
// which takes the kernel minutes.
package main

import (
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type point struct{ x, y, z int }

var (
	mu    sync.Mutex
	total point
	count int64
)

//go:noinline
func (p *point) add(q *point) {
	p.x += q.x
	p.y += q.y
	p.z += q.z
}

func locking(n int) {
	for i := n; ; i++ {
		mu.Lock()
		total.add(&point{i, i, i})
		mu.Unlock()
	}
}

func counting() {
	for {
		atomic.AddInt64(&count, 1)
	}
}

func walking(size int) {
	points := make([]point, size)
	seen := map[int]string{}
	for i := 0; ; i++ {
		p := points[i%size]
		p.add(&points[(i*7)%size])
		points[i%size] = p
		seen[p.x] = strings.Repeat("x", i%64)
		copy(points[1:], points)
	}
}

func main() {
	runtime.GOMAXPROCS(3)
	stuck := make(chan int)
	for i := 0; i < 3; i++ {
		go func() { <-stuck }()
	}
	go locking(1)
	go locking(2)
	go counting()
	go walking(300)
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 {
		syscall.Kill(syscall.Getpid(), syscall.SIGQUIT)
	}
	select {}
}

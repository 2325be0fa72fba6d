// Program many holds N goroutines (the first argument) in a mix of channel,
// mutex, select and sleep waits. Nothing in it is stuck for good.
package main

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A shard is what 32 goroutines share.
type shard struct {
	mu   sync.Mutex
	jobs chan int
	quit chan struct{}
}

var started int64

func worker(s *shard) int {
	atomic.AddInt64(&started, 1)
	return <-s.jobs
}

func locker(s *shard) {
	atomic.AddInt64(&started, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs <- 1
}

func selecter(s *shard, own chan int) int {
	atomic.AddInt64(&started, 1)
	select {
	case n := <-own:
		return n
	case <-s.quit:
		return 0
	}
}

func sleeper(d time.Duration) {
	atomic.AddInt64(&started, 1)
	for {
		time.Sleep(d)
	}
}

// handle calls work at the bottom of a few frames, as real programs do.
//
//go:noinline
func handle(depth int, work func()) {
	if depth > 0 {
		handle(depth-1, work)
		return
	}
	work()
}

func main() {
	n, crash := 10000, false
	for _, arg := range os.Args[1:] {
		if arg == "crash" {
			crash = true
		} else if i, err := strconv.Atoi(arg); err == nil && i >= 0 {
			n = i
		} else {
			os.Stderr.WriteString("usage: many [N] [crash]\n")
			os.Exit(2)
		}
	}

	var shards []*shard
	for i := 0; i < n; i++ {
		if i%32 == 0 {
			s := &shard{jobs: make(chan int), quit: make(chan struct{})}
			s.mu.Lock()
			shards = append(shards, s)
		}
		s := shards[len(shards)-1]
		depth := i % 5
		switch i % 4 {
		case 0:
			go handle(depth, func() { worker(s) })
		case 1:
			go handle(depth, func() { locker(s) })
		case 2:
			go handle(depth, func() { selecter(s, make(chan int)) })
		case 3:
			go handle(depth, func() { sleeper(time.Hour) })
		}
	}

	for atomic.LoadInt64(&started) < int64(n) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(300*time.Millisecond + time.Duration(n)*5*time.Microsecond)
	os.Stdout.WriteString("ready\n")
	if crash {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}

	// The main goroutine holds every lock and will let go of each.
	for {
		time.Sleep(time.Hour)
		for _, s := range shards {
			s.mu.Unlock()
			s.mu.Lock()
		}
	}
}

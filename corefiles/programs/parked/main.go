// Program parked is well: goroutines that wait for ever on purpose, or for what only time, the
// network or a signal brings. Nothing may be called stuck here.
package main

import (
	"context"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

var config = make(chan int)

func server() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}

func onSignal() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	<-c
}

// A context that nobody can cancel: Done returns nil.
func watch(ctx context.Context) { <-ctx.Done() }

func deadline() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	<-ctx.Done()
}

func callback() {
	done := make(chan bool)
	time.AfterFunc(time.Hour, func() { close(done) })
	<-done
}

func lockAndSleep(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
	time.Sleep(time.Hour)
}

func locksBehind(mu *sync.Mutex, once *sync.Once) {
	once.Do(func() {
		mu.Lock()
		mu.Unlock()
	})
}

// A mutex as a signal: another goroutine unlocks it.
func handshake() {
	var mu sync.Mutex
	mu.Lock()
	time.AfterFunc(time.Hour, mu.Unlock)
	mu.Lock()
}

// untilLocked waits until somebody has it.
func untilLocked(mu *sync.Mutex) {
	for mu.TryLock() {
		mu.Unlock()
		time.Sleep(time.Millisecond)
	}
}

// ready says that nothing moves any more, then crashes if it was asked to.
func ready() {
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
}

func main() {
	var mu sync.Mutex
	var once sync.Once
	go server()
	go onSignal()
	go watch(context.Background())
	go deadline()
	go callback()
	go lockAndSleep(&mu)
	untilLocked(&mu)
	go locksBehind(&mu, &once)
	go locksBehind(&mu, &once)
	go handshake()
	go func() { <-config }()
	go ready()
	forever := make(chan struct{})
	<-forever
}

// Program incall has goroutines that enter C and system calls, for good, and says of each on which P and
// when (nanoseconds since 1970): "enter KIND TID P NS", where KIND is c or go. A ticker keeps the
// runtime's times going.
//
// With the argument "held" there is one system call alone, which waits for a debugger to set main.may.
package main

/*
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void stay(int p)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "enter c %ld %d %lld\n", syscall(SYS_gettid), p,
			 (long long)now());

	if (write(1, line, n) == n) {
		for (;;)
			pause();
	}
}
*/
import "C"

import (
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	_ "unsafe" // for linkname
)

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

var may int32

func onP() int {
	p := procPin()
	procUnpin()
	return p
}

//go:noinline
func inC() {
	runtime.Gosched()
	C.stay(C.int(onP()))
}

// What inCall says of itself is printed by another, since that is a system call, too.
var said struct {
	tid, p int
	when   int64
}

//go:noinline
func inCall() {
	var limit, left syscall.Timespec
	limit.Sec = 3600
	said.tid = syscall.Gettid()
	runtime.Gosched()
	said.p, said.when = onP(), time.Now().UnixNano()
	for {
		syscall.Nanosleep(&limit, &left)
	}
}

// The runtime's watch tells calls of a P apart by their number, and knows none before the first; so each P
// makes some.
func short(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		syscall.Write(-1, nil)
		runtime.Gosched()
	}
}

func main() {
	runtime.GOMAXPROCS(4)
	held := len(os.Args) > 1 && os.Args[1] == "held"
	go func() {
		for range time.NewTicker(time.Millisecond).C {
		}
	}()
	for i := 0; i < 8; i++ {
		go short(30 * time.Millisecond)
	}
	time.Sleep(60 * time.Millisecond)
	if held {
		runtime.LockOSThread()
		os.Stdout.WriteString("ready\n")
		for atomic.LoadInt32(&may) == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		inCall()
	}
	go inC()
	go func() {
		runtime.LockOSThread()
		inCall()
	}()
	go inC()
	time.Sleep(50 * time.Millisecond)
	os.Stdout.WriteString("enter go " + strconv.Itoa(said.tid) + " " + strconv.Itoa(said.p) + " " +
		strconv.FormatInt(said.when, 10) + "\n")
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}

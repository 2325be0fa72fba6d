// Program cgonest calls from Go to C to Go and so on, and waits at the bottom, in C or in Go. Before,
// it prints the functions of each chain, outermost first: what a stack must show.
//
//	cgonest [LIBRARY LIBRARY]      waits; the libraries are built of lib/library.c
//	cgonest crash                  the same, and ends by SIGQUIT
//	cgonest segv|assert|trap       dies in C that Go called
//	cgonest thread-segv|...        dies in a thread that never ran Go
//	cgonest grow|collect           goes on growing a stack, or collecting garbage
package main

/*
#cgo LDFLAGS: -pthread -ldl
#include "nest.h"
*/
import "C"

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var never = make(chan int)

func note(chain int, name string) {
	p := C.CString(name)
	C.note(C.int(chain), p)
}

// outerGo goes down; the chain's bottom is in C.
//
//go:noinline
func outerGo(chain, depth int) {
	note(chain, "main.outerGo")
	C.outer_c(C.int(chain), C.int(depth))
}

//go:noinline
func lockedGo(chain, depth int) {
	runtime.LockOSThread()
	note(chain, "main.lockedGo")
	C.outer_c(C.int(chain), C.int(depth))
}

//export goMiddle
func goMiddle(chain, depth C.int) {
	note(int(chain), "goMiddle") // C's stub
	note(int(chain), "main.goMiddle")
	innerGo(int(chain), int(depth))
}

// innerGo's chain ends in Go when no depth is left and the chain is an odd one.
//
//go:noinline
func innerGo(chain, depth int) {
	note(chain, "main.innerGo")
	if depth == 0 && chain&1 != 0 {
		waitInGo(chain)
		return
	}
	C.outer_c(C.int(chain), C.int(depth))
}

//go:noinline
func waitInGo(chain int) {
	note(chain, "main.waitInGo")
	C.settled()
	<-never
}

//go:noinline
func signalGo(chain int) {
	note(chain, "main.signalGo")
	C.signal_c(C.int(chain))
}

//go:noinline
func libraryGo(chain int, path string) {
	note(chain, "main.libraryGo")
	C.library_c(C.int(chain), C.CString(path))
}

//go:noinline
func dieGo(how C.int) {
	note(0, "main.dieGo")
	C.die_c(0, how)
}

// growGo needs a bigger stack all the time.
//
//go:noinline
func growGo(depth int) byte {
	var room [4096]byte
	room[depth%len(room)] = 1
	if depth > 0 {
		return growGo(depth-1) + room[depth/2]
	}
	return room[0]
}

//go:noinline
func collectGo() {
	runtime.GC()
}

// special does what an argument says; false: it says nothing of a special kind.
func special(what string) bool {
	ways := map[string]C.int{"segv": C.DIE_BY_SEGV, "assert": C.DIE_BY_ASSERT, "trap": C.DIE_BY_TRAP}
	switch {
	case what == "grow":
		os.Stdout.WriteString("ready\n")
		for {
			done := make(chan byte)
			go func() { done <- growGo(50) }()
			<-done
		}
	case what == "collect":
		os.Stdout.WriteString("ready\n")
		for {
			collectGo()
		}
	case ways[what] != 0:
		go dieGo(ways[what])
	case strings.HasPrefix(what, "thread-"):
		C.start_dying_thread(0, ways[what[len("thread-"):]])
	default:
		return false
	}
	select {}
}

func main() {
	if len(os.Args) == 2 && special(os.Args[1]) {
		return
	}
	go outerGo(0, 2)
	go outerGo(1, 2)
	go lockedGo(2, 1)
	go lockedGo(3, 3)
	C.start_thread_in_c(4, 1)
	C.start_thread_in_c(5, 1)
	chains := C.CHAINS - 4
	if len(os.Args) > 2 {
		// With these the runtime dies in other ways than by its own.
		C.start_plain_thread(6)
		go signalGo(7)
		go libraryGo(8, os.Args[1])
		go libraryGo(9, os.Args[2])
		chains = C.CHAINS
	}
	for int(C.arrived()) < chains {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	for i := 0; i < chains; i++ {
		os.Stdout.WriteString("chain " + strconv.Itoa(i) + C.GoString(C.chain_text(C.int(i))) + "\n")
	}
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	select {}
}

// Program cgonest calls from Go to C to Go and so on, and waits at the bottom, in C or in Go. Before,
// it prints the functions of each chain, outermost first: what a stack must show.
package main

/*
#cgo LDFLAGS: -pthread
#include "nest.h"
*/
import "C"

import (
	"os"
	"runtime"
	"strconv"
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

func main() {
	go outerGo(0, 2)
	go outerGo(1, 2)
	go lockedGo(2, 1)
	go lockedGo(3, 3)
	C.start_thread_in_c(4, 1)
	C.start_thread_in_c(5, 1)
	for C.arrived() < C.CHAINS {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	for i := 0; i < C.CHAINS; i++ {
		os.Stdout.WriteString("chain " + strconv.Itoa(i) + C.GoString(C.chain_text(C.int(i))) + "\n")
	}
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	select {}
}

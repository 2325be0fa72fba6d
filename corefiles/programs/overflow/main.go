// Program overflow dies of a stack without end: the runtime notices on its own
// stack, where it was about to make more room.
package main

import (
	"os"
	"runtime/debug"
	"time"
)

//go:noinline
func recurse(n int, path []string) int {
	return recurse(n+1, path) + len(path)
}

func wait(c chan int) { <-c }

func main() {
	debug.SetMaxStack(1 << 16)
	go wait(make(chan int))
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		recurse(0, []string{"root"})
	}
	for range time.Tick(time.Hour) {
	}
}

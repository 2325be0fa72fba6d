// Program panic ends by a panic that nobody recovers, in a goroutine of several,
// while it already panics for another reason.
package main

import (
	"fmt"
	"os"
	"time"
)

type failure struct {
	code int
	why  string
}

func (f *failure) Error() string { return fmt.Sprintf("failure %d: %s", f.code, f.why) }

//go:noinline
func fail(depth int, why string) {
	defer func() {
		if r := recover(); r != nil && depth == 2 {
			panic(fmt.Sprintf("could not clean up after %v", r))
		} else if r != nil {
			panic(r)
		}
	}()
	if depth == 0 {
		panic(&failure{42, why})
	}
	fail(depth-1, why)
}

func wait(c chan int) { <-c }

func main() {
	for i := 0; i < 3; i++ {
		go wait(make(chan int))
	}
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		go fail(3, "disk full")
	}
	for range time.Tick(time.Hour) {
	}
}

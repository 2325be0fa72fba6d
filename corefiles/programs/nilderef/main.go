// Program nilderef dies of a nil dereference in Go.
package main

import (
	"os"
	"time"
)

type node struct {
	next  *node
	value [100]int
}

//go:noinline
func (n *node) walk(steps int) int {
	if steps == 0 {
		return n.at(7)
	}
	return n.next.walk(steps - 1)
}

func (n *node) at(i int) int { return n.value[i] }

func wait(c chan int) { <-c }

func main() {
	list := &node{next: &node{}}
	go wait(make(chan int))
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		os.Exit(list.walk(2))
	}
	for range time.Tick(time.Hour) {
	}
}

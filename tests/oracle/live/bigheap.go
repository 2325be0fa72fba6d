// A program with a large heap, part of which changes without pause.
//
//	bigheap healthy MB   goroutines that wait for each other for short, over objects deep in the heap
//	bigheap stuck MB     the same, and 20 that can never run again: what they wait for is reachable from nowhere
//
// Prints "ready" once the heap is there.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

type node struct {
	next *node
	ch   chan int
	mu   *sync.Mutex
	fill [4000]byte
}

var (
	heads [64]*node // lists that hold what goroutines wait for
	locks [64]sync.Mutex
)

func grow(mb int) {
	for i := 0; i < mb<<20/4096; i++ {
		n := &node{ch: make(chan int), mu: new(sync.Mutex)}
		for k := range n.fill {
			n.fill[k] = byte(i)
		}
		n.next = heads[i%len(heads)]
		heads[i%len(heads)] = n
	}
}

// Takes the channel of a node deep in a list, waits for it a while, and meets another goroutine there.
func wait(list, depth int) {
	for {
		locks[list].Lock()
		n := heads[list]
		for i := 0; i < depth && n.next != nil; i++ {
			n = n.next
		}
		ch := n.ch
		locks[list].Unlock()
		ch <- depth
	}
}

func answer(list, depth int) {
	for {
		locks[list].Lock()
		n := heads[list]
		for i := 0; i < depth && n.next != nil; i++ {
			n = n.next
		}
		ch := n.ch
		locks[list].Unlock()
		<-ch
		time.Sleep(time.Millisecond)
	}
}

// Moves nodes from list to list, so that what is reachable by which way changes all the time.
func shuffle() {
	for i := 0; ; i++ {
		a, b := i%len(heads), (i*7+1)%len(heads)
		if a == b {
			continue
		}
		if a > b {
			a, b = b, a
		}
		locks[a].Lock()
		locks[b].Lock()
		heads[a], heads[b] = heads[b], heads[a]
		if n := heads[a].next; n != nil && n.next != nil {
			// The second node becomes the first of the other list; both are held by a stack for a moment.
			heads[a].next = n.next
			n.next = heads[b]
			heads[b] = n
		}
		locks[b].Unlock()
		locks[a].Unlock()
		if i%64 == 0 {
			time.Sleep(100 * time.Microsecond)
		}
	}
}

//go:noinline
func lost() {
	<-make(chan int)
}

func main() {
	mb, _ := strconv.Atoi(os.Args[2])
	grow(mb)
	for i := range heads {
		// Each pair uses the channel of the same list at its head; lists move, so a pair may miss
		// each other for a while, and is met by another pair.
		go wait(i, 0)
		go answer(i, 0)
	}
	go shuffle()
	if os.Args[1] == "stuck" {
		for i := 0; i < 20; i++ {
			go lost()
		}
	}
	fmt.Println("ready")
	select {}
}

// Program heapuse fills its heap with objects of many sizes and types, drops some of them, lets
// the collector run, and writes what the runtime's own statistics say is in use. Nothing is
// allocated after that.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

type node struct {
	left, right *node
	value       [3]int
}

func tree(depth int) *node {
	if depth == 0 {
		return nil
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

var (
	kept    [][]byte
	boxes   []interface{}
	root    *node
	table   = map[int]*node{}
	names   = map[string][]string{}
	big     []*[5000]*int
	dropped [][]byte
	stats   runtime.MemStats
)

func fill() {
	for i := 0; i < 20000; i++ {
		kept = append(kept, make([]byte, 1+i%3000))
		if i%3 == 0 {
			boxes = append(boxes, &node{}, i, &[40]*node{})
		}
		if i%50 == 0 {
			big = append(big, new([5000]*int))
		}
	}
	root = tree(14)
	for i := 0; i < 5000; i++ {
		table[i] = &node{}
		names[string(rune('a'+i%26))+string(rune('a'+i/26%26))] = make([]string, i%17)
	}
	for i := 0; i < 10000; i++ {
		dropped = append(dropped, make([]byte, 16+i%500))
	}
	dropped = nil
	for i := 0; i < len(kept); i += 2 {
		kept[i] = nil
	}
	root.left.right = nil
	for i := 0; i < 2500; i++ {
		delete(table, i)
	}
}

func main() {
	go func() { // or the runtime says that all are asleep
		for {
			time.Sleep(time.Hour)
		}
	}()
	fill()
	debug.SetGCPercent(-1)
	os.Stdout.WriteString("filled\n")
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	for i := range stats.BySize {
		c := &stats.BySize[i]
		println("class", c.Size, c.Mallocs-c.Frees)
	}
	println("objects", stats.HeapObjects, stats.HeapAlloc)
	os.Stdout.WriteString("ready\n")
	for {
		time.Sleep(time.Hour)
	}
}

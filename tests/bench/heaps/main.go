// Program heaps fills a heap of N megabytes and waits for SIGQUIT: heaps KIND N.
//
//	random  objects of 32 bytes, each with the addresses of two others at random: the worst for caches
//	list    the same objects as one list in random order: the worst of all, each waits for the one before
//	mixed   maps, strings, slices and trees, as programs have them
//
// All objects are reached from one global. A few goroutines wait for good.
package main

import (
	"math/rand"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

type node struct {
	next [2]*node
	n    [2]uint64
}

type record struct {
	name   string
	tags   []string
	parent *record
	values map[string]int
	data   []byte
	left   *record
	right  *record
}

var (
	root    *node
	tree    *record
	records map[string]*record
)

// Memory that is gone before the dump, and that the collector never sees.
func scratch(n int) []byte {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	return b
}

func nodes(bytes int, second bool) {
	n := bytes / 32
	b, o := scratch(8*n), scratch(4*n)
	all := unsafe.Slice((**node)(unsafe.Pointer(&b[0])), n)
	order := unsafe.Slice((*uint32)(unsafe.Pointer(&o[0])), n)
	for i := range all {
		all[i] = &node{n: [2]uint64{uint64(i), uint64(n)}}
		order[i] = uint32(i)
	}
	for i := n - 1; i > 0; i-- {
		k := rand.Intn(i + 1)
		order[i], order[k] = order[k], order[i]
	}
	for i := range order {
		x := all[order[i]]
		x.next[0] = all[order[(i+1)%n]]
		if second {
			x.next[1] = all[rand.Intn(n)]
		}
	}
	root = all[0]
	syscall.Munmap(b)
	syscall.Munmap(o)
}

func mixed(bytes int) {
	records = map[string]*record{}
	var last *record
	for used := 0; used < bytes; {
		r := &record{name: "record " + strconv.Itoa(len(records)), parent: last}
		for i := 0; i < len(records)%7; i++ {
			r.tags = append(r.tags, "tag "+strconv.Itoa(i*len(records)))
		}
		if len(records)%5 == 0 {
			r.values = map[string]int{r.name: 1, "all": len(records)}
		}
		r.data = make([]byte, 64+len(records)%700)
		records[r.name] = r
		for at := &tree; ; {
			if *at == nil {
				*at = r
				break
			}
			if rand.Intn(2) == 0 {
				at = &(*at).left
			} else {
				at = &(*at).right
			}
		}
		if len(records)%100 != 0 {
			last = r
		} else {
			last = nil
		}
		used += 112 + 32 + 112 + len(r.data) + 80 + 40*len(r.tags)
	}
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: heaps random|list|mixed MEGABYTES\n")
		os.Exit(2)
	}
	n, err := strconv.Atoi(os.Args[2])
	if err != nil || n < 1 {
		os.Exit(2)
	}
	debug.SetGCPercent(-1)
	rand.Seed(1)
	switch os.Args[1] {
	case "random":
		nodes(n<<20, true)
	case "list":
		nodes(n<<20, false)
	case "mixed":
		mixed(n << 20)
	}
	for i := 0; i < 20; i++ {
		go func() { <-make(chan int) }()
	}
	time.Sleep(time.Second / 10)
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}

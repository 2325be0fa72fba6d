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
	pay  [6]uint64
	name string
}

var keep [][]byte
var list *node
var mu, mu2 sync.Mutex

func main() {
	mb, _ := strconv.Atoi(os.Args[1])
	gs, _ := strconv.Atoi(os.Args[2])
	for i := 0; i < mb/2; i++ {
		b := make([]byte, 1<<20)
		for k := range b {
			b[k] = byte(k*7 + i)
		}
		keep = append(keep, b)
	}
	for i := 0; i < mb/2*14000; i++ {
		list = &node{next: list, name: "n"}
		list.pay[0] = uint64(i)
	}
	ch := make(chan *node)
	for i := 0; i < gs; i++ {
		go func() { ch <- list }()
	}
	var wg sync.WaitGroup
	wg.Add(2)
	go func() { mu.Lock(); time.Sleep(300 * time.Millisecond); mu2.Lock(); wg.Done() }()
	go func() { mu2.Lock(); time.Sleep(300 * time.Millisecond); mu.Lock(); wg.Done() }()
	time.Sleep(time.Second)
	fmt.Println("ready")
	for {
		time.Sleep(time.Millisecond * 10)
	}
}

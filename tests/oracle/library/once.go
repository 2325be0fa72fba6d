//go:build go1.21

package main

import (
	"sync"
	"time"
)

func init() {
	more = append(more, onceFunctions)
}

func onceFunctions() {
	f := sync.OnceFunc(func() { <-never })
	runner := start(func() { f() })
	time.Sleep(20 * time.Millisecond)
	tell(start(func() { f() }), "run by goroutine %d", runner)
	g := sync.OnceValue(func() int { <-never; return 1 })
	runner = start(func() { g() })
	time.Sleep(20 * time.Millisecond)
	tell(start(func() { g() }), "run by goroutine %d", runner)
}

//go:build go1.24

package main

import (
	"context"
	"runtime"
	"time"
	"weak"
)

func init() { later = append(later, byWeakPointer, byCleanup, byAfterFunc) }

var globalWeak weak.Pointer[tree]

// The waiting goroutine itself keeps the object alive that the weak pointer leads to.
//
//go:noinline
func byWeakPointer() {
	t := &tree{ch: make(chan int)}
	globalWeak = weak.Make(t)
	go func() {
		<-t.ch
		runtime.KeepAlive(t)
	}()
}

//go:noinline
func byCleanup() {
	byArg, byFunc := make(chan int), make(chan int)
	runtime.AddCleanup(&tree{}, func(ch chan int) { ch <- 1 }, byArg)
	t := &tree{}
	globalTrees = append(globalTrees, t)
	runtime.AddCleanup(t, func(int) { byFunc <- 1 }, 3)
	go receive(byArg)
	go receive(byFunc)
}

//go:noinline
func byAfterFunc() {
	ch := make(chan int)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	_ = cancel
	context.AfterFunc(ctx, func() { ch <- 1 })
	go receive(ch)
}

package main

import (
	"context"
	"runtime"
	"runtime/pprof"
	"unsafe"
)

func bufPointer(buf *[8]byte) uintptr { return uintptr(unsafe.Pointer(buf)) }

type resource struct {
	name string
	next *resource
}

func lockedToThread() {
	runtime.LockOSThread()
	<-never
}

func labelled(ctx context.Context) { <-never }

func startRuntime() {
	// The finalizer goroutine runs this and blocks in it.
	finalizing := make(chan bool)
	res := &resource{name: "resource"}
	runtime.SetFinalizer(res, func(r *resource) {
		finalizing <- true
		<-never
	})
	res = nil
	runtime.GC()
	<-finalizing

	go lockedToThread()
	go pprof.Do(context.Background(), pprof.Labels("tenant", "blue"), labelled)
	go pprof.Do(context.Background(), pprof.Labels("request", "GET /a b", "shard", "7", "quote", `"\`),
		func(ctx context.Context) {
			labelled(ctx)
		})
}

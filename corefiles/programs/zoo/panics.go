package main

import (
	"errors"
	"runtime"
	"unsafe"
)

// midPanic blocks in a deferred call while it panics.
func midPanic() {
	defer func() { <-never }()
	panic("stopped on the way")
}

// midPanicDeep panics below the function that deferred, in the error case.
func midPanicDeep() {
	defer func() {
		<-never
	}()
	panicBelow(3)
}

//go:noinline
func panicBelow(n int) {
	if n == 0 {
		panic(errors.New("below"))
	}
	panicBelow(n - 1)
}

// nestedPanic panics again in the deferred call and blocks there.
func nestedPanic() {
	defer func() {
		defer func() { <-never }()
		panic("second")
	}()
	panic("first")
}

// recovered is back to normal life after its panic, in the deferred call.
func recovered() {
	defer func() {
		_ = recover()
		<-never
	}()
	panic("recovered")
}

// afterRecovery has returned from it.
func afterRecovery() {
	func() {
		defer func() { recover() }()
		panic("forgotten")
	}()
	<-never
}

func nilDereference(p *point) {
	defer func() {
		_ = recover()
		<-never
	}()
	p.x = 1
}

// nilInLeaf faults in a leaf function that was inlined.
func nilInLeaf(p *point) {
	defer func() { <-never }()
	setX(setY(p))
}

func setX(p *point) { p.x++ }

func setY(p *point) *point { return p }

// nilCall calls a function at address 0.
func nilCall() {
	defer func() { <-never }()
	var entry uintptr
	closure := &entry
	f := *(*func(int, string))(unsafe.Pointer(&closure))
	f(1, "x")
}

func nilMapWrite(m map[string]int) {
	defer func() { <-never }()
	m["a"] = 1
}

func outOfRange(xs []int, i int) int {
	defer func() { <-never }()
	return xs[i]
}

func divide(a, b int) int {
	defer func() { <-never }()
	return a / b
}

func badAssertion(v any) int {
	defer func() { <-never }()
	return v.(int)
}

// goexit blocks in a deferred call while its goroutine ends.
func goexit() {
	defer func() { <-never }()
	runtime.Goexit()
}

func startPanics() {
	go midPanic()
	go midPanicDeep()
	go nestedPanic()
	go recovered()
	go afterRecovery()
	go nilDereference(nil)
	go nilInLeaf(nil)
	go nilCall()
	go nilMapWrite(nil)
	go outOfRange([]int{1}, 3)
	go divide(1, len(never))
	go badAssertion("string")
	go goexit()
}

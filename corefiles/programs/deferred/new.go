//go:build go1.23

package main

import (
	"reflect"
	"runtime"
)

func nameOf(f func()) string { return runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name() }

// pairs calls its loop's body, which is a function of its own.
//
//go:noinline
func pairs(yield func(int) bool) {
	if !yield(1) {
		return
	}
	yield(2)
}

// rangeFunc's defers are the outer function's, wherever the body runs.
//
//go:noinline
func rangeFunc(b *book) {
	b.note("main.release")
	defer release(b, 0)
	for i := range pairs {
		b.note("main.release")
		defer release(b, i)
	}
	b.note("main.rangeFunc.func1")
	defer func() { sink++ }()
	wait()
}

// inBody blocks in the body.
//
//go:noinline
func inBody(b *book) {
	for i := range pairs {
		f := func() { sink += i }
		b.note(nameOf(f)) // which releases make differently
		defer f()
		b.note("main.release")
		defer release(b, i)
		if i == 2 {
			wait()
		}
	}
}

// rangePanic blocks while a panic runs the calls that bodies deferred.
//
//go:noinline
func rangePanic(b *book) {
	b.note("main.rangePanic.func1")
	defer func() { recover() }()
	for i := range pairs {
		b.note("main.release")
		defer release(b, i)
	}
	for range pairs {
		defer func() { wait() }()
		break
	}
	panic("over")
}

var newer = []func(b *book){rangeFunc, inBody, rangePanic}

//go:build go1.23

package main

import (
	"iter"
	"time"
)

func init() { later = append(later, byIterator) }

var globalNext func() (int, bool)

// A global has the other end of the coroutine that has one channel; the other
// channel's is asleep in the midst of a pull.
//
//go:noinline
func byIterator() {
	parked, asleep := make(chan int), make(chan int)
	globalNext, _ = iter.Pull(func(yield func(int) bool) {
		yield(1)
		parked <- 1
	})
	globalNext()
	go receive(parked)
	go func() {
		next, _ := iter.Pull(func(yield func(int) bool) {
			time.Sleep(time.Hour)
			asleep <- 1
		})
		next()
	}()
	go receive(asleep)
}

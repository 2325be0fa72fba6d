//go:build go1.23

package main

import "iter"

func numbers(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

func blockedNumbers(yield func(int) bool) {
	<-never
}

// pull holds a coroutine that waits to be asked for more.
func pull() {
	next, stop := iter.Pull(iter.Seq[int](numbers))
	defer stop()
	next()
	<-never
}

// pullBlocked waits for a coroutine that waits for something else.
func pullBlocked() {
	next, stop := iter.Pull(iter.Seq[int](blockedNumbers))
	defer stop()
	next()
}

func init() {
	more = append(more, func() {
		go pull()
		go pullBlocked()
	})
}

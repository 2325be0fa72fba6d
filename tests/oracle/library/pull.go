//go:build go1.23

package main

import "iter"

func init() {
	more = append(more, pulls)
}

func pulls() {
	ids := make(chan uint64)
	caller := start(func() {
		next, stop := iter.Pull(func(yield func(int) bool) {
			ids <- goid()
			<-never
		})
		defer stop()
		next()
	})
	body := <-ids
	tell(caller, "it called an iterator (iter.Pull) that goroutine %d runs", body)

	made := make(chan bool)
	maker := start(func() {
		next, stop := iter.Pull(func(yield func(int) bool) {
			ids <- goid()
			yield(1)
		})
		defer stop()
		go func() { made <- true; <-never; next() }()
		go func() { next(); made <- true }()
		<-never
	})
	idle := <-ids
	<-made
	<-made
	_ = maker
	tell(idle, "it is an iterator (iter.Pull), and goes on when somebody calls next or stop")
}

//go:build go1.24

package main

import "runtime"

// Where cleanups run on the finalizer goroutine, this one never gets its turn:
// a finalizer blocks there.
func init() {
	more = append(more, func() {
		res := &resource{name: "cleaned"}
		runtime.AddCleanup(res, func(n int) { <-never }, 7)
		res = nil
		runtime.GC()
	})
}

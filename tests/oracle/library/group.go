//go:build go1.20

package main

import (
	"time"

	"library/copies/golang.org/x/sync/errgroup"
)

func init() {
	more = append(more, groups)
}

func groups() {
	g := new(errgroup.Group)
	g.SetLimit(3)
	ids := make(chan uint64)
	var id [3]uint64
	for i := range id {
		g.Go(func() error { ids <- goid(); <-never; return nil })
		id[i] = <-ids
	}
	other := new(errgroup.Group)
	other.Go(func() error { <-never; return nil })
	waiter := start(func() { g.Wait() })
	fourth := start(func() { g.Go(func() error { return nil }) })
	time.Sleep(20 * time.Millisecond)
	tell(waiter, "errgroup.Group %p: 3 running, limit 3: goroutines %d, %d and %d", g, id[0], id[1], id[2])
	tell(fourth, "to start one more in errgroup.Group %p: 3 running, limit 3: goroutines %d, %d and %d", g, id[0], id[1], id[2])
	never2(other)
}

//go:noinline
func never2(g *errgroup.Group) { go func() { g.Wait() }() }

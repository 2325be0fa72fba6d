//go:build go1.25

package main

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs goroutines in a synctest bubble. One waits for a lock that is
// held outside, so the bubble as a whole is not blocked for good.
func bubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := make(chan int)
		var wg sync.WaitGroup
		wg.Add(1)
		go func() { c <- 1 }()
		go func() { time.Sleep(time.Hour) }()
		go func() { wg.Wait() }()
		go func() {
			select {
			case <-c:
			case <-time.After(time.Minute):
			}
			<-c
		}()
		go lockGlobal()
		synctest.Wait()
	})
}

func init() {
	more = append(more, func() {
		go testing.Main(func(pat, str string) (bool, error) { return true, nil },
			[]testing.InternalTest{{Name: "Bubble", F: bubble}}, nil, nil)
	})
}

// Program asleep is abba with nothing else alive: asked to crash, it is the
// runtime's own check that ends it ("all goroutines are asleep - deadlock!").
package main

import (
	"os"
	"sync"
	"time"
)

var first, second sync.Mutex

//go:noinline
func lockInOrder(one, two *sync.Mutex, met *sync.WaitGroup) {
	one.Lock()
	defer one.Unlock()
	met.Done()
	met.Wait()
	two.Lock()
	defer two.Unlock()
}

func main() {
	var met sync.WaitGroup
	met.Add(2)
	if len(os.Args) < 2 || os.Args[1] != "crash" {
		go func() {
			for range time.Tick(time.Hour) {
			}
		}()
	}
	go lockInOrder(&second, &first, &met)
	first.Lock()
	met.Done()
	met.Wait()
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	second.Lock()
}

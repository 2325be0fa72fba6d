// Program rwmutex reads again while it reads, and a writer came in between: the
// second read waits for the writer, who waits for the first read to end.
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

var (
	config   sync.RWMutex
	settings = map[string]string{"mode": "fast"}
)

func lookup(key string) string {
	config.RLock()
	defer config.RUnlock()
	return settings[key]
}

func render(reading chan<- bool, writing <-chan bool) string {
	config.RLock()
	defer config.RUnlock()
	reading <- true
	<-writing
	return lookup("mode")
}

func reload() {
	config.Lock()
	defer config.Unlock()
	settings["mode"] = "slow"
}

// writerWaits tells when the writer has announced itself: then nobody gets a
// new read lock.
func writerWaits(writing chan<- bool) {
	for config.TryRLock() {
		config.RUnlock()
		time.Sleep(time.Millisecond)
	}
	writing <- true
}

func heartbeat() {
	for range time.Tick(time.Hour) {
	}
}

// ready says that nothing moves any more, then crashes if it was asked to.
func ready() {
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
}

func main() {
	reading, writing := make(chan bool), make(chan bool)
	rendered := make(chan string)
	go heartbeat()
	go func() { rendered <- render(reading, writing) }()
	<-reading
	go reload()
	go writerWaits(writing)
	go ready()
	<-rendered
}

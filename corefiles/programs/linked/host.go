//go:build linked_host

package main

import (
	"os"
	"plugin"
	"sync"
	"syscall"
	"time"
)

// The program that loads the rest as a plugin: the file of its own name with ".so" behind.

var (
	loaded sync.Map
	gate   sync.Mutex
)

func waitAtGate() {
	gate.Lock()
	gate.Unlock()
}

func fail(err error) {
	os.Stderr.WriteString(err.Error() + "\n")
	os.Exit(1)
}

func main() {
	exe, err := os.Executable()
	if err != nil {
		fail(err)
	}
	p, err := plugin.Open(exe + ".so")
	if err != nil {
		fail(err)
	}
	hang, err := p.Lookup("Hang")
	if err != nil {
		fail(err)
	}
	gate.Lock()
	loaded.Store("linked", p)
	go waitAtGate()
	hang.(func())()
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
	}
	time.Sleep(time.Hour)
	gate.Unlock()
}

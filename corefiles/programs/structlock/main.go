// Program structlock is a deadlock between locks that live in structs on the
// heap, taken in methods that run as method values; others queue up behind it.
package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

type account struct {
	name    string
	balance int
	mu      sync.Mutex
}

type bank struct {
	accounts map[string]*account
	met      sync.WaitGroup
	done     sync.WaitGroup
}

func (a *account) deposit(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.balance += n
}

func (a *account) transferTo(to *account, n int, met *sync.WaitGroup) {
	a.mu.Lock()
	defer a.mu.Unlock()
	met.Done()
	met.Wait()
	a.balance -= n
	to.deposit(n)
}

func (b *bank) run(task func(*account, int, *sync.WaitGroup), to *account) {
	defer b.done.Done()
	task(to, 10, &b.met)
}

func (b *bank) audit() (total int) {
	defer b.done.Done()
	for _, a := range b.accounts {
		func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			total += a.balance
		}()
	}
	return total
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
	alice, bob := &account{name: "alice", balance: 100}, &account{name: "bob", balance: 50}
	b := &bank{accounts: map[string]*account{"alice": alice, "bob": bob}}
	b.met.Add(2)
	b.done.Add(3)
	go heartbeat()
	go b.run(alice.transferTo, bob)
	go b.run(bob.transferTo, alice)
	b.met.Wait()
	go b.audit()
	go ready()
	b.done.Wait()
}

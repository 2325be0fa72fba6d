// Program nilderef_c dies of a nil dereference in C that Go called.
package main

/*
struct node { struct node *next; int value; };

__attribute__((noinline)) static int last(struct node *n)
{
	while (n->value >= 0)
		n = n->next;
	return n->value;
}

static int sum_list(int n)
{
	struct node b = { 0, 2 }, a = { &b, n };
	return last(&a) + a.value;
}
*/
import "C"

import (
	"os"
	"time"
)

//go:noinline
func callC(n int) int { return int(C.sum_list(C.int(n))) }

func wait(c chan int) { <-c }

func main() {
	go wait(make(chan int))
	time.Sleep(200 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 && os.Args[1] == "crash" {
		os.Exit(callC(7))
	}
	for range time.Tick(time.Hour) {
	}
}

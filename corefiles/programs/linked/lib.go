//go:build linked_lib

package main

/*
#include <stdlib.h>
#include <unistd.h>

// Variables of the library's own stand beside Go's in thread-local storage.
static __thread long slept = 1;

static void sleep_in_c(unsigned seconds)
{
	while (seconds) {
		slept++;
		seconds = sleep(seconds);
	}
}
*/
import "C"

import "time"

// LinkedHang makes the world, and leaves it.
//
//export LinkedHang
func LinkedHang() { hang() }

// LinkedWait keeps the thread that calls: in Go, or in C below Go.
//
//export LinkedWait
func LinkedWait(how C.int) {
	switch how {
	case 0:
		time.Sleep(time.Hour)
	default:
		C.sleep_in_c(3600)
	}
}

// LinkedCrash ends the process with the text of all goroutines.
//
//export LinkedCrash
func LinkedCrash() {
	go panic("asked to crash")
	time.Sleep(time.Hour)
}

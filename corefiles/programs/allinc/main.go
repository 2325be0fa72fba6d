// Program allinc has all of its goroutines in C: nothing of Go runs any more.
package main

/*
#include <unistd.h>

static void wait_in_c(void)
{
	for (;;)
		pause();
}
*/
import "C"

import (
	"os"
	"time"
)

func main() {
	for i := 0; i < 3; i++ {
		go C.wait_in_c()
	}
	time.Sleep(300 * time.Millisecond)
	os.Stdout.WriteString("ready\n")
	C.wait_in_c()
}

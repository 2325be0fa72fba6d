// Program cgothrow calls C++ that throws an exception which nobody catches. Before, it prints the
// chain of its functions, outermost first.
package main

/*
#cgo LDFLAGS: -lstdc++
void enter_c(void);
*/
import "C"

import "os"

//go:noinline
func throwGo() {
	os.Stdout.WriteString("chain 0 main.throwGo enter_c throw_c\nready\n")
	C.enter_c()
}

func main() {
	go throwGo()
	select {}
}

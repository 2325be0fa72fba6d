// A program that unmaps the page of its ELF header once it runs, as some that unpack themselves do.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

func main() {
	var start uintptr
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		panic(err)
	}
	if _, err := fmt.Sscanf(string(maps), "%x-", &start); err != nil {
		panic(err)
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_MUNMAP, start, uintptr(os.Getpagesize()), 0); errno != 0 {
		panic(errno)
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

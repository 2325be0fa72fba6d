// Added to a program by check-leaks: when the program says that it is ready, the runtime is asked
// for its goroutineleak profile, and nothing is collected any more, so that the marks which that
// profile leaves on goroutines are still there when the program is dumped.
package main

import (
	"bytes"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
)

func init() {
	real := os.Stdout
	from, to, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	os.Stdout = to
	go profileWhenReady(from, real)
}

func profileWhenReady(from, real *os.File) {
	var said []byte
	for buf := make([]byte, 64); !bytes.Contains(said, []byte("ready\n")); {
		n, err := from.Read(buf)
		if err != nil {
			panic(err)
		}
		said = append(said, buf[:n]...)
	}
	debug.SetGCPercent(-1)
	profile := pprof.Lookup("goroutineleak")
	if profile == nil {
		panic("this runtime has no goroutineleak profile")
	}
	var text bytes.Buffer
	if err := profile.WriteTo(&text, 1); err != nil {
		panic(err)
	}
	os.Stderr.WriteString("goroutineleak " + strconv.Itoa(profile.Count()) + "\n")
	os.Stderr.Write(text.Bytes())
	real.Write(said)
}

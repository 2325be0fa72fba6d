// Program server is well and busy: clients talk to it over TCP, one of which sends more than is read,
// tickers and sleepers come and go, and its collector runs now and then. Its scheduler has nothing to
// complain of.
package main

import (
	"io"
	"net"
	"os"
	"runtime"
	"time"
)

func serve(c net.Conn) {
	b := make([]byte, 64)
	for {
		c.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := c.Read(b)
		if err != nil {
			return
		}
		c.Write(b[:n])
	}
}

func client(addr string, every time.Duration) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	b := make([]byte, 64)
	for {
		c.Write(b)
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		time.Sleep(every)
	}
}

var kept [64][]byte

func sleeper(i int) {
	for {
		time.Sleep(time.Duration(1+i%7) * time.Millisecond)
		kept[i%len(kept)] = make([]byte, 1024*(1+i))
	}
}

func ticker(i int) {
	for range time.NewTicker(time.Duration(2+i) * time.Millisecond).C {
	}
}

// A client that reads no answer, so that at last neither side can write.
func deaf(addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	for b := make([]byte, 1<<20); err == nil; {
		_, err = c.Write(b)
	}
}

func main() {
	runtime.GOMAXPROCS(4)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(2)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	go deaf(l.Addr().String())
	for i := 0; i < 20; i++ {
		go client(l.Addr().String(), time.Duration(1+i)*time.Millisecond)
		go sleeper(i)
		go ticker(i)
	}
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}

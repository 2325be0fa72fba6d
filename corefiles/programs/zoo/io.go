package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

func must(err error) {
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		must(err)
		go echo(conn)
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	io.Copy(io.Discard, bufio.NewReader(conn))
}

func readConn(conn net.Conn) {
	var buf [64]byte
	conn.Read(buf[:])
}

// fill writes to a peer that reads nothing until no more fits.
func fill(conn net.Conn) {
	buf := make([]byte, 1<<16)
	for {
		conn.Write(buf)
	}
}

func readPipe(f *os.File) {
	var buf [1]byte
	f.Read(buf[:])
}

func scanPipe(f *os.File) {
	for s := bufio.NewScanner(f); s.Scan(); {
	}
}

var inSyscall int32

// readRaw blocks its thread in a system call that the scheduler knows of.
func readRaw(fd int) {
	var buf [8]byte
	atomic.AddInt32(&inSyscall, 1)
	syscall.Read(fd, buf[:])
}

func napRaw() {
	ts := syscall.Timespec{Sec: 3600}
	atomic.AddInt32(&inSyscall, 1)
	syscall.Nanosleep(&ts, nil)
}

// stuckThread blocks its thread in a system call that the scheduler does not
// know of: the goroutine counts as running.
func stuckThread(fd int) {
	var buf [8]byte
	atomic.AddInt32(&inSyscall, 1)
	syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), bufPointer(&buf), 8)
}

func waitSignal(c <-chan os.Signal) { <-c }

func startIO() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go accept(l)
	client, err := net.Dial("tcp", l.Addr().String())
	must(err)
	go readConn(client)

	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	must(err)
	unix, err := net.FileConn(os.NewFile(uintptr(fds[0]), "pair"))
	must(err)
	go fill(unix)

	r, _, err := os.Pipe()
	must(err)
	go readPipe(r)
	r, _, err = os.Pipe()
	must(err)
	go scanPipe(r)

	var raw [2]int
	must(syscall.Pipe(raw[:]))
	go readRaw(raw[0])
	go napRaw()
	waitFor(&inSyscall, 2)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go waitSignal(signals)

	afterGC = append(afterGC, func() {
		var raw [2]int
		must(syscall.Pipe(raw[:]))
		go stuckThread(raw[0])
		waitFor(&inSyscall, 3)
	})
}

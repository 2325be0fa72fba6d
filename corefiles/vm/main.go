// Program vm makes a core by a Linux kernel of another architecture, in a virtual machine
// that has nothing but a console (see corefiles/lib.sh, cf_dump_vm).
//
//	vm pack INIT EXE HOW [ARG...] >INITRD	an initial file system: INIT is this program for that machine
//	vm unpack STEM <CONSOLE			writes STEM.core and STEM.txt from what the machine printed
//
// As process 1 it is the machine's only program: it runs EXE, makes it dump, prints the core
// and what the runtime said, and switches off.
package main

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
}

func main() {
	switch {
	case os.Getpid() == 1:
		guest()
	case len(os.Args) > 4 && os.Args[1] == "pack":
		pack(os.Args[2], os.Args[3], os.Args[4:])
	case len(os.Args) == 3 && os.Args[1] == "unpack":
		unpack(os.Args[2])
	default:
		check(fmt.Errorf("usage: vm pack INIT EXE HOW [ARG...] | vm unpack STEM"))
	}
}

// --- on the host -------------------------------------------------------------

var inode int

func entry(w io.Writer, name string, mode int, data []byte, major, minor int) {
	inode++
	var head strings.Builder
	head.WriteString("070701")
	for _, v := range []int{inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name) + 1, 0} {
		fmt.Fprintf(&head, "%08X", v)
	}
	head.WriteString(name + "\x00")
	for head.Len()%4 != 0 {
		head.WriteByte(0)
	}
	_, err := w.Write([]byte(head.String()))
	check(err)
	_, err = w.Write(append(data, make([]byte, -len(data)&3)...))
	check(err)
}

func pack(initPath, exe string, how []string) {
	w := bufio.NewWriter(os.Stdout)
	init, err := os.ReadFile(initPath)
	check(err)
	prog, err := os.ReadFile(exe)
	check(err)
	entry(w, "dev", 0o40755, nil, 0, 0)
	entry(w, "dev/console", 0o20600, nil, 5, 1)
	entry(w, "dev/null", 0o20666, nil, 1, 3)
	entry(w, "init", 0o100755, init, 0, 0)
	entry(w, "run", 0o40755, nil, 0, 0)
	entry(w, "run/"+filepath.Base(exe), 0o100755, prog, 0, 0)
	entry(w, "what", 0o100644, []byte(strings.Join(append([]string{filepath.Base(exe)}, how...), "\n")), 0, 0)
	entry(w, "TRAILER!!!", 0, nil, 0, 0)
	check(w.Flush())
}

func unpack(stem string) {
	var to *os.File
	var text strings.Builder
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		switch {
		case strings.HasPrefix(line, "=== begin "):
			var err error
			to, err = os.Create(stem + strings.TrimPrefix(line, "=== begin "))
			check(err)
			text.Reset()
		case line == "=== end" && to != nil:
			z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text.String())))
			check(err)
			_, err = io.Copy(to, z)
			check(err)
			check(to.Close())
			to = nil
		case to != nil:
			text.WriteString(line)
		}
	}
	check(in.Err())
}

// --- in the machine ----------------------------------------------------------

func send(suffix, path string) {
	f, err := os.Open(path)
	if err != nil {
		fmt.Println("vm:", err)
		return
	}
	fmt.Printf("\n=== begin %s\n", suffix)
	r, w := io.Pipe()
	go func() {
		z := gzip.NewWriter(w)
		io.Copy(z, f)
		z.Close()
		w.Close()
	}()
	buf := make([]byte, 57)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			fmt.Println(base64.StdEncoding.EncodeToString(buf[:n]))
		}
		if err != nil {
			break
		}
	}
	fmt.Println("=== end")
}

// Brings the loopback interface up.
func network() {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return
	}
	var req [40]byte
	copy(req[:], "lo")
	req[16] = syscall.IFF_UP | syscall.IFF_RUNNING
	syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&req[0])))
	syscall.Close(fd)
}

func guest() {
	os.Mkdir("/proc", 0o755)
	os.Mkdir("/tmp", 0o777)
	syscall.Mount("proc", "/proc", "proc", 0, "")
	syscall.Mount("tmpfs", "/tmp", "tmpfs", 0, "size=90%")
	os.WriteFile("/proc/sys/kernel/core_pattern", []byte("/tmp/core"), 0o644)
	os.WriteFile("/proc/self/coredump_filter", []byte("0x33"), 0o644)
	syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)})
	network()

	what, _ := os.ReadFile("/what")
	words := strings.Split(string(what), "\n")
	cmd := exec.Command("/run/"+words[0], words[2:]...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "GOTRACEBACK=crash"}
	cmd.Dir = "/tmp"
	cmd.Stderr, _ = os.Create("/tmp/txt")
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		fmt.Println("vm:", err)
	} else {
		if words[1] == "quit" {
			for s := bufio.NewScanner(out); s.Scan() && s.Text() != "ready"; {
			}
			cmd.Process.Signal(syscall.SIGQUIT)
		}
		fmt.Println("vm:", cmd.Wait())
		send(".txt", "/tmp/txt")
		send(".core", "/tmp/core")
	}
	time.Sleep(200 * time.Millisecond)
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

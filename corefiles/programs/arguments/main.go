// Program arguments has goroutines that block in functions with arguments of every kind.
//
// Each function first writes down what it was given, as gcore-inspect would show it: standard error
// gets a line "args ID FUNCTION NAME=VALUE" for each argument.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

type pair struct {
	a int32
	b string
}

type big struct {
	words [40]uint64
}

type kind uint8

type list struct {
	value int
	next  *list
}

func (l *list) String() string { return "list" }

var (
	mu      sync.Mutex
	notes   []string
	settled = make(chan bool)
	never   = make(chan int)
	sink    interface{}
	total   int
)

func id() string {
	buf := make([]byte, 64)
	return strings.Fields(string(buf[:runtime.Stack(buf, false)]))[1]
}

//go:noinline
func note(function string, values ...string) {
	mu.Lock()
	defer mu.Unlock()
	for _, v := range values {
		notes = append(notes, "args "+id()+" "+function+" "+v)
	}
}

func ptr(name string, p unsafe.Pointer) string {
	if p == nil {
		return name + "=nil"
	}
	return fmt.Sprintf("%s=0x%x", name, uintptr(p))
}

//go:noinline
func wait() {
	settled <- true
	<-never
}

//go:noinline
func use(v ...interface{}) { total += len(v) }

// Those that use their arguments after they blocked keep them.

//go:noinline
func ints(i int, a int8, b uint16, c int32, d uint64, t bool, f bool, k kind, u uintptr) {
	note("main.ints", fmt.Sprint("i=", i), fmt.Sprint("a=", a), fmt.Sprint("b=", b), fmt.Sprint("c=", c),
		fmt.Sprint("d=", d), fmt.Sprint("t=", t), fmt.Sprint("f=", f), fmt.Sprint("k=", k), fmt.Sprintf("u=0x%x", u))
	wait()
	use(i, a, b, c, d, t, f, k, u)
}

//go:noinline
func floats(x float64, y float32, z complex128) {
	note("main.floats", fmt.Sprint("x=", x), fmt.Sprint("y=", y), fmt.Sprintf("z=(%v + %vi)", real(z), imag(z)))
	wait()
	use(x, y, z)
}

//go:noinline
func texts(s, empty, odd string, long string, b []byte, none []int) {
	note("main.texts", fmt.Sprintf("s=%q", s), fmt.Sprintf("empty=%q", empty), `odd="\"a\\b\""`,
		fmt.Sprintf("long=%q...+%d", long[:64], len(long)-64),
		ptr("b", unsafe.Pointer(&b[0]))+fmt.Sprintf(" len %d cap %d", len(b), cap(b)), "none=nil")
	wait()
	use(s, empty, odd, long, b, none)
}

//go:noinline
func pointers(p *pair, none *int, raw unsafe.Pointer, m map[string]int, c chan int, fn func(int)) {
	note("main.pointers", ptr("p", unsafe.Pointer(p)), "none=nil", ptr("raw", raw),
		ptr("m", *(*unsafe.Pointer)(unsafe.Pointer(&m))),
		ptr("c", *(*unsafe.Pointer)(unsafe.Pointer(&c)))+" len 1 cap 3", "fn=main.callee")
	wait()
	use(p, none, raw, m, c)
	fn(1)
}

func callee(n int) { total += n }

//go:noinline
func interfaces(err error, none error, any interface{}, r io.Writer, s fmt.Stringer) {
	note("main.interfaces", ptr("err=*errors.errorString(", (*[2]unsafe.Pointer)(unsafe.Pointer(&err))[1]), "none=nil",
		"any=main.pair", ptr("r=*os.File(", (*[2]unsafe.Pointer)(unsafe.Pointer(&r))[1]),
		ptr("s=*main.list(", (*[2]unsafe.Pointer)(unsafe.Pointer(&s))[1]))
	wait()
	use(err, none, any, r, s)
}

//go:noinline
func structs(p pair, in struct{ x, y int16 }, arr [3]int, l list, w big, e struct{}) {
	note("main.structs", fmt.Sprintf("p={a: %d, b: %q}", p.a, p.b), fmt.Sprintf("in={x: %d, y: %d}", in.x, in.y),
		fmt.Sprintf("arr=[%d, %d, %d]", arr[0], arr[1], arr[2]),
		fmt.Sprintf("l={value: %d, next: 0x%x}", l.value, uintptr(unsafe.Pointer(l.next))),
		"w={words: [7, 0, 0, 0, 0, 0, 0, 0, ...+32]}", "e={}")
	wait()
	use(p, in, arr, l, w, e)
}

// many has more than there are registers.
//
//go:noinline
func many(a, b, c, d, e, f, g, h, i, j, k, l int, s string) {
	note("main.many", fmt.Sprint("a=", a), fmt.Sprint("b=", b), fmt.Sprint("c=", c), fmt.Sprint("d=", d), fmt.Sprint("e=", e),
		fmt.Sprint("f=", f), fmt.Sprint("g=", g), fmt.Sprint("h=", h), fmt.Sprint("i=", i), fmt.Sprint("j=", j),
		fmt.Sprint("k=", k), fmt.Sprint("l=", l), fmt.Sprintf("s=%q", s))
	wait()
	use(a, b, c, d, e, f, g, h, i, j, k, l, s)
}

// unused does not need them any more: optimised code may have lost them.
//
//go:noinline
func unused(a, b int, s string) {
	note("main.unused", fmt.Sprint("a=", a), fmt.Sprint("b=", b), fmt.Sprintf("s=%q", s))
	wait()
}

// moved's argument lives in the heap.
//
//go:noinline
func moved(n int, s string) {
	note("main.moved", fmt.Sprint("n=", n), fmt.Sprintf("s=%q", s))
	sink = [2]interface{}{&n, &s}
	wait()
	use(n, s)
}

// changed's argument gets another value.
//
//go:noinline
func changed(n int, s string) {
	for i := 0; i < 3; i++ {
		n += i
		s += "x"
	}
	note("main.changed", fmt.Sprint("n=", n), fmt.Sprintf("s=%q", s))
	wait()
	use(n, s)
}

func (l *list) method(n int) {
	note("main.(*list).method", ptr("l", unsafe.Pointer(l)), fmt.Sprint("n=", n))
	wait()
	use(l, n)
}

//go:noinline
func (p pair) byValue(n int) {
	note("main.pair.byValue", fmt.Sprintf("p={a: %d, b: %q}", p.a, p.b), fmt.Sprint("n=", n))
	wait()
	use(p, n)
}

func inlined(n int, s string) {
	wait()
	use(n, s)
}

// outer has a call that is inlined, with arguments of its own.
//
//go:noinline
func outer(n int) {
	note("main.outer", fmt.Sprint("n=", n))
	note("main.inlined", fmt.Sprint("n=", n+1), `s="in"`)
	inlined(n+1, "in")
	use(n)
}

func generic[T any](v T, n int) {
	note("main.generic[...]", fmt.Sprint("v=", v), fmt.Sprint("n=", n))
	wait()
	use(v, n)
}

//go:noinline
func variadic(first string, rest ...int) {
	note("main.variadic", fmt.Sprintf("first=%q", first),
		ptr("rest", unsafe.Pointer(&rest[0]))+fmt.Sprintf(" len %d cap %d", len(rest), cap(rest)))
	wait()
	use(first, rest)
}

// spins is not parked: a signal finds it in its loop, with arguments in registers.
//
//go:noinline
func spins(n, step int) {
	note("main.spins", fmt.Sprint("step=", step))
	settled <- true
	for {
		n += step
		if n == 0 {
			use(n)
		}
	}
}

// deep makes its stack grow, and be copied, with arguments on it.
//
//go:noinline
func deep(n int, s string) int {
	var pad [64]int
	pad[n] = n
	if n == 0 {
		note("main.deep", "n=0", fmt.Sprintf("s=%q", s))
		wait()
	} else {
		deep(n-1, s)
	}
	use(n, s)
	return pad[n]
}

func main() {
	p := &pair{-5, "five"}
	c := make(chan int, 3)
	c <- 1
	l := &list{1, nil}
	start := []func(){
		func() { ints(-1, -128, 65535, -2147483648, 1<<64-1, true, false, 9, 0xabc) },
		func() { floats(1.5, 0.1, complex(2, -0.25)) },
		func() {
			texts("héllo", "", `"a\b"`, strings.Repeat("0123456789", 20), make([]byte, 3, 8), nil)
		},
		func() { pointers(p, nil, unsafe.Pointer(p), map[string]int{"a": 1}, c, callee) },
		func() { interfaces(errors.New("bad"), nil, pair{1, "x"}, os.Stderr, l) },
		func() {
			structs(*p, struct{ x, y int16 }{1, -2}, [3]int{1, 2, 3}, list{4, l}, big{[40]uint64{7}}, struct{}{})
		},
		func() { many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, "thirteen") },
		func() { unused(1, 2, "three") },
		func() { moved(21, "moved") },
		func() { changed(30, "c") },
		func() { l.method(41) },
		func() { p.byValue(42) },
		func() { outer(50) },
		func() { generic(61, 62) },
		func() { generic(6.5, 63) },
		func() { variadic("first", 1, 2, 3) },
		func() { spins(71, 2) },
		func() { deep(40, "deep") },
	}
	for _, f := range start {
		go f()
		<-settled
	}
	time.Sleep(100 * time.Millisecond)
	mu.Lock()
	for _, n := range notes {
		if strings.Contains(n, "(=0x") {
			n = strings.Replace(n, "(=0x", "(0x", 1) + ")"
		}
		os.Stderr.WriteString(n + "\n")
	}
	mu.Unlock()
	os.Stdout.WriteString("ready\n")
	if len(os.Args) > 1 {
		syscall.Kill(syscall.Getpid(), syscall.SIGABRT)
	}
	<-never
}

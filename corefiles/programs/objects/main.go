// Objects of the heap whose names and types are known: the program itself writes, for each, its
// address, its type and the expression that leads to it. Some are reached from globals, some only
// through interfaces, some from stacks alone.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"
)

type handler interface{ handle() }

type conn struct {
	id   int
	name string
	mu   sync.Mutex
	next *conn
}

type pool struct {
	rw    sync.RWMutex
	conns []*conn
	spare [3]conn
	last  *conn
}

type server struct {
	name    string
	pool    *pool
	handler handler
	jobs    chan *conn
	any     interface{}
	wide    *wide
	values  []conn
}

// Larger than 512 bytes, so that the allocator notes the type of it from Go 1.22 on.
type wide struct {
	pad  [100]int
	mu   sync.Mutex
	next *wide
}

type echo struct {
	depth int
	inner *inner
}

type inner struct {
	once sync.Once
	mu   sync.Mutex
	self *inner
}

func (e *echo) handle() {}

// On stacks only: its type is known by its method.
type lonely struct {
	before [4]int
	mu     sync.Mutex
	keep   *lonely
}

//go:noinline
func (l *lonely) wait(stop chan bool) int {
	<-stop
	l.mu.Lock()
	return l.before[0]
}

var (
	srv   *server
	all   []*server
	iface handler
)

func tell(p unsafe.Pointer, typ, name string) {
	fmt.Fprintf(os.Stderr, "object %p %s %s\n", p, typ, name)
}

func fill() {
	srv = &server{name: "srv", pool: &pool{}, jobs: make(chan *conn, 2)}
	for i := 0; i < 4; i++ {
		srv.pool.conns = append(srv.pool.conns, &conn{id: i, name: fmt.Sprint("c", i)})
	}
	srv.pool.conns[1].next = &conn{id: 100}
	srv.pool.last = &conn{id: 200}
	srv.handler = &echo{depth: 1, inner: &inner{}}
	srv.any = &conn{id: 300}
	srv.wide = &wide{}
	srv.wide.next = &wide{}
	srv.values = make([]conn, 5)
	iface = &echo{depth: 2, inner: &inner{}}
	all = []*server{{name: "zero", pool: &pool{}}, {name: "one", pool: &pool{last: &conn{id: 400}}}}
}

func main() {
	fill()
	stop := make(chan bool)
	alone := new(lonely)
	go alone.wait(stop)
	go func() { // or the runtime says that all are asleep
		for {
			time.Sleep(time.Hour)
		}
	}()
	time.Sleep(50 * time.Millisecond)

	tell(unsafe.Pointer(srv), "main.server", "main.srv")
	tell(unsafe.Pointer(&srv.pool.rw), "main.pool", "main.srv.pool")
	tell(unsafe.Pointer(&srv.pool.spare[2].mu), "main.pool", "main.srv.pool.spare[2].mu")
	tell(unsafe.Pointer(&srv.pool.conns[3].mu), "main.conn", "main.srv.pool.conns[3].mu")
	tell(unsafe.Pointer(&srv.pool.conns[1].next.mu), "main.conn", "main.srv.pool.conns[1].next.mu")
	tell(unsafe.Pointer(&srv.pool.last.mu), "main.conn", "main.srv.pool.last.mu")
	tell(unsafe.Pointer(srv.handler.(*echo)), "main.echo", "main.srv.handler.(*main.echo)")
	tell(unsafe.Pointer(&srv.handler.(*echo).inner.mu), "main.inner", "main.srv.handler.(*main.echo).inner.mu")
	tell(unsafe.Pointer(&srv.any.(*conn).mu), "main.conn", "main.srv.any.(*main.conn).mu")
	tell(unsafe.Pointer(&srv.wide.mu), "main.wide", "main.srv.wide.mu")
	tell(unsafe.Pointer(&srv.wide.next.mu), "main.wide", "main.srv.wide.next.mu")
	tell(unsafe.Pointer(&srv.values[2].mu), "main.conn", "main.srv.values[2].mu")
	tell(unsafe.Pointer(&iface.(*echo).inner.mu), "main.inner", "main.iface.(*main.echo).inner.mu")
	tell(unsafe.Pointer(&all[1].pool.last.mu), "main.conn", "main.all[1].pool.last.mu")
	tell(unsafe.Pointer(&alone.mu), "main.lonely", "main.lonely.mu")
	tell(*(*unsafe.Pointer)(unsafe.Pointer(&srv.jobs)), "chan", "main.srv.jobs")
	fmt.Println("ready")
	<-stop
	fmt.Fprintln(os.Stderr, srv, all, iface, alone)
}

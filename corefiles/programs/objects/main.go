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
	byName  map[string]*conn
	byID    map[int64]*conn
	large   map[uint16]*conn
	nested  map[string]map[int]*pool
	slices  map[string][]*conn
	wideKey map[[20]int]*conn
	inMap   map[string][1]*conn
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

type index struct {
	size int
	mu   sync.Mutex
	by   map[string]*conn
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

// Laid out by the compiler: only these globals lead there.
var (
	static               = &pool{last: &conn{id: 700}, conns: []*conn{{id: 701}, {id: 702}}}
	staticIface  handler = &echo{depth: 7, inner: &inner{}}
	staticValues         = []conn{{id: 703}, {id: 704}, {id: 705}}
	alsoValues           = staticValues[1:2]
	deep                 = struct{ a [2]struct{ p *pool } }{[2]struct{ p *pool }{{}, {&pool{}}}}
)

// Two names for one thing: the shorter one is told.
var aLongName, brief, theOther *conn

var (
	srv   *server
	all   []*server
	iface handler
	table map[string]*conn
)

// What the compiler lays out itself: these structs are in the data, without names of their own.
var (
	fixed = &pool{last: &conn{id: 700}}
	rows  = []conn{{id: 701}, {id: 702}, {id: 703}}
	maps  = &index{by: map[string]*conn{}}
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
	static.conns[0].next = &conn{id: 706}
	aLongName = &conn{id: 707}
	brief, theOther = aLongName, aLongName
	srv.wide = &wide{}
	srv.wide.next = &wide{}
	srv.values = make([]conn, 5)
	srv.byName = map[string]*conn{"a": {id: 500}, "two words": {id: 501}}
	srv.byID = map[int64]*conn{-7: {id: 502}, 12: {id: 503}}
	srv.large = make(map[uint16]*conn)
	for i := 0; i < 5000; i++ {
		srv.large[uint16(i)] = &conn{id: i}
	}
	srv.nested = map[string]map[int]*pool{"x": {3: {last: &conn{}}}}
	srv.slices = map[string][]*conn{"s": {nil, {id: 504}}}
	srv.inMap = map[string][1]*conn{}
	srv.wideKey = map[[20]int]*conn{{1, 2, 3}: {id: 505}}
	for i := 0; i < 40; i++ {
		srv.inMap[fmt.Sprint("k", i)] = [1]*conn{{id: i}}
	}
	iface = &echo{depth: 2, inner: &inner{}}
	table = map[string]*conn{"g": {id: 600}}
	fixed.conns = []*conn{nil, {id: 704}}
	maps.by["m"] = &conn{id: 705}
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
	tell(unsafe.Pointer(&static.last.mu), "global", "main.static.last.mu")
	tell(unsafe.Pointer(&static.rw), "global", "main.static")
	tell(unsafe.Pointer(&static.spare[1].mu), "global", "main.static.spare[1].mu")
	tell(unsafe.Pointer(&static.conns[1].mu), "global", "main.static.conns[1].mu")
	tell(unsafe.Pointer(&static.conns[0].next.mu), "main.conn", "main.static.conns[0].next.mu")
	tell(unsafe.Pointer(&staticIface.(*echo).inner.mu), "global", "main.staticIface.(*main.echo).inner.mu")
	tell(unsafe.Pointer(&staticValues[2].mu), "global", "main.staticValues[2].mu")
	tell(unsafe.Pointer(&staticValues[1].mu), "global", "main.alsoValues[0].mu")
	tell(unsafe.Pointer(&deep.a[1].p.last), "global", "main.deep.a[1].p.last")
	tell(unsafe.Pointer(&brief.mu), "main.conn", "main.brief.mu")
	tell(unsafe.Pointer(&srv.byName["a"].mu), "main.conn", `main.srv.byName["a"].mu`)
	tell(unsafe.Pointer(&srv.byName["two words"].mu), "main.conn", `main.srv.byName["two words"].mu`)
	tell(unsafe.Pointer(&srv.byID[-7].mu), "main.conn", "main.srv.byID[-7].mu")
	tell(unsafe.Pointer(&srv.byID[12].mu), "main.conn", "main.srv.byID[12].mu")
	tell(unsafe.Pointer(&srv.large[4321].mu), "main.conn", "main.srv.large[4321].mu")
	tell(unsafe.Pointer(&srv.nested["x"][3].last.mu), "main.conn", `main.srv.nested["x"][3].last.mu`)
	tell(unsafe.Pointer(&srv.slices["s"][1].mu), "main.conn", `main.srv.slices["s"][1].mu`)
	tell(unsafe.Pointer(&srv.inMap["k33"][0].mu), "main.conn", `main.srv.inMap["k33"][0].mu`)
	tell(unsafe.Pointer(&srv.wideKey[[20]int{1, 2, 3}].mu), "main.conn", "main.srv.wideKey[...].mu")
	tell(unsafe.Pointer(&table["g"].mu), "main.conn", `main.table["g"].mu`)
	tell(*(*unsafe.Pointer)(unsafe.Pointer(&srv.jobs)), "chan", "main.srv.jobs")
	tell(unsafe.Pointer(&fixed.rw), "global", "main.fixed")
	tell(unsafe.Pointer(&fixed.spare[1].mu), "global", "main.fixed.spare[1].mu")
	tell(unsafe.Pointer(&rows[2].mu), "global", "main.rows[2].mu")
	tell(unsafe.Pointer(&maps.mu), "global", "main.maps.mu")
	tell(unsafe.Pointer(&fixed.conns[1].mu), "main.conn", "main.fixed.conns[1].mu")
	tell(unsafe.Pointer(&maps.by["m"].mu), "main.conn", `main.maps.by["m"].mu`)
	fmt.Println("ready")
	<-stop
	fmt.Fprintln(os.Stderr, srv, all, iface, alone, fixed, rows, maps)
}

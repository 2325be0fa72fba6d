package main

import (
	"fmt"
	"strings"
)

// A scenario is stuck for good in a way that is known when it is written. Its objects are known to
// its goroutines alone, or are globals. Whoever sets it up is gone when it is stuck.
type scenario struct {
	id     int
	global bool
	setup  strings.Builder // statements of the function that starts it
	kind   string          // the verdict it must get
	arrive int             // goroutines that meet at the barrier
}

func (s *scenario) add(format string, args ...any) { fmt.Fprintf(&s.setup, format, args...) }

// lock declares a lock; rw: 0 a Mutex, 1 an RWMutex.
func (s *scenario) lock(rw bool) lock {
	v, field, typ := fresh("v"), "mu", "sync.Mutex"
	if rw {
		field, typ = "rw", "sync.RWMutex"
	}
	l := lock{id: bookSize, rw: rw}
	bookSize++
	declare := func(format string, args ...any) {
		if s.global {
			fmt.Fprintf(&funcs, "var "+format+"\n\n", args...)
		} else {
			s.add("var "+format+"\n", args...)
		}
	}
	switch pick(3) {
	case 0:
		declare("%s %s", v, typ)
		l.expr = fmt.Sprintf("(&%s)", v)
	case 1:
		declare("%s = new(box)", v)
		l.expr = fmt.Sprintf("(&%s.%s)", v, field)
	case 2:
		declare("%s = []*box{new(box), new(box)}", v)
		l.expr = fmt.Sprintf("(&%s[1].%s)", v, field)
	}
	s.add("at(%d, uintptr(unsafe.Pointer(%s)))\n", l.id, l.expr)
	return l
}

func (s *scenario) anyLock() lock { return s.lock(chance(40)) }

func makeOpAs(l lock, read bool) op {
	for {
		if o := makeOp(l); o.read == read {
			return o
		}
	}
}

// nest takes a lock in some style and does inner then.
func (s *scenario) nest(o op, without int, inner string) string {
	if !s.global {
		without |= moves
	}
	if s.global && chance(30) {
		inner = moved(inner)
	}
	return pickStyle(without).make(o, inner)
}

func (s *scenario) hold(o op, inner string) string { return s.nest(o, free|tries, inner) }
func (s *scenario) want(o op) string               { return s.nest(o, tries, "work()\n") }

// meet is passed when all who take part have come: a barrier. In globals' code it is found by its
// number.
func (s *scenario) meet() string {
	s.arrive++
	return fmt.Sprintf("meet(%d)\n", s.id)
}

func (s *scenario) root(code string) {
	s.add("go func() {\n%s}()\n", indent(fmt.Sprintf("me := root(%d)\nuse(me)\n", s.id)+code))
}

// crowd is up to three others who want a lock that stays taken.
func (s *scenario) crowd(l lock) {
	for n := pick(4); n > 0; n-- {
		s.add("go func() {\n%s}()\n", indent(fmt.Sprintf("met(%d)\nme := behind(%d)\nuse(me)\n", s.id, s.id)+
			s.want(makeOp(l))))
	}
}

func (s *scenario) ring() {
	s.kind = "cycle"
	n := 2 + pick(3)
	var ls []lock
	var reads []bool
	for i := 0; i < n; i++ {
		ls = append(ls, s.anyLock())
		reads = append(reads, ls[i].rw && chance(30))
	}
	for i := 0; i < n; i++ {
		j := (i + 1) % n
		want := makeOpAs(ls[j], ls[j].rw && !reads[j] && chance(50))
		s.root(s.hold(makeOpAs(ls[i], reads[i]), s.meet()+s.want(want)))
	}
	if !reads[0] {
		s.crowd(ls[0])
	}
}

func (s *scenario) self() {
	s.kind = "self"
	l := s.anyLock()
	first := l.rw && chance(40)
	second := l.rw && !first && chance(50)
	s.root(s.hold(makeOpAs(l, first), s.meet()+s.want(makeOpAs(l, second))))
	if !first {
		s.crowd(l)
	}
}

func (s *scenario) secondReader() {
	s.kind = "cycle"
	l := s.lock(true)
	s.root(s.hold(makeOpAs(l, true), s.meet()+fmt.Sprintf(
		"for %s.TryRLock() {\n\t%s.RUnlock()\n\ttime.Sleep(time.Millisecond)\n}\n", l.expr, l.expr)+
		s.want(makeOpAs(l, true))))
	s.root(s.meet() + s.want(makeOpAs(l, false)))
}

// variable declares one; a pointer to it lies in the scenario's own memory, or a global does.
func (s *scenario) variable(typ, value string) string {
	v := fresh("v")
	if s.global {
		fmt.Fprintf(&funcs, "var %s %s\n\n", v, typ)
		if value != "" {
			s.add("%s = %s\n", v, value)
		}
	} else if value != "" {
		s.add("var %s %s = %s\n_ = %[1]s\n", v, typ, value)
	} else {
		s.add("var %s %s\n", v, typ)
	}
	return v
}

func (s *scenario) groupAndLock() {
	s.kind = "cycle"
	l := s.anyLock()
	wg := s.variable("sync.WaitGroup", "")
	s.add("%s.Add(1)\n", wg)
	s.root(s.hold(makeOpAs(l, false), s.meet()+wg+".Wait()\n"))
	switch want := s.want(makeOp(l)); {
	case s.global || chance(40):
		s.root("defer " + wg + ".Done()\n" + s.meet() + want)
	case chance(50):
		s.root("defer func() {\n\twork()\n\t" + wg + ".Done()\n}()\n" + s.meet() + want)
	default:
		s.root(s.meet() + "func() {\n" + indent(want) + "}()\n" + wg + ".Done()\n")
	}
	s.crowd(l)
}

func (s *scenario) channelAndLock() {
	s.kind = "cycle"
	s.global = false
	l := s.anyLock()
	c := s.variable("chan int", "make(chan int)")
	there, back := "<-"+c+"\n", c+" <- 1\n"
	switch pick(5) {
	case 0:
		there, back = back, there
	case 1:
		there, back = "for range "+c+" {\n}\n", "close("+c+")\n"
	case 2:
		d := s.variable("chan *box", "make(chan *box, 1)")
		there = "select {\ncase <-" + c + ":\ncase b := <-" + d + ":\n\tb.mu.Lock()\n}\n"
	case 3:
		c = s.variable("chan int", "make(chan int, 1)")
		s.add("%s <- 1\n", c)
		there, back = c+" <- 2\n", "<-"+c+"\n"
	}
	s.root(s.hold(makeOpAs(l, false), s.meet()+there))
	s.root(s.meet() + "func() {\n" + indent(s.want(makeOp(l))) + "}()\n" + back)
	s.crowd(l)
}

func (s *scenario) condAndLock() {
	s.kind = "cycle"
	s.global = false
	l := s.anyLock()
	b := s.variable("*box", "new(box)")
	cond := s.variable("*sync.Cond", "sync.NewCond(&"+b+".mu)")
	s.root(s.hold(makeOpAs(l, false), s.meet()+cond+".L.Lock()\nfor "+b+".n == 0 {\n\t"+cond+".Wait()\n}\n"+cond+".L.Unlock()\n"))
	s.root(s.meet() + "func() {\n" + indent(s.want(makeOp(l))) + "}()\n" + b + ".mu.Lock()\n" + b + ".n++\n" + b + ".mu.Unlock()\n" + cond + ".Signal()\n")
	s.crowd(l)
}

func (s *scenario) channelRing() {
	s.kind = "cycle"
	s.global = false
	n := 2 + pick(3)
	var cs []string
	for i := 0; i < n; i++ {
		cs = append(cs, s.variable("chan int", "make(chan int)"))
	}
	sends := chance(50)
	for i := 0; i < n; i++ {
		c, d := cs[i], cs[(i+1)%n]
		if sends {
			s.root(c + " <- 1\nn, ok := <-" + d + "\nuse(n)\nif !ok {\n\twork()\n}\n")
		} else {
			s.root("n := <-" + c + "\n" + d + " <- n\n")
		}
	}
}

func (s *scenario) forgotten() {
	s.kind = "unreachable"
	s.global = false
	n := 1 + pick(3)
	var wait string
	switch pick(8) {
	case 0:
		wait = "<-" + s.variable("chan int", "make(chan int)") + "\n"
	case 1:
		wait = s.variable("chan int", "make(chan int)") + " <- me\n"
	case 2:
		wait = "for b := range " + s.variable("chan *box", "make(chan *box, 3)") + " {\n\tb.n++\n}\n"
	case 3:
		n = 1
		c, d := s.variable("chan int", "make(chan int)"), s.variable("chan string", "make(chan string)")
		wait = "select {\ncase " + c + " <- me:\ncase <-" + d + ":\n}\n"
	case 4:
		wg := s.variable("sync.WaitGroup", "")
		s.add("%s.Add(2)\n", wg)
		wait = wg + ".Wait()\n"
	case 5:
		b := s.variable("*box", "new(box)")
		cond := s.variable("*sync.Cond", "sync.NewCond(&"+b+".mu)")
		wait = cond + ".L.Lock()\n" + cond + ".Wait()\n" + cond + ".L.Unlock()\n"
	case 6:
		s.add("ctx, cancel := context.WithCancel(context.Background())\n_ = cancel\n")
		wait = "<-ctx.Done()\n"
	case 7:
		b := s.variable("*box", "&box{done: make(chan struct{})}")
		wait = "if _, ok := <-" + b + ".done; !ok {\n\t" + b + ".n++\n}\n"
	}
	for ; n > 0; n-- {
		s.root(wait)
	}
}

func (s *scenario) orphan() {
	s.kind = "orphan-lock"
	s.global = false
	l := s.anyLock()
	o := makeOpAs(l, false)
	s.add("taken := make(chan bool)\n")
	take := o.e + ".Lock()\n"
	switch pick(3) {
	case 0:
		take = "f := " + o.e + ".Lock\nf()\n"
	case 1:
		take = "var k sync.Locker = " + o.e + "\nk.Lock()\n"
	}
	s.add("go func() {\n%s}()\n<-taken\n", indent(take+"if yes {\n\tclose(taken)\n\treturn\n}\n"+o.e+".Unlock()\n"))
	for n := 1 + pick(3); n > 0; n-- {
		s.root(s.want(makeOp(l)))
	}
}

func (s *scenario) once() {
	a := s.variable("sync.Once", "")
	if chance(40) {
		s.kind = "self"
		s.root(a + ".Do(func() {\n" + indent(s.meet()+a+".Do(work)\n") + "})\n")
		return
	}
	s.kind = "cycle"
	b := s.variable("sync.Once", "")
	s.root(a + ".Do(func() {\n" + indent(s.meet()+b+".Do(work)\n") + "})\n")
	s.root(b + ".Do(func() {\n" + indent(s.meet()+a+".Do(work)\n") + "})\n")
}

var bookSize int

var scenarios = []func(*scenario){
	(*scenario).ring, (*scenario).ring, (*scenario).ring, (*scenario).ring,
	(*scenario).self, (*scenario).self,
	(*scenario).secondReader,
	(*scenario).groupAndLock,
	(*scenario).channelAndLock, (*scenario).channelAndLock,
	(*scenario).condAndLock,
	(*scenario).channelRing,
	(*scenario).forgotten, (*scenario).forgotten, (*scenario).forgotten,
	(*scenario).orphan,
	(*scenario).once,
}

// makeStuck writes the program.
func makeStuck(seed, nodes, n int) {
	makeLocks(nodes)
	bookSize = len(locks)
	var starts, calls, addrs strings.Builder
	for g := 0; g < 3*nodes; g++ {
		f := fresh("run")
		order := rnd.Perm(len(locks))
		code := body(order[:1+pick(4)], blocks, stand)
		fmt.Fprintf(&funcs, "func %s(me int) {\n%s}\n\n", f, indent(code))
		if chance(50) {
			fmt.Fprintf(&starts, "\tgo func() { %s(enter()) }()\n", f)
		} else {
			fmt.Fprintf(&starts, "\tgo start(%s)\n", f)
		}
		if chance(20) {
			starts.WriteString("\ttime.Sleep(time.Millisecond)\n")
		}
	}
	starts.WriteString("\tsettle()\n")
	// Everyone is waited for.
	for _, l := range append(locks, locks...) {
		fmt.Fprintf(&starts, "\tgo func() {\n\t\tme := enter()\n\t\tl := %s\n\t\tl.Lock()\n\t\ttook(%d, me)\n\t\tstand()\n\t\tl.Unlock()\n\t}()\n", l.expr, l.id)
	}
	for i := 0; i < n; i++ {
		s := &scenario{id: i, global: chance(40)}
		scenarios[pick(len(scenarios))](s)
		fmt.Fprintf(&funcs, "//go:noinline\nfunc stuck%d() {\n%s}\n\n", i, indent(s.setup.String()))
		fmt.Fprintf(&calls, "\tscenarios[%d].kind = %q\n\tscenarios[%d].barrier.Add(%d)\n\tgo stuck%d()\n", i, s.kind, i, s.arrive, i)
	}
	for _, l := range locks {
		fmt.Fprintf(&addrs, "\tat(%d, uintptr(unsafe.Pointer(%s)))\n", l.id, l.expr)
	}
	fmt.Printf(stuckFrame, seed, bookSize, n, fmt.Sprintf(commonFrame, nodes), funcs.String(), calls.String(), starts.String(), addrs.String())
}

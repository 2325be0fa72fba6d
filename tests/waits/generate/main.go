// Command generate writes a random Go program, for the wait-for graph to be held against.
//
//	generate stuck SEED NODES SCENARIOS >main.go
//	generate healthy SEED ACTORS RELEASE [net] [cgo] >main.go
//
// A stuck program takes random locks in random styles (6 of them for each of NODES), has SCENARIOS
// that are stuck in a known way (stuck.go), and stands still. It keeps book itself of who has which
// lock and of who is stuck with whom, and prints that as JSON, one entry a line, when nothing moves
// any more. A healthy program goes on for ever (healthy.go).
package main

import (
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
)

var (
	rnd   *rand.Rand
	funcs strings.Builder // top-level declarations, in the order in which they were made
	count int

	healthy bool
)

// A lock of the program: an expression of its address.
type lock struct {
	id   int
	expr string
	rw   bool
}

var locks []lock

func fresh(prefix string) string {
	count++
	return fmt.Sprintf("%s%d", prefix, count)
}

func pick(n int) int { return rnd.Intn(n) }

func chance(percent int) bool { return rnd.Intn(100) < percent }

func indent(s string) string {
	return "\t" + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n\t") + "\n"
}

func makeLocks(nodes int) {
	add := func(rw bool, format string, args ...any) {
		locks = append(locks, lock{len(locks), fmt.Sprintf(format, args...), rw})
	}
	for i := 0; i < 2; i++ {
		fmt.Fprintf(&funcs, "var global%d sync.Mutex\n\n", i)
		add(false, "(&global%d)", i)
		fmt.Fprintf(&funcs, "var rwGlobal%d sync.RWMutex\n\n", i)
		add(true, "(&rwGlobal%d)", i)
	}
	for i := 0; i < nodes; i++ {
		add(false, "(&table[%d])", i)
		add(false, "(&nodes[%d].mu)", i)
		add(true, "(&nodes[%d].rw)", i)
		add(false, "(&embedded[%d].Mutex)", i)
		add(false, "(&byName[%q].mu)", strconv.Itoa(i))
		add(false, "(pointers[%d])", i)
	}
}

// op is how a lock is taken: its methods, and how the book is kept.
type op struct {
	l                         lock
	e                         string // the receiver
	lock, unlock, try, locker string
	read                      bool
}

// elements of a map are looked up again for each use: few programs do that for a lock
func (l lock) isElement() bool { return strings.Contains(l.expr, "byName") }

func makeOp(l lock) op {
	o := op{l: l, e: l.expr, lock: "Lock", unlock: "Unlock", try: "TryLock", locker: l.expr}
	if l.rw && chance(50) {
		o.lock, o.unlock, o.try, o.read = "RLock", "RUnlock", "TryRLock", true
		o.locker = l.expr + ".RLocker()"
	}
	return o
}

func (o op) typ() string {
	if o.l.rw {
		return "*sync.RWMutex"
	}
	return "*sync.Mutex"
}

func (o op) take() string { return fmt.Sprintf("took(%d, me)\n", o.l.id) }
func (o op) drop() string { return fmt.Sprintf("dropped(%d, me)\n", o.l.id) }
func (o op) call(m string) string {
	return fmt.Sprintf("%s.%s()\n", o.e, m)
}
func (o op) acquire() string { return o.call(o.lock) + o.take() }
func (o op) release() string { return o.drop() + o.call(o.unlock) }

// while takes what defer lets go of when the function ends, and does inner: the book says so until
// then. Unless there is a function for that alone, that is noted by a deferred call too.
func (o op) while(take, unlock, inner string) string {
	if chance(50) {
		return "func() {\n" + indent(take+"defer "+unlock+inner+o.drop()) + "}()\n"
	}
	return take + "defer " + unlock + "defer " + o.drop() + inner
}

// A style surrounds inner with the lock.
type style struct {
	name  string
	make  func(o op, inner string) string
	flags int
}

const (
	moves  = 1 << iota // inner may come to stand in a function of its own
	free               // the lock is not held at inner
	again              // the lock is taken again after inner
	blocks             // waits for ever after inner
	tries              // does not wait for the lock
)

func explicit(o op, inner string) string { return o.acquire() + inner + o.release() }

var styles = []style{
	{"explicit", explicit, 0},
	{"explicit", explicit, 0},
	{"defer", func(o op, inner string) string {
		return o.acquire() + "defer " + o.call(o.unlock) + "defer " + o.drop() + inner
	}, 0},
	{"defer", func(o op, inner string) string {
		return o.call(o.lock) + o.while("", o.call(o.unlock), o.take()+inner)
	}, 0},
	{"variable", func(o op, inner string) string {
		p := fresh("p")
		o2 := o
		o2.e = p
		return fmt.Sprintf("%s := %s\n", p, o.e) + explicit(o2, inner)
	}, 0},
	{"closure", func(o op, inner string) string {
		return "func() {\n" + indent(o.acquire()+"defer "+o.call(o.unlock)+inner+o.drop()) + "}()\n"
	}, 0},
	{"deferred closure", func(o op, inner string) string {
		return o.acquire() + "defer func() {\n" + indent(o.release()) + "}()\n" + inner
	}, 0},
	{"deferred closure with a condition", func(o op, inner string) string {
		h := fresh("held")
		return o.acquire() + h + " := true\ndefer func() {\n\tif " + h + " {\n" +
			indent(indent(o.release())) + "\t}\n}()\n" + inner + h + " = yes\n"
	}, 0},
	{"method value", func(o op, inner string) string {
		u := fresh("unlock")
		s := fmt.Sprintf("%s := %s.%s\n", u, o.e, o.unlock) + o.acquire()
		if chance(50) {
			return o.while(s, u+"()\n", inner)
		}
		return s + inner + o.drop() + u + "()\n"
	}, 0},
	{"method value of lock", func(o op, inner string) string {
		u := fresh("lock")
		return fmt.Sprintf("%s := %s.%s\n", u, o.e, o.lock) + u + "()\n" + o.take() + inner + o.release()
	}, 0},
	{"helper", func(o op, inner string) string {
		f := fresh("helper")
		fmt.Fprintf(&funcs, "//go:noinline\nfunc %sLock(l %s) { l.%s(); work() }\n\n", f, o.typ(), o.lock)
		fmt.Fprintf(&funcs, "//go:noinline\nfunc %sUnlock(l %s) { work(); l.%s() }\n\n", f, o.typ(), o.unlock)
		s := fmt.Sprintf("%sLock(%s)\n", f, o.e) + o.take()
		if chance(50) {
			return o.while(s, fmt.Sprintf("%sUnlock(%s)\n", f, o.e), inner)
		}
		return s + inner + o.drop() + fmt.Sprintf("%sUnlock(%s)\n", f, o.e)
	}, 0},
	{"helper that returns unlock", func(o op, inner string) string {
		f, u := fresh("acquire"), fresh("done")
		body := fmt.Sprintf("return l.%s", o.unlock)
		if chance(50) {
			body = fmt.Sprintf("return func() { work(); l.%s() }", o.unlock)
		}
		fmt.Fprintf(&funcs, "//go:noinline\nfunc %s(l %s) func() {\n\tl.%s()\n\t%s\n}\n\n", f, o.typ(), o.lock, body)
		s := fmt.Sprintf("%s := %s(%s)\n", u, f, o.e) + o.take()
		if chance(50) {
			return o.while(s, u+"()\n", inner)
		}
		return s + inner + o.drop() + u + "()\n"
	}, 0},
	{"locker", func(o op, inner string) string {
		k := fresh("k")
		s := fmt.Sprintf("var %s sync.Locker = %s\n%s.Lock()\n", k, o.locker, k) + o.take()
		if chance(50) {
			return o.while(s, k+".Unlock()\n", inner)
		}
		return s + inner + o.drop() + k + ".Unlock()\n"
	}, 0},
	{"locker as argument", func(o op, inner string) string {
		return fmt.Sprintf("withLocker(%s, func() {\n", o.locker) + indent(o.take()+inner+o.drop()) + "})\n"
	}, 0},
	{"locker as argument, explicit", func(o op, inner string) string {
		return fmt.Sprintf("withLockerExplicit(%s, func() {\n", o.locker) + indent(o.take()+inner+o.drop()) + "})\n"
	}, 0},
	{"generic", func(o op, inner string) string {
		return fmt.Sprintf("with(%s, func() {\n", o.locker) + indent(o.take()+inner+o.drop()) + "})\n"
	}, 0},
	{"argument", func(o op, inner string) string {
		f := fresh("argument")
		o2 := o
		o2.e = "l"
		in := moved(inner)
		fmt.Fprintf(&funcs, "//go:noinline\nfunc %s(me int, l %s) {\n%s}\n\n", f, o.typ(), indent(explicit(o2, in)))
		return fmt.Sprintf("%s(me, %s)\n", f, o.e)
	}, moves},
	{"handed down", func(o op, inner string) string {
		f := fresh("handed")
		o2 := o
		o2.e = "l"
		fmt.Fprintf(&funcs, "//go:noinline\nfunc %s(me int, l %s) {\n%s}\n\n", f, o.typ(),
			indent("defer l."+o.unlock+"()\n"+moved(inner)+o.drop()))
		return o.acquire() + fmt.Sprintf("%s(me, %s)\n", f, o.e)
	}, moves},
	{"condition", func(o op, inner string) string {
		return "if yes {\n" + indent(o.acquire()) + "}\n" + inner + "if yes {\n" + indent(o.release()) + "}\n"
	}, 0},
	{"condition, defer", func(o op, inner string) string {
		return "if yes {\n" + indent(o.acquire()+"defer "+o.call(o.unlock)+"defer "+o.drop()) + "}\n" + inner
	}, 0},
	{"either way", func(o op, inner string) string {
		w := fresh("way")
		return w + " := three == " + strconv.Itoa(2+pick(2)) + "\nif " + w + " {\n" + indent(o.call(o.lock)) + "}\nwork()\nif !" + w + " {\n" +
			indent(o.call(o.lock)) + "}\n" + o.take() + inner + o.release()
	}, 0},
	{"try", func(o op, inner string) string {
		return fmt.Sprintf("if %s.%s() {\n", o.e, o.try) + indent(o.take()+inner+o.release()) + "}\n"
	}, tries},
	{"try, early return", func(o op, inner string) string {
		return "func() {\n" + indent(fmt.Sprintf("if !%s.%s() {\n\treturn\n}\n", o.e, o.try)+o.take()+"defer "+o.call(o.unlock)+inner+o.drop()) + "}()\n"
	}, tries},
	{"try in a loop", func(o op, inner string) string {
		return fmt.Sprintf("for n := 0; !%s.%s(); n++ {\n\tif n == 3 {\n", o.e, o.try) +
			"\t\tstand()\n\t}\n\twork()\n}\n" + o.take() + inner + o.release()
	}, tries},
	{"switch", func(o op, inner string) string {
		return "switch three {\ncase 1:\n\twork()\ncase 3:\n" + indent(explicit(o, inner)) + "case 4, 5, 6, 7:\n\twork()\ncase 8:\n\tstand()\n}\n"
	}, 0},
	{"loop", func(o op, inner string) string {
		return "for n := 0; n < three; n++ {\n" + indent(o.acquire()+"if n == 1 {\n"+indent(inner)+"}\n"+o.release()) + "}\n"
	}, again},
	{"defer in a loop", func(o op, inner string) string {
		return "for n := 0; n < three; n++ {\n\tif n == 1 {\n" + indent(indent(o.acquire()+"defer "+o.call(o.unlock)+"defer "+o.drop())) + "\t}\n}\n" + inner
	}, 0},
	{"late in a loop", func(o op, inner string) string {
		return "for n := 0; n < three; n++ {\n\tif n == 1 {\n" + indent(indent(inner+o.acquire())) + "\t}\n}\nwork()\n" + o.release()
	}, free | again},
	{"late in a loop, defer before", func(o op, inner string) string {
		return "for n := 0; n < three; n++ {\n\tif n == 1 {\n" +
			indent(indent("defer "+o.call(o.unlock)+inner+o.acquire()+"defer "+o.drop())) + "\t}\n\twork()\n}\n"
	}, free | again},
	{"once in a loop", func(o op, inner string) string {
		h := fresh("held")
		return h + " := false\nfor n := 0; n < three; n++ {\n\tif n == 1 {\n" + indent(indent(inner)) + "\t}\n\tif !" + h + " {\n" +
			indent(indent(h+" = yes\n"+o.acquire()+"defer "+o.call(o.unlock)+"defer "+o.drop())) + "\t}\n}\n"
	}, 0},
	{"released before", func(o op, inner string) string {
		return o.acquire() + "work()\n" + o.release() + inner
	}, free},
	{"released before by defer", func(o op, inner string) string {
		return "func() {\n" + indent(o.acquire()+"defer "+o.call(o.unlock)+o.drop()) + "}()\n" + inner
	}, free},
	{"released in between", func(o op, inner string) string {
		return o.acquire() + "defer " + o.call(o.unlock) + "work()\n" + o.release() + inner + o.acquire() + "defer " + o.drop()
	}, free | again},
	{"released in between, explicit", func(o op, inner string) string {
		return o.acquire() + "work()\n" + o.release() + inner + o.acquire() + o.release()
	}, free | again},
	{"released by a helper in between", func(o op, inner string) string {
		f := fresh("without")
		fmt.Fprintf(&funcs, "//go:noinline\nfunc %s(me int, l %s) {\n%s}\n\n", f, o.typ(),
			indent(o.drop()+"l."+o.unlock+"()\n"+moved(inner)+"l."+o.lock+"()\n"+o.take()))
		return o.acquire() + "defer " + o.call(o.unlock) + "defer " + o.drop() + fmt.Sprintf("%s(me, %s)\n", f, o.e)
	}, moves | free},
	{"deferred before", func(o op, inner string) string {
		return "defer " + o.call(o.unlock) + inner + o.acquire() + "defer " + o.drop()
	}, free | again},
	{"taken after", func(o op, inner string) string {
		return inner + o.acquire() + o.release()
	}, free | again},
	{"released by a helper's deferred call", func(o op, inner string) string {
		// Not one that the compiler turns into plain code. The caller gets at the lock by the result.
		f, p := fresh("deferring"), fresh("lock")
		fmt.Fprintf(&funcs, "//go:noinline\nfunc %s(me int, l %s) %[2]s {\n%s}\n\n", f, o.typ(),
			indent("l."+o.lock+"()\n"+o.take()+"for n := 2; n < three; n++ {\n\tdefer l."+o.unlock+"()\n}\n"+o.drop()+"return l\n"))
		return fmt.Sprintf("%s := %s(me, %s)\nuse(len(os.Args), %[1]s)\n", p, f, o.e) + inner + fmt.Sprintf("use(1, %s)\n", p)
	}, free},
	{"released by another closure", func(o op, inner string) string {
		u := fresh("release")
		return o.acquire() + u + " := func() {\n" + indent(o.release()) + "}\n" + u + "()\n" + inner
	}, free},
	{"defer order", func(o op, inner string) string {
		// The lock is released by the time the first deferred call runs.
		return "func() {\n" + indent("defer func() {\n"+indent(inner)+"}()\n"+o.acquire()+"defer "+o.call(o.unlock)+"defer "+o.drop()) + "}()\n"
	}, free},
	{"condition wait", func(o op, inner string) string {
		if o.read {
			return explicit(o, inner)
		}
		c := fresh("cond")
		return fmt.Sprintf("%s := sync.NewCond(%s)\n%s.L.Lock()\n", c, o.e, c) + o.take() + inner + o.drop() + c + ".Wait()\n"
	}, blocks},
	{"panic", func(o op, inner string) string {
		return "func() {\n\tdefer func() {\n\t\trecover()\n" + indent(indent(inner)) + "\t}()\n" +
			indent(o.acquire()+"defer "+o.call(o.unlock)+"defer "+o.drop()+"panic(1)\n") + "}()\n"
	}, free},
	{"panic, held", func(o op, inner string) string {
		return "func() {\n" + indent(o.acquire()+"defer "+o.call(o.unlock)+"defer "+o.drop()+"defer func() {\n"+indent("recover()\n"+inner)+"}()\npanic(1)\n") + "}()\n"
	}, 0},
	{"once", func(o op, inner string) string {
		f := fresh("once")
		return fmt.Sprintf("var %s sync.Once\n%s.Do(func() {\n", f, f) + indent(explicit(o, inner)) + "})\n"
	}, 0},
	{"goroutine takes over", func(o op, inner string) string {
		// The book says nobody: the owner cannot be known.
		return o.call(o.lock) + fmt.Sprintf("foreign(%d)\ngo func() {\n\tstand()\n\t%s}()\n", o.l.id, o.call(o.unlock)) + inner
	}, free},
}

// moved puts code into a function of its own, so that it can be called from anywhere.
func moved(inner string) string {
	f := fresh("inner")
	note := ""
	if chance(50) {
		note = "//go:noinline\n"
	}
	fmt.Fprintf(&funcs, "%sfunc %s(me int) {\n%s}\n\n", note, f, indent(inner))
	return f + "(me)\n"
}

func stand() string {
	return []string{"stand()\n", "time.Sleep(time.Hour)\n", "<-never\n", "select {\ncase <-never:\ncase never2 <- 1:\n}\n"}[pick(4)]
}

func pickStyle(without int) style {
	for {
		if st := styles[pick(len(styles))]; st.flags&without == 0 {
			return st
		}
	}
}

// body takes the locks in that order, one inside of the other, and does last inside of all.
func body(order []int, without int, last func() string) string {
	if len(order) == 0 {
		return last()
	}
	o := makeOp(locks[order[0]])
	inner := body(order[1:], without, last)
	st := pickStyle(without)
	if healthy && st.flags&again != 0 {
		inner = "func() {\n" + indent(inner) + "}()\n"
	}
	if chance(30) {
		inner = moved(inner)
	}
	if chance(20) {
		inner = "work()\n" + inner
	}
	if o.l.isElement() && chance(90) {
		p := fresh("element")
		s := fmt.Sprintf("%s := %s\n", p, o.e)
		o.e, o.locker = p, strings.Replace(o.locker, o.e, p, 1)
		return s + st.make(o, inner)
	}
	return st.make(o, inner)
}

// number is the argument at i.
func number(i int) int {
	if i < len(os.Args) {
		if n, err := strconv.Atoi(os.Args[i]); err == nil && n >= 0 {
			return n
		}
	}
	fmt.Fprintln(os.Stderr, "usage: generate stuck SEED NODES SCENARIOS | healthy SEED ACTORS RELEASE [net] [cgo]")
	os.Exit(2)
	return 0
}

// minorOf is N of a release 1.N.M.
func minorOf(release string) int {
	parts := strings.SplitN(release, ".", 3)
	if len(parts) > 1 {
		if n, err := strconv.Atoi(parts[1]); err == nil {
			return n
		}
	}
	return 0
}

func main() {
	seed := number(2)
	rnd = rand.New(rand.NewSource(int64(seed)))
	if healthy = os.Args[1] == "healthy"; healthy {
		var may allowed
		if len(os.Args) < 5 {
			number(len(os.Args))
		}
		may.minor = minorOf(os.Args[4])
		for _, s := range os.Args[5:] {
			may.network = may.network || s == "net"
			may.throughC = may.throughC || s == "cgo"
		}
		makeHealthy(seed, number(3), may)
	} else {
		makeStuck(seed, number(3), number(4))
	}
}

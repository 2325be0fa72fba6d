package main

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"sync"
)

//go:noinline
func deep(n int, label string) int {
	if n == 0 {
		return <-never
	}
	return deep(n-1, label) + 1
}

// even and odd need one frame of the stack each, and each brings inlined
// calls along.
//
//go:noinline
func even(n int) int {
	if n == 0 {
		return <-never
	}
	return step(n)
}

func step(n int) int { return skip(n - 1) }

func skip(n int) int { return odd(n) }

//go:noinline
func odd(n int) int {
	if n == 0 {
		return <-never
	}
	return 1 + step2(n)
}

func step2(n int) int { return even(n - 1) }

// Inlined all the way.
func inlined1(c chan int) int { return inlined2(c) + 1 }
func inlined2(c chan int) int { return inlined3(c) + 2 }
func inlined3(c chan int) int { return <-c }

// bigFrame grows the stack and with it moves it.
//
//go:noinline
func bigFrame(n int) int {
	var buf [4096]int
	for i := range buf {
		buf[i] = i + n
	}
	if n > 0 {
		return bigFrame(n-1) + buf[n]
	}
	return <-never + buf[17]
}

type number interface{ ~int | ~int64 | ~float64 }

//go:noinline
func sum[T number](xs []T, c chan T) T {
	var t T
	for _, x := range xs {
		t += x
	}
	return t + <-c
}

type list[K comparable, V any] struct {
	key  K
	val  V
	next *list[K, V]
}

//go:noinline
func (l *list[K, V]) find(k K) V {
	for ; l != nil; l = l.next {
		if l.key == k {
			return l.val
		}
	}
	<-never
	panic("unreachable")
}

func each[K comparable, V any](l *list[K, V], f func(K, V)) {
	for ; l != nil; l = l.next {
		f(l.key, l.val)
	}
}

type point struct{ x, y int }

func (p point) block()     { <-never }
func (p *point) blockPtr() { <-never }
func (p point) String() string {
	<-never
	return "point"
}

type blocker interface{ block() }

type outer struct {
	name string
	point
}

type weekday int

func (d weekday) block() { <-never }

//go:noinline
func callInterface(b blocker) { b.block() }

//go:noinline
func callFunc(f func()) { f() }

func closures() {
	x, y := 1, "two"
	f := func() {
		g := func() {
			func() {
				_ = fmt.Sprint(x, y)
				<-never
			}()
		}
		g()
	}
	callFunc(f)
}

func deferred() {
	defer func() {
		<-never
	}()
	for i := 0; i < 2; i++ {
		defer callFunc(func() {})
	}
}

// deferLoop is blocked in a deferred call that stands on the heap.
func deferLoop() {
	for i := 0; i < 3; i++ {
		defer func(n int) {
			if n == 1 {
				<-never
			}
		}(i)
	}
}

type byBlocking []int

func (s byBlocking) Len() int           { return len(s) }
func (s byBlocking) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s byBlocking) Less(i, j int) bool { return <-never == 0 }

func startStacks() {
	go deep(1, "short")
	go deep(49, "fifty")
	go deep(98, "just below one hundred")
	go deep(99, "one hundred")
	go deep(150, "more than one hundred")
	go deep(1000, "a thousand")
	go even(40)
	go even(61)
	go even(200)
	go inlined1(never)
	go bigFrame(5)

	go sum([]int{1, 2}, make(chan int))
	go sum([]float64{1, 2}, make(chan float64))
	go (&list[string, point]{key: "a"}).find("b")
	go (&list[int, *point]{key: 1}).find(2)
	go each(&list[int, string]{1, "one", nil}, func(k int, v string) { <-never })

	p := &point{1, 2}
	o := &outer{"outer", point{3, 4}}
	go p.block()
	go p.blockPtr()
	go callInterface(p)
	go callInterface(*p)
	go callInterface(o)
	go callInterface(*o)
	go callInterface(weekday(3))
	go callFunc(p.block)
	go callFunc(p.blockPtr)
	go callFunc(o.block)
	go point.block(*p)
	go (*outer).blockPtr(o)
	f := (*point).block
	go f(p)
	go fmt.Sprintf("%v", *p)
	go fmt.Fprintln(new(strings.Builder), "a", p, 1.5)

	go closures()
	go deferred()
	go deferLoop()
	go sort.Sort(byBlocking{3, 2, 1})
	go sort.Slice([]int{3, 2, 1}, func(i, j int) bool { return <-never == 0 })
	go strings.Map(func(r rune) rune { return rune(<-never) }, "text")
	go new(sync.Map).Range(func(k, v any) bool { return true })
	go func() {
		var m sync.Map
		m.Store("k", "v")
		m.Range(func(k, v any) bool { <-never; return true })
	}()
	go reflect.ValueOf(p).MethodByName("String").Call(nil)
	go reflect.ValueOf(deep).Call([]reflect.Value{reflect.ValueOf(3), reflect.ValueOf("reflect")})
	go reflect.MakeFunc(reflect.TypeOf(callFunc), func(in []reflect.Value) []reflect.Value {
		<-never
		return nil
	}).Interface().(func(func()))(nil)
}

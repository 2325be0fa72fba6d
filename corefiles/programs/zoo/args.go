package main

type (
	small struct {
		a int8
		b uint16
		c bool
	}
	inner  struct{ a, b int }
	nested struct {
		one inner
		two struct {
			three struct {
				four struct{ five struct{ six int } }
			}
		}
	}
	mixed struct {
		s string
		f float64
		a [2]int
		p *int
	}
	empty   struct{}
	hasZero struct {
		e empty
		n int
		z [0]int
	}
)

//go:noinline
func argInts(a int8, b uint8, c int16, d uint32, e int64, f bool, g uintptr) { <-never }

//go:noinline
func argNegative(a int8, b int16, c int32, d int64) { <-never }

//go:noinline
func argStrings(a, b string) { <-never }

//go:noinline
func argSlices(a []int, b []string) { <-never }

//go:noinline
func argFloats(a float32, b float64, c complex64, d complex128) { <-never }

//go:noinline
func argMany(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o int) { <-never }

//go:noinline
func argTen(a, b, c, d, e, f, g, h, i, j int) { <-never }

//go:noinline
func argEleven(a, b, c, d, e, f, g, h, i, j, k int) { <-never }

//go:noinline
func argStructs(a small, b inner, c mixed) { <-never }

//go:noinline
func argNested(a nested, b int) { <-never }

//go:noinline
func argDeepNested(a struct {
	a, b struct {
		c struct {
			d struct{ e, f struct{ g int } }
		}
	}
}) {
	<-never
}

//go:noinline
func argArrays(a [1]int, b [2]int, c [0]int, d [3]byte) { <-never }

//go:noinline
func argBigArray(a [20]int) { <-never }

//go:noinline
func argEmpty(a empty, b hasZero, c [2]empty) { <-never }

//go:noinline
func argInterfaces(a any, b error, c blocker) { <-never }

//go:noinline
func argPointers(a *int, b map[string]int, c chan int, d func(), e **int) { <-never }

//go:noinline
func argVariadic(a int, rest ...any) { <-never }

//go:noinline
func argResults(a int) (b string, c error, d [3]int) {
	<-never
	return
}

// Nothing uses the arguments after the wait, so their registers may be gone.
//
//go:noinline
func argDead(a, b int, s string) int {
	n := a*b + len(s)
	use(n)
	n = <-never
	return n
}

// Some are used after it.
//
//go:noinline
func argHalfDead(a, b int, s string, xs []int) int {
	use(a)
	n := <-never
	return n + b + len(xs)
}

//go:noinline
func argSpilled(a, b, c, d int) int {
	use(a)
	use(b)
	use(c)
	n := deepCall(d)
	return n + a + b + c + d
}

//go:noinline
func deepCall(n int) int { return <-never + n }

//go:noinline
func use(n int) {}

//go:noinline
func (m mixed) argReceiver(n int) { <-never }

//go:noinline
func (n *nested) argPtrReceiver(s small) { <-never }

func startArgs() {
	n := 42
	p := &n
	go argInts(1, 2, 3, 4, 5, true, 7)
	go argNegative(-1, -2, -3, -4)
	go argStrings("hello", "")
	go argSlices([]int{1, 2, 3}, nil)
	go argFloats(1.5, 2.5, 1+2i, 3+4i)
	go argMany(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
	go argTen(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	go argEleven(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	go argStructs(small{1, 2, true}, inner{3, 4}, mixed{"s", 1.5, [2]int{1, 2}, p})
	go argNested(nested{one: inner{1, 2}}, 3)
	go argDeepNested(struct {
		a, b struct {
			c struct {
				d struct{ e, f struct{ g int } }
			}
		}
	}{})
	go argArrays([1]int{1}, [2]int{2, 3}, [0]int{}, [3]byte{4, 5, 6})
	go argBigArray([20]int{1, 2, 3})
	go argEmpty(empty{}, hasZero{n: 5}, [2]empty{})
	go argInterfaces(1, nil, weekday(2))
	go argPointers(p, map[string]int{}, nil, func() {}, &p)
	go argVariadic(1, "two", 3.0)
	go argResults(1)
	go argDead(6, 7, "dead")
	go argHalfDead(6, 7, "half", []int{1})
	go argSpilled(1, 2, 3, 4)
	go mixed{s: "m"}.argReceiver(1)
	go (&nested{}).argPtrReceiver(small{1, 2, false})
}

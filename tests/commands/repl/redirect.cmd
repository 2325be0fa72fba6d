bt -n 3 | head -n 1
bt | wc -l
goroutines -with wait 'a|b' | cat
bt |
bt >
$ gcore-inspect --batch -q -ex 'bt -n 1 > .out' -ex 'goroutine 8 bt -n 1 >> ".out"' abba-go1.27.4.core; cat .out; rm .out
bt -n 1 > /nonexistent/file
bt 'x

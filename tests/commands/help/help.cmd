help goroutine
help bt
help he
help nonsense
help g
h bt quit
$ gcore-inspect --batch -q -ex 'help goroutines' abba-go1.27.4.core | head -n 4

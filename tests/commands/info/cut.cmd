# A core that ends before the heap: nothing is left of the goroutines.
$ cut=$(mktemp); head -c 1000000 abba-go1.27.4.core >"$cut"; gcore-inspect --batch -q -ex info --exe abba-go1.27.4.exe "$cut" 2>/dev/null; rm -f "$cut"

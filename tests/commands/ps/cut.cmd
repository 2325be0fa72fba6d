# A stripped program's core that ends before the heap: nothing else is taken for its Ps.
$ cut=$(mktemp); exe=$(mktemp); head -c 1000000 abba-go1.27.4.core >"$cut"; strip -o "$exe" abba-go1.27.4.exe; gcore-inspect --batch -q -ex info -ex ps --exe "$exe" "$cut" 2>/dev/null; rm -f "$cut" "$exe"

gorout
thr
b -n 1
threeds
goroutinse
xyzzy

# comment only
bt -n 1 # is not a comment

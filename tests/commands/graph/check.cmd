core abba-go1.27.4 chanpair-go1.19.13 healthy-go1.27.4
graph
core rwmutex-go1.27.4
graph -a
graph -o /nowhere/x.dot
graph -o x.png

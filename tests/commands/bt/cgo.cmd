core zoo_cgo-go1.27.4
thread 2 bt

core zoo-go1.27.4 zoo_cgo-go1.27.4
threads -s

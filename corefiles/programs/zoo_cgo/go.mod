module zoo_cgo

go 1.18

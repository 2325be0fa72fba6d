module cgo_healthy

go 1.18

core zoo_cgo-go1.27.4 abba-go1.27.4 zoo_cgo-go1.19.13 zoo_cgo-go1.27.4-arm64
cgo
core zoo_cgo-go1.27.4
options --json
cgo

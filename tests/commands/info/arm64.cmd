core zoo_cgo-go1.27.4-arm64
info
options --json
info

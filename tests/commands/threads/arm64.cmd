core zoo_cgo-go1.27.4-arm64 zoo-go1.19.13-arm64
threads

core abba-go1.27.4 abba-go1.19.13 zoo-go1.27.4 zoo-go1.19.13 abba-go1.27.4-gcore healthy-go1.19.13 zoo_cgo-go1.19.13
info

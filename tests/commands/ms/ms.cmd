core abba-go1.27.4 abba-go1.19.13 zoo_cgo-go1.27.4
ms
options --json
core abba-go1.19.13
ms

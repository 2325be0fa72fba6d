core abba-go1.27.4 abba-go1.19.13 zoo-go1.27.4 zoo_cgo-go1.19.13
threads
thread 2
  threads
options --json
core abba-go1.27.4
threads

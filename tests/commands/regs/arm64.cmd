# the registers of an arm64 core, by name, by their other names, and further out
core zoo_cgo-go1.27.4-arm64
thread 6
  regs
  x $sp -count 4
  x $fp -count 2
  x $lr
  x $x29 -count 2
  x $rsp
  up 2
  regs

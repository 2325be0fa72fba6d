core abba-go1.27.4 abba-go1.19.13
regs
thread 1 regs
thread 2
  up 3
  regs
options --json
core abba-go1.27.4
regs
thread 1 regs
